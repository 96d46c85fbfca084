"""Zero-inflated and hurdle counts: density, draws, mean, variance and scale, against SciPy."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from tests.families.test_positive import logp, variable
from tests.mocked import PriorDraws

ETA = np.array([-2.0, 0.4, 1.3, 0.2, 2.5, -1.0])
Y = np.array([0.0, 3.0, 0.0, 1.0, 40.0, 1.0])
P, ALPHA = 0.3, 1.7


def poisson(eta):
    return stats.poisson(np.exp(eta))


def negative_binomial(eta):
    return stats.nbinom(ALPHA, ALPHA / (ALPHA + np.exp(eta)))


CASES = {
    "zero_inflated_poisson": (mlm.ZeroInflatedPoisson(), {"zi": P}, poisson),
    "zero_inflated_negative_binomial": (
        mlm.ZeroInflatedNegativeBinomial(), {"zi": P, "alpha": ALPHA}, negative_binomial
    ),
    "hurdle_poisson": (mlm.HurdlePoisson(), {"hu": P}, poisson),
    "hurdle_negative_binomial": (
        mlm.HurdleNegativeBinomial(), {"hu": P, "alpha": ALPHA}, negative_binomial
    ),
}  # fmt: skip
COUNTS = np.arange(3000)[:, None]


def probability(name, y, eta):
    f = CASES[name][2](eta)
    if name.startswith("zero"):
        return P * (y == 0) + (1 - P) * f.pmf(y)
    return np.where(y == 0, P, (1 - P) * f.pmf(y) / (1 - f.pmf(0)))


@pytest.mark.parametrize("name", CASES)
def test_density_is_that_of_the_formula(name):
    family, parameters, _ = CASES[name]
    ours = logp(family, parameters, ETA, {"value": Y})
    np.testing.assert_allclose(ours, np.log(probability(name, Y, ETA)), rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_probabilities_sum_to_one_and_the_mean_is_theirs(name):
    family, parameters, _ = CASES[name]
    p = probability(name, COUNTS, ETA)
    np.testing.assert_allclose(p.sum(axis=0), 1.0, rtol=1e-9)
    np.testing.assert_allclose(family.mean(ETA, parameters), (COUNTS * p).sum(axis=0), rtol=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_draws_have_the_probabilities(name):
    family, parameters, _ = CASES[name]
    eta = np.repeat([-2.0, 0.7], 20_000)
    model = variable(family, parameters, eta, {"value": np.ones(len(eta))})
    drawn = pm.draw(pm.do(model, parameters)["outcome"], random_seed=3, mode=uncompiled()).reshape(
        2, -1
    )
    for own, at in zip(drawn, (-2.0, 0.7), strict=True):
        for count in (0, 1, 2, 5):
            expected = probability(name, count, at)
            error = np.sqrt(expected * (1 - expected) / 20_000)
            assert abs((own == count).mean() - expected) < 4.5 * error + 1e-9


@pytest.mark.parametrize("name", CASES)
def test_the_gradient_is_finite_far_away(name):
    family, parameters, _ = CASES[name]
    far = np.array([-700.0, -700.0, 30.0, 30.0])
    with pm.Model(coords={"row": range(4)}) as model:
        eta = pm.Flat("eta", shape=4)
        priors = {n: mlm.Prior("Beta", alpha=2, beta=2) for n in parameters}
        if "alpha" in priors:
            priors["alpha"] = mlm.Prior("HalfNormal", sigma=1)
        family.likelihood("outcome", eta, {"value": np.array([0.0, 1.0, 0.0, 9.0])}, priors, "row")
    point = model.initial_point() | {"eta": far}
    assert np.isfinite(model.compile_dlogp(mode=uncompiled())(point)).all()


@pytest.mark.parametrize("name", ["zero_inflated_poisson", "zero_inflated_negative_binomial"])
def test_residual_variance_is_the_log_normal_approximation_of_the_counts(name):
    family, parameters, _ = CASES[name]
    p = probability(name, COUNTS, ETA)
    mean, square = (COUNTS * p).sum(axis=0), (COUNTS**2.0 * p).sum(axis=0)
    expected = np.log1p((square - mean**2) / mean**2)
    found = family.residual_variance(parameters | {"eta": ETA})
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert family.residual_variance(parameters) is None


@pytest.mark.parametrize("name", ["hurdle_poisson", "hurdle_negative_binomial"])
def test_hurdle_counts_have_no_residual_variance(name):
    family, parameters, _ = CASES[name]
    assert family.residual_variance(parameters | {"eta": ETA}) is None


def test_the_level_of_a_hurdle_is_that_of_its_positive_counts():
    rng = np.random.default_rng(1)
    exposure = np.repeat([0.5, 2.0], 20_000)
    y = rng.poisson(0.8 * exposure) * (rng.random(40_000) < 0.6)
    scale = mlm.HurdlePoisson().scale({"value": y.astype(float)}, np.log(exposure))
    assert scale.location == pytest.approx(np.log(0.8), abs=0.05)
    ones = mlm.HurdlePoisson().scale({"value": np.array([0.0, 1.0, 1.0])})
    assert np.isfinite(ones.location)


def test_zeros_alone_are_refused_and_zeros_are_counted():
    with pytest.raises(mlm.DataError, match=r"Every 'y' is zero.*family='poisson'"):
        mlm.HurdlePoisson().outcome("y", {"value": np.zeros(3)})
    with pytest.raises(mlm.DataError, match="must be a count"):
        mlm.ZeroInflatedPoisson().outcome("y", {"value": np.array([0.5, 1.0])})
    assert mlm.HurdlePoisson().notes({"value": Y}) == ("2 of 6 outcomes are zero.",)


def test_without_zeros_of_its_own_it_is_a_poisson_model():
    ours = logp(mlm.ZeroInflatedPoisson(), {"zi": 1e-15}, ETA, {"value": Y})
    np.testing.assert_allclose(ours, poisson(ETA).logpmf(Y), rtol=1e-9)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_variance_shares_of_a_hurdle_are_those_of_the_units_alone():
    rng = np.random.default_rng(2)
    table = {"u": np.arange(60) % 6, "y": rng.poisson(1.0, 60)}
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u"), family="hurdle_poisson")
    model.fit(table, draws=20, chains=2, sampler=PriorDraws(), path="sampled")
    found = model.variance_decomposition()
    assert "residual" not in [str(i) for i in found.frame.index]
