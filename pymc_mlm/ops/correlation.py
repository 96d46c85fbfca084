r"""Correlation matrices from canonical partial correlations, exactly LKJ and cheap to compile.

A correlation matrix of :math:`n` variables is a bijective function of :math:`n(n-1)/2`
canonical partial correlations :math:`z_{ij} \in (-1, 1)`, :math:`i > j`: the correlation of
variables :math:`i` and :math:`j` given variables :math:`0, \dots, j-1`. They are stored row by
row, :math:`(z_{10}, z_{20}, z_{21}, z_{30}, \dots)`. Under an LKJ prior they are independent
scaled Betas (`lkj_partial_alphas`), so a model needs one Beta vector where ``LKJCholeskyCov``
needs a Scan and minutes of compilation.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.gradient import disconnected_type
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.base import (
    AbstractKernelOp,
    as_float,
    is_connected,
    jax_function,
    numba_kernel,
    register_backends,
    vector,
)
from pymc_mlm.ops.layout import Layout


def lkj_partial_alphas(n: int, eta: float) -> np.ndarray:
    r"""Return the Beta parameters of the partial correlations of an LKJ(`eta`) matrix.

    The correlation matrix built by `cholesky_from_partials` has the density
    :math:`p(R) \propto |R|^{\eta - 1}` exactly when, independently,

    .. math:: z_{ij} = 2 b_{ij} - 1, \qquad b_{ij} \sim \mathrm{Beta}(a_{ij}, a_{ij}),
              \qquad a_{ij} = \eta + \frac{n - 1 - k}{2}, \quad k = j + 1 .

    Parameters
    ----------
    n : int
        Number of variables.
    eta : float
        Shape of the LKJ prior, positive; 1 is uniform over correlation matrices, larger values
        favour small correlations.

    Returns
    -------
    ndarray, shape (n (n - 1) / 2,)
        Both parameters of each Beta, in the row by row order of the partial correlations.

    Raises
    ------
    SpecificationError
        If `n` is below one or `eta` is not positive.

    References
    ----------
    .. [1] Lewandowski, D., Kurowicka, D. & Joe, H. (2009). Generating random correlation
       matrices based on vines and extended onion method. Journal of Multivariate Analysis 100,
       1989-2001, section 2.4 (C-vine).

    Examples
    --------
    >>> lkj_partial_alphas(3, eta=2.0)
    array([2.5, 2.5, 2. ])
    """
    if n < 1:
        raise SpecificationError(
            f"n={n!r} variables have no correlation matrix; n must be 1 or more."
        )
    if not eta > 0:
        raise SpecificationError(
            f"eta={eta!r} is no shape of an LKJ prior; it must be positive (1 is uniform)."
        )
    return np.array([eta + (n - 2 - j) / 2 for i in range(n) for j in range(i)], dtype="float64")


def cholesky_from_partials(partial: Any, n: int) -> Variable:
    r"""Return the Cholesky factor of a correlation matrix, given its partial correlations.

    .. math:: L_{ij} = z_{ij} \prod_{k<j} \sqrt{1 - z_{ik}^2} \quad (j < i), \qquad
              L_{ii} = \prod_{k<i} \sqrt{1 - z_{ik}^2} .

    Parameters
    ----------
    partial : tensor_like, shape (n (n - 1) / 2,)
        Canonical partial correlations in (-1, 1), row by row.
    n : int
        Number of variables.

    Returns
    -------
    TensorVariable, shape (n, n)
        Lower triangular L with unit rows: L L' is a correlation matrix.

    Raises
    ------
    SpecificationError
        If the length of `partial` is known and does not fit `n`.

    Notes
    -----
    Second derivatives are not implemented: use `partials_to_cholesky`, which is the same
    formula as a plain graph when given ``pytensor.tensor``.

    References
    ----------
    .. [1] Lewandowski, D., Kurowicka, D. & Joe, H. (2009), as in `lkj_partial_alphas`.

    Examples
    --------
    >>> L = cholesky_from_partials([0.6], n=2)
    >>> L.eval()
    array([[1. , 0. ],
           [0.6, 0.8]])
    """
    return CholeskyFromPartials(n)(partial)


def partials_to_cholesky(partial: Any, n: int, xp: Any = np) -> Any:
    """Return Cholesky factors for a stack of partial correlation vectors, in any array library.

    The readable definition of `cholesky_from_partials`: its NumPy value, its JAX function and
    its plain PyTensor graph.

    Parameters
    ----------
    partial : array_like, shape (..., n (n - 1) / 2)
        Canonical partial correlations in (-1, 1), row by row.
    n : int
        Number of variables.
    xp : module, default numpy
        ``numpy``, ``jax.numpy`` or ``pytensor.tensor``.

    Returns
    -------
    array, shape (..., n, n)
        Lower triangular factors with unit rows.

    Examples
    --------
    >>> partials_to_cholesky(np.array([[0.6], [0.0]]), n=2)[:, 1]
    array([[0.6, 0.8],
           [0. , 1. ]])
    """
    one = xp.ones_like(partial.sum(axis=-1))
    zero = xp.zeros_like(one)
    rows = []
    for i in range(n):
        row, left = [], one
        for j in range(i):
            z = partial[..., i * (i - 1) // 2 + j]
            row.append(z * left)
            left = left * xp.sqrt((1 - z) * (1 + z))
        rows.append(xp.stack([*row, left, *[zero] * (n - 1 - i)], axis=-1))
    return xp.stack(rows, axis=-2)


def pull_cholesky(partial: np.ndarray, n: int, ct: np.ndarray) -> np.ndarray:
    """Pull cotangents of Cholesky factors back to their partial correlations (one or a stack).

    Reverse of ``L_ij = z_j left_j``, ``left_(j+1) = left_j sqrt(1 - z_j^2)``, ``L_ii = left_i``.
    """
    out = np.empty(partial.shape)
    for i in range(n):
        first = i * (i - 1) // 2
        z = partial[..., first : first + i]
        root = np.sqrt((1 - z) * (1 + z))
        left = np.cumprod(np.concatenate([np.ones_like(z[..., :1]), root], axis=-1), axis=-1)
        dleft = ct[..., i, i]
        for j in range(i - 1, -1, -1):
            t = dleft * left[..., j] * z[..., j]
            # At |z| = 1 a zero numerator means that the determinant's direction is not used.
            steep = np.divide(t, root[..., j], out=np.zeros_like(t), where=t != 0)
            out[..., first + j] = ct[..., i, j] * left[..., j] - steep
            dleft = ct[..., i, j] * z[..., j] + dleft * root[..., j]
    return out


class CholeskyFromPartials(AbstractKernelOp):
    """Cholesky factor of the correlation matrix of `n` variables: see `cholesky_from_partials`."""

    __props__ = ("n",)

    def __init__(self, n: int):
        self.n = n

    @property
    def layout(self) -> Layout:
        """One partial correlation per pair."""
        return Layout(f"partial[{self.n * (self.n - 1) // 2}]")

    def make_node(self, partial: Any) -> Apply:
        """Take canonical partial correlations, return the factor."""
        register_backends()
        partial = as_float(partial)
        length = self.n * (self.n - 1) // 2
        if partial.ndim != 1 or partial.type.shape[0] not in (None, length):
            raise SpecificationError(
                f"partial of shape {partial.type.shape} does not fit n={self.n}: a correlation "
                f"matrix of {self.n} variables has {length} partial correlations, in one vector."
            )
        return Apply(self, [partial], [pt.TensorType("float64", shape=(self.n, self.n))()])

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the static shape."""
        return [(self.n, self.n)]

    def define(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        """Evaluate the definition in NumPy."""
        output_storage[0][0] = partials_to_cholesky(inputs[0], self.n)

    def pullback(self, inputs: Any, outputs: Any, cotangents: Any) -> list[Variable]:
        """Return the gradient from its own Op."""
        if not is_connected(cotangents[0]):
            return [disconnected_type()]
        return [CholeskyFromPartialsPullback(self.n)(inputs[0], cotangents[0])]


class CholeskyFromPartialsPullback(AbstractKernelOp):
    """Gradient of `CholeskyFromPartials`; has no derivative of its own."""

    __props__ = ("n",)

    def __init__(self, n: int):
        self.n = n

    @property
    def layout(self) -> Layout:
        """One partial correlation per pair, and a cotangent per entry of the factor."""
        return Layout(f"partial[{self.n * (self.n - 1) // 2}], ct[{self.n}, {self.n}]")

    def make_node(self, partial: Any, ct: Any) -> Apply:
        """Take the partial correlations and the cotangent of the factor."""
        register_backends()
        return Apply(self, [as_float(partial), as_float(ct)], [vector(self.n * (self.n - 1) // 2)])

    def infer_shape(self, node: Apply, shapes: list[Any]) -> list[Any]:
        """Return the shape of the partial correlations."""
        return [shapes[0]]

    def define(self, node: Apply, inputs: Any, output_storage: Any) -> None:
        """Evaluate the reverse pass in NumPy."""
        output_storage[0][0] = pull_cholesky(inputs[0], self.n, inputs[1])


@numba_kernel(CholeskyFromPartials)
def _cholesky_numba(op: Op) -> Any:
    def cholesky(partial: np.ndarray) -> np.ndarray:
        n = 1
        while n * (n - 1) < 2 * partial.shape[0]:
            n += 1
        out = np.zeros((n, n))
        at = 0
        for i in range(n):
            left = 1.0
            for j in range(i):
                z = partial[at]
                out[i, j] = z * left
                left *= sqrt((1.0 - z) * (1.0 + z))
                at += 1
            out[i, i] = left
        return out

    return cholesky


@numba_kernel(CholeskyFromPartialsPullback)
def _cholesky_pullback_numba(op: Op) -> Any:
    def cholesky_pullback(partial: np.ndarray, ct: np.ndarray) -> np.ndarray:
        out = np.empty(partial.shape[0])
        left = np.ones(ct.shape[0])
        first = 0
        for i in range(ct.shape[0]):
            for j in range(i):
                z = partial[first + j]
                left[j + 1] = left[j] * sqrt((1.0 - z) * (1.0 + z))
            dleft = ct[i, i]
            for j in range(i - 1, -1, -1):
                z = partial[first + j]
                root = sqrt((1.0 - z) * (1.0 + z))
                t = dleft * left[j] * z
                out[first + j] = ct[i, j] * left[j]
                if t != 0.0:
                    out[first + j] -= t / root
                dleft = ct[i, j] * z + dleft * root
            first += i
        return out

    return cholesky_pullback


@jax_function(CholeskyFromPartials)
def _cholesky_jax(op: Any, node: Apply) -> Any:
    import jax.numpy as jnp

    return lambda partial: partials_to_cholesky(partial, op.n, jnp)


@jax_function(CholeskyFromPartialsPullback)
def _cholesky_pullback_jax(op: Any, node: Apply) -> Any:
    import jax
    import jax.numpy as jnp

    def cholesky_pullback(partial: Any, ct: Any) -> Any:
        return jax.vjp(lambda z: partials_to_cholesky(z, op.n, jnp), partial)[1](ct)[0]

    return cholesky_pullback
