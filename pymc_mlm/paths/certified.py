"""Effects integrated out where weights certify the draws; else the sampler, from the same start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import EXACT
from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.paths.approximation import approximate, obstacle
from pymc_mlm.paths.base import AbstractPath
from pymc_mlm.paths.cost import seconds_integrated, seconds_sampled
from pymc_mlm.paths.laplace import certificate, weighted_draws
from pymc_mlm.paths.near_start import informed_start
from pymc_mlm.paths.sampled import Sampled, sampled_from

# Attribute of a posterior that was sampled after all: why.
REFUSED = "refused"
# Attribute of a posterior: seconds that the sampler would take, about.
OTHERWISE = "seconds_sampled"
# Effective points that are asked for, since nobody asked for few.
ENOUGH = 400
# "auto" leaves sampling that takes longer, and so many times as long.
LONG_SECONDS, TIMES_FASTER = 60.0, 5.0


@dataclass(frozen=True)
class Certified(AbstractPath):
    """Effects integrated out, and draws weighted to the exact posterior, if weights allow it.

    Where they do not, the sampler draws from the model as it is written, from the mode and in the
    units that were found.
    """

    name: ClassVar[str] = "certified"

    def obstacle(self, spec: Any, design: Any) -> str | None:
        """Return why the effects cannot be integrated out."""
        return obstacle(spec, design)

    def is_automatic(self, spec: Any, design: Any, run: Run | None) -> bool:
        """Return whether sampling would take long, and much longer."""
        if run is None or run.initvals or run.is_chosen:
            return False
        slow = seconds_sampled(design, run)
        return slow > LONG_SECONDS and slow > TIMES_FASTER * seconds_integrated(design)

    def model(self, spec: Any, design: Any) -> pm.Model:
        """Return the model as it is written."""
        return spec.build(design)

    def draw(self, spec: Any, design: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
        """Draw with a certificate, or sample."""
        idata = certified(spec, design, sampler, run, ENOUGH)
        idata["posterior"].attrs[OTHERWISE] = seconds_sampled(design, run)
        return idata

    def taken(self, idata: xr.DataTree) -> AbstractPath:
        """Return plain sampling where importance weights did not certify the draws."""
        return Sampled() if REFUSED in idata["posterior"].attrs else self

    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return how the draws were made, and what the other way would have cost."""
        attrs = idata["posterior"].attrs
        if REFUSED in attrs:
            return (refusal(attrs[REFUSED]), *Sampled().notes(spec, design, idata))
        how = "exactly" if spec.family.name == "gaussian" else "by Laplace's method"
        return (
            f"effects integrated out {how}; draws weighted to the exact posterior "
            f"({certificate(idata)}). NUTS (path='sampled') would take about "
            f"{attrs[OTHERWISE]:.0f} s of processor time for these draws",
        )


def why_sampled(spec: Any, design: Any, run: Run) -> tuple[str, ...]:
    """Return why a long run was sampled though "auto" had the choice."""
    if Certified.name not in spec.paths or not seconds_sampled(design, run) > LONG_SECONDS:
        return ()
    reason = obstacle(spec, design)
    reason = reason or ("initvals are given" if run.initvals else None)
    reason = reason or ("a sampler or target_accept is given" if run.is_chosen else None)
    reason = reason or "it would not be much faster for so few draws"
    return (f"sampled with all effects, which are not integrated out: {reason}",)


def refusal(reason: str) -> str:
    """Return the note of draws that were sampled after all."""
    return f"sampled with all effects, because draws without them have no certificate: {reason}"


def certified(
    spec: Any, design: Any, sampler: AbstractSampler, run: Run, enough: float | None = None
) -> xr.DataTree:
    """Draw with a certificate; where there is none, sample the model as it is written."""
    if run.initvals:
        raise SpecificationError(
            "initvals: draws by importance sampling start nowhere. Leave initvals out, or sample "
            "with path='sampled'."
        )
    found = None
    try:
        found = approximate(spec, design)
        idata = weighted_draws(spec, design, run, found, *([enough] if enough else []))
        if idata["posterior"].attrs[EXACT]:
            return idata
        reason = certificate(idata)
    except IntegrationError as error:
        reason = str(error)
    start = None if found is None else informed_start(spec, design)
    idata = sampled_from(start, spec, design, sampler, run)
    idata["posterior"].attrs[REFUSED] = reason
    return idata
