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
from pymc_mlm.terms.each_predictor import OnEachPredictor
from pymc_mlm.terms.several_predictors import blocks_of
from pymc_mlm.terms.unit_block import UnitBlock

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
    units = [c for t in terms if not _only_aggregates(t) for c in t.id_columns]
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
    for term in terms:
        for name in term.columns:
            if name in taken and name not in (*units, *groups):
                raise SpecificationError(
                    f"[{term.label}] reads {name!r}, an outcome or the arm. Effects compare the "
                    "arms on the same persons, and this term would keep the arm that each has. "
                    "cluster= has effects of arms that vary, with random='1 + arm'."
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
            f"{term!r} is not a term. Terms are mm(...), hm(...), nested(...) or your own: "
            "terms=[mm('clinician', 'patient')]."
        )
    if isinstance(term, Hierarchical) and term.covariates:
        raise SpecificationError(
            f"[{term.label}]: covariates of a unit are the same for all its persons. Name them in "
            "covariates= of the trial, and leave them out of the term."
        )
    if isinstance(term, Hierarchical) and term.prior_weight is not None:
        raise SpecificationError(
            f"[{term.label}]: prior_weight= makes a pseudo-likelihood, under which the error rates "
            "of decisions are not known. Leave it out, and name the columns by which units were "
            "sampled in covariates= of the trial."
        )
    if isinstance(term, Hierarchical) and term.effect_type != "random":
        raise SpecificationError(
            f"[{term.label}]: effect={term.effect_type!r} is not for trials: effects of new units "
            "are averaged over, and only random ones have a distribution. Use effect='random', or "
            f"covariates='C({term.columns[0]})' for coefficients of a few units."
        )
    if isinstance(term, MultipleMembership) and term.effect_type and not term.takes_information:
        raise SpecificationError(
            f"[{term.label}]: effects of members in a trial are independent, with one for each "
            "linear predictor. Leave out what makes them vary, change or resemble each other "
            "(varying, dynamics, covariance)."
        )
    if isinstance(term, MultipleMembership) and term.covariates:
        if term.effect_type is not None:
            name = f"{term.name or term.member}_covariates"
            raise SpecificationError(
                f"[{term.label}]: effects of members and coefficients of their covariates are two "
                "terms in a trial. Leave covariates out, and add the term mm("
                f"{term.member!r}, {term.group!r}, covariates={term.covariates!r}, "
                f"effect=None, name={name!r}) with the same weight."
            )
        if term.weight_function.parameters:
            raise SpecificationError(
                f"[{term.label}]: each response pattern has coefficients of its own, and weights "
                "with free parameters would be estimated for each pattern, too. Give covariates a "
                "weight without free parameters."
            )


def person_column(terms: Sequence[AbstractTerm]) -> str | None:
    """Return the column of persons: the group of `mm` terms; None where each row is a person."""
    own = (t.term if isinstance(t, OnEachPredictor) else t for t in terms)
    return next((t.group for t in own if isinstance(t, MultipleMembership)), None)


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
    predictors: tuple[str, ...],
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
    predictors : tuple of str
        Labels of the linear predictors.
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
    if known:
        return tuple((term, term.resolve(table, part, group=group)) for term, part in known)
    return tuple(_read(term, table, group, predictors) for term in terms)


def _read(
    term: AbstractTerm, table: Table, group: Factor | None, predictors: tuple[str, ...]
) -> tuple[AbstractTerm, Any]:
    """Return term and design; a term that is more than effects of units repeats itself."""
    part = term.resolve(table, group=group)
    if blocks_of(term, part):
        return term, part
    if getattr(part, "fixed", None) is not None:
        raise SpecificationError(
            f"[{term.label}]: coefficients cannot be fixed in a trial, where every response "
            "pattern has its own. Leave fix(...) out."
        )
    priors = getattr(term, "priors", {})
    each = OnEachPredictor(replace(term, priors={}), predictors, priors)  # type: ignore[type-var]
    return each, each.resolve(table, group=group)


def unit_columns(terms: Sequence[tuple[Any, Any]]) -> tuple[str, ...]:
    """Return the id columns of units that have effects."""
    found: list[str] = []
    for term, part in terms:
        found += [block.links.member.name for block in blocks_of(term, part)]
        if isinstance(term, OnEachPredictor) and term.has_effects(part):
            found += term.id_columns
    return tuple(found)


def all_blocks(terms: Sequence[tuple[Any, Any]]) -> list[UnitBlock]:
    """Return the blocks of units of all terms."""
    return [block for term, part in terms for block in blocks_of(term, part)]


def kinds_of_persons(terms: Sequence[tuple[Any, Any]], length: int) -> Array:
    """Number persons by units so that those with the same units and weights share a number.

    Of a user's own term nothing is known: no two persons are alike.

    Returns
    -------
    ndarray of int, shape (person, block)
    """
    kinds = [block.kinds() for block in all_blocks(terms)]
    if any(isinstance(term, OnEachPredictor) for term, _ in terms):
        kinds.append(np.arange(length))
    return np.column_stack(kinds) if kinds else np.zeros((length, 0), dtype=np.int64)


def _only_aggregates(term: Any) -> bool:
    return isinstance(term, MultipleMembership) and term.effect_type is None
