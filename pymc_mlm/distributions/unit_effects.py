"""Correlated effects of units, and the coordinates in which a sampler walks among them.

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

from pymc_mlm.ops.correlation import partials_to_cholesky


class UnitEffectsRV(RandomVariable):
    """Draws one row per unit."""

    name = "unit_effects"
    signature = "(p),(k),(n,p),(n,p)->(n,p)"
    dtype = "float64"
    _print_name = ("UnitEffects", "\\operatorname{UnitEffects}")

    @classmethod
    def rng_fn(
        cls, rng: Any, sd: Any, partial: Any, around: Any, share: Any, size: Any = None
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
        What the units deviate from, such as the coefficients of their parents. The density does
        not depend on it; a `Coordinates` transform may.
    information : tensor_like, shape (unit, coef), optional
        What the data say about each coefficient, as a precision, for ``Coordinates("partly")``.
        The density does not depend on it.

    Examples
    --------
    >>> import numpy as np, pymc as pm
    >>> d = UnitEffects.dist(np.array([2.0]), np.zeros(0), np.zeros((3, 1)))
    >>> float(pm.logp(d, np.zeros((3, 1))).eval().round(4))
    -4.8363
    """

    rv_op = unit_effects

    @classmethod
    def dist(
        cls, sd: Any, partial: Any, around: Any, information: Any = None, **kwargs: Any
    ) -> Any:
        """Create the variable without a name."""
        _register_numba_random()
        share = around if information is None else information
        parameters = [pt.as_tensor_variable(x) for x in (sd, partial, around, share)]
        return super().dist(parameters, **kwargs)

    def support_point(rv: Variable, size: Any, *parameters: Variable) -> Variable:  # noqa: N805
        """Start without effects."""
        return pt.zeros_like(rv)

    def logp(
        value: Variable,  # noqa: N805
        sd: Variable,
        partial: Variable,
        around: Variable,
        share: Variable,
    ) -> Variable:
        """Joint log density of all units."""
        L = factor_rows(sd, partial, [0.0] * around.type.shape[-1])
        z = _solve(L, [value[:, j] for j in range(len(L))])
        squares = sum(pt.sum(column * column) for column in z)
        log_scale = sum(pt.log(row[-1]) for row in L)
        rows = pt.as_tensor_variable(value.shape[0])
        return -0.5 * squares - rows * (log_scale + 0.5 * len(L) * np.log(2 * np.pi))


class Coordinates(Transform):
    r"""Coordinates between the units' own totals (centred) and standard normals (non-centred).

    .. math:: d_g = M_g \zeta_g - c_g \circ a_g

    with a the variable's `around`. With c = 0, :math:`M = DL`: the sampler sees standard normals,
    without a funnel where the data say little about a unit. With c = 1, :math:`M = I`: it sees
    :math:`a_g + d_g`, what the data speak of, parents and population included. In between, with I
    the variable's `information` and :math:`\tau` the *current* standard deviation,

    .. math:: c = \frac{\tau^2 I}{1 + \tau^2 I}, \qquad M \approx \frac{\tau}{\sqrt{1 + \tau^2 I}},

    the mean's weight and the standard deviation of a normal unit given its data and parent, and
    partial correlations times 1 - c. As :math:`\tau \to 0` it is non-centred, so that there is
    no funnel however wrong I is.

    Parameters
    ----------
    kind : {"centered", "noncentered", "partly"}
        c = 1, c = 0, or c by information.

    References
    ----------
    .. [1] Papaspiliopoulos, Roberts and Skold (2007). A general framework for the
       parametrization of hierarchical models. Statistical Science 22, 59-73.
    """

    name = "coordinates"
    ndim_supp = 2

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def forward(self, value: Variable, *inputs: Any) -> Variable:
        """From effects to coordinates."""
        M, shift = self._map(*inputs[-4:])
        shifted = [value[:, j] + s for j, s in enumerate(shift)]
        return pt.stack(_solve(M, shifted), axis=1)

    def backward(self, value: Variable, *inputs: Any) -> Variable:
        """From coordinates to effects."""
        M, shift = self._map(*inputs[-4:])
        z = [value[:, j] for j in range(len(M))]
        columns = [
            sum(m * z[j] for j, m in enumerate(row) if not _is(m, 0.0)) - s
            for row, s in zip(M, shift, strict=True)
        ]
        return pt.stack(columns, axis=1)

    def log_jac_det(self, value: Variable, *inputs: Any) -> Variable:
        """Log determinant of all units' M."""
        M, _ = self._map(*inputs[-4:])
        per_unit = sum(pt.log(row[-1]) for row in M)
        return pt.sum(per_unit + pt.zeros_like(value[:, 0]))

    def _map(
        self, sd: Variable, partial: Variable, around: Variable, share: Variable
    ) -> tuple[list[list[Any]], list[Any]]:
        """Return M and the shift c a, column by column."""
        columns = range(around.type.shape[-1])
        if self.kind == "noncentered":
            return factor_rows(sd, partial, [0.0 for _ in columns]), [0.0 for _ in columns]
        if self.kind == "centered":
            M = factor_rows(sd, partial, [1.0 for _ in columns])
            return M, [around[:, j] for j in columns]
        ratio = [sd[j] * sd[j] * share[:, j] for j in columns]
        c = [r / (1.0 + r) for r in ratio]
        scales = [sd[j] / pt.sqrt(1.0 + r) for j, r in zip(columns, ratio, strict=True)]
        M = factor_rows(sd, partial, c, scales)
        return M, [c[j] * around[:, j] for j in columns]


def _register_numba_random() -> None:
    """Teach PyTensor's numba backend to draw; later calls find it registered."""
    from pytensor.link.numba.dispatch.basic import numba_njit
    from pytensor.link.numba.dispatch.random import numba_core_rv_funcify

    if UnitEffectsRV in numba_core_rv_funcify.registry:
        return

    @numba_core_rv_funcify.register(UnitEffectsRV)
    def core(op: Any, node: Any) -> tuple[Any, int]:
        draw = numba_njit(_draw)
        draw.handles_out = True
        return draw, 1


def _draw(rng: Any, sd: Any, partial: Any, around: Any, share: Any, out: Any = None) -> Any:
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


def factor_rows(
    sd: Variable, partial: Variable, centeredness: Any, scales: Any = None
) -> list[list[Any]]:
    """Return the rows of M, lower triangle only: scalars, or vectors over units.

    Elementwise on purpose: it fuses into few nodes, whatever the number of units.
    """
    rows, at = [], 0
    for i, c in enumerate(centeredness):
        keep = 1.0 - c
        scale = scales[i] if scales is not None else 1.0 if _is(c, 1.0) else sd[i]
        left: Any = scale
        row = []
        for _ in range(i):
            r = 0.0 if _is(c, 1.0) else partial[at] * keep
            row.append(r * left)
            left = left if _is(c, 1.0) else left * pt.sqrt((1 - r) * (1 + r))
            at += 1
        rows.append([*row, pt.as_tensor_variable(left)])
    return rows


def _solve(M: list[list[Any]], columns: list[Any]) -> list[Any]:
    """Solve M z = columns by forward substitution."""
    z: list[Any] = []
    for row, column in zip(M, columns, strict=True):
        known = sum(m * z[j] for j, m in enumerate(row[:-1]) if not _is(m, 0.0))
        z.append((column - known) / row[-1])
    return z


def _is(c: Any, number: float) -> bool:
    return isinstance(c, float) and c == number
