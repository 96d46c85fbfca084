"""A fit does not depend on private names of other libraries, and compiled code is compared."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import nutpie
import pymc as pm
import pytest

from pymc_mlm.codegen import host
from pymc_mlm.inference import compiled_nutpie

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
