"""From a table to the arrays of a model: every column is read and checked here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.data.by_category import code_categories, each_category, population_by_category
from pymc_mlm.data.checks import as_numbers, constant_within
from pymc_mlm.data.event import outcome_numbers
from pymc_mlm.data.factor import UNKNOWN, Factor, encode
from pymc_mlm.data.frame import Table, absent, category_levels, columns, open_table
from pymc_mlm.data.imputed import filled
from pymc_mlm.data.missing import (
    PREDICT,
    left_out,
    missing_values,
    to_predict,
    without_weightless,
)
from pymc_mlm.data.nested_design import varies_within
from pymc_mlm.data.population import PopulationDesign, population_design, response_values
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.families import ROW_WEIGHT, OutcomeScale
from pymc_mlm.model.categories import for_categories, label_texts, of_rows, table_of
from pymc_mlm.model.levels import check_level_covariates, with_unit_means
from pymc_mlm.model.outcome_scale import outcome_scale
from pymc_mlm.model.repeated_rows import counted, repeated_coding, repeated_outcome
from pymc_mlm.terms import AbstractTerm, MultipleMembership
from pymc_mlm.terms.imputed import Imputed
from pymc_mlm.terms.membership import WIDE
from pymc_mlm.terms.nested import Nested

if TYPE_CHECKING:
    from pymc_mlm.model.specification import Specification

OBSERVATION = "obs"


@dataclass(frozen=True, eq=False)
class Design:
    """A table as the model needs it.

    Attributes
    ----------
    num_rows : int
        Rows of the table.
    rows : Factor
        Units of observation: the groups of `mm` terms, or the rows of the table.
    population : PopulationDesign
        Covariates of the formula, and means of nested units where asked for.
    terms : tuple
        Pairs of a term, under its final name, and its design.
    outcome : dict of str to ndarray, shape (row,), or None
        Outcome by role; None for new data.
    scale : OutcomeScale
        Scale of the linear predictor in the fitted data.
    side : mapping of str to ndarray, shape (row,)
        What the family reads beside the outcome, such as the number of trials, and what the
        fitted outcome set once.
    unit_means : mapping of str to ndarray, shape (unit,)
        Means of covariates by nested unit, for within and between effects.
    dropped : mapping of str to int
        Rows left out for missing values, or only predicted, by reason.

    With an unordered outcome a row has a linear predictor for each category but the reference, one
    after the other: those of `population`, of the terms and of `predictors`.
    """

    num_rows: int
    rows: Factor
    population: PopulationDesign
    terms: tuple[tuple[Any, Any], ...]
    outcome: dict[str, np.ndarray] | None
    scale: OutcomeScale
    side: Mapping[str, np.ndarray]
    unit_means: Mapping[str, np.ndarray]
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def by(self) -> tuple[str, ...]:
        """Categories of an unordered outcome but the reference; empty for other outcomes."""
        return self.population.by

    @property
    def predictors(self) -> Factor:
        """What has a linear predictor: units of observation, or their categories."""
        return each_category(self.rows, self.by) if self.by else self.rows

    @property
    def offset(self) -> np.ndarray:
        """Part of the predictor with known coefficients, at starting weights, shape (row,)."""
        return np.asarray(self.population.offset + fixed_part(self.terms))

    @property
    def weights(self) -> np.ndarray | None:
        """Weights of the fitted rows as the likelihood has them, shape (row,)."""
        return (self.outcome or {}).get(ROW_WEIGHT)

    @property
    def fills(self) -> dict[str, float]:
        """What stands in the columns of covariates where a value is imputed."""
        parts = (part for term, part in self.terms if isinstance(term, Imputed))
        return {c.name: c.fill for part in parts for c in part.columns}

    @property
    def one_of_each(self) -> dict[str, np.ndarray]:
        """Outcome of one row of each kind by role: without the weights of rows."""
        return {k: v for k, v in (self.outcome or {}).items() if k != ROW_WEIGHT}

    @property
    def nested(self) -> Any:
        """Design of the nested term, or None."""
        return next((part for term, part in self.terms if isinstance(term, Nested)), None)


def fixed_part(terms: Iterable[tuple[Any, Any]]) -> Any:
    """Return what terms add with known coefficients, shape (row,) or zero."""
    return sum(term.fixed_part(part) for term, part in terms)


@dataclass(frozen=True)
class _Table:
    """A table and its units of observation; None where each row is one."""

    data: Any
    group: Factor | None

    def observed(self, names: Any, remedy: str) -> dict[str, np.ndarray]:
        """Return columns with one value per unit of observation."""
        table = columns(self.data, names)
        if self.group is None:
            return table
        return {k: constant_within(k, v, self.group, remedy) for k, v in table.items()}


def read(spec: Specification, data: Any, known: Design | None = None) -> Design:
    """Read a table.

    Parameters
    ----------
    spec : Specification
        The model.
    data : dataframe or mapping of str to array_like
        One row per membership, or per observation where the model has no `mm` term.
    known : Design, optional
        Fitted design: units that it has keep their place, covariates are coded as there.

    Returns
    -------
    Design

    Raises
    ------
    DataError
        A column is missing or does not fit its place; the message names it.
    """
    data = open_table(data, spec.columns if known is None else spec.predictors)
    kept: np.ndarray | None = None
    dropped: dict[str, int] = {}
    if known is None:
        kept, dropped = _complete(spec, data)
        data = data.take(kept) if dropped else data
    rows, count = _observations(spec, data, kept)
    lost: dict[str, np.ndarray] = {}
    if spec.impute:
        fills = None if known is None else known.fills
        data, lost = filled(data, spec.impute, rows if spec.observation else None, fills)
    table = _Table(data, rows if spec.observation else None)
    # Before the rest: while a column is read, it takes the memory of five.
    side, counts = _side(spec, table), None
    outcome = None if known else _outcome(spec, table, side)
    if outcome is not None and spec.row_weights is not None and spec.row_weights.is_frequency:
        counts = outcome[ROW_WEIGHT]
    fitted = known.side if known else outcome or {}
    side |= {role: fitted[role] for role in spec.family.constants}
    remedy = (
        f"Formula covariates must be constant within {rows.name!r}; put member-level columns in "
        "mm(covariates=...)."
    )
    covariates = table.observed(spec.population().columns, remedy)
    levels = category_levels(data, spec.population().columns)
    before = repeated_coding(spec.parsed, covariates, counts, levels)
    before = known.population if known else before
    population = population_design(spec.parsed, covariates, len(rows), before, levels)
    population = replace(population, counts=counts)
    by = label_texts(side.get("labels", ()))
    named = tuple(for_categories(term, by, rows) for term in spec.named) if by else spec.named
    parts = tuple(
        counted(
            _resolve(term, table, rows, population, known.terms[i][1] if known else None, lost),
            counts,
        )
        for i, term in enumerate(named)
    )
    terms = tuple(zip(named, parts, strict=True))
    # Terms with rows of categories have no part with known coefficients.
    rest = replace(population, offset=population.offset + (0.0 if by else fixed_part(terms)))
    scale = known.scale if known else _scale(spec, outcome or {}, rest)
    own = of_rows(terms, len(by))
    population, means = with_unit_means(spec, covariates, levels, population, own, known)
    check_level_covariates(spec, table.observed, own)
    if known is None and spec.nested is not None:
        _refuse_flat(population)
    population = population_by_category(population, by) if by else population
    return Design(count, rows, population, terms, outcome, scale, side, means, dropped)


def _complete(spec: Specification, data: Table) -> tuple[np.ndarray, dict[str, int]]:
    """Return the places of rows with all values, and how many others there are, by reason."""
    needed: dict[str, np.ndarray | None] = dict.fromkeys(spec.columns)
    for name in spec.impute:
        del needed[name]
    always = {*spec.parsed.response.columns, *spec.population().columns, spec.observation}
    for term in spec.named:
        # A row without a member is no membership of a term that skips it, nor are its covariates.
        if isinstance(term, MultipleMembership) and term.missing == "skip":
            present = ~absent(data, term.member)
            own = [c for c in term.columns if c not in always]
            needed |= {c: None if c in always else present for c in own}
        elif not isinstance(term, Imputed):
            always |= {*term.columns}
            needed |= dict.fromkeys(term.columns)
    lacking = missing_values(data, needed)
    more: dict[str, Any] = {}
    if spec.observation is not None:
        # Without its group a row cannot be left out: its group would lose a member.
        group = encode(spec.observation, columns(data, [spec.observation])[spec.observation])
        more = {"group": group.codes, "of": group.name}
    if any(rows.any() for rows in lacking.values()):
        more["imputable"] = spec.imputable
    if spec.missing == PREDICT:
        outcome = spec.parsed.response.columns
        kept, dropped = to_predict(lacking, outcome, **more)
    else:
        kept, dropped = left_out(lacking, spec.missing, **more)
    if spec.row_weights is None:
        return np.flatnonzero(kept), dropped
    return without_weightless(spec.row_weights, data, np.flatnonzero(kept), dropped)


def _observations(spec: Specification, data: Table, kept: np.ndarray | None) -> tuple[Factor, int]:
    """Return the units of observation, and the number of rows."""
    if spec.observation:
        rows = encode(spec.observation, columns(data, [spec.observation])[spec.observation])
        return rows, len(rows.codes)
    count = data.num_rows
    # Rows bear the places that they have in the user's table.
    numbers = np.arange(count) if kept is None else kept
    return Factor(OBSERVATION, numbers, np.arange(count), count), count


def _resolve(
    term: AbstractTerm,
    table: _Table,
    rows: Factor,
    population: PopulationDesign,
    known: Any,
    lost: Mapping[str, np.ndarray],
) -> Any:
    if by := getattr(term, "by", ()):
        data, own = table_of(term, table.data, rows, len(by))
        table = _Table(data, each_category(own, by))
    if isinstance(term, Imputed):
        return term.resolve(table.data, known, population=population, lost=lost)
    if isinstance(term, Nested):
        part = term.resolve(table.data, known, group=table.group, population=population)
        imputed = [name for name in part.columns if name in lost]
        if imputed:
            raise SpecificationError(
                f"The coefficient of {imputed[0]!r}, which impute= names, varies between units of "
                f"{part.levels[-1]!r}. The coefficient of an imputed covariate is that of the "
                "population: say what varies without it, varying='1', or fill the column in."
            )
        return part
    return term.resolve(table.data, known, group=table.group)


def _side(spec: Specification, table: _Table) -> dict[str, np.ndarray]:
    names = spec.family.side_columns
    where = table.group.name if table.group else "row"
    found = table.observed(
        names.values(), f"Family {spec.family.name!r} reads one value per {where!r}."
    )
    return {role: as_numbers(name, found[name]) for role, name in names.items()}


def _outcome(
    spec: Specification, table: _Table, side: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    response = spec.parsed.response
    where = table.group.name if table.group else "row"
    remedy = f"The outcome belongs to {where!r}: repeat one value in all of its rows."
    try:
        found = table.observed(response.columns, remedy)
    except DataError as error:
        raise DataError(f"{error}{_layout_hint(spec, table.data)}") from None
    binary = type(spec.family).__name__ if spec.family.binary else None
    numbers = partial(outcome_numbers, binary=binary, event=spec.family.event)
    if spec.family.has_categories:
        return _categories(spec, table.data, found)
    values = response_values(response, found, numbers)
    names = ("start", *spec.family.roles) if len(values) == 3 else spec.family.roles
    roles = dict(zip(names, values, strict=False)) | dict(side)
    if spec.row_weights is None:
        return spec.family.outcome(response.label, roles)
    name = spec.row_weights.column
    own = f"Weights belong to {where!r}: repeat one value in all of its rows."
    weights = spec.row_weights.check(table.observed([name], own)[name])
    if spec.row_weights.is_frequency:
        outcome = repeated_outcome(spec.family, response.label, roles, weights)
    else:
        outcome = spec.family.outcome(response.label, roles)
    return outcome | {ROW_WEIGHT: spec.row_weights.scaled(weights)}


def _categories(
    spec: Specification, data: Table, found: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    family: Any = spec.family
    ((name, values),) = found.items()
    levels = category_levels(data, [name]).get(name)
    codes, labels = code_categories(name, values, levels, family.reference)
    return spec.family.outcome(name, {"value": codes, "labels": labels})


def _refuse_flat(population: PopulationDesign) -> None:
    for name, x in zip(population.names, population.X.T, strict=True):
        if np.ptp(x) == 0:
            raise DataError(
                f"{name!r} has one value in all rows ({x[0]:g}): its coefficient cannot be "
                "told from the intercept. Drop it from the formula."
            )


def _scale(
    spec: Specification, outcome: Mapping[str, np.ndarray], design: PopulationDesign
) -> OutcomeScale:
    return outcome_scale(spec.family, outcome, spec.population(), design)


def _layout_hint(spec: Specification, data: Table) -> str:
    """Return how the table differs from one row per membership, if the outcome tells."""
    term = next((t for t in spec.named if isinstance(t, MultipleMembership)), None)
    if term is None:
        return ""
    outcome = columns(data, spec.parsed.response.columns[:1])[spec.parsed.response.columns[0]]
    member = encode(term.member, columns(data, [term.member])[term.member], missing="unknown")
    if (member.codes == UNKNOWN).any() or varies_within(outcome, member.codes, len(member)):
        return ""
    if len(member) == len(outcome):
        return f" Every row has a {term.member!r} of its own.{WIDE}"
    return (
        f" It has one value in every {term.member!r}: member and group are swapped. Write "
        f"mm({term.group!r}, {term.member!r})."
    )
