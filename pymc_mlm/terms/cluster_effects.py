"""Effects of clusters on several linear predictors at once, correlated or not.

A prior writes the effects into the current model (always non-centred: ``u = root z``) and gives
back, for the draws, the root of the covariance of a cluster's effects, all that prediction needs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

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
from pymc_mlm.terms.base import Role

Z = "cluster_z"
DIMENSION = "cluster_dimension"
SLOPE = "slope"


class AbstractClusterPrior(ABC):
    """Prior of the effects of a cluster: a vector of (slope, predictor), slopes outermost."""

    @abstractmethod
    def effects(self, cluster: str, num_clusters: int, slopes: int, predictors: int) -> Any:
        """Add the prior to the current model, which has the dims predictor, slope, `cluster`.

        Returns
        -------
        TensorVariable, shape (cluster, slope * predictor)
            Effects, log odds.
        """

    @abstractmethod
    def roots(self, posterior: Any, slopes: int, predictors: int) -> np.ndarray:
        """Return roots of the covariance of a cluster's effects, shape (sample, dim, dim)."""

    @abstractmethod
    def roles(self) -> dict[str, Role]:
        """Return what each variable means, the offsets `Z` left out."""


@dataclass(frozen=True)
class LKJ(AbstractClusterPrior):
    r"""Standard deviations with a prior of their own, and an LKJ correlation matrix.

    .. math:: u_j = \operatorname{diag}(\sigma) L z_j, \qquad L L' \sim \text{LKJ}(\eta)

    Parameters
    ----------
    eta : float, default 1
        1 is uniform over correlation matrices. Effects on response patterns are correlated by
        nature: with independent outcomes the effect on 11 is the sum of those on 10 and 01.
    sd : Prior
        Prior of each standard deviation, log odds; HalfNormal(2) by default.
    """

    eta: float = 1.0
    sd: Any = field(default_factory=lambda: Prior("HalfNormal", sigma=2.0))

    def __post_init__(self) -> None:
        """Refuse a shape or a prior that no correlation matrix or standard deviation has."""
        _check_positive("LKJ(eta=", self.eta, "1 is uniform over correlation matrices")
        check_priors({"cluster_sd": self.sd}, "LKJ()")

    def effects(self, cluster: str, num_clusters: int, slopes: int, predictors: int) -> Any:
        """Add standard deviations, partial correlations and offsets."""
        size = slopes * predictors
        shape, dims = (slopes, predictors), (SLOPE, "predictor")
        sd = create(self.sd, "cluster_sd", dims, positive=True, shape=shape)
        z = _offsets(cluster, num_clusters, size)
        scale = sd.reshape((size, 1))
        if size == 1:
            return linear_predictors(z, scale)
        a = lkj_partial_alphas(size, self.eta)
        partial = pm.Beta("cluster_partial", a, a, shape=len(a))
        return linear_predictors(z, scale * cholesky_from_partials(2.0 * partial - 1.0, size))

    def roots(self, posterior: Any, slopes: int, predictors: int) -> np.ndarray:
        """Scale the Cholesky factor of the correlations."""
        size = slopes * predictors
        sd = posterior["cluster_sd"].values.reshape(-1, size, 1)
        if size == 1:
            return sd
        partial = posterior["cluster_partial"].values.reshape(len(sd), -1)
        return sd * partials_to_cholesky(2.0 * partial - 1.0, size)

    def roles(self) -> dict[str, Role]:
        """Standard deviations are read; partial correlations only diagnosed."""
        return {
            "cluster_sd": Role("sd", None, "cluster sd"),
            "cluster_partial": Role("correlation", None, "cluster partial"),
        }


@dataclass(frozen=True)
class InverseWishart(AbstractClusterPrior):
    r"""bmco's prior: each predictor has an inverse-Wishart covariance, unrelated to the others.

    .. math:: \Sigma_m \sim \text{IW}(\nu, \tau I), \quad u_{jm} \sim N(0, \Sigma_m)

    For comparison with bmco only: it couples spreads and correlations, has a spike near zero
    spread and no mean, and forbids the outcomes' cluster effects to be correlated.

    Parameters
    ----------
    df : float, optional
        Degrees of freedom; bmco's default is the number of slopes.
    scale : float, default 0.1
        Diagonal of the scale matrix.
    """

    df: float | None = None
    scale: float = 0.1

    def __post_init__(self) -> None:
        """Refuse degrees of freedom and scales that no covariance has."""
        _check_positive("InverseWishart(scale=", self.scale, "bmco's default is 0.1")
        if self.df is not None:
            _check_positive("InverseWishart(df=", self.df, "bmco's default is the number of slopes")

    # The covariance as a chain of regressions of each slope on those before it: residual
    # variances are inverse gamma and coefficients normal (Bartlett's decomposition).
    def effects(self, cluster: str, num_clusters: int, slopes: int, predictors: int) -> Any:
        """Add residual variances, regression coefficients and offsets."""
        shape = self._shapes(slopes)
        variance = pm.InverseGamma(
            "cluster_variance",
            shape[:, None],
            self.scale / 2.0,
            shape=(slopes, predictors),
            dims=(SLOPE, "predictor"),
        )
        z = _offsets(cluster, num_clusters, slopes * predictors)
        if slopes == 1:
            return z * pt.sqrt(variance)
        pairs = slopes * (slopes - 1) // 2
        chain = pm.Normal("cluster_chain", 0.0, 1.0, shape=(pairs, predictors))
        u: list[Any] = []
        for i in range(slopes):
            own = pt.sqrt(variance[i]) * z[:, i * predictors : (i + 1) * predictors]
            for j in range(i):
                b = chain[i * (i - 1) // 2 + j] * pt.sqrt(variance[i] / self.scale)
                own = own + b * u[j]
            u.append(own)
        return pt.concatenate(u, axis=1)

    def roots(self, posterior: Any, slopes: int, predictors: int) -> np.ndarray:
        """Unfold the chain of regressions."""
        sd = np.sqrt(posterior["cluster_variance"].values.reshape(-1, slopes, predictors))
        root = np.zeros((len(sd), slopes, predictors, slopes, predictors))
        chain = np.zeros((len(sd), 0, predictors))
        if slopes > 1:
            chain = posterior["cluster_chain"].values.reshape(len(sd), -1, predictors)
        m = np.arange(predictors)
        for i in range(slopes):
            for j in range(i):
                b = chain[:, i * (i - 1) // 2 + j] * sd[:, i] / np.sqrt(self.scale)
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


def as_cluster_prior(prior: Any) -> AbstractClusterPrior:
    """Return a cluster prior given as an object or by name.

    Raises
    ------
    SpecificationError
        No such prior.
    """
    if isinstance(prior, AbstractClusterPrior):
        return prior
    if prior == "lkj":
        return LKJ()
    if prior == "inverse_wishart":
        return InverseWishart()
    raise SpecificationError(
        f"cluster_prior={prior!r} is not known. Use 'lkj' (default), 'inverse_wishart' (bmco's), "
        "or an object such as LKJ(eta=2)."
    )


def _check_positive(what: str, value: Any, example: str) -> None:
    if not isinstance(value, Real) or not 0.0 < float(value) < np.inf:
        raise SpecificationError(f"{what}{value!r}) must be a positive, finite number; {example}.")


def _offsets(cluster: str, num_clusters: int, size: int) -> Any:
    return pm.Normal(Z, 0.0, 1.0, shape=(num_clusters, size), dims=(cluster, DIMENSION))
