"""Counts that keep a fit quick: nodes in the compiled graph, kernels compiled for new data.

Counts do not flake; seconds belong to benchmarks/.
"""

from pathlib import Path

import pytensor
import pytest

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


def cached_kernels():
    return set((Path(pytensor.config.compiledir) / "numba").rglob("*.nbc")) | set(
        (Path(pytensor.config.base_compiledir) / "numba").rglob("*.nbc")
    )


def test_installed_nutpie_is_compiled_through_the_disk_cache():
    assert compiled_nutpie.is_supported()


@pytest.mark.parametrize("weight", WEIGHTS)
def test_flagship_graph_stays_small_and_has_no_dot(weight):
    nodes = compiled(weight).sampled.logp_func.maker.fgraph.toposort()
    names = [str(node.op).lower() for node in nodes]
    assert len(nodes) <= MOST_NODES[weight]
    assert not [n for n in names if "dot" in n or "gemv" in n or "gemm" in n]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_second_table_of_another_size_compiles_no_kernel(weight):
    compiled(weight, governments=60, seed=1)
    before = cached_kernels()
    assert before
    compiled(weight, governments=83, seed=2)
    assert cached_kernels() == before


def test_fallback_to_nutpies_own_compilation_samples_the_same_variables(monkeypatch):
    model = coalition_model("1 / n", 30, 3)
    monkeypatch.setattr(compiled_nutpie, "is_supported", lambda: False)
    names = [rv.name for rv in model.free_RVs]
    own = compiled_nutpie.compile_model(model, names)
    assert own.layout == ()
    assert own.sampled.n_dim == sum(v.size for v in model.initial_point().values())
