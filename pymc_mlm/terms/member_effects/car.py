"""Proper conditional autoregression between neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.terms.member_effects.correlated import AbstractCorrelated, Root
from pymc_mlm.terms.member_effects.neighbours import neighbours


@dataclass(frozen=True)
class CAR(AbstractCorrelated):
    r"""Effects whose mean given the others is a part :math:`\alpha` of the neighbours' mean.

    .. math:: u_k \mid u_{-k} \sim N\Bigl(\alpha \sum_l \frac{w_{kl}}{w_{k+}} u_l,
        \frac{\sigma^2}{w_{k+}}\Bigr), \qquad u \sim N(0, \sigma^2 (D - \alpha W)^{-1}),
        \quad 0 < \alpha < 1

    The parametrisation of ``pymc.CAR`` (Besag 1974). A member without neighbours has an
    independent effect of variance :math:`\sigma^2`.

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
    >>> CAR({"a": ["b"], "b": ["a", "c"], "c": ["b"]})
    CAR(matrix=<matrix of 3 members>)
    """

    matrix: Any

    def __post_init__(self) -> None:
        """Read and check the graph."""
        object.__setattr__(self, "matrix", neighbours(self.matrix))

    @property
    def mixing(self) -> str:
        """Dependence on neighbours."""
        return "alpha"

    def root(self) -> Root:
        """Return the eigenvectors of the weights, each side divided by the root of its sum."""
        W = self.labelled.values
        total = W.sum(axis=1)
        side = np.sqrt(np.where(total > 0, total, 1.0))
        values, V = np.linalg.eigh(W / np.outer(side, side))
        volume = -float(np.log(side).sum())
        return Root(V / side[:, None], V.T * side, volume, np.minimum(values, 1.0))

    def scale(self, spectrum: Any, sd: Any, mixing: Any) -> Any:
        """Return the root of the inverse precision in each direction."""
        return sd * (1.0 - mixing * spectrum) ** -0.5
