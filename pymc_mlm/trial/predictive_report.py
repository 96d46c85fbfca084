"""Prior and posterior predictive checks of a fitted trial, as parts of a report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pymc_mlm.fit import Fit
from pymc_mlm.intervals import interval

Array = np.ndarray[Any, Any]
MEANING = (
    "Statistics of the table, and of new outcomes of the same persons in the same clusters and "
    "with the same members: from the priors alone, and from the posterior. Outcomes that are "
    "missing in the table are left out of both. A share near 0 or 1 of posterior predictions at or "
    "above the observed value shows a misfit."
)
NOT_DRAWN = (
    "The priors cannot be drawn from, as a flat prior cannot, so that there is no prior "
    "predictive check."
)


def posterior_rows(fit: Fit, outcomes: Any, ci_prob: float) -> list[dict[str, Any]]:
    """Return observed statistics beside those of posterior predictions, rows of a table.

    Parameters
    ----------
    fit : Fit
        A fitted trial.
    outcomes : DataArray, dims (chain, draw, row, outcome)
        New outcomes of the fitted rows.
    ci_prob : float
        Probability inside the intervals.
    """
    rows = []
    for name, observed, found in _compared(fit, outcomes):
        # Shares are multiples of one over the persons: equal to all digits but the last.
        above = float((found >= observed - 1e-9).mean())
        middle = _middle(found, ci_prob)
        rows.append({"statistic": name, "observed": observed, **middle, "share at or above": above})
    return rows


def prior_rows(fit: Fit, outcomes: Any, ci_prob: float) -> list[dict[str, Any]]:
    """Return the same statistics of draws from the priors alone, rows of a table."""
    found = _compared(fit, outcomes)
    return [{"statistic": name, **_middle(values, ci_prob)} for name, _, values in found]


def _compared(fit: Fit, outcomes: Any) -> Iterator[tuple[str, float, Array]]:
    """Yield name, observed value and predicted values of each statistic."""
    seen = fit.design.trial.observed
    drawn = outcomes.transpose("chain", "draw", ..., "outcome").values
    new = np.where(np.isnan(seen), np.nan, drawn.reshape(-1, *drawn.shape[2:]))
    for name, statistic in _statistics(fit):
        yield name, float(statistic(seen[None])[0]), statistic(new)


def _middle(values: Array, ci_prob: float) -> dict[str, float]:
    lower, upper = interval(values, ci_prob)
    return {"median": float(np.median(values)), "lower": float(lower), "upper": float(upper)}


def _statistics(fit: Fit) -> list[tuple[str, Callable[[Array], Array]]]:
    """Return names and functions from outcomes, shape (draw, row, outcome), to (draw,)."""
    trial = fit.design.trial
    found: list[tuple[str, Callable[[Array], Array]]] = []
    arms = list(enumerate(trial.arm.labels.tolist()))
    for code, arm in arms:
        mine = trial.arm.codes == code
        for k, outcome in enumerate(trial.outcomes):
            if not np.isnan(trial.observed[mine, k]).all():
                found.append((f"share of {outcome}, {arm}", _share(mine, k)))
    complete = ~np.isnan(trial.observed).any(axis=1)
    for code, arm in arms if len(trial.outcomes) > 1 else []:
        mine = complete & (trial.arm.codes == code)
        if mine.any():
            found.append((f"share with every outcome, {arm}", _every(mine)))
    if trial.cluster is not None:
        codes, count = trial.cluster.factor.codes, len(trial.cluster.factor)
        for k, outcome in enumerate(trial.outcomes):
            kept = ~np.isnan(trial.observed[:, k])
            if len(np.unique(codes[kept])) > 1:
                found.append(
                    (f"sd of the clusters' shares of {outcome}", _between(kept, codes, count, k))
                )
    return found


def _share(rows: Array, k: int) -> Callable[[Array], Array]:
    return lambda y: np.asarray(np.nanmean(y[:, rows, k], axis=1))


def _every(rows: Array) -> Callable[[Array], Array]:
    return lambda y: np.asarray((y[:, rows] == 1).all(axis=2).mean(axis=1))


def _between(rows: Array, codes: Array, count: int, k: int) -> Callable[[Array], Array]:
    """Return the sd between clusters of the share of an outcome, over clusters with rows."""
    sizes = np.bincount(codes[rows], minlength=count)
    used = sizes > 0

    def sd(y: Array) -> Array:
        sums = np.stack([np.bincount(codes[rows], own, count) for own in y[:, rows, k]])
        return np.asarray((sums[:, used] / sizes[used]).std(axis=1, ddof=1))

    return sd
