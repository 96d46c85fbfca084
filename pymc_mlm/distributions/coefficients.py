"""Matrices of coefficients: a prior stated on standardised columns, and a walk that is round.

The trace holds the coefficients of the columns as the user knows them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable

from pymc_mlm.ops.linear_predictors import linear_predictors


class Preconditioned(Transform):
    r"""Let the sampler walk on :math:`v` where the rows of a matrix are :math:`\beta = R v`.

    Parameters
    ----------
    root : tensor_like, shape (column, column)
        R, for example the root of a rough posterior covariance.
    inverse : tensor_like, shape (column, column)
        Its inverse.
    log_det : tensor_like, scalar
        Log of the absolute determinant of R, divided by the number of columns.
    """

    name = "preconditioned"
    ndim_supp = 0

    def __init__(self, root: Any, inverse: Any, log_det: Any) -> None:
        self.root, self.inverse, self.log_det = root, inverse, log_det

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From coefficients to the sampler's coordinates."""
        return linear_predictors(value, self.inverse)

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the sampler's coordinates to coefficients."""
        return linear_predictors(value, self.root)

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Return the log determinant in equal parts, as the prior is a product of elements."""
        return pt.zeros_like(value) + self.log_det


def standardized_normal(name: str, sd: Any, standardize: Any, log_det: Any, **kwargs: Any) -> Any:
    r"""Add a matrix of coefficients whose standardised counterparts are independent normals.

    .. math:: S \beta_m \sim N(0, \operatorname{diag}(s^2)) \quad \text{for each row } m

    Parameters
    ----------
    name : str
        Name of the variable.
    sd : tensor_like, shape (column,)
        Standard deviations of the standardised coefficients.
    standardize : tensor_like, shape (column, column)
        S.
    log_det : tensor_like, scalar
        Log of the absolute determinant of S, divided by the number of columns.
    **kwargs
        `shape`, `dims`, `transform`.

    Returns
    -------
    TensorVariable, shape (predictor, column)
    """
    return pm.CustomDist(
        name,
        sd,
        standardize,
        log_det,
        logp=_logp,
        random=_random,
        support_point=_support_point,
        signature="(p),(p,p),()->()",
        **kwargs,
    )


def _logp(value: Variable, sd: Variable, standardize: Variable, log_det: Variable) -> Variable:
    z = linear_predictors(value, standardize) / sd
    return -0.5 * z**2 - pt.log(sd) - 0.5 * np.log(2 * np.pi) + log_det


def _random(
    sd: Any, standardize: Any, log_det: Any, rng: np.random.Generator | None = None,
    size: Any = None,
) -> Any:  # fmt: skip
    rng = np.random.default_rng() if rng is None else rng
    draws = sd * rng.standard_normal(size)
    return draws @ np.linalg.inv(standardize).T


def _support_point(rv: Variable, size: Any, *inputs: Any) -> Variable:
    return pt.zeros(size)
