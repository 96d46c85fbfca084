"""Everything without loops of its own: a call of the Op's numba function, arrays in and out."""

from __future__ import annotations

from typing import Any

from pytensor.graph.basic import Apply

from pymc_mlm.codegen import host
from pymc_mlm.codegen.program import Program, broadcastable, is_scalar, write_op
from pymc_mlm.codegen.value import in_memory, single


@write_op.register(object)
def write_call(op: Any, node: Apply, program: Program) -> None:
    """Write the call of the numba function that PyTensor has for an Op, or this package."""
    function, key = host().function_of(op, node)
    name = program.call(function, key, "op")
    args = [program.value(x).only if is_scalar(x) else program.array(x) for x in node.inputs]
    results = [program.fresh("r") for _ in node.outputs]
    program.write(f"{', '.join(results)} = {name}({', '.join(args)})")
    for variable, result in zip(node.outputs, results, strict=True):
        if is_scalar(variable):
            program.values[variable] = single(result)
        elif variable.type.ndim == 0:
            text = program.assign(f"np.asarray({result}).item()")
            program.values[variable] = single(text)
        else:
            shape = program.lengths(result, broadcastable(variable))
            program.values[variable] = in_memory(result, shape)
