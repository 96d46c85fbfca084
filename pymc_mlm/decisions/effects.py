"""Effects from draws of the cell probabilities of each arm; functions of draws, no model.

A cell is labelled by its digits ("10": the first outcome yes, the second no), so the labels of
the ``cell`` dim say all that is needed about the outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.decisions.by_outcome import weight_vector
from pymc_mlm.decisions.draws import Effect, effect_draws, monte_carlo_error
from pymc_mlm.errors import SpecificationError
from pymc_mlm.intervals import CI_PROB, interval


def success_probability(
    cell_probability: xr.DataArray, outcomes: Sequence[str] | None = None
) -> xr.DataArray:
    r"""Return the marginal success probabilities, :math:`\theta_k = \sum_{c: y_{ck} = 1} \phi_c`.

    Parameters
    ----------
    cell_probability : DataArray, dims (..., cell)
        Probabilities of the response patterns, labelled by digits ("11", "10", "01", "00").
    outcomes : sequence of str, optional
        Names of the digits, ``y1, y2, ...`` by default.

    Returns
    -------
    DataArray, dims (..., outcome)

    Examples
    --------
    >>> phi = xr.DataArray(
    ...     [0.4, 0.3, 0.2, 0.1], dims="cell", coords={"cell": ["11", "10", "01", "00"]}
    ... )
    >>> success_probability(phi).values.round(2).tolist()
    [0.7, 0.6]
    """
    return xr.dot(cell_probability, _digits(cell_probability, outcomes), dim="cell")


def outcome_correlation(
    cell_probability: xr.DataArray, outcomes: Sequence[str] | None = None
) -> xr.DataArray:
    r"""Return the correlations of the outcomes within a patient.

    .. math:: \rho_{kl} = \frac{P(y_k = y_l = 1) - \theta_k \theta_l}
        {\sqrt{\theta_k (1 - \theta_k)\, \theta_l (1 - \theta_l)}}

    Parameters
    ----------
    cell_probability, outcomes
        As in `success_probability`.

    Returns
    -------
    DataArray, dims (..., outcome, other_outcome)
    """
    digits = _digits(cell_probability, outcomes)
    other = digits.rename(outcome="other_outcome")
    theta = xr.dot(cell_probability, digits, dim="cell")
    theta_other = theta.rename(outcome="other_outcome")
    both = xr.dot(cell_probability, digits * other, dim="cell")
    spread = np.sqrt(theta * (1 - theta) * theta_other * (1 - theta_other))
    return ((both - theta * theta_other) / spread).rename("correlation")


def difference(probability: xr.DataArray, treatment: Any, control: Any) -> xr.DataArray:
    """Return the treatment's probability minus the control's.

    Parameters
    ----------
    probability : DataArray, dims (..., arm, outcome)
        Success probabilities.
    treatment, control : label
        Two labels of the dim ``arm``.

    Returns
    -------
    DataArray, dims (..., outcome)
        Probability scale; zero means no effect.
    """
    return _arm(probability, treatment) - _arm(probability, control)


def ratio(probability: xr.DataArray, treatment: Any, control: Any) -> xr.DataArray:
    """Return the treatment's probability over the control's; one means no effect.

    Parameters as in `difference`.
    """
    return _arm(probability, treatment) / _arm(probability, control)


def odds_ratio(probability: xr.DataArray, treatment: Any, control: Any) -> xr.DataArray:
    """Return the treatment's odds over the control's; one means no effect.

    These are odds of the marginal probabilities, not exponentials of coefficients. Parameters as
    in `difference`.
    """
    treated, untreated = _arm(probability, treatment), _arm(probability, control)
    return treated * (1 - untreated) / (untreated * (1 - treated))


def weighted(effect: xr.DataArray, weights: Sequence[float] | Mapping[str, float]) -> xr.DataArray:
    r"""Return the weighted sum of the effects, :math:`w' \delta`.

    Parameters
    ----------
    effect : DataArray, dims (..., outcome)
    weights : sequence or mapping of str to float
        One per outcome.

    Returns
    -------
    DataArray, dims (...)
    """
    names = [str(name) for name in effect["outcome"].values.tolist()]
    vector = xr.DataArray(weight_vector(weights, names), dims="outcome")
    return xr.dot(effect, vector, dim="outcome")


def rope_probability(effect: Effect, low: float, high: float) -> xr.DataArray:
    """Return the posterior probability that each effect is practically nil.

    Parameters
    ----------
    effect : DataArray or array_like
        See `effect_draws`.
    low, high : float
        Region of practical equivalence, on the scale of the effect.

    Returns
    -------
    DataArray, dims (outcome,)

    Examples
    --------
    >>> rope_probability([[0.01], [0.2]], -0.05, 0.05).values
    array([0.5])
    """
    if not low < high:
        raise SpecificationError(f"The region ({low}, {high}) is empty; low must be below high.")
    draws = effect_draws(effect)
    inside = (draws.values > low) & (draws.values < high)
    return _by_outcome(inside.mean(axis=tuple(range(inside.ndim - 1))), draws.outcomes)


def summarize(effect: Effect, ci_prob: float = CI_PROB, null: float = 0.0) -> xr.Dataset:
    """Summarise the posterior of an effect on each outcome.

    Parameters
    ----------
    effect : DataArray or array_like
        See `effect_draws`; differences, ratios and probabilities alike.
    ci_prob : float
        Probability inside the equal-tailed interval.
    null : float, default 0
        No effect: zero for differences, one for ratios.

    Returns
    -------
    Dataset, dims (outcome,)
        ``mean``, ``sd`` (of the posterior, not of the mean of draws), ``lower``, ``median``,
        ``upper``, ``probability_above`` the null, and ``mc_error`` of the mean.

    Examples
    --------
    >>> summarize([[0.0], [0.2]])["mean"].values
    array([0.1])
    """
    draws = effect_draws(effect)
    flat = draws.values.reshape(-1, len(draws.outcomes))
    lower, upper = interval(flat, ci_prob)
    columns = {
        "mean": flat.mean(axis=0),
        "sd": flat.std(axis=0, ddof=1),
        "lower": lower,
        "median": np.median(flat, axis=0),
        "upper": upper,
        "probability_above": (flat > null).mean(axis=0),
        "mc_error": [monte_carlo_error(draws.values[..., k]) for k in range(len(draws.outcomes))],
    }
    table = {name: _by_outcome(values, draws.outcomes) for name, values in columns.items()}
    return xr.Dataset(table, attrs={"ci_prob": ci_prob, "null": null})


def _digits(cell_probability: xr.DataArray, outcomes: Sequence[str] | None) -> xr.DataArray:
    """Return the outcomes of every cell, read from the cells' labels; dims (cell, outcome)."""
    if "cell" not in cell_probability.coords:
        raise SpecificationError(
            f"cell_probability has the coords {tuple(map(str, cell_probability.coords))}; the dim "
            "'cell' needs labels such as '11', '10', '01', '00'."
        )
    labels = [str(label) for label in cell_probability["cell"].values.tolist()]
    names = list(outcomes or (f"y{k + 1}" for k in range(len(labels[0]))))
    if {len(label) for label in labels} != {len(names)} or set("".join(labels)) - {"0", "1"}:
        raise SpecificationError(
            f"The cells {labels[:4]} do not have one digit, 0 or 1, for each of the "
            f"{len(names)} outcomes {names}."
        )
    table = np.array([[float(digit) for digit in label] for label in labels])
    coords = {"cell": cell_probability["cell"].values, "outcome": names}
    return xr.DataArray(table, dims=("cell", "outcome"), coords=coords)


def _arm(probability: xr.DataArray, label: Any) -> xr.DataArray:
    labels = probability["arm"].values.tolist()
    if label not in labels:
        raise SpecificationError(
            f"{label!r} is no arm of these draws; the arms are {', '.join(map(repr, labels))}."
        )
    return probability.isel(arm=labels.index(label), drop=True)


def _by_outcome(values: Any, outcomes: Sequence[str]) -> xr.DataArray:
    return xr.DataArray(values, dims="outcome", coords={"outcome": list(outcomes)})
