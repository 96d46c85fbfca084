"""Shares of variance, where a residual variance is infinite."""

import numpy as np

from pymc_mlm.reporting.variance import decomposition_table, share_table, shares_of

PARTS = {"school": np.array([1.0, 3.0, 2.0]), "residual": np.array([3.0, 1.0, np.inf])}


def test_infinite_variance_has_all_of_it():
    shares = shares_of(PARTS)
    np.testing.assert_allclose(shares["school"], [0.25, 0.75, 0.0])
    np.testing.assert_allclose(shares["residual"], [0.75, 0.25, 1.0])


def test_table_says_so_in_a_note():
    school = {"school": PARTS["school"]}
    table = decomposition_table("t", school, PARTS["residual"], ["note"])
    assert np.isfinite(table.frame["share"]).all()
    assert "In 1 of 3 draws the residual variance is infinite" in table.notes[-1]
    finite = decomposition_table("t", school, np.ones(3), ["note"])
    assert "infinite" not in " ".join(finite.notes)


def test_shares_along_a_covariate_are_finite_too():
    parts = {name: values[:, None] for name, values in PARTS.items()}
    frame = share_table(parts, "x", [0.0])
    np.testing.assert_allclose(frame["share"].to_numpy(), [1 / 3, 2 / 3])
