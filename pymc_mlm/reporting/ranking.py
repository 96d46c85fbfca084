"""Ranks of units with their uncertainty: players, teachers, hospitals."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.intervals import CI_PROB, check_probability, interval, interval_names
from pymc_mlm.reporting.summary import Table, posterior_table

# Ranks are sorted in each draw; so many numbers take some 400 MB.
MOST_NUMBERS = 20_000_000
BEST = ("highest", "lowest")


def ranking(draws: xr.DataArray, best: str = "highest", ci_prob: float = CI_PROB) -> Table:
    """Rank units by their effects, in each draw.

    Parameters
    ----------
    draws : DataArray, dims (chain, draw, unit)
        Posterior draws of the effects.
    best : {"highest", "lowest"}
        Which effect has rank 1.
    ci_prob : float
        Probability inside the equal-tailed intervals.

    Returns
    -------
    Table
        A row per unit, sorted by expected rank: that rank, its interval, the probability of rank
        1, and mean, sd and interval of the effect.

    Raises
    ------
    SpecificationError
        Units have several effects each, or `best` is none of the two.

    Notes
    -----
    The rank of posterior means says nothing of how sure it is; the expected rank and its interval
    come from the posterior of ranks [1]_ [2]_.

    References
    ----------
    .. [1] Goldstein, H. & Spiegelhalter, D. J. (1996). League tables and their limitations.
       J. R. Stat. Soc. A 159, 385-443.
    .. [2] Laird, N. M. & Louis, T. A. (1989). Empirical Bayes ranking methods. Journal of
       Educational Statistics 14, 29-46.
    """
    import pandas as pd

    check_probability(ci_prob)
    if best not in BEST:
        raise SpecificationError(f"best is 'highest' or 'lowest', not {best!r}.")
    draws = draws.squeeze("coef", drop=True) if draws.sizes.get("coef") == 1 else draws
    dims = [str(d) for d in draws.dims if d not in ("chain", "draw")]
    if len(dims) != 1:
        raise SpecificationError(
            f"Units have several effects each (dims {', '.join(dims)}), and no single rank. Rank "
            "one of them yourself, from effect_draws()."
        )
    flat = draws.transpose("chain", "draw", dims[0]).values.reshape(-1, draws.sizes[dims[0]])
    ranks = _ranks(flat if best == "lowest" else -flat)
    low, high = interval(ranks, ci_prob)
    bounds = [f"rank_{name}" for name in interval_names(ci_prob)]
    index = pd.Index(draws[dims[0]].values, name=dims[0])
    columns = {"rank": ranks.mean(axis=0), bounds[0]: low, bounds[1]: high}
    frame = pd.DataFrame(columns | {"p_first": (ranks == 1).mean(axis=0)}, index=index)
    effects = posterior_table(flat, index, ci_prob)
    frame = pd.concat([frame, effects], axis=1).sort_values("rank", kind="stable")
    return Table(f"Ranks of {dims[0]}", frame, (_in_words(frame, best, ranks.shape[1]),))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each unit in each draw, the smallest value first, (draw, unit)."""
    keep = max(1, min(len(values), MOST_NUMBERS // max(values.shape[1], 1)))
    chosen = values[np.linspace(0, len(values) - 1, keep).astype(int)]
    return np.argsort(np.argsort(chosen, axis=1), axis=1) + 1


def _in_words(frame: Any, best: str, count: int) -> str:
    first = frame.index[0]
    chance = 100 * frame["p_first"].iloc[0]
    return (
        f"Rank 1 of {count} is the {best} effect, in each draw. {first} has it with probability "
        f"{chance:.0f}%; a rank whose interval is wide is hardly known."
    )
