"""Score and information of coefficients and the effects of crossed units, before sampling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from pymc_mlm.approximation.effect_information import (
    CrossedInformation,
    integrated_effects,
    numbers_of,
    of_columns_as_given,
)
from pymc_mlm.approximation.standard import Standard
from pymc_mlm.approximation.unit_information import RIDGE, ROUGH_SD, RowLikelihood

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Rough values do: the sampler's coordinates follow its own standard deviations.
STEPS = 12
# Steps are over when the predictor moves less than this, in its spreads.
SETTLED = 0.02
# Share of rows beyond which a step is too far from the maximum to tell variances.
FEW_OVERSHOOT = 0.05
ITERATIONS = 25
TOLERANCE = 1e-3


def crossed_information(
    blocks: Sequence[csr_array],
    X: np.ndarray,
    standard: Standard,
    offset: np.ndarray,
    likelihood: RowLikelihood,
    spread: float,
    location: float = 0.0,
    fixed_sd: Sequence[float | None] | None = None,
    front: Sequence[int] | None = None,
) -> CrossedInformation | None:
    """Approximate likelihood and posterior at the penalised maximum.

    Parameters
    ----------
    blocks : sequence of csr_array, shape (row, unit)
        Weight of each unit in each row, one array a term.
    X : ndarray, shape (row, covariate)
        Population covariates as given, without an intercept.
    standard : Standard
        How they are standardised, and whether there is an intercept.
    offset : ndarray, shape (row,)
        What the linear predictor holds besides.
    likelihood : callable
        From the linear predictor and its population part, shape (row,), to the first derivative
        of each row's log likelihood and to its negative second derivative, not below zero.
    spread : float
        Scale of the linear predictor.
    location : float
        Where the intercept of the steps has its zero: part of the offset.
    fixed_sd : sequence of float or None, optional
        Prior standard deviation of the blocks whose effects are not drawn from a population.
    front : sequence of int, optional
        Blocks that the others follow, in their order; chosen if not given.

    Returns
    -------
    CrossedInformation or None
        None if the steps lead nowhere, or the blocks after a given front are too much work.

    Notes
    -----
    Steps of penalised quasi-likelihood [1]_: coefficients and effects by conjugate gradients, and
    a step of EM for each standard deviation. At the end effects are integrated out, block by
    block, from the one with most units to the one with fewest: exactly for a normal likelihood
    where units are few or share no rows.

    References
    ----------
    .. [1] Breslow, N. E. & Clayton, D. G. (1993). Approximate inference in generalized linear
       mixed models. Journal of the American Statistical Association 88, 9-25.
    """
    given = list(fixed_sd or [None] * len(blocks))
    with np.errstate(all="ignore"):
        found = penalised_maximum(blocks, standard.columns(X), offset, likelihood, spread, given)
        if found is None:
            return None
        try:
            told = integrated_effects(blocks, X, standard, spread, given, *found, front)
        except np.linalg.LinAlgError:
            return None
    if told is None or not all(np.isfinite(x).all() for x in numbers_of(told)):
        return None
    return of_columns_as_given(told, location)


def penalised_maximum(
    blocks: Sequence[csr_array],
    X: np.ndarray,
    offset: np.ndarray,
    likelihood: RowLikelihood,
    spread: float,
    fixed_sd: Sequence[float | None],
) -> tuple[np.ndarray, np.ndarray, list[float]] | None:
    """Return weights and working values of the rows, and variances of the blocks."""
    from scipy.sparse import csr_array, hstack

    X = _orthogonal(X)
    B = hstack([csr_array(X), *blocks], format="csr")
    Bt = B.T.tocsr()
    ends = np.cumsum([X.shape[1], *(block.shape[1] for block in blocks)])
    places = [slice(a, b) for a, b in pairwise(ends)]
    squares = Bt.copy()
    squares.data **= 2
    variance = [(sd or ROUGH_SD * spread) ** 2 for sd in fixed_sd]
    eta = population = offset
    solution = np.zeros(B.shape[1])
    for _ in range(STEPS):
        slope, weight = likelihood(eta, population)
        working = slope + weight * (eta - offset)
        if not (np.isfinite(working).all() and np.isfinite(weight).all()):
            return None
        curvature = squares @ weight
        prior = np.full(B.shape[1], RIDGE * (weight.mean() or 1.0))
        for place, v in zip(places, variance, strict=True):
            prior[place] = 1.0 / v
        solution = _solve(B, Bt, weight, prior, curvature, working, solution)
        if not np.isfinite(solution).all():
            return None
        population = offset + X @ solution[: X.shape[1]]
        wanted = offset + B @ solution - eta
        # A step may overshoot by orders of magnitude on a log link, and variances with it.
        eta = eta + np.clip(wanted, -spread, spread)
        if np.mean(np.abs(wanted) > spread) > FEW_OVERSHOOT:
            continue
        before = variance
        variance = [
            v if sd else float(np.mean(solution[p] ** 2 + 1.0 / (curvature[p] + prior[p])))
            for p, v, sd in zip(places, variance, fixed_sd, strict=True)
        ]
        if np.abs(wanted).max() < SETTLED * spread and np.allclose(before, variance, rtol=0.1):
            break
    slope, weight = likelihood(eta, population)
    working = slope + weight * (eta - offset)
    is_finite = np.isfinite(working).all() and np.isfinite(weight).all()
    return (weight, working, variance) if is_finite else None


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
    curvature: np.ndarray,
    working: np.ndarray,
    start: np.ndarray,
) -> np.ndarray:
    """Solve (B'WB + prior) x = B' working, roughly."""
    from scipy.sparse.linalg import LinearOperator, cg

    size = len(prior)
    normal = LinearOperator((size, size), matvec=lambda x: Bt @ (weight * (B @ x)) + prior * x)
    diagonal = curvature + prior
    rescale = LinearOperator((size, size), matvec=lambda x: x / diagonal)
    x, _ = cg(normal, Bt @ working, x0=start, rtol=TOLERANCE, maxiter=ITERATIONS, M=rescale)
    return x
