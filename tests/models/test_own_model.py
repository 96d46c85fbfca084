"""Nothing that a model of the package does adds to a model that the user has open."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr

import pymc_mlm as mlm
from pymc_mlm.inference.base import AbstractSampler


@dataclass(frozen=True)
class FromPrior(AbstractSampler):
    """Takes draws of the prior for draws of the posterior: no sampling."""

    def sample(self, model, var_names, run):
        """Draw the kept variables."""
        with model:
            drawn = pm.sample_prior_predictive(
                run.draws or 10, var_names=list(var_names), random_seed=1
            )
        return xr.DataTree.from_dict({"posterior": drawn["prior"].to_dataset()})


def table():
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(12), 4)
    return pd.DataFrame(
        {
            "g": group,
            "m": rng.permutation(48) % 7,
            "u": group // 3,
            "y": rng.normal(size=12)[group],
            "x": rng.normal(size=12)[group],
            "z": rng.normal(size=48),
            "b": rng.integers(0, 2, 48),
            "y1": rng.integers(0, 2, 48),
            "y2": rng.integers(0, 2, 48),
            "arm": np.arange(48) % 2,
        }
    )


MODELS = {
    "membership": lambda: mlm.MultipleMembershipModel("y ~ x", mlm.mm("m", "g"), mlm.hm("u")),
    "nested": lambda: mlm.NestedVaryingEffects("b ~ z", ["u"], family="bernoulli"),
    "trial": lambda: mlm.MultivariateLogitTrial(["y1", "y2"], "arm", covariates=["x"]),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", MODELS)
def test_own_open_model_stays_empty(name):
    model = MODELS[name]()
    with pm.Model() as own:
        built = model.build(table())
        model.priors(table())
        model.sample_prior_predictive(table(), draws=3, random_seed=1)
        model.fit(
            table(), draws=10, chains=1, sampler=FromPrior(), progressbar=False, path="sampled"
        )
        model.priors()
        model.predict(table())
    assert built.parent is None
    assert not own.named_vars
    assert not own.coords
    assert not own.data_vars


def test_a_term_that_is_there_already_is_refused():
    term = mlm.hm("u")
    design = term.resolve(table())
    with pm.Model():
        term.effect(design)
        with pytest.raises(mlm.SpecificationError, match=r"'u_sd' already.*name= of its own"):
            term.effect(design)
