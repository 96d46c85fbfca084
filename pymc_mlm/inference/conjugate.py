"""Exact posterior of cell probabilities without covariates: Dirichlet draws, no sampler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.priors.control_prior import log_pattern_density

Array = np.ndarray[Any, Any]

# Rows with missing parts make the draws a Gibbs sampler: many short chains in step, so that
# NumPy works on arrays. The chains forget their start at the rate of the missing information.
GIBBS_CHAINS = 100
GIBBS_WARMUP = 100


def conjugate_posterior(
    counts: Array,
    prior: float | Array = 0.5,
    *,
    weights: Array | None = None,
    compatible: Array | None = None,
    draws: int = 100_000,
    random_seed: int | np.random.Generator | None = None,
    arms: Sequence[Any] | None = None,
    cells: Sequence[str] | None = None,
) -> xr.DataArray:
    r"""Draw the cell probabilities of each arm from their posterior.

    .. math:: \phi_g \mid n_g \sim \text{Dirichlet}(n_g + \alpha)

    Rows with a missing outcome are allocated to the cells they allow, in proportion to the
    current probabilities, in turn with the Dirichlet draw (data augmentation [2]_).

    Parameters
    ----------
    counts : ndarray of int, shape (arm, pattern)
        Rows of each arm and observed pattern; without `compatible` patterns are cells.
    prior : float or ndarray, default 0.5
        Dirichlet parameter of every cell, or one each, shape (cell,) or (arm, cell). bmco's
        default 1/2 for two outcomes makes every success probability uniform, Beta(1, 1); 1/4,
        in general ``2.0 ** -K``, gives the Jeffreys margins Beta(1/2, 1/2).
    weights : ndarray, shape (component,), optional
        The prior is a mixture with these weights, and `prior` of shape (component, arm, cell).
    compatible : ndarray of bool, shape (pattern, cell), optional
        Cells that each pattern allows, see `response_patterns`.
    draws : int, default 100_000
        Draws per arm.
    random_seed : int or Generator, optional
        Seed.
    arms : sequence, optional
        Labels of the arms, ``0, 1, ...`` by default.
    cells : sequence of str, optional
        Labels of the cells, the digits of their outcomes by default.

    Returns
    -------
    DataArray, dims (chain, draw, arm, cell)
        One chain of independent draws if all rows are complete; otherwise 100 chains of
        correlated draws, about `draws` in all.

    Raises
    ------
    DataError
        Counts are negative or not whole, or their shape does not fit.
    SpecificationError
        The prior is not positive.

    Notes
    -----
    The model of bmco's ``bmvb`` [1]_.

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2020). Decision-making with multiple correlated
       binary outcomes in clinical trials. Statistical Methods in Medical Research 29(11).
    .. [2] Tanner, M. A., Wong, W. H. (1987). The calculation of posterior distributions by data
       augmentation. Journal of the American Statistical Association 82(398).

    Examples
    --------
    >>> phi = conjugate_posterior([[15, 11, 9, 15], [19, 12, 13, 6]], draws=1000, random_seed=1)
    >>> phi.dims, phi.sizes["draw"]
    (('chain', 'draw', 'arm', 'cell'), 1000)
    """
    rng = np.random.default_rng(random_seed)
    counts = _whole(counts)
    table = np.eye(counts.shape[1], dtype=bool) if compatible is None else np.asarray(compatible)
    if table.ndim != 2 or len(table) != counts.shape[1]:
        raise DataError(
            f"compatible has shape {table.shape} for {counts.shape[1]} patterns in counts; give "
            "one line per pattern and one column per cell."
        )
    # A row that allows every cell has no information, and would slow the chains down.
    informative = ~table.all(axis=1) & (counts.sum(axis=0) > 0)
    counts, table = counts[:, informative], table[informative]
    shape = (len(counts), table.shape[1])
    mixed = np.ones(1) if weights is None else np.asarray(weights, dtype=float)
    alpha = _prior(prior, shape if weights is None else (len(mixed), *shape))
    alpha = alpha.reshape(-1, *shape)

    full = table.sum(axis=1) == 1
    complete = counts[:, full] @ table[full]  # (arm, cell)
    if full.all():
        phi = draw_patterns(rng, complete, alpha, mixed, (draws,))[None]
    else:
        phi = _augmented(rng, complete, counts[:, ~full], table[~full], draws, alpha, mixed)
    return xr.DataArray(
        phi,
        dims=("chain", "draw", "arm", "cell"),
        coords={
            "arm": list(arms) if arms is not None else np.arange(len(counts)),
            "cell": list(cells) if cells is not None else _cell_labels(table.shape[1]),
        },
        name="cell_probability",
    )


def draw_patterns(
    rng: np.random.Generator, counts: Array, alpha: Array, weights: Array, shape: tuple[int, ...]
) -> Array:
    r"""Draw the patterns' probabilities given complete counts, under a mixture prior.

    .. math:: w_c' \propto w_c \prod_g B(a_{cg} + n_g) / B(a_{cg}), \qquad
        \phi_g \mid c \sim \text{Dirichlet}(a_{cg} + n_g)

    Parameters
    ----------
    rng : Generator
    counts : ndarray, shape (arm, cell) or (\*shape, arm, cell)
    alpha : ndarray, shape (component, arm, cell)
    weights : ndarray, shape (component,)
    shape : tuple of int
        Of the draws.

    Returns
    -------
    ndarray, shape (\*shape, arm, cell)
    """
    own = alpha[0]
    if len(weights) > 1:
        log_w = log_pattern_density(alpha, counts[..., None, :, :]).sum(axis=-1)
        log_w = log_w + np.log(np.maximum(weights, 1e-300))
        own = alpha[(log_w + rng.gumbel(size=(*shape, len(weights)))).argmax(axis=-1)]
    gamma = rng.standard_gamma(np.broadcast_to(counts + own, (*shape, *alpha.shape[1:])))
    gamma /= gamma.sum(axis=-1, keepdims=True)
    return np.asarray(gamma)


def _augmented(
    rng: np.random.Generator,
    complete: Array,
    partial: Array,
    table: Array,
    draws: int,
    alpha: Array,
    weights: Array,
) -> Array:
    """Gibbs draws, shape (chain, draw, arm, cell), every chain at its own start."""
    length = -(-draws // GIBBS_CHAINS)
    phi = np.empty((GIBBS_CHAINS, length, *complete.shape))
    state = draw_patterns(rng, complete, alpha, weights, (GIBBS_CHAINS,))
    for step in range(-GIBBS_WARMUP, length):
        share = state[:, :, None, :] * table  # (chain, arm, pattern, cell)
        share /= share.sum(axis=-1, keepdims=True)
        allocated = rng.multinomial(partial, share).sum(axis=2)  # (chain, arm, cell)
        state = draw_patterns(rng, complete + allocated, alpha, weights, (GIBBS_CHAINS,))
        if step >= 0:
            phi[:, step] = state
    return phi


def _whole(counts: Any) -> Array:
    given = np.asarray(counts)
    whole = given.astype(np.int64) if given.dtype.kind in "iufb" and given.ndim == 2 else None
    if whole is None or (whole != given).any() or (whole < 0).any():
        raise DataError(
            f"counts ({given.dtype}, shape {given.shape}) must be whole numbers from 0 on, one "
            "line per arm and one column per pattern."
        )
    return whole


def _prior(prior: float | Array, shape: tuple[int, ...]) -> Array:
    alpha = np.asarray(prior, dtype=float)
    if not (np.isfinite(alpha) & (alpha > 0)).all():
        raise SpecificationError(
            f"prior={prior!r} must be positive: a Dirichlet parameter counts as that many rows in "
            "every cell. Use 0.5 (bmco), or 2.0 ** -K for Jeffreys margins."
        )
    try:
        return np.broadcast_to(alpha, shape)
    except ValueError as error:
        raise SpecificationError(
            f"prior has shape {alpha.shape}; a number, (cell,) or (arm, cell) is needed, here "
            f"{shape}."
        ) from error


def _cell_labels(num_cells: int) -> list[str]:
    """Descending binary digits; the labels of any other number of cells are given by the user."""
    digits = max(int(num_cells - 1).bit_length(), 1)
    return [format(code, f"0{digits}b") for code in range(num_cells - 1, -1, -1)]
