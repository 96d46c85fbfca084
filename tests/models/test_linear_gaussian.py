"""Gaussian models by cross products of their tables: which are, and the same from rows."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.paths.approximation import approximate_split
from pymc_mlm.paths.conditional import conditional
from pymc_mlm.paths.log_marginal import LogMarginal

RUN = {"draws": 100, "chains": 2, "random_seed": 1, "progressbar": False, "path": "collapsed"}


@pytest.fixture(scope="module")
def table():
    """Scores of pupils in three years, each with the teachers so far; pupils in towns."""
    rng = np.random.default_rng(2)
    parts = []
    for year in range(3):
        for before in range(year + 1):
            part = {"pupil": np.arange(40), "lag": year - before, "year": year}
            part["teacher"] = 10 * before + (np.arange(40) * (before + 3) // 7) % 8
            parts.append(pd.DataFrame(part))
    rows = pd.concat(parts, ignore_index=True)
    rows["test"] = 3 * rows["pupil"] + rows["year"]
    rows["town"] = rows["pupil"] % 6
    of_test = pd.DataFrame(
        {"score": 50 + rng.normal(size=120), "x": rng.normal(size=120)}, index=range(120)
    )
    of_test["w"] = rng.integers(1, 4, 120)
    rows["z"], rows["s"] = rng.normal(size=len(rows)), rng.normal(size=len(rows))
    return rows.join(of_test, on="test")


def teachers(weight, **options):
    return mlm.mm("teacher", "test", weight=weight, normalize=False, **options)


PERSISTENCE = mlm.weights.persistence("lag", lags=2)
COUNTS, OWN = mlm.FrequencyWeights("w"), {"beta[x]": mlm.Prior("Normal", mu=0.5, sigma=0.1)}
FORMULA = "score ~ 1 + C(year) + x"
PUPILS, TOWNS = mlm.hm("pupil"), mlm.hm("town", covariates="x")
MEMBERSHIP = mlm.MultipleMembershipModel
LINEAR = {
    "crossed": MEMBERSHIP(FORMULA, PUPILS, TOWNS),
    "equal weights": MEMBERSHIP(FORMULA, mlm.mm("teacher", "test", covariates="z"), PUPILS),
    "persistence": MEMBERSHIP(FORMULA, teachers(PERSISTENCE), PUPILS),
    "affine in a covariate": MEMBERSHIP(FORMULA, teachers("1 + b * `s`")),
    "weights of rows": MEMBERSHIP(FORMULA, teachers(PERSISTENCE), PUPILS, row_weights=COUNTS),
    "intercept alone": MEMBERSHIP("score ~ 1", PUPILS),
    "effects alone": MEMBERSHIP("score ~ 0", PUPILS, mlm.hm("teacher")),
    "no intercept": MEMBERSHIP("score ~ 0 + x", PUPILS, TOWNS),
    "prior of one coefficient": MEMBERSHIP("score ~ 1 + x", PUPILS, priors=OWN),
    "slopes": mlm.NestedVaryingEffects(
        "score ~ 1 + x", levels=["town", "pupil"], terms=[mlm.hm("teacher")],
        varying={"town": "1 + x", "pupil": "1"},
    ),
}  # fmt: skip
NOT_LINEAR = {
    "softmax": MEMBERSHIP(FORMULA, mlm.mm("teacher", "test", weight=mlm.weights.softmax("s"))),
    "powers": MEMBERSHIP(FORMULA, teachers("exp(b * `s`)"), PUPILS),
    "weights times coefficients": MEMBERSHIP(FORMULA, teachers(PERSISTENCE, covariates="z")),
}


def split(model, table):
    spec = model.specification
    return conditional(spec, spec.read(table[table["lag"] == 0] if spec.nested else table))


@pytest.mark.parametrize("name", LINEAR)
def test_density_and_gradient_are_those_from_rows(name, table, rng):
    model = split(LINEAR[name], table)
    assert model.linear is not None
    products, rows = LogMarginal(model), LogMarginal(replace(model, linear=None))
    for scale in (0.1, 1.0):
        point = model.start + scale * rng.normal(size=len(model.start))
        (value, gradient), (expected, slope) = products(point), rows(point)
        assert value == pytest.approx(expected, rel=1e-9)
        assert np.allclose(gradient, slope, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_others_are_not_taken_for_linear(name, table):
    assert split(NOT_LINEAR[name], table).linear is None


@pytest.mark.parametrize(
    "limit", ["integration.cross_products.MOST_PRODUCTS", "paths.linear_gaussian.MOST_MATRICES"]
)
def test_too_many_products_are_not_written(limit, table, monkeypatch):
    monkeypatch.setattr(f"pymc_mlm.{limit}", 3)
    assert split(LINEAR["persistence"], table).linear is None


def test_a_step_whose_gradient_is_zero_is_not_taken_for_a_constant(table, monkeypatch):
    """The gradient says that a step is constant: sums are tried at another point, too."""
    monkeypatch.setattr("pymc_mlm.paths.linear_gaussian.is_affine", lambda graph, inputs: True)
    assert split(NOT_LINEAR["powers"], table).linear is None


def test_the_search_for_a_mode_does_not_read_rows(table, monkeypatch):
    model = split(LINEAR["persistence"], table)
    monkeypatch.setattr(type(model), "pieces", lambda *given: pytest.fail("rows were read"))
    assert np.isfinite(approximate_split(model).mode.value)


def test_the_same_units_again_are_no_more_products(table):
    again = pd.concat([table, table.assign(test=table["test"] + 120)], ignore_index=True)
    for name in ("crossed", "persistence"):
        one, two = (split(LINEAR[name], t).linear.products for t in (table, again))
        assert len(one.place) == len(two.place)
        assert two.count == 2 * one.count


@pytest.mark.parametrize("name", ["persistence", "slopes"])
def test_draws_are_those_from_rows(name, table, monkeypatch):
    rows = table if name == "persistence" else table[table["lag"] == 0]
    one = LINEAR[name].fit(rows, **RUN).result_.posterior
    monkeypatch.setattr("pymc_mlm.paths.conditional.linear_gaussian", lambda *given: None)
    # From the same start, so that the same points are proposed.
    start = "pymc_mlm.paths.approximation.start_without_effects"
    monkeypatch.setattr(start, lambda model: (model.start,))
    other = LINEAR[name].fit(rows, **RUN).result_.posterior
    assert one.attrs["is_exact"] == other.attrs["is_exact"] == 1
    for variable in one:
        assert np.allclose(one[variable], other[variable], rtol=1e-3, atol=1e-3), variable
