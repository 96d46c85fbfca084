"""A model as hyperparameters, and normal effects that are to be integrated out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor import config
from pytensor.graph import clone_replace
from pytensor.graph.traversal import ancestors
from pytensor.scalar.math import softplus as scalar_softplus
from pytensor.tensor.elemwise import Elemwise

from pymc_mlm.codegen.interpreted import interpreted, interpreted_together
from pymc_mlm.inference.hoisting import hoist_data
from pymc_mlm.integration.gaussian import is_exact
from pymc_mlm.integration.log_densities import LOG_DENSITIES, softplus
from pymc_mlm.integration.rows import Rows
from pymc_mlm.model.build import build_with_predictor
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.elimination import arranged
from pymc_mlm.paths.linear_gaussian import LinearGaussian, Written, linear_gaussian
from pymc_mlm.paths.starts import initial_values, start_at
from pymc_mlm.terms.linear import LinearPart

Array = np.ndarray[Any, Any]

# Beyond so many, points of importance sampling are too few.
MOST_HYPERPARAMETERS = 30


@dataclass(frozen=True)
class Pieces:
    """What a vector of hyperparameters makes of the model.

    Attributes
    ----------
    log_prior : float
        Log prior density in the sampler's coordinates.
    entries : ndarray, shape (entry,)
        Entries of the matrix of effects, in the order of `Conditional.rows`.
    offset : ndarray, shape (row,)
        Linear predictor without effects.
    parameters : ndarray, shape (parameter,)
        Logs of the family's own parameters.
    """

    log_prior: float
    entries: Array
    offset: Array
    parameters: Array


@dataclass(frozen=True, eq=False)
class Conditional:
    """A model split into hyperparameters and normal effects.

    Attributes
    ----------
    model : pymc.Model
        The model with all effects.
    names : tuple of str
        Variables of the hyperparameters.
    parts : tuple of LinearPart
        Effects of the terms.
    rows : Rows
        Outcomes and the effects of each row.
    order : ndarray of int, shape (entry,)
        Place among all parts' entries of each entry of `rows`.
    shapes : tuple of tuple of int
        Shape of each hyperparameter in the sampler's coordinates.
    start : ndarray, shape (hyperparameter,)
        Where the model puts them before it sees the outcome.
    evaluate, pull_back, values : callable
        Functions of the flat vector of hyperparameters.
    linear : LinearGaussian, optional
        The model by cross products of its table, where they are all that is needed of it.
    """

    model: pm.Model
    names: tuple[str, ...]
    parts: tuple[LinearPart, ...]
    rows: Rows
    order: Array
    shapes: tuple[tuple[int, ...], ...]
    start: Array
    evaluate: Callable[..., Any]
    pull_back: Callable[..., Any]
    values: Callable[..., Any]
    linear: LinearGaussian | None = None

    @property
    def effects(self) -> tuple[str, ...]:
        """Variables of the effects."""
        return tuple(p.name for p in self.parts)

    def pieces(self, point: Array) -> Pieces:
        """Evaluate the model without effects."""
        log_prior, entries, offset, parameters = self.evaluate(point)
        return Pieces(float(log_prior), entries[self.order], offset, parameters)

    def gradient(self, point: Array, by_entries: Array, by_offset: Array, by_par: Array) -> Array:
        """Return the gradient of the log prior and of what the pieces enter."""
        unsorted = np.empty_like(by_entries)
        unsorted[self.order] = by_entries
        return np.asarray(self.pull_back(point, unsorted, by_offset, by_par))

    def draw(self, point: Array, effects: Array) -> dict[str, Array]:
        """Return the variables at one point, and effects there from standard normal ones.

        Parameters
        ----------
        point : ndarray, shape (hyperparameter,)
            In the sampler's coordinates.
        effects : ndarray, shape (effect, draw)
            Standard normal effects.

        Returns
        -------
        dict of str to ndarray
            Hyperparameters, and effects of shape (draw, unit, ...), by variable name.
        """
        found = self.values(point)
        named, roots = found[: len(self.names)], found[len(self.names) :]
        drawn, place = dict(zip(self.names, named, strict=True)), 0
        for part, root in zip(self.parts, roots, strict=True):
            count = int(np.prod(part.shape))
            z = effects[place : place + count].T.reshape(-1, *part.shape)
            drawn[part.name] = z @ root.T if root.ndim else z * root
            place += count
        return drawn


def conditional(spec: Any, design: Any, informed: bool = False) -> Conditional:
    """Split the model of a design into hyperparameters and normal effects.

    Parameters
    ----------
    spec : Specification
        The model; its family is one of `LOG_DENSITIES`.
    design : Design
        A table with its outcome.
    informed : bool
        Whether hyperparameters have the coordinates in which the sampler draws them with all
        effects. They cost an approximation of the effects, and change no density but these
        coordinates.

    Returns
    -------
    Conditional
    """
    with config.change_flags(traceback__limit=0):  # a tenth of the time goes into tracebacks
        return _split(spec, design, informed)


def _split(spec: Any, design: Any, informed: bool) -> Conditional:
    model, eta = build_with_predictor(spec, design, informed)
    with model:
        linear = [p for term, part in design.terms for p in term.linear(part)]
    parts, order, rows = arranged(spec.family.name, design.outcome, linear)
    inside = {p.name for p in parts}
    free = [rv for rv in model.free_RVs if rv.name not in inside]
    logs = [pt.log(model[n]) for n in LOG_DENSITIES[spec.family.name].parameters]
    outputs = [
        log_prior_of(model, free),
        pt.concatenate([p.entries for p in parts]),
        eta + pt.zeros(len(design.rows)),
        pt.stack(logs) if logs else pt.zeros(0),
    ]
    effects = [model[p.name] for p in parts]
    replaced = model.replace_rvs_by_values([*effects, *outputs, *free, *(p.root for p in parts)])
    # Only now: a copy of a graph with random variables would hold others than the model's. Where
    # coordinates of parameters follow effects, those that follow zero serve as well.
    none = {u: pt.zeros(p.count or p.shape) for u, p in zip(replaced, parts, strict=False)}
    log_prior, entries, offset, parameters, *values = clone_replace(replaced[len(parts) :], none)
    start_at(model, spec.starts(design))
    initial = initial_values(model)
    inputs = [model.rvs_to_values[rv] for rv in free]
    starts = [np.asarray(initial[x.name], dtype=np.float64) for x in inputs]
    point = pt.dvector("point")
    cut = dict(zip(inputs, _cut(point, starts), strict=True))
    graphs = clone_replace([log_prior, entries, offset, parameters, *values], cut)
    inner = graphs[:4]
    cotangents = [pt.dvector(), pt.dvector(), pt.dvector()]
    known = {inner[0]: pt.ones(()), **dict(zip(inner[1:], cotangents, strict=True))}
    gradient = pt.grad(None, point, known_grads=known, disconnected_inputs="ignore")
    gradient, *graphs = hoist_data([gradient, *graphs]).outputs
    inner, values = graphs[:4], graphs[4:]
    start = np.concatenate([s.ravel() for s in starts])
    by_products: LinearGaussian | None = None
    if is_exact(rows) and len(start) <= MOST_HYPERPARAMETERS:
        values_at = _function([point], values)
        written = Written(free, effects, parts, eta + pt.zeros(len(design.rows)))
        graphs_of_point = point, inner[0], inner[3], values
        by_products = linear_gaussian(
            written, graphs_of_point, values_at, start, rows, order, _function
        )
    if by_products is None:
        given = [point, *cotangents]
        several = ([point], inner), (given, [gradient]), ([point], values)
        pieces_at, run, values_at = _together(several)
        gradient_at = _only(run)
    else:
        pieces_at = _later([point], inner)
        gradient_at = _later([point, *cotangents], gradient)
    return Conditional(
        model,
        tuple(str(rv.name) for rv in free),
        parts,
        rows,
        order,
        tuple(s.shape for s in starts),
        start,
        pieces_at,
        gradient_at,
        values_at,
        by_products,
    )


def log_prior_of(model: pm.Model, variables: Sequence[Any]) -> Any:
    """Return the log prior density of variables in their own coordinates, as a graph of them."""
    total: Any = 0.0
    for rv in variables:
        total += pt.sum(pm.logp(rv, rv))
        transform = model.rvs_to_transforms[rv]
        if transform is not None:
            value = model.rvs_to_values[rv]
            total += pt.sum(transform.log_jac_det(value, *rv.owner.inputs))
    return pt.as_tensor(total)


def _cut(point: Any, starts: Sequence[Array]) -> list[Any]:
    ends = np.cumsum([s.size for s in starts])
    return [
        point[end - s.size] if not s.ndim else point[end - s.size : end].reshape(s.shape)
        for end, s in zip(ends, starts, strict=True)
    ]


def _function(inputs: Sequence[Any], outputs: Any) -> Callable[..., Any]:
    several = outputs if isinstance(outputs, list) else [outputs]
    run = interpreted(inputs, _by_numpy(several), uncompiled())
    return run if isinstance(outputs, list) else _only(run)


def _together(several: Sequence[tuple[Sequence[Any], Sequence[Any]]]) -> list[Callable[..., Any]]:
    """Return functions from inputs to lists of outputs, whose graphs share parts."""
    flat = iter(_by_numpy([x for _, outputs in several for x in outputs]))
    parts = [(inputs, [next(flat) for _ in outputs]) for inputs, outputs in several]
    return interpreted_together(parts, uncompiled())


def _only(run: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: run(*given)[0]


def _by_numpy(outputs: Sequence[Any]) -> Any:
    """Return a graph without what PyTensor runs a number at a time."""
    slow = [x for x in ancestors(outputs) if x.owner and x.owner.op == pt.softplus]
    return clone_replace(outputs, {x: BY_NUMPY(*x.owner.inputs) for x in slow})


def _later(inputs: Sequence[Any], outputs: Any) -> Callable[..., Any]:
    """Return a function that is compiled when it is first called."""
    made = cache(lambda: _function(inputs, outputs))
    return lambda *given: made()(*given)


BY_NUMPY = Elemwise(scalar_softplus, nfunc_spec=(f"{softplus.__module__}.softplus", 1, 1))
