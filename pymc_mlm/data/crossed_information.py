"""What the data say about the effects of crossed units, before sampling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pymc_mlm.data.unit_information import RIDGE, ROUGH_SD, RowLikelihood

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Rough values do: the sampler's coordinates follow its own standard deviations.
STEPS = 4
ITERATIONS = 25
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class EffectInformation:
    r"""Normal approximation of the likelihood of a term's effects, the rest at its mode.

    .. math:: \log p(y \mid u_k) \approx s_k u_k - J_k u_k^2 / 2

    Attributes
    ----------
    score, precision : ndarray, shape (unit,)
        s and J.
    """

    score: np.ndarray
    precision: np.ndarray


def crossed_information(
    blocks: Sequence[csr_array],
    X: np.ndarray,
    offset: np.ndarray,
    likelihood: RowLikelihood,
    spread: float,
) -> list[EffectInformation] | None:
    """Approximate the likelihood of all effects at its penalised maximum.

    Parameters
    ----------
    blocks : sequence of csr_array, shape (row, unit)
        Weight of each unit in each row, one array a term.
    X : ndarray, shape (row, covariate)
        Population covariates, the intercept first if there is one.
    offset : ndarray, shape (row,)
        What the linear predictor holds besides.
    likelihood : callable
        From the linear predictor and its population part, shape (row,), to the first derivative
        of each row's log likelihood and to its negative second derivative, not below zero.
    spread : float
        Scale of the linear predictor.

    Returns
    -------
    list of EffectInformation or None
        One per block; None if the steps lead nowhere.

    Notes
    -----
    Steps of penalised quasi-likelihood [1]_: coefficients and effects by conjugate gradients, and
    a step of EM for each standard deviation.

    References
    ----------
    .. [1] Breslow, N. E. & Clayton, D. G. (1993). Approximate inference in generalized linear
       mixed models. Journal of the American Statistical Association 88, 9-25.
    """
    from scipy.sparse import csr_array, hstack

    X = _orthogonal(X)
    B = hstack([csr_array(X), *blocks], format="csr")
    Bt = B.T.tocsr()
    ends = np.cumsum([X.shape[1], *(block.shape[1] for block in blocks)])
    places = [slice(a, b) for a, b in pairwise(ends)]
    squares = Bt.copy()
    squares.data **= 2
    variance = [(ROUGH_SD * spread) ** 2] * len(blocks)
    eta = population = offset
    solution = np.zeros(B.shape[1])
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            slope, weight = likelihood(eta, population)
            said = squares @ weight
            prior = np.full(B.shape[1], RIDGE * (weight.mean() or 1.0))
            for place, v in zip(places, variance, strict=True):
                prior[place] = 1.0 / v
            solution = _solve(B, Bt, weight, prior, said, slope + weight * (eta - offset), solution)
            variance = [
                float(np.mean(solution[p] ** 2 + 1.0 / (said[p] + prior[p]))) for p in places
            ]
            population = offset + X @ solution[: X.shape[1]]
            # A step may overshoot by orders of magnitude on a log link.
            eta = eta + np.clip(offset + B @ solution - eta, -spread, spread)
        found = [EffectInformation((said[p] + prior[p]) * solution[p], said[p]) for p in places]
    is_finite = all(np.isfinite(f.score).all() and np.isfinite(f.precision).all() for f in found)
    return found if is_finite else None


def _orthogonal(X: np.ndarray) -> np.ndarray:
    """Return columns of length one a row that span those of X, so that few iterations do."""
    Q, R = np.linalg.qr(X)
    size = np.abs(np.diagonal(R))
    return Q[:, size > 1e-10 * size.max(initial=0.0)] * np.sqrt(len(X))


def _solve(
    B: csr_array,
    Bt: csr_array,
    weight: np.ndarray,
    prior: np.ndarray,
    said: np.ndarray,
    working: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """Solve (B'WB + prior) x = B' working, roughly."""
    from scipy.sparse.linalg import LinearOperator, cg

    size = len(prior)
    normal = LinearOperator((size, size), matvec=lambda x: Bt @ (weight * (B @ x)) + prior * x)
    diagonal = said + prior
    rescale = LinearOperator((size, size), matvec=lambda x: x / diagonal)
    x, _ = cg(normal, Bt @ working, x0=start, rtol=TOLERANCE, maxiter=ITERATIONS, M=rescale)
    return x
