"""Draws of what terms add to persons: effects of units, and terms of one's own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.data.factor import UNKNOWN
from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.decisions.members import NewMembers, ObservedMembers, PersonShift
from pymc_mlm.decisions.standardization import AbstractClusters, new_clusters
from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms.cluster_effects import CONTRAST, correlated_roots
from pymc_mlm.terms.each_predictor import EachDesign, OnEachPredictor
from pymc_mlm.terms.graph_draws import graph_draws
from pymc_mlm.terms.nested_draws import unknown_units
from pymc_mlm.terms.several_predictors import blocks_of, offsets_name
from pymc_mlm.terms.unit_block import UnitBlock
from pymc_mlm.trial.terms import SCALE

Array = np.ndarray[Any, Any]


class AbstractTermDraws(ABC):
    """Draws of what a term, or one kind of its units, adds to persons."""

    @property
    @abstractmethod
    def units(self) -> tuple[str, ...]:
        """Id columns of units that have effects."""

    @abstractmethod
    def on(self, terms: Any, rng: np.random.Generator, shared: int) -> AbstractTermDraws:
        """Return the draws of other persons.

        Parameters
        ----------
        terms : sequence of pairs
            Terms and the designs of the other persons.
        rng : Generator
            Source of new units.
        shared : int
            Seed of what several kinds of units have in common.
        """

    @abstractmethod
    def typical(self) -> AbstractTermDraws | None:
        """Return what is added where the effects of units are zero; None for nothing."""

    @abstractmethod
    def observed(self, person: Array) -> AbstractClusters:
        """Return what is added to given persons, with the units that they have."""

    @abstractmethod
    def new(self, person: Array, random_seed: int) -> AbstractClusters:
        """Return what is added to given persons, with new units in place of theirs."""

    @abstractmethod
    def kinds(self) -> Array:
        """Number persons so that `new` adds to those of one kind alike, shape (person,)."""


@dataclass(frozen=True, eq=False)
class MemberDraws(AbstractTermDraws):
    """Draws of the effects of one kind of units.

    Attributes
    ----------
    place, level : int
        Which term, and which of its blocks.
    block : UnitBlock
    roots : ndarray, shape (sample, coef * predictor, coef * predictor)
        Root of the covariance of a unit's effects, coefficients outermost.
    effects : ndarray, shape (sample, unit, coef * predictor)
        Log odds.
    weight : ndarray, shape (1, link) or (sample, link)
    parameters : mapping of str to ndarray, shape (sample,)
        Free parameters of the weights.
    """

    place: int
    level: int
    block: UnitBlock
    roots: Array
    effects: Array
    weight: Array
    parameters: Mapping[str, Array]

    @property
    def units(self) -> tuple[str, ...]:
        """The column of the units."""
        return (self.block.links.member.name,)

    def on(self, terms: Any, rng: np.random.Generator, shared: int) -> MemberDraws:
        """Return the draws of other persons.

        A new unit is one new draw; a missing id is one of the fitted units, drawn anew in every
        posterior draw.
        """
        term, part = terms[self.place]
        block, samples = blocks_of(term, part)[self.level], len(self.effects)
        units, parts = block.links.member, [self.effects]
        if len(units.new_labels):
            z = rng.standard_normal((samples, len(units.new_labels), self.effects.shape[2]))
            parts.append(np.matmul(z, np.swapaxes(self.roots, 1, 2)))
        if isinstance(part, NestedDesign):
            # The same at every level: an unknown class is one of its unknown school's.
            picks = unknown_units(part, samples, np.random.default_rng(shared))[self.level]
            for unit, pick in picks.items():
                parts[1][:, unit - units.num_known] = self.effects[np.arange(samples), pick]
        unknown = int((units.codes == UNKNOWN).sum())
        if unknown:
            which = rng.integers(0, units.num_known, (samples, unknown, 1))
            parts.append(np.take_along_axis(self.effects, which, axis=1))
        weight = _weights(term, part, block, self.parameters)
        return replace(self, block=block, effects=np.concatenate(parts, axis=1), weight=weight)

    def typical(self) -> None:
        """Add nothing."""
        return

    def observed(self, person: Array) -> ObservedMembers:
        """Return what the units of given persons add."""
        links, z = self.block.each_coefficient()
        count = self.block.Z.shape[1]
        effects = self.effects.reshape(len(self.effects), self.effects.shape[1] * count, -1)
        weight = np.repeat(self.weight, count, axis=1) * z
        codes, persons = links.member.codes, links.num_groups
        return ObservedMembers(effects, weight, codes, links.group, persons, person)

    def new(self, person: Array, random_seed: int) -> NewMembers:
        """Return what new units add, in the number and with the weights of given persons."""
        nodes = new_clusters(self.roots, len(person), random_seed)
        return NewMembers(nodes, self.lengths, self.block.Z, person)

    @property
    def lengths(self) -> Array:
        """Root of the sum of squared weights of each person, shape (1 or sample, person)."""
        from scipy.sparse import csr_array

        links = self.block.links
        # A member who is listed twice is one member, whose weights add up.
        code = np.stack([links.group, links.member.codes])
        starts = np.flatnonzero(np.r_[True, (np.diff(code) != 0).any(axis=0)][: code.shape[1]])
        by_member = np.add.reduceat(self.weight, starts, axis=1) if len(starts) else self.weight
        places = links.group[starts], np.arange(len(starts))
        of_person = csr_array((np.ones(len(starts)), places), (links.num_groups, len(starts)))
        return np.asarray(np.sqrt(of_person @ by_member.T**2).T)

    def kinds(self) -> Array:
        """Number persons by the lengths of their weights, and their columns."""
        own = np.concatenate([self.lengths, self.block.Z.T])
        _, kind = np.unique(own.round(12), axis=1, return_inverse=True)
        return np.asarray(kind)


@dataclass(frozen=True, eq=False)
class OwnTermDraws(AbstractTermDraws):
    """Draws of a term that is evaluated by its own graph.

    Attributes
    ----------
    place : int
        Which term.
    term : OnEachPredictor
    part : EachDesign
    posterior : Dataset
        Draws of its variables.
    seed : int
        Seed of new units.
    """

    place: int
    term: OnEachPredictor
    part: EachDesign
    posterior: xr.Dataset
    seed: int = 0

    @property
    def units(self) -> tuple[str, ...]:
        """Id columns, if the term has effects."""
        return self.term.id_columns if self.term.has_effects(self.part) else ()

    def on(self, terms: Any, rng: np.random.Generator, shared: int) -> OwnTermDraws:
        """Evaluate the graph of the other persons' design; new units are drawn there."""
        return replace(self, part=terms[self.place][1], seed=int(rng.integers(2**31)))

    def typical(self) -> OwnTermDraws:
        """Set effects and their standard deviations to zero."""
        roles = self.term.roles(self.part)
        own = [n for n, role in roles.items() if role.kind in ("effect", "sd")]
        zeros = {n: xr.zeros_like(self.posterior[n]) for n in own if n in self.posterior}
        return replace(self, posterior=self.posterior.assign(zeros))

    @cached_property
    def shift(self) -> Array:
        """What is added, shape (sample, predictor, person)."""
        drawn = graph_draws([(self.term, self.part)], self.posterior, SCALE, self.seed)
        return np.moveaxis(drawn.reshape(-1, *drawn.shape[2:]), 1, 2)

    def observed(self, person: Array) -> PersonShift:
        """Return what is added to given persons."""
        return PersonShift(self.shift, person)

    def new(self, person: Array, random_seed: int) -> PersonShift:
        """Return the same: without units there are no new ones."""
        if self.units:
            raise SpecificationError(
                f"[{self.term.label}]: estimand='new_cluster' averages over new units of "
                f"{', '.join(self.units)}, and {type(self.term.term).__name__} does not state "
                "their distribution. Define unit_blocks in it, or ask for "
                "estimand='observed_clusters' or 'typical_cluster'."
            )
        return self.observed(person)

    def kinds(self) -> Array:
        """Nothing is known of the term: no two persons are alike."""
        return np.arange(self.shift.shape[2])


def term_draws(
    terms: Any, posterior: xr.Dataset, contrasts: Array
) -> tuple[AbstractTermDraws, ...]:
    """Take the parameters of terms out of a posterior.

    Parameters
    ----------
    terms : sequence of pairs
        Terms and designs of the fitted data.
    posterior : Dataset
    contrasts : ndarray, shape (predictor, contrast)

    Returns
    -------
    tuple of AbstractTermDraws
        One for each kind of units, and for each other term.
    """
    found: list[AbstractTermDraws] = []
    for place, (term, part) in enumerate(terms):
        if isinstance(term, OnEachPredictor):
            own = posterior[[n for n in term.roles(part) if n in posterior]]
            found.append(OwnTermDraws(place, term, part, own))
        for level, block in enumerate(blocks_of(term, part)):
            found.append(_member_draws(place, level, block, term, part, posterior, contrasts))
    return tuple(found)


def _member_draws(
    place: int,
    level: int,
    block: UnitBlock,
    term: Any,
    design: Any,
    posterior: xr.Dataset,
    contrasts: Array,
) -> MemberDraws:
    z = posterior[offsets_name(block)].transpose("chain", "draw", ...).values
    z = z.reshape(-1, *z.shape[2:])
    # Coefficients outermost, as in the offsets.
    ordered = posterior.transpose("chain", "draw", ..., CONTRAST)
    each = np.kron(np.eye(block.Z.shape[1]), contrasts)
    roots = correlated_roots(block.name, ordered, each)
    names = [n for n, role in term.roles(design).items() if role.kind == "weight"]
    drawn = {n: posterior[n].transpose("chain", "draw").values.ravel() for n in names}
    effects = np.matmul(z, np.swapaxes(roots, 1, 2))
    weight = _weights(term, design, block, drawn)
    return MemberDraws(place, level, block, roots, effects, weight, drawn)


def _weights(term: Any, design: Any, block: UnitBlock, drawn: Mapping[str, Array]) -> Array:
    """Return the weights of memberships, shape (1, link) where they are known."""
    if not block.is_estimated:
        return block.weight[None]
    return np.asarray(term.weight_draws(design, drawn))
