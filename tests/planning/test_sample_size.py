"""Laws of power and sample size."""

from dataclasses import replace
from math import ceil

import numpy as np
import pytest
from scipy.special import ndtri

from pymc_mlm.decisions import All, Any, Compensatory, Custom, Margins, Single
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning import TrialDesign, operating_characteristics, sample_size
from pymc_mlm.planning.normal import estimate_covariance

DESIGN = TrialDesign({"old": (0.4, 0.5), "new": (0.52, 0.65)}, correlation={"old": 0.3, "new": 0.2})
RULES = [
    All(),
    Any(),
    Compensatory((0.7, 0.3)),
    Single("y2"),
    Margins({"y1": 0.0, "y2": -0.05}),
]


def needed(rule, design=DESIGN, **asked):
    return sample_size(replace(design, rule=rule), **asked).number


def power(rule, per_arm, design=DESIGN):
    sized = replace(design, rule=rule, per_arm=per_arm)
    return operating_characteristics(sized, "normal", nulls=False).power.value


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.label)
def test_the_sample_size_reaches_the_power_in_simulated_trials(rule):
    sized = sample_size(replace(DESIGN, rule=rule), power=0.8).design
    simulated = operating_characteristics(sized, "simulation", random_seed=1, nulls=False).power
    # Three standard errors of 10,000 trials (0.012) and 0.011 for the normal theory.
    assert simulated.value == pytest.approx(0.8, abs=0.023)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.label)
def test_the_sample_size_is_the_smallest_that_reaches_the_power(rule):
    per_arm = needed(rule, power=0.9)
    assert power(rule, per_arm - 1) < 0.9 <= power(rule, per_arm)


def test_the_search_by_simulation_ends_near_the_formula_and_says_how_sure_it_is():
    size = sample_size(DESIGN, 0.8, "simulation", random_seed=2)
    assert 0 < size.error < 8
    assert abs(size.number - needed(All())) < 4 * size.error


def test_the_search_by_enumeration_ends_where_the_power_is_reached():
    single = replace(DESIGN, rule=Single("y2"))
    size = sample_size(single, 0.8, "exact")
    before = replace(single, per_arm=size.number - 1)
    assert operating_characteristics(before, "exact", nulls=False).power.value < 0.8
    assert size.power.value >= 0.8 and size.error == 0


def test_the_general_search_finds_the_closed_form_of_a_weighted_sum():
    w = np.array([0.7, 0.3])
    covariance = estimate_covariance(replace(DESIGN, per_arm=1)).sum(axis=0)
    quantiles = ndtri(0.95) + ndtri(0.8)
    closed = ceil(w @ covariance @ w * (quantiles / (w @ DESIGN.effects[0])) ** 2)
    assert needed(Compensatory((0.7, 0.3))) == closed


def test_the_scale_of_the_weights_does_not_matter():
    assert needed(Compensatory((7, 3))) == needed(Compensatory((0.7, 0.3)))


def test_rules_are_ordered_by_what_they_demand():
    every, single, any_one = (needed(r) for r in (All(), Single("y1"), Any()))
    assert any_one < single < every


def test_without_an_effect_the_power_of_one_outcome_is_alpha():
    null = TrialDesign({"old": (0.5,), "new": (0.5,)})
    assert power(Single("y1"), 100, null) == pytest.approx(0.05)


def test_uncorrelated_outcomes_multiply():
    design = replace(DESIGN, correlation=0.0)
    alone = [power(Single(name), 200, design) for name in ("y1", "y2")]
    assert power(All(), 200, design) == pytest.approx(np.prod(alone), abs=1e-4)


def test_unequal_arms_keep_their_ratio():
    size = sample_size(replace(DESIGN, per_arm=(1, 2)))
    control, treated = size.design.patients
    assert treated == 2 * control
    assert control < needed(All()) < control + treated


def test_impossible_plans_are_named():
    with pytest.raises(SpecificationError, match=r"does not reach the power"):
        sample_size(TrialDesign({"old": (0.5, 0.5), "new": (0.5, 0.6)}))
    with pytest.raises(SpecificationError, match=r"custom rule.*simulation"):
        sample_size(replace(DESIGN, rule=Custom(lambda d: d[..., 0] > 0)))
    with pytest.raises(SpecificationError, match=r"power=1.2"):
        sample_size(DESIGN, power=1.2)
    with pytest.raises(SpecificationError, match=r"method='refit'"):
        sample_size(DESIGN, method="refit")
