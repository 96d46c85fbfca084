"""Scale of the default priors: what the fixed part of a model leaves of its outcome."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pymc_mlm.data.population import PopulationDesign
from pymc_mlm.families import AbstractFamily, OutcomeScale
from pymc_mlm.terms import Population


def outcome_scale(
    family: AbstractFamily,
    outcome: Mapping[str, np.ndarray],
    population: Population,
    design: PopulationDesign,
) -> OutcomeScale:
    """Return the scale of the linear predictor without its fixed part.

    Parameters
    ----------
    family : AbstractFamily
        Family.
    outcome : mapping of str to ndarray, shape (row,)
        Outcome by role.
    population : Population
        Population part.
    design : PopulationDesign
        Its design.

    Returns
    -------
    OutcomeScale
        Measured from zero where neither an intercept nor other columns give a level.
    """
    scale = family.scale(outcome, design.offset)
    return scale if population.has_level(design) else scale.from_zero
