"""What varies between nested units: the tree, the varying columns, and where each one varies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pymc_mlm.data.by_category import columns_by_category, names_by_category
from pymc_mlm.data.nesting import Nesting
from pymc_mlm.data.population import INTERCEPT
from pymc_mlm.errors import DataError, SpecificationError

# A mean beyond so many standard deviations from zero: the intercept is an extrapolation.
FAR_FROM_ZERO = 5.0
# Beyond so many, float64 cannot tell the slopes from the intercepts: their information has a
# condition number of the square.
TOO_FAR_FROM_ZERO = 1e6


@dataclass(frozen=True, eq=False)
class NestedDesign:
    """Units within units, and the columns whose coefficients vary between them.

    Attributes
    ----------
    name : str
        Prefix of the term's variables; empty for none.
    nesting : Nesting
        Units of all levels and the leaf of each row.
    num_known : tuple of int
        Units of each level that were fitted; those after them are new.
    columns : tuple of str
        Names of all varying columns.
    values : tuple of ndarray, each of shape (row,)
        Their values, ones for the intercept; views where the population has the same column.
    varies : ndarray of bool, shape (level, column)
        Which column varies at which level.
    means, spreads : ndarray, shape (column,)
        Mean and standard deviation of each column in the fitted rows (0 and 1 for the
        intercept): scale of the default priors.
    coded : mapping of str to PopulationDesign
        Coding of each formula, for new data.
    by : tuple of str
        Categories that each have these columns, one category after the other.
    of_one : tuple of str
        Names of the columns of a single category, or of all.
    """

    name: str
    nesting: Nesting
    num_known: tuple[int, ...]
    columns: tuple[str, ...]
    values: tuple[np.ndarray, ...]
    varies: np.ndarray
    means: np.ndarray
    spreads: np.ndarray
    coded: Mapping[str, Any]
    by: tuple[str, ...] = ()
    of_one: tuple[str, ...] = ()

    @property
    def is_intercept(self) -> np.ndarray:
        """Whether each column is one of ones, of all rows or of a category, shape (column,)."""
        own = self.of_one or self.columns
        return np.tile([name == INTERCEPT for name in own], max(len(self.by), 1))

    @property
    def slopes(self) -> tuple[str, ...]:
        """Names of the columns that are no intercepts."""
        named = zip(self.columns, self.is_intercept, strict=True)
        return tuple(name for name, is_intercept in named if not is_intercept)

    def by_category(self, by: tuple[str, ...]) -> NestedDesign:
        """Return the design with columns for each category; the rows are those of categories."""
        count = len(by)
        category = np.arange(len(self.nesting.leaf)) % count
        values = tuple(columns_by_category(self.Z, category, count).T)
        columns, varies = names_by_category(self.columns, by, INTERCEPT), self.varies
        return replace(
            self, columns=columns, values=values, varies=np.tile(varies, (1, count)),
            means=np.tile(self.means, count), spreads=np.tile(self.spreads, count), by=by,
            of_one=self.columns,
        )  # fmt: skip

    @property
    def Z(self) -> np.ndarray:
        """The varying columns side by side, shape (row, column); put together at each call."""
        return np.column_stack(self.values)

    @property
    def levels(self) -> tuple[str, ...]:
        """Id columns, outermost first."""
        return self.nesting.levels

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Prefix of each level's variables."""
        return tuple(f"{self.name}_{level}" if self.name else level for level in self.levels)

    def coefs(self, level: int) -> tuple[str, ...]:
        """Return the names of the coefficients that vary at a level, by its position."""
        return tuple(c for c, v in zip(self.columns, self.varies[level], strict=True) if v)

    def sizes_of_effects(self, level: int) -> np.ndarray:
        """Return how large effects of a level may be, per spread of the predictor, (coef,).

        Those of slopes per standard deviation of their column; an intercept, at zero of the
        columns, has what such slopes of its category add between mean and zero.
        """
        at = self.varies[level]
        ratio = (self.means[at] / self.spreads[at]) ** 2
        wide = np.sqrt(1.0 + ratio.sum() / max(len(self.by), 1))
        return np.where(self.is_intercept[at], wide, 1.0 / self.spreads[at])

    def pairs(self, level: int) -> tuple[str, ...]:
        """Return the names of a level's correlations, row by row."""
        names = self.coefs(level)
        return tuple(f"{names[j]}, {names[i]}" for i in range(len(names)) for j in range(i))

    def pair_places(self, level: int) -> list[int]:
        """Return where a level's partial correlations stand among those of all columns."""
        places = np.flatnonzero(self.varies[level])
        return [int(i * (i - 1) // 2 + j) for n, i in enumerate(places) for j in places[:n]]


def nested_design(
    name: str,
    nesting: Nesting,
    at_level: Mapping[str, tuple[Sequence[str], Sequence[np.ndarray] | np.ndarray]],
    coded: Mapping[str, Any],
    known: NestedDesign | None = None,
) -> NestedDesign:
    """Put the varying columns of all levels together.

    Parameters
    ----------
    name : str
        Prefix of variables.
    nesting : Nesting
        Units.
    at_level : mapping of str to (names, columns)
        Columns that vary at each level: one vector each, or a matrix (row, column).
    coded : mapping of str to PopulationDesign
        Coding of the formulas.
    known : NestedDesign, optional
        Fitted design.

    Returns
    -------
    NestedDesign

    Raises
    ------
    DataError
        A slope is to vary at a level whose units have one value of the covariate each, or the
        covariate lies so far from zero that varying intercepts there cannot be computed.
    SpecificationError
        Nothing varies at a level.
    """
    found = {
        name: column
        for names, values in at_level.values()
        for name, column in zip(
            names, values.T if isinstance(values, np.ndarray) else values, strict=True
        )
    }
    before = () if known is None else known.of_one or known.columns
    columns = before or tuple(sorted(found, key=lambda n: n != INTERCEPT))
    values = tuple(found[n] for n in columns)
    varies = np.array([[n in at_level[level][0] for n in columns] for level in nesting.levels])
    if known is None:
        idle = [level for level, at in zip(nesting.levels, varies, strict=True) if not at.any()]
        if idle:
            raise SpecificationError(
                f"Nothing varies between units of {idle[0]!r}: varying= gives this level no "
                f"coefficient. Write varying={{{idle[0]!r}: '1'}}, or leave {idle[0]!r} out of "
                "levels."
            )
        _check_within_variation(nesting, columns, values, varies)
        fixed = np.array([n == INTERCEPT for n in columns])
        means = np.where(fixed, 0.0, [x.mean() for x in values])
        spreads = np.where(fixed, 1.0, [x.std() for x in values])
        check_near_zero(columns, means, spreads)
        num_known = tuple(int(n) for n in nesting.sizes)
    else:
        count = len(columns)
        means, spreads, num_known = known.means[:count], known.spreads[:count], known.num_known
    return NestedDesign(name, nesting, num_known, columns, values, varies, means, spreads, coded)


def varies_within(values: np.ndarray, codes: np.ndarray, num_units: int) -> bool:
    """Tell whether a column has two values in some unit."""
    first = np.empty(num_units, dtype=values.dtype)
    first[codes[::-1]] = values[::-1]
    return bool(np.any(first[codes] != values))


def columns_far_from_zero(design: Any) -> tuple[str, ...]:
    """Say which varying slopes make the varying intercept an extrapolation.

    Parameters
    ----------
    design : NestedDesign or another with `columns`, `means` and `spreads`
        Fitted design.

    Returns
    -------
    tuple of str
        One sentence per column.
    """
    if INTERCEPT not in design.columns:
        return ()
    return tuple(
        f"The slope of {name!r} varies, and its mean ({mean:.4g}) is {abs(mean) / spread:.0f} "
        "standard deviations from 0, where the varying intercept is: the two are almost perfectly "
        f"correlated, and priors decide much. Use center({name}) in formula and varying."
        for name, mean, spread in zip(design.columns, design.means, design.spreads, strict=True)
        if abs(mean) > FAR_FROM_ZERO * spread
    )


def check_near_zero(columns: Sequence[str], means: np.ndarray, spreads: np.ndarray) -> None:
    """Refuse varying slopes of columns too far from zero for float64.

    Raises
    ------
    DataError
        The column is named.
    """
    far = np.flatnonzero(np.abs(means) > TOO_FAR_FROM_ZERO * spreads)
    if INTERCEPT in columns and len(far):
        name, mean, spread = columns[far[0]], means[far[0]], spreads[far[0]]
        raise DataError(
            f"The slope of {name!r} varies, and its mean ({mean:.6g}) is {abs(mean) / spread:.3g} "
            "standard deviations from 0, where the varying intercept is: rounding does not leave "
            f"enough to tell the two apart. Use center({name}) in formula and varying, or subtract "
            "a constant first."
        )


def _check_within_variation(
    nesting: Nesting, columns: Sequence[str], values: Sequence[np.ndarray], varies: np.ndarray
) -> None:
    for level, at in zip(nesting.levels, varies, strict=True):
        codes, size = nesting.codes(level), len(nesting.labels[nesting.levels.index(level)])
        for i in np.flatnonzero(at).tolist():
            if columns[i] != INTERCEPT and not varies_within(values[i], codes, size):
                raise DataError(
                    f"{columns[i]!r} has one value in every {level!r}: its slope cannot vary "
                    f"between units of {level!r}. Let it vary at an outer level only, such as "
                    f"varying={{{nesting.levels[0]!r}: '1 + {columns[i]}'}}, or keep it in the "
                    "formula alone."
                )
