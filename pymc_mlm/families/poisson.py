"""Counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior


@dataclass(frozen=True)
class Poisson(AbstractFamily):
    r"""Count with log link, :math:`y \sim \mathrm{Poisson}(e^\eta)`.

    Exposure enters as ``fix(log_exposure, 1)`` in the formula.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        The family has no parameters of its own; must be empty.

    Examples
    --------
    >>> Poisson().link
    'log'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "poisson"
    link: ClassVar[str] = "log"
    largest_eta: ClassVar[float] = 35.0
    roles: ClassVar[tuple[str, ...]] = ("value",)

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Counts; an outcome of zeros alone is kept."""
        return {"value": counts(label, values["value"])}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log of total count over total exposure, and how much log rates differ; 1 or more."""
        return rate_scale(outcome["value"], offset)

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
        """Add the Poisson outcome."""
        return pm.Poisson(name, mu=pt.exp(eta), observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected count."""
        return np.exp(eta)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """``log(1 + 1 / mean)`` at the given ``eta`` [1]_; None where no eta is given.

        References
        ----------
        .. [1] Nakagawa, S., Johnson, P. C. D. & Schielzeth, H. (2017). The coefficient of
           determination R2 and intra-class correlation coefficient from generalized linear
           mixed-effects models revisited and expanded. J. R. Soc. Interface 14, 20170213.
        """
        return np.log1p(np.exp(-parameters["eta"])) if "eta" in parameters else None


def counts(label: str, values: np.ndarray) -> np.ndarray:
    """Return counts as float64, or say which value is none."""
    y = values.astype(np.float64)
    wrong = y[(y < 0) | (y != np.floor(y))]
    if len(wrong):
        raise DataError(
            f"The outcome {label!r} must be a count (0, 1, 2, ...); found {wrong[0]:g}. For other "
            "numbers use family='gaussian' or 'student_t'."
        )
    return y


def rate_scale(y: np.ndarray, offset: Any) -> OutcomeScale:
    r"""Return location and spread of log rates.

    The spread is that of log-normal rates by the method of moments, for a variance of the count
    :math:`\mu + \mu^2 (e^{s^2} - 1)`; no less than 1, a factor of 7 either way within 2 sd.

    Parameters
    ----------
    y : ndarray, shape (group,)
        Counts. Without any event the rate is that of half an event in all rows.
    offset : ndarray, shape (group,), or float
        Log of the exposure.

    Returns
    -------
    OutcomeScale

    Examples
    --------
    >>> scale = rate_scale(np.array([2.0, 4.0, 3.0, 3.0]), np.log(2.0))
    >>> round(scale.location, 4), scale.spread  # log(12 / 8), and no spread beyond chance
    (0.4055, 1.0)
    """
    from scipy.special import logsumexp

    exposure = np.broadcast_to(np.asarray(offset, dtype=np.float64), y.shape)
    location = float(np.log(max(y.sum(), 0.5)) - logsumexp(exposure))
    mean = np.exp(location + exposure)
    excess = float(((y - mean) ** 2 - mean).sum() / (mean**2).sum())
    return OutcomeScale(location, max(1.0, float(np.log1p(max(excess, 0.0))) ** 0.5))
