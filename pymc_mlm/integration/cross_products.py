r"""A Gaussian outcome with effects integrated out, read from cross products of its table.

Where the entries of the effects' matrix and the linear predictor without effects are

.. math:: B = \sum_q g_q B_q , \qquad o = X_0 + \sum_j c_j X_j ,

with numbers g and c that depend on parameters and matrices that do not, all that is read of the
table are :math:`B_q' B_r`, :math:`B_q' X_j`, :math:`X_i' X_j` and those with the outcome. They are
computed once: a value or a gradient costs the same for any number of rows. Standard deviations,
the Cholesky factors of slopes, and weights that are linear in their parameters, as persistence
of value-added models [1]_, are of this kind.

With :math:`Q R` the decomposition of :math:`(y - X_0, X)`, :math:`t = R\,(1, -c)`,
:math:`H = I + \sum_{qr} g_q g_r B_q' B_r / \sigma^2`,
:math:`b = \sum_q g_q B_q' Q t / \sigma^2` and :math:`m = H^{-1} b`,

.. math:: 2 \log p(y) = -n \log(2 \pi \sigma^2) - \log|H| - t't / \sigma^2 + b'm .

The decomposition in place of :math:`X'X` keeps the residual of an outcome whose mean is far from
zero. The gradient needs :math:`V = H^{-1}` where products are: with
:math:`T = V + m m'`, the derivative by :math:`g_q g_r / \sigma^2` is
:math:`-\langle B_q' B_r, T \rangle / 2`.

References
----------
.. [1] Lockwood, J. R., McCaffrey, D. F., Mariano, L. T., Setodji, C. (2007). Bayesian methods for
   scalable multivariate value-added assessment. Journal of Educational and Behavioral Statistics
   32, 125-150.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pymc_mlm.integration.factor import Factor, factor_of
from pymc_mlm.integration.log_densities import ROW_WEIGHT
from pymc_mlm.integration.rows import Rows

Array = np.ndarray[Any, Any]

# Numbers that are kept, of 24 bytes each.
MOST_PRODUCTS = 20_000_000


class TooManyProductsError(Exception):
    """So many effects meet that their products take more memory than the rows are worth."""


class CrossProducts:
    """What is read of a table whose effects' matrix is a sum of known matrices.

    Parameters
    ----------
    rows : Rows
        The table, of family "gaussian".
    entries : sequence of ndarray, each shape (entry,)
        Entries of each :math:`B_q`.
    offset : ndarray, shape (coefficient + 1, row)
        The constant :math:`X_0` and the covariates :math:`X_j`.

    Raises
    ------
    TooManyProductsError
        There are more than `MOST_PRODUCTS` of them.

    Examples
    --------
    >>> rows = Rows("gaussian", {"value": np.array([1.0, 2.0])}, np.arange(3), np.zeros(2, int), 1)
    >>> products = CrossProducts(rows, [np.ones(2)], np.zeros((1, 2)))
    >>> products.at(np.ones(1), np.zeros(0), 0.0).mode
    array([1.])
    """

    def __init__(self, rows: Rows, entries: Sequence[Array], offset: Array) -> None:
        from scipy.sparse import csr_array

        weight = rows.outcome.get(ROW_WEIGHT)
        root = np.ones(len(rows.counts)) if weight is None else np.sqrt(weight)
        self.rows, self.size = rows, rows.size
        self.count = float(root @ root)
        known = np.vstack([rows.outcome["value"] - offset[0], offset[1:]]) * root
        basis, self.triangle = np.linalg.qr(known.T)
        shape = (len(root), rows.size)
        matrices = [csr_array((e, rows.columns, rows.indptr), shape=shape) for e in entries]
        matrices = [_scaled(B, root) for B in matrices]
        self.toward = np.stack([B.T @ basis for B in matrices])
        self.pairs = [(q, r) for q in range(len(matrices)) for r in range(q, len(matrices))]
        places, of_pair, values = [], [], []
        for number, (q, r) in enumerate(self.pairs):
            product = matrices[q].T @ matrices[r]
            # The factor g_q g_r is that of both B_q'B_r and B_r'B_q.
            found = (product if q == r else product + product.T).tocoo()
            kept = (found.row >= found.col) & (found.data != 0)
            places.append(self._place(found.row[kept], found.col[kept]))
            of_pair.append(np.full(int(kept.sum()), number))
            values.append(found.data[kept])
            if sum(map(len, values)) > MOST_PRODUCTS:
                raise TooManyProductsError
        place = np.concatenate(places)
        order = np.argsort(place, kind="stable")  # neighbours in memory follow each other
        self.place, self.pair = place[order], np.concatenate(of_pair)[order]
        self.value = np.concatenate(values)[order]

    def at(self, scales: Array, coefficients: Array, log_sd: float) -> Collapsed:
        """Integrate the effects out.

        Parameters
        ----------
        scales : ndarray, shape (matrix,)
            The numbers g.
        coefficients : ndarray, shape (coefficient,)
            The numbers c.
        log_sd : float
            Log of the outcome's standard deviation.

        Returns
        -------
        Collapsed

        Raises
        ------
        IntegrationError
            The precision of the effects is not finite.
        """
        from pymc_mlm.integration import kernels

        precision = np.exp(-2 * log_sd)
        by_pair = precision * np.array([scales[q] * scales[r] for q, r in self.pairs])
        flat, (D, C, E) = self._blank()
        kernels.accumulate(self.place, self.pair, self.value, by_pair, flat)
        D += np.eye(D.shape[-1])
        E[np.diag_indices(len(E))] += 1.0
        root = factor_of(self.rows, D, C, E)
        t = self.triangle @ np.concatenate([[1.0], -coefficients])
        b = precision * np.tensordot(scales, self.toward, 1) @ t
        mode = root.solve(b)
        value = 0.5 * (b @ mode - precision * (t @ t)) - root.log_determinant
        value -= self.count * (0.5 * np.log(2 * np.pi) + log_sd)
        return Collapsed(self, scales, float(precision), t, b, root, mode, float(value))

    def contracted(self, root: Factor, mode: Array) -> Array:
        """Return the sum of each pair's products times ``V + m m'``, shape (pair,)."""
        from pymc_mlm.integration import kernels

        V, (units, width) = root.inverse, self.rows.front
        front = self.rows.num_front
        flat, (D, C, E) = self._blank()
        of_units = mode[:front].reshape(units, width)
        D[:] = V.units + of_units[:, :, None] * of_units[:, None, :]
        links = self.rows.links
        C[:] = V.links + mode[front + links.columns, None] * of_units[self._units_of_links]
        np.outer(mode[front:], mode[front:], out=E)
        E += V.others
        # Of the symmetric blocks the lower triangle stands for both.
        flat *= 2
        D[:, np.arange(width), np.arange(width)] *= 0.5
        E[np.diag_indices(len(E))] *= 0.5
        found = np.zeros(len(self.pairs))
        kernels.contract(self.place, self.pair, self.value, flat, found)
        return found

    @cached_property
    def _units_of_links(self) -> Array:
        return np.repeat(np.arange(self.rows.front[0]), np.diff(self.rows.links.starts))

    def _blank(self) -> tuple[Array, tuple[Array, Array, Array]]:
        """Return zeros, and the blocks of a precision in them: D, C and E of a factor."""
        (units, width), others = self.rows.front, self.size - self.rows.num_front
        shapes = (units, width, width), (len(self.rows.links.columns), width), (others, others)
        ends = np.cumsum([np.prod(shape) for shape in shapes])
        flat = np.zeros(int(ends[-1]))
        D, C, E = (x.reshape(s) for x, s in zip(np.split(flat, ends[:-1]), shapes, strict=True))
        return flat, (D, C, E)

    def _place(self, row: Array, column: Array) -> Array:
        """Return where elements of the lower triangle are among the numbers of all blocks."""
        row, column = row.astype(np.int64), column.astype(np.int64)
        (units, width), front = self.rows.front, self.rows.num_front
        links, others = self.rows.links, self.size - front
        of_links = units * width * width
        place = of_links + len(links.columns) * width + (row - front) * others + column - front
        if not units:
            return place
        in_front, linked = row < front, (row >= front) & (column < front)
        r, c = row[in_front], column[in_front]
        place[in_front] = r // width * width**2 + r % width * width + c % width
        r, c = row[linked], column[linked]
        keys = self._units_of_links * others + links.columns
        link = np.searchsorted(keys, c // width * others + r - front)
        place[linked] = of_links + link * width + c % width
        return place


@dataclass(frozen=True, eq=False)
class Collapsed:
    """Effects integrated out at given parameters.

    Attributes
    ----------
    products : CrossProducts
        The table.
    scales : ndarray, shape (matrix,)
        The numbers g.
    precision : float
        Inverse of the outcome's variance.
    residual, right : ndarray
        The vectors t and b.
    root : Factor
        Factor of the precision H.
    mode : ndarray, shape (effect,)
        Mean of the effects, in prior standard deviations.
    value : float
        Log marginal density.
    """

    products: CrossProducts
    scales: Array
    precision: float
    residual: Array
    right: Array
    root: Factor
    mode: Array
    value: float
    second_order = 0.0

    @property
    def shift(self) -> Array:
        """The mean of the effects is their mode."""
        return np.zeros_like(self.mode)

    def gradient(self) -> tuple[Array, Array, Array]:
        """Return the gradient of `value` by scales, coefficients, log standard deviation (1,)."""
        p, g, t, m = self.products, self.scales, self.residual, self.mode
        by_scale = self.precision * (p.toward @ t) @ m
        by_t = self.precision * (np.tensordot(g, p.toward, 1).T @ m - t)
        for (q, r), by_pair in zip(p.pairs, p.contracted(self.root, m), strict=True):
            # By the product g_q g_r, whose derivative by g_q is g_r, twice where q is r.
            half = -0.5 * self.precision * by_pair
            by_scale[q] += half * g[r]
            by_scale[r] += half * g[q]
        V = self.root.inverse
        trace = np.einsum("uaa->", V.units) + np.trace(V.others)
        by_log_sd = -p.count + self.precision * (t @ t) - m @ self.right - m @ m + p.size - trace
        return by_scale, -(p.triangle.T @ by_t)[1:], np.array([by_log_sd])

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw effects (effect, count); also the log of joint density over that of each draw."""
        u, _ = self.root.draw(count, rng)
        u += self.mode[:, None]
        return u, np.full(count, self.value)


def _scaled(matrix: Any, by_row: Array) -> Any:
    """Multiply rows, without zeros that are written."""
    matrix = matrix.copy()
    matrix.data = matrix.data * np.repeat(by_row, np.diff(matrix.indptr))
    matrix.eliminate_zeros()
    matrix.sum_duplicates()
    return matrix
