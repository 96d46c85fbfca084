"""Gaussian-like outcomes with outliers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.families.gaussian import RESIDUAL, less_fixed_part
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
    reasons: ClassVar[Mapping[str, str]] = {
        "sigma": RESIDUAL,
        "nu": "mean 20; Juárez and Steel (2010)",
    }
    link: ClassVar[str] = "identity"
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the residual of a Student-t outcome"

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Any finite numbers that vary."""
        y = values["value"].astype(np.float64)
        if np.ptp(y) == 0:
            raise DataError(f"The outcome {label!r} has one value only ({y[0]:g}); it must vary.")
        return {"value": y}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Median, and a spread that neither one row in ten nor values that tie can set.

        The larger of 1.4826 times the median absolute deviation and the range of the middle 80%
        over 2.563, which are both the standard deviation of normal outcomes; the first is zero
        where half of the values are the same.
        """
        y = less_fixed_part(outcome["value"], offset)
        self._refuse_ties(y)
        low, middle, high = (float(q) for q in np.quantile(y, [0.1, 0.5, 0.9]))
        deviation = float(np.median(np.abs(y - middle)))
        return OutcomeScale(middle, max(1.4826 * deviation, (high - low) / 2.563))

    def _refuse_ties(self, y: np.ndarray) -> None:
        """Refuse outcomes most of which are one number, for which sigma goes to zero.

        With r of n values at one place the density grows without bound as sigma goes to zero
        where nu < (r - 1) / (n - r) [1]_: for more than half, at Cauchy tails already.

        References
        ----------
        .. [1] Fernandez, C. & Steel, M. F. J. (1999). Multivariate Student-t regression models:
           pitfalls and inference. Biometrika 86, 153-167.
        """
        values, times = np.unique(y, return_counts=True)
        most = int(times.argmax())
        if 2 * times[most] > len(y) and "sigma" not in self.priors:
            raise DataError(
                f"{times[most]} of {len(y)} outcomes tie at {values[most]:g}. A Student t then "
                "fits that value alone, with sigma at zero (Fernandez and Steel 1999). Use "
                "family='gaussian', or keep sigma from zero by a prior of your own: "
                "StudentT(priors={'sigma': Prior('InverseGamma', alpha=3, beta=2)}), with beta of "
                "the order of the spread that you expect."
            )

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
