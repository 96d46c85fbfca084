"""Draws docs/images/trial_prior.png: what the default prior of trials implies.

``python scripts/trial_prior_figure.py`` compares it with independent Normal(0, 2.5) on the log odds
of every response pattern against the all-zero one, for one to five outcomes, two arms and a
covariate.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from pymc_mlm.data.cells import cells, logit_basis, outcome_contrasts
from pymc_mlm.data.trial_matrix import trial_matrix
from pymc_mlm.distributions.levels_and_slopes import LevelsAndSlopes

DRAWS = 8_000
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)
MATRIX = trial_matrix("arm", [0, 1], np.array([[-1.0], [1.0]]), ["x"], True, None)
IMAGE = Path(__file__).parents[1] / "docs" / "images" / "trial_prior.png"


def default_draws(outcomes, rng):
    """Coefficients, shape (draw, logit, column)."""
    prior = LevelsAndSlopes(
        np.full((2, 2**outcomes), 2.0 ** (1 - outcomes)),
        logit_basis(outcomes),
        outcome_contrasts(outcomes),
        MATRIX.by_arm,
        2.5,
    )
    return np.array([prior.draw(rng) for _ in range(DRAWS)])


def normal_draws(outcomes, rng):
    """Independent coefficients of the same shape."""
    return rng.normal(0.0, 2.5, size=(DRAWS, 2**outcomes - 1, 4))


def cell_draws(beta, values, weights):
    """Probabilities of the patterns in both arms, averaged over values of the covariate."""
    out = []
    for arm in (0, 1):
        X = MATRIX.rows(np.full(len(values), arm), values[:, None])
        logits = np.einsum("dmp,xp->dxm", beta, X)
        logits = np.concatenate([logits, np.zeros((*logits.shape[:2], 1))], axis=2)
        cell = np.exp(logits - logits.max(axis=2, keepdims=True))
        cell /= cell.sum(axis=2, keepdims=True)
        out.append(np.einsum("dxc,x->dc", cell, weights / weights.sum()))
    return np.stack(out, axis=1)


def correlation(cell, outcomes):
    """Of the first two outcomes in the control arm."""
    y, control = cells(outcomes), cell[:, 0]
    first, second = control @ y[:, 0], control @ y[:, 1]
    both = control @ (y[:, 0] * y[:, 1])
    return (both - first * second) / np.sqrt(first * (1 - first) * second * (1 - second))


def near(theta, rate):
    """Draws in which the control succeeds at about a rate."""
    return np.abs(theta[:, 0] - rate) < 0.05


def main():
    """Draw a column per number of outcomes, and a row per question."""
    rng = np.random.default_rng(1)
    figure, axes = plt.subplots(5, 5, figsize=(11, 9), sharex="row", layout="constrained")
    titles = (
        "success",
        "success, averaged",
        "effect, control 0.5",
        "effect, control 0.1",
        "correlation",
    )
    for outcomes in range(1, 6):
        column = axes[:, outcomes - 1]
        column[0].set_title(f"K = {outcomes}")
        for draw, color, label in (
            (default_draws, "C0", "default"),
            (normal_draws, "C1", "Normal(0, 2.5)"),
        ):
            beta, success = draw(outcomes, rng), cells(outcomes)[:, 0]
            cell = cell_draws(beta, np.zeros(1), np.ones(1))
            theta = cell @ success
            averaged = (cell_draws(beta, NODES, WEIGHTS) @ success)[:, 1]
            effect = theta[:, 1] - theta[:, 0]
            shown = [theta[:, 1], averaged, effect[near(theta, 0.5)], effect[near(theta, 0.1)]]
            shown += [correlation(cell, outcomes)] if outcomes > 1 else []
            bounds = [(0, 1), (0, 1), (-0.55, 0.55), (-0.15, 0.95), (-1, 1)]
            for axis, values, bound in zip(column, shown, bounds, strict=False):
                bins = np.linspace(*bound, 23)
                axis.hist(values, bins, density=True, histtype="step", color=color, label=label)
    for axis, title in zip(axes[:4, 0], titles, strict=False):
        axis.set_ylabel(title)
    for axis in axes.flat:
        axis.set_yticks([])
    axes[4, 0].set_axis_off()
    axes[4, 1].set_ylabel(titles[4])
    axes[4, 0].legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, loc="center")
    IMAGE.parent.mkdir(exist_ok=True)
    figure.savefig(IMAGE, dpi=72)


if __name__ == "__main__":
    main()
