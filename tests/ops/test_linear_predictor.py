"""Laws of the product of a matrix and coefficients, for one draw and for many."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph.replace import vectorize_graph
from pytensor.graph.traversal import ancestors

from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.layout import tree_of
from pymc_mlm.ops.linear_predictor import LinearPredictor, linear_predictor


@pytest.mark.parametrize("transposed", [False, True])
def test_many_coefficient_vectors_are_one_product_of_matrices(rng, transposed):
    X = rng.normal(size=(5, 3))
    b = pt.vector("b")
    out = LinearPredictor(transposed)(X, b)
    draws = rng.normal(size=(2, 7, 5 if transposed else 3))
    many = pt.tensor("many", shape=(None, None, None))
    vectorised = vectorize_graph(out, {b: many})
    ops = {str(v.owner.op) for v in ancestors([vectorised]) if v.owner}
    assert not any("LinearPredictor" in op for op in ops)
    found = pytensor.function([many], vectorised, mode=uncompiled())(draws)
    np.testing.assert_allclose(found, draws @ (X if transposed else X.T))


def test_many_matrices_are_multiplied_one_by_one(rng):
    X, b = pt.tensor3("X"), rng.normal(size=3)
    one = pt.matrix("one")
    vectorised = vectorize_graph(linear_predictor(one, b), {one: X})
    many = rng.normal(size=(4, 5, 3))
    found = pytensor.function([X], vectorised, mode=uncompiled())(many)
    np.testing.assert_allclose(found, many @ b)


def test_a_layout_is_read_once_however_often_an_op_runs(rng):
    X, b = pt.matrix("X"), pt.vector("b")
    run = pytensor.function([X, b], linear_predictor(X, b), mode=uncompiled())
    run(np.ones((2, 3)), np.ones(3))
    before = tree_of.cache_info().misses
    for size in range(1, 50):
        run(np.ones((2, size)), np.ones(size))
    assert tree_of.cache_info().misses == before
