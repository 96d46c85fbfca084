"""Reports: numbers are those of the fit, HTML is a function of the JSON, and text stays text."""

import inspect
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.families import AbstractFamily, OutcomeScale
from pymc_mlm.planning import (
    Looks,
    calibrate,
    operating_characteristics,
    sequential_characteristics,
)
from pymc_mlm.reporting.justified_priors import (
    GIVEN,
    NOT_STATED,
    OF_TERMS,
    OF_TRIALS,
    ON_SD,
    REASONS,
    WEIGHT,
)
from tests.mocked import PriorDraws
from tests.reporting.reports import EFFECTS, PLAN, RULES, bare, fitted, members, nested, table

# ---------------------------------------------------------------------- contents


def test_numbers_are_those_of_the_fit(direct):
    sections = direct.report(rules=RULES).sections
    effect = direct.treatment_effect()
    found = sections["Results"][EFFECTS]
    assert [row["outcome"] for row in found] == ["y1", "y2"]
    np.testing.assert_allclose([r["difference"] for r in found], effect.mean(("chain", "draw")))
    np.testing.assert_allclose(
        [r["upper"] for r in found], effect.quantile(0.975, ("chain", "draw"))
    )
    decisions = {row["rule"]: row for row in sections["Results"]["Decisions"]}
    for rule in RULES:
        decision = direct.probability(rule)
        row = decisions[rule.label]
        assert row["statistic"] == decision.evidence[0].statistic
        assert row["threshold"] == decision.evidence[0].threshold
        assert row["joint probability"] == decision.joint_probability
        assert row["conclusion"] == decision.conclusion
    weighted = sections["Results"]["Weighted effects"][0]["weighted effect"]
    assert weighted == pytest.approx(float((effect.values @ [0.7, 0.3]).mean()))
    needed = sections["Results"]["Ratios, medians, and patients for one more success"]
    assert needed[0]["number needed to treat"].startswith("NNT")


def test_the_design_is_counted(sampled):
    design = sampled.report().sections["Design"]
    assert design["Arms"] == [
        {"arm": "old", "rows": 45, "clusters (site)": 8},
        {"arm": "new", "rows": 45, "clusters (site)": 8},
    ]
    missing = {(r["arm"], r["outcome"]): r["missing"] for r in design["Outcomes by arm"]}
    assert missing == {("old", "y1"): 1, ("old", "y2"): 0, ("new", "y1"): 1, ("new", "y2"): 0}
    assert "2 rows lack some outcomes" in design["Notes"][0]
    assert not any("Prior of" in note for note in design["Notes"])


def test_the_estimand_is_stated_or_called_not_stated(sampled):
    words = {"population": "adults", "intercurrent_events": {"death": "composite"}}
    rows = sampled.report(attributes=words).sections["Estimand"]["Attributes of ICH E9(R1)"]
    stated = {row["attribute"]: row["stated by the author"] for row in rows}
    assert stated == {
        "population": "adults",
        "variable": NOT_STATED,
        "treatment": NOT_STATED,
        "intercurrent events": "death: composite",
        "summary measure": NOT_STATED,
    }
    items = {
        r["item"]: r["in this report"] for r in sampled.report().sections["Checklist"]["Items"]
    }
    assert items["estimand by its five attributes"] == "in part"
    full = dict.fromkeys(
        ("population", "variable", "treatment", "intercurrent_events", "summary_measure"), "said"
    )
    items = sampled.report(attributes=full).sections["Checklist"]["Items"]
    assert {r["item"]: r["in this report"] for r in items}[
        "estimand by its five attributes"
    ] == "yes"


def test_endpoints_are_called_as_in_trials(direct):
    rows = direct.report(rules=[mlm.rules.All(), mlm.rules.Any(), RULES[1]]).sections
    named = [row["endpoints"] for row in rows["Success criterion"]["Criteria"]]
    assert [text.split(":")[0] for text in named] == [
        "co-primary endpoints", "multiple primary endpoints", "weighted endpoints",
    ]  # fmt: skip


def test_a_prior_of_the_user_has_the_reason_that_is_given(sampled):
    def rows(**asked):
        found = sampled.report(**asked).sections["Priors"]["Priors and their reasons"]
        return {row["variable"]: row for row in found}

    assert rows()["slope"]["origin"] == GIVEN and rows()["slope"]["reason"] == NOT_STATED
    assert rows()["cluster_sd"]["origin"] == "default"
    assert rows(reasons={"slope": "an earlier trial"})["slope"]["reason"] == "an earlier trial"
    items = sampled.report().sections["Checklist"]["Items"]
    assert {r["item"]: r["in this report"] for r in items}["priors and their justification"] == (
        "in part"
    )


def test_the_reasons_of_defaults_are_those_of_the_documentation():
    docs = " ".join(Path("docs/priors.md").read_text(encoding="utf-8").split())
    of_families = [reason for family in families() for reason in family.reasons.values()]
    others = (*OF_TERMS.values(), *OF_TRIALS.values(), ON_SD, WEIGHT)
    for reason in (*REASONS.values(), *of_families, *others):
        assert reason in docs


def test_every_default_prior_has_a_reason(direct):
    for model in (direct, members(), nested(), bare()):
        rows = model.report().sections["Priors"]["Priors and their reasons"]
        assert rows and all(row["origin"] == "default" for row in rows)
        assert not [row["variable"] for row in rows if row["reason"] == NOT_STATED]


def families():
    """Every concrete family of the package, also those below an abstract one."""
    found, waiting = [], [AbstractFamily]
    while waiting:
        below = waiting.pop().__subclasses__()
        waiting += below
        found += [f for f in below if not inspect.isabstract(f)]
    return [f for f in found if f.__module__.startswith("pymc_mlm.")]


def test_every_family_has_reasons_of_its_priors():
    exported = {getattr(mlm, name) for name in mlm.__all__}
    assert {f for f in families()} == {
        c for c in exported if inspect.isclass(c) and issubclass(c, AbstractFamily)
    } - {AbstractFamily}
    for family in families():
        arguments = {"trials": "n"} if family is mlm.Binomial else {}
        own = family(**arguments).default_priors(OutcomeScale(0.0, 1.0))
        assert set(own) == set(family.reasons)


def test_a_prior_that_does_not_print_itself_has_no_address():
    class Own:
        def create_variable(self, name):
            return pm.HalfNormal(name, 1)

    model = mlm.MultipleMembershipModel("age ~ 1", mlm.hm("site", priors={"sd": Own()}))
    model = fitted(model, table(), path="sampled")
    text = model.report().to_json()
    assert "Own>" in text and "0x" not in text


def test_ratios_of_certain_successes_are_left_out_with_a_word(sampled):
    far = mlm.populations.Value(age=50_000)
    with pytest.warns(mlm.DataWarning, match="outside the observed range"):
        sections = sampled.report(population=far).sections
    rows = sections["Results"]["Ratios, medians, and patients for one more success"]
    assert rows[0]["odds ratio"] is None and rows[0]["number needed to treat"].startswith("NNT")
    words = sections["Estimand"]["About the population"]
    assert any("'y1' are 0 or 1 to all digits" in text for text in words)


def test_predictions_are_compared_with_the_observed_outcomes(sampled, direct):
    parts = sampled.report().sections["Predictive checks"]
    found = {row["statistic"]: row for row in parts["Posterior predictive"]}
    data = table()
    data.loc[[3, 8], "y1"] = np.nan
    means = data.groupby("arm")[["y1", "y2"]].mean()
    for arm in ("old", "new"):
        for name in ("y1", "y2"):
            assert found[f"share of {name}, {arm}"]["observed"] == pytest.approx(
                means.loc[arm, name]
            )
        both = data[data["arm"] == arm].dropna()[["y1", "y2"]].min(axis=1).mean()
        assert found[f"share with every outcome, {arm}"]["observed"] == pytest.approx(both)
    spread = data.groupby("site")["y1"].mean().std()
    assert found["sd of the clusters' shares of y1"]["observed"] == pytest.approx(spread)
    # The mocked sampler draws from the prior.
    prior = {row["statistic"]: row for row in parts["Prior predictive"]}
    assert abs(prior["share of y1, old"]["median"] - found["share of y1, old"]["median"]) < 0.25
    # A Dirichlet posterior and 45 persons: the observed share is near the middle.
    rows = direct.report().sections["Predictive checks"]["Posterior predictive"]
    assert all(
        0.3 < row["share at or above"] < 0.7 for row in rows if "share of" in row["statistic"]
    )
    assert all(row["lower"] < row["observed"] < row["upper"] for row in rows)


def test_flat_priors_have_no_prior_predictive_check():
    model = mlm.MultivariateLogitTrial(
        "y1", "arm", control="old", covariates=["age"], priors={"beta": mlm.Prior("Flat")}
    )
    draws = mlm.MultivariateLogitTrial("y1", "arm", control="old", covariates=["age"])
    tree = fitted(draws, table()).result_.idata
    model.result_ = replace(
        draws.result_, spec=model.specification, design=model._design(table()), idata=tree
    )
    sections = model.report().sections
    assert "cannot be drawn from" in sections["Predictive checks"]["No prior predictive"]
    items = {r["item"]: r["in this report"] for r in sections["Checklist"]["Items"]}
    assert items["prior predictive check"] == "no" and items["posterior predictive check"] == "yes"


def test_operating_characteristics_of_the_plan_are_in_the_report(direct):
    operating = operating_characteristics(PLAN, "exact")
    sections = direct.report(operating=operating).sections
    rows = {
        r["what"]: r["probability"] for r in sections["Operating characteristics"]["Probabilities"]
    }
    assert rows["largest type I error"] == operating.worst_type_one_error.value
    assert sections["Success criterion"]["Agreement with the plan"] == [
        "Outcomes, arms, rule and threshold are those of the plan."
    ]
    assert "Operating characteristics" not in direct.report().sections
    looks = sequential_characteristics(PLAN, Looks((0.5, 1.0), efficacy=0.95), 200, 1)
    found = direct.report(operating=looks).sections["Operating characteristics"]
    assert (
        len(found["Looks"]) == 2 and found["Size"][0]["patients"] == looks.expected_patients.value
    )


def test_where_analysis_and_plan_differ_both_are_named(direct):
    def said(design, **asked):
        operating = operating_characteristics(design, "normal", nulls=False)
        sections = direct.report(operating=operating, **asked).sections
        return " ".join(sections["Success criterion"]["Agreement with the plan"])

    assert "planned threshold is 0.9634" in said(
        calibrate(replace(PLAN, per_arm=30), 0.04, "exact")
    )
    assert "Planned was rule Single(y1)" in said(replace(PLAN, rule=mlm.rules.Single("y1")))
    assert "Planned outcomes: a, b; analysed: y1, y2." in said(replace(PLAN, outcomes=("a", "b")))
    assert "planned threshold is 0.975" in said(replace(PLAN, alpha=0.025))
    assert said(replace(PLAN, alpha=0.025), alpha=0.025).startswith("Outcomes, arms, rule and")
    any_one = calibrate(replace(PLAN, rule=mlm.rules.Any()), 0.05, "exact")
    alpha = 2 * (1 - any_one.threshold)
    assert said(any_one, alpha=alpha).startswith("Outcomes, arms, rule and")


# ---------------------------------------------------------------------- cautions


def test_reasons_to_doubt_the_results_come_first(direct):
    assert "Cautions" not in direct.report().sections
    data = table().assign(site=lambda t: [f"s{i % 4}" for i in range(len(t))])
    model = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="old", cluster="site")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(data, draws=60, chains=1, random_seed=7, sampler=PriorDraws())
    operating = operating_characteristics(replace(PLAN, alpha=0.01), "normal", nulls=False)
    report = model.report(operating=operating)
    assert next(iter(report.sections)) == "Cautions"
    found = report.sections["Cautions"]["Read before the results"]
    for words in ("threshold is 0.99", "One chain", "Arm 'old' has rows in 2 cluster"):
        assert any(words in text for text in found)


def test_a_misfit_and_a_conflict_with_the_prior_are_cautions():
    rng = np.random.default_rng(2)
    data = table()
    data["y1"] = np.repeat([0.0, 1.0], 45)[rng.permutation(90)]
    prior = {"cell_probability": mlm.Prior("Dirichlet", a=[[400.0, 40.0], [40.0, 400.0]])}
    model = mlm.MultivariateLogitTrial("y1", "arm", control="old", priors=prior)
    model.fit(data, draws=4000, random_seed=1)
    found = model.report().sections["Cautions"]["Read before the results"]
    assert any("The model predicts share of y1, old" in text for text in found)
    assert any("is sensitive to the prior" in text for text in found)
