"""From a specification and a table to a `Fit`: the one way, whatever the model."""

from __future__ import annotations

import platform
import secrets
from dataclasses import replace
from typing import Any

from pymc_mlm.data.frame import open_table
from pymc_mlm.fit import Fit
from pymc_mlm.inference import AbstractSampler, Run, interruption
from pymc_mlm.model import AbstractSpecification
from pymc_mlm.paths.base import AUTO, AbstractPath, choose_path
from pymc_mlm.paths.certified import Certified, why_sampled
from pymc_mlm.paths.collapsed_gaussian import CollapsedGaussian
from pymc_mlm.paths.dirichlet import DirichletPath
from pymc_mlm.paths.fused import Fused
from pymc_mlm.paths.laplace import LaplacePath
from pymc_mlm.paths.sampled import WARMUP, Sampled

EVERY = (CollapsedGaussian(), Certified(), DirichletPath(), Fused(), Sampled(), LaplacePath())
PATHS = {path.name: path for path in EVERY}
SETTINGS = ("draws", "tune", "chains", "random_seed")
PACKAGES = ("pymc-mlm", "pymc", "pytensor", "nutpie", "numba", "arviz")


def fit(
    spec: AbstractSpecification,
    data: Any,
    sampler: AbstractSampler,
    run: Run,
    path: str = "auto",
) -> Fit:
    """Read a table, choose a path, draw.

    Parameters
    ----------
    spec : AbstractSpecification
        The model.
    data : dataframe
        The table.
    sampler : AbstractSampler
        For the paths that sample.
    run : Run
        Draws, chains and seed; without a seed one is drawn, and kept with the fit.
    path : str
        Name of a path, or "auto" for the first that can be taken.

    Returns
    -------
    Fit

    Raises
    ------
    DataError
        The table does not fit the model.
    SpecificationError
        The path cannot be taken; the reason is named.
    """
    table = open_table(data, spec.columns)
    design = spec.read(table)
    chosen = path_of(spec, design, path, run)
    if run.random_seed is None:
        run = replace(run, random_seed=secrets.randbelow(2**31))
    idata = chosen.draw(spec, design, sampler, run)
    notes = (*interruption(idata), *spec.notes(design), *chosen.notes(spec, design, idata))
    if path == AUTO and chosen.name == Sampled.name:
        notes += why_sampled(spec, design, run)
    taken = chosen.taken(idata)
    settings = {name: getattr(run, name) for name in SETTINGS}
    settings["tune"] = idata["posterior"].attrs.get(WARMUP, run.tune)
    if taken.is_direct:
        settings = {name: settings[name] for name in ("draws", "random_seed")}
    else:
        settings["sampler"] = repr(sampler)
    return Fit(spec, design, idata, taken.name, notes, versions(), table, settings)


def path_of(
    spec: AbstractSpecification, design: Any, asked: str = "auto", run: Run | None = None
) -> AbstractPath:
    """Return the path of a model by name, or the first that can be taken."""
    return choose_path([PATHS[name] for name in spec.paths], spec, design, asked, run)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that draws depend on."""
    from importlib.metadata import version

    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}
