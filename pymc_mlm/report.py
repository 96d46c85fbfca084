"""Reports of fitted models: what was assumed, done and found, with all that makes it reproducible.

Sections are functions of a `Fit` in `reporting/` and `trial/`; here they are put together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.arviz_groups import Extension, extended
from pymc_mlm.data.fingerprint import fingerprints
from pymc_mlm.decisions.characteristics import AbstractCharacteristics
from pymc_mlm.decisions.rules import AbstractRule
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.inference import interruption
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.prior_predictive import sample_prior_predictive
from pymc_mlm.prior_sensitivity import POWERS, affordable_draws, scaled_decisions
from pymc_mlm.reporting.cautions import cautions
from pymc_mlm.reporting.checklist import checklist
from pymc_mlm.reporting.document import Report, make_report
from pymc_mlm.reporting.justified_priors import OF_TRIALS, justified_priors
from pymc_mlm.reporting.linear_report import linear_parts, parameter_draws, result_parts
from pymc_mlm.reporting.provenance import convergence, reproduction, short_chains
from pymc_mlm.reporting.sensitivity import power_scaling
from pymc_mlm.trial import decision_report as decided
from pymc_mlm.trial.borrowing_report import borrowing
from pymc_mlm.trial.design_report import design_parts, model_parts
from pymc_mlm.trial.estimand import estimand_rows
from pymc_mlm.trial.predictive_report import MEANING, NOT_DRAWN, posterior_rows, prior_rows
from pymc_mlm.trial.reports import summary
from pymc_mlm.trial.tipping_point import tipping_parts

PRIOR_DRAWS = 500
SEED = 1  # of predictive draws, so that the report of a fit is always the same
OF_THE_SAMPLE = (
    "Missing outcomes are those of the trial's persons, so that trial.tipping_point(rule) answers "
    "for them alone, and not for another population or a typical cluster."
)
POWER_SCALING = (
    "Sensitivity to raising the prior, or the likelihood, to a power near one (Kallioinen et al. "
    "2024): a cumulative Jensen-Shannon distance per doubling. Above 0.05 a result is sensitive."
)


def report_trial(
    fit: Fit,
    call: str,
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
    """Return the report of a fitted trial.

    Parameters
    ----------
    fit : Fit
        A fitted trial.
    call : str
        The model as code.
    rules, alpha, alternative, population, estimand, attributes, reasons, operating, ci_prob
        As in `pymc_mlm.estimators.questions.AbstractTrialEstimator.report`.

    Returns
    -------
    Report
    """
    if operating is not None and not isinstance(operating, AbstractCharacteristics):
        raise SpecificationError(
            f"operating={operating!r} is no result of planning. Give what "
            "operating_characteristics or sequential_characteristics returns."
        )
    words = summary(fit, population, estimand, ci_prob, alpha, alternative)
    effects = decided.effects(fit, population, estimand)
    found = decided.decide_all(effects, decided.check_rules(rules, fit), alpha, alternative)
    borrowed = None if fit.spec.trial_priors.control is None else borrowing(fit, ci_prob)
    sections: dict[str, Any] = {
        "Conclusions": {"Decisions in words": decided.conclusions(found)},
        "Estimand": {
            "Attributes of ICH E9(R1)": estimand_rows(fit, words.estimand, attributes),
            "About the population": list(words.notes[: len(words.notes) - len(fit.notes)]),
        },
        "Design": design_parts(fit),
        "Model": model_parts(fit),
        "Priors": {
            "Priors and their reasons": justified_priors(fit, reasons, OF_TRIALS),
            **(borrowed.parts() if borrowed is not None else {}),
        },
        "Success criterion": decided.criterion_parts(fit, found, operating),
        "Operating characteristics": {} if operating is None else operating.parts,
        "Results": {
            **decided.decision_parts(found),
            **decided.result_parts(words, found, effects, ci_prob),
        },
    }
    comparisons = xr.DataArray(list(effects), dims="comparison", name="comparison")
    draws = xr.concat(list(effects.values()), dim=comparisons).to_dataset(name="difference")
    rows = len(fit.design.X)
    rules_used = decided.check_rules(rules, fit)
    sections |= _computed(fit, draws, rows, (effects, rules_used, POWERS, alpha, alternative))
    sections["Sensitivity"] |= _missing(fit, found, population, estimand, alpha, alternative)
    sections |= _checked(fit, rows, ci_prob)
    sections["Diagnostics"] = convergence(fit, draws)
    plan = sections["Success criterion"]["Agreement with the plan"]
    differs = [text for text in plan if text != decided.AGREED]
    conflicts = [] if borrowed is None else borrowed.conflicts()
    return _finished(fit, sections, call, trial=True, further=[*differs, *conflicts])


def report_model(
    fit: Fit, call: str, reasons: Mapping[str, str] | None = None, ci_prob: float = CI_PROB
) -> Report:
    """Return the report of a fitted model with one linear predictor.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    call : str
        The model as code.
    reasons, ci_prob
        As in `pymc_mlm.estimators.linear.AbstractLinearEstimator.report`.

    Returns
    -------
    Report
    """
    sections: dict[str, Any] = {
        **linear_parts(fit),
        "Priors": {
            "Priors and their reasons": justified_priors(fit, reasons),
            "Notes": list(fit.spec.prior_notes(fit.design)),
        },
        "Results": result_parts(fit, ci_prob),
    }
    rows = len(fit.design.rows)
    sections |= _computed(fit, parameter_draws(fit), rows)
    sections["Diagnostics"] = convergence(fit)
    return _finished(fit, sections, call, trial=False)


def _finished(
    fit: Fit, sections: dict[str, Any], call: str, trial: bool, further: Sequence[str] = ()
) -> Report:
    """Add the sections that every model has."""
    found = cautions(fit, sections, [*interruption(fit.idata), *further])
    digests = {} if fit.table is None else fingerprints(fit.table, fit.spec.columns)
    reproducible = {"Reproduction": reproduction(fit, call, digests)}
    sections["Checklist"] = {"Items": checklist(sections | reproducible, trial)}
    first = {"Cautions": {"Read before the results": found}}
    return make_report(fit.title, first | sections | reproducible)


def _computed(fit: Fit, results: xr.Dataset, rows: int, decisions: Any = None) -> dict[str, Any]:
    """Return sensitivities of results, and of decisions where there are some."""
    draws = affordable_draws(fit, rows)
    if not draws:
        found = {
            "Not computed": f"The log likelihoods of {rows:,} rows take too much memory for a "
            'report. Call az.psense_summary(model.extend("log_likelihood", "log_prior", '
            "most_draws=...)) where there is enough."
        }
        return {"Sensitivity": found}
    with short_chains():
        tree = extended(fit, Extension(("log_likelihood", "log_prior"), most_draws=draws))
        size = tree["posterior"].sizes["draw"]
        keep = np.linspace(0, results.sizes["draw"] - 1, size).astype(int)
        table = power_scaling(results.isel(draw=keep), tree)
    parts: dict[str, Any] = {"Meaning": POWER_SCALING, "Power-scaling": table}
    if decisions is not None:
        effects, *more = decisions
        parts["Decisions under power-scaling"] = scaled_decisions(effects, tree, *more)
    return {"Sensitivity": parts}


def _missing(
    fit: Fit,
    found: decided.Decided,
    population: Any,
    estimand: str | None,
    alpha: float,
    alternative: Alternative,
) -> dict[str, Any]:
    """Return how far missing outcomes must be from missing at random to change decisions."""
    if population is not None or estimand == "typical_cluster":
        return {"Missing outcomes": OF_THE_SAMPLE}
    rules = {decision.rule.label: decision.rule for _, decision in found}
    return tipping_parts(fit, list(rules.values()), alpha, alternative, estimand)


def _checked(fit: Fit, rows: int, ci_prob: float) -> dict[str, Any]:
    """Return the predictive checks of a trial."""
    draws = affordable_draws(fit, rows)
    if not draws:
        return {}
    groups = Extension(("posterior_predictive",), most_draws=draws)
    posterior = extended(fit, groups, SEED)["posterior_predictive"]["outcomes"]
    parts: dict[str, Any] = {
        "Meaning": MEANING,
        "Posterior predictive": posterior_rows(fit, posterior, ci_prob),
    }
    try:
        with warnings.catch_warnings():
            # PyTensor warns of the compilation of a distribution without draws, and PyMC raises.
            warnings.filterwarnings("ignore", "Numba will use object mode", UserWarning)
            drawn = sample_prior_predictive(fit.spec, fit.design, min(draws, PRIOR_DRAWS), SEED)
    except NotImplementedError:
        return {"Predictive checks": parts | {"No prior predictive": NOT_DRAWN}}
    outcomes = drawn["prior_predictive"]["outcomes"]
    return {"Predictive checks": parts | {"Prior predictive": prior_rows(fit, outcomes, ci_prob)}}
