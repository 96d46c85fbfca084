"""The path "collapsed" with crossed and member terms: a fit as any other, certified or sampled."""

import re

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from tests.mocked import PriorDraws

RUN = {"draws": 200, "chains": 2, "random_seed": 1, "progressbar": False, "path": "collapsed"}


@pytest.fixture(scope="module")
def table():
    """Three parties in each government, in a country; a government is a group."""
    rng = np.random.default_rng(4)
    groups = 150
    party = np.array([rng.choice(15, 3, replace=False) for _ in range(groups)]).ravel()
    group = np.repeat(np.arange(groups), 3)
    country, x, seats = np.arange(groups) % 8, rng.normal(size=groups), rng.normal(size=len(party))
    weight = np.exp(seats) / np.bincount(group, np.exp(seats))[group]
    y = 10 + 0.5 * x + np.bincount(group, weight * rng.normal(size=15)[party])
    y += 0.7 * rng.normal(size=8)[country] + 0.5 * rng.normal(size=groups)
    of_group = {"x": x[group], "country": country[group], "y": y[group]}
    return pd.DataFrame({"party": party, "government": group, "seats": seats} | of_group)


def flagship(**kwargs):
    return mlm.MultipleMembershipModel(
        "y ~ 1 + x",
        mlm.mm("party", "government", weight=mlm.weights.softmax("seats")),
        mlm.hm("country"),
        family="gaussian",
        **kwargs,
    )


@pytest.fixture(scope="module")
def fitted(table):
    return flagship().fit(table, **RUN)


def test_draws_have_the_variables_and_dims_of_plain_sampling(fitted):
    posterior, plain = fitted.result_.posterior, fitted.result_.model
    assert set(posterior) == {rv.name for rv in plain.free_RVs}
    for rv in plain.free_RVs:
        dims = plain.named_vars_to_dims.get(rv.name, ())
        assert posterior[rv.name].dims == ("chain", "draw", *dims)
        assert np.isfinite(posterior[rv.name]).all()
    assert posterior["party_effect"].sizes["party"] == 15


def test_reports_name_the_certificate_and_no_r_hat(fitted):
    text = str(fitted.summary())
    assert "effects integrated out exactly; draws weighted to the exact posterior (k-hat" in text
    assert "approximate" not in text + repr(fitted) + repr(fitted.result_)
    # Without the arrays of the design.
    assert re.fullmatch(
        r"<Fit of .{10,150}; path 'collapsed', 2 x 200 draws>", repr(fitted.result_)
    )
    assert fitted.summary().frame["r_hat"].isna().all()
    assert (fitted.summary().frame["ess_bulk"] < 400).all()


def test_a_fit_serves_as_any_other(fitted, table, tmp_path):
    loaded = mlm.MultipleMembershipModel.load(fitted.save(tmp_path / "fit.nc"))
    assert str(loaded.summary()) == str(fitted.summary())
    predicted = loaded.predict(table, kind="mean").mean(("chain", "draw")).values
    observed = table.groupby("government")["y"].first()
    assert np.corrcoef(predicted, observed)[0, 1] > 0.8
    assert fitted.extend("log_likelihood")["log_likelihood"]["outcome"].shape[:2] == (2, 200)
    assert len(fitted.variance_decomposition().frame) >= 3


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_auto_samples_and_says_so(table):
    run = {**RUN, "path": "auto", "sampler": PriorDraws(), "draws": 10}
    assert flagship().fit(table, **run).result_.path == "sampled"


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_draws_without_a_certificate_give_way_to_the_sampler(table, monkeypatch):
    monkeypatch.setattr("pymc_mlm.paths.weighted.k_hat_limit", lambda count: -10.0)
    model = flagship().fit(table, sampler=PriorDraws(), **RUN)
    assert model.result_.path == "sampled"
    assert "sampled with all effects, because draws without them have no certificate: k-hat" in str(
        model.summary()
    )
    assert model.result_.posterior.sizes["draw"] == 200
    assert "k_hat" not in model.result_.posterior.attrs


def test_obstacles_name_the_reason(table):
    with pytest.raises(mlm.SpecificationError, match="start nowhere"):
        flagship().fit(table, initvals={"sigma": 1.0}, **RUN)
    fixed = mlm.MultipleMembershipModel(
        "y ~ 1 + x", mlm.hm("country", effect="fixed"), family="gaussian"
    )
    with pytest.raises(mlm.SpecificationError, match="no random effects"):
        fixed.fit(table, **RUN)


def test_nested_levels_with_crossed_units_collapse(table):
    model = mlm.NestedVaryingEffects("y ~ 1 + x", levels=["country"], terms=[mlm.hm("party")]).fit(
        table, **{**RUN, "path": "collapsed"}
    )
    assert model.result_.path == "collapsed"
    assert "draws weighted to the exact posterior" in str(model.summary())


@pytest.mark.slow
def test_posterior_is_that_of_nuts(table):
    run = {**RUN, "draws": 2000}
    found = flagship().fit(table, **run).result_.posterior
    nuts = flagship().fit(table, **{**run, "path": "sampled"}).result_.posterior
    for name in nuts:
        mean, sd = nuts[name].mean(("chain", "draw")), nuts[name].std(("chain", "draw"))
        assert (abs(found[name].mean(("chain", "draw")) - mean) < 0.2 * sd).all()
        # Some 360 effective draws, of sds with a heavy tail: the error of 1 / 10 is usual there.
        assert (abs(found[name].std(("chain", "draw")) / sd - 1) < 0.3).all()
