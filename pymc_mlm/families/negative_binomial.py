"""Counts that vary more than a Poisson allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.families.poisson import counts, rate_scale
from pymc_mlm.priors import Prior, create


@dataclass(frozen=True)
class NegativeBinomial(AbstractFamily):
    r"""Overdispersed count with log link: mean :math:`\mu = e^\eta`, variance
    :math:`\mu + \mu^2 / \alpha`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``alpha``: shape; small values mean strong overdispersion, infinity is the Poisson.

    Examples
    --------
    >>> NegativeBinomial().link
    'log'
    """  # noqa: D205

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "negative_binomial"
    reasons: ClassVar[Mapping[str, str]] = {
        "alpha": "strong overdispersion and none are both possible"
    }
    link: ClassVar[str] = "log"
    largest_eta: ClassVar[float] = 35.0
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the overdispersion of negative-binomial counts"

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Counts; zeros alone say how rare an event is."""
        return {"value": counts(label, values["value"])}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log of total count over total exposure, and how much log rates differ; 1 or more."""
        return rate_scale(outcome["value"], offset)

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Inverse gamma: strong overdispersion and none are both possible, neither preferred."""
        return {"alpha": Prior("InverseGamma", alpha=0.4, beta=0.3)}

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add ``alpha`` and the outcome."""
        alpha = create(priors["alpha"], "alpha", positive=True)
        y = outcome["value"]
        return pm.NegativeBinomial(name, mu=pt.exp(eta), alpha=alpha, observed=y, dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected count."""
        return np.exp(eta)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """``log(1 + 1 / mean + 1 / alpha)`` at the given ``eta``; None where no eta is given.

        Nakagawa, Johnson & Schielzeth (2017), as in `Poisson`.
        """
        if "eta" not in parameters:
            return None
        return np.log1p(np.exp(-parameters["eta"]) + 1.0 / np.asarray(parameters["alpha"]))
