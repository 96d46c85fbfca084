"""Rows with missing values: one rule for the tables of all models.

Nothing is imputed. A row that lacks a value which the likelihood needs is refused, with its column
and how many there are, or left out and counted where the model has ``missing="drop"``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.data.frame import Table, absent
from pymc_mlm.errors import DataError, SpecificationError

RULES = ("error", "drop")
Mask = np.ndarray


def check_rule(missing: Any) -> None:
    """Refuse a word that is no rule for missing values."""
    if missing not in RULES:
        raise SpecificationError(
            f"missing={missing!r} is not known. Use 'error' (default), or 'drop' to leave rows "
            "with a missing value out and count them."
        )


def left_out(
    lacking: Mapping[str, Mask], missing: str, group: Mask | None = None, of: str = "rows"
) -> tuple[Mask, dict[str, int]]:
    """Return which rows are kept, and how many are left out by reason.

    Parameters
    ----------
    lacking : mapping of str to ndarray of bool, shape (row,)
        Rows that lack a value, by what they lack.
    missing : {"error", "drop"}
        Whether such rows are refused or left out.
    group : ndarray of int, shape (row,), optional
        Groups that are kept or left out as a whole: without a row, a group would have other
        members and other weights.
    of : str
        Name of the groups, for the reasons.

    Returns
    -------
    kept : ndarray of bool, shape (row,)
    dropped : dict of str to int
        Number of rows by the first reason that holds.

    Raises
    ------
    DataError
        A row lacks a value where that is refused; the message names all columns and their first
        row. Or no row is left.

    Examples
    --------
    >>> kept, dropped = left_out({"'x'": np.array([True, False, False])}, "drop")
    >>> kept.tolist(), dropped
    ([False, True, True], {"'x' is missing": 1})
    """
    found = {what: rows for what, rows in lacking.items() if rows.any()}
    total = len(next(iter(lacking.values()), ()))
    if found and missing == "error":
        listed = [
            f"{what} is missing in {int(rows.sum())} of {total} rows, first in row "
            f"{int(np.flatnonzero(rows)[0])} (counted from 0)"
            for what, rows in found.items()
        ]
        which = "those rows" if group is None else f"every {of!r} that has such a row"
        raise DataError(
            f"{'; '.join(listed)}. Missing values are not imputed: fill them in, or leave {which} "
            "out with missing='drop', an argument of the model."
        )
    kept, dropped = np.ones(total, dtype=bool), {}
    for what, rows in found.items():
        whole = rows if group is None else np.isin(group, group[rows])
        now = kept & whole
        if now.any():
            where = "" if group is None else f" in their {of}"
            dropped[f"{what} is missing{where}"] = int(now.sum())
        kept &= ~whole
    if total and not kept.any():
        reasons = ", ".join(f"{n} because {reason}" for reason, n in dropped.items())
        raise DataError(f"No row is left: missing='drop' left out {reasons}. Fill the values in.")
    return kept, dropped


def missing_values(
    table: Table, names: Mapping[str, Mask | None] | tuple[str, ...]
) -> dict[str, Mask]:
    """Return the rows that lack a value, by column.

    Parameters
    ----------
    table : Table
        Opened for the columns.
    names : mapping of str to ndarray of bool, or tuple of str
        Columns, and the rows that need a value; None for all rows.
    """
    needed = names if isinstance(names, Mapping) else dict.fromkeys(names)
    found = {name: absent(table, name) for name in needed}
    return {
        repr(name): found[name] if rows is None else found[name] & rows
        for name, rows in needed.items()
    }
