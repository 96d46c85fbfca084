"""Models compared by what they predict of what was left out, with stacking weights."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pymc_mlm.comparison.left_out import left_out
from pymc_mlm.comparison.scores import score_frame
from pymc_mlm.errors import NotFittedError, SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.reporting.summary import Table

# Pareto shape of importance weights beyond which a density is not reliable.
UNRELIABLE = 0.7
# The smoothing of importance weights needs five in the tail, a fifth of all.
FEWEST_DRAWS = 25
# Log density of an outcome, on average, below which draws are of no posterior of it.
LEAST = -700.0
COLUMNS = ("elpd", "se", "elpd_diff", "dse", "weight", "k_above")


def compare_weights(models: Mapping[str, Any], by: str = "row") -> Table:
    r"""Compare models, such as one of each weight function, by what they predict of left-out rows.

    Parameters
    ----------
    models : mapping of str to estimator or Fit
        At least two models, fitted to the same rows and outcome.
    by : str
        What is left out at a time: "row", or the unit of observation; or a term by name, for all
        rows of one of its units: ``"country"`` leaves a country out, ``"party"`` a member with all
        groups that it belongs to.

    Returns
    -------
    Table
        A row per model, the best first: expected log predictive density ``elpd`` with standard
        error ``se``; its difference to the best model with the error ``dse`` of that; the stacking
        ``weight``; and for how many of what was left out the estimate is not reliable.

    Raises
    ------
    SpecificationError
        There is nothing to compare, rows or outcomes differ, `by` is not understood, or a model
        has too few draws of a posterior, or draws at which an outcome is impossible.

    Notes
    -----
    Importance sampling with Pareto-smoothed weights [1]_ reweights the parameters. For a Gaussian
    outcome all effects are integrated out exactly given the parameters, also those of the unit
    that is left out, so that the prediction is that for a new one. Otherwise, with a unit left out,
    its own effect is integrated out by quadrature, given all other effects [2]_; with single rows
    all effects are given. Stacking weights [3]_ are those of the mixture of models that predicts
    best. Where a row belongs to several members it is left out with each of them, and ``se`` treats
    these as independent.

    References
    ----------
    .. [1] Vehtari, A., Gelman, A. & Gabry, J. (2017). Practical Bayesian model evaluation using
       leave-one-out cross-validation and WAIC. Statistics and Computing 27, 1413-1432.
    .. [2] Merkle, E. C., Furr, D. & Rabe-Hesketh, S. (2019). Bayesian comparison of latent variable
       models: conditional versus marginal likelihoods. Psychometrika 84, 802-829.
    .. [3] Yao, Y., Vehtari, A., Simpson, D. & Gelman, A. (2018). Using stacking to average Bayesian
       predictive distributions. Bayesian Analysis 13, 917-1007.

    Examples
    --------
    >>> import pymc_mlm as mlm
    >>> table = mlm.datasets.coalitions(governments=60, countries=5)
    >>> weights = {"mean": "1 / n", "max": mlm.weights.largest("seats")}
    >>> fits = {
    ...     name: mlm.MultipleMembershipModel(
    ...         "weeks ~ 1", mlm.mm("party", "government", weight=weight)
    ...     ).fit(table, path="collapsed", draws=100, progressbar=False, random_seed=1)
    ...     for name, weight in weights.items()
    ... }
    >>> compare_weights(fits, by="row").title
    'Leaving out one row of 60 at a time'
    """
    import arviz_stats

    fits = _fits(models)
    found = {name: left_out(fit, by) for name, fit in fits.items()}
    for name, (densities, _) in found.items():
        _refuse_impossible(name, densities["outcome"].values)
    with warnings.catch_warnings():
        # Pareto shapes are counted in the table.
        warnings.simplefilter("ignore", UserWarning)
        elpds = {name: arviz_stats.loo(_tree(own), pointwise=True, reff=1.0)
                 for name, (own, _) in found.items()}  # fmt: skip
    frame = score_frame({name: np.ravel(elpds[name].elpd_i.values) for name in found})
    design = next(iter(fits.values())).design
    _refuse_unlikely(frame, len(design.rows) if design.weights is None else design.weights.sum())
    frame["k_above"] = [int((elpds[n].pareto_k > UNRELIABLE).sum()) for n in frame.index]
    hows = dict.fromkeys(how for _, how in found.values())
    count = next(iter(found.values()))[0]["outcome"].shape[-1]
    return Table(
        f"Leaving out one {by} of {count} at a time",
        frame[list(COLUMNS)],
        (f"Of the effects: {'; '.join(hows)}.", *_doubts(frame, count, by)),
    )


def _fits(models: Mapping[str, Any]) -> dict[str, Fit]:
    if not isinstance(models, Mapping) or len(models) < 2:
        raise SpecificationError(
            'compare_weights takes two models or more by name, such as {"mean": one, "max": other}.'
        )
    fits = {}
    for name, model in models.items():
        fit = model if isinstance(model, Fit) else getattr(model, "result_", None)
        if fit is None:
            raise NotFittedError(f"The model {name!r} is not fitted. Call fit(data) first.")
        if not hasattr(fit.design, "outcome") or not hasattr(fit.spec, "family"):
            raise SpecificationError(
                f"The model {name!r} has several outcomes; models with one are compared here. Use "
                'az.compare of model.extend("log_likelihood").'
            )
        _refuse_few_draws(name, fit)
        fits[str(name)] = fit
    _refuse_different(fits)
    return fits


def _refuse_few_draws(name: str, fit: Fit) -> None:
    """Refuse a fit without a posterior, or with few draws of it."""
    count = 0
    if "posterior" in fit.idata:
        sizes = fit.idata["posterior"].sizes
        count = sizes.get("chain", 0) * sizes.get("draw", 0)
    if count < FEWEST_DRAWS:
        have = "no posterior draws" if not count else f"{count} posterior draws"
        raise SpecificationError(
            f"The model {name!r} has {have}, and {FEWEST_DRAWS} at least are reweighted to leave "
            "data out; draws of a prior do not serve. Call fit(data, draws=1000) first."
        )


def _refuse_impossible(name: str, densities: np.ndarray) -> None:
    """Refuse draws at which the log density of an outcome is not a finite number."""
    wrong = ~np.isfinite(densities)
    if wrong.any():
        draws = int(wrong.any(axis=-1).sum())
        raise SpecificationError(
            f"The model {name!r}: at {draws} of {densities[..., 0].size} draws an outcome that was "
            "observed is impossible (its log density is not finite). These are not draws of a "
            "posterior of these outcomes, such as draws of the prior: fit the model to them first."
        )


def _refuse_unlikely(frame: Any, count: float) -> None:
    """Refuse draws under which all outcomes are out of reach, or importance weights overflow."""
    best = float(frame["elpd"].iloc[0])
    finite = np.isfinite(frame["elpd"])
    if finite.all() and best >= LEAST * count:
        return
    name = frame.index[0] if finite.all() else frame.index[~finite][0]
    how = (
        f"a log density of {best / count:.3g} on average, at best"
        if finite.all()
        else "log densities that differ too much between draws for importance weights"
    )
    raise SpecificationError(
        f"The model {name!r} gives outcomes {how}. These are not draws of a posterior of these "
        "outcomes, such as draws of the prior: fit the model to them first."
    )


def _refuse_different(fits: Mapping[str, Fit]) -> None:
    """Refuse models of other rows or of another outcome."""
    first, *others = fits.items()
    for name, fit in others:
        one, two = first[1].design, fit.design
        same = list(one.rows.labels) == list(two.rows.labels)
        if not same:
            raise SpecificationError(
                f"The models {first[0]!r} and {name!r} were fitted to other rows "
                f"({len(one.rows)} and {len(two.rows)}): fit both to one table."
            )
        if {k: v.tolist() for k, v in one.outcome.items() if k in _shared(fits)} != {
            k: v.tolist() for k, v in two.outcome.items() if k in _shared(fits)
        }:
            raise SpecificationError(
                f"The models {first[0]!r} and {name!r} have other outcomes, and densities of "
                "different outcomes cannot be compared. Use one outcome, on one scale."
            )


def _shared(fits: Mapping[str, Fit]) -> set[str]:
    """Return the roles of outcomes that all models have and that hold a number per row."""
    roles = [{k for k, v in f.design.outcome.items() if len(v) == len(f.design.rows)}
             for f in fits.values()]  # fmt: skip
    return set.intersection(*roles)


def _tree(densities: xr.Dataset) -> xr.DataTree:
    empty = xr.Dataset(coords={n: densities[n] for n in ("chain", "draw")})
    return xr.DataTree.from_dict({"log_likelihood": densities, "posterior": empty})


def _doubts(frame: Any, count: int, by: str) -> list[str]:
    said = []
    worst = int(frame["k_above"].max())
    if worst:
        said.append(
            f"The posterior without one {by} is far from the one with it in up to {worst} of "
            f"{count} cases (k-hat above {UNRELIABLE}), where the estimate is not reliable: refit "
            "without those, as mlm.k_fold does for rows and units."
        )
    second = frame.iloc[1]
    if abs(second["elpd_diff"]) <= 2 * second["dse"]:
        said.append(
            f"{frame.index[0]} and {frame.index[1]} differ by less than two standard errors: these "
            "data hardly tell them apart."
        )
    return said
