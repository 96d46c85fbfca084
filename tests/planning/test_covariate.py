"""Covariates of planned trials, and refits at looks: margins, slopes, tables so far, bad input."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import logit

from pymc_mlm import rules
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning import (
    Clusters,
    Covariate,
    Looks,
    TrialDesign,
    operating_characteristics,
    refit,
    sequential_characteristics,
)
from pymc_mlm.planning import covariate as covariate_module
from pymc_mlm.planning.refit import COVARIATE, refit_looks, simulated_table
from pymc_mlm.planning.simulation import decisive, marginal_probabilities
from tests.mocked import PriorDraws

DESIGN = TrialDesign({"old": (0.4, 0.3), "new": (0.55, 0.5)}, per_arm=60, correlation=0.3)
ADJUSTED = replace(DESIGN, covariate=Covariate((1.0, 0.5)))
CLUSTERED = replace(ADJUSTED, per_arm=None, clusters=Clusters(6, 10, icc=0.15))


@pytest.mark.parametrize("slopes", [(0.5,), (2.0, -1.0), (3.0, 0.0, 1.5), (5.0, 5.0, 5.0)])
def test_averages_over_the_covariate_are_the_patterns_of_the_arm(rng, slopes):
    phi = rng.dirichlet(np.full(2 ** len(slopes), 2.0))
    x = np.linspace(-8, 8, 4001)
    density = np.exp(-0.5 * x**2)
    mean = density @ Covariate(slopes).given(phi, x) / density.sum()
    np.testing.assert_allclose(mean, phi, atol=1e-9)


def test_averages_over_the_covariate_are_the_patterns_of_each_cluster(rng):
    # An even cluster, and those with patterns that nearly or altogether lack.
    phi = np.stack([np.full(4, 0.25), rng.dirichlet(np.full(4, 0.05)), [1e-12, 0.0, 0.3, 0.7]])
    x = np.linspace(-8, 8, 4001)
    density, unit = np.exp(-0.5 * x**2), np.repeat(np.arange(3), len(x))
    each = Covariate((2.0, -1.0)).given(phi, np.tile(x, 3), unit).reshape(3, len(x), 4)
    np.testing.assert_allclose(density @ each / density.sum(), phi / phi.sum(1)[:, None], atol=1e-9)


def test_averages_that_are_not_reached_are_refused(monkeypatch):
    monkeypatch.setattr(covariate_module, "STEPS", 3)
    with pytest.raises(
        SpecificationError, match=r"slopes \(4.0,\) .* are too large: after 3 steps"
    ):
        Covariate(4.0).given(np.array([0.3, 0.7]), np.zeros(1))


def test_a_slope_is_the_change_of_log_odds_per_sd():
    p = Covariate(0.7).given(np.array([0.3, 0.7]), np.array([-1.0, 0.0, 1.0]))[:, 0]
    np.testing.assert_allclose(np.diff(logit(p)), 0.7, atol=1e-9)
    both = Covariate((0.7, -0.2)).given(np.array([0.2, 0.3, 0.1, 0.4]), np.array([0.0, 1.0]))
    log_odds = np.log(both[:, :3] / both[:, 3:])
    np.testing.assert_allclose(np.diff(log_odds, axis=0)[0], [0.5, 0.7, -0.2], atol=1e-9)


def test_simulated_tables_have_the_covariate_and_the_margins(rng):
    design = replace(ADJUSTED, per_arm=40_000)
    table = simulated_table(design, rng)
    x, new = table[COVARIATE], table["arm_"] == "new"
    assert abs(x.mean()) < 0.02 and abs(x.std() - 1) < 0.02
    assert table["y1"][new].mean() == pytest.approx(0.55, abs=0.01)
    assert table["y2"][~new].mean() == pytest.approx(0.3, abs=0.01)
    rho = np.corrcoef(table["y1"][new], table["y2"][new])[0, 1]
    assert rho == pytest.approx(0.3, abs=0.02)
    assert np.corrcoef(x, table["y1"])[0, 1] > np.corrcoef(x, table["y2"])[0, 1] > 0.1


def test_tables_of_clusters_with_a_covariate_have_margins_icc_and_slopes(rng):
    clusters = Clusters(1500, 20, icc=0.15)
    table = simulated_table(replace(CLUSTERED, clusters=clusters), rng)
    x, new = table[COVARIATE], (table["arm_"] == "new").astype(float)
    y = np.column_stack([table["y1"], table["y2"]])
    # Four standard errors of 1,500 clusters of 20, design effect 1 + 19 * .15.
    error = 4 * np.sqrt(0.25 * (1 + 19 * 0.15) / 30_000)
    for arm, success in enumerate(CLUSTERED.success):
        np.testing.assert_allclose(y[new == arm].mean(axis=0), success, atol=error)
    rho = np.corrcoef(y[new == 1].T)[0, 1]
    assert rho == pytest.approx(0.3, abs=0.04)
    assert abs(np.corrcoef(x, table["cluster_"])[0, 1]) < 0.02
    # Two different patients of a cluster have the stated correlation of each outcome.
    for arm, success in enumerate(CLUSTERED.success):
        own = y[new == arm].reshape(-1, 20, 2) - success
        pairs = (own.sum(axis=1) ** 2 - (own**2).sum(axis=1)).mean(axis=0) / (20 * 19)
        np.testing.assert_allclose(pairs / (success * (1 - success)), 0.15, atol=0.025)


def test_within_a_cluster_the_covariate_changes_log_odds_by_its_slopes(rng):
    """Conditional logistic regression: pairs of one cluster, with one success among them."""
    design = replace(CLUSTERED, clusters=Clusters(5_000, 2, icc=0.15))
    table = simulated_table(design, rng)
    for k, other, slope in (("y1", "y2", 1.0), ("y2", "y1", 0.5)):
        pair, rest = table[k].reshape(-1, 2), table[other].reshape(-1, 2)
        # Given the other outcome, which is the same in both: the cluster's level drops out.
        used = (pair[:, 0] != pair[:, 1]) & (rest[:, 0] == rest[:, 1])
        change = np.diff(table[COVARIATE].reshape(-1, 2)[used], axis=1).ravel()
        sign = pair[used, 1] - pair[used, 0]
        found = minimize_scalar(lambda b: np.logaddexp(0, -b * sign * change).sum()).x  # noqa: B023
        assert found == pytest.approx(slope, abs=0.14)


def test_without_an_intraclass_correlation_clusters_are_the_arms(rng):
    design = replace(CLUSTERED, clusters=Clusters(6, 10, icc=0.0))
    alone = replace(design, clusters=None, per_arm=60)
    one, two = (simulated_table(d, np.random.default_rng(3)) for d in (design, alone))
    np.testing.assert_array_equal(one["y1"], two["y1"])
    assert (np.bincount(one["cluster_"]) == 10).all()


def test_other_methods_take_clusters_with_a_covariate_as_without_it():
    without = replace(CLUSTERED, covariate=None)
    for method in ("normal", "simulation"):
        one, two = (
            operating_characteristics(d, method, 500, 1, nulls=False) for d in (without, CLUSTERED)
        )
        assert one.power == two.power and "without the covariate" in str(two)
    with pytest.raises(SpecificationError, match="method='simulation'"):
        operating_characteristics(CLUSTERED, "exact")


@pytest.mark.parametrize("design", [ADJUSTED, CLUSTERED])
def test_refits_adjust_for_the_covariate(monkeypatch, design):
    asked = {}

    class Recorded(refit.MultivariateLogitTrial):
        def __init__(self, *args, **more):
            asked.update(more)
            super().__init__(*args, **more)

    monkeypatch.setattr(refit, "MultivariateLogitTrial", Recorded)
    fit = {"sampler": PriorDraws(), "draws": 50, "chains": 4}
    with pytest.warns(UserWarning):
        found = refit_looks(design, design.patients[None], 1, np.random.default_rng(1), fit)
    assert asked["covariates"] == [COVARIATE]
    assert asked["cluster"] == (None if design.clusters is None else "cluster_")
    assert found.shape == (1, 1, 1) and 0 <= found.item() <= 1


def test_other_methods_leave_the_covariate_out_and_say_so():
    for method in ("exact", "normal", "simulation"):
        one, two = (
            operating_characteristics(d, method, 1000, 1, nulls=False) for d in (DESIGN, ADJUSTED)
        )
        assert one.power == two.power
        assert "without the covariate" in str(two) and "covariate" not in str(one)
    looks = sequential_characteristics(ADJUSTED, Looks((0.5, 1), efficacy=0.97), 200, 1, False)
    assert "without the covariate" in str(looks)


def test_refits_at_looks_see_the_patients_so_far():
    """The same tables, fitted at each look, against the posterior that is known."""
    looks, trials = Looks((0.5, 1.0)), 4
    patients = looks.patients(DESIGN)
    found = refit_looks(DESIGN, patients, trials, np.random.default_rng(7), {"draws": 40_000})
    for child, statistics in zip(np.random.default_rng(7).spawn(trials), found, strict=True):
        table = simulated_table(DESIGN, child)
        for so_far, statistic in zip(patients, statistics, strict=True):
            counts = np.zeros((1, 2, 4), dtype=int)
            for arm, name in enumerate(("old", "new")):
                mine = np.flatnonzero(table["arm_"] == name)[: so_far[arm]]
                code = (3 - 2 * table["y1"][mine] - table["y2"][mine]).astype(int)
                counts[0, arm] = np.bincount(code, minlength=4)
            success = counts @ np.array([[1, 1], [1, 0], [0, 1], [0, 0]])
            seen = np.stack([success, so_far[None, :, None] - success], axis=-1)
            known = decisive(DESIGN, marginal_probabilities(DESIGN, counts, seen, child))
            assert statistic[0] == pytest.approx(known.item(), abs=0.01)


def test_looks_at_clusters_are_fitted_to_whole_clusters(monkeypatch):
    seen = []

    def recorded(design, table, seed, options):
        seen.append(np.bincount(table["cluster_"]))
        return [0.5]

    monkeypatch.setattr(refit, "_fitted", recorded)
    design = replace(DESIGN, per_arm=None, clusters=Clusters(4, 5, icc=0.1))
    patients = Looks((0.5, 1.0)).patients(design)
    refit_looks(design, patients, 1, np.random.default_rng(1))
    assert seen[0].tolist() == [5, 5, 0, 0, 5, 5] and seen[1].tolist() == [5] * 8


def test_a_trial_with_looks_can_be_refitted():
    design = replace(DESIGN, rule=rules.Any())
    looks = Looks((0.5, 1.0), efficacy=(0.99, 0.98))
    found = sequential_characteristics(design, looks, 30, 1, method="refit", fit={"draws": 1000})
    fast = sequential_characteristics(design, looks, 4000, 1, nulls=False)
    assert found.power.value == pytest.approx(fast.power.value, abs=4 * found.power.error + 0.01)
    assert found.worst_type_one_error is None and found.type_one_error is not None
    assert found.parts["Planned design"]["method"] == "refit"


@pytest.mark.parametrize(
    "change, words",
    [
        ({"covariate": 0.5}, "Write planning.Covariate"),
        ({"covariate": Covariate((1.0, 1.0, 1.0))}, "3 slopes for 2 outcomes"),
    ],
)
def test_covariates_that_do_not_fit_are_refused(change, words):
    with pytest.raises(SpecificationError, match=words):
        replace(DESIGN, **change)


@pytest.mark.parametrize("slopes", [(np.nan,), (9.0,), ((1.0, 2.0),)])
def test_slopes_are_log_odds(slopes):
    with pytest.raises(SpecificationError, match="log odds per standard deviation"):
        Covariate(slopes)


def test_an_unknown_method_is_refused():
    with pytest.raises(SpecificationError, match="simulation or refit"):
        sequential_characteristics(DESIGN, Looks((1.0,), efficacy=0.95), method="exact")
