"""How much each row of a table counts: repeated rows, or weights of a survey."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pymc_mlm.data.checks import as_numbers
from pymc_mlm.errors import DataError, SpecificationError

# Rows that a table of frequencies is written out to, where scales are read from it; beyond it in
# proportion.
MOST_ROWS = 5_000_000


@dataclass(frozen=True)
class AbstractRowWeights(ABC):
    """A column of weights of rows, or of groups where a model has `mm` terms."""

    column: str

    # Whether a row of weight w stands for w rows.
    is_frequency: ClassVar[bool]
    what: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse a column that is no name."""
        if not isinstance(self.column, str) or not self.column:
            raise SpecificationError(
                f"{type(self).__name__}({self.column!r}): give the name of the column of the "
                f"weights, such as {type(self).__name__}('n')."
            )

    def check(self, values: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Return weights as numbers from zero up.

        Parameters
        ----------
        values : ndarray, shape (row,)
            The column.
        rows : ndarray of int, shape (row,), optional
            Row of the user's table behind each value.

        Returns
        -------
        ndarray of float64, shape (row,)

        Raises
        ------
        DataError
            A weight is missing, no number, negative, or not of the kind.
        """
        weights = as_numbers(self.column, values, rows)
        self._refuse(weights < 0, weights, rows, "is negative", "Weights count from zero up")
        self._check(weights, rows)
        return weights

    @abstractmethod
    def _check(self, weights: np.ndarray, rows: np.ndarray | None) -> None:
        """Refuse weights that are not of the kind."""

    @abstractmethod
    def scaled(self, weights: np.ndarray) -> np.ndarray:
        """Return the weights of the fitted rows as the likelihood has them, shape (row,)."""

    @abstractmethod
    def notes(self, weights: np.ndarray) -> tuple[str, ...]:
        """Return what a reader of a summary should know."""

    def cautions(self) -> tuple[str, ...]:
        """Return what to warn of when a model is fitted."""
        return ()

    def _refuse(
        self, bad: np.ndarray, weights: np.ndarray, rows: np.ndarray | None, what: str, rule: str
    ) -> None:
        if bad.any():
            i = int(np.flatnonzero(bad)[0])
            row = i if rows is None else int(rows[i])
            raise DataError(
                f"Column {self.column!r} of {self.what} {what} in {int(bad.sum())} of "
                f"{len(weights)} rows, first in row {row} (counted from 0), where it is "
                f"{weights[i]:g}. {rule}; correct the column, or drop those rows."
            )


@dataclass(frozen=True)
class FrequencyWeights(AbstractRowWeights):
    """A row stands for so many rows that are alike: exact.

    A table with a row of frequency 3 has the posterior of the table with that row three times,
    default priors included. Rows of frequency 0 are left out.

    Parameters
    ----------
    column : str
        Column of whole numbers from zero up; where a model has `mm` terms, constant in each group.

    Examples
    --------
    >>> FrequencyWeights("n").check(np.array([2.0, 0.0]))
    array([2., 0.])
    """

    is_frequency: ClassVar[bool] = True
    what: ClassVar[str] = "frequencies"

    def _check(self, weights: np.ndarray, rows: np.ndarray | None) -> None:
        self._refuse(
            weights != np.rint(weights), weights, rows, "is no whole number",
            "A frequency is how many rows a row stands for; weights of a survey are "
            f"SurveyWeights({self.column!r})",
        )  # fmt: skip

    def scaled(self, weights: np.ndarray) -> np.ndarray:
        """Return the weights themselves."""
        return weights

    def notes(self, weights: np.ndarray) -> tuple[str, ...]:
        """Return how many rows the fitted ones stand for."""
        return (
            f"Each row stands for {self.column!r} rows: {len(weights)} for {weights.sum():.0f}.",
        )


@dataclass(frozen=True)
class SurveyWeights(AbstractRowWeights):
    """Rows weigh as the inverse of their chance to be in the sample: a pseudo-likelihood.

    The log density of each row is multiplied by its weight, with weights that are scaled to the
    mean 1. Point estimates are those for the population; standard deviations and intervals of the
    posterior leave the design of the survey out, and a warning is given.

    Parameters
    ----------
    column : str
        Column of numbers from zero up; where a model has `mm` terms, constant in each group.

    References
    ----------
    .. [1] Savitsky, T. D. & Toth, D. (2016). Bayesian estimation under informative sampling.
       Electronic Journal of Statistics 10, 1677-1708.
    .. [2] Rabe-Hesketh, S. & Skrondal, A. (2006). Multilevel modelling of complex survey data.
       Journal of the Royal Statistical Society A 169, 805-827.

    Examples
    --------
    >>> SurveyWeights("w").scaled(np.array([1.0, 3.0]))
    array([0.5, 1.5])
    """

    is_frequency: ClassVar[bool] = False
    what: ClassVar[str] = "survey weights"

    def _check(self, weights: np.ndarray, rows: np.ndarray | None) -> None:
        """Any number from zero up."""

    def scaled(self, weights: np.ndarray) -> np.ndarray:
        """Return the weights divided by their mean."""
        return weights / weights.mean()

    def notes(self, weights: np.ndarray) -> tuple[str, ...]:
        """Return what the intervals are not, with the effective number of rows."""
        effective = weights.sum() ** 2 / (weights @ weights)
        return (
            f"Survey weights {self.column!r}, scaled to the mean 1: a pseudo-likelihood. Standard "
            "errors and intervals leave the design of the survey out (strata, clusters, unequal "
            f"chances); the weights alone make {len(weights)} rows worth {effective:.0f}.",
        )

    def cautions(self) -> tuple[str, ...]:
        """Warn of intervals that are not those of the design."""
        return (
            f"Survey weights {self.column!r} make the likelihood a pseudo-likelihood: standard "
            "errors and intervals leave the design of the survey out, and may be too narrow. "
            "Estimate them by refitting with replicate weights (jackknife, bootstrap).",
        )


def as_row_weights(value: Any) -> AbstractRowWeights | None:
    """Return row weights as they are given, or ask which ones they are.

    Raises
    ------
    SpecificationError
        The value is none, such as the name of a column alone.
    """
    if value is None or isinstance(value, AbstractRowWeights):
        return value
    column = value if isinstance(value, str) else "n"
    raise SpecificationError(
        f"row_weights={value!r} does not tell what the weights are: FrequencyWeights({column!r}) "
        f"for rows that stand for several, SurveyWeights({column!r}) for the inverse of the chance "
        "to be sampled. Weights of members are mm(weight=...)."
    )


def repeats(counts: np.ndarray) -> np.ndarray:
    """Return how often each row is written out, shape (row,), to read scales from the table.

    Examples
    --------
    >>> repeats(np.array([2.0, 1.0]))
    array([2, 1])
    """
    share = min(1.0, MOST_ROWS / counts.sum())
    return np.maximum(np.rint(counts * share), 1.0).astype(np.int64)
