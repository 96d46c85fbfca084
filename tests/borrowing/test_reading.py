"""Historical controls are read from any table; what is none is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import pymc_mlm as mlm
from pymc_mlm.borrowing import HistoricalControls, power_prior, read_controls, robust_map
from pymc_mlm.priors.control_prior import ControlPrior
from tests.borrowing.test_borrowing import NAMES, ROBUST, STUDIES, table


def test_patterns_are_counted_by_study_in_any_library():
    rows = {
        "relief": ["yes", "no", "yes", "no"], "function": [1, 1, 0, 0], "study": [2, 1, 1, 2]
    }  # fmt: skip
    for data in (pd.DataFrame(rows), pl.DataFrame(rows), rows):
        found = read_controls(
            data, ["relief", "function"], "study", event={"relief": "yes", "function": 1}
        )
        assert found.counts == {"1": (0, 1, 1, 0), "2": (1, 0, 0, 1)}
    assert read_controls(rows, "function").counts == {"historical controls": (2, 2)}


def test_persons_without_an_outcome_are_counted_and_left_out():
    data = {"y1": [1, None, 0, 1], "y2": [1, 1, 0, 0], "study": ["a", "a", "b", None]}
    with pytest.warns(mlm.DataWarning, match="2 of 4 historical controls lack an outcome"):
        found = read_controls(data, NAMES, "study")
    assert found.counts == {"a": (1, 0, 0, 0), "b": (0, 0, 0, 1)}


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: read_controls({"y1": [1]}, NAMES), mlm.DataError, "have no column 'y2'"),
        (lambda: read_controls({"y1": [None]}, "y1"), mlm.DataError, "No historical control has"),
        (lambda: read_controls({"y1": ["a", "b"]}, "y1"), mlm.DataError, "event"),
        (
            lambda: read_controls({"y1": [1]}, "y1", event={"y3": 1}),
            mlm.SpecificationError,
            "event names 'y3'",
        ),
        (lambda: HistoricalControls(NAMES, {}), mlm.DataError, "at least one study"),
        (lambda: HistoricalControls(NAMES, {"A": (1, 2)}), mlm.DataError, "4 whole numbers"),
        (lambda: HistoricalControls("y", {"A": (1, -2)}), mlm.DataError, "2 whole numbers"),
        (lambda: HistoricalControls("y", {"A": (1.5, 2)}), mlm.DataError, "2 whole numbers"),
        (lambda: HistoricalControls("y", {"A": (0, 0)}), mlm.DataError, "has no persons"),
        (lambda: power_prior(STUDIES, 1.2), mlm.SpecificationError, "must lie in \\[0, 1\\]"),
        (lambda: power_prior(STUDIES, -0.1), mlm.SpecificationError, "must lie in \\[0, 1\\]"),
        (lambda: power_prior(STUDIES, np.nan), mlm.SpecificationError, "must lie in \\[0, 1\\]"),
        (lambda: power_prior(STUDIES, True), mlm.SpecificationError, "must lie in \\[0, 1\\]"),
        (lambda: power_prior(STUDIES, {"A": 1}), mlm.SpecificationError, "one power for each"),
        (lambda: power_prior(STUDIES, 0.5, [1, 1]), mlm.SpecificationError, "each of the 4"),
        (lambda: robust_map(STUDIES, 1.0), mlm.SpecificationError, "must lie in \\[0, 1\\)"),
        (lambda: robust_map(STUDIES, between=0), mlm.SpecificationError, "positive number"),
        (lambda: ROBUST.success("y3"), mlm.SpecificationError, "is no outcome of this prior"),
        (lambda: ROBUST.effective_sample_size("x"), mlm.SpecificationError, "'elir' or 'moment'"),
        (
            lambda: ControlPrior(("y",), (0.5,), ((1.0, 1.0),), (1.0, 1.0), ""),
            mlm.SpecificationError,
            "sum to one",
        ),
    ],
)
def test_bad_input_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"outcomes": ["y2", "y1"]}, "in its order"),
        ({"outcomes": ["y1"]}, "the trial has y1"),
        ({"outcomes": ["y1", "y2", "y3"]}, "the trial has y1, y2, y3"),
    ],
)
def test_other_outcomes_than_those_of_the_trial_are_refused(arguments, words):
    with pytest.raises(mlm.SpecificationError, match=words):
        mlm.MultivariateLogitTrial(arm="arm", priors={"cell_probability": ROBUST}, **arguments)


def test_a_mixture_of_a_model_without_constants_is_refused():
    three = HistoricalControls(("a", "b", "c"), {"A": range(1, 9), "B": range(2, 10)})
    arguments = {"outcomes": ["a", "b", "c"], "arm": "arm", "dependence": "pairwise"}
    with pytest.raises(mlm.SpecificationError, match="no closed form with dependence='pairwise'"):
        mlm.MultivariateLogitTrial(priors={"cell_probability": robust_map(three)}, **arguments)
    prior = power_prior(three, 0.5)
    assert mlm.MultivariateLogitTrial(priors={"cell_probability": prior}, **arguments)


def test_a_trial_that_borrows_nothing_says_so():
    trial = mlm.MultivariateLogitTrial(list(NAMES), "arm", control="old").fit(table(), draws=100)
    with pytest.raises(mlm.SpecificationError, match="borrows from no historical controls"):
        trial.borrowing()
