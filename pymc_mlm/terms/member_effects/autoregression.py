"""Effects of members as stationary autoregressions on real time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor.tensor as pt

from pymc_mlm.data.factor import Factor
from pymc_mlm.data.membership import Membership
from pymc_mlm.errors import SpecificationError
from pymc_mlm.priors import Prior, create
from pymc_mlm.terms.base import check_name
from pymc_mlm.terms.member_effects.base import Array
from pymc_mlm.terms.member_effects.dynamics import AbstractDynamics
from pymc_mlm.terms.member_effects.independent import sd_prior
from pymc_mlm.terms.member_effects.paths import Paths

# With gaps of so many units rho ** gap is nearly 0 or 1 whatever rho is.
FAR = 20.0


@dataclass(frozen=True)
class AR1(AbstractDynamics):
    r"""Effects that are correlated with the member's own at other times, less with distance.

    .. math:: \operatorname{Cov}(u_{ks}, u_{kt}) = \sigma^2 \rho^{|t - s| / h}, \qquad 0 < \rho < 1

    Stationary: :math:`\sigma` is the standard deviation of an effect at any time, and the time
    between participations enters as it is, whole numbers or not (the Ornstein-Uhlenbeck process).

    Parameters
    ----------
    time : str
        Column of numbers: when each row was.
    unit : float
        Length h of time to which rho belongs, in units of the column.

    Raises
    ------
    SpecificationError
        An argument is not understood.

    Examples
    --------
    >>> AR1("day", unit=365.25).columns
    ('day',)
    """

    time: str
    unit: float = 1.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        check_name("the time of AR1(time)", self.time)
        ok = not isinstance(self.unit, bool) and isinstance(self.unit, int | float)
        if not (ok and 0 < self.unit < np.inf):
            raise SpecificationError(
                f"AR1({self.time!r}): unit is {self.unit!r}; give a positive number, the length of "
                "time to which rho belongs."
            )

    @property
    def labels(self) -> Mapping[str, str]:
        """Words for the parameters."""
        return {"sd": "sd", "rho": "rho"}

    def check(self, paths: Paths, membership: Membership, group: Factor) -> None:
        """Accept all times: members with several groups at one time have one effect there."""

    def default_priors(self, design: Any, scale: float) -> dict[str, Any]:
        """Half-normal standard deviation as of independent effects, and a uniform rho."""
        sd = sd_prior(scale, design.mean_squared_weight)
        return {
            f"{design.name}_sd": sd,
            f"{design.name}_rho": Prior("Uniform", lower=0.0, upper=1.0),
        }

    def parameters(self, design: Any, priors: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add standard deviation and correlation."""
        sd, rho = f"{design.name}_sd", f"{design.name}_rho"
        return {
            "sd": create(priors[sd], sd, positive=True),
            "rho": create(priors[rho], rho, positive=True, most=1.0),
        }

    def scales(self, paths: Paths, parameters: Mapping[str, Any], arrays: Any) -> tuple[Any, Any]:
        """Return the correlation over each gap, and what it leaves of the standard deviation."""
        later, gap = arrays("later", 1.0 - paths.is_first), arrays("gap", paths.gap / self.unit)
        log_phi = gap * pt.log(parameters["rho"])
        # 1 - phi ** 2 without cancellation as rho goes to one.
        left = later * -pt.expm1(2.0 * log_phi) + (1.0 - later)
        return later * pt.exp(log_phi), parameters["sd"] * pt.sqrt(left)

    def root(
        self, paths: Paths, parameters: Mapping[str, Any], later: Array, earlier: Array
    ) -> Any:
        """Return what the correlation over the time between leaves of the earlier step."""
        sd = self.scales(paths, parameters, lambda _, x: pt.as_tensor(x))[1]
        between = (paths.time[later] - paths.time[earlier]) / self.unit
        return sd[earlier] * pt.exp(between * pt.log(parameters["rho"]))

    def given_before(self, parameters: Mapping[str, Array], gap: float) -> tuple[Any, Any]:
        """Return the correlation over the gap, and the variance that it leaves."""
        with np.errstate(divide="ignore"):
            log_phi = np.log(parameters["rho"]) * gap / self.unit
        return np.exp(log_phi), parameters["sd"] ** 2 * -np.expm1(2.0 * log_phi)

    def first_variance(self, parameters: Mapping[str, Array]) -> Array:
        """Return the stationary variance."""
        return np.asarray(parameters["sd"] ** 2)

    def covariance(
        self, design: Any, draws: Mapping[str, Array], a: Array, b: Array, at: Mapping[str, float]
    ) -> Array:
        """Return the variance times the correlation over the time between."""
        time, name = design.effects.row_time, design.name
        variance = draws[f"{name}_sd"][:, None] ** 2
        between = np.abs(time[a] - time[b]) / self.unit
        if not between.any():
            return np.asarray(variance)
        return np.asarray(variance * draws[f"{name}_rho"][:, None] ** between)

    def notes(self, design: Any) -> tuple[str, ...]:
        """Say to what rho belongs."""
        return (
            f"[{design.name}] rho is the correlation of a member's effects at a distance of "
            f"{self.unit:g} in {self.time}",
        )

    def cautions(self, design: Any) -> tuple[str, ...]:
        """Warn of a unit in which rho says little."""
        paths = design.effects
        gap = float(np.median(paths.gap[~paths.is_first]))
        if self.unit / FAR <= gap <= self.unit * FAR:
            return ()
        return (
            f"Members' times in {self.time!r} are typically {gap:.4g} apart, and rho belongs to a "
            f"distance of {self.unit:g}: its prior says little of a correlation between two times. "
            f"Write dynamics=AR1({self.time!r}, unit={gap:.3g}).",
        )
