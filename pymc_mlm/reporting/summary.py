"""The table that people read first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import EFFECTIVE_SIZE, Fit
from pymc_mlm.intervals import CI_PROB, check_probability, interval, interval_names
from pymc_mlm.reporting.chain_figures import chain_figures
from pymc_mlm.reporting.diagnostics import way

if TYPE_CHECKING:
    import pandas as pd

# Quantiles of so many numbers at once take some 400 MB.
CHUNK_NUMBERS = 20_000_000
MODEL_KINDS = ("coefficient", "weight", "sd", "family", "imputation")


@dataclass(frozen=True, eq=False)
class Table:
    """A table with a heading and notes; prints as text and shows as HTML in notebooks.

    Attributes
    ----------
    title : str
        Heading.
    frame : pandas.DataFrame
        The numbers.
    notes : tuple of str
        Sentences below the table.
    """

    title: str
    frame: pd.DataFrame
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Print heading, numbers with three significant digits, notes."""
        body = self.frame.map(_three_digits).to_string()
        return "\n".join([self.title, body, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        import html

        notes = "".join(f"<p>{html.escape(n)}</p>" for n in self.notes)
        body = self.frame.map(_three_digits).to_html()
        return f"<h4>{html.escape(self.title)}</h4>{body}{notes}"


def summary(fit: Fit, kinds: tuple[str, ...] = MODEL_KINDS, ci_prob: float = CI_PROB) -> Table:
    """Summarise the posterior by role.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    kinds : tuple of str
        Roles to show: "coefficient", "weight", "sd", "family", "imputation", "effect".
    ci_prob : float
        Probability inside the equal-tailed intervals.

    Returns
    -------
    Table
        A row per parameter: mean, sd, interval, effective sample sizes, R-hat; below them the
        notes of the fit and the path of its draws.
    """
    import pandas as pd

    check_probability(ci_prob)
    check_kinds(kinds)
    rows: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        for name in fit.names(kind):
            rows |= _rows(fit, name, ci_prob)
    frame = pd.DataFrame(list(rows.values()), index=list(rows))
    return Table(fit.title, frame, (*fit.notes, way(fit)))


def check_kinds(kinds: Any) -> None:
    """Refuse kinds of parameters that no model has, and a single text, which is letters."""
    known = (*MODEL_KINDS, "effect")
    given = list(kinds) if isinstance(kinds, (tuple, list)) else []
    if not given or any(kind not in known for kind in given):
        raise SpecificationError(
            f"kinds={kinds!r} must be a tuple of one or more of {', '.join(map(repr, known))}, "
            "such as ('sd',)."
        )


def draws_table(draws: dict[str, np.ndarray], ci_prob: float = CI_PROB) -> pd.DataFrame:
    """Return mean, sd and equal-tailed interval of named draws, one row each."""
    flat = np.stack([np.asarray(own) for own in draws.values()], axis=1)
    return posterior_table(flat, list(draws), ci_prob)


def posterior_table(flat: np.ndarray, index: Any, ci_prob: float = CI_PROB) -> pd.DataFrame:
    """Tabulate mean, sd and equal-tailed interval of draws, shape (draw, quantity)."""
    import pandas as pd

    step = max(1, CHUNK_NUMBERS // len(flat))
    parts = [moments(flat[:, i : i + step], ci_prob) for i in range(0, flat.shape[1], step)]
    names = ["mean", "sd", *interval_names(ci_prob)]
    return pd.DataFrame(np.concatenate(parts, axis=1).T, index=index, columns=names)


def moments(flat: np.ndarray, ci_prob: float) -> np.ndarray:
    """Return mean, sd, lower and upper bound of draws, shape (4, quantity)."""
    return np.stack([flat.mean(axis=0), flat.std(axis=0, ddof=1), *interval(flat, ci_prob)])


def _rows(fit: Fit, name: str, ci_prob: float) -> dict[str, dict[str, Any]]:
    values = fit.posterior[name]
    role = fit.roles[name]
    dims = [d for d in values.dims if d not in ("chain", "draw")]
    flat = values.stack(element=dims) if len(dims) > 1 else values
    dim = "element" if len(dims) > 1 else (dims[0] if dims else None)
    labels = [role.text()] if dim is None else [role.text(c) for c in flat[dim].values]
    matrix = np.atleast_3d(flat.transpose("chain", "draw", ...).values)
    weighted = fit.posterior.attrs.get(EFFECTIVE_SIZE)
    if weighted is None:
        found = chain_figures(matrix, "ess_bulk", "ess_tail", "r_hat")
    else:  # resampled by weight, with repetitions
        alike = {"ess_bulk": weighted, "ess_tail": weighted, "r_hat": np.nan}
        found = {column: np.full(len(labels), figure) for column, figure in alike.items()}
    named = {label: matrix[:, :, i].ravel() for i, label in enumerate(labels)}
    table = draws_table(named, ci_prob)
    for column, figure in found.items():
        table[column] = figure
    return {str(label): dict(row) for label, row in table.iterrows()}


def _three_digits(value: Any) -> Any:
    if not isinstance(value, (float, np.floating)):
        return value
    number = float(value)
    if not np.isfinite(number):
        return "-" if np.isnan(number) else str(number)
    if abs(number) >= 1000:
        return f"{number:.0f}"
    return f"{number:#.3g}" if abs(number) >= 1e-4 or number == 0 else f"{number:.1e}"
