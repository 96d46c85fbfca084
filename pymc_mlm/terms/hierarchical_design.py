"""Units of an ordinary hierarchical term, read from a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.data.factor import UNKNOWN, Factor

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
    """

    name: str
    units: Factor
    covariates: tuple[str, ...]
    X: np.ndarray
    fixed: np.ndarray | None = None
    coding: Any = None
    counts: np.ndarray | None = None

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
