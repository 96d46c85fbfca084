"""Likelihoods without an Op of their own have values and gradients on JAX, as samplers ask for."""

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.ops import register_jax
from pymc_mlm.ops.base import uncompiled

RNG = np.random.default_rng(1)
TABLE = {
    "x": RNG.normal(size=40), "u": RNG.integers(0, 6, 40), "t": RNG.exponential(size=40) + 0.1,
    "e": RNG.integers(0, 2, 40), "s": np.full(40, 0.05), "k": RNG.integers(0, 4, 40),
}  # fmt: skip
FAMILIES = {
    "cox": "Surv(s, t, e)", "cumulative": "k", "lognormal": "Surv(t, e)",
    "loglogistic": "Surv(t, e)",
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_jax_has_the_value_and_gradient_of_numpy(family):
    import jax
    from pymc.sampling.jax import get_jaxified_logp

    register_jax()
    formula = f"{FAMILIES[family]} ~ x"
    model = mlm.MultipleMembershipModel(formula, mlm.hm("u"), family=family).build(TABLE)
    point = {k: np.asarray(v) + 0.1 for k, v in model.initial_point().items()}
    both = [model.logp(), model.dlogp()]
    value, gradient = model.compile_fn(both, inputs=model.value_vars, mode=uncompiled())(point)
    on_jax = get_jaxified_logp(model)
    at = [point[v.name] for v in model.value_vars]
    sign = float(jax.jit(on_jax)(at)) / float(value)  # a sampler's potential is the negative
    assert abs(sign) == pytest.approx(1.0)
    slopes = np.concatenate([np.ravel(g) for g in jax.jit(jax.grad(on_jax))(at)])
    np.testing.assert_allclose(sign * slopes, gradient, rtol=1e-6, atol=1e-8)
