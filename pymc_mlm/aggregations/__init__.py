"""Features of groups other than the weighted sums of `mm`: spread, concentration, extremes."""

from pymc_mlm.aggregations.aggregate import aggregate
from pymc_mlm.aggregations.base import AbstractAggregation
from pymc_mlm.aggregations.concentration import Concentration, EffectiveNumber, Entropy
from pymc_mlm.aggregations.extremes import PowerMean, SmoothMaximum, Threshold
from pymc_mlm.aggregations.moments import Covariance, Mean, Variance

__all__ = [
    "AbstractAggregation",
    "Concentration",
    "Covariance",
    "EffectiveNumber",
    "Entropy",
    "Mean",
    "PowerMean",
    "SmoothMaximum",
    "Threshold",
    "Variance",
    "aggregate",
]
