"""Summary and pictures of a fitted trial."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymc_mlm.decisions import All
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.reporting import trial_plots
from pymc_mlm.reporting.decision_curve import plot_decision_curve
from pymc_mlm.reporting.tipping import plot_tipping_points
from pymc_mlm.reporting.trial_summary import TrialSummary, trial_summary
from pymc_mlm.trial.arguments import check_plot_arguments
from pymc_mlm.trial.members import MemberDraws
from pymc_mlm.trial.questions import (
    decision_curve,
    draws_of,
    effect_draws,
    outside,
    target_cells,
    target_of,
    treatment_effect,
    treatment_effect_curve,
)
from pymc_mlm.trial.target import described
from pymc_mlm.trial.tipping_point import tipping_point

QUESTION = ("population", "estimand", "treatment")


def summary(
    fit: Fit,
    population: Any = None,
    estimand: str | None = None,
    ci_prob: float = CI_PROB,
    alpha: float = 0.05,
    alternative: Alternative = "greater",
) -> TrialSummary:
    """Report arms, effects, decisions, coefficients, clusters and diagnostics."""
    target = target_of(fit, population, estimand, None, "both")
    cells, warned = target_cells(fit, target), tuple(outside(fit, target))
    draws = draws_of(fit) if fit.design.units else None
    words = described(target, fit.design.trial.cluster is not None, bool(fit.design.terms))
    roots = None if draws is None else draws.roots
    of_terms = [] if draws is None else draws.members
    members = {
        own.block.label: (own.block.coefs, own.roots)
        for own in of_terms
        if isinstance(own, MemberDraws)
    }
    return trial_summary(fit, cells, roots, words, ci_prob, alpha, alternative, warned, members)


def plot(fit: Fit, kind: str = "treatment_effects", **options: Any) -> Any:
    """Draw a picture of a trial.

    Parameters
    ----------
    fit : Fit
        A fitted trial.
    kind : str
        A key of `PICTURES`.
    **options
        Parts of the question, and what the picture takes.

    Returns
    -------
    arviz_plots.PlotCollection or matplotlib.figure.Figure

    Raises
    ------
    SpecificationError
        No such kind, or an option that it does not take.
    """
    if kind not in PICTURES:
        *names, last = map(repr, PICTURES)
        raise SpecificationError(f"plot has no kind {kind!r}. Use {', '.join(names)} or {last}.")
    draw, question, functions = PICTURES[kind]
    check_plot_arguments(
        kind, tuple(options), question, *functions, *trial_plots.drawn_by_arviz(kind)
    )
    asked = {name: options.pop(name) for name in question if name in options}
    return draw(fit, asked, options)


def _treatment_effects(fit: Fit, asked: dict[str, Any], options: dict[str, Any]) -> Any:
    if asked.get("measure", "difference") != "difference":
        options.setdefault("null", 1.0)
    return trial_plots.plot_treatment_effects(treatment_effect(fit, **asked), **options)


def _joint(fit: Fit, asked: dict[str, Any], options: dict[str, Any]) -> Any:
    return trial_plots.plot_joint(treatment_effect(fit, **asked), **options)


def _curve(fit: Fit, asked: dict[str, Any], options: dict[str, Any]) -> Any:
    column = options.pop("column", None) or _only_covariate(fit)
    return trial_plots.plot_curve(treatment_effect_curve(fit, column, **asked), column, **options)


def _decision_curve(fit: Fit, asked: dict[str, Any], options: dict[str, Any]) -> Any:
    column = asked.pop("column", None) or _only_covariate(fit, "decision_curve")
    table = decision_curve(fit, asked.pop("rule", All()), column, **asked)
    return plot_decision_curve(table, **options)


def _tipping_point(fit: Fit, asked: dict[str, Any], options: dict[str, Any]) -> Any:
    rule = asked.pop("rule", All())
    return plot_tipping_points(tipping_point(fit, rule, **asked), **options)


def _effects(fit: Fit, asked: dict[str, Any], options: dict[str, Any]) -> Any:
    return trial_plots.plot_effects(effect_draws(fit, **asked), **options)


def _forest(fit: Fit, asked: dict[str, Any], options: dict[str, Any]) -> Any:
    return trial_plots.plot_parameters(fit, **options)


def _trace(fit: Fit, asked: dict[str, Any], options: dict[str, Any]) -> Any:
    return trial_plots.plot_walks(fit, **options)


def _only_covariate(fit: Fit, kind: str = "curve") -> str:
    names = list(fit.design.columns)
    if len(names) != 1:
        raise SpecificationError(
            f"plot({kind!r}) needs column=, one of the covariates {', '.join(names) or '(none)'}."
        )
    return names[0]


# How each kind is drawn, which parts of a question it takes, and whose other options.
Picture = tuple[Callable[..., Any], tuple[str, ...], tuple[Callable[..., Any], ...]]
PICTURES: dict[str, Picture] = {
    "treatment_effects": (
        _treatment_effects,
        (*QUESTION, "weights", "covariate_rows", "measure"),
        (trial_plots.plot_treatment_effects,),
    ),
    "joint": (_joint, (*QUESTION, "weights", "covariate_rows"), (trial_plots.plot_joint,)),
    "curve": (_curve, (*QUESTION, "grid"), (trial_plots.plot_curve,)),
    "decision_curve": (
        _decision_curve,
        ("rule", "column", "grid", *QUESTION, "alpha", "alternative"),
        (plot_decision_curve,),
    ),
    "tipping_point": (
        _tipping_point,
        ("rule", "along", "grid", "treatment", "estimand", "alpha", "alternative"),
        (plot_tipping_points,),
    ),
    "effects": (_effects, ("term",), (trial_plots.plot_effects,)),
    "forest": (_forest, (), (trial_plots.plot_parameters,)),
    "trace": (_trace, (), (trial_plots.plot_walks,)),
}
