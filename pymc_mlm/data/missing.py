"""Rows with missing values: one rule for the tables of all models.

Nothing is imputed but covariates that a model names (`pymc_mlm.data.imputed`). A row that lacks a
value which the likelihood needs is refused, with its column and how many there are, or left out and
counted where the model has ``missing="drop"``. With ``missing="predict"`` rows that lack the
outcome alone are predicted, and not fitted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pymc_mlm.data.frame import Table, absent, columns
from pymc_mlm.data.row_weights import AbstractRowWeights
from pymc_mlm.errors import DataError, SpecificationError

RULES = ("error", "drop")
PREDICT = "predict"
Mask = np.ndarray


def check_rule(missing: Any, can_predict: bool = False) -> None:
    """Refuse a word that is no rule for missing values, of models that predict rows or do not."""
    if missing not in RULES and not (can_predict and missing == PREDICT):
        more = ", or 'predict' for rows without an outcome" if can_predict else ""
        raise SpecificationError(
            f"missing={missing!r} is not known. Use 'error' (default), or 'drop' to leave rows "
            f"with a missing value out and count them{more}."
        )


def to_predict(
    lacking: Mapping[str, Mask],
    outcome: tuple[str, ...],
    group: Mask | None = None,
    of: str = "row",
    imputable: Sequence[str] = (),
) -> tuple[Mask, dict[str, int]]:
    """Return which rows are fitted where those without an outcome are predicted.

    Parameters
    ----------
    lacking : mapping of str to ndarray of bool, shape (row,)
        Rows that lack a value, by column as it is printed.
    outcome : tuple of str
        Columns of the outcome.
    group : ndarray of int, shape (row,), optional
        Groups that have one outcome each.
    of : str
        Name of the groups, for messages.
    imputable : sequence of str
        Columns that the model may impute.

    Returns
    -------
    kept : ndarray of bool, shape (row,)
    predicted : dict of str to int
        Number of other rows, by what is missing.

    Raises
    ------
    DataError
        A value is missing that is needed to predict, or in some rows of a group only.
    """
    names = [repr(name) for name in outcome]
    needed = {k: v for k, v in lacking.items() if k not in names}
    left_out(needed, "error", group, of, imputable=imputable)
    of_outcome = {k: lacking[k] for k in names}
    if group is not None:
        for what, rows in of_outcome.items():
            if (np.isin(group, group[rows]) != rows).any():
                raise DataError(
                    f"{what} is missing {where(rows)}, but not in all rows of their {of}, which "
                    "has one outcome: repeat it in all of them, or leave it out of all."
                )
    return left_out(of_outcome, "drop", group, of)


def left_out(
    lacking: Mapping[str, Mask],
    missing: str,
    group: Mask | None = None,
    of: str = "rows",
    table_rows: Mask | None = None,
    imputable: Sequence[str] = (),
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
    table_rows : ndarray of int, shape (row,), optional
        Where rows are persons with several rows in the user's table, the first of these.
    imputable : sequence of str
        Columns that the model may impute, for the message.

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
        listed = [f"{what} is missing {where(rows, table_rows)}" for what, rows in found.items()]
        which = "those rows" if group is None else f"every {of!r} that has such a row"
        which = which if table_rows is None else "those persons"
        may = [name for name in imputable if repr(name) in found]
        if may:
            raise DataError(
                f"{'; '.join(listed)}. Fill them in, leave {which} out with missing='drop', or let "
                f"the model impute numbers with impute={may!r}; both are arguments of the model."
            )
        raise DataError(
            f"{'; '.join(listed)}. Missing values are not imputed: fill them in, or leave {which} "
            "out with missing='drop', an argument of the model."
        )
    kept, dropped = np.ones(total, dtype=bool), {}
    for what, rows in found.items():
        whole = rows if group is None else np.isin(group, group[rows])
        now = kept & whole
        if now.any():
            theirs = "" if group is None else f" in their {of}"
            dropped[f"{what} is missing{theirs}"] = int(now.sum())
        kept &= ~whole
    if total and not kept.any():
        reasons = ", ".join(f"{n} because {reason}" for reason, n in dropped.items())
        raise DataError(f"No row is left: missing='drop' left out {reasons}. Fill the values in.")
    return kept, dropped


def without_weightless(
    weights: AbstractRowWeights, table: Table, kept: Mask, dropped: Mapping[str, int]
) -> tuple[Mask, dict[str, int]]:
    """Return the places of kept rows that count at all, and how many do not, by reason.

    Parameters
    ----------
    weights : AbstractRowWeights
        Weights of rows.
    table : Table
        Opened for their column.
    kept : ndarray of int, shape (kept row,)
        Rows that have all values.
    dropped : mapping of str to int
        How many others there are, by reason.

    Raises
    ------
    DataError
        A weight is not of its kind, or all are zero.
    """
    values = weights.check(columns(table, [weights.column])[weights.column][kept], kept)
    if not values.any():
        raise DataError(
            f"Column {weights.column!r} of {weights.what} is 0 in every row: no row is left. Fill "
            "in how much each row counts."
        )
    none = int((values == 0).sum())
    reasons = {f"{weights.column!r} is 0": none} if none else {}
    return kept[values > 0], {**dropped, **reasons}


def where(rows: Mask, table_rows: Mask | None = None) -> str:
    """Count rows, or persons of several table rows each, and name the first row of the table.

    Examples
    --------
    >>> where(np.array([False, True]), table_rows=np.array([0, 7]))
    'for 1 of 2 persons, first in row 7 (counted from 0)'
    """
    first = int((np.arange(len(rows)) if table_rows is None else table_rows)[rows].min())
    some = f"in {int(rows.sum())} of {len(rows)} rows"
    if table_rows is not None:
        some = f"for {int(rows.sum())} of {len(rows)} persons"
    return f"{some}, first in row {first} (counted from 0)"


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
