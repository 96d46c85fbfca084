"""One word for one question: names, kinds and defaults that the three models share."""

import inspect

import pytest

import pymc_mlm as mlm
from pymc_mlm.intervals import CI_PROB

MODELS = [mlm.MultipleMembershipModel, mlm.NestedVaryingEffects, mlm.MultivariateLogitTrial]
SHARED = (
    "fit build priors sample_prior_predictive extend summary predict plot effects effect_draws "
    "save load to_dict from_dict to_graphviz"
).split()


@pytest.mark.parametrize("model", MODELS)
def test_every_model_answers_to_the_same_names(model):
    for name in SHARED:
        assert callable(getattr(model, name))
    assert not hasattr(model, "effect") and not hasattr(model, "cluster_effects")
    assert list(inspect.signature(model.plot).parameters)[:2] == ["self", "kind"]
    assert list(inspect.signature(model.predict).parameters)[:4] == [
        "self",
        "data",
        "kind",
        "random_seed",
    ]
    assert all(f'"{kind}"' in inspect.getdoc(model.predict) for kind in ("mean", "outcome", "eta"))


@pytest.mark.parametrize("model", MODELS)
def test_intervals_have_one_default(model):
    for name, method in inspect.getmembers(model, inspect.isfunction):
        parameters = inspect.signature(method).parameters
        assert "prob" not in parameters, name
        if "ci_prob" in parameters:
            assert parameters["ci_prob"].default == CI_PROB, name
