"""The distribution of members' effects that the arguments of `mm` ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms.member_effects.autoregression import AR1
from pymc_mlm.terms.member_effects.base import AbstractMemberEffects
from pymc_mlm.terms.member_effects.correlated import AbstractCorrelated
from pymc_mlm.terms.member_effects.covariance import KnownCovariance
from pymc_mlm.terms.member_effects.dynamics import AbstractDynamics
from pymc_mlm.terms.member_effects.independent import Independent
from pymc_mlm.terms.member_effects.random_walk import RandomWalk
from pymc_mlm.terms.member_effects.varying import VaryingCoefficients

DYNAMICS: Mapping[str, Callable[[str], AbstractDynamics]] = {"random_walk": RandomWalk, "ar1": AR1}


def member_effects(
    where: str, dynamics: Any = None, time: Any = None, varying: Any = None, covariance: Any = None
) -> AbstractMemberEffects:
    """Return the distribution that is asked for; independent effects by default.

    Parameters
    ----------
    where : str
        The term, for messages.
    dynamics : str or AbstractDynamics, optional
        How effects change over time.
    time : str, optional
        Column of times, for a name in `dynamics`.
    varying : str or VaryingCoefficients, optional
        What varies between members.
    covariance : labelled matrix or AbstractCorrelated, optional
        How members resemble each other.

    Raises
    ------
    SpecificationError
        An argument is not understood, or arguments do not go together.

    Examples
    --------
    >>> member_effects("mm()", "ar1", "year")
    AR1(time='year', unit=1.0)
    """
    given = {"dynamics": dynamics, "varying": varying, "covariance": covariance}
    several = [name for name, value in given.items() if value is not None]
    if len(several) > 1:
        raise SpecificationError(
            f"{where}: {several[0]} and {several[1]} are two distributions of the members' "
            "effects. A term has one: leave one of them out, or add a second mm() term."
        )
    if dynamics is None and time is not None:
        raise SpecificationError(
            f"{where}: time={time!r} orders effects that change, and dynamics says how. Add "
            "dynamics='ar1' or 'random_walk', or leave time out."
        )
    if dynamics is not None:
        return _dynamics(where, dynamics, time)
    if covariance is not None:
        is_one = isinstance(covariance, AbstractCorrelated)
        return covariance if is_one else KnownCovariance(covariance)
    return Independent() if varying is None else _varying(where, varying)


def _varying(where: str, varying: Any) -> AbstractMemberEffects:
    if isinstance(varying, VaryingCoefficients):
        return varying
    if not isinstance(varying, str):
        raise SpecificationError(
            f"{where}: varying is {varying!r}; give the right-hand side of a formula, such as "
            "'1 + x', or VaryingCoefficients(...)."
        )
    own = VaryingCoefficients(varying)
    return Independent() if own.is_intercept else own


def _dynamics(where: str, dynamics: Any, time: Any) -> AbstractDynamics:
    if isinstance(dynamics, AbstractDynamics):
        if time is not None and time != dynamics.time:
            raise SpecificationError(
                f"{where}: dynamics={dynamics!r} names its column of times. Leave "
                f"time={time!r} out."
            )
        return dynamics
    if not isinstance(dynamics, str) or dynamics not in DYNAMICS:
        raise SpecificationError(
            f"{where}: dynamics is {dynamics!r}; use 'random_walk' or 'ar1' with time=, or "
            "RandomWalk(...) or AR1(...)."
        )
    if time is None:
        raise SpecificationError(
            f"{where}: dynamics={dynamics!r} needs time=, the column that orders the groups of a "
            "member. Ids are never taken for an order."
        )
    return DYNAMICS[dynamics](time)
