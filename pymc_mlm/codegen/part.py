"""A stretch of a flat vector whose length is known as a number, not only as a difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytensor.tensor as pt
from pytensor.graph.basic import Apply
from pytensor.graph.op import Op

from pymc_mlm.codegen.program import Program, broadcastable, write_op
from pymc_mlm.codegen.value import ONE, Value, in_memory


class Part(Op):
    """``x[start : start + length]``, within bounds.

    The length of a PyTensor slice is a graph of ten comparisons, which gradients then carry along.
    """

    __props__ = ()

    def make_node(self, x: Any, start: Any, length: Any) -> Apply:
        """Take a vector and two integers; a constant length of one makes the result broadcast."""
        x, start, length = (pt.as_tensor_variable(v) for v in (x, start, length))
        static = 1 if getattr(length, "data", None) == 1 else None
        return Apply(self, [x, start, length], [pt.TensorType(x.type.dtype, (static,))()])

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """Return the length as given."""
        return [(node.inputs[2],)]

    def perform(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define the part in NumPy."""
        x, start, length = inputs
        out[0][0] = x[int(start) : int(start) + int(length)].copy()


@write_op.register(Part)
def _(op: Any, node: Apply, program: Program) -> None:
    array, out = program.array(node.inputs[0]), node.outputs[0]
    start = program.assign(program.value(node.inputs[1]).only, "n")
    size = program.value(node.inputs[0]).shape[0]
    if broadcastable(out)[0]:
        program.fail_if(f"({start} < 0) | ({start} >= {size})")
        program.values[out] = Value((ONE,), lambda index: f"{array}[{start}]")
        return
    length = program.assign(program.value(node.inputs[2]).only, "n")
    program.fail_if(f"({start} < 0) | ({length} < 0) | ({start} + {length} > {size})")
    # numba takes a slice of a contiguous vector for a contiguous vector: kernels can read it.
    name = program.fresh("v")
    program.write(f"{name} = {array}[{start}:{start} + {length}]")
    program.values[out] = in_memory(name, (length,))


part = Part()
