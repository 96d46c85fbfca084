"""Members whose effects are independent, of one standard deviation: the default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.priors import Prior, create
from pymc_mlm.terms.base import data
from pymc_mlm.terms.member_effects.base import AbstractMemberEffects, Array, Entries
from pymc_mlm.terms.role import Role
from pymc_mlm.terms.unit_block import unit_codes
from pymc_mlm.terms.varying import Given, unit_effects


@dataclass(frozen=True)
class Independent(AbstractMemberEffects):
    r"""Independent effects: :math:`u_k \sim N(0, \sigma^2)`."""

    @property
    def takes_information(self) -> bool:
        """One effect per member."""
        return True

    def default_priors(self, design: Any, scale: float) -> dict[str, Any]:
        """Half-normal, so that what members give to their groups has the scale of the outcome."""
        return {f"{design.name}_sd": sd_prior(scale, design.mean_squared_weight)}

    def graph(
        self, design: Any, priors: Mapping[str, Any], information: Any, given: Sequence[Given]
    ) -> tuple[Any, Any]:
        """Add standard deviation and effects."""
        name, member = design.name, design.membership.member
        sd = create(priors[f"{name}_sd"], f"{name}_sd", positive=True)
        effects = unit_effects(name, member, sd, information, given)
        return effects, data(f"{name}_member", unit_codes(member))

    def entries(self, design: Any) -> Entries:
        """One entry per row: the standard deviation."""
        m, sd = design.membership, pm.modelcontext(None)[f"{design.name}_sd"]
        rows = np.arange(len(m.group))
        return Entries(rows, m.member.codes, sd * pt.ones(len(rows)), (len(m.member),), sd)

    def covariance(
        self, design: Any, draws: Mapping[str, Array], a: Array, b: Array, at: Mapping[str, float]
    ) -> Array:
        """Return the squared standard deviation: pairs are of one member."""
        return np.asarray(draws[f"{design.name}_sd"][:, None] ** 2)

    def roles(self, design: Any, label: str) -> dict[str, Any]:
        """Effects and their standard deviation."""
        name = design.name
        return {
            f"{name}_effect": Role("effect", None, label),
            f"{name}_sd": Role("sd", "sd", label),
        }


def sd_prior(scale: float, mean_squared: float) -> Prior:
    """Return a half-normal prior under which a group's sum has the scale of the outcome.

    Parameters
    ----------
    scale : float
        Spread of the linear predictor.
    mean_squared : float
        Mean over groups of their variance where the standard deviation is one.
    """
    return Prior("HalfNormal", sigma=float(2.5 * scale / np.sqrt(mean_squared or 1.0)))
