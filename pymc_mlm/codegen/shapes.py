"""Views: axes that come and go, other shapes, lengths. They move indices, not numbers."""

from __future__ import annotations

from typing import Any

from pytensor.graph.basic import Apply
from pytensor.tensor.basic import Alloc
from pytensor.tensor.elemwise import DimShuffle
from pytensor.tensor.shape import Reshape, Shape_i, SpecifyShape

from pymc_mlm.codegen.program import Program, broadcastable, write_op
from pymc_mlm.codegen.value import ONE, Index, Value, single


@write_op.register(DimShuffle)
def _(op: Any, node: Apply, program: Program) -> None:
    value, out = program.value(node.inputs[0]), node.outputs[0]
    order = op.new_order
    shape = tuple(ONE if d == "x" else value.shape[d] for d in order)
    place = {d: k for k, d in enumerate(order) if d != "x"}

    def entry(index: Index) -> str:
        return value.entry(
            tuple(index[place[d]] if d in place else "0" for d in range(len(value.shape)))
        )

    program.values[out] = Value(shape, entry)


@write_op.register(Reshape)
def _(op: Any, node: Apply, program: Program) -> None:
    value, out = program.value(node.inputs[0]), node.outputs[0]
    asked = program.value(node.inputs[1])
    single_dims = broadcastable(out)
    total = program.assign(" * ".join(value.shape), "n") if value.shape else ONE
    shape: tuple[str, ...]
    if len(single_dims) == 1:
        shape = (ONE,) if single_dims[0] else (total,)
        length = program.assign(asked.entry(("0",)), "n")
        program.fail_if(f"({length} != -1) & ({length} != {total})")
        program.same(total, shape[0])
    else:
        texts = [
            ONE if b else program.assign(asked.entry((str(d),)), "n")
            for d, b in enumerate(single_dims)
        ]
        shape = tuple(
            t if t == ONE else program.assign(f"{t} if {t} >= 0 else {_rest(total, texts, d)}", "n")
            for d, t in enumerate(texts)
        )
        program.same(total, program.assign(" * ".join(shape), "n") if shape else ONE)

    def entry(index: Index) -> str:
        return value.entry(_unravel(_ravel(index, shape, program), value.shape, program))

    program.values[out] = Value(shape, entry)


@write_op.register(SpecifyShape)
def _(op: Any, node: Apply, program: Program) -> None:
    value, out = program.value(node.inputs[0]), node.outputs[0]
    single_dims = broadcastable(out)
    shape = tuple(ONE if b else n for b, n in zip(single_dims, value.shape, strict=True))
    for length, asked in zip(value.shape, node.inputs[1:], strict=True):
        if asked in program.values or getattr(asked, "data", None) is not None:
            program.same(length, program.value(asked).only)
    program.values[out] = Value(shape, value.entry, value.array)


@write_op.register(Shape_i)
def _(op: Any, node: Apply, program: Program) -> None:
    program.values[node.outputs[0]] = single(program.value(node.inputs[0]).shape[op.i])


@write_op.register(Alloc)
def _(op: Any, node: Apply, program: Program) -> None:
    filling, out = program.value(node.inputs[0]), node.outputs[0]
    lengths = [program.assign(program.value(n).only, "n") for n in node.inputs[1:]]
    shape = tuple(ONE if b else n for b, n in zip(broadcastable(out), lengths, strict=True))
    new = len(shape) - len(filling.shape)
    for given, wanted in zip(lengths, shape, strict=True):
        program.same(given, wanted)
    for length, wanted in zip(filling.shape, shape[new:], strict=True):
        if length != ONE:
            program.same(length, wanted)

    def entry(index: Index) -> str:
        own = zip(index[new:], filling.shape, strict=True)
        return filling.entry(tuple("0" if n == ONE else i for i, n in own))

    program.values[out] = Value(shape, entry)


def _rest(total: str, texts: list[str], d: int) -> str:
    others = [t for k, t in enumerate(texts) if k != d and t != ONE]
    return f"{total} // ({' * '.join(others)})" if others else total


def _ravel(index: Index, shape: tuple[str, ...], program: Program) -> str:
    """Return the place of an entry in row-major order."""
    place = ""
    for i, n in zip(index, shape, strict=True):
        if n == ONE:
            continue
        place = i if not place else program.assign(f"{place} * {n} + {i}", "i")
    return place or "0"


def _unravel(place: str, shape: tuple[str, ...], program: Program) -> Index:
    """Return the index of the entry at a place in row-major order."""
    real = [d for d, n in enumerate(shape) if n != ONE]
    index = ["0"] * len(shape)
    for d in reversed(real):
        if d == real[0]:
            index[d] = place
            break
        index[d] = program.assign(f"{place} % {shape[d]}", "i")
        place = program.assign(f"{place} // {shape[d]}", "i")
    return tuple(index)
