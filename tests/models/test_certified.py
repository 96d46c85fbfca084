"""The path "certified": draws with a certificate, or the sampler from the same start."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pytensor.graph.traversal import explicit_graph_inputs

import pymc_mlm as mlm
from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.certified import Certified
from pymc_mlm.paths.cost import seconds_integrated, seconds_sampled
from tests.mocked import PriorDraws

RUN = {"draws": 200, "chains": 2, "random_seed": 1, "progressbar": False}


@dataclass(frozen=True)
class Watched(AbstractSampler):
    """Stands in for NUTS, and keeps what it was given."""

    seen: dict

    def sample(self, model, var_names, run):
        self.seen.update(model=model, run=run, start=model.initial_point())
        return PriorDraws().sample(model, var_names, run)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    member, u, x = rng.integers(0, 25, (300, 3)), rng.normal(size=25), rng.normal(size=300)
    eta = 0.3 + 0.5 * x + u[member].mean(axis=1)
    of_group = {
        "x": x, "yes": 1.0 * (rng.random(300) < 1 / (1 + np.exp(-eta))),
        "y": eta + 0.5 * rng.normal(size=300), "grade": rng.integers(0, 3, 300),
    }  # fmt: skip
    columns = {name: np.repeat(values, 3) for name, values in of_group.items()}
    group = {"group": np.repeat(np.arange(300), 3), "member": member.ravel()}
    return pd.DataFrame(group | columns)


def model(family="bernoulli", formula="yes ~ 1 + x"):
    return mlm.MultipleMembershipModel(formula, mlm.mm("member", "group"), family=family)


@pytest.fixture
def every_run_is_long(monkeypatch):
    monkeypatch.setattr("pymc_mlm.paths.certified.LONG_SECONDS", 0.0)
    monkeypatch.setattr("pymc_mlm.paths.certified.TIMES_FASTER", 0.0)


def test_auto_integrates_where_sampling_takes_long():
    path, run = Certified(), Run()
    chosen = {n: path.is_automatic(None, SimpleNamespace(num_rows=n), run)
              for n in (2_000, 10_000, 30_000, 100_000, 1_000_000)}  # fmt: skip
    assert chosen == {2_000: False, 10_000: False, 30_000: True, 100_000: True, 1_000_000: True}
    large = SimpleNamespace(num_rows=100_000)
    assert not path.is_automatic(None, large, replace(run, draws=1, tune=1, chains=1))
    assert not path.is_automatic(None, large, replace(run, initvals={"sigma": 1.0}))
    assert not path.is_automatic(None, large, replace(run, is_chosen=True))
    assert not path.is_automatic(None, large, None)


def test_costs_are_those_that_were_measured():
    """Seconds of processor time, within a factor of three (docs/performance.md)."""
    one = Run(draws=100, tune=300, chains=1)
    sampled = {30_000: (one, 5.2), 100_000: (one, 60), 10_000: (Run(250, 500, 4), 21.4)}
    for rows, (run, seconds) in sampled.items():
        assert 1 / 3 < seconds_sampled(SimpleNamespace(num_rows=rows), run) / seconds < 3
    for rows, seconds in (
        (10_000, 2.3),
        (30_000, 4.0),
        (52_152, 3.6),
        (100_000, 8.8),
        (10**6, 106),
    ):
        assert 1 / 3 < seconds_integrated(SimpleNamespace(num_rows=rows)) / seconds < 3


@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
def test_auto_says_what_it_did_and_what_the_other_way_costs(family, table, every_run_is_long):
    formula = "y ~ 1 + x" if family == "gaussian" else "yes ~ 1 + x"
    fitted = model(family, formula).fit(table, **RUN)
    text = str(fitted.summary())
    how = "exactly" if family == "gaussian" else "by Laplace's method"
    assert fitted.result_.path == "certified"
    assert f"effects integrated out {how}; draws weighted to the exact posterior (k-hat" in text
    assert "NUTS (path='sampled') would take about 4 s of processor time" in text
    assert "approximate" not in text + repr(fitted)
    assert abs(fitted.result_.posterior["member_sd"].mean() - 1) < 0.6


def test_auto_takes_more_points_where_they_are_cheap(table, every_run_is_long):
    """The default draws of a Gaussian table are worth a thousand and more independent ones."""
    long = {**RUN, "draws": 1000, "chains": 4}
    fitted = model("gaussian", "y ~ 1 + x").fit(table, **long)
    assert fitted.result_.path == "certified"
    assert fitted.result_.posterior.attrs["effective_size"] > 1000


def test_auto_samples_a_small_table(table):
    with pytest.warns(mlm.ConvergenceWarning):
        fitted = model().fit(table, sampler=PriorDraws(), **RUN)
    assert fitted.result_.path == "sampled"
    assert "integrated out" not in str(fitted.summary())


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_auto_follows_a_sampler_of_the_user(table, every_run_is_long):
    fitted = model().fit(table, sampler=PriorDraws(), **RUN)
    assert fitted.result_.path == "sampled"
    assert "not integrated out: a sampler or target_accept is given" in str(fitted.summary())


@pytest.mark.parametrize(("given", "is_chosen"), [
    ({}, False), ({"target_accept": 0.95}, True), ({"sampler": "pymc"}, True), ({"cores": 1}, False)
])  # fmt: skip
def test_settings_of_a_sampler_reach_the_choice_of_the_path(table, monkeypatch, given, is_chosen):
    seen = []

    def stop(spec, data, engine, run, path):
        seen.append(run.is_chosen)
        raise KeyboardInterrupt

    monkeypatch.setattr("pymc_mlm.estimators.base.fit", stop)
    with pytest.raises(KeyboardInterrupt):
        model().fit(table, **RUN, **given)
    assert seen == [is_chosen]


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_without_a_certificate_the_sampler_starts_where_the_search_ended(
    table, every_run_is_long, monkeypatch
):
    exact = model().fit(table, path="laplace", **RUN).result_.posterior
    monkeypatch.setattr("pymc_mlm.paths.weighted.k_hat_limit", lambda count: -10.0)
    seen = {}
    fitted = model().fit(table, sampler=Watched(seen), path="certified", **RUN)
    assert fitted.result_.path == "sampled"
    text = str(fitted.summary())
    assert "sampled with all effects, because draws without them have no certificate: k-h" in text
    assert "approximate" not in text + repr(fitted)
    assert set(seen["run"].scales) == {"Intercept", "beta", "member_sd"}
    # Quantiles, because the tail to the left, where the standard deviation is near zero, is long.
    low, high = np.quantile(np.log(exact["member_sd"]), [0.16, 0.84])
    start = seen["start"]["member_sd_log__"]
    assert low < start < high
    assert seen["run"].scales["member_sd"] == pytest.approx((high - low) / 2, rel=0.4)


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_a_warm_up_that_is_asked_for_is_made(table, monkeypatch):
    """From a known start, too; and the fit knows how long it was."""
    for rows, given, tune in ((0, {}, 150), (0, {"tune": 40}, 40), (10**9, {}, 1000)):
        monkeypatch.setattr("pymc_mlm.paths.near_start.MANY_ROWS", rows)
        seen = {}
        fit = model().fit(table, path="sampled", sampler=Watched(seen), **RUN, **given).result_
        assert seen["run"].tune == fit.settings["tune"] == tune


def test_auto_counts_the_warm_up_that_it_would_make():
    table = SimpleNamespace(num_rows=100_000)
    open_, own = Run(is_tune_open=True), Run(tune=150)
    assert seconds_sampled(table, open_) == seconds_sampled(table, own)
    assert seconds_sampled(table, Run()) > 1.5 * seconds_sampled(table, own)


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_a_start_has_the_effects_where_they_are(table, monkeypatch):
    """So has plain sampling of many rows."""
    exact = model().fit(table, path="laplace", **RUN).result_.posterior
    monkeypatch.setattr("pymc_mlm.paths.near_start.MANY_ROWS", 0)
    seen = {}
    model().fit(table, path="sampled", sampler=Watched(seen), **RUN)
    assert seen["run"].tune == 150
    plain = seen["model"]
    [effects] = plain.replace_rvs_by_values([plain["member_effect"]])
    inputs = [v for v in explicit_graph_inputs([effects]) if v in plain.value_vars]
    found = effects.eval({v: seen["start"][v.name] for v in inputs}, mode=uncompiled())
    mean, sd = (getattr(exact["member_effect"], f)(("chain", "draw")) for f in ("mean", "std"))
    assert (abs(found - mean) < 0.5 * sd).all()


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_what_cannot_be_integrated_is_sampled_with_the_reason(table, every_run_is_long):
    ordinal = model("cumulative", "grade ~ 1 + x")
    fitted = ordinal.fit(table, sampler=PriorDraws(), **RUN | {"draws": 10})
    assert fitted.result_.path == "sampled"
    assert "which are not integrated out: no derivatives are known" in str(fitted.summary())
    with pytest.raises(mlm.SpecificationError, match="no derivatives are known"):
        ordinal.fit(table, path="certified", **RUN)
    with pytest.raises(mlm.SpecificationError, match="start nowhere"):
        model().fit(table, path="certified", initvals={"member_sd": 1.0}, **RUN)


def test_a_fit_is_saved_and_loaded(table, tmp_path):
    fitted = model().fit(table, path="certified", **RUN)
    again = mlm.MultipleMembershipModel.load(fitted.save(tmp_path / "fit.nc"))
    assert str(again.summary()) == str(fitted.summary())
