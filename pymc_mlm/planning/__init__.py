"""Planning a study before it is run."""

from pymc_mlm.planning.sample_size import (
    PlannedTrial,
    compensatory_sample_size,
    power,
    sample_size,
)

__all__ = ["PlannedTrial", "compensatory_sample_size", "power", "sample_size"]
