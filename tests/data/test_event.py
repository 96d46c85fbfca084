"""Two values of an outcome: which one is the event is asked, and never guessed."""

import numpy as np
import pytest

from pymc_mlm.data.event import code_event, constant_note
from pymc_mlm.errors import DataError


def objects(*values):
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


# values, event, coded
CODED = {
    "zeros and ones": (np.array([0, 1, 1]), None, [0, 1, 1]),
    "floats with missing": (np.array([0.0, np.nan, 1.0]), None, [0, np.nan, 1]),
    "booleans": (np.array([True, False]), None, [1, 0]),
    "objects": (objects(True, None, 0), None, [1, np.nan, 0]),
    "zeros alone": (np.zeros(3), None, [0, 0, 0]),
    "ones alone": (np.ones(2, dtype=bool), None, [1, 1]),
    "text": (objects("no", "yes", None), "yes", [0, 1, np.nan]),
    "text, the other": (objects("no", "yes", None), "no", [1, 0, np.nan]),
    "one and two": (np.array([1, 2, 1]), 2, [0, 1, 0]),
    "one and two, the lower": (np.array([1, 2, 1]), 1, [1, 0, 1]),
    "zero is the event": (np.array([0, 1, 1]), 0, [1, 0, 0]),
    "an event that was not seen": (objects("alive", "alive"), "dead", [0, 0]),
    "an event that is all there is": (objects("dead", "dead"), "dead", [1, 1]),
    "missing throughout": (objects(None, None), "dead", [np.nan, np.nan]),
}


@pytest.mark.parametrize(("values", "event", "coded"), CODED.values(), ids=CODED)
def test_the_event_is_one_and_the_other_value_zero(values, event, coded):
    np.testing.assert_array_equal(code_event("y", values, event), coded)


ASKED = {
    "text": (objects("yes", "no"), None, r"Which one is the event.*event='no' or event='yes'"),
    "the other order": (objects("no", "yes"), None, r"event='no' or event='yes'"),
    "one and two": (np.array([2.0, 1.0]), None, r"event=1.0 or event=2.0"),
    "zero and two": (np.array([0, 2]), None, r"event=0 or event=2"),
    "digits as text": (objects("1", "0"), None, r"event='0' or event='1'"),
    "one word alone": (objects("yes", "yes"), None, r"its only value is 'yes'"),
    "three values": (np.array([0, 1, 2]), None, r"is 2 in row 2.*3 different values.*Recode"),
    "three words": (objects("a", "b", "c"), "b", r"has 3 values, 'a', 'b', 'c', where.*'b'"),
    "another spelling": (objects("yes", "no"), "Yes", r"is never 'Yes'"),
    "another spelling of the only value": (objects("yes", "yes"), "Yes ", r"is never 'Yes '"),
    "another type": (np.array([0, 1]), "1", r"is never '1'"),
    "another type of the only value": (np.array([1, 1]), "1", r"is never '1'.*and type"),
}


@pytest.mark.parametrize(("values", "event", "text"), ASKED.values(), ids=ASKED)
def test_what_does_not_name_one_event_is_asked_about(values, event, text):
    with pytest.raises(DataError, match=text):
        code_event("y", values, event)


def test_a_constant_outcome_has_a_note():
    assert constant_note("y", {"value": np.array([0.0, 1.0])}) == []
    assert constant_note("t", {"time": np.ones(2), "event": np.ones(2)}) == []
    assert "'y' is 0 in every row" in constant_note("y", {"value": np.zeros(3)})[0]
