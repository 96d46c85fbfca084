"""Default priors of trials randomised by cluster: shift, coverage and errors of rules.

``python tests/recovery/test_trial_cluster_prior.py 500`` prints the table of docs/models/trial.md.
NUTS on thousands of tables takes hours. Without covariates a table is the counts of each cluster's
response patterns, so a few lines of Hamiltonian Monte Carlo do here; a test compares their density
with the package's.
"""

import math
import sys
from itertools import combinations, product

import numba
import numpy as np
import pytest
from scipy import stats
from scipy.stats import qmc

import pymc_mlm as mlm
from tests.models.test_trial import logp

LEVEL, EFFECT = -0.5, 1.2  # log odds in a cluster
SD_SCALE = 2.0
POINTS = 128
# Clusters, persons in each, sd of clusters' log odds, correlation of these between outcomes.
DESIGNS = {
    "20 x 15, sd 1": (20, 15, 1.0, 0.0), "60 x 10, sd 0.5": (60, 10, 0.5, 0.5),
    "10 x 30, sd 1": (10, 30, 1.0, 0.5),
}  # fmt: skip


@numba.njit(cache=True, fastmath=True)
def log_density(q, gradient, counts, arm, a, contrasts):
    """Of levels (2 x M), log sds (M), atanh of partial correlations and offsets (cluster x M)."""
    M, J = len(contrasts), len(counts)
    at_sd, at_partial = 2 * M, 3 * M
    at_z = at_partial + M * (M - 1) // 2
    gradient[:] = 0.0
    total, weight, u, slope = 0.0, np.empty(M), np.empty(M), np.empty(M)
    for h in range(2):  # imaginary persons in a cluster without effect
        top = 0.0
        for c in range(M):
            top = max(top, q[h * M + c])
        scale = math.exp(-top)
        for c in range(M):
            weight[c] = math.exp(q[h * M + c] - top)
            scale += weight[c]
            total += a * q[h * M + c]
        total -= a * (M + 1) * (top + math.log(scale))
        for c in range(M):
            gradient[h * M + c] += a - a * (M + 1) * weight[c] / scale
    sd = np.exp(q[at_sd:at_partial])
    for m in range(M):
        total += q[at_sd + m] - 0.5 * (sd[m] / SD_SCALE) ** 2
        gradient[at_sd + m] += 1.0 - (sd[m] / SD_SCALE) ** 2
    partial, rest, L = np.zeros((M, M)), np.ones((M, M)), np.zeros((M, M))
    k = at_partial
    for i in range(M):
        left = 1.0
        for j in range(i):
            alpha = 1.0 + (M - 2 - j) / 2.0
            size = abs(q[k])
            total += alpha * 2.0 * (math.log(2.0) - size - math.log1p(math.exp(-2.0 * size)))
            partial[i, j], rest[i, j] = math.tanh(q[k]), left
            gradient[k] -= 2.0 * alpha * partial[i, j]
            L[i, j] = partial[i, j] * left
            left *= math.sqrt(max(1.0 - partial[i, j] ** 2, 1e-300))
            k += 1
        L[i, i] = left
    back = np.zeros((M, M))
    for j in range(J):
        h, persons, top, z = arm[j], counts[j].sum(), 0.0, q[at_z + j * M : at_z + (j + 1) * M]
        for m in range(M):
            u[m] = 0.0
            for n in range(m + 1):
                u[m] += L[m, n] * z[n]
        for c in range(M):
            weight[c] = q[h * M + c]
            for m in range(M):
                weight[c] += contrasts[c, m] * sd[m] * u[m]
            top = max(top, weight[c])
        scale = math.exp(-top)
        for c in range(M):
            total += counts[j, c] * weight[c]
            weight[c] = math.exp(weight[c] - top)
            scale += weight[c]
        total -= persons * (top + math.log(scale))
        for c in range(M):
            slope[c] = counts[j, c] - persons * weight[c] / scale
            gradient[h * M + c] += slope[c]
        for m in range(M):
            pull = 0.0
            for c in range(M):
                pull += contrasts[c, m] * slope[c]
            pull *= sd[m]
            gradient[at_sd + m] += pull * u[m]
            for n in range(m + 1):
                back[m, n] += pull * z[n]
                gradient[at_z + j * M + n] += pull * L[m, n]
        for m in range(M):
            total -= 0.5 * z[m] ** 2
            gradient[at_z + j * M + m] -= z[m]
    for i in range(M):
        k, bar = at_partial + i * (i - 1) // 2, back[i, i]
        for j in range(i - 1, -1, -1):
            w, room = partial[i, j], max(1.0 - partial[i, j] ** 2, 1e-300)
            by_partial = (back[i, j] - bar * w / math.sqrt(room)) * rest[i, j]
            bar = bar * math.sqrt(room) + back[i, j] * w
            gradient[k + j] += by_partial * room
    return total


@numba.njit(cache=True)
def draw(q, counts, arm, a, contrasts, seed, tune=600, draws=400, thin=2):
    """Hamiltonian Monte Carlo with adapted steps and scales; all but the offsets, (draw, size)."""
    np.random.seed(seed)
    keep = len(q) - len(counts) * len(contrasts)
    gradient = np.empty(len(q))
    now = log_density(q, gradient, counts, arm, a, contrasts)
    scale = np.full(len(q), 0.5)
    scale[keep:] = 1.0
    step, centre, bar, log_step, t = 0.1, math.log(0.3), 0.0, math.log(0.1), 0
    first, second, seen = np.zeros(len(q)), np.zeros(len(q)), 0
    out = np.empty((draws, keep))
    new, slope = np.empty(len(q)), np.empty(len(q))
    for k in range(tune + draws * thin):
        p = np.random.standard_normal(len(q))
        energy, length = now - 0.5 * (p * p).sum(), step * (0.8 + 0.4 * np.random.random())
        new[:], slope[:], value = q, gradient, now
        for _ in range(1 + int(np.random.random() * min(5.0 / step, 60.0))):
            p += 0.5 * length * scale * slope
            new += length * scale * p
            value = log_density(new, slope, counts, arm, a, contrasts)
            p += 0.5 * length * scale * slope
            if not value > now - 2_000.0:
                break
        change = value - 0.5 * (p * p).sum() - energy
        accept = math.exp(min(0.0, change)) if change == change else 0.0
        if np.random.random() < accept:
            q[:], gradient[:], now = new, slope, value
        if k >= tune:
            out[(k - tune) // thin] = q[:keep]
            continue
        t += 1  # dual averaging
        bar += (0.8 - accept - bar) / (t + 10)
        step = math.exp(centre - math.sqrt(t) / 0.05 * bar)
        log_step = t**-0.75 * math.log(step) + (1.0 - t**-0.75) * log_step
        if k > 0.15 * tune:
            first, second, seen = first + q, second + q * q, seen + 1
        if k == int(0.3 * tune) or k == int(0.55 * tune) or k == int(0.8 * tune):
            variance = second / seen - (first / seen) ** 2
            scale = np.sqrt((seen * np.maximum(variance, 0.0) + 0.05) / (seen + 5.0))
            first[:], second[:], seen = 0.0, 0.0, 0
            t, bar, log_step, centre = 0, 0.0, math.log(step), math.log(3.0 * step)
        if k == tune - 1:
            step = math.exp(log_step)
    return out


@numba.njit(cache=True)
def success(out, contrasts, y, points):
    """Of new clusters, by integration over the same points in both arms, (draw, arm, outcome)."""
    M, theta, cell = len(contrasts), np.zeros((len(out), 2, y.shape[1])), np.empty(len(y))
    for s in range(len(out)):
        L, k = np.zeros((M, M)), 3 * M
        for i in range(M):
            left = 1.0
            for j in range(i):
                w = math.tanh(out[s, k])
                L[i, j] = w * left
                left *= math.sqrt(max(1.0 - w * w, 0.0))
                k += 1
            L[i, i] = left
            L[i] *= math.exp(out[s, 2 * M + i])
        for point in points:
            u = contrasts @ (L @ np.ascontiguousarray(point))
            for h in range(2):
                cell[:M], cell[M] = out[s, h * M : (h + 1) * M] + u, 0.0
                cell = np.exp(cell - cell.max())
                theta[s, h] += (cell / cell.sum()) @ y
    return theta / len(points)


def patterns(outcomes):
    return np.array(list(product([1.0, 0.0], repeat=outcomes)))


def contrast_matrix(outcomes):
    """From first principles: log probabilities as sums over subsets of the outcomes."""
    y = patterns(outcomes)
    subsets = [list(s) for r in range(1, outcomes + 1) for s in combinations(range(outcomes), r)]
    term = np.column_stack([(y[:, s] - 0.5).prod(axis=1) for s in subsets])
    return np.ascontiguousarray(term[:-1] - term[-1])


def table(rng, outcomes, design, effects):
    """Counts of response patterns by cluster, arms and success rates of clusters."""
    clusters, size, sd, correlation = design
    arm = np.repeat([0, 1], clusters // 2)
    shared, own = rng.normal(size=(clusters, 1)), rng.normal(size=(clusters, outcomes))
    u = sd * (math.sqrt(correlation) * shared + math.sqrt(1.0 - correlation) * own)
    theta = 1.0 / (1.0 + np.exp(-(LEVEL + u + arm[:, None] * effects)))
    y = rng.random((clusters, size, outcomes)) < theta[:, None]
    cell = (1 - y) @ 2 ** np.arange(outcomes)[::-1]
    counts = np.stack([np.bincount(c, minlength=2**outcomes) for c in cell]).astype(float)
    return counts, arm, y.mean(axis=1)


def true_effects(design, effects):
    """Differences of success probabilities over new clusters."""
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    log_odds = LEVEL + np.stack([np.zeros_like(effects), effects])[..., None] + design[2] * node
    theta = (1.0 / (1.0 + np.exp(-log_odds))) @ weight / weight.sum()
    return theta[1] - theta[0]


def default_effect(counts, arm, seed, a=None):
    """Draws of the effect on new clusters under the default prior, (draw, outcome)."""
    outcomes = int(math.log2(counts.shape[1]))
    contrasts, rng = contrast_matrix(outcomes), np.random.default_rng(seed)
    M = len(contrasts)
    q = 0.1 * rng.normal(size=3 * M + M * (M - 1) // 2 + len(counts) * M)
    for h in range(2):
        seen = counts[arm == h].sum(axis=0) + 0.5
        q[h * M : (h + 1) * M] = np.log(seen[:-1] / seen[-1])
    q[2 * M : 3 * M] -= 0.5
    out = draw(q, counts, arm, 2.0**-outcomes if a is None else a, contrasts, seed)
    points = stats.norm.ppf(qmc.Sobol(M, rng=seed).random(POINTS))
    theta = success(out, contrasts, patterns(outcomes), points)
    return theta[:, 1] - theta[:, 0]


def simulate(outcomes, name, effect, tables):
    """Shift against the Dirichlet answer, coverage and errors beside those of t intervals."""
    design, found = DESIGNS[name], []
    # No effect on the last outcome, where All is wrong to fire.
    effects = effect * (np.arange(outcomes) < outcomes - 1)
    truth, (clusters, size) = true_effects(design, effects), design[:2]
    for number in range(tables):
        rng = np.random.default_rng([outcomes, clusters, size, int(10 * effect), number])
        counts, arm, rate = table(rng, outcomes, design, effects)
        ours = default_effect(counts, arm, number)
        mean = np.stack([rate[arm == h].mean(axis=0) for h in (0, 1)])
        variance = sum(rate[arm == h].var(axis=0, ddof=1) for h in (0, 1))
        error = np.sqrt(variance / (clusters // 2))
        half = stats.t.ppf(0.95, clusters - 2) * error
        # The Dirichlet answer for as many independent persons as the clusters are worth.
        inflation = max(1.0, size * variance.sum() / (mean * (1.0 - mean)).sum())
        persons = clusters // 2 * size / inflation
        direct = (mean[1] - mean[0]) * persons / (persons + 2.0)
        low, high = np.quantile(ours, [0.05, 0.95], axis=0)
        better = (ours > 0).mean(axis=0)
        found.append(
            {
                "shift": ((ours.mean(axis=0) - direct) / ours.std(axis=0))[:1].mean(),
                "coverage": ((low <= truth) & (truth <= high)).mean(),
                "t": (abs(mean[1] - mean[0] - truth) <= half).mean(),
                "all": better.min() > 0.95,
                "any": better.max() > 1 - 0.05 / outcomes,
                "compensatory": (ours.mean(axis=1) > 0).mean() > 0.95,
            }
        )
    return {name: np.array([f[name] for f in found], dtype=float) for name in found[0]}


def test_the_density_of_this_study_is_that_of_the_package():
    rng = np.random.default_rng(4)
    counts, arm, _ = table(rng, 2, (10, 9, 1.0, 0.0), np.array([1.0, 0.0]))
    cluster, cell = (
        np.repeat(i.ravel(), counts.astype(int).ravel()) for i in np.indices(counts.shape)
    )
    y = patterns(2)[cell]
    data = {"arm": arm[cluster], "c": cluster, "y1": y[:, 0], "y2": y[:, 1]}
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", cluster="c")
    ours, theirs = [], []
    for _ in range(2):
        q = 0.7 * rng.normal(size=2 * 3 + 3 + 3 + 10 * 3)
        ours.append(log_density(q, np.empty(len(q)), counts, arm, 0.25, contrast_matrix(2)))
        levels = q[:6].reshape(2, 3)
        partial = np.tanh(q[9:12])
        value = logp(
            trial, data, beta=np.stack([levels[0], levels[1] - levels[0]], axis=1),
            cluster_sd=np.exp(q[6:9])[None], cluster_partial=(1.0 + partial) / 2.0,
            cluster_z=q[12:].reshape(10, 3),
        )  # fmt: skip
        # Ours is the density of log sds and of inverse hyperbolic tangents.
        theirs.append(value + q[6:9].sum() + np.log1p(-(partial**2)).sum())
    assert ours[1] - ours[0] == pytest.approx(theirs[1] - theirs[0], rel=1e-9)


def test_the_gradient_is_that_of_the_density():
    rng = np.random.default_rng(5)
    counts, arm, _ = table(rng, 3, (4, 5, 1.0, 0.0), np.zeros(3))
    q, contrasts = 0.5 * rng.normal(size=21 + 21 + 4 * 7), contrast_matrix(3)
    gradient, other = np.empty(len(q)), np.empty(len(q))
    log_density(q, gradient, counts, arm, 0.1, contrasts)
    found = [
        log_density(q + h, other, counts, arm, 0.1, contrasts)
        - log_density(q - h, other, counts, arm, 0.1, contrasts)
        for h in 1e-5 * np.eye(len(q))
    ]
    np.testing.assert_allclose(gradient, np.array(found) / 2e-5, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("outcomes", [2, 3, 4])
@pytest.mark.parametrize("effect", [0.0, EFFECT])
def test_cluster_randomised_trials_keep_coverage_and_errors(outcomes, effect):
    found = simulate(outcomes, "20 x 15, sd 1", effect, tables=100)
    assert abs(found["shift"].mean()) < 0.15
    # 100 tables: Monte Carlo error up to 2% for a difference.
    assert abs(found["coverage"].mean() - found["t"].mean()) < 0.05
    wrong = ["all"] if effect else ["all", "any", "compensatory"]
    assert max(found[rule].mean() for rule in wrong) <= 0.12


def main(tables):
    """Print the table of docs/models/trial.md, a line when it is ready."""
    print("| clusters | K | effect | shift, sd | covers | t covers | All | Any | Comp |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for name, outcomes, effect in product(DESIGNS, [2, 3, 4], [0.0, EFFECT]):
        if name != "20 x 15, sd 1" and outcomes == 4:
            continue
        found = simulate(outcomes, name, effect, tables)
        mean = {key: values.mean() for key, values in found.items()}
        error = found["coverage"].std() / np.sqrt(tables)
        print(
            f"| {name} | {outcomes} | {effect:g} | {mean['shift']:+.3f} "
            f"| {100 * mean['coverage']:.1f}% (±{100 * error:.1f}) | {100 * mean['t']:.1f}% "
            f"| {100 * mean['all']:.1f}% | {100 * mean['any']:.1f}% "
            f"| {100 * mean['compensatory']:.1f}% |",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]))
