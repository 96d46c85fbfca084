"""Members whose covariance is known up to a factor: phylogenies, pedigrees, distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.labelled_matrix import labelled_matrix
from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms.member_effects.correlated import AbstractCorrelated, Root


@dataclass(frozen=True)
class KnownCovariance(AbstractCorrelated):
    r"""Effects with a known covariance: :math:`u \sim N(0, \sigma^2 K)`.

    Parameters
    ----------
    matrix : pandas.DataFrame or mapping of mappings
        Positive definite K; rows and columns bear the members' ids. Taken as it is: with a diagonal
        of ones, sd is a member's standard deviation.

    Raises
    ------
    SpecificationError
        Labels do not fit, or the matrix is not symmetric and positive definite.

    Examples
    --------
    >>> KnownCovariance({"a": {"a": 1, "b": 0.5}, "b": {"a": 0.5, "b": 1}})
    KnownCovariance(matrix=<matrix of 2 members>)
    """

    matrix: Any

    def __post_init__(self) -> None:
        """Read and check the matrix."""
        found = labelled_matrix("covariance", self.matrix)
        object.__setattr__(self, "matrix", found)
        eigenvalues = np.linalg.eigvalsh(found.values)
        if eigenvalues[0] <= len(eigenvalues) * np.finfo(float).eps * abs(eigenvalues[-1]):
            raise SpecificationError(
                f"covariance is not positive definite: its smallest eigenvalue is "
                f"{eigenvalues[0]:.3g}, its largest {eigenvalues[-1]:.3g}. Members with the "
                "same row are one member; else add a little to the diagonal, or correct the matrix."
            )

    @property
    def mixing(self) -> None:
        """No parameter but the standard deviation."""
        return None

    def root(self) -> Root:
        """Return the Cholesky factor."""
        L = np.linalg.cholesky(self.labelled.values)
        volume = float(np.log(np.diag(L)).sum())
        return Root(L, np.linalg.inv(L), volume, np.ones(len(L)))

    def scale(self, spectrum: Any, sd: Any, mixing: Any) -> Any:
        """Return the standard deviation for all."""
        return sd * spectrum
