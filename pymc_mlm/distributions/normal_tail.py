"""Logarithms of normal probabilities, exact where the probability underflows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt

# The normal probability above so many sds is 1e-268.
UNDERFLOWS = 35.0


def log_normal_tail(z: Any) -> Any:
    """Return the log of the normal probability above z, by its series where that underflows."""
    near, far = pt.minimum(z, UNDERFLOWS), pt.maximum(z, UNDERFLOWS)
    inverse = 1.0 / far**2
    series = pt.log1p(inverse * (-1.0 + inverse * (3.0 - 15.0 * inverse)))
    return pt.switch(
        pt.lt(z, UNDERFLOWS),
        pt.log(pt.erfc(near / np.sqrt(2.0))) + np.log(0.5),
        series - 0.5 * far**2 - pt.log(far) - 0.5 * np.log(2.0 * np.pi),
    )
