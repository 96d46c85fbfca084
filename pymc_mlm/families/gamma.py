"""Positive outcomes whose standard deviation is proportional to their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior, create


@dataclass(frozen=True)
class Gamma(AbstractFamily):
    r"""Gamma outcome with log link: mean :math:`e^\eta`, coefficient of variation
    :math:`1 / \sqrt{\alpha}`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``alpha``: shape; one is the exponential.

    Examples
    --------
    >>> Gamma().link
    'log'
    """  # noqa: D205

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "gamma"
    reasons: ClassVar[Mapping[str, str]] = {
        "alpha": "the coefficient of variation, 1 over the root of alpha, is 0.14 to 2.6 with 95%; "
        "our choice"
    }
    link: ClassVar[str] = "log"
    latent: ClassVar[str | None] = "the log outcome"
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the residual of a gamma outcome"

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Positive numbers that vary."""
        return {"value": positive(label, values["value"], "gamma")}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log of the total outcome over the total fixed part, and sd of the log outcome."""
        y, fixed = outcome["value"], np.broadcast_to(offset, outcome["value"].shape)
        location = float(np.log(y.sum()) - np.logaddexp.reduce(fixed))
        return OutcomeScale(location, float((np.log(y) - fixed).std()))

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Log-normal shape; the coefficient of variation is 0.14 to 2.6 with 95%."""
        return {"alpha": Prior("LogNormal", mu=1.0, sigma=1.5)}

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
        rate = alpha * pt.exp(-eta)
        return pm.Gamma(name, alpha=alpha, beta=rate, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected outcome."""
        return np.exp(eta)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the log outcome, the trigamma function of ``alpha`` [1]_.

        References
        ----------
        .. [1] Nakagawa, S., Johnson, P. C. D. & Schielzeth, H. (2017). The coefficient of
           determination R2 and intra-class correlation coefficient from generalized linear
           mixed-effects models revisited and expanded. J. R. Soc. Interface 14, 20170213.
        """
        from scipy.special import polygamma

        return polygamma(1, np.asarray(parameters["alpha"]))


def positive(label: str, values: np.ndarray, family: str) -> np.ndarray:
    """Return an outcome as positive float64 that vary, or say which value is none."""
    y = values.astype(np.float64)
    if (y <= 0).any():
        raise DataError(
            f"The outcome {label!r} must be positive for family={family!r}; found "
            f"{y[y <= 0][0]:g} in {int((y <= 0).sum())} row(s) or group(s). Model whether it is "
            "zero apart, or use another family."
        )
    if np.ptp(y) == 0:
        raise DataError(f"The outcome {label!r} has one value only ({y[0]:g}); it must vary.")
    return y
