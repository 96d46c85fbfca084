"""What a path is, and which one a fit takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.inference import AbstractSampler, Run

AUTO = "auto"


class AbstractPath(ABC):
    """A way to draw from the posterior of a model.

    Every path yields the variables and dims of plain sampling. A new one is one file with a
    frozen dataclass, and a place in the list of the specification that it serves.
    """

    name: ClassVar[str]
    is_direct: ClassVar[bool] = False  # draws need no sampler, and no check of convergence

    @abstractmethod
    def obstacle(self, spec: Any, design: Any) -> str | None:
        """Return why the path cannot be taken, in words; None where it can."""

    def is_automatic(self, spec: Any, design: Any, run: Run | None) -> bool:
        """Return whether "auto" may take the path for a run, or where none is known.

        Others are taken when they are asked for.
        """
        return True

    @abstractmethod
    def model(self, spec: Any, design: Any) -> pm.Model:
        """Return the model that is sampled, or that direct draws belong to."""

    @abstractmethod
    def draw(self, spec: Any, design: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
        """Return draws of every variable of the model, with ``observed_data``."""

    def taken(self, idata: xr.DataTree) -> AbstractPath:
        """Return the path that draws came by, where this one may give way to another."""
        return self

    @abstractmethod
    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return what a reader should know of how the draws were made."""


def choose_path(
    paths: Sequence[AbstractPath],
    spec: Any,
    design: Any,
    asked: Any = AUTO,
    run: Run | None = None,
) -> AbstractPath:
    """Return the path that was asked for, or the first automatic one that can be taken.

    Parameters
    ----------
    paths : sequence of AbstractPath
        Those of the model, the best first; the last can always be taken.
    spec : AbstractSpecification
        The model.
    design : object
        Its design.
    asked : str
        Name of a path, or "auto".
    run : Run, optional
        How many draws, where the choice may depend on it.

    Raises
    ------
    SpecificationError
        No such path, or it cannot be taken; the reason is named.
    """
    if asked == AUTO:
        open_ = (p for p in paths if p.is_automatic(spec, design, run))
        return next(p for p in open_ if p.obstacle(spec, design) is None)
    found = [p for p in paths if p.name == asked]
    if not found:
        have = ", ".join(repr(n) for n in (AUTO, *(p.name for p in paths)))
        raise SpecificationError(f"path={asked!r} is none of this model; it has {have}.")
    reason = found[0].obstacle(spec, design)
    if reason is not None:
        raise SpecificationError(f"path={asked!r} cannot be taken: {reason}. Use path='auto'.")
    return found[0]
