"""What an aggregation is: weights and columns of members in, one number per group out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.weights.fold import Rows

__all__ = ["AbstractAggregation", "Rows", "finite"]


class AbstractAggregation(ABC):
    """A feature of a group, as a function of its members' weights and columns.

    Subclasses are frozen dataclasses.
    """

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns of members that are read."""

    @abstractmethod
    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the feature of each row's group, shape (row,).

        Parameters
        ----------
        w : ndarray, shape (row,)
            Weights that sum to one in each group.
        rows : Rows
            The groups: `total` and `extreme` over the group of each row.
        *x : ndarray, shape (row,)
            The columns.
        """


def finite(where: str, name: str, value: Any) -> None:
    """Refuse a parameter that is no finite number."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not np.isfinite(value):
        raise SpecificationError(f"{where}: {name}={value!r} must be a finite number.")
