"""Outcomes in unordered categories: their coding, and rows for each category but the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pymc_mlm.data.factor import Factor, encode
from pymc_mlm.data.values import objects, show
from pymc_mlm.errors import DataError

CATEGORY = "category"

Array = np.ndarray[Any, Any]


def code_categories(
    name: str, values: Array, levels: Sequence[Any] | None = None, reference: Any = None
) -> tuple[Array, Array]:
    """Number the categories of an outcome, the reference first.

    Parameters
    ----------
    name : str
        Column of the outcome, for messages.
    values : ndarray, shape (row,)
        Its values: text, whole numbers, truth values.
    levels : sequence, optional
        Categories in the order of the user's column; sorted by default. Those that do not occur are
        left out.
    reference : object, optional
        Category that the others are compared with; the first by default.

    Returns
    -------
    codes : ndarray of float64, shape (row,)
        Place of each row's category.
    labels : ndarray of object, shape (category,)
        The categories.

    Raises
    ------
    DataError
        A value is missing or is a fraction, or the reference does not occur.

    Examples
    --------
    >>> code_categories("vote", np.array(["no", "yes", "no"], dtype=object), reference="yes")
    (array([1., 0., 1.]), array(['yes', 'no'], dtype=object))
    """
    found = encode(name, values)
    labels = found.labels.tolist()
    fraction = next((v for v in labels if isinstance(v, float)), None)
    if fraction is not None:
        raise DataError(
            f"Outcome {name!r} holds {fraction:g}, which is a number and no category. Use a family "
            "for numbers, such as 'gaussian', or make categories of it (pandas.cut)."
        )
    order = [v for v in levels or labels if v in labels]
    if reference is not None:
        if reference not in labels:
            raise DataError(
                f"Outcome {name!r} is never {show(reference)}, the reference that is named; its "
                f"categories are {', '.join(map(show, order))}. Name one of them, in its own "
                "spelling and type."
            )
        order = [reference, *(v for v in order if v != reference)]
    texts = [str(v) for v in order]
    if len({*texts}) < len(texts):
        raise DataError(
            f"Two categories of the outcome {name!r} are written alike: {', '.join(texts)}. Give "
            "all of them one type."
        )
    place = np.array([order.index(v) for v in labels], dtype=np.float64)
    return place[found.codes], objects(order)


def each_category(rows: Factor, by: Sequence[str]) -> Factor:
    """Return a unit for each unit and category, the categories of a unit one after the other.

    Parameters
    ----------
    rows : Factor
        Units of observation, and that of each row of the table.
    by : sequence of str
        Categories but the reference.

    Returns
    -------
    Factor
        Of the table with each row as often as there are categories; the place of a unit's category
        is the rest of its code by their number.

    Examples
    --------
    >>> rows = Factor("id", np.array(["x", "y"], dtype=object), np.array([1, 0]), 2)
    >>> found = each_category(rows, ["b", "c"])
    >>> found.codes.tolist(), found.labels.tolist()
    ([2, 3, 0, 1], ['x, b', 'x, c', 'y, b', 'y, c'])
    """
    count = len(by)
    codes = np.repeat(rows.codes * count, count) + np.tile(np.arange(count), len(rows.codes))
    labels = objects([f"{label}, {category}" for label in rows.labels for category in by])
    return Factor(f"{rows.name}_{CATEGORY}", labels, codes, rows.num_known * count)


def names_by_category(names: Sequence[str], by: Sequence[str], level: str = "") -> tuple[str, ...]:
    """Return the names of coefficients of each category, the categories one after the other.

    Parameters
    ----------
    names : sequence of str
        Columns.
    by : sequence of str
        Categories.
    level : str
        Name of the column of ones, whose coefficients bear the name of the category alone.

    Examples
    --------
    >>> names_by_category(["Intercept", "x"], ["b", "c"], level="Intercept")
    ('b', 'b:x', 'c', 'c:x')
    """
    return tuple(c if name == level else f"{c}:{name}" for c in by for name in names)


def columns_by_category(X: Array, category: Array, count: int) -> Array:
    """Return columns for each category, zero in the rows of the others.

    Parameters
    ----------
    X : ndarray, shape (row, column)
        Columns.
    category : ndarray of int, shape (row,)
        Place of each row's category.
    count : int
        Number of categories.

    Returns
    -------
    ndarray, shape (row, count * column)
        In the order of `names_by_category`.

    Examples
    --------
    >>> columns_by_category(np.array([[5.0], [7.0]]), np.array([0, 1]), 2)
    array([[5., 0.],
           [0., 7.]])
    """
    is_own = category[:, None] == np.arange(count)
    return np.ascontiguousarray((is_own[:, :, None] * X[:, None, :]).reshape(len(X), -1))


def category_means(X: Array, count: int) -> Array:
    """Return the mean of each column in the rows of each category, shape (category, column).

    The rows are those of `each_category`, in the order of its units.
    """
    return np.asarray(X.reshape(-1, count, X.shape[1]).mean(axis=0))


def population_by_category(design: Any, by: Sequence[str]) -> Any:
    """Return a population design with a row for each category, and coefficients of its own.

    Parameters
    ----------
    design : PopulationDesign
        With a row for each unit of observation, and an intercept.
    by : sequence of str
        Categories but the reference.
    """
    count = len(by)
    category = np.tile(np.arange(count), len(design.X))
    return replace(
        design, X=columns_by_category(np.repeat(design.X, count, axis=0), category, count),
        names=names_by_category(design.names, by), intercept=False, terms=design.terms * count,
        offset=np.repeat(design.offset, count), by=tuple(by),
    )  # fmt: skip


def of_one_category(design: Any) -> Any:
    """Return the population design of a single category, which all of them have alike."""
    if not design.by:
        return design
    count = len(design.by)
    width = len(design.names) // count
    first = f"{design.by[0]}:"
    return replace(
        design, X=np.ascontiguousarray(design.X[::count, :width]), intercept=True, by=(),
        names=tuple(name.removeprefix(first) for name in design.names[:width]),
        terms=design.terms[:width], offset=design.offset[::count],
    )  # fmt: skip
