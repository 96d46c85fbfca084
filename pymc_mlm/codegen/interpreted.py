"""A graph run by NumPy without PyTensor's checks at each node, for a few hundred calls.

Compiling costs seconds, and PyTensor's own interpreter twenty microseconds a node; here it is two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph import clone_replace
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.traversal import ancestors
from pytensor.scalar.basic import Add, Mul, Second
from pytensor.tensor.elemwise import DimShuffle, Elemwise
from pytensor.tensor.math import Sum
from pytensor.tensor.shape import SpecifyShape
from pytensor.tensor.subtensor import Subtensor, indices_from_subtensor

Array = np.ndarray[Any, Any]


class Step(NamedTuple):
    """One node: a function of values at some places, and where its results go."""

    call: Callable[..., Any]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def interpreted(inputs: Sequence[Variable], outputs: Sequence[Variable], mode: Any) -> Any:
    """Return a function of a graph that NumPy runs.

    Parameters
    ----------
    inputs, outputs : sequence of Variable
        The graph. Values of shared variables are those of now.
    mode : pytensor.compile.mode.Mode
        Rewrites; none of them in place.

    Returns
    -------
    callable
        From arrays to a list of arrays. Its first call is run by PyTensor, too, whose checks of
        lengths and indices it then leaves out; if the results differ, PyTensor runs all calls.
    """
    checked = pytensor.function(list(inputs), list(outputs), mode=mode, on_unused_input="ignore")
    graph = checked.maker.fgraph
    places: dict[Variable, int] = {}
    values: list[Any] = []

    def place(variable: Variable) -> int:
        if variable not in places:
            places[variable] = len(values)
            values.append(variable.data if isinstance(variable, Constant) else None)
        return places[variable]

    for variable, storage in zip(graph.inputs, checked.input_storage, strict=True):
        values[place(variable)] = storage.storage[0]
    steps = [
        Step(_call(node), tuple(map(place, node.inputs)), tuple(map(place, node.outputs)))
        for node in graph.toposort()
    ]
    return _Interpreted(checked, len(inputs), values, steps, [place(x) for x in graph.outputs])


def interpreted_together(
    several: Sequence[tuple[Sequence[Variable], Sequence[Variable]]], mode: Any
) -> list[Any]:
    """Return functions of graphs that share parts, such as a value and its gradient.

    Rewritten together, they take two thirds of the time that they would take apart.

    Parameters
    ----------
    several : sequence of (inputs, outputs)
        As in `interpreted`, of each function.
    mode : pytensor.compile.mode.Mode
        As in `interpreted`.
    """
    copies = clone_replace([x for _, outputs in several for x in outputs])
    data = [x for x in ancestors(copies) if isinstance(x, SharedVariable)]
    every = dict.fromkeys([*(x for inputs, _ in several for x in inputs), *data])
    graph = FunctionGraph(list(every), copies, clone=False)
    mode.optimizer.rewrite(graph)
    rewritten, plain = iter(graph.outputs), Mode(linker="py", optimizer=None)
    parts = [(inputs, [next(rewritten) for _ in outputs]) for inputs, outputs in several]
    return [interpreted(inputs, outputs, plain) for inputs, outputs in parts]


class _Interpreted:
    """Steps over a list of values."""

    def __init__(
        self, checked: Any, count: int, values: list[Any], steps: list[Step], results: list[int]
    ) -> None:
        self.checked, self.values, self.steps, self.results = checked, values, steps, results
        self.count = count
        self.is_right: bool | None = None

    def __call__(self, *given: Array) -> list[Array]:
        if self.is_right is None:
            expected, found = self.checked(*given), self._run(given)
            pairs = zip(expected, found, strict=True)
            self.is_right = all(
                a.shape == b.shape and np.allclose(a, b, equal_nan=True) for a, b in pairs
            )
        return self._run(given) if self.is_right else list(self.checked(*given))

    def _run(self, given: Sequence[Array]) -> list[Array]:
        values = list(self.values)
        values[: self.count] = given
        with np.errstate(all="ignore"):
            for call, inputs, outputs in self.steps:
                found = call(*[values[i] for i in inputs])
                if len(outputs) == 1:
                    values[outputs[0]] = found
                else:
                    for at, value in zip(outputs, found, strict=True):
                        values[at] = value
        return [np.asarray(values[at]) for at in self.results]


def _call(node: Apply[Any]) -> Callable[..., Any]:
    """Return NumPy's function of a node, or the Op's own."""
    op = node.op
    if isinstance(op, Elemwise) and _has_type_of_numpy(node) and not op.inplace_pattern:
        function = getattr(op, "nfunc", None)
        if function is not None and len(node.inputs) == op.nfunc_spec[1]:
            return function
        if function is not None and isinstance(op.scalar_op, Add | Mul):
            return lambda *x: reduce(function, x)
        if isinstance(op.scalar_op, Second):  # PyTensor runs it a number at a time
            return _filled
    if isinstance(op, SpecifyShape):
        return lambda x, *_: x
    if isinstance(op, Sum) and _has_type_of_numpy(node):
        return lambda x: np.sum(x, axis=op.axis)
    if isinstance(op, DimShuffle) and not op.drop and list(op.shuffle) == sorted(op.shuffle):
        index = tuple(None if i == "x" else slice(None) for i in op.new_order)
        return lambda x: np.asarray(x)[index]
    if isinstance(op, Subtensor) and all(isinstance(x, Constant) for x in node.inputs[1:]):
        at = indices_from_subtensor([x.data for x in node.inputs[1:]], op.idx_list)
        return lambda x, *_: x[at]
    return _performed(node)


def _filled(x: Array, y: Array) -> Array:
    """Return the second array, in the shape of both."""
    return np.array(np.broadcast_to(y, np.broadcast_shapes(np.shape(x), np.shape(y))))


def _has_type_of_numpy(node: Apply[Any]) -> bool:
    """Return whether NumPy gives the result the type that PyTensor does."""
    found = node.outputs[0].type.dtype
    return found == "bool" or (
        found == "float64" and any(v.type.dtype == "float64" for v in node.inputs)
    )


def _performed(node: Apply[Any]) -> Callable[..., Any]:
    """Return the Op's compiled kernel, or its own function without its test of the layout."""
    run = getattr(node.op, "define", node.op.perform)
    if getattr(node.op, "is_of_rows", False):
        kernel = node.op.kept_kernel()
        return lambda *given: kernel(*map(np.ascontiguousarray, given))

    is_array, count = [hasattr(v.type, "ndim") for v in node.inputs], len(node.outputs)

    def call(*given: Any) -> Any:
        cells: list[list[Any]] = [[None] for _ in range(count)]
        run(
            node,
            [np.asarray(x) if a else x for x, a in zip(given, is_array, strict=True)],
            cells,
        )
        return cells[0][0] if len(cells) == 1 else [c[0] for c in cells]

    return call
