"""The sampler's coordinates of member and unit effects come from the data, for every family."""

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.model.information import effect_information

FORMULAS = {
    "gaussian": "log_weeks ~ 1 + majority",
    "student_t": "log_weeks ~ 1 + majority",
    "bernoulli": "ended ~ 1 + majority",
    "poisson": "months ~ 1 + majority",
    "negative_binomial": "months ~ 1 + majority",
    "binomial": "months ~ 1 + majority",
    "weibull": "Surv(weeks, ended) ~ 1 + majority",
}


@pytest.fixture(scope="module")
def table():
    data = mlm.datasets.coalitions(governments=120, countries=6, seed=8)
    months = np.minimum(data["weeks"] // 4, 200).astype(int)
    return data.assign(log_weeks=np.log(data["weeks"]), months=months, most=200)


def model_of(family, party=None, **kwargs):
    chosen = mlm.Binomial("most") if family == "binomial" else family
    terms = party or mlm.mm("party", "government", covariates="cohesion"), mlm.hm("country")
    return mlm.MultipleMembershipModel(FORMULAS[family], *terms, family=chosen, **kwargs)


@pytest.mark.parametrize("family", FORMULAS)
def test_every_family_says_something_of_every_effect(table, family):
    model = model_of(family)
    known = effect_information(model.specification, model._design(table))
    party, country = known.effects
    for said in known.effects:
        assert (said.precision >= 0).all()
        assert said.precision.max() > 0
        assert np.isfinite(said.score).all()
    # Few countries come first, and parties follow them, intercept and coefficients.
    assert known.order == (1, 0)
    assert country.cross.shape == (6, 3)
    assert party.cross.shape[1] == 9 or known.num_few == 2


def test_default_sampler_takes_small_steps_where_weights_are_estimated():
    assert model_of("weibull").specification.target_accept == 0.8
    estimated = mlm.mm("party", "government", weight="exp(b * seats)")
    assert model_of("weibull", estimated).specification.target_accept == 0.9


def test_log_densities_of_all_variables_compile_in_the_mode_of_pymc(table):
    """Correlated slopes: their log determinant is added to a log density by numba."""
    model = mlm.NestedVaryingEffects("ended ~ 1 + cohesion", levels=["country"], family="bernoulli")
    built = model.build(table, path="sampled")
    assert "country_effect" in built.named_vars
    found = built.point_logps()
    expected = built.point_logps(mode="FAST_COMPILE")
    assert found == pytest.approx(expected, abs=0.011)  # rounded to two digits
