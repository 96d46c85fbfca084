"""The exponential of compiled loops is that of NumPy, computed for several numbers at once."""

import numba
import numpy as np
import pytest

from pymc_mlm.codegen.exponential import exp


@numba.njit(error_model="numpy")
def exp_all(x, out):
    for i in range(len(x)):
        out[i] = exp(x[i])


def exponentials(x):
    out = np.empty_like(x)
    exp_all(x, out)
    return out


def test_it_is_that_of_numpy(rng):
    x = np.concatenate([np.linspace(-707.9, 709.78, 200_001), rng.normal(size=10_000)])
    assert np.abs(exponentials(x) / np.exp(x) - 1).max() <= 3e-16


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (np.inf, np.inf), (710.0, np.inf), (709.79, np.inf), (1e300, np.inf), (-np.inf, 0.0),
        (-709.0, 0.0), (-1e300, 0.0), (0.0, 1.0), (-0.0, 1.0), (np.nan, np.nan),
    ],
)  # fmt: skip
def test_ends_of_its_range(x, expected):
    assert np.array_equal(exponentials(np.array([x])), [expected], equal_nan=True)


def test_it_is_vectorised():
    exponentials(np.zeros(3))
    [text] = exp_all.inspect_llvm().values()
    assert "x double>" in text
