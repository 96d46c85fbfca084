"""Effects that follow coefficients and each other: integrated out, block by block.

The factors of a block Cholesky decomposition of a normal likelihood, exact where units are few or
share no rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.approximation.standard import (
    CoefficientInformation,
    Standard,
    coefficient_information,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Units of terms that are standardised together; a gradient reads a matrix of that size.
FEW = 128
# Multiplications that one step of all responses of many units may take.
MOST_WORK = 1e8
# Entries of responses below this share of the largest make no difference.
NEGLIGIBLE = 1e-5
# Off-diagonal entries below this share of the largest are rounding errors.
SAME = 1e-10
# The units themselves.
NO_BASIS = np.zeros((0, 0))
# Steps of conjugate gradients, and the residual at which they end.
STEPS = 100
TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class EffectInformation:
    r"""Normal approximation of the likelihood of a term's effects, given what comes before them.

    .. math:: \log p(y \mid w) \approx (s - C g)'w - w' \operatorname{diag}(J) w / 2,
        \qquad u = Q w

    with g the intercept, the coefficients and the effects of terms with fewer units; the effects
    of later terms are integrated out.

    Attributes
    ----------
    score, precision : ndarray, shape (unit,)
        s and J.
    cross : ndarray or csr_array, shape (unit, given)
        C; sparse where units are many.
    basis : ndarray, shape (unit, unit) or (0, 0)
        Q; none where it would be the identity.
    """

    score: np.ndarray
    precision: np.ndarray
    cross: Any
    basis: np.ndarray


@dataclass(frozen=True, eq=False)
class CrossedInformation:
    """Score and information of coefficients and effects.

    Attributes
    ----------
    coefficients : CoefficientInformation
        All coefficients, the effects integrated out.
    effects : tuple of EffectInformation or None
        By block; None where nothing is known.
    order : tuple of int
        Blocks in the order in which they follow each other. Those of few units, at the front,
        are what the later ones follow.
    num_few : int
        How many blocks are at the front.
    """

    coefficients: CoefficientInformation
    effects: tuple[EffectInformation | None, ...]
    order: tuple[int, ...]
    num_few: int


def integrated_effects(
    blocks: Sequence[csr_array],
    X: np.ndarray,
    standard: Standard,
    spread: float,
    fixed_sd: Sequence[float | None],
    weight: np.ndarray,
    working: np.ndarray,
    variance: Sequence[float],
    front: Sequence[int] | None = None,
) -> CrossedInformation | None:
    """Integrate the effects out, from the block with most units to the one with fewest.

    `front` names the blocks that the others follow; without it they are chosen. None if there is
    too much to solve for after a front that was given.
    """
    order = sorted(range(len(blocks)), key=lambda t: (fixed_sd[t] is not None, blocks[t].shape[1]))
    few = _front(order, blocks, fixed_sd, X.shape[1] + 1) if front is None else list(front)
    order = [*few, *(t for t in order if t not in few)]
    vague = standard.prior_precision(spread)
    leading = _side_by_side([standard.columns(X), *(blocks[t] for t in few)])
    prior = np.concatenate([vague, *(np.full(blocks[t].shape[1], 1 / variance[t]) for t in few)])
    weighted = scaled_rows(leading, weight)
    S, b = (leading.T @ weighted).toarray() + np.diag(prior), leading.T @ working
    effects: dict[int, EffectInformation] = {}
    many = order[len(few) :]
    if front is not None and _too_much_work([blocks[t] for t in many], leading.shape[1]):
        return None
    if many:
        ends = np.cumsum([0, *(blocks[t].shape[1] for t in many)])
        rest = _side_by_side([blocks[t] for t in many])
        v = np.repeat([variance[t] for t in many], np.diff(ends))
        cross, own, response, level = _responses(rest, 1.0 / v, weight, weighted, working)
        S, b = S - _dense(cross.T @ response), b - cross.T @ level
        for t, at in zip(many, (slice(*pair) for pair in pairwise(ends)), strict=True):
            told = own[at] * level[at], own[at] - 1.0 / v[at], _times_rows(own[at], response[at])
            effects[t] = EffectInformation(*told, NO_BASIS)
    sizes, priors = [blocks[t].shape[1] for t in few], [1.0 / variance[t] for t in few]
    coefficients, front_effects = front_information(standard, S, b, sizes, priors)
    effects |= dict(zip(few, front_effects, strict=True))
    ordered = tuple(effects[t] for t in range(len(blocks)))
    return CrossedInformation(coefficients, ordered, tuple(order), len(few))


def front_information(
    standard: Standard,
    S: np.ndarray,
    b: np.ndarray,
    sizes: Sequence[int],
    priors: Sequence[float],
) -> tuple[CoefficientInformation, list[EffectInformation]]:
    """Factor a precision matrix of coefficients and some blocks of effects from the end.

    Parameters
    ----------
    standard : Standard
        Of the coefficients.
    S : ndarray, shape (column, column)
        Precision, priors included.
    b : ndarray, shape (column,)
        Slope where everything is zero.
    sizes : sequence of int
        Units of each block.
    priors : sequence of float
        Prior precision of each block.

    Returns
    -------
    CoefficientInformation, list of EffectInformation
        Each block given those before it, those after it integrated out.
    """
    ends = np.cumsum([len(S) - sum(sizes), *sizes])
    effects = []
    for prior, (start, stop) in reversed(list(zip(priors, pairwise(ends), strict=True))):
        before, at = slice(0, start), slice(start, stop)
        effects.append(_in_eigenvectors(S[at, at], S[at, before], b[at], prior))
        response = np.linalg.solve(S[at, at], np.column_stack([S[at, before], b[at]]))
        b = b[before] - S[before, at] @ response[:, -1]
        S = S[before, before] - S[before, at] @ response[:, :-1]
    return coefficient_information(standard, S, b), effects[::-1]


def _front(
    order: Sequence[int],
    blocks: Sequence[csr_array],
    fixed_sd: Sequence[float | None],
    columns: int,
) -> list[int]:
    """Return the blocks that later ones follow: few units together, and little to compute."""
    front: list[int] = []
    units = 0
    for t in order:
        units += blocks[t].shape[1]
        if fixed_sd[t] is not None or units > FEW:
            break
        front.append(t)
    rest = [blocks[t] for t in order[len(front) :]]
    return [] if _too_much_work(rest, columns + units) else front


def _too_much_work(rest: Sequence[csr_array], responses: int) -> bool:
    """Tell whether blocks that share rows follow more than can be solved for."""
    shares_rows = len(rest) > 1 or any(b.nnz > b.shape[0] for b in rest)
    return shares_rows and sum(b.nnz for b in rest) * responses > MOST_WORK


def _responses(
    B: csr_array, prior: np.ndarray, weight: np.ndarray, front: csr_array, working: np.ndarray
) -> tuple[csr_array, np.ndarray, Any, np.ndarray]:
    """Return how effects of many units follow the front, and where they are without it.

    Returns
    -------
    cross : csr_array, shape (unit, column)
        B'W times the front.
    own : ndarray, shape (unit,)
        Diagonal of B'WB plus the prior.
    response : csr_array or ndarray, shape (unit, column)
        (B'WB + prior)^-1 cross.
    level : ndarray, shape (unit,)
        (B'WB + prior)^-1 B' working.
    """
    from scipy.sparse import csr_array

    Bt = B.T.tocsr()
    cross, right = csr_array(Bt @ front), Bt @ working
    squares = Bt.copy()
    squares.data **= 2
    own = squares @ weight + prior
    if np.diff(B.indptr).max(initial=0) <= 1:
        return cross, own, scaled_rows(cross, 1.0 / own), right / own
    wanted = np.column_stack([cross.toarray(), right])
    x = conjugate_gradients(B, Bt, weight, prior, own, wanted)
    return cross, own, x[:, :-1], x[:, -1]


def conjugate_gradients(
    B: csr_array,
    Bt: csr_array,
    weight: np.ndarray,
    prior: np.ndarray,
    own: np.ndarray,
    wanted: np.ndarray,
) -> np.ndarray:
    """Solve (B'WB + prior) X = wanted for several columns at once, roughly."""
    x = np.zeros_like(wanted)
    residual, start = wanted.copy(), np.abs(wanted).max(axis=0)
    z = residual / own[:, None]
    direction, old = z.copy(), (residual * z).sum(axis=0)
    for _ in range(STEPS):
        if (np.abs(residual).max(axis=0) <= TOLERANCE * start).all():
            break
        image = Bt @ (weight[:, None] * (B @ direction)) + prior[:, None] * direction
        length = (direction * image).sum(axis=0)
        step = np.divide(old, length, out=np.zeros_like(old), where=length > 0)
        x += step * direction
        residual -= step * image
        z = residual / own[:, None]
        new = (residual * z).sum(axis=0)
        direction = z + np.divide(new, old, out=np.zeros_like(old), where=old > 0) * direction
        old = new
    return x


def _in_eigenvectors(
    precision: np.ndarray, cross: np.ndarray, slope: np.ndarray, prior: float
) -> EffectInformation:
    """Return the information of units that share rows in the basis that makes it diagonal."""
    diagonal = np.diag(precision)
    if np.allclose(precision, np.diag(diagonal), rtol=0.0, atol=SAME * diagonal.max()):
        return EffectInformation(slope, diagonal - prior, cross, NO_BASIS)
    values, Q = np.linalg.eigh(precision)
    J = np.maximum(values - prior, 0.0)
    return EffectInformation(Q.T @ slope, J, Q.T @ cross, np.ascontiguousarray(Q))


def _sparse(matrix: np.ndarray) -> csr_array:
    from scipy.sparse import csr_array

    size = np.abs(matrix).max(axis=0, initial=0.0)
    return csr_array(np.where(np.abs(matrix) > NEGLIGIBLE * size, matrix, 0.0))


def _side_by_side(parts: Sequence[Any]) -> csr_array:
    from scipy.sparse import csr_array, hstack

    return csr_array(hstack([csr_array(part) for part in parts], format="csr"))


def scaled_rows(matrix: csr_array, scale: np.ndarray) -> csr_array:
    """Return the matrix with each row times a number, shape (row,)."""
    scaled = matrix.copy()
    scaled.data = scaled.data * np.repeat(scale, np.diff(scaled.indptr))
    return scaled


def _times_rows(scale: np.ndarray, matrix: Any) -> csr_array:
    if isinstance(matrix, np.ndarray):
        return _sparse(scale[:, None] * matrix)
    return scaled_rows(matrix, scale)


def _dense(matrix: Any) -> np.ndarray:
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def numbers_of(told: CrossedInformation) -> list[np.ndarray]:
    """Return all numbers, to be checked."""
    numbers = [told.coefficients.mode, told.coefficients.covariance]
    for e in (e for e in told.effects if e):
        numbers += [
            e.score,
            e.precision,
            e.cross if isinstance(e.cross, np.ndarray) else e.cross.data,
        ]
    return numbers


def of_columns_as_given(told: CrossedInformation, location: float) -> CrossedInformation:
    """Go from standardised coefficients to those that the model has."""
    coefficients, T = told.coefficients, told.coefficients.standard.matrix
    skip = int(coefficients.standard.intercept)
    effects: list[EffectInformation | None] = []
    for e in told.effects:
        if e is None:
            effects.append(None)
            continue
        C = e.cross if isinstance(e.cross, np.ndarray) else e.cross.tocsr()
        head = _dense(C[:, : len(T)])
        score = e.score + location * head[:, :skip].sum(axis=1)
        parts = head @ T, C[:, len(T) :]
        cross = np.hstack(parts) if isinstance(C, np.ndarray) else _side_by_side(parts)
        effects.append(replace(e, score=score, cross=cross))
    mode = coefficients.mode.copy()
    mode[:skip] += location
    return replace(told, coefficients=replace(coefficients, mode=mode), effects=tuple(effects))
