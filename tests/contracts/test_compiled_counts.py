"""Counts that keep a fit quick: nodes in the compiled graph, kernels compiled for new data.

Counts do not flake; seconds belong to benchmarks/.
"""

import numpy as np
import nutpie
import pytest
import xarray as xr
from pytensor.link.numba.cache import CACHED_SRC_FUNCTIONS

import pymc_mlm as mlm
from pymc_mlm.inference import compiled_nutpie

# Nodes of log density and gradient; raise a limit only with a measured reason.
MOST_NODES = {"fixed weights": 85, "estimated weights": 95}


def coalition_model(weight, governments, seed):
    table = mlm.datasets.coalitions(governments=governments, countries=5, seed=seed)
    model = mlm.MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority",
        mlm.mm("party", "government", covariates="cohesion", weight=weight),
        mlm.hm("country"),
        family="weibull",
    )
    return model.build(table)


WEIGHTS = {"fixed weights": "1 / n", "estimated weights": mlm.weights.softmax("seats")}


def compiled(weight, governments=60, seed=1):
    model = coalition_model(WEIGHTS[weight], governments, seed)
    return compiled_nutpie.compile_model(model, [rv.name for rv in model.free_RVs])


def disk_key(model):
    """Key of the whole compiled log density in PyTensor's disk cache; None if it has none."""
    return CACHED_SRC_FUNCTIONS.get(model.sampled.logp_func.vm.jit_fn.py_func)


def test_installed_nutpie_is_compiled_through_the_disk_cache():
    assert compiled_nutpie.is_supported()


@pytest.mark.parametrize("weight", WEIGHTS)
def test_flagship_graph_stays_small_and_has_no_dot(weight):
    nodes = compiled(weight).sampled.logp_func.maker.fgraph.toposort()
    names = [str(node.op).lower() for node in nodes]
    assert len(nodes) <= MOST_NODES[weight]
    assert not [n for n in names if "dot" in n or "gemv" in n or "gemm" in n]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_second_table_of_another_size_is_served_by_the_same_code(weight):
    one = compiled(weight, governments=60, seed=1)
    two = compiled(weight, governments=83, seed=2)
    assert one.sampled.n_dim != two.sampled.n_dim
    assert disk_key(one) is not None
    assert disk_key(one) == disk_key(two)


def test_another_model_has_code_of_its_own():
    assert disk_key(compiled("fixed weights")) != disk_key(compiled("estimated weights"))


def test_without_the_needed_functions_nutpie_compiles_itself(monkeypatch):
    asked = []
    monkeypatch.setattr(compiled_nutpie, "is_supported", lambda: False)
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda *a, **k: asked.append(k) or "own")
    model = coalition_model("1 / n", 30, 3)
    result = compiled_nutpie.compile_model(model, ["shape"])
    assert result.sampled == "own"
    assert asked == [{"backend": "numba", "var_names": ["shape"]}]
    drawn = xr.Dataset({"shape": ("draw", [1.0]), "other": ("draw", [2.0])})
    assert list(result.posterior(drawn)) == ["shape"]


def test_model_with_more_arrays_than_a_call_takes_compiles_and_is_right():
    table = mlm.datasets.coalitions(governments=40, countries=4, seed=3)
    table = table.assign(decade=table["government"] % 5, opposition=table["party"].to_numpy()[::-1])
    model = mlm.MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority",
        mlm.mm("party", "government", covariates="cohesion", weight=mlm.weights.softmax("seats")),
        mlm.mm("opposition", "government"),
        mlm.hm("country"),
        mlm.hm("decade"),
        family="weibull",
    ).build(table)
    compiled = compiled_nutpie.compile_model(model, [rv.name for rv in model.free_RVs])
    assert len(compiled.sampled.shared_data) > 30
    logp = compiled.sampled.logp_func(compiled.sampled.initial_point_func(1))[0]
    point = compiled.sampled.initial_point_func(1)
    at, split = 0, {}
    for name, shape in compiled.layout:
        size = int(np.prod(shape))
        split[name] = point[at : at + size].reshape(shape)
        at += size
    assert float(logp) == pytest.approx(float(model.compile_logp(mode="FAST_COMPILE")(split)))
    assert compiled.sampled.compiled_logp_func is not None
