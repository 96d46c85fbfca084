"""A prior has the shape of the parameter that it is the prior of, in every model."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.priors import Prior


class Foreign:
    """A prior of another package, of a shape of its own."""

    def __init__(self, positive, *shape):
        self.shape = shape
        self.distribution = pm.HalfNormal if positive else pm.Normal

    def create_variable(self, name):
        return self.distribution(name, sigma=1.0, shape=self.shape or None)


def table():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(12), 4)
    return pd.DataFrame(
        {
            "g": group,
            "m": rng.permutation(48) % 7,
            "u": group // 3,
            "s": group,
            "y": rng.normal(size=12)[group],
            "x": rng.normal(size=12)[group],
            "x2": rng.normal(size=12)[group],
            "d": rng.integers(0, 2, 12)[group],
            "n": rng.poisson(3, 12)[group],
            "t": rng.exponential(size=12)[group],
            "z": rng.normal(size=48),
            "w": rng.uniform(0.1, 1.0, 48),
            "y1": rng.integers(0, 2, 48),
            "y2": rng.integers(0, 2, 48),
            "arm": np.arange(48) % 2,
        }
    )


def membership(family="gaussian", outcome="y", effect="random"):
    def make(priors):
        own = {k.split("_")[-1]: p for k, p in priors.items() if k.startswith("m_")}
        priors = {k: p for k, p in priors.items() if not k.startswith("m_")}
        terms = [mlm.mm("m", "g", covariates="z", weight="exp(b * w)", priors=own)]
        terms.append(mlm.hm("u", effect=effect))
        formula = f"{outcome} ~ 1 + x + x2"
        return mlm.MultipleMembershipModel(formula, *terms, family=family, priors=priors)

    return make


def nested(outcome="y", family="gaussian"):
    return lambda priors: mlm.NestedVaryingEffects(
        f"{outcome} ~ 1 + z", ["u", "s"], family=family, priors=priors
    )


def trial(**options):
    return lambda priors: mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", covariates=["x"], priors=priors, **options
    )


# Model, parameter, whether it is positive, its shape.
PARAMETERS = [
    (membership(), "beta", False, (2,)),
    (membership(), "Intercept", False, ()),
    (membership(), "m_beta", False, (1,)),
    (membership(), "m_sd", True, ()),
    (membership(), "m_weight_b", False, ()),
    (membership(), "u_sd", True, ()),
    (membership(), "sigma", True, ()),
    (membership(effect="fixed"), "u_effect", False, (3,)),
    (membership("student_t"), "nu", True, ()),
    (membership("negative_binomial", "n"), "alpha", True, ()),
    (membership("weibull", "Surv(t, d)"), "shape", True, ()),
    (nested(), "beta", False, (1,)),
    (nested(), "Intercept", False, ()),
    (nested(), "u_sd", True, (2,)),
    (nested(), "s_sd", True, (2,)),
    (nested(), "sigma", True, ()),
    (nested("d", "bernoulli"), "beta", False, (1,)),
    (nested("d", "bernoulli"), "u_sd", True, (2,)),
    (trial(), "beta", False, (3, 4)),
    (trial(cluster="g"), "beta", False, (3, 4)),
    (trial(cluster="g"), "cluster_sd", True, (1, 3)),
]
SHAPES = [(), (1,), (2,), (9,), (3, 4), (9, 9)]


def refused(make, name, prior):
    data = table()
    with pytest.raises(mlm.SpecificationError, match=repr(name)) as caught:
        make({name: prior}).build(data)
    return str(caught.value)


@pytest.mark.parametrize("make, name, positive, shape", PARAMETERS)
def test_prior_of_another_shape_is_refused_with_both_shapes(make, name, positive, shape):
    for wrong in SHAPES:
        if wrong != shape:
            text = refused(make, name, Foreign(positive, *wrong))
            assert str(wrong) in text
            assert str(shape) in text or (shape == () and "single number" in text)


@pytest.mark.parametrize("make, name, positive, shape", PARAMETERS)
def test_prior_of_the_right_shape_is_taken(make, name, positive, shape):
    model = make({name: Foreign(positive, *shape)}).build(table())
    assert np.isfinite(model.point_logps(mode=uncompiled())[name])


@pytest.mark.parametrize("make, name, positive, shape", PARAMETERS)
def test_own_prior_with_another_number_of_parameters_is_refused(make, name, positive, shape):
    kind, values = ("HalfNormal", {}) if positive else ("Normal", {"mu": np.zeros(5)})
    refused(make, name, Prior(kind, **values, sigma=np.ones(5)))
    if not positive and shape[-1:] != (2,):
        refused(make, name, Prior("MvNormal", mu=np.zeros(2), cov=np.eye(2)))
