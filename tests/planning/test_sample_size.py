"""Laws of power and sample size."""

import numpy as np
import pytest
from scipy import stats

from pymc_mlm.data.cells import cells
from pymc_mlm.decisions import All, Any, Compensatory, Custom, Margins, Single, marginal_threshold
from pymc_mlm.decisions.draws import EffectDraws
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning import PlannedTrial, compensatory_sample_size, power, sample_size

TRIAL = PlannedTrial((0.4, 0.5), (0.52, 0.65), 0.3, 0.2)
TRIALS = 4000


def cell_probabilities(success, correlation):
    p, q = success
    both = p * q + correlation * np.sqrt(p * (1 - p) * q * (1 - q))
    return [both, p - both, q - both, 1 - p - q + both]


def simulated_power(rule, per_arm, rng, alpha=0.05):
    """Share of simulated trials whose Dirichlet posterior, taken as normal, meets the rule."""
    moments = []
    for success, correlation in ((TRIAL.treatment, 0.2), (TRIAL.control, 0.3)):
        counts = rng.multinomial(per_arm, cell_probabilities(success, correlation), size=TRIALS)
        share = (counts + 0.5) / (per_arm + 2.0)
        theta = share @ cells(2)
        second = np.einsum("tc,ck,cl->tkl", share, cells(2), cells(2))
        moments.append((theta, (second - theta[:, :, None] * theta[:, None]) / (per_arm + 3)))
    (treated, v_treated), (control, v_control) = moments
    unit = EffectDraws(np.vstack([np.zeros(2), np.eye(2)]), ("y1", "y2"))
    at_zero, *at_unit = np.array(list(rule.contrasts(unit).values())).T
    slope = np.array(at_unit).T - at_zero[:, None]
    mean = at_zero + (treated - control) @ slope.T
    sd = np.sqrt(np.einsum("mk,tkl,ml->tm", slope, v_treated + v_control, slope))
    passed = stats.norm.cdf(mean / sd) > marginal_threshold(rule.combine, len(slope), alpha)
    return (passed.all(axis=1) if rule.combine == "every" else passed.any(axis=1)).mean()


RULES = [
    All(),
    Any(),
    Compensatory((0.7, 0.3)),
    Single("y2"),
    Margins({"y1": 0.0, "y2": -0.05}),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.label)
def test_the_sample_size_reaches_the_power_in_simulated_trials(rng, rule):
    per_arm = sample_size(rule, TRIAL, power=0.8)
    # Three standard errors of 4,000 trials (0.019) and 0.011 for the normal theory.
    assert simulated_power(rule, per_arm, rng) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.label)
def test_the_sample_size_is_the_smallest_that_reaches_the_power(rule):
    per_arm = sample_size(rule, TRIAL, power=0.9)
    assert power(rule, TRIAL, per_arm - 1) < 0.9 <= power(rule, TRIAL, per_arm)


def test_the_general_search_finds_the_closed_form_of_a_weighted_sum():
    weights = (0.7, 0.3)
    assert sample_size(Compensatory(weights), TRIAL) == compensatory_sample_size(weights, TRIAL)


def test_the_scale_of_the_weights_does_not_matter():
    assert sample_size(Compensatory((7, 3)), TRIAL) == sample_size(Compensatory((0.7, 0.3)), TRIAL)


def test_rules_are_ordered_by_what_they_demand():
    every, single, any_one = (sample_size(r, TRIAL) for r in (All(), Single("y1"), Any()))
    assert any_one < single < every


def test_without_an_effect_the_power_of_one_outcome_is_alpha():
    null = PlannedTrial((0.5,), (0.5,))
    assert power(Single("y1"), null, 100) == pytest.approx(0.05)


def test_uncorrelated_outcomes_multiply():
    trial = PlannedTrial((0.4, 0.5), (0.52, 0.65))
    alone = [power(Single(name), trial, 200) for name in ("y1", "y2")]
    assert power(All(), trial, 200) == pytest.approx(np.prod(alone), abs=1e-4)


def test_correlations_enter_as_in_the_paper():
    def part(success, rho):
        v = np.array(success) * (1 - np.array(success))
        return np.diag(v) + rho * np.sqrt(v.prod()) * (1 - np.eye(2))

    expected = part(TRIAL.treatment, 0.2) + part(TRIAL.control, 0.3)
    np.testing.assert_allclose(TRIAL.covariance, expected)


def test_impossible_plans_are_named():
    with pytest.raises(SpecificationError, match=r"control_correlation=0.9 is impossible.*between"):
        sample_size(All(), PlannedTrial((0.1, 0.8), (0.3, 0.9), 0.9))
    with pytest.raises(SpecificationError, match=r"does not reach a power of 0.8"):
        sample_size(All(), PlannedTrial((0.5, 0.5), (0.5, 0.6)))
    with pytest.raises(SpecificationError, match=r"treatment=.*strictly between 0 and 1"):
        sample_size(All(), PlannedTrial((0.5,), (1.0,)))
    with pytest.raises(SpecificationError, match=r"Give one per outcome"):
        sample_size(All(), PlannedTrial((0.5, 0.4), (0.6,)))
    with pytest.raises(SpecificationError, match=r"custom rule.*Simulate"):
        sample_size(Custom(lambda d: d[..., 0] > 0), TRIAL)
    with pytest.raises(SpecificationError, match=r"power=1.2"):
        sample_size(All(), TRIAL, power=1.2)
    with pytest.raises(SpecificationError, match=r"weighted effect is -0"):
        compensatory_sample_size((-1.0, 0.0), TRIAL)
    with pytest.raises(SpecificationError, match=r"alpha"):
        sample_size(All(), TRIAL, alpha=2)
