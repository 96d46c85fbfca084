"""Units within units, such as schools in regions: one tree, read from the table and checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pymc_mlm.data.factor import Factor, UnknownUnit, check_types, encode, one_of_each_type
from pymc_mlm.data.values import objects, show
from pymc_mlm.errors import DataError, SpecificationError

OUTERMOST = -1


@dataclass(frozen=True, eq=False)
class Nesting:
    """A tree of units and the leaf of each row.

    Attributes
    ----------
    levels : tuple of str
        Id columns, from the outermost to the innermost.
    labels : tuple of ndarray of object, each of shape (unit,)
        Ids of each level, sorted; units that were known before come first. In new data an
        `UnknownUnit` stands for a missing id.
    parents : tuple of ndarray of int64, each of shape (unit,)
        Unit of the level above that each unit lies in; ``-1`` at the outermost level.
    leaf : ndarray of int64, shape (row,)
        Unit of the innermost level that each row lies in.
    examples : tuple of tuple
        An id of each type at each level, as the fitted table has them; labels with the whole path
        are text.
    """

    levels: tuple[str, ...]
    labels: tuple[np.ndarray, ...]
    parents: tuple[np.ndarray, ...]
    leaf: np.ndarray
    examples: tuple[tuple[Any, ...], ...] = ()

    @property
    def sizes(self) -> np.ndarray:
        """Number of units of each level, int64, shape (level,)."""
        return np.array([len(labels) for labels in self.labels], dtype=np.int64)

    @property
    def tree(self) -> np.ndarray:
        """Parent of each unit when units are numbered through all levels, outermost level first.

        ``-1`` for the outermost units; int64, shape (unit,) with the units of all levels.
        """
        first = np.concatenate([[0], np.cumsum(self.sizes)[:-1]])
        deeper = [p + first[level] for level, p in enumerate(self.parents[1:])]
        return np.concatenate([self.parents[0], *deeper]).astype(np.int64)

    def codes(self, level: str) -> np.ndarray:
        """Return the unit of each row at a level.

        Parameters
        ----------
        level : str
            One of `levels`.

        Returns
        -------
        ndarray of int64, shape (row,)
        """
        codes = self.leaf
        for parents in self.parents[: self.levels.index(level) : -1]:
            codes = parents[codes]
        return codes


def nest(
    columns: Mapping[str, np.ndarray],
    levels: Sequence[str],
    unique_ids: bool = False,
    known: Nesting | None = None,
) -> Nesting:
    """Read from the id columns which unit lies in which, and check that it is a tree.

    Parameters
    ----------
    columns : mapping of str to ndarray, each of shape (row,)
        Columns of the table; at least those named in `levels`.
    levels : sequence of str
        Id columns from the outermost to the innermost, such as ``["region", "school"]``.
    unique_ids : bool, default False
        Whether ids count only within their parent, so that school 1 of region A and school 1
        of region B are two schools. Labels then show the whole path: ``"A/1"``.
    known : Nesting, optional
        Fitted units. They keep their codes, with or without rows; others are added after them.

    Returns
    -------
    Nesting
        Independent of the order of the rows but for ``leaf``, which follows them.

    Raises
    ------
    SpecificationError
        `levels` is text, empty, or names a column twice.
    DataError
        A column or an id is missing; an id has two parents (among them one that was fitted under
        another); the levels are in the wrong order; a level has a single unit.

    Examples
    --------
    >>> table = {"region": np.array(["B", "A", "B"]), "school": np.array([7, 3, 5])}
    >>> nesting = nest(table, ["region", "school"])
    >>> nesting.labels[1], nesting.parents[1], nesting.leaf
    (array([3, 5, 7], dtype=object), array([0, 1, 1]), array([2, 0, 1]))
    """
    _check_levels(columns, levels, known)
    labels: list[np.ndarray] = []
    parents: list[np.ndarray] = []
    examples: list[tuple[Any, ...]] = []
    above = np.broadcast_to(np.int64(OUTERMOST), len(columns[levels[0]]))
    for level, name in enumerate(levels):
        factor = _number(name, columns[name])
        examples.append(one_of_each_type(factor.labels))
        if unique_ids and level:
            if known is not None:
                check_types(name, factor.labels, known.examples[level])
            factor = _within_parent(factor, labels[-1], above)
        fitted = np.empty(0, dtype=np.int64)
        if known is not None:
            factor, fitted = _after_known(factor, known.labels[level]), known.parents[level]
        unit_parent = _parents(factor, above, fitted)
        strays = np.flatnonzero(unit_parent[factor.codes] != above)
        if len(strays):
            row, code = int(strays[0]), int(factor.codes[strays[0]])
            stray = (factor.labels[code], labels[-1][unit_parent[code]], labels[-1][above[row]])
            ids = [_number(each, columns[each]) for each in levels]
            raise DataError(_two_parents(ids, level, stray, row, code < len(fitted)))
        labels.append(factor.labels)
        parents.append(unit_parent)
        above = factor.codes
    if known is None:
        _check_several_units(levels, labels)
    types = tuple(examples) if known is None else known.examples
    return Nesting(tuple(levels), tuple(labels), tuple(parents), above, types)


def name_missing(
    columns: Mapping[str, np.ndarray], known: Nesting, unique_ids: bool = False
) -> dict[str, np.ndarray]:
    """Put something in the place of missing ids in new data.

    Parameters
    ----------
    columns : mapping of str to ndarray, each of shape (row,)
        Id columns, with None or NaN where an id is missing.
    known : Nesting
        Fitted units.
    unique_ids : bool, default False
        As in `nest`.

    Returns
    -------
    dict of str to ndarray, each of shape (row,)
        A fitted unit's missing parent is filled in; any other missing id is an `UnknownUnit`.

    Raises
    ------
    DataError
        A new unit's parent is missing, or any unit's where ids count only within their parent.

    Examples
    --------
    >>> table = {"region": np.array(["A", "B"]), "school": np.array([1, 2])}
    >>> new = {"region": np.array(["A"]), "school": np.array([None])}
    >>> name_missing(new, nest(table, ["region", "school"]))["school"]
    array([UnknownUnit(row=0)], dtype=object)
    """
    filled = {level: columns[level] for level in known.levels}
    for place in reversed(range(len(known.levels))):
        level = known.levels[place]
        rows = np.flatnonzero(_is_missing(filled[level]))
        if not len(rows):
            continue
        ids = filled[level].astype(object)
        inner = filled[known.levels[place + 1]] if place + 1 < len(known.levels) else None
        position = {} if inner is None else {c: i for i, c in enumerate(known.labels[place + 1])}
        for row in rows.tolist():
            child = None if inner is None else inner[row]
            if child is None or isinstance(child, UnknownUnit):
                ids[row] = UnknownUnit(row)
            elif child in position and not unique_ids:
                ids[row] = known.labels[place][known.parents[place + 1][position[child]]]
            else:
                raise DataError(
                    f"{level!r} is missing in row {row} (counted from 0), where "
                    f"{known.levels[place + 1]!r}={show(child)} is no fitted unit whose parent is "
                    f"known. Fill in {level!r}, or leave both ids missing."
                )
        filled[level] = ids
    return filled


def _check_levels(
    columns: Mapping[str, np.ndarray], levels: Sequence[str], known: Nesting | None
) -> None:
    if isinstance(levels, str) or not len(levels):
        raise SpecificationError(
            f"levels={levels!r} must list id columns from the outermost to the innermost, such as "
            "levels=['region', 'school']."
        )
    if len(set(levels)) < len(levels):
        raise SpecificationError(
            f"levels={list(levels)!r} names a column twice; every level needs an id column of its "
            "own."
        )
    if known is not None and tuple(levels) != known.levels:
        raise SpecificationError(
            f"levels={list(levels)!r} differ from those fitted, {list(known.levels)!r}; new data "
            "need the same levels in the same order."
        )
    absent = [level for level in levels if level not in columns]
    if absent:
        raise DataError(
            f"Level {absent[0]!r} is not a column of the data; the columns are {list(columns)!r}. "
            "Correct the name in levels, or add the id column."
        )
    if not len(columns[levels[0]]):
        raise DataError(f"Level {levels[0]!r} has no rows; a table with at least one is needed.")


def _check_several_units(levels: Sequence[str], labels: list[np.ndarray]) -> None:
    for level, units in zip(levels, labels, strict=True):
        if len(units) == 1:
            raise DataError(
                f"Level {level!r} has a single unit, {show(units[0])}: how much its units differ "
                f"cannot be learnt from one. Leave {level!r} out of levels."
            )


def _is_missing(values: np.ndarray) -> np.ndarray:
    if values.dtype == object:
        return np.fromiter((v is None for v in values), dtype=bool, count=len(values))
    return np.asarray(values != values)


def _number(level: str, values: np.ndarray) -> Factor:
    """Encode ids; a numeric column is reduced to its distinct values first, in C speed."""
    if values.dtype.kind not in "iufb" or np.any(values != values):
        return encode(level, values)
    if values.dtype.kind == "i" and int(values.max()) - int(values.min()) < len(values):
        return _number_dense(level, values)
    distinct, position = np.unique(values, return_inverse=True)
    factor = encode(level, distinct)
    return Factor(level, factor.labels, factor.codes[position], factor.num_known)


def _number_dense(level: str, values: np.ndarray) -> Factor:
    """Encode integers that lie closely: a look-up instead of a sort, and half its memory."""
    lowest = values.min()
    place = values - lowest
    present = np.zeros(int(place.max()) + 1, dtype=bool)
    present[place] = True
    code = np.cumsum(present) - 1
    distinct = np.flatnonzero(present) + lowest
    return Factor(level, objects(distinct.tolist()), code[place], len(distinct))


def _within_parent(factor: Factor, parent_labels: np.ndarray, above: np.ndarray) -> Factor:
    """Make ids unique within their parent, labelled by the path from the outermost level."""
    pairs, codes = np.unique(above * len(factor) + factor.codes, return_inverse=True)
    parents, children = np.divmod(pairs, len(factor))
    paths = [
        child if isinstance(child, UnknownUnit) else f"{parent}/{child}"
        for parent, child in zip(parent_labels[parents], factor.labels[children], strict=True)
    ]
    if len(set(paths)) < len(paths):
        twice = Counter(paths).most_common(1)[0][0]
        raise DataError(
            f"Two units of level {factor.name!r} would both be called {twice!r} under "
            "unique_ids=True, because an id contains '/' or is both a number and text. Rename the "
            "ids."
        )
    return Factor(factor.name, objects(paths), codes.astype(np.int64), len(paths))


def _after_known(factor: Factor, known: np.ndarray) -> Factor:
    """Recode units so that the known ones keep their codes and new ones follow."""
    position = {label: code for code, label in enumerate(known)}
    new = [label for label in factor.labels if label not in position]
    check_types(factor.name, new, known)
    position |= {label: len(known) + code for code, label in enumerate(new)}
    recode = np.array([position[label] for label in factor.labels], dtype=np.int64)
    return Factor(factor.name, objects([*known, *new]), recode[factor.codes], len(known))


def _parents(factor: Factor, above: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Return the parent of each unit: the fitted one, or that of the unit's first row."""
    parents = np.empty(len(factor), dtype=np.int64)
    parents[factor.codes[::-1]] = above[::-1]
    parents[: len(fitted)] = fitted
    return parents


def _two_parents(
    ids: list[Factor], level: int, stray: tuple[object, object, object], row: int, fitted: bool
) -> str:
    """Say that a unit has two parents, or that the levels are in the wrong order."""
    parent, child = ids[level - 1].name, ids[level].name
    label, first, second = (show(value) for value in stray)
    right = _right_order(ids)
    if right:
        return (
            f"levels={[factor.name for factor in ids]!r} are in the wrong order: {child!r}={label} "
            f"lies in {parent!r}={first} and in {parent!r}={second}, while each {parent!r} lies in "
            f"one {child!r}. Write levels={right!r}, outermost first."
        )
    when = "when the model was fitted" if fitted else "in an earlier row"
    return (
        f"{child!r}={label} lies in two units of {parent!r}: {first} {when} and {second} in row "
        f"{row} (counted from 0). A unit has one parent: correct the ids, or pass unique_ids=True "
        f"if ids of {child!r} are used again in every {parent!r}."
    )


def _right_order(ids: list[Factor]) -> list[str]:
    """Return the order, other than the given one, in which the levels are nested; or nothing."""
    order = sorted(ids, key=len)
    none = np.empty(0, dtype=np.int64)
    nested = all(
        np.array_equal(_parents(inner, outer.codes, none)[inner.codes], outer.codes)
        for outer, inner in pairwise(order)
    )
    return [factor.name for factor in order] if nested and order != ids else []
