"""Weighted moments of members' columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from pymc_mlm.aggregations.base import AbstractAggregation, Rows
from pymc_mlm.errors import SpecificationError


@final
@dataclass(frozen=True)
class Mean(AbstractAggregation):
    r"""Weighted mean, :math:`\sum_k w_k x_k`.

    Parameters
    ----------
    column : str
        Column `x`.
    """

    column: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the mean of each row's group, shape (row,)."""
        return rows.total(w * x[0])


@final
@dataclass(frozen=True)
class Variance(AbstractAggregation):
    r"""Weighted central moment, :math:`\sum_k w_k (x_k - \bar x)^m`: the variance for m = 2.

    Parameters
    ----------
    column : str
        Column `x`.
    moment : int, default 2
        Power `m`, from 2.
    """

    column: str
    moment: int = 2

    def __post_init__(self) -> None:
        """Check the moment."""
        if isinstance(self.moment, bool) or self.moment not in range(2, 13):
            raise SpecificationError(
                f"Variance({self.column!r}): moment={self.moment!r} must be a whole number from 2 "
                "to 12."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the moment of each row's group, shape (row,)."""
        return rows.total(w * (x[0] - rows.total(w * x[0])) ** self.moment)


@final
@dataclass(frozen=True)
class Covariance(AbstractAggregation):
    r"""Weighted covariance, :math:`\sum_k w_k (x_k - \bar x)(z_k - \bar z)`.

    Parameters
    ----------
    first, second : str
        Columns `x` and `z`.
    """

    first: str
    second: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Both columns."""
        return (self.first, self.second)

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the covariance of each row's group, shape (row,)."""
        a, b = (v - rows.total(w * v) for v in x)
        return rows.total(w * a * b)
