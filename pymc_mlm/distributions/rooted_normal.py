r"""Correlated normal effects, :math:`u = F (d \circ z)` with a fixed F and z standard normal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.continuous import Continuous
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable
from pytensor.tensor.random.op import RandomVariable

from pymc_mlm.ops.base import register_draw
from pymc_mlm.ops.linear_predictor import linear_predictor


class Rooted(Transform):
    """From effects to the standard normal variables that they are made of; these may be fewer."""

    name = "rooted"
    ndim_supp = 1

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From effects to standard normal variables."""
        scale, _, inverse, _ = inputs[-4:]
        return linear_predictor(inverse, value) / scale

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From standard normal variables to effects."""
        scale, root, _, _ = inputs[-4:]
        return linear_predictor(root, scale * value)

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Log of the volume of the effects per volume of the variables, a scalar."""
        scale, _, _, log_volume = inputs[-4:]
        return pt.sum(pt.log(scale)) + log_volume


class RootedNormalRV(RandomVariable):
    """Draws a vector of effects."""

    name = "rooted_normal"
    signature = "(q),(n,q),(q,n),()->(n)"
    dtype = "float64"
    _print_name = ("RootedNormal", "\\operatorname{RootedNormal}")

    @classmethod
    def rng_fn(
        cls, rng: Any, scale: Any, root: Any, inverse: Any, log_volume: Any, size: Any = None
    ) -> Any:
        """Draw z and put it through the root."""
        batch = scale.shape[:-1] if size is None else tuple(size)
        z = scale * rng.standard_normal((*batch, scale.shape[-1]))
        return np.squeeze(root @ z[..., None], axis=-1)


class RootedNormal(Continuous):
    r"""Effects :math:`u \sim N(0, F \operatorname{diag}(d^2) F')`.

    Parameters
    ----------
    scale : tensor_like, shape (q,)
        Standard deviations d.
    root : tensor_like, shape (n, q)
        Matrix F, of full column rank; with q < n the effects lie in a subspace, and the density is
        that within it.
    inverse : tensor_like, shape (q, n)
        Its (pseudo-)inverse.
    log_volume : tensor_like, scalar
        Half the log determinant of F'F.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> u = RootedNormal.dist(np.array([2.0, 2.0]), np.eye(2), np.eye(2), 0.0)
    >>> float(pm.logp(u, np.array([0.0, 2.0])).eval().round(4))
    -3.7242
    """

    rv_op = RootedNormalRV()

    @classmethod
    def dist(cls, scale: Any, root: Any, inverse: Any, log_volume: Any, **kwargs: Any) -> Any:
        """Create the variable without a name."""
        register_draw(RootedNormalRV, _draw)
        inputs = [pt.as_tensor_variable(x) for x in (scale, root, inverse, log_volume)]
        return super().dist(inputs, **kwargs)

    def support_point(rv: Variable, size: Any, *inputs: Variable) -> Variable:  # noqa: N805
        """Start without effects."""
        return pt.zeros_like(rv)

    def logp(
        value: Variable,  # noqa: N805
        scale: Variable,
        root: Variable,
        inverse: Variable,
        log_volume: Variable,
    ) -> Variable:
        """Joint log density of the effects."""
        z = linear_predictor(inverse, value) / scale
        return pt.sum(-0.5 * z * z - pt.log(scale) - 0.5 * np.log(2 * np.pi)) - log_volume


def _draw(rng: Any, scale: Any, root: Any, inverse: Any, log_volume: Any, out: Any = None) -> Any:
    n, q = root.shape
    if out is None:
        out = np.empty(n)
    z = np.empty(q)
    for j in range(q):
        z[j] = scale[j] * rng.standard_normal()
    for i in range(n):
        total = 0.0
        for j in range(q):
            total += root[i, j] * z[j]
        out[i] = total
    return out


rooted = Rooted()
