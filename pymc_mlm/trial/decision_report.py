"""Success criteria, decisions and effects of a fitted trial, as parts of a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xarray as xr

from pymc_mlm.decisions import (
    AbstractRule,
    All,
    Compensatory,
    Custom,
    Decision,
    decide,
    difference,
    side_of,
    weighted,
)
from pymc_mlm.decisions import Any as AnyRule
from pymc_mlm.decisions.characteristics import AbstractCharacteristics
from pymc_mlm.decisions.thresholds import Alternative
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.intervals import interval, interval_names
from pymc_mlm.reporting.document import picture, records
from pymc_mlm.reporting.trial_summary import TrialSummary
from pymc_mlm.trial.estimand import endpoints
from pymc_mlm.trial.questions import success_probability

AGREED = "Outcomes, arms, rule and threshold are those of the plan."
Decided = Sequence[tuple[str, Decision]]  # comparison and decision


def effects(fit: Fit, population: Any, estimand: str | None) -> dict[str, xr.DataArray]:
    """Return draws of the differences of success probabilities, by comparison."""
    theta = success_probability(fit, population, estimand)
    control, *treatments = theta["arm"].values.tolist()
    return {f"{arm} against {control}": difference(theta, arm, control) for arm in treatments}


def check_rules(rules: Any, fit: Fit) -> tuple[AbstractRule, ...]:
    """Return the rules as a tuple; All and Any where none is given."""
    if rules is None:
        return (All(), AnyRule()) if len(fit.design.trial.outcomes) > 1 else (All(),)
    several = (rules,) if isinstance(rules, AbstractRule) else rules
    if not isinstance(several, (list, tuple)) or not several:
        raise SpecificationError(f"rules={rules!r} must be a rule, or a list of at least one.")
    return tuple(several)


def decide_all(
    effects: dict[str, xr.DataArray],
    rules: Sequence[AbstractRule],
    alpha: float,
    alternative: Alternative,
) -> Decided:
    """Decide each comparison by each rule."""
    pairs = [(name, own, rule) for name, own in effects.items() for rule in rules]
    return [
        (name, decide(rule, own, alpha, side_of(rule, alternative))) for name, own, rule in pairs
    ]


def criterion_parts(
    fit: Fit, decided: Decided, operating: AbstractCharacteristics | None
) -> dict[str, Any]:
    """Return the criterion of each rule with its calibration, as parts of a section."""
    rules = {d.rule.label: d for _, d in decided}
    rows = [_criterion(decision) for decision in rules.values()]
    return {
        "Criteria": rows,
        "Calibration": _calibration(rules, operating, len(fit.design.trial.arm) - 1),
        "Agreement with the plan": (
            [] if operating is None else disagreements(fit, decided, operating)
        ),
    }


def disagreements(fit: Fit, decided: Decided, operating: AbstractCharacteristics) -> list[str]:
    """Return where the analysis is not the one that was planned, a sentence each."""
    plan, trial = operating.planned, fit.design.trial
    analysed = {"outcomes": list(trial.outcomes), "arms": list(map(str, trial.arm.labels))}
    found = [
        f"Planned {what}: {', '.join(plan[what])}; analysed: {', '.join(here)}."
        for what, here in analysed.items()
        if plan[what] != here
    ]
    labels = {d.rule.label for _, d in decided}
    if plan["rule"] not in labels:
        found.append(f"Planned was rule {plan['rule']}, which this report does not decide by.")
    own = {e.threshold for _, d in decided if d.rule.label == plan["rule"] for e in d.evidence}
    if any(abs(threshold - plan["threshold"]) > 1e-9 for threshold in own):
        shown = ", ".join(f"{threshold:.6g}" for threshold in sorted(own))
        found.append(
            f"The planned threshold is {plan['threshold']:.6g}, and decisions here take {shown}: "
            "the planned error rates are those of the planned threshold."
        )
    return found or [AGREED]


def decision_parts(decided: Decided) -> dict[str, Any]:
    """Return conclusions, and the evidence behind them, as parts of a section."""
    rows, marginal = [], []
    for against, decision in decided:
        for evidence in decision.evidence:
            key = {"comparison": against, "rule": decision.rule.label}
            key |= {"direction": evidence.direction}
            rows.append(
                {
                    **key,
                    "statistic": evidence.statistic,
                    "threshold": evidence.threshold,
                    "criterion met": evidence.met,
                    "joint probability": evidence.joint_probability,
                    "its Monte Carlo error": evidence.joint_error,
                    "conclusion": decision.conclusion,
                }
            )
            marginal += [
                {
                    **key,
                    "contrast": name,
                    "probability": p,
                    "Monte Carlo error": evidence.marginal_error[name],
                }
                for name, p in evidence.marginal.items()
            ]
    return {"Decisions": rows, "Marginal posterior probabilities": marginal}


def conclusions(decided: Decided) -> list[str]:
    """Return each decision as a sentence."""
    found = []
    for against, decision in decided:
        first = decision.evidence[0]
        sign = "above" if first.met else "not above"
        found.append(
            f"{against}, rule {decision.rule.label} ({endpoints(decision.rule)}): "
            f"{decision.conclusion}; posterior probability {first.statistic:.4f}, {sign} the "
            f"threshold {first.threshold:.6g}."
        )
        if any(evidence.close for evidence in decision.evidence):
            found.append(
                f"{against}, rule {decision.rule.label}: the criterion lies within two Monte Carlo "
                "errors; draw more to be sure."
            )
    return found


def result_parts(
    summary: TrialSummary, decided: Decided, effects: dict[str, xr.DataArray], ci_prob: float
) -> dict[str, Any]:
    """Return success probabilities and effects, as parts of a section."""
    drawn = "Treatment effects: differences of success probabilities"
    tables = {
        drawn: summary.effects,
        "Ratios, medians, and patients for one more success": summary.relative,
        "Success probabilities": summary.arms,
        "Coefficients, log odds, covariates as they are": summary.coefficients,
        "Cluster effects, log odds": summary.clusters,
        **{f"Effects [{label}], log odds": t for label, t in summary.members.items()},
        "Parameters of weights": (
            None if summary.weights is None else summary.weights.rename_axis("parameter")
        ),
    }
    named = {k: _bounds(t, ci_prob) for k, t in tables.items() if t is not None}
    return {
        "Intervals": f"Equal-tailed, {100 * ci_prob:g}% posterior probability. Means unless they "
        "are called medians.",
        drawn: named.pop(drawn),
        "Picture of the treatment effects": picture(drawn, ("treatment", "outcome"), "difference"),
        "Weighted effects": _weighted(decided, effects, ci_prob),
        **named,
    }


def _bounds(frame: Any, ci_prob: float) -> list[dict[str, Any]]:
    """Return rows with plain names of the ends of intervals."""
    low, high = interval_names(ci_prob)
    new = [str(c).replace(low, "lower").replace(high, "upper") for c in frame.columns]
    return records(frame.set_axis(new, axis=1))


def _criterion(decision: Decision) -> dict[str, Any]:
    every = decision.rule.combine == "every"
    several = len(decision.evidence[0].marginal) > 1
    which = ("smallest " if every else "largest ") if several else ""
    alpha = None if isinstance(decision.rule, Custom) else decision.alpha
    return {
        "rule": decision.rule.label,
        "endpoints": endpoints(decision.rule),
        "alternative": decision.alternative,
        "statistic": f"{which}marginal posterior probability",
        "must exceed": decision.evidence[0].threshold,
        "nominal type I error": alpha,
    }


def _weighted(
    decided: Decided, effects: dict[str, xr.DataArray], ci_prob: float
) -> list[dict[str, Any]]:
    rows = []
    for against, decision in decided:
        if isinstance(decision.rule, Compensatory):
            sums = weighted(effects[against], decision.rule.weights)
            lower, upper = interval(sums.values.ravel(), ci_prob)
            rows.append(
                {
                    "comparison": against,
                    "rule": decision.rule.label,
                    "weighted effect": float(sums.mean()),
                    "sd": float(sums.std(ddof=1)),
                    "lower": float(lower),
                    "upper": float(upper),
                }
            )
    return rows


def _calibration(
    rules: dict[str, Decision], operating: AbstractCharacteristics | None, comparisons: int
) -> list[str]:
    decision = next(iter(rules.values()))
    side = "two-sided" if decision.alternative == "two-sided" else "one-sided"
    found = [
        f"The nominal type I error is {side}. With little prior information it is that of the "
        "criterion in large samples (Kavelaars, Mulder and Kaptein 2020)."
    ]
    if comparisons > 1:
        found.append(f"It is that of each comparison; the {comparisons} are not adjusted for.")
    if any(isinstance(d.rule, Custom) for d in rules.values()):
        found.append("No error rate is known for a custom rule.")
    if operating is None:
        found.append(
            "No operating characteristics were given to this report, so the error of this design "
            "and sample size is not stated. pymc_mlm.planning finds it."
        )
    else:
        found.append("The errors of the planned design stand under Operating characteristics.")
    return found
