"""PyTensor Ops: value and gradient of what the package exists for, in one compiled node each.

Every Op has a numba kernel cached on disk, a JAX function, and a plain-graph equivalent
``reference_*`` beside it.
"""

from pymc_mlm.ops import disk_cache
from pymc_mlm.ops.base import register_jax, register_numba
from pymc_mlm.ops.group_mean import group_mean, reference_group_mean
from pymc_mlm.ops.group_softmax import group_softmax, reference_group_softmax
from pymc_mlm.ops.group_sum import group_sum, reference_group_sum
from pymc_mlm.ops.linear_predictor import linear_predictor, reference_linear_predictor
from pymc_mlm.ops.weibull import censored_weibull_logp, reference_censored_weibull_logp

__all__ = [
    "censored_weibull_logp",
    "group_mean",
    "group_softmax",
    "group_sum",
    "linear_predictor",
    "reference_censored_weibull_logp",
    "reference_group_mean",
    "reference_group_softmax",
    "reference_group_sum",
    "reference_linear_predictor",
    "register_jax",
    "register_numba",
]

disk_cache.settle_folder()
