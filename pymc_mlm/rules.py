"""Rules of decision between two arms on several outcomes."""

from pymc_mlm.decisions.equivalence import Equivalence
from pymc_mlm.decisions.rules import (
    AbstractRule,
    All,
    Any,
    Compensatory,
    Custom,
    Margins,
    Single,
)

__all__ = [
    "AbstractRule",
    "All",
    "Any",
    "Compensatory",
    "Custom",
    "Equivalence",
    "Margins",
    "Single",
]
