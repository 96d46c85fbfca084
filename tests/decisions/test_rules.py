"""Laws of the decision rules."""

import numpy as np
import pytest
import xarray as xr

from pymc_mlm.decisions import (
    All,
    Any,
    Compensatory,
    Custom,
    Margins,
    Single,
    effect_draws,
    monte_carlo_error,
)
from pymc_mlm.errors import SpecificationError


@pytest.fixture
def effect(rng):
    return xr.DataArray(
        rng.normal(0.05, 0.1, size=(2, 500, 3)),
        dims=("chain", "draw", "outcome"),
        coords={"outcome": ["pain", "sleep", "mood"]},
    )


# Each rule beside its event, spelled out for one draw (pain, sleep, mood).
RULES = [
    (All(), lambda p, s, m: p > 0 and s > 0 and m > 0),
    (All(0.05), lambda p, s, m: p > 0.05 and s > 0.05 and m > 0.05),
    (All({"sleep": -0.1}), lambda p, s, m: p > 0 and s > -0.1 and m > 0),
    (Any(), lambda p, s, m: p > 0 or s > 0 or m > 0),
    (Any((0.1, 0.2, 0.0)), lambda p, s, m: p > 0.1 or s > 0.2 or m > 0),
    (Compensatory((0.5, 0.3, 0.2)), lambda p, s, m: 0.5 * p + 0.3 * s + 0.2 * m > 0),
    (Compensatory({"mood": 2.0}, margin=0.1), lambda p, s, m: 2 * m > 0.1),
    (Single("sleep", 0.02), lambda p, s, m: s > 0.02),
    (Margins({"pain": 0.0, "mood": -0.05}), lambda p, s, m: p > 0 and m > -0.05),
    (Custom(lambda d: d.max(axis=-1) > 0.1), lambda p, s, m: max(p, s, m) > 0.1),
]


@pytest.mark.parametrize(("rule", "event"), RULES, ids=lambda x: getattr(x, "label", ""))
@pytest.mark.parametrize(("direction", "sign"), [("greater", 1), ("less", -1)])
def test_a_rule_equals_its_event_draw_by_draw(effect, rule, event, direction, sign):
    expected = [[event(*(sign * d)) for d in chain] for chain in effect.values]
    got = rule.superior(effect, direction)
    np.testing.assert_array_equal(got, expected)
    assert rule.joint_probability(effect, direction) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("rule", [All(), Any(), Compensatory((1, 1, 1)), Single("pain")])
def test_any_of_one_outcome_is_every_rule(effect, rule):
    one = effect.isel(outcome=[0])
    simple = Compensatory([2.0]) if isinstance(rule, Compensatory) else rule
    np.testing.assert_array_equal(simple.superior(one), one.values[..., 0] > 0)


def test_only_single_outcomes_and_sums_are_complementary(effect):
    both = {
        rule.label: rule.joint_probability(effect) + rule.joint_probability(effect, "less")
        for rule in (All(), Any(), Compensatory((1, 1, 1)), Single("pain"))
    }
    assert both["All"] < 1 < both["Any"]
    assert both["Compensatory(1, 1, 1)"] == both["Single(pain)"] == 1


def test_the_form_of_the_draws_does_not_matter(effect):
    flat = effect.values.reshape(-1, 3)
    sample = xr.DataArray(flat, dims=("sample", "outcome"), coords=effect.coords)
    for form in (effect.transpose("outcome", "draw", "chain"), effect.values, flat, sample):
        assert All().joint_probability(form) == All().joint_probability(effect)


def test_names_come_from_the_draws():
    assert effect_draws(np.zeros((5, 2)), ["a", "b"]).outcomes == ("a", "b")
    assert effect_draws(np.zeros((5, 2))).outcomes == ("y1", "y2")


BAD = {
    "name": (Single("slep"), "'slep' is no outcome.*mean 'sleep'"),
    "margins": (All((0.0, 0.1)), "margins has 2 entries for 3 outcomes"),
    "margin name": (Any({"pane": 0.1}), "'pane' is no outcome.*mean 'pain'"),
    "weights": (Compensatory((0.7, 0.3)), "weights has 2 entries for 3 outcomes"),
    "zero weights": (Compensatory((0, 0, 0)), "not all zero"),
    "no margins": (Margins({}), "names no outcome"),
    "function": (Custom(lambda d: d > 0, "mine"), "'mine' returned bool of shape"),
}


@pytest.mark.parametrize(("rule", "message"), BAD.values(), ids=BAD)
def test_rules_that_do_not_fit_the_effect_are_named(effect, rule, message):
    with pytest.raises(SpecificationError, match=message):
        rule.superior(effect)


def test_draws_that_are_no_effect_are_named(effect):
    with pytest.raises(SpecificationError, match=r"\('chain', 'draw', 'outcome'\).*sel"):
        All().superior(effect.expand_dims(arm=2))
    with pytest.raises(SpecificationError, match="shape"):
        All().superior(np.zeros(5))
    with pytest.raises(SpecificationError, match="not finite"):
        All().superior(np.array([[np.nan, 1.0]]))
    with pytest.raises(SpecificationError, match="2 names"):
        effect_draws(np.zeros((5, 3)), ["a", "b"])


def test_monte_carlo_error_of_independent_draws(rng):
    error = monte_carlo_error(rng.normal(size=(4, 10_000)))
    # A batch-means estimate from 400 batches has a relative error of 1 / sqrt(800).
    assert error == pytest.approx(1 / np.sqrt(40_000), rel=4 / np.sqrt(800))


def test_monte_carlo_error_sees_autocorrelation(rng):
    noise = rng.normal(size=(4, 20_000))
    walk = np.zeros_like(noise)
    for t in range(1, noise.shape[1]):
        walk[:, t] = 0.9 * walk[:, t - 1] + noise[:, t]
    # The mean of an AR(1) has standard error 1 / (1 - 0.9) / sqrt(draws).
    assert monte_carlo_error(walk) == pytest.approx(10 / np.sqrt(80_000), rel=0.25)


def test_an_event_that_always_happened_has_an_error_left():
    assert 0 < monte_carlo_error(np.ones((2, 500), dtype=bool)) < 0.001
