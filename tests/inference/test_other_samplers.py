"""Samplers beside nutpie: what reaches PyMC, what comes back, and what is refused."""

import numpy as np
import pymc as pm
import pytest
import xarray as xr

import pymc_mlm as mlm
from pymc_mlm.inference import PymcNuts, Run, as_sampler

ENGINES = ["pymc", "numpyro", "blackjax"]


@pytest.fixture
def model():
    with pm.Model() as model:
        sd = pm.HalfNormal("sd", 1.0)
        x = pm.Normal("x", 0.0, sd)
        pm.Normal("outcome", x, 1.0, observed=np.array([0.3, -0.1]))
    return model


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_is_found_by_name(engine):
    assert as_sampler(engine) == PymcNuts(engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_pymc_is_asked_for_the_run_that_was_asked_for(engine, model, monkeypatch):
    asked = {}

    def sample(**options):
        asked.update(options)
        draws = xr.Dataset({"x": (("chain", "draw"), np.zeros((3, 7)))})
        return xr.DataTree.from_dict({"posterior": draws})

    monkeypatch.setattr(pm, "sample", sample)
    monkeypatch.setattr("pymc_mlm.inference.pymc_nuts._prepare_jax", lambda engine: None)
    sampler = PymcNuts(engine, target_accept=0.97, cores=2)
    idata = sampler.sample(model, ["x"], Run(7, 11, 3, 5, False))
    expected = {
        "draws": 7, "tune": 11, "chains": 3, "cores": 2, "random_seed": 5, "progressbar": False,
        "nuts_sampler": engine, "nuts": {"target_accept": 0.97}, "var_names": ["x"],
    }  # fmt: skip
    assert {name: asked[name] for name in expected} == expected
    assert idata["observed_data"]["outcome"].values.tolist() == [0.3, -0.1]
    assert idata["posterior"].attrs["sampler"] == repr(sampler)


def test_an_unknown_engine_is_refused():
    with pytest.raises(mlm.SpecificationError, match="Unknown engine 'stan'"):
        PymcNuts("stan")


@pytest.mark.parametrize("engine", ["numpyro", "blackjax"])
def test_an_engine_that_is_not_installed_is_refused_with_the_extra(engine, model, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == engine else True)
    with pytest.raises(mlm.SpecificationError, match=r"pip install 'pymc-mlm\[jax\]'"):
        PymcNuts(engine).sample(model, ["x"], Run(5, 5, 1))


def test_nuts_of_pymc_samples_a_model_of_the_package():
    table = mlm.datasets.coalitions(governments=30, countries=3, seed=5)
    fitted = mlm.MultipleMembershipModel("log_weeks ~ 1", mlm.hm("country"))
    table["log_weeks"] = np.log(table["weeks"])
    rows = table.groupby("government").first()
    with pytest.warns(mlm.ConvergenceWarning):
        fitted.fit(rows, 20, 20, 2, random_seed=1, progressbar=False, sampler="pymc")
    assert dict(fitted.idata["posterior"].sizes) | {"chain": 2, "draw": 20} == dict(
        fitted.idata["posterior"].sizes
    )
    assert set(fitted.result_.posterior.data_vars) >= {"Intercept", "country_sd", "country_effect"}
