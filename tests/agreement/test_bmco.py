"""Agreement with bmco on its own data, under its own priors and its own estimand.

The target is the tool's posterior for ``bmvb`` and ``bglm``, and an independent NUTS run of the
same model for ``bglmm``, whose sampler did not converge. Tolerances: means within 4 combined Monte
Carlo errors plus 2% of the reference's standard deviation; standard deviations within 10%.
"""

import json

import arviz_stats
import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm

pytestmark = pytest.mark.agreement

BGLM = {
    "Analytical_40_60": {"x_method": "Analytical", "x_def": (40, 60)},
    "Empirical_all": {"x_method": "Empirical", "x_def": (-np.inf, np.inf)},
    "Empirical_le45": {"x_method": "Empirical", "x_def": (-np.inf, 45)},
    "Value_50": {"x_method": "Value", "x_def": 50},
}
PATIENTS = {
    "grp": "group",
    "grp_a": "placebo",
    "grp_b": "drug",
    "y_vars": ["y1", "y2"],
    "x_var": "age",
}
PUPILS = {
    "grp": "method",
    "grp_a": "traditional",
    "grp_b": "new_method",
    "y_vars": ["math_pass", "reading_pass"],
    "x_var": "baseline_ability",
    "id_var": "school_id",
}
# case: (twin, data, bmco's arguments, standardised covariate)
BGLMM = {
    "bglmm_raw": ("bglmm_data", PATIENTS | {"id_var": "id"}, False),
    "bglmm_std": ("bglmm_data", PATIENTS | {"id_var": "id"}, True),
    "study_raw": ("study_data", PUPILS, False),
    "study_std": ("study_data", PUPILS, True),
}


def reference(shared, name):
    return json.loads((shared / "reference" / f"{name}.json").read_text())


def differences(draws, expected):
    """Which parameters lie outside the tolerances, with what and by how much."""
    out = []
    for name, values in draws.items():
        ours, theirs = np.asarray(values), expected[name]
        sd = ours.std(ddof=1)
        ess = float(arviz_stats.ess(ours, method="mean"))
        mc_error = np.hypot(sd / np.sqrt(ess), theirs["mcse_mean"])
        away = abs(ours.mean() - theirs["mean"])
        if away > 4 * mc_error + 0.02 * theirs["sd"]:
            out.append(f"{name}: mean {ours.mean():.4g}, reference {theirs['mean']:.4g}")
        if abs(sd / theirs["sd"] - 1) > 0.10:
            out.append(f"{name}: sd {sd:.4g}, reference {theirs['sd']:.4g}")
    return out


def averages(trial, question, names):
    """Success probabilities and effects under the names of the reference files."""
    asked = {k: v for k, v in question.items() if k not in ("rule", "alternative")}
    theta, effect = trial.success_probability(**asked), trial.treatment_effect(**asked)
    sign = -1.0 if question["alternative"] == "less" else 1.0
    draws = {f"delta_{y}": sign * effect.sel(outcome=y) for y in names["y_vars"]}
    for arm in (names["grp_a"], names["grp_b"]):
        draws |= {f"theta_{arm}_{y}": theta.sel(arm=arm, outcome=y) for y in names["y_vars"]}
    return draws


def coefficients(trial, names, covariate, clustered):
    """Coefficients under the names of the reference files."""
    beta, arm = trial.result_.posterior["beta"], f"{names['grp']}[{names['grp_b']}]"
    columns = {
        "Intercept": "g{}_Intercept" if clustered else "b{}_Intercept",
        arm: "b{}_" + names["grp"],
        covariate: "b{}_" + covariate,
        f"{arm}:{covariate}": "b{}_" + f"{names['grp']}_{covariate}",
    }
    return {
        name.format(cell): beta.sel(predictor=cell, covariate=column)
        for cell in ("11", "10", "01")
        for column, name in columns.items()
    }


@pytest.mark.parametrize("test", ["right_sided", "left_sided"])
@pytest.mark.parametrize("rule", ["All", "Any", "Comp"])
def test_bmvb(shared, rule, test):
    expected = reference(shared, f"bmco_bmvb_{rule}_{test}")
    names = {
        "grp": "treatment",
        "grp_a": "placebo",
        "grp_b": "drug",
        "y_vars": ["symptom_relief", "quality_of_life"],
    }
    weights = (0.7, 0.3) if rule == "Comp" else None
    trial, question = mlm.MultivariateLogitTrial.from_bmco(**names, rule=rule, test=test, w=weights)
    trial.fit(pd.read_csv(shared / "data" / "trial_data.csv"), random_seed=1)
    assert differences(averages(trial, question, names), expected["parameters"]) == []
    joint = trial.probability(**question).joint_probability
    key = "Comp_w.7_.3" if rule == "Comp" else rule
    # Two runs of 100,000 independent draws.
    assert joint == pytest.approx(expected["pop_from_samples"][key], abs=0.008)


@pytest.fixture(scope="module")
def patients(shared):
    """The covariate model, fitted once; its populations are questions."""
    trial, _ = mlm.MultivariateLogitTrial.from_bmco(**PATIENTS)
    table = pd.read_csv(shared / "data" / "bglm_data.csv")
    return trial.fit(table, draws=2_000, random_seed=1, progressbar=False)


@pytest.mark.parametrize("case", BGLM)
def test_bglm(shared, patients, case):
    expected = reference(shared, f"bmco_bglm_{case}")
    _, question = mlm.MultivariateLogitTrial.from_bmco(**PATIENTS, **BGLM[case])
    draws = averages(patients, question, PATIENTS) | coefficients(patients, PATIENTS, "age", False)
    assert differences(draws, expected["parameters"]) == []
    joint = patients.probability(**question).joint_probability
    assert joint == pytest.approx(expected["pop_from_samples"]["All"], abs=0.02)


@pytest.mark.parametrize("case", BGLMM)
def test_bglmm(shared, case):
    data, names, standardised = BGLMM[case]
    expected = reference(shared, f"check_nuts_{case}")
    table = pd.read_csv(shared / "data" / f"{data}.csv")
    if standardised:
        raw = names["x_var"]
        table[f"{raw}_std"] = (table[raw] - table[raw].mean()) / table[raw].std()
        names = names | {"x_var": f"{raw}_std"}
    x = names["x_var"]
    trial, question = mlm.MultivariateLogitTrial.from_bmco(
        **names, fixed=[names["grp"], x, f"{names['grp']}_{x}"], random=["Intercept"]
    )
    trial.fit(table, draws=2_000, random_seed=1, progressbar=False)
    draws = averages(trial, question, names) | coefficients(trial, names, x, True)
    variance = trial.result_.posterior["cluster_variance"].isel(slope=0)
    for cell in ("11", "10", "01"):
        draws[f"sd_g{cell}_InterceptIntercept"] = np.sqrt(variance.sel(predictor=cell))
    assert differences(draws, expected["parameters"]) == []
    joint = trial.probability(**question).joint_probability
    assert joint == pytest.approx(expected["pop_from_samples"]["All"], abs=0.02)
