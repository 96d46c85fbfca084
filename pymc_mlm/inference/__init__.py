"""Inference: a `pm.Model` becomes draws."""

from __future__ import annotations

from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.inference.base import TARGET_ACCEPT, AbstractSampler, Run, as_seed
from pymc_mlm.inference.interrupt import interruption
from pymc_mlm.inference.nutpie import Nutpie
from pymc_mlm.inference.pymc_nuts import PymcNuts

__all__ = [
    "TARGET_ACCEPT", "AbstractSampler", "Nutpie", "PymcNuts", "Run", "as_sampler", "as_seed",
    "interruption",
]  # fmt: skip


def as_sampler(sampler: Any) -> AbstractSampler:
    """Return a sampler given as an object or by name.

    Raises
    ------
    SpecificationError
        No such sampler.

    Examples
    --------
    >>> as_sampler("numpyro")
    PymcNuts(engine='numpyro', target_accept=None, cores=None)
    """
    if isinstance(sampler, AbstractSampler):
        return sampler
    if sampler is None or sampler == "nutpie":
        return Nutpie()
    if sampler in ("pymc", "numpyro", "blackjax"):
        return PymcNuts(sampler)
    raise SpecificationError(
        f"Unknown sampler {sampler!r}. Use 'nutpie' (default), 'pymc', 'numpyro', 'blackjax', or "
        "an object such as Nutpie(target_accept=0.95)."
    )
