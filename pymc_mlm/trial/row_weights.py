"""Rows of a trial that stand for several persons: the table is written out when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pymc_mlm.data.frame import Table, columns
from pymc_mlm.data.row_weights import AbstractRowWeights, FrequencyWeights, as_row_weights
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.trial.terms import person_column

# The likelihood counts persons that are alike; predictions and estimands have a row for each.
MOST_PERSONS = 2_000_000


def check_row_weights(value: Any, terms: Sequence[Any]) -> None:
    """Refuse weights that a trial cannot have.

    Raises
    ------
    SpecificationError
        They are not frequencies, or persons have several rows.
    """
    weights = as_row_weights(value)
    if weights is None:
        return
    if not isinstance(weights, FrequencyWeights):
        raise SpecificationError(
            f"row_weights={weights!r}: a trial has frequencies of rows, and decisions by a "
            "pseudo-likelihood would have error rates that nobody knows. Use "
            f"FrequencyWeights({weights.column!r}) if rows stand for several persons."
        )
    person = person_column(terms)
    if person is not None:
        raise SpecificationError(
            f"row_weights={weights!r}: with mm() the table has a row for each membership, and "
            f"{person!r} names the persons. Give every person rows of its own."
        )


def written_out(table: Table, weights: AbstractRowWeights) -> Table:
    """Return the table with a row for each person.

    Parameters
    ----------
    table : Table
        Opened for the column of the frequencies.
    weights : FrequencyWeights
        How many persons each row stands for.

    Raises
    ------
    DataError
        A frequency is no whole number from zero up, or there are too many persons or none.
    """
    counts = weights.check(columns(table, [weights.column])[weights.column])
    if not 0 < counts.sum() <= MOST_PERSONS:
        raise DataError(
            f"Column {weights.column!r} of frequencies adds up to {counts.sum():.0f} persons; a "
            f"trial has from 1 to {MOST_PERSONS}."
        )
    return table.take(np.repeat(np.arange(len(counts)), counts.astype(np.int64)))
