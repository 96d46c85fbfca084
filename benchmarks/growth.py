"""Processor seconds against rows and against units, and the slopes of their logarithms.

Usage: python benchmarks/growth.py [--most ROWS]. Binary memberships with softmax weights, by
Laplace's method with 4 x 250 draws, one thread; a small fit comes first, so that imports are paid
for. Rows: 10 thousand to 5 million memberships, 50 of each member. Units: 100 to 100,000 members of
the same number of memberships. Sizes above --most rows (default 100,000) are left out.
"""

import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd
from laplace import memberships, timed

ROWS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 5_000_000)
UNITS = (100, 1_000, 10_000, 100_000)
ROWS_OF_UNITS = 100_000
MOST = 100_000


def seconds(rows, members=None):
    """Return processor seconds of a fit, or what was said instead."""
    table, model = memberships(rows, np.random.default_rng(1), members=members)
    try:
        return timed(model, pd.DataFrame(table), path="laplace")[1]
    except ValueError as error:
        return str(error)


def slope(sizes, times):
    """Return the slope of log seconds by log size, of the sizes that have seconds."""
    pairs = [(s, t) for s, t in zip(sizes, times, strict=True) if not isinstance(t, str)]
    return np.polyfit(*np.log(pairs).T, 1)[0] if len(pairs) > 1 else np.nan


def measured(what, sizes, run):
    times = []
    for size in sizes:
        times.append(run(size))
        text = times[-1] if isinstance(times[-1], str) else f"{times[-1]:.1f} s"
        print(f"{size:,} {what}: {text}", flush=True)
    print(f"slope in {what}: {slope(sizes, times):.2f}", flush=True)


def main(most):
    seconds(500)
    measured("rows", [n for n in ROWS if n <= most], seconds)
    measured("units", UNITS, lambda members: seconds(min(ROWS_OF_UNITS, most), members))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[given.index("--most") + 1]) if "--most" in given else MOST)
