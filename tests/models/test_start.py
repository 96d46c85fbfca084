"""Where chains start, and settings of the sampler, are arguments of `fit`."""

from dataclasses import dataclass, field

import numpy as np
import pytest

import pymc_mlm as mlm
from tests.mocked import PriorDraws


@dataclass(frozen=True)
class Watched(PriorDraws):
    """Keeps where the model starts."""

    target_accept: float | None = None
    cores: int | None = None
    seen: dict = field(default_factory=dict, compare=False)

    def sample(self, model, var_names, run):
        start = model.initial_point()
        self.seen.update({"start": start, "settings": (self.target_accept, self.cores)})
        return super().sample(model, var_names, run)

    def with_default(self, target_accept):
        return self


def table():
    rng = np.random.default_rng(1)
    return {"y": rng.normal(size=40), "x": rng.normal(size=40), "u": np.repeat(range(8), 5)}


def started(model, **arguments):
    sampler = Watched()
    with pytest.warns(UserWarning):
        model.fit(table(), draws=20, chains=2, random_seed=1, sampler=sampler, **arguments)
    return sampler.seen


def membership():
    return mlm.MultipleMembershipModel("y ~ 1 + x", mlm.hm("u"))


def nested():
    return mlm.NestedVaryingEffects("y ~ 1 + x", ["u"])


@pytest.mark.parametrize("model", [membership, nested])
def test_chains_start_at_the_values_that_are_given(model):
    seen = started(model(), initvals={"sigma": 3.0, "u_sd": 0.25})
    assert seen["start"]["sigma_log__"] == pytest.approx(np.log(3.0))
    np.testing.assert_allclose(seen["start"]["u_sd_log__"], np.log(0.25))


def test_coefficients_start_in_their_own_units():
    model = membership()
    started(model, initvals={"beta": 2.0})
    built = model.build(table())
    plain = built.initial_point()["beta_located__"]
    moved = started(model, initvals={"beta": 2.0})["start"]["beta_located__"]
    assert not np.allclose(plain, moved)


@pytest.mark.parametrize("initvals", [{"tau": 1.0}, {"sigma": -1.0}, {"sigma": [1.0, 2.0]},
                                      {"sigma": "one"}, ["sigma"], {"sigma": np.nan}])  # fmt: skip
@pytest.mark.parametrize("model", [membership, nested])
def test_other_starting_values_are_refused_before_sampling(model, initvals):
    sampler = Watched()
    with pytest.raises(mlm.SpecificationError, match="initvals"):
        model().fit(table(), draws=20, chains=2, sampler=sampler, initvals=initvals)
    assert sampler.seen == {}


def test_an_effect_that_is_integrated_out_has_no_start():
    with pytest.raises(mlm.SpecificationError, match=r"is not sampled.*u_sd"):
        nested().fit(table(), sampler=Watched(), initvals={"u_effect": 0.0})


def test_direct_draws_have_no_start():
    trial = mlm.MultivariateLogitTrial("a", arm="x")
    with pytest.raises(mlm.SpecificationError, match="start nowhere"):
        trial.fit({"a": [0, 1, 1, 0], "x": [0, 0, 1, 1]}, initvals={"cell_probability": 0.5})


def test_settings_of_the_sampler_are_arguments_of_fit():
    assert started(membership(), target_accept=0.97)["settings"] == (0.97, None)
    assert started(membership(), cores=1)["settings"] == (None, 1)
    with pytest.raises(mlm.SpecificationError, match="target_accept"):
        membership().fit(table(), target_accept=1.5)
    with pytest.raises(mlm.SpecificationError, match="PriorDraws has no setting 'cores'"):
        membership().fit(table(), sampler=PriorDraws(), cores=1)
