"""Terms in a trial: which can have effects on every predictor, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pymc_mlm.data.arms import dense, take
from pymc_mlm.data.checks import constant_within
from pymc_mlm.data.factor import Factor, encode
from pymc_mlm.data.frame import Table, columns, open_table
from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms import AbstractTerm, Hierarchical, MultipleMembership

Array = np.ndarray[Any, Any]
# Default priors of sds are HalfNormal(2.5 scale) on what a unit adds to a person: HalfNormal(2).
SCALE = 0.8
PERSON = (
    "mm() reads one row per membership, and outcomes, arm, clusters and covariates belong to the "
    "person: repeat one value in all rows of a person. Where each row is a person, use hm()."
)


def check_terms(terms: Sequence[Any], taken: Sequence[str], cluster: str | None) -> None:
    """Refuse terms that cannot be in a trial, or not together.

    Parameters
    ----------
    terms : sequence of object
        As the user gave them.
    taken : sequence of str
        Outcomes and arm.
    cluster : str or None
        Column of the cluster.

    Raises
    ------
    SpecificationError
        The term is named, with the reason and a remedy.
    """
    for term in terms:
        _check_term(term)
    names = [t.name for t in terms if t.name is not None]
    units = [c for t in terms for c in t.id_columns]
    for name in names:
        if names.count(name) > 1:
            raise SpecificationError(
                f"Two terms have the name {name!r}. Give each a name= of its own."
            )
    for name in units:
        if units.count(name) > 1 or name == cluster:
            other = "cluster=" if name == cluster else "another term"
            raise SpecificationError(
                f"Column {name!r} has the units of a term and of {other}: their effects cannot be "
                "told apart. Leave one of them out."
            )
    groups = sorted({t.group for t in terms if isinstance(t, MultipleMembership)})
    if len(groups) > 1:
        raise SpecificationError(
            f"All mm() terms of a trial share one group column, that of the persons; found "
            f"{groups}. Other units go into hm()."
        )
    for name in [*units, *groups]:
        if name in taken or (name in groups and name == cluster):
            raise SpecificationError(
                f"Column {name!r} is named by a term, and among outcomes, arm and cluster, too. "
                "The group of mm() is the column of persons, its member and the unit of hm() "
                "those of the units that they belong to."
            )


def _check_term(term: Any) -> None:
    if not isinstance(term, AbstractTerm):
        raise SpecificationError(
            f"{term!r} is not a term. Terms of a trial are mm(...) and hm(...): "
            "terms=[mm('clinician', 'patient')]."
        )
    if not (
        isinstance(term, (MultipleMembership, Hierarchical)) and term.is_of_effect("memberships")
    ):
        raise SpecificationError(
            f"A trial takes the terms mm() and hm(), not {type(term).__name__}: a term needs "
            "effects on every response pattern. Units within units are one hm() for each level."
        )
    if term.covariates:
        raise SpecificationError(
            f"[{term.label}]: covariates of a term have no coefficients in a trial. Name columns "
            "of persons in covariates= of the trial, and leave them out of the term."
        )
    if term.effect_type != "random":
        raise SpecificationError(
            f"[{term.label}]: effect={term.effect_type!r} is not for trials: effects of new units "
            "are averaged over, and only random ones have a distribution. Use effect='random', or "
            f"covariates='C({term.columns[0]})' for coefficients of a few units."
        )


def person_column(terms: Sequence[AbstractTerm]) -> str | None:
    """Return the column of persons: the group of `mm` terms; None where each row is a person."""
    return next((t.group for t in terms if isinstance(t, MultipleMembership)), None)


def persons(data: Table, terms: Sequence[AbstractTerm]) -> Factor | None:
    """Return the person of each row, where rows are memberships."""
    name = person_column(terms)
    return None if name is None else encode(name, columns(data, [name])[name])


def by_person(table: dict[str, Array], person: Factor | None) -> dict[str, Array]:
    """Return columns with one value per person."""
    if person is None:
        return table
    return {name: constant_within(name, v, person, PERSON) for name, v in table.items()}


def read_terms(
    data: Table,
    terms: Sequence[AbstractTerm],
    person: Factor | None,
    kept: Array,
    known: Sequence[tuple[Any, Any]] = (),
) -> tuple[tuple[Any, Any], ...]:
    """Read the terms of the persons that are analysed.

    Parameters
    ----------
    data : Table
    terms : sequence of AbstractTerm
        Under their final names.
    person : Factor or None
        Person of each row; None where each row is one.
    kept : ndarray of int, shape (person,)
        Which persons are analysed, ascending.
    known : sequence of pairs, optional
        Terms and designs of the fitted table.

    Returns
    -------
    tuple of pairs
        Term and design.
    """
    if not terms:
        return ()
    rows, group = kept, None
    if person is not None:
        rows = np.flatnonzero(np.isin(person.codes, kept))
        group = dense(take(person, rows))
    names = list(dict.fromkeys(c for t in terms for c in t.columns))
    read = {name: values[rows] for name, values in columns(data, names).items()}
    table = replace(open_table(read, names), names=data.names)
    before = [part for _, part in known] or [None] * len(terms)
    parts = [t.resolve(table, k, group=group) for t, k in zip(terms, before, strict=True)]
    return tuple(zip(terms, parts, strict=True))


def links_of(terms: Sequence[tuple[Any, Any]]) -> list[Any]:
    """Return the memberships of each term."""
    return [term.memberships(part) for term, part in terms]


def kinds_of_persons(terms: Sequence[tuple[Any, Any]], length: int) -> Array:
    """Number persons by term so that those with the same members and weights share a number.

    Returns
    -------
    ndarray of int, shape (person, term)
    """
    kinds = np.zeros((length, len(terms)), dtype=np.int64)
    for j, ((term, part), links) in enumerate(zip(terms, links_of(terms), strict=True)):
        weighs = part.weight_columns.values() if isinstance(term, MultipleMembership) else ()
        kinds[:, j] = links.kinds(*weighs)
    return kinds
