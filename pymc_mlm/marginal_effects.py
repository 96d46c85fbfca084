"""Predictions, comparisons and slopes averaged over rows: g-computation on any fitted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm import prediction
from pymc_mlm.data.frame import Table as ReadTable
from pymc_mlm.data.frame import category_levels, column_names, columns, open_table, require
from pymc_mlm.data.values import is_missing, show
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.inference import as_seed
from pymc_mlm.intervals import CI_PROB
from pymc_mlm.reporting.summary import Table, posterior_table
from pymc_mlm.trial import TrialSpecification
from pymc_mlm.trial import prediction as trial_prediction

KINDS = {"mean": "expected outcome", "eta": "linear predictor"}
CONTRASTS = {
    "difference": lambda high, low: high - low,
    "ratio": lambda high, low: high / low,
    "lift": lambda high, low: (high - low) / low,
}
# Of the range of a covariate: the step of a slope, by central differences.
STEP = 1e-4


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


def predictions(
    fit: Fit, variables: Mapping[str, Any] | None = None, over: Averaging | None = None
) -> Table:
    """Average predictions over rows, as they are or with columns set to values.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    variables : mapping of str to sequence, optional
        Values of columns; every combination of them is given to all rows.
    over : Averaging, optional
        Over what they are averaged.

    Returns
    -------
    Table
        A row per combination, group of `by` and outcome: posterior mean, sd and interval.
    """
    rows = _Rows(fit, over or Averaging())
    found: dict[tuple[Any, ...], np.ndarray] = {}
    for setting in _combinations(rows, variables or {}):
        label = ", ".join(f"{n} = {show(v)}" for n, v in setting.items()) or "as observed"
        found |= {(label, *k): v for k, v in rows.averages(setting).items()}
    return rows.table("Average predictions", ("setting",), found)


def comparisons(
    fit: Fit, variables: Any = None, comparison: str = "difference", over: Averaging | None = None
) -> Table:
    """Compare average predictions at two values of a column, all else as in each row.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    variables : str, sequence of str, or mapping of str to object, optional
        Columns; all covariates by default. A mapping gives what is compared: a number for a step
        from each row's value, ``"sd"`` for a step of its standard deviation, or a pair of values
        (low, high). By default numbers take a step of one, 0/1 and truth values both values, and
        each category is compared with the first.
    comparison : {"difference", "ratio", "lift"}
        Of the two averages: high - low, high / low, or (high - low) / low.
    over : Averaging, optional
        Over what they are averaged.

    Returns
    -------
    Table
        A row per column, contrast, group of `by` and outcome: posterior mean, sd and interval.

    Raises
    ------
    SpecificationError
        A column is none of a covariate, or has no such contrast.
    """
    rows = _Rows(fit, over or Averaging())
    if comparison not in CONTRASTS:
        raise SpecificationError(f"comparison is {', '.join(CONTRASTS)}, not {comparison!r}.")
    if comparison != "difference" and rows.over.kind == "eta":
        raise SpecificationError(
            f"comparison={comparison!r} divides by a linear predictor, whose zero means nothing. "
            "Use kind='mean', or comparison='difference'."
        )
    found: dict[tuple[Any, ...], np.ndarray] = {}
    for name, asked in _asked(rows, variables).items():
        for label, low, high in _contrasts(rows, name, asked):
            ends = rows.averages({name: high}), rows.averages({name: low})
            compare = CONTRASTS[comparison]
            found |= {(name, label, *k): compare(v, ends[1][k]) for k, v in ends[0].items()}
    return rows.table(f"Average comparisons, {comparison}", ("column", "contrast"), found)


def slopes(
    fit: Fit, variables: str | Sequence[str] | None = None, over: Averaging | None = None
) -> Table:
    """Average the slopes of predictions along numeric columns, all else as in each row.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    variables : str or sequence of str, optional
        Numeric columns; all numeric covariates with more than two values by default.
    over : Averaging, optional
        Over what they are averaged.

    Returns
    -------
    Table
        A row per column, group of `by` and outcome: change of the prediction per unit.

    Raises
    ------
    SpecificationError
        A column has no slope.

    Notes
    -----
    Central differences of 1e-4 of the column's range.
    """
    rows = _Rows(fit, over or Averaging())
    if variables is None:
        variables = [n for n in rows.covariates if rows.is_number(n)]
        if not variables:
            raise SpecificationError("No covariate is a number. Use comparisons().")
    found: dict[tuple[Any, ...], np.ndarray] = {}
    for name in _asked(rows, variables):
        if not rows.is_number(name):
            raise SpecificationError(
                f"{name!r} is no number with more than two values, and has no slope. Use "
                f"comparisons({name!r})."
            )
        x = rows.columns[name].astype(np.float64)
        half = 0.5 * STEP * np.ptp(x)
        ends = rows.averages({name: x + half}), rows.averages({name: x - half})
        found |= {(name, *k): (v - ends[1][k]) / (2 * half) for k, v in ends[0].items()}
    return rows.table("Average slopes", ("column",), found)


@dataclass(frozen=True, eq=False)
class _Rows:
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
        require([n for n in needed if n not in opened.parts], list(opened.parts))
        self.columns.update(columns(opened, needed))
        seed = as_seed(self.over.random_seed)
        # Both ends of a comparison have the same new units.
        drawn = np.random.default_rng(seed).integers(2**31)
        object.__setattr__(self, "seed", int(drawn))

    @property
    def covariates(self) -> list[str]:
        """Columns that are neither ids nor the unit of observation."""
        ids = _ids(self.fit)
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
        parts: dict[tuple[Any, ...], xr.DataArray] = {(): drawn}
        if self.over.by is not None:
            values = self._by(drawn)
            kept = dict.fromkeys(values.tolist())
            parts = {(v,): drawn.isel({dim: np.flatnonzero(values == v)}) for v in kept}
        found = {}
        for key, part in parts.items():
            mean = part.mean(dim)
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

    def _by(self, drawn: xr.DataArray) -> np.ndarray:
        """Return the value of `by` for each prediction, shape (row,)."""
        by, dim = str(self.over.by), str(drawn.dims[2])
        values = self.columns[by]
        missing = [i for i, v in enumerate(values.tolist()) if is_missing(v)]
        if missing:
            raise DataError(f"by={by!r} is missing in row {missing[0]} (counted from 0).")
        if dim not in self.columns:
            return values
        found: dict[Any, Any] = {}
        for unit, value in zip(self.columns[dim].tolist(), values.tolist(), strict=True):
            if found.setdefault(unit, value) != value:
                raise DataError(
                    f"by={by!r} varies inside {dim!r}={show(unit)} (values {show(found[unit])} and "
                    f"{show(value)}), and predictions are those of {dim!r}. Name a column that is "
                    f"constant within {dim!r}."
                )
        units = [found[u] for u in drawn[dim].values.tolist()]
        return np.fromiter(units, dtype=object, count=len(units))

    def table(
        self, title: str, keys: tuple[str, ...], found: Mapping[tuple[Any, ...], np.ndarray]
    ) -> Table:
        """Tabulate draws by their keys."""
        import pandas as pd

        names = [*keys, *([] if self.over.by is None else [self.over.by])]
        names += ["outcome"] * (len(next(iter(found))) - len(names))
        index = pd.MultiIndex.from_tuples(list(found), names=names)
        frame = posterior_table(np.stack([*found.values()], axis=1), index, self.over.ci_prob)
        whose = "given table" if self.over.data is not None else "fitted table"
        effects = "at zero" if self.over.typical is True else "those of its units"
        note = (
            f"Averaged over the rows of the {whose}, every other column as it is there; effects "
            f"of units {effects}. The scale is that of the {KINDS[self.over.kind]}."
        )
        return Table(title, frame.rename(columns={"mean": "estimate"}), (note,))


def _opened(fit: Fit, over: Averaging) -> ReadTable:
    """Return the table to average over; of the fitted one the rows that were analysed."""
    if over.data is not None:
        names = [n for n in _predictors(fit) if n in column_names(over.data)]
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


def _predictors(fit: Fit) -> list[str]:
    """Return the columns that a prediction reads."""
    if isinstance(fit.spec, TrialSpecification):
        return [n for n in fit.spec.columns if n not in fit.spec.outcomes]
    return list(fit.spec.predictors)


def _ids(fit: Fit) -> set[str]:
    ids = {c for term in fit.spec.named for c in term.id_columns}
    if isinstance(fit.spec, TrialSpecification):
        groups = {getattr(t, "group", None) for t in fit.spec.named}
        return {n for n in ids | groups | {fit.spec.cluster} if n is not None}
    return ids | ({fit.spec.observation} - {None})


def _asked(rows: _Rows, variables: Any) -> dict[str, Any]:
    """Return the contrast that is asked for by column; None for the default one."""
    if variables is None:
        if not rows.covariates:
            raise SpecificationError("The model has no covariate to compare.")
        return dict.fromkeys(rows.covariates)
    if isinstance(variables, str):
        variables = [variables]
    asked = dict(variables) if isinstance(variables, Mapping) else dict.fromkeys(variables)
    for name in asked:
        if name in _ids(rows.fit):
            raise SpecificationError(
                f"{name!r} holds ids of units, which have effects of their own and no contrast: "
                "predict tables with one id and with another, and compare them."
            )
        require([name], rows.covariates)
    return asked


def _combinations(rows: _Rows, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    from itertools import product

    _asked(rows, list(variables))
    values = [[v] if isinstance(v, str) or np.ndim(v) == 0 else list(v) for v in variables.values()]
    return [dict(zip(variables, point, strict=True)) for point in product(*values)]


def _contrasts(rows: _Rows, name: str, asked: Any) -> list[tuple[str, Any, Any]]:
    """Return label, low and high of the contrasts of a column; values or arrays of them."""
    x = rows.columns[name]
    if asked is not None and not isinstance(asked, str) and np.ndim(asked) == 1 and len(asked) == 2:
        return [_pair(*asked)]
    if rows.is_number(name):
        step = float(np.std(x)) if asked == "sd" else 1.0 if asked is None else asked
        if isinstance(step, (int, float, np.number)) and np.isfinite(step) and step != 0:
            label = f"+sd ({step:.3g})" if asked == "sd" else f"{step:+g}"
            return [(label, x.astype(np.float64), x + float(step))]
    elif asked is None:
        levels = _levels(rows, name)
        if len(levels) < 2:
            raise SpecificationError(
                f"{name!r} is {show(levels[0])} in every row: name two values to compare, "
                f"{{{name!r}: (low, high)}}."
            )
        return [_pair(levels[0], level) for level in levels[1:]]
    raise SpecificationError(
        f"variables={{{name!r}: {asked!r}}} is no contrast of {name!r}: give a pair (low, high), "
        "or for numbers a step such as 1, or 'sd'."
    )


def _levels(rows: _Rows, name: str) -> list[Any]:
    """Return the values of a column of categories or of two numbers, the reference first."""
    present = list(dict.fromkeys(rows.columns[name].tolist()))
    declared = category_levels(rows.fit.table, [name]) if rows.fit.table is not None else {}
    order = [v for v in declared.get(name, ()) if v in present]
    return order or sorted(present, key=lambda v: v if isinstance(v, (int, float)) else str(v))


def _pair(low: Any, high: Any) -> tuple[str, Any, Any]:
    return f"{show(high)} - {show(low)}", low, high


def _filled(value: Any, count: int) -> np.ndarray:
    if isinstance(value, (bool, int, float, np.number, np.bool_)):
        return np.full(count, value)
    return np.full(count, value, dtype=object)
