"""Which rows are left out together: each row alone, or all rows of a unit of a term."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit

ROW = "row"


@dataclass(frozen=True, eq=False)
class Blocks:
    """Rows that are left out together, sorted by block.

    Attributes
    ----------
    name : str
        What a block is: "row", the unit of observation, or a term.
    labels : ndarray, shape (block,)
    rows : ndarray of int, shape (entry,)
        Rows of the blocks, one block after the other.
    indptr : ndarray of int, shape (block + 1,)
        First entry of each block.
    part : LinearPart or None
        How the effects of the units enter; None for rows.
    places : ndarray of int, shape (entry of part,)
        Entry of the blocks that each entry of `part` belongs to.
    """

    name: str
    labels: np.ndarray
    rows: np.ndarray
    indptr: np.ndarray
    part: Any = None
    places: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def by_size(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the blocks of each size and their rows, shape (block,) and (block, size)."""
        sizes = np.diff(self.indptr)
        for size in np.unique(sizes):
            which = np.flatnonzero(sizes == size)
            yield which, self.rows[self.indptr[which][:, None] + np.arange(size)]

    @property
    def unit(self) -> np.ndarray:
        """Block of each entry, shape (entry,)."""
        return np.repeat(np.arange(len(self.labels)), np.diff(self.indptr))

    def written_out(self, counts: np.ndarray) -> Blocks:
        """Return the blocks of a table with each row as often as it counts, shape (row,).

        Single rows are left out one of those that are alike at a time.
        """
        times = counts.astype(np.int64)
        if self.part is None:
            total = int(times.sum())
            labels = np.repeat(self.labels, times)
            return Blocks(self.name, labels, np.arange(total), np.arange(total + 1))
        own = times[self.rows]
        ends = np.cumsum(own)
        first = np.repeat((np.cumsum(times) - times)[self.rows], own)
        rows = first + np.arange(len(first)) - np.repeat(ends - own, own)
        indptr = np.concatenate([[0], ends])[self.indptr]
        return Blocks(self.name, self.labels, rows, indptr, self.part)

    def pairs_of(self, entries: np.ndarray) -> np.ndarray:
        """Return the entries of `part`, those of one unit and row added up, shape (entry,)."""
        return np.bincount(self.places, entries, minlength=len(self.rows))

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Return sums over the entries of each block, shape (block, ...)."""
        from scipy.sparse import csr_array

        ones = np.ones(len(self.rows))
        shape = (len(self.labels), len(self.rows))
        return np.asarray(csr_array((ones, np.arange(len(ones)), self.indptr), shape) @ values)


def blocks_of(fit: Fit, by: str, parts: tuple[Any, ...]) -> Blocks:
    """Return the blocks of a fitted table.

    Parameters
    ----------
    fit : Fit
        A fitted model with one linear predictor.
    by : str
        "row" or the unit of observation; or a term, for all rows of each of its units.
    parts : tuple of LinearPart
        How effects enter (`entries.effect_graph`).

    Returns
    -------
    Blocks

    Raises
    ------
    SpecificationError
        `by` is none of these.
    """
    rows = fit.design.rows
    if by in (ROW, rows.name):
        every = np.arange(len(rows))
        return Blocks(rows.name, np.asarray(rows.labels), every, np.arange(len(rows) + 1))
    own = {name: found for t, d in fit.design.terms for name, *found in units_of(t, d)}
    linear = {p.name.removesuffix("_effect"): p for p in parts}
    if by not in own or by not in linear:
        have = ", ".join(n for n in own if n in linear) or "none here"
        raise SpecificationError(
            f"by={by!r} is nothing to leave out: use 'row', or a term with normal effects, to "
            f"leave out all rows of one of its units at a time: {have}."
        )
    labels, of_rows, unit = own[by]
    # A member listed twice in a group is one row of the member.
    pairs = np.unique(np.column_stack([unit, of_rows]), axis=0)
    counts = np.bincount(pairs[:, 0], minlength=len(labels))
    indptr = np.concatenate([[0], np.cumsum(counts)])
    part, places = linear[by], np.zeros(0, dtype=np.int64)
    if part.shape == (len(labels),) and part.root.ndim == 0:
        entry = {pair: i for i, pair in enumerate(map(tuple, pairs.tolist()))}
        both = zip(part.columns.tolist(), part.rows.tolist(), strict=True)
        places = np.array([entry[pair] for pair in both], dtype=np.int64)
    return Blocks(by, np.asarray(labels), pairs[:, 1], indptr, part, places)


def units_of(term: Any, part: Any) -> Iterator[tuple[str, Any, np.ndarray, np.ndarray]]:
    """Yield prefix, labels, and rows with their units, of the units of a term."""
    if hasattr(part, "membership"):
        members = part.membership
        yield part.name, members.member.labels, members.group, members.member.codes
    elif hasattr(part, "units"):
        yield part.name, part.units.labels, np.arange(len(part.units.codes)), part.units.codes
    elif hasattr(part, "nesting"):
        for level, prefix, labels in zip(
            part.levels, part.prefixes, part.nesting.labels, strict=True
        ):
            unit = part.nesting.codes(level)
            yield prefix, np.asarray(labels), np.arange(len(unit)), unit
