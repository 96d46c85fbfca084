"""Score and information of each unit before sampling: a normal likelihood of its coefficients.

Coordinates that fit it (`pymc_mlm.distributions.unit_effects`) are a sampler's easiest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pymc_mlm.data.nested_design import NestedDesign

# Starting sd of a level's deviations, in spreads of the predictor.
ROUGH_SD = 0.5
# Steps of scoring and EM: rough values do, since the sampler's coordinates follow its own sds.
STEPS = 10
# Keeps the scoring steps of the population coefficients finite where rows have no information.
RIDGE = 1e-6

RowLikelihood = Callable[..., tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True, eq=False)
class UnitInformation:
    r"""Normal approximation of the likelihood of a level's units.

    .. math:: \log p(y_g \mid t_g, \beta) \approx (a_g - C_g \beta)' t_g - t_g' J_g t_g / 2

    with t the sum of the deviations of the unit and its ancestors, by varying column, the
    deviations of the levels below integrated out.

    Attributes
    ----------
    precision : ndarray, shape (unit, column, column)
        J.
    score : ndarray, shape (unit, column)
        a: slope of the log likelihood where t and the population coefficients are 0.
    cross : ndarray, shape (unit, column, covariate)
        C: how much the population coefficients take of it.
    sd : ndarray, shape (column,)
        Rough standard deviations of the level's deviations; 0 for columns that do not vary.
    """

    precision: np.ndarray
    score: np.ndarray
    cross: np.ndarray
    sd: np.ndarray

    def centeredness(self) -> np.ndarray:
        r"""Return the share of each coefficient's prior variance that the data take away.

        .. math:: c_{gj} = 1 - \mathrm{Var}(t_{gj} \mid y, \text{parent}) / \tau_j^2

        the optimal centredness of a normal unit [1]_: near 0 for a unit with few rows, near 1 for
        one with many.

        Returns
        -------
        ndarray, shape (unit, coef)
            For the columns that vary.

        References
        ----------
        .. [1] Papaspiliopoulos, O., Roberts, G. O. & Sköld, M. (2007). A general framework for
           the parametrization of hierarchical models. Statistical Science 22, 59-73.
        """
        at = self.sd > 0
        V = _conditional_variance(self.precision, self.sd**2)
        return np.clip(1.0 - np.diagonal(V, axis1=1, axis2=2)[:, at] / self.sd[at] ** 2, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class NestedInformation:
    """Score and information of nested units, coefficients and crossed effects of few units.

    Attributes
    ----------
    levels : list of UnitInformation
        One per level, outermost first; their covariates are the columns of X.
    precision : ndarray, shape (column, column)
        Of the coefficients of all columns, priors included and the units integrated out.
    slope : ndarray, shape (column,)
        Where all are zero.
    variances : list of float
        Of the effects of each crossed block.
    """

    levels: list[UnitInformation]
    precision: np.ndarray
    slope: np.ndarray
    variances: list[float]


def nested_information(
    design: NestedDesign,
    likelihood: RowLikelihood,
    X: np.ndarray,
    offset: np.ndarray,
    spread: float,
    prior: np.ndarray,
    crossed: Sequence[int] = (),
) -> NestedInformation | None:
    """Approximate the likelihood of all units at its penalised maximum.

    Parameters
    ----------
    design : NestedDesign
        Units and varying columns.
    likelihood : callable
        From the linear predictor and from its population part, both of shape (row,), to the first
        derivative of each row's log likelihood and to its negative second derivative, not below
        zero.
    X : ndarray, shape (row, column)
        Population covariates, the intercept among them, and then indicators of crossed units.
    offset : ndarray, shape (row,)
        What the linear predictor holds besides.
    spread : float
        Scale of the linear predictor.
    prior : ndarray, shape (covariate,)
        Prior precision of the coefficients.
    crossed : sequence of int
        Units of each crossed block, whose indicators are the last columns.

    Returns
    -------
    NestedInformation or None
        None if the steps lead nowhere.

    Notes
    -----
    Each step is one of scoring for coefficients and effects and one of EM for the standard
    deviations (penalised quasi-likelihood [1]_): a pass over the rows.

    References
    ----------
    .. [1] Breslow, N. E. & Clayton, D. G. (1993). Approximate inference in generalized linear
       mixed models. Journal of the American Statistical Association 88, 9-25.
    """
    leaf, num_leaves, Z = design.nesting.leaf, len(design.nesting.labels[-1]), design.Z
    variance = np.where(design.varies, (ROUGH_SD * spread / design.spreads) ** 2, 0.0)
    variances = [(ROUGH_SD * spread) ** 2] * len(crossed)
    first, eta, population = X.shape[1] - sum(crossed), offset, offset
    for _ in range(STEPS):
        slope, weight = likelihood(eta, population)
        if not (np.isfinite(slope).all() and np.isfinite(weight).all()):
            return None
        working = slope + weight * (eta - offset)
        weighted = np.column_stack([working, X * weight[:, None]])
        J = _sums(leaf, num_leaves, Z, Z * weight[:, None])
        by_leaf = _sums(leaf, num_leaves, Z, weighted)
        levels, explained = _integrated(design, J, by_leaf, variance)
        normal = X.T @ weighted - explained[1:]
        of_blocks = [np.full(n, 1.0 / v) for n, v in zip(crossed, variances, strict=True)]
        precision = normal[:, 1:] + np.diag(np.concatenate([prior, *of_blocks]))
        covariance = np.linalg.pinv(precision, hermitian=True)
        beta = covariance @ normal[:, 0]
        variances = _block_variances(beta[first:], np.diag(covariance)[first:], crossed)
        total, variance = _modes(design, levels, beta, variance)
        population = offset + X[:, :first] @ beta[:first]
        rest = X[:, first:] @ beta[first:] + (Z * total[leaf]).sum(axis=1)
        # A step of scoring may overshoot by orders of magnitude on a log link.
        eta = eta + np.clip(population + rest - eta, -spread, spread)
    if not (np.isfinite(eta).all() and np.isfinite(variance).all()):
        return None
    units = [
        UnitInformation(J, weighted[:, :, 0], weighted[:, :, 1:], np.sqrt(variance[level]))
        for level, (J, weighted) in enumerate(levels)
    ]
    return NestedInformation(units, precision, normal[:, 0], variances)


def _block_variances(
    effects: np.ndarray, uncertainty: np.ndarray, sizes: Sequence[int]
) -> list[float]:
    """Return a step of EM for the variance of each block of crossed effects."""
    ends = np.cumsum([0, *sizes])
    squares = effects**2 + uncertainty
    return [float(squares[a:b].mean()) for a, b in pairwise(ends)]


def _sums(leaf: np.ndarray, num_leaves: int, Z: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Return the cross products of two sets of columns over the rows of each leaf."""
    out = np.empty((num_leaves, Z.shape[1], V.shape[1]))
    for i in range(Z.shape[1]):
        for j in range(V.shape[1]):
            out[:, i, j] = np.bincount(leaf, Z[:, i] * V[:, j], num_leaves)
    return out


def _integrated(
    design: NestedDesign, J: np.ndarray, weighted: np.ndarray, variance: np.ndarray
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Integrate deviations out from the leaves upwards: J and what is linear, by level.

    Second, what this takes from the cross products of score and covariates over all rows.
    """
    nesting, levels = design.nesting, []
    explained = np.zeros((weighted.shape[2], weighted.shape[2]))
    for level in reversed(range(len(design.levels))):
        levels.append((J, weighted))
        V = _conditional_variance(J, variance[level])
        explained += np.einsum("gic,gij,gjd->cd", weighted, V, weighted, optimize=True)
        if level:
            up = np.concatenate([J, weighted], axis=2)
            up = up - J @ (V @ up)
            sums = np.zeros((len(nesting.labels[level - 1]), *up.shape[1:]))
            np.add.at(sums, nesting.parents[level], up)
            J, weighted = sums[:, :, : J.shape[1]], sums[:, :, J.shape[1] :]
    return levels[::-1], explained


def _modes(
    design: NestedDesign,
    levels: list[tuple[np.ndarray, np.ndarray]],
    beta: np.ndarray,
    variance: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the leaves' totals at the mode, from the root down, and an EM step's variances."""
    total, updated = np.zeros((1, len(design.columns))), []
    for level, (J, weighted) in enumerate(levels):
        above = total[design.nesting.parents[level]] if level else total
        score = weighted[:, :, 0] - weighted[:, :, 1:] @ beta - np.squeeze(J @ above[:, :, None], 2)
        V = _conditional_variance(J, variance[level])
        deviation = np.squeeze(V @ score[:, :, None], 2)
        updated.append(np.mean(deviation**2 + np.diagonal(V, axis1=1, axis2=2), axis=0))
        total = above + deviation
    return total, np.array(updated)


def _conditional_variance(J: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return (S^-1 + J)^-1 for a diagonal S, also where it has zeros."""
    keep = np.linalg.inv(np.eye(J.shape[1]) + variance[:, None] * J)
    return keep * variance
