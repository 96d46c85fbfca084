"""What a trial's answers rest on beside its data: missing outcomes and historical controls."""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pymc_mlm.decisions import AbstractRule
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.estimators.base import Estimator
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.prior_sensitivity import POWERS, prior_sensitivity
from pymc_mlm.reporting.borrowed_controls import BorrowedControls
from pymc_mlm.reporting.tipping import TippingPoints
from pymc_mlm.trial import tipping_point as tipping
from pymc_mlm.trial.borrowing_report import borrowing
from pymc_mlm.trial.tipping_point import GRID

if TYPE_CHECKING:
    import pandas as pd


class AbstractTrialAssumptions(Estimator, ABC):
    """A trial whose assumptions can be varied, or compared with its data."""

    def tipping_point(
        self,
        rule: AbstractRule,
        along: Sequence[Any] | None = None,
        grid: Sequence[float] = GRID,
        treatment: Any = None,
        estimand: str | None = None,
        alpha: float = 0.05,
        alternative: Alternative = "greater",
    ) -> TippingPoints:
        """Tell how far from missing at random outcomes must be before the decision changes.

        Parameters
        ----------
        rule : AbstractRule
            As in `probability`.
        along : pair of arms, or of (arm, outcome), optional
            Missing outcomes that are shifted, one axis of the grid each; all of the control, and
            all of the treatment, by default.
        grid : sequence of float
            Shifts delta of the log odds of missing outcomes, of either axis. ``-inf`` makes all
            of them failures, ``inf`` successes, and zero (always included) is missing at random.
        treatment, estimand
            As in `treatment_effect`; averages are over the analysed persons.
        alpha, alternative
            As in `probability`.

        Returns
        -------
        TippingPoints
            Prints the smallest shifts that change the conclusion; `to_dataframe` has all
            decisions, `plot` draws them.

        Raises
        ------
        DataError
            No outcome of the arms is missing.
        SpecificationError
            An axis or a shift is not understood.
        """
        return tipping.tipping_point(
            self._fitted(), rule, along, grid, treatment, estimand, alpha, alternative
        )

    def prior_sensitivity(
        self,
        rule: AbstractRule,
        powers: Sequence[float] = POWERS,
        population: Any = None,
        estimand: str | None = None,
        treatment: Any = None,
        alpha: float = 0.05,
        alternative: Alternative = "greater",
    ) -> pd.DataFrame:
        """Tell whether the decision changes with a weaker or stronger prior, or likelihood.

        Parameters
        ----------
        rule : AbstractRule
            As in `probability`.
        powers : sequence of float
            To which the prior, and then the likelihood, is raised: 0.5 is half, 2 twice as strong.
        population, estimand, treatment, alpha, alternative
            As in `probability`.

        Returns
        -------
        pandas.DataFrame
            A row per part and power: what is compared with the threshold as fitted and scaled,
            the conclusion, whether it is another one, and the tail shape k-hat of the importance
            weights. Above 0.7 the scaled decision is not reliable, and left out.
        """
        return prior_sensitivity(
            self._fitted(), rule, powers, alpha, alternative,
            population=population, estimand=estimand, treatment=treatment,
        )  # fmt: skip

    def borrowing(self, ci_prob: float = CI_PROB) -> BorrowedControls:
        """Compare the control with the historical controls that its prior borrows from.

        Parameters
        ----------
        ci_prob : float
            Probability inside the prior's intervals.

        Returns
        -------
        BorrowedControls
            Prints effective sample sizes, prior predictive probabilities and weights.
        """
        return borrowing(self._fitted(), ci_prob)
