"""What a sampler is: a model in, draws out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, Self

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError


@dataclass(frozen=True)
class Run:
    """How many draws, from how many chains, with which seed.

    Attributes
    ----------
    draws, tune, chains : int
        Kept draws and discarded warm-up draws per chain, and the number of chains.
    random_seed : int or None
        Seed; None draws one.
    progressbar : bool
        Whether to show progress.
    initvals : mapping of str to array_like
        Where chains start, by parameter name, in the units of the parameter.
    scales : mapping of str to array_like
        Posterior standard deviations, about, by parameter name, in the sampler's coordinates. The
        default sampler starts and steps in these units.
    is_chosen : bool
        Whether the caller chose the sampler or its settings: "auto" then samples.
    is_tune_open : bool
        Whether fewer warm-up draws may be made where a good start is known.
    """

    draws: int = 1000
    tune: int = 1000
    chains: int = 4
    random_seed: int | None = None
    progressbar: bool = True
    initvals: Mapping[str, Any] = field(default_factory=dict)
    scales: Mapping[str, Any] = field(default_factory=dict)
    is_chosen: bool = False
    is_tune_open: bool = False

    def __post_init__(self) -> None:
        """Refuse runs that cannot give an answer."""
        if not isinstance(self.initvals, Mapping):
            raise SpecificationError(
                f"initvals is {self.initvals!r}; give values by parameter name, such as "
                "initvals={'sigma': 1.0}."
            )
        for name in ("draws", "tune", "chains"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise SpecificationError(f"{name} must be a positive whole number, not {value!r}.")


# Where neither the user nor the model asks for another one.
TARGET_ACCEPT = 0.9


class AbstractSampler(ABC):
    """Draws from the posterior of a PyMC model.

    A new sampler is one file with a frozen dataclass that implements `sample`.
    """

    def with_default(self, target_accept: float) -> Self:
        """Return the sampler with an acceptance rate that suits the model, if it was left open."""
        is_open = getattr(self, "target_accept", target_accept) is None
        return self.with_options(target_accept=target_accept) if is_open else self

    def with_options(self, **options: Any) -> Self:
        """Return the sampler with settings replaced; None leaves one as it is.

        Raises
        ------
        SpecificationError
            The sampler has no such setting.
        """
        given = {name: value for name, value in options.items() if value is not None}
        this: Any = self
        known = {f.name for f in fields(this)} if is_dataclass(this) else set()
        for name in given:
            if name not in known:
                raise SpecificationError(
                    f"{type(self).__name__} has no setting {name!r}; it has "
                    f"{', '.join(sorted(known)) or 'none'}."
                )
        return replace(this, **given) if given else self

    @abstractmethod
    def sample(self, model: pm.Model, var_names: Sequence[str], run: Run) -> xr.DataTree:
        """Sample.

        Parameters
        ----------
        model : pm.Model
            The model.
        var_names : sequence of str
            Free variables to keep, by name.
        run : Run
            Draws, chains and seed.

        Returns
        -------
        xarray.DataTree
            With groups ``posterior``, ``sample_stats`` and ``observed_data``.
        """


def check_target_accept(value: float | None) -> None:
    """Refuse an acceptance rate that is none."""
    if value is not None and not 0.0 < value < 1.0:
        raise SpecificationError(f"target_accept is between 0 and 1, not {value!r}.")


def as_seed(random_seed: Any) -> int | None:
    """Return an int seed from an int, a sequence of them, a Generator or None."""
    if random_seed is None:
        return None
    if isinstance(random_seed, np.random.Generator):
        return int(random_seed.integers(2**31))
    if isinstance(random_seed, (int, np.integer)) and not isinstance(random_seed, bool):
        if not 0 <= random_seed < 2**63:
            raise SpecificationError(
                f"random_seed={random_seed} is out of range: a seed is from 0 to 2**63 - 1."
            )
        return int(random_seed)
    if isinstance(random_seed, (str, bytes)):
        pass  # a sequence to Python, no seed
    elif isinstance(random_seed, (Sequence, np.ndarray, np.random.SeedSequence)):
        return _seed_of_sequence(random_seed)
    raise SpecificationError(
        f"random_seed is an integer, a sequence of integers, a numpy Generator or None, not "
        f"{type(random_seed).__name__}."
    )


def _seed_of_sequence(seeds: Any) -> int:
    try:
        return int(np.random.default_rng(seeds).integers(2**31))
    except (TypeError, ValueError) as error:
        raise SpecificationError(
            f"random_seed={seeds!r} is no sequence of whole numbers from 0 on."
        ) from error
