"""Ctrl-C: the draws up to there are kept, cut to equal chains, and the fit reports it."""

import subprocess
import sys
import textwrap
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from pymc.backends.base import _choose_chains

import pymc_mlm as mlm
from pymc_mlm.inference import AbstractSampler, PymcNuts, Run
from pymc_mlm.inference.compiled_nutpie import CompiledModel
from pymc_mlm.inference.interrupt import kept
from pymc_mlm.ops.base import uncompiled


def padded(variables, lengths):
    """Return draws as nutpie does: the chains filled with NaN to the longest of them."""
    draws = max(lengths)
    outside = np.arange(draws) >= np.array(lengths)[:, None]
    sample_dims = ("chain", "draw")
    posterior = {}
    for name, values in variables.items():
        values = np.array(values[:, :draws], dtype=float)
        values[outside] = np.nan
        rest = [f"{name}_{i}" for i in range(values.ndim - 2)]
        posterior[name] = ((*sample_dims, *rest), values)
    stats = {
        "energy": (sample_dims, np.where(outside, np.nan, 1.0)),
        "diverging": (sample_dims, np.zeros(outside.shape, dtype=bool)),
    }
    groups = {"posterior": posterior, "sample_stats": stats}
    coords = {"chain": np.arange(len(lengths)), "draw": np.arange(draws)}
    return xr.DataTree.from_dict(
        {name: xr.Dataset(group, coords=coords) for name, group in groups.items()}
    )


def numbered(lengths, draws=10):
    """Return draws that are the number of their chain."""
    chain = np.arange(len(lengths), dtype=float)
    return padded({"x": np.broadcast_to(chain[:, None], (len(lengths), draws))}, lengths)


# (draws of each chain after warm-up, chains kept, draws kept)
INTERRUPTED = [
    ([7, 9, 8, 7], [0, 1, 2, 3], 7),
    ([10, 10, 10, 9], [0, 1, 2, 3], 9),
    ([10, 10, 3, 0], [0, 1], 10),
    ([0, 6, 0, 7], [1, 3], 6),
    ([0, 0, 1, 0], [2], 1),
    ([4, 4], [0, 1], 4),
]


@pytest.mark.parametrize(("lengths", "chains", "draws"), INTERRUPTED)
def test_an_interrupted_run_is_cut_to_whole_chains_of_equal_length(lengths, chains, draws):
    idata = kept(numbered(lengths), Run(10, 5, 4))
    x = idata["posterior"]["x"]
    assert x.shape == (len(chains), draws)
    np.testing.assert_array_equal(x.values, np.repeat(chains, draws).reshape(x.shape))
    assert not idata["sample_stats"].to_dataset().isnull().any().to_array().any()
    for group in ("posterior", "sample_stats"):
        assert dict(idata[group].sizes) == {"chain": len(chains), "draw": draws}
        assert idata[group]["chain"].values.tolist() == list(range(len(chains)))
    text = f"{draws} of 10 draws are kept of {len(chains)} of 4 chains"
    assert text in idata["posterior"].attrs["interrupted"]


def test_a_whole_run_stays_as_it_is():
    whole = numbered([10, 10])
    assert kept(whole, Run(10, 5, 2)) is whole
    assert not whole["posterior"].attrs


@pytest.mark.parametrize("lengths", [[0, 0], [0]])
def test_an_interrupt_before_the_first_draw_goes_on(lengths):
    with pytest.raises(KeyboardInterrupt, match="nothing to keep"):
        kept(numbered(lengths), Run(10, 5, 4))


@pytest.fixture
def model():
    with pm.Model() as model:
        pm.Normal("x")
    return model


def test_nutpie_keeps_what_its_chains_share(model, monkeypatch):
    own = CompiledModel("own", model, ("x",))
    monkeypatch.setattr("pymc_mlm.inference.nutpie.compile_model", lambda *_: own)
    monkeypatch.setattr("nutpie.sample", lambda *a, **k: numbered([4, 6, 0]))
    posterior = mlm.Nutpie().sample(model, ["x"], Run(10, 5, 3))["posterior"]
    assert posterior["x"].values.tolist() == [[0.0] * 4, [1.0] * 4]
    assert "4 of 10 draws are kept of 2 of 3 chains" in posterior.attrs["interrupted"]
    assert posterior.attrs["sampler"] == repr(mlm.Nutpie())


def test_the_short_trace_of_pymc_is_noticed(model, monkeypatch):
    monkeypatch.setattr(pm, "sample", lambda **_: numbered([6, 6]))
    posterior = PymcNuts().sample(model, ["x"], Run(10, 5, 4))["posterior"]
    assert "6 of 10 draws are kept of 2 of 4 chains" in posterior.attrs["interrupted"]


def test_an_interrupt_of_one_chain_after_another_ends_them_all(model, monkeypatch):
    def sample(callback, draws, tune, chains, **_):
        """Do what PyMC does with cores=1; the third chain is interrupted at its draw 14."""
        lengths = []
        for chain in range(chains):
            done = 0
            try:
                for i in range(tune + draws):
                    if (chain, i) == (2, 14):
                        raise KeyboardInterrupt
                    done = i + 1
                    callback(trace=None, draw=SimpleNamespace(chain=chain, draw_idx=i))
            except KeyboardInterrupt:
                pass
            lengths.append(max(done - tune, 0))
        assert lengths == [10, 10, 9, 0, 0]
        return numbered(lengths)

    monkeypatch.setattr(pm, "sample", sample)
    posterior = PymcNuts(cores=1).sample(model, ["x"], Run(10, 5, 5))["posterior"]
    assert "9 of 10 draws are kept of 3 of 5 chains" in posterior.attrs["interrupted"]


def test_chains_side_by_side_are_not_watched(model, monkeypatch):
    monkeypatch.setattr(pm, "sample", lambda callback, **_: numbered([10] * (callback is None)))
    assert PymcNuts(cores=2).sample(model, ["x"], Run(10, 5, 1))["posterior"].sizes["draw"] == 10


def test_an_interrupt_that_pymc_turns_into_an_error_is_an_interrupt_again(model, monkeypatch):
    # What pm.sample does after an interrupt in warm-up.
    monkeypatch.setattr(pm, "sample", lambda **_: _choose_chains([[1, 2], [1]], tune=5))
    with pytest.raises(KeyboardInterrupt, match="nothing to keep"):
        PymcNuts().sample(model, ["x"], Run(10, 5, 2))


def test_another_error_of_pymc_stays_what_it_is(model, monkeypatch):
    def fail(**_):
        raise ValueError("bad start")

    monkeypatch.setattr(pm, "sample", fail)
    with pytest.raises(ValueError, match="bad start"):
        PymcNuts().sample(model, ["x"], Run(10, 5, 2))


@dataclass(frozen=True)
class Interrupted(AbstractSampler):
    """Prior draws of chains that stop early."""

    lengths: tuple[int, ...]

    def sample(self, model, var_names, run):
        """Draw, pad as nutpie does, and cut."""
        count = run.chains * run.draws
        variables = [model[name] for name in var_names]
        drawn = pm.draw(variables, draws=count, random_seed=1, mode=uncompiled())
        shape = (run.chains, run.draws)
        by_name = dict(zip(var_names, drawn, strict=True))
        idata = padded(
            {n: x.reshape(*shape, *x.shape[1:]) for n, x in by_name.items()}, self.lengths
        )
        for name in var_names:
            dims = model.named_vars_to_dims.get(name) or ()
            found = idata["posterior"].to_dataset()
            found = found.rename({f"{name}_{i}": dim for i, dim in enumerate(dims)})
            coords = {dim: list(model.coords[dim]) for dim in dims if model.coords[dim]}
            idata["posterior"] = xr.DataTree(found.assign_coords(coords))
        return kept(idata, run)


def table():
    rng = np.random.default_rng(3)
    unit = np.repeat(np.arange(12), 4)
    return pd.DataFrame({
        "u": unit, "region": unit // 3, "y": rng.normal(size=48), "x": rng.normal(size=48),
        "a": rng.integers(0, 2, 48), "b": rng.integers(0, 2, 48), "arm": np.arange(48) % 2,
    })  # fmt: skip


MODELS = {
    "membership": lambda: mlm.MultipleMembershipModel("y ~ x", mlm.hm("u")),
    "collapsed": lambda: mlm.NestedVaryingEffects("y ~ 1 + x", ["region"]),
    "trial": lambda: mlm.MultivariateLogitTrial(["a", "b"], "arm", covariates=["x"]),
}
RUN = {"draws": 50, "chains": 4, "random_seed": 1, "progressbar": False}


@pytest.mark.parametrize("name", MODELS)
def test_an_interrupted_fit_is_whole_warns_and_notes_it(name):
    fitted = MODELS[name]()
    kept_draws = "20 of 50 draws are kept of 3 of 4 chains"
    with pytest.warns(mlm.ConvergenceWarning, match="Sampling was interrupted: " + kept_draws):
        fitted.fit(table(), sampler=Interrupted((25, 20, 30, 0)), **RUN)
    posterior = fitted.idata["posterior"]
    assert (posterior.sizes["chain"], posterior.sizes["draw"]) == (3, 20)
    assert not posterior.to_dataset().isnull().any().to_array().any()
    assert kept_draws in str(fitted.summary())
    if name == "collapsed":
        assert fitted.result_.path == "collapsed"
        assert posterior["region_effect"].sizes["draw"] == 20


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_an_interrupt_without_draws_leaves_the_earlier_fit():
    fitted = MODELS["membership"]().fit(table(), sampler=Interrupted((50,) * 4), **RUN)
    before = fitted.result_
    assert not any("interrupted" in note for note in before.notes)
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(table(), sampler=Interrupted((0, 0, 0, 0)), **RUN)
    assert fitted.result_ is before


# The sampler reports its progress; the signal is sent once, when both chains are past warm-up.
INTERRUPTS_ITSELF = """
    import os, signal, warnings
    import numpy as np, nutpie, pymc as pm
    from pymc_mlm.inference import Nutpie, Run

    # A process in the background of a shell inherits that the signal is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sample, sent = nutpie.sample, []

    def watched(*args, **options):
        def progress(chains):
            if not sent and all(c.finished_draws > 200 for c in chains):
                sent.append(os.kill(os.getpid(), signal.SIGINT))
        return sample(*args, progress_callback=progress, **options)

    nutpie.sample = watched
    with pm.Model() as model:
        pm.Normal("x")
    idata = Nutpie(cores=2).sample(model, ["x"], Run(3_000_000, 100, 2, 1, False))
    posterior = idata["posterior"]
    assert 100 <= posterior.sizes["draw"] < 3_000_000
    assert np.isfinite(posterior["x"]).all() and posterior.sizes["chain"] == 2
    print(posterior.attrs["interrupted"])
"""


def test_a_real_signal_ends_sampling_with_the_draws_so_far():
    command = [sys.executable, "-c", textwrap.dedent(INTERRUPTS_ITSELF)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    assert "of 3000000 draws are kept of 2 of 2 chains" in result.stdout
