r"""The nested Gaussian model with all its effects integrated out: the likelihood.

Rows :math:`i` lie in leaves, leaves in parents, and so on to the outermost level; each unit
:math:`g` of level :math:`l` deviates from its parent by :math:`d_g`, and only the leaf's total
deviation enters the predictor:

.. math::
    y_i = x_i'\beta + z_i' t_{\mathrm{leaf}(i)} + \epsilon_i, \quad
    t_g = t_{\mathrm{parent}(g)} + d_g, \quad d_g \sim N(0, S_l), \quad
    \epsilon_i \sim N(0, \sigma^2),

with :math:`z_i` a subset of the columns of :math:`x_i`, :math:`S_l = D_l R_l D_l`, :math:`D_l`
the standard deviations and :math:`R_l` a correlation matrix given by canonical partial
correlations (`pymc_mlm.ops.correlation`).

**Upwards.** The rows below a unit have the likelihood :math:`\exp(-\tfrac12 t'Jt + h't)` of its
total deviation. For a leaf :math:`J = Z'Z/\sigma^2`, :math:`h = Z'(y - X\beta)/\sigma^2`; for any
other unit they are the sums of its children's messages. Integrating :math:`d \sim N(0, S)` out of
:math:`t = e + d` gives the message :math:`\exp(-\tfrac12 e'Ue + u'e)` about the parent's
:math:`e`, and a factor:

.. math::
    K = (I + SJ)^{-1}, \quad U = JK, \quad u = K'h, \quad
    \log c = \tfrac12 h'Su - \tfrac12 \log|I + SJ| .

This uses :math:`S`, never its inverse, so that a standard deviation of 0 and a correlation of
:math:`\pm 1` are ordinary values: a level whose covariates are a subset of the varying columns
has 0 in the other places, exactly. The outermost units have :math:`e = 0`. The kernel writes
:math:`J = FF'` (a Cholesky factor that lets singular directions be zero), :math:`W = I + F'SF`,
:math:`h = Fk` and :math:`U = FW^{-1}F'`, :math:`u = FW^{-1}k`: positive by construction and
unaffected by the units of the covariates. Where the rows of a leaf say :math:`10^{10}` times more
than its prior it still has 14 digits (tested in rational arithmetic); the NumPy, JAX and plain
forms, which invert :math:`I + SJ`, have six there.

**Downwards**, with :math:`E_g, V_g` the posterior mean and variance of :math:`t_g` (both 0 for
the parent of the outermost units), :math:`e` the parent, :math:`s_g = u_g - U_g E_e`:

.. math::
    E_g = E_e + S s_g, \qquad V_g = KS + K V_e K', \qquad
    \frac{\partial \ell}{\partial S_l}
        = \tfrac12 \sum_{g \in l} (s_g s_g' + U_g V_e U_g - U_g),

because a Gaussian convolution obeys the heat equation, :math:`\partial_S c = \tfrac12
\partial^2_e c`: the gradient is the expected outer product of the score minus the information,
without any difference of :math:`S^{-1}`. The gradients of :math:`\beta` and :math:`\sigma` are
those of the complete-data log likelihood at :math:`E, V` (Fisher's identity).

The cost is that of the units: rows enter once, through per-leaf moments
(`pymc_mlm.data.sufficient`).

References
----------
.. [1] Longford, N. T. (1987). A fast scoring algorithm for maximum likelihood estimation in
   unbalanced mixed models with nested random effects. Biometrika 74, 817-827.
.. [2] Weiss, Y. & Freeman, W. T. (2001). Correctness of belief propagation in Gaussian graphical
   models of arbitrary topology. Neural Computation 13, 2173-2200.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Constant, Variable
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
from pymc_mlm.ops.correlation import partials_to_cholesky, pull_cholesky
from pymc_mlm.ops.layout import Layout, is_nested


class NestedStatistics(NamedTuple):
    """What the likelihood needs to know of the data; arrays, or ``pm.Data`` made of them.

    Attributes
    ----------
    xx, xy : shape (leaf, q, q) and (leaf, q)
        Per leaf :math:`X'X` and :math:`X'(y - Xc)`, with c the `center`.
    yy, n : scalar
        Total :math:`(y - Xc)'(y - Xc)` and number of rows, both floats.
    center : shape (q,)
        The coefficients c around which the moments were taken.
    varying : int, shape (p,)
        Columns of X whose coefficients vary between units.
    parent : int, shape (unit,)
        Parent of each unit; units are numbered through all levels, outermost level first and
        leaves last. The outermost units have -1.
    sizes : int, shape (level,)
        Number of units of each level, outermost first.
    """

    xx: Any
    xy: Any
    yy: Any
    n: Any
    center: Any
    varying: Any
    parent: Any
    sizes: Any


def nested_gaussian_loglik(
    beta: Any, sd: Any, partial: Any, sigma: Any, statistics: NestedStatistics
) -> Variable:
    r"""Return the log likelihood of a nested Gaussian model, all effects integrated out.

    Value and gradients come from one node; the formulas are in the module's docstring.

    Parameters
    ----------
    beta : tensor_like, shape (q,)
        Population coefficients of all columns of X.
    sd : tensor_like, shape (level, p)
        Standard deviations of the deviations, outermost level first, in units of y per unit of
        the column. Zero is allowed: such a coefficient does not vary at that level.
    partial : tensor_like, shape (level, p (p - 1) / 2)
        Canonical partial correlations, row by row (`pymc_mlm.ops.correlation`). For a
        coefficient that does not vary at a level give 0, which leaves the others' correlations
        as they would be without it.
    sigma : tensor_like, scalar
        Residual standard deviation, positive.
    statistics : NestedStatistics
        Moments and structure of the data. Indices are not checked here.

    Returns
    -------
    TensorVariable, scalar
        Log density of y given the parameters.

    Notes
    -----
    Second derivatives: use `reference_nested_gaussian`. Under JAX ``statistics.sizes`` must be a
    constant, as PyMC makes it for its JAX samplers (``freeze_dims_and_data``).

    Examples
    --------
    Two groups of one row each, intercepts only: y ~ N(0, [[2, 0], [0, 2]]).

    >>> import numpy as np
    >>> one = np.ones((2, 1, 1))
    >>> statistics = NestedStatistics(
    ...     xx=one,
    ...     xy=np.array([[1.0], [-1.0]]),
    ...     yy=2.0,
    ...     n=2.0,
    ...     center=np.zeros(1),
    ...     varying=np.array([0]),
    ...     parent=np.array([-1, -1]),
    ...     sizes=np.array([2]),
    ... )
    >>> loglik = nested_gaussian_loglik([0.0], [[1.0]], np.zeros((1, 0)), 1.0, statistics)
    >>> round(float(loglik.eval()), 6)
    -3.031024
    """
    return NestedGaussianLoglik()(beta, sd, partial, sigma, *statistics)


def reference_nested_gaussian(
    beta: Any, sd: Any, partial: Any, sigma: Any, statistics: NestedStatistics
) -> Variable:
    """Return `nested_gaussian_loglik` as a plain graph, differentiable any number of times.

    Parameters
    ----------
    beta, sd, partial, sigma : tensor_like
        As in `nested_gaussian_loglik`.
    statistics : NestedStatistics
        As there, but ``varying``, ``parent`` and ``sizes`` are NumPy arrays.

    Returns
    -------
    TensorVariable, scalar
        Log density of y given the parameters.
    """
    parameters = Parameters._make(as_float(x)[None] for x in (beta, sd, partial, sigma))
    data = NestedStatistics._make([*map(as_float, statistics[:5]), *statistics[5:]])

    def add(message: Any, parent: Any, size: int) -> Any:
        zeros = pt.zeros((size, *[message.shape[k] for k in range(1, message.ndim)]))
        return zeros[parent].inc(message)

    sizes = tuple(int(s) for s in statistics.sizes)
    return _upward(parameters, data, sizes, add, pt)[0][0]


class Parameters(NamedTuple):
    """The likelihood's parameters, each with a leading draw axis where the recursion runs."""

    beta: Any
    sd: Any
    partial: Any
    sigma: Any


class Message(NamedTuple):
    """Messages of a level's units: arrays over (unit, draw), matrices (p, p)."""

    J: Any
    h: Any
    S: Any
    K: Any
    U: Any
    u: Any


def _upward(
    draws: Parameters,
    data: NestedStatistics,
    sizes: tuple[int, ...],
    add: Callable[[Any, Any, int], Any],
    xp: Any,
) -> tuple[Any, list[Message]]:
    """Return the log likelihood (draw,) and the messages of each level, outermost first.

    ``add(values, index, size)`` sums values into places; `xp` is the array library.
    """
    p = len(data.varying)
    variance = (draws.sigma * draws.sigma)[:, None]
    factor = draws.sd[..., None] * partials_to_cholesky(draws.partial, p, xp)
    covariance = factor @ factor.mT
    residual, squares = _residual_moments(draws.beta, data, xp)
    J = data.xx[:, data.varying][:, :, data.varying][:, None] / variance[..., None]
    h = residual[:, :, data.varying] / variance
    value = -0.5 * (data.n * xp.log(2 * np.pi * variance[:, 0]) + squares / variance[:, 0])
    messages = []
    for level in reversed(range(len(sizes))):
        S = covariance[:, level]
        grown = xp.eye(p) + S @ J
        K = xp.linalg.inv(grown)
        U = J @ K
        U = 0.5 * (U + U.mT)
        u = (K.mT @ h[..., None])[..., 0]
        evidence = (h * (S @ u[..., None])[..., 0]).sum(axis=-1) - xp.log(xp.linalg.det(grown))
        value = value + 0.5 * evidence.sum(axis=0)
        messages.append(Message(J, h, S, K, U, u))
        if level:
            above = _above(data.parent, sizes, level)
            J, h = add(U, above, sizes[level - 1]), add(u, above, sizes[level - 1])
    return value, messages[::-1]


def _residual_moments(beta: Any, data: NestedStatistics, xp: Any) -> tuple[Any, Any]:
    """Return X'(y - X beta) per leaf, (leaf, draw, q), and the residual sum of squares, (draw,)."""
    shift = beta - data.center
    xy = data.xy[:, None]
    residual = xy - xp.swapaxes(xp.tensordot(data.xx, shift, axes=[[2], [1]]), 1, 2)
    return residual, data.yy - (shift * (xy + residual).sum(axis=0)).sum(axis=-1)


def _above(parent: Any, sizes: tuple[int, ...], level: int) -> Any:
    """Return the parent of each unit of a level, counted within the parent's level."""
    first = sum(sizes[:level])
    return parent[first : first + sizes[level]] - (first - sizes[max(level - 1, 0)])


def _add(message: np.ndarray, parent: np.ndarray, size: int) -> np.ndarray:
    from scipy.sparse import csr_array

    child = np.arange(len(parent))
    indicator = csr_array((np.ones(len(parent)), (parent, child)), shape=(size, len(parent)))
    total = indicator @ message.reshape(len(parent), -1)
    return np.asarray(total).reshape(size, *message.shape[1:])


class NestedGaussianLoglik(AbstractKernelOp):
    """Value and gradients of the collapsed likelihood: see `nested_gaussian_loglik`.

    Outputs: log likelihood, and its gradients in beta (q,), sd (level, p), partial and sigma.
    """

    __props__ = ()
    default_output = 0
    layout = Layout(
        "beta[covariates], sd[levels, columns], partial[levels, columns * (columns - 1) // 2], "
        "sigma, xx[leaves, covariates, covariates], xy[leaves, covariates], yy, n, "
        "center[covariates], varying[columns] < covariates, parent[units], sizes[levels]; "
        "is_nested(parent, sizes, leaves)",
        {"is_nested": is_nested},
    )

    def make_node(self, *inputs: Any) -> Apply:
        """Take the four parameters and the fields of `NestedStatistics`."""
        register_backends()
        floats = [as_float(x) for x in inputs[:9]]
        integers = [as_index(x) for x in inputs[9:]]
        gradients = [x.type() for x in floats[:4]]
        return Apply(self, floats + integers, [scalar(), *gradients])

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the shapes of the parameters."""
        return [(), *shapes[:4]]

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Tell that all outputs depend on the parameters; data have no gradient."""
        return [[True] * 5] * 4 + [[False] * 5] * 8

    def define(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        """Evaluate the recursion in NumPy, level by level."""
        results = _value_and_gradient(Parameters(*inputs[:4]), NestedStatistics(*inputs[4:]))
        for storage, result in zip(output_storage, results, strict=True):
            storage[0] = np.asarray(result)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Variable]:
        """Return the gradients that the same node has computed already."""
        if any(is_connected(ct) for ct in cotangents[1:]):
            raise NotImplementedError(
                "NestedGaussianLoglik has no second derivatives: build the model with "
                "reference_nested_gaussian, the same likelihood as a plain graph."
            )
        return [cotangents[0] * g for g in outputs[1:]] + [disconnected_type() for _ in range(8)]


def _value_and_gradient(at: Parameters, data: NestedStatistics) -> tuple[Any, ...]:
    """Return value and gradients by the downward recursion of the module's docstring."""
    sizes = tuple(int(s) for s in data.sizes)
    sd, sigma = at.sd, at.sigma
    one_draw = Parameters._make(np.asarray(x)[None] for x in at)
    value, messages = _upward(one_draw, data, sizes, _add, np)
    dS = np.empty((len(sizes), sd.shape[1], sd.shape[1]))
    E, V = np.zeros((1, sd.shape[1])), np.zeros((1, sd.shape[1], sd.shape[1]))
    for level, message in enumerate(messages):
        S = message.S[0]
        J, h, K, U, u = (x[:, 0] for x in (message.J, message.h, message.K, message.U, message.u))
        if level:
            above = _above(data.parent, sizes, level)
            E, V = E[above], V[above]
        s = u - (U @ E[..., None])[..., 0]
        dS[level] = 0.5 * (s.T @ s + (U @ V @ U - U).sum(axis=0))
        E, V = E + s @ S, K @ S + K @ V @ K.mT
    residual, squares = _residual_moments(one_draw.beta, data, np)
    score = residual[:, 0] - (data.xx[:, :, data.varying] @ E[..., None])[..., 0]
    variance = sigma**2
    expected = squares[0] / variance + (J * (V + E[..., None] * E[:, None])).sum()
    dsigma = (expected - 2 * (E * h).sum() - data.n) / sigma
    return value[0], score.sum(axis=0) / variance, *_pull_covariance(dS, sd, at.partial), dsigma


def _pull_covariance(
    dS: np.ndarray, sd: np.ndarray, partial: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pull gradients in S = D R D, (level, p, p), back to sd and the partials of R = C C'."""
    p = sd.shape[1]
    C = partials_to_cholesky(partial, p)
    dsd = 2 * ((dS * (C @ C.mT)) @ sd[..., None])[..., 0]
    # R has ones on its diagonal whatever the partials, so only the other entries count.
    dR = dS * sd[:, :, None] * sd[:, None] * (1 - np.eye(p))
    return dsd, pull_cholesky(partial, p, 2 * dR @ C)


@numba_kernel(NestedGaussianLoglik)
def _nested_gaussian_numba(op: Op) -> Any:
    from pymc_mlm.ops.kernels.nested_gaussian import nested_gaussian

    return nested_gaussian


@jax_function(NestedGaussianLoglik)
def _nested_gaussian_jax(op: Op, node: Apply) -> Any:
    import jax
    import jax.numpy as jnp

    if not isinstance(node.inputs[-1], Constant):
        raise NotImplementedError(
            "NestedGaussianLoglik in JAX needs constant sizes: the number of units of each level "
            "is a shape. Call freeze_dims_and_data(model) of pymc.model.transform.optimization."
        )
    sizes = tuple(int(s) for s in node.inputs[-1].data)

    def value(parameters: tuple[Any, ...], data: NestedStatistics) -> Any:
        one_draw = Parameters._make(x[None] for x in parameters)
        return _upward(one_draw, data, sizes, jax.ops.segment_sum, jnp)[0][0]

    def nested_gaussian(*inputs: Any) -> tuple[Any, ...]:
        loglik, gradients = jax.value_and_grad(value)(inputs[:4], NestedStatistics(*inputs[4:]))
        return loglik, *gradients

    return nested_gaussian
