"""From a wide table, with a column for each member, to one row per membership."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.frame import column_names, columns, open_table, rows_of
from pymc_mlm.data.values import is_missing, read_values, show
from pymc_mlm.errors import DataError, SpecificationError, warn_of_data

# Sums of weights further from one than what rounding to four digits leaves.
ROUNDED = 1e-3
ROW = "row"


def long_memberships(
    table: Any,
    members: Sequence[str],
    weights: Sequence[str] | None = None,
    group: str | None = None,
    *,
    member: str = "member",
    weight: str = "weight",
    padding: Any = None,
) -> Any:
    """Make one row per membership of a table with a column for each member.

    Parameters
    ----------
    table : dataframe or mapping of str to array_like
        One row per group, as brms, MLwiN and lmerMultiMember read it.
    members : sequence of str
        Columns with the ids of the members.
    weights : sequence of str, optional
        Columns with their weights, in the same order. Without them the table has none, and
        `mm` gives the members of a group equal weights.
    group : str, optional
        Column that identifies the rows, each id once. By default the rows are numbered in a new
        column ``"row"``.
    member, weight : str
        Names of the new columns.
    padding : object, optional
        An id that stands for no member, such as 0 in MLwiN, beside null.

    Returns
    -------
    dataframe or dict of ndarray
        In the library of `table`: a row per membership, its group and all other columns repeated,
        then `member` and `weight`. A member that is null, `padding`, or of weight zero has no
        row.

    Raises
    ------
    DataError
        A column is missing, a group occurs twice or has no member, or a weight is negative,
        missing, or given to no member.
    SpecificationError
        Weights are not as many as members, or names are used twice.

    Warns
    -----
    DataWarning
        Memberships were left out as padding, with their number; or weights do not sum to one.

    Examples
    --------
    >>> wide = {"y": [1.0, 2.0], "a": ["x", "z"], "b": ["y", "x"]}
    >>> long_memberships(wide, members=["a", "b"])["member"].tolist()
    ['x', 'y', 'z', 'x']
    """
    members, weights = _names("members", members), _names("weights", weights or ())
    _check_names(column_names(table), members, weights, group, (member, weight))
    opened = open_table(table, [*members, *weights, *([group] if group else [])])
    read = columns(opened, [*members, *weights])
    _check_groups(opened, group)
    ids = np.stack([read[m].astype(object) for m in members], axis=1)
    # np.vectorize would pass on NumPy's warning of comparisons with NaN.
    is_member = ~np.array([is_missing(v) for v in ids.ravel()], dtype=bool).reshape(ids.shape)
    if padding is not None:
        is_member &= np.asarray(ids != padding, dtype=bool)
    W = _weights(read, members, weights, is_member) if weights else None
    kept = is_member if W is None else is_member & (W > 0)
    _check_kept(kept, members)
    rows = np.repeat(np.arange(len(ids)), kept.sum(axis=1))
    new: dict[str, Any] = {} if group else {ROW: rows}
    new |= {member: _ids(member, ids[kept])} | ({} if W is None else {weight: W[kept]})
    left_out = kept.size - int(kept.sum())
    if left_out:
        warn_of_data(
            f"{left_out} of {kept.size} memberships are padding, {_by_reason(is_member, W)}, and "
            "have no row. If that is not padding, correct the table."
        )
    if W is not None:
        _warn_of_sums(W)
    return rows_of(table, rows, [*members, *weights], new)


def _names(what: str, given: Sequence[str]) -> list[str]:
    names = [given] if isinstance(given, str) else list(given)
    twice = [n for n in names if names.count(n) > 1]
    if twice:
        raise SpecificationError(f"{what} names {twice[0]!r} twice. Name each column once.")
    return names


def _check_names(
    have: Sequence[str],
    members: Sequence[str],
    weights: Sequence[str],
    group: str | None,
    new: tuple[str, str],
) -> None:
    """Refuse names that do not go together."""
    if not members:
        raise SpecificationError("members names no column. Name those with the ids of members.")
    if weights and len(weights) != len(members):
        raise SpecificationError(
            f"{len(weights)} columns of weights ({', '.join(weights)}) for {len(members)} of "
            f"members ({', '.join(members)}): each column of members has one of weights, in the "
            "same order."
        )
    shared = {*members} & {*weights}
    if shared or group in {*members, *weights}:
        raise SpecificationError(
            f"{(*shared, group)[0]!r} is used twice, among members, weights and group. Each of "
            "them has columns of its own."
        )
    made = [new[0], *([new[1]] if weights else []), *([] if group else [ROW])]
    taken = [n for n in made if n in {*have} - {*members, *weights} or made.count(n) > 1]
    if taken:
        raise SpecificationError(
            f"A new column would be called {taken[0]!r}, a name that is taken. Give member=, "
            "weight= or group= another name."
        )


def _check_groups(opened: Any, group: str | None) -> None:
    if group is None:
        return
    ids = columns(opened, [group])[group]
    first: dict[Any, int] = {}
    for row, label in enumerate(ids.tolist()):
        if is_missing(label):
            raise DataError(
                f"{group!r} is missing in row {row} (counted from 0); every row is a group. Fill "
                "it in, or leave group= out to number the rows."
            )
        if first.setdefault(label, row) != row:
            raise DataError(
                f"{group!r}={show(label)} is in rows {first[label]} and {row} (counted from 0): a "
                "wide table has one row per group. Drop the copy; or leave group= out to number "
                "the rows, if the outcome is one of rows."
            )


def _weights(
    read: Any, members: Sequence[str], weights: Sequence[str], is_member: np.ndarray
) -> np.ndarray:
    """Return the weights, zero where there is no member, shape (row, slot)."""
    W = np.zeros(is_member.shape)
    for k, name in enumerate(weights):
        here = np.flatnonzero(is_member[:, k])
        W[here, k] = as_numbers(name, read[name][here], here)
        nobody = np.flatnonzero(~is_member[:, k])
        given = [r for r in nobody if not is_missing(read[name][r]) and read[name][r] != 0]
        wrong = np.flatnonzero(W[:, k] < 0)
        if len(wrong):
            raise DataError(
                f"{name!r} is {W[wrong[0], k]:g} in row {wrong[0]} (counted from 0); weights are "
                "not negative. Correct them. A member that counts against its group needs a sign: "
                "keep it as a column, and multiply a weight by it in mm(weight=...)."
            )
        if given:
            raise DataError(
                f"{name!r} is {show(read[name][given[0]])} in row {given[0]} (counted from 0), "
                f"where {members[k]!r} names no member. Give it the member, or the "
                "weight zero or null."
            )
    return W


def _check_kept(kept: np.ndarray, members: Sequence[str]) -> None:
    nobody = np.flatnonzero(~kept.any(axis=1))
    if len(nobody):
        raise DataError(
            f"Row {nobody[0]} (counted from 0) has no member of positive weight in "
            f"{', '.join(members)}, and {len(nobody)} rows in all are like it. A group has at "
            "least one: drop these rows, or give those members an id."
        )


def _ids(name: str, values: np.ndarray) -> np.ndarray:
    """Return ids as one column; integers beside nulls were floats."""
    plain = [int(v) if isinstance(v, float) and v.is_integer() else v for v in values.tolist()]
    return read_values(name, plain)


def _by_reason(is_member: np.ndarray, W: np.ndarray | None) -> str:
    zero = 0 if W is None else int((is_member & (W == 0)).sum())
    parts = {"without a member": int((~is_member).sum()), "of weight zero": zero}
    return " and ".join(f"{count} {reason}" for reason, count in parts.items() if count)


def _warn_of_sums(W: np.ndarray) -> None:
    total = W.sum(axis=1)
    off = np.flatnonzero(np.abs(total - 1.0) > ROUNDED)
    if len(off):
        warn_of_data(
            f"Weights do not sum to one in {len(off)} of {len(total)} rows, first in row {off[0]} "
            f"(counted from 0), where they sum to {total[off[0]]:g}. mm() scales them to one, as "
            "brms does; to take them as they are, as MLwiN does, write mm(..., normalize=False)."
        )
