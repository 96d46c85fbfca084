"""Planning a trial before it is run: power, error rates, thresholds, sample size."""

from pymc_mlm.planning.calibration import calibrate
from pymc_mlm.planning.clusters import Clusters
from pymc_mlm.planning.covariate import Covariate
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.estimate import Estimate
from pymc_mlm.planning.looks import Looks, calibrate_looks
from pymc_mlm.planning.operating_characteristics import (
    OperatingCharacteristics,
    assurance,
    operating_characteristics,
)
from pymc_mlm.planning.predictive import predictive_probability
from pymc_mlm.planning.sample_size import SampleSize, sample_size
from pymc_mlm.planning.sequential import (
    SequentialCharacteristics,
    sequential_characteristics,
)

__all__ = [
    "Clusters",
    "Covariate",
    "Estimate",
    "Looks",
    "OperatingCharacteristics",
    "SampleSize",
    "SequentialCharacteristics",
    "TrialDesign",
    "assurance",
    "calibrate",
    "calibrate_looks",
    "operating_characteristics",
    "predictive_probability",
    "sample_size",
    "sequential_characteristics",
]
