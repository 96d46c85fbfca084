"""Wrong arguments are refused by the package's own errors; a fit is whole before it warns."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.errors import SpecificationError
from pymc_mlm.inference import as_seed
from pymc_mlm.reporting.diagnostics import Diagnostics
from pymc_mlm.reporting.summary import check_kinds, check_probability
from tests.mocked import PriorDraws

MODELS = {
    "membership": lambda: mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u")),
    "nested": lambda: mlm.NestedVaryingEffects("y ~ 1 + x", ["region"]),
    "trial": lambda: mlm.MultivariateLogitTrial(["a", "b"], arm="arm", control="c"),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_parameters_of_a_model_make_the_model_again(model):
    first = model()
    again = type(first)(**first.get_params())
    assert again.get_params() == first.get_params()
    assert "priors" in first.get_params()
    assert "priors_given" not in repr(first)
    assert first.set_params(priors={}).get_params()["priors"] == {}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_refused_change_of_parameters_changes_nothing(model):
    first = model()
    before = first.get_params()
    with pytest.raises(SpecificationError):
        first.set_params(no_such_argument=1)
    assert first.get_params() == before


@pytest.mark.parametrize("value", [95, 0, 1, -0.1, float("nan"), "0.9", None, True])
def test_a_probability_is_between_0_and_1(value):
    with pytest.raises(SpecificationError, match="ci_prob"):
        check_probability(value)


@pytest.mark.parametrize("value", ["sd", ("sds",), (), None, ("sd", 3)])
def test_kinds_are_a_tuple_of_known_kinds(value):
    with pytest.raises(SpecificationError, match="kinds"):
        check_kinds(value)


@pytest.mark.parametrize("value", [2**70, -1, 1.5, True, "seed", b"1", [-1], ["a"], [0.5]])
def test_a_seed_is_a_whole_number_from_0_on(value):
    with pytest.raises(SpecificationError, match="random_seed"):
        as_seed(value)


@pytest.mark.parametrize("value", [0, 7, 2**40, [1, 2], np.int64(3)])
def test_good_seeds_are_taken(value):
    assert as_seed(value) >= 0


def figures(**changes):
    return Diagnostics(**(dict(max_rhat=1.0, max_rhat_parameter="b", min_ess=4e3,
        min_ess_parameter="b", divergences=0, chains=4, draws=1000) | changes))  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"chains": 1}, "One chain: convergence was not checked"),
        ({"max_rhat": float("nan"), "draws": 3}, "cannot be computed from 3 draws"),
        ({"unchecked": ("beta",)}, "Draws of beta are not finite"),
    ],
)
def test_what_was_not_checked_is_said(changes, words):
    assert not figures().problems()
    assert any(words in problem for problem in figures(**changes).problems())


def test_a_warning_turned_into_an_error_leaves_a_whole_fit():
    data = mlm.datasets.nested_schools(regions=4, schools=12, classes=24, pupils=240)
    model = mlm.NestedVaryingEffects("score ~ 1 + prior", levels=["region", "school"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", mlm.ConvergenceWarning)
        with pytest.raises(mlm.ConvergenceWarning, match="One chain"):
            model.fit(data, draws=20, chains=1, random_seed=1, sampler=PriorDraws())
    assert len(model.effects()) > 0


def test_the_warning_points_at_the_line_of_the_user():
    data = mlm.datasets.nested_schools(regions=4, schools=12, classes=24, pupils=240)
    model = mlm.NestedVaryingEffects("score ~ 1 + prior", levels=["region", "school"])
    with pytest.warns(mlm.ConvergenceWarning) as caught:
        model.fit(data, draws=20, chains=1, random_seed=1, sampler=PriorDraws())
    assert {w.filename for w in caught if w.category is mlm.ConvergenceWarning} == {__file__}
