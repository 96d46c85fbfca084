"""Families of durations, positive outcomes and shares: density, draws, mean and scale."""

import numpy as np
import pymc as pm
import pytest
from scipy import integrate, stats

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled

ETA = np.array([-0.5, 0.2, 1.3, 0.2])
EVENT = np.array([1.0, 0.0, 1.0, 0.0])
Y = np.array([0.3, 1.7, 2.2, 0.4])
DURATIONS = {
    "exponential": (mlm.Exponential(), {}, lambda eta: stats.expon(scale=np.exp(eta))),
    "lognormal": (
        mlm.LogNormal(), {"sigma": 0.8}, lambda eta: stats.lognorm(0.8, scale=np.exp(eta))
    ),
    "loglogistic": (
        mlm.LogLogistic(), {"shape": 2.5}, lambda eta: stats.fisk(2.5, scale=np.exp(eta))
    ),
    "weibull": (
        mlm.Weibull(), {"shape": 1.7}, lambda eta: stats.weibull_min(1.7, scale=np.exp(eta))
    ),
}  # fmt: skip
VALUES = {
    "gamma": (mlm.Gamma(), {"alpha": 2.5}, lambda eta: stats.gamma(2.5, scale=np.exp(eta) / 2.5)),
    "beta": (mlm.Beta(), {"phi": 6.0}, lambda eta: stats.beta(
        6 / (1 + np.exp(-eta)), 6 / (1 + np.exp(eta)))),
}  # fmt: skip


def variable(family, parameters, eta, outcome):
    with pm.Model(coords={"row": range(len(eta))}) as model:
        priors = {n: mlm.Prior("Uniform", lower=0, upper=1) for n in parameters}
        family.likelihood("outcome", eta, outcome, priors, "row")
    return model


def logp(family, parameters, eta, outcome):
    model = variable(family, parameters, eta, outcome)
    (value,) = (model.rvs_to_values[rv] for rv in model.observed_RVs)
    given = {model[n]: np.array(v) for n, v in parameters.items()}
    return pm.logp(model["outcome"], value).eval(given, on_unused_input="ignore", mode=uncompiled())


@pytest.mark.parametrize("name", DURATIONS)
def test_density_of_events_and_survival_of_censored_times(name):
    family, parameters, frozen = DURATIONS[name]
    ours = logp(family, parameters, ETA, {"time": Y, "event": EVENT})
    expected = np.where(EVENT == 1, frozen(ETA).logpdf(Y), frozen(ETA).logsf(Y))
    np.testing.assert_allclose(ours, expected, rtol=1e-10)


@pytest.mark.parametrize("name", VALUES)
def test_density_of_values(name):
    family, parameters, frozen = VALUES[name]
    y = np.array([0.3, 0.7, 0.2, 0.9])
    np.testing.assert_allclose(
        logp(family, parameters, ETA, {"value": y}), frozen(ETA).logpdf(y), rtol=1e-10
    )


def test_a_normal_tail_that_underflows_has_its_logarithm():
    eta, time, zero = np.zeros(5), np.exp([40.0, 3.0, -40.0, 34.9, 35.1]), np.zeros(5)
    ours = logp(mlm.LogNormal(), {"sigma": 1.0}, eta, {"time": time, "event": zero})
    np.testing.assert_allclose(ours, stats.norm.logsf([40.0, 3.0, -40.0, 34.9, 35.1]), rtol=1e-10)


@pytest.mark.parametrize("name", DURATIONS | VALUES)
def test_the_mean_is_that_of_the_distribution(name):
    family, parameters, frozen = (DURATIONS | VALUES)[name]
    np.testing.assert_allclose(family.mean(ETA, parameters), frozen(ETA).mean(), rtol=1e-8)


@pytest.mark.parametrize("name", DURATIONS | VALUES)
def test_draws_are_complete_and_of_the_distribution(name):
    family, parameters, frozen = (DURATIONS | VALUES)[name]
    eta, ones = np.full(20_000, 0.4), np.full(20_000, 0.5)
    model = variable(family, parameters, eta, {"time": ones, "event": 0 * ones, "value": ones})
    given = {model[n]: np.array(v) for n, v in parameters.items()}
    with model:
        fixed = pm.do(model, {v.name: x for v, x in given.items()}) if given else model
    drawn = pm.draw(fixed["outcome"], random_seed=1, mode=uncompiled())
    assert stats.kstest(drawn, frozen(0.4).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", DURATIONS)
def test_the_scale_is_that_of_a_censored_sample(name, rng):
    family, parameters, frozen = DURATIONS[name]
    eta, offset = 1.5, rng.normal(size=4_000)
    time = frozen(eta + offset).rvs(random_state=rng)
    limit = np.exp(rng.normal(2.0, 1.0, 4_000))
    outcome = {"time": np.minimum(time, limit), "event": (time <= limit).astype(float)}
    scale = family.scale(outcome, offset)
    assert scale.location == pytest.approx(eta, abs=0.06)
    assert scale.spread == pytest.approx(family.residual_variance(parameters) ** 0.5, rel=0.06)


@pytest.mark.parametrize("name", DURATIONS)
def test_one_event_has_a_scale(name):
    family = DURATIONS[name][0]
    scale = family.scale({"time": np.array([1.0, 2.0, 3.0]), "event": np.array([1.0, 0.0, 0.0])})
    assert np.isfinite([scale.location, scale.spread]).all()
    assert 0.1 < scale.spread < 5.0


@pytest.mark.parametrize("name", ["exponential", "lognormal", "loglogistic", "gamma"])
def test_the_unit_of_time_moves_the_location_alone(name, rng):
    family = (DURATIONS | VALUES)[name][0]
    y, event = rng.exponential(size=50) + 0.1, rng.integers(0, 2, 50).astype(float)
    one, other = (family.scale({"time": c * y, "value": c * y, "event": event}) for c in (1, 365.0))
    assert other.location == pytest.approx(one.location + np.log(365.0), abs=1e-4)
    assert other.spread == pytest.approx(one.spread, rel=1e-4)


def test_the_mean_of_a_log_logistic_time_may_be_infinite():
    family = mlm.LogLogistic()
    assert np.isinf(family.mean(0.0, {"shape": np.array([0.5, 1.0, 1.5])})).tolist() == [
        True, True, False,
    ]  # fmt: skip
    area, _ = integrate.quad(lambda t: 1 / (1 + t**1.5), 0, np.inf)
    assert family.mean(0.0, {"shape": 1.5}) == pytest.approx(area, rel=1e-6)


@pytest.mark.parametrize(
    ("family", "values", "match"),
    [
        (mlm.Gamma(), [1.0, 0.0], "must be positive for family='gamma'; found 0 in 1"),
        (mlm.Gamma(), [1.0, 1.0], "one value only"),
        (mlm.Beta(), [0.5, 1.0], "above 0 and below 1 .* found 1 in 1"),
        (mlm.Beta(), [0.5, 45.0], "divide percentages by 100"),
        (mlm.Beta(), [0.5, 0.5], "one value only"),
    ],
)
def test_outcomes_outside_are_refused(family, values, match):
    with pytest.raises(mlm.DataError, match=match):
        family.outcome("y", {"value": np.array(values)})


@pytest.mark.parametrize("name", ["exponential", "lognormal", "loglogistic"])
def test_times_that_are_none_are_refused(name):
    family = DURATIONS[name][0]
    for change, match in {
        "time": "must be positive; found 0", "event": "must be 1 .event seen. or 0",
    }.items():  # fmt: skip
        values = {"time": np.array([1.0, 2.0]), "event": np.array([1.0, 0.0])}
        values[change] = np.array([0.0 if change == "time" else 2.0, 1.0])
        with pytest.raises(mlm.DataError, match=match):
            family.outcome("Surv(t, d)", values)
