"""Trials with several binary outcomes: a joint model, and decisions asked of its draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import xarray as xr

from pymc_mlm.data.cells import Dependence
from pymc_mlm.data.frame import columns
from pymc_mlm.decisions import (
    AbstractPopulation,
    AbstractRule,
    Decision,
    decide,
    difference,
    odds_ratio,
    outcome_correlation,
    ratio,
    success_probability,
)
from pymc_mlm.decisions.populations import Table as PopulationTable
from pymc_mlm.decisions.populations import Value, as_populations, population_rows
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import SpecificationError, warn_of_data
from pymc_mlm.estimators.base import Estimator, as_mapping, refuse_specification
from pymc_mlm.inference import as_seed
from pymc_mlm.reporting import trial_plots
from pymc_mlm.reporting.extrapolation import population_outside, rows_outside, values_outside
from pymc_mlm.reporting.trial_summary import TrialSummary, trial_summary
from pymc_mlm.terms.cluster_effects import AbstractClusterPrior
from pymc_mlm.trial import TrialSpecification
from pymc_mlm.trial.arguments import check_plot_arguments, outcome_names
from pymc_mlm.trial.draws import (
    Target,
    TrialDraws,
    described,
    outcome_draws,
    population_cells,
    row_cells,
    trial_draws,
)

if TYPE_CHECKING:
    from pymc_mlm.trial.bmco import BmcoCall

MEASURES = {"difference": difference, "ratio": ratio, "odds_ratio": odds_ratio}
CURVE_POINTS = 256
# What else, besides population, estimand and treatment, a plot can be asked.
PLOT_QUESTIONS = {
    "effects": ("weights", "covariate_rows", "measure"),
    "joint": ("weights", "covariate_rows"),
}


class MultivariateLogitTrial(Estimator):
    r"""Joint model of several binary outcomes of a trial, for decisions between its arms.

    .. math:: \log \frac{P(y_i = c)}{P(y_i = 0 \cdots 0)} = \sum_m A_{cm} \eta_{im}, \qquad
        \eta_{im} = x_i'\beta_m + z_i'u_{j(i) m}

    A multinomial logit over the :math:`2^K` response patterns: any dependence between the
    outcomes is possible. Without covariates and clusters the posterior is Dirichlet and drawn
    directly.

    Parameters
    ----------
    outcomes : str or sequence of str
        Columns of 0/1 outcomes, or of any two values with `event`. A row with some outcomes
        missing is kept.
    arm : str
        Column of the arm.
    control : label, optional
        The arm that others are compared with; needed unless arms are coded 0/1.
    treatment : label or list of labels, optional
        Arms to compare with it, all others by default.
    covariates : sequence of str or str, optional
        Columns, or the right-hand side of a formula such as ``"age + C(site)"``.
    interactions : bool, default True
        Whether the effect of an arm depends on the covariates.
    cluster : str, optional
        Column of the cluster.
    random : str, default "1"
        Terms whose coefficients vary by cluster: ``"1"``, ``"1 + arm"``, ``"1 + arm + age"``.
    dependence : {"saturated", "pairwise", "independent"}
        Which associations between the outcomes are free.
    cluster_prior : {"lkj", "inverse_wishart"} or object
        Correlated effects by default; bmco's prior for comparison.
    priors : mapping of str to prior, optional
        ``cell_probability``, a Dirichlet of the response patterns in each arm, covariates at
        their means; ``slope``, a normal with mean 0, per standard deviation of a covariate;
        ``cluster_sd``; or ``beta``, of all coefficients of the columns as they are, in place of
        the first two.
    event : object or mapping of str to object, optional
        The value that counts as one, of all outcomes or by outcome, for example ``"yes"`` or
        ``{"recovered": "yes", "relapse": "no"}``. Needed unless outcomes are 0/1 or booleans.

    Attributes
    ----------
    result_ : Fit
        After `fit`: the model, its draws and its design.

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2020). Decision-making with multiple correlated
       binary outcomes in clinical trials. Statistical Methods in Medical Research 29(11).
    .. [2] Kavelaars, X., Mulder, J., Kaptein, M. (2023). Bayesian multilevel multivariate
       logistic regression for superiority decision-making under observable treatment
       heterogeneity. BMC Medical Research Methodology 23.

    Examples
    --------
    >>> import pymc_mlm as mlm
    >>> table = {"y1": [1, 0, 1, 1, 0, 0], "y2": [1, 1, 0, 1, 0, 1], "new": [1, 1, 1, 0, 0, 0]}
    >>> trial = mlm.MultivariateLogitTrial(["y1", "y2"], arm="new").fit(table, random_seed=1)
    >>> round(trial.probability(mlm.All()).joint_probability, 1)
    0.4
    """

    def __init__(
        self,
        outcomes: str | Sequence[str],
        arm: str,
        control: Any = None,
        treatment: Any = None,
        covariates: str | Sequence[str] | None = None,
        interactions: bool = True,
        cluster: str | None = None,
        random: str = "1",
        dependence: Dependence = "saturated",
        cluster_prior: str | AbstractClusterPrior = "lkj",
        priors: Mapping[str, Any] | None = None,
        event: Any = None,
    ) -> None:
        self.outcomes = outcomes
        self.arm = arm
        self.control = control
        self.treatment = treatment
        self.covariates = covariates
        self.interactions = interactions
        self.cluster = cluster
        self.random = random
        self.dependence = dependence
        self.cluster_prior = cluster_prior
        self.priors_given = priors
        self.event = event
        self.specification  # noqa: B018  (refuses what does not go together)

    @property
    def specification(self) -> TrialSpecification:
        """The trial apart from data."""
        return TrialSpecification(
            outcome_names(self.outcomes),
            self.arm,
            self.control,
            self.treatment,
            self.covariates,
            self.interactions,
            self.cluster,
            self.random,
            self.dependence,
            self.cluster_prior,
            as_mapping(self.priors_given, type(self).__name__),
            self.event,
        )

    @classmethod
    def _from_specification(cls, spec: Any) -> Self:
        refuse_specification(spec, cls, TrialSpecification)
        return cls(**{field.name: getattr(spec, field.name) for field in fields(spec)})

    @classmethod
    def from_bmco(cls, *args: Any, **kwargs: Any) -> BmcoCall:
        """Translate a call of bmco; see `pymc_mlm.trial.bmco.read_bmco`.

        Parameters
        ----------
        *args, **kwargs
            Arguments of ``bmvb``, ``bglm`` or ``bglmm`` under their names in R. Those without a
            counterpart are explained in the `notes` of what is returned.

        Returns
        -------
        BmcoCall
            Unpacks as the model with bmco's priors, and the question that bmco asks of it.

        Raises
        ------
        SpecificationError
            An argument that bmco does not have there, or that has no translation.

        Examples
        --------
        >>> trial, question = MultivariateLogitTrial.from_bmco(
        ...     grp="method", grp_a="old", grp_b="new", y_vars=["math", "reading"], rule="All"
        ... )
        >>> trial.arm, question["rule"].label
        ('method', 'All')
        """
        from pymc_mlm.trial.bmco import read_bmco

        return read_bmco(cls, *args, **kwargs)

    # ------------------------------------------------------------------ questions

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
        target = self._target(population, estimand, weights, covariate_rows)
        return self._cells(target)

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
        cells = self.cell_probability(population, estimand, weights, covariate_rows)
        return success_probability(cells, self._outcomes).rename("success_probability")

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
        cells = self.cell_probability(population, estimand, weights)
        return outcome_correlation(cells, self._outcomes)

    def effect(
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
        if measure not in MEASURES:
            raise SpecificationError(
                f"measure={measure!r} is not known. Use one of {', '.join(MEASURES)}."
            )
        arms = self._fitted().design.trial.arm.labels.tolist()
        chosen = self._treatment(treatment, arms)
        theta = self.success_probability(population, estimand, weights, covariate_rows)
        return MEASURES[measure](theta, chosen, arms[0]).rename("effect")

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
            As in `effect`.
        alpha : float, default 0.05
            Type I error of the decision.
        alternative : {"greater", "less", "two-sided"}
            Whether the treatment is better, the control, or either.

        Returns
        -------
        Decision
            Prints the marginal evidence, which is decided on, and the joint probability.
        """
        effect = self.effect(population, estimand, weights, treatment, covariate_rows)
        return decide(rule, effect, alpha, alternative)

    def effect_curve(
        self,
        column: str,
        grid: Any = None,
        population: Any = None,
        estimand: str | None = None,
        treatment: Any = None,
    ) -> xr.DataArray:
        """Return draws of the effect along a covariate.

        Parameters
        ----------
        column : str
            A covariate.
        grid : sequence, optional
            Values; 25 over the middle 95% of a number, or all categories.
        population, estimand, treatment
            As in `effect`; the covariate's own values in the population are replaced.

        Returns
        -------
        DataArray, dims (chain, draw, column, outcome)
        """
        fit = self._fitted()
        if column not in fit.design.columns:
            have = ", ".join(fit.design.columns) or "(none)"
            raise SpecificationError(
                f"effect_curve: {column!r} is no covariate of the model; its covariates are {have}."
            )
        values = _grid(fit.design.columns[column]) if grid is None else list(grid)
        if not values:
            raise SpecificationError("effect_curve: grid is empty. Give at least one value.")
        for text in values_outside(column, values, fit.design.columns[column]):
            warn_of_data(text)
        base = list(as_populations(self._population(population)))
        arms = fit.design.trial.arm.labels.tolist()
        chosen = self._treatment(treatment, arms)
        draws = self._draws()
        curves = []
        for value in values:
            target = Target([*base, Value(**{column: value})], estimand)
            cells = self._labelled(population_cells(draws, target, CURVE_POINTS), draws.shape)
            theta = success_probability(cells, self._outcomes)
            curves.append(difference(theta, chosen, arms[0]))
        curve = xr.concat(curves, dim=xr.DataArray(values, dims=column, name=column))
        return curve.transpose("chain", "draw", column, "outcome").rename("effect")

    def cluster_effects(self) -> xr.DataArray:
        """Return draws of the effects of the observed clusters, log odds.

        Returns
        -------
        DataArray, dims (chain, draw, cluster, slope, predictor)
            The dim of the clusters bears their column's name. Slopes are those of centred and
            scaled columns.
        """
        design = self._fitted().design
        self._need_clusters("cluster_effects")
        draws = self._draws()
        factor = design.trial.cluster.factor
        effects = draws.effects
        return xr.DataArray(
            effects.reshape(*draws.shape, *effects.shape[1:]),
            dims=("chain", "draw", factor.name, "slope", "predictor"),
            coords={
                factor.name: list(factor.labels),
                "slope": list(design.matrix.random_names),
                "predictor": list(design.trial.predictors),
            },
            name="cluster_effect",
        )

    def predict(
        self, data: Any = None, kind: str = "probability", random_seed: Any = None
    ) -> xr.DataArray:
        """Predict persons in the arms that they are in.

        Parameters
        ----------
        data : dataframe, optional
            Arm, covariates and cluster of new persons; the fitted ones by default. A cluster
            that the fitted data lacked is one new draw, shared by its rows.
        kind : {"probability", "cell", "outcome"}
            Success probabilities, probabilities of response patterns, or new outcomes.
        random_seed : int, optional
            Seed of new clusters and outcomes.

        Returns
        -------
        DataArray, dims (chain, draw, row, outcome) or (chain, draw, row, cell)
        """
        if kind not in ("probability", "cell", "outcome"):
            raise SpecificationError(f"kind is 'probability', 'cell' or 'outcome', not {kind!r}.")
        known = self._fitted().design
        design = known if data is None else self._fitted().spec.read(data, known)
        if data is not None:
            for text in rows_outside(design.columns, known.columns):
                warn_of_data(text)
        rng = np.random.default_rng(as_seed(random_seed))
        if self._is_conjugate:
            by_arm = self._fitted().posterior["cell_probability"]
            if kind == "probability":
                # Two numbers an arm rather than all cells of all rows: draws are many here.
                theta = success_probability(by_arm, self._outcomes)
                arm = xr.DataArray(design.trial.arm.codes, dims="row")
                by_row = theta.isel(arm=arm).drop_vars("arm").assign_coords(row=design.trial.rows)
                return by_row.rename("success_probability")
            shape = (by_arm.sizes["chain"], by_arm.sizes["draw"])
            flat = by_arm.values.reshape(-1, *by_arm.shape[2:])
            cells = flat[:, design.trial.arm.codes]
        else:
            draws = self._draws()
            shape, cells = draws.shape, row_cells(draws, design, rng)
        if kind == "outcome":
            return outcome_draws(cells, shape, design, rng)
        labelled = xr.DataArray(
            cells.reshape(*shape, *cells.shape[1:]),
            dims=("chain", "draw", "row", "cell"),
            coords={"row": design.trial.rows, "cell": list(design.trial.cells)},
        )
        if kind == "cell":
            return labelled.rename("cell_probability")
        return success_probability(labelled, self._outcomes).rename("success_probability")

    # ------------------------------------------------------------------ reports

    def summary(
        self,
        population: Any = None,
        estimand: str | None = None,
        ci_prob: float = 0.95,
        alpha: float = 0.05,
        alternative: Alternative = "greater",
    ) -> TrialSummary:
        """Report the trial: arms, effects, decisions, coefficients, clusters, diagnostics.

        Parameters
        ----------
        population, estimand
            As in `effect`.
        ci_prob : float
            Probability inside the equal-tailed intervals.
        alpha, alternative
            Of the decisions.

        Returns
        -------
        TrialSummary
            Prints as text and shows as HTML in notebooks.
        """
        target = self._target(population, estimand, None, "both")
        cells = self._cells(target)
        clusters = None if self._draws_have_no_clusters else self._draws().roots
        return trial_summary(
            self._fitted(),
            cells,
            clusters,
            described(target, clustered=self._fitted().design.trial.cluster is not None),
            ci_prob,
            alpha,
            alternative,
            tuple(self._outside(target)),
        )

    def plot(self, kind: str = "effects", **kwargs: Any) -> Any:
        """Draw the trial.

        Parameters
        ----------
        kind : {"effects", "joint", "curve", "clusters", "forest", "trace"}
            Effects with intervals; the bivariate posterior of two effects with the region of a
            ``rule=`` shaded; the effect along ``column=``; effects of the clusters; intervals of
            the parameters; walks of the chains.
        **kwargs
            `population`, `estimand`, `treatment` for the first three; `weights` and
            `covariate_rows` for the first two; `measure` for ``"effects"``; and what
            `pymc_mlm.reporting.trial_plots` takes.

        Returns
        -------
        arviz_plots.PlotCollection or matplotlib.figure.Figure
        """
        asked = {
            name: kwargs.pop(name)
            for name in ("population", "estimand", "treatment", *PLOT_QUESTIONS.get(kind, ()))
            if name in kwargs
        }
        self._check_plot(kind, kwargs, asked)
        if kind == "effects":
            if asked.get("measure", "difference") != "difference":
                kwargs.setdefault("null", 1.0)
            return trial_plots.plot_effects(self.effect(**asked), **kwargs)
        if kind == "joint":
            return trial_plots.plot_joint(self.effect(**asked), **kwargs)
        if kind == "curve":
            column = kwargs.pop("column", None) or self._only_covariate()
            curve = self.effect_curve(column, kwargs.pop("grid", None), **asked)
            return trial_plots.plot_curve(curve, column, **kwargs)
        if kind == "clusters":
            return trial_plots.plot_clusters(self.cluster_effects(), **kwargs)
        if kind == "forest":
            return trial_plots.plot_parameters(self._fitted(), **kwargs)
        return trial_plots.plot_walks(self._fitted(), **kwargs)

    def _check_plot(self, kind: str, given: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        import arviz_plots

        questions = ("population", "estimand", "treatment")
        known: dict[str, tuple[Any, ...]] = {
            "effects": ((*questions, *PLOT_QUESTIONS["effects"]), trial_plots.plot_effects),
            "joint": ((*questions, *PLOT_QUESTIONS["joint"]), trial_plots.plot_joint),
            "curve": ((*questions, "grid"), trial_plots.plot_curve),
            "clusters": ((), trial_plots.plot_clusters),
            "forest": ((), trial_plots.plot_parameters, arviz_plots.plot_forest),
            "trace": ((), trial_plots.plot_walks, arviz_plots.plot_trace_dist),
        }
        if kind not in known:
            raise SpecificationError(
                f"plot has no kind {kind!r}. Use 'effects', 'joint', 'curve', 'clusters', 'forest' "
                "or 'trace'."
            )
        names, *functions = known[kind]
        check_plot_arguments(kind, (*given, *asked), names, *functions)

    # ------------------------------------------------------------------ from draws to answers

    @property
    def _is_conjugate(self) -> bool:
        return bool(self._fitted().spec.is_conjugate)

    @property
    def _draws_have_no_clusters(self) -> bool:
        return self._fitted().design.trial.cluster is None or self._is_conjugate

    @property
    def _outcomes(self) -> list[str]:
        return list(self._fitted().design.trial.outcomes)

    def _draws(self) -> TrialDraws:
        fit = self._fitted()
        prior = fit.spec.trial_priors.clusters(fit.design.matrix)
        return trial_draws(fit.design, fit.posterior, prior)

    def _target(
        self, population: Any, estimand: str | None, weights: str | None, covariate_rows: str
    ) -> Target:
        target = Target(self._population(population), estimand, weights, covariate_rows)
        target.check(self._fitted().design.trial.cluster is not None)
        return target

    def _population(self, population: Any) -> Any:
        if population is None or isinstance(population, (AbstractPopulation, list, tuple)):
            return population
        names = self._fitted().design.columns
        if isinstance(population, str) or not names:
            return as_populations(population)
        return PopulationTable(columns(population, names))

    def _cells(self, target: Target) -> xr.DataArray:
        if self._is_conjugate:
            # Without covariates only the sample itself is a population; others name a column.
            population_rows(as_populations(target.population), {}, 1)
            return self._fitted().posterior["cell_probability"]
        for text in self._outside(target):
            warn_of_data(text)
        draws = self._draws()
        return self._labelled(population_cells(draws, target), draws.shape)

    def _outside(self, target: Target) -> list[str]:
        """Say where the population of a target lies outside the data."""
        if target.population is None or self._is_conjugate:
            return []
        design = self._fitted().design
        return population_outside(as_populations(target.population), design.columns, len(design.X))

    def _labelled(self, cells: np.ndarray, shape: tuple[int, int]) -> xr.DataArray:
        trial = self._fitted().design.trial
        return xr.DataArray(
            cells.reshape(*shape, *cells.shape[1:]),
            dims=("chain", "draw", "arm", "cell"),
            coords={"arm": trial.arm.labels.tolist(), "cell": list(trial.cells)},
            name="cell_probability",
        )

    def _treatment(self, treatment: Any, arms: list[Any]) -> Any:
        if treatment is None and len(arms) > 2:
            raise SpecificationError(
                f"The trial has the treatments {', '.join(map(repr, arms[1:]))}. Name one: "
                f"treatment={arms[1]!r}."
            )
        if treatment is not None and treatment == arms[0]:
            raise SpecificationError(
                f"treatment={treatment!r} is the control itself. Name another arm: "
                f"{', '.join(map(repr, arms[1:]))}."
            )
        return arms[1] if treatment is None else treatment

    def _only_covariate(self) -> str:
        names = list(self._fitted().design.columns)
        if len(names) != 1:
            raise SpecificationError(
                "plot('curve') needs column=, one of the covariates "
                f"{', '.join(names) or '(none)'}."
            )
        return names[0]

    def _need_clusters(self, what: str) -> None:
        if self._fitted().design.trial.cluster is None:
            raise SpecificationError(f"{what}: the model has no clusters. Fit with cluster=.")


def _grid(values: np.ndarray) -> list[Any]:
    if values.dtype.kind not in "iuf":
        return sorted(set(values.tolist()), key=str)
    distinct = np.unique(values)
    if len(distinct) <= 10:
        return distinct.tolist()
    low, high = np.quantile(values, [0.025, 0.975])
    return np.linspace(low, high, 25).tolist()
