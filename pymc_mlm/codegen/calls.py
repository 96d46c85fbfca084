"""Everything without loops of its own: a call of the Op's numba function, arrays in and out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytensor.graph.basic import Apply

from pymc_mlm.codegen import host
from pymc_mlm.codegen.program import Program, broadcastable, is_scalar, write_op
from pymc_mlm.codegen.value import in_memory, single


@write_op.register(object)
def write_call(op: Any, node: Apply, program: Program) -> None:
    """Write the call of the numba function that PyTensor has for an Op, or this package."""
    function, key = host().function_of(op, node)
    args = [program.value(x).only if is_scalar(x) else program.array(x) for x in node.inputs]
    write_result(function, key, args, node, program)


def write_result(
    function: Any,
    key: str | None,
    args: Sequence[str],
    node: Apply,
    program: Program,
    shapes: Sequence[Sequence[str] | None] | None = None,
) -> None:
    """Write the call of a numba function for a node, and set the values of its outputs.

    Parameters
    ----------
    shapes : sequence of sequence of str, optional
        Lengths of the outputs, as text, where they are known without looking at them.
    """
    name = program.call(function, key, "op")
    results = [program.fresh("r") for _ in node.outputs]
    program.write(f"{', '.join(results)} = {name}({', '.join(args)})")
    known = shapes or [None] * len(results)
    for variable, result, shape in zip(node.outputs, results, known, strict=True):
        if is_scalar(variable):
            program.values[variable] = single(result)
        elif variable.type.ndim == 0:
            text = program.assign(f"np.asarray({result}).item()")
            program.values[variable] = single(text)
        else:
            lengths = program.lengths(result, broadcastable(variable)) if shape is None else shape
            program.values[variable] = in_memory(result, tuple(lengths))
