"""Rows of a trial: outcomes, arms and clusters as arrays, with rows that are alike counted.

Reads columns and returns NumPy; the covariates of a trial are a `population` design beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.arms import (
    ClusterDesign,
    check_arms,
    check_roles,
    cluster_design,
    cluster_notes,
    dense,
    few_clusters,
    order_arms,
    take,
)
from pymc_mlm.data.cells import (
    Dependence,
    cell_labels,
    logit_basis,
    predictor_labels,
    response_patterns,
)
from pymc_mlm.data.event import code_event
from pymc_mlm.data.factor import UNKNOWN, Factor, encode
from pymc_mlm.data.frame import require
from pymc_mlm.data.missing import left_out
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, SpecificationError

Array = np.ndarray[Any, Any]

EVERY_OUTCOME = "every outcome"


@dataclass(frozen=True, eq=False)
class CollapsedRows:
    """Rows that are alike, counted.

    Attributes
    ----------
    first : ndarray of int, shape (distinct,)
        One row of each kind.
    kind : ndarray of int, shape (row,)
        Kind of each row.
    count : ndarray of float, shape (distinct,)
        Rows of each kind.
    """

    first: Array
    kind: Array
    count: Array


@dataclass(frozen=True, eq=False)
class TrialDesign:
    """Outcomes, arms and clusters of the rows that are analysed.

    Attributes
    ----------
    outcomes : tuple of str
        Names of the K outcomes.
    dependence : {"saturated", "pairwise", "independent"}
        Which associations between the outcomes are free.
    rows : ndarray of int, shape (row,)
        Which rows of the table these are; the others are counted in `dropped`.
    observed : ndarray of float, shape (row, outcome)
        Zeros and ones, NaN where missing.
    arm : Factor
        Arms, the control first, and the arm of each row.
    cluster : ClusterDesign or None
    pattern : ndarray of int, shape (row,)
        Line of `compatible` for each row.
    compatible : ndarray of bool, shape (pattern, 2**K)
        Cells that an observed pattern allows; the 2**K fully observed patterns come first.
    dropped : dict of str to int
        Rows left out, by reason.
    events : dict of str to object
        The value that counts as one, by outcome; None where it is 1.
    notes : tuple of str
        What a reader of the results should know about the data.
    """

    outcomes: tuple[str, ...]
    dependence: Dependence
    rows: Array
    observed: Array
    arm: Factor
    cluster: ClusterDesign | None
    pattern: Array
    compatible: Array
    dropped: dict[str, int]
    events: dict[str, Any]
    notes: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """Labels of the response patterns, 11, 10, 01, 00 for two outcomes."""
        return cell_labels(len(self.outcomes))

    @property
    def basis(self) -> Array:
        """Map from linear predictors to cell logits, shape (2**K - 1, predictor)."""
        return logit_basis(len(self.outcomes), self.dependence)

    @property
    def predictors(self) -> tuple[str, ...]:
        """Labels of the linear predictors, the columns of `basis`."""
        return predictor_labels(self.outcomes, self.dependence)

    @property
    def partial(self) -> Array:
        """Rows with a missing outcome, shape (row,), bool."""
        return np.isnan(self.observed).any(axis=1)

    def pattern_counts(self) -> Array:
        """Count the rows of each arm and observed pattern, shape (arm, pattern)."""
        shape = (len(self.arm), len(self.compatible))
        flat = np.ravel_multi_index((self.arm.codes, self.pattern), shape)
        return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)

    def collapse(self, covariates: Array | None = None) -> CollapsedRows:
        """Count rows that agree in arm, cluster, covariates and observed pattern.

        Parameters
        ----------
        covariates : ndarray, shape (row, covariate), optional
            Covariates of the analysed rows.
        """
        keys = [self.arm.codes, self.pattern]
        if self.cluster is not None:
            keys.append(self.cluster.factor.codes)
        return collapse_rows(*keys, *([] if covariates is None else [covariates]))


def collapse_rows(*keys: Array) -> CollapsedRows:
    """Count rows that agree in every key.

    Parameters
    ----------
    *keys : ndarray, shape (row,) or (row, column)
        What must agree.

    Returns
    -------
    CollapsedRows

    Examples
    --------
    >>> collapse_rows(np.array([1, 0, 1]), np.array([[5.0], [5.0], [5.0]])).count
    array([1., 2.])
    """
    columns = [column for key in keys for column in np.atleast_2d(np.asarray(key).T)]
    kind = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, code = np.unique(column, return_inverse=True)
        # Codes are made dense again at every step, so that they never overflow.
        kind = np.unique(kind * len(values) + code, return_inverse=True)[1]
    _, first, count = np.unique(kind, return_index=True, return_counts=True)
    return CollapsedRows(first=first, kind=kind, count=count.astype(float))


def resolve_trial(
    columns: Mapping[str, Array],
    outcomes: str | Sequence[str],
    arm: str,
    *,
    control: Any = None,
    treatment: Any = None,
    cluster: str | None = None,
    dependence: Dependence = "saturated",
    lacking: Mapping[str, Array] | None = None,
    event: Any = None,
    missing: str = "error",
    table_rows: Array | None = None,
) -> TrialDesign:
    """Read the design of a trial from columns.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (row,)
        The table.
    outcomes : str or sequence of str
        Columns of the outcomes, 0/1 or boolean; missing entries are kept as long as a row has
        at least one outcome.
    arm : str
        Column of the arm; labels of any kind.
    control : label, optional
        The arm that others are compared with. Needed unless arms are coded 0/1 or False/True,
        or `treatment` leaves only one candidate.
    treatment : label or list of labels, optional
        The arms to compare with the control; rows of other arms are dropped and counted. All
        others by default.
    cluster : str, optional
        Column of the cluster.
    dependence : {"saturated", "pairwise", "independent"}
        Which associations between the outcomes are free, see `logit_basis`.
    lacking : mapping of str to ndarray of bool, shape (row,), optional
        Rows that lack a covariate, by its name.
    event : object or mapping of str to object, optional
        The value that counts as one, of all outcomes or by outcome; needed unless they are 0/1.
    missing : {"error", "drop"}
        Whether a row without arm, cluster, a covariate or any outcome is refused, or left out.
    table_rows : ndarray of int, shape (row,), optional
        Where rows are persons with several rows in the user's table, the first of these.

    Returns
    -------
    TrialDesign

    Raises
    ------
    DataError
        A column is missing; an outcome is not 0/1 and its event is not named; an arm is absent,
        or fewer than two are left.
    SpecificationError
        A column has two roles; the control is not named; too many outcomes for `dependence`.

    Examples
    --------
    >>> table = {
    ...     "y": np.array([1, 0, 1, 0]),
    ...     "group": np.array(["placebo", "drug", "drug", "placebo"], dtype=object),
    ... }
    >>> resolve_trial(table, "y", "group", control="placebo").arm.codes
    array([0, 1, 1, 0])
    """
    names = (outcomes,) if isinstance(outcomes, str) else tuple(outcomes)
    roles = [*names, arm, *([] if cluster is None else [cluster])]
    check_roles(names, roles)
    require(roles, columns)
    logit_basis(len(names), dependence)

    events = _events(names, event)
    observed = np.column_stack([_coded(name, columns[name], events[name]) for name in names])
    found = encode(arm, columns[arm], missing="unknown")
    arms = order_arms(found, control, treatment)
    clusters = None if cluster is None else encode(cluster, columns[cluster], missing="unknown")

    other = (found.codes != UNKNOWN) & (arms.codes == UNKNOWN)
    absent = {repr(arm): found.codes == UNKNOWN, EVERY_OUTCOME: np.isnan(observed).all(axis=1)}
    if clusters is not None:
        absent[repr(cluster)] = clusters.codes == UNKNOWN
    absent |= {repr(name): rows for name, rows in (lacking or {}).items()}
    # Rows of other arms are none of the trial's, whatever they lack.
    absent = {what: rows & ~other for what, rows in absent.items()}
    complete, dropped = left_out(absent, missing, table_rows=table_rows)
    dropped |= {"other arms": int(other.sum())} if other.any() else {}
    kept = np.flatnonzero(complete & ~other)
    arms = take(arms, kept)
    check_arms(arms, dropped)
    _check_observed(names, observed[kept])
    clusters = None if clusters is None else dense(take(clusters, kept))
    return _design(names, dependence, kept, observed[kept], arms, clusters, dropped, events)


def recode_trial(columns: Mapping[str, Array], known: TrialDesign) -> TrialDesign:
    """Read new rows with the coding of a fitted design.

    Parameters
    ----------
    columns : mapping of str to ndarray, shape (row,)
        The new table; outcomes may be absent. Every row is kept.
    known : TrialDesign
        The fitted design, whose arms and clusters keep their codes.

    Returns
    -------
    TrialDesign
        New clusters follow the known ones.

    Raises
    ------
    DataError
        An arm is missing or was not fitted, or a column is missing.
    """
    cluster = None if known.cluster is None else known.cluster.factor
    require([known.arm.name, *([] if cluster is None else [cluster.name])], columns)
    arms = encode(known.arm.name, columns[known.arm.name], known=known.arm)
    rows = np.arange(len(arms.codes))
    observed = np.column_stack(
        [
            _coded(name, columns[name], known.events[name])
            if name in columns
            else np.full(len(rows), np.nan)
            for name in known.outcomes
        ]
    )
    if cluster is not None:
        cluster = encode(cluster.name, columns[cluster.name], known=cluster, unseen="new")
    kind = known.outcomes, known.dependence
    return _design(*kind, rows, observed, arms, cluster, {}, known.events)


def _design(
    outcomes: tuple[str, ...],
    dependence: Dependence,
    rows: Array,
    observed: Array,
    arms: Factor,
    clusters: Factor | None,
    dropped: dict[str, int],
    events: dict[str, Any],
) -> TrialDesign:
    pattern, compatible = response_patterns(observed)
    cluster = None if clusters is None else cluster_design(clusters, arms)
    return TrialDesign(
        outcomes=outcomes,
        dependence=dependence,
        rows=rows,
        observed=observed,
        arm=arms,
        cluster=cluster,
        pattern=pattern,
        compatible=compatible,
        dropped=dropped,
        events=events,
        notes=(
            *(
                f"Event of {name!r}: {show(event)}."
                for name, event in events.items()
                if event is not None
            ),
            *_separation_notes(outcomes, observed, arms),
            *([] if cluster is None else [*few_clusters(cluster, arms), *cluster_notes(cluster)]),
        ),
    )


def _check_observed(outcomes: tuple[str, ...], observed: Array) -> None:
    for name, values in zip(outcomes, observed.T, strict=True):
        if np.isnan(values).all():
            raise DataError(
                f"Outcome {name!r} is missing in every row. Leave it out of outcomes, or check how "
                "it was coded."
            )


def _events(outcomes: tuple[str, ...], event: Any) -> dict[str, Any]:
    """Return the event of each outcome, None where it is 1."""
    if not isinstance(event, Mapping):
        return dict.fromkeys(outcomes, event)
    strange = [name for name in event if name not in outcomes]
    if strange:
        raise SpecificationError(
            f"event names {strange[0]!r}, which is no outcome; the outcomes are "
            f"{', '.join(map(repr, outcomes))}."
        )
    return {name: event.get(name) for name in outcomes}


def _coded(name: str, values: Array, event: Any) -> Array:
    coded: Array = code_event(name, values, event, f"event={{{{{name!r}: {{}}}}}}")
    return coded


def _separation_notes(outcomes: tuple[str, ...], observed: Array, arms: Factor) -> list[str]:
    """Report an outcome that is constant, in all arms or in one.

    No error: the number of rows bounds how frequent the other value is; the rest is the prior's.
    """
    notes, constant = [], []
    for name, values in zip(outcomes, observed.T, strict=True):
        seen = np.unique(values[~np.isnan(values)])
        if len(seen) == 1:
            constant.append(name)
            notes.append(
                f"Outcome {name!r} is {int(seen[0])} in every row: the number of rows bounds its "
                "probability, and beyond that every statement about it rests on the prior."
            )
    for code, label in enumerate(arms.labels):
        for name, values in zip(outcomes, observed[arms.codes == code].T, strict=True):
            seen = np.unique(values[~np.isnan(values)])
            if len(seen) == 1 and name not in constant:
                notes.append(
                    f"Outcome {name!r} is {int(seen[0])} in every row of arm {show(label)}: its "
                    "log odds there rest on the prior."
                )
    return notes
