"""Error rates and coverage of decisions about trials, over simulated data sets."""

import warnings

import numpy as np
import pytest

from pymc_mlm import MultivariateLogitTrial
from pymc_mlm.decisions import All, Any, decide
from pymc_mlm.reporting.diagnostics import ConvergenceWarning

DATA_SETS = 200
OUTCOMES = ("math", "reading", "writing", "music")


def cluster_randomised(rng, clusters=20, size=15, sd=1.5, effects=(0.0, 0.0)):
    """The layout of bmco's teaching example; effects of the method are log odds in a school."""
    school = np.repeat(np.arange(clusters), size)
    new = school >= clusters // 2
    effect = rng.normal(0.0, sd, size=(clusters, len(effects)))
    ability = rng.normal(size=len(school))
    slopes = np.resize([0.1, 0.05], len(effects))
    log_odds = -0.5 + effect[school] + np.outer(ability, slopes) + np.outer(new, effects)
    passed = rng.random(log_odds.shape) < 1 / (1 + np.exp(-log_odds))
    return {
        "school": school,
        "method": np.where(new, "new", "old"),
        "ability": ability,
        **{name: passed[:, k] for k, name in enumerate(OUTCOMES[: len(effects)])},
    }


def true_effects(effects, sd=1.5):
    """Differences of success probabilities over new schools and abilities."""
    node, weight = np.polynomial.hermite_e.hermegauss(60)
    slopes = np.resize([0.1, 0.05], len(effects))
    spread = np.sqrt(sd**2 + slopes**2)[:, None] * node
    theta = [
        (1 / (1 + np.exp(-(-0.5 + np.array(shift)[:, None] + spread)))) @ weight / weight.sum()
        for shift in (effects, np.zeros(len(effects)))
    ]
    return theta[0] - theta[1]


def individually_randomised(rng, persons=400, correlation=0.3):
    """Two correlated outcomes with success probability one half, whatever the arm."""
    both = (1 + correlation) / 4
    cell = rng.choice(4, size=persons, p=[both, 0.5 - both, 0.5 - both, both])
    return {
        "arm": rng.permutation(np.arange(persons) % 2),
        "y1": cell < 2,
        "y2": (cell % 2) == 0,
    }


def clustered_effect(data, seed):
    """Posterior draws of the effect on new clusters, from a short run."""
    outcomes = [name for name in OUTCOMES if name in data]
    trial = MultivariateLogitTrial(
        outcomes, "method", control="old", covariates=["ability"], cluster="school"
    )
    with warnings.catch_warnings():
        # Short runs by design: error rates are averages over data sets.
        warnings.simplefilter("ignore", ConvergenceWarning)
        trial.fit(data, draws=400, tune=400, chains=2, random_seed=seed, progressbar=False)
    return trial.treatment_effect()


@pytest.mark.slow
def test_null_cluster_randomised_trials_keep_their_error_rate_and_coverage():
    rng = np.random.default_rng(7)
    any_fires, all_fires, covered = [], [], []
    for seed in range(DATA_SETS):
        effect = clustered_effect(cluster_randomised(rng), seed)
        any_fires.append(decide(Any(), effect).conclusion == "superior")
        all_fires.append(decide(All(), effect).conclusion == "superior")
        low, high = effect.quantile([0.05, 0.95], ("chain", "draw")).values
        covered += [bool(a <= 0.0 <= b) for a, b in zip(low, high, strict=True)]
    # bmco's Any rule fires in 30% of such data sets.
    assert np.mean(any_fires) <= 0.07
    assert np.mean(all_fires) <= 0.07
    assert 0.85 <= np.mean(covered) <= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("effects", [(1.2, 0.0), (1.2, 1.2, 0.0)])
def test_cluster_randomised_trials_with_effects_keep_coverage_and_error(effects):
    rng = np.random.default_rng(9)
    truth, covered, all_fires = true_effects(effects), [], []
    for seed in range(DATA_SETS // 2):
        effect = clustered_effect(cluster_randomised(rng, effects=effects), seed)
        low, high = effect.quantile([0.05, 0.95], ("chain", "draw")).values
        covered.append(((low <= truth) & (truth <= high)).mean())
        # The method does nothing for the last outcome.
        all_fires.append(decide(All(), effect).conclusion == "superior")
    # 100 data sets: errors up to 3% and 2%.
    assert 0.82 <= np.mean(covered) <= 0.98
    assert np.mean(all_fires) <= 0.11


@pytest.mark.slow
def test_null_individually_randomised_trials_err_in_five_percent():
    rng = np.random.default_rng(8)
    any_fires, covered = [], []
    for seed in range(2_000):
        trial = MultivariateLogitTrial(["y1", "y2"], "arm")
        trial.fit(individually_randomised(rng), draws=4_000, random_seed=seed)
        any_fires.append(trial.probability(Any()).conclusion == "superior")
        low, high = trial.treatment_effect().quantile([0.05, 0.95], ("chain", "draw")).values
        covered += [bool(a <= 0.0 <= b) for a, b in zip(low, high, strict=True)]
    assert 0.03 <= np.mean(any_fires) <= 0.07
    assert 0.85 <= np.mean(covered) <= 0.95
