"""What a path costs, from sizes alone: seconds of one core, right within a factor of three.

Measured with four chains, or one, on tables of 2,000 to 1,000,000 memberships, contests and nested
units (docs/performance.md).
"""

from __future__ import annotations

from typing import Any

from pymc_mlm.inference import Run
from pymc_mlm.paths.near_start import MANY_ROWS, TUNE

# A gradient: seconds a row, where the table fits the cache, and in a long table.
SECONDS_A_ROW, CACHED_ROWS, MOST_SLOWER = 1.5e-8, 1e5, 1.5
STEPS_A_DRAW = 20
SECONDS_TO_COMPILE = 3.0
SECONDS_TO_SEARCH, SECONDS_A_ROW_INTEGRATED = 1.5, 8e-5


def seconds_sampled(design: Any, run: Run) -> float:
    """Return about what NUTS takes for a run.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> round(seconds_sampled(SimpleNamespace(num_rows=10_000), Run()))
    29
    """
    rows = design.num_rows
    slower = 1 + min(rows / CACHED_ROWS, MOST_SLOWER)
    tune = TUNE if run.is_tune_open and rows >= MANY_ROWS else run.tune
    draws = run.chains * (run.draws + tune)
    return SECONDS_TO_COMPILE + draws * STEPS_A_DRAW * SECONDS_A_ROW * rows * slower


def seconds_integrated(design: Any) -> float:
    """Return about what draws take with effects integrated out."""
    return SECONDS_TO_SEARCH + SECONDS_A_ROW_INTEGRATED * design.num_rows
