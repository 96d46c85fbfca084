"""Normal effects along time, in coordinates that are standard normal given score and information.

The density is that of `ChainNormal`, whatever the coordinates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.continuous import Continuous
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable
from pytensor.tensor.random.op import RandomVariable

from pymc_mlm.distributions.chain_normal import chain_logp
from pymc_mlm.ops.base import register_draw
from pymc_mlm.ops.chain import chain, chain_back, recursion
from pymc_mlm.ops.chain_information import chain_information


class InformedSteps(Transform):
    r"""Standardise each value given the one before it and all data from it on.

    With q and h of `pymc_mlm.ops.chain_information` and :math:`W_i = 1 + s_i^2 q_i`,

    .. math:: u_i = \frac{\phi_i u_{i-1} + s_i^2 h_i}{W_i} + \frac{s_i}{\sqrt{W_i}} z_i

    at the *current* parameters: where the log likelihood is near a quadratic, z is standard normal
    given them, so that the sampler need not move all effects in order to change them. Without
    information these are the standardised steps, which have no funnel where the data tell little
    of each value; with much they are the values themselves (Papaspiliopoulos, Roberts and Skold
    2007). The model is the same for any score and information.
    """

    name = "informed_steps"
    ndim_supp = 1

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From the values to the coordinates."""
        factor, shift, scale = _conditional(*inputs[-4:])
        before = pt.concatenate([pt.zeros(1), value[:-1]])
        return (value - factor * before - shift) / scale

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the coordinates to the values."""
        factor, shift, scale = _conditional(*inputs[-4:])
        return chain(factor, shift + scale * value)

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Log determinant of the derivative of all values by the coordinates, a scalar."""
        return pt.sum(pt.log(_conditional(*inputs[-4:])[2]))


class InformedChainRV(RandomVariable):
    """Draws chains."""

    name = "informed_chain"
    signature = "(n),(n),(n),(n)->(n)"
    dtype = "float64"
    _print_name = ("ChainNormal", "\\operatorname{ChainNormal}")

    @classmethod
    def rng_fn(
        cls, rng: Any, phi: Any, sd: Any, score: Any, precision: Any, size: Any = None
    ) -> Any:
        """Draw steps and add them up; score and information play no part in the prior."""
        shapes = (x.shape[:-1] for x in (phi, sd, score, precision))
        batch = np.broadcast_shapes(*shapes) if size is None else tuple(size)
        shape = (*batch, sd.shape[-1])
        return recursion(np.broadcast_to(phi, shape), sd * rng.standard_normal(shape))


class InformedChain(Continuous):
    r"""Values of first-order chains, :math:`u_i \sim N(\phi_i u_{i-1}, s_i^2)`, with data.

    Parameters
    ----------
    phi, sd : tensor_like, shape (place,)
        As of `ChainNormal`.
    score, precision : tensor_like, shape (place,)
        Slope of each place's log likelihood at zero, and its negative second derivative, as far as
        they are known. They choose coordinates; the density does not depend on them.

    Examples
    --------
    >>> import pymc as pm
    >>> u = InformedChain.dist([0.0, 0.5], [1.0, 1.0], [0.0, 2.0], [1.0, 3.0])
    >>> float(pm.logp(u, [0.0, 1.0]).eval().round(4))
    -2.3379
    """

    rv_op = InformedChainRV()

    @classmethod
    def dist(cls, phi: Any, sd: Any, score: Any, precision: Any, **kwargs: Any) -> Any:
        """Create the variable without a name."""
        register_draw(InformedChainRV, _draw)
        inputs = [pt.as_tensor_variable(x) for x in (phi, sd, score, precision)]
        return super().dist(inputs, **kwargs)

    def support_point(rv: Variable, size: Any, *inputs: Variable) -> Variable:  # noqa: N805
        """Start where the data put the effects."""
        factor, shift, _ = _conditional(*inputs)
        return pt.zeros_like(rv) + chain(factor, shift)

    def logp(
        value: Variable,  # noqa: N805
        phi: Variable,
        sd: Variable,
        score: Variable,
        precision: Variable,
    ) -> Variable:
        """Joint log density of all values."""
        return chain_logp(value, phi, sd)


def _conditional(phi: Any, sd: Any, score: Any, precision: Any) -> tuple[Any, Any, Any]:
    """Return factor of the value before, shift and scale of each value given the data."""
    q = chain_information(phi, sd, precision)
    W = 1.0 + sd * sd * q
    factor = phi / W
    h = chain_back(factor, score)
    return factor, sd * sd * h / W, sd / pt.sqrt(W)


def _draw(rng: Any, phi: Any, sd: Any, score: Any, precision: Any, out: Any = None) -> Any:
    if out is None:
        out = np.empty(sd.shape)
    before = 0.0
    for i in range(sd.shape[0]):
        before = phi[i] * before + sd[i] * rng.standard_normal()
        out[i] = before
    return out


informed_steps = InformedSteps()
