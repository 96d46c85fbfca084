"""Outcomes in unordered categories with a linear predictor for each but the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytensor.tensor as pt

from pymc_mlm.distributions.categories import multinomial_logit
from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior


@dataclass(frozen=True)
class Categorical(AbstractFamily):
    r"""Unordered outcome: log odds of each category against the reference [1]_.

    .. math:: \log \frac{P(y = k)}{P(y = 0)} = \eta_k

    Each category but the reference has its own intercept, coefficients and effects of units, which
    are correlated between categories [2]_; weights of members are shared by all categories.

    Parameters
    ----------
    reference : object, optional
        The category that the others are compared with; the first by default, in the order of the
        column's categories or sorted.
    priors : mapping of str to prior, optional
        The family has no parameters of its own; must be empty.

    Notes
    -----
    Not the categories but their differences to the reference have predictors, so that another
    reference is another default prior: standard deviations and correlations of effects are those
    of log odds against it.

    References
    ----------
    .. [1] McFadden, D. (1974). Conditional logit analysis of qualitative choice behavior. In
       Zarembka, P. (ed.), Frontiers in Econometrics. Academic Press, 105-142.
    .. [2] Hedeker, D. (2003). A mixed-effects multinomial logistic regression model. Statistics in
       Medicine 22, 1433-1446.

    Examples
    --------
    >>> Categorical(reference="none").link
    'logit'
    """

    reference: Any = None
    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "categorical"
    link: ClassVar[str] = "logit"
    latent: ClassVar[str | None] = "the log odds of a category against the reference"
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the chance in a single outcome"
    own_dims: ClassVar[tuple[str, ...]] = ("category",)
    constants: ClassVar[tuple[str, ...]] = ("labels", "counts")
    has_categories: ClassVar[bool] = True

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Codes of the categories, the reference 0; their labels, and how often each occurs."""
        codes, labels = values["value"].astype(np.float64), values["labels"]
        if len(labels) < 2:
            raise DataError(
                f"The outcome {label!r} has one category only, {labels[0]!r}; it must vary."
            )
        counts = np.bincount(codes.astype(np.int64), minlength=len(labels))
        return {"value": codes, "labels": labels, "counts": counts.astype(np.float64)}

    def notes(self, outcome: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """Say which category the others are compared with."""
        first, *others = (str(label) for label in outcome["labels"])
        return (f"Log odds of {', '.join(others)} against the reference {first}.",)

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log odds of all rows together, half a row added; a change of the odds by 7 within 2 sd.

        With two categories it is the scale of the Bernoulli family.
        """
        counts = outcome["counts"] + 0.5
        return OutcomeScale(np.log(counts[1:] / counts[0]), 1.0)

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
        """Add the outcome; `eta` has the predictors of a row one after the other."""
        each = pt.as_tensor(eta).reshape((-1, len(outcome["labels"]) - 1))
        return multinomial_logit(name, each, observed=outcome["value"], dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Return the probability of each category, the last axis, the reference first."""
        count = len(parameters["labels"]) - 1
        each = np.reshape(eta, (*np.shape(eta)[:-1], -1, count))
        whole = np.concatenate([np.zeros((*each.shape[:-1], 1)), each], axis=-1)
        odds = np.exp(whole - whole.max(axis=-1, keepdims=True))
        return odds / odds.sum(axis=-1, keepdims=True)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the standard logistic distribution, pi squared over three.

        Utilities with standard Gumbel errors, of variance pi squared over six each, differ by a
        logistic error (Hedeker 2003).
        """
        return np.pi**2 / 3.0
