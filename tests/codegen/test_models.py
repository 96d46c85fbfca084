"""Models of PyMC that this package knows nothing of, compiled as loops, against PyMC itself.

A prior may be any distribution of PyMC, and a term may stand in any model.
"""

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from pymc.distributions import transforms

from pymc_mlm.inference.compiled_nutpie import compile_model

RNG = np.random.default_rng(5)
X = RNG.normal(size=(30, 3))
UNIT = RNG.integers(0, 4, 30)


def univariate():
    pm.StudentT("t", 4, mu=0, sigma=1, shape=2)
    pm.InverseGamma("inverse_gamma", 3, 1)
    pm.Beta("beta", 2, 3, shape=3)
    pm.Uniform("uniform", -1, 2)
    pm.TruncatedNormal("truncated", 0, 1, lower=-1, upper=2, shape=2)
    pm.VonMises("von_mises", 0, 2)
    pm.Exponential("exponential", 1)


def transformed_vectors():
    pm.Normal("ordered", 0, 1, shape=4, transform=transforms.ordered, initval=np.arange(4.0))
    pm.ZeroSumNormal("zero_sum", shape=4)
    pm.MvNormal("multivariate", np.zeros(3), np.eye(3) + 0.3)


def series():
    pm.GaussianRandomWalk("walk", sigma=1, init_dist=pm.Normal.dist(), steps=6)
    pm.AR("ar", rho=[0.2, 0.3], sigma=1, init_dist=pm.Normal.dist(shape=2), steps=6)


def counts_with_units():
    sd = pm.HalfNormal("sd")
    effect = pm.Normal("effect", 0, sd, shape=4)
    beta = pm.Normal("slope", shape=3)
    eta = effect[UNIT] + X @ beta
    pm.NegativeBinomial("y", pt.exp(eta), pm.Exponential("alpha", 1), observed=UNIT)


def ordinal_and_censored():
    cut = pm.Normal("cut", 0, 1, shape=3, transform=transforms.ordered, initval=[-1, 0, 1])
    eta = pm.Normal("eta", shape=30)
    pm.OrderedLogistic("y", eta=eta, cutpoints=cut, observed=UNIT)
    pm.Censored("z", pm.Normal.dist(eta[0], 1), lower=None, upper=1.0, observed=[0.2, 1.0])


def one_scalar():
    pm.Normal("x")


def one_matrix():
    pm.Normal("x", np.arange(3.0), 1, shape=(2, 3))


MODELS = (univariate, transformed_vectors, series, counts_with_units, ordinal_and_censored,
          one_scalar, one_matrix)  # fmt: skip


@pytest.mark.parametrize("write", MODELS, ids=lambda f: f.__name__)
def test_log_density_and_gradient_equal_those_of_pymc(write):
    with pm.Model() as model:
        write()
    compiled = compile_model(model, [v.name for v in model.free_RVs])
    assert compiled.code.key is not None  # cached on disk
    logp = model.compile_logp(mode="FAST_COMPILE")
    dlogp = model.compile_dlogp(mode="FAST_COMPILE")
    start = model.initial_point()
    for spread in (0.0, 0.4):
        point = {k: v + spread * RNG.normal(size=np.shape(v)) for k, v in start.items()}
        flat = np.concatenate([np.ravel(point[name]) for name, _ in compiled.layout])
        value, gradient = compiled.log_density(flat)
        assert value == pytest.approx(float(logp(point)), rel=1e-10)
        by_name, at = {}, 0
        for name, shape in compiled.layout:
            size = int(np.prod(shape))
            by_name[name], at = gradient[at : at + size], at + size
        ours = np.concatenate([by_name[v.name] for v in model.continuous_value_vars])
        np.testing.assert_allclose(ours, dlogp(point), rtol=1e-8, atol=1e-10)


def test_point_without_a_finite_density_is_told():
    with pm.Model() as model:
        x = pm.Normal("x")
        pm.Potential("nowhere", pt.log(x))
    compiled = compile_model(model, ["x"])
    with pytest.raises(FloatingPointError, match="not finite"):
        compiled.log_density(np.array([-1.0]))


def test_a_function_called_by_its_address_returns_a_fault_for_an_exception():
    import numba

    from pymc_mlm.codegen import host

    def root(x):
        if x < 0:
            raise ValueError("negative")
        return x

    options = {"error_model": "numpy"}
    called = host().Callback(root, numba.types.int64(numba.types.int64), options, -7)
    called.compile()
    assert (called.ctypes(4), called.ctypes(-1)) == (4, -7)
