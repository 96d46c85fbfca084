r"""A precision of effects that is multiplied by, and never written.

Solves are conjugate gradients preconditioned by the diagonal D of :math:`H = I + B'WB`. With signs
:math:`v` that are independent of each other, the probes :math:`z = D^{-1/2} v` and
:math:`x = H^{-1} D^{1/2} v`,

.. math:: H^{-1} = E\, x z' , \qquad
          \log|H| = \log|D| + E\, v' \log(D^{-1/2} H D^{-1/2})\, v ,

the latter by Lanczos quadrature from the coefficients of the same conjugate gradients [1]_. A
precision that is diagonal has no error. The signs are fixed, so that estimates at different
parameters have nearly one error, which does not move a mode.

References
----------
.. [1] Ubaru, S., Chen, J., Saad, Y. (2017). Fast estimation of tr(f(A)) via stochastic Lanczos
   quadrature. SIAM Journal on Matrix Analysis and Applications 38(4).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pymc_mlm.integration.importance import IntegrationError
from pymc_mlm.integration.precision import AbstractPrecision, Covariances
from pymc_mlm.integration.rows import Rows

Array = np.ndarray[Any, Any]

# Errors of the gradient are then below .05 posterior standard deviations of a parameter.
PROBES = 16
PROBE_SEED = 1
SOLVED = 1e-5
PROBED = 1e-3
MOST_ITERATIONS = 500
# Vectors that are solved for at once when noise is drawn.
BLOCK = 32


@dataclass(frozen=True, eq=False)
class MatrixFree(AbstractPrecision):
    """The precision ``I + B'WB``.

    Attributes
    ----------
    rows : Rows
        The table.
    entries : ndarray, shape (entry,)
        Entries of B.
    W : ndarray, shape (row,)
        Curvature of each row, not negative.
    probes : int
        Vectors from which traces and the log determinant are estimated.

    Examples
    --------
    >>> rows = Rows("gaussian", {}, np.arange(3), np.array([0, 0]), 1)
    >>> H = MatrixFree(rows, np.ones(2), np.full(2, 4.0))
    >>> H.solve(np.array([18.0])), round(float(2 * H.log_determinant - np.log(9)), 9)
    (array([2.]), 0.0)
    """

    rows: Rows
    entries: Array
    W: Array
    probes: int = PROBES

    @cached_property
    def diagonal(self) -> Array:
        """Diagonal of the precision, shape (effect,), but for a row with an effect twice."""
        from pymc_mlm.integration import free_kernels

        found = np.ones(self.rows.size)
        free_kernels.add_diagonal(*self._layout, self.entries, self.W, found)
        return found

    def times(self, x: Array) -> Array:
        """Multiply by the precision, shape (effect, vector)."""
        from pymc_mlm.integration import free_kernels

        out = np.empty_like(x)
        if x.shape[1] == 1:
            free_kernels.multiply_one(*self._layout, self.entries, self.W, x[:, 0], out[:, 0])
        else:
            free_kernels.multiply(*self._layout, self.entries, self.W, x, out)
        return out

    def solve(self, b: Array, tolerance: float = SOLVED) -> Array:
        """Solve with the precision, for a vector or the columns of a matrix."""
        return self._gradients(b.reshape(len(b), -1), tolerance)[0].reshape(b.shape)

    @cached_property
    def log_determinant(self) -> float:
        """Half the log determinant, estimated."""
        _, alphas, betas = self._probed
        quadrature = np.mean(
            [_log_quadrature(a, b) for a, b in zip(alphas.T, betas.T, strict=True)]
        )
        return float(0.5 * (np.log(self.diagonal).sum() + self.rows.size * quadrature))

    def covariances(self, entries: Array) -> Covariances:
        """Return what the inverse tells of the rows, estimated."""
        from pymc_mlm.integration import free_kernels

        x, by_entry = self._probed[0], np.empty((2, len(entries)))
        z = self._signs / np.sqrt(self.diagonal)[:, None]
        free_kernels.probed(*self._layout, entries, x, z, by_entry)
        owners, count = self.rows.owners, len(self.W)
        first, second = (np.bincount(owners, entries * t, minlength=count) for t in by_entry)
        return Covariances(by_entry.mean(axis=0), 0.5 * (first + second), first * second)

    def cubes(self, entries: Array, l3: Array) -> float:
        """Return the sum over pairs of rows with the same effects, taken as perfectly correlated.

        They are where their entries are the same up to a factor.
        """
        cubed = l3 * np.abs(self.covariances(entries).variance) ** 1.5
        if self.rows.patterns is None:
            return float(cubed @ cubed)
        order, starts = self.rows.patterns
        return float((np.add.reduceat(cubed[order], starts[:-1]) ** 2).sum())

    def draw(self, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw normal vectors with this precision, by solves with perturbed right-hand sides."""
        from pymc_mlm.integration import free_kernels

        blocks, energy = [], []
        for first in range(0, count, BLOCK):
            several = min(BLOCK, count - first)
            b = rng.standard_normal((self.rows.size, several))
            noise = np.sqrt(self.W)[:, None] * rng.standard_normal((len(self.W), several))
            free_kernels.transposed(*self._layout, self.entries, noise, b)
            x = self.solve(b)
            blocks.append(x)
            energy.append(0.5 * (x * self.times(x)).sum(axis=0))
        return np.concatenate(blocks, axis=1), np.concatenate(energy)

    @property
    def _layout(self) -> tuple[Array, Array]:
        return self.rows.indptr, self.rows.columns

    @cached_property
    def _signs(self) -> Array:
        rng = np.random.default_rng(PROBE_SEED)
        return 2.0 * rng.integers(0, 2, (self.rows.size, self.probes)) - 1.0

    @cached_property
    def _probed(self) -> tuple[Array, Array, Array]:
        return self._gradients(np.sqrt(self.diagonal)[:, None] * self._signs, PROBED)

    def _gradients(self, b: Array, tolerance: float) -> tuple[Array, Array, Array]:
        """Solve by conjugate gradients; also the coefficients of each step, (step, vector)."""
        d = self.diagonal[:, None]
        x, r = np.zeros_like(b), np.array(b)
        z = r / d
        direction, rz = z.copy(), np.einsum("ij,ij->j", r, z)
        goal = tolerance**2 * rz
        alphas: list[Array] = []
        betas: list[Array] = []
        for _ in range(MOST_ITERATIONS):
            if (rz <= goal).all():
                return x, np.array(alphas).reshape(-1, b.shape[1]), np.array(betas)
            applied = self.times(direction)
            along = np.einsum("ij,ij->j", direction, applied)
            # A vector that is solved moves no more: its quadrature would be of rounding.
            alpha = np.divide(rz, along, out=np.zeros_like(rz), where=rz > goal)
            x += alpha * direction
            applied *= alpha
            r -= applied
            np.divide(r, d, out=z)
            rz, before = np.einsum("ij,ij->j", r, z), rz
            beta = np.divide(rz, before, out=np.zeros_like(rz), where=before > goal)
            direction *= beta
            direction += z
            alphas.append(alpha)
            betas.append(beta)
        raise IntegrationError(
            f"conjugate gradients for the effects do not end in {MOST_ITERATIONS} steps"
        )


def _log_quadrature(alpha: Array, beta: Array) -> float:
    """Return the quadrature of the log of one probe from its conjugate gradients."""
    from scipy.linalg import eigh_tridiagonal

    used = int((alpha > 0).sum())
    if not used:
        return 0.0
    a, b = alpha[:used], beta[: used - 1]
    middle = 1 / a
    middle[1:] += b / a[:-1]
    values, vectors = eigh_tridiagonal(middle, np.sqrt(b) / a[:-1])
    return float(vectors[0] ** 2 @ np.log(values))
