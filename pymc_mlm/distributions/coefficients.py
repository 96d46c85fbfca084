"""Matrices of coefficients: priors on standardised or given columns, and a walk that is round.

The trace holds the coefficients of the columns as the user knows them, the sampler walks on
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
    """From coefficients to coordinates in which their posterior is about round, row by row."""

    name = "preconditioned"
    ndim_supp = 0

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From coefficients to the sampler's coordinates."""
        return linear_predictors(value, _core(inputs[-2], 2))

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the sampler's coordinates to coefficients."""
        return linear_predictors(value, _core(inputs[-3], 2))

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Return the log determinant in equal parts, as the prior is a product of elements."""
        return pt.zeros_like(value) + _core(inputs[-1], 0)


def standardized_normal(
    name: str, sd: Any, standard: LinearMap, root: LinearMap, **kwargs: Any
) -> Any:
    r"""Add a matrix of coefficients whose standardised counterparts are independent normals.

    .. math:: T^{-1} \beta_m \sim N(0, \operatorname{diag}(s^2)) \quad \text{for each row } m

    Parameters
    ----------
    name : str
        Name of the variable.
    sd : tensor_like, shape (column,)
        Standard deviations s of the standardised coefficients.
    standard : LinearMap
        T, from standardised coefficients to coefficients.
    root : LinearMap
        R, from the sampler's coordinates to coefficients.
    **kwargs
        `shape` and `dims`.

    Returns
    -------
    TensorVariable, shape (predictor, column)
    """
    inputs = [sd, standard.matrix, standard.inverse, standard.log_det]
    kinds = "(p),(p,p),(p,p),()"
    return _custom(name, inputs, kinds, _standard_logp, _standard_random, root, kwargs)


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

    return _custom(name, [], "", logp, random, root, kwargs)


def _custom(
    name: str,
    inputs: list[Any],
    kinds: str,
    logp: Callable[..., Any],
    random: Callable[..., Any],
    root: LinearMap,
    kwargs: dict[str, Any],
) -> Any:
    kinds = ",".join(part for part in (kinds, "(p,p),(p,p),()") if part)
    return pm.CustomDist(
        name,
        *inputs,
        root.matrix,
        root.inverse,
        root.log_det,
        logp=logp,
        random=random,
        support_point=_support_point,
        signature=f"{kinds}->()",
        transform=Preconditioned(),
        **kwargs,
    )


def _standard_logp(
    value: Variable, sd: Variable, matrix: Variable, inverse: Variable, log_det: Variable, *_: Any
) -> Variable:
    sd = _core(sd, 1)
    z = linear_predictors(value, _core(inverse, 2)) / sd
    return -0.5 * z**2 - pt.log(sd) - 0.5 * np.log(2 * np.pi) - _core(log_det, 0)


def _standard_random(sd: Any, matrix: Any, *_: Any, rng: np.random.Generator, size: Any) -> Any:
    # At run time too, parameters come with batch dimensions of length one.
    sd, matrix = sd.reshape(sd.shape[-1]), matrix.reshape(matrix.shape[-2:])
    return (sd * rng.standard_normal(size)) @ matrix.T


def _support_point(rv: Variable, size: Any, *inputs: Any) -> Variable:
    return pt.zeros(size)


def _core(x: Variable, ndim: int) -> Variable:
    """Drop the batch dimensions of length one that PyMC puts before a parameter's own."""
    return x.dimshuffle(*range(x.ndim - ndim, x.ndim))
