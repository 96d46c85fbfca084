"""Response patterns of a trial without covariates: the posterior is Dirichlet, drawn directly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.inference.conjugate import conjugate_posterior
from pymc_mlm.paths.base import AbstractPath


@dataclass(frozen=True)
class DirichletPath(AbstractPath):
    """Independent draws of the response patterns of each arm."""

    name: ClassVar[str] = "dirichlet"
    is_direct: ClassVar[bool] = True

    def obstacle(self, spec: Any, design: Any) -> str | None:
        """Return why the posterior is not Dirichlet."""
        if not getattr(spec, "is_conjugate", False):
            return (
                "the posterior is Dirichlet for a trial without covariates and clusters, with "
                "dependence='saturated' and no prior of beta"
            )
        return None

    def model(self, spec: Any, design: Any) -> pm.Model:
        """Return the model as it is written."""
        return spec.build(design)

    def draw(self, spec: Any, design: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
        """Draw; one chain of ``run.draws`` independent draws where all rows are complete."""
        if run.initvals:
            raise SpecificationError(
                "initvals: the draws are direct and start nowhere. Leave initvals out, or sample "
                "with path='sampled'."
            )
        trial = design.trial
        weights, alpha = spec.trial_priors.mixture(design)
        phi = conjugate_posterior(
            trial.pattern_counts(),
            alpha,
            weights=weights,
            compatible=trial.compatible,
            draws=run.draws,
            random_seed=run.random_seed,
            arms=trial.arm.labels.tolist(),
            cells=trial.cells,
        )
        tree = {"posterior": phi.to_dataset(name="cell_probability")}
        return xr.DataTree.from_dict(tree | {"observed_data": spec.observed(design)})

    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return one sentence."""
        return ("posterior of the response patterns drawn directly, without a sampler",)
