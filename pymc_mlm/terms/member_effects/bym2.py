"""Effects that are partly smooth between neighbours and partly independent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.terms.member_effects.correlated import AbstractCorrelated, Root
from pymc_mlm.terms.member_effects.neighbours import intrinsic_root, neighbours


@dataclass(frozen=True)
class BYM2(AbstractCorrelated):
    r"""Effects of which a share :math:`\rho` of the variance is smooth between neighbours.

    .. math:: u = \sigma \bigl(\sqrt{1 - \rho}\, \theta + \sqrt{\rho}\, \phi\bigr), \qquad
        \theta_k \sim N(0, 1)

    with :math:`\phi` as in `ICAR`, scaled (Riebler et al. 2016). The sum is one vector here:
    :math:`\theta` and :math:`\phi` are diagonal in one basis.

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
    >>> BYM2({"a": ["b"], "b": ["a", "c"], "c": ["b"]})
    BYM2(matrix=<matrix of 3 members>)
    """

    matrix: Any

    def __post_init__(self) -> None:
        """Read and check the graph."""
        object.__setattr__(self, "matrix", neighbours(self.matrix))

    @property
    def mixing(self) -> str:
        """Share of the smooth part."""
        return "rho"

    def root(self) -> Root:
        """Return the eigenvectors of the smooth part's covariance, and its eigenvalues."""
        F = intrinsic_root(self.labelled.values)
        values, vectors = np.linalg.eigh(F @ F.T)
        return Root(vectors, vectors.T, 0.0, np.maximum(values, 0.0))

    def scale(self, spectrum: Any, sd: Any, mixing: Any) -> Any:
        """Return the root of both variances' sum."""
        return sd * ((1.0 - mixing) + mixing * spectrum) ** 0.5
