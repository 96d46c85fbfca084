r"""Which Gaussian models are linear in numbers, so that cross products of the table serve.

The entries of a term's effects are looked at as a function of the root R of the effects' covariance
and of other parameters N, those of weights. Where they are linear in R and affine in N, they are a
sum of known arrays times products of an element of R and one of (1, N). The linear predictor
without effects has to be affine in the parameters. Both are read off the graph, since the gradient
of an affine function does not depend on where it is taken, and then tried at another point.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.gradient import NullTypeGradError
from pytensor.graph import clone_replace
from pytensor.graph.traversal import io_toposort
from pytensor.scalar.basic import Add, Mul, Second
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.shape import Shape, Shape_i
from pytensor.tensor.variable import TensorConstant

from pymc_mlm.integration.cross_products import Collapsed, CrossProducts, TooManyProductsError
from pymc_mlm.integration.rows import Rows
from pymc_mlm.ops.base import AbstractKernelOp, uncompiled
from pymc_mlm.terms.linear import LinearPart

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]

# Matrices of effects beyond which products of pairs of them are no longer few.
MOST_MATRICES = 40
SEED = 1


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """A Gaussian model whose cross products are known.

    Attributes
    ----------
    products : CrossProducts
        Of its table.
    evaluate, pull_back : callable
        Log prior, scales, coefficients and log standard deviation at a vector of hyperparameters;
        and the gradient by it from those by these.
    """

    products: CrossProducts
    evaluate: Function
    pull_back: Function

    def at(self, point: Array) -> tuple[float, Collapsed]:
        """Return the log prior, and the effects integrated out."""
        log_prior, scales, coefficients, log_sd = self.evaluate(point)
        return float(log_prior), self.products.at(scales, coefficients, float(log_sd[0]))

    def gradient(self, point: Array, *by: Array) -> Array:
        """Return the gradient of the log prior and of what scales and others enter."""
        return np.asarray(self.pull_back(point, *by))


@dataclass(frozen=True, eq=False)
class Sum:
    """Known arrays, each times a product of two of many numbers, the last of which is one.

    Attributes
    ----------
    arrays : ndarray, shape (term, ...)
        The known arrays.
    first, second : ndarray of int, shape (term,)
        Places of the numbers.
    """

    arrays: Array
    first: Array
    second: Array

    def factors(self, numbers: Any) -> Any:
        """Return the products, shape (term,)."""
        return numbers[self.first] * numbers[self.second]

    def at(self, numbers: Array) -> Array:
        """Return the sum."""
        return np.tensordot(self.factors(numbers), self.arrays, 1)


class Written:
    """How the parameters of a model enter its linear predictor and its effects' entries.

    Parameters
    ----------
    free : sequence of TensorVariable
        Variables of the hyperparameters.
    effects : sequence of TensorVariable
        Variables of the effects.
    parts : sequence of LinearPart
        How the effects enter, in the same order.
    eta : TensorVariable, shape (row,)
        Linear predictor.
    """

    def __init__(
        self, free: Sequence[Any], effects: Sequence[Any], parts: Sequence[LinearPart], eta: Any
    ) -> None:
        self.inputs = [v.type() for v in [*free, *(p.root for p in parts)]]
        plain = dict(zip(free, self.inputs, strict=False))
        none = {u: pt.zeros(p.count or p.shape) for u, p in zip(effects, parts, strict=True)}
        self.offset = without_zeros(clone_replace([eta], {**plain, **none})[0])
        self.roots = self.inputs[len(free) :]
        # A root may be a free variable itself.
        self.entries = [
            clone_replace([p.entries], {**plain, p.root: root})[0]
            for p, root in zip(parts, self.roots, strict=True)
        ]

    def sums(self, values: Sequence[Array]) -> tuple[Sum, list[Sum]] | None:
        """Return the linear predictor without effects, and the parts' entries; None if not sums.

        Parameters
        ----------
        values : sequence of ndarray
            Of the free variables and the roots, somewhere; elements of a root that are zero there
            are taken to be zero everywhere.
        """
        free = self.inputs[: -len(self.roots)]
        offset = self._sum(self.offset, [], free, values)
        entries = [
            self._sum(graph, [root], free, values)
            for graph, root in zip(self.entries, self.roots, strict=True)
        ]
        found = [s for s in entries if s is not None]
        if offset is None or len(found) < len(entries):
            return None
        return offset, found

    def compiled(self, graphs: Sequence[Any]) -> Function:
        """Return a function of values of all inputs."""
        mode = uncompiled()
        return pytensor.function(self.inputs, graphs, mode=mode, on_unused_input="ignore")

    def _sum(
        self, graph: Any, root: Sequence[Any], free: Sequence[Any], values: Sequence[Array]
    ) -> Sum | None:
        root = [x for x in root if depends(graph, [x])]
        others = [x for x in free if depends(graph, [x])]
        if not (is_affine(graph, root) and is_affine(graph, others)):
            return None
        # Shapes may be read off inputs that no value depends on.
        f = self.compiled([graph])
        at = dict(zip(self.inputs, values, strict=True))
        sizes = np.cumsum([0, *(v.size for v in values)])
        place = {x: sizes[i] + np.arange(at[x].size) for i, x in enumerate(self.inputs)}
        one = int(sizes[-1])

        def evaluated(numbers: Array) -> Array:
            given = [numbers[place[x]].reshape(at[x].shape) for x in self.inputs]
            return np.array(f(*given)[0], dtype=np.float64)

        zero = np.zeros(one + 1)
        rooted = [int(k) for x in root for k, v in zip(place[x], at[x].flat, strict=True) if v]
        if len(rooted) > MOST_MATRICES:
            return None
        terms: list[tuple[Array, int, int]] = []
        for first in rooted if root else [one]:
            unit = zero + (np.arange(one + 1) == first)
            constant = evaluated(unit)
            terms.append((constant, first, one))
            for k in (int(k) for x in others for k in place[x]):
                terms.append((evaluated(unit + (np.arange(one + 1) == k)) - constant, first, k))
        kept = [terms[0], *(t for t in terms[1:] if t[0].any())]
        arrays, firsts, seconds = zip(*kept, strict=True)
        return Sum(np.stack(arrays), np.array(firsts), np.array(seconds))


def linear_gaussian(
    written: Written,
    graphs: tuple[Any, Any, Any, Sequence[Any]],
    values: Function,
    start: Array,
    rows: Rows,
    order: Array,
    compiled: Function,
) -> LinearGaussian | None:
    """Return a Gaussian model by its cross products, or None if it is not linear.

    Parameters
    ----------
    written : Written
        The model in terms of its variables.
    graphs : tuple
        The vector of hyperparameters, and the log prior, the log standard deviation (1,) and the
        values of free variables and roots as functions of it.
    values : callable
        The last of them, compiled.
    start : ndarray, shape (hyperparameter,)
        A vector of hyperparameters.
    rows : Rows
        The table.
    order : ndarray of int, shape (entry,)
        Place among all parts' entries of each entry of the rows.
    compiled : callable
        From inputs and outputs to a function.
    """
    rng = np.random.default_rng(SEED)
    somewhere, elsewhere = (values(start + 0.3 * rng.normal(size=len(start))) for _ in range(2))
    found = written.sums(somewhere)
    if found is None:
        return None
    offset, parts = found
    if sum(len(p.arrays) for p in parts) > MOST_MATRICES:
        return None
    if not _agree(written, [offset, *parts], elsewhere):
        return None
    point, log_prior, log_sd, symbols = graphs
    numbers = pt.concatenate([*(x.ravel() for x in symbols), np.ones(1)])
    coefficients = offset.factors(numbers)[1:]
    scales = pt.concatenate([p.factors(numbers) for p in parts])
    outputs = [log_prior, scales, coefficients, log_sd]
    cotangents = [pt.dvector(), pt.dvector(), pt.dvector()]
    known = {log_prior: pt.ones(()), **dict(zip(outputs[1:], cotangents, strict=True))}
    gradient = pt.grad(None, point, known_grads=known, disconnected_inputs="ignore")
    try:
        products = CrossProducts(rows, _entries_of(parts, order), offset.arrays)
    except TooManyProductsError:
        return None
    return LinearGaussian(
        products, compiled([point], outputs), compiled([point, *cotangents], gradient)
    )


def _entries_of(parts: Sequence[Sum], order: Array) -> list[Array]:
    """Return each array among the entries of all parts, in the order of the rows."""
    ends = np.cumsum([0, *(p.arrays.shape[1] for p in parts)])
    found = []
    for part, first in zip(parts, ends, strict=False):
        for array in part.arrays:
            entries = np.zeros(ends[-1])
            entries[first : first + len(array)] = array
            found.append(entries[order])
    return found


def _agree(written: Written, sums: Sequence[Sum], values: Sequence[Array]) -> bool:
    """Return whether the sums are the graphs where they were not made."""
    f = written.compiled([written.offset, *written.entries])
    numbers = np.concatenate([*(v.ravel() for v in values), np.ones(1)])
    return all(
        np.allclose(s.at(numbers), x, rtol=1e-9, atol=1e-9 * np.abs(x).max(initial=0.0))
        for s, x in zip(sums, f(*values), strict=True)
    )


def is_affine(graph: Any, inputs: Sequence[Any]) -> bool:
    """Return whether the gradient of a graph does not depend on these inputs."""
    if not inputs:
        return True
    along = graph.type()
    try:
        gradients = pt.grad((along * graph).sum(), list(inputs), disconnected_inputs="ignore")
    except (NotImplementedError, NullTypeGradError):  # no gradient is known of an Op
        return False
    return not any(depends(g, inputs) for g in gradients)


def without_zeros(graph: Any) -> Any:
    """Return a graph in which what is zero whatever the parameters are is written as zeros."""
    zeros: set[Any] = set()
    for node in io_toposort([], [graph]):
        if _is_zero(node, [x in zeros or _is_constant_zero(x) for x in node.inputs]):
            zeros.update(node.outputs)
    # With shapes of their own, lest zeros be in terms of what they replace.
    sums = [x for x in zeros if isinstance(x.owner.op, AbstractKernelOp)]
    shapes = {x: clone_replace([x.shape])[0] for x in sums}
    found = {x: pt.specify_shape(pt.zeros(n), x.type.shape) for x, n in shapes.items()}
    return clone_replace([graph], found)[0] if found else graph


def _is_zero(node: Any, zeros: Sequence[bool]) -> bool:
    """Return whether the output of a node is zero because these inputs are."""
    op = node.op
    if isinstance(op, AbstractKernelOp):
        return op.is_zero(zeros)
    if isinstance(op, Alloc | DimShuffle):
        return zeros[0]
    if isinstance(op, Elemwise) and isinstance(op.scalar_op, Add):
        return all(zeros)
    return isinstance(op, Elemwise) and isinstance(op.scalar_op, Mul) and any(zeros)


def _is_constant_zero(x: Any) -> bool:
    return isinstance(x, TensorConstant) and x.type.numpy_dtype.kind == "f" and not x.data.any()


def depends(graph: Any, inputs: Sequence[Any]) -> bool:
    """Return whether the values of a graph, not their shape alone, depend on inputs."""
    ahead, seen = [graph], set()
    while ahead:
        x = ahead.pop()
        if x in inputs:
            return True
        if x in seen or x.owner is None or isinstance(x.owner.op, Shape | Shape_i):
            continue
        seen.add(x)
        op = x.owner.op
        is_second = isinstance(op, Elemwise) and isinstance(op.scalar_op, Second)
        ahead += x.owner.inputs[1:] if is_second else x.owner.inputs
    return False
