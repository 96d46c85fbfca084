"""Laws of populations and of averaging over them."""

import numpy as np
import pytest
from scipy import integrate, stats

from pymc_mlm.decisions import (
    Range,
    Sample,
    TruncatedNormal,
    Value,
    as_populations,
    population_rows,
)
from pymc_mlm.decisions.populations import Table
from pymc_mlm.decisions.standardization import (
    CoefficientDraws,
    ObservedClusters,
    average_cells,
    bootstrap_weights,
    new_clusters,
)
from pymc_mlm.errors import DataError, SpecificationError

AGES = {"age": np.array([30.0, 40.0, 50.0, 60.0]), "sex": np.array(list("mfmf"), dtype=object)}


def rows_of(*populations, sample=AGES):
    return population_rows(populations, sample, 4)


def test_the_sample_is_everybody_once():
    rows = rows_of(Sample())
    assert rows.person.tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(rows.weight, 1.0)


def test_a_range_keeps_its_bounds():
    assert rows_of(Range("age", 40, 50)).person.tolist() == [1, 2]


def test_a_value_keeps_the_other_columns_and_joins_rows_alike():
    rows = rows_of(Value(age=45))
    assert sorted(zip(rows.columns["sex"], rows.weight, strict=True)) == [("f", 2.0), ("m", 2.0)]
    assert set(rows.columns["age"]) == {45.0}


def test_several_populations_do_not_depend_on_their_order():
    one = rows_of(Range("age", 35), Value(sex="m"))
    other = rows_of(Value(sex="m"), Range("age", 35))
    np.testing.assert_array_equal(one.columns["age"], other.columns["age"])
    assert set(one.columns["sex"]) == {"m"}


@pytest.mark.parametrize(("low", "high"), [(40, 60), (-np.inf, 45), (-np.inf, np.inf), (70, 90)])
def test_a_truncated_normal_integrates_like_quadrature(low, high):
    sample = {"age": np.array([30.0, 45.0, 55.0, 70.0])}
    rows = population_rows([TruncatedNormal("age", low, high)], sample, 4)
    mean, sd = sample["age"].mean(), sample["age"].std(ddof=1)
    density = stats.truncnorm((low - mean) / sd, (high - mean) / sd, mean, sd)

    def curve(x):
        return 1 / (1 + np.exp(-(x - 50) / 3))

    expected = integrate.quad(
        lambda x: curve(x) * density.pdf(x),
        max(low, mean - 9 * sd),
        min(high, mean + 9 * sd),
        limit=200,
    )[0]
    got = np.average(curve(rows.columns["age"]), weights=rows.weight)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_table_is_taken_as_it_is():
    table = Table(
        {"age": np.array([20.0, 25.0]), "sex": np.array(["m", "f"])}, np.array([3.0, 1.0])
    )
    rows = rows_of(table)
    assert rows.columns["age"].tolist() == [20.0, 25.0]
    assert rows.weight.tolist() == [3.0, 1.0]


BAD = [
    (lambda: rows_of(Range("age", 90, 99)), DataError, "Nobody is in the population 90 <= age"),
    (lambda: rows_of(TruncatedNormal("age", 900, 999)), DataError, "is empty: a normal 'age'"),
    (lambda: Range("age", 60, 40), SpecificationError, "low must be below high"),
    (lambda: rows_of(Range("weight", 1, 2)), SpecificationError, "'weight', which is no covariate"),
    (lambda: rows_of(Range("sex", 1, 2)), SpecificationError, r"Use Value\(sex=...\)"),
    (lambda: Value(), SpecificationError, "names no covariate"),
    (lambda: rows_of(Value(age="old")), SpecificationError, "'old' is no number"),
    (lambda: as_populations("everybody"), SpecificationError, "'everybody' is no population"),
]


@pytest.mark.parametrize(("ask", "error", "text"), BAD)
def test_a_population_that_cannot_be_is_refused(ask, error, text):
    with pytest.raises(error, match=text):
        ask()


def test_a_truth_value_takes_no_number_between():
    flags = {"flag": np.array([True, False])}
    assert population_rows([Value(flag=1)], flags, 2).columns["flag"].tolist() == [True]
    with pytest.raises(SpecificationError, match=r"0\.3 is no truth value"):
        population_rows([Value(flag=0.3)], flags, 2)


def softmax(psi):
    weight = np.exp(np.append(psi, 0.0))
    return weight / weight.sum()


def test_standardisation_equals_a_loop(rng):
    draws = CoefficientDraws(rng.normal(size=(7, 2, 3)), np.array([[1.0, 1.0], [1, 0], [0, 1]]))
    X, Z = rng.normal(size=(11, 3)), rng.normal(size=(11, 2))
    weight = rng.random(11)
    effects, code = rng.normal(size=(7, 4, 2, 2)), rng.integers(0, 4, size=11)
    got = average_cells(draws, X, weight, Z, ObservedClusters(effects, code))
    expected = np.zeros((7, 4))
    for s in range(7):
        for i in range(11):
            eta = draws.beta[s] @ X[i] + Z[i] @ effects[s, code[i]]
            expected[s] += weight[i] / weight.sum() * softmax(draws.basis @ eta)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_extreme_logits_give_finite_probabilities():
    draws = CoefficientDraws(np.full((1, 3, 1), 900.0) * [[1.0], [-1.0], [1.0]], np.eye(3))
    got = average_cells(draws, np.ones((1, 1)), np.ones(1))
    np.testing.assert_allclose(got, [[0.5, 0.0, 0.5, 0.0]], atol=1e-12)


def test_new_clusters_integrate_like_quadrature(rng):
    samples, sd = 400, 1.5
    draws = CoefficientDraws(np.full((samples, 1, 1), 0.7), np.eye(1))
    clusters = new_clusters(np.full((samples, 1, 1), sd), 256)
    ones = np.ones((256, 1))
    got = average_cells(draws, ones, np.ones(256), ones, clusters)[:, 0]
    expected = integrate.quad(lambda u: stats.norm.pdf(u, 0.7, sd) / (1 + np.exp(-u)), -10, 12)[0]
    # A draw's own error is far below any posterior spread, and errors cancel over draws.
    assert np.abs(got - expected).max() < 0.01
    assert abs(got.mean() - expected) < 5e-4


def test_bootstrap_weights_are_dirichlet(rng):
    weight = bootstrap_weights(np.ones(5), np.array([0, 0, 1, 2, 3]), np.ones(4), 20_000, rng)
    np.testing.assert_array_equal(weight[:, 0], weight[:, 1])
    persons = bootstrap_weights(np.array([2.0, 1.0, 1.0]), np.arange(3), np.array([2.0, 1, 1]),
                                20_000, rng)  # fmt: skip
    share = persons / persons.sum(axis=1, keepdims=True)
    # Two persons alike among four: a Beta(2, 2) share.
    assert share[:, 0].var() == pytest.approx(stats.beta(2, 2).var(), rel=0.05)
