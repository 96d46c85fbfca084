"""The program that is being written, and what every family of Ops does with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import singledispatch
from math import isinf, isnan
from typing import Any

import numpy as np
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.scalar.basic import ScalarType
from pytensor.tensor.basic import Join
from pytensor.tensor.elemwise import CAReduce, DimShuffle, Elemwise
from pytensor.tensor.shape import Reshape, SpecifyShape
from pytensor.tensor.type import TensorType

from pymc_mlm.codegen.value import ONE, Value, in_memory, single

# What the function returns where PyTensor would raise an error: lengths that do not fit, an index
# outside. The graph, run by NumPy, then tells what is wrong.
FAULT = -1
# What `assign` makes: a number, computed without side effects.
_NUMBER = re.compile(r"[nti]\d+")
_NAME = re.compile(r"[A-Za-z_]\w*")
_ENTRY = re.compile(r"(\w+)\[\d+\]")
_WORDS = {"and", "or", "not"}
# Where an assignment may read an entry of an array; a length is not one.
_READS = re.compile(r"(?<!\.shape)\[")


class Program:
    """Lines of a function, the functions it calls and the arrays it reads.

    Parameters
    ----------
    fgraph : FunctionGraph
        The graph to write; its inputs are given values by the caller.
    indent : str
        Indentation of the first line.
    fault : str
        Statement that ends the function where lengths do not fit or an index is outside.

    Attributes
    ----------
    values : dict of Variable to Value
        What has been written so far.
    functions : dict of str to callable
        Numba functions that the lines call, by name.
    keys : dict of str to str or None
        Their keys in the disk cache; None for one that cannot be cached.
    constants : dict of str to ndarray
        Constant arrays that the lines read, by name: data, so that they stay out of the code.
    targets : dict of Variable to str
        Arrays that exist already and that outputs are to be written to.
    known : set of str
        Names that have their values before the first line, such as lengths of inputs.
    """

    def __init__(self, fgraph: Any, indent: str = "    ", fault: str = f"return {FAULT}") -> None:
        self.fgraph = fgraph
        self.fault = fault
        self.indent = indent
        self.lines: list[str] = []
        self.values: dict[Variable, Value] = {}
        self.functions: dict[str, Callable[..., Any]] = {}
        self.keys: dict[str, str | None] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.targets: dict[Variable, str] = {}
        self.known: set[str] = set()
        self._count = 0
        self._first = indent
        self._lengths: list[str] = []
        self._entries: dict[str, str] = {}
        self._early: list[str] = []
        self._early_of_entries: list[str] = []
        self._tested: set[str] = set()
        self._faults: list[str] = []
        self._same: dict[str, str] = {}
        self._inside: set[tuple[str, str]] = set()

    def fresh(self, prefix: str) -> str:
        """Return a name that nothing else has."""
        self._count += 1
        return f"{prefix}{self._count}"

    def write(self, line: str) -> None:
        """Write a line at the present depth, after the tests that it must not run without."""
        if not _is_harmless(line):
            self.write_tests()
        self.lines.append(self.indent + line)

    def assign(self, text: str, prefix: str = "t") -> str:
        """Write an assignment to a new name and return the name; names stay as they are."""
        if text.isidentifier():
            return text
        name = self.fresh(prefix)
        entry = _ENTRY.fullmatch(text)
        if entry and prefix == "n" and entry[1] in self.known and self.indent == self._first:
            self._entries[name] = f"{self._first}{name} = {text}"
            self.known.add(name)
        else:
            self.write(f"{name} = {text}")
        return name

    @contextmanager
    def loops(self, shape: Sequence[str]) -> Iterator[tuple[str, ...]]:
        """Write nested loops and give the text of an index per dimension."""
        before, index = self.indent, []
        for length in shape:
            if length == ONE:
                index.append("0")
                continue
            name = self.fresh("i")
            self.write(f"for {name} in range({length}):")
            self.indent += "    "
            index.append(name)
        yield tuple(index)
        self.indent = before

    def value(self, variable: Variable) -> Value:
        """Return the value of a variable; constants get one when they are first read."""
        if variable not in self.values:
            if not isinstance(variable, Constant):
                raise KeyError(f"{variable!r} has not been written yet")
            self.values[variable] = self._constant(variable)
        return self.values[variable]

    def _constant(self, variable: Constant) -> Value:
        data = np.asarray(variable.data)
        if data.size == 1:
            return single(literal(data.ravel()[0]), data.ndim)
        name = f"c{len(self.constants)}"
        self.constants[name] = np.ascontiguousarray(data)
        return self.given(name, variable.type.broadcastable)

    def given(self, array: str, broadcastable: Sequence[bool]) -> Value:
        """Return the value of an array that is there at the start: an input or a constant."""
        shape = tuple(ONE if is_one else self.fresh("n") for is_one in broadcastable)
        self._lengths += [
            f"{self._first}{length} = {array}.shape[{d}]"
            for d, length in enumerate(shape)
            if length != ONE
        ]
        self.known.update(shape, [array])
        return in_memory(array, shape)

    def lengths(self, array: str, broadcastable: Sequence[bool]) -> tuple[str, ...]:
        """Return names for the lengths of an array."""
        return tuple(
            ONE if b else self.assign(f"{array}.shape[{d}]", "n")
            for d, b in enumerate(broadcastable)
        )

    def fail_if(self, condition: str) -> None:
        """End the function with a fault where a condition holds, before memory is touched."""
        names = set(_NAME.findall(condition)) - _WORDS
        if self.indent != self._first:
            self._faults.append(condition)
            return
        if condition in self._tested:
            return
        self._tested.add(condition)
        if not names <= self.known:
            self._faults.append(condition)
        elif names & self._entries.keys():
            self._early_of_entries.append(condition)
        else:
            self._early.append(condition)

    def write_tests(self) -> None:
        """Write the tests that are due as one.

        numba frees every array at every place where a function ends, so that ten exits cost more
        than a second of compilation. What is known at the start is tested there, before there are
        arrays. ``|`` has no branches, ``or`` has one for each condition.
        """
        self.lines += self._test(self._faults)
        self._faults = []

    def start(self) -> list[str]:
        """Return what belongs before all lines: lengths of given arrays, and tests of them."""
        return [
            *self._lengths,
            *self._test(self._early),
            *self._entries.values(),
            *self._test(self._early_of_entries),
        ]

    def _test(self, conditions: Sequence[str]) -> list[str]:
        if not conditions:
            return []
        due = " | ".join(f"({condition})" for condition in conditions)
        return [f"{self.indent}if {due}:", f"{self.indent}    {self.fault}"]

    def same(self, one: str, other: str) -> None:
        """Write a test that two lengths agree, once."""
        one, other = self.representative(one), self.representative(other)
        if one == other:
            return
        self.fail_if(f"{one} != {other}")
        # A number stands for a name, not the other way round.
        one, other = sorted((one, other), key=lambda text: not text.isdecimal())
        self._same[other] = one

    def inside(self, index: Variable, length: str) -> None:
        """Write a test that all entries of an index count from one end of a length, once."""
        array, length = self.array(index), self.representative(length)
        if (array, length) in self._inside:
            return
        self._inside.add((array, length))
        wrong = self.fresh("w")
        self.write(f"{wrong} = False")
        with self.loops(self.values[index].shape) as at:
            entry = f"{array}[{', '.join(at)}]"
            # Without a branch, so that the loop is vectorised.
            self.write(f"{wrong} |= ({entry} < -{length}) | ({entry} >= {length})")
        self.fail_if(wrong)

    def representative(self, length: str) -> str:
        """Return the one name of all lengths that were tested to be the same."""
        while length in self._same:
            length = self._same[length]
        return length

    def call(self, function: Callable[..., Any], key: str | None, prefix: str) -> str:
        """Return the name under which the program may call a numba function."""
        for name, known in self.functions.items():
            if known is function or (key is not None and self.keys[name] == key):
                return name
        name = f"{prefix}_{len(self.functions)}"
        self.functions[name], self.keys[name] = function, key
        return name

    def helper(self, function: Callable[..., Any], name: str, key: str | None) -> str:
        """Return the name of a numba function that tests what is given at the start."""
        key = None if key is None else f"{key} {name}"
        for known in self.functions:
            if known.startswith(f"{name}_"):
                return known
        called = self.call(function, key, name)
        self.known.add(called)
        return called

    def allocate(self, variable: Variable, shape: Sequence[str]) -> str:
        """Write the allocation of an array, unless it exists already, and return its name."""
        if variable in self.targets:
            name = self.targets[variable]
            for d, length in enumerate(shape):
                self.same(length, f"{name}.shape[{d}]")
            return name
        name = self.fresh("a")
        self.write(f"{name} = np.empty(({''.join(n + ', ' for n in shape)}), {dtype_of(variable)})")
        return name

    def store(self, variable: Variable, value: Value) -> Value:
        """Write all entries of a value to memory."""
        name = self.allocate(variable, value.shape)
        with self.loops(value.shape) as index:
            entry = value.entry(index)
            self.write(f"{name}[{', '.join(index) or '()'}] = {entry}")
        return in_memory(name, value.shape)

    def array(self, variable: Variable) -> str:
        """Return the name of a contiguous array with a variable's entries."""
        value = self.value(variable)
        if value.array is None:
            value = self.values[variable] = self.store(variable, value)
        assert value.array is not None
        return value.array

    def give(self, variable: Variable, value: Value) -> None:
        """Set the value of a result: at once if single, when it is read if that is soon enough."""
        if value.is_single:
            if value.array is None:
                value = single(self.assign(value.only), len(value.shape))
        elif not self.is_read_in_place(variable):
            value = self.store(variable, value)
        self.values[variable] = value

    def pruned(self, *read_later: str) -> list[str]:
        """Return the lines without numbers that nothing reads, such as lengths of most arrays."""
        self.write_tests()
        read, kept = set(read_later), []
        for line in reversed(self.start() + self.lines):
            name, is_assignment, text = line.strip().partition(" = ")
            if is_assignment and _NUMBER.fullmatch(name) and name not in read:
                continue
            kept.append(line)
            read.update(_NAME.findall(text if is_assignment and name.isidentifier() else line))
        return kept[::-1]

    def is_read_in_place(self, variable: Variable) -> bool:
        """Tell whether one loop reads each entry once, so that it can compute the entry itself."""
        clients = self.fgraph.clients.get(variable, [])
        if len(clients) != 1 or variable in self.targets:
            return False
        node = clients[0][0]
        if not isinstance(node, Apply) or not node.outputs:
            return False
        if isinstance(node.op, CAReduce | Join):
            return True
        if isinstance(node.op, DimShuffle | Reshape | SpecifyShape):
            return self.is_read_in_place(node.outputs[0])
        if isinstance(node.op, Elemwise):
            return node.outputs[0].type.broadcastable == variable.type.broadcastable
        return False


@singledispatch
def write_op(op: Any, node: Apply, program: Program) -> None:
    """Write one node: set the values of its outputs."""
    raise NotImplementedError(f"{op} has no loops")


def write_graph(program: Program) -> None:
    """Write all nodes of a program's graph, in order."""
    for node in program.fgraph.toposort():
        write_op(node.op, node, program)
    program.write_tests()


def _is_harmless(line: str) -> bool:
    """Tell whether a line only computes a number from numbers and lengths."""
    name, _, text = line.partition(" = ")
    return _NUMBER.fullmatch(name) is not None and _READS.search(text) is None


def literal(number: Any) -> str:
    """Return the text of a number."""
    if isinstance(number, bool | np.bool_):
        return str(bool(number))
    if isinstance(number, int | np.integer):
        return str(int(number))
    number = float(number)
    if isnan(number):
        return "nan"
    if isinf(number):
        return "inf" if number > 0 else "(-inf)"
    return repr(number) if number >= 0 else f"({number!r})"


def dtype_of(variable: Variable) -> str:
    """Return the text of a variable's dtype."""
    return f"np.{np.dtype(variable.type.dtype).name.replace('bool', 'bool_')}"


def is_scalar(variable: Variable) -> bool:
    """Tell whether a variable is a number and not an array."""
    return isinstance(variable.type, ScalarType)


def broadcastable(variable: Variable) -> tuple[bool, ...]:
    """Return which dimensions of a variable have the length one by type."""
    return variable.type.broadcastable if isinstance(variable.type, TensorType) else ()
