"""Graphs written as loops give what PyTensor's NumPy implementations give."""

import math
import re

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.compile.mode import Mode
from pytensor.graph.rewriting.db import RewriteDatabaseQuery

from pymc_mlm.codegen.graph import Program, part, write_graph
from pymc_mlm.codegen.value import single

RNG = np.random.default_rng(11)
X = RNG.normal(size=6)
Y = RNG.normal(size=6)
M = RNG.normal(size=(3, 4))
N = RNG.normal(size=(3, 4))
IDX = np.array([2, 0, 2, -1, 5])
FLAGS = np.array([True, False, True, True, False, True])

QUERY = RewriteDatabaseQuery(
    include=["fast_run"], exclude=["inplace", "fusion", "BlasOpt", "cxx_only", "numba"]
)
PLAIN = Mode(linker="py", optimizer=None)
REWRITTEN = Mode(linker="py", optimizer=QUERY)


def as_source(function):
    """Write a PyTensor function's graph as the source of a numba function of its inputs."""
    graph = function.maker.fgraph
    program = Program(graph, fault='raise IndexError("fault")')
    names = [f"x{i}" for i in range(len(graph.inputs))]
    for name, variable in zip(names, graph.inputs, strict=True):
        given = program.given(name, variable.type.broadcastable)
        program.values[variable] = given if given.shape else single(name)
    write_graph(program)
    results = [
        program.array(out) if out.type.ndim else program.value(out).only for out in graph.outputs
    ]
    body = "\n".join(program.pruned(*results))
    source = f"def f({', '.join(names)}):\n{body}\n    return ({', '.join(results)},)"
    return source, program


def run_loops(function, *args):
    source, program = as_source(function)
    math_names = {n: getattr(math, n) for n in ("exp", "log", "log1p", "sqrt", "inf", "nan")}
    environment = {"np": np, **math_names, **program.functions, **program.constants}
    exec(source, environment)
    return numba.njit(error_model="numpy")(environment["f"])(*args)


def check(outputs, inputs, *args, mode=REWRITTEN):
    expected = pytensor.function(inputs, outputs, mode=PLAIN)(*args)
    function = pytensor.function(inputs, outputs, mode=mode)
    found = run_loops(function, *args)
    for i, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12, err_msg=str(outputs[i]))
        assert np.shape(one) == np.shape(other)


def vectors():
    return pt.dvector("x"), pt.dvector("y")


def matrices():
    return pt.dmatrix("m"), pt.dmatrix("n")


@pytest.mark.parametrize("mode", [PLAIN, REWRITTEN], ids=["plain", "rewritten"])
def test_elementwise_and_reductions(mode):
    x, y = vectors()
    outputs = [
        pt.exp(x) / (1 + y**2) - abs(x),
        pt.switch(pt.gt(x, 0) & pt.le(y, 0.3), x * y, -x),
        pt.sum(x * y),
        pt.prod(x),
        pt.all(x > -100),
        pt.any(x > 100),
        pt.sum(pt.gt(x, 0)),
        pt.max(x),
        pt.sigmoid(x) + pt.softplus(y) + pt.log1p(x**2) + pt.expm1(x),
        pt.gammaln(x**2 + 1) + pt.erf(y) + pt.log1mexp(-abs(x) - 0.1),
        pt.maximum(x, y) + pt.clip(x, -0.5, 0.5) + pt.sign(y),
        pt.sqrt(x**2) + pt.log(x**2) + pt.reciprocal(y) + pt.sqr(x),
        x.shape[0] * 2.0 + pt.mean(y),
        pt.cast(pt.gt(x, y), "float64") + pt.cast(x, "int64"),
        pt.isnan(x / 0.0) | pt.isinf(x),
    ]
    check(outputs, [x, y], X, Y, mode=mode)


def test_two_dimensions_and_broadcasting():
    m, n = matrices()
    outputs = [
        m * n + 1.0,
        pt.sum(m, axis=0),
        pt.sum(m * n, axis=1),
        pt.sum(m, axis=1, keepdims=True) * n,
        m - pt.mean(m, axis=0),
        pt.exp(m[:, 0])[:, None] * n[1][None],
        m.T + n.T,
        pt.dot(m, n.T),
        pt.sum(m.T, axis=0),
        m[None, :, :] * n[:, None, :],
    ]
    check(outputs, [m, n], M, N)


@pytest.mark.parametrize("mode", [PLAIN, REWRITTEN], ids=["plain", "rewritten"])
def test_slices_and_entries(mode):
    x, y = vectors()
    k = pt.lscalar("k")
    outputs = [
        x[1:], x[:-1], x[-3:-1], x[4:2], x[2], x[-1], x[k], x[k:], x[:k], x[-k:] * y[:k],
        x[2:100], x[-100:2], x[::-1], x[1:5:2], x[1:][2:][0], pt.sum(x[k : k + 2] * y[1:3]),
    ]  # fmt: skip
    check(outputs, [x, y, k], X, Y, np.int64(2), mode=mode)


@pytest.mark.parametrize("mode", [PLAIN, REWRITTEN], ids=["plain", "rewritten"])
def test_slices_of_matrices(mode):
    m, n = matrices()
    outputs = [
        m[1], m[:, 2], m[1:, -2:] * n[:-1, 1:3], m[0, 1:], m[1, 2], m[-1, ::-1],
        m[1:][-1], m[1:, 1:][-2, -1], m.reshape((4, 3))[-1],
    ]  # fmt: skip
    check(outputs, [m, n], M, N, mode=mode)


def test_gathers_and_their_gradients():
    x, y = vectors()
    m = pt.dmatrix("m")
    i = pt.lvector("i")
    rows = i % 3
    picked = pt.sum(pt.exp(x[i]) * pt.arange(1.0, 6.0))
    outputs = [
        x[i] * 2.0,
        m[rows],
        m[:, rows],
        pt.grad(picked, x),
        pt.grad(pt.sum(x[1:4] ** 2), x),
        pt.grad(pt.sum(m[rows] ** 2), m),
        pt.grad(pt.sum(m[:, 1] ** 3), m),
        pt.set_subtensor(x[1:3], y[:2]),
        pt.inc_subtensor(x[i], 1.5),
        pt.set_subtensor(m[1], 7.0),
        pt.inc_subtensor(m[:, 1:], m[:, :-1]),
        pt.zeros(4)[rows].inc(x[i]),
    ]
    check(outputs, [x, y, m, i], X, Y, M, IDX)


def test_shapes_joins_and_splits():
    x, y = vectors()
    m = pt.dmatrix("m")
    outputs = [
        x.reshape((2, 3)) * 2.0,
        x.reshape((2, -1)).T,
        m.reshape((-1,)) + 1.0,
        m.reshape((2, 6)),
        m.reshape((4, 3)).reshape((-1,)),
        m.T.reshape((-1,)),
        pt.concatenate([x, y * 2, m[0]]),
        pt.concatenate([m, m * 2], axis=1),
        pt.concatenate([m, x[:4][None, :]], axis=0),
        pt.stack([x[0], y[1], 3.0]),
        pt.stack([x, y], axis=1),
        *pt.split(x, [2, 4], n_splits=2),
        *pt.split(m, [1, 3], n_splits=2, axis=1),
        pt.alloc(x[0], 3, 2),
        pt.alloc(x, 2, x.shape[0]) + 1.0,
        pt.ones_like(m) * m.shape[1],
        pt.cumsum(x),
        pt.linalg.cholesky(pt.dot(m, m.T) + pt.eye(3)),
    ]
    check(outputs, [x, y, m], X, Y, M)


def test_flags_constants_and_integers():
    x, i = pt.dvector("x"), pt.lvector("i")
    flags = pt.bvector("flags")
    outputs = [
        pt.switch(flags, x, 0.0),
        x + np.arange(6.0),
        x * np.float32(0.1) + np.int8(3),
        i * 2 - 1,
        i // 2,
        pt.sum(i),
        pt.switch(pt.eq(i, 2), 10, i),
        pt.concatenate([i, [7]]),
        pt.invert(pt.gt(x, 0)),
        pt.constant(np.array([np.inf, -np.inf, -1.5])) * x[0],
        pt.constant(-np.inf) + 0 * x[0],
    ]
    check(outputs, [x, i, flags], X, IDX, FLAGS.astype(np.int8))


def test_part_is_a_slice_whose_length_is_known():
    x = pt.dvector("x")
    start, length = pt.lscalar("start"), pt.lscalar("length")
    cut = part(x, start, length)
    outputs = [cut * 2.0, cut.shape[0], part(x, start, 1) + cut]
    check(outputs, [x, start, length], X, np.int64(2), np.int64(3))
    function = pytensor.function([x, start, length], [cut.shape[0]], mode=REWRITTEN)
    assert len(function.maker.fgraph.toposort()) <= 1  # no graph of comparisons


def test_result_read_once_is_not_stored():
    x, y = vectors()
    function = pytensor.function([x, y], [pt.sum(pt.exp(x) * y + 1.0)], mode=REWRITTEN)
    source, _ = as_source(function)
    assert "empty" not in source
    assert source.count("for ") == 1


def test_result_read_twice_is_computed_once():
    x, y = vectors()
    e = pt.exp(x)
    function = pytensor.function([x, y], [pt.sum(e * y), e * 2.0], mode=REWRITTEN)
    source, _ = as_source(function)
    assert source.count("exp(") == 1


def test_result_that_broadcasts_is_not_computed_again_and_again():
    m, n = matrices()
    function = pytensor.function([m, n], [pt.exp(m[:, 0])[:, None] * n], mode=REWRITTEN)
    source, _ = as_source(function)
    (line,) = [line for line in source.splitlines() if "exp(" in line]
    assert len(line) - len(line.lstrip()) == 8  # one loop deep, not two


def test_lengths_are_not_in_the_code():
    x, y = vectors()
    function = pytensor.function([x, y], [pt.sum(x[1:] * y[:-1])], mode=REWRITTEN)
    source, program = as_source(function)
    assert not re.search(r"\b6\b", source)
    assert not program.constants
    np.testing.assert_allclose(run_loops(function, X, Y)[0], np.sum(X[1:] * Y[:-1]))
    np.testing.assert_allclose(run_loops(function, X[:3], Y[:3])[0], np.sum(X[1:3] * Y[:2]))


def test_empty_vectors_are_loops_without_a_round():
    x, y = vectors()
    empty = np.zeros(0)
    check([pt.sum(x * y), x * 2.0, pt.concatenate([x, y])], [x, y], empty, empty)


m = pt.matrix("m")
v, w = pt.vector("v"), pt.vector("w")
k, at = pt.lscalar("k"), pt.lvector("at")
# Inputs, an expression of them, arguments that fit, and arguments that NumPy refuses.
FAULTS = {
    "sum of two lengths": ([v, w], v + w, (np.ones(3), np.ones(3)), (np.ones(3), np.ones(2))),
    "three lengths": (
        [v, w, m],
        (v * w)[:, None] * m,
        (np.ones(3), np.ones(3), M),
        (np.ones(3), np.ones(4), M),
    ),
    "column against rows": ([v, m], v[:, None] + m, (np.ones(3), M), (np.ones(2), M)),
    "entry beyond": ([v, k], v[k], (np.ones(3), -3), (np.ones(3), 3)),
    "entry before": ([v, k], v[k] + 1.0, (np.ones(3), 2), (np.ones(3), -4)),
    "constant entry": ([v], v[4] * 2.0, (np.ones(5),), (np.ones(4),)),
    "row beyond": ([m, k], m[k].sum(), (M, 2), (M, 3)),
    "gather beyond": ([v, at], v[at] * 2.0, (X, IDX), (X, IDX + 1)),
    "gather before": ([v, at], v[at], (X, IDX), (X, IDX - 6)),
    "gather far": ([v, at], v[at].sum(), (X, IDX), (X, IDX + 10**9)),
    "rows beyond": ([m, at], m[at].sum(), (M, np.array([0, -3])), (M, np.array([3]))),
    "columns beyond": ([m, at], m[:, at].sum(), (M, np.array([3])), (M, np.array([0, 4]))),
    "scatter beyond": (
        [v, w, at],
        v[at].inc(w),
        (X, np.ones(2), np.array([0, -1])),
        (X, np.ones(2), np.array([0, 6])),
    ),
    "scatter of another length": (
        [v, w, at],
        v[at].inc(w),
        (X, np.ones(2), np.array([0, -1])),
        (X, np.ones(3), np.array([0, 1])),
    ),
    "gradient of a gather": (
        [v, at],
        pt.grad((v[at] ** 2).sum(), v),
        (X, IDX),
        (X, IDX + 1),
    ),
    "slice set to another length": (
        [v, w],
        v[1:3].set(w),
        (X, np.ones(2)),
        (X, np.ones(3)),
    ),
    "columns joined": (
        [m, v],
        pt.concatenate([m, v[:, None]], axis=1),
        (M, np.ones(3)),
        (M, np.ones(2)),
    ),
    "split": (
        [v, at],
        pt.split(v, splits_size=at, n_splits=2)[1],
        (X, np.array([2, 4])),
        (X, np.array([2, 5])),
    ),
    "split with less": (
        [v, at],
        pt.split(v, splits_size=at, n_splits=2)[1],
        (X, np.array([6, 0])),
        (X, np.array([2, 1])),
    ),
    "reshape": ([v, k], v.reshape((k, 2)).sum(axis=0), (X, 3), (X, 4)),
    "reshape to a vector": ([m, k], m.reshape((k,)), (M, 12), (M, 11)),
    "shape specified": ([v], pt.specify_shape(v, (6,)) + 1.0, (X,), (np.ones(5),)),
    "filled with another length": ([v, k], pt.alloc(v, 2, k), (X, 6), (X, 5)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_numpy_refuses_is_refused_by_loops(name):
    inputs, output, good, wrong = FAULTS[name]
    function = pytensor.function(inputs, [output], mode=REWRITTEN)
    np.testing.assert_allclose(run_loops(function, *good)[0], function(*good)[0])
    with pytest.raises((ValueError, IndexError, AssertionError)):
        function(*wrong)
    with pytest.raises((ValueError, IndexError, AssertionError)):
        run_loops(function, *wrong)
