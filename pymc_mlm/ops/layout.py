"""Lengths that must agree, and entries that are places: what holds of the inputs of an Op.

A compiled kernel reads wherever an index points. Every Op therefore states the layout of its inputs
in one line of text, and each form of it (NumPy, numba, JAX) refuses inputs of another layout before
it runs::

    w[rows], v[members], member[rows] < members, group[rows] < ends - 1, indptr[ends]
    ends > 0

Inputs are given in order with their lengths. The first input that has a name as a length defines
that number, expressions of such numbers are tested. After ``<`` stands what the entries of an index
stay below; they are never negative. A question mark allows an input without entries, and an index
that is then not read. Conditions follow after a semicolon and may call helpers.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np

_INPUT = re.compile(r"(\w+)(?:\[([^\]]*)\])?(?:\s*<\s*(.+))?")
_WORD = re.compile(r"[A-Za-z_]\w*")
_SEPARATOR = re.compile(r",(?![^\[]*\])")


@dataclass(frozen=True)
class Requirements:
    """What holds of inputs of a layout, as text for numba.

    Attributes
    ----------
    equal : list of (str, str)
        Lengths that are the same.
    misfits, outside, unmet : list of str
        Conditions of which none holds: of optional lengths, of places, and the layout's own.
    """

    equal: list[tuple[str, str]]
    misfits: list[str]
    outside: list[str]
    unmet: list[str]


@dataclass(frozen=True)
class Layout:
    """Lengths and places of the inputs of an Op.

    Parameters
    ----------
    text : str
        The layout, as described in this module.
    helpers : mapping of str to callable
        Functions that conditions call, in terms that numba compiles.

    Examples
    --------
    >>> layout = Layout("x[rows], unit[rows] < units, effect[units]")
    >>> layout.check("example", [np.ones(2), np.array([0, 3]), np.ones(3)])
    Traceback (most recent call last):
    IndexError: example: unit has entries from 0 to 3; they must be 0 to 2.
    """

    text: str
    helpers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of the inputs, in order."""
        return [name for name, _, _ in inputs_of(self.text)]

    @property
    def conditions(self) -> list[str]:
        """What has to be true beside lengths and ranges."""
        return [*conditions_of(self.text)[0], *conditions_of(self.text)[1]]

    def check(self, what: object, inputs: Sequence[Any]) -> None:
        """Refuse arrays of another layout; `what` is written where they are refused.

        Raises
        ------
        ValueError
            Two lengths do not fit each other.
        IndexError
            An index points outside of what it points into.
        """
        lengths = self.check_lengths(what, inputs)
        known: dict[str, Any] = {}
        for index, (name, _, bound) in zip(inputs, inputs_of(self.text), strict=True):
            known[name] = index
            if bound is None:
                continue
            stop = _value(bound.rstrip("?"), lengths)
            is_unread = bound.endswith("?") and stop == 0
            if index.size and not is_unread and (index.min() < 0 or index.max() >= stop):
                raise IndexError(
                    f"{what}: {name} has entries from {index.min()} to {index.max()}; they must "
                    f"be 0 to {stop - 1}."
                )
        for condition in conditions_of(self.text)[1]:
            if not _value(condition, {**self.helpers, **known, **lengths}):
                raise ValueError(f"{what}: the inputs do not fulfil {condition}.")

    def check_lengths(self, what: object, inputs: Sequence[Any]) -> Mapping[str, int]:
        """Refuse shapes that do not fit; return lengths by name."""
        try:
            return lengths_of(self.text, tuple([np.shape(x) for x in inputs]))
        except ValueError as error:
            raise ValueError(f"{what}: {error}") from None

    def is_inside(self, what: str, inputs: Sequence[Any], xp: Any) -> Any:
        """Refuse shapes that do not fit; return whether all indices are inside, in JAX."""
        lengths = self.check_lengths(what, inputs)
        known = dict(zip(self.names, inputs, strict=True))
        inside = xp.asarray(True)
        for name, bound in self._places():
            stop = _value(bound.rstrip("?"), lengths)
            if stop or not bound.endswith("?"):
                inside &= ((known[name] >= 0) & (known[name] < stop)).all()
        return inside

    def numba_source(self, what: str) -> str:
        """Return the text of ``checked``, which tests its inputs and calls ``kernel``."""
        lengths = [
            [f"{name}.shape[{d}]" for d in range(len(own))] for name, own, _ in inputs_of(self.text)
        ]
        needed = self.requirements(self.names, lengths, lambda name: name)
        differ = [f"{one} != {other}" for one, other in needed.equal]
        sides = self.text.split(";")[0]
        rules = (
            (differ + needed.misfits, "ValueError", f"lengths do not fit {sides}"),
            (needed.outside, "IndexError", "an index is outside of what it points into"),
            (needed.unmet, "ValueError", "the inputs do not fit"),
        )
        lines = []
        for conditions, error, text in rules:
            if conditions:
                lines.append(f"if {' or '.join(f'({condition})' for condition in conditions)}:")
                lines.append(f"    raise {error}({f'{what}: {text}'!r})")
        arguments = ", ".join(self.names)
        body = "".join(f"    {line}\n" for line in [*lines, f"return kernel({arguments})"])
        return f"def checked({arguments}):\n{body}"

    def requirements(
        self,
        arrays: Sequence[str],
        lengths: Sequence[Sequence[str]],
        helper: Callable[[str], str],
    ) -> Requirements:
        """Return what holds of inputs of the layout, as text for numba.

        Parameters
        ----------
        arrays : sequence of str
            Name of each input's array.
        lengths : sequence of sequence of str
            Its lengths, as text.
        helper : callable
            Gives the name under which a function is called, from its name here.
        """
        texts = dict(zip(self.names, arrays, strict=True))
        shapes = dict(zip(self.names, lengths, strict=True))

        def written(text: str) -> str:
            def name(m: re.Match[str]) -> str:
                if m[0] in ("or", "and", "not"):
                    return m[0]
                return texts[m[0]] if m[0] in texts else helper(m[0])

            return _WORD.sub(name, text)

        equal, misfits, outside = [], [], []
        for name, d, length in self._axes():
            own = shapes[name][d]
            if length.isidentifier() and length not in texts:
                texts[length] = own
                continue
            wanted = written(length.rstrip("?"))
            if length.endswith("?"):
                misfits.append(f"({own} != 0) & ({own} != {wanted})")
            else:
                equal.append((own, wanted if wanted.isidentifier() else f"({wanted})"))
        for name, bound in self._places():
            stop = written(bound.rstrip("?"))
            test = f"{helper('is_outside')}({texts[name]}, {stop})"
            outside.append(f"({stop} > 0) & {test}" if bound.endswith("?") else test)
        unmet = [f"not ({written(condition)})" for condition in self.conditions]
        return Requirements(equal, misfits, outside, unmet)

    def _axes(self) -> tuple[tuple[str, int, str], ...]:
        return axes_of(self.text)

    def _places(self) -> list[tuple[str, str]]:
        return [(name, bound) for name, _, bound in inputs_of(self.text) if bound]


# NumPy runs an Op for each of thousands of draws, so a text is read once.
@cache
def inputs_of(text: str) -> tuple[tuple[str, tuple[str, ...], str | None], ...]:
    """Return name, lengths and bound of each input of a layout."""
    parts = _SEPARATOR.split(text.split(";")[0])
    found = [_INPUT.fullmatch(part.strip()) for part in parts]
    if None in found:
        raise ValueError(f"{text!r} is no layout")
    return tuple(
        (m[1], tuple(x.strip() for x in m[2].split(",")) if m[2] else (), m[3]) for m in found if m
    )


@cache
def axes_of(text: str) -> tuple[tuple[str, int, str], ...]:
    """Input, dimension and length; definitions first."""
    axes = [(n, d, x) for n, lengths, _ in inputs_of(text) for d, x in enumerate(lengths)]
    return tuple(sorted(axes, key=lambda axis: not axis[2].isidentifier()))


@cache
def conditions_of(text: str) -> tuple[list[str], list[str]]:
    """Return the conditions of a layout: of lengths alone, and those that call helpers."""
    stated = [part.strip() for part in text.split(";")[1:]]
    calls = [any(isinstance(x, ast.Call) for x in ast.walk(tree_of(part))) for part in stated]
    of_lengths = [part for part, call in zip(stated, calls, strict=True) if not call]
    return of_lengths, [part for part, call in zip(stated, calls, strict=True) if call]


# The draws of a fit have one shape, so that their lengths are compared once.
@lru_cache(256)
def lengths_of(text: str, shapes: tuple[tuple[int, ...], ...]) -> Mapping[str, int]:
    """Return the lengths of a layout by name; refuse shapes that do not fit."""
    given = dict(zip([name for name, _, _ in inputs_of(text)], shapes, strict=True))
    known: dict[str, int] = {}
    for name, d, length in axes_of(text):
        found = given[name][d]
        if length.isidentifier():
            known.setdefault(length, found)
        wanted = _value(length.rstrip("?"), known)
        if found != wanted and not (length.endswith("?") and found == 0):
            raise ValueError(
                f"{name} has the length {found} (axis {d}) where {wanted} is needed. "
                f"Lengths are {text.split(';')[0]}."
            )
    for condition in conditions_of(text)[0]:
        if not _value(condition, known):
            raise ValueError(f"the inputs do not fulfil {condition}.")
    return MappingProxyType(known)


@cache
def tree_of(text: str) -> ast.expr:
    """Return the expression of a length or a condition, parsed."""
    return ast.parse(text, mode="eval").body


_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.Eq: operator.eq,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def _value(text: str, known: Mapping[str, Any]) -> Any:
    """Return the value of a length or a condition."""

    def of(node: Any) -> Any:
        match node:
            case ast.Constant():
                return node.value
            case ast.Name():
                return known[node.id]
            case ast.BinOp():
                return _OPERATORS[type(node.op)](of(node.left), of(node.right))
            case ast.Compare():
                return _OPERATORS[type(node.ops[0])](of(node.left), of(node.comparators[0]))
            case ast.BoolOp(op=ast.Or()):
                return any(of(x) for x in node.values)
            case ast.Call():
                return of(node.func)(*map(of, node.args))
        raise ValueError(f"{text!r} is no length and no condition")

    return known[text] if text in known else of(tree_of(text))


def is_outside(index: Any, stop: Any) -> Any:
    """Tell whether a vector has entries that are not in ``0 .. stop - 1``; for numba."""
    wrong: Any = 0
    for k in range(index.shape[0]):
        # Without a branch, so that the loop is vectorised. Negative ones are large unsigned ones.
        wrong |= np.uint64(index[k]) >= np.uint64(stop)
    return wrong != 0


def is_nested(parent: Any, sizes: Any, leaves: Any) -> Any:
    """Tell whether units of each level have parents of the level before; for numba."""
    start, before, last = 0, 0, 0
    for level in range(sizes.shape[0]):
        last = sizes[level]
        if last < 0 or start + last > parent.shape[0]:
            return False
        if level > 0:
            for g in range(start, start + last):
                if parent[g] < before or parent[g] >= start:
                    return False
        before = start
        start += last
    return start == parent.shape[0] and last == leaves
