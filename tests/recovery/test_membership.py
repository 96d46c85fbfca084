"""Recovery of known truth: intervals cover it as often as they say, weights fixed and estimated."""

import numpy as np
import pytest

import pymc_mlm as mlm

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")]

DATASETS = 20
WEIGHTS = {"fixed": (0.0, "1 / n"), "estimated": (4.0, mlm.weights.softmax("seats"))}
TRUTH = {"Intercept": "Intercept", "beta": "majority", "party_beta": "cohesion",
         "party_sd": "party_sd", "country_sd": "country_sd", "shape": "shape",
         "party_weight_b": "weight b"}  # fmt: skip


def standardised_errors(kind, seed):
    """(truth - posterior mean) / posterior sd of each parameter, and whether 80% covers it."""
    seat_weight, weight = WEIGHTS[kind]
    table = mlm.datasets.coalitions(governments=400, seed=seed, seat_weight=seat_weight)
    model = mlm.MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority",
        mlm.mm("party", "government", covariates="cohesion", weight=weight),
        mlm.hm("country"),
        family="weibull",
    ).fit(table, draws=500, tune=700, chains=2, random_seed=seed, progressbar=False)
    posterior, truth = model.result_.posterior, table.attrs["truth"]
    names = [n for n in TRUTH if n in posterior]
    z, covered = [], []
    for name in names:
        draws = posterior[name].values.ravel()
        z.append((truth[TRUTH[name]] - draws.mean()) / draws.std())
        low, high = np.quantile(draws, [0.1, 0.9])
        covered.append(low <= truth[TRUTH[name]] <= high)
    return z, covered


@pytest.mark.parametrize("kind", WEIGHTS)
def test_posterior_recovers_the_truth(kind):
    runs = [standardised_errors(kind, seed) for seed in range(DATASETS)]
    z = np.array([r[0] for r in runs])
    coverage = np.mean([r[1] for r in runs])
    print(f"\n{kind}: mean z {z.mean(0).round(2)}, sd z {z.std(0).round(2)}, 80%: {coverage:.2f}")
    # Four standard errors of a mean of DATASETS standard normal numbers.
    assert (np.abs(z.mean(axis=0)) < 4 / np.sqrt(DATASETS)).all()
    assert (np.abs(z) < 4.5).all()
    # About 140 intervals that are not independent: 80% plus or minus four binomial errors.
    assert 0.66 < coverage < 0.94
