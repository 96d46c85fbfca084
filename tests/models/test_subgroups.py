"""Effects in subgroups that share information: by hand, their average, and what is refused."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import pymc_mlm as mlm
from pymc_mlm.terms.cluster_effects import Z
from pymc_mlm.trial.questions import draws_of
from tests.mocked import PriorDraws
from tests.models.test_trial import trial_table

ALL = mlm.rules.All()


def fitted(**more):
    arguments = {"cluster": "id", "random": "1 + arm", "covariates": ["age"]} | more
    model = mlm.MultivariateLogitTrial(["y1", "y2"], "group", control="old", **arguments)
    table = trial_table().assign(ward=lambda t: np.arange(len(t)) % 7)
    table["group"] = np.where(np.arange(len(table)) // 12 % 2, "new", "old")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(table, draws=40, chains=2, random_seed=1, sampler=PriorDraws())


@pytest.fixture(scope="module")
def trial():
    return fitted()


def test_the_effect_of_a_subgroup_by_hand(trial):
    fit = trial.result_
    draws, design = draws_of(fit), fit.design
    effects = trial.subgroup_effects()
    assert effects.dims == ("chain", "draw", "id", "outcome")
    sample, code = 57, 4
    persons = np.flatnonzero(design.trial.cluster.factor.codes == code)
    coded = design.code(design.columns, len(design.X))
    success = []
    for arm in (0, 1):
        total = np.zeros(2)
        for i in persons:
            x = design.matrix.rows(np.array([arm]), coded[[i]])
            z = design.matrix.random_rows(x)[0]
            eta = draws.coefficients.beta[sample] @ x[0] + z @ draws.effects[sample, code]
            phi = np.exp(np.append(eta, 0.0))
            phi /= phi.sum()
            total += [phi[0] + phi[1], phi[0] + phi[2]]
        success.append(total / len(persons))
    flat = effects.values.reshape(-1, *effects.shape[2:])
    np.testing.assert_allclose(flat[sample, code], success[1] - success[0], atol=1e-10)
    ratio = trial.subgroup_effects(measure="ratio").values.reshape(-1, *effects.shape[2:])
    np.testing.assert_allclose(ratio[sample, code], success[1] / success[0], rtol=1e-9)


def test_subgroups_average_to_the_effect_in_the_observed_clusters(trial):
    factor = trial.result_.design.trial.cluster.factor
    share = np.bincount(factor.codes) / len(factor.codes)
    mean = (trial.subgroup_effects() * xr.DataArray(share, dims="id")).sum("id")
    whole = trial.treatment_effect(estimand="observed_clusters")
    np.testing.assert_allclose(mean.transpose(*whole.dims).values, whole.values, atol=1e-10)


def test_subgroups_without_differences_have_one_effect():
    trial = fitted(covariates=None)
    posterior = trial.result_.posterior
    same = posterior.assign({Z: posterior[Z] * 0.0})
    tree = xr.DataTree.from_dict({"posterior": same})
    trial.result_ = replace(trial.result_, idata=tree)
    effects = trial.subgroup_effects()
    np.testing.assert_allclose(effects - effects.isel(id=0), 0.0, atol=1e-12)


def test_a_row_of_the_table_is_the_decision_in_that_subgroup(trial):
    table = trial.subgroup_decisions(ALL, alpha=0.1)
    effects = trial.subgroup_effects()
    assert table.index.name == "id" and len(table) == effects.sizes["id"]
    for label in table.index[:3]:
        decision = mlm.decisions.decide(ALL, effects.sel(id=label, drop=True), 0.1)
        assert table.loc[label, "statistic"] == decision.evidence[0].statistic
        assert table.loc[label, "conclusion"] == decision.conclusion


def test_other_terms_keep_their_units():
    trial = fitted(terms=[mlm.hm("ward")])
    assert np.isfinite(trial.subgroup_effects()).all()


@pytest.mark.parametrize(
    "more", [{"random": "1"}, {"cluster": None, "random": "1"}, {"random": "1 + age"}]
)
def test_effects_that_do_not_vary_are_refused(more):
    with pytest.raises(mlm.SpecificationError, match=r"random='1 \+ arm'"):
        fitted(**more).subgroup_effects()


def test_unknown_measures_and_arms_are_refused(trial):
    with pytest.raises(mlm.SpecificationError, match="measure='odds'"):
        trial.subgroup_effects(measure="odds")
    with pytest.raises(mlm.SpecificationError, match="is no arm of the trial"):
        trial.subgroup_effects(treatment="third")
