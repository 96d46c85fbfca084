r"""Draws of many units that are independent given all other effects, chosen unit by unit.

The weights of joint draws vary the more, the more units there are: their logarithms are sums over
units. Here each unit is proposed several times, and one of its proposals is chosen by their
weights. With the mean weight :math:`\bar w_g` of the proposals of unit g, the weight of the whole
draw is :math:`\prod_g \bar w_g`: its logarithm varies less by the number of proposals [1]_.

References
----------
.. [1] Andrieu, C., Doucet, A., Holenstein, R. (2010). Particle Markov chain Monte Carlo methods.
   Journal of the Royal Statistical Society B 72(3): the extended distribution of proposals and
   choices has the posterior as its marginal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp

from pymc_mlm.integration.factor import Factor

if TYPE_CHECKING:
    from pymc_mlm.integration.laplace import Laplace

Array = np.ndarray[Any, Any]

PROPOSALS = 8


def draw_by_unit(
    found: Laplace, root: Factor, count: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Draw effects, those of the front units chosen from several proposals.

    Parameters
    ----------
    found : Laplace
        The approximation.
    root : Factor
        Its factor, with front units.
    count : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    effects : ndarray, shape (effect, count)
        In prior standard deviations.
    log_ratio : ndarray, shape (count,)
        Log of an estimate of the joint density over that of the draw. The mean of its exponential
        is the marginal density, and draws weighted by it are of the posterior.
    """
    rows, at = found.rows, found.rows.num_front
    units, width = rows.front
    z = np.repeat(rng.standard_normal((rows.size, count)), PROPOSALS, axis=1)
    z[:at] = rng.standard_normal((at, count * PROPOSALS))
    u = root.scale(z) + (found.mode + found.shift)[:, None]
    eta = found.offset[:, None] + rows.times(found.entries, u)

    def of_units(x: Array) -> Array:
        return np.asarray((x[:at] ** 2).reshape(units, width, -1).sum(axis=1))

    log_weights = rows.log_density_by_unit(eta, found.parameters)
    log_weights += 0.5 * (of_units(z) - of_units(u))
    log_weights = log_weights.reshape(units, count, PROPOSALS)
    means = logsumexp(log_weights, axis=2) - np.log(PROPOSALS)
    chosen = (log_weights + rng.gumbel(size=log_weights.shape)).argmax(axis=2)  # by weight

    others = (z[at:, ::PROPOSALS] ** 2 - u[at:, ::PROPOSALS] ** 2).sum(axis=0)
    log_ratio = means.sum(axis=0) + 0.5 * others - root.log_determinant
    column = np.repeat(chosen + PROPOSALS * np.arange(count), width, axis=0)
    front = np.take_along_axis(u[:at], column, axis=1)
    return np.concatenate([front, u[at:, ::PROPOSALS]]), log_ratio
