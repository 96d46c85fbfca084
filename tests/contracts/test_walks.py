"""The walk of a table through `fit`: which folders it enters, and how often it climbs back.

A folder is entered when one of its functions is called with the table, or with a design that was
read from it. A climb is a call into a folder that the caller may not import (the walls of
`tests/test_architecture.py`): it goes through an object that was handed down.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import pymc_mlm as mlm
from pymc_mlm.inference import AbstractSampler
from tests.test_architecture import WALLS, WIRING, room_of

ROOT = f"{Path(mlm.__file__).parent}/"


@dataclass(frozen=True)
class Interrupted(AbstractSampler):
    def sample(self, model, var_names, run):
        raise KeyboardInterrupt


def membership():
    weeks = "Surv(weeks, ended) ~ 1 + majority"
    members = mlm.mm("party", "government", covariates="cohesion", weight="exp(b * seats)")
    model = mlm.MultipleMembershipModel(weeks, members, mlm.hm("country"), family="weibull")
    return model, mlm.datasets.coalitions(governments=60, countries=5)


def nested():
    table = mlm.datasets.nested_schools(regions=4, schools=12, classes=24, pupils=240)
    return mlm.NestedVaryingEffects("score ~ 1 + prior", ["region", "school"]), table


def trial():
    table = mlm.datasets.teaching_trial(schools=10, pupils=12)
    model = mlm.MultivariateLogitTrial(
        ["math", "reading"], "method", control="traditional", cluster="school"
    )
    return model, table


def is_read(value):
    """Tell whether a value is the table once it is read, or a part of it."""
    kind = type(value)
    is_part = kind.__name__ in ("Table", "Factor", "Nesting") or kind.__name__.endswith("Design")
    return is_part and kind.__module__.startswith("pymc_mlm.")


def walk(call, table):
    """Return the calls between folders, as pairs, with the table or what was read in hand."""
    stack, calls = [], []

    def look(frame, event, _):
        if event not in ("call", "return") or not frame.f_code.co_filename.startswith(ROOT):
            return
        if event == "return":
            if stack:
                stack.pop()
            return
        room = room_of(frame.f_code.co_filename.removeprefix(ROOT))
        code = frame.f_code
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        given = [frame.f_locals.get(name) for name in names]
        has_table = any(v is table or is_read(v) for v in given)
        if has_table and stack and stack[-1] != room:
            calls.append((stack[-1], room))
        stack.append(room)

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("make", [membership, nested, trial])
def test_a_table_enters_few_folders_and_hardly_climbs_back(make):
    model, table = make()

    def fit():
        with pytest.raises(KeyboardInterrupt):  # the table's walk ends where sampling begins
            model.fit(table, sampler=Interrupted())

    calls = walk(fit, table)
    entered = {room for pair in calls for room in pair}
    assert {"estimators", "paths", "data"} <= entered
    assert len(entered) <= 6
    climbs = {(a, b) for a, b in calls if a not in WIRING and b not in WALLS[a].rooms}
    assert len(climbs) <= 2, climbs
