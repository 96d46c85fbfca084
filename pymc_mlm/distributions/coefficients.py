"""Matrices of coefficients: priors of elements or of the whole, in round coordinates.

The trace holds the coefficients of the columns as the user gave them, the sampler moves on
``v`` with ``beta = R v``. PyMC shows a transform only the inputs of its variable, so R is one of
them although no density depends on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable

from pymc_mlm.ops.linear_predictors import linear_predictors


@dataclass(frozen=True, eq=False)
class LinearMap:
    """An invertible matrix as the graph needs it.

    Attributes
    ----------
    matrix, inverse : tensor_like, shape (column, column)
    log_det : tensor_like, scalar
        Log of the absolute determinant, divided by the number of columns.
    """

    matrix: Any
    inverse: Any
    log_det: Any


def linear_map(name: str, matrix: np.ndarray) -> LinearMap:
    """Put a matrix, its inverse and its determinant into the current model as data."""
    log_det = float(np.linalg.slogdet(matrix)[1] / len(matrix))
    return LinearMap(
        pm.Data(name, matrix),
        pm.Data(f"{name}_inverse", np.linalg.inv(matrix)),
        pm.Data(f"{name}_log_det", log_det),
    )


class Preconditioned(Transform):
    """From coefficients to coordinates in which their posterior is about round, row by row.

    Parameters
    ----------
    ndim_supp : {0, 2}
        Whether the prior is a product over the elements of the matrix, or one of the matrix.
    """

    name = "preconditioned"

    def __init__(self, ndim_supp: int = 0) -> None:
        self.ndim_supp = ndim_supp

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From coefficients to the sampler's coordinates."""
        return linear_predictors(value, _core(inputs[-2], 2))

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the sampler's coordinates to coefficients."""
        return linear_predictors(value, _core(inputs[-3], 2))

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Return the log determinant, in equal parts where the prior is a product of elements."""
        part = _core(inputs[-1], 0)
        if self.ndim_supp == 2:
            rows, columns = value.shape
            return part * rows * columns
        return pt.zeros_like(value) + part


def preconditioned(name: str, prior: Any, root: LinearMap, **kwargs: Any) -> Any:
    """Add a matrix of coefficients with a prior of the user's, of its elements or of its rows.

    Parameters
    ----------
    name : str
        Name of the variable.
    prior : Variable
        Unnamed variable of the same shape, whose distribution is the prior.
    root : LinearMap
        R, from the sampler's coordinates to coefficients.
    **kwargs
        `shape` and `dims`.

    Returns
    -------
    TensorVariable, shape (predictor, column)
    """

    def logp(value: Variable, *_: Any) -> Variable:
        density = pm.logp(prior, value)
        if density.ndim == value.ndim:
            return density
        # Of a row as a whole: in equal parts, as the Jacobian of the transform.
        return pt.zeros_like(value) + density[..., None] / value.shape[-1]

    def random(*_: Any, rng: np.random.Generator, size: Any) -> Any:
        return pm.draw(prior, random_seed=rng)

    return pm.CustomDist(
        name,
        root.matrix,
        root.inverse,
        root.log_det,
        logp=logp,
        random=random,
        support_point=_support_point,
        signature="(p,p),(p,p),()->()",
        transform=Preconditioned(),
        **kwargs,
    )


def joint_preconditioned(
    name: str,
    logp: Callable[[Variable], Variable],
    random: Callable[[np.random.Generator], np.ndarray],
    root: LinearMap,
    **kwargs: Any,
) -> Any:
    """Add a matrix of coefficients whose prior is one of the whole matrix.

    Parameters
    ----------
    name : str
        Name of the variable.
    logp : callable
        From coefficients, shape (predictor, column), to their log density, a scalar.
    random : callable
        From a generator to one draw, shape (predictor, column).
    root : LinearMap
        R, from the sampler's coordinates to coefficients.
    **kwargs
        `shape` and `dims`.

    Returns
    -------
    TensorVariable, shape (predictor, column)
    """
    # The length of the rows is an input for PyMC, which takes shapes from inputs alone.
    rows = np.zeros(kwargs["shape"][0])
    return pm.CustomDist(
        name,
        rows,
        root.matrix,
        root.inverse,
        root.log_det,
        logp=lambda value, *_: logp(value),
        random=lambda *_, rng, size: random(rng),
        support_point=lambda rv, size, *_: pt.zeros(kwargs["shape"]),
        signature="(m),(p,p),(p,p),()->(m,p)",
        transform=Preconditioned(ndim_supp=2),
        **kwargs,
    )


def _support_point(rv: Variable, size: Any, *inputs: Any) -> Variable:
    return pt.zeros(size)


def _core(x: Variable, ndim: int) -> Variable:
    """Drop the batch dimensions of length one that PyMC puts before a parameter's own."""
    return x.dimshuffle(*range(x.ndim - ndim, x.ndim))
