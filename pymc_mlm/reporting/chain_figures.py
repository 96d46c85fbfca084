"""R-hat, effective sample sizes and Monte Carlo errors, by ArviZ, of draws as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

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
    # Not above: it takes a second to import.
    import arviz_stats

    values = np.asarray(draws, dtype=np.float64)
    rest = [f"dim_{d}" for d in range(values.ndim - 2)]
    array = xr.DataArray(values, dims=("chain", "draw", *rest))
    figures = {}
    for name in names:
        function, method = FIGURES[name]
        # Constant draws and infinite ones: the figure tells it.
        with np.errstate(all="ignore"):
            figure = getattr(arviz_stats, function)(array, method=method)
        figures[name] = np.asarray(figure, dtype=np.float64)
    return figures
