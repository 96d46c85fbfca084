"""The page for planners: code that makes the shown design, this computer alone, a real browser."""

import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from types import SimpleNamespace

import pytest

from pymc_mlm import planning
from pymc_mlm.__main__ import main
from pymc_mlm.errors import SpecificationError
from pymc_mlm.planner import Choices, answers, serve
from pymc_mlm.planner.loopback import LOOPBACK, guarded_app

TWO = Choices((0.4, 0.3), (0.15, 0.2), "All", number=150, correlation=0.3)
CHOICES = [
    TWO,
    Choices((0.4,), (0.25,), "Single", number=30, alpha=0.025, power=0.9),
    Choices((0.1, 0.2, 0.3), (0.1, 0.1, 0.07), "Compensatory", number=80, dropout=0.05),
    Choices((0.4, 0.4), (0.1, 0.1), "Any", number=12, cluster_size=15, icc=0.05),
]
NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)


# ---------------------------------------------------------------------- code and answers


@pytest.mark.parametrize("choices", CHOICES, ids=lambda c: c.rule)
def test_the_code_makes_the_design_that_is_shown(choices, capsys):
    names = {}
    exec(choices.code(), names)
    assert names["design"] == choices.design()
    assert f"{planning.sample_size(choices.design(), choices.power)}" in capsys.readouterr().out


def test_numbers_are_those_of_planning():
    text = answers.text(TWO)
    formula = planning.operating_characteristics(TWO.design(), "normal", nulls=False)
    assert f"Power by formula      {formula.power.value:.3f}" in text
    assert f"For power 0.8: {planning.sample_size(TWO.design())}" in text
    worst = answers.worst_error(TWO)
    assert "largest type I error" in worst


@pytest.mark.parametrize("choices", [TWO, CHOICES[3]], ids=["patients", "clusters"])
def test_the_curve_is_that_of_the_formula(choices):
    axes = answers.power_curve(choices).axes[0]
    line, dot = axes.lines[:2]
    sizes, power = line.get_data()
    place = 10
    resized = (
        planning.TrialDesign(
            {"control": choices.control, "treatment": choices.treatment},
            rule=choices.design().rule, correlation=choices.correlation,
            clusters=planning.Clusters(int(sizes[place]), 15, icc=0.05),
        )
        if choices.cluster_size
        else planning.TrialDesign(
            {"control": choices.control, "treatment": choices.treatment},
            rule=choices.design().rule, correlation=choices.correlation,
            per_arm=int(sizes[place]),
        )
    )  # fmt: skip
    expected = planning.operating_characteristics(resized, "normal", nulls=False).power.value
    assert power[place] == pytest.approx(expected)
    assert list(dot.get_xdata()) == [choices.number]
    assert axes.get_xlabel() == ("clusters per arm" if choices.cluster_size else "patients per arm")


def test_weighted_sums_with_dropout_have_the_formula_alone():
    choices = CHOICES[2]
    assert "Power by formula" in answers.text(choices) and "trials" not in answers.text(choices)
    assert 'operating_characteristics(design, "normal")' in choices.code()
    assert "method normal" in answers.worst_error(choices)
    assert len(answers.power_curve(choices).axes[0].lines) == 3


def test_a_power_that_no_size_reaches_is_said_with_the_rest():
    text = answers.text(Choices((0.4,), (0.0,), "All", number=50))
    assert "Power by formula" in text and "does not reach the power" in text


# ---------------------------------------------------------------------- this computer alone


def test_without_shiny_the_installation_is_named(monkeypatch, capsys):
    monkeypatch.setattr("pymc_mlm.planner.loopback.find_spec", lambda name: None)
    with pytest.raises(SpecificationError, match=re.escape("pip install 'pymc-mlm[plan]'")):
        serve()
    with pytest.raises(SystemExit):
        main(["plan"])
    assert "pymc-mlm[plan]" in capsys.readouterr().err


@pytest.mark.parametrize("port", [0, 80, 70_000])
def test_a_port_that_cannot_be_is_refused(port):
    with pytest.raises(SpecificationError, match="from 1024 to 65535"):
        serve(port)


def test_only_the_loopback_address_is_served(monkeypatch):
    pytest.importorskip("shiny")
    import uvicorn

    asked = {}
    monkeypatch.setattr(uvicorn, "run", lambda app, **more: asked.update(more))
    main(["plan", "--port", "9123", "--no-browser"])
    assert (asked["host"], asked["port"]) == (LOOPBACK, 9123) == ("127.0.0.1", 9123)


def answered(host, kind="http"):
    """Ask the application in the name of a host; return status and page."""
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": kind, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/", "raw_path": b"/", "query_string": b"", "root_path": "",
        "headers": [(b"host", host)], "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 80),
    }  # fmt: skip
    asyncio.run(guarded_app()(scope, receive, send))
    body = b"".join(m.get("body", b"") for m in sent).decode(errors="replace")
    return SimpleNamespace(status=sent[0].get("status"), body=body)


def test_other_hosts_are_refused_and_nothing_is_loaded_from_elsewhere():
    pytest.importorskip("shiny")
    assert answered(b"evil.example").status == 400
    page = answered(b"127.0.0.1:8765")
    assert page.status == 200
    for name in ("correlation", "effect1", "control3", "icc", "rule", "simulate", "script"):
        assert f'id="{name}"' in page.body
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page.body)


# ---------------------------------------------------------------------- a real browser


@pytest.fixture(scope="module")
def address():
    pytest.importorskip("shiny")
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pymc_mlm", "plan", "--port", str(port), "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(os.environ)
    )
    url = f"http://{LOOPBACK}:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(url, timeout=5).read()
                break
            except OSError:
                assert process.poll() is None, process.stdout.read().decode()
                time.sleep(0.25)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no Chromium")
def test_the_page_works_in_a_browser(address, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as run:
        browser = run.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1500})
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)

        def until(place, words):
            playwright.expect(page.locator(place)).to_contain_text(words, timeout=60_000)

        def slide(name, value):
            page.evaluate(f"$('#{name}').data('ionRangeSlider').update({{from: {value}}})")
            page.evaluate(f"$('#{name}').trigger('change')")

        until("#rates", "Power by formula      0.723")
        page.wait_for_selector("#curve img")
        until("#code", 'treatment": (0.55, 0.55)')
        # A slider moves the numbers, the curve and the code.
        before = page.get_attribute("#curve img", "src")
        slide("effect2", 0.3)
        until("#code", 'treatment": (0.55, 0.7)')
        until("#rates", answers.text(
            Choices((0.4, 0.4), (0.15, 0.3), "All", number=150, correlation=0.3)
        ).splitlines()[0])  # fmt: skip
        page.wait_for_function("old => document.querySelector('#curve img').src != old", arg=before)
        # An impossible design is explained, and shows no number.
        slide("control1", 0.9)
        until("#message", "must be probabilities strictly between 0 and 1")
        playwright.expect(page.locator("#rates")).not_to_contain_text("Power", timeout=60_000)
        slide("control1", 0.4)
        until("#message", "The design is possible.")
        page.select_option("#rule", "Any")
        page.check("#clustered")
        until("#code", "clusters=planning.Clusters(15, 15, icc=0.05)")
        until("#code", "rule=rules.Any()")
        page.select_option("#outcomes", "1")
        until("#code", '{"control": (0.4,), "treatment": (0.55,)}')
        page.click("#simulate")
        until("#worst", "largest type I error")
        with page.expect_download() as download:
            page.click("#script")
        download.value.save_as(tmp_path / "design.py")
        page.screenshot(path=tmp_path / "page.png")
        browser.close()
    assert (tmp_path / "page.png").stat().st_size > 20_000
    names = {}
    exec((tmp_path / "design.py").read_text(), names)
    assert names["design"].clusters == planning.Clusters(15, 15, icc=0.05)
    assert all(url.startswith((address, "data:", "blob:")) for url in asked)
    assert errors == []
