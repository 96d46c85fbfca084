r"""Prior of a trial's coefficients that treats arms, outcomes and response patterns alike.

The coefficients of an arm are its *levels*, the logits of the response patterns where covariates
are at their means, and *slopes*, the change of the outcomes' contrasts per standard deviation of
a covariate. The levels have the distribution that a Dirichlet distribution of the patterns gives
them; the slopes are normal. The density of the levels is that of a few imaginary persons in the
arm, so that without covariates the posterior is Dirichlet (a conditional means prior: Bedrick,
Christensen and Johnson 1996, JASA 91).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from scipy.special import betaln, gammaln

from pymc_mlm.distributions.coefficients import LinearMap, joint_preconditioned
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.linear_predictors import linear_predictors
from pymc_mlm.ops.multinomial_logit import multinomial_logit_loglik

Array = np.ndarray[Any, Any]

# Sweeps of the slice sampler behind a prior draw of a model between the saturated and the
# independent one; contrasts of outcomes are nearly uncorrelated a priori, so that few will do.
SWEEPS = 20


@dataclass(frozen=True, eq=False)
class LevelsAndSlopes:
    """Prior of the coefficients of the logits of response patterns, in several arms.

    Attributes
    ----------
    concentration : ndarray, shape (arm, cell)
        Dirichlet parameter of the response patterns, the all-zero pattern last: imaginary persons.
    basis : ndarray, shape (cell - 1, predictor)
        From linear predictors to logits.
    contrasts : ndarray, shape (predictor, predictor)
        From contrasts of the outcomes to linear predictors.
    by_arm : ndarray, shape (column, column)
        From levels and slopes, arms first, to coefficients.
    slope_sd : float
        Prior standard deviation of every contrast's slope.
    control : pair of sequences, or None
        Weights and Dirichlet parameters of a mixture for the first arm, whose first component is
        the first row of `concentration`.
    own : mapping of int to Variable
        Columns of coefficients with a prior of their own, unnamed, shape (predictor,). It comes
        in place of that of the arm's level, or of the slope, that the column adds to those before
        it: a column of its own leaves the priors of the other levels and slopes as they are.
    """

    concentration: Array
    basis: Array
    contrasts: Array
    by_arm: Array
    slope_sd: float
    control: tuple[Sequence[float], Sequence[Sequence[float]]] | None = None
    own: Mapping[int, Any] = field(default_factory=dict)

    @property
    def num_arms(self) -> int:
        """Number of arms, each with a level."""
        return len(self.concentration)

    def variable(self, name: str, root: LinearMap, **kwargs: Any) -> Any:
        """Add the coefficients to the current model, walked on in the coordinates of `root`."""
        return joint_preconditioned(name, self._logp(), self.draw, root, **kwargs)

    def draw(self, rng: np.random.Generator) -> Array:
        """Draw coefficients, shape (predictor, column)."""
        arms, columns = self.num_arms, len(self.by_arm)
        each = [*self.concentration]
        if self.control is not None:
            each[0] = np.asarray(rng.choice(self.control[1], p=self.control[0]))
        levels = [draw_levels(a, self.basis, self.contrasts, rng) for a in each]
        contrast = rng.normal(0.0, self.slope_sd, size=(len(self.contrasts), columns - arms))
        drawn = np.column_stack([*levels, self.contrasts @ contrast])
        if self.own:
            own = pm.draw([*self.own.values()], random_seed=rng, mode=uncompiled())
            drawn[:, [*self.own]] = np.column_stack(own)
        return np.linalg.solve(self._stated(), drawn.T).T

    def _stated(self) -> Array:
        """Return the map from coefficients to what the priors are of, shape (column, column).

        Levels come before slopes, and each has the column that it differs by from those before:
        with rows of columns in place of rows of their levels and slopes it stays invertible.
        """
        stated = np.linalg.inv(self.by_arm)
        for column in self.own:
            stated[column] = np.eye(len(stated))[column]
        return stated

    def _logp(self) -> Any:
        """Write the arrays into the current model; return the log density as a function."""
        to_own, cells = np.linalg.inv(self.by_arm), self.concentration.shape[1]
        arms, slopes = self._by_default()
        a, levels = self.concentration[arms], to_own[arms]
        # sum_c a_c log phi_c = sum_c a_c psi_c + (sum_c a_c) log phi_0: linear in the coefficients,
        # and the log likelihood of all-zero persons, one row an arm however many patterns.
        linear = pm.Data("prior_linear", self.basis.T @ a[:, :-1].T @ levels)
        persons = [
            pm.Data("prior_level", levels),
            pm.Data("prior_z", np.zeros((len(arms), 0))),
            pm.Data("prior_cluster", np.zeros(len(arms), dtype=np.int64)),
            pm.Data("prior_basis", self.basis),
            pm.Data("prior_pattern", np.zeros(len(arms), dtype=np.int64)),
            pm.Data("prior_compatible", np.arange(cells)[None] == cells - 1),
            pm.Data("prior_persons", a.sum(axis=1)),
        ]
        standard = self.slope_sd * self.contrasts
        slope = pm.Data("prior_slope", to_own[slopes])
        to_normal = pm.Data("prior_contrast", np.linalg.inv(standard))
        # Data, as the compiled code of one table serves other tables.
        constant = pm.Data("prior_constant", self._log_constant())
        mixture = self._mixture(to_own)

        def logp(beta: Variable) -> Variable:
            own = [pt.sum(pm.logp(prior, beta[:, j])) for j, prior in self.own.items()]
            total = constant + mixture(beta) + sum(own)
            if arms:
                zero = multinomial_logit_loglik(beta, np.zeros((1, 0)), *persons)
                total = zero + pt.sum(linear * beta) + total
            if not slopes:
                return total
            z = linear_predictors(linear_predictors(slope, beta), to_normal)
            return total - 0.5 * pt.sum(z**2)

        return logp

    def _by_default(self) -> tuple[list[int], list[int]]:
        """Return arms and slopes without a column of their own."""
        left = [j for j in range(len(self.by_arm)) if j not in self.own]
        return [j for j in left if j < self.num_arms], [j for j in left if j >= self.num_arms]

    def _mixture(self, to_own: Array) -> Callable[[Variable], Any]:
        r"""Return the log ratio of the control's mixture to its first component.

        .. math:: \log \sum_c w_c \frac{Z_1}{Z_c} \prod_r \phi_r^{a_{cr} - a_{1r}}
        """
        if self.control is None or len(self.control[0]) == 1:
            return lambda beta: 0.0
        a = np.array(self.control[1])
        constants = np.array([_log_normaliser(row, self.basis) for row in a])
        log_w = np.log(np.maximum(self.control[0], 1e-300)) + constants - constants[0]
        level = pm.Data("prior_control", to_own[0])
        basis = pm.Data("prior_mixture_basis", self.basis)
        parameters = pm.Data("prior_components", a - a[0])
        weights = pm.Data("prior_log_weights", log_w)

        def ratio(beta: Variable) -> Variable:
            predictors = pt.sum(level[None] * beta, axis=1)
            psi = pt.concatenate([pt.sum(basis * predictors[None], axis=1), np.zeros(1)])
            top = pt.max(psi)
            log_phi = psi - top - pt.log(pt.sum(pt.exp(psi - top)))
            each = weights + pt.sum(parameters * log_phi[None], axis=1)
            most = pt.max(each)
            return most + pt.log(pt.sum(pt.exp(each - most)))

        return ratio

    def _log_constant(self) -> float:
        (arms, slopes), predictors = self._by_default(), len(self.contrasts)
        scale = np.linalg.slogdet(self.slope_sd * self.contrasts)[1]
        normal = -len(slopes) * (scale + 0.5 * predictors * np.log(2.0 * np.pi))
        jacobian = predictors * np.linalg.slogdet(self._stated())[1]
        levels = sum(_log_normaliser(a, self.basis) for a in self.concentration[arms])
        return float(normal + jacobian + levels)


def draw_levels(a: Array, basis: Array, contrasts: Array, rng: np.random.Generator) -> Array:
    """Draw linear predictors with density proportional to the product of ``phi_c ** a_c``.

    Parameters
    ----------
    a : ndarray, shape (cell,)
        Dirichlet parameter, the all-zero pattern last.
    basis : ndarray, shape (cell - 1, predictor)
        From linear predictors to logits.
    contrasts : ndarray, shape (predictor, predictor)
        From nearly uncorrelated coordinates to linear predictors; matters where the density has
        no sampler of its own.
    rng : Generator

    Returns
    -------
    ndarray, shape (predictor,)
        The Dirichlet distribution itself in a saturated model, and beta distributions of the
        success probabilities in an independent one; else from a slice sampler.
    """
    if _is_saturated(basis):
        gamma = _log_gamma(a, rng)
        return np.linalg.solve(basis, gamma[:-1] - gamma[-1])
    if _is_independent(basis):
        success, failure = _margins(a, basis)
        return _log_gamma(success, rng) - _log_gamma(failure, rng)
    return _slice(a, basis @ contrasts, contrasts, rng)


def _log_gamma(a: Array, rng: np.random.Generator) -> Array:
    """Logs of gamma draws; for small shapes the draws themselves underflow."""
    return np.log(rng.standard_gamma(a + 1.0)) + np.log(rng.random(a.shape)) / a


def _margins(a: Array, basis: Array) -> tuple[Array, Array]:
    success = a[:-1] @ basis
    return success, a.sum() - success


def _is_saturated(basis: Array) -> bool:
    return basis.shape[0] == basis.shape[1]


def _is_independent(basis: Array) -> bool:
    return 2 ** basis.shape[1] == len(basis) + 1


def _log_normaliser(a: Array, basis: Array) -> float:
    """Log constant of the levels' density; 0 where it has no closed form."""
    if _is_saturated(basis):
        determinant = np.linalg.slogdet(basis)[1]
        return float(gammaln(a.sum()) - gammaln(a).sum() + determinant)
    if _is_independent(basis):
        return float(-betaln(*_margins(a, basis)).sum())
    return 0.0


def _slice(a: Array, logits: Array, contrasts: Array, rng: np.random.Generator) -> Array:
    """Neal's slice sampler, coordinate by coordinate, started at equal probabilities."""
    linear, persons = a[:-1] @ logits, a.sum()
    psi, gamma = np.zeros(len(logits) + 1), np.zeros(logits.shape[1])
    step = np.vstack([logits, np.zeros(logits.shape[1])]).T

    def log_density(psi: Array, j: int, value: float) -> float:
        top = psi.max()
        return float(linear[j] * value - persons * (top + np.log(np.exp(psi - top).sum())))

    for j in np.tile(np.arange(len(gamma)), SWEEPS):
        rest, old = psi - gamma[j] * step[j], gamma[j]
        level = log_density(psi, j, old) - rng.exponential()
        low = old - 8.0 * rng.random()
        high = low + 8.0
        while log_density(rest + low * step[j], j, low) > level:
            low -= 8.0
        while log_density(rest + high * step[j], j, high) > level:
            high += 8.0
        while True:
            new = rng.uniform(low, high)
            psi = rest + new * step[j]
            if log_density(psi, j, new) > level:
                break
            low, high = (new, high) if new < old else (low, new)
        gamma[j] = new
    return contrasts @ gamma
