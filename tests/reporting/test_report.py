"""Reports: numbers are those of the fit, HTML is a function of the JSON, and text stays text."""

import inspect
import json
import warnings
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm import report as reports
from pymc_mlm.__main__ import main
from pymc_mlm.families import AbstractFamily, OutcomeScale
from pymc_mlm.planning import (
    Looks,
    TrialDesign,
    calibrate,
    operating_characteristics,
    sequential_characteristics,
)
from pymc_mlm.reporting.document import Report, read_report
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

EFFECTS = "Treatment effects: differences of success probabilities"
RULES = [
    mlm.rules.All(),
    mlm.rules.Compensatory((0.7, 0.3)),
    mlm.rules.Equivalence({"y1": (-1, 1)}),
]
ATTACK = "<script>alert(1)</script>\"><img src=x onerror=alert(2)></style>&'\x00"


def table(outcomes=("y1", "y2"), arms=("old", "new"), cluster="site"):
    rng = np.random.default_rng(5)
    rows = 90
    return pd.DataFrame(
        {
            outcomes[0]: rng.integers(0, 2, rows).astype(float),
            outcomes[1]: rng.integers(0, 2, rows).astype(float),
            "arm": np.array(arms, dtype=object)[np.arange(rows) % 2],
            "age": rng.normal(50, 8, rows).round(),
            cluster: [f"{cluster} {i}" for i in rng.integers(0, 8, rows)],
        }
    )


def fitted(model, data, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(data, draws=60, chains=2, random_seed=7, sampler=PriorDraws(), **more)


@pytest.fixture(scope="module")
def direct():
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="old")
    return trial.fit(table(), draws=2000, random_seed=7)


@pytest.fixture(scope="module")
def sampled():
    data = table()
    data.loc[[3, 8], "y1"] = np.nan
    model = mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", control="old", covariates=["age"], cluster="site",
        priors={"slope": mlm.Prior("Normal", mu=0, sigma=1)},
    )  # fmt: skip
    return fitted(model, data)


def members():
    data = table().assign(team=np.arange(90) // 3, share=np.linspace(0.1, 1, 90))
    return fitted(
        mlm.MultipleMembershipModel(
            "age ~ 1 + y1", mlm.mm("site", "team", weight="ilogit(b0 + b1 * share)"), mlm.hm("arm"),
            family="student_t",
        ),
        data.assign(
            **{n: data.groupby("team")[n].transform("first") for n in ("age", "y1", "arm")}
        ),
    )  # fmt: skip


def nested():
    model = mlm.NestedVaryingEffects("age ~ 1 + y1", ["site"], family="student_t")
    return fitted(model, table())


def bare():
    return fitted(mlm.MultipleMembershipModel("y1 ~ 1 + age", family="bernoulli"), table())


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, *attr) for attr in attrs]

    def handle_data(self, data):
        self.text.append(data)


TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "nav", "ol", "li", "a",
    "section", "p", "ul", "div", "table", "thead", "tbody", "tr", "th", "td", "svg", "line",
    "text", "circle",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "href", "id", "class", "scope", "viewbox",
    "role", "aria-label", "x", "x1", "x2", "y", "y1", "y2", "cx", "cy", "r", "text-anchor",
}  # fmt: skip


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


# ---------------------------------------------------------------------- plan


PLAN = TrialDesign({"old": (0.4, 0.4), "new": (0.6, 0.6)}, per_arm=45)


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


# ---------------------------------------------------------------------- HTML and JSON


@pytest.mark.parametrize("model", [members, nested, bare], ids=lambda f: f.__name__)
def test_models_of_one_predictor_have_the_sections_that_apply(model, tmp_path):
    model = model()
    report = model.report(tmp_path / "report.json")
    assert "Estimand" not in report.sections and "Success criterion" not in report.sections
    first = report.sections["Results"]["Parameters"][0]
    assert first["mean"] == model.summary().frame["mean"].iloc[0]
    assert ("Variance decomposition" in report.sections["Results"]) == bool(
        model.result_.names("sd")
    )
    assert report.sections["Sensitivity"]["Power-scaling"]
    assert read_report(tmp_path / "report.json").to_html() == report.to_html()


def test_the_page_is_made_of_the_json_alone_byte_by_byte(sampled, direct, tmp_path):
    for model in (sampled, direct):
        one = model.report(tmp_path / "report.html", rules=RULES)
        model.report(tmp_path / "report.json", rules=RULES)
        main(["report", str(tmp_path / "report.json"), "-o", str(tmp_path / "again.html")])
        page = (tmp_path / "report.html").read_bytes()
        assert (tmp_path / "again.html").read_bytes() == page == one.to_html().encode()
        document = json.loads((tmp_path / "report.json").read_text())
        assert document["sections"] == one.sections


def test_the_same_fit_gives_the_same_report_loaded_or_with_other_arguments(sampled, tmp_path):
    text = sampled.report().to_json()
    loaded = mlm.MultivariateLogitTrial.load(sampled.save(tmp_path / "fit.nc"))
    assert loaded.report().to_json() == text
    loaded.set_params(covariates=None, cluster=None, priors=None)
    assert loaded.report().to_json() == text


def test_numbers_that_json_lacks_are_text_or_absent():
    report = reports.make_report("t", {"s": {"x": {"a": np.nan, "b": np.inf, "c": np.int64(3)}}})
    assert report.sections == {"s": {"x": {"a": None, "b": "inf", "c": 3}}}


# ---------------------------------------------------------------------- attacks


def safe(page, text):
    found = Page(page)
    assert found.tags <= TAGS
    assert {name for _, name, _ in found.attributes} <= ATTRIBUTES
    assert all(value.startswith("#s") for _, name, value in found.attributes if name == "href")
    assert "http:" not in page.replace("http-equiv", "") and "url(" not in page
    assert "\x00" not in page
    assert text in "".join(found.text)


def test_names_stay_text():
    visible = ATTACK.replace("\x00", "\ufffd")
    names = [ATTACK.replace("\x00", ""), "y'2"]
    arms = ("old", visible)
    data = table(names, arms, cluster="s<b>")
    model = mlm.MultivariateLogitTrial(
        names, "arm", control="old", covariates=["age"], cluster="s<b>",
    )  # fmt: skip
    report = fitted(model, data).report(
        attributes={"population": ATTACK}, reasons={"slope": ATTACK}, rules=mlm.rules.Single("y'2")
    )
    safe(report.to_html(), visible)
    page = Page(report.to_html())
    assert any(f"{visible} against old, y'2" in text for text in page.text)


def test_a_report_whose_json_was_changed_stays_text(tmp_path):
    rows = [{ATTACK: ATTACK, "lower": 0.1, "middle": ATTACK, "upper": 0.3, "label": ATTACK}]
    good = [{"label": ATTACK, "lower": 0.1, "middle": 0.2, "upper": 0.3}]
    parts = {
        ATTACK: ATTACK,
        "list": [ATTACK, "\ud800"],
        "facts": {ATTACK: ATTACK},
        "rows": rows,
        "good": good,
        "drawn": {"picture of": "good", "labels": "label", "middle": "middle"},
        "not drawn": {"picture of": "rows", "labels": ATTACK, "middle": "middle"},
        "of nothing": {"picture of": ATTACK, "labels": 3, "middle": None},
    }
    path = Report(ATTACK, {ATTACK: parts}).write(tmp_path / "report.json")
    report = read_report(path)
    safe(report.to_html(), ATTACK.replace("\x00", "\ufffd"))
    assert report.to_html().count("<svg") == 1
    assert report.write(tmp_path / "report.html").read_text(encoding="utf-8") == report.to_html()


DAMAGED = {
    "no JSON": ("{", "is no JSON"),
    "deep": ("[" * 100_000, "is no JSON"),
    "another file": ('{"format": "x"}', "is no report"),
    "a list": ("[]", "is no report"),
    "newer": ('{"format": "pymc_mlm report", "schema": 9}', "schema 9"),
    "no sections": ('{"format": "pymc_mlm report", "schema": 1, "title": "t"}', "damaged"),
    "a part of another form": (
        '{"format": "pymc_mlm report", "schema": 1, "title": "t", "sections": {"s": {"p": 3}}}',
        "damaged"),
    "a mixed list": (
        '{"format": "pymc_mlm report", "schema": 1, "title": "t", "sections": '
        '{"s": {"p": ["a", {"b": 1}]}}}', "damaged"),
    **{
        f"the number {number}": (
            '{"format": "pymc_mlm report", "schema": 1, "title": "t", "sections": '
            f'{{"s": {{"p": {{"b": {number}}}}}}}}}', "damaged")
        for number in ("NaN", "-Infinity", "1e999", "1" + "0" * 400)
    },
    "rows of rows": (
        '{"format": "pymc_mlm report", "schema": 1, "title": "t", "sections": '
        '{"s": {"p": [{"b": [1]}]}}}', "damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "match"), DAMAGED.values(), ids=DAMAGED)
def test_files_that_are_no_reports_are_refused(text, match, tmp_path, capsys):
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(mlm.DataError, match=match):
        read_report(path)
    with pytest.raises(SystemExit) as left:
        main(["report", str(path)])
    assert left.value.code == 2 and match in capsys.readouterr().err
    assert not path.with_suffix(".html").exists()


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(mlm.DataError, match=r"There is no file .*nothing.json"):
        read_report(tmp_path / "nothing.json")


# ---------------------------------------------------------------------- writing


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = Report("old", {}).write(tmp_path / "report.html")
    before = path.read_bytes()

    def full(self, content):
        Path.open(self, "wb").write(content[:10])
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        Report("new", {}).write(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


WRONG = {
    "ending": ({"path": "report.pdf"}, r"ends with .html or .json"),
    "no folder": ({"path": "no/such/report.html"}, r"no folder 'no/such'"),
    "attribute": ({"attributes": {"populace": "x"}}, r"'populace' is no attribute"),
    "attribute without text": ({"attributes": {"population": 3}}, r"'population' is 3"),
    "reason": ({"reasons": {"beat": "x"}}, r"no prior of 'beat'"),
    "plan": ({"operating": PLAN}, r"is no result of planning"),
    "rules": ({"rules": []}, r"rules=\[\] must be"),
    "no rule": ({"rules": ["All"]}, r"is no rule"),
    "interval": ({"ci_prob": 95}, r"ci_prob=95"),
}


@pytest.mark.parametrize(("asked", "match"), WRONG.values(), ids=WRONG)
def test_wrong_arguments_are_named(direct, asked, match):
    with pytest.raises(mlm.MlmError, match=match):
        direct.report(**asked)


def test_a_report_before_a_fit_is_refused():
    with pytest.raises(mlm.NotFittedError):
        mlm.MultivariateLogitTrial("y1", "arm").report()


# ---------------------------------------------------------------------- provenance


def test_the_seed_is_kept_drawn_or_given(direct):
    assert direct.result_.settings["random_seed"] == 7
    drawn = mlm.MultivariateLogitTrial("y1", "arm", control="old").fit(table(), draws=50)
    seed = drawn.report().sections["Reproduction"]["Settings of the fit"]["random_seed"]
    again = mlm.MultivariateLogitTrial("y1", "arm", control="old")
    again.fit(table(), draws=50, random_seed=seed)
    np.testing.assert_array_equal(again.treatment_effect(), drawn.treatment_effect())


def test_the_model_as_code_makes_the_model_again(direct):
    code = direct.report().sections["Reproduction"]["Model as code"]
    assert eval(code, vars(mlm)).specification == direct.specification


def test_draws_by_augmentation_have_figures_of_convergence_and_independent_ones_need_none(direct):
    assert list(direct.report().sections["Diagnostics"]) == ["Draws"]
    data = table()
    data.loc[:9, "y1"] = np.nan
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="old")
    sections = trial.fit(data, draws=9000, random_seed=1).report().sections
    rows = sections["Diagnostics"]["Convergence of the results"]
    assert len(rows) == 2 and all(row["R-hat"] < 1.05 and row["bulk ESS"] > 500 for row in rows)
    assert sections["Sensitivity"]["Power-scaling"][0]["diagnosis"] == "none"


def test_a_fit_of_an_earlier_version_has_no_settings(direct):
    old = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="old")
    old.result_ = replace(direct.result_, settings={})
    settings = old.report().sections["Reproduction"]["Settings of the fit"]
    assert settings == {"random_seed": None}


def test_comparisons_have_one_name_in_all_sections():
    data = table().assign(arm=lambda t: np.array(["a", "b", "c"])[np.arange(len(t)) % 3])
    trial = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="a")
    sections = trial.fit(data, draws=500, random_seed=1).report().sections
    effects = {row["treatment"] for row in sections["Results"][EFFECTS]}
    decided = {row["comparison"] for row in sections["Results"]["Decisions"]}
    assert effects == decided == {"b against a", "c against a"}
    assert "the 2 are not adjusted for" in " ".join(sections["Success criterion"]["Calibration"])


def test_a_notebook_shows_the_page_in_a_frame_without_scripts(direct):
    shown = direct.report()._repr_html_()
    frame = Page(shown)
    assert frame.tags == {"iframe"} and ("iframe", "sandbox", None) in frame.attributes
    assert dict((n, v) for _, n, v in frame.attributes)["srcdoc"] == direct.report().to_html()


def test_log_likelihoods_that_take_too_much_memory_are_left_to_the_user(direct, monkeypatch):
    monkeypatch.setattr("pymc_mlm.prior_sensitivity.MOST_NUMBERS", 1000)
    report = direct.report()
    assert "az.psense_summary(" in report.sections["Sensitivity"]["Not computed"]
    items = {r["item"]: r for r in report.sections["Checklist"]["Items"]}
    assert items["sensitivity to the prior"]["in this report"] == "no"
    assert "psense_summary" in items["sensitivity to the prior"]["where, or how"]


def test_a_strong_prior_is_sensitive_and_a_weak_one_is_not():
    def rows(a):
        model = mlm.MultivariateLogitTrial(
            "y1", "arm", control="old", priors={"cell_probability": mlm.Prior("Dirichlet", a=a)}
        )
        fit = model.fit(table(), draws=2000, random_seed=1)
        return fit.report().sections["Sensitivity"]["Power-scaling"]

    assert rows([1.0, 1.0])[0]["diagnosis"] == "none"
    assert rows([[400.0, 1.0], [1.0, 400.0]])[0]["diagnosis"] != "none"
