"""Graphs of the package have no notes of lines; a user's own have them again afterwards."""

import threading

import pytensor
import pytensor.tensor as pt
import pytest

from pymc_mlm.ops.traces import without_traces


@pytest.fixture
def limit():
    with pytensor.config.change_flags(traceback__limit=8):
        yield 8


def test_notes_are_back_after_an_error(limit):
    with pytest.raises(ZeroDivisionError), without_traces(), without_traces():
        assert pt.dvector("x").tag.trace == []
        raise ZeroDivisionError
    assert pytensor.config.traceback__limit == limit
    assert pt.dvector("x").tag.trace != []


def test_threads_that_overlap_restore_what_the_first_found(limit):
    entered, leave = threading.Event(), threading.Event()

    def other():
        with without_traces():
            entered.set()
            leave.wait()

    thread = threading.Thread(target=other)
    with without_traces():
        thread.start()
        entered.wait()
    assert pytensor.config.traceback__limit == 0
    leave.set()
    thread.join()
    assert pytensor.config.traceback__limit == limit
