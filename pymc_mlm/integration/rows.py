"""A table as rows of a sparse matrix of effects; what no parameter changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pymc_mlm.integration.log_densities import (
    LOG_DENSITIES,
    ROW_WEIGHT,
    Derivatives,
    LogDensity,
    weighted,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = np.ndarray[Any, Any]

# Rows of more entries than this have units of their own; sums over pairs of rows are left out.
MOST_SHARED = 4
# Numbers that are worked on at once: larger intermediate arrays cost ten times their arithmetic.
IN_CACHE = 16384


class Links(NamedTuple):
    """Pairs of a front unit and another effect that meet in a row, sorted."""

    unit: Array  # front unit of each row
    link: Array  # link of each entry; no matter at those of the front
    starts: Array  # first link of each unit, (unit + 1,)
    columns: Array  # the other effect of each link, counted from the first behind the front


@dataclass(frozen=True, eq=False)
class Rows:
    """Outcomes, and which effects enter each row.

    Attributes
    ----------
    family : str
        Key of `LOG_DENSITIES`.
    outcome : mapping of str to ndarray, shape (row,)
        Outcome by role.
    indptr : ndarray of int, shape (row + 1,)
        First entry of each row.
    columns : ndarray of int, shape (entry,)
        Effect of each entry.
    size : int
        Number of effects.
    front : tuple of int
        Number of units of which each row has exactly one, and of effects of each. They are the
        first effects, unit by unit, and the first entries of each row. (0, 0) if there are none.
    """

    family: str
    outcome: Mapping[str, Array]
    indptr: Array
    columns: Array
    size: int
    front: tuple[int, int] = (0, 0)

    @property
    def density(self) -> LogDensity:
        """Log density of the family, times the weights of rows where the outcome has them."""
        plain = LOG_DENSITIES[self.family]
        return weighted(plain) if ROW_WEIGHT in self.outcome else plain

    @property
    def num_front(self) -> int:
        """Number of effects of the front units."""
        return self.front[0] * self.front[1]

    @cached_property
    def counts(self) -> Array:
        """Entries of each row."""
        return np.diff(self.indptr)

    @cached_property
    def owners(self) -> Array:
        """Row of each entry."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    @cached_property
    def links(self) -> Links:
        """Which other effects each front unit meets."""
        (units, width), others = self.front, self.size - self.num_front
        if not units:
            none = np.zeros(0, dtype=np.int64)
            return Links(none, none, np.zeros(1, dtype=np.int64), none)
        unit = self.columns[self.indptr[:-1]] // width
        behind = self.columns >= self.num_front
        keys = unit[self.owners[behind]] * others + self.columns[behind] - self.num_front
        found, place = np.unique(keys, return_inverse=True)
        link = np.zeros(len(self.columns), dtype=np.int64)
        link[behind] = place
        starts = np.searchsorted(found, np.arange(units + 1) * others)
        return Links(unit, link, starts, found % max(others, 1))

    @cached_property
    def patterns(self) -> tuple[Array, Array] | None:
        """Order of rows by their effects, and start of each run; None if most differ."""
        count = int(self.counts[0])
        if not (self.counts == count).all() or not 0 < count <= MOST_SHARED:
            return None
        columns = self.columns.reshape(-1, count)
        order = np.lexsort(columns.T)
        changes = (np.diff(columns[order], axis=0) != 0).any(axis=1)
        starts = np.concatenate([[0], np.flatnonzero(changes) + 1, [len(order)]])
        return None if 2 * len(starts) > len(order) else (order, starts)

    def times(self, entries: Array, effects: Array) -> Array:
        """Return ``B u``, shape (row,) or (row, vector) as are the effects."""
        from pymc_mlm.integration import free_kernels

        x = np.ascontiguousarray(effects.reshape(len(effects), -1))
        if x.shape[1] == 1:
            one = np.empty(len(self.counts))
            free_kernels.times_one(self.indptr, self.columns, entries, x[:, 0], one)
            return one.reshape(-1, *effects.shape[1:])
        out = np.zeros((len(self.counts), x.shape[1]))
        free_kernels.times(self.indptr, self.columns, entries, x, out)
        return out.reshape(-1, *effects.shape[1:])

    def transposed(self, entries: Array, values: Array) -> Array:
        """Return ``B' x``, shape (effect,) or (effect, vector) as are the values."""
        from pymc_mlm.integration import free_kernels

        y = np.ascontiguousarray(values.reshape(len(values), -1))
        if y.shape[1] == 1:
            one = np.zeros(self.size)
            free_kernels.transposed_one(self.indptr, self.columns, entries, y[:, 0], one)
            return one.reshape(-1, *values.shape[1:])
        out = np.zeros((self.size, y.shape[1]))
        free_kernels.transposed(self.indptr, self.columns, entries, y, out)
        return out.reshape(-1, *values.shape[1:])

    def squares(self, entries: Array) -> Array:
        """Return the diagonal of ``B B'``, shape (row,), but for a row with an effect twice."""
        from pymc_mlm.integration import free_kernels

        out = np.empty(len(self.counts))
        free_kernels.squares(self.indptr, entries, out)
        return out

    def matrix(self, entries: Array) -> csr_array:
        """Return B, shape (row, effect)."""
        from scipy.sparse import csr_array

        return csr_array((entries, self.columns, self.indptr), shape=(len(self.counts), self.size))

    def log_density(self, eta: Array, parameters: Array) -> Array:
        """Return the sum over rows, for each further axis of the linear predictor."""
        if self.density.total is not None:
            return self.density.total(self.outcome, eta, parameters)
        total = np.zeros(eta.shape[1:])
        for _, values in self._blocks(eta, parameters):
            total += values.sum(axis=0)
        return total

    def log_density_by_unit(self, eta: Array, parameters: Array) -> Array:
        """Return sums over the rows of each front unit, (unit, vector), for eta (row, vector)."""
        from scipy.sparse import csr_array

        order = np.argsort(self.links.unit, kind="stable")
        ends = np.searchsorted(self.links.unit[order], np.arange(self.front[0] + 1))
        shape, total = (self.front[0], len(eta)), np.empty((len(eta), eta.shape[1]))
        for at, values in self._blocks(eta, parameters):
            total[at] = values
        return np.asarray(csr_array((np.ones(len(eta)), order, ends), shape=shape) @ total)

    def _blocks(self, eta: Array, parameters: Array) -> Iterator[tuple[slice, Array]]:
        """Yield rows and their log densities, few enough to stay in the cache."""
        block = max(IN_CACHE // max(int(np.prod(eta.shape[1:])), 1), 1)
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, len(eta), block):
                at = slice(first, first + block)
                outcome = {k: v[at] for k, v in self.outcome.items()}
                if eta.ndim > 1:
                    outcome = {k: v[:, None] for k, v in outcome.items()}
                yield at, self.density.value(outcome, eta[at], parameters)

    def derivatives(self, eta: Array, parameters: Array) -> Derivatives:
        """Return the derivatives of every row's log density."""
        return self.density.derivatives(self.outcome, eta, parameters)
