"""The call of an Op's kernel in a function that is written: the layout is tested by its caller.

PyTensor calls a function that tests the layout and raises an error. A function that is written ends
with a fault instead, and tests what is known at its start there: one test for all kernels, and no
function of its own for each.
"""

from __future__ import annotations

from pytensor.graph.basic import Apply

from pymc_mlm.codegen import host
from pymc_mlm.codegen.calls import write_result
from pymc_mlm.codegen.program import Program, broadcastable, write_op
from pymc_mlm.codegen.value import ONE
from pymc_mlm.ops.base import AbstractKernelOp, numba_kernel_of
from pymc_mlm.ops.layout import is_outside


@write_op.register(AbstractKernelOp)
def _(op: AbstractKernelOp, node: Apply, program: Program) -> None:
    private, (_, key) = host(), host().function_of(op, node)
    helpers = {"is_outside": is_outside, **op.layout.helpers}

    def helper(name: str) -> str:
        compiled = private.njit(helpers[name], error_model="numpy")
        return program.helper(compiled, name, key)

    arrays = [program.array(x) for x in node.inputs]
    lengths = [tuple(map(program.representative, program.value(x).shape)) for x in node.inputs]
    needed = op.layout.requirements(arrays, lengths, helper)
    for one, other in needed.equal:
        program.same(one, other)
    for fault in (*needed.misfits, *needed.outside, *needed.unmet):
        program.fail_if(fault)
    kernel = private.njit(numba_kernel_of(op), error_model="numpy")
    known = op.infer_shape(node, [tuple(map(Length, shape)) for shape in lengths])
    shapes = [
        [ONE if is_one else str(n) for n, is_one in zip(shape, broadcastable(out), strict=True)]
        for shape, out in zip(known, node.outputs, strict=True)
    ]
    write_result(kernel, None if key is None else f"{key} kernel", arrays, node, program, shapes)


class Length(str):
    """The text of a length, of which `infer_shape` takes sums and differences as of a number."""

    def __add__(self, other: object) -> Length:
        return Length(f"({self} + {other})")

    def __sub__(self, other: object) -> Length:
        return Length(f"({self} - {other})")

    def __mul__(self, other: object) -> Length:
        return Length(f"({self} * {other})")
