"""Outcomes of two values in every model: the event is named, and a constant outcome is fitted."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pymc_mlm as mlm


def table(**change):
    rng = np.random.default_rng(1)
    rows = np.arange(60)
    text = np.where(rng.random(60) < 0.4, "yes", "no")
    return pd.DataFrame(
        {
            "y": text,
            "digit": (text == "yes").astype(int),
            "none": 0,
            "x": rng.normal(size=60),
            "u": rows // 6,
            "m": rows % 7,
            "g": rows,
            "n": 5,
            "arm": rows % 2,
        }
    ).assign(**change)


MODELS = {
    "mm": lambda y, family: mlm.MultipleMembershipModel(
        f"{y} ~ 1 + x", mlm.mm("m", "g"), family=family
    ),
    "hm": lambda y, family: mlm.MultipleMembershipModel(f"{y} ~ 1 + x", mlm.hm("u"), family=family),
    "nested": lambda y, family: mlm.NestedVaryingEffects(f"{y} ~ 1 + x", ["u"], family=family),
}


def observed(model, data):
    design = model._design(data)
    return design.outcome["value"]


@pytest.mark.parametrize("model", MODELS)
def test_text_is_an_outcome_once_the_event_is_named(model):
    data = table()
    for event, expected in (("yes", data["digit"]), ("no", 1 - data["digit"])):
        found = observed(MODELS[model]("y", mlm.Bernoulli(event=event)), data)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("model", MODELS)
def test_text_without_an_event_is_asked_about_in_no_order(model):
    text = r"family=Bernoulli\(event='no'\) or family=Bernoulli\(event='yes'\)"
    for data in (table(), table()[::-1]):
        with pytest.raises(mlm.DataError, match=text):
            MODELS[model]("y", "bernoulli").build(data)


@pytest.mark.parametrize("model", MODELS)
def test_missing_outcomes_are_named_as_missing(model):
    data = table().assign(y=table()["y"].where(table()["g"] != 3))
    with pytest.raises(mlm.DataError, match="'y' is missing in 1 of 60"):
        MODELS[model]("y", mlm.Bernoulli(event="yes")).build(data)


def test_events_of_a_trial_are_named_together_or_one_by_one():
    data = table(other=np.where(np.arange(60) % 3, 1, 2))
    trial = mlm.MultivariateLogitTrial(["y", "other"], "arm", event={"y": "yes", "other": 2})
    design = trial._design(data).trial
    expected = np.column_stack([data["digit"], data["other"] == 2])
    np.testing.assert_array_equal(design.observed, expected)
    assert design.notes[:2] == ("Event of 'y': 'yes'.", "Event of 'other': 2.")
    both = mlm.MultivariateLogitTrial(["y", "z"], "arm", event="no")
    found = both._design(data.assign(z=data["y"])).trial.observed
    np.testing.assert_array_equal(found[:, 0], 1 - data["digit"])


def test_an_event_of_a_strange_outcome_is_refused():
    with pytest.raises(mlm.SpecificationError, match="event names 'z', which is no outcome"):
        mlm.MultivariateLogitTrial("y", "arm", event={"z": "yes"}).build(table())
    with pytest.raises(mlm.DataError, match=r"event={'y': 'no'} or event={'y': 'yes'}"):
        mlm.MultivariateLogitTrial("y", "arm").build(table())


# ---------------------------------------------------------------------- constant outcomes


def test_no_event_in_either_arm_is_a_beta_posterior():
    data = pd.DataFrame({"arm": ["ctl"] * 105 + ["trt"] * 101, "sae": 0})
    trial = mlm.MultivariateLogitTrial("sae", "arm", control="ctl").fit(data, random_seed=1)
    theta = trial.success_probability().values.reshape(-1, 2)
    for arm, rows in enumerate((105, 101)):
        exact = stats.beta(1, 1 + rows)
        probabilities = [0.025, 0.5, 0.975]
        found = np.quantile(theta[:, arm], probabilities)
        np.testing.assert_allclose(found, exact.ppf(probabilities), rtol=0.03)
    (note,) = (note for note in trial.summary().notes if "'sae'" in note)
    assert "is 0 in every row: the number of rows bounds its probability" in note


def test_a_constant_outcome_beside_others_leaves_their_answer():
    data = table()
    both = mlm.MultivariateLogitTrial(["digit", "none"], "arm").fit(data, random_seed=1)
    alone = mlm.MultivariateLogitTrial("digit", "arm").fit(data, random_seed=1)
    found, expected = (fit.success_probability().sel(outcome="digit") for fit in (both, alone))
    # Success probabilities are uniform before the data in both; Monte Carlo error below 0.001.
    every = ("chain", "draw")
    np.testing.assert_allclose(found.mean(every), expected.mean(every), atol=0.003)
    np.testing.assert_allclose(found.std(every), expected.std(every), atol=0.003)


def initial_logp(model):
    return model.compile_logp(mode="FAST_COMPILE")(model.initial_point())


@pytest.mark.parametrize("covariates", [None, ["x"]])
@pytest.mark.parametrize("cluster", [None, "u"])
def test_a_constant_outcome_has_a_finite_density_in_a_trial(covariates, cluster):
    trial = mlm.MultivariateLogitTrial(
        ["none", "digit"], "arm", covariates=covariates, cluster=cluster
    )
    assert np.isfinite(initial_logp(trial.build(table())))


@pytest.mark.parametrize("value", [0, 1, 3])
@pytest.mark.parametrize("family", ["bernoulli", "poisson", "negative_binomial", "binomial"])
@pytest.mark.parametrize("model", MODELS)
def test_a_constant_outcome_has_a_finite_density_in_every_model(model, family, value):
    if family == "bernoulli" and value == 3:
        pytest.skip("no outcome of a Bernoulli model")
    if family == "binomial":
        family = mlm.Binomial("n")
    specified, data = MODELS[model]("none", family), table(none=value)
    assert np.isfinite(initial_logp(specified.build(data)))
    assert any(
        f"'none' is {value} in every row" in n
        for n in specified.specification.notes(specified._design(data))
    )


@pytest.mark.parametrize("family", ["gaussian", "student_t"])
@pytest.mark.parametrize("model", MODELS)
def test_a_constant_measurement_is_still_refused(model, family):
    with pytest.raises(mlm.DataError, match="must vary"):
        MODELS[model]("none", family).build(table())
