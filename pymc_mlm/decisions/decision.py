"""From effect draws and a rule to a decision, with both kinds of evidence named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pymc_mlm.decisions.draws import Effect, EffectDraws, effect_draws, monte_carlo_error
from pymc_mlm.decisions.rules import AbstractRule, Custom, Direction
from pymc_mlm.decisions.thresholds import Alternative, marginal_threshold
from pymc_mlm.errors import SpecificationError

Conclusion = Literal["superior", "inferior", "superior and inferior", "equivalent", "not decided"]


@dataclass(frozen=True)
class Evidence:
    """What the draws say about a rule in one direction.

    Attributes
    ----------
    direction : {"greater", "less"}
        ``"greater"``: the treatment is better; ``"less"``: the control is.
    joint_probability, joint_error : float
        Posterior probability that the rule holds, and its Monte Carlo error. What bmco prints.
    marginal, marginal_error : mapping of str to float
        Posterior probability that each contrast is positive, and its Monte Carlo error.
    statistic : float
        The smallest (All) or largest (Any) marginal probability: what is decided on.
    threshold : float
        What `statistic` must exceed.
    """

    direction: Direction
    joint_probability: float
    joint_error: float
    marginal: Mapping[str, float]
    marginal_error: Mapping[str, float]
    statistic: float
    threshold: float

    @property
    def met(self) -> bool:
        """Whether the error-controlled criterion is met."""
        return self.statistic > self.threshold

    @property
    def close(self) -> bool:
        """Whether other draws could turn the decision: within two Monte Carlo errors."""
        error = max(
            self.marginal_error[name] for name, p in self.marginal.items() if p == self.statistic
        )
        return abs(self.statistic - self.threshold) < 2 * error


@dataclass(frozen=True)
class Decision:
    """Answer to a rule: the evidence, the criterion and what follows.

    Attributes
    ----------
    rule : AbstractRule
        The question.
    alternative : {"greater", "less", "two-sided"}
        Direction that was asked about.
    alpha : float
        Type I error of the decision.
    evidence : tuple of Evidence
        One entry, or two for a two-sided alternative.
    """

    rule: AbstractRule
    alternative: Alternative
    alpha: float
    evidence: tuple[Evidence, ...]

    @property
    def conclusion(self) -> Conclusion:
        """The decision by the criterion."""
        met = {e.direction for e in self.evidence if e.met}
        if met == {"greater", "less"}:
            return "superior and inferior"
        if met and not self.rule.has_direction:
            return "equivalent"
        if met:
            return "superior" if met == {"greater"} else "inferior"
        return "not decided"

    @property
    def joint_probability(self) -> float:
        """Joint posterior probability in the direction asked about (greater if two-sided)."""
        return self.evidence[0].joint_probability

    def __str__(self) -> str:
        head = f"Rule {self.rule.label}, alternative {self.alternative!r}, alpha {self.alpha:g}"
        blocks = [line for e in self.evidence for line in _lines(e, self.rule, self.alpha)]
        return "\n".join([head, *blocks, f"Conclusion: {_sentence(self.conclusion)}"])


def decide(
    rule: AbstractRule, effect: Effect, alpha: float = 0.05, alternative: Alternative = "greater"
) -> Decision:
    r"""Decide about a treatment with a controlled type I error.

    Parameters
    ----------
    rule : AbstractRule
        `All`, `Any`, `Compensatory`, `Single`, `Margins`, `Equivalence` or `Custom`.
    effect : DataArray or array_like
        Draws of the effect, treatment minus control; dims chain, draw, outcome (or sample,
        outcome).
    alpha : float, default 0.05
        Type I error.
    alternative : {"greater", "less", "two-sided"}
        ``"greater"``: is the treatment better; ``"less"``: is the control better.

    Returns
    -------
    Decision
        Prints as text; holds the joint probability, the marginal ones, threshold, conclusion.

    Notes
    -----
    The criterion is that of Kavelaars et al. (2020): All, the smallest marginal
    :math:`P(\delta_k > m_k)` exceeds :math:`1 - \alpha`; Any, the largest exceeds
    :math:`1 - \alpha / K`; Compensatory, :math:`P(w' \delta > m) > 1 - \alpha`; with
    :math:`\alpha / 2` on either side if two-sided. `pymc_mlm.decisions.thresholds` tells why it
    is not the joint probability.

    Examples
    --------
    >>> import numpy as np
    >>> from pymc_mlm.decisions import All
    >>> draws = np.random.default_rng(1).normal([0.2, 0.3], 0.1, size=(4000, 2))
    >>> decide(All(), draws).conclusion
    'superior'
    """
    if alternative != side_of(rule, alternative):
        raise SpecificationError(
            f"alternative={alternative!r}: equivalence has no direction. Leave alternative out."
        )
    draws = effect_draws(effect)
    directions: tuple[Direction, ...] = (
        ("greater", "less") if alternative == "two-sided" else (alternative,)
    )
    num_contrasts = len(rule.contrasts(draws))
    threshold = marginal_threshold(rule.combine, num_contrasts, alpha, alternative)
    evidence = tuple(_evidence(rule, draws, d, threshold) for d in directions)
    return Decision(rule, alternative, alpha, evidence)


def side_of(rule: Any, alternative: Alternative) -> Alternative:
    """Return the side that a rule looks at where `alternative` is asked of several.

    Parameters
    ----------
    rule : AbstractRule
        The rule.
    alternative : {"greater", "less", "two-sided"}
        What is asked of all rules.

    Returns
    -------
    {"greater", "less", "two-sided"}
        The same; "greater" for equivalence, which has no direction.

    Raises
    ------
    SpecificationError
        It is no rule.

    Examples
    --------
    >>> from pymc_mlm.decisions import All, Equivalence
    >>> side_of(All(), "less"), side_of(Equivalence({"y": (-0.1, 0.1)}), "less")
    ('less', 'greater')
    """
    if not isinstance(rule, AbstractRule):
        raise SpecificationError(
            f"rule={rule!r} is no rule. Write All(), Any(), Compensatory((0.7, 0.3)), "
            "Single('name'), Margins({...}), Equivalence({...}) or Custom(function), with the "
            "parentheses."
        )
    return rule.side(alternative)


def _evidence(
    rule: AbstractRule, draws: EffectDraws, direction: Direction, threshold: float
) -> Evidence:
    facing = draws if direction == "greater" else draws.mirrored()
    positive = {name: values > 0 for name, values in rule.contrasts(facing).items()}
    marginal = {name: float(p.mean()) for name, p in positive.items()}
    joint = rule.superior(facing)
    return Evidence(
        direction=direction,
        joint_probability=float(joint.mean()),
        joint_error=monte_carlo_error(joint),
        marginal=marginal,
        marginal_error={name: monte_carlo_error(p) for name, p in positive.items()},
        statistic=(min if rule.combine == "every" else max)(marginal.values()),
        threshold=threshold,
    )


def _lines(evidence: Evidence, rule: AbstractRule, alpha: float) -> list[str]:
    better = "treatment is better" if evidence.direction == "greater" else "control is better"
    if not rule.has_direction:
        better = "arms are equivalent"
    width = max(map(len, evidence.marginal))
    lines = [f"Evidence that the {better}, with Monte Carlo errors:"]
    for name, p in evidence.marginal.items():
        lines.append(f"  {name:<{width}}  {p:.4f} ({evidence.marginal_error[name]:.4f})")
    which = ""
    if len(evidence.marginal) > 1:
        which = "smallest " if rule.combine == "every" else "largest "
    control = (
        "no error rate is known for a custom rule"
        if isinstance(rule, Custom)
        else f"type I error {alpha:g}"
    )
    lines += [
        f"Decision criterion ({control}): {which}probability {evidence.statistic:.4f} > "
        f"{evidence.threshold:.4f}? {'yes' if evidence.met else 'no'}",
        f"Joint posterior probability of the rule (evidence only, as bmco prints): "
        f"{evidence.joint_probability:.4f} ({evidence.joint_error:.4f})",
    ]
    if evidence.close:
        lines.append("The criterion lies within two Monte Carlo errors: draw more to be sure.")
    return lines


def _sentence(conclusion: Conclusion) -> str:
    return {
        "superior": "the treatment is better by this rule.",
        "inferior": "the control is better by this rule.",
        "equivalent": "the arms are practically equivalent by this rule.",
        "superior and inferior": "each arm meets the rule against the other: better on some "
        "outcome, or not inferior where margins are negative.",
        "not decided": "no decision; the evidence does not reach the criterion.",
    }[conclusion]
