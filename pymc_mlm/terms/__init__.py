"""Terms of a linear predictor: `resolve` reads data, `effect` writes graph."""

from pymc_mlm.terms.base import AbstractTerm, numeric_column
from pymc_mlm.terms.hierarchical import Hierarchical, hm
from pymc_mlm.terms.hierarchical_design import HierarchicalDesign
from pymc_mlm.terms.membership import MultipleMembership
from pymc_mlm.terms.membership_call import mm
from pymc_mlm.terms.membership_design import MembershipDesign
from pymc_mlm.terms.population import Population
from pymc_mlm.terms.role import Role

__all__ = [
    "AbstractTerm",
    "Hierarchical",
    "HierarchicalDesign",
    "MembershipDesign",
    "MultipleMembership",
    "Population",
    "Role",
    "hm",
    "mm",
    "numeric_column",
]
