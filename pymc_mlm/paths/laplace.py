"""Effects integrated out by Laplace's method, and a certificate by weighted draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import xarray as xr

from pymc_mlm.errors import SpecificationError
from pymc_mlm.fit import EFFECTIVE_SIZE, EXACT, K_HAT, K_HAT_LIMIT
from pymc_mlm.inference import AbstractSampler, Run
from pymc_mlm.inference.observed import add_observed
from pymc_mlm.integration.factor import Factor
from pymc_mlm.integration.gaussian import collapsed
from pymc_mlm.integration.importance import (
    SMALLEST_EFFECTIVE_SIZE,
    ImportanceSample,
    IntegrationError,
    find_mode,
    importance_sample,
)
from pymc_mlm.integration.laplace import CHEAP_FACTOR, TOLERANCE, Laplace, laplace
from pymc_mlm.integration.log_densities import LOG_DENSITIES
from pymc_mlm.integration.pareto import k_hat_limit, pareto_smooth
from pymc_mlm.integration.rows import Rows
from pymc_mlm.integration.second_order import corrected_mode
from pymc_mlm.integration.trend import Trend, trend
from pymc_mlm.paths.base import AbstractPath
from pymc_mlm.paths.conditional import Conditional, conditional
from pymc_mlm.terms import AbstractTerm

Array = np.ndarray[Any, Any]

# Matrices are held of all effects but those that are eliminated first.
MOST_EFFECTS = 3000
# Bytes of the effects drawn at all points.
MOST_MEMORY = 2e9
MOST_HYPERPARAMETERS = 30
# With a heavier tail of the hyperparameters' weights, or fewer effective points, not even the
# approximation is drawn from.
WORST_K_HAT, FEWEST_POINTS = 1.0, 50
# At each point of a model of many effects.
FEWEST_DRAWS = 16
# Effective points with which a model of many effects is content.
ENOUGH = 150
# Squared Newton decrement at which the last step leads near enough to the mode to propose there.
NEAR_ENOUGH = 1e-4
# From so many rows on the second order is followed from the mode.
MANY_ROWS = 5000


class LogMarginal:
    """Log posterior of hyperparameters, effects integrated out; remembers where the mode was."""

    def __init__(self, model: Conditional) -> None:
        self.model = model
        self.near: tuple[Array, Factor] | None = None

    def at(self, point: Array) -> tuple[float, Laplace]:
        """Return the log prior and the approximation of the effects."""
        return self._at(point, TOLERANCE, False)

    def proposal(self, point: Array) -> tuple[float, Laplace]:
        """Return the log prior, and an approximation that is near enough to draw and weigh."""
        return self._at(point, NEAR_ENOUGH, True)

    def _at(self, point: Array, tolerance: float, is_proposal: bool) -> tuple[float, Laplace]:
        p = self.model.pieces(point)
        given = self.model.rows, p.entries, p.offset, p.parameters
        if self.model.rows.family == "gaussian":
            return p.log_prior, collapsed(*given)
        return p.log_prior, laplace(*given, self.near, tolerance, is_proposal)

    def __call__(self, point: Array) -> tuple[float, Array]:
        """Return value and gradient by Laplace's method, minus infinity where it fails."""
        try:
            log_prior, found = self.at(point)
        except IntegrationError:
            return -np.inf, np.zeros_like(point)
        self.near = found.mode, found.root
        return log_prior + found.value, self.model.gradient(point, *found.gradient())

    def second_order(self, point: Array) -> float:
        """Return what the second order adds to the value."""
        return self.at(point)[1].second_order


class Draws:
    """Effects drawn at every point of the hyperparameters whose density was asked for."""

    def __init__(
        self, density: LogMarginal, trend: Trend | None, each: int, rng: np.random.Generator
    ) -> None:
        self.density, self.trend, self.each, self.rng = density, trend, each, rng
        self.effects: dict[bytes, Array] = {}
        self.log_weights: dict[bytes, Array] = {}

    def __call__(self, point: Array) -> float:
        """Return the value with the second order, minus infinity where there is none."""
        if self.trend is not None:
            self.density.near = self.trend.effects(point), self.trend.center.root
        try:
            log_prior, found = self.density.proposal(point)
        except IntegrationError:
            return -np.inf
        if self.trend is not None and (
            _is_large(found.rows) or len(found.eta) >= MANY_ROWS
        ):  # only proposals depend on these, and they are the dear part
            found = replace(found, known_variance=self.trend.variance(point, found))
            marginal = found.value + self.trend.second_order(point)
        else:
            marginal = found.value + found.second_order
        key = point.tobytes()
        self.effects[key], log_ratio = found.draw(self.each, self.rng)
        self.log_weights[key] = log_ratio - marginal
        return log_prior + marginal


@dataclass(frozen=True, eq=False)
class WeightedDraws:
    """Draws of all variables, and how far they can be trusted.

    Attributes
    ----------
    values : dict of str to ndarray, shape (draw, ...)
        By variable name.
    k_hat : float
        The larger tail shape of the weights of hyperparameters and of all draws.
    k_hat_limit : float
        What it may be at most.
    effective_size : float
        The smaller effective number of the two, after the weights of effects.
    is_exact : bool
        Whether the weights certify the draws; if not, the effects' are those of the approximation.
    """

    values: dict[str, Array]
    k_hat: float
    k_hat_limit: float
    effective_size: float
    is_exact: bool


def integrate(model: Conditional, count: int, rng: np.random.Generator) -> WeightedDraws:
    """Draw hyperparameters with effects integrated out, then effects, both weighted.

    Parameters
    ----------
    model : Conditional
        The model.
    count : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    WeightedDraws

    Raises
    ------
    IntegrationError
        The approximation does not exist.
    """
    density = LogMarginal(model)
    mode = find_mode(density, model.start)
    density(mode.point)
    # Rounds of points adapt to what one step leaves, where each evaluation is dear.
    mode = corrected_mode(density, density.second_order, mode, 1 if _is_large(model.rows) else 2)
    follow = None
    if model.rows.family != "gaussian":
        follow = trend(lambda point: density.at(point)[1], mode)
    rounds, each = points_of(model.rows, len(model.start), count)
    draws = Draws(density, follow, each, rng)
    sample = importance_sample(
        draws, mode, rng, rounds, ENOUGH if _is_large(model.rows) else np.inf
    )
    if sample.k_hat > WORST_K_HAT or sample.effective_size < FEWEST_POINTS:
        raise IntegrationError(
            "the approximate posterior of the parameters has tails that no proposal covers (k-hat "
            f"{sample.k_hat:.2f}, {sample.effective_size:.0f} effective points)"
        )
    return _weighted(draws, sample, count, rng)


def _is_large(rows: Rows) -> bool:
    return rows.size - rows.num_front > CHEAP_FACTOR


def points_of(rows: Rows, hyperparameters: int, count: int) -> tuple[tuple[int, ...], int]:
    """Return the points of each round, and how many effects are drawn at each point.

    Where factors are dear, short rounds that end when the points are enough, with more draws, which
    are cheap.
    """
    if not _is_large(rows):
        return (150, 150, 300), -(-count // 600) + 1
    one = int(np.clip(10 * hyperparameters, 40, 100))
    most = int(np.clip(80 * hyperparameters, 160, 600))
    return (one,) * -(-most // one), max(-(-count // (3 * one)) + 1, FEWEST_DRAWS)


def _weighted(
    draws: Draws, sample: ImportanceSample, count: int, rng: np.random.Generator
) -> WeightedDraws:
    """Weigh all effects drawn by the joint density, and resample by weight."""
    used = np.flatnonzero(sample.weights)
    keys = [sample.points[k].tobytes() for k in used]
    log_weights = np.array([draws.log_weights[key] for key in keys])
    log_weights += np.log(sample.weights[used])[:, None]
    weights, k_hat = pareto_smooth(log_weights.ravel())
    of_points = weights.reshape(log_weights.shape).sum(axis=1)
    k_hat, size = max(sample.k_hat, k_hat), 1 / max(weights @ weights, of_points @ of_points)
    limit = k_hat_limit(len(sample.points))  # the stricter one, for there are more draws
    is_exact = k_hat < limit and size >= SMALLEST_EFFECTIVE_SIZE
    if not is_exact:
        weights = np.repeat(sample.weights[used], draws.each)
    kept = ImportanceSample(np.arange(len(weights))[:, None], weights, k_hat).resample(count, rng)
    model = draws.density.model
    values: dict[str, Array] = {}
    for place in np.unique(kept // draws.each):
        at = np.flatnonzero(kept // draws.each == place)
        effects = draws.effects[keys[place]][:, kept[at] % draws.each]
        for name, value in model.draw(sample.points[used[place]], effects).items():
            shape = value.shape[1:] if name in model.effects else value.shape
            values.setdefault(name, np.empty((count, *shape)))[at] = value
    return WeightedDraws(values, k_hat, limit, size, is_exact)


@dataclass(frozen=True)
class LaplacePath(AbstractPath):
    """Effects integrated out by Laplace's method, hyperparameters by importance sampling."""

    name: ClassVar[str] = "laplace"
    is_direct: ClassVar[bool] = True

    def obstacle(self, spec: Any, design: Any) -> str | None:
        """Return why the effects cannot be integrated out."""
        if spec.family.name == "gaussian":
            return "effects of a Gaussian outcome are integrated out by path='collapsed'"
        return family_obstacle(spec.family) or effects_obstacle(design)

    def model(self, spec: Any, design: Any) -> pm.Model:
        """Return the model as it is written."""
        return spec.build(design)

    def draw(self, spec: Any, design: Any, sampler: AbstractSampler, run: Run) -> xr.DataTree:
        """Draw ``run.chains`` times ``run.draws`` weighted draws, resampled by their weights."""
        if run.initvals:
            raise SpecificationError(
                "initvals: draws by Laplace's method start nowhere. Leave initvals out, or sample "
                "with path='sampled'."
            )
        try:
            return weighted_draws(spec, design, run)
        except IntegrationError as error:
            raise SpecificationError(
                f"path='laplace' cannot be taken: {error}. Use path='sampled'."
            ) from error

    def notes(self, spec: Any, design: Any, idata: xr.DataTree) -> tuple[str, ...]:
        """Return whether the draws are exact, with the figures of the certificate."""
        made = "effects integrated out by Laplace's method with its second order"
        figures, limit = certificate(idata), idata["posterior"].attrs[K_HAT_LIMIT]
        if idata["posterior"].attrs[EXACT]:
            return (f"{made}, and draws weighted to the exact posterior ({figures})",)
        return (
            f"approximate: {made}; the weights that would make the draws exact vary too much "
            f"({figures}; at most {limit:.2f} and at least {SMALLEST_EFFECTIVE_SIZE} would do). "
            "path='sampled' samples the exact posterior.",
        )


def family_obstacle(family: Any) -> str | None:
    """Return why the log density of a family is not known beside its graph."""
    if family.name in LOG_DENSITIES and family.is_standard:
        return None
    return (
        f"no derivatives are known of the log density of {type(family).__name__!r}; those of the "
        f"package's {', '.join(LOG_DENSITIES)} are"
    )


def effects_obstacle(design: Any) -> str | None:
    """Return why effects cannot be integrated out of a model, whatever its family."""
    with_effects = [(term, part) for term, part in design.terms if term.sizes(part)]
    strange = [term.label for term, _ in with_effects if not _is_linear(term)]
    if strange:
        return f"the term {strange[0]!r} does not say how its effects enter (`linear`)"
    if not with_effects:
        return "the model has no random effects to integrate out"
    return None


def weighted_draws(spec: Any, design: Any, run: Run) -> xr.DataTree:
    """Draw ``run.chains`` times ``run.draws`` draws of all variables, resampled by weight.

    Raises
    ------
    IntegrationError
        The parameters are too many, or the effects cannot be integrated out.
    SpecificationError
        The draws, or matrices of effects, do not fit into memory.
    """
    model = conditional(spec, design)
    if len(model.start) > MOST_HYPERPARAMETERS:
        raise IntegrationError(
            f"the model has {len(model.start)} parameters beside the random effects, and "
            f"importance sampling serves {MOST_HYPERPARAMETERS} at most"
        )
    others = model.rows.size - model.rows.num_front
    if others > MOST_EFFECTS:
        raise SpecificationError(
            "Effects cannot be integrated out: matrices of all effects but those of one hm() or "
            f"nested level are held, at most {MOST_EFFECTS}; there are {others}. Use "
            "path='sampled'."
        )
    count = run.chains * run.draws
    rounds, each = points_of(model.rows, len(model.start), count)
    memory = 8 * model.rows.size * (count + sum(rounds) * each)
    if memory > MOST_MEMORY:
        raise SpecificationError(
            f"Effects cannot be integrated out: so many draws of {model.rows.size} effects take "
            f"{memory / 1e9:.1f} GB, {MOST_MEMORY / 1e9:g} at most. Ask for fewer draws."
        )
    found = integrate(model, count, np.random.default_rng(run.random_seed))
    posterior = _dataset(model.model, found.values, (run.chains, run.draws))
    posterior = posterior.assign(spec.derived(posterior, design))
    posterior.attrs = {
        K_HAT: found.k_hat, K_HAT_LIMIT: found.k_hat_limit,
        EFFECTIVE_SIZE: found.effective_size, EXACT: int(found.is_exact),
    }  # fmt: skip
    return add_observed(xr.DataTree.from_dict({"posterior": posterior}), model.model)


def certificate(idata: xr.DataTree) -> str:
    """Return the figures by which weighted draws are judged."""
    attrs = idata["posterior"].attrs
    return f"k-hat {attrs[K_HAT]:.2f}, effective size {attrs[EFFECTIVE_SIZE]:.0f}"


def _is_linear(term: Any) -> bool:
    return type(term).linear is not AbstractTerm.linear and term.is_of_effect("linear")


def _dataset(model: pm.Model, values: dict[str, Array], shape: tuple[int, int]) -> xr.Dataset:
    """Return draws with the dims and labels of the model's variables."""
    variables, coords = {}, {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    for rv in model.free_RVs:
        drawn = values[rv.name].reshape(*shape, *values[rv.name].shape[1:])
        default = [f"{rv.name}_dim_{i}" for i in range(drawn.ndim - 2)]
        dims = list(model.named_vars_to_dims.get(rv.name) or default)
        coords |= {d: list(model.coords[d]) for d in dims if model.coords.get(d) is not None}
        variables[rv.name] = (["chain", "draw", *dims], drawn)
    return xr.Dataset(variables, coords=coords)
