r"""Log likelihood of several binary outcomes given the logits of their joint cells, fused.

Cells are the :math:`2^K` response patterns in descending binary order (11, 10, 01, 00 for two
outcomes); the last, all-zero cell is the reference and has logit zero. Each row points to a
line of a small table that tells which cells its observed outcomes allow: one cell if all were
observed, several if some are missing. Rows may carry weights, the counts of identical rows.
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
    vector,
)
from pymc_mlm.ops.layout import Layout


class MultivariateBernoulliLogp(AbstractKernelOp):
    r"""Weighted log probabilities: their sum, the rows, and the derivative by the logits.

    For a row with logits :math:`\psi`, weight w and the set S of cells it allows

    .. math::
        \ell = \log \sum_{c \in S} e^{\psi_c} - \log \sum_c e^{\psi_c}, \qquad
        \frac{\partial\, w \ell}{\partial \psi_c} = w \left( \Pr(c \mid S) - \Pr(c) \right).

    The outputs are :math:`\sum w \ell`, :math:`w \ell` and the derivative. The first serves
    collapsed rows, the second pointwise log likelihoods; one pass gives all three.
    """

    __props__ = ()
    default_output = 0
    layout = Layout(
        "logits[rows, cells], pattern[rows] < patterns, "
        "compatible[patterns, cells + 1], weight[rows]"
    )

    def make_node(self, logits: Any, pattern: Any, compatible: Any, weight: Any) -> Apply:
        """Check ranks."""
        register_backends()
        logits, pattern, weight = as_float(logits), as_index(pattern), as_float(weight)
        compatible = pt.as_tensor_variable(compatible).astype("bool")
        if [x.ndim for x in (logits, pattern, compatible, weight)] != [2, 1, 2, 1]:
            raise TypeError(
                "multivariate_bernoulli_logp needs matrices logits (row, cell - 1) and "
                "compatible (pattern, cell), and vectors pattern and weight (row,)"
            )
        rows = vector(logits.type.shape[0])
        outputs = [scalar(), rows, logits.type.clone()()]
        return Apply(self, [logits, pattern, compatible, weight], outputs)

    def infer_shape(self, node: Apply, shapes: Sequence[Any]) -> list[Any]:
        """A scalar, a value per row, a derivative per logit."""
        return [(), (shapes[0][0],), shapes[0]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Patterns, their table and the counts are data."""
        return [[True] * 3, [False] * 3, [False] * 3, [False] * 3]

    def define(self, node: Apply, inputs: Sequence[Any], out: Any) -> None:
        """Define value and derivative in NumPy."""
        logits, pattern, compatible, weight = inputs
        psi = np.concatenate([logits, np.zeros((len(logits), 1))], axis=1)  # (row, cell)
        allowed = np.where(compatible[pattern], psi, -np.inf)
        log_allowed, log_total = _logsumexp(allowed), _logsumexp(psi)
        rows = weight * (log_allowed - log_total)[:, 0]
        derivative = weight[:, None] * (np.exp(allowed - log_allowed) - np.exp(psi - log_total))
        out[0][0] = np.asarray(rows.sum())
        out[1][0] = rows
        out[2][0] = np.ascontiguousarray(derivative[:, :-1])

    def pullback(
        self, inputs: Sequence[Variable], outputs: Sequence[Variable], cts: Sequence[Variable]
    ) -> list[Variable]:
        """Multiply the stored derivative; second derivatives have a plain-graph form."""
        if is_connected(cts[2]):
            raise NotImplementedError(
                "Take second derivatives of reference_multivariate_bernoulli_logp."
            )
        gradient = pt.zeros_like(inputs[0])
        if is_connected(cts[0]):
            gradient = cts[0] * outputs[2]
        if is_connected(cts[1]):
            by_row = cts[1][:, None] * outputs[2]
            gradient = gradient + by_row if is_connected(cts[0]) else by_row
        return [gradient, *(disconnected_type() for _ in range(3))]


def _logsumexp(x: Any) -> Any:
    top = x.max(axis=1, keepdims=True)
    return top + np.log(np.exp(x - top).sum(axis=1, keepdims=True))


def _kernel(logits: Any, pattern: Any, compatible: Any, weight: Any) -> Any:
    rows, free = logits.shape
    patterns = compatible.shape[0]
    count = np.zeros(patterns, np.int64)
    only = np.zeros(patterns, np.int64)
    for p in range(patterns):
        for c in range(free + 1):
            if compatible[p, c]:
                count[p] += 1
                only[p] = c
    value = np.empty(rows)
    derivative = np.empty((rows, free))
    total = 0.0
    for i in range(rows):
        # The reference has logit 0, so sums of exponentials are at least exp(-shift); a shift
        # is needed against overflow alone, and without it exp(0) of the reference is free.
        shift = 0.0
        for c in range(free):
            if logits[i, c] > shift:
                shift = logits[i, c]
        if shift < 500.0:
            shift = 0.0
        mass = 1.0 if shift == 0.0 else exp(-shift)
        for c in range(free):
            e = exp(logits[i, c] - shift)
            derivative[i, c] = e
            mass += e
        w = weight[i]
        scale = -w / mass
        for c in range(free):
            derivative[i, c] *= scale
        p = pattern[i]
        logp = -shift - log(mass)
        if count[p] == 1:
            c = only[p]
            if c < free:
                logp += logits[i, c]
                derivative[i, c] += w
        else:
            # The allowed cells may all be improbable: their sum gets a shift of its own.
            top = 0.0 if compatible[p, free] else -np.inf
            for c in range(free):
                if compatible[p, c] and logits[i, c] > top:
                    top = logits[i, c]
            mass = exp(-top) if compatible[p, free] else 0.0
            for c in range(free):
                if compatible[p, c]:
                    mass += exp(logits[i, c] - top)
            for c in range(free):
                if compatible[p, c]:
                    derivative[i, c] += w * exp(logits[i, c] - top) / mass
            logp += top + log(mass)
        value[i] = w * logp
        total += value[i]
    return np.asarray(total), value, derivative


@numba_kernel(MultivariateBernoulliLogp)
def _(op: Op) -> Callable[..., Any]:
    return _kernel


@jax_function(MultivariateBernoulliLogp)
def _(op: Op, node: Apply) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    def logp(logits: Any, pattern: Any, compatible: Any, weight: Any) -> Any:
        psi = jnp.concatenate([logits, jnp.zeros((logits.shape[0], 1))], axis=1)
        allowed = jnp.where(compatible[pattern], psi, -jnp.inf)
        log_allowed = jax.nn.logsumexp(allowed, axis=1, keepdims=True)
        log_total = jax.nn.logsumexp(psi, axis=1, keepdims=True)
        rows = weight * (log_allowed - log_total)[:, 0]
        derivative = jnp.exp(allowed - log_allowed) - jnp.exp(psi - log_total)
        return rows.sum(), rows, weight[:, None] * derivative[:, :-1]

    return logp


_multivariate_bernoulli = MultivariateBernoulliLogp()


def multivariate_bernoulli_logp(logits: Any, pattern: Any, compatible: Any) -> Variable:
    r"""Return the log probability of each row's observed outcomes.

    .. math:: \ell_i = \log \sum_{c \in S_i} \phi_{ic}, \qquad
        \phi_{ic} = e^{\psi_{ic}} \Big/ \sum_r e^{\psi_{ir}}, \qquad \psi_{i, 0 \cdots 0} = 0

    Parameters
    ----------
    logits : tensor_like, shape (row, 2**K - 1)
        Logits of the cells against the all-zero cell; columns in descending binary order (11,
        10, 01 for two outcomes).
    pattern : tensor_like of int, shape (row,)
        Line of `compatible` that belongs to each row; not checked again here.
    compatible : tensor_like of bool, shape (pattern, 2**K)
        Cells that an observed pattern allows, the all-zero cell last. With the identity matrix
        `pattern` is the observed cell itself.

    Returns
    -------
    TensorVariable, shape (row,)
        Log probabilities, in nats.

    Notes
    -----
    The multinomial logit model of Kavelaars et al. [1]_; a missing component sums the cells
    that it leaves open.

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2023). Bayesian multilevel multivariate
       logistic regression for superiority decision-making under observable treatment
       heterogeneity. BMC Medical Research Methodology 23.

    Examples
    --------
    >>> import numpy as np
    >>> compatible = [[1, 0, 0, 0], [1, 1, 0, 0]]  # both seen as 1; the second missing
    >>> np.exp(multivariate_bernoulli_logp(np.zeros((2, 3)), [0, 1], compatible).eval())
    array([0.25, 0.5 ])
    """
    logits = as_float(logits)
    weight = pt.ones(logits.shape[0])
    return _multivariate_bernoulli.make_node(logits, pattern, compatible, weight).outputs[1]


def multivariate_bernoulli_loglik(
    logits: Any, pattern: Any, compatible: Any, weight: Any
) -> Variable:
    r"""Return the log likelihood of collapsed rows, :math:`\sum_i w_i \ell_i`.

    Parameters
    ----------
    logits, pattern, compatible
        As in `multivariate_bernoulli_logp`, one row per distinct row of the data.
    weight : tensor_like, shape (row,)
        How many rows of the data each row stands for. Data: it has no gradient.

    Returns
    -------
    TensorVariable, scalar
        Log likelihood, in nats.

    Examples
    --------
    >>> import numpy as np
    >>> loglik = multivariate_bernoulli_loglik(np.zeros((1, 3)), [2], np.eye(4), [10.0])
    >>> round(float(loglik.eval()), 4)  # 10 log(1 / 4)
    -13.8629
    """
    return _multivariate_bernoulli(logits, pattern, compatible, weight)


def reference_multivariate_bernoulli_logp(logits: Any, pattern: Any, compatible: Any) -> Variable:
    """Return the same row values as plain PyTensor, for tests and second derivatives."""
    logits = as_float(logits)
    psi = pt.concatenate([logits, pt.zeros((logits.shape[0], 1))], axis=1)
    open_cells = pt.as_tensor_variable(compatible).astype("bool")[as_index(pattern)]
    allowed = pt.switch(open_cells, psi, -np.inf)
    return pt.logsumexp(allowed, axis=1) - pt.logsumexp(psi, axis=1)
