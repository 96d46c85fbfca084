"""Likelihoods without an Op of their own have values and gradients on JAX, as samplers ask for."""

import importlib.util

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.ops import register_jax
from pymc_mlm.ops.base import uncompiled

pytestmark = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is missing")
RNG = np.random.default_rng(1)
TABLE = {
    "x": RNG.normal(size=40), "u": RNG.integers(0, 6, 40), "t": RNG.exponential(size=40) + 0.1,
    "e": RNG.integers(0, 2, 40), "s": np.full(40, 0.05), "k": RNG.integers(0, 4, 40),
    "p": RNG.random(40), "x2": RNG.normal(size=40), "n": RNG.integers(1, 4, 40), "g": range(40),
    "lost": np.where(RNG.random(40) < 0.2, np.nan, RNG.normal(size=40)),
}  # fmt: skip
FAMILIES = {
    "cox": "Surv(s, t, e)", "cumulative": "k", "lognormal": "Surv(t, e)",
    "loglogistic": "Surv(t, e)", "beta": "p", "gamma": "t", "cumulative_probit": "k",
    "probit": "e", "cloglog": "e", "student_t": "x2", "exponential": "Surv(t, e)",
    "zero_inflated_poisson": "k", "zero_inflated_negative_binomial": "k", "hurdle_poisson": "k",
    "hurdle_negative_binomial": "k", "negative_binomial": "k",
}  # fmt: skip
H = mlm.hm("u")
OTHERS = {
    "effects along time": mlm.MultipleMembershipModel(
        "x2 ~ x", mlm.mm("u", "g", dynamics="ar1", time="k")
    ),
    "slopes": mlm.MultipleMembershipModel("x2 ~ 1", mlm.mm("u", "g", varying="1 + x")),
    "imputed": mlm.MultipleMembershipModel("x2 ~ x + lost", H, impute=["lost"]),
    "frequencies": mlm.MultipleMembershipModel(
        "k ~ x", H, family="zero_inflated_poisson", row_weights=mlm.FrequencyWeights("n")
    ),
}


# The rest is made of the same parts.
QUICK = ("cox", "cumulative", "lognormal", "loglogistic", "beta", "hurdle_negative_binomial")
SLOW = pytest.mark.slow
CASES = [pytest.param(f, marks=() if f in QUICK else SLOW) for f in FAMILIES]
PARTS = [
    pytest.param(n, marks=() if n in ("effects along time", "imputed") else SLOW) for n in OTHERS
]


@pytest.mark.parametrize("family", CASES)
def test_jax_has_the_value_and_gradient_of_numpy(family):
    formula = f"{FAMILIES[family]} ~ x"
    refuse_another_answer_on_jax(mlm.MultipleMembershipModel(formula, H, family=family))


@pytest.mark.parametrize("name", PARTS)
def test_jax_has_the_value_and_gradient_of_other_parts(name):
    refuse_another_answer_on_jax(OTHERS[name])


def refuse_another_answer_on_jax(made):
    import jax
    from pymc.sampling.jax import get_jaxified_logp

    register_jax()
    model = made.build(TABLE)
    point = {k: np.asarray(v) + 0.1 for k, v in model.initial_point().items()}
    both = [model.logp(), model.dlogp()]
    value, gradient = model.compile_fn(both, inputs=model.value_vars, mode=uncompiled())(point)
    on_jax = get_jaxified_logp(model)
    at = [point[v.name] for v in model.value_vars]
    sign = float(jax.jit(on_jax)(at)) / float(value)  # a sampler's potential is the negative
    assert abs(sign) == pytest.approx(1.0)
    slopes = np.concatenate([np.ravel(g) for g in jax.jit(jax.grad(on_jax))(at)])
    np.testing.assert_allclose(sign * slopes, gradient, rtol=1e-6, atol=1e-8)
