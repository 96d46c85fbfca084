"""The graph of log density and gradient over one flat vector, less what data alone decide.

The parameters are cut out of the vector at places that are data, not constants, and what depends
on data alone is computed beforehand: the graph, and so the compiled code, is the same for a table
of another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.logprob.utils import CheckParameterValue
from pytensor.compile.mode import Mode
from pytensor.compile.sharedvalue import SharedVariable
from pytensor.graph import clone_replace, rewrite_graph
from pytensor.graph.basic import Constant
from pytensor.graph.fg import FunctionGraph
from pytensor.graph.rewriting.db import RewriteDatabaseQuery
from pytensor.graph.traversal import io_toposort

from pymc_mlm.codegen.part import part
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.narrow import narrow

Layout = Sequence[tuple[str, tuple[int, ...]]]


def log_density_function(
    model: pm.Model, values: Sequence[Any], layout: Layout, scale: np.ndarray
) -> Any:
    """Build log density and gradient over one flat vector, without baking in any size.

    Parameters
    ----------
    model : pm.Model
        The model.
    values : sequence of TensorVariable
        Its value variables, scalars first.
    layout : sequence of (str, tuple of int)
        Their names and shapes.
    scale : ndarray, shape (n_dim,)
        Units of the flat vector.

    Returns
    -------
    callable
        PyTensor function of the flat vector, shape (n_dim,), returning the log density and its
        gradient, shape (n_dim,). It runs by NumPy; its graph is what is to be compiled.
    """
    rewrites = ["canonicalize", "stabilize"]
    if not model.check_bounds:
        rewrites.append("local_remove_check_parameter")
    logp = rewrite_graph(model.logp(), include=rewrites)
    gradients = pt.grad(logp, list(values))
    gradient = pt.concatenate([pt.atleast_1d(g).ravel() for g in gradients])
    scaled, unit = pt.dvector("point"), pytensor.shared(scale, name="scale", shape=(None,))
    joined = scaled * unit
    sizes = np.array([int(np.prod(shape)) for _, shape in layout])
    starts = pytensor.shared(np.cumsum(sizes) - sizes, name="starts")
    lengths = pytensor.shared(sizes, name="lengths")
    replacements = {}
    for i, (value, (_, shape)) in enumerate(zip(values, layout, strict=True)):
        if not shape:
            replacements[value] = joined[i]
            continue
        length = 1 if all(value.type.broadcastable) else lengths[i]
        cut = part(joined, starts[i], length)
        if len(shape) > 1:
            sides = pytensor.shared(np.asarray(shape, dtype=np.int64), name=f"shape_{i}")
            cut = cut.reshape(tuple(sides[d] for d in range(len(shape))), ndim=len(shape))
        replacements[value] = _as_type_of(value, cut)
    logp, gradient = hoist_data(clone_replace([logp, gradient * unit], replacements))
    # Rewritten as for any backend; `pymc_mlm.codegen` fuses what numba is to compile.
    rewrites_for_loops = RewriteDatabaseQuery(
        include=["fast_run"], exclude=["inplace", "fusion", "BlasOpt", "cxx_only", "numba"]
    )
    mode = narrow(Mode(linker="py", optimizer=rewrites_for_loops))
    with model:
        return pm.pytensorf.compile([scaled], [logp, gradient], mode=mode)


def hoist_data(outputs: Sequence[Any]) -> list[Any]:
    """Compute once what depends on data alone, such as the logarithms of observed times.

    Parameters
    ----------
    outputs : sequence of Variable
        Graph whose data are shared variables.

    Returns
    -------
    list of Variable
        The same graph, in which the results of data-only parts are shared variables in turn:
        they are data to the compiled code, and stay out of its cache key. Checks of parameters
        that data alone pass, such as a positive prior scale, are gone.
    """
    fixed: set[Any] = set()
    frontier: dict[Any, None] = {}
    for node in io_toposort([], outputs):
        of_data = [x for x in node.inputs if isinstance(x, SharedVariable) or x in fixed]
        if of_data and all(isinstance(x, Constant) or x in of_data for x in node.inputs):
            fixed.update(node.outputs)
        else:
            frontier |= dict.fromkeys(x for x in of_data if x in fixed)
    # Integers are places and lengths, which are better left where they are.
    frontier = {
        x: None for x in frontier if getattr(x.type, "dtype", "int64") not in ("int64", "object")
    }
    if not frontier:
        return list(outputs)
    results = pytensor.function([], list(frontier), mode=uncompiled())()
    values = dict(zip(frontier, results, strict=True))
    graph = FunctionGraph(outputs=list(outputs), clone=False)
    for node in graph.toposort():
        if isinstance(node.op, CheckParameterValue):
            checked, *conditions = node.inputs
            if all(c in values and np.all(values[c]) for c in conditions):
                graph.replace(node.outputs[0], checked)
    for x, value in values.items():
        if isinstance(x.type, pt.TensorType):
            known = pytensor.shared(np.asarray(value, dtype=x.dtype), shape=x.type.shape)
            graph.replace(x, known, import_missing=True)
    return list(graph.outputs)


def _as_type_of(value: Any, part: Any) -> Any:
    if any(length is not None for length in value.type.shape):
        part = pt.specify_shape(part, value.type.shape)
    return part.astype(value.dtype)
