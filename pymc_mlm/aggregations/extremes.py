"""Between the mean and the extremes of members' columns: smooth maxima, power means, thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from pymc_mlm.aggregations.base import AbstractAggregation, Rows, finite
from pymc_mlm.errors import DataError, SpecificationError


@final
@dataclass(frozen=True)
class SmoothMaximum(AbstractAggregation):
    r"""Smooth maximum, :math:`\kappa^{-1} \log \sum_k w_k e^{\kappa x_k}`.

    Parameters
    ----------
    column : str
        Column `x`.
    sharpness : float
        :math:`\kappa`: the maximum as it grows, the minimum as it falls, near zero the mean.
    """

    column: str
    sharpness: float

    def __post_init__(self) -> None:
        """Refuse a sharpness of zero, which is `Mean`."""
        finite(f"SmoothMaximum({self.column!r})", "sharpness", self.sharpness)
        if self.sharpness == 0:
            raise SpecificationError(
                f"SmoothMaximum({self.column!r}): at sharpness=0 it is the mean; use Mean."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the maximum of each row's group, shape (row,)."""
        z = self.sharpness * x[0]
        high = rows.extreme(np.where(w > 0, z, -np.inf), np.maximum)
        return np.asarray(
            (np.log(rows.total(w * np.exp(np.minimum(z - high, 0.0)))) + high) / self.sharpness
        )


@final
@dataclass(frozen=True)
class PowerMean(AbstractAggregation):
    r"""Power mean, :math:`(\sum_k w_k x_k^p)^{1/p}`, of positive values.

    Parameters
    ----------
    column : str
        Column `x`, positive.
    power : float
        `p`: 1 is the mean, 0 the geometric one, -1 the harmonic one. Below 1 members complement
        one another, above they substitute for one another.
    """

    column: str
    power: float

    def __post_init__(self) -> None:
        """Check the power."""
        finite(f"PowerMean({self.column!r})", "power", self.power)

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the mean of each row's group, shape (row,)."""
        if (x[0] <= 0).any():
            raise DataError(
                f"PowerMean({self.column!r}) is of positive values; found {x[0].min():g}. Shift "
                "the column, or use SmoothMaximum."
            )
        if self.power == 0:
            return np.exp(rows.total(w * np.log(x[0])))
        return np.asarray(rows.total(w * x[0] ** self.power) ** (1.0 / self.power))


@final
@dataclass(frozen=True)
class Threshold(AbstractAggregation):
    r"""Share of members above a cut.

    .. math:: \sum_k w_k \operatorname{logit}^{-1}\{\kappa (x_k - c)\}

    Parameters
    ----------
    column : str
        Column `x`.
    cut : float
        `c`.
    sharpness : float, default infinite
        :math:`\kappa`; infinite counts the members above the cut.
    """

    column: str
    cut: float
    sharpness: float = float("inf")

    def __post_init__(self) -> None:
        """Check the numbers."""
        finite(f"Threshold({self.column!r})", "cut", self.cut)
        if isinstance(self.sharpness, bool) or not self.sharpness > 0:
            raise SpecificationError(
                f"Threshold({self.column!r}): sharpness={self.sharpness!r} must be above zero."
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """The column."""
        return (self.column,)

    def of(self, w: np.ndarray, rows: Rows, *x: np.ndarray) -> np.ndarray:
        """Return the share of each row's group, shape (row,)."""
        if np.isinf(self.sharpness):
            return rows.total(w * (x[0] > self.cut))
        z = self.sharpness * (x[0] - self.cut)
        return rows.total(w * np.exp(-np.logaddexp(0.0, -z)))
