r"""All rows of a unit left out: its own effect integrated out, given all other effects.

.. math:: p(y_k \mid \theta, u_{-k}) = \int \prod_{i \in k} p(y_i \mid o_i + b_{ik} z)\,
    \varphi(z)\, dz

by Gauss-Hermite quadrature (Merkle, Furr and Rabe-Hesketh 2019). Nodes lie first where the effect's
posterior is, then where its density is in each draw.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pymc_mlm.comparison.blocks import Blocks
from pymc_mlm.comparison.entries import EffectGraph
from pymc_mlm.log_likelihood import density_of_rows
from pymc_mlm.prediction import linear_predictor_draws

NODES = 21
# A density narrower than this share of the effect's posterior is not found by the first nodes.
NARROWEST = 0.1


def integrated_densities(graph: EffectGraph, blocks: Blocks) -> np.ndarray:
    """Return log densities of blocks, their own effect integrated out, (chain, draw, block).

    Parameters
    ----------
    graph : EffectGraph
        The terms of a fitted model.
    blocks : Blocks
        Rows of the units of a term with one normal effect each.
    """
    fit, part, rows, unit = graph.fit, blocks.part, blocks.rows, blocks.unit
    effects = fit.posterior[part.name].transpose("chain", "draw", ...).values
    samples = effects.reshape(-1, part.shape[0])
    matrices, density = graph.matrices([part]), density_of_rows(fit, np.tile(rows, NODES))
    found = [matrices(s) for s in range(len(samples))]
    z = samples / np.array([root for *_, root in found])[:, None]
    eta = linear_predictor_draws(fit, fit.design).values.reshape(len(z), -1)
    middle, wide = z.mean(axis=0), z.std(axis=0)
    times = 1.0 if fit.design.weights is None else fit.design.weights[rows]

    def integrated(s: int) -> np.ndarray:
        b = blocks.pairs_of(found[s][1])
        others = eta[s, rows] - b * z[s, unit]

        def log_joint(at: np.ndarray) -> np.ndarray:
            tried = others[:, None] + b[:, None] * at[unit]  # (entry, node)
            of_rows = density(s, tried.T.ravel()).reshape(NODES, -1) * times
            return blocks.totals(of_rows.T) - 0.5 * (at**2 + np.log(2 * np.pi))

        mean, sd = middle, wide
        for narrowest in (NARROWEST, NARROWEST**2):
            mean, sd, _ = integral(log_joint, mean, sd)
            sd = np.maximum(sd, narrowest * wide)
        return integral(log_joint, mean, sd)[2]

    each = [integrated(s) for s in range(len(z))]
    return np.reshape(each, (*effects.shape[:2], -1))


def integral(
    log_density: Callable[[np.ndarray], np.ndarray], middle: np.ndarray, sd: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, sd and log integral of densities, each shape (unit,).

    Parameters
    ----------
    log_density : callable
        From places, shape (unit, node), to log densities of the same shape.
    middle, sd : ndarray, shape (unit,)
        Where the nodes lie: those of a density near to the one that is integrated.

    Examples
    --------
    >>> integral(lambda x: -0.5 * (x - 1) ** 2, np.zeros(1), np.ones(1))[2].round(6)
    array([0.918939])
    """
    from scipy.special import logsumexp

    nodes, mass = np.polynomial.hermite.hermgauss(NODES)
    wide = np.sqrt(2.0) * sd[:, None]
    at = middle[:, None] + wide * nodes
    log_parts = log_density(at) + np.log(mass * wide) + nodes**2
    total = logsumexp(log_parts, axis=1)
    share = np.exp(log_parts - total[:, None])
    mean = (share * at).sum(axis=1)
    spread = np.sqrt((share * (at - mean[:, None]) ** 2).sum(axis=1))
    return mean, spread, np.asarray(total)
