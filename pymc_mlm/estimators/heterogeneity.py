"""How a treatment effect differs: along covariates, and between subgroups."""

from __future__ import annotations

from abc import ABC
from typing import TYPE_CHECKING, Any

from pymc_mlm.decisions import AbstractRule
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.estimators.assumptions import AbstractTrialAssumptions
from pymc_mlm.trial import questions, subgroups

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class AbstractTrialHeterogeneity(AbstractTrialAssumptions, ABC):
    """A trial whose effects are asked for by covariate or subgroup."""

    def treatment_effect_curve(
        self,
        column: str,
        grid: Any = None,
        population: Any = None,
        estimand: str | None = None,
        treatment: Any = None,
    ) -> xr.DataArray:
        """Return draws of the treatment effect along a covariate.

        Parameters
        ----------
        column : str
            A covariate.
        grid : sequence, optional
            Values; 25 over the middle 95% of a number, or all categories.
        population, estimand, treatment
            As in `treatment_effect`; the covariate's own values in the population are replaced.

        Returns
        -------
        DataArray, dims (chain, draw, column, outcome)
        """
        return questions.treatment_effect_curve(
            self._fitted(), column, grid, population, estimand, treatment
        )

    def decision_curve(
        self,
        rule: AbstractRule,
        column: str,
        grid: Any = None,
        population: Any = None,
        estimand: str | None = None,
        treatment: Any = None,
        alpha: float = 0.05,
        alternative: Alternative = "greater",
    ) -> pd.DataFrame:
        """Return the evidence for a rule, and the decision, along a covariate.

        Parameters
        ----------
        rule, alpha, alternative
            As in `probability`.
        column, grid, population, estimand, treatment
            As in `treatment_effect_curve`.

        Returns
        -------
        pandas.DataFrame
            A row per value of the covariate: posterior probabilities of the contrasts, that which
            is compared with the threshold, the threshold, the joint probability and its Monte
            Carlo error, and the conclusion at this value alone.
        """
        return questions.decision_curve(
            self._fitted(), rule, column, grid, population, estimand, treatment, alpha, alternative
        )

    def subgroup_effects(self, treatment: Any = None, measure: str = "difference") -> xr.DataArray:
        """Return draws of the treatment effect in each subgroup, shrunk towards each other.

        Subgroups are the clusters of a trial with ``cluster=`` and ``random="1 + arm"``.

        Parameters
        ----------
        treatment, measure
            As in `treatment_effect`.

        Returns
        -------
        DataArray, dims (chain, draw, subgroup, outcome)
            The dim of the subgroups bears their column's name. Each is averaged over its own
            persons.
        """
        return subgroups.subgroup_effects(self._fitted(), treatment, measure)

    def subgroup_decisions(
        self,
        rule: AbstractRule,
        treatment: Any = None,
        alpha: float = 0.05,
        alternative: Alternative = "greater",
    ) -> pd.DataFrame:
        """Return the evidence for a rule, and the decision, in each subgroup.

        Parameters
        ----------
        rule, treatment, alpha, alternative
            As in `probability`.

        Returns
        -------
        pandas.DataFrame
            A row per subgroup, with the columns of `decision_curve`.
        """
        return subgroups.subgroup_decisions(self._fitted(), rule, treatment, alpha, alternative)
