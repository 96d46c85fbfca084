"""R-hat, effective sample sizes and Monte Carlo errors, those of ArviZ, of draws as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.reporting.rank_figures import rank_figures

Array = np.ndarray[Any, Any]

# Name of each figure, and the function and method of ArviZ.
FIGURES = {
    "r_hat": ("rhat", "rank"),
    "ess_bulk": ("ess", "bulk"),
    "ess_tail": ("ess", "tail"),
    "ess_mean": ("ess", "mean"),
    "mcse_mean": ("mcse", "mean"),
    "mcse_sd": ("mcse", "sd"),
}
# Those that `rank_figures` computes faster, where all draws are finite.
OF_RANKS = {"r_hat", "ess_bulk"}


def chain_figures(draws: Any, *names: str) -> dict[str, Array]:
    """Return figures by which draws are judged.

    Parameters
    ----------
    draws : array_like, shape (chain, draw, ...)
        Draws of parameters.
    *names : str
        "r_hat", "ess_bulk", "ess_tail", "ess_mean", "mcse_mean" or "mcse_sd".

    Returns
    -------
    dict of str to ndarray, shape (...)
        By name. NaN where a draw is NaN, where a chain has fewer than four draws, and for R-hat
        where there is one chain.

    References
    ----------
    Vehtari, A., Gelman, A., Simpson, D., Carpenter, B., Bürkner, P.-C. (2021). Rank-normalization,
    folding, and localization: an improved R-hat for assessing convergence of MCMC. Bayesian
    Analysis 16(2).

    Examples
    --------
    >>> draws = np.random.default_rng(1).normal(size=(4, 500, 2))
    >>> found = chain_figures(draws, "r_hat", "ess_bulk")
    >>> found["r_hat"].round(3), found["ess_bulk"].round()
    (array([1.002, 1.005]), array([1911., 2063.]))
    """
    values = np.asarray(draws, dtype=np.float64)
    figures = {}
    # Constant draws and infinite ones: the figure tells it.
    with np.errstate(all="ignore"):
        if OF_RANKS.intersection(names) and np.isfinite(values).all():
            figures = dict(zip(("r_hat", "ess_bulk"), rank_figures(values), strict=True))
        return {name: figures[name] if name in figures else _by_arviz(values, name)
                for name in names}  # fmt: skip


def _by_arviz(draws: Array, name: str) -> Array:
    # Not above: it takes a second to import.
    import arviz_stats

    rest = [f"dim_{d}" for d in range(draws.ndim - 2)]
    function, method = FIGURES[name]
    array = xr.DataArray(draws, dims=("chain", "draw", *rest))
    return np.asarray(getattr(arviz_stats, function)(array, method=method), dtype=np.float64)
