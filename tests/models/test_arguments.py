"""Wrong arguments are refused by the package's own errors; a fit is whole before it warns."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.errors import SpecificationError
from pymc_mlm.inference import as_seed
from pymc_mlm.intervals import check_probability
from pymc_mlm.reporting.diagnostics import Diagnostics
from pymc_mlm.reporting.summary import check_kinds
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


@pytest.mark.parametrize("made", [
    lambda p: mlm.mm("a", "b", priors=p), lambda p: mlm.hm("a", priors=p),
    lambda p: mlm.nested(["a"], priors=p),
    lambda p: mlm.MultipleMembershipModel("y ~ 1", priors=p),
    lambda p: mlm.NestedVaryingEffects("y ~ 1", ["a"], priors=p),
    lambda p: mlm.MultivariateLogitTrial(["a", "b"], arm="c", control=0, priors=p),
])  # fmt: skip
@pytest.mark.parametrize("priors", [["b ~ dnorm(0, 1)"], "sd", {"sd": 2.0}, 3])
def test_priors_are_a_mapping_of_priors(made, priors):
    with pytest.raises(SpecificationError, match="prior"):
        made(priors)


@dataclass(frozen=True)
class Kept(PriorDraws):
    """Keeps the acceptance rate that it was given by default."""

    target_accept: float | None = None

    def with_default(self, target_accept):
        RATES.append(self.target_accept or target_accept)
        return self


RATES: list[float] = []


def test_other_settings_of_a_sampler_leave_the_acceptance_rate_of_the_model():
    for sampler in (mlm.Nutpie(cores=1), mlm.PymcNuts(cores=1), mlm.Nutpie()):
        assert sampler.with_default(0.8) == replace(sampler, target_accept=0.8)
        assert sampler.with_default(0.8).with_default(0.9).target_accept == 0.8
    table = {"y": [0.1, 0.2, 0.4, 0.3], "u": [1, 1, 2, 2]}
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u"))
    with pytest.warns(UserWarning):
        model.fit(table, draws=20, chains=2, random_seed=1, sampler=Kept())
    assert RATES == [0.8]


def test_the_reference_of_fixed_effects_is_a_row_of_their_table():
    table = {"y": np.arange(8.0) ** 1.5, "u": list("aabbccdd")}
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u", effect="fixed"))
    with pytest.warns(mlm.ConvergenceWarning):
        model.fit(table, draws=20, chains=2, random_seed=1, sampler=PriorDraws())
    effects = model.effects()
    assert effects.index.name == "u"
    assert sorted(effects.index) == list("abcd")
    assert effects.loc["a", ["mean", "sd"]].tolist() == [0.0, 0.0]
    model.plot("effects")
