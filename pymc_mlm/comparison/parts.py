"""Parts of a table for comparison by refits: rows, units, or members with all their groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from pymc_mlm.comparison.blocks import ROW
from pymc_mlm.data.checks import constant_within
from pymc_mlm.data.factor import UNKNOWN, Factor, encode
from pymc_mlm.data.frame import Table, columns
from pymc_mlm.errors import DataError, SpecificationError


@dataclass(frozen=True, eq=False)
class Part:
    """What is left out of one refit.

    Attributes
    ----------
    left : ndarray of int, shape (left,)
        Observations that are predicted.
    times : ndarray of int, shape (left,)
        As how many observations each of them counts.
    kept : ndarray of int, shape (observation,)
        As how many observations each one counts in the refit; zero where it is left out whole.
    """

    left: np.ndarray
    times: np.ndarray
    kept: np.ndarray


@dataclass(frozen=True, eq=False)
class Parts:
    """All parts, and what is divided: ``287 party``."""

    parts: tuple[Part, ...]
    what: str
    of_members: bool = False


def divide(
    table: Table,
    rows: Factor,
    counts: np.ndarray,
    members: Sequence[str],
    k: Any,
    by: str,
    seed: int,
) -> Parts:
    """Divide a table into parts.

    Parameters
    ----------
    table : Table
        Opened for `by`, without the rows that the models leave out.
    rows : Factor
        Units of observation.
    counts : ndarray of int, shape (observation,)
        As how many observations each one counts.
    members : sequence of str
        Columns of members of the models.
    k : int
        Number of parts.
    by : str
        As of `k_fold`.
    seed : int

    Raises
    ------
    SpecificationError
        `k` is no number of parts of the table, or a part has all observations.
    DataError
        `by` varies within observations, and is no column of members.
    """
    if by in (ROW, rows.name):
        copies = np.repeat(np.arange(len(rows)), counts)
        part = _numbers(len(copies), k, by, seed)
        out = [np.bincount(copies[part == f], minlength=len(rows)) for f in range(int(k))]
        return Parts(_parts(out, counts, k, by), f"{len(copies)} observations")
    values = columns(table, [by])[by]
    if by in members:
        unit = encode(by, values, missing="unknown")
        is_member = unit.codes != UNKNOWN
        codes, of = unit.codes[is_member], rows.codes[is_member]
    else:
        remedy = (
            f"Units of by={by!r} are left out with all their observations: name a column that is "
            "constant within these, or a column of members of mm()"
            + (f", {' or '.join(map(repr, members))}." if members else ".")
        )
        unit = encode(by, constant_within(by, values, rows, remedy))
        codes, of = unit.codes, np.arange(len(rows))
    part = _numbers(len(unit), k, by, seed)
    out = [np.where(np.isin(np.arange(len(rows)), of[part[codes] == f]), counts, 0)
           for f in range(int(k))]  # fmt: skip
    if by in members:
        return Parts(_parts(out, counts, k, by), f"{len(unit)} {by}", of_members=True)
    what = f"{int(counts.sum())} observations"
    return Parts(_parts(out, counts, k, by), what)


def _numbers(count: int, k: Any, by: str, seed: int) -> np.ndarray:
    """Return the part of each unit, shape (count,)."""
    is_whole = isinstance(k, Integral) and not isinstance(k, bool)
    if not is_whole or not 2 <= int(k) <= count:
        raise SpecificationError(
            f"k={k!r} must be a whole number from 2 to {count}, the number of units of {by!r}."
        )
    return np.random.default_rng(seed).permutation(np.arange(count) % int(k))


def _parts(out: Sequence[np.ndarray], counts: np.ndarray, k: Any, by: str) -> tuple[Part, ...]:
    """Return parts from as how many observations each one is left out, (observation,) each."""
    parts = []
    for own in out:
        left = np.flatnonzero(own)
        parts.append(Part(left, own[left].astype(np.int64), counts - own))
        if not parts[-1].kept.any():
            raise DataError(
                f"k={k!r}, by={by!r}: each observation has a {by!r} of one part, so that nothing "
                "is left to fit to without it. Use more parts."
            )
    return tuple(parts)
