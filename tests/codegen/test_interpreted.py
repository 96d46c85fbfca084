"""Graphs run by NumPy give what PyTensor gives, node by node."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.scalar.basic import Second

from pymc_mlm.codegen.interpreted import interpreted, interpreted_together
from pymc_mlm.ops.base import AbstractKernelOp, uncompiled
from pymc_mlm.ops.group_mean import group_mean
from pymc_mlm.ops.group_softmax import group_softmax
from pymc_mlm.ops.group_sum import group_sum
from pymc_mlm.ops.linear_predictor import linear_predictor
from pymc_mlm.ops.unit_predictor import unit_predictor

v = pt.dvector("v")
# Member and group of each row, and first row of each group.
PLACES = np.array([0, 1, 1]), np.array([0, 0, 2]), np.array([0, 2, 2, 3])
x, A = pt.dvector("x"), pt.dmatrix("A")
k = pt.lvector("k")
GRAPHS = {
    "sum of three": [x + x**2 + pt.exp(x), A * 2 * A],
    "broadcast": [A + x, A.T + x[:, None], x[None, :] * x[:, None]],
    "scalars": [pt.log1p(x[0] ** 2) + x[1], pt.maximum(x[0], 0.0)],
    "choice": [pt.switch(x > 0, x, 0), pt.where(k > 1, k, x)],
    "integers": [k * 2, k / 2, pt.cast(k, "float64") + x, k.sum()],
    "reductions": [A.sum(), A.sum(axis=0), A.max(axis=1), pt.prod(x)],
    "shapes": [A.reshape((-1,)), pt.concatenate([x, x]), pt.stack([x[0], x[2]]), A.shape[0] * x],
    "parts": [A[1], A[:, 1], x[::-1], pt.set_subtensor(x[1:], 3.0), A[k, 0]],
    "products": [A @ x, pt.dot(A, A.T), pt.sigmoid(x), pt.softplus(x)],
    "own Ops": [group_sum(x, x, np.array([0, 1, 1]), np.array([0, 0, 2]), np.array([0, 2, 2, 3]))],
    "filled": [pt.second(A, x), pt.second(x, np.array([2.0])), pt.second(x, k), pt.second(k, x)],
    "gradient": [pt.grad(pt.log(pt.exp(A @ x).sum()), x)],
}


def values(rng):
    return rng.normal(size=3), rng.normal(size=(3, 3)), np.array([0, 1, 2])


@pytest.mark.parametrize("name", GRAPHS)
def test_results_and_types_are_those_of_pytensor(name, rng):
    outputs = GRAPHS[name]
    run = interpreted([x, A, k], outputs, uncompiled())
    plain = pytensor.function([x, A, k], outputs, mode="FAST_COMPILE", on_unused_input="ignore")
    for _ in range(2):
        given = values(rng)
        for ours, theirs in zip(run(*given), plain(*given), strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    assert run.is_right


def test_no_number_is_filled_on_its_own(monkeypatch, rng):
    """PyTensor calls a function for each number, 10 ms of 100,000."""
    run = interpreted([x], [pt.second(x, np.array([2.0]))], uncompiled())
    nodes = run.checked.maker.fgraph.apply_nodes
    assert any(isinstance(getattr(n.op, "scalar_op", None), Second) for n in nodes)
    np.testing.assert_array_equal(run(np.zeros(4))[0], np.full(4, 2.0))
    monkeypatch.setattr(Second, "impl", None)
    np.testing.assert_array_equal(run(np.zeros(5))[0], np.full(5, 2.0))


OF_ROWS = {
    "sum": lambda x, v: group_sum(x, v, *PLACES),
    "mean": lambda x, v: group_mean(x, v, x, *PLACES),
    "softmax": lambda x, v: group_softmax(x, *PLACES[1:]),
    "units": lambda x, v: unit_predictor(x[:, None], v[:, None], PLACES[0]),
    "covariates": lambda x, v: linear_predictor(x[:, None], v[:1]),
}


@pytest.mark.parametrize("name", OF_ROWS)
@pytest.mark.parametrize("of", ["value", "gradient"])
def test_an_op_of_rows_runs_as_its_compiled_kernel(name, of, monkeypatch, rng):
    """NumPy passes over the rows up to nine times."""
    outputs = [OF_ROWS[name](x, v)]
    if of == "gradient":
        outputs = pt.grad((outputs[0] ** 3).sum(), [x, v], disconnected_inputs="ignore")
    run = interpreted([x, v], outputs, uncompiled())
    given = rng.normal(size=6)[::2], rng.normal(size=2)  # of any layout
    expected = run(*given)
    assert run.is_right
    nodes = run.checked.maker.fgraph.apply_nodes
    ours = {type(n.op) for n in nodes if isinstance(n.op, AbstractKernelOp)}
    assert ours
    for op_class in ours:
        monkeypatch.setattr(op_class, "define", None)
    for found, exact in zip(run(*given), expected, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-13)


def test_functions_that_share_a_graph_are_those_that_do_not(rng):
    shared, y = pytensor.shared(np.arange(3.0)), pt.dscalar("y")
    value = pt.log(pt.exp(A @ x * shared).sum())
    several = ([x, A], [value]), ([x, A, y], [y * pt.grad(value, x), x]), ([x], [x[0]])
    given = {x: rng.normal(size=3), A: rng.normal(size=(3, 3)), y: np.array(2.0)}
    runs = interpreted_together(several, uncompiled())
    for (inputs, outputs), together in zip(several, runs, strict=True):
        alone = interpreted(inputs, outputs, uncompiled())
        for _ in range(2):
            arguments = [given[v] for v in inputs]
            pairs = zip(together(*arguments), alone(*arguments), strict=True)
            assert all(np.allclose(a, b, rtol=1e-13) for a, b in pairs)
        assert together.is_right
        assert len(together.steps) <= len(alone.steps) + 1


def test_shared_variables_are_read(rng):
    shared = pytensor.shared(np.arange(3.0))
    run = interpreted([x], [x * shared], uncompiled())
    assert run(np.ones(3))[0].tolist() == [0, 1, 2]


def test_calls_do_not_share_results(rng):
    run = interpreted([x], [x + 1], uncompiled())
    first = run(np.zeros(3))[0]
    run(np.ones(3))
    assert first.tolist() == [1, 1, 1]


def test_pytensor_runs_what_numpy_computes_otherwise(monkeypatch, rng):
    monkeypatch.setattr("pymc_mlm.codegen.interpreted._call", lambda node: lambda *x: x[0] * 0)
    run = interpreted([x], [pt.exp(x)], uncompiled())
    given = rng.normal(size=3)
    assert np.allclose(run(given)[0], np.exp(given))
    assert not run.is_right


def test_the_first_call_has_the_checks_of_pytensor():
    run = interpreted([x, A], [x + A[0]], uncompiled())
    with pytest.raises(ValueError, match=r"broadcast|dimension"):
        run(np.ones(3), np.ones((1, 2)))
