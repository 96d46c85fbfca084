"""Ordered outcomes and their cut points, in coordinates around where the data put them."""

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

from pymc_mlm.distributions.normal_tail import log_normal_tail

# A symbolic distribution's inputs begin with its size.
CENTRE, MODE = 1, 2


class OrderedAround(Transform):
    r"""Ascending values as a first one and the logarithms of gaps, zero at a mode.

    .. math:: c_1 = t + m_1 + v_1, \qquad c_k = c_{k-1} + (m_k - m_{k-1}) e^{v_k}

    with the centre t and the mode m inputs of the variable.
    """

    # One word: PyMC finds the name of a variable before the last underscore.
    name = "ordered"
    ndim_supp = 0

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From ascending values to the sampler's coordinates."""
        first = value[:1] - inputs[CENTRE] - inputs[MODE][:1]
        gaps = (value[1:] - value[:-1]) / _gaps(inputs[MODE])
        return pt.concatenate([first, pt.log(gaps)])

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the sampler's coordinates to ascending values."""
        first = value[:1] + inputs[CENTRE] + inputs[MODE][:1]
        return pt.cumsum(pt.concatenate([first, _gaps(inputs[MODE]) * pt.exp(value[1:])]))

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Return the logarithms of the gaps, zero for the first value."""
        gaps = pt.log(_gaps(inputs[MODE])) + value[1:]
        return pt.concatenate([pt.zeros(1), gaps])


def _gaps(mode: Variable) -> Variable:
    return mode[1:] - mode[:-1]


def cutpoints(
    name: str,
    distribution: Any,
    parameters: Mapping[str, Any],
    centre: Any,
    mode: np.ndarray,
    dims: str,
) -> Any:
    """Add ascending cut points with an elementwise prior to the current model.

    Parameters
    ----------
    name : str
        Name of the variable.
    distribution : type
        PyMC distribution on the whole real line, of each cut point before they are ordered.
    parameters : mapping of str to tensor_like
        Its parameters.
    centre : tensor_like, scalar
        By how much all cut points move; it may depend on other variables.
    mode : ndarray, shape (cut,)
        Where the cut points are at centre zero, ascending.
    dims : str
        Named dimension.

    Returns
    -------
    TensorVariable, shape (cut,)

    Examples
    --------
    >>> with pm.Model(coords={"cut": range(2)}) as model:
    ...     c = cutpoints(
    ...         "c", pm.Normal, {"mu": 0.0, "sigma": 3.0}, 0.0, np.array([-1.0, 2.0]), "cut"
    ...     )
    >>> {k: v.tolist() for k, v in model.initial_point().items()}
    {'c_ordered__': [0.0, 0.0]}
    """
    names = list(parameters)

    def prior(given: Any, size: Any = None) -> Any:
        return distribution.dist(**dict(zip(names, given, strict=True)), size=size)

    def dist(centre: Any, mode: Any, *rest: Any) -> Any:
        *given, _ = rest
        # All at once: a draw of the prior is a draw of each, ordered.
        return pt.sort(prior(given, mode.shape))

    def logp(value: Any, centre: Any, mode: Any, *given: Any) -> Any:
        one = prior(given).owner
        return _logprob(one.op, (value,), *one.inputs)

    def support_point(rv: Any, size: Any, centre: Any, mode: Any, *rest: Any) -> Any:
        return centre + mode

    return pm.CustomDist(
        name,
        pt.as_tensor_variable(centre),
        pytensor.shared(np.asarray(mode, dtype=np.float64)),
        *parameters.values(),
        dist=dist,
        logp=logp,
        support_point=support_point,
        signature=f"(),(k),{','.join(['()'] * len(names))}->(k)",
        transform=OrderedAround(),
        dims=dims,
        class_name=distribution.__name__,
    )


def ordered_logistic(name: str, eta: Any, cuts: Any, **kwargs: Any) -> Any:
    r"""Add outcomes 0, 1, ..., K with proportional odds to the current model.

    .. math:: \operatorname{logit} P(y \le k) = c_k - \eta

    Parameters
    ----------
    name : str
        Name of the variable.
    eta : tensor_like, shape (row,)
        Linear predictor.
    cuts : tensor_like, shape (cut,)
        Ascending cut points.
    **kwargs
        ``observed`` and ``dims``.

    Returns
    -------
    TensorVariable, shape (row,)

    Notes
    -----
    With a the cut point above an outcome and b the one below,
    :math:`\log\{\sigma(a) - \sigma(b)\} = \log\sigma(a) + \log\sigma(-b) + \log(1 - e^{b - a})`,
    each less eta where it is alone: two look-ups a row, and no matrix of rows by categories.
    """

    def logp(value: Any, eta: Any, cuts: Any) -> Any:
        c = cuts.dimshuffle(cuts.ndim - 1)
        y, last = pt.cast(value, "int64"), c.shape[0]
        has_above, has_below = pt.lt(y, last), pt.gt(y, 0)
        above = c[pt.minimum(y, last - 1)]
        below = c[pt.maximum(y - 1, 0)]
        is_inner = has_above & has_below
        gap = pt.switch(is_inner, below - above, -1.0)
        inner = pt.log(-pt.expm1(gap))
        return (
            pt.switch(has_above, -pt.softplus(eta - above), 0.0)
            + pt.switch(has_below, -pt.softplus(below - eta), 0.0)
            + pt.switch(is_inner, inner, 0.0)
        )

    def random(eta: Any, cuts: Any, rng: Any = None, size: Any = None) -> Any:
        count = np.shape(eta) if size is None else size
        latent = eta + rng.logistic(size=count)
        return np.searchsorted(np.ravel(cuts), latent).astype(np.float64)

    return pm.CustomDist(
        name, eta, cuts, logp=logp, random=random, signature="(),(k)->()", **kwargs
    )


def ordered_probit(name: str, eta: Any, cuts: Any, **kwargs: Any) -> Any:
    r"""Add outcomes 0, 1, ..., K of a latent normal variable to the current model.

    .. math:: P(y \le k) = \Phi(c_k - \eta)

    Parameters
    ----------
    name, eta, cuts, **kwargs
        As in `ordered_logistic`.

    Returns
    -------
    TensorVariable, shape (row,)

    Notes
    -----
    With a the cut point above an outcome and b the one below, less eta,
    :math:`\log\{\Phi(a) - \Phi(b)\} = \log\Phi(a) + \log(1 - e^{\log\Phi(b) - \log\Phi(a)})`;
    where both are above zero :math:`-b` and :math:`-a` take their places, whose probabilities do
    not cancel.
    """

    def logp(value: Any, eta: Any, cuts: Any) -> Any:
        c = cuts.dimshuffle(cuts.ndim - 1)
        y, last = pt.cast(value, "int64"), c.shape[0]
        has_above, has_below = pt.lt(y, last), pt.gt(y, 0)
        above = c[pt.minimum(y, last - 1)] - eta
        below = c[pt.maximum(y - 1, 0)] - eta
        is_inner = has_above & has_below
        turned = pt.gt(below, 0.0)
        high = log_normal_tail(pt.switch(turned, below, -above))
        low = log_normal_tail(pt.switch(turned, above, -below))
        gap = pt.switch(is_inner, low - high, -1.0)
        inner = high + pt.log(-pt.expm1(gap))
        ends = pt.switch(has_above, log_normal_tail(-above), log_normal_tail(below))
        return pt.switch(is_inner, inner, ends)

    def random(eta: Any, cuts: Any, rng: Any = None, size: Any = None) -> Any:
        count = np.shape(eta) if size is None else size
        return np.searchsorted(np.ravel(cuts), eta + rng.standard_normal(count)).astype(np.float64)

    return pm.CustomDist(
        name, eta, cuts, logp=logp, random=random, signature="(),(k)->()", **kwargs
    )
