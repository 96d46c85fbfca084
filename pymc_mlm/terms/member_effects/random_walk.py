"""Effects of members as random walks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt

from pymc_mlm.data.factor import Factor
from pymc_mlm.data.membership import Membership
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.priors import create
from pymc_mlm.terms.base import check_name
from pymc_mlm.terms.member_effects.base import Array
from pymc_mlm.terms.member_effects.dynamics import AbstractDynamics
from pymc_mlm.terms.member_effects.independent import sd_prior
from pymc_mlm.terms.member_effects.paths import Paths, refuse_ties

STEPS = ("participation", "time")


@dataclass(frozen=True)
class RandomWalk(AbstractDynamics):
    r"""Effects that walk at random from one time of a member to its next.

    .. math:: u_{k1} \sim N(0, \tau^2), \qquad u_{kt} \sim N(u_{k,t-1}, \sigma^2 d_{kt})

    With steps by participation :math:`d = 1` and :math:`\tau = \sigma`, which is ``ar = TRUE`` of
    bml; with steps by time :math:`d_{kt}` is the time since the member's time before, and
    :math:`\tau` a parameter of its own. The variance of an effect grows along the walk, and
    :math:`\sigma` is the standard deviation of a step, not of a member.

    Parameters
    ----------
    time : str
        Column of numbers that orders each member's participations.
    steps : {"participation", "time"}
        What a step is: the next group of the member, or one unit of time.

    Raises
    ------
    SpecificationError
        An argument is not understood.

    Examples
    --------
    >>> RandomWalk("year", steps="time").columns
    ('year',)
    """

    time: str
    steps: str = "participation"

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_name("the time of RandomWalk(time)", self.time)
        if self.steps not in STEPS:
            raise SpecificationError(
                f"RandomWalk({self.time!r}): steps is {self.steps!r}; use 'participation' for one "
                "step from each group of a member to its next, or 'time' for steps whose variance "
                "grows with the time between them."
            )

    @property
    def is_counted(self) -> bool:
        """Whether each participation is one step."""
        return self.steps == "participation"

    @property
    def labels(self) -> Mapping[str, str]:
        """Words for the parameters."""
        if self.is_counted:
            return {"sd": "sd of a step"}
        return {"sd": "sd of a step", "first_sd": "sd of first values"}

    def check(self, paths: Paths, membership: Membership, group: Factor) -> None:
        """Refuse ties, and times before those that a walk was fitted to."""
        if self.is_counted:
            refuse_ties(self.time, paths, membership, group)
        member = membership.member
        for code, time in zip(paths.new_member, paths.new_time, strict=True):
            own = paths.time[paths.member == code]
            if not len(own) or time > (own[-1] if self.is_counted else own[0]):
                continue
            what = f"{member.name!r}={show(member.labels[code])} at {self.time}={time:g}"
            if self.is_counted:
                raise DataError(
                    f"{what} lies before its last fitted participation, {own[-1]:g}: a walk by "
                    "participation has no value between two of them. Use "
                    f"RandomWalk({self.time!r}, steps='time'), or drop the row."
                )
            raise DataError(
                f"{what} lies before its first fitted time, {own[0]:g}, where its walk begins. "
                f"Use dynamics='ar1', which has no beginning, or drop the row."
            )

    def default_priors(self, design: Any, scale: float) -> dict[str, Any]:
        """Half-normal, so that what members give to their groups has the scale of the outcome."""
        paths, name = design.effects, design.name
        is_fitted = (paths.place >= 0) & (paths.place < len(paths.member))
        steps = self._steps(paths)[paths.place[is_fitted]]
        total = float((design.start[is_fitted] ** 2 * steps).sum())
        mean = total / design.membership.num_groups
        priors = {f"{name}_sd": sd_prior(scale, mean)}
        if not self.is_counted:
            priors[f"{name}_first_sd"] = sd_prior(scale, design.mean_squared_weight)
        return priors

    def parameters(self, design: Any, priors: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add the standard deviations."""
        names = {short: f"{design.name}_{short}" for short in self.labels}
        return {s: create(priors[n], n, positive=True) for s, n in names.items()}

    def scales(self, paths: Paths, parameters: Mapping[str, Any], arrays: Any) -> tuple[Any, Any]:
        """Return ones, and the standard deviations of the steps."""
        later = arrays("later", 1.0 - paths.is_first)
        if self.is_counted:
            return later, parameters["sd"] * pt.ones_like(later)
        root = arrays("root_gap", np.sqrt(paths.gap))
        sd = later * root * parameters["sd"] + (1.0 - later) * parameters["first_sd"]
        return later, sd

    def root(
        self, paths: Paths, parameters: Mapping[str, Any], later: Array, earlier: Array
    ) -> Any:
        """Return the standard deviation of the earlier step, which all later values keep."""
        return self.scales(paths, parameters, lambda _, x: pt.as_tensor(x))[1][earlier]

    def given_before(self, parameters: Mapping[str, Array], gap: float) -> tuple[Any, Any]:
        """Return one, and the variance of a step over the gap."""
        return np.ones(len(parameters["sd"])), parameters["sd"] ** 2 * gap

    def first_variance(self, parameters: Mapping[str, Array]) -> Array:
        """Return the variance of first values."""
        return np.asarray(parameters["sd" if self.is_counted else "first_sd"] ** 2)

    def covariance(
        self, design: Any, draws: Mapping[str, Array], a: Array, b: Array, at: Mapping[str, float]
    ) -> Array:
        """Return the variance of the steps that both values have."""
        paths, name = design.effects, design.name
        steps = self._steps(paths)[paths.place]
        shared = np.minimum(steps[a], steps[b])
        walked = draws[f"{name}_sd"][:, None] ** 2 * shared
        return walked if self.is_counted else walked + draws[f"{name}_first_sd"][:, None] ** 2

    def _steps(self, paths: Paths) -> Array:
        """Return the number of steps up to each place, the first included, or the time since."""
        if self.is_counted:
            return np.arange(len(paths.member)) - paths.first + 1.0
        return np.asarray(paths.time - paths.time[paths.first])

    def notes(self, design: Any) -> tuple[str, ...]:
        """Say what a step is."""
        by = "from each group of a member to its next" if self.is_counted else "per unit of time"
        return (f"[{design.name}] effects are random walks along {self.time}, a step {by}",)
