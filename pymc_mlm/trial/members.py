"""Draws of the effects of a term's units on every predictor, and of the weights of members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.data.factor import UNKNOWN
from pymc_mlm.data.membership import Membership
from pymc_mlm.decisions.members import NewMembers, ObservedMembers
from pymc_mlm.decisions.standardization import new_clusters
from pymc_mlm.terms import MultipleMembership
from pymc_mlm.terms.cluster_effects import correlated_roots
from pymc_mlm.terms.several_predictors import offsets_name
from pymc_mlm.terms.varying import unit_codes

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class MemberDraws:
    """Draws of what one term adds to persons.

    Attributes
    ----------
    roots : ndarray, shape (sample, predictor, predictor)
        Root of the covariance of a unit's effects.
    effects : ndarray, shape (sample, unit, predictor)
        Log odds.
    links : Membership
        Unit and person of each membership.
    weight : ndarray, shape (1, link) or (sample, link)
    parameters : mapping of str to ndarray, shape (sample,)
        Free parameters of the weights.
    """

    roots: Array
    effects: Array
    links: Membership
    weight: Array
    parameters: Mapping[str, Array]

    def on(self, term: Any, design: Any, rng: np.random.Generator) -> MemberDraws:
        """Return the draws of other persons.

        A new unit is one new draw; a missing id is one of the fitted units, drawn anew in every
        posterior draw.

        Parameters
        ----------
        term : AbstractTerm
        design : design
            Of the other persons.
        rng : Generator
            Source of new units.
        """
        links, samples = term.memberships(design), len(self.effects)
        units, parts = links.member, [self.effects]
        if len(units.new_labels):
            z = rng.standard_normal((samples, len(units.new_labels), self.effects.shape[2]))
            parts.append(np.matmul(z, np.swapaxes(self.roots, 1, 2)))
        unknown = int((units.codes == UNKNOWN).sum())
        if unknown:
            which = rng.integers(0, units.num_known, (samples, unknown, 1))
            parts.append(np.take_along_axis(self.effects, which, axis=1))
        weight = _weights(term, design, self.parameters)
        return replace(self, effects=np.concatenate(parts, axis=1), links=links, weight=weight)

    def observed(self, person: Array) -> ObservedMembers:
        """Return what the units of given persons add."""
        links = self.links
        units = unit_codes(links.member)
        return ObservedMembers(
            self.effects, self.weight, units, links.group, links.num_groups, person
        )

    def new(self, person: Array, random_seed: int) -> NewMembers:
        """Return what new units add, in the number and with the weights of given persons."""
        nodes = new_clusters(self.roots, len(person), random_seed)
        return NewMembers(nodes, self.lengths, person)

    @property
    def lengths(self) -> Array:
        """Root of the sum of squared weights of each person, shape (1 or sample, person)."""
        from scipy.sparse import csr_array

        links = self.links
        # A member who is listed twice is one member, whose weights add up.
        code = np.stack([links.group, links.member.codes])
        starts = np.flatnonzero(np.r_[True, (np.diff(code) != 0).any(axis=0)][: code.shape[1]])
        by_member = np.add.reduceat(self.weight, starts, axis=1) if len(starts) else self.weight
        places = links.group[starts], np.arange(len(starts))
        of_person = csr_array((np.ones(len(starts)), places), (links.num_groups, len(starts)))
        return np.asarray(np.sqrt(of_person @ by_member.T**2).T)

    def kinds(self) -> Array:
        """Number persons so that new units add to those of one kind alike, shape (person,)."""
        _, kind = np.unique(self.lengths.round(12), axis=1, return_inverse=True)
        return np.asarray(kind)


def member_draws(
    term: Any, design: Any, posterior: xr.Dataset, contrasts: np.ndarray
) -> MemberDraws:
    """Take a term's parameters out of a posterior.

    Parameters
    ----------
    term : AbstractTerm
    design : design
        Of the fitted data.
    posterior : Dataset
    contrasts : ndarray, shape (predictor, contrast)

    Returns
    -------
    MemberDraws
    """
    z = posterior[offsets_name(design)].transpose("chain", "draw", ...).values
    z = z.reshape(-1, *z.shape[2:])
    roots = correlated_roots(design.name, posterior, contrasts)
    names = [n for n, role in term.roles(design).items() if role.kind == "weight"]
    drawn = {n: posterior[n].transpose("chain", "draw").values.ravel() for n in names}
    effects = np.matmul(z, np.swapaxes(roots, 1, 2))
    return MemberDraws(
        roots, effects, term.memberships(design), _weights(term, design, drawn), drawn
    )


def _weights(term: Any, design: Any, drawn: Mapping[str, Array]) -> Array:
    """Return the weights of memberships, shape (1, link) where they are known."""
    if not isinstance(term, MultipleMembership):
        return np.ones((1, len(design.units.codes)))
    return np.asarray(term.weight_draws(design, drawn))
