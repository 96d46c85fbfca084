"""Thresholds that hold the type I error of a design."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pymc_mlm.decisions.thresholds import check_alpha
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.nulls import null_designs
from pymc_mlm.planning.operating_characteristics import method_of, road_of


def calibrate(
    design: TrialDesign,
    alpha: float | None = None,
    method: str = "auto",
    trials: int = 10_000,
    random_seed: Any = None,
) -> TrialDesign:
    """Return the design with the smallest threshold that holds the type I error.

    Parameters
    ----------
    design : TrialDesign
        Any rule but `Custom`.
    alpha : float, optional
        Largest type I error over the nulls of `operating_characteristics`; the design's by
        default.
    method, trials, random_seed
        As in `operating_characteristics`, without refits.

    Returns
    -------
    TrialDesign
        A copy with `threshold` and `alpha` set; ask its `operating_characteristics` for the error
        that it attains.

    Examples
    --------
    >>> design = TrialDesign({"old": (0.5,), "new": (0.6,)}, per_arm=100)
    >>> round(calibrate(design, 0.05).threshold, 4)
    0.9545
    """
    level = design.alpha if alpha is None else alpha
    check_alpha(level)
    method = method_of(design, method)
    rng = np.random.default_rng(random_seed)
    roads = [road_of(null, method, trials, rng) for null in null_designs(design)]
    low, high = 0.5, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        held = max(float(road(middle)[-1]) for road in roads) <= level
        low, high = (low, middle) if held else (middle, high)
    return replace(design, threshold=high, alpha=level)
