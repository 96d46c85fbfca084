"""Laws of the coded design: rows may come in parts, and what is coded stays no longer."""

import gc
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from pymc_mlm.data import population
from pymc_mlm.data.formula import parse_formula
from pymc_mlm.data.frame import columns
from pymc_mlm.data.population import population_design, right_hand_columns
from pymc_mlm.errors import DataError

NUM_ROWS = 23


@pytest.fixture
def table(rng):
    return pd.DataFrame(
        {
            "x": rng.random(NUM_ROWS) + 0.5,
            "z": rng.normal(size=NUM_ROWS),
            "k": rng.integers(0, 4, NUM_ROWS),
            "yes": rng.random(NUM_ROWS) < 0.5,
            "c": rng.choice(list("dabc"), NUM_ROWS),
            "odd name": rng.normal(size=NUM_ROWS),
        }
    )


def design(text, table, known=None):
    formula = parse_formula(text)
    return population_design(
        formula, columns(table, right_hand_columns(formula)), len(table), known
    )


FORMULAS = [
    "y ~ 1",
    "y ~ 0 + x",
    "y ~ x * z + k",
    "y ~ yes * x",
    "y ~ log(x):z + {x > 1} + {x**2}",
    "y ~ `odd name` + fix(k, 2)",
    "y ~ c * x",
    "y ~ yes:c + C(k)",
    "y ~ center(x) + scale(z)",
    "y ~ bs(x, df=4):z + poly(z, 2)",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_rows_coded_in_parts_give_the_design_of_all_rows(text, table, monkeypatch):
    whole = design(text, table)
    again = design(text, table[5:20], whole)
    monkeypatch.setattr(population, "CHUNK_ROWS", 4)
    parts = design(text, table)
    assert (parts.names, parts.intercept) == (whole.names, whole.intercept)
    np.testing.assert_array_equal(parts.X, whole.X, strict=True)
    np.testing.assert_array_equal(parts.offset, whole.offset)
    np.testing.assert_array_equal(design(text, table[5:20], parts).X, again.X, strict=True)


def test_formulas_are_coded_in_parts_and_those_with_a_mean_at_once(table, monkeypatch):
    monkeypatch.setattr(population, "CHUNK_ROWS", 4)
    seen = []
    coded = population._materialized
    monkeypatch.setattr(
        population, "_materialized", lambda *given: seen.append(given[2]) or coded(*given)
    )
    # Numbers; categories, which are counted before; a mean of all rows.
    for text, parts in [("y ~ x * yes + log(x)", 6), ("y ~ x + c", 6), ("y ~ center(x)", 1)]:
        seen.clear()
        design(text, table)
        assert len(seen) == parts


def test_a_bad_value_in_a_late_part_is_found(table, monkeypatch):
    monkeypatch.setattr(population, "CHUNK_ROWS", 4)
    table.loc[NUM_ROWS - 1, "x"] = 0.0
    with pytest.raises(DataError, match=r"term 'log\(x\)' is not finite"):
        design("y ~ z + log(x)", table)
    table.loc[NUM_ROWS - 1, "x"] = -1.0
    with pytest.raises(DataError, match=r"term 'log\(x\)' is not finite .* row 22"):
        design("y ~ z + log(x)", table)
    with pytest.raises(DataError, match=r"a category 'new' that the fitted data lacked"):
        design("y ~ c", table.assign(c=[*table["c"][:-1], "new"]), design("y ~ c", table))


def test_a_covariate_with_one_value_is_refused_unless_it_is_known(table):
    known = design("y ~ x + z", table)
    flat = table.assign(z=2.0)
    with pytest.raises(DataError, match="covariate 'z' has one value only"):
        design("y ~ x + z", flat)
    np.testing.assert_array_equal(design("y ~ x + z", flat, known).X[:, 1], 2.0)
    assert design("y ~ 0 + z", flat).names == ("z",)


def test_numbers_need_no_memory_beside_the_design(rng, monkeypatch):
    monkeypatch.setattr(population, "CHUNK_ROWS", 1 << 12)
    table = {name: rng.normal(size=1 << 18) for name in "abc"}
    found, _, peak = traced("y ~ a + b + c", table)
    # The offset, and a flag per row while a column is checked.
    assert peak < found.X.nbytes + found.offset.nbytes + (1 << 18) + (1 << 20)


def test_nothing_but_the_design_is_kept_without_a_garbage_collection(rng):
    table = {"k": rng.integers(0, 9, 1 << 16), "c": rng.choice(["u", "v"], 1 << 16).astype(object)}
    found, kept, _ = traced("y ~ center(k) + c", table)
    assert kept < found.X.nbytes + found.offset.nbytes + (1 << 16)


def traced(text, table):
    """Return a design, and the memory in bytes that stayed and that was needed at most."""
    formula = parse_formula(text)
    length = len(next(iter(table.values())))
    population_design(formula, {k: v[:99] for k, v in table.items()}, 99)  # imports, caches
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        found = population_design(formula, table, length)
        return found, *tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
