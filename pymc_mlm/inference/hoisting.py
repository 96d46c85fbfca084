"""What depends on data alone is computed before compilation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pymc.logprob.utils import CheckParameterValue
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph import clone_replace
from pytensor.graph.basic import Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.traversal import io_toposort

from pymc_mlm.ops.base import uncompiled


@dataclass(frozen=True, eq=False)
class Hoisted:
    """A graph, and what was computed from its data.

    Attributes
    ----------
    outputs : list of Variable
        The graph, with the results as data.
    computed : list of Variable
        Graphs of the results, from the data before.
    known : list of SharedVariable or None
        The results; None for a condition, which is a number and no tensor.
    required : tuple of int
        Which of them are conditions that held, so that their checks are gone.
    """

    outputs: list[Any]
    computed: list[Any]
    known: list[Any]
    required: tuple[int, ...]


def hoist_data(outputs: Sequence[Any]) -> Hoisted:
    """Compute once what depends on data alone, such as the logarithms of observed times.

    Parameters
    ----------
    outputs : sequence of Variable
        Graph whose data are shared variables.

    Returns
    -------
    Hoisted
        The same graph, in which the results of data-only parts are shared variables in turn:
        they are data to the compiled code, and stay out of its cache key. Checks of parameters
        that data alone pass, such as a positive prior scale, are gone.
    """
    fixed: set[Any] = set()
    found: dict[Any, None] = {}
    for node in io_toposort([], outputs):
        of_data = [x for x in node.inputs if isinstance(x, SharedVariable) or x in fixed]
        if of_data and all(isinstance(x, Constant) or x in of_data for x in node.inputs):
            fixed.update(node.outputs)
        else:
            found |= dict.fromkeys(x for x in of_data if x in fixed)
    # Integers are places and lengths, which are better left where they are.
    last = [x for x in found if getattr(x.type, "dtype", "int64") not in ("int64", "object")]
    if not last:
        return Hoisted(list(outputs), [], [], ())
    results = pytensor.function([], last, mode=uncompiled())()
    # Before the graph changes: parts of it are replaced below.
    computed = clone_replace(last)
    place = {x: i for i, x in enumerate(last)}
    required: dict[int, None] = {}
    graph = FunctionGraph(outputs=list(outputs), clone=False)
    for node in graph.toposort():
        if isinstance(node.op, CheckParameterValue):
            checked, *conditions = node.inputs
            if all(c in place and np.all(results[place[c]]) for c in conditions):
                graph.replace(node.outputs[0], checked)
                required |= dict.fromkeys(place[c] for c in conditions)
    known = []
    for x, value in zip(last, results, strict=True):
        # Scalars outside of tensors are the conditions of checks.
        if isinstance(x.type, pt.TensorType):
            known.append(pytensor.shared(np.asarray(value, dtype=x.dtype), shape=x.type.shape))
            graph.replace(x, known[-1], import_missing=True)
        else:
            known.append(None)
    return Hoisted(list(graph.outputs), computed, known, tuple(required))
