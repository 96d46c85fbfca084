"""Planning at its edges: nulls that do not exist, small priors, dropout, sizes out of reach."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import betaln

from pymc_mlm.decisions import All, Custom, Equivalence, Margins, Single
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning import (
    Clusters,
    Looks,
    TrialDesign,
    calibrate,
    operating_characteristics,
    sample_size,
    sequential_characteristics,
)
from pymc_mlm.planning.beta_posterior import probability_above
from pymc_mlm.planning.nulls import no_effect, null_designs
from pymc_mlm.planning.refit import refit_statistics
from pymc_mlm.planning.simulation import simulated_statistics

ONE = TrialDesign({"old": (0.4,), "new": (0.6,)}, per_arm=40)
CUSTOM = Custom(lambda d: d[..., 0] > 0, "gain")
NO_NULL = {
    "below zero": TrialDesign({"old": (0.05,), "new": (0.1,)}, Single("y1", -0.1), per_arm=40),
    "above one": TrialDesign({"old": (0.95,), "new": (0.97,)}, Single("y1", 0.1), per_arm=40),
    "both ends of a region": replace(ONE, rule=Equivalence({"y1": (-0.2, 0.2)})),
}


# ---------------------------------------------------------------------- nulls


@pytest.mark.parametrize("design", NO_NULL.values(), ids=NO_NULL)
def test_where_no_null_has_the_assumed_control_its_error_is_absent(design):
    assert no_effect(design) is None
    found = operating_characteristics(design, "simulation", trials=200, random_seed=1)
    assert found.type_one_error is None and found.worst_type_one_error.value < 0.2
    assert "control as assumed" not in str(found) and "largest type I error" in str(found)
    looks = Looks((0.5, 1.0), efficacy=0.95)
    seen = sequential_characteristics(design, looks, trials=100, random_seed=1)
    assert seen.type_one_error is None and seen.expected_patients_null is None
    assert "without an effect" not in str(seen)


def test_the_nulls_of_equivalence_are_the_ends_of_the_region():
    nulls = null_designs(NO_NULL["both ends of a region"])
    assert {float(null.effects[0, 0].round(9)) for null in nulls} == {-0.2, 0.2}


def test_a_margin_that_no_probabilities_reach_is_named():
    design = replace(ONE, rule=Single("y1", 0.97))
    for ask in (operating_characteristics, calibrate):
        with pytest.raises(SpecificationError, match=r"Single\(y1 > 0.97\) has no null.*margin"):
            ask(design, method="normal")


# ---------------------------------------------------------------------- posteriors


def closed_form(a, b, c, d):
    """P(Beta(a, b) > Beta(c, d)) for whole a."""
    i = np.arange(a)
    return np.exp(betaln(c + i, b + d) - np.log(b + i) - betaln(1 + i, b) - betaln(c, d)).sum()


@pytest.mark.parametrize(
    "shapes",
    [
        (1, 6, 1, 1001),
        (2, 22, 2, 1002),
        (1, 1, 1, 100_001),
        (1, 100_001, 5, 5),
        (1001, 1, 6, 1),
        (1, 41, 1, 41),
        (4, 1, 4, 1),
    ],
)
def test_beta_probabilities_of_counts_at_the_edges_are_exact(shapes):
    found = probability_above(np.array(shapes[:2], float), np.array(shapes[2:], float))
    assert found == pytest.approx(closed_form(*shapes), abs=1e-8)


@pytest.mark.parametrize("margin", [0.0, 0.05, -0.01])
@pytest.mark.parametrize(
    "shapes", [(0.5, 5.5, 3.5, 997.5), (0.25, 20.25, 0.25, 1000.25), (0.05, 1.05, 3.05, 997.05)]
)
def test_beta_probabilities_with_a_small_prior_equal_those_of_draws(shapes, margin, rng):
    a, b, c, d = shapes
    draws = rng.beta(a, b, 1_000_000) - rng.beta(c, d, 1_000_000)
    found = probability_above(np.array([a, b]), np.array([c, d]), margin)
    assert found == pytest.approx((draws > margin).mean(), abs=0.002)  # four Monte Carlo errors


def test_arms_that_are_alike_are_better_with_probability_one_half():
    for shapes in ([0.05, 1000.05], [1000.05, 0.05], [1.0, 1.0], [30.0, 71.0]):
        assert probability_above(np.array(shapes), np.array(shapes)) == pytest.approx(0.5, abs=1e-4)


# ---------------------------------------------------------------------- dropout


def test_a_custom_rule_with_dropout_is_refused_and_its_refit_is_not(rng):
    design = replace(ONE, rule=CUSTOM, dropout=0.2)
    text = r"Rule gain with dropout has no fast posterior.*method='refit'"
    with pytest.raises(SpecificationError, match=text):
        operating_characteristics(design, "simulation", trials=10)
    with pytest.raises(SpecificationError, match=text):
        sequential_characteristics(design, Looks((0.5, 1), efficacy=0.9), trials=10)
    assert refit_statistics(design, 2, rng, {"draws": 200}).shape == (2, 1)


def test_patients_without_any_outcome_are_left_out_of_refits():
    design = replace(ONE, dropout=0.3)
    fitted = refit_statistics(design, 30, np.random.default_rng(1), {"draws": 1000})
    simulated = simulated_statistics(design, 4000, np.random.default_rng(1))
    # Three Monte Carlo errors of thirty trials.
    assert np.mean(fitted > 0.9) == pytest.approx(np.mean(simulated > 0.9), abs=0.28)


# ---------------------------------------------------------------------- arguments


REFUSED = {
    "names twice": ({"outcomes": ("y", "y")}, r"'y' is the name of two outcomes"),
    "one name for two": ({"outcomes": "ab"}, r"for 1 outcomes \['ab'\]"),
    "names that are no text": ({"outcomes": (1, 2)}, r"names of outcomes are text"),
    "a prior of nothing": ({"prior": 0.01}, r"prior=0.01 must be .* at least 0.1"),
}


@pytest.mark.parametrize(("change", "text"), REFUSED.values(), ids=REFUSED)
def test_wrong_arguments_are_named(change, text):
    with pytest.raises(SpecificationError, match=text):
        TrialDesign({"old": (0.4, 0.5), "new": (0.6, 0.6)}, **change)


# ---------------------------------------------------------------------- sizes


def test_the_pairs_of_an_enumeration_are_limited_by_name():
    with pytest.raises(SpecificationError, match=r"4,004,001 pairs.*more than 500,000"):
        operating_characteristics(replace(ONE, per_arm=2000), "exact")
    large = operating_characteristics(replace(ONE, per_arm=2000), trials=100, random_seed=1)
    assert large.method == "simulation"


def test_a_size_that_simulations_never_reach_ends_with_a_text():
    # The prior is worth far more patients than the formula, which has none, finds.
    design = TrialDesign({"old": (0.4,), "new": (0.6,)}, prior=100_000.0)
    text = r"method='simulation' no size up to 750 reaches the power 0.8"
    with pytest.raises(SpecificationError, match=text):
        sample_size(design, method="simulation", trials=200, random_seed=1)


def test_the_error_of_a_size_is_finite_where_the_formula_is_flat():
    design = TrialDesign({"old": (0.1,), "new": (0.9,)}, prior=60.0)
    size = sample_size(design, 0.99, "simulation", trials=500, random_seed=1)
    assert 0 < size.error < size.number


def test_a_size_of_clusters_that_is_never_reached_is_named():
    design = TrialDesign({"old": (0.5,), "new": (0.5,)}, clusters=Clusters(2, 10, icc=0.05))
    with pytest.raises(SpecificationError, match=r"does not reach the power"):
        sample_size(design)


# ---------------------------------------------------------------------- rules


REGIONS = {
    "a list": (["y1"], "regions is a mapping"),
    "a number": ({"y1": 0.1}, r"region 0.1 of 'y1' must be \(low, high\)"),
    "words": ({"y1": ("a", "b")}, r"region \('a', 'b'\) of 'y1' must be \(low, high\)"),
    "one word": ({"y1": "ab"}, r"region 'ab' of 'y1' must be"),
    "not a number": ({"y1": (np.nan, 0.1)}, r"region \(nan, 0.1\)"),
    "without an end": ({"y1": (-np.inf, 0.1)}, r"region \(-inf, 0.1\)"),
}


@pytest.mark.parametrize(("regions", "text"), REGIONS.values(), ids=REGIONS)
def test_regions_of_equivalence_are_pairs_of_numbers(regions, text):
    with pytest.raises(SpecificationError, match=text):
        Equivalence(regions)


MIXED = {
    "no mapping": (("y1", ["y2"]), "not_inferior is a mapping"),
    "no number": (("y1", {"y2": "x"}), "margin 'x' for 'y2'"),
    "without an end": (("y1", {"y2": -np.inf}), "margin -inf for 'y2'"),
    "superior is nothing": ((None, {"y2": -0.1}), "superior=None must be"),
    "superior is a number": ((3, {"y2": -0.1}), "superior=3 must be"),
    "superior with margins": (({"y1": 0.1}, {"y2": -0.1}), r"superior=\{'y1': 0.1\} must be"),
    "superior twice": ((["y1", "y1"], {"y2": -0.1}), "'y1' is in superior twice"),
}


@pytest.mark.parametrize(("arguments", "text"), MIXED.values(), ids=MIXED)
def test_a_mixed_rule_takes_names_and_negative_margins(arguments, text):
    with pytest.raises(SpecificationError, match=text):
        Margins.mixed(*arguments)


def test_margins_are_finite_numbers():
    for rule in (All({"y1": np.nan}), All("x"), Margins({"y1": np.inf}), Single("y1", "a")):
        with pytest.raises(SpecificationError, match="margin"):
            rule.joint_probability(np.array([[0.1], [0.2]]))
