r"""Rows of a Gaussian outcome left out: densities given the rest, effects integrated out exactly.

With :math:`y \mid \theta \sim N(o, V)`, :math:`Q = V^{-1}` and :math:`r = y - o`, the density of
block b given all other rows is

.. math:: \log p(y_b \mid y_{-b}, \theta) = -\tfrac{n_b}{2} \log 2\pi + \tfrac12 \log |Q_{bb}|
    - \tfrac12 (Qr)_b' Q_{bb}^{-1} (Qr)_b .

For single rows these are the formulas of Sundararajan and Keerthi (2001). Rows that stand for
several are written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.comparison.blocks import Blocks
from pymc_mlm.comparison.entries import EffectGraph
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit

# Numbers of matrices that are worked on at once; a matrix of more is sparse, and alone.
MOST_DENSE = 2**17


def exact_densities(graph: EffectGraph, blocks: Blocks) -> np.ndarray:
    """Return log densities of blocks given all other rows, shape (chain, draw, block).

    Parameters
    ----------
    graph : EffectGraph
        The terms of a fitted model of a Gaussian outcome, all effects among its parts.
    blocks : Blocks
        Rows that are left out together.
    """
    fit, parts, y = graph.fit, graph.parts, graph.fit.design.outcome["value"]
    ends = np.cumsum([0, *(int(np.prod(p.shape)) for p in parts)])
    rows = np.concatenate([p.rows for p in parts])
    columns = np.concatenate([a + p.columns for a, p in zip(ends, parts, strict=False)])
    times = np.arange(len(y))
    if fit.design.weights is not None:
        blocks = blocks.written_out(fit.design.weights)
        times = np.repeat(times, fit.design.weights.astype(np.int64))
    sigma = fit.posterior["sigma"].values
    matrices, of_population, draws = graph.matrices(), graph.population(), sigma.ravel()
    together = MOST_DENSE // (len(times) * int(ends[-1]))
    found = []
    for first in range(0, len(draws), max(1, together)):
        at = slice(first, first + max(1, together))
        evaluated = [matrices(s)[:2] for s in range(len(draws))[at]]
        terms, entries = (np.stack(values) for values in zip(*evaluated, strict=True))
        scale = draws[at, None]
        residual = (y - of_population[at] - terms) / scale
        build = _dense if together else _sparse
        B = build(entries / scale, rows, columns, (len(y), int(ends[-1])), times)
        # `compare_weights` refuses what is not finite.
        with np.errstate(all="ignore"):
            try:
                each = given_others(B, residual[:, times], blocks)
            except np.linalg.LinAlgError:
                raise SpecificationError(_singular(fit, draws[at])) from None
        found.append(each - np.log(scale) * np.diff(blocks.indptr))
    return np.concatenate(found).reshape(*sigma.shape, -1)


def given_others(B: Any, r: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Return log densities of blocks given all other rows, where V is I + BB'.

    Parameters
    ----------
    B : ndarray, shape (draw, row, effect), or csr_array of one draw
    r : ndarray, shape (draw, row)
    blocks : Blocks

    Returns
    -------
    ndarray, shape (draw, block)
    """
    turned = B.mT if isinstance(B, np.ndarray) else B.T
    is_small = B.shape[-1] <= B.shape[-2]
    inner = _array(turned @ B if is_small else B @ turned)
    inner = np.eye(inner.shape[-1]) + inner
    if is_small:
        # Woodbury: Q = I - G'G with G = L^-1 B' and LL' = I + B'B.
        G = _solved(np.linalg.cholesky(inner), _array(turned))
        toward = r - (G.mT @ (G @ r[..., None]))[..., 0]
        diagonal = 1.0 - (G**2).sum(axis=-2)
    else:
        G = np.linalg.inv(inner)
        toward = (G @ r[..., None])[..., 0]
        diagonal = np.diagonal(G, axis1=-2, axis2=-1)
    if blocks.part is None:
        return np.asarray(-0.5 * (np.log(2 * np.pi / diagonal) + toward**2 / diagonal))
    found = np.empty((len(r), len(blocks.labels)))
    for which, at in blocks.by_size():
        if is_small:
            g = np.moveaxis(G[..., at], -3, -2)  # (..., block, effect, row of the block)
            Q = np.eye(at.shape[1]) - g.mT @ g
        else:
            Q = G[..., at[:, :, None], at[:, None]]
        found[:, which] = _densities(Q, toward[:, at])
    return found


def _densities(Q: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Return log densities of blocks of one size, given Q_bb and (Qr)_b of each."""
    root = np.linalg.cholesky(Q)
    half = np.linalg.solve(root, toward[..., None])[..., 0]
    log_det = 2 * np.log(np.diagonal(root, axis1=-2, axis2=-1)).sum(axis=-1)
    fixed = toward.shape[-1] * np.log(2 * np.pi)
    return np.asarray(0.5 * (log_det - fixed - (half**2).sum(axis=-1)))


def _solved(root: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solve with lower triangles; many small ones together."""
    from scipy.linalg import solve_triangular

    if root.ndim > 2:
        return np.linalg.solve(root, values)
    return np.asarray(solve_triangular(root, values, lower=True))


def _dense(
    entries: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    shape: tuple[int, int],
    times: np.ndarray,
) -> np.ndarray:
    """Return the matrix of each draw, with its rows repeated, shape (draw, row, effect)."""
    size = shape[0] * shape[1]
    place = rows * shape[1] + columns + size * np.arange(len(entries))[:, None]
    flat = np.bincount(place.ravel(), entries.ravel(), minlength=size * len(entries))
    return flat.reshape(-1, *shape)[:, times]


def _sparse(
    entries: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    shape: tuple[int, int],
    times: np.ndarray,
) -> Any:
    """Return the matrix of one draw, with its rows repeated."""
    from scipy.sparse import csr_array

    B = csr_array((entries[0], (rows, columns)), shape=shape)
    return B if len(times) == len(B.indptr) - 1 else B[times]


def _singular(fit: Fit, sigma: np.ndarray) -> str:
    return (
        f"{fit.title}: a residual standard deviation near {sigma.min():.1e} is too small beside "
        "that of the effects to integrate these out of rows that are left out. Look at the draws "
        "of 'sigma', or give it a prior away from zero."
    )


def _array(matrix: Any) -> np.ndarray:
    return np.asarray(matrix if isinstance(matrix, np.ndarray) else matrix.toarray())
