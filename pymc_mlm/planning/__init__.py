"""Planning a trial before it is run: power, error rates, thresholds, sample size."""

from pymc_mlm.planning.calibration import calibrate
from pymc_mlm.planning.design import Clusters, TrialDesign
from pymc_mlm.planning.estimate import Estimate
from pymc_mlm.planning.operating_characteristics import (
    OperatingCharacteristics,
    assurance,
    operating_characteristics,
)
from pymc_mlm.planning.sample_size import SampleSize, sample_size

__all__ = [
    "Clusters",
    "Estimate",
    "OperatingCharacteristics",
    "SampleSize",
    "TrialDesign",
    "assurance",
    "calibrate",
    "operating_characteristics",
    "sample_size",
]
