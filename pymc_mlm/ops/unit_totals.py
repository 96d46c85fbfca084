r"""Total deviations of units within units, :math:`t_g = t_{\mathrm{parent}(g)} + d_g`.

One Op, since a statement per column costs seconds of compilation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    as_index,
    jax_function,
    numba_kernel,
    register_backends,
)
from pymc_mlm.ops.layout import Layout


def matrix(columns: int | None = None) -> Variable:
    """Return a new float64 matrix variable, of a static number of columns or of any."""
    return pt.TensorType("float64", shape=(None, columns))()


def unit_totals(above: Any, own: Any, parent: Any, place: Any) -> Variable:
    """Add the units' deviations to the totals of their parents.

    Parameters
    ----------
    above : tensor_like, shape (parent, column)
        Totals of the parents; none for units without parents.
    own : tensor_like, shape (unit, coef)
        Deviations of the units.
    parent : tensor_like of int, shape (unit,)
        Parent of each unit. Not checked.
    place : tensor_like of int, shape (coef,)
        Column of each deviation. Not checked.

    Returns
    -------
    TensorVariable, shape (unit, column)

    Examples
    --------
    >>> unit_totals([[1.0, 2.0]], [[10.0], [20.0]], [0, 0], [1]).eval()
    array([[ 1., 12.],
           [ 1., 22.]])
    """
    return _unit_totals(above, own, parent, place)


def reference_unit_totals(above: Any, own: Any, parent: Any, place: Any) -> Variable:
    """Return the same totals as plain PyTensor; there must be parents."""
    return as_float(above)[as_index(parent)][:, as_index(place)].inc(as_float(own))


class UnitTotals(AbstractKernelOp):
    """``out[g] = above[parent[g]]``, and ``out[g, place[j]] += own[g, j]``."""

    __props__ = ()
    layout = Layout(
        "above[parents, columns], own[units, coefs], "
        "parent[children] < parents?, place[coefs] < columns; "
        "parents == 0 or children == units"
    )

    def make_node(self, above: Any, own: Any, parent: Any, place: Any) -> Apply:
        """Take two matrices and two vectors of indices."""
        register_backends()
        inputs = [as_float(above), as_float(own), as_index(parent), as_index(place)]
        if [x.ndim for x in inputs] != [2, 2, 1, 1]:
            raise TypeError("unit_totals needs matrices above and own, vectors parent and place")
        return Apply(self, inputs, [matrix(inputs[0].type.shape[1])])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One row per unit."""
        return [(shapes[1][0], shapes[0][1])]

    def is_zero(self, zeros: Sequence[bool]) -> bool:
        """Return whether there is nothing to add to nothing."""
        return zeros[0] and zeros[1]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Indices have no gradient."""
        return [[True], [True], [False], [False]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the totals in NumPy."""
        above, own, parent, place = inputs
        total = above[parent] if len(above) else np.zeros((len(own), above.shape[1]))
        total[:, place] += own
        out[0][0] = total

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """Sums by parent, and the columns of the deviations."""
        above, _, parent, place = inputs
        grads = _unit_totals_vjp(above, parent, place, cts[0])
        return [*grads, disconnected_type(), disconnected_type()]


class UnitTotalsVJP(AbstractKernelOp):
    """Gradients of `UnitTotals` by above and own."""

    __props__ = ()
    layout = Layout(
        "above[parents, columns], parent[children] < parents?, place[coefs] < columns, "
        "ct[units, columns]; parents == 0 or children == units"
    )

    def make_node(self, above: Any, parent: Any, place: Any, ct: Any) -> Apply:
        """Take the inputs of `UnitTotals` that matter, and the cotangent."""
        register_backends()
        inputs = [as_float(above), as_index(parent), as_index(place), as_float(ct)]
        return Apply(self, inputs, [inputs[0].type(), matrix(inputs[2].type.shape[0])])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of above and own."""
        return [shapes[0], (shapes[3][0], shapes[2][0])]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        above, parent, place, ct = inputs
        out[0][0] = np.zeros_like(above)
        if len(above):
            np.add.at(out[0][0], parent, ct)
        out[1][0] = ct[:, place]


# Unsigned indices skip the check for negative ones.
def _totals_kernel(above: Any, own: Any, parent: Any, place: Any) -> Any:
    units, coefs = own.shape
    columns = above.shape[1]
    has_parents = above.shape[0] > 0
    out = np.zeros((units, columns))
    for g in range(units):
        if has_parents:
            m = np.uint64(parent[g])
            for j in range(columns):
                out[g, j] = above[m, j]
        for j in range(coefs):
            out[g, np.uint64(place[j])] += own[g, j]
    return out


def _totals_vjp_kernel(above: Any, parent: Any, place: Any, ct: Any) -> Any:
    units, columns = ct.shape
    coefs = place.shape[0]
    has_parents = above.shape[0] > 0
    d_above, d_own = np.zeros(above.shape), np.empty((units, coefs))
    for g in range(units):
        if has_parents:
            m = np.uint64(parent[g])
            for j in range(columns):
                d_above[m, j] += ct[g, j]
        for j in range(coefs):
            d_own[g, j] = ct[g, np.uint64(place[j])]
    return d_above, d_own


@numba_kernel(UnitTotals)
def _(op: Op) -> Callable[..., Any]:
    return _totals_kernel


@numba_kernel(UnitTotalsVJP)
def _(op: Op) -> Callable[..., Any]:
    return _totals_vjp_kernel


@jax_function(UnitTotals)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def unit_totals(above: Any, own: Any, parent: Any, place: Any) -> Any:
        given = above[parent] if len(above) else jnp.zeros((len(own), above.shape[1]))
        return given.at[:, place].add(own)

    return unit_totals


@jax_function(UnitTotalsVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def vjp(above: Any, parent: Any, place: Any, ct: Any) -> Any:
        d_above = jnp.zeros_like(above)
        return d_above.at[parent].add(ct) if len(above) else d_above, ct[:, place]

    return vjp


_unit_totals = UnitTotals()
_unit_totals_vjp = UnitTotalsVJP()
