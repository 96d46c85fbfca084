"""Laplace's method: derivatives and gradients by differences, values by quadrature."""

import numpy as np
import pymc as pm
import pytest

from pymc_mlm.integration.factor import factor
from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.integration.laplace import laplace, laplace_near
from pymc_mlm.integration.log_densities import LOG_DENSITIES
from pymc_mlm.integration.rows import Rows

EXACT = 1e-20  # Newton decrement that differences need


def outcome_of(family, eta, rng):
    n = len(eta)
    probability, rate = 1 / (1 + np.exp(-eta)), np.exp(eta)
    return {
        "bernoulli": lambda: {"value": 1.0 * (rng.random(n) < probability)},
        "binomial": lambda: {
            "value": 1.0 * rng.binomial(5, probability),
            "trials": np.full(n, 5.0),
        },
        "poisson": lambda: {"value": 1.0 * rng.poisson(rate)},
        "negative_binomial": lambda: {"value": 1.0 * rng.negative_binomial(2, 2 / (2 + rate))},
        "weibull": lambda: {
            "time": rng.weibull(1.4, n) * rate,
            "event": 1.0 * rng.integers(0, 2, n),
        },
        "student_t": lambda: {"value": eta + rng.standard_t(5, n)},
        "gaussian": lambda: {"value": eta + rng.normal(size=n)},
    }[family]()


def table_of(family, layout, rng):
    """Rows, entries, offset and parameters; ragged memberships, or units within units."""
    rows, size = 200, 25
    if layout == "ragged":
        count = rng.integers(1, 5, rows)
        columns = np.concatenate([rng.choice(size, c, replace=False) for c in count])
    else:
        leaf = rng.integers(0, 20, rows)
        count, columns = np.full(rows, 2), np.stack([20 + leaf % 5, leaf], axis=1).ravel()
    entries = 0.6 * rng.normal(size=len(columns))
    indptr = np.concatenate([[0], np.cumsum(count)])
    offset = 0.2 * rng.normal(size=rows)
    bare = Rows(family, {}, indptr, columns, size)
    eta = offset + bare.times(entries, rng.normal(size=size))
    table = Rows(family, outcome_of(family, eta, rng), indptr, columns, size)
    return table, entries, offset, np.full(len(table.density.parameters), 0.4)


def slope(f, x, direction, h=1e-5):
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


@pytest.mark.parametrize("family", LOG_DENSITIES)
def test_derivatives_are_those_of_the_value(family, rng):
    density, eta = LOG_DENSITIES[family], rng.normal(size=30)
    y, logs = outcome_of(family, eta, rng), 0.5 * rng.normal(size=len(density.parameters))

    def stack(eta, logs):
        return np.vstack([density.value(y, eta, logs), density.derivatives(y, eta, logs).by_eta])

    found = density.derivatives(y, eta, logs)
    by_eta = slope(lambda x: stack(x, logs), eta, 1.0)[:4]
    assert np.allclose(found.by_eta, by_eta, atol=1e-7)
    for direction, by_parameter in zip(np.eye(len(logs)), found.by_parameter, strict=True):
        by_log = slope(lambda x: stack(eta, x), logs, direction)[:3]
        assert np.allclose(by_parameter, by_log, atol=1e-7)


@pytest.mark.parametrize(
    ("family", "distribution"),
    [
        ("bernoulli", lambda eta, p: pm.Bernoulli.dist(logit_p=eta)),
        ("binomial", lambda eta, p: pm.Binomial.dist(n=5, logit_p=eta)),
        ("poisson", lambda eta, p: pm.Poisson.dist(mu=np.exp(eta))),
        ("negative_binomial", lambda eta, p: pm.NegativeBinomial.dist(mu=np.exp(eta), alpha=p[0])),
        ("gaussian", lambda eta, p: pm.Normal.dist(eta, p[0])),
        ("student_t", lambda eta, p: pm.StudentT.dist(mu=eta, sigma=p[0], nu=p[1])),
        ("weibull", lambda eta, p: pm.Weibull.dist(alpha=p[0], beta=np.exp(eta))),
    ],
)
def test_values_are_those_of_pymc(family, distribution, rng):
    density, eta = LOG_DENSITIES[family], rng.normal(size=20)
    y, logs = outcome_of(family, eta, rng), 0.5 * rng.normal(size=len(density.parameters))
    if family == "weibull":
        y["event"] = np.ones(20)
    value = y["time"] if family == "weibull" else y["value"]
    expected = pm.logp(distribution(eta, np.exp(logs)), value).eval(mode="FAST_COMPILE")
    assert np.allclose(density.value(y, eta, logs), expected)


@pytest.mark.parametrize("log_alpha", [9.2, 9.3, 20.0, 30.0, 200.0])
def test_negative_binomial_counts_of_a_large_shape_are_poisson_counts(log_alpha, rng):
    eta, logs = rng.normal(size=50), np.array([log_alpha])
    y = outcome_of("poisson", eta, rng)
    many, limit = LOG_DENSITIES["negative_binomial"], LOG_DENSITIES["poisson"]
    order = 20 * np.exp(-log_alpha) + 1e-12
    assert np.allclose(many.value(y, eta, logs), limit.value(y, eta, logs), atol=order)
    found = many.derivatives(y, eta, logs)
    assert np.allclose(found.by_eta, limit.derivatives(y, eta, logs).by_eta, atol=200 * order)
    assert np.allclose(found.by_parameter, 0, atol=200 * order)


@pytest.mark.parametrize("layout", ["ragged", "nested"])
@pytest.mark.parametrize("family", LOG_DENSITIES)
def test_gradient_is_that_of_the_log_marginal(family, layout, rng):
    rows, entries, offset, logs = table_of(family, layout, rng)
    found = laplace(rows, entries, offset, logs, tolerance=EXACT)
    near = found.mode

    def value(entries, offset, logs):
        return laplace(rows, entries, offset, logs, near, EXACT).value

    by_entries, by_offset, by_logs = found.gradient()
    a, b, c = rng.normal(size=len(entries)), rng.normal(size=len(offset)), np.ones(len(logs))
    assert slope(lambda x: value(x, offset, logs), entries, a) == pytest.approx(
        by_entries @ a, abs=1e-5
    )
    assert slope(lambda x: value(entries, x, logs), offset, b) == pytest.approx(
        by_offset @ b, abs=1e-5
    )
    assert slope(lambda x: value(entries, offset, x), logs, c) == pytest.approx(
        by_logs @ c, abs=1e-5
    )


@pytest.mark.parametrize("family", LOG_DENSITIES)
def test_one_unit_against_quadrature(family, rng):
    """The second order leaves a fifth of the error of Laplace's method, or less."""
    n, entry = 6, 0.9
    y = outcome_of(family, np.full(n, 0.5), rng)
    rows = Rows(family, y, np.arange(n + 1), np.zeros(n, dtype=int), 1)
    logs = np.full(len(rows.density.parameters), 0.8)
    found = laplace(rows, np.full(n, entry), np.zeros(n), logs)
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    sd = np.sqrt(found.variance[0]) / entry
    u = found.mode[0] + sd * node
    joint = rows.log_density(np.tile(entry * u, (n, 1)), logs) - 0.5 * u**2
    exact = np.log(sd / np.sqrt(2 * np.pi) * weight @ np.exp(joint + 0.5 * node**2))
    error = abs(found.value - exact)
    assert abs(found.value + found.second_order - exact) < max(0.35 * error, 1e-4)


@pytest.mark.parametrize("family", ["bernoulli", "poisson", "weibull"])
def test_second_order_against_simulation(family, rng):
    """Draws weighted by the joint density estimate the marginal without any approximation."""
    rows, entries, offset, logs = table_of(family, "nested", rng)
    found = laplace(rows, entries, offset, logs)
    _, log_ratio = found.draw(4000, rng)
    ratio = np.exp(log_ratio - found.value)
    error = ratio.std() / ratio.mean() / np.sqrt(len(ratio))
    assert abs(np.log(ratio.mean()) - found.second_order) < 4 * error + 0.15 * abs(
        found.second_order
    )


def test_draws_have_mean_and_covariance_of_the_approximation(rng):
    found = laplace(*table_of("bernoulli", "ragged", rng))
    u, _ = found.draw(20_000, rng)
    assert np.allclose(u.mean(axis=1), found.mode + found.shift, atol=0.04)
    assert np.allclose(np.cov(u), found.root.solve(np.eye(25)), atol=0.04)


@pytest.mark.parametrize("family", LOG_DENSITIES)
@pytest.mark.parametrize("away", [0.03, 0.2, 3.0])
def test_an_approximation_from_near_the_mode_is_that_at_the_mode(family, away, rng):
    table = table_of(family, "nested", rng)
    exact = laplace(*table, tolerance=EXACT)
    sd = np.sqrt(np.diagonal(covariance(exact)))
    found = laplace_near(*table, exact.mode + away * sd * rng.normal(size=25), exact.variance)
    assert found.value == pytest.approx(exact.value, abs=0.02)
    assert np.allclose(found.mode / sd, exact.mode / sd, atol=0.05)
    assert np.allclose(found.shift / sd, exact.shift / sd, atol=0.05)


def test_a_point_near_the_mode_takes_one_factor(monkeypatch, rng):
    table = table_of("bernoulli", "nested", rng)
    exact, made = laplace(*table, tolerance=EXACT), []

    def counted(*arguments):
        made.append(arguments)
        return factor(*arguments)

    monkeypatch.setattr("pymc_mlm.integration.laplace.factor", counted)
    laplace_near(*table, exact.mode + 0.05, exact.variance).draw(3, rng)
    assert len(made) == 1


def covariance(found):
    return found.root.solve(np.eye(found.rows.size))


def test_more_effects_than_a_cheap_factor(rng, monkeypatch):
    """Conjugate gradients lead to the same mode."""
    rows, entries, offset, logs = table_of("bernoulli", "ragged", rng)
    near = laplace(rows, 0.8 * entries, offset, logs)
    plain = laplace(rows, entries, offset, logs)
    monkeypatch.setattr("pymc_mlm.integration.effect_mode.CHEAP_FACTOR", 0)
    other = laplace(rows, entries, offset, logs, near.mode)
    assert np.allclose(plain.mode, other.mode, atol=1e-6)
    assert plain.value == pytest.approx(other.value, abs=1e-8)


def test_rows_in_another_order_have_the_same_marginal(rng):
    rows, entries, offset, logs = table_of("poisson", "nested", rng)
    order = rng.permutation(len(offset))
    columns, at = rows.columns.reshape(-1, 2)[order].ravel(), entries.reshape(-1, 2)[order].ravel()
    outcome = {k: v[order] for k, v in rows.outcome.items()}
    other = laplace(
        Rows("poisson", outcome, rows.indptr, columns, rows.size), at, offset[order], logs
    )
    this = laplace(rows, entries, offset, logs)
    assert this.value == pytest.approx(other.value, abs=1e-9)
    assert this.second_order == pytest.approx(other.second_order, abs=1e-9)


def test_a_unit_without_rows_keeps_its_prior(rng):
    y = {"value": np.array([1.0, 0.0, 1.0])}
    rows = Rows("bernoulli", y, np.arange(4), np.array([0, 0, 2]), 3)
    found = laplace(rows, np.ones(3), np.zeros(3), np.zeros(0))
    assert found.mode[1] == 0
    assert found.root.solve(np.eye(3))[1, 1] == pytest.approx(1.0)


def test_what_has_no_mode_is_an_error():
    rows = Rows("poisson", {"value": np.array([1.0])}, np.arange(2), np.zeros(1, dtype=int), 1)
    with pytest.raises(IntegrationError, match="overflows"):
        laplace(rows, np.ones(1), np.array([np.nan]), np.zeros(0))
    apart = {"value": np.array([-50.0, 50.0])}
    rows = Rows("student_t", apart, np.arange(3), np.zeros(2, dtype=int), 1)
    with pytest.raises(IntegrationError, match="not curved downwards"):
        laplace(rows, np.full(2, 60.0), np.zeros(2), np.log([1.0, 1.0]))
