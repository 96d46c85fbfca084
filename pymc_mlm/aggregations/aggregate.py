"""Columns of groups' features beside the rows of a table of memberships."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pymc_mlm.aggregations.base import AbstractAggregation, Rows
from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.factor import encode
from pymc_mlm.data.frame import column_names, columns, open_table, rows_of
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.weights import AbstractWeight, as_weight


def aggregate(
    table: Any,
    group: str,
    features: Mapping[str, AbstractAggregation],
    weight: str | AbstractWeight = "1 / n",
) -> Any:
    """Add features of groups to a table of memberships, for the formula of a model.

    Parameters
    ----------
    table : dataframe or mapping of str to array_like
        One row per membership.
    group : str
        Column of the groups.
    features : mapping of str to AbstractAggregation
        New columns by name, such as ``{"spread": Variance("cohesion")}``.
    weight : str or AbstractWeight, default "1 / n"
        Weights of the members, as in `mm`, without free parameters; scaled to sum to one.

    Returns
    -------
    dataframe or dict of ndarray
        The table in its own library, with the new columns, constant within groups.

    Raises
    ------
    DataError
        A column is missing or no number, or the weights of a group are negative or sum to zero.
    SpecificationError
        The weight has free parameters, or a name is taken.

    Examples
    --------
    >>> from pymc_mlm.aggregations import Concentration, Variance
    >>> table = {"g": [1, 1, 2], "x": [0.0, 2.0, 5.0], "seats": [3, 1, 2]}
    >>> new = aggregate(table, "g", {"spread": Variance("x"), "hhi": Concentration()}, "seats")
    >>> new["spread"].tolist(), new["hhi"].tolist()
    ([0.75, 0.75, 0.0], [0.625, 0.625, 1.0])
    """
    function = as_weight(weight)
    if function.parameters:
        raise SpecificationError(
            f"aggregate: the weight {function.label!r} has the free parameters "
            f"{', '.join(function.parameters)}, and a column is computed before the model. Give "
            "them values, and compare models of several with compare_weights."
        )
    _check_names(features, column_names(table))
    own = tuple(dict.fromkeys(c for f in features.values() for c in f.columns))
    needed = [group, *own, *function.columns]
    read = columns(open_table(table, needed), needed)
    factor = encode(group, read[group])
    order = np.argsort(factor.codes, kind="stable")
    codes = factor.codes[order]
    counts = np.bincount(codes, minlength=len(factor))
    numbers = {c: as_numbers(c, read[c])[order] for c in (*own, *function.columns)}
    indptr = np.concatenate([[0], np.cumsum(counts)])

    rows = Rows(numbers, codes, indptr)
    raw = function.resolve(numbers, codes, indptr).value
    assert raw is not None  # there are no free parameters
    wrong = np.flatnonzero((raw < 0) | (rows.total(raw) <= 0))
    if len(wrong):
        label = show(factor.labels[codes[wrong[0]]])
        raise DataError(
            f"The weights {function.label!r} are negative or sum to zero in {group!r}={label}. "
            "Correct the column, or leave the group out."
        )
    w = raw / rows.total(raw)
    back = np.argsort(order, kind="stable")
    new = {name: f.of(w, rows, *(numbers[c] for c in f.columns))[back]
           for name, f in features.items()}  # fmt: skip
    return rows_of(table, np.arange(len(back)), [], new)


def _check_names(features: Any, have: list[str]) -> None:
    if not isinstance(features, Mapping) or not features:
        raise SpecificationError(
            'aggregate: features maps names to aggregations, such as {"spread": Variance("x")}.'
        )
    for name, feature in features.items():
        if name in have:
            raise SpecificationError(
                f"aggregate: the table has a column {name!r} already. Name the feature otherwise."
            )
        if not isinstance(feature, AbstractAggregation):
            raise SpecificationError(
                f"aggregate: {name!r} is {feature!r}, which is no aggregation like Variance('x')."
            )
