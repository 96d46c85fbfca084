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
from pymc_mlm.comparison.entries import matrices_at, without_effects
from pymc_mlm.fit import Fit


def exact_densities(fit: Fit, parts: tuple[Any, ...], blocks: Blocks) -> np.ndarray:
    """Return log densities of blocks given all other rows, shape (chain, draw, block).

    Parameters
    ----------
    fit : Fit
        A fitted model of a Gaussian outcome.
    parts : tuple of LinearPart
        How its effects enter, all of them.
    blocks : Blocks
        Rows that are left out together.
    """
    from scipy.sparse import csr_array

    sizes = [int(np.prod(p.shape)) for p in parts]
    starts = np.cumsum([0, *sizes])
    rows = np.concatenate([p.rows for p in parts])
    columns = np.concatenate([a + p.columns for a, p in zip(starts, parts, strict=False)])
    matrices, offset = matrices_at(fit, parts), without_effects(fit, parts).values
    count = offset.shape[-1]
    residual = (fit.design.outcome["value"] - offset).reshape(-1, count)
    times = np.arange(count)
    if fit.design.weights is not None:
        blocks = blocks.written_out(fit.design.weights)
        times = np.repeat(times, fit.design.weights.astype(np.int64))
    found = []
    for s, sigma in enumerate(fit.posterior["sigma"].values.ravel()):
        entries = matrices(s)[0] / sigma
        B = csr_array((entries, (rows, columns)), shape=(count, starts[-1]))
        B = B if len(times) == count else B[times]
        scaled = np.log(sigma) * np.diff(blocks.indptr)
        found.append(given_others(B, residual[s, times] / sigma, blocks) - scaled)
    return np.reshape(found, (*offset.shape[:2], -1))


def given_others(B: Any, r: np.ndarray, blocks: Blocks) -> np.ndarray:
    """Return log densities of blocks given all other rows, where V is I + BB', shape (block,)."""
    from scipy.linalg import cholesky, solve_triangular

    if B.shape[1] <= B.shape[0]:
        # Woodbury: Q = I - G'G with G = L^-1 B' and LL' = I + B'B.
        root = cholesky(np.eye(B.shape[1]) + (B.T @ B).toarray(), lower=True)
        G = solve_triangular(root, B.T.toarray(), lower=True)
        toward, diagonal = r - G.T @ (G @ r), 1.0 - (G**2).sum(axis=0)
    else:
        G = np.linalg.inv(np.eye(B.shape[0]) + (B @ B.T).toarray())
        toward, diagonal = G @ r, np.diag(G)
    if blocks.part is None:
        return np.asarray(-0.5 * (np.log(2 * np.pi / diagonal) + toward**2 / diagonal))
    is_root = B.shape[1] <= B.shape[0]
    found = np.empty(len(blocks.labels))
    for which, at in blocks.by_size():
        if is_root:
            g = np.moveaxis(G[:, at], 0, 1)  # (block, effect, row of the block)
            Q = np.eye(at.shape[1]) - g.mT @ g
        else:
            Q = G[at[:, :, None], at[:, None]]
        found[which] = _densities(Q, toward[at])
    return found


def _densities(Q: np.ndarray, toward: np.ndarray) -> np.ndarray:
    """Return log densities of blocks of one size, given Q_bb and (Qr)_b of each."""
    half = np.linalg.solve(np.linalg.cholesky(Q), toward[..., None])[..., 0]
    fixed = toward.shape[1] * np.log(2 * np.pi)
    found = 0.5 * (np.linalg.slogdet(Q).logabsdet - fixed - (half**2).sum(axis=1))
    return np.asarray(found)
