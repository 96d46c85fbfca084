"""Probit and complementary log-log links: density in both tails, draws, mean and scale."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from tests.families.test_positive import logp, variable

ETA = np.array([-40.0, -6.0, -0.7, 0.0, 1.3, 6.0, 40.0])
LATENT = {"probit": stats.norm, "cloglog": stats.gumbel_l, "bernoulli": stats.logistic}
FAMILIES = {
    "probit": mlm.Probit(), "cloglog": mlm.ComplementaryLogLog(), "bernoulli": mlm.Bernoulli(),
}  # fmt: skip


@pytest.mark.parametrize("name", ["probit", "cloglog"])
def test_density_is_that_of_a_latent_variable_below_the_predictor(name):
    for y, expected in ((1.0, LATENT[name].logcdf(ETA)), (0.0, LATENT[name].logsf(ETA))):
        ours = logp(FAMILIES[name], {}, ETA, {"value": np.full(7, y)})
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_mean_inverts_the_link(name):
    family, eta = FAMILIES[name], np.array([-3.0, -0.5, 0.0, 1.2])
    p = family.mean(eta, {})
    np.testing.assert_allclose(p, LATENT[name].cdf(eta), rtol=1e-12)
    np.testing.assert_allclose([family.predictor(x) for x in p], eta, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", FAMILIES)
def test_draws_have_the_probability(name):
    eta = np.repeat([-1.0, 0.5], 20_000)
    model = variable(FAMILIES[name], {}, eta, {"value": np.ones(len(eta))})
    drawn = pm.draw(pm.do(model, {})["outcome"], random_seed=1, mode=uncompiled()).reshape(2, -1)
    np.testing.assert_allclose(drawn.mean(axis=1), LATENT[name].cdf([-1.0, 0.5]), atol=0.015)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_level_is_that_of_the_share_beside_what_is_fixed(name):
    rng = np.random.default_rng(2)
    offset = rng.normal(size=60_000)
    y = (rng.random(60_000) < LATENT[name].cdf(-0.4 + offset)) * 1.0
    found = FAMILIES[name].scale({"value": y}, offset)
    assert found.location == pytest.approx(-0.4, abs=0.03)
    assert np.isfinite(FAMILIES[name].scale({"value": np.zeros(5)}).location)


def test_the_event_is_named_for_the_family_that_was_asked_for():
    table = {"y": np.array(["no", "yes"] * 10), "u": np.arange(20) % 5}
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u"), family="probit")
    with pytest.raises(mlm.DataError, match=r"family=Probit\(event='no'\)"):
        model.build(table)


CUTS = np.array([-1.0, 0.2, 1.5])


def ordered(eta, y):
    with pm.Model(coords={"row": range(len(y))}) as model:
        outcome = {"value": np.asarray(y, dtype=float), "counts": np.ones(4)}
        prior = {"cutpoint": mlm.Prior("Normal", mu=0, sigma=1)}
        mlm.CumulativeProbit().likelihood("outcome", eta, outcome, prior, "row")
    return model


def test_ordered_categories_have_the_probabilities_between_cut_points():
    eta = np.repeat([-0.5, 3.0, -30.0, 30.0], 4)
    y = np.tile(np.arange(4.0), 4)
    model = ordered(eta, y)
    (value,) = (model.rvs_to_values[rv] for rv in model.observed_RVs)
    ours = pm.logp(model["outcome"], value).eval({model["cutpoint"]: CUTS}, mode=uncompiled())
    low, high = np.r_[-np.inf, CUTS][y.astype(int)] - eta, np.r_[CUTS, np.inf][y.astype(int)] - eta
    # By the tail that does not cancel.
    flip = low > 0
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    a, b = stats.norm.logcdf(high), stats.norm.logcdf(low)
    np.testing.assert_allclose(ours, a + np.log1p(-np.exp(b - a)), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(np.exp(ours).reshape(4, 4).sum(axis=1), 1.0, rtol=1e-9)


def test_the_expected_code_sums_the_chances_to_exceed_cut_points():
    eta = np.array([-0.5, 0.8])
    chances = np.diff(stats.norm.cdf(np.r_[-np.inf, CUTS, np.inf][:, None] - eta), axis=0)
    found = mlm.CumulativeProbit().mean(eta, {"cutpoint": CUTS[:, None]})
    np.testing.assert_allclose(found, np.arange(4) @ chances)


def test_draws_of_ordered_categories_have_the_probabilities():
    eta = np.full(20_000, 0.3)
    model = pm.do(ordered(eta, np.tile(np.arange(4.0), 5000)), {"cutpoint": CUTS})
    drawn = pm.draw(model["outcome"], random_seed=1, mode=uncompiled())
    expected = np.diff(stats.norm.cdf(np.r_[-np.inf, CUTS, np.inf] - 0.3))
    np.testing.assert_allclose(np.bincount(drawn.astype(int)) / 20_000, expected, atol=0.015)


def test_cut_points_start_at_the_shares():
    counts = np.array([20.0, 30.0, 50.0])
    found = mlm.CumulativeProbit().near_mode({"counts": counts})["cutpoint"]
    np.testing.assert_allclose(found, stats.norm.ppf([0.2, 0.5]), atol=1e-12)
