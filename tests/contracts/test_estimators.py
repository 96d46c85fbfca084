"""Estimators hold arguments, a `Fit` holds everything else: what is read is a function of it."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

import pymc_mlm as mlm
from pymc_mlm import counterfactual, estimators, prediction, saving
from pymc_mlm.estimators.linear import AbstractLinearEstimator
from pymc_mlm.estimators.questions import AbstractTrialEstimator
from tests.mocked import PriorDraws

ROOT = Path(estimators.__file__).parent
# What makes a specification of a class's own arguments.
CONSTRUCTORS = {"__init__", "specification", "_from_specification"}
# Questions whose arguments differ: reports of a trial are about effects in a population.
BY_KIND = {"summary", "report", "predict", "plot", "effect_draws"}


def methods():
    """Names of the concrete methods of each class, and the lines of code that each has."""
    for path in sorted(ROOT.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for cls in [node for node in tree.body if isinstance(node, ast.ClassDef)]:
            for node in cls.body:
                if isinstance(node, ast.FunctionDef) and "abstract" not in ast.unparse(node):
                    yield cls.name, node.name, node


def test_a_method_is_written_in_one_class():
    places = {}
    for cls, name, _ in methods():
        places.setdefault(name, []).append(cls)
    several = {name: where for name, where in places.items() if len(where) > 1}
    final = {cls.__name__ for cls in MODELS.values()}
    shared = {AbstractLinearEstimator.__name__, AbstractTrialEstimator.__name__}
    assert {name: set(where) for name, where in several.items()} == {
        **{name: final for name in CONSTRUCTORS},
        **{name: shared for name in BY_KIND},
        "__repr__": {"AbstractArguments", "Estimator"},
    }


def test_what_is_asked_of_both_kinds_of_models_is_passed_on():
    """A method of two classes holds no more than the call of a function of the fit."""
    for _, name, node in methods():
        if name in BY_KIND:
            assert len(node.body) <= 4, name
            assert isinstance(node.body[-1], ast.Return)
            assert not any(isinstance(n, (ast.For, ast.While)) for n in ast.walk(node))


@pytest.mark.parametrize(
    "function",
    [prediction.predict, saving.save, counterfactual.counterfactual],
    ids=lambda f: f.__name__,
)
def test_what_is_read_takes_a_fit_first(function):
    assert next(iter(inspect.signature(function).parameters)) == "fit"


TABLE = {
    "y": np.random.default_rng(1).normal(size=40), "x": np.arange(40) / 40,
    "u": np.repeat(range(8), 5), "a": np.arange(40) % 3 == 0, "arm": np.arange(40) % 2,
}  # fmt: skip
MODELS = {
    "membership": mlm.MultipleMembershipModel,
    "nested": mlm.NestedVaryingEffects,
    "trial": mlm.MultivariateLogitTrial,
}
ARGUMENTS = {
    "membership": dict(formula="y ~ 1 + x", terms=[mlm.hm("u")]),
    "nested": dict(formula="y ~ 1 + x", levels=["u"]),
    "trial": dict(outcomes="a", arm="arm", cluster="u"),
}
# Each argument of each class with another value than its default.
OTHER = {
    "membership": dict(
        terms=[mlm.hm("a")], family="student_t", priors={"sigma": mlm.Prior("HalfNormal", sigma=1)},
        missing="drop", row_weights=mlm.FrequencyWeights("n"), impute=["x"], formula="y ~ 1",
    ),
    "nested": dict(
        formula="y ~ 1", levels=["a", "u"], varying="1", family="student_t", eta=3.0,
        parameterization="centered", unique_ids=True, terms=[mlm.hm("a")], missing="drop",
        priors={"sigma": mlm.Prior("HalfNormal", sigma=1)}, within_between=["x"], impute=["x"],
        level_covariates={"u": ["x"]}, row_weights=mlm.FrequencyWeights("n"),
    ),
    "trial": dict(
        outcomes=["a", "b"], arm="x", control=1, treatment=0, covariates=["x"], event=1,
        interactions=False, cluster="y", random="1 + arm", dependence="pairwise", missing="drop",
        cluster_prior="inverse_wishart", priors={"slope": mlm.Prior("Normal", mu=0, sigma=1)},
        terms=[mlm.hm("y")], row_weights=mlm.FrequencyWeights("n"),
    ),
}  # fmt: skip
PATHS = {"membership": "sampled", "nested": "collapsed", "trial": "fused"}


@pytest.mark.parametrize("name", MODELS)
def test_every_argument_is_kept_by_a_round_trip(name):
    """What is an argument of the model, and no argument of `fit`, is part of its specification."""
    assert OTHER[name].keys() == MODELS[name](**ARGUMENTS[name]).get_params().keys()
    for argument, value in OTHER[name].items():
        # Without covariates products of them are no choice.
        needed = {"covariates": ["x"]} if argument == "interactions" else {}
        plain = MODELS[name](**(ARGUMENTS[name] | needed))
        model = MODELS[name](**(ARGUMENTS[name] | needed | {argument: value}))
        assert model.specification != plain.specification, argument
        assert type(model).from_dict(model.to_dict()).specification == model.specification
        assert clone(model).specification == model.specification


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore:Arm .* has rows in")
def test_another_argument_after_the_fit_changes_no_report(name):
    model = MODELS[name](**ARGUMENTS[name])
    with pytest.warns(mlm.ConvergenceWarning):
        model.fit(TABLE, draws=20, chains=2, random_seed=1, sampler=PriorDraws())
    before = str(model.summary()), model.predict(random_seed=1)
    priors = {"cluster_sd" if name == "trial" else "u_sd": mlm.Prior("HalfNormal", sigma=0.01)}
    model.set_params(priors=priors)
    assert model.specification != model.result_.spec
    assert str(model.summary()) == before[0]
    np.testing.assert_array_equal(model.predict(random_seed=1), before[1])
    # The summary names how the draws were made, and calls no sampled draw a direct one.
    assert f"path '{PATHS[name]}': 2 chains of 20 draws" in before[0]
    assert "exact posterior" not in before[0]
