"""Laws of the Dirichlet posterior."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pymc_mlm.data.cells import cells, response_patterns
from pymc_mlm.data.frame import columns
from pymc_mlm.data.trial import resolve_trial
from pymc_mlm.decisions import All, Any, Compensatory, difference, success_probability
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.inference.conjugate import conjugate_posterior
from tests.clock import timed

COUNTS = np.array([[15, 11, 9, 15], [19, 12, 13, 6]])
OUTCOMES = ["symptom_relief", "quality_of_life"]


def test_margins_are_beta():
    phi = conjugate_posterior(COUNTS, random_seed=1)
    theta = success_probability(phi).values[0]
    successes = COUNTS @ cells(2)
    exact = stats.beta(successes + 1.0, COUNTS.sum(axis=1, keepdims=True) - successes + 1.0)
    # Kolmogorov-Smirnov at the 0.1% level: 1.95 / sqrt(draws).
    for arm in range(2):
        for outcome in range(2):
            distance = stats.kstest(
                theta[:, arm, outcome],
                lambda x, a=arm, k=outcome: exact.cdf(x[:, None, None])[:, a, k],
            ).statistic
            assert distance < 1.95 / np.sqrt(100_000)


def test_a_quarter_gives_jeffreys_margins():
    phi = conjugate_posterior(np.zeros((1, 4)), prior=0.25, draws=50_000, random_seed=1)
    theta = success_probability(phi).values[0, :, 0, 0]
    assert stats.kstest(theta, stats.beta(0.5, 0.5).cdf).statistic < 1.95 / np.sqrt(50_000)


@pytest.mark.agreement
@pytest.mark.parametrize("direction", ["right_sided", "left_sided"])
def test_draws_agree_with_the_exact_results_of_bmco(shared, direction):
    reference = json.loads((shared / "reference" / f"bmco_bmvb_All_{direction}.json").read_text())
    exact = reference["exact"]
    table = pd.read_csv(shared / "data" / "trial_data.csv")
    design = resolve_trial(columns(table, table), OUTCOMES, "treatment", control="placebo")
    phi = conjugate_posterior(
        design.pattern_counts(), arms=design.arm.labels, cells=design.cells, random_seed=1
    )
    theta = success_probability(phi, OUTCOMES)
    delta = difference(theta, "drug", "placebo") * (1 if direction == "right_sided" else -1)

    draws = {
        f"theta_{arm}_{outcome}": theta.sel(arm=arm, outcome=outcome)
        for arm in ("placebo", "drug")
        for outcome in OUTCOMES
    } | {f"delta_{outcome}": delta.sel(outcome=outcome) for outcome in OUTCOMES}
    # Four standard errors of 100,000 independent draws, with the reference's own error on top.
    for name, moments in exact["moments"].items():
        values = draws[name].values
        assert abs(values.mean() - moments["mean"]) < 4 * moments["sd"] / np.sqrt(values.size)
        assert values.std() == pytest.approx(moments["sd"], rel=4 / np.sqrt(2 * values.size))
    for rule, key in ((All(), "All"), (Any(), "Any"), (Compensatory((0.7, 0.3)), "Comp")):
        p = exact["pop_4e6_draws"][key]
        error = np.sqrt(p * (1 - p) / 100_000) + exact["pop_se"]
        assert abs(rule.joint_probability(delta) - p) < 4 * error


def test_complete_rows_given_as_patterns_change_nothing():
    plain = conjugate_posterior(COUNTS, draws=100, random_seed=1)
    table = np.vstack([np.eye(4, dtype=bool), np.ones(4, dtype=bool)])
    empty = np.column_stack([COUNTS, [7, 8]])  # rows without any outcome say nothing
    np.testing.assert_array_equal(
        conjugate_posterior(empty, compatible=table, draws=100, random_seed=1), plain
    )


def test_partial_rows_give_the_posterior_found_by_enumeration():
    # Three rows with the second outcome missing: 11 or 10. The exact posterior is a mixture of
    # Dirichlets over the number of them that are 11.
    _, compatible = response_patterns([[1, np.nan]])
    full, partial, alpha = np.array([4, 2, 3, 5]), 3, 0.5
    split = np.arange(partial + 1)
    shape = full + alpha + np.column_stack([split, partial - split, 0 * split, 0 * split])
    log_weight = stats.betabinom(partial, full[0] + alpha, full[1] + alpha).logpmf(split)
    exact = np.exp(log_weight) @ (shape / shape.sum(axis=1, keepdims=True))
    second = shape * (shape + 1) / (shape.sum(axis=1) * (shape.sum(axis=1) + 1))[:, None]
    exact_sd = np.sqrt(np.exp(log_weight) @ second - exact**2)

    phi = conjugate_posterior([[*full, partial]], compatible=compatible, random_seed=1).values
    draws = phi.reshape(-1, 4)
    # Draws are correlated: about half as many effective ones, four standard errors.
    np.testing.assert_allclose(draws.mean(axis=0), exact, atol=4 * 0.15 / np.sqrt(50_000))
    np.testing.assert_allclose(draws.std(axis=0), exact_sd, rtol=0.02)


def test_a_seed_fixes_the_draws_and_labels_are_kept():
    a, b = (conjugate_posterior(COUNTS, draws=10, random_seed=3, arms=["p", "d"]) for _ in "ab")
    np.testing.assert_array_equal(a, b)
    assert a.coords["arm"].values.tolist() == ["p", "d"]
    assert a.coords["cell"].values.tolist() == ["11", "10", "01", "00"]


def test_a_hundred_thousand_draws_are_quick():
    # 0.05 s on an idle machine; the best of five, since tests share their cores.
    assert timed(conjugate_posterior, COUNTS, enough=0.2, tries=5)[1] < 0.2


def test_bad_counts_and_priors_are_named():
    with pytest.raises(DataError, match="whole numbers from 0 on"):
        conjugate_posterior([[1.5, 2, 3, 4]])
    with pytest.raises(DataError, match="compatible has shape"):
        conjugate_posterior(COUNTS, compatible=np.eye(3, dtype=bool))
    with pytest.raises(SpecificationError, match="must be positive"):
        conjugate_posterior(COUNTS, prior=0.0)
    with pytest.raises(SpecificationError, match="prior has shape"):
        conjugate_posterior(COUNTS, prior=np.ones(3))
