"""A copy of the draws with the further groups that functions of ArviZ read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import Fit
from pymc_mlm.log_likelihood import KINDS, log_likelihood, repeated
from pymc_mlm.log_prior import log_prior
from pymc_mlm.prediction import (
    linear_predictor_draws,
    new_outcomes,
    outcome_draws,
    predict,
)
from pymc_mlm.prior_predictive import sample_prior_predictive
from pymc_mlm.trial import TrialSpecification
from pymc_mlm.trial.pointwise import person_outcomes

GROUPS = ("log_likelihood", "log_prior", "posterior_predictive", "prior", "prior_predictive")


@dataclass(frozen=True)
class Extension:
    """What is to be added.

    Attributes
    ----------
    groups : sequence of str
        Some of `GROUPS`; none for all.
    likelihood : {"conditional", "marginal"}
        Of ``log_likelihood``; see `pymc_mlm.log_likelihood.log_likelihood`.
    most_draws : int
        More posterior draws per chain are thinned to so many, evenly, in all groups.
    prior_draws : int
        Draws of ``prior`` and ``prior_predictive``.
    """

    groups: Sequence[str] = ()
    likelihood: str = "conditional"
    most_draws: int = 4000
    prior_draws: int = 500

    def __post_init__(self) -> None:
        """Refuse words that are not known, and counts below one."""
        for name in self.groups:
            if name not in GROUPS:
                raise SpecificationError(
                    f"extend has no group {name!r}; it has {', '.join(map(repr, GROUPS))}."
                )
        if self.likelihood not in KINDS:
            raise SpecificationError(
                f"likelihood is 'conditional' or 'marginal', not {self.likelihood!r}."
            )
        for name in ("most_draws", "prior_draws"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise SpecificationError(f"{name} is {value!r}; it is a whole number above 0.")

    def includes(self, *groups: str) -> bool:
        """Tell whether one of the groups is to be added."""
        return not self.groups or any(g in self.groups for g in groups)


def extended(fit: Fit, extension: Extension, random_seed: int | None = None) -> xr.DataTree:
    """Return a copy of the draws with further groups; the fit stays as it is.

    Parameters
    ----------
    fit : Fit
        A fitted model.
    extension : Extension
        The groups.
    random_seed : int, optional
        Seed of predictive and prior draws.

    Returns
    -------
    xarray.DataTree
    """
    tree = _thinned(fit.idata, extension.most_draws)
    fit = replace(fit, idata=tree.copy())
    if extension.includes("log_likelihood", "posterior_predictive"):
        _write_out_observed(tree, fit)
    if extension.includes("log_likelihood"):
        tree["log_likelihood"] = log_likelihood(fit, extension.likelihood)
    if extension.includes("log_prior"):
        tree["log_prior"] = log_prior(fit)
    if extension.includes("posterior_predictive"):
        tree["posterior_predictive"] = _posterior_predictive(fit, random_seed)
    if extension.includes("prior", "prior_predictive"):
        drawn = sample_prior_predictive(fit.spec, fit.design, extension.prior_draws, random_seed)
        for group in ("prior", "prior_predictive"):
            if extension.includes(group):
                tree[group] = drawn[group].to_dataset()
    if extension.includes("posterior_predictive", "prior_predictive"):
        _add_events(tree, fit)
    return tree


def _thinned(idata: xr.DataTree, most: int) -> xr.DataTree:
    """Return a copy in which no chain has more draws than `most`."""
    count = idata["posterior"].sizes["draw"]
    keep = np.linspace(0, count - 1, most).astype(int) if count > most else slice(None)
    groups = {name: node.to_dataset() for name, node in idata.children.items()}
    return xr.DataTree.from_dict(
        {n: d.isel(draw=keep) if d.sizes.get("draw") == count else d for n, d in groups.items()}
    )


def _posterior_predictive(fit: Fit, seed: int | None) -> xr.Dataset:
    if isinstance(fit.spec, TrialSpecification):
        return person_outcomes(fit.spec, fit.design, fit.posterior, seed).to_dataset()
    return _outcomes_of_rows(fit, seed).to_dataset(name="outcome")


def _outcomes_of_rows(fit: Fit, seed: int | None) -> xr.DataArray:
    """Return new outcomes; of rows that stand for several, one for each of these."""
    weights = fit.spec.row_weights
    if weights is None or not weights.is_frequency:
        if fit.design.by:
            # The numbers of categories, which observed outcomes have, too.
            return new_outcomes(fit, fit.design, linear_predictor_draws(fit, fit.design), seed)
        return predict(fit, kind="outcome", random_seed=seed)
    family, counts = fit.spec.family, fit.design.weights
    # Fitted rows have no new units: nothing is drawn but the outcomes.
    eta = repeated(linear_predictor_draws(fit, fit.design), counts)
    dim, labels = eta.dims[-1], eta.coords[eta.dims[-1]]
    times = counts.astype(np.int64)
    side = {k: v if k in family.constants else np.repeat(v, times)
            for k, v in fit.design.side.items()}  # fmt: skip
    parameters = {n: fit.posterior[n] for n in family.default_priors(fit.design.scale)}
    priors = fit.spec.family_priors(fit.design.scale)
    plain = eta.assign_coords({dim: np.arange(eta.sizes[dim])})
    drawn = outcome_draws(plain, family, parameters, side, priors, seed)
    return drawn.assign_coords({dim: labels})


def _write_out_observed(tree: xr.DataTree, fit: Fit) -> None:
    """Repeat observed outcomes of rows that stand for several, as the predicted ones are."""
    weights = getattr(fit.spec, "row_weights", None)
    if "observed_data" not in tree or weights is None or isinstance(fit.spec, TrialSpecification):
        return
    if weights.is_frequency:
        seen = tree["observed_data"].to_dataset()["outcome"]
        tree["observed_data"] = repeated(seen, fit.design.weights).to_dataset(name="outcome")


def _add_events(tree: xr.DataTree, fit: Fit) -> None:
    """Add which durations were seen to their end, where `arviz.plot_ppc_censored` looks."""
    outcome = None if isinstance(fit.spec, TrialSpecification) else fit.design.outcome
    if outcome is not None and "event" in outcome:
        rows = fit.design.rows
        event = xr.DataArray(outcome["event"], dims=rows.name, coords={rows.name: rows.labels})
        if fit.spec.row_weights is not None and fit.spec.row_weights.is_frequency:
            event = repeated(event, fit.design.weights)
        tree["constant_data"] = event.to_dataset(name="outcome")
