"""Populations that the effect of a treatment is averaged over."""

from pymc_mlm.decisions.populations import (
    AbstractPopulation,
    Range,
    Sample,
    TruncatedNormal,
    Value,
)

__all__ = ["AbstractPopulation", "Range", "Sample", "TruncatedNormal", "Value"]
