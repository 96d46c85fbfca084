"""Correlated effects of units, and the coordinates in which they are sampled.

The density is that of rows N(0, D L L' D), whatever the coordinates; the trace holds the effects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytensor.tensor as pt
from pymc.distributions.continuous import Continuous
from pymc.logprob.transforms import Transform
from pytensor.graph.basic import Variable
from pytensor.tensor.random.op import RandomVariable

from pymc_mlm.ops.base import register_draw
from pymc_mlm.ops.correlated_normal import correlated_normal_logp
from pymc_mlm.ops.correlation import cholesky_from_partials, partials_to_cholesky
from pymc_mlm.ops.informed_effects import informed_coordinates, informed_effects

# Lower triangle of a matrix, row by row: scalars, or vectors over units.
Rows = list[list[Any]]


class UnitEffectsRV(RandomVariable):
    """Draws one row per unit."""

    name = "unit_effects"
    signature = "(p),(k),(n,p),(n,q)->(n,p)"
    dtype = "float64"
    _print_name = ("UnitEffects", "\\operatorname{UnitEffects}")

    @classmethod
    def rng_fn(
        cls, rng: Any, sd: Any, partial: Any, around: Any, precision: Any, size: Any = None
    ) -> Any:
        """Draw z L' D."""
        if size is None:
            size = np.broadcast_shapes(sd.shape[:-1], partial.shape[:-1], around.shape[:-2])
        shape = tuple(size) + around.shape[-2:]
        factor = sd[..., None] * partials_to_cholesky(partial, sd.shape[-1])
        return rng.standard_normal(shape) @ np.swapaxes(factor, -1, -2)


unit_effects = UnitEffectsRV()


class UnitEffects(Continuous):
    r"""Effects of units, one row each: :math:`d_g \sim N(0, D R D)`.

    Parameters
    ----------
    sd : tensor_like, shape (coef,)
        Standard deviations, the diagonal of D.
    partial : tensor_like, shape (coef (coef - 1) / 2,)
        Canonical partial correlations of R, row by row (`pymc_mlm.ops.correlation`).
    around : tensor_like, shape (unit, coef), the second of static length
        What the coordinates are taken around; the density does not depend on it. Zeros for
        ``Coordinates("noncentered")``; what the units deviate from, such as the coefficients of
        their parents, for "centered"; for "informed", the slope of the units' log likelihood
        where they do not deviate.
    precision : tensor_like, shape (unit, coef (coef + 1) / 2), optional
        For "informed": the information of the coefficients, the lower triangle of a precision
        matrix row by row. The density does not depend on it.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> d = UnitEffects.dist(np.array([2.0]), np.zeros(0), np.zeros((3, 1)))
    >>> float(pm.logp(d, np.zeros((3, 1))).eval().round(4))
    -4.8363
    """

    rv_op = unit_effects

    @classmethod
    def dist(cls, sd: Any, partial: Any, around: Any, precision: Any = None, **kwargs: Any) -> Any:
        """Create the variable without a name."""
        register_draw(UnitEffectsRV, _draw)
        precision = around if precision is None else precision
        parameters = [pt.as_tensor_variable(x) for x in (sd, partial, around, precision)]
        return super().dist(parameters, **kwargs)

    def support_point(rv: Variable, size: Any, *parameters: Variable) -> Variable:  # noqa: N805
        """Start without effects."""
        return pt.zeros_like(rv)

    def logp(
        value: Variable,  # noqa: N805
        sd: Variable,
        partial: Variable,
        around: Variable,
        precision: Variable,
    ) -> Variable:
        """Joint log density of all units."""
        return correlated_normal_logp(_factor(sd, partial, around), value)


class Coordinates(Transform):
    r"""Coordinates in which the units' effects are easy for a sampler.

    Centred, they are :math:`\zeta_g = a_g + d_g`, the units' own coefficients, parents and
    population included: good where there is much information. Non-centred, they are
    :math:`\zeta_g = L^{-1} d_g` with :math:`L L' = DRD`, standard normals: good where there
    is little. Informed, they are standard normals *given the data*. With the unit's log likelihood
    near :math:`s_g' d_g - d_g' J_g d_g / 2`, its effects given the rest are normal, and

    .. math:: d_g = L K_g'^{-1} (\zeta_g + K_g^{-1} L' s_g), \qquad K_g K_g' = I + L' J_g L,

    standardises them at the *current* standard deviations and correlations: mean and scale move
    from non-centred to centred coordinates as the data outweigh the prior [1]_. Where the
    approximation holds, neither the standard deviations nor the parents' coefficients are
    correlated with the coordinates. As :math:`D \to 0` they are non-centred, so that there is no
    funnel however wrong s and J are.

    Parameters
    ----------
    kind : {"centered", "noncentered", "informed"}
        How; a is the variable's `around` for "centered", s for "informed", J its `precision`.

    References
    ----------
    .. [1] Papaspiliopoulos, Roberts and Sköld (2007). A general framework for the
       parametrization of hierarchical models. Statistical Science 22, 59-73.
    """

    name = "coordinates"
    ndim_supp = 2

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From effects to coordinates."""
        sd, partial, around, precision = inputs[-4:]
        if self.kind == "centered":
            return value + around
        if self.kind == "noncentered":
            L = factor_rows(sd, partial, around.type.shape[-1])
            return pt.stack(_solve(L, _columns(value, len(L))), axis=1)
        return informed_coordinates(_factor(sd, partial, around), around, precision, value)

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From coordinates to effects."""
        sd, partial, around, precision = inputs[-4:]
        if self.kind == "centered":
            return value - around
        if self.kind == "noncentered":
            L = factor_rows(sd, partial, around.type.shape[-1])
            return pt.stack(_multiply(L, _columns(value, len(L))), axis=1)
        return informed_effects(_factor(sd, partial, around), around, precision, value)[0]

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Log determinant of all units' derivatives."""
        sd, partial, around, precision = inputs[-4:]
        if self.kind == "centered":
            return pt.sum(pt.zeros_like(value[:, 0]))
        if self.kind == "noncentered":
            L = factor_rows(sd, partial, around.type.shape[-1])
            per_unit = sum(pt.log(row[-1]) for row in L)
            return pt.sum(per_unit + pt.zeros_like(value[:, 0]))
        return informed_effects(_factor(sd, partial, around), around, precision, value)[1]


def _draw(rng: Any, sd: Any, partial: Any, around: Any, precision: Any, out: Any = None) -> Any:
    """Draw all units, row by row."""
    units, p = around.shape
    if out is None:
        out = np.empty((units, p))
    z = np.empty(p)
    for g in range(units):
        for j in range(p):
            z[j] = rng.standard_normal()
        at = 0
        for i in range(p):
            left, total = 1.0, 0.0
            for j in range(i):
                total += partial[at] * left * z[j]
                left *= np.sqrt((1.0 - partial[at]) * (1.0 + partial[at]))
                at += 1
            out[g, i] = sd[i] * (total + left * z[i])
    return out


def factor_rows(sd: Variable, partial: Variable, num_coefs: int) -> Rows:
    """Return the rows of DL, the lower triangle of scalars.

    Elementwise on purpose: it fuses into few loops over the units.
    """
    rows, at = [], 0
    for i in range(num_coefs):
        left, row = sd[i], []
        for _ in range(i):
            row.append(partial[at] * left)
            left = left * pt.sqrt((1 - partial[at]) * (1 + partial[at]))
            at += 1
        rows.append([*row, left])
    return rows


def _factor(sd: Variable, partial: Variable, around: Variable) -> Variable:
    return sd[:, None] * cholesky_from_partials(partial, around.type.shape[-1])


def _columns(matrix: Variable, count: int) -> list[Any]:
    return [matrix[:, j] for j in range(count)]


def _multiply(M: Rows, columns: list[Any]) -> list[Any]:
    return [sum(m * c for m, c in zip(row, columns, strict=False)) for row in M]


def _solve(M: Rows, columns: list[Any]) -> list[Any]:
    """Solve M z = columns by forward substitution."""
    z: list[Any] = []
    for row, column in zip(M, columns, strict=True):
        known = sum(m * x for m, x in zip(row, z, strict=False))
        z.append((column - known) / row[-1])
    return z
