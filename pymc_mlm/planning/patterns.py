"""Joint distributions of binary outcomes from success probabilities and correlations."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np

from pymc_mlm.data.cells import cells
from pymc_mlm.errors import SpecificationError

Array = np.ndarray[Any, Any]


def correlation_matrix(correlation: Any, success: Any, arm: str) -> Array:
    r"""Return a symmetric matrix of correlations that two binary outcomes can have.

    .. math:: \max(0, p_k + p_l - 1) \le P(y_k = y_l = 1) \le \min(p_k, p_l)

    Parameters
    ----------
    correlation : float or array_like, shape (outcome, outcome)
        One number for all pairs, or a matrix.
    success : array_like, shape (outcome,)
        Success probabilities.
    arm : str
        For the message.

    Returns
    -------
    ndarray, shape (outcome, outcome)

    Raises
    ------
    SpecificationError
        A correlation lies outside the Frechet bounds, which are named.
    """
    p = np.asarray(success, dtype=float)
    given = np.asarray(correlation, dtype=float)
    if given.ndim and given.shape != (len(p), len(p)):
        raise SpecificationError(
            f"correlation of {arm!r} has shape {given.shape}; one number, or a matrix of shape "
            f"{(len(p), len(p))}, is needed."
        )
    rho = np.array(np.broadcast_to(given, (len(p), len(p))))
    np.fill_diagonal(rho, 1.0)
    if not np.array_equal(rho, rho.T):
        raise SpecificationError(f"correlation of {arm!r} is not symmetric.")
    for k, m in combinations(range(len(p)), 2):
        low, high = frechet_bounds(p[k], p[m])
        if not low - 1e-9 <= rho[k, m] <= high + 1e-9:
            raise SpecificationError(
                f"correlation={rho[k, m].item():g} in arm {arm!r} is impossible for success "
                f"probabilities {p[k].item():g} and {p[m].item():g}; it must lie between {low:.3f} "
                f"and {high:.3f}."
            )
    return rho


def frechet_bounds(p: float, q: float) -> tuple[float, float]:
    """Return the smallest and the largest correlation of two binary outcomes.

    Examples
    --------
    >>> frechet_bounds(0.5, 0.5)
    (-1.0, 1.0)
    """
    spread = np.sqrt(p * (1 - p) * q * (1 - q))
    return float((max(0.0, p + q - 1) - p * q) / spread), float((min(p, q) - p * q) / spread)


def joint_probabilities(success: Array, correlation: Array, arm: str) -> Array:
    """Return the distribution of largest entropy with given margins and pairwise correlations.

    Parameters
    ----------
    success : ndarray, shape (outcome,)
    correlation : ndarray, shape (outcome, outcome)
    arm : str
        For the message.

    Returns
    -------
    ndarray, shape (2**outcome,)
        In the order of `cells`.

    Raises
    ------
    SpecificationError
        Each pair is possible, but no distribution has all of them.

    Notes
    -----
    Iterative proportional fitting of the two-way tables (Deming and Stephan 1940), which is exact
    after one step for two outcomes.

    Examples
    --------
    >>> joint_probabilities(np.array([0.5, 0.5]), np.eye(2), "new").tolist()
    [0.25, 0.25, 0.25, 0.25]
    """
    digits = cells(len(success)).astype(bool)
    phi = np.where(digits, success, 1 - success).prod(axis=1)
    spread = np.sqrt(success * (1 - success))
    off = 0.0
    for _ in range(2000):
        off = 0.0
        for k, m in combinations(range(len(success)), 2):
            both = success[k] * success[m] + correlation[k, m] * spread[k] * spread[m]
            table = (both, success[k] - both, success[m] - both, 1 - success[k] - success[m] + both)
            for want, (first, second) in zip(table, cells(2).astype(bool), strict=True):
                here = (digits[:, k] == first) & (digits[:, m] == second)
                have = phi[here].sum()
                off = max(off, abs(have - max(want, 0.0)))
                phi[here] *= max(want, 0.0) / have if have else 0.0
        if off < 1e-12:
            break
    if off > 1e-6:
        raise SpecificationError(
            f"No distribution of the {len(success)} outcomes in arm {arm!r} has all of these "
            "pairwise correlations, though each pair is possible. Bring them nearer to zero."
        )
    return phi / phi.sum()


def pattern_values(num_outcomes: int) -> Array:
    """Return the outcomes of each pattern as numbers, shape (pattern, outcome)."""
    return cells(num_outcomes).astype(float)
