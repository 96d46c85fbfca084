"""Graphs of log densities without their data, kept for the next table of the same model.

Rewriting the graph of a log density takes longer than most chains of a small table. A graph that
differs from one before in the content of its data only is rewritten once in a session: a thousand
simulated trials, or the fits without each group in turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph import clone_replace
from pytensor.graph.basic import Constant
from pytensor.graph.traversal import io_toposort

from pymc_mlm.inference.hoisting import Hoisted
from pymc_mlm.ops.base import uncompiled


@dataclass(frozen=True, eq=False)
class DensityGraph:
    """Rewritten graph of log density and gradient, whose data are yet to be given.

    Attributes
    ----------
    inputs : list of Variable
        The point, and stands for the data that the graph reads.
    places : tuple of int
        Place of each of them among the data and what is computed from these beforehand.
    outputs : list of Variable
        Log density and gradient.
    prepare : callable
        What is computed beforehand, from the values of all data.
    types : list of Type or None
        Its types; None for what the graph does not read.
    required : tuple of int
        Conditions among them that held, and must hold again: their checks are not in the graph.
    """

    inputs: list[Any]
    places: tuple[int, ...]
    outputs: list[Any]
    prepare: Callable[..., list[Any]]
    types: list[Any]
    required: tuple[int, ...]

    def with_data(self, data: Sequence[Any]) -> Any:
        """Return the function of the point for these data; None where a condition does not hold.

        Parameters
        ----------
        data : sequence of SharedVariable
            As many as the graph was made with, of the same types.
        """
        computed = self.prepare(*(one.get_value(borrow=True) for one in data))
        if not all(np.all(computed[i]) for i in self.required):
            return None
        known = [
            None if kind is None else pytensor.shared(np.asarray(v, kind.dtype), shape=kind.shape)
            for v, kind in zip(computed, self.types, strict=True)
        ]
        everything = [*data, *known]
        point, *stands = self.inputs
        given = {s: everything[place] for s, place in zip(stands, self.places, strict=True)}
        # It is rewritten already.
        mode = Mode(linker="py", optimizer=None)
        return pytensor.function([point], clone_replace(self.outputs, given), mode=mode)


def without_data(function: Any, data: Sequence[Any], hoisted: Hoisted) -> DensityGraph:
    """Take the data out of a rewritten function.

    Parameters
    ----------
    function : pytensor Function
        Of the point.
    data : sequence of SharedVariable
        Data of the graph before what depends on them alone was computed.
    hoisted : Hoisted
        What was computed.

    Raises
    ------
    KeyError
        The function reads a shared variable that is none of these.
    """
    graph = function.maker.fgraph
    place = {id(one): i for i, one in enumerate([*data, *hoisted.known])}
    inputs = [variable.type(name=variable.name) for variable in graph.inputs]
    outputs = clone_replace(graph.outputs, dict(zip(graph.inputs, inputs, strict=True)))
    stands = [one.type() for one in data]
    computed = clone_replace(hoisted.computed, dict(zip(data, stands, strict=True)))
    prepare = pytensor.function(stands, computed, mode=uncompiled(), on_unused_input="ignore")
    places = tuple(place[id(one)] for one in function.get_shared())
    types = [None if one is None else one.type for one in hoisted.known]
    return DensityGraph(inputs, places, outputs, prepare, types, hoisted.required)


def structure(outputs: Sequence[Any], inputs: Sequence[Any]) -> tuple[Hashable | None, list[Any]]:
    """Describe a graph up to the content of its data.

    Parameters
    ----------
    outputs, inputs : sequence of Variable
        The graph. Its data are shared variables.

    Returns
    -------
    key : hashable or None
        Equal for graphs that compute the same from the same data: operations that are equal as in
        PyTensor's merging of equal nodes, types with their static shapes, and constants. None for
        a graph with other inputs.
    data : list of SharedVariable
        In the order in which the graph has them.
    """
    number = {variable: i for i, variable in enumerate(inputs)}
    rows: list[Hashable] = [variable.type for variable in inputs]
    data: list[Any] = []
    complete = True
    for node in io_toposort([], outputs):
        for variable in node.inputs:
            if variable in number:
                continue
            if isinstance(variable, SharedVariable):
                data.append(variable)
                rows.append(variable.type)
            elif isinstance(variable, Constant):
                rows.append(_constant(variable))
            else:
                complete = False
            number[variable] = len(number)
        rows.append((node.op, *(number[v] for v in node.inputs), *(v.type for v in node.outputs)))
        for variable in node.outputs:
            number[variable] = len(number)
    rows.append(tuple(number.get(variable, -1) for variable in outputs))
    return (tuple(rows) if complete else None), data


def _constant(constant: Any) -> Hashable:
    """Return what tells constants apart: the bytes of numbers, since -0.0 equals 0.0."""
    value = constant.data
    if isinstance(value, (np.ndarray, np.generic, int, float)) and not isinstance(value, bool):
        array = np.ascontiguousarray(value)
        if array.dtype != object:
            return constant.type, array.shape, hashlib.sha256(array.tobytes()).digest()
    return constant.type, constant.signature()
