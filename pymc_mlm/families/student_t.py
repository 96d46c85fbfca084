"""Gaussian-like outcomes with outliers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior, create


@dataclass(frozen=True)
class StudentT(AbstractFamily):
    r"""Student's t outcome with identity link, :math:`y \sim t_\nu(\eta, \sigma)`.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``sigma``: scale, in units of the outcome; ``nu``: degrees of freedom.

    Examples
    --------
    >>> StudentT().name
    'student_t'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "student_t"
    link: ClassVar[str] = "identity"
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the residual of a Student-t outcome"

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Any finite numbers that vary."""
        y = values["value"].astype(np.float64)
        if np.ptp(y) == 0:
            raise DataError(f"The outcome {label!r} has one value only ({y[0]:g}); it must vary.")
        return {"value": y}

    def scale(self, outcome: Mapping[str, np.ndarray]) -> OutcomeScale:
        """Median, and median absolute deviation times 1.4826: outliers do not set the scale."""
        y = outcome["value"]
        middle = float(np.median(y))
        spread = 1.4826 * float(np.median(np.abs(y - middle)))
        return OutcomeScale(middle, spread if spread > 0 else float(y.std()))

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Exponential scale; Gamma(2, 0.1) degrees of freedom [1]_.

        References
        ----------
        .. [1] Juarez, M. A. & Steel, M. F. J. (2010). Model-based clustering of non-Gaussian
           panel data based on skew-t distributions. J. Bus. Econ. Stat. 28, 52-66.
        """
        return {
            "sigma": Prior("Exponential", scale=scale.spread),
            "nu": Prior("Gamma", alpha=2.0, beta=0.1),
        }

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add ``sigma``, ``nu`` and the outcome."""
        sigma = create(priors["sigma"], "sigma", positive=True)
        nu = create(priors["nu"], "nu", positive=True)
        return pm.StudentT(name, nu=nu, mu=eta, sigma=sigma, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Return the linear predictor, which is also the median."""
        return eta

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """``sigma**2 nu / (nu - 2)``; infinite for two degrees of freedom and fewer."""
        nu = np.asarray(parameters["nu"], dtype=np.float64)
        ratio = np.where(nu > 2, nu / np.where(nu > 2, nu - 2, 1.0), np.inf)
        return parameters["sigma"] ** 2 * ratio
