"""Interim looks: error over all looks, known boundaries, predictive probability by hand."""

from dataclasses import replace
from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.special import ndtr

from pymc_mlm.decisions import All, Any
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.planning import (
    Clusters,
    Looks,
    TrialDesign,
    calibrate_looks,
    operating_characteristics,
    predictive_probability,
    sequential_characteristics,
)
from pymc_mlm.planning.looks import statistics_at_looks
from pymc_mlm.planning.nulls import no_effect

ONE = TrialDesign({"old": (0.4,), "new": (0.6,)}, per_arm=200, alpha=0.025)
TWO = TrialDesign({"old": (0.4, 0.4), "new": (0.6, 0.6)}, per_arm=100, correlation=0.3)


def test_one_threshold_for_two_looks_is_that_of_pocock():
    # z = 2.178 for two looks at alpha = .025 (Pocock 1977); the rest is Monte Carlo error.
    found = calibrate_looks(ONE, Looks((0.5, 1.0)), trials=20_000, random_seed=1)
    assert found.efficacy == pytest.approx([ndtr(2.178)] * 2, abs=0.004)


def test_spending_gives_the_boundaries_of_lan_and_demets():
    # z = 2.963 and 1.969 for two looks at alpha = .025.
    looks = Looks((0.5, 1.0), spending="obrien_fleming")
    found = calibrate_looks(ONE, looks, trials=20_000, random_seed=1)
    assert found.efficacy == pytest.approx([ndtr(2.963), ndtr(1.969)], abs=0.005)
    assert found.spending is None


def test_the_error_holds_over_all_looks_and_does_not_without_calibration():
    design, looks = replace(ONE, alpha=0.05, per_arm=80), Looks((0.25, 0.5, 0.75, 1.0))
    calibrated = calibrate_looks(design, looks, trials=4000, random_seed=2)
    naive = sequential_characteristics(design, replace(looks, efficacy=0.95), 4000, 1)
    held = sequential_characteristics(design, calibrated, 4000, 1)
    assert naive.worst_type_one_error.value > 0.08
    assert held.worst_type_one_error.value < 0.05 + 0.01


def test_a_single_look_is_a_trial_without_looks():
    found = sequential_characteristics(TWO, Looks((1.0,), efficacy=0.95), 10_000, 1, nulls=False)
    exact = operating_characteristics(TWO, "exact", nulls=False)
    assert found.power.value == pytest.approx(exact.power.value, abs=0.015)
    assert found.expected_patients.value == 200 and found.expected_patients.error == 0


CLUSTERED = TrialDesign(
    {"old": (0.4, 0.4), "new": (0.5, 0.55)}, clusters=Clusters(12, 15, icc=0.05), rule=Any()
)


def test_a_look_at_clusters_is_a_trial_of_those_that_are_complete():
    looks = Looks((0.5, 1.0), efficacy=(0.975, 1.0))
    found = sequential_characteristics(CLUSTERED, looks, 10_000, 1, nulls=False)
    half = replace(CLUSTERED, clusters=Clusters(6, 15, icc=0.05), threshold=0.975)
    alone = operating_characteristics(half, "simulation", 10_000, 2, nulls=False)
    assert found.power.value == pytest.approx(alone.power.value, abs=0.015)
    assert found.by_look["patients"].tolist() == [90, 180]
    assert looks.patients(CLUSTERED).tolist() == [[90, 90], [180, 180]]


def test_the_error_of_a_trial_of_clusters_holds_over_all_looks():
    looks = Looks((0.25, 0.5, 0.75, 1.0))
    calibrated = calibrate_looks(CLUSTERED, looks, trials=4000, random_seed=2)
    naive = sequential_characteristics(CLUSTERED, replace(looks, efficacy=0.975), 4000, 1)
    held = sequential_characteristics(CLUSTERED, calibrated, 4000, 3)
    assert naive.worst_type_one_error.value > 0.08
    assert held.worst_type_one_error.value < 0.05 + 0.01
    assert held.expected_patients.value < 360


def test_stopping_for_futility_saves_patients_where_there_is_no_effect():
    looks = Looks((0.5, 1.0), efficacy=0.97, futility=0.3)
    found = sequential_characteristics(TWO, looks, 3000, 1)
    assert found.expected_patients_null.value < found.expected_patients.value < 200
    without = sequential_characteristics(TWO, replace(looks, futility=0.0), 3000, 1, nulls=False)
    assert found.power.value <= without.power.value + 0.03
    table = found.by_look
    assert table["efficacy"].sum() + table["not better"].sum() == pytest.approx(1.0)
    assert "Expected patients" in str(found)


def test_each_of_several_treatments_stops_by_itself():
    design = TrialDesign(
        {"old": (0.3, 0.3), "strong": (0.7, 0.7), "none": (0.3, 0.3)}, Any(), per_arm=60
    )
    looks = Looks((0.5, 1.0), efficacy=0.99, futility=0.2)
    found = sequential_characteristics(design, looks, 2000, 1, nulls=False)
    assert found.better["strong"].value > 0.95 > 0.1 > found.better["none"].value
    first = found.by_look.xs(1, level="look")
    assert first.loc["strong", "efficacy"] > 0.8 and first.loc["none", "not better"] > 0.02


def test_the_last_look_of_accumulating_data_is_the_whole_trial(rng):
    design = no_effect(replace(TWO, rule=All(), dropout=(0.2, 0.1)))
    statistics = statistics_at_looks(design, Looks((0.3, 1.0)), 4000, rng)
    assert statistics.shape == (4000, 2, 1)
    alone = operating_characteristics(design, "simulation", random_seed=1, nulls=False).power.value
    assert (statistics[:, -1, 0] > design.cutoff).mean() == pytest.approx(alone, abs=0.01)
    # Both looks share a third of their patients.
    assert 0.4 < np.corrcoef(statistics[:, :, 0].T)[0, 1] < 0.7


def above(a, b, c, d):
    """P(Beta(a, b) > Beta(c, d)) in fractions: a binomial sum of whole parameters."""

    def beta(x, y):
        return Fraction(1, (x + y - 1) * comb(x + y - 2, x - 1))

    return sum(beta(c + i, b + d) / ((b + i) * beta(1 + i, b) * beta(c, d)) for i in range(a))


@pytest.mark.parametrize("seen", [(9, 3, 7), (5, 1, 4), (6, 3, 3)])
def test_the_predictive_probability_is_that_computed_by_hand_for_ten_patients(seen):
    so_far, old, new = seen
    left = 10 - so_far

    def beta_binomial(successes, x):
        a, b = successes + 1, so_far - successes + 1
        ways = Fraction(comb(a + x - 1, x) * comb(b + left - x - 1, left - x))
        return ways / comb(a + b + left - 1, left)

    by_hand = sum(
        beta_binomial(new, t) * beta_binomial(old, c)
        for t in range(left + 1)
        for c in range(left + 1)
        if above(new + t + 1, 11 - new - t, old + c + 1, 11 - old - c) > 0.95
    )
    design = TrialDesign({"old": (0.5,), "new": (0.5,)}, per_arm=10)
    counts = [[old, so_far - old], [new, so_far - new]]
    found = predictive_probability(design, counts, trials=40_000, random_seed=1)["new"]
    assert found.value == pytest.approx(float(by_hand), abs=4 * found.error)


def test_a_finished_trial_predicts_itself():
    design = TrialDesign({"old": (0.5,), "new": (0.5,)}, per_arm=10)
    assert predictive_probability(design, [[1, 9], [9, 1]], 100)["new"].value == 1
    assert predictive_probability(design, [[5, 5], [6, 4]], 100)["new"].value == 0


def test_the_picture_has_a_row_for_each_treatment():
    import matplotlib.pyplot as plt

    design = TrialDesign({"old": (0.3,), "a": (0.6,), "b": (0.4,)}, per_arm=40)
    looks = Looks((0.5, 1.0), efficacy=0.98, futility=0.2)
    figure = sequential_characteristics(design, looks, 500, 1, nulls=False).plot()
    assert len(figure.axes) == 4
    plt.close(figure)


def test_impossible_looks_are_named():
    for at in ((0.5, 0.4, 1.0), (0.5, 0.5, 1.0), (0.5, 0.9), (0.0, 1.0), ()):
        with pytest.raises(SpecificationError, match=r"looks are increasing shares"):
            Looks(at)
    with pytest.raises(SpecificationError, match=r"both spend alpha; it is spent once"):
        Looks((0.5, 1.0), efficacy=0.98, spending="pocock")
    with pytest.raises(SpecificationError, match=r"what is spent is spent"):
        Looks((0.5, 1.0), spending=(0.6, 0.4))
    with pytest.raises(SpecificationError, match=r"spending='linear'"):
        Looks((0.5, 1.0), spending="linear")
    with pytest.raises(SpecificationError, match=r"3 thresholds for 2 looks"):
        Looks((0.5, 1.0), efficacy=(0.99, 0.98, 0.97))
    with pytest.raises(SpecificationError, match=r"must lie above futility"):
        Looks((0.5, 1.0), efficacy=0.2, futility=0.3)
    with pytest.raises(SpecificationError, match=r"no thresholds"):
        sequential_characteristics(TWO, Looks((0.5, 1.0)))
    with pytest.raises(SpecificationError, match=r"no new patient"):
        sequential_characteristics(replace(TWO, per_arm=2), Looks((0.1, 1.0), efficacy=0.9))
    clustered = replace(TWO, per_arm=None, clusters=Clusters(5, 10, icc=0.1))
    for at in ((0.2, 1.0), (0.6, 0.65, 1.0)):
        with pytest.raises(SpecificationError, match=r"Each look needs a new cluster"):
            sequential_characteristics(clustered, Looks(at, efficacy=0.9))
    with pytest.raises(DataError, match=r"more than the design's"):
        predictive_probability(replace(ONE, per_arm=10), [[9, 9], [1, 1]])
    with pytest.raises(DataError, match=r"a column per response pattern"):
        predictive_probability(ONE, [[9, 9, 1], [1, 1, 1]])
    with pytest.raises(SpecificationError, match=r"without clusters and dropout"):
        predictive_probability(replace(ONE, dropout=0.1), [[9, 9], [1, 1]])
    with pytest.raises(DataError, match=r"whole numbers"):
        predictive_probability(ONE, [[9, -9], [1, 1]])
