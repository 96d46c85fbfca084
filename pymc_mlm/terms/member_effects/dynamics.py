"""Effects of members that change over time: what random walk and autoregression share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt

from pymc_mlm.data.checks import as_numbers
from pymc_mlm.data.factor import UNKNOWN, Factor
from pymc_mlm.data.membership import Membership
from pymc_mlm.distributions.chain_normal import ChainNormal, steps
from pymc_mlm.distributions.informed_chain import InformedChain, informed_steps
from pymc_mlm.errors import SpecificationError
from pymc_mlm.terms.base import add_coords, data
from pymc_mlm.terms.member_effects.base import AbstractMemberEffects, Array, Entries
from pymc_mlm.terms.member_effects.paths import Paths, draw_places, draw_unknown, read_paths
from pymc_mlm.terms.role import Role
from pymc_mlm.terms.varying import Given, score_given


class AbstractDynamics(AbstractMemberEffects, ABC):
    """Effects along time, each given the one before."""

    time: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The column of times."""
        return (self.time,)

    @property
    def is_counted(self) -> bool:
        """Whether each participation is one step, whatever its time."""
        return False

    def resolve(
        self,
        table: Mapping[str, Array],
        membership: Membership,
        group: Factor,
        known: Any,
        levels: Mapping[str, Any],
    ) -> Paths:
        """Read the members' times."""
        rows = membership.rows
        times = as_numbers(self.time, table[self.time][rows], rows)
        paths = read_paths(self.time, times, membership, known)
        self.check(paths, membership, group)
        return paths

    @abstractmethod
    def check(self, paths: Paths, membership: Membership, group: Factor) -> None:
        """Refuse times that the distribution has no place for.

        Raises
        ------
        DataError
        """

    @abstractmethod
    def parameters(self, design: Any, priors: Mapping[str, Any]) -> Mapping[str, Any]:
        """Add the parameters to the current model; return them by their short names."""

    @abstractmethod
    def scales(self, paths: Paths, parameters: Mapping[str, Any], arrays: Any) -> tuple[Any, Any]:
        """Return factor and standard deviation of each place given the one before, as graphs.

        Parameters
        ----------
        paths : Paths
        parameters : mapping of str to TensorVariable
            By their short names.
        arrays : callable
            From a name and an array to a tensor.
        """

    @abstractmethod
    def root(
        self, paths: Paths, parameters: Mapping[str, Any], later: Array, earlier: Array
    ) -> Any:
        """Return the effect of a standard normal step on a later value, as a graph, (pair,)."""

    @abstractmethod
    def given_before(self, parameters: Mapping[str, Array], gap: float) -> tuple[Any, Any]:
        """Return factor and variance of a value given the one a gap before, (draw,)."""

    @abstractmethod
    def first_variance(self, parameters: Mapping[str, Array]) -> Array:
        """Return the variance of a member's first value, (draw,)."""

    @property
    @abstractmethod
    def labels(self) -> Mapping[str, str]:
        """Words for each parameter in reports, by its short name."""

    def graph(
        self, design: Any, priors: Mapping[str, Any], information: Any, given: Sequence[Given]
    ) -> tuple[Any, Any]:
        """Add parameters and effects, one per member and time."""
        name, paths = design.name, design.effects
        if (paths.place >= len(paths.member)).any() or (paths.place == UNKNOWN).any():
            raise SpecificationError(
                f"[{name}]: the table holds members at times that were not fitted, which have no "
                "place in a graph. Use predict() of the estimator, which draws them given the "
                "fitted ones."
            )
        dim = self.dims(design)[0]
        labels = design.membership.member.labels
        pairs = zip(paths.member, paths.time, strict=True)
        add_coords({dim: [f"{labels[m]}, {t:.15g}" for m, t in pairs]})
        parameters = self.parameters(design, priors)
        phi, sd = self.scales(paths, parameters, lambda n, x: data(f"{name}_{n}", x))
        if information is None:
            effects = ChainNormal(f"{name}_effect", phi, sd, dims=dim, transform=steps)
        else:
            score = score_given(information, [part for part in given if not part.is_effect])
            precision = pytensor.shared(information.precision)
            effects = InformedChain(
                f"{name}_effect", phi, sd, score, precision, dims=dim, transform=informed_steps
            )
        return effects, data(f"{name}_place", paths.place)

    def entries(self, design: Any) -> Entries:
        """Return the steps of each row's value, up to its time."""
        paths, model = design.effects, pm.modelcontext(None)
        parameters = {n: model[f"{design.name}_{n}"] for n in self.labels}
        later, earlier = paths.pairs_before()
        values = self.root(paths, parameters, later, earlier)
        count = len(paths.member)
        root = pt.set_subtensor(pt.zeros((count, count))[later, earlier], values)
        # Entries of each row: those of its place.
        size = np.bincount(later, minlength=count)
        starts = np.cumsum(size) - size
        n = size[paths.place]
        rows = np.repeat(np.arange(len(n)), n)
        at = np.repeat(starts[paths.place] - (np.cumsum(n) - n), n) + np.arange(n.sum())
        return Entries(rows, earlier[at], values[at], (count,), root)

    def row_draws(self, design: Any, draws: Mapping[str, Array], rng: np.random.Generator) -> Array:
        """Return each row's effect; at new times given the fitted ones."""
        name, paths = design.name, design.effects
        own = {n: draws[f"{name}_{n}"] for n in self.labels}
        fitted = draws[f"{name}_effect"]
        start = self.first_variance(own)
        values = draw_places(
            paths, fitted, start, lambda gap: self.given_before(own, gap), self.is_counted, rng
        )
        out = values[:, paths.place]
        for row in np.flatnonzero(paths.place == UNKNOWN).tolist():
            out[:, row] = draw_unknown(paths, fitted, row, rng)
        return out

    def dims(self, design: Any) -> tuple[str, ...]:
        """Return the dimension of members and times."""
        return (f"{design.name}_at_{self.time}",)

    def roles(self, design: Any, label: str) -> dict[str, Any]:
        """Effects and parameters."""
        roles = {f"{design.name}_effect": Role("effect", None, label)}
        for short, words in self.labels.items():
            roles[f"{design.name}_{short}"] = Role("sd", words, label)
        return roles
