"""What families of counts with a probability of their own for zeros share."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.distributions.excess_zeros import hurdle, zero_inflated
from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.families.poisson import counts, rate_scale
from pymc_mlm.priors import Prior, create

EVEN = "every share of zeros is as likely as another, as brms has it"
OVERDISPERSION = "strong overdispersion and none are both possible"


class AbstractExcessZeros(AbstractFamily, ABC):
    """Counts with log link and a parameter for zeros; `zero` names it, `density` adds them."""

    zero: ClassVar[str]
    density: ClassVar[Any]
    has_shape: ClassVar[bool] = False
    link: ClassVar[str] = "log"
    largest_eta: ClassVar[float] = 35.0
    roles: ClassVar[tuple[str, ...]] = ("value",)

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Counts, some of them positive."""
        y = counts(label, values["value"])
        if not y.any():
            raise DataError(
                f"Every {label!r} is zero, which says nothing about the counts behind extra zeros. "
                "Use family='poisson'."
            )
        return {"value": y}

    def notes(self, outcome: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """Tell the share of zeros."""
        zeros = int((outcome["value"] == 0).sum())
        return (f"{zeros} of {len(outcome['value'])} outcomes are zero.",)

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Uniform for the zeros; the shape as that of a negative binomial."""
        shape = {"alpha": Prior("InverseGamma", alpha=0.4, beta=0.3)} if self.has_shape else {}
        return {self.zero: Prior("Beta", alpha=1.0, beta=1.0), **shape}

    def parameters(self, priors: Mapping[str, Any]) -> tuple[Any, ...]:
        """Add the family's own parameters to the current model."""
        zero = create(priors[self.zero], self.zero, positive=True, most=1.0)
        shape = (create(priors["alpha"], "alpha", positive=True),) if self.has_shape else ()
        return (zero, *shape)

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the family's own parameters and the outcome."""
        own = self.parameters(priors)
        return type(self).density(name, eta, *own, observed=outcome["value"], dims=dims)


class AbstractZeroInflated(AbstractExcessZeros, ABC):
    """Counts with an additional probability ``zi`` of a zero."""

    zero: ClassVar[str] = "zi"
    density: ClassVar[Any] = staticmethod(zero_inflated)

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log of total count over total exposure, and how much log rates differ; 1 or more."""
        return rate_scale(outcome["value"], offset)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected count, ``(1 - zi) exp(eta)``."""
        return (1.0 - np.asarray(parameters["zi"])) * np.exp(eta)


class AbstractHurdle(AbstractExcessZeros, ABC):
    """Counts that are zero with probability ``hu``, and cut at zero otherwise."""

    zero: ClassVar[str] = "hu"
    density: ClassVar[Any] = staticmethod(hurdle)

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log rate of a Poisson whose positive counts have the mean of those seen."""
        return positive_scale(outcome["value"], offset)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected count, ``(1 - hu) exp(eta) / (1 - f(0))``."""
        none = no_count(eta, parameters.get("alpha"))
        return (1.0 - np.asarray(parameters["hu"])) * np.exp(eta) / (1.0 - none)


def positive_scale(y: np.ndarray, offset: Any) -> OutcomeScale:
    r"""Return location and spread of log rates of counts that are cut at zero.

    The location is that of a Poisson whose positive counts have the mean of those seen,
    :math:`\mu / (1 - e^{-\mu})`, with half a further event, since ones alone have no rate.
    """
    from scipy.optimize import brentq

    seen = y > 0
    fixed = np.broadcast_to(np.asarray(offset, dtype=np.float64), y.shape)[seen]
    mean = (y[seen].sum() + 0.5) / seen.sum()

    def missing(level: float) -> float:
        rate = np.exp(level + fixed)
        return float((rate / -np.expm1(-rate)).mean() - mean)

    ends = np.log(mean) - fixed.max() - 30.0, np.log(mean) - fixed.min() + 1.0
    return OutcomeScale(float(brentq(missing, *ends)), rate_scale(y, offset).spread)


def no_count(eta: Any, alpha: Any = None) -> Any:
    """Return the probability of a zero of a Poisson, or a negative binomial of shape `alpha`."""
    if alpha is None:
        return np.exp(-np.exp(eta))
    return np.exp(-np.asarray(alpha) * np.log1p(np.exp(eta) / np.asarray(alpha)))
