"""A prior can name one element of a vector of parameters."""

import numpy as np
import pytest

import pymc_mlm as mlm

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
        .point_logps()
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
