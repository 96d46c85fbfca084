"""Functions that formulas may call: a closed list, with what each argument may be.

`check_expression` refuses everything else. `options` returns the checked arguments of a function
whose value in a row depends on other rows, or that has several columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pymc_mlm.data.formula_tree import (
    COMPARISONS,
    Binary,
    Call,
    Column,
    Node,
    Number,
    Sequence,
    Text,
    Unary,
    column_names,
    depth,
    label,
    walk,
)
from pymc_mlm.errors import SpecificationError

MAX_COLUMNS = 100  # of one function
MAX_DEGREE = 20
MAX_OPERATORS = 100  # inside one another

# Of a number; `{}` and `I` leave it as it is.
ELEMENTWISE = ("I", "{}", "abs", "exp", "log", "log10", "log1p", "log2", "sqrt")
CENTERING = ("center", "scale", "standardize")
SPLINES = ("bs", "cc", "cr", "cs")
CATEGORIES = "C"
FUNCTIONS = ("C", "I", "abs", "bs", "cc", "center", "cr", "cs", "exp", "log", "log10", "log1p",
             "log2", "poly", "scale", "sqrt", "standardize")  # fmt: skip
_TRUTH = {"True": True, "TRUE": True, "False": False, "FALSE": False}


@dataclass(frozen=True)
class Argument:
    """What an argument may be: `read` returns its value, or None where it may not be that."""

    rule: str
    read: Callable[[Any], Any]


def _whole(low: int, high: int) -> Argument:
    def read(value: Any) -> int | None:
        fits = isinstance(value, float) and value.is_integer() and low <= value <= high
        return int(value) if fits else None

    return Argument(f"a whole number from {low} to {high}", read)


def _word(*words: str) -> Argument:
    listed = " or ".join(repr(word) for word in words)
    return Argument(listed, lambda value: value if value in words else None)


def _knots(values: Any) -> tuple[float, ...] | None:
    fits = isinstance(values, tuple) and 0 < len(values) <= MAX_COLUMNS
    if not fits or not all(isinstance(v, float) for v in values):
        return None
    return tuple(sorted(values))


_BOOL = Argument("True or False", lambda value: value if isinstance(value, bool) else None)
_REAL = Argument("a number", lambda value: value if isinstance(value, float) else None)
_KNOTS = Argument(f"a list of 1 to {MAX_COLUMNS} numbers", _knots)
_LEVELS = Argument(
    "a list of categories", lambda value: value if isinstance(value, tuple) and value else None
)
_LEVEL = Argument(
    "a category, or Treatment(category)",
    lambda value: value if isinstance(value, str | float | bool) else None,
)
_BEYOND = _word("raise", "clip", "zero", "extend")
_CUBIC = {
    "df": _whole(1, MAX_COLUMNS),
    "knots": _KNOTS,
    "lower_bound": _REAL,
    "upper_bound": _REAL,
    "constraints": _word("center"),
    "extrapolation": _BEYOND,
}
# In the order in which arguments may be given without a name, after the column.
ARGUMENTS: Mapping[str, Mapping[str, Argument]] = {
    "C": {"reference": _LEVEL, "levels": _LEVELS},
    "bs": {
        "df": _whole(1, MAX_COLUMNS),
        "knots": _KNOTS,
        "degree": _whole(0, MAX_DEGREE),
        "include_intercept": _BOOL,
        "lower_bound": _REAL,
        "upper_bound": _REAL,
        "extrapolation": _BEYOND,
    },
    "cc": _CUBIC,
    "cr": _CUBIC,
    "cs": _CUBIC,
    "poly": {"degree": _whole(1, MAX_DEGREE), "raw": _BOOL},
    "scale": {"center": _BOOL, "scale": _BOOL, "ddof": _whole(0, 1)},
    "standardize": {"center": _BOOL, "rescale": _BOOL, "ddof": _whole(0, 1)},
}


def check_factor(node: Node) -> None:
    """Refuse what may not be a factor of a term.

    Raises
    ------
    SpecificationError
        It calls something that formulas may not call, or with arguments that it does not have.
    """
    if isinstance(node, Call) and node.function in (*SPLINES, "poly", CATEGORIES):
        options(node)
        if node.function == CATEGORIES:
            _check_is_column(node)
        else:
            check_expression(node.args[0], node)
        return
    if not isinstance(node, Column):
        check_expression(node)


def check_expression(node: Node, whole: Node | None = None) -> None:
    """Refuse all but arithmetic and listed functions of columns.

    Parameters
    ----------
    node : Node
        Arithmetic with one value a row.
    whole : Node, optional
        What it is a part of, for messages.

    Raises
    ------
    SpecificationError
        It contains something else, or no column at all.
    """
    whole = node if whole is None else whole
    if depth(node) > MAX_OPERATORS:
        raise SpecificationError(
            f"A term has more than {MAX_OPERATORS} operators inside one another; compute it as a "
            "column of the table first."
        )
    for part in walk(node):
        if isinstance(part, Call):
            _check_call(part, whole)
    if not column_names(node):
        raise SpecificationError(f"{label(whole)!r} in the formula names no column.")
    _check_arithmetic(node, whole)


def _check_arithmetic(node: Node, whole: Node) -> None:
    match node:
        case Column() | Number():
            return
        case Call(args=args):
            _check_arithmetic(args[0], whole)
        case Unary(operand=x):
            _check_arithmetic(x, whole)
        case Binary(op="==" | "!=", left=left, right=right) if _compares_category(left, right):
            return
        case Binary(op=op, left=left, right=right) if op != ":":
            _check_arithmetic(left, whole)
            _check_arithmetic(right, whole)
        case _:
            what = "':'" if isinstance(node, Binary) else f"{label(node)}"
            raise SpecificationError(
                f"{label(whole)!r} in the formula contains {what}, which arithmetic does not have. "
                "Compute it as a column of the table first."
            )


def _compares_category(left: Node, right: Node) -> bool:
    return {type(left), type(right)} == {Column, Text}


def _check_call(call: Call, whole: Node) -> None:
    if call.function not in (*ELEMENTWISE, *CENTERING):
        if call.function in FUNCTIONS:
            raise SpecificationError(
                f"{call.function}() in {label(whole)!r} has several columns, so it is a term of "
                "its own and cannot stand inside another function, arithmetic or the outcome."
            )
        raise unknown_function(call, whole)
    if call.function in ELEMENTWISE and (len(call.args) != 1 or call.keywords):
        raise SpecificationError(
            f"{call.function}() in {label(whole)!r} takes one argument, such as {call.function}(x)."
        )
    if call.function in CENTERING:
        options(call)


def unknown_function(call: Call, whole: Node) -> SpecificationError:
    """Say that a function is not one of the list."""
    return SpecificationError(
        f"{call.function!r} in the formula term {label(whole)[:200]!r} is not a known function. "
        f"Formulas may call: {', '.join(FUNCTIONS)}; Surv(time, event) on the left, fix(column, "
        "value) and offset(column) as terms; mm(...) and hm(...) are arguments after the formula. "
        "Compute anything else as a column first."
    )


def _check_is_column(call: Call) -> None:
    if not isinstance(call.args[0], Column):
        raise SpecificationError(
            f"{label(call)!r}: C() makes categories of a column, not of {label(call.args[0])!r}. "
            "Compute that as a column of the table first."
        )


def options(call: Call) -> dict[str, Any]:
    """Return the arguments of a call after the first, by name, checked and as plain values.

    Raises
    ------
    SpecificationError
        An argument is not one of the function's, is given twice, or has a value that it may not
        have.

    Examples
    --------
    >>> options(Call("poly", (Column("x"), Number(2.0)), (("raw", Column("True")),)))
    {'degree': 2, 'raw': True}
    """
    known = ARGUMENTS.get(call.function, {})
    signature = f"{call.function}({', '.join(['column', *(f'{name}=' for name in known)])})"
    if not 1 <= len(call.args) <= 1 + len(known):
        raise SpecificationError(f"{label(call)!r} is not understood: write {signature}.")
    given = [*zip(known, call.args[1:], strict=False), *call.keywords]
    found: dict[str, Any] = {}
    for name, node in given:
        if name not in known or name in found:
            what = "twice the argument" if name in found else "the unknown argument"
            raise SpecificationError(f"{label(call)!r} has {what} {name!r}: write {signature}.")
        found[name] = _value(call, name, node, known[name])
    _check_together(call, found)
    return found


def _value(call: Call, name: str, node: Node, argument: Argument) -> Any:
    if argument is _LEVEL and isinstance(node, Call) and node.function.rpartition(".")[2] in (
        "Treatment", "treatment",
    ):  # fmt: skip
        inner = [*node.args, *(v for k, v in node.keywords if k in ("reference", "base"))]
        node = inner[0] if len(inner) == 1 else node
    value = argument.read(_literal(node))
    if value is None:
        raise SpecificationError(
            f"{label(call)[:200]!r}: {name} is {label(node)[:60]}, but must be {argument.rule}."
        )
    return value


def _literal(node: Node) -> Any:
    match node:
        case Number(value=value):
            return value
        case Text(value=text):
            return text
        case Unary(op=sign, operand=Number(value=value)):
            return -value if sign == "-" else value
        case Column(name=name) if name in _TRUTH:
            return _TRUTH[name]
        case Sequence(items=items):
            values = tuple(_literal(item) for item in items)
            return None if None in values else values
    return None


def _check_together(call: Call, found: Mapping[str, Any]) -> None:
    if call.function not in SPLINES:
        return
    wrong = None
    if ("df" in found) == ("knots" in found) and (call.function != "bs" or "df" in found):
        wrong = "give df or knots, one of them"
    low = found.get("degree", 3) + found.get("include_intercept", False)
    if call.function == "bs" and found.get("df", low) < low:
        wrong = f"df must be at least {low}, the degree and the intercept"
    if call.function in ("cr", "cs") and "constraints" not in found and found.get("df", 2) < 2:
        wrong = "df must be at least 2"
    if wrong:
        raise SpecificationError(f"{label(call)!r} is not understood: {wrong}.")


def width(call: Call) -> int:
    """Return the number of columns of a spline or polynomial."""
    found = options(call)
    if call.function == "poly":
        return int(found.get("degree", 1))
    if "df" in found:
        return int(found["df"])
    inner = len(found.get("knots", ()))
    degree = found.get("degree", 3) if call.function == "bs" else 2
    return int(inner + degree + found.get("include_intercept", False))


def is_rowwise(node: Node) -> bool:
    """Tell whether a value depends on its row alone, and not on a mean or on knots."""
    called = {part.function for part in walk(node) if isinstance(part, Call)}
    return called <= {*ELEMENTWISE, CATEGORIES}


def is_comparison(node: Node) -> bool:
    """Tell whether a node is a comparison."""
    return isinstance(node, Binary) and node.op in COMPARISONS
