"""Units of an ordinary hierarchical term, read from a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.data.checks import as_numbers, constant_within
from pymc_mlm.data.factor import UNKNOWN, Factor
from pymc_mlm.errors import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class HierarchicalDesign:
    """Unit and unit-level covariates of each group.

    Attributes
    ----------
    name : str
        Prefix of the term's variables.
    units : Factor
        Units; its codes are per group.
    covariates : tuple of str
        Unit-level covariates.
    X : ndarray, shape (group, covariate)
        Their values.
    fixed : ndarray, shape (group,), or None
        Part of the covariates with fixed coefficients.
    coding : PopulationDesign or None
        How a formula of covariates was coded.
    counts : ndarray, shape (group,), or None
        As in `PopulationDesign`.
    sd_factor : ndarray, shape (fitted unit,), or None
        Standard deviation of each unit's effect, per that of the term, by prior weights.
    """

    name: str
    units: Factor
    covariates: tuple[str, ...]
    X: np.ndarray
    fixed: np.ndarray | None = None
    coding: Any = None
    counts: np.ndarray | None = None
    sd_factor: np.ndarray | None = None

    @property
    def factor_of_rows(self) -> np.ndarray:
        """Standard deviation of each group's effect, per that of the term, shape (group,)."""
        codes = self.units.codes
        if self.sd_factor is None:
            return np.ones(len(codes))
        fitted = np.append(self.sd_factor, np.ones(1))
        return fitted[np.where((codes < 0) | (codes >= len(self.sd_factor)), -1, codes)]

    @property
    def group_covariates(self) -> np.ndarray:
        """Covariates of each group, shape (group, covariate)."""
        return self.X

    @property
    def incidence(self) -> csr_array:
        """One where a group belongs to a unit, (group, unit); groups of unknown units have none."""
        from scipy.sparse import csr_array

        codes = self.units.codes
        rows = np.flatnonzero(codes != UNKNOWN)
        places = rows, codes[rows]
        return csr_array((np.ones(len(rows)), places), shape=(len(codes), len(self.units)))

    @property
    def contrasts(self) -> csr_array:
        """The incidence without the first unit, (group, unit - 1)."""
        return self.incidence[:, 1:]


def sd_factors(column: str, values: np.ndarray, units: Factor) -> np.ndarray:
    r"""Return what prior weights make of the standard deviation of each unit's effect.

    With weights of mean 1, :math:`\prod_j N(u_j; 0, \sigma^2)^{w_j}` is
    :math:`\prod_j N(u_j; 0, \sigma^2 / w_j)` up to a constant.

    Raises
    ------
    DataError
        A weight is missing, is not positive, or varies within a unit.
    """
    remedy = f"A prior weight belongs to {units.name!r}: repeat one value in all of its rows."
    weights = as_numbers(column, constant_within(column, values, units, remedy))
    if (weights <= 0).any():
        unit = int(np.argmin(weights > 0))
        raise DataError(
            f"The prior weight {column!r} of {units.name!r}={units.labels[unit]!r} is "
            f"{weights[unit]:g}; prior weights are positive. Correct it, or drop the unit's rows."
        )
    return np.asarray(1.0 / np.sqrt(weights / weights.mean()))
