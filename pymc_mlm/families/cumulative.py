"""Ordered categories with proportional odds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.distributions.cutpoints import cutpoints, ordered_logistic
from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior, create, on_real_line, parts_of

CUT = "cut"
CUTPOINT = "cutpoint"


@dataclass(frozen=True)
class Cumulative(AbstractFamily):
    r"""Ordered outcome 0, 1, ..., K with logit link and proportional odds [1]_.

    .. math:: \operatorname{logit} P(y \le k) = c_k - \eta

    A logistic latent variable around ``eta``, cut at ascending points: a positive coefficient
    makes higher categories likelier, and ``exp(coef)`` is the odds ratio of exceeding any of them.
    The cut points take the place of the intercept, which a formula may name and which is left out.

    Parameters
    ----------
    priors : mapping of str to prior, optional
        ``cutpoint``: one distribution for all cut points, before they are ordered.

    References
    ----------
    .. [1] McCullagh, P. (1980). Regression models for ordinal data. J. R. Stat. Soc. B 42, 109-142.

    Examples
    --------
    >>> Cumulative().baseline
    'cutpoint'
    """

    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "cumulative"
    reasons: ClassVar[Mapping[str, str]] = {
        "cutpoint": "brms' prior of thresholds, with the normal in place of its Student t; the "
        "same if the order of the categories is reversed"
    }
    link: ClassVar[str] = "logit"
    roles: ClassVar[tuple[str, ...]] = ("value",)
    row_variation: ClassVar[str | None] = "the chance in a single outcome"
    baseline: ClassVar[str | None] = CUTPOINT
    own_dims: ClassVar[tuple[str, ...]] = (CUT,)
    constants: ClassVar[tuple[str, ...]] = ("counts",)

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Whole numbers from zero, each of them in some row; and how often each occurs."""
        y = values["value"].astype(np.float64)
        wrong = y[(y < 0) | (y != np.floor(y))]
        if len(wrong):
            raise DataError(
                f"The outcome {label!r} must be an ordered category coded 0, 1, 2, ...; found "
                f"{wrong[0]:g}. Recode it, for example by the codes of an ordered categorical."
            )
        counts = np.bincount(y.astype(np.int64))
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            raise DataError(
                f"No row has {label!r} = {empty[0]}, and categories up to {len(counts) - 1} occur: "
                "a category without rows has no cut point of its own. Code those that occur 0, 1, "
                "2, ... without a gap."
            )
        if len(counts) < 2:
            raise DataError(f"The outcome {label!r} has one category only; it must vary.")
        return {"value": y, "counts": counts.astype(np.float64)}

    def notes(self, outcome: Mapping[str, np.ndarray]) -> tuple[str, ...]:
        """Say what took the intercept's place."""
        count = len(outcome["counts"])
        return (f"{count} ordered categories; their cut points take the place of the intercept.",)

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Zero, the cut points themselves; spread 1, a factor of 7 in the odds within 2 sd."""
        return OutcomeScale(0.0, 1.0, float(np.mean(offset)))

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Normal around the fixed part; about uniform probabilities of a typical row."""
        return {CUTPOINT: Prior("Normal", mu=scale.baseline, sigma=2.5 * scale.spread)}

    def near_mode(self, outcome: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the log odds of the categories up to each."""
        up_to = np.cumsum(outcome["counts"])
        return {CUTPOINT: np.log(up_to[:-1] / (up_to[-1] - up_to[:-1]))}

    def add_baseline(
        self, outcome: Mapping[str, np.ndarray], prior: Any, at_mean: Any, centre: Any
    ) -> None:
        """Add ``cutpoint``, its default prior at the mean of the covariates."""
        mode = self.near_mode(outcome)[CUTPOINT]
        pm.modelcontext(None).add_coord(CUT, labels(len(mode)))
        if not on_real_line(prior):
            create(prior, CUTPOINT, CUT)
            return
        distribution, parameters = parts_of(prior, CUTPOINT, CUT)
        if "mu" in parameters:
            parameters["mu"] = parameters["mu"] + at_mean
        level = at_mean if centre is None else -centre[0]
        cutpoints(CUTPOINT, distribution, parameters, level, mode, CUT)

    def level(self, outcome: Mapping[str, np.ndarray]) -> Any:
        """Return how far the cut points are below their mode on average, as an intercept would."""
        place = pytensor.shared(np.float64(self.near_mode(outcome)[CUTPOINT].mean()))
        return place - pt.mean(pm.modelcontext(None)[CUTPOINT])

    def likelihood(
        self,
        name: str,
        eta: Any,
        outcome: Mapping[str, Any],
        priors: Mapping[str, Any],
        dims: str,
    ) -> Any:
        """Add the outcome, and ``cutpoint`` where the model lacks it."""
        model, y = pm.modelcontext(None), outcome["value"]
        if CUTPOINT not in model.named_vars:
            model.add_coord(CUT, labels(len(outcome["counts"]) - 1))
            create(priors[CUTPOINT], CUTPOINT, CUT)
        eta = eta + pt.zeros_like(pt.as_tensor(y))
        return ordered_logistic(name, eta, model[CUTPOINT], observed=y, dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected code of the category, the sum over cut points of the chances to exceed them."""
        cuts = np.moveaxis(np.asarray(parameters[CUTPOINT]), -2, 0)
        return sum(1.0 / (1.0 + np.exp(c - eta)) for c in cuts)

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the latent standard logistic distribution, pi squared over three."""
        return np.pi**2 / 3.0


def labels(count: int) -> tuple[str, ...]:
    """Return the cut points in words.

    Examples
    --------
    >>> labels(2)
    ('0|1', '1|2')
    """
    return tuple(f"{k}|{k + 1}" for k in range(count))
