"""A report as a page and as JSON: attacks, damage, writing, provenance."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm import report as reports
from pymc_mlm.__main__ import main
from pymc_mlm.reporting.document import Report, read_report
from tests.reporting.reports import (
    ATTACK,
    ATTRIBUTES,
    EFFECTS,
    PLAN,
    RULES,
    TAGS,
    Page,
    bare,
    fitted,
    members,
    nested,
    table,
)


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
