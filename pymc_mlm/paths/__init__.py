"""Ways from a design to draws: an exact shortcut has the posterior of plain sampling."""

from pymc_mlm.paths.base import AbstractPath, choose_path
from pymc_mlm.paths.certified import Certified
from pymc_mlm.paths.collapsed_gaussian import CollapsedGaussian
from pymc_mlm.paths.dirichlet import DirichletPath
from pymc_mlm.paths.fused import Fused
from pymc_mlm.paths.laplace import LaplacePath
from pymc_mlm.paths.sampled import Sampled

__all__ = [
    "AbstractPath",
    "Certified",
    "CollapsedGaussian",
    "DirichletPath",
    "Fused",
    "LaplacePath",
    "Sampled",
    "choose_path",
]
