"""The scikit-style model classes: constructors and docstrings."""

from pymc_mlm.estimators.base import Estimator
from pymc_mlm.estimators.multiple_membership import MultipleMembershipModel
from pymc_mlm.estimators.nested import NestedVaryingEffects
from pymc_mlm.estimators.trial import MultivariateLogitTrial

__all__ = [
    "Estimator",
    "MultipleMembershipModel",
    "MultivariateLogitTrial",
    "NestedVaryingEffects",
]
