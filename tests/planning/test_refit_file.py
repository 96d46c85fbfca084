"""Refits that stopped go on where they were, and nothing else is taken for them."""

from dataclasses import replace

import pytest

from pymc_mlm.decisions.rules import Custom
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.planning import (
    Looks,
    TrialDesign,
    operating_characteristics,
    sequential_characteristics,
)
from pymc_mlm.planning import refit as refits

DESIGN = TrialDesign({"old": (0.4, 0.4), "new": (0.6, 0.6)}, per_arm=20)
TRIALS = 20


@pytest.fixture
def calls(monkeypatch):
    """Count fits, which take no time: the statistic is a function of the seed."""
    made = []

    def fitted(design, table, seed, options):
        made.append(seed)
        if len(made) == fitted.stops:
            raise KeyboardInterrupt
        return [seed / 2**31]

    fitted.stops = 0
    monkeypatch.setattr(refits, "_fitted", fitted)
    made_by = fitted
    made_by.made = made
    return made_by


def power(path, design=DESIGN, seed=1, **kwargs):
    found = operating_characteristics(
        design, "refit", TRIALS, seed, resume=path, progressbar=False, **kwargs
    )
    return str(found)


def test_a_run_that_stopped_goes_on_where_it_was(calls, tmp_path):
    path, whole = tmp_path / "refits.jsonl", power(None)
    assert len(calls.made) == 2 * TRIALS  # the design, and the null
    calls.made.clear()
    calls.stops = 31
    with pytest.raises(KeyboardInterrupt):
        power(path)
    kept = len(path.read_text().splitlines())
    assert kept == TRIALS + refits.PER_PROCESS  # all of the design, a batch of the null
    calls.made.clear()
    calls.stops = 0
    assert power(path) == whole
    assert len(calls.made) == 2 * TRIALS - kept
    calls.made.clear()
    assert power(path) == whole and not calls.made


def test_refits_of_something_else_are_not_taken(calls, tmp_path):
    path = tmp_path / "refits.jsonl"
    power(path, nulls=False)
    others = [replace(DESIGN, arms={"old": (0.4, 0.4), "new": (0.6, 0.5)})]
    others += [replace(DESIGN, per_arm=21)]
    for more in (*({"design": d} for d in others), {"seed": 2}, {"fit": {"draws": 300}}):
        calls.made.clear()
        power(path, nulls=False, **more)
        assert len(calls.made) == TRIALS
    assert len(path.read_text().splitlines()) == 5 * TRIALS


def test_looks_go_on_too(calls, tmp_path):
    path, looks = tmp_path / "refits.jsonl", Looks((0.5, 1), efficacy=0.9)

    def run():
        return str(
            sequential_characteristics(
                DESIGN, looks, TRIALS, 1, False, "refit", resume=path, progressbar=False
            )
        )

    first = run()
    assert len(calls.made) == 2 * TRIALS
    assert run() == first and len(calls.made) == 2 * TRIALS


def test_a_line_that_a_crash_cut_off_is_fitted_again(calls, tmp_path):
    path = tmp_path / "refits.jsonl"
    whole = power(path, nulls=False)
    text = path.read_text()
    path.write_text(text[:-5])
    calls.made.clear()
    assert power(path, nulls=False) == whole and len(calls.made) == 1
    assert sorted(path.read_text().splitlines()) == sorted(text.splitlines())


@pytest.mark.parametrize("text", ["y,x\n1,2\n", "{}\n", "[1]\n", "no line", "\0\xff\n"])
def test_a_file_of_something_else_is_left_as_it_is(calls, tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"table.csv.*Name a file that resume= wrote, or a new one"):
        power(path)
    assert path.read_text(encoding="latin-1") == text and not calls.made


@pytest.mark.parametrize("seed", [None, True, 1.5])
def test_a_file_needs_a_seed(tmp_path, seed):
    with pytest.raises(SpecificationError, match="needs a random_seed"):
        power(tmp_path / "refits.jsonl", seed=seed)


def test_only_refits_are_kept(tmp_path):
    with pytest.raises(SpecificationError, match=r"method='exact' has none.*method='refit'"):
        operating_characteristics(DESIGN, "exact", resume=tmp_path / "refits.jsonl", random_seed=1)


def test_progress_is_shown_with_the_time_left(calls, capsys):
    operating_characteristics(DESIGN, "refit", TRIALS, 1, nulls=False)
    assert "Fitting simulated trials" in capsys.readouterr().out


def test_a_rule_with_a_function_has_no_file(tmp_path):
    rule = Custom(lambda effects: effects[0], "gain")
    with pytest.raises(SpecificationError, match="cannot tell the function of"):
        power(tmp_path / "refits.jsonl", replace(DESIGN, rule=rule))


@pytest.mark.parametrize("name", ["", "missing/refits.jsonl"])
def test_a_place_for_no_file_is_refused_before_anything_is_fitted(calls, tmp_path, name):
    with pytest.raises(SpecificationError, match="is no file in a folder that exists"):
        power(tmp_path / name)
    assert not calls.made
