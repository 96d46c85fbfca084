"""Elementwise operations, reductions, and the passage between numbers and arrays."""

from __future__ import annotations

from typing import Any

import pytensor.scalar.basic as ps
from pytensor.graph.basic import Apply
from pytensor.tensor.basic import MakeVector, ScalarFromTensor, TensorFromScalar
from pytensor.tensor.elemwise import CAReduce, Elemwise

from pymc_mlm.codegen.calls import write_call
from pymc_mlm.codegen.program import Program, broadcastable, write_op
from pymc_mlm.codegen.scalars import expression, scalar_function
from pymc_mlm.codegen.value import ONE, Index, Value, single

# Start and step of a reduction.
_REDUCTIONS = {
    ps.Add: ("0", "{0} += {1}"),
    ps.Mul: ("1", "{0} *= {1}"),
    ps.AND: ("True", "{0} = {0} and {1}"),
    ps.OR: ("False", "{0} = {0} or {1}"),
}


@write_op.register(Elemwise)
def _(op: Any, node: Apply, program: Program) -> None:
    if len(node.outputs) != 1:
        write_call(op, node, program)
        return
    operands = [program.value(x) for x in node.inputs]
    out = node.outputs[0]
    shape = tuple(
        ONE if b else _length(operands, d, program) for d, b in enumerate(broadcastable(out))
    )

    def entry(index: Index) -> str:
        args = [
            value.entry(
                tuple("0" if n == ONE else i for n, i in zip(value.shape, index, strict=True))
            )
            for value in operands
        ]
        return _compute(op.scalar_op, node, args, program)

    program.give(out, Value(shape, entry))


@write_op.register(ps.ScalarOp)
def _(op: Any, node: Apply, program: Program) -> None:
    if len(node.outputs) != 1:
        write_call(op, node, program)
        return
    args = [program.value(x).only for x in node.inputs]
    program.give(node.outputs[0], single(_compute(op, node, args, program)))


@write_op.register(CAReduce)
def _(op: Any, node: Apply, program: Program) -> None:
    (x,), (out,) = node.inputs, node.outputs
    if type(op.scalar_op) not in _REDUCTIONS or "complex" in out.type.dtype:
        write_call(op, node, program)
        return
    value = program.value(x)
    start, step = _REDUCTIONS[type(op.scalar_op)]
    if out.type.dtype.startswith("float"):
        start = f"{start}.0"
    axes = range(x.type.ndim) if op.axis is None else op.axis
    kept = [d for d in range(x.type.ndim) if d not in axes]
    shape = tuple(value.shape[d] for d in kept)

    def total(index: Index) -> str:
        name = program.fresh("t")
        program.write(f"{name} = {start}")
        with program.loops([n if d in axes else ONE for d, n in enumerate(value.shape)]) as inner:
            at = list(inner)
            for d, i in zip(kept, index, strict=True):
                at[d] = i
            entry = value.entry(tuple(at))
            program.write(step.format(name, entry))
        return name

    if all(n == ONE for n in shape):
        program.values[out] = single(total(("0",) * len(shape)), len(shape))
        return
    program.values[out] = program.store(out, Value(shape, total))


@write_op.register(ScalarFromTensor)
@write_op.register(TensorFromScalar)
def _(op: Any, node: Apply, program: Program) -> None:
    program.values[node.outputs[0]] = single(program.value(node.inputs[0]).only)


@write_op.register(MakeVector)
def _(op: Any, node: Apply, program: Program) -> None:
    entries = [program.value(x).only for x in node.inputs]
    out = node.outputs[0]
    if len(entries) == 1:
        program.values[out] = single(entries[0], 1)
        return
    name = program.allocate(out, (str(len(entries)),))
    for i, text in enumerate(entries):
        program.write(f"{name}[{i}] = {text}")

    def entry(index: Index) -> str:
        return entries[int(index[0])] if index[0].isdecimal() else f"{name}[{index[0]}]"

    program.values[out] = Value((str(len(entries)),), entry, name)


def _length(operands: list[Value], d: int, program: Program) -> str:
    lengths = [v.shape[d] for v in operands if v.shape[d] != ONE]
    for length in lengths[1:]:
        program.same(lengths[0], length)
    return lengths[0] if lengths else ONE


def _compute(op: Any, node: Apply, args: list[str], program: Program) -> str:
    dtypes = [x.type.dtype for x in node.inputs]
    text = expression(op, dtypes, node.outputs[0].type.dtype, args)
    if text is None:
        function, key = scalar_function(op, dtypes)
        text = f"{program.call(function, key, 'f')}({', '.join(args)})"
    return program.assign(text)
