"""Coefficients sampled around a centre: the prior stays, whatever centre and root."""

import numpy as np
import pymc as pm
import pytensor
import pytest
from scipy import stats

from pymc_mlm.distributions.located import located

FAST = "FAST_COMPILE"
CENTRE = np.array([1.0, -2.0])
ROOTS = {"matrix": np.array([[2.0, 0.0], [-0.7, 0.1]]), "elementwise": np.array([3.0, 1e-6])}
PRIORS = {
    "normal": (
        pm.Normal,
        {"mu": 0.5, "sigma": np.array([2.0, 30.0])},
        stats.norm(0.5, [2.0, 30.0]),
    ),
    "student_t": (pm.StudentT, {"nu": 3.0, "mu": 0.0, "sigma": 2.0}, stats.t(3.0, 0.0, 2.0)),
    "laplace": (pm.Laplace, {"mu": 1.0, "b": 2.0}, stats.laplace(1.0, 2.0)),
}


def model_of(prior, root):
    distribution, parameters, _ = PRIORS[prior]
    shared = {k: pytensor.shared(np.asarray(v)) for k, v in parameters.items()}
    with pm.Model(coords={"c": ["a", "b"]}) as model:
        located("beta", distribution, shared, pytensor.shared(CENTRE), root, "c")
    return model


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS.keys())
@pytest.mark.parametrize("prior", PRIORS)
def test_density_is_that_of_the_prior_times_the_volume(prior, root):
    model, v = model_of(prior, root), np.array([0.4, -1.3])
    R = root if root.ndim == 2 else np.diag(root)
    expected = PRIORS[prior][2].logpdf(CENTRE + R @ v).sum() + np.linalg.slogdet(R)[1]
    logp = model.compile_logp(mode=FAST)({"beta_located__": v})
    assert float(logp) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS.keys())
def test_sampling_starts_at_the_centre(root):
    model = model_of("laplace", root)
    np.testing.assert_allclose(model.initial_point()["beta_located__"], 0.0, atol=1e-9)


@pytest.mark.parametrize("prior", PRIORS)
def test_draws_are_those_of_the_prior(prior):
    model = model_of(prior, ROOTS["matrix"])
    draws = pm.draw(model["beta"], 2000, random_seed=1, mode=FAST)
    for column, frozen in zip(draws.T, np.arange(2), strict=True):
        cdf = PRIORS[prior][2].cdf(np.column_stack([column, column]))[:, frozen]
        assert stats.kstest(cdf, "uniform").pvalue > 1e-3


def test_centre_may_depend_on_other_variables():
    with pm.Model() as model:
        beta = located("beta", pm.Normal, {"mu": 0.0, "sigma": 2.0}, 5.0, np.array(0.1))
        located("alpha", pm.Normal, {"mu": -beta, "sigma": 3.0}, 10.0 * beta, np.array(0.5))
    logp = model.compile_logp(mode=FAST)({"beta_located__": 1.0, "alpha_located__": 2.0})
    beta, alpha = 5.1, 52.0
    expected = stats.norm.logpdf(beta, 0, 2) + stats.norm.logpdf(alpha, -beta, 3) + np.log(0.05)
    assert float(logp) == pytest.approx(expected)
