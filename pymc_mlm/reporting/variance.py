"""How much of the outcome's variation each part of a model accounts for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pymc_mlm.reporting.summary import Table, draws_table


def membership_variance(
    sd: np.ndarray, weights: np.ndarray, group: np.ndarray, num_groups: int
) -> np.ndarray:
    r"""Return the variance that member effects give to their groups, averaged over groups.

    .. math:: V^{(s)} = \frac{1}{J} \sum_j \bigl(\sigma^{(s)}\bigr)^2
        \sum_{k \in j} \bigl(w_{jk}^{(s)}\bigr)^2

    Per draw `s`, weights included: the mean of a squared weight is larger than the square of
    its mean, and plugging in mean weights understates the variance.

    Parameters
    ----------
    sd : ndarray, shape (draw,)
        Standard deviation of the member effects.
    weights : ndarray, shape (draw, row)
        Weights of the membership rows.
    group : ndarray of int, shape (row,)
        Group of each row.
    num_groups : int
        Number of groups.

    Returns
    -------
    ndarray, shape (draw,)
        Variance on the scale of the linear predictor, squared.

    Examples
    --------
    >>> membership_variance(np.array([2.0]), np.array([[0.5, 0.5, 1.0]]), np.array([0, 0, 1]), 2)
    array([3.])
    """
    # Summing over all rows at once: the average over groups needs no sum per group.
    return sd**2 * (weights**2).sum(axis=1) / num_groups


def variance_decomposition(
    title: str,
    components: Mapping[str, np.ndarray],
    residual: np.ndarray | None,
    scale: str,
    ci_prob: float = 0.89,
) -> Table:
    """Tabulate variances and their shares of the random variation.

    Parameters
    ----------
    title : str
        Heading.
    components : mapping of str to ndarray, shape (draw,)
        Variance of each random part.
    residual : ndarray, shape (draw,), or None
        Residual variance on the same scale; None for a family that has none.
    scale : str
        The scale, for the note, for example "log time".
    ci_prob : float
        Probability inside the intervals.

    Returns
    -------
    Table
        Rows: components and residual; columns: standard deviation, variance, and the share of
        the total with its interval.
    """
    import pandas as pd

    parts = dict(components)
    if residual is not None:
        parts["residual"] = np.broadcast_to(residual, next(iter(parts.values())).shape)
    shares = draws_table(shares_of(parts), ci_prob)
    frame = pd.DataFrame(
        {
            "sd": {name: float(np.sqrt(v).mean()) for name, v in parts.items()},
            "variance": {name: float(v.mean()) for name, v in parts.items()},
            "share": shares["mean"],
            **{f"share_{c}": shares[c] for c in shares.columns if c.startswith("eti")},
        }
    )
    notes: tuple[str, ...] = (
        f"Variances on the scale of {scale}, computed per draw; what covariates explain is left "
        "out. Member effects: sd squared times the sum of squared weights, averaged over groups.",
    )
    if residual is None:
        notes += ("The family has no residual variance: shares are of the random part only.",)
    elif np.isinf(parts["residual"]).any():
        count = int(np.isinf(parts["residual"]).sum())
        notes += (
            f"In {count} of {len(parts['residual'])} draws the residual variance is infinite "
            "(nu <= 2), and its share is 1.",
        )
    return Table(title, frame, notes)


def shares_of(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return each variance as a share of the total; an infinite one has all of it."""
    total = np.sum(list(parts.values()), axis=0)
    with np.errstate(invalid="ignore"):
        return {name: np.where(np.isinf(v), 1.0, v / total) for name, v in parts.items()}
