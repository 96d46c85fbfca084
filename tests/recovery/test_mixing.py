"""Effective draws of few and many units with little and much data, in every kind of model.

The tables and models are those of ``benchmarks/mixing.py``, which prints more cells. Units of one
row are left out: their sd and the residual are told apart by priors only, and a warning says so.
"""

import importlib.util
import warnings
from pathlib import Path

import pytest

from pymc_mlm.reporting.diagnostics import ConvergenceWarning

FILE = Path(__file__).parents[2] / "benchmarks" / "mixing.py"


@pytest.fixture(scope="module")
def mixing():
    spec = importlib.util.spec_from_file_location("mixing", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize("cell", [(5, 100), (30, 100), (300, 10), (300, 100)])
@pytest.mark.parametrize("family", ["gaussian", "bernoulli", "poisson", "weibull"])
@pytest.mark.parametrize("kind", ["hm", "mm", "nested", "crossed"])
def test_every_parameter_has_enough_effective_draws(mixing, kind, family, cell):
    model = mixing.model_of(kind, family)
    with warnings.catch_warnings():
        # A few divergences of few units are known; the figures decide here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(mixing.table_of(kind, *cell), random_seed=1, progressbar=False)
    frame = model.summary().frame
    assert frame["ess_bulk"].min() >= 400
    assert frame["r_hat"].max() <= 1.01
