"""Data of a weight expression: its pieces as arrays, checked, and what is known of their signs.

The keys of `WeightDesign.data` carry the signs (``log_0``, ``nonnegative_1``, ``nonpositive_2``,
``value_3``), so that the graph can be written from keys alone and stays the same for new data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.errors import DataError, MembershipRowError, SpecificationError
from pymc_mlm.weights.fold import Rows, fold
from pymc_mlm.weights.lower import Array, Lowered, Lowering, arrays
from pymc_mlm.weights.sign import Sign, sign_of_array
from pymc_mlm.weights.tree import (
    Apply,
    Column,
    Node,
    Parameter,
    is_constant,
    is_free,
    unparse,
    walk,
)

_KIND_OF_SIGN = {
    Sign.NONNEGATIVE: "nonnegative",
    Sign.NONPOSITIVE: "nonpositive",
    Sign.ANY: "value",
}
_SIGN_OF_KIND = {kind: sign for sign, kind in _KIND_OF_SIGN.items()} | {"log": Sign.NONNEGATIVE}


@dataclass(frozen=True, eq=False)
class Folded:
    """One piece of a weight, with its values.

    Attributes
    ----------
    weight : str
        The whole weight, for messages.
    piece : Node
    values : ndarray of float64, shape (row,)
    rows : Rows
    """

    weight: str
    piece: Node
    values: np.ndarray
    rows: Rows

    @property
    def sign(self) -> Sign:
        """Sign of the values."""
        return sign_of_array(self.values)

    def require(self, defined: np.ndarray, problem: str) -> None:
        """Raise an error that names the first row in which a value is not `defined`."""
        if defined.all():
            return
        row = int(np.argmin(defined))
        names = dict.fromkeys(c.name for c in walk(self.piece) if isinstance(c, Column))
        inputs = [f"{name!r} is {self.rows.columns[name][row].item():g}" for name in names]
        raise MembershipRowError(
            f"{unparse(self.piece)!r} in the weight {self.weight!r} is "
            f"{self.values[row].item():g} in membership row {row} (counted from 0, sorted by "
            f"group), where {', '.join([f'n is {self.rows.size[row]:g}', *inputs])}: {problem}. "
            "Change the weight so that it is defined there, or leave those rows out.",
            row,
        )

    def require_finite(self) -> None:
        """Refuse NaN and infinite values."""
        self.require(np.isfinite(self.values), "a weight must be a finite number")

    def require_sign(self, known: Sign) -> None:
        """Refuse values of a sign that the fitted data did not have."""
        if known & Sign.NEGATIVE == 0:
            self.require(self.values >= 0, "it was nonnegative in the fitted data")
        if known & Sign.POSITIVE == 0:
            self.require(self.values <= 0, "it was nonpositive in the fitted data")

    def as_array(self, array: Array) -> np.ndarray:
        """Return the values or their logarithm, shape (row,)."""
        if not array.is_log:
            return self.values
        if array.finite:
            self.require(
                self.values > 0, "a weight cannot divide by zero or raise it to a free power"
            )
        with np.errstate(divide="ignore"):
            return np.log(self.values)


def read_columns(columns: Mapping[str, Any], names: Iterable[str]) -> dict[str, np.ndarray]:
    """Return the named columns as float64, or refuse a row that is missing or infinite."""
    return {name: _numbers(name, columns[name]) for name in names}


def _numbers(name: str, values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise DataError(
            f"the weight column {name!r} holds {array.dtype} values; a weight needs numbers."
        )
    numbers = array.astype(np.float64)
    bad = ~np.isfinite(numbers)
    if bad.any():
        row = int(np.argmax(bad))
        raise MembershipRowError(
            f"the weight column {name!r} is {numbers[row].item()} in membership row {row} (counted "
            f"from 0, sorted by group; {int(bad.sum())} such rows); fill in the values or leave "
            "those rows out.",
            row,
        )
    return numbers


def piece_data(lowered: Lowered, folded: Sequence[Folded], signs: Sequence[Sign]) -> dict[str, Any]:
    """Return the arrays that a lowered weight reads, by key."""
    return {key(array, signs): folded[array.index].as_array(array) for array in arrays(lowered)}


def key(array: Array, signs: Sequence[Sign]) -> str:
    """Return the name of an array; it tells the sign of its piece."""
    kind = "log" if array.is_log else _KIND_OF_SIGN[signs[array.index]]
    return f"{kind}_{array.index}"


def signs_of_keys(keys: Iterable[str], num_pieces: int) -> tuple[Sign, ...]:
    """Return what the keys tell about each piece."""
    signs = [Sign.ANY] * num_pieces
    for name in keys:
        kind, _, index = name.rpartition("_")
        signs[int(index)] &= _SIGN_OF_KIND[kind]
    return tuple(signs)


def needed_signs(node: Node, folded: Sequence[Folded]) -> tuple[Sign, ...]:
    """Return the signs of pieces, less those that make no difference to the graph."""
    pieces = tuple(f.piece for f in folded)
    signs = tuple(f.sign for f in folded)
    wanted = Lowering(pieces, signs).whole(node)
    for i in range(len(pieces)):
        fewer = (*signs[:i], Sign.ANY, *signs[i + 1 :])
        if _lowers_to(wanted, node, Lowering(pieces, fewer)):
            signs = fewer
    return signs


def _lowers_to(wanted: Lowered, node: Node, lowering: Lowering) -> bool:
    try:
        return lowering.whole(node) == wanted
    except SpecificationError:
        return False


def prior_sds(tree: Node, parameters: Iterable[str], rows: Rows | None) -> dict[str, float]:
    """Return 1, or 1 / sd of what multiplies a parameter if `rows` are given."""
    prior_sd = dict.fromkeys(parameters, 1.0)
    if rows is not None:
        # Reversed: where a parameter multiplies two columns, the first in the text decides.
        for name, multiplier in reversed(_multipliers(tree)):
            prior_sd[name] = 1.0 / _sd(fold(multiplier, rows))
    return prior_sd


def _multipliers(tree: Node) -> list[tuple[str, Node]]:
    """Return each parameter that multiplies data, with the data."""
    pairs = []
    for node in walk(tree):
        match node:
            case Apply(op="*", args=(Parameter(name=name), x) | (x, Parameter(name=name))):
                if not is_free(x) and not is_constant(x):
                    pairs.append((name, x))
    return pairs


def _sd(values: np.ndarray) -> float:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return sd if np.isfinite(sd) and sd > 0 else 1.0
