"""Shares of a total variance."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def shares_of(parts: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return each variance as a share of the total; an infinite one has all of it."""
    total = np.sum(list(parts.values()), axis=0)
    with np.errstate(invalid="ignore"):
        return {name: np.where(np.isinf(v), 1.0, v / total) for name, v in parts.items()}
