"""The rows that predictions are averaged over, with their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm import prediction
from pymc_mlm.data.by_category import CATEGORY
from pymc_mlm.data.frame import Table as ReadTable
from pymc_mlm.data.frame import column_names, columns, open_table, require
from pymc_mlm.data.values import is_missing, show
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.inference import as_seed
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.reporting.summary import Table, posterior_table
from pymc_mlm.trial import TrialSpecification
from pymc_mlm.trial import prediction as trial_prediction

KINDS = {"mean": "expected outcome", "eta": "linear predictor"}


@dataclass(frozen=True)
class Averaging:
    """Over what predictions are averaged, and on which scale.

    Attributes
    ----------
    data : dataframe, optional
        Rows to average over; those of the fitted table by default.
    by : str, optional
        Column of the table; averages are taken within its values.
    kind : {"mean", "eta"}
        Expected outcome, or linear predictor.
    typical : bool or sequence of str
        As in `predict`: whether, or for which terms, effects of units are zero.
    ci_prob : float
        Probability inside the intervals.
    random_seed : int, optional
        Seed of new and unknown units.
    """

    data: Any = None
    by: str | None = None
    kind: str = "mean"
    typical: bool | Sequence[str] = False
    ci_prob: float = CI_PROB
    random_seed: Any = None

    def __post_init__(self) -> None:
        """Refuse scales that have no average."""
        if self.kind not in KINDS:
            raise SpecificationError(f"kind is 'mean' or 'eta', not {self.kind!r}.")


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows that are averaged over, and averages of predictions with some columns changed."""

    fit: Fit
    over: Averaging
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    groups: list[np.ndarray | None] = field(default_factory=list)
    seed: int = 0

    def __post_init__(self) -> None:
        """Read the table once."""
        opened = _opened(self.fit, self.over)
        needed = [n for n in _predictors(self.fit) if n in column_names(opened)]
        needed += [] if self.over.by is None else [self.over.by]
        needed += [n for n in _weights(self.fit) if n in opened.parts]
        require([n for n in needed if n not in opened.parts], list(opened.parts))
        self.columns.update(columns(opened, needed))
        seed = as_seed(self.over.random_seed)
        # Both ends of a comparison have the same new units.
        drawn = np.random.default_rng(seed).integers(2**31)
        object.__setattr__(self, "seed", int(drawn))

    @property
    def covariates(self) -> list[str]:
        """Columns that are neither ids nor the unit of observation."""
        ids = ids_of(self.fit)
        return [n for n in _predictors(self.fit) if n not in ids]

    def is_number(self, name: str) -> bool:
        """Tell whether a column has numbers, and more than two of them."""
        values = self.columns[name]
        return values.dtype.kind in "iuf" and len(np.unique(values)) > 2

    def averages(self, changed: Mapping[str, Any]) -> dict[tuple[Any, ...], np.ndarray]:
        """Return averages, shape (sample,), by group and outcome, with some columns changed."""
        count = len(next(iter(self.columns.values())))
        new = {n: v if isinstance(v, np.ndarray) else _filled(v, count) for n, v in changed.items()}
        drawn = self._predicted(self.columns | new)
        dim = str(drawn.dims[2])
        shares = self._shares(drawn)
        parts: dict[tuple[Any, ...], Any] = {(): slice(None)}
        if self.over.by is not None:
            values = self._of_predictions("by", str(self.over.by), drawn)
            kept = dict.fromkeys(values.tolist())
            parts = {(v,): np.flatnonzero(values == v) for v in kept}
        found = {}
        for key, at in parts.items():
            part = drawn.isel({dim: at})
            mean = part.mean(dim)
            if shares is not None and shares[at].any():
                mean = part.weighted(xr.DataArray(shares[at], dims=dim)).mean(dim)
            if mean.ndim == 2:
                found[key] = mean.values.ravel()
                continue
            last = str(mean.dims[-1])
            for i, label in enumerate(mean[last].values.tolist()):
                found[(*key, label)] = mean.isel({last: i}).values.ravel()
        return found

    def _predicted(self, table: Mapping[str, np.ndarray]) -> xr.DataArray:
        given = {n: v for n, v in table.items() if n in _predictors(self.fit)}
        own = self.over.kind, self.seed
        if isinstance(self.fit.spec, TrialSpecification):
            return trial_prediction.predict(self.fit, given, *own, typical=self.over.typical)
        return prediction.predict(self.fit, given, *own, typical=self.over.typical)

    def _shares(self, drawn: xr.DataArray) -> np.ndarray | None:
        """Return how much each prediction counts, shape (row,), where rows have weights."""
        weights = self.fit.spec.row_weights
        if weights is None or weights.column not in self.columns:
            return None
        values = self._of_predictions("row_weights", weights.column, drawn)
        checked: np.ndarray = weights.check(values)
        return checked

    def _of_predictions(self, what: str, by: str, drawn: xr.DataArray) -> np.ndarray:
        """Return the value of a column for each prediction, shape (row,)."""
        dim = str(drawn.dims[2])
        values = self.columns[by]
        missing = [i for i, v in enumerate(values.tolist()) if is_missing(v)]
        if missing:
            raise DataError(f"{what}={by!r} is missing in row {missing[0]} (counted from 0).")
        if dim not in self.columns:
            return values
        found: dict[Any, Any] = {}
        for unit, value in zip(self.columns[dim].tolist(), values.tolist(), strict=True):
            if found.setdefault(unit, value) != value:
                raise DataError(
                    f"{what}={by!r} varies inside {dim!r}={show(unit)} (values "
                    f"{show(found[unit])} and {show(value)}), and predictions are those of "
                    f"{dim!r}. Name a column that is constant within {dim!r}."
                )
        units = [found[u] for u in drawn[dim].values.tolist()]
        return np.fromiter(units, dtype=object, count=len(units))

    def table(
        self, title: str, keys: tuple[str, ...], found: Mapping[tuple[Any, ...], np.ndarray]
    ) -> Table:
        """Tabulate draws by their keys."""
        import pandas as pd

        names = [*keys, *([] if self.over.by is None else [self.over.by])]
        of_categories = bool(getattr(self.fit.design, "by", ()))
        last = CATEGORY if of_categories else "outcome"
        names += [last] * (len(next(iter(found))) - len(names))
        index = pd.MultiIndex.from_tuples(list(found), names=names)
        frame = posterior_table(np.stack([*found.values()], axis=1), index, self.over.ci_prob)
        whose = "given table" if self.over.data is not None else "fitted table"
        effects = "at zero" if self.over.typical is True else "those of its units"
        whose += "".join(f", weighted by {n!r}" for n in _weights(self.fit) if n in self.columns)
        note = (
            f"Averaged over the rows of the {whose}, every other column as it is there; effects "
            f"of units {effects}. The scale is that of the {KINDS[self.over.kind]}."
        )
        return Table(title, frame.rename(columns={"mean": "estimate"}), (note,))


def _opened(fit: Fit, over: Averaging) -> ReadTable:
    """Return the table to average over; of the fitted one the rows that were analysed."""
    if over.data is not None:
        wanted = [*_predictors(fit), *_weights(fit)]
        names = [n for n in wanted if n in column_names(over.data)]
        if fit.spec.row_weights is not None and fit.spec.row_weights.column in column_names(
            over.data
        ):
            names.append(fit.spec.row_weights.column)
        return open_table(over.data, [*names, *([over.by] if over.by else [])])
    table = prediction.fitted_table(fit)
    if over.by is not None and over.by not in table.parts:
        raise SpecificationError(
            f"by={over.by!r} is no column that the model reads. Pass data=, a table that has it."
        )
    if not isinstance(fit.spec, TrialSpecification):
        return prediction.analysed_table(fit)
    if fit.design.trial.dropped:
        raise SpecificationError(
            "Rows with missing values were left out of the fit. Pass data=, the rows to average "
            "over."
        )
    return table


def _weights(fit: Fit) -> list[str]:
    """Return the column of the weights of rows, if there is one."""
    return [] if fit.spec.row_weights is None else [fit.spec.row_weights.column]


def _predictors(fit: Fit) -> list[str]:
    """Return the columns that a prediction reads."""
    if isinstance(fit.spec, TrialSpecification):
        other = {*fit.spec.outcomes, *_weights(fit)}
        return [n for n in fit.spec.columns if n not in other]
    return list(fit.spec.predictors)


def ids_of(fit: Fit) -> set[str]:
    """Return the columns that hold ids of units."""
    ids = {c for term in fit.spec.named for c in term.id_columns}
    if isinstance(fit.spec, TrialSpecification):
        groups = {getattr(t, "group", None) for t in fit.spec.named}
        return {n for n in ids | groups | {fit.spec.cluster} if n is not None}
    return ids | ({fit.spec.observation} - {None})


def _filled(value: Any, count: int) -> np.ndarray:
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return np.full(count, value)
    return np.full(count, value, dtype=object)
