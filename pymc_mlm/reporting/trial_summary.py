"""The report of a trial: arms, effects, decisions, coefficients, clusters, diagnostics."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pymc_mlm.decisions import (
    All,
    Decision,
    decide,
    difference,
    number_needed_to_treat,
    odds_ratio,
    outcome_correlation,
    ratio,
    success_probability,
    summarize,
)
from pymc_mlm.decisions import (
    Any as AnyRule,
)
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import check_probability, interval_names
from pymc_mlm.reporting.chain_figures import chain_figures
from pymc_mlm.reporting.diagnostics import diagnose, direct_kind, way
from pymc_mlm.reporting.summary import draws_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class TrialSummary:
    """Tables of a trial; prints as text and shows as HTML in notebooks.

    Attributes
    ----------
    title : str
        Heading.
    estimand : str
        What the effects are averaged over.
    arms : pandas.DataFrame
        Success probabilities per arm and outcome, and the correlations of the outcomes.
    effects : pandas.DataFrame
        Effects per treatment and outcome: mean of the difference with posterior sd and interval.
    relative : pandas.DataFrame
        Medians and intervals of ratio and odds ratio, whose means need not exist, and the number
        needed to treat of the median difference and of the ends of its interval.
    decisions : tuple of Decision
        Rules All and Any for every treatment.
    coefficients : pandas.DataFrame or None
        Log odds of the columns as they are; None where there are none.
    clusters : pandas.DataFrame or None
        Posterior means of the standard deviations (with sd, interval, effective sample size and
        R-hat), variances and correlations of the cluster effects.
    members : dict of str to pandas.DataFrame
        The same for the units of each term, by its label.
    weights : pandas.DataFrame or None
        Free parameters of members' weights, and parameters of your own terms.
    diagnostics : str
        Convergence in one line.
    notes : tuple of str
        Sentences about the data and the priors.
    """

    title: str
    estimand: str
    arms: pd.DataFrame
    effects: pd.DataFrame
    relative: pd.DataFrame
    decisions: tuple[tuple[str, Decision], ...]
    coefficients: pd.DataFrame | None
    clusters: pd.DataFrame | None
    members: dict[str, pd.DataFrame]
    weights: pd.DataFrame | None
    diagnostics: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        blocks = [self.title, self.estimand]
        for heading, frame in self._tables():
            blocks.append(f"{heading}\n{frame.map(_short).to_string()}")
        # Decisions follow the effects that they are about.
        decisions = [f"[{against}]\n{decision}" for against, decision in self.decisions]
        blocks[5:5] = decisions
        return "\n\n".join([*blocks, self.diagnostics, "\n".join(self.notes)]).rstrip()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts = [f"<h4>{html.escape(self.title)}</h4><p>{html.escape(self.estimand)}</p>"]
        for heading, frame in self._tables():
            parts.append(f"<h5>{html.escape(heading)}</h5>{frame.map(_short).to_html()}")
        for against, decision in self.decisions:
            parts.append(f"<pre>[{html.escape(against)}]\n{html.escape(str(decision))}</pre>")
        parts += [f"<p>{html.escape(text)}</p>" for text in (self.diagnostics, *self.notes)]
        return "".join(parts)

    def _tables(self) -> list[tuple[str, pd.DataFrame]]:
        found = [
            ("Success probabilities", self.arms),
            ("Treatment effects, against control", self.effects),
            ("Ratios against control, medians; patients for one more success", self.relative),
            ("Coefficients, log odds, covariates as they are", self.coefficients),
            (
                "Cluster effects, log odds, covariates centred and scaled: posterior means of sd, "
                "variance and correlations",
                self.clusters,
            ),
            *(
                (
                    f"Effects [{label}], log odds: means of sd, variance and correlations",
                    t,
                )
                for label, t in self.members.items()
            ),
            ("Parameters of terms", self.weights),
        ]
        return [(heading, frame) for heading, frame in found if frame is not None]


def trial_summary(
    fit: Fit,
    cells: xr.DataArray,
    roots: np.ndarray | None,
    estimand: str,
    ci_prob: float,
    alpha: float,
    alternative: Alternative,
    about_population: tuple[str, ...] = (),
    members: Mapping[str, tuple[tuple[str, ...], np.ndarray]] | None = None,
) -> TrialSummary:
    """Summarise a fitted trial.

    Parameters
    ----------
    fit : Fit
        A fitted trial.
    cells : DataArray, dims (chain, draw, arm, cell)
        Response patterns of each arm in the population that is asked about.
    roots : ndarray, shape (sample, dim, dim), or None
        Root of the covariance of a cluster's effects, if there are clusters.
    estimand : str
        Sentence: what `cells` is averaged over.
    ci_prob : float
        Probability inside the equal-tailed intervals.
    alpha, alternative
        Of the decisions.
    about_population : tuple of str
        Sentences about what is asked, which come before the notes of the fit.
    members : mapping of str to (tuple of str, ndarray of shape (sample, dim, dim))
        Names of the coefficients that vary, none for a single effect, and roots of the covariance
        of a unit's effects, by kind of units.

    Returns
    -------
    TrialSummary
    """
    check_probability(ci_prob)
    outcomes = list(fit.design.trial.outcomes)
    theta = success_probability(cells, outcomes)
    labels = theta["arm"].values.tolist()
    effects = {f"{arm} against {labels[0]}": arm for arm in labels[1:]}
    decisions = tuple(
        (name, decide(rule, difference(theta, arm, labels[0]), alpha, alternative))
        for name, arm in effects.items()
        for rule in ((All(), AnyRule()) if len(outcomes) > 1 else (All(),))
    )
    return TrialSummary(
        title=fit.title,
        estimand=estimand,
        arms=_arms(theta, cells, outcomes, ci_prob),
        effects=_effects(theta, effects, labels[0], ci_prob),
        relative=_relative(theta, effects, labels[0], ci_prob),
        decisions=decisions,
        coefficients=_coefficients(fit, ci_prob),
        clusters=None if roots is None else _clusters(fit, roots, ci_prob),
        members={label: _members(fit, *own, ci_prob) for label, own in (members or {}).items()},
        weights=_weights(fit, ci_prob),
        diagnostics=_diagnostics(fit),
        notes=(*about_population, *_undefined(theta), *fit.notes),
    )


def _arms(
    theta: xr.DataArray, cells: xr.DataArray, outcomes: list[str], ci_prob: float
) -> pd.DataFrame:
    import pandas as pd

    frames = {}
    for i, arm in enumerate(theta["arm"].values.tolist()):
        own = theta.isel(arm=i)
        frames[arm] = draws_table(
            {k: own.isel(outcome=j).values.ravel() for j, k in enumerate(outcomes)}, ci_prob
        )
    table = pd.concat(frames, names=["arm", "outcome"])
    if 1 < len(outcomes) <= 3:
        rho = outcome_correlation(cells, outcomes).mean(("chain", "draw"))
        for j, name in enumerate(outcomes):
            table[f"corr({name})"] = [
                float("nan") if j == k else float(rho[i, k, j])
                for i in range(rho.sizes["arm"])
                for k in range(len(outcomes))
            ]
    return table


def _effects(
    theta: xr.DataArray, effects: dict[str, Any], control: Any, ci_prob: float
) -> pd.DataFrame:
    import pandas as pd

    frames = {}
    for name, arm in effects.items():
        table = summarize(difference(theta, arm, control), ci_prob).to_dataframe()
        lower, upper = interval_names(ci_prob)
        frame = pd.DataFrame(
            {
                "difference": table["mean"],
                "sd": table["sd"],
                lower: table["lower"],
                upper: table["upper"],
                "P(> 0)": table["probability_above"],
                "mc_error": table["mc_error"],
            }
        )
        frames[name] = frame
    return pd.concat(frames, names=["treatment", "outcome"])


def _relative(
    theta: xr.DataArray, effects: dict[str, Any], control: Any, ci_prob: float
) -> pd.DataFrame:
    import pandas as pd

    frames, bounds = {}, interval_names(ci_prob)
    for name, arm in effects.items():
        frame = pd.DataFrame(index=theta["outcome"].values)
        for label, measure in (("ratio", ratio), ("odds ratio", odds_ratio)):
            table = _where_finite(measure(theta, arm, control), ci_prob)
            for end, column in zip(("median", "lower", "upper"), ("", *bounds), strict=True):
                frame[f"{label} {column}".rstrip()] = table[end]
        needed = number_needed_to_treat(difference(theta, arm, control), ci_prob)
        frame["number needed to treat"] = [needed[str(k)] for k in frame.index]
        frames[name] = frame
    return pd.concat(frames, names=["treatment", "outcome"])


def _where_finite(measure: xr.DataArray, ci_prob: float) -> pd.DataFrame:
    """Summarise a ratio, NaN for outcomes where draws of success are 0 or 1 to all digits."""
    finite = ((measure >= 0) & (measure < np.inf)).all(("chain", "draw"))
    table = summarize(measure.where(finite, 1.0), ci_prob).to_dataframe()
    return table.where(finite.to_series())


def _undefined(theta: xr.DataArray) -> tuple[str, ...]:
    """Return a sentence where success is certain, or impossible, in some draws."""
    edge = (theta <= 0) | (theta >= 1)
    names = edge.any(("chain", "draw", "arm")).to_series()
    return tuple(
        f"Draws of the success probability of {name!r} are 0 or 1 to all digits: ratios that are "
        "not finite are left out."
        for name in names.index[names]
    )


def _coefficients(fit: Fit, ci_prob: float) -> pd.DataFrame | None:
    import pandas as pd

    if "beta" not in fit.posterior:
        return None
    beta = fit.posterior["beta"]
    predictors = beta["predictor"].values.tolist()
    covariates = beta["covariate"].values.tolist()
    table = draws_table(
        {
            f"{p}, {c}": beta.isel(predictor=i, covariate=j).values.ravel()
            for i, p in enumerate(predictors)
            for j, c in enumerate(covariates)
        },
        ci_prob,
    )
    table.index = pd.MultiIndex.from_product(
        [predictors, covariates], names=["predictor", "covariate"]
    )
    return _with_figures(table, beta.transpose("chain", "draw", "predictor", "covariate").values)


def _clusters(fit: Fit, roots: np.ndarray, ci_prob: float) -> pd.DataFrame:
    import pandas as pd

    design = fit.design
    slopes = list(design.matrix.random_names)
    on_contrasts = fit.spec.trial_priors.clusters(design.matrix).on_contrasts
    each = design.contrast_names if on_contrasts else design.trial.predictors
    keys = [(s, name) for s in slopes for name in each]
    short = [name if len(slopes) == 1 else f"{s}, {name}" for s, name in keys]
    if on_contrasts:
        roots = np.linalg.solve(np.kron(np.eye(len(slopes)), design.contrasts), roots)
    table = _spreads(fit, roots, short, ci_prob)
    second = "contrast" if on_contrasts else "predictor"
    table.index = pd.MultiIndex.from_tuples(keys, names=["slope", second])
    return table


def _members(fit: Fit, coefs: tuple[str, ...], roots: np.ndarray, ci_prob: float) -> pd.DataFrame:
    names, count = list(fit.design.contrast_names), max(len(coefs), 1)
    own = np.linalg.solve(np.kron(np.eye(count), fit.design.contrasts), roots)
    if count > 1:
        names = [f"{c}, {name}" for c in coefs for name in names]
    return _spreads(fit, own, names, ci_prob).rename_axis("contrast")


def _weights(fit: Fit, ci_prob: float) -> pd.DataFrame | None:
    own = {}
    for name in fit.names("weight", "coefficient", "sd"):
        role, drawn = fit.roles[name], fit.posterior[name]
        if role.term and not {"predictor", "contrast"} & set(drawn.dims):
            for at in np.ndindex(drawn.shape[2:]):
                one = drawn.isel(dict(zip(drawn.dims[2:], at, strict=True)))
                label = ", ".join(str(one[d].item()) for d in drawn.dims[2:])
                own[role.text(label) if at else role.text()] = one
    if not own:
        return None
    table = draws_table({label: drawn.values.ravel() for label, drawn in own.items()}, ci_prob)
    return _with_figures(table, np.stack([drawn.values for drawn in own.values()], axis=2))


def _with_figures(table: pd.DataFrame, draws: np.ndarray) -> pd.DataFrame:
    """Add effective sizes and R-hats of draws, shape (chain, draw, ...), a row of each."""
    for name, found in chain_figures(draws, "ess_bulk", "r_hat").items():
        table[name] = found.ravel()
    return table


def _spreads(fit: Fit, roots: np.ndarray, names: list[str], ci_prob: float) -> pd.DataFrame:
    """Tabulate the sds of effects whose covariance has given roots, shape (sample, dim, dim)."""
    covariance = np.matmul(roots, np.swapaxes(roots, 1, 2))
    variance = np.diagonal(covariance, axis1=1, axis2=2)  # (sample, dim)
    sd = np.sqrt(variance)
    table = draws_table({name: sd[:, d] for d, name in enumerate(names)}, ci_prob)
    table.columns = ["sd", "sd_of_sd", *table.columns[2:]]
    chains, draws = fit.posterior.sizes["chain"], fit.posterior.sizes["draw"]
    table = _with_figures(table, sd.reshape(chains, draws, -1))
    table["variance"] = variance.mean(axis=0)
    if len(names) <= 8:
        spread = np.maximum(sd[:, :, None] * sd[:, None, :], np.finfo(float).tiny)
        correlation = (covariance / spread).mean(axis=0)
        for d, name in enumerate(names[:-1]):
            table[f"corr({name})"] = [
                correlation[d, e] if e > d else float("nan") for e in range(len(names))
            ]
    return table


def _diagnostics(fit: Fit) -> str:
    kind = direct_kind(fit)
    if kind is not None:
        sizes = fit.posterior.sizes
        return f"Diagnostics: path {fit.path!r}: {sizes['chain'] * sizes['draw']} {kind}."
    found = diagnose(fit)
    line = (
        f"Diagnostics: {way(fit)}, max R-hat "
        f"{found.max_rhat:.3f} ({found.max_rhat_parameter}), min ESS {found.min_ess:.0f} "
        f"({found.min_ess_parameter}), {found.divergences} divergences."
    )
    return "\n".join([line, *found.problems()])


def _short(value: Any) -> Any:
    if not isinstance(value, (float, np.floating)):
        return value
    value = float(value)
    if np.isnan(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3f}"
