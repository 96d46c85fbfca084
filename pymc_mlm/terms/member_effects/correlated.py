r"""Members whose effects are correlated by a matrix: what a covariance and graphs share.

All of them are :math:`u = F (d \circ z)` with z standard normal, F a matrix that the labels fix,
and d a vector that parameters give.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.data.column_scale import mean
from pymc_mlm.data.factor import UNKNOWN, Factor, encode
from pymc_mlm.data.labelled_matrix import LabelledMatrix
from pymc_mlm.data.membership import Membership
from pymc_mlm.data.values import objects, show
from pymc_mlm.distributions.rooted_normal import RootedNormal, rooted
from pymc_mlm.errors import DataError
from pymc_mlm.priors import Prior, create
from pymc_mlm.terms.base import add_coords, data
from pymc_mlm.terms.member_effects.base import AbstractMemberEffects, Array, Entries, same
from pymc_mlm.terms.member_effects.independent import sd_prior
from pymc_mlm.terms.role import Role
from pymc_mlm.terms.unit_block import unit_codes
from pymc_mlm.terms.varying import Given


@dataclass(frozen=True, eq=False)
class Root:
    """How effects are made of standard normal variables.

    Attributes
    ----------
    F : ndarray, shape (member, z)
    inverse : ndarray, shape (z, member)
    log_volume : float
        Half the log determinant of F'F.
    spectrum : ndarray, shape (z,)
        What d depends on beside the parameters.
    """

    F: Array
    inverse: Array
    log_volume: float
    spectrum: Array


class AbstractCorrelated(AbstractMemberEffects, ABC):
    """Effects correlated by a matrix over the members."""

    matrix: Any

    @abstractmethod
    def root(self) -> Root:
        """Return how effects are made of standard normal variables."""

    @property
    @abstractmethod
    def mixing(self) -> str | None:
        """Short name of the parameter between zero and one, if there is one."""

    @abstractmethod
    def scale(self, spectrum: Any, sd: Any, mixing: Any) -> Any:
        """Return d, in NumPy or as a graph.

        Parameters
        ----------
        spectrum : shape (z,)
        sd, mixing : shape () or (draw, 1)
        """

    @property
    def labelled(self) -> LabelledMatrix:
        """The matrix, as it was read."""
        found: LabelledMatrix = self.matrix
        return found

    def members(
        self, name: str, ids: Array, known: Factor | None, unseen: str, missing: str
    ) -> Factor:
        """Number the members as in the matrix; those without rows are members, too.

        Raises
        ------
        DataError
            A member is not in the matrix.
        """
        labels = objects(list(self.labelled.labels))
        own = Factor(name, labels, np.zeros(0, dtype=np.int64), len(labels))
        found = encode(name, ids, own, "new", missing)
        if len(found.new_labels):
            raise DataError(
                f"{name!r}={show(found.new_labels[0])} is not in the matrix of the "
                f"{len(labels)} members whose effects are correlated, so that nothing is known of "
                "its relation to them. Add it to the matrix (members without rows may be there), "
                "or drop its rows."
            )
        return found

    def resolve(
        self,
        table: Mapping[str, Array],
        membership: Membership,
        group: Factor,
        known: Any,
        levels: Mapping[str, Any],
    ) -> Root:
        """Return the root, once for a fitted table."""
        return self.root() if known is None else known

    def default_priors(self, design: Any, scale: float) -> dict[str, Any]:
        """Half-normal, so that what members give to their groups has the scale of the outcome."""
        W = design.incidence @ design.effects.F
        name, mean = design.name, float((W**2).sum(axis=1).mean())
        priors = {f"{name}_sd": sd_prior(scale, mean)}
        if self.mixing:
            priors[f"{name}_{self.mixing}"] = Prior("Uniform", lower=0.0, upper=1.0)
        return priors

    def graph(
        self, design: Any, priors: Mapping[str, Any], information: Any, given: Sequence[Given]
    ) -> tuple[Any, Any]:
        """Add parameters and effects."""
        name, member, own = design.name, design.membership.member, design.effects
        add_coords({member.name: member.labels})
        sd = create(priors[f"{name}_sd"], f"{name}_sd", positive=True)
        mixing = None
        if self.mixing:
            full = f"{name}_{self.mixing}"
            mixing = create(priors[full], full, positive=True, most=1.0)
        effects = RootedNormal(
            f"{name}_effect",
            self.scale(data(f"{name}_spectrum", own.spectrum), sd, mixing),
            data(f"{name}_root", own.F),
            data(f"{name}_inverse", own.inverse),
            data(f"{name}_log_volume", np.array(own.log_volume)),
            dims=member.name,
            transform=rooted,
        )
        unknown = int((member.codes == UNKNOWN).sum())
        if unknown:
            last = len(member) - 1
            which = pm.DiscreteUniform(f"{name}_unknown", lower=0, upper=last, shape=unknown)
            effects = pt.concatenate([effects, effects[which]])
        return effects, data(f"{name}_member", unit_codes(member))

    def entries(self, design: Any) -> Entries:
        """Return the rows of the root of each row's member."""
        model, name, own = pm.modelcontext(None), design.name, design.effects
        mixing = model[f"{name}_{self.mixing}"] if self.mixing else None
        d = self.scale(pt.as_tensor(own.spectrum), model[f"{name}_sd"], mixing)
        codes, F = design.membership.member.codes, own.F
        rows, columns = np.nonzero(F[codes])
        factors = F[codes[rows], columns] * d[columns]
        return Entries(rows, columns, factors, (F.shape[1],), F * d, len(F))

    def pairs(self, membership: Membership) -> tuple[Array, Array]:
        """Return all pairs of rows of a group."""
        return same(np.flatnonzero(np.diff(membership.group) != 0), len(membership.group))

    def covariance(
        self, design: Any, draws: Mapping[str, Array], a: Array, b: Array, at: Mapping[str, float]
    ) -> Array:
        """Return F diag(d^2) F' at the members of both rows."""
        F = design.effects.F[design.membership.member.codes]
        return np.asarray(self._squares(design, draws) @ (F[a] * F[b]).T)

    def variance(
        self,
        design: Any,
        draws: Mapping[str, Array],
        weights: Array,
        at: Mapping[str, float],
    ) -> Array:
        """Return the same as for all distributions, without pairs of rows."""
        from scipy.sparse import csr_array

        m, squares = design.membership, self._squares(design, draws)
        F = design.effects.F
        shape = m.num_groups, len(F)
        means = np.stack([
            mean((csr_array((w, m.member.codes, m.indptr), shape=shape) @ F) ** 2, design.counts)
            for w in weights
        ])  # fmt: skip
        return np.asarray((squares * means).sum(axis=1))

    def _squares(self, design: Any, draws: Mapping[str, Array]) -> Array:
        name = design.name
        mixing = draws[f"{name}_{self.mixing}"][:, None] if self.mixing else None
        return np.asarray(
            self.scale(design.effects.spectrum, draws[f"{name}_sd"][:, None], mixing) ** 2
        )

    def notes(self, design: Any) -> tuple[str, ...]:
        """Count the members without rows."""
        member = design.membership.member
        without = len(member) - len(np.unique(member.codes))
        if not without:
            return ()
        return (
            f"[{design.name}] {without} of {len(member)} members of the matrix have no rows: their "
            "effects are those given the others'",
        )

    def roles(self, design: Any, label: str) -> dict[str, Any]:
        """Effects and parameters."""
        name = design.name
        roles = {
            f"{name}_effect": Role("effect", None, label),
            f"{name}_sd": Role("sd", "sd", label),
        }
        if self.mixing:
            roles[f"{name}_{self.mixing}"] = Role("sd", self.mixing, label)
        return roles
