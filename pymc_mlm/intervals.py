"""Equal-tailed intervals of draws: their probability, their bounds, their columns in tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from pymc_mlm.errors import SpecificationError

# The interval of every table and picture; it agrees with alpha = 0.05 of the decisions.
CI_PROB = 0.95


def check_probability(ci_prob: Any) -> None:
    """Refuse a probability of an interval that is none, such as 95 for 95 percent."""
    number = isinstance(ci_prob, (float, int, np.floating)) and not isinstance(ci_prob, bool)
    if not number or not 0 < ci_prob < 1:
        raise SpecificationError(
            f"ci_prob={ci_prob!r} is no probability between 0 and 1; write, say, 0.95."
        )


def interval(draws: Any, ci_prob: float = CI_PROB) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds that leave equal tails outside.

    Parameters
    ----------
    draws : array_like, shape (draw, ...)
        Draws along the first axis.
    ci_prob : float
        Probability between the bounds.

    Returns
    -------
    lower, upper : ndarray, shape (...)

    Raises
    ------
    SpecificationError
        `ci_prob` is no probability between 0 and 1.

    Examples
    --------
    >>> [round(float(bound), 6) for bound in interval(range(101), 0.9)]
    [5.0, 95.0]
    """
    check_probability(ci_prob)
    tails = [(1 - ci_prob) / 2, (1 + ci_prob) / 2]
    lower, upper = np.quantile(np.asarray(draws), tails, axis=0)
    return lower, upper


def interval_names(ci_prob: float = CI_PROB) -> tuple[str, str]:
    """Return what ArviZ calls the bounds in a table.

    Examples
    --------
    >>> interval_names(0.95)
    ('eti95_lb', 'eti95_ub')
    """
    return f"eti{100 * ci_prob:g}_lb", f"eti{100 * ci_prob:g}_ub"
