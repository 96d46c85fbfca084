"""Reads the table of a trial into the arrays of its model, the same way for new tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.arms import Array
from pymc_mlm.data.cells import Dependence, contrast_labels, outcome_contrasts
from pymc_mlm.data.factor import Factor
from pymc_mlm.data.formula import Formula, parse_terms
from pymc_mlm.data.formula_tree import Column, label
from pymc_mlm.data.frame import (
    Table,
    absent,
    category_levels,
    column_names,
    columns,
    open_table,
)
from pymc_mlm.data.missing import where
from pymc_mlm.data.population import PopulationDesign, population_design, right_hand_columns
from pymc_mlm.data.row_weights import AbstractRowWeights
from pymc_mlm.data.trial import CollapsedRows, TrialDesign, recode_trial, resolve_trial
from pymc_mlm.data.trial_matrix import TrialMatrix, trial_matrix
from pymc_mlm.data.values import narrow
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.terms import AbstractTerm
from pymc_mlm.trial.row_weights import written_out
from pymc_mlm.trial.terms import (
    by_person,
    kinds_of_persons,
    person_column,
    persons,
    read_terms,
    unit_columns,
)


@dataclass(frozen=True)
class TrialColumns:
    """Which columns of a table play which part.

    Attributes
    ----------
    outcomes : tuple of str
    arm : str
    control, treatment : object
        As the user named them.
    cluster : str or None
    formula : Formula or None
        Covariates.
    interactions : bool
    random : str or None
    dependence : str
    event : object or mapping of str to object, or None
    missing : {"error", "drop"}
    terms : tuple of AbstractTerm
        Under their final names.
    row_weights : FrequencyWeights or None
        How many persons each row stands for.
    """

    outcomes: tuple[str, ...]
    arm: str
    control: Any
    treatment: Any
    cluster: str | None
    formula: Formula | None
    interactions: bool
    random: str | None
    dependence: Dependence
    event: Any = None
    missing: str = "error"
    terms: tuple[AbstractTerm, ...] = ()
    row_weights: AbstractRowWeights | None = None

    @property
    def covariates(self) -> tuple[str, ...]:
        """Columns that the covariates are made from."""
        return () if self.formula is None else right_hand_columns(self.formula)

    def columns(self, outcomes: Sequence[str]) -> tuple[str, ...]:
        """Columns to read, with some outcomes."""
        cluster = () if self.cluster is None else (self.cluster,)
        return (*outcomes, self.arm, *cluster, *self.covariates)

    @property
    def of_terms(self) -> tuple[str, ...]:
        """Columns that terms read."""
        return tuple(c for term in self.terms for c in term.columns)


@dataclass(frozen=True, eq=False)
class TrialModelDesign:
    """A trial as its model needs it.

    Attributes
    ----------
    trial : TrialDesign
        Outcomes, arms and clusters of the analysed rows.
    formula : Formula or None
        Covariates.
    covariates : PopulationDesign or None
        How they were coded.
    columns : dict of str to ndarray, shape (row,)
        Covariates before coding, analysed rows.
    matrix : TrialMatrix
        Layout of the columns.
    X : ndarray, shape (row, column)
        Columns of the linear predictor.
    terms : tuple of pairs
        Terms, under their final names, and their designs.
    persons : ndarray, shape (row,), or None
        Labels of the persons, where a column names them.
    """

    trial: TrialDesign
    formula: Formula | None
    covariates: PopulationDesign | None
    columns: dict[str, Array]
    matrix: TrialMatrix
    X: Array
    terms: tuple[tuple[Any, Any], ...] = ()
    persons: Array | None = None

    @property
    def contrasts(self) -> Array:
        """Map from contrasts of the outcomes to predictors, shape (predictor, contrast)."""
        return outcome_contrasts(len(self.trial.outcomes), self.trial.dependence)

    @property
    def contrast_names(self) -> tuple[str, ...]:
        """Outcomes, pairs of outcomes and so on."""
        return contrast_labels(self.trial.outcomes, self.trial.dependence)

    @property
    def row_dim(self) -> str:
        """Dimension of the persons: the column that names them, or "row"."""
        return person_column([term for term, _ in self.terms]) or "row"

    @property
    def unit(self) -> str:
        """What is counted: persons, where a column names them, or rows."""
        return "rows" if person_column([term for term, _ in self.terms]) is None else "persons"

    @property
    def row_labels(self) -> Array:
        """Persons, or which rows of the table they are, shape (row,)."""
        return self.trial.rows if self.persons is None else self.persons

    @property
    def units(self) -> tuple[str, ...]:
        """Columns of the units that have effects: of the cluster, and of terms."""
        cluster = self.trial.cluster
        return (
            *(() if cluster is None else (cluster.factor.name,)),
            *unit_columns(self.terms),
        )

    def first_unit(self, column: str) -> Any:
        """Return the label of the first unit of a column of `units`."""
        cluster = self.trial.cluster
        if cluster is not None and cluster.factor.name == column:
            return cluster.factor.labels[0]
        found = (unit for term, part in self.terms for unit in term.units(part))
        return next(labels[0] for name, labels, _ in found if name == column)

    @property
    def cluster_codes(self) -> Array:
        """Cluster of each row, zeros without clusters."""
        cluster = self.trial.cluster
        return np.zeros(len(self.X), dtype=np.int64) if cluster is None else cluster.factor.codes

    def collapse(self) -> CollapsedRows:
        """Count rows that the likelihood cannot tell apart."""
        kinds = kinds_of_persons(self.terms, len(self.X))
        return self.trial.collapse(np.concatenate([self.X, kinds], axis=1))

    def code(self, table: dict[str, Array], length: int) -> Array:
        """Code covariates of other rows as the fitted ones, shape (row, covariate)."""
        if self.formula is None:
            return np.zeros((length, 0))
        return population_design(self.formula, table, length, self.covariates).X


def covariate_formula(covariates: str | Sequence[str] | None) -> Formula | None:
    """Parse covariates given as names or as the right-hand side of a formula.

    Raises
    ------
    SpecificationError
        It is no right-hand side, removes the intercept, or fixes a coefficient.

    Examples
    --------
    >>> covariate_formula(["age", "body mass"]).terms
    'age + `body mass`'
    """
    if covariates is None or (not isinstance(covariates, str) and not len(covariates)):
        return None
    text = covariates if isinstance(covariates, str) else " + ".join(map(_as_term, covariates))
    formula = parse_terms(text)
    if formula.offsets:
        raise SpecificationError(
            f"covariates={covariates!r}: coefficients cannot be fixed in a trial, where every "
            "response pattern has its own. Leave fix(...) out."
        )
    if not formula.intercept:
        raise SpecificationError(
            f"covariates={covariates!r} remove the intercept, which every response pattern needs. "
            "Leave out 0 and -1."
        )
    return formula


def _as_term(name: Any) -> str:
    if not isinstance(name, str) or not name or "`" in name:
        raise SpecificationError(
            f"covariates names {name!r}: a list has names of columns, which are text without "
            "backquotes. Rename the column."
        )
    return label(Column(name))


def read_trial(data: Any, spec: TrialColumns) -> TrialModelDesign:
    """Read a table.

    Parameters
    ----------
    data : dataframe
        One row per person, or per membership where there are `mm` terms.
    spec : TrialColumns
        Which columns play which part.

    Returns
    -------
    TrialModelDesign
    """
    data = _open(data, spec, spec.outcomes)
    if spec.row_weights is not None:
        data = written_out(data, spec.row_weights)
    person = persons(data, spec.terms)
    table = by_person(columns(data, spec.columns(spec.outcomes)), person)
    trial = resolve_trial(
        table,
        spec.outcomes,
        spec.arm,
        control=spec.control,
        treatment=spec.treatment,
        cluster=spec.cluster,
        dependence=spec.dependence,
        lacking=by_person({name: absent(data, name) for name in spec.covariates}, person),
        event=spec.event,
        missing=spec.missing,
        table_rows=None if person is None else person.first_row(),
    )
    raw = {name: narrow(name, table[name][trial.rows]) for name in spec.covariates}
    coded = None
    if spec.formula is not None:
        levels = category_levels(data, spec.covariates)
        coded = population_design(spec.formula, raw, len(trial.rows), levels=levels)
    x = np.zeros((len(trial.rows), 0)) if coded is None else coded.X
    names = () if coded is None else coded.names
    terms = () if coded is None else coded.terms
    random = None if spec.cluster is None else spec.random
    arms = trial.arm.labels.tolist()
    matrix = trial_matrix(spec.arm, arms, x, names, spec.interactions, random, terms)
    X = matrix.rows(trial.arm.codes, x)
    parts = read_terms(data, spec.terms, person, trial.rows, trial.predictors)
    labels = _labels(person, trial.rows)
    return TrialModelDesign(trial, spec.formula, coded, raw, matrix, X, parts, labels)


def reread_trial(data: Any, spec: TrialColumns, known: TrialModelDesign) -> TrialModelDesign:
    """Read new rows with the coding of the fitted ones; outcomes may be absent."""
    data = _open(data, spec, ())
    person = persons(data, spec.terms)
    table = by_person(columns(data, spec.columns(())), person)
    _refuse_missing(data, spec.covariates, person)
    trial = recode_trial(table, known.trial)
    raw = {name: narrow(name, table[name]) for name in spec.covariates}
    X = known.matrix.rows(trial.arm.codes, known.code(raw, len(trial.rows)))
    parts = read_terms(data, spec.terms, person, trial.rows, trial.predictors, known.terms)
    kept = known.formula, known.covariates, raw, known.matrix
    return TrialModelDesign(trial, *kept, X, parts, _labels(person, trial.rows))


def read_population(data: Any, known: TrialModelDesign) -> tuple[dict[str, Array], str]:
    """Read the covariates of a table to average over, and what its rows are.

    Returns
    -------
    columns : dict of str to ndarray, shape (row,) or (person,)
        A person counts once, however many memberships the table has.
    of : {"rows", "persons"}
    """
    names, person = tuple(known.columns), None
    if known.row_dim in column_names(data):
        data = open_table(data, (*names, known.row_dim))
        person = persons(data, [term for term, _ in known.terms])
    table = by_person(columns(data, names), person)
    _refuse_missing(data, names, person)
    return table, "rows" if person is None else "persons"


def _refuse_missing(data: Any, names: Sequence[str], person: Factor | None) -> None:
    """Refuse persons of several rows without a covariate; rows are checked where they are coded."""
    if person is None:
        return
    for name, lacks in by_person({name: absent(data, name) for name in names}, person).items():
        if lacks.any():
            raise DataError(
                f"Column {name!r} is missing {where(lacks, person.first_row())}. Missing values "
                "are not imputed: drop those persons, or fill them in."
            )


def _labels(person: Factor | None, rows: Array) -> Array | None:
    return None if person is None else person.labels[rows]


def _open(data: Any, spec: TrialColumns, outcomes: Sequence[str]) -> Table:
    roles = {"arm": spec.arm, **({} if spec.cluster is None else {"cluster": spec.cluster})}
    for role, name in [*roles.items(), *(("an outcome", name) for name in spec.outcomes)]:
        if name in spec.covariates:
            raise SpecificationError(
                f"Column {name!r} is both {role} and a covariate. Arms, clusters and outcomes "
                "have their own arguments: leave it out of covariates."
            )
    weights = (spec.row_weights.column,) if outcomes and spec.row_weights else ()
    return open_table(data, (*spec.columns(outcomes), *spec.of_terms, *weights))
