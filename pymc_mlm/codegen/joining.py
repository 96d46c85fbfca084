"""Arrays put together, and taken apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from pytensor.graph.basic import Apply, Constant
from pytensor.tensor.basic import Join, Split

from pymc_mlm.codegen.calls import write_call
from pymc_mlm.codegen.program import Program, broadcastable, write_op
from pymc_mlm.codegen.value import ONE, Index, Value, in_memory


@write_op.register(Join)
def _(op: Any, node: Apply, program: Program) -> None:
    axis = _axis(op, node)
    if axis is None:
        write_call(op, node, program)
        return
    out = node.outputs[0]
    parts = [program.value(x) for x in node.inputs if x.type.ndim]
    lengths = [part.shape[axis] for part in parts]
    shape = list(next((p.shape for p in parts if not p.is_single), parts[0].shape))
    for d in range(len(shape)):
        shape[d] = next((p.shape[d] for p in parts if p.shape[d] != ONE), ONE)
        for part in parts:
            if d != axis:
                program.same(shape[d], part.shape[d])
    shape[axis] = program.assign(" + ".join(lengths), "n")
    name = program.allocate(out, shape)
    at = "0"
    for k, part in enumerate(parts):
        with program.loops(part.shape) as index:
            entry = part.entry(index)
            place = list(index)
            place[axis] = at if index[axis] == "0" else f"{at} + {index[axis]}"
            program.write(f"{name}[{', '.join(place)}] = {entry}")
        if k < len(parts) - 1:
            at = program.assign(f"{at} + {lengths[k]}", "n")
    program.values[out] = in_memory(name, tuple(shape))


@write_op.register(Split)
def _(op: Any, node: Apply, program: Program) -> None:
    x, sizes = node.inputs[0], node.inputs[-1]
    axis = _axis(op, node)
    if axis is None:
        write_call(op, node, program)
        return
    program.array(x)  # read by several loops
    value, size = program.value(x), program.value(sizes)
    at = "0"
    for k, out in enumerate(node.outputs):
        text = size.entry((str(k),))
        length = program.assign(text, "n")
        program.fail_if(f"{length} < 0")
        if broadcastable(out)[axis]:
            program.same(length, ONE)
            length = ONE
        shape = tuple(length if d == axis else n for d, n in enumerate(value.shape))

        def entry(index: Index, at: str = at) -> str:
            place = list(index)
            place[axis] = f"{at} + {index[axis]}"
            return value.entry(tuple(place))

        program.values[out] = Value(shape, entry)
        at = program.assign(f"{at} + {length}", "n")
    program.same(at, value.shape[axis])


def _axis(op: Any, node: Apply) -> int | None:
    """Return the axis, wherever this version of PyTensor keeps it; None if it is computed."""
    axis = getattr(op, "axis", None)
    if axis is None:
        given = next((x for x in node.inputs if x.type.ndim == 0), None)
        if not isinstance(given, Constant):
            return None
        axis = int(np.asarray(given.data))
    return int(axis) % node.outputs[0].type.ndim
