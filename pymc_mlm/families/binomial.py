"""Successes out of a known number of trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.families.base import AbstractFamily, OutcomeScale
from pymc_mlm.families.bernoulli import Bernoulli
from pymc_mlm.families.binary import level
from pymc_mlm.families.poisson import counts
from pymc_mlm.priors import Prior


@dataclass(frozen=True)
class Binomial(AbstractFamily):
    r"""Successes with logit link, :math:`y \sim \mathrm{Binomial}(n, \mathrm{logit}^{-1}\eta)`.

    Parameters
    ----------
    trials : str
        Column with the number of trials of each row.
    priors : mapping of str to prior, optional
        The family has no parameters of its own; must be empty.

    Examples
    --------
    >>> Binomial("patients").side_columns
    {'trials': 'patients'}
    """

    trials: str
    priors: Mapping[str, Any] = field(default_factory=dict)

    name: ClassVar[str] = "binomial"
    link: ClassVar[str] = "logit"
    roles: ClassVar[tuple[str, ...]] = ("value",)

    @property
    def side_columns(self) -> dict[str, str]:
        """The number of trials."""
        return {"trials": self.trials}

    def outcome(self, label: str, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Successes between zero and the number of trials."""
        if "trials" not in values:
            raise SpecificationError(
                "Binomial(trials) reads a column of trials beside the outcome, which this model "
                "does not do. Use family='bernoulli' with one row per trial."
            )
        y, trials = counts(label, values["value"]), values["trials"].astype(np.float64)
        wrong = np.flatnonzero((trials < 1) | (trials != np.floor(trials)) | (y > trials))
        if len(wrong):
            row = int(wrong[0])
            raise DataError(
                f"Row {row} (counted from 0) has {y[row]:g} successes of {trials[row]:g} trials: "
                f"{self.trials!r} must be 1, 2, ... and not below {label!r}. Correct the row."
            )
        return {"value": y, "trials": trials}

    def scale(self, outcome: Mapping[str, np.ndarray], offset: Any = 0.0) -> OutcomeScale:
        """Log odds of all rows together; spread 1, a factor of 7 in the odds within 2 sd."""
        y = outcome["value"]
        link = Bernoulli.probability, Bernoulli.predictor
        return OutcomeScale(level(y, outcome["trials"], offset, *link), 1.0)

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
        """Add the binomial outcome."""
        trials, y = pt.cast(outcome["trials"], "int64"), outcome["value"]
        return pm.Binomial(name, n=trials, logit_p=eta, observed=y, dims=dims)

    def mean(self, eta: Any, parameters: Mapping[str, Any]) -> Any:
        """Expected number of successes; the probability where no trials are given."""
        return parameters.get("trials", 1.0) / (1.0 + np.exp(-eta))

    def residual_variance(self, parameters: Mapping[str, Any]) -> Any:
        """Variance of the standard logistic distribution, pi squared over three, of one trial."""
        return np.pi**2 / 3.0
