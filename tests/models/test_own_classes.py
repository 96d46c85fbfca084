"""Subclasses with another likelihood or effect are not taken for what they derive from."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.families import Bernoulli, Gaussian
from pymc_mlm.paths.fitting import path_of
from pymc_mlm.prediction import linear_predictor_draws, population_draws
from pymc_mlm.terms import Hierarchical
from pymc_mlm.terms.nested import Nested
from tests.mocked import PriorDraws

RUN = {"draws": 50, "chains": 2, "random_seed": 1, "progressbar": False}


@dataclass(frozen=True)
class Complementary(Bernoulli):
    """Events with a complementary log-log link."""

    def likelihood(self, name, eta, outcome, priors, dims):
        p = 1 - pm.math.exp(-pm.math.exp(eta))
        return pm.Bernoulli(name, p=p, observed=outcome["value"], dims=dims)


@dataclass(frozen=True)
class Laplacian(Gaussian):
    """Errors with heavier tails."""

    def likelihood(self, name, eta, outcome, priors, dims):
        sigma = priors["sigma"].create_variable("sigma")
        return pm.Laplace(name, eta, sigma, observed=outcome["value"], dims=dims)


@dataclass(frozen=True)
class Event(Bernoulli):
    """The package's likelihood under the same name: another docstring is no other family."""


@dataclass(frozen=True)
class Saturated(Hierarchical):
    """Effects that level off."""

    def effect(self, design, *args, **kwargs):
        return pm.math.tanh(super().effect(design, *args, **kwargs))


@dataclass(frozen=True)
class SaturatedLevels(Nested):
    """The same within levels."""

    def effect(self, design, *args, **kwargs):
        return pm.math.tanh(super().effect(design, *args, **kwargs))


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(3)
    school = np.repeat(np.arange(12), 10)
    yes = rng.integers(0, 2, 120)
    return pd.DataFrame({"school": school, "x": rng.normal(size=120), "yes": yes, "y": yes * 1.0})


def model(outcome="yes", term=None, family="bernoulli"):
    return mlm.MultipleMembershipModel(
        f"{outcome} ~ 1 + x", term or mlm.hm("school"), family=family
    )


@pytest.mark.parametrize(
    ("path", "other", "reason"),
    [
        ("laplace", model(family=Complementary()), "log density of 'Complementary'"),
        ("collapsed", model("y", family=Laplacian()), "'Laplacian' is not that of family='gaus"),
        ("laplace", model(term=Saturated("school")), "'hm school' does not say how its effects"),
        ("collapsed", model("y", Saturated("school"), "gaussian"), "'hm school' does not say"),
        ("collapsed", model("y", SaturatedLevels(["school"]), "gaussian"), "does not say how"),
    ],
)
def test_effects_are_not_integrated_out_as_if_by_the_parent(path, other, reason, table):
    with pytest.raises(mlm.SpecificationError, match=reason):
        other.fit(table, path=path, **RUN)
    spec = other.specification
    assert path_of(spec, spec.read(table)).name == "sampled"


def test_a_subclass_without_another_density_is_the_family_itself(table):
    assert Event().is_standard
    assert not Complementary().is_standard
    assert model(family=Event()).fit(table, path="laplace", **RUN).result_.path == "laplace"


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_levels_with_an_effect_of_their_own_are_predicted_by_it(table):
    """Not by the short way of plain levels, whose effects have no bound."""
    fitted = model("y", SaturatedLevels(["school"]), "gaussian")
    fit = fitted.fit(table, sampler=PriorDraws(), path="sampled", **RUN).result_
    of_levels = linear_predictor_draws(fit, fit.design) - population_draws(
        fit.posterior, fit.design.population
    )
    assert abs(fit.posterior["school_effect"]).max() > 1.1
    assert abs(of_levels).max() <= 1


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
@pytest.mark.parametrize(
    ("term", "scale"),
    [(Saturated("school"), "school_1_sd"), (SaturatedLevels(["school"]), "1_school_sd")],
)
def test_a_trial_repeats_a_term_with_an_effect_of_its_own(table, term, scale):
    trial = mlm.MultivariateLogitTrial("yes", "arm", terms=[term])
    persons = table.assign(arm=np.arange(len(table)) % 2)
    trial.fit(persons, sampler=PriorDraws(), **RUN)
    draws = trial.idata.posterior
    assert scale in draws
    arms = draws["beta"].values[:, :, 0] @ trial.result_.design.X.T
    assert abs(draws[scale.replace("_sd", "_effect")]).max() > 1.1
    assert abs(trial.predict(kind="eta").values[..., 0] - arms).max() <= 1
    with pytest.raises(mlm.SpecificationError, match="new_cluster"):
        trial.treatment_effect()


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_the_marginal_likelihood_of_levels_is_that_of_normal_errors(table):
    fitted = model("y", Nested(["school"]), Laplacian())
    fitted.fit(table, sampler=PriorDraws(), path="sampled", **RUN)
    with pytest.raises(mlm.SpecificationError, match="for Nested with Laplacian"):
        fitted.extend("log_likelihood", likelihood="marginal")
