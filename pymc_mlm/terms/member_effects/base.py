"""What a distribution of members' effects is: apart from weights and covariates of the term."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.factor import Factor, encode
from pymc_mlm.data.membership import Membership
from pymc_mlm.terms.varying import Given

Array = np.ndarray[Any, Any]
# Draws at which covariances are held at once.
CHUNK = 100


@dataclass(frozen=True, eq=False)
class Entries:
    """How effects are made of standard normal ones: entries of the matrix of each row, and root.

    Effects of all members are ``root z``; the effect of a row is the sum of its entries times z.
    """

    rows: Array  # row of each entry, (entry,)
    columns: Array  # element of z
    factors: Any  # tensor (entry,)
    shape: tuple[int, ...]  # of z
    root: Any  # scalar, (coef, coef) for one member, or (effect, z)
    count: int | None = None  # number of effects, where it is not that of z


class AbstractMemberEffects(ABC):
    """Distribution of the effects of a term's members.

    A frozen dataclass: a specification that holds column names and never data. ``design`` below is
    the `MembershipDesign`; what `resolve` returns is its ``effects``. Names of variables begin
    with ``design.name``.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the table that are read beside the ids."""
        return ()

    @property
    def takes_information(self) -> bool:
        """Whether there is one independent effect per member, of which the data inform."""
        return False

    def members(
        self, name: str, ids: Array, known: Factor | None, unseen: str, missing: str
    ) -> Factor:
        """Number the members of the rows; the arguments are those of `encode`."""
        return encode(name, ids, known, unseen, missing)

    def resolve(
        self,
        table: Mapping[str, Array],
        membership: Membership,
        group: Factor,
        known: Any,
        levels: Mapping[str, Any],
    ) -> Any:
        """Read what the effects need, in the order of the membership's rows.

        Parameters
        ----------
        table : mapping of str to ndarray
            Columns in the order of the user's rows.
        membership : Membership
        group : Factor
            Groups, for messages.
        known : design, optional
            What `resolve` returned for the fitted table.
        levels : mapping of str to tuple
            Categories in the order of the user's columns.
        """
        return None

    @abstractmethod
    def default_priors(self, design: Any, scale: float) -> dict[str, Any]:
        """Return the default prior of every parameter by variable name."""

    @abstractmethod
    def graph(
        self, design: Any, priors: Mapping[str, Any], information: Any, given: Sequence[Given]
    ) -> tuple[Any, Any]:
        """Add parameters and effects to the current model.

        Returns
        -------
        effects : TensorVariable, shape (effect,)
        place : TensorVariable of int, shape (row,)
            Effect of each row.
        """

    @abstractmethod
    def entries(self, design: Any) -> Entries:
        """Return how the effects are made of standard normal ones, inside the model."""

    @abstractmethod
    def covariance(
        self, design: Any, draws: Mapping[str, Array], a: Array, b: Array, at: Mapping[str, float]
    ) -> Array:
        """Return the covariance of the effects of pairs of rows, (draw, pair) or (draw, 1)."""

    def pairs(self, membership: Membership) -> tuple[Array, Array]:
        """Return the pairs of rows of a group whose effects are not independent."""
        codes, group = membership.member.codes, membership.group
        return same(np.flatnonzero(np.diff(codes) != 0), np.flatnonzero(np.diff(group) != 0),
                    len(codes))  # fmt: skip

    def variance(
        self,
        design: Any,
        draws: Mapping[str, Array],
        weights: Array,
        at: Mapping[str, float],
    ) -> Array:
        r"""Return the variance that members give to their groups, averaged over groups, (draw,).

        .. math:: V = \frac{1}{J} \sum_j \sum_{k, l \in j}
            w_{jk} w_{jl} \operatorname{Cov}(u_k, u_l)

        Per draw, weights included: the mean of a squared weight is larger than the square of its
        mean, and plugging in mean weights understates the variance.
        """
        a, b = self.pairs(design.membership)
        count, groups = len(next(iter(draws.values()))), design.membership.num_groups
        # A group that stands for several counts so often.
        counts = np.ones(groups) if design.counts is None else design.counts
        share = (counts / counts.sum())[design.membership.group[a]]
        out = np.empty(count)
        for part in np.array_split(np.arange(count), -(-count // CHUNK)):
            own = {n: v[part] for n, v in draws.items()}
            w = weights if len(weights) == 1 else weights[part]
            products = w[:, a] * w[:, b] * share
            out[part] = (products * self.covariance(design, own, a, b, at)).sum(axis=1)
        return out

    def row_draws(
        self, design: Any, draws: Mapping[str, Array], rng: np.random.Generator
    ) -> Array | None:
        """Return draws of each row's effect, (draw, row); None: the graph is evaluated."""
        return None

    def dims(self, design: Any) -> tuple[str, ...]:
        """Return the names that become dimensions of the model."""
        return (design.membership.member.name,)

    def elements(self, design: Any) -> dict[str, tuple[tuple[str, ...], ...]]:
        """Return the names along each axis of vectors of parameters, by variable name."""
        return {}

    def correlation_priors(self, design: Any) -> dict[str, float]:
        """Return the LKJ shape of correlations by variable name."""
        return {}

    def derived(self, design: Any, posterior: Any) -> dict[str, Any]:
        """Return variables that follow from draws and are kept with them, by name."""
        return {}

    @abstractmethod
    def roles(self, design: Any, label: str) -> dict[str, Any]:
        """Return what each variable means."""

    def varying_columns(self, design: Any) -> tuple[str, ...]:
        """Return the columns whose coefficients vary."""
        return ()

    def notes(self, design: Any) -> tuple[str, ...]:
        """Return what a reader of the summary should know."""
        return ()

    def cautions(self, design: Any) -> tuple[str, ...]:
        """Return what may mislead in the fitted table, a sentence each."""
        return ()


def same(*breaks_and_length: Any) -> tuple[Array, Array]:
    """Return all ordered pairs of places without a break between them.

    Parameters
    ----------
    *breaks_and_length : ndarray of int, ..., int
        Places after which a run ends, and the number of places.

    Examples
    --------
    >>> a, b = same(np.array([1]), 3)
    >>> a.tolist(), b.tolist()
    ([0, 0, 1, 1, 2], [0, 1, 0, 1, 2])
    """
    *breaks, length = breaks_and_length
    ends = np.unique(np.concatenate([*breaks, [length - 1]])).astype(np.int64) + 1
    starts = np.concatenate([[0], ends[:-1]])
    size = np.repeat(ends - starts, ends - starts)
    a = np.repeat(np.arange(length), size)
    first = np.repeat(np.repeat(starts, ends - starts), size)
    within = np.arange(len(a)) - np.repeat(np.cumsum(size) - size, size)
    return a, first + within
