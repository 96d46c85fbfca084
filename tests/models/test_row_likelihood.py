"""Laws of what rows say before sampling: derivatives of the log likelihood, at the own parameters'
mode.
"""

import numpy as np
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.families import as_family
from pymc_mlm.model.row_likelihood import row_likelihood

# Second derivatives by differences have some five digits.
BY_DIFFERENCES = 1e-4


def derivatives(family, eta, priors=None, **outcome):
    return row_likelihood(as_family(family), outcome, priors or {}, 1.0)(eta, eta)


def test_a_yes_or_no_says_p_times_one_minus_p(rng):
    eta, y = rng.normal(size=9), np.array([0, 1, 1] * 3, dtype=float)
    p = 1 / (1 + np.exp(-eta))
    slope, weight = derivatives("bernoulli", eta, value=y)
    np.testing.assert_allclose(slope, y - p, rtol=1e-10)
    np.testing.assert_allclose(weight, p * (1 - p), rtol=BY_DIFFERENCES)


def test_trials_count(rng):
    eta, trials = rng.normal(size=5), np.array([1.0, 2, 3, 40, 500])
    p = 1 / (1 + np.exp(-eta))
    _, weight = derivatives(mlm.Binomial("n"), eta, value=np.ones(5), trials=trials)
    np.testing.assert_allclose(weight, trials * p * (1 - p), rtol=BY_DIFFERENCES)


def test_the_familys_own_parameters_are_at_their_mode(rng):
    y = 3.0 * rng.normal(size=4000)
    sigma = {"sigma": mlm.Prior("HalfNormal", sigma=100.0)}
    slope, weight = derivatives("gaussian", np.zeros(4000), sigma, value=y)
    assert weight[0] == pytest.approx(1 / np.mean(y**2), rel=1e-2)
    np.testing.assert_allclose(slope, y * weight, rtol=BY_DIFFERENCES)


def test_an_outlier_of_a_student_t_says_nothing_rather_than_less():
    priors = mlm.StudentT().default_priors(mlm.StudentT().scale({"value": np.arange(30.0)}))
    y = np.r_[np.linspace(-1, 1, 40), 50.0]
    _, weight = derivatives("student_t", np.zeros(41), priors, value=y)
    assert weight[-1] == 0.0
    assert weight[20] > 0.0


def test_it_stays_out_of_a_model_that_is_open():
    with pm.Model() as own:
        pm.Normal("shape")
        row_likelihood(
            as_family("weibull"), {"time": np.ones(3), "event": np.ones(3)},
            {"shape": mlm.Prior("LogNormal", mu=0.0, sigma=1.0)}, 1.0,
        )  # fmt: skip
    assert list(own.named_vars) == ["shape"]
