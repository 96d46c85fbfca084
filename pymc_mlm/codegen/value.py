"""What a variable is while a program is written: lengths, and how to read one entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ONE = "1"
Index = tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Value:
    """Text for the entries of a variable.

    Attributes
    ----------
    shape : tuple of str
        Text of each length; ``"1"`` where the variable broadcasts, and nowhere else.
    entry : callable
        From the text of one index per dimension to the text of the entry: a name, a literal or
        a read from memory, so that it may be repeated. May write statements first.
    array : str, optional
        Name of the contiguous array that holds these entries in this order, if there is one.
    """

    shape: tuple[str, ...]
    entry: Callable[[Index], str]
    array: str | None = None

    @property
    def is_single(self) -> bool:
        """Tell whether there is one entry only."""
        return all(length == ONE for length in self.shape)

    @property
    def only(self) -> str:
        """Text of the one entry."""
        return self.entry(("0",) * len(self.shape))


def single(text: str, ndim: int = 0) -> Value:
    """Return a value with one entry."""
    return Value((ONE,) * ndim, lambda index: text)


def in_memory(name: str, shape: tuple[str, ...]) -> Value:
    """Return the value of an array."""

    def entry(index: Index) -> str:
        return f"{name}[{', '.join(index) or '()'}]"

    return Value(shape, entry, name)
