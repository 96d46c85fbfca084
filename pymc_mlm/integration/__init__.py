"""Integrals of a posterior without a sampler: its mode, its curvature, and weighted draws."""

from pymc_mlm.integration.importance import (
    ImportanceSample,
    IntegrationError,
    Mode,
    find_mode,
    importance_sample,
)

__all__ = ["ImportanceSample", "IntegrationError", "Mode", "find_mode", "importance_sample"]
