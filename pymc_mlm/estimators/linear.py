"""Reports and predictions of models with one linear predictor."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pymc_mlm import prediction
from pymc_mlm.composition import overlap
from pymc_mlm.counterfactual import Change, Counterfactual, counterfactual
from pymc_mlm.estimators.base import Estimator
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.log_likelihood import log_likelihood
from pymc_mlm.report import report_model
from pymc_mlm.reporting import (
    baseline,
    effects,
    pictures,
    summary,
    variance,
    weights,
    weights_report,
)
from pymc_mlm.reporting.document import Report, written
from pymc_mlm.reporting.effects import unit_table
from pymc_mlm.reporting.summary import MODEL_KINDS, Table

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr


class AbstractLinearEstimator(Estimator, ABC):
    """A model with one linear predictor: reports are functions of its fit."""

    def summary(self, kinds: tuple[str, ...] = MODEL_KINDS, ci_prob: float = CI_PROB) -> Table:
        """Summarise the posterior by role; see `pymc_mlm.reporting.summary`.

        Parameters
        ----------
        kinds : tuple of str
            "coefficient", "weight", "sd", "family", "imputation", "effect".
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Table
        """
        return summary.summary(self._fitted(), kinds, ci_prob)

    def report(
        self,
        path: Any = None,
        reasons: Mapping[str, str] | None = None,
        ci_prob: float = CI_PROB,
    ) -> Report:
        """Report design, model, priors, results, sensitivity, diagnostics and provenance.

        Parameters
        ----------
        path : str or path, optional
            Where to write it: ``"report.html"`` or ``"report.json"``.
        reasons : mapping of str to str, optional
            Your reasons for priors, by variable as in `priors`.
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
            The path ends otherwise, or a reason is for no prior.
        """
        call = repr(self._from_specification(self._fitted().spec))
        return written(report_model(self._fitted(), call, reasons, ci_prob), path)

    def predict(
        self,
        data: Any = None,
        kind: str = "mean",
        random_seed: Any = None,
        allow_new: bool | Sequence[str] = True,
        typical: bool | Sequence[str] = False,
    ) -> xr.DataArray:
        """Predict observations, also of units that were not fitted.

        Parameters
        ----------
        data : dataframe, optional
            Without the outcome; the fitted table by default, with ``missing="predict"`` also its
            rows without an outcome. A unit that the fitted data lacked is one new draw from its
            population, shared by all rows that carry its id; a new nested unit of a known parent
            deviates from its parent. A missing id is an unknown one of the fitted units.
        kind : {"mean", "outcome", "eta"}
            Expected outcome, new outcomes with their residual variation, or linear predictor.
        random_seed : int, optional
            Seed of the new draws.
        allow_new : bool or sequence of str
            Whether, or in which id columns, units may be new.
        typical : bool or sequence of str
            Whether, or for which terms by name, the effect is that of a typical unit: zero. The
            id columns of those terms may be left out of `data`.

        Returns
        -------
        xarray.DataArray, dims (chain, draw, row)
            Posterior draws per observation, on the scale of the outcome ("mean", "outcome") or of
            the link ("eta"). Complete durations for a censored outcome. Of an unordered outcome
            probabilities of all categories, or log odds of each but the reference, in a further
            dim ``category``; "outcome" has its labels.

        Raises
        ------
        DataError
            The table does not fit the model, or holds a new unit where none is allowed.

        Examples
        --------
        >>> model.predict(new).mean(("chain", "draw"))  # doctest: +SKIP
        """
        return prediction.predict(self._fitted(), data, kind, random_seed, allow_new, typical)

    def counterfactual(
        self,
        add: Any = (),
        remove: Any = (),
        replace: Mapping[Any, Any] | None = None,
        values: Mapping[Any, Mapping[str, Any]] | None = None,
        groups: Any = None,
        member: str | None = None,
        kind: str = "mean",
        random_seed: Any = None,
    ) -> Counterfactual:
        """Predict the fitted groups with members added, removed or replaced.

        Parameters
        ----------
        add, remove : member or sequence of them
            Members to add to groups that lack them, and to remove.
        replace : mapping
            The member that takes a member's place, by the latter: ``{"A": "B"}``. It has A's
            values of columns, such as seats, where `values` gives no others.
        values : mapping of member to mapping of str to object
            Columns of members that come in: ``{"B": {"seats": 0.2}}``; all are needed to add one.
        groups : group or sequence of them, optional
            Where it happens; in all groups by default.
        member : str, optional
            Column of the members, where the terms have several.
        kind : {"mean", "eta"}
            Expected outcome or linear predictor.
        random_seed : int, optional
            Seed of members that the fitted table lacked.

        Returns
        -------
        Counterfactual
            Prints the average over the groups that change; `table` has each of them, `difference`
            the draws, `plot` a picture.

        Raises
        ------
        SpecificationError
            The model has no such members, or the change is not possible.

        Examples
        --------
        >>> model.counterfactual(replace={"A": "B"}).table()  # doctest: +SKIP
        """
        change = Change(add, remove, replace or {}, values or {}, groups)
        return counterfactual(self._fitted(), change, member, kind, random_seed)

    def effect_draws(self, term: str | None = None) -> xr.DataArray:
        """Return draws of the effects of the units of a term, or of a nested level.

        Parameters
        ----------
        term : str, optional
            As in `effects`.

        Returns
        -------
        xarray.DataArray, dims (chain, draw, unit) or (chain, draw, unit, coef)
            The dim of the units bears their column's name.
        """
        return effects.effect_draws(self._fitted(), term)

    def weights(self, term: str | None = None, ci_prob: float = CI_PROB) -> pd.DataFrame:
        """Tabulate the weights of a multiple-membership term.

        Parameters
        ----------
        term : str, optional
            Name of the term; the first one with estimated weights by default.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per membership: group, member, equal weight, posterior mean, sd, interval.
        """
        return weights.weights(self._fitted(), term, ci_prob)

    def weights_report(
        self, term: str | None = None, equal: AbstractLinearEstimator | None = None
    ) -> Table:
        """Report whether the parameters of estimated weights are identified.

        Parameters
        ----------
        term : str, optional
            Name of the term; the first one with estimated weights by default.
        equal : estimator, optional
            The same model fitted with equal weights, ``weight="1 / n"``, for a comparison by
            leave-one-out.

        Returns
        -------
        Table
            A row per parameter: prior-to-posterior contraction, correlation with what the weights
            multiply, and a verdict, which the notes put into words.
        """
        fit, logs = self._fitted(), None
        if equal is not None:
            logs = log_likelihood(fit), log_likelihood(equal._fitted())
        return weights_report.weights_report(fit, term, logs)

    def baseline_hazard(self, ci_prob: float = CI_PROB) -> pd.DataFrame:
        """Tabulate baseline hazard and survival by interval, at the mean of the covariates.

        Parameters
        ----------
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per interval: begin, end, hazard per unit of time, survival up to the end.
        """
        return baseline.baseline_hazard(self._fitted(), ci_prob)

    def coefficients(self, level: str | None = None, ci_prob: float = CI_PROB) -> pd.DataFrame:
        """Tabulate nested units' own intercepts and slopes: population and all deviations.

        Parameters
        ----------
        level : str, optional
            Level; the innermost by default.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per unit and varying coefficient.
        """
        return unit_table(self.coefficient_draws(level), ci_prob)

    def coefficient_draws(self, level: str | None = None) -> xr.DataArray:
        """Return draws of nested units' own intercepts and slopes.

        Parameters
        ----------
        level : str, optional
            Level; the innermost by default.

        Returns
        -------
        xarray.DataArray, dims (chain, draw, level, coef)
        """
        return effects.coefficient_draws(self._fitted(), level)

    def variance_decomposition(
        self, at: Mapping[str, float] | None = None, ci_prob: float = CI_PROB
    ) -> Table:
        """Split the random variation between terms, nested levels and residual.

        Parameters
        ----------
        at : mapping of str to float, optional
            Values of columns whose slopes vary; their means by default. With varying slopes the
            shares depend on it; `variance_shares` shows how.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Table
            Per part: standard deviation, variance, share of the total. The scale of the residual
            is in the notes of `pymc_mlm.reporting.variance.variance_decomposition`.
        """
        return variance.variance_decomposition(self._fitted(), at, ci_prob)

    def overlap(self, data: Any, ci_prob: float = CI_PROB) -> Table:
        """Tabulate covariance and intra-class correlation of groups, pair by pair.

        Parameters
        ----------
        data : dataframe
            Some groups with their members, as for `predict`: fitted or made up.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        Table
            A row per pair: covariance of their linear predictors, and correlation; of a group
            with itself its variance, and the share of that in the total.

        Examples
        --------
        >>> model.overlap(two_governments)  # doctest: +SKIP
        """
        return overlap(self._fitted(), data, ci_prob)

    def variance_shares(
        self,
        column: str | None = None,
        values: Sequence[float] | None = None,
        ci_prob: float = CI_PROB,
    ) -> pd.DataFrame:
        """Tabulate the variance partition coefficient of each part along a covariate.

        Parameters
        ----------
        column : str, optional
            Varying column; the first slope by default.
        values : sequence of float, optional
            Its values; 41 from two standard deviations below its mean to two above by default.
        ci_prob : float
            Probability inside the intervals.

        Returns
        -------
        pandas.DataFrame
            A row per value and part: variance, and share of the total with its interval. The
            other varying columns are at their means.
        """
        return variance.variance_shares(self._fitted(), column, values, ci_prob)

    def plot(self, kind: str = "forest", **options: Any) -> Any:
        """Draw a picture of the fit.

        Parameters
        ----------
        kind : {"forest", "trace", "pairs", "effects", "weights", "lines", "variance", "baseline"}
            Intervals of the parameters; densities and chains; pairs of standard deviations and
            correlations; effects of the units that stand out, or nested units' own coefficients;
            estimated weights against the column that they depend on; nested units' regression
            lines; variance partition along a covariate; baseline hazard and survival.
        **options
            ``term=`` for "effects", "weights" and "lines"; ``column=`` for "effects", "lines" and
            "variance"; anything else is passed to arviz-plots.

        Returns
        -------
        arviz_plots.PlotCollection or arviz_plots.PlotMatrix
            A matrix for "pairs".
        """
        return pictures.plot(self._fitted(), kind, **options)
