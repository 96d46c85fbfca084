"""An exception inside the compiled log density reaches the user instead of an old value."""

import numpy as np
import pymc as pm
import pytest

from pymc_mlm.codegen import host
from pymc_mlm.inference.base import Run
from pymc_mlm.inference.compiled_nutpie import FAULT, _called, compile_model
from pymc_mlm.inference.nutpie import Nutpie
from pymc_mlm.ops.group_sum import group_sum


def model_that_reads(entry):
    """Return a model whose kernel reads an entry of three effects; `entry` depends on ``x``."""
    with pm.Model() as model:
        x = pm.Normal("x")
        effects = pm.Normal("effects", shape=3)
        member = entry(x).astype("int64")[None]
        rows = pm.Data("rows", np.zeros(1, dtype="int64"))
        ends = pm.Data("ends", np.array([0, 1]))
        weights = pm.Data("weights", np.ones(1))
        pm.Potential("sum", group_sum(weights, effects, member, rows, ends).sum())
    return model


def test_exception_at_the_start_ends_the_fit_before_a_draw(monkeypatch):
    monkeypatch.setattr("nutpie.sample", lambda *a, **k: pytest.fail("sampled all the same"))
    run = Run(draws=10, tune=10, chains=1, random_seed=1, progressbar=False)
    with pytest.raises(IndexError, match="entries from 7 to 7; they must be 0 to 2"):
        Nutpie().sample(model_that_reads(lambda x: x * 0 + 7), ["x", "effects"], run)


def test_exception_at_a_later_point_is_a_fault_and_no_value():
    compiled = compile_model(model_that_reads(lambda x: (x > 5) * 7), ["x", "effects"])
    value, gradient = compiled.log_density(np.zeros(4))
    assert value == pytest.approx(-2 * np.log(2 * np.pi))
    np.testing.assert_allclose(gradient, [0.0, 1.0, 0.0, 0.0])
    with pytest.raises(IndexError, match="entries from 7 to 7"):
        compiled.log_density(np.array([6.0, 0.0, 0.0, 0.0]))
    assert compiled.log_density(np.zeros(4))[0] == value


@pytest.mark.parametrize("name", ["weights", "rows"])
@pytest.mark.parametrize("count", [0, 2])
def test_lengths_that_do_not_fit_are_a_fault_before_a_kernel_reads(name, count):
    model = model_that_reads(lambda x: x * 0)
    held = compile_model(model, ["x", "effects"]).sampled
    keys = {variable.name: key for variable, key in held.shared_var_keys.items()}
    arrays = dict(held.shared_data)
    status = {}
    for size in (1, count):
        arrays[keys[name]] = np.repeat(arrays[keys[name]][:1], size)
        data = host().nutpie_record(arrays, held.shared_var_keys)
        status[size] = _called(held.compiled_logp_func, data, np.zeros(4))[0]
    assert status == {1: 0, count: FAULT}
