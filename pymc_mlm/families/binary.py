"""What families of yes/no outcomes share, whatever their link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior


class AbstractBinary(AbstractFamily, ABC):
    """A yes/no outcome: a subclass has a link, its inverse and a likelihood."""

    # Of the linear predictor: within two of them the odds change by a factor of about 7.
    spread: ClassVar[float] = 1.0
    binary: ClassVar[bool] = True
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the chance in a single 0/1 outcome"

    @staticmethod
    @abstractmethod
    def probability(eta: Any) -> Any:
        """Return the probability of a one; NumPy arrays."""

    @staticmethod
    @abstractmethod
    def predictor(share: float) -> float:
        """Return the linear predictor of a probability."""

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Zeros and ones; an outcome with one of them alone is kept."""
        y = values["value"].astype(np.float64)
        wrong = y[(y != 0) & (y != 1)]
        if len(wrong):
            raise DataError(
                f"The outcome {label!r} of a {type(self).__name__} model must be 0 or 1 (or False, "
                f"True); found {wrong[0]:g}. Recode it, for example as (column > threshold)."
            )
        return {"value": y}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Level of all rows together; a spread that changes the odds by 7 within 2 sd."""
        y = outcome["value"]
        at = level(y, np.ones_like(y), offset, self.probability, self.predictor)
        return OutcomeScale(at, self.spread)

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Nothing: the family has no parameters of its own."""
        return {}

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Probability of a one."""
        return self.probability(eta)


def level(
    successes: np.ndarray,
    trials: np.ndarray,
    offset: Any,
    probability: Callable[[Any], Any],
    predictor: Callable[[float], float],
) -> float:
    """Return the level at which the expected successes are those seen.

    Half a success and half a failure are added, so that none or only successes have a level, too.

    Parameters
    ----------
    successes, trials : ndarray, shape (group,)
        Counts.
    offset : ndarray, shape (group,), or float
        Fixed part of the linear predictor.
    probability, predictor : callable
        Inverse link and link.

    Returns
    -------
    float

    Examples
    --------
    >>> from scipy.special import expit, logit
    >>> found = level(np.zeros(2), np.array([10.0, 10.0]), 0.0, expit, logit)  # 0.5 of 21
    >>> round(found, 4)
    -3.7136
    """
    from scipy.optimize import brentq

    n = trials.sum()
    share = (successes.sum() + 0.5) / (n + 1.0)
    around, fixed = float(predictor(share)), np.broadcast_to(offset, trials.shape)
    low, high = around - fixed.max(), around - fixed.min()
    if low == high:
        return float(low)

    def missing(at: float) -> float:
        return float(trials @ probability(at + fixed) / n - share)

    # Rounding must not put both ends on one side.
    return float(brentq(missing, low - 1.0, high + 1.0))
