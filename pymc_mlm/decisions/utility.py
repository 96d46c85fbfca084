"""Utilities of response patterns: what a treatment gains for a patient, in one number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.decisions.effects import difference
from pymc_mlm.errors import SpecificationError

UTILITY = "utility"


def utility_gain(
    cell_probability: xr.DataArray,
    utility: Mapping[str, float],
    treatment: Any,
    control: Any,
    cost: float = 0.0,
) -> xr.DataArray:
    r"""Return the expected utility that a patient gains by a treatment, as an effect.

    .. math:: g = \sum_c u_c (\phi_{Tc} - \phi_{Cc}) - \text{cost}

    The treatment with a positive posterior mean of the gain is the one of the larger expected
    utility [1]_; `decide` with ``Single("utility")`` asks for evidence of a gain instead, at a
    type I error. Weights of `Compensatory` are the case of utilities that add up over outcomes;
    those of patterns tell relief with harm from relief and harm in two patients.

    Parameters
    ----------
    cell_probability : DataArray, dims (..., arm, cell)
        Draws, of ``trial.cell_probability()``.
    utility : mapping of str to float
        Utility of every response pattern, ``"10"`` for success on the first outcome alone, on any
        scale.
    treatment, control : label
        Arms.
    cost : float, default 0
        What the treatment costs a patient whatever the outcomes, on the scale of the utilities.

    Returns
    -------
    DataArray, dims (..., outcome)
        Draws, with the one outcome ``"utility"``: for `decide` and `summarize`.

    Raises
    ------
    SpecificationError
        A pattern has no utility, or a utility is no number.

    References
    ----------
    .. [1] Lindley, D. V. (1985). Making Decisions, 2nd edition. Wiley.

    Examples
    --------
    >>> cells = xr.DataArray(
    ...     [[[0.1, 0.2, 0.3, 0.4], [0.3, 0.3, 0.2, 0.2]]],
    ...     dims=("draw", "arm", "cell"),
    ...     coords={"arm": ["old", "new"], "cell": ["11", "10", "01", "00"]},
    ... )
    >>> relief_and_harm = {"11": 0.2, "10": 1, "01": -0.5, "00": 0}
    >>> utility_gain(cells, relief_and_harm, "new", "old").values.round(2)
    array([[0.19]])
    """
    cells = [str(cell) for cell in cell_probability["cell"].values.tolist()]
    values = _values(utility, cells)
    if not _is_number(cost):
        raise SpecificationError(f"cost={cost!r} must be a finite number.")
    vector = xr.DataArray(values, dims="cell", coords={"cell": cell_probability["cell"].values})
    expected = xr.dot(cell_probability, vector, dim="cell")
    gain = difference(expected, treatment, control) - cost
    return gain.expand_dims({"outcome": [UTILITY]}, axis=-1).rename("utility_gain")


def _values(utility: Any, cells: list[str]) -> list[float]:
    if not isinstance(utility, Mapping):
        raise SpecificationError(
            f"utility={utility!r} is no mapping of response patterns to utilities. Write, say, "
            f"{{{cells[0]!r}: 1, ..., {cells[-1]!r}: 0}}."
        )
    lacking = [cell for cell in cells if cell not in utility]
    strange = [repr(cell) for cell in utility if cell not in cells]
    if lacking or strange:
        raise SpecificationError(
            f"utility lacks the response patterns {', '.join(lacking) or '(none)'} and names "
            f"{', '.join(strange) or 'no'} others. Give each of {', '.join(cells)} a utility."
        )
    for cell in cells:
        if not _is_number(utility[cell]):
            raise SpecificationError(
                f"The utility {utility[cell]!r} of {cell!r} must be a finite number."
            )
    return [float(utility[cell]) for cell in cells]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and bool(np.isfinite(value))
