"""Normal effects along time, each given the one before, sampled as standard normal steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.continuous import Continuous
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable
from pytensor.tensor.random.op import RandomVariable

from pymc_mlm.ops.base import register_draw
from pymc_mlm.ops.chain import chain, recursion

HALF_LOG_TWO_PI = 0.5 * np.log(2.0 * np.pi)


class Steps(Transform):
    r"""From values to standardised steps, :math:`z_i = (u_i - \phi_i u_{i-1}) / s_i`.

    The steps are independent of each other and of the parameters a priori, so that there is no
    funnel where the data tell little about each value.
    """

    name = "steps"
    ndim_supp = 1

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From the values to the steps."""
        phi, sd = inputs[-2:]
        return (value - phi * _before(value)) / sd

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the steps to the values."""
        phi, sd = inputs[-2:]
        return chain(phi, sd * value)

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Log determinant of the derivative of all values by the steps, a scalar."""
        return pt.sum(pt.log(inputs[-1]))


class ChainNormalRV(RandomVariable):
    """Draws chains."""

    name = "chain_normal"
    signature = "(n),(n)->(n)"
    dtype = "float64"
    _print_name = ("ChainNormal", "\\operatorname{ChainNormal}")

    @classmethod
    def rng_fn(cls, rng: Any, phi: Any, sd: Any, size: Any = None) -> Any:
        """Draw steps and add them up."""
        batch = np.broadcast_shapes(phi.shape[:-1], sd.shape[:-1]) if size is None else tuple(size)
        shape = (*batch, sd.shape[-1])
        return recursion(np.broadcast_to(phi, shape), sd * rng.standard_normal(shape))


class ChainNormal(Continuous):
    r"""Values of first-order chains: :math:`u_i \sim N(\phi_i u_{i-1}, s_i^2)`.

    Parameters
    ----------
    phi : tensor_like, shape (place,)
        Factor of the value before; zero where a chain begins.
    sd : tensor_like, shape (place,)
        Standard deviation given the value before.

    Examples
    --------
    >>> import pymc as pm
    >>> u = ChainNormal.dist([0.0, 0.5], [1.0, 1.0])
    >>> float(pm.logp(u, [0.0, 1.0]).eval().round(4))
    -2.3379
    """

    rv_op = ChainNormalRV()

    @classmethod
    def dist(cls, phi: Any, sd: Any, **kwargs: Any) -> Any:
        """Create the variable without a name."""
        register_draw(ChainNormalRV, _draw)
        return super().dist([pt.as_tensor_variable(x) for x in (phi, sd)], **kwargs)

    def support_point(rv: Variable, size: Any, phi: Variable, sd: Variable) -> Variable:  # noqa: N805
        """Start without effects."""
        return pt.zeros_like(rv)

    def logp(value: Variable, phi: Variable, sd: Variable) -> Variable:  # noqa: N805
        """Joint log density of all values."""
        return chain_logp(value, phi, sd)


def chain_logp(value: Any, phi: Any, sd: Any) -> Any:
    """Return the joint log density of all values of chains."""
    z = (value - phi * _before(value)) / sd
    return pt.sum(-0.5 * z * z - pt.log(sd) - HALF_LOG_TWO_PI)


def _before(value: Variable) -> Variable:
    return pt.concatenate([pt.zeros(1), value[:-1]])


def _draw(rng: Any, phi: Any, sd: Any, out: Any = None) -> Any:
    if out is None:
        out = np.empty(sd.shape)
    before = 0.0
    for i in range(sd.shape[0]):
        before = phi[i] * before + sd[i] * rng.standard_normal()
        out[i] = before
    return out


steps = Steps()
