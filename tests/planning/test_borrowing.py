"""Planning with a control that borrows: the simulated posterior is the fitted one."""

import re
from dataclasses import replace

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.borrowing import HistoricalControls, power_prior, robust_map
from pymc_mlm.inference.conjugate import conjugate_posterior
from pymc_mlm.planning import (
    Clusters,
    Looks,
    TrialDesign,
    calibrate,
    operating_characteristics,
    predictive_probability,
    sample_size,
    sequential_characteristics,
)
from pymc_mlm.planning.refit import _fitted, simulated_table
from pymc_mlm.planning.simulation import marginal_probabilities

STUDIES = HistoricalControls(("y1", "y2"), {"A": (10, 14, 6, 10), "B": (30, 20, 22, 28)})
ROBUST = robust_map(STUDIES)
DESIGN = TrialDesign({"old": (0.5, 0.5), "new": (0.65, 0.65)}, per_arm=60, borrowing=ROBUST)


@pytest.mark.parametrize("rule", [mlm.rules.All(), mlm.rules.Compensatory((0.6, 0.4))])
def test_simulated_posteriors_are_those_of_the_conjugate_path(rng, rule):
    design = replace(DESIGN, rule=rule)
    counts = np.array([[[3, 8, 9, 40], [20, 12, 13, 15]], [[16, 14, 10, 20], [22, 17, 12, 9]]])
    digits = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])
    success = counts @ digits
    seen = np.stack([success, counts.sum(axis=-1)[..., None] - success], axis=-1)
    found = marginal_probabilities(design, counts, seen, rng)
    weights, alpha = design.mixture
    for trial, n in enumerate(counts):
        phi = conjugate_posterior(n, alpha, weights=weights, draws=200_000, random_seed=1)
        effect = phi.values[0] @ digits
        effect = effect[:, 1] - effect[:, 0]
        drawn = [
            (c > 0).mean() for c in rule.contrasts(mlm.decisions.effect_draws(effect)).values()
        ]
        np.testing.assert_allclose(found[trial, 0], drawn, atol=0.004)


def test_a_power_of_zero_is_no_borrowing():
    none = replace(DESIGN, borrowing=power_prior(STUDIES, 0.0))
    one, two = (
        operating_characteristics(d, "simulation", 2000, random_seed=3, nulls=False)
        for d in (none, replace(DESIGN, borrowing=None))
    )
    assert one.power == two.power


def test_borrowing_gains_power_in_agreement_and_errors_in_conflict():
    def found(control, effect, borrowing):
        arms = {"old": (control,) * 2, "new": (control + effect,) * 2}
        design = TrialDesign(arms, per_arm=60, borrowing=borrowing, rule=mlm.rules.Single("y1"))
        return operating_characteristics(design, "simulation", 4000, 5, nulls=False).power.value

    pooled, apart = power_prior(STUDIES, 1.0), 0.75
    assert found(0.53, 0.15, pooled) > found(0.53, 0.15, None) + 0.03
    assert found(apart, 0.0, pooled) > found(apart, 0.0, ROBUST) > found(apart, 0.0, None)
    assert found(apart, 0.0, pooled) > 0.3


def test_other_questions_take_the_prior_too():
    design = replace(DESIGN, rule=mlm.rules.Any())
    held = calibrate(design, 0.05, trials=1000, random_seed=1)
    assert held.threshold > 0.98  # the worst null is in conflict
    size = sample_size(design, method="simulation", trials=1000, random_seed=1)
    assert size.design.borrowing == ROBUST
    looks = sequential_characteristics(design, Looks((0.5, 1.0), efficacy=0.98), 500, 1)
    assert 0.2 < looks.power.value < 1
    seen = [[8, 7, 7, 8], [11, 8, 7, 4]]
    one, two = (
        predictive_probability(d, seen, random_seed=1)["new"].value
        for d in (design, replace(design, borrowing=None))
    )
    assert abs(one - two) > 0.005
    text = operating_characteristics(design, trials=500, random_seed=1, nulls=False)
    assert text.method == "simulation"
    assert text.parts["Planned design"]["prior of the control"] == ROBUST.label


def test_refits_fit_with_the_prior(rng):
    options = {"progressbar": False, "draws": 500}
    [statistic] = _fitted(DESIGN, simulated_table(DESIGN, rng), 1, options)
    assert 0 <= statistic <= 1


@pytest.mark.parametrize(
    "change, words",
    [
        ({"borrowing": 0.5}, "is no prior of the control"),
        ({"outcomes": ("a", "b")}, "the design has a, b"),
        ({"dropout": 0.1}, "without dropout"),
        ({"clusters": Clusters(5, 10, icc=0.1), "per_arm": None}, "one by one"),
        ({"rule": mlm.rules.Custom(lambda d: d[..., 0] > 0)}, "any rule but Custom"),
    ],
)
def test_what_does_not_go_with_borrowing_is_refused(change, words):
    with pytest.raises(mlm.SpecificationError, match=words):
        replace(DESIGN, **change)


@pytest.mark.parametrize("method, words", [("normal", "has flat priors"), ("exact", "borrows")])
def test_methods_without_a_prior_of_the_control_are_refused(method, words):
    with pytest.raises(mlm.SpecificationError, match=re.escape(words)):
        operating_characteristics(DESIGN, method)
