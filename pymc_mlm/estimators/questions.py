"""Estimands, decisions, predictions and reports of a trial with several binary outcomes."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pymc_mlm.decisions import AbstractRule, Decision
from pymc_mlm.decisions.characteristics import AbstractCharacteristics
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.estimators.heterogeneity import AbstractTrialHeterogeneity
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.report import report_trial
from pymc_mlm.reporting.document import Report, written
from pymc_mlm.reporting.trial_summary import TrialSummary
from pymc_mlm.trial import prediction, questions, reports

if TYPE_CHECKING:
    import xarray as xr


class AbstractTrialEstimator(AbstractTrialHeterogeneity, ABC):
    """A model of several binary outcomes in arms: answers are functions of its fit."""

    def cell_probability(
        self,
        population: Any = None,
        estimand: str | None = None,
        weights: str | None = None,
        covariate_rows: str = "both",
    ) -> xr.DataArray:
        """Return draws of the probabilities of the response patterns in a population.

        Parameters
        ----------
        population : AbstractPopulation, list of them, dataframe or None
            Covariate rows to average over; the analysed persons by default. A dataframe holds
            all covariates.
        estimand : {"new_cluster", "observed_clusters", "typical_cluster"}, optional
            With clusters: average over clusters that are still to come (default), over those in
            the data, or a cluster whose effects are zero.
        weights : {"bayesian_bootstrap"}, optional
            Treat the rows as a draw from a larger population: adds the uncertainty about its
            covariates. Whole clusters are weighed where the rows are those of observed persons
            in clusters; with `Value`, `TruncatedNormal` or a table, rows are.
        covariate_rows : {"both", "arm"}
            Evaluate both arms on the same rows, or each arm on its own, as bmco does.

        Returns
        -------
        DataArray, dims (chain, draw, arm, cell)
        """
        return questions.cell_probability(
            self._fitted(), population, estimand, weights, covariate_rows
        )

    def success_probability(
        self,
        population: Any = None,
        estimand: str | None = None,
        weights: str | None = None,
        covariate_rows: str = "both",
    ) -> xr.DataArray:
        """Return draws of the success probabilities of each arm in a population.

        Parameters
        ----------
        population, estimand, weights, covariate_rows
            As in `cell_probability`.

        Returns
        -------
        DataArray, dims (chain, draw, arm, outcome)
        """
        return questions.success_probability(
            self._fitted(), population, estimand, weights, covariate_rows
        )

    def correlation(
        self, population: Any = None, estimand: str | None = None, weights: str | None = None
    ) -> xr.DataArray:
        """Return draws of the correlations of the outcomes in each arm.

        Parameters
        ----------
        population, estimand, weights
            As in `cell_probability`.

        Returns
        -------
        DataArray, dims (chain, draw, arm, outcome, other_outcome)
        """
        return questions.correlation(self._fitted(), population, estimand, weights)

    def treatment_effect(
        self,
        population: Any = None,
        estimand: str | None = None,
        weights: str | None = None,
        treatment: Any = None,
        covariate_rows: str = "both",
        measure: str = "difference",
    ) -> xr.DataArray:
        """Return draws of the effect of a treatment on each outcome.

        Parameters
        ----------
        population, estimand, weights, covariate_rows
            As in `cell_probability`.
        treatment : label, optional
            Arm to compare with the control; needed with more than two arms.
        measure : {"difference", "ratio", "odds_ratio"}
            Of the success probabilities, treatment against control.

        Returns
        -------
        DataArray, dims (chain, draw, outcome)
            Probability scale for differences.
        """
        return questions.treatment_effect(
            self._fitted(), population, estimand, weights, treatment, covariate_rows, measure
        )

    def probability(
        self,
        rule: AbstractRule,
        population: Any = None,
        estimand: str | None = None,
        weights: str | None = None,
        treatment: Any = None,
        covariate_rows: str = "both",
        alpha: float = 0.05,
        alternative: Alternative = "greater",
    ) -> Decision:
        """Decide by a rule, with the evidence for it.

        Parameters
        ----------
        rule : AbstractRule
            `All`, `Any`, `Compensatory`, `Single`, `Margins` or `Custom`.
        population, estimand, weights, treatment, covariate_rows
            As in `treatment_effect`.
        alpha : float, default 0.05
            Type I error of the decision.
        alternative : {"greater", "less", "two-sided"}
            Whether the treatment is better, the control, or either.

        Returns
        -------
        Decision
            Prints the marginal evidence, which is decided on, and the joint probability.
        """
        return questions.probability(
            self._fitted(), rule, alpha, alternative, population=population, estimand=estimand,
            weights=weights, treatment=treatment, covariate_rows=covariate_rows,
        )  # fmt: skip

    def effect_draws(self, term: str | None = None) -> xr.DataArray:
        """Return draws of the effects of the observed clusters, or members of a term, log odds.

        Parameters
        ----------
        term : str, optional
            The cluster column, which is the default, or the name of a term.

        Returns
        -------
        DataArray, dims (chain, draw, cluster, slope, predictor)
            The dim of the clusters bears their column's name. Slopes are those of centred and
            scaled columns.
        """
        return questions.effect_draws(self._fitted(), term)

    def predict(
        self,
        data: Any = None,
        kind: str = "mean",
        random_seed: Any = None,
        typical: bool | Sequence[str] = False,
    ) -> xr.DataArray:
        """Predict persons in the arms that they are in.

        Parameters
        ----------
        data : dataframe, optional
            Arm, covariates and cluster of new persons; the fitted ones by default. A cluster
            that the fitted data lacked is one new draw, shared by its rows.
        kind : {"mean", "outcome", "eta", "cell"}
            Success probabilities, new outcomes, linear predictors, or probabilities of response
            patterns.
        random_seed : int, optional
            Seed of new clusters, members and outcomes.
        typical : bool or sequence of str
            Whether, or in which columns, clusters and members are typical: of effect zero.

        Returns
        -------
        DataArray, dims (chain, draw, row, outcome), (chain, draw, row, predictor) or \
            (chain, draw, row, cell)
        """
        return prediction.predict(self._fitted(), data, kind, random_seed, typical)

    def summary(
        self,
        population: Any = None,
        estimand: str | None = None,
        ci_prob: float = CI_PROB,
        alpha: float = 0.05,
        alternative: Alternative = "greater",
    ) -> TrialSummary:
        """Report the trial: arms, effects, decisions, coefficients, clusters, diagnostics.

        Parameters
        ----------
        population, estimand
            As in `treatment_effect`.
        ci_prob : float
            Probability inside the equal-tailed intervals.
        alpha, alternative
            Of the decisions.

        Returns
        -------
        TrialSummary
            Prints as text and shows as HTML in notebooks.
        """
        return reports.summary(self._fitted(), population, estimand, ci_prob, alpha, alternative)

    def report(
        self,
        path: Any = None,
        rules: AbstractRule | Sequence[AbstractRule] | None = None,
        alpha: float = 0.05,
        alternative: Alternative = "greater",
        population: Any = None,
        estimand: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        reasons: Mapping[str, str] | None = None,
        operating: AbstractCharacteristics | None = None,
        ci_prob: float = CI_PROB,
    ) -> Report:
        """Report the trial for others to check, as HTML or JSON.

        Parameters
        ----------
        path : str or path, optional
            Where to write it: ``"report.html"`` or ``"report.json"``.
        rules : rule or sequence of rules, optional
            Decided by; All and Any by default.
        alpha, alternative
            Of the decisions.
        population, estimand
            As in `treatment_effect`.
        attributes : mapping of str to str, optional
            Your words for the attributes of the estimand (ICH E9(R1)): ``population``,
            ``variable``, ``treatment``, ``intercurrent_events`` (text, or a strategy by event) and
            ``summary_measure``. What is left out is called not stated.
        reasons : mapping of str to str, optional
            Your reasons for priors, by variable as in `priors`.
        operating : OperatingCharacteristics or SequentialCharacteristics, optional
            Of the planned design; where outcomes, arms, rule or threshold differ, both are named.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Report
            `to_html`, `to_json` and `write`. ``python -m pymc_mlm report report.json`` writes the
            same HTML from the JSON.

        Raises
        ------
        SpecificationError
            The path ends otherwise, or an argument is not understood.
        """
        call = repr(self._from_specification(self._fitted().spec))
        return written(
            report_trial(
                self._fitted(), call, rules, alpha, alternative, population, estimand, attributes,
                reasons, operating, ci_prob,
            ),
            path,
        )  # fmt: skip

    def plot(self, kind: str = "treatment_effects", **options: Any) -> Any:
        """Draw the trial.

        Parameters
        ----------
        kind : {"treatment_effects", "joint", "curve", "decision_curve", "tipping_point", \
            "effects", "forest", "trace"}
            Treatment effects with intervals; the bivariate posterior of two of them with the
            region of a ``rule=`` shaded; the treatment effect along ``column=``; the evidence for
            a ``rule=`` along it; decisions for shifts of missing outcomes; effects of the
            clusters; intervals of the parameters; densities and chains.
        **options
            `population`, `estimand`, `treatment` for the first three; `weights` and
            `covariate_rows` for the first two; `measure` for ``"treatment_effects"``; those of
            `decision_curve` and `tipping_point`; and what
            `pymc_mlm.reporting.trial_plots` takes.

        Returns
        -------
        arviz_plots.PlotCollection or matplotlib.figure.Figure
        """
        return reports.plot(self._fitted(), kind, **options)
