"""Outcome families: one file a family."""

from __future__ import annotations

from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.families.bernoulli import Bernoulli
from pymc_mlm.families.gaussian import Gaussian
from pymc_mlm.families.weibull import Weibull

__all__ = ["AbstractFamily", "Bernoulli", "Gaussian", "OutcomeScale", "Weibull", "as_family"]

_NAMES: dict[str, Any] = {
    "gaussian": Gaussian,
    "normal": Gaussian,
    "bernoulli": Bernoulli,
    "binomial": Bernoulli,
    "weibull": Weibull,
}


def as_family(family: Any) -> AbstractFamily:
    """Return a family given as an object or by its name in any case.

    Raises
    ------
    SpecificationError
        No such family.

    Examples
    --------
    >>> as_family("Weibull").link
    'log'
    """
    if isinstance(family, AbstractFamily):
        return family
    if isinstance(family, str) and family.lower() in _NAMES:
        return _NAMES[family.lower()]()
    raise SpecificationError(
        f"Unknown family {family!r}. Use 'gaussian', 'bernoulli' or 'weibull', or an object of a "
        "class derived from AbstractFamily."
    )
