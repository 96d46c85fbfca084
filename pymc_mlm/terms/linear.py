"""How normal effects of units enter a linear predictor, as the graph of a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class LinearPart:
    r"""Effects :math:`u = R z` of units, :math:`z` standard normal, in :math:`\eta = o + B z`.

    Attributes
    ----------
    name : str
        Variable of the effects.
    shape : tuple of int
        Shape of z: (unit,), or (unit, coef) for correlated effects.
    rows, columns : ndarray of int, shape (entry,)
        Row and element (of the flat effects) of each entry of B.
    entries : TensorVariable, shape (entry,)
        Entries of B, in terms of variables of the current model.
    root : TensorVariable, scalar or (coef, coef)
        Standard deviation R, or the lower root of the covariance of a unit's effects; of effects
        of shape (unit,), a matrix whose columns are the elements of z.
    count : int, optional
        Number of effects, where it is not that of z.
    """

    name: str
    shape: tuple[int, ...]
    rows: np.ndarray
    columns: np.ndarray
    entries: Any
    root: Any
    count: int | None = None
