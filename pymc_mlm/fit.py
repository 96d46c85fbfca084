"""The result of a fit: frozen, and everything that reports need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pymc as pm
import xarray as xr


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted model.

    Attributes
    ----------
    model : pm.Model
        The model that was sampled.
    idata : xarray.DataTree
        Draws and observed data, for any function of ArviZ.
    design : object
        The fitted table as NumPy arrays.
    roles : mapping of str to Role
        What each variable of the posterior means.
    title : str
        One line that names the model.
    notes : tuple of str
        Facts about the fit that a reader of the summary should see.
    versions : mapping of str to str
        Versions of the packages that made it.
    """

    model: pm.Model
    idata: xr.DataTree
    design: Any
    roles: Mapping[str, Any]
    title: str
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def posterior(self) -> xr.Dataset:
        """Posterior draws, dims (chain, draw, ...)."""
        return self.idata["posterior"].to_dataset()

    def names(self, *kinds: str) -> list[str]:
        """Return the variables whose role is one of `kinds`, in the order of the model."""
        return [n for n, role in self.roles.items() if role.kind in kinds and n in self.posterior]
