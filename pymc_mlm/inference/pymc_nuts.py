"""Samplers that PyMC offers: its own NUTS, NumPyro's and BlackJAX's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.inference.base import TARGET_ACCEPT, AbstractSampler, Run, check_target_accept
from pymc_mlm.inference.interrupt import TOO_EARLY, kept
from pymc_mlm.inference.observed import add_observed

NO_DRAWS = "Not enough samples to build a trace."


@dataclass(frozen=True)
class PymcNuts(AbstractSampler):
    """NUTS through `pymc.sample`.

    Parameters
    ----------
    engine : {"pymc", "numpyro", "blackjax", "nutpie"}
        PyMC's ``nuts_sampler``; "numpyro" and "blackjax" run on JAX, which must be installed.
    target_accept : float, optional
        Acceptance rate that the step size is tuned to; by default what suits the model.
    cores : int, optional
        Chains run at the same time.

    Notes
    -----
    Ctrl-C during sampling keeps the draws so far with "pymc" and "nutpie", also with ``cores=1``.
    The samplers on JAX keep nothing: they draw all chains in one compiled call.

    Examples
    --------
    >>> PymcNuts("numpyro").engine
    'numpyro'
    """

    engine: str = "pymc"
    target_accept: float | None = None
    cores: int | None = None

    def __post_init__(self) -> None:
        """Refuse engines that PyMC lacks."""
        if self.engine not in ("pymc", "numpyro", "blackjax", "nutpie"):
            raise SpecificationError(
                f"Unknown engine {self.engine!r}; use 'pymc', 'numpyro', 'blackjax' or 'nutpie'."
            )

        check_target_accept(self.target_accept)

    def sample(self, model: pm.Model, var_names: Sequence[str], run: Run) -> xr.DataTree:
        """Sample with PyMC."""
        if self.engine in ("numpyro", "blackjax"):
            _prepare_jax(self.engine)
        start = time.perf_counter()
        idata = kept(self._drawn(model, var_names, run), run)
        idata.posterior.attrs |= {
            "sampling_seconds": time.perf_counter() - start,
            "sampler": repr(self),
        }
        return add_observed(idata, model)

    def _drawn(self, model: pm.Model, var_names: Sequence[str], run: Run) -> xr.DataTree:
        try:
            with model:
                return pm.sample(
                    draws=run.draws,
                    tune=run.tune,
                    chains=run.chains,
                    cores=self.cores,
                    random_seed=run.random_seed,
                    progressbar=run.progressbar,
                    quiet=not run.progressbar,
                    nuts_sampler=self.engine,
                    nuts={"target_accept": self.target_accept or TARGET_ACCEPT},
                    var_names=list(var_names),
                    compute_convergence_checks=False,
                    callback=self._watch(run),
                )
        except ValueError as error:
            # PyMC swallows the interrupt, and then finds that no chain has a draw.
            if str(error) == NO_DRAWS:
                raise KeyboardInterrupt(TOO_EARLY) from error
            raise

    def _watch(self, run: Run) -> Callable[..., None] | None:
        """Return what ends a run of one chain after another at an interrupt.

        PyMC ends the chain at hand alone and goes on with the next, up to the last one.
        """
        if self.engine != "pymc" or (self.cores or os.cpu_count()) != 1:
            return None
        done = {"chain": 0, "draws": 0}

        def watch(trace: Any, draw: Any) -> None:
            if draw.chain != done["chain"] and done["draws"] < run.tune + run.draws:
                raise KeyboardInterrupt
            done.update(chain=draw.chain, draws=draw.draw_idx + 1)

        return watch


def _prepare_jax(engine: str) -> None:
    from importlib.util import find_spec

    missing = [name for name in ("jax", engine) if find_spec(name) is None]
    if missing:
        raise SpecificationError(
            f"sampler={engine!r} needs {' and '.join(missing)}, not installed here. Install the "
            "extra: pip install 'pymc-mlm[jax]', or use the default sampler."
        )
    from pymc_mlm.ops.base import register_jax

    register_jax()
