"""Historical controls: response patterns counted by study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.cells import cell_labels, response_patterns
from pymc_mlm.data.event import code_event
from pymc_mlm.data.factor import encode
from pymc_mlm.data.frame import column_names, columns, open_table
from pymc_mlm.errors import DataError, SpecificationError, warn_of_data

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class HistoricalControls:
    """Counts of response patterns of historical controls.

    Parameters
    ----------
    outcomes : tuple of str
        In the order of the trial that borrows.
    counts : mapping of str to sequence of int
        By study, persons with each response pattern, from all ones to all zeros (11, 10, 01, 00).

    Raises
    ------
    DataError
        Counts are not whole numbers from 0 on, not one per pattern, or there are none.

    Examples
    --------
    >>> HistoricalControls(("relief", "function"), {"Lima 2019": (12, 9, 8, 21)}).persons
    {'Lima 2019': 50}
    """

    outcomes: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]

    def __post_init__(self) -> None:
        names = (self.outcomes,) if isinstance(self.outcomes, str) else tuple(self.outcomes)
        object.__setattr__(self, "outcomes", names)
        patterns = cell_labels(len(names))
        if not isinstance(self.counts, Mapping) or not self.counts:
            raise DataError(
                "counts is a mapping of studies to counts of response patterns, with at least one "
                f"study, say {{'earlier trial': (12, 9, 8, 21)}}, and not {self.counts!r}."
            )
        for study, row in self.counts.items():
            values = np.asarray(row)
            whole = values.shape == (len(patterns),) and values.dtype.kind in "iuf"
            if not whole or (values < 0).any() or (values != np.floor(values)).any():
                raise DataError(
                    f"Study {study!r} has the counts {row!r}; {len(patterns)} whole numbers from 0 "
                    f"on are needed, of the patterns {', '.join(patterns)} of {', '.join(names)}."
                )
            if not values.sum():
                raise DataError(f"Study {study!r} has no persons. Leave it out.")
        rows = {str(k): tuple(np.asarray(v).astype(int).tolist()) for k, v in self.counts.items()}
        object.__setattr__(self, "counts", rows)

    @property
    def table(self) -> Array:
        """Counts, shape (study, pattern)."""
        return np.array(list(self.counts.values()), dtype=float)

    @property
    def persons(self) -> dict[str, int]:
        """Persons by study."""
        return {study: sum(row) for study, row in self.counts.items()}


def read_controls(
    data: Any,
    outcomes: str | Sequence[str],
    study: str | None = None,
    event: Any = None,
) -> HistoricalControls:
    """Count the response patterns of historical controls in a table.

    Parameters
    ----------
    data : dataframe
        A row per person; controls only.
    outcomes : str or sequence of str
        The outcomes of the trial that borrows, in its order.
    study : str, optional
        Column of the study; all rows are one study without it.
    event : object or mapping of str to object, optional
        The value that counts as one, as in `MultivariateLogitTrial`.

    Returns
    -------
    HistoricalControls

    Raises
    ------
    DataError
        The table lacks an outcome, or nobody has all of them.

    Warns
    -----
    DataWarning
        Persons without some outcome, or without a study, are left out; they are counted.

    Examples
    --------
    >>> read_controls({"y": [1, 0, 1], "trial": ["a", "a", "b"]}, "y", "trial").counts
    {'a': (1, 1), 'b': (1, 0)}
    """
    names = (outcomes,) if isinstance(outcomes, str) else tuple(outcomes)
    have = column_names(data)
    lacking = [name for name in names if name not in have]
    if lacking:
        raise DataError(
            f"The historical controls have no column {lacking[0]!r}. A joint prior needs every "
            "outcome of the trial in every study: borrow from studies that have it, or analyse "
            "the outcomes that they share."
        )
    if isinstance(event, Mapping) and set(event) - set(names):
        raise SpecificationError(
            f"event names {next(iter(set(event) - set(names)))!r}, which is none of the outcomes "
            f"{', '.join(map(repr, names))}."
        )
    wanted = [*names, *([] if study is None else [study])]
    table = columns(open_table(data, wanted), wanted)
    events = event if isinstance(event, Mapping) else dict.fromkeys(names, event)
    y = np.column_stack([_coded(name, table[name], events.get(name)) for name in names])
    labels, codes = np.array(["historical controls"], dtype=object), np.zeros(len(y), dtype=int)
    if study is not None:
        found = encode(study, table[study], missing="unknown")
        labels, codes = found.labels, found.codes
    kept = ~np.isnan(y).any(axis=1) & (codes >= 0)
    if not kept.any():
        raise DataError("No historical control has every outcome and a study.")
    if not kept.all():
        warn_of_data(
            f"{int((~kept).sum())} of {len(kept)} historical controls lack an outcome or their "
            "study, and are left out."
        )
    pattern, _ = response_patterns(y[kept])
    size = 2 ** len(names)
    flat = np.bincount(codes[kept] * size + pattern, minlength=len(labels) * size)
    rows = flat.reshape(len(labels), size)
    counts = {str(k): tuple(n.tolist()) for k, n in zip(labels, rows, strict=True) if n.any()}
    return HistoricalControls(names, counts)


def _coded(name: str, values: Array, event: Any) -> Array:
    return np.asarray(code_event(name, values, event, f"event={{{{{name!r}: {{}}}}}}"))
