"""Predictions, comparisons and slopes averaged over rows: g-computation on any fitted model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pymc_mlm.data.frame import category_levels, require
from pymc_mlm.data.values import show
from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.marginal_effects.rows import Averaging, Rows, ids_of
from pymc_mlm.reporting.summary import Table

CONTRASTS = {
    "difference": lambda high, low: high - low,
    "ratio": lambda high, low: high / low,
    "lift": lambda high, low: (high - low) / low,
}
# Of the range of a covariate: the step of a slope, by central differences.
STEP = 1e-4


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
    rows = Rows(fit, over or Averaging())
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
    rows = Rows(fit, over or Averaging())
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
    rows = Rows(fit, over or Averaging())
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
        if np.isnan(x).any():
            raise _no_step(name)
        half = 0.5 * STEP * np.ptp(x)
        ends = rows.averages({name: x + half}), rows.averages({name: x - half})
        found |= {(name, *k): (v - ends[1][k]) / (2 * half) for k, v in ends[0].items()}
    return rows.table("Average slopes", ("column",), found)


def _asked(rows: Rows, variables: Any) -> dict[str, Any]:
    """Return the contrast that is asked for by column; None for the default one."""
    if variables is None:
        if not rows.covariates:
            raise SpecificationError("The model has no covariate to compare.")
        return dict.fromkeys(rows.covariates)
    if isinstance(variables, str):
        variables = [variables]
    asked = dict(variables) if isinstance(variables, Mapping) else dict.fromkeys(variables)
    for name in asked:
        if name in ids_of(rows.fit):
            raise SpecificationError(
                f"{name!r} holds ids of units, which have effects of their own and no contrast: "
                "predict tables with one id and with another, and compare them."
            )
        require([name], rows.covariates)
    return asked


def _combinations(rows: Rows, variables: Mapping[str, Any]) -> list[dict[str, Any]]:
    from itertools import product

    if not isinstance(variables, Mapping):
        raise SpecificationError(
            f"Predictions need values of columns: give variables={{column: [values]}}, not "
            f"{variables!r}. Contrasts of a column are those of comparisons({variables!r})."
        )
    _asked(rows, list(variables))
    values = [[v] if isinstance(v, str) or np.ndim(v) == 0 else list(v) for v in variables.values()]
    return [dict(zip(variables, point, strict=True)) for point in product(*values)]


def _contrasts(rows: Rows, name: str, asked: Any) -> list[tuple[str, Any, Any]]:
    """Return label, low and high of the contrasts of a column; values or arrays of them."""
    x = rows.columns[name]
    is_pair = asked is not None and not isinstance(asked, str) and np.ndim(asked) == 1
    if not is_pair and x.dtype.kind == "f" and np.isnan(x).any():
        raise _no_step(name)
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


def _no_step(name: str) -> SpecificationError:
    return SpecificationError(
        f"{name!r} is missing in some rows, which have no value to start a step from. Name two "
        f"values to compare, comparisons({{{name!r}: (low, high)}}), or pass data= without "
        "missing values."
    )


def _levels(rows: Rows, name: str) -> list[Any]:
    """Return the values of a column of categories or of two numbers, the reference first."""
    present = list(dict.fromkeys(rows.columns[name].tolist()))
    declared = category_levels(rows.fit.table, [name]) if rows.fit.table is not None else {}
    order = [v for v in declared.get(name, ()) if v in present]
    return order or sorted(present, key=lambda v: v if isinstance(v, (int, float)) else str(v))


def _pair(low: Any, high: Any) -> tuple[str, Any, Any]:
    return f"{show(high)} - {show(low)}", low, high
