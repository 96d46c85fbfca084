"""Memory and reproducibility of `draw_effects`; its moments are in `test_nested_gaussian`."""

import tracemalloc

import numpy as np
import pytest

from pymc_mlm.ops import nested_gaussian_draws
from pymc_mlm.ops.nested_gaussian import NestedStatistics
from pymc_mlm.ops.nested_gaussian_draws import draw_effects

SIZES = np.array([4, 2_000])


@pytest.fixture
def draws(rng):
    """Parameters of 1,000 draws, in the order of the arguments."""
    return (
        rng.normal(size=(1_000, 2)),
        rng.uniform(0.5, 1.0, (1_000, 2, 2)),
        rng.uniform(-0.5, 0.5, (1_000, 2, 1)),
        rng.uniform(0.5, 1.0, 1_000),
    )


@pytest.fixture
def statistics(rng):
    x = np.stack([np.ones((SIZES[1], 5)), rng.normal(size=(SIZES[1], 5))], axis=-1)
    return NestedStatistics(
        xx=x.mT @ x,
        xy=(x.mT @ rng.normal(size=(SIZES[1], 5, 1)))[..., 0],
        yy=5.0 * SIZES[1],
        n=5.0 * SIZES[1],
        center=np.zeros(2),
        varying=np.array([0, 1]),
        parent=np.r_[np.full(4, -1), rng.integers(0, 4, SIZES[1])],
        sizes=SIZES,
    )


def test_the_length_of_a_chunk_does_not_change_the_draws(draws, statistics, monkeypatch):
    whole = draw_effects(*draws, statistics, np.random.default_rng(3))
    monkeypatch.setattr(nested_gaussian_draws, "CHUNK_NUMBERS", 7 * 2 * SIZES.sum())
    parts = draw_effects(*draws, statistics, np.random.default_rng(3))
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_columns_that_do_not_vary_at_a_level_are_left_out(draws, statistics):
    varies = np.array([[True, False], [True, True]])
    all_columns = draw_effects(*draws, statistics, np.random.default_rng(3))
    some = draw_effects(*draws, statistics, np.random.default_rng(3), varies)
    np.testing.assert_array_equal(some[0], all_columns[0][..., :1])
    np.testing.assert_array_equal(some[1], all_columns[1])


def test_memory_beside_the_result_is_that_of_a_chunk(draws, statistics):
    draw_effects(*(x[:2] for x in draws), statistics, np.random.default_rng(3))  # compiles
    tracemalloc.start()
    effects = draw_effects(*draws, statistics, np.random.default_rng(3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A chunk of normals and the part of it that is kept, 4 MB each; the result is 32 MB.
    assert peak - sum(level.nbytes for level in effects) < 10e6
