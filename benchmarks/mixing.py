"""Effective draws of few and many units with little and much data, in every kind of model.

Usage: ``python benchmarks/mixing.py [--kinds hm mm nested crossed] [--families ...]
[--cells 5x10 30x1000 ...] [--others 200]``. A cell is units by rows of a unit, crossed with so many
others (10). One line a cell: smallest effective size of the parameters of 4,000 draws, largest
R-hat, leapfrog steps a draw, seconds.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd

import pymc_mlm as mlm

UNITS = (5, 30, 300, 3000)
ROWS = (1, 10, 100, 1000)
MOST_ROWS = 300_000
KINDS = ("hm", "mm", "nested", "crossed", "nested crossed")
FORMULAS = {
    "gaussian": "y ~ x", "bernoulli": "b ~ x", "poisson": "k ~ x", "weibull": "Surv(t, e) ~ x",
}  # fmt: skip
MEMBERS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--families", nargs="+", default=list(FORMULAS), choices=list(FORMULAS))
    parser.add_argument("--cells", nargs="+", default=[f"{u}x{n}" for u in UNITS for n in ROWS])
    parser.add_argument("--others", type=int, default=10)
    chosen = parser.parse_args()
    print("| kind | family | units x rows | min ESS | max R-hat | steps | divergences | seconds |")
    print("|---|---|---|---:|---:|---:|---:|---:|", flush=True)
    for kind in chosen.kinds:
        for family in chosen.families:
            for cell in chosen.cells:
                units, rows = (int(n) for n in cell.split("x"))
                if units * rows <= MOST_ROWS:
                    print(measured(kind, family, units, rows, chosen.others), flush=True)


def measured(kind: str, family: str, units: int, rows: int, others: int) -> str:
    """Fit one cell and return its line."""
    table, model = table_of(kind, units, rows, others), model_of(kind, family)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(table, random_seed=1, progressbar=False, path="sampled")
    seconds, frame = time.perf_counter() - start, model.summary().frame
    stats = model.result_.idata["sample_stats"]
    return (
        f"| {kind} | {family} | {units} x {rows} | {frame['ess_bulk'].min():.0f} "
        f"({frame['ess_bulk'].idxmin()}) | {frame['r_hat'].max():.3f} | "
        f"{float(stats['n_steps'].mean()):.0f} | {int(stats['diverging'].sum())} | {seconds:.0f} |"
    )


def model_of(kind: str, family: str) -> mlm.MultipleMembershipModel | mlm.NestedVaryingEffects:
    """Return the model; x is age in years."""
    formula = FORMULAS[family]
    if kind == "nested":
        return mlm.NestedVaryingEffects(formula, ["unit"], varying="1", family=family)
    if kind == "nested crossed":
        return mlm.NestedVaryingEffects(
            formula, ["unit"], varying="1", family=family, terms=[mlm.hm("other")]
        )
    terms = {
        "hm": [mlm.hm("unit")], "mm": [mlm.mm("unit", "group")],
        "crossed": [mlm.hm("unit"), mlm.hm("other")],
    }[kind]  # fmt: skip
    return mlm.MultipleMembershipModel(formula, *terms, family=family)


def table_of(kind: str, units: int, rows: int, others: int = 10, seed: int = 7) -> pd.DataFrame:
    """Return a table: effects of sd 0.5, residual sd 1, a covariate in years."""
    rng = np.random.default_rng(seed)
    count = units * rows
    unit = np.repeat(np.arange(units), rows)
    if kind == "mm":
        unit = rng.integers(0, units, (count, MEMBERS))
    u = rng.normal(0.0, 0.5, units)
    x, other = rng.normal(50.0, 12.0, count), np.arange(count) % others
    eta = 0.025 * (x - 50.0) + (u[unit].mean(axis=1) if kind == "mm" else u[unit])
    if "crossed" in kind:
        eta = eta + rng.normal(0.0, 0.5, others)[other]
    t = np.exp(2.0 + eta) * rng.weibull(1.3, count)
    table = {
        "group": np.arange(count), "x": x, "other": other, "y": eta + rng.normal(size=count),
        "b": (rng.random(count) < 1 / (1 + np.exp(-eta))) * 1, "k": rng.poisson(np.exp(1.0 + eta)),
        "t": np.minimum(t, 20.0), "e": (t < 20.0) * 1,
    }  # fmt: skip
    if kind != "mm":
        return pd.DataFrame(table | {"unit": unit})
    long = pd.DataFrame({k: np.repeat(v, MEMBERS) for k, v in table.items()})
    return long.assign(unit=unit.ravel())


if __name__ == "__main__":
    main()
