"""The default sampler: nutpie's NUTS on numba code from the disk cache."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError, warn_user
from pymc_mlm.inference.base import TARGET_ACCEPT, AbstractSampler, Run, check_target_accept
from pymc_mlm.inference.compiled_nutpie import compile_model
from pymc_mlm.inference.interrupt import kept
from pymc_mlm.inference.observed import add_observed
from pymc_mlm.inference.pymc_nuts import PymcNuts


@dataclass(frozen=True)
class Nutpie(AbstractSampler):
    """NUTS through nutpie, compiled by numba.

    Parameters
    ----------
    target_accept : float, optional
        Acceptance rate that the step size is tuned to; by default what suits the model, 0.8 or
        0.9. Higher means smaller steps and fewer
        divergences.
    max_treedepth : int, default 10
        Limit on the doublings of a trajectory.
    cores : int, optional
        Chains run at the same time; nutpie's choice by default.
    adaptation : {"draw_diag", "diag", "low_rank"}
        How nutpie scales the parameters during warm-up: from the variance of the draws, from
        draws and gradients, or with a low-rank correction.

    Notes
    -----
    nutpie's own default is "diag". For standard deviations of group effects, whose posterior is
    skewed, the variance of the draws is the better scale: on the coalition Weibull model the
    smallest effective sample size of 4,000 draws is 590 to 870 instead of 430 to 500, in as many
    steps (docs/performance.md).

    Examples
    --------
    >>> Nutpie(target_accept=0.95).target_accept
    0.95
    """

    target_accept: float | None = None
    max_treedepth: int = 10
    cores: int | None = None
    adaptation: Literal["draw_diag", "diag", "low_rank"] = "draw_diag"

    def __post_init__(self) -> None:
        """Refuse settings that nutpie lacks."""
        if self.adaptation not in ("draw_diag", "diag", "low_rank"):
            raise SpecificationError(
                f"adaptation is 'draw_diag', 'diag' or 'low_rank', not {self.adaptation!r}."
            )
        check_target_accept(self.target_accept)

    def sample(self, model: pm.Model, var_names: Sequence[str], run: Run) -> xr.DataTree:
        """Compile (or load) the model and sample it; by PyMC where nutpie cannot be imported."""
        try:
            import nutpie
        except ImportError as error:
            warn_user(
                f"nutpie cannot be imported ({error}): PyMC's own NUTS samples, with the same "
                "posterior, more slowly, and without max_treedepth and adaptation. Install "
                "nutpie, which pymc_mlm depends on, or choose sampler=PymcNuts().",
                RuntimeWarning,
            )
            other = PymcNuts("pymc", self.target_accept, self.cores)
            return other.sample(model, var_names, run)
        start = time.perf_counter()
        compiled = compile_model(model, var_names, run.scales)
        compiled_at = time.perf_counter()
        idata = nutpie.sample(
            compiled.sampled,
            draws=run.draws,
            tune=run.tune,
            chains=run.chains,
            cores=self.cores,
            seed=run.random_seed,
            save_warmup=False,
            progress_bar=run.progressbar,
            target_accept=self.target_accept or TARGET_ACCEPT,
            maxdepth=self.max_treedepth,
            adaptation=self.adaptation,
        )
        idata = kept(idata, run)
        idata["posterior"] = xr.DataTree(compiled.posterior(idata["posterior"].to_dataset()))
        idata.posterior.attrs |= {
            "compile_seconds": compiled_at - start,
            "sampling_seconds": time.perf_counter() - compiled_at,
            "sampler": repr(self),
        }
        return add_observed(idata, model)
