"""Partial correlations under an LKJ prior: a plain vector in (-1, 1), and no Scan to compile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.continuous import Continuous
from pymc.distributions.transforms import Interval, _default_transform
from pytensor.graph.basic import Variable
from pytensor.tensor.random.op import RandomVariable

from pymc_mlm.ops.base import register_draw


class PartialCorrelationRV(RandomVariable):
    """Draws z = 2 b - 1 with b ~ Beta(a, a)."""

    name = "partial_correlation"
    signature = "()->()"
    dtype = "float64"
    _print_name = ("PartialCorrelation", "\\operatorname{PartialCorrelation}")

    @classmethod
    def rng_fn(cls, rng: Any, alpha: Any, size: Any = None) -> Any:
        """Stretch a symmetric Beta over (-1, 1)."""
        return np.asarray(2.0 * rng.beta(alpha, alpha, size=size) - 1.0)


partial_correlation = PartialCorrelationRV()


class PartialCorrelation(Continuous):
    r"""Canonical partial correlation, a symmetric Beta stretched over (-1, 1).

    .. math:: p(z) \propto (1 - z^2)^{a - 1}

    A vector of them with the shapes of `pymc_mlm.ops.correlation.lkj_partial_alphas` is a
    correlation matrix under an LKJ prior; of two variables, z is their correlation.

    Parameters
    ----------
    alpha : tensor_like of float
        Shape `a`, positive; 1 is uniform, larger values favour small correlations.

    Examples
    --------
    >>> import pymc as pm
    >>> float(pm.logp(PartialCorrelation.dist(1.0), 0.3).eval().round(6))
    -0.693147
    """

    rv_op = partial_correlation

    @classmethod
    def dist(cls, alpha: Any, **kwargs: Any) -> Any:
        """Create the variable without a name."""
        register_draw(PartialCorrelationRV, _draw, handles_out=False)
        return super().dist([pt.as_tensor_variable(alpha)], **kwargs)

    def support_point(rv: Variable, size: Any, alpha: Variable) -> Variable:  # noqa: N805
        """Start without correlation."""
        return pt.zeros_like(rv)

    def logp(value: Variable, alpha: Variable) -> Variable:  # noqa: N805
        """Log density, minus infinity outside (-1, 1)."""
        constant = 2 * pt.gammaln(alpha) - pt.gammaln(2 * alpha) + (2 * alpha - 1) * np.log(2.0)
        density = (alpha - 1) * pt.log1p(-value * value) - constant
        return pt.switch(pt.abs(value) < 1, density, -np.inf)


def _draw(rng: Any, alpha: Any) -> Any:
    return 2.0 * rng.beta(alpha, alpha) - 1.0


@_default_transform.register(PartialCorrelationRV)
def _(op: PartialCorrelationRV, rv: Variable) -> Any:
    return Interval(lower=-1.0, upper=1.0)
