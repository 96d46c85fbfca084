"""The graph of a log density is rewritten once for all tables of a model, and only for these."""

import gc
import weakref

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from cachetools import LRUCache

from pymc_mlm.inference import log_density
from pymc_mlm.inference.density_graph import structure
from pymc_mlm.inference.log_density import log_density_function
from tests.contracts.test_combinations import FAMILIES, TABLE, TERMS, model_of
from tests.contracts.test_compiled_counts import FLAGSHIPS, coalition_model, trial_model


@pytest.fixture
def rewritten(monkeypatch):
    """Models whose graphs were rewritten, with a cache of their own."""
    seen = []
    rewrite = log_density._rewritten

    def watched(model, *args):
        seen.append(model)
        return rewrite(model, *args)

    monkeypatch.setattr(log_density, "_rewritten", watched)
    monkeypatch.setattr(log_density, "GRAPHS", LRUCache(16))
    return seen


def density(model):
    """Return the function of a model and a point near its start."""
    start = model.initial_point()
    values = sorted(model.continuous_value_vars, key=lambda v: v.ndim > 0)
    layout = tuple((v.name, np.shape(start[v.name])) for v in values)
    point = np.concatenate([np.ravel(start[name]) for name, _ in layout])
    at = point + 0.1 * np.random.default_rng(8).normal(size=len(point))
    return log_density_function(model, values, layout, np.ones(len(point))), at


def assert_as_fresh(model, monkeypatch):
    """Compare the function from a kept graph with one whose graph is rewritten."""
    kept, point = density(model)
    monkeypatch.setattr(log_density, "GRAPHS", LRUCache(16))
    fresh, _ = density(model)
    for one, other in zip(kept(point), fresh(point), strict=True):
        assert np.isfinite(other).all()
        np.testing.assert_array_equal(one, other)


SHORT = [
    ("membership", "estimated weights", "weibull"), ("membership", "nested", "gaussian"),
    ("nested", "hm", "cumulative"),
]  # fmt: skip
LONG = [("membership", term, "gaussian") for term in TERMS if term != "nested"]
LONG += [("membership", "mm", family) for family in FAMILIES]
CASES = SHORT + [pytest.param(*case, marks=pytest.mark.slow) for case in LONG]


@pytest.mark.parametrize(("model", "term", "family"), CASES)
def test_another_table_has_the_density_that_it_has_alone(
    model, term, family, rewritten, monkeypatch
):
    asked = model_of(model, term, family)
    density(asked.build(TABLE))
    order = np.random.default_rng(2).permutation(len(TABLE["x"]))
    other = {name: np.asarray(column)[order] for name, column in TABLE.items()}
    other["share"] = 0.5 * other["share"] + 0.1
    built = asked.build(other)
    density(built)
    assert len(rewritten) == 1
    assert_as_fresh(built, monkeypatch)


@pytest.mark.parametrize("second", [
    lambda: coalition_model("1 / n", 83, 2), lambda: trial_model(seed=2, schools=16),
])  # fmt: skip
def test_a_table_of_another_size_has_the_density_that_it_has_alone(second, monkeypatch, rewritten):
    density(coalition_model("1 / n", 60, 1))
    density(trial_model())
    model = second()
    density(model)
    assert len(rewritten) == 2
    assert_as_fresh(model, monkeypatch)


def test_models_that_differ_are_told_apart(rewritten):
    for name in ("fixed weights", "nested"):
        density(FLAGSHIPS[name]())
    assert len(rewritten) == 2


def with_scale(scale, power=2.0):
    with pm.Model() as model:
        sd = pytensor.shared(np.array(scale), shape=(None,))
        x = pm.Normal("x", 0.0, sd, shape=len(scale))
        pm.Potential("y", -pt.sum(x**power))
    return model


def test_a_check_that_other_data_fail_is_made(rewritten):
    """The first table passes the check of its scales, whose graph then has none."""
    density(with_scale([1.0, 2.0]))
    function, point = density(with_scale([1.0, -2.0]))
    assert len(rewritten) == 2
    assert function(point)[0] == -np.inf
    value, _ = density(with_scale([3.0, 2.0]))[0](np.zeros(2))
    assert value == pytest.approx(-np.log(6.0) - np.log(2 * np.pi))


def test_constants_are_part_of_the_graph(rewritten):
    density(with_scale([1.0, 2.0]))
    function, _ = density(with_scale([1.0, 2.0], power=4.0))
    assert len(rewritten) == 2
    assert function(np.array([2.0, 0.0]))[1][0] == pytest.approx(-2.0 - 32.0)


def test_a_kept_graph_holds_no_data(rewritten):
    class Watched(np.ndarray):
        """An array that can be watched."""

    held = np.arange(1.0, 4.0).view(Watched)
    with pm.Model() as model:
        data = pytensor.shared(held, borrow=True, shape=(None,))
        x = pm.Normal("x", 0.0, 1.0, shape=3)
        pm.Potential("y", -pt.sum(x**2 * pt.log(data)))
    density(model)
    watched = weakref.ref(data)
    rewritten.clear()
    del model, data, x, held
    gc.collect()
    assert watched() is None


@pytest.mark.parametrize(("one", "other"), [
    (lambda x, d: x + 0.0, lambda x, d: x + -0.0),
    (lambda x, d: x + d, lambda x, d: d + x),
    (lambda x, d: x[:2] + d[0], lambda x, d: x[1:] + d[0]),
    (lambda x, d: pt.exp(x), lambda x, d: pt.expm1(x)),
    (lambda x, d: x.sum(), lambda x, d: x.prod()),
    (lambda x, d: pt.stack([d, d]).sum(0) + x, lambda x, d: d + x),
    (lambda x, d: x * pt.specify_shape(d, 3), lambda x, d: x * pt.specify_shape(d, 1)),
    (lambda x, d: x * np.arange(3.0), lambda x, d: x * np.arange(3)),
])  # fmt: skip
def test_graphs_that_compute_other_things_differ(one, other):
    x, d = pt.dvector("x"), pytensor.shared(np.ones(3), shape=(None,))
    e = pytensor.shared(np.zeros(5), shape=(None,))
    assert structure([one(x, d)], [x])[0] == structure([one(x, e)], [x])[0]
    assert structure([one(x, d)], [x])[0] != structure([other(x, d)], [x])[0]


def test_two_reads_of_one_array_are_not_reads_of_two_arrays():
    x = pt.dvector("x")
    d, e = (pytensor.shared(np.ones(3), shape=(None,)) for _ in "de")
    one, other = structure([x * d + d], [x]), structure([x * d + e], [x])
    assert (len(one[1]), len(other[1])) == (1, 2)
    assert one[0] != other[0]


def test_a_graph_with_another_input_is_not_described():
    x, z = pt.dvectors("xz")
    assert structure([x + z], [x])[0] is None
