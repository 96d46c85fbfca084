"""Yes/no outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior


@dataclass(frozen=True)
class Bernoulli(AbstractFamily):
    r"""Binary outcome with logit link, :math:`\operatorname{logit} P(y = 1) = \eta`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        The family has no parameters of its own; must be empty.
    event : object, optional
        The value of the outcome that counts as one, for example ``"yes"``. Needed unless the
        outcome is 0/1 or boolean.

    Examples
    --------
    >>> Bernoulli().link
    'logit'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)
    event: Any = None

    binary: ClassVar[bool] = True
    name: ClassVar[str] = "bernoulli"
    link: ClassVar[str] = "logit"
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the chance in a single 0/1 outcome"

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Zeros and ones; an outcome with one of them alone is kept."""
        y = values["value"].astype(np.float64)
        wrong = y[(y != 0) & (y != 1)]
        if len(wrong):
            raise DataError(
                f"The outcome {label!r} of a Bernoulli model must be 0 or 1 (or False, True); "
                f"found {wrong[0]:g}. Recode it, for example as (column > threshold)."
            )
        return {"value": y}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log odds of all rows together; spread 1, a factor of 7 in the odds within 2 sd."""
        y = outcome["value"]
        return OutcomeScale(log_odds(y, np.ones_like(y), offset), 1.0)

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Nothing: the family has no parameters of its own."""
        return {}

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the Bernoulli outcome."""
        return pm.Bernoulli(name, logit_p=eta, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Probability of a one."""
        return 1.0 / (1.0 + np.exp(-eta))

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the standard logistic distribution, pi squared over three."""
        return np.pi**2 / 3.0


def log_odds(successes: np.ndarray, trials: np.ndarray, offset: Any) -> float:
    """Return the level at which the expected successes are those seen.

    Half a success and half a failure are added, so that none or only successes have a level, too.

    Parameters
    ----------
    successes, trials : ndarray, shape (group,)
        Counts.
    offset : ndarray, shape (group,), or float
        Fixed part of the log odds.

    Returns
    -------
    float

    Examples
    --------
    >>> round(log_odds(np.array([0.0, 0.0]), np.array([10.0, 10.0]), 0.0), 4)  # 0.5 of 21
    -3.7136
    """
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    n = trials.sum()
    share = (successes.sum() + 0.5) / (n + 1.0)
    around, fixed = float(logit(share)), np.broadcast_to(offset, trials.shape)
    low, high = around - fixed.max(), around - fixed.min()
    if low == high:
        return float(low)
    # Rounding must not put both ends on one side.
    return float(brentq(lambda a: trials @ expit(a + fixed) / n - share, low - 1.0, high + 1.0))
