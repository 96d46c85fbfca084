"""What named weights share that read columns of a set meaning: an expression and a check."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from pymc_mlm.errors import MembershipRowError, SpecificationError
from pymc_mlm.weights.base import AbstractWeight, RawWeight, WeightDesign
from pymc_mlm.weights.design import read_columns
from pymc_mlm.weights.expression import Expression
from pymc_mlm.weights.tree import quote


class AbstractNamedWeight(AbstractWeight, ABC):
    """A weight that is an expression of columns, whose values are checked before.

    Subclasses are frozen dataclasses that implement `expression` and `require`.
    """

    @property
    @abstractmethod
    def expression(self) -> Expression:
        """The function."""

    @abstractmethod
    def require(
        self, columns: Mapping[str, np.ndarray], group: np.ndarray, indptr: np.ndarray
    ) -> None:
        """Raise `DataError` where a column does not hold what the weight reads it as.

        Parameters are those of `AbstractWeight.resolve`, the columns as finite numbers.
        """

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the expression."""
        return self.expression.columns

    @property
    def parameters(self) -> tuple[str, ...]:
        """Free parameters of the expression."""
        return self.expression.parameters

    @property
    def label(self) -> str:
        """The expression as text."""
        return self.expression.label

    def check(self, available: Collection[str]) -> None:
        """Raise `SpecificationError` if a column is not among those `available`."""
        self.expression.check(available)

    def resolve(
        self,
        columns: Mapping[str, np.ndarray],
        group: np.ndarray,
        indptr: np.ndarray,
        known: WeightDesign | None = None,
    ) -> WeightDesign:
        """Check the columns, and resolve the expression; see `AbstractWeight.resolve`."""
        self.check(columns.keys())
        self.require(read_columns(columns, self.columns), np.asarray(group), np.asarray(indptr))
        return self.expression.resolve(columns, group, indptr, known)

    def evaluate(
        self, data: Mapping[str, Any], b: Mapping[str, Any], group: Any, indptr: Any
    ) -> RawWeight:
        """Write the expression as graph; see `AbstractWeight.evaluate`."""
        return self.expression.evaluate(data, b, group, indptr)


def quoted(name: str) -> str:
    """Return a column's name as it is written in a weight, or refuse what cannot be one."""
    if not isinstance(name, str) or not name.isprintable() or "`" in name or not name:
        raise SpecificationError(
            f"{name!r} cannot be named in a weight: a column's name must be text without "
            "backquotes and unprintable characters; rename the column."
        )
    return quote(name)


def require_rows(name: str, values: np.ndarray, holds: np.ndarray, rule: str) -> None:
    """Raise an error that names the first row in which a column breaks a rule."""
    if holds.all():
        return
    row = int(np.argmin(holds))
    raise MembershipRowError(
        f"the weight column {name!r} is {values[row].item():g} in membership row {row} (counted "
        f"from 0, sorted by group; {int((~holds).sum())} such rows); {rule}",
        row,
    )
