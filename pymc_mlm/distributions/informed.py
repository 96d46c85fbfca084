"""Normal effects, sampled in coordinates that are standard normal given score and information."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.continuous import Continuous
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable
from pytensor.tensor.random.op import RandomVariable

from pymc_mlm.ops.base import register_draw
from pymc_mlm.ops.informed_normal import NO_BASIS, informed_coordinates, informed_normal


class Informed(Transform):
    r"""Standardise normal effects by their approximate conditional mean and variance.

    With the log likelihood of an effect near :math:`s_k u_k - J_k u_k^2 / 2` and its prior
    :math:`N(0, \sigma^2)`,

    .. math:: u_k = v_k s_k + \sqrt{v_k} \, z_k, \qquad v_k = \sigma^2 / (1 + J_k \sigma^2)

    at the *current* sd: where the approximation holds, z is standard normal whatever the sd, so
    that the sampler need not move hundreds of effects in order to change it. As the sd goes to
    zero, or where J is zero, these are the non-centred coordinates, so there is no funnel however
    rough s and J are; with much data they are the centred ones [1]_. Where s is the slope at the
    current intercept and coefficients, the effects follow when these move. Units that share rows
    have a J that is no diagonal; since their prior is the same in every orthonormal basis, they
    are standardised in that of its eigenvectors. The model is the same for any s, J and basis.

    References
    ----------
    .. [1] Papaspiliopoulos, Roberts and Skold (2007). A general framework for the
       parametrization of hierarchical models. Statistical Science 22, 59-73.
    """

    name = "informed"
    ndim_supp = 1

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From the effects to their standardised coordinates."""
        sd, score, precision, basis = inputs[-4:]
        return informed_coordinates(sd, score, precision, value, basis)

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the coordinates to the effects."""
        sd, score, precision, basis = inputs[-4:]
        return informed_normal(sd, score, precision, value, basis)[0]

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Log determinant of the derivative of all effects by the coordinates, a scalar."""
        sd, score, precision, basis = inputs[-4:]
        return informed_normal(sd, score, precision, value, basis)[1]


class InformedNormalRV(RandomVariable):
    """Draws a vector of centred normals."""

    name = "informed_normal"
    signature = "(),(n),(n),(m,m)->(n)"
    dtype = "float64"
    _print_name = ("InformedNormal", "\\operatorname{Normal}")

    @classmethod
    def rng_fn(
        cls, rng: Any, sd: Any, score: Any, precision: Any, basis: Any, size: Any = None
    ) -> Any:
        """Draw; score and information play no part in the prior."""
        batch = np.broadcast_shapes(sd.shape, score.shape[:-1]) if size is None else tuple(size)
        return sd[..., None] * rng.standard_normal((*batch, score.shape[-1]))


class InformedNormal(Continuous):
    r"""Effects of units: :math:`u_k \sim N(0, \sigma^2)`, with data for the sampler.

    Parameters
    ----------
    sd : tensor_like, scalar
        Standard deviation.
    score, precision : tensor_like, shape (unit,)
        Slope of the log likelihood of each effect at zero, and its negative second derivative, as
        far as they are known; in the basis, if there is one. They choose coordinates
        (`Informed`); the density does not depend on them.
    basis : tensor_like, shape (unit, unit), optional
        Orthonormal columns in which J is diagonal.

    Examples
    --------
    >>> import pymc as pm
    >>> u = InformedNormal.dist(2.0, [0.0, 3.0], [0.0, 1.5])
    >>> float(pm.logp(u, [0.0, 1.0]).eval().round(4))  # joint
    -3.3492
    """

    rv_op = InformedNormalRV()

    @classmethod
    def dist(cls, sd: Any, score: Any, precision: Any, basis: Any = NO_BASIS, **kwargs: Any) -> Any:
        """Create the variable without a name."""
        register_draw(InformedNormalRV, _draw)
        inputs = [pt.as_tensor_variable(x) for x in (sd, score, precision, basis)]
        return super().dist(inputs, **kwargs)

    def support_point(rv: Variable, size: Any, *inputs: Variable) -> Variable:  # noqa: N805
        """Start where the data put the effects, whatever the number of draws."""
        sd, score, precision, basis = inputs
        start = informed_normal(sd, score, precision, pt.zeros_like(score), basis)[0]
        return pt.zeros_like(rv) + start

    def logp(
        value: Variable,  # noqa: N805
        sd: Variable,
        score: Variable,
        precision: Variable,
        basis: Variable,
    ) -> Variable:
        """Joint log density of the effects."""
        units = value.shape[-1]
        squares = pt.sum(value * value, axis=-1)
        return -0.5 * squares / (sd * sd) - units * (pt.log(sd) + 0.5 * np.log(2 * np.pi))


def _draw(rng: Any, sd: Any, score: Any, precision: Any, basis: Any, out: Any = None) -> Any:
    if out is None:
        out = np.empty(score.shape)
    for k in range(score.shape[0]):
        out[k] = rng.normal(0.0, sd.item())
    return out


informed = Informed()
