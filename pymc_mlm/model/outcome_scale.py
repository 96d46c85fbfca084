"""Scale of the default priors: what the fixed part of a model leaves of its outcome."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pymc_mlm.data.population import PopulationDesign
from pymc_mlm.data.row_weights import repeats
from pymc_mlm.families import ROW_WEIGHT, AbstractFamily, OutcomeScale
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
    values, offset = {k: v for k, v in outcome.items() if k != ROW_WEIGHT}, design.offset
    if design.counts is not None:
        times = repeats(design.counts)
        offset = np.repeat(offset, times)
        values = {k: v if k in family.constants else np.repeat(v, times) for k, v in values.items()}
    scale = family.scale(values, offset)
    return scale if population.has_level(design) else scale.from_zero
