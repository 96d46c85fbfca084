"""Shares between zero and one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.families.bernoulli import Bernoulli
from pymc_mlm.families.binary import level
from pymc_mlm.priors import Prior, create


@dataclass(frozen=True)
class Beta(AbstractFamily):
    r"""Share with logit link: mean :math:`\mu = \operatorname{logit}^{-1} \eta`, variance
    :math:`\mu (1 - \mu) / (1 + \phi)` [1]_.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``phi``: precision; large values mean shares near their means.

    References
    ----------
    .. [1] Ferrari, S. & Cribari-Neto, F. (2004). Beta regression for modelling rates and
       proportions. Journal of Applied Statistics 31, 799-815.

    Examples
    --------
    >>> Beta().link
    'logit'
    """  # noqa: D205

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "beta"
    reasons: ClassVar[Mapping[str, str]] = {
        "phi": "95% between 0.39, where shares pile up at 0 and 1, and 140; our choice"
    }
    link: ClassVar[str] = "logit"
    latent: ClassVar[str | None] = "the log odds of the share"
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the residual of a share"

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Numbers above zero and below one that vary."""
        y = values["value"].astype(np.float64)
        wrong = y[(y <= 0) | (y >= 1)]
        if len(wrong):
            raise DataError(
                f"The outcome {label!r} must be above 0 and below 1 for family='beta'; found "
                f"{wrong[0]:g} in {len(wrong)} row(s) or group(s). A share of counts is "
                "Binomial('trials'); divide percentages by 100; model exact zeros and ones apart."
            )
        if np.ptp(y) == 0:
            raise DataError(f"The outcome {label!r} has one value only ({y[0]:g}); it must vary.")
        return {"value": y}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log odds of the mean share, and sd of the log odds of the shares."""
        y = outcome["value"]
        spread = float((np.log(y) - np.log1p(-y) - offset).std())
        link = Bernoulli.probability, Bernoulli.predictor
        return OutcomeScale(level(y, np.ones_like(y), offset, *link), spread)

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Log-normal precision; 95% between 0.39 and 140."""
        return {"phi": Prior("LogNormal", mu=2.0, sigma=1.5)}

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add ``phi`` and the outcome."""
        phi = create(priors["phi"], "phi", positive=True)
        a, b = phi * pt.sigmoid(eta), phi * pt.sigmoid(-eta)
        return pm.Beta(name, alpha=a, beta=b, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected share."""
        return 1.0 / (1.0 + np.exp(-eta))

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        r"""Variance of the log odds of the share at the given ``eta``; None where no eta is given.

        :math:`\psi_1(\mu\phi) + \psi_1\{(1 - \mu)\phi\}` with the trigamma function, exact for a
        beta distribution.
        """
        from scipy.special import polygamma

        if "eta" not in parameters:
            return None
        mu, phi = self.mean(parameters["eta"], {}), np.asarray(parameters["phi"])
        return polygamma(1, mu * phi) + polygamma(1, (1.0 - mu) * phi)
