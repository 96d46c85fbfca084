"""A prior can name one element of a vector of parameters."""

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.borrowing import HistoricalControls, power_prior
from pymc_mlm.ops.base import uncompiled
from tests.mocked import PriorDraws

RNG = np.random.default_rng(1)
TABLE = {
    "y": RNG.normal(size=60), "a": RNG.normal(size=60), "b c": RNG.normal(size=60),
    "u": np.repeat(range(6), 10), "w": np.repeat(RNG.normal(size=6), 10),
    "v": np.repeat(RNG.normal(size=6), 10),
}  # fmt: skip
OWN = mlm.Prior("Normal", mu=1.0, sigma=0.1)


def used(model):
    return model.specification.priors_used(model._design(TABLE))


def test_one_coefficient_has_its_own_prior_and_the_others_keep_theirs():
    plain = mlm.MultipleMembershipModel("y ~ 1 + a + `b c`", mlm.hm("u"))
    own = mlm.MultipleMembershipModel("y ~ 1 + a + `b c`", mlm.hm("u"), priors={"beta[b c]": OWN})
    before, after = used(plain)["beta"].parameters, used(own)["beta"].parameters
    np.testing.assert_allclose(after["mu"], [0.0, 1.0])
    np.testing.assert_allclose(after["sigma"], [before["sigma"][0], 0.1])
    assert {k: v for k, v in used(own).items() if k != "beta"} == {
        k: v for k, v in used(plain).items() if k != "beta"
    }


def test_the_element_wins_over_the_vector_in_any_order():
    both = {"beta[a]": OWN, "beta": mlm.Prior("Normal", mu=0, sigma=7)}
    for priors in (both, dict(reversed(both.items()))):
        model = mlm.MultipleMembershipModel("y ~ 1 + a + `b c`", mlm.hm("u"), priors=priors)
        np.testing.assert_allclose(used(model)["beta"].parameters["sigma"], [0.1, 7.0])


def test_terms_and_nested_levels_have_elements_too():
    term = mlm.hm("u", covariates=["v", "w"], priors={"beta[w]": OWN})
    model = mlm.MultipleMembershipModel("y ~ 1", term)
    np.testing.assert_allclose(used(model)["u_beta"].parameters["mu"], [0.0, 1.0])
    priors = {"u_beta[w]": OWN}
    outer = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u", covariates=["v", "w"]), priors=priors)
    assert used(outer) == used(model)
    sd = mlm.Prior("HalfNormal", sigma=0.3)
    nested = mlm.NestedVaryingEffects("y ~ 1 + a", ["u"], priors={"u_sd[a]": sd})
    assert used(nested)["u_sd"].parameters["sigma"][1] == 0.3


def test_the_density_is_that_of_the_vector_of_priors():
    whole = mlm.Prior("Normal", mu=[0.0, 1.0], sigma=[3.0, 0.1])
    parts = {"beta": mlm.Prior("Normal", mu=0, sigma=3.0), "beta[b c]": OWN}
    at = [
        mlm.MultipleMembershipModel("y ~ 1 + a + `b c`", mlm.hm("u"), priors=priors)
        .build(TABLE)
        .point_logps(mode=uncompiled())
        for priors in (parts, {"beta": whole})
    ]
    assert at[0] == at[1]


@pytest.mark.parametrize(("priors", "text"), [
    ({"beta[z]": OWN}, "there is no 'z'; there are a, b c"),
    ({"beta[a]": mlm.Prior("Laplace", mu=0, b=1)}, "one distribution"),
    ({"beta[a": OWN}, "no parameter"), ({"sigma[a]": OWN}, "no parameter 'sigma"),
    ({"Intercept[a]": OWN}, "no parameter"),
])  # fmt: skip
def test_other_elements_are_refused(priors, text):
    model = mlm.MultipleMembershipModel("y ~ 1 + a + `b c`", mlm.hm("u"), priors=priors)
    with pytest.raises(mlm.SpecificationError, match=text):
        used(model), model.build(TABLE)


@pytest.mark.parametrize("sigma", [[1.0], [1.0, 2.0, 3.0]])
def test_a_vector_of_another_length_is_refused(sigma):
    priors = {"beta": mlm.Prior("Normal", mu=0, sigma=[1.0, 2.0, 3.0]), "beta[a]": OWN}
    model = mlm.MultipleMembershipModel("y ~ 1 + a + `b c`", mlm.hm("u"), priors=priors)
    with pytest.raises(mlm.SpecificationError, match=r"shape \(3,\) does not fit \(2,\)"):
        used(model)


ARMS = {
    "arm": [0, 1] * 30, "y1": RNG.integers(0, 2, 60), "y2": RNG.integers(0, 2, 60),
    "age": RNG.normal(50, 9, 60), "sex": RNG.choice(["f", "m"], 60),
}  # fmt: skip
WIDE = mlm.Prior("Normal", mu=0.0, sigma=10.0)


def trial(**priors):
    return mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", covariates=["age", "sex"], interactions=False, priors=priors
    )


def test_a_coefficient_of_a_trial_stands_in_the_prior_of_all():
    priors = {
        "beta[11, age]": OWN,
        "beta": WIDE,
        "beta[sex[T.m]]": mlm.Prior("Normal", mu=2, sigma=3),
    }
    model = trial(**priors)
    design = model._design(ARMS)
    used = model.specification.trial_priors.beta(design).parameters
    mean, sd = np.zeros((3, 4)), np.full((3, 4), 10.0)
    mean[0, 2], sd[0, 2], mean[:, 3], sd[:, 3] = 1.0, 0.1, 2.0, 3.0
    assert design.matrix.names == ("Intercept", "arm[1]", "age", "sex[T.m]")
    np.testing.assert_array_equal(used["mu"], mean)
    np.testing.assert_array_equal(used["sigma"], sd)
    beta = RNG.normal(size=(3, 4))
    with model.build(ARMS) as written:
        found = pm.logp(written["beta"], beta).eval(mode=uncompiled())
    np.testing.assert_allclose(found.sum(), stats.norm.logpdf(beta, mean, sd).sum())


def test_a_column_of_a_trial_takes_the_place_of_its_default():
    model = trial(**{"beta[10, age]": WIDE, "beta[age]": OWN})
    (own,) = model.specification.trial_priors.columns(model._design(ARMS)).values()
    np.testing.assert_array_equal(own.parameters["sigma"], [0.1, 10.0, 0.1])
    rows = model.priors(ARMS).frame
    assert rows.index.tolist() == ["cell_probability", "slope", "beta[age]"]
    assert rows.loc["slope", "meaning"].endswith("but for age")
    level = trial(**{"beta[arm[1]]": OWN}).priors(ARMS).frame
    assert level.loc["cell_probability", "meaning"].endswith("at their means, but for arm[1]")


def test_all_columns_of_their_own_are_a_prior_of_all():
    names = ["Intercept", "arm[1]", "age", "sex[T.m]"]
    each, whole = trial(**{f"beta[{n}]": OWN for n in names}), trial(beta=OWN)
    densities = [
        model.build(ARMS).compile_logp(mode=uncompiled())(
            {"beta_preconditioned__": np.ones((3, 4))}
        )
        for model in (each, whole)
    ]
    np.testing.assert_allclose(densities[0], densities[1])
    assert each.priors(ARMS).frame.index.tolist() == [f"beta[{n}]" for n in names]


def test_a_trial_without_covariates_has_coefficients_where_one_is_named(tmp_path):
    model = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", priors={"beta[arm[1]]": OWN})
    model.fit(ARMS, draws=200, chains=4, sampler=PriorDraws(), random_seed=1)
    assert "beta" in model.result_.posterior
    assert "Prior of beta[arm[1]] (log odds, covariates as they are): Normal(mu=1" in str(
        model.summary()
    )
    model.save(tmp_path / "fit.nc")
    loaded = mlm.load(tmp_path / "fit.nc")
    assert loaded.spec == model.result_.spec
    assert loaded.spec.priors["beta[arm[1]]"] == OWN


@pytest.mark.parametrize(("priors", "text"), [
    ({"beta[z]": OWN}, "no 'z'; there are Intercept, arm.1., age, sex.T.m., 11, Intercept"),
    ({"beta": WIDE, "beta[z]": OWN}, "no 'z'; there are Intercept"),
    ({"beta[00, age]": OWN}, "no '00, age'"),
    ({"beta[11, age]": OWN}, "one of all predictors together. Give 'beta.age.' too"),
    ({"beta[age": OWN}, "no parameter"), ({"slope[age]": OWN}, "no parameter"),
    ({"beta[age]": mlm.Prior("HalfNormal", sigma=1)}, "on the whole line"),
    ({"beta": WIDE, "beta[age]": mlm.Prior("Laplace", mu=0, b=1)}, "one distribution"),
    ({"beta[age]": mlm.Prior("Normal", mu=[0, 0], sigma=1)}, "the shape"),
    ({"slope": WIDE, "beta[age]": OWN, "beta[sex[T.m]]": OWN}, "'slope' is a prior of age, sex"),
])  # fmt: skip
def test_other_coefficients_of_a_trial_are_refused(priors, text):
    with pytest.raises(mlm.SpecificationError, match=text):
        trial(**priors).build(ARMS)


def test_a_borrowed_control_has_no_other_prior_of_its_level():
    history = HistoricalControls(("y1", "y2"), {"A": (10, 14, 6, 10)})
    prior = power_prior(history, a0=0.5)
    with pytest.raises(mlm.SpecificationError, match="borrows for the control"):
        trial(**{"cell_probability": prior, "beta[Intercept]": OWN}).build(ARMS)
