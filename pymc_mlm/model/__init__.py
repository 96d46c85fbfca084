"""From a specification and a table to a `pm.Model`: each step is written once."""

from pymc_mlm.model.base import AbstractSpecification
from pymc_mlm.model.design import Design
from pymc_mlm.model.specification import Specification

__all__ = ["AbstractSpecification", "Design", "Specification"]
