"""Effects of clusters on several linear predictors at once, correlated or not.

A prior writes the effects into the current model (always non-centred: ``u = root z``) and gives
back, for the draws, the root of the covariance of a cluster's effects, all that prediction needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cache
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from pymc_mlm.errors import SpecificationError
from pymc_mlm.ops.correlation import (
    cholesky_from_partials,
    lkj_partial_alphas,
    partials_to_cholesky,
)
from pymc_mlm.ops.linear_predictors import linear_predictors
from pymc_mlm.priors import Prior, check_priors, create
from pymc_mlm.terms.base import data
from pymc_mlm.terms.role import Role

Z = "cluster_z"
DIMENSION = "cluster_dimension"
SLOPE = "slope"
CONTRAST = "contrast"


class AbstractClusterPrior(ABC):
    """Prior of the effects of a cluster: a vector of (slope, predictor), slopes outermost.

    Attributes
    ----------
    on_contrasts : bool
        Whether it is a prior of the effects on contrasts of the outcomes, or on predictors.
    """

    on_contrasts: ClassVar[bool] = True

    @abstractmethod
    def effects(self, cluster: str, slopes: int, contrasts: np.ndarray) -> Any:
        """Add the prior to the current model, with the dims predictor, contrast, slope, `cluster`.

        Parameters
        ----------
        cluster : str
            Name of the clusters' dimension.
        slopes : int
            Number of coefficients that vary.
        contrasts : ndarray, shape (predictor, contrast)
            Maps contrasts of the outcomes to linear predictors
            (`pymc_mlm.data.cells.outcome_contrasts`).

        Returns
        -------
        TensorVariable, shape (cluster, slope * predictor)
            Effects, log odds.
        """

    @abstractmethod
    def roots(self, posterior: Any, slopes: int, contrasts: np.ndarray) -> np.ndarray:
        """Return roots of the covariance of a cluster's effects, shape (sample, dim, dim)."""

    @abstractmethod
    def roles(self) -> dict[str, Role]:
        """Return what each variable means, the offsets `Z` left out."""


@dataclass(frozen=True)
class LKJ(AbstractClusterPrior):
    r"""Standard deviations with a prior of their own, and an LKJ correlation matrix.

    .. math:: u_j = C v_j, \qquad v_j = \operatorname{diag}(\sigma) L z_j, \qquad
        L L' \sim \text{LKJ}(\eta)

    The effects :math:`v_j` are on contrasts of the outcomes: the log odds of each outcome, the log
    odds ratio of each pair and so on, averaged over the outcomes not named. The matrix C maps
    contrasts to linear predictors. No response pattern is the reference, as none is in the priors
    of levels and slopes.

    Parameters
    ----------
    eta : float, default 1
        1 is uniform over correlation matrices.
    sd : Prior
        Prior of each standard deviation, log odds and log odds ratios; HalfNormal(2) by default.
    """

    eta: float = 1.0
    sd: Any = field(default_factory=lambda: Prior("HalfNormal", sigma=2.0))

    def __post_init__(self) -> None:
        """Refuse a shape or a prior that no correlation matrix or standard deviation has."""
        _check_positive("LKJ(eta=", self.eta, "1 is uniform over correlation matrices")
        check_priors({"cluster_sd": self.sd}, "LKJ()")

    def effects(self, cluster: str, slopes: int, contrasts: np.ndarray) -> Any:
        """Add standard deviations, partial correlations and offsets."""
        shape, dims = (slopes, len(contrasts)), (SLOPE, CONTRAST)
        sd = create(self.sd, "cluster_sd", dims, positive=True, shape=shape)
        each = np.kron(np.eye(slopes), contrasts)
        return correlated_effects("cluster", sd.reshape((-1, 1)), _offsets(cluster), each, self.eta)

    def roots(self, posterior: Any, slopes: int, contrasts: np.ndarray) -> np.ndarray:
        """Scale the Cholesky factor of the correlations."""
        return correlated_roots("cluster", posterior, np.kron(np.eye(slopes), contrasts))

    def roles(self) -> dict[str, Role]:
        """Standard deviations are read; partial correlations only diagnosed."""
        return {
            "cluster_sd": Role("sd", None, "cluster sd"),
            "cluster_partial": Role("correlation", None, "cluster partial"),
        }


@dataclass(frozen=True)
class InverseWishart(AbstractClusterPrior):
    r"""bmco's prior: each predictor has an inverse-Wishart covariance, unrelated to the others.

    .. math:: \Sigma_m \sim \text{IW}(\nu, S), \quad u_{jm} \sim N(0, \Sigma_m)

    For comparison with bmco only: it couples spreads and correlations, has a spike near zero
    spread and no mean, and forbids the outcomes' cluster effects to be correlated.

    Parameters
    ----------
    df : float, optional
        Degrees of freedom; bmco's default is the number of slopes.
    scale : float or array_like, shape (slope, slope), default 0.1
        Scale matrix S, or its diagonal as one number.
    standardised : bool, default True
        Whether S is stated for effects of centred and scaled covariates, as other priors of
        cluster effects are, or of the covariates as they are, as in bmco.

    Examples
    --------
    >>> InverseWishart(df=3, scale=[[0.1, 0.0], [0.0, 0.2]]).scale
    ((0.1, 0.0), (0.0, 0.2))
    """

    on_contrasts: ClassVar[bool] = False
    df: float | None = None
    scale: Any = 0.1
    standardised: bool = True

    def __post_init__(self) -> None:
        """Refuse degrees of freedom and scales that no covariance has."""
        if np.ndim(self.scale):
            object.__setattr__(self, "scale", _covariance(self.scale))
        else:
            _check_positive("InverseWishart(scale=", self.scale, "bmco's default is 0.1")
        if self.df is not None:
            _check_positive("InverseWishart(df=", self.df, "bmco's default is the number of slopes")

    def on_standardised(self, to_original: np.ndarray) -> InverseWishart:
        """Return the same prior, stated for effects of centred and scaled columns.

        Parameters
        ----------
        to_original : ndarray, shape (slope, slope)
            Map from effects of standardised columns to those of the columns as they are. An
            inverse-Wishart matrix stays one under a linear map.
        """
        inverse = np.linalg.inv(to_original)
        root = inverse @ self._root(len(inverse))
        return InverseWishart(self.df, root @ root.T)

    # The covariance as a chain of regressions of each slope on those before it (Bartlett's
    # decomposition). With S = C C', C lower triangular, the residual variance of slope i is
    # inverse gamma with scale C_ii^2 / 2, and its coefficients on the slopes before are normal:
    # C_<i^-T (C_i,<i + sd_i z).
    def effects(self, cluster: str, slopes: int, contrasts: np.ndarray) -> Any:
        """Add residual variances, regression coefficients and offsets of each predictor."""
        predictors = len(contrasts)
        shape, root = self._shapes(slopes), self._root(slopes)
        variance = pm.InverseGamma(
            "cluster_variance",
            shape[:, None],
            np.diag(root)[:, None] ** 2 / 2.0,
            shape=(slopes, predictors),
            dims=(SLOPE, "predictor"),
        )
        z = _offsets(cluster)
        if slopes == 1:
            return z * pt.sqrt(variance)
        pairs = slopes * (slopes - 1) // 2
        chain = pm.Normal("cluster_chain", 0.0, 1.0, shape=(pairs, predictors))
        u: list[Any] = []
        for i in range(slopes):
            sd = pt.sqrt(variance[i])
            own = sd * z[:, i * predictors : (i + 1) * predictors]
            noise = sd * chain[i * (i - 1) // 2 : i * (i + 1) // 2]
            for b, before in zip(_regression(root, i, noise), u, strict=True):
                own = own + b * before
            u.append(own)
        return pt.concatenate(u, axis=1)

    def roots(self, posterior: Any, slopes: int, contrasts: np.ndarray) -> np.ndarray:
        """Unfold the chain of regressions."""
        predictors = len(contrasts)
        sd = np.sqrt(posterior["cluster_variance"].values.reshape(-1, slopes, predictors))
        root = np.zeros((len(sd), slopes, predictors, slopes, predictors))
        chain = np.zeros((len(sd), 0, predictors))
        if slopes > 1:
            chain = posterior["cluster_chain"].values.reshape(len(sd), -1, predictors)
        m = np.arange(predictors)
        for i in range(slopes):
            noise = sd[:, i, None] * chain[:, i * (i - 1) // 2 : i * (i + 1) // 2]
            coefficients = _regression(self._root(slopes), i, np.swapaxes(noise, 0, 1))
            for j, b in enumerate(coefficients):
                root[:, i] += b[:, :, None, None] * root[:, j]
            root[:, i, m, i, m] = sd[:, i]
        return root.reshape(len(sd), slopes * predictors, slopes * predictors)

    def roles(self) -> dict[str, Role]:
        """Residual variances and the coefficients of the chain."""
        return {
            "cluster_variance": Role("sd", None, "cluster variance"),
            "cluster_chain": Role("correlation", None, "cluster chain"),
        }

    def _shapes(self, slopes: int) -> np.ndarray:
        df = slopes if self.df is None else self.df
        if df <= slopes - 1:
            raise SpecificationError(
                f"InverseWishart(df={df!r}) needs more than {slopes - 1} degrees of freedom for "
                f"{slopes} varying coefficients. Use df={slopes} or more."
            )
        return (df - (slopes - 1 - np.arange(slopes))) / 2.0

    def _root(self, slopes: int) -> np.ndarray:
        """Return C, lower triangular, with C C' = S."""
        if not np.ndim(self.scale):
            return np.eye(slopes) * np.sqrt(self.scale)
        if len(self.scale) != slopes:
            raise SpecificationError(
                f"InverseWishart(scale=...) has {len(self.scale)} rows, and {slopes} "
                f"coefficient(s) vary by cluster. Give a {slopes} x {slopes} matrix, or one number."
            )
        return np.linalg.cholesky(np.array(self.scale))


def _regression(root: np.ndarray, i: int, noise: Any) -> list[Any]:
    """Return the coefficients of slope i on those before it, one array for each of them."""
    if i == 0:
        return []
    back = np.linalg.inv(root[:i, :i]).T  # upper triangular
    moved = [float(root[i, k]) + noise[k] if root[i, k] else noise[k] for k in range(i)]
    return [sum(float(back[j, k]) * moved[k] for k in range(j, i) if back[j, k]) for j in range(i)]


def _covariance(scale: Any) -> tuple[tuple[float, ...], ...]:
    """Return a scale matrix as a value that compares and prints."""
    matrix = np.asarray(scale, dtype=float)
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    if square and np.isfinite(matrix).all() and np.allclose(matrix, matrix.T):
        if np.linalg.eigvalsh(matrix).min() > 0:
            return tuple(tuple(row) for row in matrix.tolist())
    raise SpecificationError(
        f"InverseWishart(scale={matrix.tolist()!r}) must be a positive number, or a symmetric, "
        "positive definite matrix with a row for each varying coefficient, such as 0.1 times the "
        "identity."
    )


def correlated_effects(name: str, sd: Any, z: Any, contrasts: np.ndarray, eta: float = 1.0) -> Any:
    """Add LKJ correlations to the current model and return ``z (C diag(sd) L)'``.

    Parameters
    ----------
    name : str
        Prefix of the partial correlations.
    sd : TensorVariable, shape (contrast, 1)
    z : TensorVariable, shape (unit, contrast)
        Standard normal.
    contrasts : ndarray, shape (predictor, contrast)
        The matrix C.
    eta : float
        Of the LKJ distribution.

    Returns
    -------
    TensorVariable, shape (unit, predictor)
    """
    size = len(contrasts)
    if size == 1:
        return linear_predictors(z, sd)
    a = lkj_partial_alphas(size, eta)
    partial = pm.Beta(f"{name}_partial", a, a, shape=len(a))
    root = sd * cholesky_from_partials(2.0 * partial - 1.0, size)
    return linear_predictors(linear_predictors(z, root), data(f"{name}_contrasts", contrasts))


def correlated_roots(name: str, posterior: Any, contrasts: np.ndarray) -> np.ndarray:
    """Return ``C diag(sd) L`` of `correlated_effects` in draws, shape (sample, dim, dim)."""
    size = len(contrasts)
    sd = posterior[f"{name}_sd"].values.reshape(-1, size, 1)
    if size == 1:
        return np.asarray(sd)
    partial = posterior[f"{name}_partial"].values.reshape(len(sd), -1)
    return np.asarray(contrasts @ (sd * partials_to_cholesky(2.0 * partial - 1.0, size)))


def as_cluster_prior(prior: Any) -> AbstractClusterPrior:
    """Return a cluster prior given as an object or by name.

    Raises
    ------
    SpecificationError
        No such prior.
    """
    if isinstance(prior, AbstractClusterPrior):
        return prior
    if isinstance(prior, str) and prior in NAMED:
        return _named(prior)
    raise SpecificationError(
        f"cluster_prior={prior!r} is not known. Use 'lkj' (default), 'inverse_wishart' (bmco's), "
        "or an object such as LKJ(eta=2)."
    )


NAMED: dict[str, type[AbstractClusterPrior]] = {"lkj": LKJ, "inverse_wishart": InverseWishart}


@cache
def _named(name: str) -> AbstractClusterPrior:
    # Made once: the check that its parameters have a density takes 20 ms, and a fit asks often.
    return NAMED[name]()


def _check_positive(what: str, value: Any, example: str) -> None:
    if not isinstance(value, Real) or not 0.0 < float(value) < np.inf:
        raise SpecificationError(f"{what}{value!r}) must be a positive, finite number; {example}.")


def _offsets(cluster: str) -> Any:
    # The number of clusters is a length of data and not of the code that is compiled.
    return pm.Normal(Z, 0.0, 1.0, dims=(cluster, DIMENSION))
