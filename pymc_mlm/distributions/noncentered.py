"""A transform: the model is stated centred, and sampled in non-centred coordinates.

``Normal("effect", 0, sd, transform=noncentered)`` is the textbook statement, and the trace
holds the effects themselves. Sampled is ``z = (effect - mu) / sd``, which has no funnel
when there is little information about each unit (Betancourt and Girolami 2015).
"""

from __future__ import annotations

from typing import Any

import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable


class Noncentered(Transform):
    r"""Standardise a normal variable by its own mean and sd.

    .. math:: z_k = (u_k - \mu) / \sigma

    Best for units with little information; `pymc_mlm.distributions.informed` moves with
    what they say.

    References
    ----------
    .. [1] Betancourt, M. and Girolami, M. (2015). Hamiltonian Monte Carlo for hierarchical models.
       In Current Trends in Bayesian Methodology with Applications.
    """

    name = "noncentered"
    ndim_supp = 0

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From the effect to its standardised offset."""
        *_, mu, sd = inputs
        return (value - mu) / sd

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From the offset to the effect."""
        *_, mu, sd = inputs
        return mu + sd * value

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Log of the derivative of the effect by its offset, per element."""
        *_, sd = inputs
        return pt.zeros_like(value) + pt.log(sd)


noncentered = Noncentered()
