"""What members add to the linear predictors of persons: those observed, or new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.decisions.standardization import AbstractClusters, NewClusters

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class ObservedMembers(AbstractClusters):
    """Effects of the members that persons have.

    Attributes
    ----------
    effects : ndarray, shape (sample, unit, predictor)
    weight : ndarray, shape (1, link) or (sample, link)
        Weight of each membership, the same in every draw or not.
    unit, group : ndarray of int, shape (link,)
        Unit and person of each membership.
    num_persons : int
    person : ndarray of int, shape (row,)
        Person whose members a row has.
    """

    effects: Array
    weight: Array
    unit: Array
    group: Array
    num_persons: int
    person: Array

    def shift(self, draws: slice, Z: Array) -> Array:
        """Sum weighted effects over the memberships of each row's person."""
        from scipy.sparse import csr_array

        effects = np.moveaxis(self.effects[draws], 0, 1)  # (unit, sample, predictor)
        size, persons = effects.shape, self.num_persons
        if len(self.weight) == 1:
            incidence = csr_array((self.weight[0], (self.group, self.unit)), (persons, size[0]))
            sums = incidence @ effects.reshape(size[0], -1)
        else:
            links = len(self.group)
            incidence = csr_array(
                (np.ones(links), (self.group, np.arange(links))), (persons, links)
            )
            weighted = self.weight[draws].T[:, :, None] * effects[self.unit]
            sums = incidence @ weighted.reshape(links, -1)
        return np.moveaxis(sums.reshape(persons, *size[1:])[self.person], 0, 2)


@dataclass(frozen=True, eq=False)
class NewMembers(AbstractClusters):
    r"""Members that are still to come, in the number and with the weights that persons have.

    The weighted sum of n independent effects of covariance S has the covariance
    :math:`S \sum_k w_k^2`: that of one effect, times the length of the weights.

    Attributes
    ----------
    clusters : NewClusters
        One new effect for each row.
    length : ndarray, shape (1, person) or (sample, person)
        Root of the sum of squared weights.
    Z : ndarray, shape (person, coef)
        Columns whose coefficients vary.
    person : ndarray of int, shape (row,)
        Person whose weights a row has.
    """

    clusters: NewClusters
    length: Array
    Z: Array
    person: Array

    def shift(self, draws: slice, Z: Array) -> Array:
        """Scale a new effect by the length of each row's weights."""
        length = self.length if len(self.length) == 1 else self.length[draws]
        effects = self.clusters.shift(draws, self.Z[self.person])
        return effects * length[:, None, self.person]


@dataclass(frozen=True, eq=False)
class PersonShift(AbstractClusters):
    """What is known of each person, whatever the clusters.

    Attributes
    ----------
    values : ndarray, shape (sample, predictor, person)
    person : ndarray of int, shape (row,)
        Person that a row is.
    """

    values: Array
    person: Array

    def shift(self, draws: slice, Z: Array) -> Array:
        """Look up each row's person."""
        return self.values[draws][:, :, self.person]


@dataclass(frozen=True, eq=False)
class SeveralClusters(AbstractClusters):
    """Clusters and members of several kinds at once.

    Attributes
    ----------
    parts : tuple of AbstractClusters
    """

    parts: tuple[AbstractClusters, ...]

    def shift(self, draws: slice, Z: Array) -> Array:
        """Add what all of them add."""
        first, *others = (part.shift(draws, Z) for part in self.parts)
        return sum(others, start=first)
