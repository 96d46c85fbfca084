"""What data alone decide is decided before compilation, and nothing else."""

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
import xarray as xr

from pymc_mlm.inference.compiled_nutpie import compile_model


def model_with(scale):
    """A normal whose prior scale is data, which PyMC checks to be positive."""
    with pm.Model() as model:
        sd = pytensor.shared(np.array(scale), shape=(None,))
        pm.Normal("x", 0.0, sd, shape=len(scale))
    return compile_model(model, ["x"])


def test_check_that_data_pass_is_not_in_the_code():
    compiled = model_with([1.0, 2.0])
    assert "inf)" not in compiled.code.function.__source__
    value, gradient = compiled.log_density(np.array([1.0, -2.0]))
    assert value == pytest.approx(-1.0 - np.log(2.0) - np.log(2 * np.pi))
    np.testing.assert_allclose(gradient, [-1.0, 0.5])


def test_check_that_data_fail_stays():
    compiled = model_with([1.0, -2.0])
    assert "inf)" in compiled.code.function.__source__
    with pytest.raises(FloatingPointError):
        compiled.log_density(np.zeros(2))


def test_functions_of_data_are_computed_once():
    held = pytensor.shared(np.array([1.0, 2.0, 4.0]), shape=(None,))
    with pm.Model() as model:
        x = pm.Flat("x", shape=3)
        pm.Potential("y", pt.sum(x * pt.exp(pt.log(held) + 1.0)))
    compiled = compile_model(model, ["x"])
    assert "exp(" not in compiled.code.function.__source__
    value, gradient = compiled.log_density(np.ones(3))
    assert value == pytest.approx(7.0 * np.e)
    np.testing.assert_allclose(gradient, np.e * np.array([1.0, 2.0, 4.0]))


def test_chains_start_where_the_density_is_finite():
    """A foreign prior of a raw coefficient: one step of it overflows the log link."""
    x = 1e4 * np.linspace(-1.0, 1.0, 20)
    with pm.Model() as model:
        slope = pm.Normal("slope", 0.0, 10.0)
        pm.Poisson("k", pt.exp(slope * x), observed=np.arange(20))
    compiled = compile_model(model, ["slope"])
    for seed in range(10):
        start = compiled.sampled.initial_point_func(seed)
        assert start[0] != 0.0
        assert np.isfinite(compiled.log_density(start)[0])


def test_scales_are_units_of_the_point_and_of_nothing_else():
    with pm.Model() as model:
        sd = pm.HalfNormal("sd", 2.0)
        pm.Normal("u", 0.0, sd, shape=2)
    plain = compile_model(model, ["sd", "u"])
    scaled = compile_model(model, ["sd", "u"], {"sd": 0.1})
    unit, z = np.array([0.1, 1.0, 1.0]), np.array([3.0, -1.0, 0.5])
    value, gradient = plain.log_density(unit * z)
    found, slopes = scaled.log_density(z)
    assert found == pytest.approx(value)
    np.testing.assert_allclose(slopes, unit * gradient)
    starts = [m.sampled.initial_point_func(3) - m.sampled.initial_point_func(4) for m in
              (plain, scaled)]  # fmt: skip
    np.testing.assert_allclose(starts[0], starts[1])  # the jitter, each in its units
    drawn = xr.Dataset({"unconstrained_point": (("chain", "draw", "x"), z[None, None])})
    np.testing.assert_allclose(scaled.posterior(drawn)["sd"].values, np.exp(0.3))
    np.testing.assert_allclose(scaled.posterior(drawn)["u"].values, [[[-1.0, 0.5]]])


def test_a_model_of_many_variables_is_compiled():
    """NumPy, which checks the compiled density, adds 32 operands at most at once."""
    with pm.Model() as model:
        for k in range(40):
            pm.HalfNormal(f"x{k}")
    compiled = compile_model(model, [v.name for v in model.free_RVs])
    value, gradient = compiled.log_density(np.zeros(40))
    # Each variable is 1, log density of a half-normal and log Jacobian 0.
    assert value == pytest.approx(40 * (0.5 * np.log(2 / np.pi) - 0.5))
    np.testing.assert_allclose(gradient, 0.0, atol=1e-12)
