"""Tables of nested models: effects of units, and variance by level as a function of covariates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from pymc_mlm.reporting.shares import shares_of
from pymc_mlm.reporting.summary import check_probability

# Quantiles of so many numbers at once take some 400 MB.
CHUNK_NUMBERS = 20_000_000


def unit_table(draws: xr.DataArray, ci_prob: float = 0.89) -> pd.DataFrame:
    """Tabulate one value per unit and coefficient.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, unit, coef)
        Posterior draws.
    ci_prob : float
        Probability inside the equal-tailed intervals.

    Returns
    -------
    pandas.DataFrame
        A row per unit and coefficient, in the order of the units: mean, sd, interval.
    """
    unit, coef = draws.dims[-2:]
    flat = draws.values.reshape(-1, draws.shape[-2] * draws.shape[-1])
    step = max(1, CHUNK_NUMBERS // len(flat))
    parts = [_moments(flat[:, i : i + step], ci_prob) for i in range(0, flat.shape[1], step)]
    index = pd.MultiIndex.from_product(
        [draws[unit].values, draws[coef].values], names=[str(unit), "coef"]
    )
    percent = f"{100 * ci_prob:g}"
    names = ["mean", "sd", f"eti{percent}_lb", f"eti{percent}_ub"]
    return pd.DataFrame(np.concatenate(parts, axis=1).T, index=index, columns=names)


def _moments(flat: np.ndarray, ci_prob: float) -> np.ndarray:
    check_probability(ci_prob)
    low, high = np.quantile(flat, [(1 - ci_prob) / 2, (1 + ci_prob) / 2], axis=0)
    return np.stack([flat.mean(axis=0), flat.std(axis=0, ddof=1), low, high])


def share_table(
    parts: dict[str, np.ndarray], column: str, values: Sequence[float], ci_prob: float = 0.89
) -> pd.DataFrame:
    """Tabulate shares of the total variance at several values of a covariate.

    Parameters
    ----------
    parts : dict of str to ndarray, shape (draw, point)
        Variances, the residual among them.
    column : str
        The covariate.
    values : sequence of float
        Its values, one per point.
    ci_prob : float
        Probability inside the intervals.

    Returns
    -------
    pandas.DataFrame
        A row per value and part: variance, share (VPC) with its interval.
    """
    shares = shares_of(parts)
    percent = f"{100 * ci_prob:g}"
    frames = []
    for name, variance in parts.items():
        mean, _, low, high = _moments(shares[name], ci_prob)
        frames.append(
            pd.DataFrame(
                {
                    column: values,
                    "part": name,
                    "variance": variance.mean(axis=0),
                    "share": mean,
                    f"share_eti{percent}_lb": low,
                    f"share_eti{percent}_ub": high,
                }
            )
        )
    frame = pd.concat(frames).sort_index(kind="stable")  # by value, parts in their order
    return frame.set_index([column, "part"])
