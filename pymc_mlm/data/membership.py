"""Rows of "member belongs to group", sorted by group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pymc_mlm.data.factor import UNKNOWN, Factor
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError


@dataclass(frozen=True, eq=False)
class Membership:
    """Who belongs to which group, as arrays over membership rows.

    Attributes
    ----------
    member : Factor
        Members; its codes are those of the *sorted* rows.
    group : ndarray of int64, shape (row,)
        Group of each row, ascending.
    indptr : ndarray of int64, shape (num_groups + 1,)
        First row of each group.
    rows : ndarray of int64, shape (row,)
        Row of the user's table behind each sorted row.
    """

    member: Factor
    group: np.ndarray
    indptr: np.ndarray
    rows: np.ndarray

    @property
    def num_groups(self) -> int:
        """Number of groups, with or without rows."""
        return len(self.indptr) - 1

    @property
    def size(self) -> np.ndarray:
        """Number of rows of each group, shape (num_groups,)."""
        return np.diff(self.indptr)

    def kinds(self, *columns: np.ndarray) -> np.ndarray:
        """Number groups so that those with the same members and values share a number.

        Parameters
        ----------
        *columns : ndarray, shape (row,)
            Further values of the rows that must agree.

        Returns
        -------
        ndarray of int, shape (num_groups,)
        """
        table = np.column_stack([self.member.codes, *columns])
        seen: dict[bytes, int] = {}
        ends = zip(self.indptr[:-1], self.indptr[1:], strict=True)
        found = [seen.setdefault(table[a:b].tobytes(), len(seen)) for a, b in ends]
        return np.array(found, dtype=np.int64)


def sort_by_group(
    member: Factor, group: Factor, repeated: str = "add", keep: np.ndarray | None = None
) -> Membership:
    """Order membership rows by group, then by member.

    Parameters
    ----------
    member, group : Factor
        Member and group of each row of the table.
    repeated : {"add", "refuse"}
        A member listed twice in a group adds its weights, or is an error.
    keep : ndarray of bool, shape (row,), optional
        Rows that are memberships of this block; all by default.

    Returns
    -------
    Membership

    Raises
    ------
    DataError
        A member is listed twice in one group and `repeated` is "refuse".

    Examples
    --------
    >>> from pymc_mlm.data.factor import encode
    >>> party = encode("party", np.array(["a", "b", "a"], dtype=object))
    >>> cabinet = encode("cabinet", np.array([2, 1, 1]))
    >>> sort_by_group(party, cabinet).rows
    array([2, 1, 0])
    """
    rows = np.arange(len(group.codes)) if keep is None else np.flatnonzero(keep)
    # Sorting also by member makes every sum independent of the order of the user's rows.
    rows = rows[np.lexsort((member.codes[rows], group.codes[rows]))]
    codes, groups = member.codes[rows], group.codes[rows]
    if repeated == "refuse":
        _refuse_repeated(member, group, codes, groups)
    counts = np.bincount(groups, minlength=len(group))
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    sorted_member = Factor(member.name, member.labels, codes, member.num_known)
    return Membership(sorted_member, groups, indptr, rows)


def _refuse_repeated(member: Factor, group: Factor, codes: np.ndarray, groups: np.ndarray) -> None:
    same = (np.diff(groups) == 0) & (np.diff(codes) == 0) & (codes[1:] != UNKNOWN)
    if same.any():
        at = int(np.flatnonzero(same)[0])
        raise DataError(
            f"{member.name!r}={show(member.labels[codes[at]])} is listed more than once in "
            f"{group.name!r}={show(group.labels[groups[at]])}, and repeated='refuse'. Drop the "
            "repeated row, or use repeated='add' to let the member's weights add up."
        )
