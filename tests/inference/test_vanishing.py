"""A fit does not depend on private names of other libraries, and compiled code is compared."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import nutpie
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from pytensor.graph.basic import Apply

from pymc_mlm.codegen import host
from pymc_mlm.inference import Nutpie, PymcNuts, Run, compiled_nutpie
from pymc_mlm.ops.base import AbstractKernelOp, as_float, numba_kernel, vector
from pymc_mlm.ops.layout import Layout

BLOCKED = """
import sys, warnings

class Block:
    def find_spec(self, name, path=None, target=None):
        if name == "pymc_mlm.codegen.private":
            raise ImportError("blocked")

sys.meta_path.insert(0, Block())
import nutpie
import pymc as pm
import pymc_mlm as mlm
from pymc_mlm.inference.base import Run

asked = []
nutpie.compile_pymc_model = lambda *a, **k: asked.append(k) or "own"
table = mlm.datasets.coalitions(governments=20, countries=4, seed=1)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = mlm.MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority", mlm.mm("party", "government"), family="weibull"
    ).build(table)
    from pymc_mlm.inference.compiled_nutpie import compile_model
    compiled = compile_model(model, ["shape"])
print(compiled.sampled, len(asked), [str(w.message)[:43] for w in caught])
"""


@pytest.fixture
def model():
    with pm.Model() as model:
        pm.Normal("a")
        pm.Normal("b", shape=3)
    return model


def test_without_the_file_of_private_names_nutpie_compiles_with_one_warning():
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "own 1 ['The compiled kernels of pymc_mlm do not fit']"


@pytest.mark.parametrize(
    ("value", "gradient", "said"),
    [
        (0.5, [0.0] * 4, "it is 0.5, and by NumPy 0"),
        (0.0, [0.0, 0.0, 2.0, 0.0], "its gradient by 'b' is 2, and by NumPy 0"),
        (0.0, [np.nan, 0.0, 0.0, 0.0], "its gradient by 'a' is nan, and by NumPy 0"),
    ],
)
def test_code_that_differs_from_numpy_is_not_used(model, monkeypatch, value, gradient, said):
    sampled = SimpleNamespace(
        compiled_logp_func=None, user_data=None, logp_func=lambda _: (0.0, np.zeros(4))
    )
    wrong = compiled_nutpie.CompiledModel(sampled, model, ("a",), (("a", ()), ("b", (3,))))
    monkeypatch.setattr(compiled_nutpie, "_compile_cached", lambda *_: wrong)
    monkeypatch.setattr(compiled_nutpie, "_called", lambda *_: (0, value, np.array(gradient)))
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda *a, **k: "own")
    with pytest.warns(RuntimeWarning, match=said):
        assert compiled_nutpie.compile_model(model, ["a"]).sampled == "own"


class Sine(AbstractKernelOp):
    """An Op whose compiled kernel is wrong wherever its input is not zero."""

    __props__ = ()
    layout = Layout("x[n]")

    def make_node(self, x):
        return Apply(self, [as_float(x)], [vector()])

    def infer_shape(self, node, shapes):
        return [shapes[0]]

    def define(self, node, inputs, output_storage):
        output_storage[0][0] = np.sin(inputs[0])

    def pullback(self, inputs, outputs, cotangents):
        return [cotangents[0] * pt.cos(inputs[0])]


@numba_kernel(Sine)
def _sine_kernel(op):
    def kernel(x):
        return x.copy()

    return kernel


def test_a_kernel_that_is_wrong_where_effects_are_not_zero_is_not_used(monkeypatch):
    with pm.Model() as model:
        effect = pm.Normal("effect", shape=4)
        pm.Normal("y", Sine()(effect), 1.0, observed=np.arange(4.0))
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda *a, **k: "own")
    with pytest.warns(RuntimeWarning, match="beside the start it is .*, and by NumPy"):
        assert compiled_nutpie.compile_model(model, ["effect"]).sampled == "own"


def test_the_second_point_is_taken_nearer_where_the_density_overflows(model, monkeypatch):
    asked = []

    def logp(point):
        asked.append(point)
        return (0.0 if np.abs(point).max() < 0.3 else np.inf), np.zeros(4)

    sampled = SimpleNamespace(compiled_logp_func=None, user_data=None, logp_func=logp)
    made = compiled_nutpie.CompiledModel(
        sampled, model, ("a",), (("a", ()), ("b", (3,))), start=np.zeros(4)
    )
    monkeypatch.setattr(compiled_nutpie, "_called", lambda *_: (0, 0.0, np.zeros(4)))
    assert made.check() == ""
    assert np.abs(asked[-1]).max() < 0.3
    assert (asked[-1] != 0).all()


def test_without_nutpie_pymc_samples_with_one_warning(model, monkeypatch):
    asked = []

    def sample(**options):
        asked.append(options)
        draws = np.zeros((2, 5))
        return xr.DataTree.from_dict({"posterior": xr.Dataset({"a": (("chain", "draw"), draws)})})

    monkeypatch.setitem(sys.modules, "nutpie", None)
    monkeypatch.setattr(pm, "sample", sample)
    sampler = Nutpie(target_accept=0.95, cores=2)
    with pytest.warns(RuntimeWarning, match="nutpie cannot be imported") as caught:
        posterior = sampler.sample(model, ["a"], Run(5, 5, 2))["posterior"]
    assert len(caught) == 1
    assert asked[0]["nuts_sampler"] == "pymc"
    assert (asked[0]["nuts"], asked[0]["cores"]) == ({"target_accept": 0.95}, 2)
    assert posterior.attrs["sampler"] == repr(PymcNuts("pymc", 0.95, 2))


def test_a_changed_library_is_named_and_nutpie_compiles(model, monkeypatch):
    def changed(*_):
        raise AttributeError("no attribute 'idx_list'")

    monkeypatch.setattr(compiled_nutpie, "_compile_cached", changed)
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda *a, **k: "own")
    with pytest.warns(RuntimeWarning, match="AttributeError: no attribute 'idx_list'"):
        assert compiled_nutpie.compile_model(model, ["a"]).sampled == "own"


def test_places_in_the_record_follow_its_dtype():
    parts = [("shape", [("k0", np.uint, (2,))]), ("size", [("k0", np.uintp)]),
             ("data", [("k0", np.uintp)])]  # fmt: skip
    record = np.zeros((), dtype=[("new", np.uintp), ("shared", parts)])
    assert host().record_places(record) == (5, {"k0": 4}, {"k0": 1})
    narrow = np.zeros((), dtype=[("shared", [("data", [("k0", np.uint32)]), *parts[:1]])])
    for other in (narrow, np.zeros(3)):
        with pytest.raises(NotImplementedError, match="nutpie's record"):
            host().record_places(other)
