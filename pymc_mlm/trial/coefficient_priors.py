"""Priors of single coefficients of a trial, named as in its summary.

``"beta[age]"`` is that of a column, for all predictors, and ``"beta[11, age]"`` that of one
predictor. With a prior of ``"beta"`` they stand in it; without, a column of its own takes the place
of the default of that column (`pymc_mlm.distributions.levels_and_slopes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.model.names import is_coefficient
from pymc_mlm.priors import Prior, find_element, on_real_line, pick_priors, with_element
from pymc_mlm.trial.arguments import check_coefficient_prior
from pymc_mlm.trial.design import TrialModelDesign


def single_priors(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the priors of single columns and coefficients."""
    return {n: v for n, v in given.items() if n != "beta" and is_coefficient(n)}


def whole_prior(given: Mapping[str, Any], design: TrialModelDesign) -> Any:
    """Return the user's prior of all coefficients, with those of single ones in it; or None.

    Parameters
    ----------
    given : mapping of str to prior
        The user's.
    design : TrialModelDesign
        What has names.

    Raises
    ------
    SpecificationError
        There is no such coefficient, or its prior is another distribution than that of the rest.
    """
    if "beta" not in given:
        return None
    prior, (predictors, columns) = given["beta"], _axes(design)
    if isinstance(prior, Prior):
        check_coefficient_prior(prior, (len(predictors), len(columns)), columns)
    axes = {"beta": (predictors, columns)}
    return pick_priors("The trial", {"beta": prior}, {}, single_priors(given), axes)["beta"]


def column_priors(given: Mapping[str, Any], design: TrialModelDesign) -> dict[int, Prior]:
    """Return the priors that take the place of the default, by place of the column.

    Parameters
    ----------
    given : mapping of str to prior
        The user's, without one of ``"beta"``.
    design : TrialModelDesign
        What has names.

    Raises
    ------
    SpecificationError
        There is no such coefficient; its prior is none of single numbers without bounds; or it
        would leave another prior of the user's without a parameter.
    """
    predictors, columns = axes = _axes(design)
    found: dict[int, Prior] = {}
    places = {n: find_element("The trial", axes, n[5:-1]) for n in single_priors(given)}
    # Columns come before their elements, in whatever order the user named them.
    for name, (row, j) in sorted(places.items(), key=lambda item: item[1][0] is not ...):
        if row is not ... and j not in found:
            raise SpecificationError(
                f"The trial, {name}: the default prior of {columns[j]!r} is one of all predictors "
                f"together. Give 'beta[{columns[j]}]' too, for the other predictors."
            )
        if row is not ...:
            found[j] = with_element(
                f"The trial, {name}", found[j], (predictors,), predictors[row], given[name]
            )
            continue
        if not on_real_line(given[name]):
            raise SpecificationError(
                f"The trial, {name}: {given[name]!r} is no distribution of single numbers on the "
                "whole line, where coefficients are. Use, say, Prior('Normal', mu=0, sigma=1)."
            )
        found[j] = given[name]
    _check_rest(given, design, found)
    return found


def _axes(design: TrialModelDesign) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of predictors and columns."""
    return design.trial.predictors, design.matrix.names


def _check_rest(
    given: Mapping[str, Any], design: TrialModelDesign, found: Mapping[int, Prior]
) -> None:
    """Refuse priors of the user's that columns of their own leave nothing of."""
    arms, columns = len(design.trial.arm), design.matrix.names
    rest = {"cell_probability": range(arms), "slope": range(arms, len(columns))}
    for name, of in rest.items():
        if name in given and of and all(j in found for j in of):
            raise SpecificationError(
                f"priors: {name!r} is a prior of {', '.join(columns[j] for j in of)}, and each of "
                "these has a prior of its own. Leave one of them out."
            )
