"""Slices, entries and gathers, and their gradients: sums at slices and at indices."""

from __future__ import annotations

from typing import Any

from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.tensor.subtensor import (
    AdvancedIncSubtensor,
    AdvancedSubtensor,
    IncSubtensor,
    Subtensor,
    indices_from_subtensor,
)

from pymc_mlm.codegen.calls import write_call
from pymc_mlm.codegen.program import Program, broadcastable, write_op
from pymc_mlm.codegen.value import ONE, Index, Value, in_memory


@write_op.register(Subtensor)
def _(op: Any, node: Apply, program: Program) -> None:
    x, out = node.inputs[0], node.outputs[0]
    items = indices_from_subtensor(node.inputs[1:], op.idx_list)
    if not _is_simple(items):
        write_call(op, node, program)
        return
    value = program.value(x)
    is_stretch = len(value.shape) == len(items) == 1 and isinstance(items[0], slice)
    if value.array is None or not is_stretch or broadcastable(out)[0]:
        program.values[out] = _view(value, items, broadcastable(out), program)
        return
    # numba takes a slice of a contiguous vector for a contiguous vector: kernels can read it.
    name = program.fresh("v")
    ends = (items[0].start, items[0].stop)
    start, stop = (_bound(end, value.shape[0], program) or "" for end in ends)
    program.write(f"{name} = {value.array}[{start}:{stop}]")
    program.values[out] = in_memory(name, program.lengths(name, broadcastable(out)))


@write_op.register(IncSubtensor)
def _(op: Any, node: Apply, program: Program) -> None:
    x, y, *rest = node.inputs
    items = indices_from_subtensor(rest, op.idx_list)
    if not _is_simple(items):
        write_call(op, node, program)
        return
    whole = _copy(node, program)
    kept = [k for k, item in enumerate(items) if isinstance(item, slice)]
    kept += range(len(items), x.type.ndim)
    part = _view(whole, items, tuple(broadcastable(x)[d] for d in kept), program)
    _change(op, part, program.value(y), program)


@write_op.register(AdvancedSubtensor)
def _(op: Any, node: Apply, program: Program) -> None:
    x, out = node.inputs[0], node.outputs[0]
    items = indices_from_subtensor(node.inputs[1:], op.idx_list)
    if not _is_gather(items):
        write_call(op, node, program)
        return
    program.array(x)  # entries may be read many times
    program.give(out, _view(program.value(x), items, broadcastable(out), program))


@write_op.register(AdvancedIncSubtensor)
def _(op: Any, node: Apply, program: Program) -> None:
    x, y, *rest = node.inputs
    items = indices_from_subtensor(rest, op.idx_list)
    if not _is_gather(items) or getattr(op, "ignore_duplicates", False):
        write_call(op, node, program)
        return
    whole = _copy(node, program)
    single_dims = list(broadcastable(x))
    for d, item in enumerate(items):
        if not isinstance(item, slice):
            single_dims[d] = broadcastable(item)[0]
    part = _view(whole, items, tuple(single_dims), program)
    _change(op, part, program.value(y), program)


def _is_simple(items: Any) -> bool:
    """Tell whether all items are numbers or slices with a step of one."""
    return all(
        not isinstance(item, slice)
        or item.step is None
        or (isinstance(item.step, Constant) and item.step.data == 1)
        or item.step == 1
        for item in items
    )


def _is_gather(items: Any) -> bool:
    """Tell whether one item is a vector of integers and the others take everything."""
    vectors = [item for item in items if not isinstance(item, slice)]
    rest = [item for item in items if isinstance(item, slice)]
    return (
        len(vectors) == 1
        and vectors[0].type.ndim == 1
        and vectors[0].type.dtype.startswith(("int", "uint"))
        and all(item == slice(None) for item in rest)
    )


def _copy(node: Apply, program: Program) -> Value:
    """Return a copy of the first input, to be changed: a graph changes nothing in place."""
    x, out = node.inputs[0], node.outputs[0]
    program.values[out] = program.store(out, program.value(x))
    return program.values[out]


def _change(op: Any, part: Value, y: Value, program: Program) -> None:
    new = len(part.shape) - len(y.shape)
    for wanted, given in zip(part.shape[new:], y.shape, strict=True):
        if given != ONE:
            program.same(wanted, given)
    with program.loops(part.shape) as index:
        own = zip(index[new:], y.shape, strict=True)
        entry = y.entry(tuple("0" if n == ONE else i for i, n in own))
        sign = "=" if op.set_instead_of_inc else "+="
        program.write(f"{part.entry(index)} {sign} {entry}")


def _view(value: Value, items: Any, single_dims: tuple[bool, ...], program: Program) -> Value:
    """Return the entries that an index picks."""
    places: list[Any] = []  # per dimension of `value`: ("at", text), ("from", start), ("of", v)
    shape: list[str] = []
    for d, length in enumerate(value.shape):
        item = items[d] if d < len(items) else slice(None)
        if isinstance(item, slice):
            start, stop = (_bound(x, length, program) for x in (item.start, item.stop))
            start, stop = start or "0", stop or length
            count = stop if start == "0" else f"max({stop} - {start}, 0)"
            places.append(("from", start))
        elif item.type.ndim == 0:
            place = _wrapped(program.value(item).only, length, program)
            if (place, length) != ("0", ONE):
                below = "" if place.isdecimal() else f"({place} < 0) | "
                program.fail_if(f"{below}({place} >= {length})")
            places.append(("at", place))
            continue
        else:
            program.inside(item, length)
            vector = program.value(item)
            places.append(("of", vector))
            count = vector.shape[0]
        count = count if count == ONE else program.assign(count, "n")
        if single_dims[len(shape)]:
            program.same(count, ONE)
        shape.append(ONE if single_dims[len(shape)] else count)

    def entry(index: Index) -> str:
        at, dims = [], iter(index)
        for (kind, what), length in zip(places, value.shape, strict=True):
            if kind == "at":
                at.append(what)
            elif kind == "from":
                i = next(dims)
                at.append(i if what == "0" else what if i == "0" else f"{what} + {i}")
            else:
                i = next(dims)
                place = what.entry(("0" if what.shape[0] == ONE else i,))
                at.append(_wrapped(program.assign(place, "i"), length, program))
        return value.entry(tuple(at))

    return Value(tuple(shape), entry)


def _bound(bound: Any, length: str, program: Program) -> str | None:
    """Return the text of a slice's end, as Python understands it; None if it is left out."""
    if bound is None or (isinstance(bound, Constant) and bound.data is None):
        return None
    text = program.value(bound).only if isinstance(bound, Variable) else str(int(bound))
    if text.isdecimal():
        return "0" if text == "0" else program.assign(f"min({text}, {length})", "n")
    name = program.assign(text, "n")
    return program.assign(
        f"min({name}, {length}) if {name} >= 0 else max({name} + {length}, 0)", "n"
    )


def _wrapped(text: str, length: str, program: Program) -> str:
    """Return an index that counts from the start."""
    if text.isdecimal():
        return text
    name = program.assign(text, "i")
    return program.assign(f"{name} if {name} >= 0 else {name} + {length}", "i")
