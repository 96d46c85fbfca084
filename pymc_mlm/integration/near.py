r"""Normal proposals of effects at hyperparameters near their mode, without a factor at each.

With the precision :math:`H_0` at the mode of the hyperparameters, the diagonals :math:`D_0` there
and :math:`D` at a point, a proposal is :math:`u = m + (D_0 / D)^{1/2} x`, :math:`x \sim N(0,
H_0^{-1})`. Its density is known up to the determinant of :math:`H_0`, which no weight depends on,
so that draws can be weighted without an error although no determinant is computed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.integration.effect_mode import effect_mode
from pymc_mlm.integration.factor import factor
from pymc_mlm.integration.matrix_free import MatrixFree
from pymc_mlm.integration.trend import Trend, diagonal_of

Array = np.ndarray[Any, Any]

# Squared Newton decrement at which one step leads near enough to the mode to propose there.
NEAR_ENOUGH = 1e-2
# One at which a step is taken without a search for its length, and its relative error.
FAR, ROUGH = 30.0, 0.03
SOLVED = 1e-3
# Vectors of noise, as many as take some tenths of a second by conjugate gradients.
FEWEST_NOISE, MOST_NOISE = 512, 2048
# Number of effects behind the front up to which one factor costs less than the solves for noise.
MOST_FACTORED = 2000


@dataclass(frozen=True, eq=False)
class Proposal:
    """Draws of the effects at one point.

    Attributes
    ----------
    mean, scale : ndarray, shape (effect,)
        The draws are the mean and the scale times noise.
    origin : ndarray of int, shape (draw,)
        Noise of each draw.
    sign : ndarray, shape (draw,)
        By which the noise is multiplied.
    log_ratio : ndarray, shape (draw,)
        Log of the joint density of outcomes and effects over that of the draw.
    log_marginal : float
        Log marginal density of the outcomes, about.
    """

    mean: Array
    scale: Array
    origin: Array
    sign: Array
    log_ratio: Array
    log_marginal: float


class Near:
    """Proposals that follow the approximation at the mode.

    Parameters
    ----------
    trend : Trend
        The approximation at the mode and how it changes.
    rng : numpy.random.Generator
        Source of randomness.
    """

    def __init__(self, trend: Trend, rng: np.random.Generator) -> None:
        self.trend, self.rng = trend, rng
        center = trend.center
        count = int(np.clip(6e7 / len(center.entries), FEWEST_NOISE, MOST_NOISE))
        root, rows = center.root, center.rows
        if isinstance(root, MatrixFree) and rows.size - rows.num_front <= MOST_FACTORED:
            root = factor(rows, center.entries, root.W)
        self.noise, self.energy = root.draw(count, rng)
        self.center = root.log_determinant
        self.diagonal = diagonal_of(trend.center)

    def at(
        self, point: Array, entries: Array, offset: Array, parameters: Array, count: int
    ) -> Proposal:
        """Draw effects at hyperparameters that have these entries, offset and parameters."""
        rows, given = self.trend.center.rows, (entries, offset, parameters)
        a = self.trend.effects(point)
        eta = offset + rows.times(entries, a)
        h = self.trend.variance(point, entries)
        H, right, decrement = self._slopes(entries, parameters, a, eta, h)
        if NEAR_ENOUGH <= decrement < FAR:
            a = a + H.solve(right[:, 0], ROUGH)
            eta = offset + rows.times(entries, a)
            H, right, decrement = self._slopes(entries, parameters, a, eta, h)
        if not decrement < NEAR_ENOUGH:  # NaN, too
            a, eta = effect_mode(rows, *given, a, NEAR_ENOUGH)
            H, right, decrement = self._slopes(entries, parameters, a, eta, h)
        mean, scale = a + H.solve(right[:, 1], SOLVED), np.sqrt(self.diagonal / H.diagonal)
        joint = rows.log_density(eta, parameters) - 0.5 * a @ a + 0.5 * decrement
        log_marginal = joint - self.trend.log_determinant(point, H.diagonal)
        log_marginal += self.trend.second_order(point)

        origin = self.rng.choice(self.noise.shape[1], count, replace=False)
        sign = 2.0 * self.rng.integers(0, 2, count) - 1.0
        u = mean[:, None] + scale[:, None] * self.noise[:, origin] * sign
        eta_u = offset[:, None] + rows.times(entries, u)
        log_ratio = rows.log_density(eta_u, parameters) - 0.5 * (u * u).sum(axis=0)
        log_ratio += self.energy[origin] + np.log(scale).sum() - self.center
        return Proposal(mean, scale, origin, sign, log_ratio, float(log_marginal))

    def effects(self, proposal: Proposal, draws: Array) -> Array:
        """Return draws of a proposal by their places, shape (effect, draw)."""
        x = self.noise[:, proposal.origin[draws]] * proposal.sign[draws]
        return np.asarray(proposal.mean[:, None] + proposal.scale[:, None] * x)

    def _slopes(
        self, entries: Array, parameters: Array, a: Array, eta: Array, h: Array
    ) -> tuple[MatrixFree, Array, float]:
        """Return the precision, slopes that lead to mode and mean, and the Newton decrement.

        The mean is the mode and its shift; the decrement is that of the diagonal.
        """
        rows = self.trend.center.rows
        l1, l2, l3, _ = rows.derivatives(eta, parameters).by_eta
        H = MatrixFree(rows, entries, np.maximum(-l2, 0))
        right = rows.transposed(entries, np.stack([l1, l1 + 0.5 * h * l3], axis=1)) - a[:, None]
        decrement = float(right[:, 0] ** 2 @ (1 / H.diagonal))
        return H, right, decrement
