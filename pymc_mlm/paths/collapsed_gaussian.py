"""Effects of a Gaussian outcome integrated out, and drawn exactly afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import xarray as xr

from pymc_mlm.data.column_scale import mean
from pymc_mlm.data.nested_design import NestedDesign
from pymc_mlm.data.population import INTERCEPT, PopulationDesign
from pymc_mlm.data.sufficient import leaf_moments
from pymc_mlm.fit import K_HAT
from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.model import Design, Specification
from pymc_mlm.ops.nested_gaussian import NestedStatistics, nested_gaussian_loglik
from pymc_mlm.ops.nested_gaussian_draws import draw_effects
from pymc_mlm.paths.approximation import effects_obstacle
from pymc_mlm.paths.base import AbstractPath
from pymc_mlm.paths.centring import all_columns, centring, least_squares
from pymc_mlm.paths.certified import REFUSED, certified, refusal
from pymc_mlm.paths.laplace import certificate
from pymc_mlm.paths.sampled import Sampled, completed, sampled
from pymc_mlm.priors import create
from pymc_mlm.terms.nested import Nested

EFFECT_SEED = 1


@dataclass(frozen=True)
class CollapsedGaussian(AbstractPath):
    """Effects of a Gaussian outcome integrated out, and drawn exactly afterwards.

    Where nested levels are the only term, NUTS samples the parameters from statistics of the
    leaves. With other terms the parameters are drawn by importance sampling; where its weights do
    not certify the draws, the sampler samples the model as it is written.
    """

    name: ClassVar[str] = "collapsed"

    def obstacle(self, spec: Any, design: Any) -> str | None:
        """Return why effects cannot be integrated out here."""
        reason = family_obstacle(spec)
        return reason if reason or is_nested_alone(spec) else effects_obstacle(design)

    def is_automatic(self, spec: Any, design: Any, run: Run | None) -> bool:
        """Return whether nested levels are the only term."""
        return is_nested_alone(spec)

    def model(self, spec: Any, design: Any) -> pm.Model:
        """Return the model of the parameters alone, or where terms cross the one with effects."""
        return collapsed_model(spec, design) if is_nested_alone(spec) else spec.build(design)

    def draw(self, spec: Any, design: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
        """Draw the parameters, then the effects."""
        if not is_nested_alone(spec):
            return certified(spec, design, sampler, run)
        idata = sampled(self.model(spec, design), spec.starts(design), sampler, run)
        seed = run.random_seed
        rng = np.random.default_rng(None if seed is None else [seed, EFFECT_SEED])
        posterior = idata["posterior"].to_dataset()
        parts = (design.population, design.nested)
        statistics = nested_statistics(*parts, outcome(design), design.weights)
        effects = exact_effects(posterior, *parts, statistics, rng)
        idata = completed(idata, spec.derived(posterior, design) | effects)
        observed = xr.DataArray(
            outcome(design), dims=(design.rows.name,), coords={design.rows.name: design.rows.labels}
        )
        idata["observed_data"] = xr.DataTree(observed.to_dataset(name="outcome"))
        return idata

    def taken(self, idata: xr.DataTree) -> AbstractPath:
        """Return plain sampling where importance weights did not certify the draws."""
        return Sampled() if REFUSED in idata["posterior"].attrs else self

    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return how the parameters were drawn, with the certificate where there is one."""
        attrs = idata["posterior"].attrs
        if K_HAT in attrs:
            return (
                "effects integrated out exactly; draws weighted to the exact posterior "
                f"({certificate(idata)})",
            )
        if REFUSED in attrs:
            return (
                refusal(attrs[REFUSED]),
                *Sampled().notes(spec, design, idata),
            )
        return ("effects integrated out exactly, and drawn exactly after sampling",)


def family_obstacle(spec: Any) -> str | None:
    """Return why effects of the family cannot be integrated out exactly."""
    if spec.family.name != "gaussian":
        return f"effects are integrated out for family='gaussian' only, not {spec.family.name!r}"
    if not spec.family.is_standard:
        return f"the likelihood of {type(spec.family).__name__!r} is not that of family='gaussian'"
    return None


def is_nested_alone(spec: Any) -> bool:
    """Return whether nested levels are the only term."""
    if len(spec.terms) != 1 or spec.impute:
        return False
    term = spec.terms[0]
    return isinstance(term, Nested) and term.is_of_effect("linear")


def outcome(design: Design) -> np.ndarray:
    """Return the outcome, shape (row,)."""
    assert design.outcome is not None
    return design.outcome["value"]


def collapsed_model(spec: Specification, design: Design) -> pm.Model:
    """Write the model of a design without its effects.

    Parameters
    ----------
    spec : Specification
        Gaussian outcome, nested levels as the only term.
    design : Design
        The table.

    Returns
    -------
    pymc.Model
    """
    spread, nested = design.scale.spread, spec.nested
    assert nested is not None
    with pm.Model(model=None) as model:
        population = spec.population(design.scale.location)
        beta = population.priors_used(design.population, spread).get("beta")
        own = population.priors if beta is None else {**population.priors, "beta": beta}
        # The coefficients as every model has them, but at one row, the mean of all.
        X = mean(design.population.X, design.population.counts)[None]
        at_mean = replace(design.population, X=X, offset=np.zeros(1), counts=None)
        part = replace(population, priors=own)
        parts = (design.population, design.nested)
        statistics = nested_statistics(*parts, outcome(design), design.weights)
        if beta is not None:
            vague = replace(population, priors={}).priors_used(design.population, spread)["beta"]
            known = least_squares(*parts, statistics, spread, vague.parameters["sigma"])
            part.coefficients(at_mean, spread, known)
        part.intercept(at_mean, spread, part.at_mean(at_mean))
        coefficients = {n: model[n] for n in (INTERCEPT, "beta") if n in model.named_vars}
        sds, partials = nested.parameters(design.nested, spread)
        sigma = create(spec.family_priors(design.scale)["sigma"], "sigma", positive=True)
        add_collapsed_likelihood(coefficients, sds, partials, sigma, *parts, statistics)
    return model


def nested_statistics(
    population: PopulationDesign,
    nested: NestedDesign,
    y: np.ndarray,
    weights: np.ndarray | None = None,
) -> NestedStatistics:
    """Reduce the rows of a table to one matrix per leaf.

    Parameters
    ----------
    population : PopulationDesign
        Covariates with a population coefficient.
    nested : NestedDesign
        Units and varying columns; a varying column without a population coefficient has one
        that is zero.
    y : ndarray, shape (row,)
        Outcome.
    weights : ndarray, shape (row,), optional
        How much each row counts.

    Returns
    -------
    NestedStatistics
        NumPy arrays.
    """
    names = all_columns(population, nested)
    own = dict(zip(population.names, population.X.T, strict=True))
    own |= dict(zip(nested.columns, nested.values, strict=True))
    ones = np.broadcast_to(1.0, len(y))
    X = [ones if n == INTERCEPT else own[n] for n in names]
    y = y - population.offset if population.offset.any() else y
    num_leaves, shift = len(nested.nesting.labels[-1]), centring(population, nested).shift
    leaf = nested.nesting.leaf
    moments = leaf_moments(X, y, leaf, num_leaves, shift=shift, weights=weights)
    return NestedStatistics(
        xx=moments.xx,
        xy=moments.xy,
        yy=moments.yy,
        n=moments.n,
        center=moments.center,
        varying=np.array([names.index(c) for c in nested.columns]),
        parent=nested.nesting.tree,
        sizes=nested.nesting.sizes,
    )


def add_collapsed_likelihood(
    coefficients: dict[str, Any],
    sds: list[Any],
    partials: list[Any],
    sigma: Any,
    population: PopulationDesign,
    nested: NestedDesign,
    statistics: NestedStatistics,
) -> Any:
    """Add the likelihood of all rows to the current model as one potential.

    Parameters
    ----------
    coefficients : dict of str to TensorVariable
        ``Intercept`` (scalar) and ``beta`` (covariate,), where the model has them.
    sds, partials : list of TensorVariable
        One vector per level; None for a level without correlations.
    sigma : TensorVariable, scalar
        Residual standard deviation.
    population, nested : designs
        What the vectors belong to.
    statistics : NestedStatistics
        From `nested_statistics`.

    Returns
    -------
    TensorVariable, scalar
    """
    zero = pt.zeros(1)
    num_extra = len(all_columns(population, nested)) - len(population.names)
    parts = [pt.atleast_1d(coefficients[INTERCEPT])] if population.intercept else []
    parts += [coefficients["beta"]] if population.names else []
    parts += [pt.zeros(num_extra - int(population.intercept))]
    num_pairs = len(nested.columns) * (len(nested.columns) - 1) // 2
    places = [np.flatnonzero(at) for at in nested.varies]
    sd = [_spread(v, at, len(nested.columns), zero) for v, at in zip(sds, places, strict=True)]
    partial = [
        _spread(v, nested.pair_places(level), num_pairs, zero) for level, v in enumerate(partials)
    ]
    statistics_data = NestedStatistics._make(
        pm.Data(f"suffstat_{name}", values) for name, values in statistics._asdict().items()
    )
    coefficients_at_zero = parts[0] if len(parts) == 1 else pt.concatenate(parts)
    carrier, shift = centring(population, nested)
    value = nested_gaussian_loglik(
        coefficients_at_zero + carrier * pt.dot(shift, coefficients_at_zero),
        pt.stack(sd),
        pt.stack(partial),
        sigma,
        statistics_data,
    )
    return pm.Potential("log_likelihood", value)


def exact_effects(
    posterior: xr.Dataset,
    population: PopulationDesign,
    nested: NestedDesign,
    statistics: NestedStatistics,
    rng: np.random.Generator,
) -> dict[str, xr.DataArray]:
    """Draw every unit's deviations, one exact draw per posterior draw.

    Parameters
    ----------
    posterior : xarray.Dataset
        Draws of the parameters.
    population, nested, statistics
        As fitted.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of str to DataArray, dims (chain, draw, level, level_coef)
        By variable name, ``<level>_effect``.
    """
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    count, p = shape[0] * shape[1], len(nested.columns)
    names = all_columns(population, nested)
    beta = np.zeros((count, len(names)))
    if population.intercept:
        beta[:, names.index(INTERCEPT)] = posterior[INTERCEPT].values.reshape(count)
    if population.names:
        at = [names.index(n) for n in population.names]
        beta[:, at] = posterior["beta"].values.reshape(count, -1)
    carrier, shift = centring(population, nested)
    beta += carrier * (beta @ shift)[:, None]
    sd = np.zeros((count, len(nested.levels), p))
    partial = np.zeros((count, len(nested.levels), p * (p - 1) // 2))
    for level, prefix in enumerate(nested.prefixes):
        sd[:, level, nested.varies[level]] = posterior[f"{prefix}_sd"].values.reshape(count, -1)
        if nested.pairs(level):
            values = posterior[f"{prefix}_partial"].values.reshape(count, -1)
            partial[:, level, nested.pair_places(level)] = values
    sigma = posterior["sigma"].values.reshape(count)
    effects = draw_effects(beta, sd, partial, sigma, statistics, rng, nested.varies)
    return {
        f"{prefix}_effect": xr.DataArray(
            effects[level].reshape(*shape, len(nested.nesting.labels[level]), -1),
            dims=("chain", "draw", nested.levels[level], f"{prefix}_coef"),
            coords={
                nested.levels[level]: list(nested.nesting.labels[level]),
                f"{prefix}_coef": list(nested.coefs(level)),
            },
        )
        for level, prefix in enumerate(nested.prefixes)
    }


def _spread(values: Any, places: Any, length: int, zero: Any) -> Any:
    """Put a level's parameters where they belong among all; zero elsewhere."""
    if len(places) == length:
        return values if values is not None else pt.zeros(0)
    at = {int(place): i for i, place in enumerate(places)}
    parts = [values[at[k] : at[k] + 1] if k in at else zero for k in range(length)]
    return pt.concatenate(parts)
