"""What families of ordered categories share: cut points in the place of the intercept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.distributions.cutpoints import cutpoints
from pymc_mlm.errors import DataError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.priors import Prior, create, on_real_line, parts_of

CUT = "cut"
CUTPOINT = "cutpoint"


# The reason of the default prior of cut points.
THRESHOLDS = (
    "brms' prior of thresholds, with the normal in place of its Student t; the same if the order "
    "of the categories is reversed"
)


class AbstractCumulative(AbstractFamily, ABC):
    """Ordered outcome 0, 1, ..., K of a latent variable around ``eta``, cut at ascending points."""

    # Of the linear predictor: within two of them the odds change by a factor of about 7.
    spread: ClassVar[float] = 1.0
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
        """Zero, the cut points themselves; a spread that changes the odds by 7 within 2 sd."""
        return OutcomeScale(0.0, self.spread, float(np.mean(offset)))

    def default_priors(self, scale: OutcomeScale) -> dict[str, Prior]:
        """Normal around the fixed part; about uniform probabilities of a typical row."""
        return {CUTPOINT: Prior("Normal", mu=scale.baseline, sigma=2.5 * scale.spread)}

    def near_mode(self, outcome: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the predictors of the shares of the categories up to each."""
        up_to = np.cumsum(outcome["counts"])
        return {CUTPOINT: self.predictor(up_to[:-1] / up_to[-1])}

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

    @staticmethod
    @abstractmethod
    def probability(z: Any) -> Any:
        """Return the distribution function of the latent variable; NumPy arrays."""

    @staticmethod
    @abstractmethod
    def predictor(share: Any) -> Any:
        """Return its quantiles."""

    def cuts(self, outcome: Mapping[str, Any], priors: Mapping[str, Any]) -> Any:
        """Return ``cutpoint`` of the current model, added where it is lacking."""
        model = pm.modelcontext(None)
        if CUTPOINT not in model.named_vars:
            model.add_coord(CUT, labels(len(outcome["counts"]) - 1))
            create(priors[CUTPOINT], CUTPOINT, CUT)
        return model[CUTPOINT]

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected code of the category, the sum over cut points of the chances to exceed them."""
        cuts = np.moveaxis(np.asarray(parameters[CUTPOINT]), -2, 0)
        return sum(self.probability(eta - c) for c in cuts)


def labels(count: int) -> tuple[str, ...]:
    """Return the cut points in words.

    Examples
    --------
    >>> labels(2)
    ('0|1', '1|2')
    """
    return tuple(f"{k}|{k + 1}" for k in range(count))
