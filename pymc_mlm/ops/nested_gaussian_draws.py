"""Exact draws of the effects of the nested Gaussian model, given the other parameters."""

from __future__ import annotations

import numpy as np

from pymc_mlm.ops.nested_gaussian import NestedGaussianLoglik, NestedStatistics

# Effects are drawn for so many draws at once that they take this many numbers (4 MB).
CHUNK_NUMBERS = 500_000


def draw_effects(
    beta: np.ndarray,
    sd: np.ndarray,
    partial: np.ndarray,
    sigma: np.ndarray,
    statistics: NestedStatistics,
    rng: np.random.Generator,
    varies: np.ndarray | None = None,
) -> list[np.ndarray]:
    r"""Draw all deviations from their exact joint distribution, given data and parameters.

    From the outermost level down: given the parent's total deviation e, with C = D L the
    Cholesky factor of S,

    .. math:: d_g \sim N\bigl(S(u_g - U_g e),\; C (I + C'JC)^{-1} C'\bigr).

    Parameters
    ----------
    beta : ndarray, shape (draw, q)
        Posterior draws of the population coefficients.
    sd : ndarray, shape (draw, level, p)
        Draws of the standard deviations.
    partial : ndarray, shape (draw, level, p (p - 1) / 2)
        Draws of the partial correlations.
    sigma : ndarray, shape (draw,)
        Draws of the residual standard deviation.
    statistics : NestedStatistics
        NumPy arrays.
    rng : numpy.random.Generator
        Source of randomness.
    varies : ndarray of bool, shape (level, p), optional
        Columns to return of each level; all by default.

    Returns
    -------
    list of ndarray, each of shape (draw, unit, p)
        Each unit's own deviation from its parent, one array per level, outermost first; of each
        level the columns that vary there. The total deviation of a unit is the sum along its
        ancestors.

    Notes
    -----
    Beside the result, memory for a constant number of standard normals, or those of one draw.

    Examples
    --------
    >>> import numpy as np
    >>> one = np.ones((2, 1, 1))
    >>> statistics = NestedStatistics(
    ...     xx=one,
    ...     xy=np.array([[1.0], [-1.0]]),
    ...     yy=2.0,
    ...     n=2.0,
    ...     center=np.zeros(1),
    ...     varying=np.array([0]),
    ...     parent=np.array([-1, -1]),
    ...     sizes=np.array([2]),
    ... )
    >>> [effect] = draw_effects(
    ...     np.zeros((9, 1)),
    ...     np.ones((9, 1, 1)),
    ...     np.zeros((9, 1, 0)),
    ...     np.ones(9),
    ...     statistics,
    ...     np.random.default_rng(1),
    ... )
    >>> effect.shape
    (9, 2, 1)
    """
    from pymc_mlm.ops.kernels.nested_deviations import draw_deviations

    s = statistics
    one_draw = [np.empty(np.shape(x)[1:]) for x in (beta, sd, partial, sigma)]
    NestedGaussianLoglik.layout.check("draw_effects", [*one_draw, *map(np.asarray, s)])
    floats = [np.require(x, np.float64, ("C", "W")) for x in (beta, sd, partial, sigma)]
    given = [np.require(x, np.float64, ("C", "W")) for x in (s.xx, s.xy, s.center)]
    indices = [np.require(x, np.int64, ("C", "W")) for x in (s.varying, s.parent, s.sizes)]
    draws, units, p = len(beta), len(s.parent), sd.shape[-1]
    ends = np.cumsum(indices[2])
    columns = np.ones((len(ends), p), dtype=bool) if varies is None else varies
    effects = [
        np.empty((draws, size, at.sum())) for size, at in zip(indices[2], columns, strict=True)
    ]
    step = max(1, CHUNK_NUMBERS // (units * p))
    work = np.empty((min(step, draws), units, p))
    for first in range(0, draws, step):
        chunk = slice(first, min(first + step, draws))
        # In the order of the draws, so that the length of a chunk does not change the result.
        z = rng.standard_normal(out=work[: chunk.stop - first])
        draw_deviations(*(x[chunk] for x in floats), *given, *indices, z)
        for own, end, at in zip(effects, ends, columns, strict=True):
            own[chunk] = z[:, end - own.shape[1] : end, at]
    return effects
