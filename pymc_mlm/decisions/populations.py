"""Populations: over which covariate rows an effect is averaged.

A population turns the table of the analysed persons into another one. Several are applied in
turn, and both arms are evaluated on the rows that result (g-computation).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.errors import DataError, SpecificationError

Array = np.ndarray[Any, Any]

# Gauss-Legendre nodes over a truncated normal density; 1e-8 for a logistic curve over 16 sd.
QUADRATURE_NODES = 24
WIDEST = 8.0


@dataclass(frozen=True, eq=False)
class PopulationRows:
    """Weighted rows of covariates.

    Attributes
    ----------
    columns : dict of str to ndarray, shape (row,)
        Covariates, not yet coded.
    weight : ndarray, shape (row,)
        Weight of each row, any scale.
    person : ndarray of int, shape (row,)
        Observed person whom the row stands for; ``-1`` if nobody in particular.
    unit : ndarray of int, shape (row,)
        What the Bayesian bootstrap weighs as one: the person, or all rows made from a person.
    """

    columns: dict[str, Array]
    weight: Array
    person: Array
    unit: Array

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.weight)

    def take(self, rows: Array) -> PopulationRows:
        """Return some of the rows, also repeatedly."""
        columns = {name: values[rows] for name, values in self.columns.items()}
        return PopulationRows(columns, self.weight[rows], self.person[rows], self.unit[rows])


class AbstractPopulation(ABC):
    """A change of the covariate rows that an effect is averaged over.

    Of several populations the one with the lower `order` is applied first: a table, then ranges,
    which select observed persons, then values and distributions, which make up new ones.
    """

    order: ClassVar[int] = 5

    @abstractmethod
    def apply(self, rows: PopulationRows, sample: Mapping[str, Array]) -> PopulationRows:
        """Return the rows of the population.

        Parameters
        ----------
        rows : PopulationRows
            Rows so far.
        sample : mapping of str to ndarray
            Covariates of all analysed persons.
        """

    @property
    @abstractmethod
    def label(self) -> str:
        """Name of the population, for reports."""


@dataclass(frozen=True)
class Sample(AbstractPopulation):
    """The analysed persons as they are (bmco's "Empirical" over the whole range)."""

    order: ClassVar[int] = 1

    def apply(self, rows: PopulationRows, sample: Mapping[str, Array]) -> PopulationRows:
        """Return the rows unchanged."""
        return rows

    @property
    def label(self) -> str:
        """Name of the population."""
        return "sample"


@dataclass(frozen=True)
class Range(AbstractPopulation):
    """The analysed persons with a covariate between two bounds, both included.

    Parameters
    ----------
    column : str
        A numeric covariate.
    low, high : float
        Bounds; infinite by default.

    Examples
    --------
    >>> Range("age", 40, 60).label
    '40 <= age <= 60'
    """

    column: str
    low: float = -np.inf
    high: float = np.inf
    order: ClassVar[int] = 2

    def __post_init__(self) -> None:
        """Refuse bounds in the wrong order."""
        _check_bounds(self)

    def apply(self, rows: PopulationRows, sample: Mapping[str, Array]) -> PopulationRows:
        """Keep the rows inside the bounds."""
        values = _numbers(self.column, rows.columns, self.label)
        inside = np.flatnonzero((values >= self.low) & (values <= self.high))
        if not len(inside):
            raise DataError(
                f"Nobody is in the population {self.label}: {self.column!r} runs from "
                f"{values.min():g} to {values.max():g} in {len(values)} rows. Widen the range."
            )
        return rows.take(inside)

    @property
    def label(self) -> str:
        """The range as an inequality."""
        low = "" if self.low == -np.inf else f"{self.low:g} <= "
        high = "" if self.high == np.inf else f" <= {self.high:g}"
        return f"{low}{self.column}{high}"


@dataclass(frozen=True, init=False)
class Value(AbstractPopulation):
    """Everybody at given values of some covariates; the others stay as they are.

    Parameters
    ----------
    **values
        Value by column; ``Value(**{"column with spaces": 1})`` works too.

    Examples
    --------
    >>> Value(age=50).label
    'age = 50'
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    order: ClassVar[int] = 3

    def __init__(self, **values: Any) -> None:
        # `dataclasses.replace` gives the field itself; a value of a column is no mapping.
        if isinstance(values.get("values"), Mapping):
            values = {**values.pop("values"), **values}
        if not values:
            raise SpecificationError("Value() names no covariate. Write, say, Value(age=50).")
        object.__setattr__(self, "values", values)

    def apply(self, rows: PopulationRows, sample: Mapping[str, Array]) -> PopulationRows:
        """Set the columns; the rows then stand for nobody in particular."""
        columns = dict(rows.columns)
        for name, value in self.values.items():
            known = _column(name, columns, self.label)
            columns[name] = np.full(len(rows), value, dtype=_dtype(known, value))
        changed = replace(rows, columns=columns, person=np.full(len(rows), -1))
        return _merge(changed)

    @property
    def label(self) -> str:
        """The values as equations."""
        return ", ".join(f"{name} = {value}" for name, value in self.values.items())


@dataclass(frozen=True)
class TruncatedNormal(AbstractPopulation):
    r"""A normal covariate between two bounds (bmco's "Analytical").

    Its mean and standard deviation are those of all analysed persons, untruncated; the other
    covariates stay as they are, independent of it.

    Parameters
    ----------
    column : str
        A numeric covariate.
    low, high : float
        Bounds.

    Examples
    --------
    >>> TruncatedNormal("age", 40, 60).label
    'age normal within [40, 60]'
    """

    column: str
    low: float = -np.inf
    high: float = np.inf
    order: ClassVar[int] = 4

    def __post_init__(self) -> None:
        """Refuse bounds in the wrong order."""
        _check_bounds(self)

    def apply(self, rows: PopulationRows, sample: Mapping[str, Array]) -> PopulationRows:
        """Cross the other columns with quadrature nodes of the truncated density."""
        values = _numbers(self.column, sample, self.label)
        mean, sd = values.mean(), values.std(ddof=1)
        x, weight = _truncated_normal_nodes((self.low - mean) / sd, (self.high - mean) / sd)
        if not weight.sum() > 0:
            raise DataError(
                f"The population {self.label} is empty: a normal {self.column!r} with mean "
                f"{mean:g} and sd {sd:g} never comes there. Widen the range."
            )
        blank = replace(rows, columns={**rows.columns, self.column: np.zeros(len(rows))})
        others = _merge(replace(blank, person=np.full(len(rows), -1)))
        crossed = others.take(np.repeat(np.arange(len(others)), len(x)))
        columns = {**crossed.columns, self.column: np.tile(mean + sd * x, len(others))}
        weights = crossed.weight * np.tile(weight / weight.sum(), len(others))
        return replace(crossed, columns=columns, weight=weights)

    @property
    def label(self) -> str:
        """The bounds."""
        return f"{self.column} normal within [{self.low:g}, {self.high:g}]"


@dataclass(frozen=True, eq=False)
class Table(AbstractPopulation):
    """Rows of the user's own.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (row,)
        All covariates of the model.
    weight : ndarray, shape (row,), optional
        Weights of the rows; equal by default.
    of : {"rows", "persons"}
        What the rows are, for reports.
    """

    columns: Mapping[str, Array]
    weight: Array | None = None
    of: str = "rows"
    order: ClassVar[int] = 0

    def apply(self, rows: PopulationRows, sample: Mapping[str, Array]) -> PopulationRows:
        """Return the user's rows."""
        length = len(next(iter(self.columns.values())))
        weight = np.ones(length) if self.weight is None else np.asarray(self.weight, dtype=float)
        if weight.shape != (length,) or not (weight >= 0).all() or not weight.sum() > 0:
            raise DataError(
                f"The population's weights have shape {weight.shape} for {length} rows, or are "
                "negative or all zero. Give one weight of zero or more per row."
            )
        columns = {name: np.asarray(self.columns[name]) for name in sample}
        return PopulationRows(columns, weight, np.full(length, -1), np.arange(length))

    @property
    def label(self) -> str:
        """Say that it is the user's."""
        return f"table of {len(next(iter(self.columns.values())))} {self.of}"


def as_populations(population: Any) -> tuple[AbstractPopulation, ...]:
    """Return a population, several of them or none as a tuple.

    Raises
    ------
    SpecificationError
        Something is no population.
    """
    if population is None:
        return (Sample(),)
    several = population if isinstance(population, (list, tuple)) else (population,)
    for item in several:
        if not isinstance(item, AbstractPopulation):
            # A table is too long to be shown.
            shown = f"A {type(item).__name__}" if hasattr(item, "shape") else repr(item)
            raise SpecificationError(
                f"{shown} is no population. Use Sample(), Range(...), Value(...), "
                "TruncatedNormal(...), several of them in a list, or a table of covariates."
            )
    return tuple(several)


def population_rows(
    populations: Sequence[AbstractPopulation], sample: Mapping[str, Array], length: int
) -> PopulationRows:
    """Apply populations in turn to the analysed persons.

    Parameters
    ----------
    populations : sequence of AbstractPopulation
        In any order; see `AbstractPopulation`.
    sample : mapping of str to ndarray, shape (row,)
        Covariates of the analysed persons.
    length : int
        Number of them.

    Returns
    -------
    PopulationRows

    Examples
    --------
    >>> sample = {"age": np.array([30.0, 50.0, 70.0])}
    >>> population_rows([Range("age", 40)], sample, 3).columns["age"]
    array([50., 70.])
    """
    persons = np.arange(length)
    rows = PopulationRows(dict(sample), np.ones(length), persons, persons)
    for population in sorted(populations, key=lambda p: p.order):
        rows = population.apply(rows, sample)
    return rows


def _merge(rows: PopulationRows) -> PopulationRows:
    """Join rows that have become alike; without covariates left to differ, one remains."""
    if not rows.columns:
        return rows
    kind = np.zeros(len(rows), dtype=np.int64)
    for values in rows.columns.values():
        keys = values.astype(str) if values.dtype == object else values
        _, code = np.unique(keys, return_inverse=True)
        kind = np.unique(kind * (code.max() + 1) + code, return_inverse=True)[1]
    _, first = np.unique(kind, return_index=True)
    if len(first) == len(rows):
        return rows
    merged = rows.take(first)
    return replace(merged, weight=np.bincount(kind, weights=rows.weight))


def _truncated_normal_nodes(low: float, high: float) -> tuple[Array, Array]:
    low, high = max(low, -WIDEST), min(high, WIDEST)
    if low >= high:
        return np.zeros(1), np.zeros(1)
    # Panels of at most four sd keep few nodes exact over any range.
    panels = max(1, int(np.ceil((high - low) / 4.0)))
    edges = np.linspace(low, high, panels + 1)
    node, weight = np.polynomial.legendre.leggauss(QUADRATURE_NODES // 2)
    half = np.diff(edges)[:, None] / 2
    x = ((edges[:-1] + edges[1:])[:, None] / 2 + half * node).ravel()
    return x, (half * weight).ravel() * np.exp(-0.5 * x**2)


def _check_bounds(population: Any) -> None:
    low, high = population.low, population.high
    if not low < high:
        raise SpecificationError(
            f"{type(population).__name__}({population.column!r}, {low!r}, {high!r}) is empty: "
            "low must be below high."
        )


def _column(name: str, columns: Mapping[str, Array], label: str) -> Array:
    if name not in columns:
        raise SpecificationError(
            f"The population {label} names {name!r}, which is no covariate of the model; its "
            f"covariates are: {', '.join(columns) or '(none)'}."
        )
    return columns[name]


def _numbers(name: str, columns: Mapping[str, Array], label: str) -> Array:
    values = _column(name, columns, label)
    if values.dtype.kind not in "biuf":
        raise SpecificationError(
            f"The population {label} needs numbers, and {name!r} holds values such as "
            f"{values[0]!r}. Use Value({name}=...) for a category."
        )
    return values.astype(float)


def _dtype(known: Array, value: Any) -> Any:
    if known.dtype.kind in "biuf" and not isinstance(value, (int, float, np.number, np.bool_)):
        raise SpecificationError(f"{value!r} is no number, but the covariate holds numbers.")
    if known.dtype.kind == "b" and value not in (0, 1):
        raise SpecificationError(
            f"{value!r} is no truth value, but the covariate holds True and False."
        )
    return float if known.dtype.kind in "iuf" else known.dtype
