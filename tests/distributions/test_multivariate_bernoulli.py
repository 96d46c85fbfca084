"""Laws of the joint Bernoulli distribution inside anyone's model."""

from itertools import product

import numpy as np
import pymc as pm
import pytensor
import pytest
import xarray as xr
from pytensor.compile.mode import Mode
from scipy import stats

from pymc_mlm.data.cells import cells
from pymc_mlm.distributions import MultivariateBernoulli
from pymc_mlm.errors import DataError, SpecificationError

# Runs `perform` as it stands: nothing is compiled.
PERFORM = Mode(linker="py", optimizer=None)
COORDS = {"patient": range(40), "outcome": ["math", "reading"], "cell": ["11", "10", "01"]}


def probabilities(logits):
    weight = np.exp(np.append(logits, np.zeros((*logits.shape[:-1], 1)), axis=-1))
    return weight / weight.sum(axis=-1, keepdims=True)


def logp_of(logits, value):
    logp = pm.logp(MultivariateBernoulli.dist(logits), value)
    return logp.eval(mode=PERFORM)


@pytest.fixture
def outcomes(rng):
    return rng.integers(0, 2, size=(40, 2))


@pytest.fixture
def model(rng, outcomes):
    with pm.Model(coords=COORDS) as model:
        x = pm.Data("x", rng.normal(size=40), dims="patient")
        intercept = pm.Normal("intercept", dims="cell")
        slope = pm.Normal("slope", dims="cell")
        logits = intercept + x[:, None] * slope
        MultivariateBernoulli("y", logits, observed=outcomes, dims=("patient", "outcome"))
    return model


@pytest.mark.parametrize("num_outcomes", [1, 2, 3])
def test_logp_is_that_of_the_cell(rng, num_outcomes):
    table = cells(num_outcomes)
    logits = rng.normal(size=2**num_outcomes - 1)
    expected = stats.multinomial.logpmf(np.eye(len(table), dtype=int), 1, probabilities(logits))
    np.testing.assert_allclose(logp_of(logits, table), expected, rtol=1e-9)


def test_one_outcome_is_bernoulli(rng):
    logits, value = rng.normal(size=(20, 1)), rng.integers(0, 2, size=(20, 1))
    bernoulli = pm.logp(pm.Bernoulli.dist(logit_p=logits), value).eval(mode=PERFORM)
    np.testing.assert_allclose(logp_of(logits, value), bernoulli[:, 0], rtol=1e-12)


def test_values_outside_the_support_are_impossible():
    value = np.array([[1, 1], [2, 0], [-1, 0]])
    np.testing.assert_array_equal(np.isinf(logp_of(np.zeros(3), value)), [False, True, True])


def test_logits_may_have_more_axes(rng):
    logits, value = rng.normal(size=(4, 5, 3)), rng.integers(0, 2, size=(4, 5, 2))
    flat = logp_of(logits.reshape(20, 3), value.reshape(20, 2))
    np.testing.assert_allclose(logp_of(logits, value), flat.reshape(4, 5), rtol=1e-12)


@pytest.mark.parametrize("mode", [PERFORM, "NUMBA"])
def test_draws_have_the_cells_probabilities(rng, mode):
    logits = rng.normal(size=7)
    draws = pm.draw(MultivariateBernoulli.dist(logits, shape=(20_000, 3)), random_seed=1, mode=mode)
    share = (draws[:, None] == cells(3)).all(axis=2).mean(axis=0)
    # Four binomial standard errors.
    p = probabilities(logits)
    assert np.all(np.abs(share - p) < 4 * np.sqrt(p * (1 - p) / 20_000))
    assert draws.dtype == np.int64


def test_model_logp_is_the_sum_of_rows(model, outcomes):
    point = {"intercept": np.array([0.1, 0.2, -0.3]), "slope": np.array([1.0, -1.0, 0.5])}
    x = model["x"].get_value()
    p = probabilities(point["intercept"] + x[:, None] * point["slope"])
    cell = 3 - outcomes @ [2, 1]
    value = model.compile_logp(vars=model.observed_RVs, mode=PERFORM)(point)
    np.testing.assert_allclose(value, np.log(p[np.arange(40), cell]).sum(), rtol=1e-10)


def test_predictive_draws_and_log_likelihood_bear_the_dims(model, rng):
    with model:
        prior = pm.sample_prior_predictive(5, random_seed=1)
        posterior = xr.DataTree.from_dict(
            {
                "posterior": xr.Dataset(
                    {
                        name: (("chain", "draw", "cell"), rng.normal(size=(2, 3, 3)))
                        for name in ("intercept", "slope")
                    },
                    coords={"chain": [0, 1], "draw": [0, 1, 2], "cell": COORDS["cell"]},
                )
            }
        )
        predictive = pm.sample_posterior_predictive(posterior, random_seed=1, progressbar=False)
        with_loglik = pm.compute_log_likelihood(posterior, progressbar=False)
    outcome_dims = ("chain", "draw", "patient", "outcome")
    assert prior.prior_predictive["y"].dims == outcome_dims
    assert predictive.posterior_predictive["y"].dims == outcome_dims
    assert set(np.unique(prior.prior_predictive["y"])) <= {0, 1}
    loglik = with_loglik.log_likelihood["y"]
    assert loglik.dims == ("chain", "draw", "patient")

    draw = {name: posterior.posterior[name].values[1, 2] for name in ("intercept", "slope")}
    pointwise = model.compile_logp(vars=model.observed_RVs, sum=False, mode=PERFORM)(draw)
    np.testing.assert_allclose(loglik.values[1, 2], pointwise[0], rtol=1e-10)


def test_an_unobserved_variable_has_a_starting_point():
    with pm.Model() as model:
        MultivariateBernoulli("z", np.zeros((4, 7)))
    assert model.initial_point()["z"].shape == (4, 3)


def refusal(error, message, logits, observed):
    with pm.Model(), pytest.raises(error, match=message):
        MultivariateBernoulli("y", logits, observed=observed)


def test_the_probability_of_a_missing_outcome_is_that_of_all_it_may_be():
    logits = np.random.default_rng(3).normal(size=(4, 7))
    values = np.array([[1, 0, np.nan], [np.nan, 1, np.nan], [0, 0, 1], [np.nan, np.nan, np.nan]])
    with pm.Model() as model:
        MultivariateBernoulli("y", logits, observed=values)
    found = model.compile_logp(vars=model.observed_RVs, sum=False, mode=PERFORM)({})[0]
    cells = np.array(list(product((1, 0), repeat=3)))
    mass = np.exp(np.column_stack([logits, np.zeros(4)]))
    fits = (np.isnan(values)[:, None] | (values[:, None] == cells)).all(axis=-1)
    want = np.log((mass * fits).sum(axis=1) / mass.sum(axis=1))
    np.testing.assert_allclose(found, want, atol=1e-12)
    assert found[3] == pytest.approx(0)


def test_masked_outcomes_are_missing_ones():
    values = np.array([[1.0, 0.0], [np.nan, 1.0]])
    densities = []
    for observed in (values, np.ma.masked_invalid(values)):
        with pm.Model() as model:
            MultivariateBernoulli("y", np.zeros(3), observed=observed)
        densities.append(model.compile_logp(mode=PERFORM)({}))
    np.testing.assert_allclose(densities, np.log(1 / 4) + np.log(1 / 2))


def test_what_was_not_observed_cannot_change_with_the_data():
    with pm.Model():
        data = pytensor.shared(np.array([[1.0, 0.0], [np.nan, 1.0]]))
        with pytest.raises(DataError, match=r"shared variable with 1 missing.* first at \(1, 0"):
            MultivariateBernoulli("y", np.zeros(3), observed=data)


def test_minus_one_of_a_user_is_no_missing_outcome():
    refusal(DataError, r"is -1.0 at \(0, 1\).*NaN where one is missing", np.zeros(3), [[1, -1]])


def test_values_that_are_no_outcomes_are_named():
    refusal(DataError, r"is 2.0 at \(0, 1\)", np.zeros(3), np.array([[1, 2]]))
    refusal(DataError, "not numeric", np.zeros(3), np.array([["yes", "no"]]))


def test_logits_must_match_the_outcomes():
    refusal(SpecificationError, "3 outcomes.*here 7", np.zeros(3), np.array([[1, 0, 1]]))
    with pytest.raises(SpecificationError, match=r"2 entries.*1, 3, 7, 15"):
        MultivariateBernoulli.dist(np.zeros(2))
    with pytest.raises(SpecificationError, match="is a scalar"):
        MultivariateBernoulli.dist(0.0)
