"""Where the sampler starts in a large table: at the mode, in units of posterior deviations.

The step size that suits parameters of unknown scales is that of the smallest. In a table of
100,000 memberships two thirds of the steps of the warm-up went into its first tenth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.paths.approximation import Approximation, approximate, obstacle

Array = np.ndarray[Any, Any]

# Rows from which the search for a mode is worth its second.
MANY_ROWS = 20_000
# Warm-up draws from there. With 100,000 memberships the effective sizes are those of 300.
TUNE = 150


@dataclass(frozen=True, eq=False)
class NearStart:
    """Where to start, and in which units to step.

    Attributes
    ----------
    values : mapping of str to ndarray
        By variable, in the units of the variable.
    scales : mapping of str to ndarray
        Standard deviations of the hyperparameters, in the sampler's coordinates.
    """

    values: Mapping[str, Array]
    scales: Mapping[str, Array]


def near_start(found: Approximation) -> NearStart:
    """Return the start that an approximation knows: its mode, and the effects' mean there."""
    model, point = found.density.model, found.mode.point
    effects = found.density.at(point)[1]
    values = model.draw(point, (effects.mode + effects.shift)[:, None])
    values = {n: v[0] if n in model.effects else v for n, v in values.items()}
    ends = np.cumsum([int(np.prod(shape)) for shape in model.shapes])
    parts = np.split(np.sqrt(np.diagonal(found.mode.covariance)), ends[:-1])
    shaped = zip(model.names, parts, model.shapes, strict=True)
    return NearStart(values, {name: sd.reshape(shape) for name, sd, shape in shaped})


def start_of_many_rows(spec: Any, design: Any) -> NearStart | None:
    """Return a start for a large table; None for others, and where there is no approximation."""
    if getattr(design, "num_rows", 0) < MANY_ROWS or obstacle(spec, design) is not None:
        return None
    return informed_start(spec, design)


def informed_start(spec: Any, design: Any) -> NearStart | None:
    """Return a start with scales in the sampler's coordinates; None without an approximation."""
    try:
        return near_start(approximate(spec, design, informed=True))
    except IntegrationError:
        return None
