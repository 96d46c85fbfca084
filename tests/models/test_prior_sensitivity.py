"""Decisions under power-scaling: closed forms of Dirichlet posteriors, and bad input."""

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.inference.conjugate import conjugate_posterior

ALL, ANY = mlm.rules.All(), mlm.rules.Any()
CELLS = np.array([[1, 1], [1, 0], [0, 1], [0, 0]])


def table(rows=160, seed=2, gain=0.14):
    rng = np.random.default_rng(seed)
    arm = np.where(np.arange(rows) % 2, "new", "old")
    y = rng.random((rows, 2)) < np.where(arm == "new", 0.45 + gain, 0.45)[:, None]
    return pd.DataFrame({"arm": arm, "y1": y[:, 0], "y2": y[:, 1]})


def fitted(a, data, draws=8000):
    prior = {"cell_probability": mlm.Prior("Dirichlet", a=np.broadcast_to(a, 4))}
    model = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="old", priors=prior)
    return model.fit(data, draws=draws, random_seed=1)


def exact(data, a, power_prior=1.0, power_likelihood=1.0, rule=ALL):
    """The statistic of a rule, with prior and likelihood raised to powers."""
    code = (3 - 2 * data["y1"] - data["y2"]).to_numpy()
    counts = [np.bincount(code[data["arm"] == arm], minlength=4) for arm in ("old", "new")]
    alpha = np.array(counts) * power_likelihood + power_prior * (a - 1.0) + 1.0
    phi = conjugate_posterior(
        np.zeros((2, 4), dtype=int), alpha, draws=200_000, random_seed=5
    ).values[0]
    return mlm.decisions.decide(rule, (phi[:, 1] - phi[:, 0]) @ CELLS).evidence[0].statistic


@pytest.mark.parametrize("rule", [ALL, ANY])
def test_scaled_decisions_are_those_of_the_scaled_dirichlet_posterior(rule):
    data, a = table(), 6.0
    found = fitted(a, data).prior_sensitivity(rule, powers=(0.5, 0.8, 1.25, 1.6))
    assert found["scaled"].tolist() == ["prior"] * 4 + ["likelihood"] * 4
    assert (found["k-hat"] < 0.7).all()
    for row in found.itertuples(index=False):
        powers = {f"power_{row.scaled}": row.power}
        expected = exact(data, a, rule=rule, **powers)
        assert row[found.columns.get_loc("scaled statistic")] == pytest.approx(expected, abs=0.025)


def test_a_uniform_prior_to_any_power_is_the_same_prior():
    found = fitted(1.0, table()).prior_sensitivity(ALL)
    prior = found[found["scaled"] == "prior"]
    assert (prior["scaled statistic"] == prior["as fitted"]).all()
    assert not prior["changes"].any()


def test_a_decision_that_rests_on_the_prior_is_found():
    # A prior of 40 imaginary successes in the treatment carries the decision.
    prior = {
        "cell_probability": mlm.Prior("Dirichlet", a=[[1.0, 1.0, 1.0, 1.0], [12.0, 4.0, 4.0, 1.0]])
    }
    model = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="old", priors=prior)
    trial = model.fit(table(gain=0.08), draws=8000, random_seed=1)
    assert trial.probability(ALL).conclusion == "superior"
    found = trial.prior_sensitivity(ALL, powers=(0.3, 0.5, 1.25))
    weaker = found[(found["scaled"] == "prior") & (found["power"] < 0.6)]
    assert weaker["changes"].all() and set(weaker["conclusion"]) == {"not decided"}
    report = trial.report(rules=ALL).sections["Sensitivity"]["Decisions under power-scaling"]
    assert any(row["changes"] for row in report if row["scaled"] == "prior")


def test_weights_that_are_not_reliable_give_no_decision():
    found = fitted(6.0, table()).prior_sensitivity(ALL, powers=(40.0,))
    likelihood = found[found["scaled"] == "likelihood"].iloc[0]
    assert likelihood["k-hat"] > 0.7 and likelihood["conclusion"] == "not reliable"
    assert likelihood["scaled statistic"] is None or np.isnan(likelihood["scaled statistic"])
    assert likelihood["changes"] is None


def test_the_report_has_the_decisions_and_the_checklist_knows():
    report = fitted(2.0, table()).report(rules=[ALL, mlm.rules.Margins({"y1": 0.0, "y2": -0.1})])
    rows = report.sections["Sensitivity"]["Decisions under power-scaling"]
    assert len(rows) == 2 * 2 * 4 and {row["comparison"] for row in rows} == {"new against old"}
    items = {r["item"]: r["in this report"] for r in report.sections["Checklist"]["Items"]}
    assert items["sensitivity of decisions to the prior"] == "yes"


@pytest.mark.parametrize("powers", [(), "half", (0.5, -1.0), (0.0,), (True,), (np.nan,), (np.inf,)])
def test_powers_are_positive_numbers(powers):
    with pytest.raises(mlm.SpecificationError, match="must be positive numbers"):
        fitted(2.0, table(40), draws=400).prior_sensitivity(ALL, powers=powers)


def test_too_many_rows_are_refused_with_a_remedy(monkeypatch):
    monkeypatch.setattr("pymc_mlm.prior_sensitivity.MOST_NUMBERS", 1000)
    with pytest.raises(mlm.SpecificationError, match="take too much memory"):
        fitted(2.0, table(40), draws=400).prior_sensitivity(ALL)
