"""Laws of the response patterns."""

import numpy as np
import pytest

from pymc_mlm.data.cells import (
    cell_labels,
    cells,
    logit_basis,
    predictor_labels,
    response_patterns,
)
from pymc_mlm.errors import SpecificationError


def test_cells_of_two_outcomes_run_as_in_bmco():
    assert cell_labels(2) == ("11", "10", "01", "00")


@pytest.mark.parametrize("num_outcomes", [1, 2, 3, 6])
def test_every_pattern_occurs_once_and_the_reference_is_last(num_outcomes):
    table = cells(num_outcomes)
    assert len({tuple(row) for row in table.tolist()}) == 2**num_outcomes
    assert not table[-1].any()


def test_a_full_row_is_a_pattern_with_its_own_cell():
    pattern, compatible = response_patterns(cells(3))
    np.testing.assert_array_equal(pattern, np.arange(8))
    np.testing.assert_array_equal(compatible, np.eye(8, dtype=bool))


def test_a_missing_outcome_allows_both_of_its_values():
    pattern, compatible = response_patterns([[1, np.nan], [np.nan, 0], [np.nan, np.nan], [0, 1]])
    np.testing.assert_array_equal(
        compatible[pattern], [[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 1, 0]]
    )


def test_patterns_agree_with_a_search_over_cells(rng):
    outcomes = rng.integers(0, 2, size=(200, 4)).astype(float)
    outcomes[rng.random(outcomes.shape) < 0.3] = np.nan
    pattern, compatible = response_patterns(outcomes)
    allowed = (outcomes[:, None] == cells(4)) | np.isnan(outcomes[:, None])
    np.testing.assert_array_equal(compatible[pattern], allowed.all(axis=2))


def test_pairwise_spans_the_saturated_model_of_two_outcomes():
    assert np.linalg.matrix_rank(logit_basis(2, "pairwise")) == logit_basis(2).shape[1] == 3


def test_the_three_bases_agree_for_one_outcome():
    for dependence in ("saturated", "pairwise", "independent"):
        np.testing.assert_array_equal(logit_basis(1, dependence), [[1.0]])


def test_independent_logits_make_independent_outcomes(rng):
    log_odds = rng.normal(size=3)
    weight = np.exp(np.append(logit_basis(3, "independent") @ log_odds, 0.0))
    p = 1 / (1 + np.exp(-log_odds))
    product = np.prod(np.where(cells(3) == 1, p, 1 - p), axis=1)
    np.testing.assert_allclose(weight / weight.sum(), product, rtol=1e-12)


def test_a_pair_is_the_conditional_log_odds_ratio(rng):
    predictor = rng.normal(size=6)
    psi = dict(
        zip(cell_labels(3), np.append(logit_basis(3, "pairwise") @ predictor, 0.0), strict=True)
    )
    log_odds_ratio = psi["110"] - psi["100"] - psi["010"] + psi["000"]
    names = predictor_labels(["a", "b", "c"], "pairwise")
    assert names == ("a", "b", "c", "a:b", "a:c", "b:c")
    np.testing.assert_allclose(log_odds_ratio, predictor[names.index("a:b")])


def test_too_many_outcomes_for_the_saturated_model_names_pairwise():
    with pytest.raises(SpecificationError, match=r"127 logits.*dependence='pairwise'.*needs 28"):
        logit_basis(7)
    assert logit_basis(7, "pairwise").shape == (127, 28)


def test_an_unknown_dependence_lists_the_known_ones():
    with pytest.raises(SpecificationError, match="'saturated', 'pairwise' or 'independent'"):
        logit_basis(2, "copula")
    with pytest.raises(SpecificationError, match="limit 12 outcomes"):
        logit_basis(13, "independent")
