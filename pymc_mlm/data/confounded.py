"""Effects that a table cannot tell apart: of units that divide the rows alike, or one row each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np


def confounded(
    partitions: Sequence[tuple[str, np.ndarray]], row: str, row_variation: str | None
) -> list[str]:
    """Return a sentence for each pair of partitions that agree, and each of one row a unit.

    Parameters
    ----------
    partitions : sequence of (str, ndarray of shape (row,))
        Id column and unit of each row, of every random effect that rows have one of.
    row : str
        What a row is called.
    row_variation : str or None
        What the outcome's family has to vary from row to row; None for a family that has nothing,
        such as Poisson, where a unit per row is overdispersion.

    Examples
    --------
    >>> district, school = np.array([0, 1, 1, 0]), np.array([7, 5, 5, 7])
    >>> confounded([("district", district), ("school", school)], "row", None)[0][:50]
    "Every 'district' has exactly one 'school', and the"
    """
    found = [
        f"Every {one!r} has exactly one {other!r}, and the reverse: only the sum of their "
        "variances is identified, not each. Leave one of the two out of the model."
        for (one, a), (other, b) in combinations(partitions, 2)
        if _alike(a, b)
    ]
    if row_variation is not None:
        found += [
            f"Every {name!r} has one {row}: its effect and {row_variation} are told apart by "
            f"their priors only. Leave {name!r} out of the model."
            for name, codes in partitions
            if len(np.unique(codes)) == len(codes)
        ]
    return found


def _alike(a: np.ndarray, b: np.ndarray) -> bool:
    """Tell whether units divide the rows alike; sizes decide most pairs of a long table."""
    one, other = (np.unique(codes, return_inverse=True) for codes in (a, b))
    if len(one[0]) != len(other[0]):
        return False
    return len(np.unique(one[1] * len(other[0]) + other[1])) == len(one[0])
