"""The sampler's coordinates do not depend on the units or the zero of a covariate."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.model.information import effect_information
from pymc_mlm.ops.base import uncompiled

FAST = "FAST_COMPILE"
OUTCOMES = {
    "gaussian": "y", "student_t": "y", "bernoulli": "b", "poisson": "k",
    "negative_binomial": "k", "weibull": "Surv(t, e)",
}  # fmt: skip
UNITS = {"millionths": (1e6, 0.0), "millions": (1e-6, 0.0), "years": (12.0, 55.0),
         "far": (1.0, 1e9)}  # fmt: skip


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    n, site = 90, np.arange(90) % 9
    z, u = rng.normal(size=n), rng.normal(0.0, 0.4, 9)[site]
    t = np.exp(2 - 0.3 * z + u) * rng.weibull(1.2, n)
    return pd.DataFrame(
        {
            "site": site, "block": np.arange(n) % 4, "z": z, "w": rng.normal(size=9)[site],
            "y": 1 + z + u + rng.normal(size=n), "b": (z + rng.normal(size=n) > 0).astype(int),
            "k": rng.poisson(np.exp(1 + 0.3 * z + u)), "t": np.minimum(t, 12), "e": (t < 12) * 1,
        }
    )  # fmt: skip


def terms_of(kind):
    if kind == "hm":
        return [mlm.hm("site", covariates="w")]
    if kind == "crossed":
        return [mlm.hm("site"), mlm.hm("block")]
    return [mlm.hm("site", effect="fixed")]


def value_and_gradient(table, family, kind, scale, shift):
    """Log density and gradient at the same coordinates."""
    table = table.assign(x=scale * table["z"] + shift, w=scale * table["w"] + shift)
    formula = f"{OUTCOMES[family]} ~ x"
    model = mlm.MultipleMembershipModel(formula, *terms_of(kind), family=family).build(table)
    rng = np.random.default_rng(1)
    start = model.initial_point()
    # Effects whose information is the same in some directions have a basis up to a rotation.
    point = {
        k: 0.3 * rng.normal(size=np.shape(v)) * (not k.endswith("_informed__"))
        for k, v in start.items()
    }
    value = float(model.compile_logp(mode=FAST)(point))
    values = model.rvs_to_values
    names = [v for v in model.free_RVs if not values[v].name.endswith("_informed__")]
    return value, model.compile_dlogp(names, mode=FAST)(point), start


@pytest.mark.parametrize("kind", ["hm", "crossed", "fixed"])
@pytest.mark.parametrize("family", OUTCOMES)
def test_density_and_gradient_are_those_of_the_standardised_covariate(table, family, kind):
    plain = value_and_gradient(table, family, kind, 1.0, 0.0)
    for name, (scale, shift) in UNITS.items():
        tolerance = 1e-4 if name == "far" else 1e-7
        other = value_and_gradient(table, family, kind, scale, shift)
        assert other[0] == pytest.approx(plain[0], rel=tolerance), name
        np.testing.assert_allclose(other[1], plain[1], rtol=tolerance, atol=tolerance * 100)
        located = [n for n in other[2] if n.endswith("_located__")]
        assert len(located) == 2 + (kind != "crossed")
        assert all(np.allclose(other[2][n], 0.0, atol=1e-3) for n in located)


@pytest.mark.parametrize("family", ["weibull", "poisson"])
def test_coordinates_of_nested_models_do_not_depend_on_units(table, family):
    values = []
    for scale, shift in [(1.0, 0.0), (1e6, 0.0), (12.0, 55.0)]:
        rows = table.assign(x=scale * table["z"] + shift)
        model = mlm.NestedVaryingEffects(
            f"{OUTCOMES[family]} ~ x", ["site"], varying="1", family=family, terms=[mlm.hm("block")]
        ).build(rows)
        rng = np.random.default_rng(1)
        point = {
            k: 0.3 * rng.normal(size=np.shape(v)) * (k != "block_effect_informed__")
            for k, v in model.initial_point().items()
        }
        values.append(float(model.compile_logp(mode=FAST)(point)))
    np.testing.assert_allclose(values, values[0], rtol=1e-6)


class Foreign:
    """A prior that is not one of ours."""

    def create_variable(self, name):
        return pm.Normal(name, 0.0, 10.0, shape=(1,))


@pytest.mark.parametrize("right", ["0 + f + x", "x * f"])
def test_coordinates_of_collapsed_models_do_not_depend_on_units(table, right):
    rounds = []
    f = np.where(np.arange(90) // 9 % 2, "a", "b")
    for scale, shift in [(1e6, 0.0), (5.0, 2010.0)]:
        rows = table.assign(x=scale * table["z"] + shift, f=f)
        model = mlm.NestedVaryingEffects(f"y ~ {right}", ["site"], varying="1").build(rows)
        start = model.initial_point()
        point = {k: np.zeros_like(v) for k, v in start.items()}
        gradient = model.compile_dlogp(model["beta"], mode=FAST)
        # The density is quadratic in the coefficients: differences are the curvature.
        unit = np.eye(len(point["beta_located__"]))
        here = gradient(point)
        moved = [gradient(point | {"beta_located__": e}) for e in unit]
        curvature = np.linalg.eigvalsh(np.array([here - g for g in moved]))
        rounds.append(curvature.max() / curvature.min())
    # The effects' share of the variance is unknown to the coordinates, and costs a factor.
    assert max(rounds) < 30, rounds


@pytest.mark.parametrize(("shift", "tolerance"), [(1e3, 1e-10), (1e6, 1e-8), (1e9, 1e-4)])
def test_covariates_far_from_zero_leave_the_collapsed_density(table, shift, tolerance):
    values = []
    for far in (0.0, shift):
        rows = table.assign(x=table["z"] + far)
        model = mlm.NestedVaryingEffects("y ~ x", ["site"], varying="1").build(rows)
        rng = np.random.default_rng(3)
        point = {k: 0.5 * rng.normal(size=np.shape(v)) for k, v in model.initial_point().items()}
        values.append(float(model.compile_logp(mode=FAST)(point)))
    assert values[1] == pytest.approx(values[0], rel=tolerance)


PRIORS = {
    "wide": mlm.Prior("Normal", mu=0.0, sigma=100.0),
    "heavy": mlm.Prior("StudentT", nu=3.0, mu=0.0, sigma=1.0),
    "positive": mlm.Prior("HalfNormal", sigma=1.0),
    "foreign": Foreign(),
}


@pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS.keys())
def test_priors_of_any_kind_start_where_the_density_is_finite(table, prior):
    table = table.assign(x=12.0 * table["z"] + 55.0)
    model = mlm.MultipleMembershipModel(
        "k ~ x", mlm.hm("site"), family="poisson", priors={"beta": prior}
    )
    design, built = model._design(table), model.build(table)
    for name, value in model.specification.starts(design).items():
        built.set_initval(
            built[name], np.broadcast_to(value, built[name].shape.eval(mode=uncompiled()))
        )
    start = built.initial_point()
    assert np.isfinite(built.compile_logp(mode=FAST)(start))
    mode = effect_information(model.specification, design).coefficients.block(0, 1)[0]
    if isinstance(prior, Foreign):
        np.testing.assert_allclose(start["beta"], mode)
    elif prior.distribution != "HalfNormal":
        np.testing.assert_allclose(start["beta_located__"], 0.0, atol=1e-9)
