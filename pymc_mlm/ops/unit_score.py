r"""Score and information of units that deviate from their parents, from totals by level.

:math:`t_g = t_{\mathrm{parent}(g)} + d_g` (`unit_totals`), the slope of each unit's log likelihood
where it does not deviate (`unit_score`), and what its coefficients add to its rows
(`unit_predictor`): one Op each, since a statement per column and covariate costs seconds of
compilation.
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
    vector,
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


def unit_score(
    score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
) -> Variable:
    r"""Return the slope of the units' log likelihood at the coefficients of their parents.

    .. math:: s_g = a_g - C_g \beta - J_g t_{\mathrm{parent}(g)}

    Parameters
    ----------
    score : tensor_like, shape (unit, coef)
        Slope a where all coefficients are zero. Data, as `cross` and `precision`.
    cross : tensor_like, shape (unit, coef, covariate)
        What the population coefficients take of it, C.
    precision : tensor_like, shape (unit, coef, column)
        What the parents' coefficients take of it, J.
    beta : tensor_like, shape (covariate,)
        Population coefficients.
    above : tensor_like, shape (parent, column)
        Totals of the parents; none for units without parents.
    parent : tensor_like of int, shape (unit or more,)
        Parent of each unit. Not checked.

    Returns
    -------
    TensorVariable, shape (unit, coef)

    Examples
    --------
    >>> unit_score([[5.0]], [[[1.0]]], [[[3.0, 1.0]]], [2.0], [[0.5, 0.25]], [0]).eval()
    array([[1.25]])
    """
    return _unit_score(score, cross, precision, beta, above, parent)


def reference_unit_score(
    score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
) -> Variable:
    """Return the same slopes as plain PyTensor; there must be parents."""
    score, cross, precision, beta, above = (
        as_float(x) for x in (score, cross, precision, beta, above)
    )
    t = above[as_index(parent)[: score.shape[0]]]
    return score - (cross * beta).sum(axis=2) - (precision * t[:, None, :]).sum(axis=2)


def unit_predictor(Z: Any, total: Any, unit: Any) -> Variable:
    r"""Return what the coefficients of each row's unit add to the linear predictor.

    .. math:: \eta_i = z_i' t_{\mathrm{unit}(i)}

    Parameters
    ----------
    Z : tensor_like, shape (row, column)
        Covariates. Data; they have no gradient.
    total : tensor_like, shape (unit, column)
        Coefficients.
    unit : tensor_like of int, shape (row,)
        Unit of each row. Not checked.

    Returns
    -------
    TensorVariable, shape (row,)

    Examples
    --------
    >>> unit_predictor([[1.0, 2.0], [1.0, 3.0]], [[0.5, 0.0], [0.0, 1.0]], [0, 1]).eval()
    array([0.5, 3. ])
    """
    return _unit_predictor(Z, total, unit)


def reference_unit_predictor(Z: Any, total: Any, unit: Any) -> Variable:
    """Return the same sums as plain PyTensor."""
    return (as_float(Z) * as_float(total)[as_index(unit)]).sum(axis=1)


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


class UnitScore(AbstractKernelOp):
    """Slopes of the units' log likelihood: see `unit_score`."""

    __props__ = ()
    layout = Layout(
        "score[units, coefs], cross[units, coefs, covariates], precision[units, coefs, columns], "
        "beta[covariates], above[parents, columns], parent[children] < parents?; "
        "parents == 0 or children >= units"
    )

    def make_node(
        self, score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
    ) -> Apply:
        """Take data by unit, population coefficients, and totals by parent."""
        register_backends()
        floats = [as_float(x) for x in (score, cross, precision, beta, above)]
        inputs = [*floats, as_index(parent)]
        if [x.ndim for x in inputs] != [2, 3, 3, 1, 2, 1]:
            raise TypeError(
                "unit_score needs matrices score and above, arrays of three dimensions cross and "
                "precision, vectors beta and parent"
            )
        return Apply(self, inputs, [inputs[0].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Return the shape of the score."""
        return [shapes[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only coefficients have a gradient."""
        return [[x in (3, 4)] for x in range(6)]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the slopes in NumPy."""
        score, cross, precision, beta, above, parent = inputs
        value = score - cross @ beta
        if len(above):
            value -= np.squeeze(precision @ above[parent[: len(score)], :, None], 2)
        out[0][0] = value

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """By beta, the sum of -C'ct over units; by above, of -J'ct over the units of a parent."""
        _, cross, precision, beta, above, parent = inputs
        grads = _unit_score_vjp(cross, precision, beta, above, parent, cts[0])
        return [*(disconnected_type() for _ in range(3)), *grads, disconnected_type()]


class UnitScoreVJP(AbstractKernelOp):
    """Gradients of `UnitScore` by beta and above."""

    __props__ = ()
    layout = Layout(
        "cross[units, coefs, covariates], precision[units, coefs, columns], "
        "beta[covariates], above[parents, columns], parent[children] < parents?, "
        "ct[units, coefs]; parents == 0 or children >= units"
    )

    def make_node(
        self, cross: Any, precision: Any, beta: Any, above: Any, parent: Any, ct: Any
    ) -> Apply:
        """Take the inputs of `UnitScore` that matter, and the cotangent."""
        register_backends()
        floats = [as_float(x) for x in (cross, precision, beta, above)]
        inputs = [*floats, as_index(parent), as_float(ct)]
        return Apply(self, inputs, [inputs[2].type(), inputs[3].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Gradients have the shapes of beta and above."""
        return [shapes[2], shapes[3]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradients in NumPy."""
        cross, precision, _, above, parent, ct = inputs
        out[0][0] = -np.einsum("gik,gi->k", cross, ct)
        out[1][0] = np.zeros_like(above)
        if len(above):
            by_unit = np.einsum("gij,gi->gj", precision, ct)
            np.subtract.at(out[1][0], parent[: len(ct)], by_unit)


class UnitPredictor(AbstractKernelOp):
    """``out[i] = sum over j of Z[i, j] * total[unit[i], j]``."""

    __props__ = ()
    layout = Layout("Z[rows, columns], total[units, columns], unit[rows] < units")

    def make_node(self, Z: Any, total: Any, unit: Any) -> Apply:
        """Take two matrices and a vector of indices."""
        register_backends()
        inputs = [as_float(Z), as_float(total), as_index(unit)]
        if [x.ndim for x in inputs] != [2, 2, 1]:
            raise TypeError("unit_predictor needs matrices Z and total, and a vector unit")
        return Apply(self, inputs, [vector(inputs[0].type.shape[0])])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """One entry per row."""
        return [(shapes[0][0],)]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only totals have a gradient."""
        return [[False], [True], [False]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the sums in NumPy."""
        Z, total, unit = inputs
        out[0][0] = (Z * total[unit]).sum(axis=1)

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """Sums of ct z over the rows of each unit."""
        Z, total, unit = inputs
        return [
            disconnected_type(),
            _unit_predictor_vjp(Z, total, unit, cts[0]),
            disconnected_type(),
        ]


class UnitPredictorVJP(AbstractKernelOp):
    """Gradient of `UnitPredictor` by total."""

    __props__ = ()
    layout = Layout("Z[rows, columns], total[units, columns], unit[rows] < units, ct[rows]")

    def make_node(self, Z: Any, total: Any, unit: Any, ct: Any) -> Apply:
        """Take the inputs of `UnitPredictor` and the cotangent."""
        register_backends()
        inputs = [as_float(Z), as_float(total), as_index(unit), as_float(ct)]
        return Apply(self, inputs, [inputs[1].type()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Return the shape of the totals."""
        return [shapes[1]]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the gradient in NumPy."""
        Z, total, unit, ct = inputs
        out[0][0] = np.zeros_like(total)
        np.add.at(out[0][0], unit, ct[:, None] * Z)


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


def _score_kernel(
    score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
) -> Any:
    units, coefs = score.shape
    columns = above.shape[1]
    has_parents = above.shape[0] > 0
    out = np.empty((units, coefs))
    for g in range(units):
        m = np.uint64(parent[g]) if has_parents else np.uint64(0)
        for i in range(coefs):
            total = score[g, i]
            for k in range(beta.shape[0]):
                total -= cross[g, i, k] * beta[k]
            if has_parents:
                for j in range(columns):
                    total -= precision[g, i, j] * above[m, j]
            out[g, i] = total
    return out


def _score_vjp_kernel(
    cross: Any, precision: Any, beta: Any, above: Any, parent: Any, ct: Any
) -> Any:
    units, coefs = ct.shape
    columns = above.shape[1]
    has_parents = above.shape[0] > 0
    d_beta, d_above = np.zeros(beta.shape[0]), np.zeros(above.shape)
    for g in range(units):
        m = np.uint64(parent[g]) if has_parents else np.uint64(0)
        for i in range(coefs):
            c = ct[g, i]
            for k in range(beta.shape[0]):
                d_beta[k] -= cross[g, i, k] * c
            if has_parents:
                for j in range(columns):
                    d_above[m, j] -= precision[g, i, j] * c
    return d_beta, d_above


def _predictor_kernel(Z: Any, total: Any, unit: Any) -> Any:
    rows, columns = Z.shape
    out = np.empty(rows)
    for i in range(rows):
        m = np.uint64(unit[i])
        eta = 0.0
        for j in range(columns):
            eta += Z[i, j] * total[m, j]
        out[i] = eta
    return out


def _predictor_vjp_kernel(Z: Any, total: Any, unit: Any, ct: Any) -> Any:
    rows, columns = Z.shape
    out = np.zeros(total.shape)
    for i in range(rows):
        m = np.uint64(unit[i])
        for j in range(columns):
            out[m, j] += ct[i] * Z[i, j]
    return out


@numba_kernel(UnitTotals)
def _(op: Op) -> Callable[..., Any]:
    return _totals_kernel


@numba_kernel(UnitTotalsVJP)
def _(op: Op) -> Callable[..., Any]:
    return _totals_vjp_kernel


@numba_kernel(UnitScore)
def _(op: Op) -> Callable[..., Any]:
    return _score_kernel


@numba_kernel(UnitScoreVJP)
def _(op: Op) -> Callable[..., Any]:
    return _score_vjp_kernel


@numba_kernel(UnitPredictor)
def _(op: Op) -> Callable[..., Any]:
    return _predictor_kernel


@numba_kernel(UnitPredictorVJP)
def _(op: Op) -> Callable[..., Any]:
    return _predictor_vjp_kernel


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


@jax_function(UnitScore)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    def unit_score(
        score: Any, cross: Any, precision: Any, beta: Any, above: Any, parent: Any
    ) -> Any:
        value = score - cross @ beta
        if len(above):
            value = value - (precision @ above[parent[: len(score)], :, None])[..., 0]
        return value

    return unit_score


@jax_function(UnitScoreVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def vjp(cross: Any, precision: Any, beta: Any, above: Any, parent: Any, ct: Any) -> Any:
        d_beta, d_above = -jnp.einsum("gik,gi->k", cross, ct), jnp.zeros_like(above)
        if len(above):
            by_unit = jnp.einsum("gij,gi->gj", precision, ct)
            d_above = d_above.at[parent[: len(ct)]].add(-by_unit)
        return d_beta, d_above

    return vjp


@jax_function(UnitPredictor)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    return lambda Z, total, unit: (Z * total[unit]).sum(axis=1)


@jax_function(UnitPredictorVJP)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    return lambda Z, total, unit, ct: jnp.zeros_like(total).at[unit].add(ct[:, None] * Z)


_unit_totals = UnitTotals()
_unit_totals_vjp = UnitTotalsVJP()
_unit_score = UnitScore()
_unit_score_vjp = UnitScoreVJP()
_unit_predictor = UnitPredictor()
_unit_predictor_vjp = UnitPredictorVJP()
