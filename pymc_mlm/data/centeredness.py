"""How much the data say about each unit, against its prior: which coordinates suit a sampler."""

from __future__ import annotations

import numpy as np

from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.data.sufficient import leaf_moments


def centeredness(
    design: NestedDesign, sd: np.ndarray, residual: float, weights: np.ndarray | None = None
) -> list[np.ndarray]:
    r"""Return the share of each coefficient's prior variance that the data take away.

    .. math:: c_{gj} = 1 - \mathrm{Var}(t_{gj} \mid y, \text{parent}) / \tau_{lj}^2

    the optimal centredness of a normal unit (Papaspiliopoulos et al. 2007): near 0 for a unit
    with few rows, near 1 for one with many. Above the leaves, children count as far as their own
    rows and their own variation allow.

    Parameters
    ----------
    design : NestedDesign
        Units and varying columns.
    sd : ndarray, shape (column,)
        Rough standard deviations of the deviations, at every level.
    residual : float
        Rough variance of a row around the predictor, on the scale of the link.
    weights : ndarray, shape (row,), optional
        Number of trials of each row.

    Returns
    -------
    list of ndarray, each of shape (unit, coef)
        One per level, outermost first, in [0, 1].
    """
    nesting, p = design.nesting, len(design.columns)
    Z = design.Z if weights is None else design.Z * np.sqrt(weights)[:, None]
    zeros = np.zeros(len(Z))
    J = leaf_moments(Z, zeros, nesting.leaf, len(nesting.labels[-1]), np.zeros(p)).xx / residual
    shares = []
    for level in reversed(range(len(design.levels))):
        S = np.diag(np.where(design.varies[level], sd**2, 0.0))
        U = J @ np.linalg.inv(np.eye(p) + S @ J)
        share = np.diagonal(U, axis1=1, axis2=2) * np.diag(S)
        shares.append(np.clip(share[:, design.varies[level]], 0.0, 1.0))
        if level:
            J = np.zeros((len(nesting.labels[level - 1]), p, p))
            np.add.at(J, nesting.parents[level], U)
    return shares[::-1]
