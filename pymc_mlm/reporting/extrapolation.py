"""Warnings of questions about covariates outside the data.

Between the observed values a model is supported by data, beyond them by its form alone.
A value is outside if it lies beyond the observed range widened by a tenth of its width at each
end. Populations are warned about when more than a twentieth of their weight lies outside, or a
row lies farther out than the range is wide; values that a user lists, each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pymc_mlm.decisions import AbstractPopulation, Range
from pymc_mlm.decisions.populations import population_rows

Array = np.ndarray[Any, Any]

MARGIN = 0.1
MOST_OUTSIDE = 0.05
# Weight, relative to the largest, of quadrature points far in the tails of a normal density.
NEGLIGIBLE = 1e-6


def values_outside(name: str, asked: Any, observed: Array) -> list[str]:
    """Return a sentence if any of some values lies outside the observed range.

    Parameters
    ----------
    name : str
        The covariate.
    asked : object or sequence
        Values that are asked about.
    observed : ndarray, shape (row,)
        Values in the fitted rows.

    Returns
    -------
    list of str
        One sentence or none; none for categories and truth values.

    Examples
    --------
    >>> values_outside("age", [50, 500], np.array([20.0, 80.0]))[0][:58]
    "'age' = 500 lies outside the observed range, 20 to 80: the"
    """
    if observed.dtype.kind not in "iuf":
        return []
    # What is no number has an error of its own, where the values are coded.
    values = np.array([v for v in np.atleast_1d(asked) if isinstance(v, (int, float, np.number))])
    found = values[_outside(values, observed, MARGIN)]
    return [_sentence(name, found, observed, "")] if len(found) else []


def population_outside(
    populations: Sequence[AbstractPopulation], sample: Mapping[str, Array], length: int
) -> list[str]:
    """Return a sentence for each covariate whose population lies outside the observed range.

    Parameters
    ----------
    populations : sequence of AbstractPopulation
        As in `population_rows`.
    sample : mapping of str to ndarray, shape (row,)
        Covariates of the analysed persons.
    length : int
        Number of them.
    """
    rows = population_rows(populations, sample, length)
    found = _columns_outside(rows.columns, sample, rows.weight, "{share:.1%} of the population")
    return found + [
        text for p in populations if isinstance(p, Range) for text in _bounds(p, sample)
    ]


def rows_outside(
    asked: Mapping[str, Array], observed: Mapping[str, Array], of: str = "rows"
) -> list[str]:
    """Return a sentence for each column in which new rows lie outside the observed range.

    Parameters
    ----------
    asked, observed : mapping of str to ndarray, shape (row,)
        The same columns of new and of fitted rows.
    of : str
        What the rows are.
    """
    length = len(next(iter(asked.values()), ()))
    return _columns_outside(asked, observed, np.ones(length), f"{{rows}} of {{all}} {of}")


def _columns_outside(
    asked: Mapping[str, Array], sample: Mapping[str, Array], weight: Array, what: str
) -> list[str]:
    found = []
    for name, observed in sample.items():
        values = asked[name]
        if observed.dtype.kind not in "iuf" or values.dtype.kind not in "iuf":
            continue
        out = _outside(values, observed, MARGIN) & (weight > NEGLIGIBLE * weight.max())
        share = float(weight[out].sum() / weight.sum())
        if share > MOST_OUTSIDE or (out & _outside(values, observed, 1.0)).any():
            part = what.format(share=share, rows=int(out.sum()), all=len(out))
            found.append(_sentence(name, values[out], observed, f" ({part})"))
    return found


def _bounds(population: Range, sample: Mapping[str, Array]) -> list[str]:
    observed = sample[population.column]
    finite = [bound for bound in (population.low, population.high) if np.isfinite(bound)]
    beyond = np.array(finite)[_outside(np.array(finite), observed, MARGIN)]
    if not len(beyond):
        return []
    return [
        f"The population {population.label} reaches beyond the observed range of "
        f"{population.column!r}, {observed.min():g} to {observed.max():g}: it is made of the "
        "persons observed within it."
    ]


def _outside(values: Array, observed: Array, margin: float) -> Array:
    low, high = float(observed.min()), float(observed.max())
    width = margin * (high - low)
    return (values < low - width) | (values > high + width)


def _sentence(name: str, values: Array, observed: Array, weight: str) -> str:
    low, high = values.min(), values.max()
    where = f"= {low:.4g}" if low == high else f"from {low:.4g} to {high:.4g}"
    verb = "lies" if low == high else "lie"
    return (
        f"{name!r} {where}{weight} {verb} outside the observed range, {observed.min():g} to "
        f"{observed.max():g}: the answer there rests on the form of the model and not on data."
    )
