"""What if a group had other members: tables with members added, removed or replaced, predicted."""

from pymc_mlm.counterfactual.change import Change
from pymc_mlm.counterfactual.counterfactual import Counterfactual, counterfactual

__all__ = ["Change", "Counterfactual", "counterfactual"]
