"""The page for users of wide tables runs, block by block, and its models are what it says."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import pymc_mlm as mlm

PAGE = Path(__file__).parents[2] / "docs" / "migrating_from_mm.md"


@pytest.fixture(scope="module")
def names():
    found: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.DataWarning)
        for block in re.findall("```python\n(.*?)```", PAGE.read_text(), re.DOTALL):
            exec(block, found)
    return found


def test_every_model_of_the_page_is_built(names):
    assert {rv.name for rv in names["by_hand"].free_RVs} >= {"Intercept", "member_effect"}
    assert names["model"].formula == "score ~ prior"


def test_padding_of_the_page_has_no_row(names):
    wide, long = names["wide"], names["long"]
    assert len(long) == 2 * len(wide) - (wide["w2"] == 0).sum()


def test_a_sum_of_members_has_weight_one_each(names):
    term = names["model"].terms[0]
    np.testing.assert_array_equal(term.resolve(names["rows"]).incidence.toarray().sum(axis=1), 2.0)
