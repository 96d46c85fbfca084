"""Gaussian outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior, create

RESIDUAL = (
    "the residual is at most of the order of the outcome's spread; rstanarm's autoscaled "
    "exponential(1)"
)


@dataclass(frozen=True)
class Gaussian(AbstractFamily):
    r"""Normal outcome with identity link, :math:`y \sim N(\eta, \sigma^2)`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``sigma``: residual standard deviation, on the scale of the outcome.

    Examples
    --------
    >>> Gaussian().name
    'gaussian'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "gaussian"
    reasons: ClassVar[Mapping[str, str]] = {"sigma": RESIDUAL}
    link: ClassVar[str] = "identity"
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the residual of a Gaussian outcome"

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Any finite numbers that vary."""
        y = values["value"].astype(np.float64)
        if np.ptp(y) == 0:
            raise DataError(f"The outcome {label!r} has one value only ({y[0]:g}); it must vary.")
        return {"value": y}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Mean and standard deviation of the outcome less the fixed part."""
        y = less_fixed_part(outcome["value"], offset)
        return OutcomeScale(float(y.mean()), float(y.std()))

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Exponential with the outcome's standard deviation as its mean."""
        return {"sigma": Prior("Exponential", scale=scale.spread)}

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add ``sigma`` and the normal outcome."""
        sigma = create(priors["sigma"], "sigma", positive=True)
        return pm.Normal(name, eta, sigma, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Return the linear predictor itself."""
        return eta

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Square of ``sigma``."""
        return parameters["sigma"] ** 2


def less_fixed_part(y: np.ndarray, offset: Any) -> np.ndarray:
    """Return the outcome less its fixed part, or say that nothing is left."""
    rest = y - offset
    # What rounding leaves is nothing.
    if np.ptp(rest) <= 8 * np.finfo(np.float64).eps * np.abs(y).max():
        raise DataError(
            f"The outcome less its fixed part, fix(), is {rest[0]:g} in every row: nothing is left "
            "to explain. Correct fix(column, value) or the outcome."
        )
    return rest
