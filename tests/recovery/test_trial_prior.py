"""The default prior of trials against the Dirichlet answer: shift, coverage and errors of rules.

``python tests/recovery/test_trial_prior.py 500`` prints the table of docs/priors.md. NUTS on
thousands of tables takes hours. With interactions the arms share no parameter, and a covariate
of seven values leaves seven rows an arm, so a few lines of Hamiltonian Monte Carlo do here; one
test compares them with the package's own draws.
"""

import math
import sys
from itertools import combinations, product

import numba
import numpy as np
import pytest
from scipy.stats import norm

from pymc_mlm import MultivariateLogitTrial

PERSONS = 116  # per arm
LATENT_CORRELATION = 0.8
SLOPE_SD = 2.5
CONTROL = {"balanced": 0.35, "rare": 0.1}
EFFECT = 0.15
VALUES = np.arange(7.0)  # of the covariate, binomial


@numba.njit(cache=True, fastmath=True)
def log_density(q, gradient, x, counts, a, precision):
    """Of one arm: levels q[0] and slopes q[1] of the logits, with Dirichlet and normal priors."""
    free = q.shape[1]
    gradient[:] = 0.0
    weight, total = np.empty(free), 0.0
    for i in range(-1, len(x)):  # imaginary persons, then those of each value of the covariate
        value, top = (0.0 if i < 0 else x[i]), 0.0
        for c in range(free):
            weight[c] = q[0, c] + q[1, c] * value
            top = max(top, weight[c])
        scale, persons = math.exp(-top), (a if i < 0 else counts[i, free])
        for c in range(free):
            seen = a if i < 0 else counts[i, c]
            persons += seen
            total += seen * weight[c]
            gradient[0, c] += seen
            gradient[1, c] += seen * value
            weight[c] = math.exp(weight[c] - top)
            scale += weight[c]
        total -= persons * (top + math.log(scale))
        for c in range(free):
            gradient[0, c] -= persons * weight[c] / scale
            gradient[1, c] -= persons * weight[c] / scale * value
    for c in range(free):
        pull = 0.0
        for d in range(free):
            pull += precision[c, d] * q[1, d]
        gradient[1, c] -= pull
        total -= 0.5 * pull * q[1, c]
    return total


@numba.njit(cache=True)
def draw_arm(x, counts, a, precision, seed, tune=300, draws=500, thin=1):
    """Hamiltonian Monte Carlo with adapted steps and scales, shape (draw, 2, logit)."""
    np.random.seed(seed)
    free = counts.shape[1] - 1
    q, gradient = np.zeros((2, free)), np.zeros((2, free))
    q[0] = np.log((counts[:, :free].sum(axis=0) + 0.3) / (counts[:, free].sum() + 0.3))
    now = log_density(q, gradient, x, counts, a, precision)
    scale = np.full((2, free), 0.5)
    step, centre, bar, log_step, t = 0.2, math.log(0.4), 0.0, 0.0, 0
    first, second, seen = np.zeros((2, free)), np.zeros((2, free)), 0
    out = np.empty((draws, 2, free))
    for k in range(tune + draws * thin):
        p = np.random.standard_normal((2, free))
        new, slope = q.copy(), gradient.copy()
        energy, length = now - 0.5 * (p * p).sum(), step * (0.8 + 0.4 * np.random.random())
        value = now
        for _ in range(1 + int(np.random.random() * min(6.3 / step, 60.0))):
            p += 0.5 * length * scale * slope
            new += length * scale * p
            value = log_density(new, slope, x, counts, a, precision)
            p += 0.5 * length * scale * slope
        change = value - 0.5 * (p * p).sum() - energy
        accept = math.exp(min(0.0, change)) if change == change else 0.0
        if np.random.random() < accept:
            q, gradient, now = new, slope, value
        if k >= tune:
            out[(k - tune) // thin] = q
            continue
        t += 1  # dual averaging
        bar += (0.8 - accept - bar) / (t + 10)
        step = math.exp(centre - math.sqrt(t) / 0.05 * bar)
        log_step = t**-0.75 * math.log(step) + (1.0 - t**-0.75) * log_step
        first, second, seen = first + q, second + q * q, seen + 1
        if k == tune // 3 or k == 2 * tune // 3:
            scale = np.sqrt(np.maximum(second / seen - (first / seen) ** 2, 1e-3))
            first[:], second[:], seen = 0.0, 0.0, 0
            t, bar, log_step, centre = 0, 0.0, 0.0, math.log(2.0 * step)
        if k == tune - 1:
            step = math.exp(log_step)
    return out


def slope_precision(outcomes):
    """Of the logits' slopes, from first principles: log probabilities as sums over subsets."""
    y = np.array(list(product([1, 0], repeat=outcomes)))
    subsets = [list(s) for r in range(1, outcomes + 1) for s in combinations(range(outcomes), r)]
    term = np.column_stack([(y[:, s] - 0.5).prod(axis=1) for s in subsets])
    root = SLOPE_SD * (term[:-1] - term[-1])
    return np.linalg.inv(root @ root.T)


def cell_probabilities(theta, rng, size=400_000):
    """Of outcomes that cut equicorrelated normals, by simulation, in the package's order."""
    shared, own = rng.standard_normal((size, 1)), rng.standard_normal((size, len(theta)))
    latent = np.sqrt(LATENT_CORRELATION) * shared + np.sqrt(1 - LATENT_CORRELATION) * own
    digits = (latent < norm.ppf(theta)) @ 2 ** np.arange(len(theta) - 1, -1, -1)
    return np.bincount(digits, minlength=2 ** len(theta))[::-1] / size


def table(cells, rng):
    """Counts by arm, value of the covariate and pattern; the covariate does nothing."""
    x = rng.binomial(6, 0.5, size=(2, PERSONS))
    counts = np.zeros((2, len(VALUES), len(cells[0])))
    for arm in (0, 1):
        np.add.at(counts[arm], (x[arm], rng.choice(len(cells[0]), PERSONS, p=cells[arm])), 1.0)
    return counts


def default_effect(counts, y, precision, seed):
    """Draws of the effect under the default prior, both arms on all rows."""
    rows = counts.sum(axis=(0, 2)) / counts.sum()
    mean = rows @ VALUES
    x = (VALUES - mean) / np.sqrt(rows @ (VALUES - mean) ** 2)
    theta = []
    for arm in (0, 1):
        q = draw_arm(x, counts[arm], 2.0 / len(y), precision, 2 * seed + arm)
        logit = q[:, 0, None] + q[:, 1, None] * x[:, None]
        cell = np.exp(np.concatenate([logit, np.zeros((*logit.shape[:2], 1))], axis=2))
        cell /= cell.sum(axis=2, keepdims=True)
        theta.append(np.einsum("dxc,x,ck->dk", cell, rows, y))
    return theta[1] - theta[0]


def dirichlet_effect(counts, y, rng, draws=4_000):
    """Draws of the effect without the covariate."""
    by_arm = [rng.dirichlet(c.sum(axis=0) + 2.0 / len(y), draws) @ y for c in counts]
    return by_arm[1] - by_arm[0]


def simulate(outcomes, level, effect, tables, seed=1):
    """Shift against Dirichlet in posterior sds, coverage of both, and how often rules fire."""
    rng = np.random.default_rng(seed)
    y = np.array(list(product([1, 0], repeat=outcomes)))
    control = np.full(outcomes, CONTROL[level])
    # No effect on the last outcome, where All is wrong to fire.
    new = control + effect * (np.arange(outcomes) < outcomes - 1)
    cells = [cell_probabilities(theta, rng) for theta in (control, new)]
    truth = (cells[1] - cells[0]) @ y
    precision, found = slope_precision(outcomes), []
    for number in range(tables):
        counts = table(cells, rng)
        ours = default_effect(counts, y, precision, seed * 1_000_000 + number)
        exact = dirichlet_effect(counts, y, rng)
        low, high = np.quantile(ours, [0.05, 0.95], axis=0)
        d_low, d_high = np.quantile(exact, [0.05, 0.95], axis=0)
        better = (ours > 0).mean(axis=0)
        found.append(
            {
                "shift": ((ours.mean(axis=0) - exact.mean(axis=0)) / exact.std(axis=0)).mean(),
                "coverage": ((low <= truth) & (truth <= high)).mean(),
                "dirichlet": ((d_low <= truth) & (truth <= d_high)).mean(),
                "all": better.min() > 0.95,
                "any": better.max() > 1 - 0.05 / outcomes,
                "compensatory": (ours.mean(axis=1) > 0).mean() > 0.95,
            }
        )
    return {name: np.array([f[name] for f in found], dtype=float) for name in found[0]}


def test_the_sampler_of_this_study_agrees_with_the_package():
    rng = np.random.default_rng(3)
    y = np.array(list(product([1, 0], repeat=2)))
    cells = [cell_probabilities(np.full(2, theta), rng) for theta in (0.1, 0.25)]
    counts = table(cells, rng)
    arm, x, cell = (
        np.repeat(i, counts.astype(int).ravel()) for i in np.indices(counts.shape).reshape(3, -1)
    )
    data = {"arm": arm, "x": x, "y1": y[cell, 0], "y2": y[cell, 1]}
    trial = MultivariateLogitTrial(["y1", "y2"], "arm", covariates=["x"])
    package = trial.fit(data, random_seed=1, progressbar=False).treatment_effect()
    ours = default_effect(counts, y, slope_precision(2), 1)
    sd = package.std(("chain", "draw")).values
    # About 400 effective draws: 5% of an sd for the mean, 4% for the sd.
    assert np.abs((ours.mean(axis=0) - package.mean(("chain", "draw")).values) / sd).max() < 0.2
    np.testing.assert_allclose(ours.std(axis=0), sd, rtol=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("outcomes", [2, 3, 4])
@pytest.mark.parametrize("level", ["balanced", "rare"])
@pytest.mark.parametrize("effect", [0.0, EFFECT])
def test_an_irrelevant_covariate_leaves_the_dirichlet_answer(outcomes, level, effect):
    found = simulate(outcomes, level, effect, tables=100)
    assert abs(found["shift"].mean()) < 0.1
    # 100 tables: Monte Carlo error up to 3%.
    assert abs(found["coverage"].mean() - found["dirichlet"].mean()) < 0.03
    assert 0.82 <= found["coverage"].mean() <= 0.97
    wrong = ["all"] if effect else ["all", "any", "compensatory"]
    assert max(found[rule].mean() for rule in wrong) <= 0.12


def main(tables):
    """Print the table of docs/priors.md, a line when it is ready."""
    print("| K | outcomes | effect | shift, sd | covers | Dirichlet covers | All | Any | Comp |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|")
    for outcomes, level, effect in product([2, 3, 4], CONTROL, [0.0, EFFECT]):
        found = simulate(outcomes, level, effect, tables)
        mean = {name: values.mean() for name, values in found.items()}
        error = found["coverage"].std() / np.sqrt(tables)
        print(
            f"| {outcomes} | {level} | {effect:g} | {mean['shift']:+.3f} "
            f"| {100 * mean['coverage']:.1f}% (±{100 * error:.1f}) "
            f"| {100 * mean['dirichlet']:.1f}% | {100 * mean['all']:.1f}% "
            f"| {100 * mean['any']:.1f}% | {100 * mean['compensatory']:.1f}% |",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]))
