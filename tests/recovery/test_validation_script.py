"""The script of docs/validation/trials.md goes on where it stopped, and counts each trial once."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

PATH = Path(__file__).parents[2] / "scripts" / "validate_trials.py"
SPEC = importlib.util.spec_from_file_location("validate_trials", PATH)
script = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(script)
FIRST = next(iter(script.SCENARIOS))


def test_another_call_adds_what_is_lacking(tmp_path, capsys):
    path = tmp_path / "results.csv"
    call = [str(path), "--jobs", "1", "--only", FIRST, "--trials"]
    script.main([*call, "2"])
    before = path.read_text()
    script.main([*call, "3"])
    assert path.read_text().startswith(before)
    assert sorted(script.read(path)) == [(FIRST, 0), (FIRST, 1), (FIRST, 2)]
    assert f"| {FIRST} | 3 |" in capsys.readouterr().out
    # A trial is the same whenever it is fitted.
    row = script.read(path)[FIRST, 1]
    assert [str(v) for v in script.analysed(FIRST, 1)] == [row[k] for k in script.FIELDS]


def test_the_table_has_shares_and_coverage(tmp_path):
    path = tmp_path / "results.csv"
    rows = [",".join(script.FIELDS)]
    rows += [f'"{FIRST}",{i},{int(i < 1)},{int(i < 3)},0,{1 + (i % 2)},2' for i in range(20)]
    path.write_text("\n".join(rows) + "\n")
    line = list(script.lines(path))[-1]
    plan = script.planned(script.SCENARIOS[FIRST])
    assert f"5.0% (±4.9%), {plan[0]:.1%}" in line and f"15.0% (±8.0%), {plan[1]:.1%}" in line
    assert f"75.0% (±{0.25 / np.sqrt(20):.1%})" in line


@pytest.mark.parametrize("name", script.SCENARIOS)
def test_scenarios_have_the_effects_that_they_are_called_by(name):
    effects = script.SCENARIOS[name].effects[0]
    assert ("no effect" in name) == (not effects.any())
    assert effects[-1] == 0  # so that All is wrong to fire


MEMBERS = next(name for name, s in script.SCENARIOS.items() if isinstance(s, script.Members))


def test_patients_have_two_clinicians_of_their_arm():
    table = script.SCENARIOS[MEMBERS].table(np.random.default_rng(1))
    clinician = table[script.CLINICIAN].reshape(-1, 2)
    assert len(clinician) == 300 and len(np.unique(clinician)) == 24
    assert (clinician[:, 0] != clinician[:, 1]).all()
    assert ((clinician >= 12) == (table[script.ARM].reshape(-1, 2) == "new")).all()
    for name in ("y1", "y2", script.ARM):
        assert (table[name].reshape(-1, 2)[:, 0] == table[name].reshape(-1, 2)[:, 1]).all()


def test_clinicians_without_differences_leave_the_patterns_of_the_design():
    asked = replace(script.SCENARIOS[MEMBERS], sd=0.0)
    asked = replace(asked, design=replace(asked.design, per_arm=40_000))
    table = asked.table(np.random.default_rng(1))
    both = np.column_stack([table["y1"], table["y2"]])[::2]
    # Four standard errors of 80,000 patients.
    np.testing.assert_allclose(both.mean(axis=0), 0.4, atol=0.007)
    np.testing.assert_allclose(np.corrcoef(both.T)[0, 1], 0.3, atol=0.015)


def test_effects_of_clinicians_have_the_stated_sd_and_correlation():
    asked = replace(script.SCENARIOS[MEMBERS], sd=0.5, per_arm=300)
    asked = replace(asked, design=replace(asked.design, per_arm=150_000))
    table = asked.table(np.random.default_rng(1))
    clinician, y = table[script.CLINICIAN], np.column_stack([table["y1"], table["y2"]])
    # Given that the other outcome is 0, log odds vary by the clinician's effect, half of it
    # with patients who share another one; 600 clinicians of 1,000 patients.
    found = []
    for k in (0, 1):
        here = y[:, 1 - k] == 0
        share = np.bincount(clinician[here], y[here, k]) / np.bincount(clinician[here])
        found.append(np.log(share / (1 - share)))
    noise = 1 / (600 * 0.28 * 0.72)
    cov = np.cov(found)
    np.testing.assert_allclose(cov.diagonal(), 0.25 / 4 + noise, rtol=0.15)
    np.testing.assert_allclose(cov[0, 1], 0.125 / 4, rtol=0.25)


def test_rows_without_a_plan_have_shares_alone(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(",".join(script.FIELDS) + f'\n"{MEMBERS}",0,0,0,0,2,2\n')
    assert "| 0.0% (±0.0%) | 0.0% (±0.0%) | 0.0% (±0.0%) |" in list(script.lines(path))[-1]


def test_short_fits_are_compared_with_long_ones_of_the_same_trial(monkeypatch):
    long = np.random.default_rng(3).normal(0.1, 1.0, (4, 1000, 2))
    short = long[:1] + 0.5
    asked = []

    def drawn(name, trial, run):
        asked.append((name, trial))
        values = short if run is script.SAMPLED else long
        dims = ("chain", "draw", "outcome")
        coords = {"outcome": ["y1", "y2"]}
        return xr.DataArray(values, coords, dims, name="treatment_effect"), None

    monkeypatch.setattr(script, "effects", drawn)
    monkeypatch.setattr(script, "fired", lambda effect: [True, effect.sizes["chain"] == 4])
    mean, chance, decisions = script.long_lines(2)
    shift = (short.mean((0, 1)) - long.mean((0, 1))) / long.std((0, 1))
    assert mean.endswith(f"{np.abs(shift).max():.3f} at most")
    higher = (short > 0).mean((0, 1)) - (long > 0).mean((0, 1))
    assert chance.endswith(f"{np.abs(higher).max():.3f} at most")
    assert decisions == "decisions alike: 2 of 4"
    assert asked == [(script.COMPARED, t) for t in (0, 0, 1, 1)]
