"""The result of a fit: frozen, and everything that reports need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pymc as pm
import xarray as xr

# Attributes of the posterior of a path that weighs its draws: tail shape of the weights and its
# limit, how many independent draws they are worth, and whether (1 or 0) the draws are exact.
K_HAT, K_HAT_LIMIT = "k_hat", "k_hat_limit"
EFFECTIVE_SIZE, EXACT = "effective_size", "is_exact"


@dataclass(frozen=True, eq=False, repr=False)
class Fit:
    """A fitted model.

    Attributes
    ----------
    spec : AbstractSpecification
        The model apart from data.
    design : object
        The fitted table as NumPy arrays.
    idata : xarray.DataTree
        Draws and observed data, for any function of ArviZ.
    path : str
        How the draws were made, such as "sampled".
    notes : tuple of str
        Facts about the fit that a reader of the summary should see.
    versions : mapping of str to str
        Versions of the packages that made it.
    table : Table or None
        The columns that were read, for `save`.
    settings : mapping of str to object
        What was asked for: draws and seed, and of sampling warm-up draws, chains and sampler.
    """

    spec: Any
    design: Any
    idata: xr.DataTree
    path: str = "sampled"
    notes: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    table: Any = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Name the model, the path and the draws, not the arrays."""
        sizes = self.idata["posterior"].sizes
        draws = f"{sizes.get('chain', 1)} x {sizes.get('draw', 0)} draws"
        kind = "approximate, " if self.is_approximate else ""
        return f"<Fit of {self.title}; path {self.path!r}, {kind}{draws}>"

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the model, which PyMC cannot pickle and which is built again when asked for."""
        return {name: value for name, value in vars(self).items() if name != "model"}

    @cached_property
    def model(self) -> pm.Model:
        """The model with all effects as variables, built when it is first asked for."""
        return self.spec.build(self.design)

    @cached_property
    def roles(self) -> dict[str, Any]:
        """What each variable of the posterior means."""
        known = self.spec.roles(self.design)
        return {n: role for n, role in known.items() if n in self.idata["posterior"]}

    @property
    def is_approximate(self) -> bool:
        """Whether the draws are of an approximation that its certificate refused."""
        return not self.idata["posterior"].attrs.get(EXACT, 1)

    @property
    def title(self) -> str:
        """One line that names the model."""
        return str(self.spec.title(self.design))

    @property
    def posterior(self) -> xr.Dataset:
        """Posterior draws, dims (chain, draw, ...)."""
        return self.idata["posterior"].to_dataset()

    def names(self, *kinds: str) -> list[str]:
        """Return the variables whose role is one of `kinds`, in the order of the model."""
        return [n for n, role in self.roles.items() if role.kind in kinds]

    def arrays(self, *kinds: str) -> dict[str, np.ndarray]:
        """Return draws of the variables of some kinds, shape (chain, draw, ...), by name."""
        posterior = self.idata["posterior"]
        return {n: posterior[n].transpose("chain", "draw", ...).values for n in self.names(*kinds)}

    def sample(self, *kinds: str, most: int | None = None) -> dict[str, np.ndarray]:
        """Return draws with chains stacked, shape (draw, ...), evenly thinned to `most`."""
        found = {n: v.reshape(-1, *v.shape[2:]) for n, v in self.arrays(*kinds).items()}
        count = len(next(iter(found.values()), ()))
        if most is None or count <= most:
            return found
        keep = np.linspace(0, count - 1, most).astype(int)
        return {n: v[keep] for n, v in found.items()}
