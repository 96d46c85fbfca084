"""Coefficients with any prior, sampled where the data put them and in their units.

The trace holds coefficients of the columns as the user gave them, with the user's prior; the
sampler moves on ``v`` with ``beta = centre + root v``, where the posterior is about round. PyMC
shows a transform only the inputs of its variable, so centre and root are among them although no
density depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pymc.logprob.abstract import _logprob
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable

from pymc_mlm.ops.linear_predictor import linear_predictor

# A symbolic distribution's inputs begin with its size.
CENTRE, ROOT, INVERSE, LOG_DETERMINANT = 1, 2, 3, 4


class Located(Transform):
    r"""Standardise by a centre and a root that are inputs of the variable.

    .. math:: \beta = c + R v

    R is a matrix, or elementwise a number or vector. Where it is a root of the posterior's
    covariance, v does not depend on the units or the zero of a covariate.
    """

    name = "located"
    ndim_supp = 0

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From coefficients to the sampler's coordinates."""
        return _times(inputs[INVERSE], value - inputs[CENTRE])

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the sampler's coordinates to coefficients."""
        return inputs[CENTRE] + _times(inputs[ROOT], value)

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Return the log determinant in equal parts, as the prior is a product of elements."""
        return pt.zeros_like(value) + inputs[LOG_DETERMINANT]


def located(
    name: str,
    distribution: Any,
    parameters: Mapping[str, Any],
    centre: Any,
    root: np.ndarray,
    dims: str | None = None,
) -> Any:
    """Add a variable with an elementwise prior to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    distribution : type
        PyMC distribution on the whole real line.
    parameters : mapping of str to tensor_like
        Its parameters.
    centre : tensor_like, shape () or (coef,)
        Where the coordinates have their zero; it may depend on other variables.
    root : ndarray, shape () or (coef,) or (coef, coef)
        Scale of the coordinates: elementwise, or an invertible matrix.
    dims : str, optional
        Named dimension.

    Returns
    -------
    TensorVariable, shape () or (coef,)

    Examples
    --------
    >>> with pm.Model() as model:
    ...     b = located("b", pm.Normal, {"mu": 0.0, "sigma": 3.0}, 100.0, np.array(10.0))
    >>> {name: float(at) for name, at in model.initial_point().items()}
    {'b_located__': 0.0}
    """
    names = list(parameters)
    inverse = np.linalg.inv(root) if root.ndim == 2 else 1.0 / root
    logs = np.linalg.slogdet(root)[1] / len(root) if root.ndim == 2 else np.log(np.abs(root))
    ours = [pytensor.shared(np.asarray(x, dtype=np.float64)) for x in (root, inverse, logs)]

    def prior(given: Any, size: Any = None) -> Any:
        return distribution.dist(**dict(zip(names, given, strict=True)), size=size)

    def dist(centre: Any, root: Any, inverse: Any, log_determinant: Any, *rest: Any) -> Any:
        *given, size = rest
        return prior(given, size)

    def logp(value: Any, centre: Any, root: Any, inverse: Any, logs: Any, *given: Any) -> Any:
        # Not `pm.logp`, which wants the shape of the prior, and with it statements that check it.
        one = prior(given).owner
        return _logprob(one.op, (value,), *one.inputs)

    def support_point(rv: Any, size: Any, centre: Any, *rest: Any) -> Any:
        return centre + pt.zeros_like(rv)

    core = "(p,p)" if root.ndim == 2 else "()"
    kinds = ",".join(["()", core, core, *(["()"] * (1 + len(names)))])
    return pm.CustomDist(
        name,
        pt.as_tensor_variable(centre),
        *ours,
        *parameters.values(),
        dist=dist,
        logp=logp,
        support_point=support_point,
        signature=f"{kinds}->()",
        transform=Located(),
        dims=dims,
        class_name=distribution.__name__,
    )


def _times(factor: Variable, value: Variable) -> Variable:
    return linear_predictor(factor, value) if factor.ndim == 2 else factor * value
