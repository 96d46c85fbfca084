"""Every exported value can be replaced, copied and pickled; every estimator, fitted or not, too."""

import copy
import dataclasses
import inspect
import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone

import pymc_mlm as mlm
from pymc_mlm import populations, rules
from tests.mocked import PriorDraws

VALUES = {
    "FrequencyWeights": mlm.FrequencyWeights("n"), "SurveyWeights": mlm.SurveyWeights("w"),
    "LKJ": mlm.LKJ(eta=2.0), "InverseWishart": mlm.InverseWishart(3.0, 0.2),
    "VaryingCoefficients": mlm.VaryingCoefficients("1 + x", eta=1.0),
    **{n: getattr(mlm, n)({"a": ["b"], "b": ["a"]}) for n in ("BYM2", "CAR", "ICAR")},
    "KnownCovariance": mlm.KnownCovariance({"a": {"a": 1, "b": 0}, "b": {"a": 0, "b": 1}}),
    "AR1": mlm.AR1("day", unit=365.25), "RandomWalk": mlm.RandomWalk("day", steps="time"),
    "All": rules.All({"a": 0.1}), "Any": rules.Any(), "Compensatory": rules.Compensatory([1, 2]),
    "Single": rules.Single("a", 0.1), "Margins": rules.Margins({"a": 0.1}),
    "Equivalence": rules.Equivalence({"a": (-0.1, 0.1)}),
    "Custom": rules.Custom(np.all, "every"), "Range": populations.Range("age", 30, 50),
    "Sample": populations.Sample(), "Value": populations.Value(age=50, **{"site id": 3}),
    "TruncatedNormal": populations.TruncatedNormal("age", 30),
    "Bernoulli": mlm.Bernoulli(), "Binomial": mlm.Binomial("trials"), "Gaussian": mlm.Gaussian(),
    "Cox": mlm.Cox([26, 52]), "Exponential": mlm.Exponential(),
    "Cumulative": mlm.Cumulative(), "Beta": mlm.Beta(),
    "Categorical": mlm.Categorical(reference="none"),
    "LogNormal": mlm.LogNormal(), "LogLogistic": mlm.LogLogistic(), "Gamma": mlm.Gamma(),
    "Probit": mlm.Probit(event="yes"), "ComplementaryLogLog": mlm.ComplementaryLogLog(),
    "CumulativeProbit": mlm.CumulativeProbit(),
    "HurdlePoisson": mlm.HurdlePoisson(), "HurdleNegativeBinomial": mlm.HurdleNegativeBinomial(),
    "ZeroInflatedPoisson": mlm.ZeroInflatedPoisson(),
    "ZeroInflatedNegativeBinomial": mlm.ZeroInflatedNegativeBinomial(),
    "NegativeBinomial": mlm.NegativeBinomial(), "Poisson": mlm.Poisson(),
    "StudentT": mlm.StudentT(),
    "Weibull": mlm.Weibull({"shape": mlm.Prior("Gamma", mu=1, sigma=2)}),
    "Nutpie": mlm.Nutpie(cores=2), "PymcNuts": mlm.PymcNuts("numpyro"),
    "PrecisionGamma": mlm.PrecisionGamma(2, 0.5),
    "Prior": mlm.Prior("Normal", mu=[0.0, 1.0], sigma=2),
}  # fmt: skip
TERMS = {
    "mm": mlm.mm("a", "b", covariates=["x"], weight="exp(b * x)", name="m"),
    "hm": mlm.hm("u", effect="fixed"), "nested": mlm.nested(["a", "b"], {"a": "1 + x"}),
    "softmax": mlm.weights.softmax("share"), "expression": mlm.weights.Expression("1 / n"),
    "persistence": mlm.weights.persistence("lag", 2), "contest": mlm.weights.contest("side"),
    "candidates": mlm.weights.candidates("p", place="slot"),
}  # fmt: skip


def test_the_table_has_a_row_for_every_exported_value():
    exported = [getattr(m, name) for m in (mlm, rules, populations) for name in m.__all__]
    frozen = {c for c in exported if inspect.isclass(c) and dataclasses.is_dataclass(c)}
    assert {type(value) for value in VALUES.values()} == frozen - {mlm.Fit}


@pytest.mark.parametrize("name", [*VALUES, *TERMS])
def test_a_value_is_equal_to_its_copies(name):
    value = (VALUES | TERMS)[name]
    for twin in (dataclasses.replace(value), copy.deepcopy(value), pickled(value)):
        assert twin == value
        assert type(twin) is type(value)


def test_one_parameter_of_a_prior_is_replaced():
    prior = mlm.Prior("Normal", mu=0, sigma=1)
    assert dataclasses.replace(prior, sigma=2) == mlm.Prior("Normal", mu=0, sigma=2)
    with pytest.raises(mlm.SpecificationError, match="does not take"):
        dataclasses.replace(prior, distribution="Laplace")
    fifty = populations.Value(age=50)
    assert dataclasses.replace(fifty, age=60) == populations.Value(age=60)


def test_priors_are_equal_where_all_their_numbers_are():
    def prior(middle):
        return mlm.Prior("Normal", mu=np.r_[0.0, np.full(50, middle), 1.0], sigma=1)

    assert repr(prior(0.5)) == repr(prior(0.6))
    assert prior(0.5) != prior(0.6)
    assert prior(0.5) == mlm.Prior("Normal", sigma=1.0, mu=[0, *[0.5] * 50, 1])
    assert hash(prior(0.5)) == hash(mlm.Prior("Normal", sigma=1.0, mu=[0, *[0.5] * 50, 1]))


ESTIMATORS = {
    "membership": mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u"), priors={"sigma": mlm.Prior(
        "Exponential", lam=1.0)}),
    "nested": mlm.NestedVaryingEffects("y ~ 1 + x", ["u"], family="student_t", terms=[mlm.hm("v")]),
    "trial": mlm.MultivariateLogitTrial(["a", "b"], arm="x", control=0, covariates=["z"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_is_equal_to_its_copies(name):
    model = ESTIMATORS[name]
    again = type(model)(**model.get_params())
    for twin in (clone(model), again, copy.deepcopy(model), pickled(model), joblibbed(model)):
        assert twin.specification == model.specification
        assert repr(twin) == repr(model)
    assert clone(model).set_params(priors={}).get_params()["priors"] == {}


def fitted(name):
    if name == "trial":
        table = mlm.datasets.teaching_trial(schools=10, pupils=12)
        model = mlm.MultivariateLogitTrial(["math", "reading"], arm="method", control="traditional")
        return model.fit(table, draws=200, random_seed=1)
    table = mlm.datasets.nested_schools(regions=4, schools=12, classes=24, pupils=240)
    models = {
        "nested": mlm.NestedVaryingEffects("score ~ 1 + prior", ["region"]),
        "membership": mlm.MultipleMembershipModel("score ~ 1 + prior", mlm.hm("region")),
    }
    with pytest.warns(UserWarning):
        return models[name].fit(table, draws=20, chains=2, random_seed=1, sampler=PriorDraws())


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_fitted_model_answers_alike_after_a_copy(name):
    model = fitted(name)
    model.result_.model  # noqa: B018  (built, so that it would be copied)
    for twin in (copy.deepcopy(model), pickled(model), joblibbed(model)):
        assert str(twin.summary()) == str(model.summary())
        np.testing.assert_array_equal(twin.predict(random_seed=1), model.predict(random_seed=1))
    assert not hasattr(clone(model), "result_")


def pickled(value):
    return pickle.loads(pickle.dumps(value))


def joblibbed(value):
    stream = io.BytesIO()
    joblib.dump(value, stream)
    stream.seek(0)
    return joblib.load(stream)
