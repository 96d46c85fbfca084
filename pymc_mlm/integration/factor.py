"""The Cholesky factor of a precision of effects.

Units of which each row has one are eliminated first, as lme4 and MixedModels.jl do. What is left is
dense, and small where most effects are of such units.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.linalg import lapack

from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.integration.precision import AbstractPrecision, Covariances

if TYPE_CHECKING:
    from pymc_mlm.integration.rows import Rows

Array = np.ndarray[Any, Any]

NOT_CURVED = "the log density of the effects is not curved downwards at its mode"


class Inverse(NamedTuple):
    """Where rows have entries, the inverse of a precision: the covariance of effects."""

    units: Array  # (unit, width, width)
    links: Array  # (link, width)
    others: Array  # (other, other), lower triangle


@dataclass(frozen=True, eq=False)
class Factor(AbstractPrecision):
    """Cholesky factor of ``I + B'WB``.

    Attributes
    ----------
    rows : Rows
        The table.
    units : ndarray, shape (unit, width, width)
        Lower factors of the units that are eliminated first.
    links : ndarray, shape (link, width)
        What they leave in the columns of other effects.
    others : ndarray, shape (other, other)
        Upper factor of what is left, in Fortran order.
    """

    rows: Rows
    units: Array
    links: Array
    others: Array

    @cached_property
    def log_determinant(self) -> float:
        """Log determinant of the factor, half that of the precision."""
        units = np.log(np.diagonal(self.units, axis1=1, axis2=2)).sum()
        return float(units + np.log(np.diagonal(self.others)).sum())

    def solve(self, b: Array) -> Array:
        """Solve with the precision, for a vector or the columns of a matrix."""
        from pymc_mlm.integration import kernels

        x = np.array(b, dtype=np.float64).reshape(len(b), -1)
        front = self._front(x)
        kernels.forward(*front)
        at = self.rows.num_front
        if len(self.others):
            x[at:] = lapack.dpotrs(self.others, x[at:], lower=0)[0]
        kernels.backward(*front)
        return x.reshape(b.shape)

    def scale(self, z: Array) -> Array:
        """Solve with the transposed factor: standard normals become draws; (effect, draw)."""
        from pymc_mlm.integration import kernels

        x, at = np.array(z), self.rows.num_front
        if len(self.others):
            x[at:] = lapack.dtrtrs(self.others, x[at:], lower=0)[0]
        kernels.backward(*self._front(x))
        return x

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw normal vectors with this precision, and half of their squares in its metric."""
        z = rng.standard_normal((self.rows.size, count))
        return self.scale(z), 0.5 * (z * z).sum(axis=0)

    def covariances(self, entries: Array) -> Covariances:
        """Return what the inverse tells of the rows."""
        from pymc_mlm.integration import kernels

        by_entry, variance = np.empty(len(entries)), np.empty(len(self.rows.counts))
        kernels.covariances(*self._layout, entries, *self.inverse, by_entry, variance)
        return Covariances(by_entry, variance, variance**2)

    def cubes(self, entries: Array, l3: Array) -> float:
        """Return the sum of ``l3_i h_ij^3 l3_j`` over pairs of rows with the same effects."""
        from pymc_mlm.integration import kernels

        if self.rows.patterns is None:
            return float(l3**2 @ self.covariances(entries).variance ** 3)
        where = *self.rows.patterns, *self._layout
        return float(kernels.cubes(*where, entries, *self.inverse, l3))

    @property
    def _layout(self) -> tuple[Array, ...]:
        rows = self.rows
        return rows.indptr, rows.columns, rows.links.unit, rows.links.link

    @cached_property
    def inverse(self) -> Inverse:
        """Return the inverse where rows have entries."""
        from pymc_mlm.integration import kernels

        V = self.others
        if len(V):
            V = lapack.dpotri(V, lower=0)[0]
        found = Inverse(np.empty_like(self.units), np.empty_like(self.links), V.T)
        links = self.rows.links
        kernels.invert(
            links.starts, links.columns, self.units, self.links, found.others, *found[:2]
        )
        return found

    def _front(self, x: Array) -> tuple[Array, ...]:
        links = self.rows.links
        return links.starts, links.columns, self.units, self.links, x


def factor(rows: Rows, entries: Array, W: Array) -> Factor:
    """Return the factor of ``I + B'WB``.

    Parameters
    ----------
    rows : Rows
        The table.
    entries : ndarray, shape (entry,)
        Entries of B.
    W : ndarray, shape (row,)
        Curvature of each row.

    Raises
    ------
    IntegrationError
        The matrix is not positive definite, or not finite.

    Examples
    --------
    >>> from pymc_mlm.integration.rows import Rows
    >>> rows = Rows("gaussian", {}, np.arange(3), np.array([0, 0]), 1)
    >>> factor(rows, np.ones(2), np.full(2, 4.0)).solve(np.array([18.0]))
    array([2.])
    """
    from pymc_mlm.integration import kernels

    links, (units, width), others = rows.links, rows.front, rows.size - rows.num_front
    D = np.broadcast_to(np.eye(width), (units, width, width)).copy()
    C, E = np.zeros((len(links.columns), width)), np.zeros((others, others))
    E[np.diag_indices(others)] = 1.0
    kernels.assemble(rows.indptr, rows.columns, links.unit, links.link, entries, W, D, C, E)
    return factor_of(rows, D, C, E)


def factor_of(rows: Rows, D: Array, C: Array, E: Array) -> Factor:
    """Return the factor of a precision whose blocks are given, which it takes over.

    Parameters
    ----------
    rows : Rows
        The table.
    D : ndarray, shape (unit, width, width)
        Blocks of the units that are eliminated first.
    C : ndarray, shape (link, width)
        Elements between them and other effects.
    E : ndarray, shape (other, other)
        Block of the others; the lower triangle is read.

    Raises
    ------
    IntegrationError
        The matrix is not positive definite, or not finite.
    """
    from pymc_mlm.integration import kernels

    links = rows.links
    is_positive, root, failed = kernels.eliminate(links.starts, links.columns, D, C, E), E.T, 0
    if len(E):
        root, failed = lapack.dpotrf(root, lower=0, clean=0, overwrite_a=1)
    if failed or not is_positive or not np.isfinite(np.diagonal(root)).all():
        raise IntegrationError(NOT_CURVED)
    return Factor(rows, D, C, root)
