"""A table of memberships with members added, removed or replaced; arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pymc_mlm.data.values import is_missing, show
from pymc_mlm.errors import SpecificationError

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Change:
    """What changes in the members of groups.

    Attributes
    ----------
    add, remove : sequence
        Members.
    replace : mapping
        The member that takes a member's place, by the latter.
    values : mapping of member to mapping of str to object
        Values of columns of members that come in; one that takes a place keeps those that are
        not given.
    groups : sequence, optional
        Groups in which it happens; all by default.
    """

    add: Sequence[Any] = ()
    remove: Sequence[Any] = ()
    replace: Mapping[Any, Any] = field(default_factory=dict)
    values: Mapping[Any, Mapping[str, Any]] = field(default_factory=dict)
    groups: Sequence[Any] | None = None

    def __post_init__(self) -> None:
        """Take single members for sequences of one; refuse a change of nothing."""
        for name in ("add", "remove", "groups"):
            given = getattr(self, name)
            is_one = given is not None and (isinstance(given, str) or not np.iterable(given))
            object.__setattr__(self, name, (given,) if is_one else given)
        if not isinstance(self.replace, Mapping):
            raise SpecificationError(
                f"replace={self.replace!r} must map members to those that take their place, such "
                'as {"A": "B"}.'
            )
        if not (len(self.add) or len(self.remove) or len(self.replace)):
            raise SpecificationError("Nothing changes: give add=, remove= or replace=.")
        both = [m for m in self.remove if m in self.replace]
        if both:
            raise SpecificationError(
                f"{show(both[0])} is removed and replaced: choose one of the two."
            )
        strange = [m for m in self.values if m not in [*self.add, *self.replace.values()]]
        if strange:
            raise SpecificationError(
                f"values= are those of members that come in, and {show(strange[0])} does not: name "
                "it in add= or replace=."
            )

    @property
    def label(self) -> str:
        """The change in words."""
        parts = [f"{show(a)} replaced by {show(b)}" for a, b in self.replace.items()]
        parts += [f"{show(m)} removed" for m in self.remove]
        parts += [f"{show(m)} added" for m in self.add]
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Layout:
    """Columns of a table of memberships.

    Attributes
    ----------
    member, group : str
        The column that changes, and that of the groups.
    own : tuple of str
        Further columns that are those of memberships.
    others : tuple of str
        Columns of other members, missing in rows of this one.
    """

    member: str
    group: str
    own: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def changed_table(
    table: Columns, layout: Layout, change: Change
) -> tuple[Columns, list[Any], list[str]]:
    """Return a table with other members, the groups that changed, and what was skipped in words.

    Parameters
    ----------
    table : dict of str to ndarray, shape (row,)
        One row per membership.
    layout : Layout
        What its columns are.
    change : Change
        What changes.

    Raises
    ------
    SpecificationError
        A member or group is not there, a member that comes in lacks values, or no group changes.

    Examples
    --------
    >>> table = {"p": np.array(["a", "b", "a"]), "g": np.array([1, 1, 2])}
    >>> new, groups, skipped = changed_table(table, Layout("p", "g"), Change(replace={"a": "c"}))
    >>> new["p"].tolist(), groups
    (['c', 'b', 'c'], [1, 2])
    """
    _check(table, layout, change)
    group = table[layout.group]
    chosen = np.full(len(group), True)
    if change.groups is not None:
        chosen = _among(group, change.groups)
    skipped: list[str] = []
    new, touched = _replaced(table, layout, change, chosen, skipped)
    new, kept, gone = _removed(new, layout, change, chosen, skipped)
    parts = [{n: v[kept] for n, v in new.items()}]
    changed = group[touched | gone].tolist()
    for other in change.add:
        part = _added(table, layout, change, other, chosen, skipped)
        parts.append(part)
        changed += part[layout.group].tolist()
    if not changed:
        reasons = f" ({'; '.join(skipped)})" if skipped else ""
        raise SpecificationError(f"No group changes with {change.label}{reasons}.")
    joined = {n: np.concatenate([p[n] for p in parts]) for n in new}
    return joined, list(dict.fromkeys(changed)), skipped


def _replaced(
    table: Columns, layout: Layout, change: Change, chosen: np.ndarray, skipped: list[str]
) -> tuple[Columns, np.ndarray]:
    """Return the table with members in others' places, and the rows where."""
    ids, group = table[layout.member], table[layout.group]
    touched = np.full(len(ids), False)
    for old, other in change.replace.items():
        rows = chosen & _among(ids, [old])
        twice = rows & _among(group, group[_among(ids, [other])].tolist())
        if twice.any():
            skipped.append(_counted(group[twice], f"{show(other)} is a member already"))
        rows &= ~twice
        table = _filled(table, rows, {layout.member: other, **change.values.get(other, {})})
        touched |= rows
    return table, touched


def _removed(
    table: Columns, layout: Layout, change: Change, chosen: np.ndarray, skipped: list[str]
) -> tuple[Columns, np.ndarray, np.ndarray]:
    """Return the table, which of its rows stay, and which had a member that is gone."""
    ids, group = table[layout.member], table[layout.group]
    gone = chosen & _among(ids, change.remove)
    has_others = _among(group, group[~gone & ~_missing(ids)].tolist())
    if (gone & ~has_others).any():
        skipped.append(_counted(group[gone & ~has_others], "no member would be left"))
    gone &= has_others
    # The row may be one of another member, too.
    shared = gone & ~np.logical_and.reduce([_missing(table[c]) for c in layout.others] or [gone])
    return _filled(table, shared, {layout.member: None}), ~gone | shared, gone


def _added(
    table: Columns, layout: Layout, change: Change, other: Any, chosen: np.ndarray,
    skipped: list[str],
) -> Columns:  # fmt: skip
    """Return one row of a member for each group that lacks it."""
    group = table[layout.group]
    has = _among(group, group[_among(table[layout.member], [other])].tolist())
    if (chosen & has).any():
        skipped.append(_counted(group[chosen & has], f"{show(other)} is a member already"))
    first = np.full(len(group), False)
    first[[*dict(zip(group[::-1].tolist(), range(len(group))[::-1], strict=True)).values()]] = True
    rows = first & chosen & ~has
    own = {n: v[rows] for n, v in table.items()}
    given = {layout.member: other, **change.values.get(other, {}), **dict.fromkeys(layout.others)}
    return _filled(own, np.full(int(rows.sum()), True), given)


def _check(table: Columns, layout: Layout, change: Change) -> None:
    """Refuse members and groups that are not there, and columns that are none of members."""
    ids, groups = set(table[layout.member].tolist()), set(table[layout.group].tolist())
    for member in [*change.remove, *change.replace]:
        if member not in ids:
            raise SpecificationError(
                f"{show(member)} is none of the {len(ids)} members in {layout.member!r}, so that "
                "it can be neither removed nor replaced. Look at model.effects()."
            )
    for label in change.groups or ():
        if label not in groups:
            raise SpecificationError(
                f"groups= names {show(label)}, which is none of the {len(groups)} groups in "
                f"{layout.group!r}."
            )
    for member, values in change.values.items():
        strange = [c for c in values if c not in layout.own]
        if strange:
            raise SpecificationError(
                f"values of {show(member)}: {strange[0]!r} is no column of members; those are "
                f"{', '.join(layout.own) or 'none here'}."
            )
    for member in change.add:
        lacking = [c for c in layout.own if c not in change.values.get(member, {})]
        if lacking:
            raise SpecificationError(
                f"{show(member)} is added, and its {lacking[0]!r} is not known: give values="
                f"{{{member!r}: {{{', '.join(f'{c!r}: ...' for c in lacking)}}}}}."
            )


def _filled(table: Columns, rows: np.ndarray, values: Mapping[str, Any]) -> Columns:
    """Return a table with values in some rows."""
    new = dict(table)
    for name, value in values.items():
        is_number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        keeps = table[name].dtype.kind in "iuf" and is_number
        array = table[name].astype(np.result_type(table[name], value) if keeps else object)
        array[rows] = value
        new[name] = array
    return new


def _among(values: np.ndarray, some: Iterable[Any]) -> np.ndarray:
    """Tell which values are among some."""
    found = set(some)
    return np.fromiter((v in found for v in values.tolist()), dtype=bool, count=len(values))


def _missing(values: np.ndarray) -> np.ndarray:
    return np.fromiter((is_missing(v) for v in values.tolist()), dtype=bool, count=len(values))


def _counted(groups: np.ndarray, reason: str) -> str:
    count = len(np.unique(groups))
    return f"{count} group{'s' * (count > 1)} left as they are, because {reason}"
