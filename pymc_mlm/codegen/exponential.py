"""An exponential that LLVM computes for several numbers at once; imported where one is compiled.

numba's wheels have no vector library, so that the exponential of the C library is called number by
number. Here it is arithmetic: Cody and Waite's reduction by multiples of log 2, a polynomial, and
the power of two from the bits of a sum.
"""

from __future__ import annotations

from typing import Any

from numba import njit, types
from numba.extending import intrinsic

LOG2E = 1.4426950408889634
# Log of 2 in two parts, the first with so few digits that its multiples are exact.
LOG2, LOG2_REST = 6.93145751953125e-1, 1.42860682030941723212e-6
# Added to a number below 2^51 it leaves the nearest integer in the last bits.
ROUND = 6755399441055744.0
SMALLEST, LARGEST = -708.0, 709.782712893384
# Exponent of 1/2, in its place.
HALF = 1022 << 52


@intrinsic
def _bits(typingctx: Any, x: Any) -> Any:
    """Read a float64 as int64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.int64))

    return types.int64(types.float64), build


@intrinsic
def _number(typingctx: Any, bits: Any) -> Any:
    """Read an int64 as float64."""

    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(types.float64))

    return types.float64(types.int64), build


@njit(error_model="numpy", fastmath={"contract"})
def exp(x: float) -> float:
    """Return the exponential within 3e-16 of itself; 0 where it would not be a normal number."""
    v = x if x < LARGEST else LARGEST
    v = v if v > SMALLEST else SMALLEST
    rounded = v * LOG2E + ROUND
    k = rounded - ROUND
    r = (v - k * LOG2) - k * LOG2_REST
    p = 1.6059043836821613e-10 * r + 2.08767569878681e-09
    p = (p * r + 2.505210838544172e-08) * r + 2.755731922398589e-07
    p = (p * r + 2.7557319223985893e-06) * r + 2.48015873015873e-05
    p = (p * r + 1.984126984126984e-04) * r + 1.388888888888889e-03
    p = (p * r + 8.333333333333333e-03) * r + 4.1666666666666664e-02
    p = (p * r + 1.6666666666666666e-01) * r + 0.5
    half = _number((_bits(rounded) << 52) + HALF)
    found = (1.0 + (r + r * r * p)) * half * 2.0
    found = found if x > SMALLEST else 0.0
    return found if x <= LARGEST else x * float("inf")
