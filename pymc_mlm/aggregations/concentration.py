"""How the weights of a group are spread over its members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from pymc_mlm.aggregations.base import AbstractAggregation, Rows


@final
@dataclass(frozen=True)
class Concentration(AbstractAggregation):
    r"""Sum of squared weights, :math:`\sum_k w_k^2`: the index of Herfindahl and Hirschman."""

    @property
    def columns(self) -> tuple[str, ...]:
        """None: weights alone."""
        return ()

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the index of each row's group, shape (row,)."""
        return rows.total(w**2)


@final
@dataclass(frozen=True)
class EffectiveNumber(AbstractAggregation):
    r"""Effective number of members, :math:`1 / \sum_k w_k^2` (Laakso and Taagepera 1979)."""

    @property
    def columns(self) -> tuple[str, ...]:
        """None: weights alone."""
        return ()

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the number for each row's group, shape (row,)."""
        return 1.0 / rows.total(w**2)


@final
@dataclass(frozen=True)
class Entropy(AbstractAggregation):
    r"""Entropy of the weights, :math:`-\sum_k w_k \log w_k`, natural logarithm."""

    @property
    def columns(self) -> tuple[str, ...]:
        """None: weights alone."""
        return ()

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the entropy of each row's group, shape (row,)."""
        return -rows.total(w * np.log(np.where(w > 0, w, 1.0)))
