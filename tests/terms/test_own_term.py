"""The term of the documentation, in the models that take terms and in a model of one's own."""

import re
from pathlib import Path

import numpy as np
import pymc as pm
import pytest

import pymc_mlm as mlm
from tests.mocked import PriorDraws

PAGE = Path(__file__).parents[2] / "docs" / "own_terms.md"
CODE = re.findall("```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
NAMES: dict = {"__name__": "own_terms"}
exec(CODE[0], NAMES)
Saturation = NAMES["Saturation"]
RNG = np.random.default_rng(3)
TABLE = {
    "dose": RNG.uniform(0, 5, 60), "age": RNG.normal(size=60), "site": np.repeat(range(6), 10),
    "y": RNG.normal(size=60), "g": range(60), "m": RNG.integers(0, 6, 60),
}  # fmt: skip
MODELS = {
    "membership": lambda *t: mlm.MultipleMembershipModel("y ~ 1 + age", *t, mlm.hm("site")),
    "members": lambda *t: mlm.MultipleMembershipModel("y ~ 1 + age", *t, mlm.mm("m", "g")),
    "nested": lambda *t: mlm.NestedVaryingEffects("y ~ 1 + age", ["site"], "1", terms=t),
}


def test_the_term_has_at_most_forty_lines():
    body = CODE[0][CODE[0].index("@dataclass") :]
    assert len(body.strip().splitlines()) <= 40


@pytest.mark.parametrize("name", MODELS)
def test_the_term_is_fitted_reported_and_predicted(name):
    model = MODELS[name](Saturation("dose"))
    with pytest.warns(UserWarning):
        model.fit(TABLE, draws=20, chains=2, random_seed=1, sampler=PriorDraws())
    assert {"top [dose]", "half [dose]"} <= set(model.summary().frame.index)
    assert "dose_half" in model.priors().frame.index
    # The largest effect: a dose without bound adds `top`, none adds nothing.
    new = {k: [v[0]] * 2 for k, v in TABLE.items()} | {"dose": [0.0, 1e12], "g": [0, 1]}
    new["m"] = [new["m"][0]] * 2
    eta = model.predict(new, kind="eta", random_seed=1)
    top = model.idata.posterior["dose_top"].values
    np.testing.assert_allclose(eta[..., 1] - eta[..., 0], top, rtol=1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_predictions_of_the_fitted_table_are_the_models_own(name):
    model = MODELS[name](Saturation("dose"))
    with pytest.warns(UserWarning):
        model.fit(TABLE, draws=3, chains=1, random_seed=1, sampler=PriorDraws())
    eta = model.predict(kind="eta", random_seed=1)
    draws = model.idata.posterior
    x = TABLE["dose"]
    own = draws["dose_top"].values[..., None] * x / (draws["dose_half"].values[..., None] + x)
    beta = draws["beta"].values @ TABLE["age"][None]
    varying = eta.values - own - draws["Intercept"].values[..., None] - beta
    # What is left are effects of units: constant within them.
    unit = TABLE["m" if name == "members" else "site"]
    for u in np.unique(unit):
        assert np.ptp(varying[..., unit == u], axis=-1).max() < 1e-9


def test_the_term_in_a_trial_has_parameters_on_every_predictor():
    table = TABLE | {"yes": RNG.integers(0, 2, 60), "arm": np.tile([0, 1], 30)}
    trial = mlm.MultivariateLogitTrial("yes", "arm", terms=[Saturation("dose")])
    with pytest.warns(UserWarning):
        trial.fit(table, draws=20, chains=2, random_seed=1, sampler=PriorDraws())
    assert {"top [dose_1]", "half [dose_1]"} <= set(trial.summary().weights.index)
    new = {k: [v[0]] * 2 for k, v in table.items()} | {"dose": [0.0, 1e12]}
    eta = trial.predict(new, kind="eta")[..., 0]
    np.testing.assert_allclose(eta[..., 1] - eta[..., 0], trial.idata.posterior["dose_1_top"])


def test_prediction_lists_no_variables_of_pymc(caplog):
    model = MODELS["membership"](Saturation("dose"))
    with pytest.warns(UserWarning):
        model.fit(TABLE, draws=20, chains=2, random_seed=1, sampler=PriorDraws())
    with caplog.at_level("INFO"):
        model.predict(random_seed=1)
        model.sample_prior_predictive(TABLE, draws=2, random_seed=1)
    assert not [r for r in caplog.records if "Sampling" in r.getMessage()]


def test_its_prior_is_replaced_by_name_and_a_second_one_has_a_name_of_its_own():
    prior = mlm.Prior("HalfNormal", sigma=1.0)
    model = mlm.MultipleMembershipModel(
        "y ~ 1", Saturation("dose"), Saturation("dose"), priors={"dose_half": prior}
    )
    used = model.specification.priors_used(model._design(TABLE))
    assert used["dose_half"] == prior
    assert used["dose_2_half"] != prior


def test_it_works_in_an_own_model():
    term = Saturation("dose")
    with pm.Model() as own:
        pm.Normal("y", term.effect(term.resolve(TABLE)), 1.0, observed=TABLE["y"])
    assert {rv.name for rv in own.free_RVs} == {"dose_top", "dose_half"}


def test_saving_names_it(tmp_path):
    model = MODELS["membership"](Saturation("dose"))
    with pytest.warns(UserWarning):
        model.fit(TABLE, draws=20, chains=2, random_seed=1, sampler=PriorDraws())
    with pytest.raises(mlm.SpecificationError, match="Saturation"):
        model.save(tmp_path / "fit.nc")


def test_a_column_of_text_is_refused():
    with pytest.raises(mlm.DataError, match="dose"):
        MODELS["membership"](Saturation("dose")).build(TABLE | {"dose": ["a"] * 60})
