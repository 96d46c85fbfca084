"""What a weight function is: a specification that reads columns and writes a raw weight.

`resolve` reads data and returns NumPy; `evaluate` writes graph. The term that holds the weight
creates the free parameters between the two, and normalises afterwards.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable


@dataclass(frozen=True, eq=False)
class WeightDesign:
    """A weight function met its table: all that does not depend on a free parameter, as arrays.

    Attributes
    ----------
    data : dict of str to ndarray of float64, shape (row,)
        The pieces of the formula that `AbstractWeight.evaluate` needs. The keys are identifiers;
        they also say which pieces are known not to be negative, so that `evaluate` writes the
        same graph for new data as long as they resolve to the same keys.
    prior_sd : dict of str to float
        Default prior standard deviation of each free parameter, in order of appearance.
    nonnegative : bool
        Whether no weight can be negative, whatever the parameters.
    value : ndarray of float64, shape (row,), or None
        The raw weights themselves where no parameter is free, else None.
    scales : dict of str to tuple of float
        Mean and sd of what ``scale()`` standardises, which new data share.
    """

    data: dict[str, np.ndarray]
    prior_sd: dict[str, float]
    nonnegative: bool
    value: np.ndarray | None = None
    scales: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def fixed(self) -> bool:
        """Whether the weights have no free parameter."""
        return not self.prior_sd


@dataclass(frozen=True, eq=False)
class RawWeight:
    """Raw weights as tensors: one of the two fields is given.

    Attributes
    ----------
    log : TensorVariable, shape (row,), or None
        Natural logarithm of weights that are proven not to be negative; ``-inf`` for zero.
    value : TensorVariable, shape (row,), or None
        Weights that may be negative.
    """

    log: TensorVariable | None = None
    value: TensorVariable | None = None

    def natural(self) -> TensorVariable:
        """Return the weights themselves, shape (row,), whichever field is given."""
        return pt.exp(self.log) if self.value is None else self.value


class AbstractWeight(ABC):
    """Raw weight of each membership row, as a function of columns and free parameters.

    Subclasses are frozen dataclasses. Rows are sorted by group; the raw weights are neither
    normalised nor checked for groups whose weights sum to zero, which is the term's business.
    """

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that the weight reads, in order of appearance."""

    @property
    @abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """Free parameters, in order of appearance."""

    @property
    @abstractmethod
    def label(self) -> str:
        """The function as text, for printing."""

    @abstractmethod
    def check(self, available: Collection[str]) -> None:
        """Raise `SpecificationError` if a column is not among those `available`."""

    @abstractmethod
    def resolve(
        self,
        columns: Mapping[str, np.ndarray],
        group: np.ndarray,
        indptr: np.ndarray,
        known: WeightDesign | None = None,
    ) -> WeightDesign:
        """Read the columns and fold what does not depend on a free parameter.

        Parameters
        ----------
        columns : mapping of str to ndarray of float or bool, shape (row,)
            At least the columns named in `columns`, in the order of `group`.
        group : ndarray of int64, shape (row,)
            Group of each membership row, ascending.
        indptr : ndarray of int64, shape (num_groups + 1,)
            First row of each group.
        known : WeightDesign, optional
            The fitted design, for new data: the result then has the same keys, or an error states
            which piece of the formula changed its sign.

        Returns
        -------
        WeightDesign

        Raises
        ------
        DataError
            A column or a folded piece is missing or infinite, with the first such row.
        SpecificationError
            A column is unknown, or a logarithm, root or free power may be of a negative number.
        """

    @abstractmethod
    def evaluate(
        self,
        data: Mapping[str, Any],
        b: Mapping[str, Any],
        group: Any,
        indptr: Any,
    ) -> RawWeight:
        """Write the raw weights as graph.

        Parameters
        ----------
        data : mapping of str to tensor_like, shape (row,)
            `WeightDesign.data`, as arrays or as ``pm.Data``.
        b : mapping of str to scalar tensor_like
            The free parameters.
        group : tensor_like of int, shape (row,)
            Group of each membership row, ascending.
        indptr : tensor_like of int, shape (num_groups + 1,)
            First row of each group.

        Returns
        -------
        RawWeight
            Logarithms wherever the weights are proven not to be negative.
        """
