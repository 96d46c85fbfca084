"""The distribution of members' effects that the arguments of `mm` ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms.member_effects.autoregression import AR1
from pymc_mlm.terms.member_effects.base import AbstractMemberEffects
from pymc_mlm.terms.member_effects.dynamics import AbstractDynamics
from pymc_mlm.terms.member_effects.independent import Independent
from pymc_mlm.terms.member_effects.random_walk import RandomWalk

DYNAMICS: Mapping[str, Callable[[str], AbstractDynamics]] = {"random_walk": RandomWalk, "ar1": AR1}


def member_effects(where: str, dynamics: Any = None, time: Any = None) -> AbstractMemberEffects:
    """Return the distribution that is asked for; independent effects by default.

    Parameters
    ----------
    where : str
        The term, for messages.
    dynamics : str or AbstractDynamics, optional
        How effects change over time.
    time : str, optional
        Column of times, for a name in `dynamics`.

    Raises
    ------
    SpecificationError
        An argument is not understood, or arguments do not go together.

    Examples
    --------
    >>> member_effects("mm()", "ar1", "year")
    AR1(time='year', unit=1.0)
    """
    if dynamics is None:
        if time is not None:
            raise SpecificationError(
                f"{where}: time={time!r} orders effects that change, and dynamics says how. Add "
                "dynamics='ar1' or 'random_walk', or leave time out."
            )
        return Independent()
    return _dynamics(where, dynamics, time)


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
