"""A transform that lets a model read centred while the sampler walks where it is easy.

``Normal("effect", 0, sd, transform=noncentered)`` is the textbook statement, and the trace
holds the effects themselves. The sampler sees ``z = (effect - mu) / sd``, which has no funnel
when the data say little about each unit (Betancourt and Girolami 2015).
"""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable


class Noncentered(Transform):
    r"""Standardise a normal variable by its own mean and, per element, part of its sd.

    .. math:: z_k = (u_k - \mu) / \sigma^{1 - c_k}

    Parameters
    ----------
    centeredness : tensor_like, scalar or shape (unit,)
        One per unit, between 0 (fully non-centred, best for units about which the data say
        little) and 1 (centred, best for units with much data).

    References
    ----------
    .. [1] Papaspiliopoulos, Roberts and Skold (2007). A general framework for the
       parametrization of hierarchical models. Statistical Science 22, 59-73.
    """

    name = "noncentered"
    ndim_supp = 0

    def __init__(self, centeredness: Any = 0.0) -> None:
        self.centeredness = centeredness

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From the effect to its (partly) standardised offset."""
        *_, mu, sd = inputs
        return (value - mu) / self._unit(sd)

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the offset to the effect."""
        *_, mu, sd = inputs
        return mu + self._unit(sd) * value

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Log of the derivative of the effect by its offset, per element."""
        *_, sd = inputs
        return pt.zeros_like(value) + (1.0 - self.centeredness) * pt.log(sd)

    def _unit(self, sd: Variable) -> Variable:
        fully = isinstance(self.centeredness, float) and self.centeredness == 0.0
        return sd if fully else pt.exp((1.0 - self.centeredness) * pt.log(sd))


noncentered = Noncentered()
