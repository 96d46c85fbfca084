"""Formula, enumeration, simulation and refits of one design agree; error rates are known."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from pymc_mlm.decisions import All, Any, Compensatory, Custom, Margins, Single
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning import (
    Clusters,
    TrialDesign,
    assurance,
    calibrate,
    operating_characteristics,
    sample_size,
)
from pymc_mlm.planning.beta_posterior import probability_above
from pymc_mlm.planning.exact import sum_distribution
from pymc_mlm.planning.nulls import no_effect, null_designs
from pymc_mlm.planning.operating_characteristics import road_of
from pymc_mlm.planning.patterns import joint_probabilities, pattern_values
from pymc_mlm.planning.refit import simulated_table
from pymc_mlm.planning.simulation import simulated_statistics, weighted_beta

DESIGN = TrialDesign({"old": (0.4, 0.4), "new": (0.55, 0.6)}, per_arm=100, correlation=0.3)
RULES = [All(), Any(), Single("y2"), Compensatory((0.7, 0.3)), Margins({"y1": 0.0, "y2": -0.1})]


def found(design, method, trials=10_000, seed=1):
    return road_of(design, method, trials, np.random.default_rng(seed))(design.cutoff)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.label)
def test_formula_enumeration_and_simulation_agree(rule):
    design = replace(DESIGN, rule=rule)
    simulated = found(design, "simulation")
    # .006: the normal approximation with a hundred patients; .015: three Monte Carlo errors.
    np.testing.assert_allclose(found(design, "normal"), simulated, atol=0.006 + 0.015)
    if not isinstance(rule, Compensatory):
        np.testing.assert_allclose(found(design, "exact"), simulated, atol=0.015)


def test_several_arms_and_outcomes_agree():
    design = TrialDesign(
        {"old": (0.4, 0.4, 0.3), "a": (0.6, 0.65, 0.5), "b": (0.55, 0.6, 0.5)},
        Margins({"y1": 0.0, "y3": -0.1}),
        per_arm=(60, 50, 40),
        correlation={"old": 0.3, "a": 0.2, "b": 0.0},
    )
    exact = found(design, "exact")
    np.testing.assert_allclose(found(design, "simulation"), exact, atol=0.02)
    np.testing.assert_allclose(found(design, "normal"), exact, atol=0.02)


def test_enumeration_equals_the_sum_over_all_tables_of_a_tiny_trial():
    design = TrialDesign({"old": (0.3, 0.5), "new": (0.6, 0.7)}, Any(), per_arm=3, correlation=0.2)
    alike = {}
    for arm, phi in zip(("old", "new"), design.pattern_probabilities, strict=True):
        for table in np.ndindex(4, 4, 4, 4):
            if sum(table) == 3:
                x = tuple((np.array(table) @ pattern_values(2)).astype(int))
                p = stats.multinomial(3, phi).pmf(table)
                alike[arm, x] = alike.get((arm, x), 0.0) + p
    total = 0.0
    for (arm, x), p in alike.items():
        for (other, y), q in alike.items():
            if (arm, other) == ("new", "old"):
                above = [
                    probability_above(np.array([a + 1, 4 - a]), np.array([b + 1, 4 - b])).item()
                    for a, b in zip(x, y, strict=True)
                ]
                total += p * q * (max(above) > design.cutoff)
    assert found(design, "exact")[-1] == pytest.approx(total, abs=1e-12)


def test_beta_probabilities_equal_sums_of_beta_functions():
    from scipy.special import betaln

    for a, b, c, d in [(1, 1, 1, 1), (3, 9, 5, 2), (40, 61, 30, 71), (1, 101, 101, 1)]:
        i = np.arange(a)
        terms = betaln(c + i, b + d) - np.log(b + i) - betaln(1 + i, b) - betaln(c, d)
        got = probability_above(np.array([a, b], float), np.array([c, d], float))
        assert got == pytest.approx(np.exp(terms).sum(), abs=1e-9)


def test_a_weighted_sum_is_nearly_beta(rng):
    for size, tolerance in ((10, 0.004), (100, 0.002)):
        treated, control = rng.multinomial(size, [[0.4, 0.2, 0.2, 0.2], [0.2, 0.3, 0.1, 0.4]]) + 0.5
        (one, width), (two, _) = (
            weighted_beta(x, np.array([0.7, 0.3])) for x in (treated, control)
        )
        draws = rng.dirichlet(treated, 400_000) - rng.dirichlet(control, 400_000)
        expected = (draws @ pattern_values(2) @ [0.7, 0.3] > -0.1).mean()
        assert probability_above(one, two, -0.1 / width) == pytest.approx(expected, abs=tolerance)


def test_joint_distributions_have_the_asked_margins_and_correlations():
    p, rho = np.array([0.2, 0.5, 0.7]), np.array([[1, 0.2, 0.1], [0.2, 1, 0.4], [0.1, 0.4, 1]])
    phi, y = joint_probabilities(p, rho, "a"), pattern_values(3)
    np.testing.assert_allclose(phi @ y, p, atol=1e-9)
    second = np.einsum("c,ck,cl->kl", phi, y, y) - np.outer(p, p)
    np.testing.assert_allclose(second / np.sqrt(np.outer(p * (1 - p), p * (1 - p))), rho, atol=1e-9)
    table = sum_distribution(phi, [0, 2], 7)
    np.testing.assert_allclose(table.sum(axis=1), stats.binom(7, 0.2).pmf(range(8)), atol=1e-12)


def test_dropout_costs_as_much_as_the_formula_says():
    design = replace(DESIGN, dropout=(0.3, 0.1), rule=All())
    np.testing.assert_allclose(found(design, "normal"), found(design, "simulation"), atol=0.025)
    assert found(design, "normal")[-1] < found(DESIGN, "normal")[-1]


@pytest.mark.parametrize("clusters", [Clusters(40, 10, icc=0.1), Clusters(40, 10, sd=0.6)])
def test_clusters_follow_the_design_effect(clusters):
    design = replace(DESIGN, per_arm=None, clusters=clusters, rule=All())
    np.testing.assert_allclose(found(design, "normal"), found(design, "simulation"), atol=0.03)
    null = no_effect(replace(design, rule=Single("y1")))
    assert found(null, "simulation")[-1] == pytest.approx(0.05, abs=0.008)


def test_simulated_clusters_have_the_intraclass_correlation(rng):
    design = TrialDesign({"a": (0.3, 0.6), "b": (0.3, 0.6)}, clusters=Clusters(4000, 5, icc=0.2),
                         correlation=0.3)  # fmt: skip
    table = simulated_table(design, rng)
    y = np.stack([table["y1"], table["y2"]], axis=-1).reshape(-1, 5, 2)
    np.testing.assert_allclose(y.mean(axis=(0, 1)), (0.3, 0.6), atol=0.01)
    between = np.array([np.corrcoef(y[:, 0, k], y[:, 1, k])[0, 1] for k in range(2)])
    np.testing.assert_allclose(between, 0.2, atol=0.03)
    assert np.corrcoef(y.reshape(-1, 2).T)[0, 1] == pytest.approx(0.3, abs=0.02)


def test_refits_decide_as_the_simulation_does(rng):
    design = TrialDesign({"old": (0.4, 0.4), "new": (0.6, 0.7)}, per_arm=50)
    fitted = operating_characteristics(
        design, "refit", trials=20, random_seed=1, nulls=False, fit={"draws": 4000}
    )
    assert abs(fitted.power.value - found(design, "exact")[-1]) < 3 * fitted.power.error


def test_thresholds_of_the_methods_papers_are_recovered():
    design = TrialDesign({"old": (0.5, 0.5), "new": (0.6, 0.6)}, per_arm=100)
    for rule, known in ((All(), 0.95), (Any(), 0.975), (Compensatory((0.5, 0.5)), 0.95)):
        assert calibrate(replace(design, rule=rule), 0.05, "normal").threshold == pytest.approx(
            known, abs=1e-6
        )


def test_a_calibrated_design_holds_its_error_exactly():
    design = replace(DESIGN, rule=Any(), per_arm=40)
    before = operating_characteristics(design, "exact")
    after = operating_characteristics(calibrate(design, 0.05, "exact"), "exact")
    assert after.worst_type_one_error.value <= 0.05 < before.worst_type_one_error.value
    assert after.worst_type_one_error.error == 0


def test_the_least_favourable_null_of_every_outcome_is_one_outcome_alone():
    assert {design.names for design in null_designs(DESIGN)} == {("y1",), ("y2",)}
    margins = replace(DESIGN, rule=Margins({"y2": -0.1}))
    for null in null_designs(margins):
        assert null.effects == pytest.approx(-0.1)


def test_ten_thousand_trials_are_simulated_within_memory_and_reproducibly():
    once, again = (
        operating_characteristics(DESIGN, "simulation", random_seed=3, nulls=False)
        for _ in range(2)
    )
    assert once.power == again.power and 0.004 < once.power.error < 0.006
    assert "mc_error" in once.table() and "better than old" in str(once)


def test_assurance_is_power_for_a_large_pilot_and_less_for_a_small_one():
    assert assurance(DESIGN, 1e7, random_seed=1).value == pytest.approx(
        found(DESIGN, "exact")[-1], abs=0.02
    )
    strong = replace(DESIGN, per_arm=400)
    assert assurance(strong, 50, random_seed=1).value < found(strong, "normal")[-1] - 0.05


def test_a_custom_rule_is_simulated_by_draws(rng):
    design = replace(DESIGN, rule=Custom(lambda d: d[..., 0] > 0))
    statistics = simulated_statistics(design, 500, rng)
    assert (statistics > 0.95).mean() == pytest.approx(
        found(replace(DESIGN, rule=Single("y1")), "exact")[-1], abs=0.07
    )
    with pytest.raises(SpecificationError, match=r"custom rule.*method='simulation'"):
        operating_characteristics(design, "normal")


def test_impossible_designs_are_named():
    arms = DESIGN.arms
    with pytest.raises(
        SpecificationError, match=r"correlation=0.9 in arm 'old'.*between -0.816 and"
    ):
        TrialDesign({"old": (0.4, 0.5), "new": (0.1, 0.9)}, correlation=0.9)
    with pytest.raises(SpecificationError, match=r"No distribution of the 3 outcomes"):
        TrialDesign({"old": (0.5,) * 3, "new": (0.5,) * 3}, correlation=-0.9)
    with pytest.raises(SpecificationError, match=r"not symmetric"):
        TrialDesign(arms, correlation=[[1, 0.2], [0.1, 1]])
    with pytest.raises(SpecificationError, match=r"differ in 'new'"):
        TrialDesign(arms, correlation={"old": 0.2})
    with pytest.raises(SpecificationError, match=r"strictly between 0 and 1"):
        TrialDesign({"old": (0.5,), "new": (1.0,)})
    with pytest.raises(SpecificationError, match=r"Give one per outcome"):
        TrialDesign({"old": (0.5, 0.4), "new": (0.6,)})
    with pytest.raises(SpecificationError, match=r"at least one treatment"):
        TrialDesign({"old": (0.5,)})
    with pytest.raises(SpecificationError, match=r"Clusters\(number=0\).*at least 2"):
        Clusters(0, 10, icc=0.1)
    with pytest.raises(SpecificationError, match=r"Clusters\(size=0\).*it counts patients"):
        Clusters(10, 0, icc=0.1)
    with pytest.raises(SpecificationError, match=r"either icc= or sd="):
        Clusters(10, 10)
    with pytest.raises(SpecificationError, match=r"both say how many"):
        TrialDesign(arms, per_arm=20, clusters=Clusters(10, 10, icc=0.1))
    with pytest.raises(SpecificationError, match=r"dropout=1.2"):
        TrialDesign(arms, dropout=1.2)
    with pytest.raises(SpecificationError, match=r"'y3' is no outcome"):
        TrialDesign(arms, Single("y3"))
    with pytest.raises(SpecificationError, match=r"no number of patients"):
        operating_characteristics(TrialDesign(arms))
    with pytest.raises(SpecificationError, match=r"exact.*weighs outcomes"):
        operating_characteristics(replace(DESIGN, rule=Compensatory((1, 2))), "exact")
    with pytest.raises(SpecificationError, match=r"alpha"):
        TrialDesign(arms, alpha=2)
    with pytest.raises(SpecificationError, match=r"threshold=1"):
        TrialDesign(arms, threshold=1)
    with pytest.raises(SpecificationError, match=r"trials=0"):
        operating_characteristics(DESIGN, trials=0)


def test_a_changed_copy_is_equal_where_nothing_changed():
    assert replace(DESIGN) == DESIGN
    assert replace(DESIGN, correlation=np.eye(2)) == replace(DESIGN, correlation=((1, 0), (0, 1)))


def test_the_number_of_clusters_is_found():
    design = replace(DESIGN, per_arm=None, clusters=Clusters(2, 10, icc=0.05))
    size = sample_size(design, 0.8)
    assert size.design.clusters.number == size.number == int(size)
    assert size.power.value >= 0.8
