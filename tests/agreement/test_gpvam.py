"""Persistence of teachers' effects, against the maximum likelihood estimates of GPvam.

GPvam 3.2-0 (R) fits the variable persistence model of Lockwood et al. (2007) by EM: a variance of
teachers in each year, and a multiplier of their effects in each later one, `alpha_21` of those of
the first year in the second. Three blocks of `mm` have the same effects. The student side differs:
GPvam has an unstructured covariance over years, `hm("student")` that of the simulation.

``python tests/agreement/test_gpvam.py`` prints the table of docs/weights.md.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm

HERE = Path(__file__).parent


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


simulation = module(HERE.parent / "recovery" / "test_named_weights.py")
dense = module(HERE / "value_added_ml.py")

TRUTH = {"alpha_21": 0.5, "alpha_31": 0.25, "alpha_32": 0.5}
# Of value_added(seed) of the simulation, seeds 0 to 19: estimate and standard error of each, by
# GPvam(d, student.side="R", persistence="VP", hessian=TRUE).
GPVAM = [
    (0.493, 0.101, 0.25, 0.124, 0.43, 0.067),
    (0.118, 0.307, 0.236, 0.278, 0.677, 0.23),
    (0.56, 0.075, 0.259, 0.08, 0.669, 0.155),
    (0.521, 0.051, 0.254, 0.056, 0.576, 0.116),
    (0.405, 0.082, 0.239, 0.076, 0.54, 0.055),
    (0.445, 0.079, 0.229, 0.085, 0.441, 0.075),
    (0.435, 0.078, 0.205, 0.084, 0.517, 0.076),
    (0.537, 0.126, 0.123, 0.175, 0.548, 0.078),
    (0.515, 0.061, 0.195, 0.078, 0.442, 0.083),
    (0.526, 0.084, 0.234, 0.084, 0.483, 0.054),
    (0.202, 0.132, 0.287, 0.126, 0.582, 0.106),
    (0.403, 0.085, 0.239, 0.084, 0.463, 0.1),
    (0.387, 0.088, 0.246, 0.093, 0.456, 0.078),
    (0.509, 0.056, 0.18, 0.072, 0.494, 0.062),
    (0.471, 0.064, 0.162, 0.066, 0.485, 0.054),
    (0.45, 0.063, 0.266, 0.074, 0.539, 0.078),
    (0.528, 0.099, 0.349, 0.098, 0.683, 0.083),
    (0.47, 0.076, 0.084, 0.092, 0.494, 0.063),
    (0.491, 0.06, 0.292, 0.059, 0.421, 0.193),
    (0.451, 0.104, 0.214, 0.115, 0.535, 0.073),
]  # fmt: skip


def estimates_of_gpvam():
    columns = [f"{name}{what}" for name in TRUTH for what in ("", "_se")]
    return pd.DataFrame(GPVAM, columns=columns)


def blocks(table):
    """Return a column of teachers for each year in which they were met, and the model of it."""
    then = table["year"] - table["lag"]
    for year in range(3):
        table[f"teacher_{year}"] = table["teacher"].where(then == year)
    weights = [mlm.weights.persistence("lag", 2), mlm.weights.persistence("lag", 1),
               mlm.weights.Expression("lag == 0")]  # fmt: skip
    terms = [
        mlm.mm(f"teacher_{year}", "test", weight=weight, normalize=False, missing="skip")
        for year, weight in enumerate(weights)
    ]
    return mlm.MultipleMembershipModel("score ~ 1 + C(year)", *terms, mlm.hm("student"))


NAMES = {"alpha_21": "teacher_0_weight_b1", "alpha_31": "teacher_0_weight_b2",
         "alpha_32": "teacher_1_weight_b1"}  # fmt: skip


def ours(seed):
    """Return mean, sd and 80% interval of the three persistences, effects integrated out."""
    table = simulation.value_added(seed)
    model = blocks(table)
    model.fit(table, draws=1000, path="collapsed", random_seed=seed, progressbar=False)
    found = {}
    for name, variable in NAMES.items():
        draws = model.result_.posterior[variable].values.ravel()
        low, high = np.quantile(draws, [0.1, 0.9])
        found |= {name: draws.mean(), f"{name}_sd": draws.std(),
                  f"{name}_in": low < TRUTH[name] < high}  # fmt: skip
    return found


def comparison(seeds):
    """Estimates of GPvam, those of dense matrices with the student side of ours, and ours."""
    theirs, here = estimates_of_gpvam().loc[list(seeds)], pd.DataFrame([ours(s) for s in seeds])
    maxima = [dense.maximum(simulation.value_added(s), "compound")[0] for s in seeds]
    rows = {}
    for name, truth in TRUTH.items():
        a, b = theirs[name].to_numpy(), here[name].to_numpy()
        c, error = np.array([m[name] for m in maxima]), theirs[f"{name}_se"].to_numpy()
        rows[name] = {
            "truth": truth, "GPvam": a.mean(), "dense_ml": c.mean(), "here": b.mean(),
            "to_GPvam": ((b - a) / error).mean(), "largest": np.abs((b - a) / error).max(),
            "to_dense": ((b - c) / error).mean(), "largest_dense": np.abs((b - c) / error).max(),
            "se_GPvam": error.mean(), "sd_here": here[f"{name}_sd"].mean(),
            "covered": here[f"{name}_in"].mean(),
        }  # fmt: skip
    return pd.DataFrame(rows).T


@pytest.mark.slow
@pytest.mark.agreement
@pytest.mark.parametrize("seed", [0, 1])
def test_dense_matrices_have_the_maximum_of_gpvam(seed):
    found, loglik = dense.maximum(simulation.value_added(seed), "unstructured")
    expected = estimates_of_gpvam().loc[seed]
    assert loglik == pytest.approx({0: -796.3646, 1: -774.0272}[seed], abs=0.001)
    for name in TRUTH:
        assert found[name] == pytest.approx(expected[name], abs=0.003)


@pytest.mark.slow
@pytest.mark.agreement
@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_persistence_agrees_with_gpvam_and_covers_the_truth():
    table = comparison(range(20))
    print(f"\n{table.round(3).to_string()}")
    assert (table["to_GPvam"].abs() < 0.25).all()
    assert (table["to_dense"].abs() < 0.25).all()
    # A posterior mean is not a mode: where the data are few, they differ.
    assert (table["largest_dense"] < 0.75).all()
    # 60 intervals of 20 tables; tests/recovery/test_named_weights.py has 200.
    assert 0.68 < table["covered"].mean() < 0.95


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    print(comparison(range(20)).round(3).to_string())
