"""Intrinsic conditional autoregression between neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.terms.member_effects.correlated import AbstractCorrelated, Root
from pymc_mlm.terms.member_effects.neighbours import intrinsic_root, neighbours


@dataclass(frozen=True)
class ICAR(AbstractCorrelated):
    r"""Effects that vary smoothly between neighbours, and sum to zero in each connected part.

    .. math:: p(u) \propto
        \exp\Bigl(-\frac{c}{2 \sigma^2} \sum_{k \sim l} w_{kl} (u_k - u_l)^2\Bigr)

    c scales each connected part so that the geometric mean of its members' variances is
    :math:`\sigma^2`. A member without neighbours has an independent effect (Besag, York and
    Mollié 1991).

    Parameters
    ----------
    matrix : pandas.DataFrame, mapping of mappings, or mapping to lists of neighbours
        Weights of neighbours; zero for others.

    Raises
    ------
    SpecificationError
        The graph is not understood.

    Examples
    --------
    >>> ICAR({"a": ["b"], "b": ["a", "c"], "c": ["b"]})
    ICAR(matrix=<matrix of 3 members>)
    """

    matrix: Any

    def __post_init__(self) -> None:
        """Read and check the graph."""
        object.__setattr__(self, "matrix", neighbours(self.matrix))

    @property
    def mixing(self) -> None:
        """No parameter but the standard deviation."""
        return None

    def root(self) -> Root:
        """Return the eigenvectors of the Laplacian, scaled."""
        F = intrinsic_root(self.labelled.values)
        volume = 0.5 * float(np.linalg.slogdet(F.T @ F)[1])
        return Root(F, np.linalg.pinv(F), volume, np.ones(F.shape[1]))

    def scale(self, spectrum: Any, sd: Any, mixing: Any) -> Any:
        """Return the standard deviation for all."""
        return sd * spectrum
