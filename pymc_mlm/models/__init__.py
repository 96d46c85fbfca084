"""The scikit-style model classes; only wiring."""

from pymc_mlm.models.base import Estimator
from pymc_mlm.models.multiple_membership import MultipleMembershipModel
from pymc_mlm.models.trial import MultivariateLogitTrial

__all__ = ["Estimator", "MultipleMembershipModel", "MultivariateLogitTrial"]
