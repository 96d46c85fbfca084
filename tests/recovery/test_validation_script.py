"""The script of docs/validation/trials.md goes on where it stopped, and counts each trial once."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

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
