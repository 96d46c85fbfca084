"""Priors as values, and the variables of a model that they become."""

from pymc_mlm.priors.choice import pick_priors
from pymc_mlm.priors.creation import check_shape, create, on_real_line, parts_of, support_point
from pymc_mlm.priors.precision import PrecisionGamma
from pymc_mlm.priors.prior import (
    Prior,
    SupportsCreateVariable,
    as_priors,
    check_priors,
    find_element,
    with_element,
)

__all__ = [
    "PrecisionGamma",
    "Prior",
    "SupportsCreateVariable",
    "as_priors",
    "check_priors",
    "check_shape",
    "create",
    "find_element",
    "on_real_line",
    "parts_of",
    "pick_priors",
    "support_point",
    "with_element",
]
