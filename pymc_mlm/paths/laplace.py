"""Effects integrated out by Laplace's method, and a certificate by weighted draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import EFFECTIVE_SIZE, EXACT, K_HAT, K_HAT_LIMIT
from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.inference.observed import add_observed
from pymc_mlm.integration.importance import SMALLEST_EFFECTIVE_SIZE, IntegrationError
from pymc_mlm.paths.approximation import (
    Approximation,
    approximate,
    effects_obstacle,
    family_obstacle,
)
from pymc_mlm.paths.base import AbstractPath
from pymc_mlm.paths.weighted import ENOUGH, integrate, memory_of

Array = np.ndarray[Any, Any]

# Bytes of the effects drawn at all points.
MOST_MEMORY = 2e9


@dataclass(frozen=True)
class LaplacePath(AbstractPath):
    """Effects integrated out by Laplace's method, hyperparameters by importance sampling."""

    name: ClassVar[str] = "laplace"
    is_direct: ClassVar[bool] = True

    def obstacle(self, spec: Any, design: Any) -> str | None:
        """Return why the effects cannot be integrated out."""
        if spec.family.name == "gaussian":
            return "effects of a Gaussian outcome are integrated out by path='collapsed'"
        return family_obstacle(spec.family) or effects_obstacle(design)

    def model(self, spec: Any, design: Any) -> pm.Model:
        """Return the model as it is written."""
        return spec.build(design)

    def draw(self, spec: Any, design: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
        """Draw ``run.chains`` times ``run.draws`` weighted draws, resampled by their weights."""
        if run.initvals:
            raise SpecificationError(
                "initvals: draws by Laplace's method start nowhere. Leave initvals out, or sample "
                "with path='sampled'."
            )
        try:
            return weighted_draws(spec, design, run, approximate(spec, design))
        except IntegrationError as error:
            raise SpecificationError(
                f"path='laplace' cannot be taken: {error}. Use path='sampled'."
            ) from error

    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return whether the draws are exact, with the figures of the certificate."""
        made = "effects integrated out by Laplace's method with its second order"
        figures, limit = certificate(idata), idata["posterior"].attrs[K_HAT_LIMIT]
        if idata["posterior"].attrs[EXACT]:
            return (f"{made}, and draws weighted to the exact posterior ({figures})",)
        return (
            f"approximate: {made}; the weights that would make the draws exact vary too much "
            f"({figures}; at most {limit:.2f} and at least {SMALLEST_EFFECTIVE_SIZE} would do). "
            "path='sampled' samples the exact posterior.",
        )


def weighted_draws(
    spec: Any, design: Any, run: Run, found: Approximation, enough: float = ENOUGH
) -> xr.DataTree:
    """Draw ``run.chains`` times ``run.draws`` draws of all variables, resampled by weight.

    Raises
    ------
    IntegrationError
        The effects cannot be integrated out.
    SpecificationError
        The draws do not fit into memory.
    """
    model, count = found.density.model, run.chains * run.draws
    memory = memory_of(model, count, enough)
    if memory > MOST_MEMORY:
        raise SpecificationError(
            f"Effects cannot be integrated out: so many draws of {model.rows.size} effects take "
            f"{memory / 1e9:.1f} GB, {MOST_MEMORY / 1e9:g} at most. Ask for fewer draws."
        )
    drawn = integrate(found, count, np.random.default_rng(run.random_seed), enough)
    posterior = _dataset(model.model, drawn.values, (run.chains, run.draws))
    posterior = posterior.assign(spec.derived(posterior, design))
    posterior.attrs = {
        K_HAT: drawn.k_hat, K_HAT_LIMIT: drawn.k_hat_limit,
        EFFECTIVE_SIZE: drawn.effective_size, EXACT: int(drawn.is_exact),
    }  # fmt: skip
    return add_observed(xr.DataTree.from_dict({"posterior": posterior}), model.model)


def certificate(idata: xr.DataTree) -> str:
    """Return the figures by which weighted draws are judged."""
    attrs = idata["posterior"].attrs
    return f"k-hat {attrs[K_HAT]:.2f}, effective size {attrs[EFFECTIVE_SIZE]:.0f}"


def _dataset(model: pm.Model, values: dict[str, Array], shape: tuple[int, int]) -> xr.Dataset:
    """Return draws with the dims and labels of the model's variables."""
    variables, coords = {}, {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    for rv in model.free_RVs:
        drawn = values[rv.name].reshape(*shape, *values[rv.name].shape[1:])
        default = [f"{rv.name}_dim_{i}" for i in range(drawn.ndim - 2)]
        dims = list(model.named_vars_to_dims.get(rv.name) or default)
        coords |= {d: list(model.coords[d]) for d in dims if model.coords.get(d) is not None}
        variables[rv.name] = (["chain", "draw", *dims], drawn)
    return xr.Dataset(variables, coords=coords)
