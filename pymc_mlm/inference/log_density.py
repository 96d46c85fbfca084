"""The graph of log density and gradient over one flat vector, less what data alone decide.

The parameters are cut out of the vector at places that are data, not constants, and what depends
on data alone is computed beforehand: the graph, and so the compiled code, is the same for a table
of another size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from cachetools import LRUCache
from pytensor.compile.mode import Mode
from pytensor.graph import clone_replace, rewrite_graph
from pytensor.graph.rewriting.db import RewriteDatabaseQuery

from pymc_mlm.codegen.part import part
from pymc_mlm.inference.density_graph import DensityGraph, structure, without_data
from pymc_mlm.inference.hoisting import hoist_data
from pymc_mlm.ops.narrow import narrow

Layout = Sequence[tuple[str, tuple[int, ...]]]
# Of the models compiled last; none of them holds data.
GRAPHS: LRUCache[Any, DensityGraph] = LRUCache(16)
LOCK = Lock()


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
    graph = model.logp()
    form = tuple(len(shape) for _, shape in layout)
    described, data = structure([graph], values)
    unit = pytensor.shared(scale, name="scale", shape=(None,))
    places = _Places.of(layout)
    data += [unit, *places.data]
    key = None if described is None else (described, form, model.check_bounds)
    with LOCK:
        kept = None if key is None else GRAPHS.get(key)
    function = None if kept is None else kept.with_data(data)
    if function is not None:
        return function
    built = _rewritten(model, graph, values, unit, places, data)
    if key is not None:
        with LOCK:
            GRAPHS[key] = built
    # Through the same steps as the next table, so that the code is the same.
    return built.with_data(data)


def _rewritten(
    model: pm.Model, graph: Any, values: Sequence[Any], unit: Any, places: _Places, data: list[Any]
) -> DensityGraph:
    """Rewrite log density and gradient as functions of one vector, and take the data out."""
    rewrites = ["canonicalize", "stabilize"]
    if not model.check_bounds:
        rewrites.append("local_remove_check_parameter")
    logp = rewrite_graph(graph, include=rewrites)
    gradients = pt.grad(logp, list(values))
    gradient = pt.concatenate([pt.atleast_1d(g).ravel() for g in gradients])
    scaled = pt.dvector("point")
    cuts = places.cut(scaled * unit, values)
    hoisted = hoist_data(clone_replace([logp, gradient * unit], cuts))
    # Rewritten as for any backend; `pymc_mlm.codegen` fuses what numba is to compile.
    rewrites_for_loops = RewriteDatabaseQuery(
        include=["fast_run"], exclude=["inplace", "fusion", "BlasOpt", "cxx_only", "numba"]
    )
    mode = narrow(Mode(linker="py", optimizer=rewrites_for_loops))
    with model:
        function = pm.pytensorf.compile([scaled], hoisted.outputs, mode=mode)
    return without_data(function, data, hoisted)


@dataclass(frozen=True, eq=False)
class _Places:
    """Where each variable is in the flat vector, as data.

    Attributes
    ----------
    starts, lengths : SharedVariable, shape (variable,)
    sides : list of SharedVariable or None
        Shape of each variable with several dimensions.
    """

    starts: Any
    lengths: Any
    sides: list[Any]

    @classmethod
    def of(cls, layout: Layout) -> _Places:
        sizes = np.array([int(np.prod(shape)) for _, shape in layout])
        return cls(
            pytensor.shared(np.cumsum(sizes) - sizes, name="starts"),
            pytensor.shared(sizes, name="lengths"),
            [
                pytensor.shared(np.asarray(s, dtype=np.int64), name=f"shape_{i}")
                if len(s) > 1 else None
                for i, (_, s) in enumerate(layout)
            ],
        )  # fmt: skip

    @property
    def data(self) -> list[Any]:
        return [self.starts, self.lengths, *(side for side in self.sides if side is not None)]

    def cut(self, joined: Any, values: Sequence[Any]) -> dict[Any, Any]:
        """Return the part of the vector that is each variable."""
        cuts = {}
        for i, (value, sides) in enumerate(zip(values, self.sides, strict=True)):
            if not value.ndim:
                cuts[value] = joined[i]
                continue
            length = 1 if all(value.type.broadcastable) else self.lengths[i]
            cut = part(joined, self.starts[i], length)
            if sides is not None:
                cut = cut.reshape(tuple(sides[d] for d in range(value.ndim)), ndim=value.ndim)
            cuts[value] = _as_type_of(value, cut)
        return cuts


def _as_type_of(value: Any, part: Any) -> Any:
    if any(length is not None for length in value.type.shape):
        part = pt.specify_shape(part, value.type.shape)
    return part.astype(value.dtype)
