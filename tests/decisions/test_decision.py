"""Laws of the decision: criterion, error rate, text."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from pymc_mlm.decisions import (
    All,
    Any,
    Compensatory,
    Custom,
    Margins,
    Single,
    decide,
    joint_all_cutoff,
    joint_any_cutoff,
    marginal_threshold,
)
from pymc_mlm.errors import SpecificationError


@pytest.fixture
def effect(rng):
    """Two outcomes whose probabilities of a gain are about .96 and .84."""
    return rng.normal([0.175, 0.1], 0.1, size=(4, 2500, 2))


@pytest.mark.parametrize(
    ("combine", "alternative", "threshold"),
    [
        ("every", "greater", 0.95),
        ("any", "greater", 0.975),
        ("any", "less", 0.975),
        ("every", "two-sided", 0.975),
        ("any", "two-sided", 0.9875),
    ],
)
def test_thresholds_are_those_of_the_papers(combine, alternative, threshold):
    assert marginal_threshold(combine, 2, 0.05, alternative) == pytest.approx(threshold)


def test_all_is_decided_on_the_weakest_outcome_and_any_on_the_strongest(effect):
    share = (effect > 0).mean(axis=(0, 1))
    weakest, strongest = (decide(rule, effect).evidence[0] for rule in (All(), Any()))
    assert weakest.statistic == share.min()
    assert strongest.statistic == share.max()
    assert (weakest.threshold, strongest.threshold) == (0.95, 0.975)


def test_joint_and_marginal_evidence_are_both_given(effect):
    evidence = decide(All(), effect).evidence[0]
    assert evidence.joint_probability == (effect > 0).all(axis=2).mean()
    assert list(evidence.marginal) == ["y1", "y2"]
    assert evidence.joint_probability < evidence.statistic


def test_a_weighted_sum_has_one_probability(effect):
    evidence = decide(Compensatory((0.7, 0.3)), effect).evidence[0]
    expected = (effect @ [0.7, 0.3] > 0).mean()
    assert evidence.statistic == evidence.joint_probability == expected
    assert decide(Compensatory((7, 3)), effect).conclusion == "superior"


def test_a_two_sided_decision_looks_both_ways(effect):
    decision = decide(
        Any(), np.stack([effect[..., 0] + 1, effect[..., 1] - 1], axis=-1), 0.05, "two-sided"
    )
    assert decision.conclusion == "superior and inferior"
    assert decide(All(), effect - 1, alternative="two-sided").conclusion == "inferior"
    assert decide(All(), effect - 1, alternative="less").conclusion == "inferior"
    assert decide(All(), effect - 1).conclusion == "not decided"


def test_non_inferiority_can_be_met_where_superiority_is_not(effect):
    assert decide(All(), effect).conclusion == "not decided"
    assert decide(Margins({"y1": 0.0, "y2": -0.1}), effect).conclusion == "superior"


def test_a_close_call_is_said(rng):
    effect = rng.normal(stats.norm.ppf(0.951), 1, size=(1, 400, 1))
    decision = decide(All(), effect)
    assert decision.evidence[0].close
    assert "two Monte Carlo errors" in str(decision)


def test_the_text_says_which_number_is_which(effect):
    text = str(decide(All(), effect))
    assert "Rule All, alternative 'greater', alpha 0.05" in text
    assert "Decision criterion (type I error 0.05): smallest probability" in text
    assert "evidence only, as bmco prints" in text
    assert "Conclusion: no decision" in text
    custom = str(decide(Custom(lambda d: d[..., 0] > 0, "mine"), effect))
    assert "no error rate is known for a custom rule" in custom


def test_a_decision_is_a_value(effect):
    decision = decide(All(), effect)
    assert decision == decide(All(), effect)
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.alpha = 0.1


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 5, float("nan"), "a", None])
def test_alpha_is_a_probability(effect, alpha):
    with pytest.raises(SpecificationError, match="between 0 and 1"):
        decide(All(), effect, alpha=alpha)


@pytest.mark.parametrize("rule", ["All", All, all])
def test_what_is_no_rule_is_named(effect, rule):
    with pytest.raises(SpecificationError, match=r"is no rule\. Write All"):
        decide(rule, effect)


def test_the_text_gives_the_margins_that_were_asked_about(effect):
    assert "Rule All(margins=-0.1)," in str(decide(All(margins=-0.1), effect))
    assert "Rule Any(margins=y1 > 0.05)," in str(decide(Any(margins={"y1": 0.05}), effect))
    assert "Rule Single(y1 > -0.1)," in str(decide(Single("y1", margin=-0.1), effect))
    text = str(decide(Compensatory((0.7, 0.3), margin=0.02), effect))
    assert "Rule Compensatory(0.7, 0.3, margin=0.02)," in text


def test_two_arms_that_are_not_inferior_are_not_said_to_be_better(effect):
    decision = decide(Single("y1", margin=-5.0), effect, alternative="two-sided")
    assert decision.conclusion == "superior and inferior"
    assert "or not inferior where margins are negative" in str(decision)


def test_an_unknown_alternative_lists_the_known_ones(effect):
    with pytest.raises(SpecificationError, match="'greater', 'less' or 'two-sided'"):
        decide(All(), effect, alternative="right_sided")


@pytest.mark.parametrize(("num_outcomes", "cutoff"), [(1, 0.95), (2, 0.991)])
def test_the_joint_cutoff_of_any(num_outcomes, cutoff):
    assert joint_any_cutoff(0.05, num_outcomes) == pytest.approx(cutoff, abs=5e-4)


@pytest.mark.parametrize("num_outcomes", [2, 3, 5])
def test_the_joint_cutoff_of_any_keeps_alpha_for_independent_outcomes(rng, num_outcomes):
    u = rng.random((200_000, num_outcomes))
    fires = 1 - np.prod(1 - u, axis=1) > joint_any_cutoff(0.05, num_outcomes)
    # Four binomial standard errors.
    assert fires.mean() == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 200_000))


def test_the_joint_cutoff_of_all_is_one_minus_alpha():
    assert joint_all_cutoff(0.1) == 0.9


@pytest.mark.parametrize("correlation", [-0.3, 0.0, 0.6])
def test_any_keeps_alpha_and_its_joint_probability_does_not(rng, correlation):
    # Normal posteriors of two effects that are nil; each trial's evidence is known exactly.
    covariance = [[1, correlation], [correlation, 1]]
    estimate = rng.multivariate_normal([0, 0], covariance, size=4000)
    marginal = stats.norm.cdf(estimate)
    joint = 1 - stats.multivariate_normal(cov=covariance).cdf(-estimate)
    error = np.sqrt(0.05 * 0.95 / 4000)
    assert (marginal.max(axis=1) > marginal_threshold("any", 2)).mean() < 0.05 + 3 * error
    assert (joint > 0.95).mean() > 0.1
