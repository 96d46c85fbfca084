r"""Multinomial logit likelihood of several binary outcomes, with its linear predictors, fused.

A row has M linear predictors :math:`\eta_m = x'\beta_m + z'u_{j m}`, the second part being the
effects of its cluster j; a basis maps them to the logits of the :math:`2^K - 1` response
patterns, :math:`\psi = A \eta` (`pymc_mlm.data.cells`). Value and both gradients come from one
pass over the rows, and no array of the size (row, cell) is ever written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, log
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    as_index,
    is_connected,
    jax_function,
    numba_kernel,
    register_backends,
    scalar,
)
from pymc_mlm.ops.layout import Layout
from pymc_mlm.ops.multivariate_bernoulli import reference_multivariate_bernoulli_logp

RANKS = (2, 2, 2, 2, 1, 2, 1, 2, 1)
NAMES = "beta, effect, X, Z, cluster, basis, pattern, compatible, weight"


class MultinomialLogit(AbstractKernelOp):
    r"""Log likelihood, its derivative by the coefficients, and that by the cluster effects.

    With :math:`g_c = \partial \ell / \partial \psi_c = w (\Pr(c \mid S) - \Pr(c))` of a row and
    :math:`h_m = \sum_c A_{cm} g_c`

    .. math:: \partial \ell / \partial \beta_{mp} = \sum_i h_{im} x_{ip}, \qquad
        \partial \ell / \partial u_{jrm} = \sum_{i \in j} h_{im} z_{ir}.
    """

    __props__ = ()
    default_output = 0
    layout = Layout(
        "beta[predictors, covariates], effect[clusters, effects], X[rows, covariates], "
        "Z[rows, slopes], cluster[rows] < clusters, basis[cells, predictors], "
        "pattern[rows] < patterns, compatible[patterns, cells + 1], weight[rows]; "
        "slopes == 0 or effects == slopes * predictors"
    )

    def make_node(self, *inputs: Any) -> Apply:
        """Check ranks."""
        register_backends()
        casts = (as_float, as_float, as_float, as_float, as_index, as_float, as_index, _as_bool,
                 as_float)  # fmt: skip
        variables = [cast(x) for cast, x in zip(casts, inputs, strict=True)]
        if tuple(v.ndim for v in variables) != RANKS:
            raise TypeError(f"multinomial_logit_loglik needs {NAMES} of the ranks {RANKS}")
        outputs = [scalar(), variables[0].type.clone()(), variables[1].type.clone()()]
        return Apply(self, variables, outputs)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """A scalar and two gradients."""
        return [(), shapes[0], shapes[1]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Only coefficients and cluster effects have a gradient."""
        return [[True] * 3, [True] * 3, *([False] * 3 for _ in range(7))]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define value and derivatives in NumPy."""
        value, d_beta, d_effect = _definition(np, *inputs)
        out[0][0] = np.asarray(value)
        out[1][0] = np.ascontiguousarray(d_beta)
        grouped = np.zeros_like(inputs[1])
        np.add.at(grouped, inputs[4], d_effect)
        out[2][0] = grouped

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """Multiply the stored derivatives; second derivatives have a plain-graph form."""
        if is_connected(cts[1]) or is_connected(cts[2]):
            raise NotImplementedError(
                "Take second derivatives of reference_multinomial_logit_loglik."
            )
        return [
            cts[0] * outputs[1],
            cts[0] * outputs[2],
            *(disconnected_type() for _ in range(7)),
        ]


def _as_bool(x: Any) -> Variable:
    return pt.as_tensor_variable(x).astype("bool")


def _definition(
    xp: Any, beta: Any, effect: Any, X: Any, Z: Any, cluster: Any, basis: Any, pattern: Any,
    compatible: Any, weight: Any,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Return value, gradient by beta, and gradient by the effects of each row's cluster."""
    rows, slopes, predictors = X.shape[0], Z.shape[1], beta.shape[0]
    u = effect[cluster].reshape(rows, slopes, predictors)
    eta = X @ beta.T + (Z[:, :, None] * u).sum(axis=1)
    psi = xp.concatenate([eta @ basis.T, xp.zeros((rows, 1))], axis=1)
    allowed = xp.where(compatible[pattern], psi, -xp.inf)
    log_allowed, log_total = _logsumexp(xp, allowed), _logsumexp(xp, psi)
    g = xp.exp(allowed - log_allowed) - xp.exp(psi - log_total)
    h = weight[:, None] * (g[:, :-1] @ basis)  # (row, predictor)
    d_effect = (Z[:, :, None] * h[:, None, :]).reshape(rows, slopes * predictors)
    return (weight * (log_allowed - log_total)[:, 0]).sum(), h.T @ X, d_effect


def _logsumexp(xp: Any, x: Any) -> Any:
    top = x.max(axis=1, keepdims=True)
    return top + xp.log(xp.exp(x - top).sum(axis=1, keepdims=True))


def _kernel(
    beta: Any, effect: Any, X: Any, Z: Any, cluster: Any, basis: Any, pattern: Any,
    compatible: Any, weight: Any,
) -> Any:  # fmt: skip
    rows, covariates = X.shape
    predictors = beta.shape[0]
    slopes = Z.shape[1]
    free = basis.shape[0]
    saturated = free == predictors
    for c in range(free):
        for m in range(predictors):
            if basis[c, m] != (1.0 if c == m else 0.0):
                saturated = False
    # A cell differs from the one with its last success a failure in few predictors: the new ones
    # of K outcomes and their pairs are K 2^(K - 1) in all, where the basis has K^2 2^K / 2 entries.
    base = np.zeros(free, np.int64)
    ends = np.zeros(free + 1, np.int64)
    place = np.zeros(0 if saturated else free * predictors, np.int64)
    change = np.zeros(len(place))
    for c in range(len(base) if not saturated else 0):
        b = free - ((free - c) & (free - c - 1))
        base[c] = b
        at = ends[c]
        for m in range(predictors):
            difference = basis[c, m] - (basis[b, m] if b < free else 0.0)
            if difference != 0.0:
                place[at] = m
                change[at] = difference
                at += 1
        ends[c + 1] = at
    patterns = compatible.shape[0]
    count = np.zeros(patterns, np.int64)
    only = np.zeros(patterns, np.int64)
    for p in range(patterns):
        for c in range(free + 1):
            if compatible[p, c]:
                count[p] += 1
                only[p] = c
    d_beta = np.zeros((predictors, covariates))
    d_effect = np.zeros((effect.shape[0], effect.shape[1]))
    eta = np.empty(predictors)
    psi = np.empty(free)
    g = np.empty(free)
    total = 0.0
    for i in range(rows):
        j = np.uint64(cluster[i])
        for m in range(predictors):
            value = 0.0
            for p in range(covariates):
                value += X[i, p] * beta[m, p]
            for r in range(slopes):
                value += Z[i, r] * effect[j, r * predictors + m]
            eta[m] = value
        shift = 0.0
        # From the cell before the reference on: a cell's base is done before it.
        for c in range(free - 1, -1, -1):
            if saturated:
                value = eta[c]
            else:
                b = np.uint64(base[c])
                value = psi[b] if b < free else 0.0
                for at in range(ends[c], ends[c + 1]):
                    value += change[at] * eta[np.uint64(place[at])]
            psi[c] = value
            if value > shift:
                shift = value
        # As in the joint Bernoulli Op: without a shift exp(0) of the reference is free.
        if shift < 500.0:
            shift = 0.0
        mass = 1.0 if shift == 0.0 else exp(-shift)
        for c in range(free):
            g[c] = exp(psi[c] - shift)
            mass += g[c]
        w = weight[i]
        scale = -w / mass
        for c in range(free):
            g[c] *= scale
        logp = -shift - log(mass)
        q = np.uint64(pattern[i])
        if count[q] == 1:
            c = only[q]
            if c < free:
                logp += psi[c]
                g[c] += w
        else:
            top = 0.0 if compatible[q, free] else -np.inf
            for c in range(free):
                if compatible[q, c] and psi[c] > top:
                    top = psi[c]
            mass = exp(-top) if compatible[q, free] else 0.0
            for c in range(free):
                if compatible[q, c]:
                    mass += exp(psi[c] - top)
            for c in range(free):
                if compatible[q, c]:
                    g[c] += w * exp(psi[c] - top) / mass
            logp += top + log(mass)
        total += w * logp
        if not saturated:
            for m in range(predictors):
                eta[m] = 0.0
            # The way back: what a cell's base has of it, and so the sum over all that rest on it.
            for c in range(free):
                for at in range(ends[c], ends[c + 1]):
                    eta[np.uint64(place[at])] += change[at] * g[c]
                b = np.uint64(base[c])
                if b < free:
                    g[b] += g[c]
        for m in range(predictors):
            h = g[m] if saturated else eta[m]
            for p in range(covariates):
                d_beta[m, p] += h * X[i, p]
            for r in range(slopes):
                d_effect[j, r * predictors + m] += h * Z[i, r]
    return np.asarray(total), d_beta, d_effect


@numba_kernel(MultinomialLogit)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@jax_function(MultinomialLogit)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax.numpy as jnp

    def loglik(beta: Any, effect: Any, X: Any, Z: Any, cluster: Any, *data: Any) -> Any:
        value, d_beta, d_effect = _definition(jnp, beta, effect, X, Z, cluster, *data)
        return value, d_beta, jnp.zeros_like(effect).at[cluster].add(d_effect)

    return loglik


_multinomial_logit = MultinomialLogit()


def multinomial_logit_loglik(
    beta: Any, effect: Any, X: Any, Z: Any, cluster: Any, basis: Any, pattern: Any,
    compatible: Any, weight: Any,
) -> Variable:  # fmt: skip
    r"""Return the log likelihood of collapsed rows of several binary outcomes.

    .. math:: \ell = \sum_i w_i \log \sum_{c \in S_i} \phi_{ic}, \qquad
        \phi_{ic} = \frac{e^{\psi_{ic}}}{\sum_r e^{\psi_{ir}}}, \qquad
        \psi_{ic} = \sum_m A_{cm} \Big( x_i'\beta_m + z_i'u_{j(i) m} \Big)

    Parameters
    ----------
    beta : tensor_like, shape (predictor, covariate)
        Coefficients, log odds.
    effect : tensor_like, shape (cluster, slope * predictor)
        Cluster effects, log odds; column ``r * num_predictors + m`` belongs to column r of `Z`
        and predictor m. Without clusters any matrix, with `Z` of no columns.
    X : tensor_like, shape (row, covariate)
        Covariates.
    Z : tensor_like, shape (row, slope)
        Covariates whose effects vary by cluster.
    cluster : tensor_like of int, shape (row,)
        Cluster of each row. Not checked here.
    basis : tensor_like, shape (2**K - 1, predictor)
        Map from predictors to cell logits, see `pymc_mlm.data.cells.logit_basis`.
    pattern : tensor_like of int, shape (row,)
        Line of `compatible` that belongs to each row.
    compatible : tensor_like of bool, shape (pattern, 2**K)
        Cells that an observed pattern allows, the all-zero cell last.
    weight : tensor_like, shape (row,)
        How many rows of the data each row stands for.

    Returns
    -------
    TensorVariable, scalar
        Log likelihood, in nats. Only `beta` and `effect` have a gradient.

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2023). Bayesian multilevel multivariate
       logistic regression for superiority decision-making under observable treatment
       heterogeneity. BMC Medical Research Methodology 23.

    Examples
    --------
    >>> import numpy as np
    >>> none = np.zeros((1, 0))
    >>> value = multinomial_logit_loglik(
    ...     np.zeros((3, 1)), none, np.ones((1, 1)), none, [0], np.eye(3), [2], np.eye(4), [10.0]
    ... )
    >>> round(float(value.eval()), 4)  # 10 log(1 / 4)
    -13.8629
    """
    return _multinomial_logit(beta, effect, X, Z, cluster, basis, pattern, compatible, weight)


def reference_multinomial_logit_loglik(
    beta: Any, effect: Any, X: Any, Z: Any, cluster: Any, basis: Any, pattern: Any,
    compatible: Any, weight: Any,
) -> Variable:  # fmt: skip
    """Return the same value as plain PyTensor, for tests and second derivatives."""
    beta, effect, X, Z = (as_float(x) for x in (beta, effect, X, Z))
    u = effect[as_index(cluster)].reshape((X.shape[0], Z.shape[1], beta.shape[0]))
    eta = pt.dot(X, beta.T) + (Z[:, :, None] * u).sum(axis=1)
    logits = pt.dot(eta, as_float(basis).T)
    logp = reference_multivariate_bernoulli_logp(logits, pattern, compatible)
    return (as_float(weight) * logp).sum()
