"""A web page for planners of trials, on this computer alone: ``pymc-mlm plan``."""

from pymc_mlm.planner.choices import Choices
from pymc_mlm.planner.loopback import serve

__all__ = ["Choices", "serve"]
