"""Standardised covariates, and the information about their coefficients before sampling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Prior sds of the approximation, in spreads of the linear predictor per sd of a covariate.
WIDE = 2.5
# Prior precision of the level, in spreads.
FLAT = 1e-6
# Eigenvalues of a covariance below this share of the largest are rounding errors.
SMALLEST = 1e-12


@dataclass(frozen=True, eq=False)
class Standard:
    r"""Covariates less their means, per standard deviation, after a column of ones.

    With :math:`x_j = m_j + s_j z_j` the linear predictor is
    :math:`\alpha + x'\beta = (\alpha + m'\beta) + z'(s \beta)`. Without an intercept the means
    are zero.

    Attributes
    ----------
    intercept : bool
        Whether there is a column of ones.
    means, sds : ndarray, shape (covariate,)
        m and s.
    """

    intercept: bool
    means: np.ndarray
    sds: np.ndarray

    def columns(self, X: np.ndarray) -> np.ndarray:
        """Return the standardised columns of covariates, the ones first."""
        ones = np.ones((len(X), int(self.intercept)))
        return np.column_stack([ones, (X - self.means) / self.sds])

    @property
    def matrix(self) -> np.ndarray:
        """The standardised coefficients by those of the columns as given, (column, column)."""
        skip = int(self.intercept)
        T = np.diag(np.concatenate([np.ones(skip), self.sds]))
        T[:skip, skip:] = self.means
        return T

    def prior_precision(self, spread: float) -> np.ndarray:
        """Return vague prior precisions of the standardised coefficients, shape (column,).

        An intercept, and coefficients that carry the level in its place, may be anywhere.
        """
        level = FLAT / spread**2
        of_covariates = 1.0 / (WIDE * spread) ** 2 if self.intercept else level
        return np.array([level] * self.intercept + [of_covariates] * len(self.means))


def standard(X: np.ndarray, intercept: bool) -> Standard:
    """Return means and standard deviations of covariates, shape (row, covariate)."""
    sds = X.std(axis=0)
    means = X.mean(axis=0) if intercept else np.zeros(X.shape[1])
    # A column that is constant but for rounding has a spread that is none.
    flat = sds <= SMALLEST * np.abs(X).max(axis=0, initial=0.0)
    size = np.where(flat, np.abs(X).max(axis=0, initial=0.0), sds)
    return Standard(intercept, means, np.where(size > 0.0, size, 1.0))


@dataclass(frozen=True, eq=False)
class CoefficientInformation:
    """Normal approximation of the posterior of all coefficients.

    Attributes
    ----------
    standard : Standard
        What the coefficients are of.
    mode : ndarray, shape (column,)
        Standardised coefficients, the intercept at the mean of the covariates first.
    covariance : ndarray, shape (column, column)
        Their covariance.
    """

    standard: Standard
    mode: np.ndarray
    covariance: np.ndarray

    def block(self, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mode and covariance root of some coefficients of the covariates as given.

        Parameters
        ----------
        first, count : int
            Place among the covariates, and how many.

        Returns
        -------
        mode : ndarray, shape (coef,)
        root : ndarray, shape (coef, coef)
            Lower triangular; of one coefficient a vector.
        """
        skip, sds = int(self.standard.intercept), self.standard.sds[first : first + count]
        at = slice(skip + first, skip + first + count)
        root = np.linalg.cholesky(self.covariance[at, at]) / sds[:, None]
        return self.mode[at] / sds, root[0] if count == 1 else root

    def levels(self, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        r"""Return how the first coefficients, of columns of ones and zeros, follow the others.

        .. math:: E(\alpha \mid \beta) = c + K \beta

        Parameters
        ----------
        count : int
            Number of the first; there is no column of ones.

        Returns
        -------
        c : ndarray, shape (count,)
        K : ndarray, shape (count, covariate)
        root : ndarray, shape (count, count)
            Root of the covariance, given the others; of one coefficient a vector.
        """
        sds = self.standard.sds
        V, mode = self.covariance / np.outer(sds, sds), self.mode / sds
        K = np.linalg.solve(V[count:, count:], V[count:, :count]).T
        given = V[:count, :count] - K @ V[count:, :count]
        given[np.diag_indices(count)] += SMALLEST * np.diag(V)[:count]
        root = np.linalg.cholesky(0.5 * (given + given.T))
        return mode[:count] - K @ mode[count:], K, root[0] if count == 1 else root

    def intercept(self) -> tuple[float, np.ndarray, float]:
        r"""Return how the intercept at zero of the covariates follows the coefficients as given.

        .. math:: E(\alpha \mid \beta) = c + k'\beta

        Returns
        -------
        c : float
        k : ndarray, shape (covariate,)
        sd : float
            Standard deviation of the intercept, given the coefficients.
        """
        V, standard = self.covariance, self.standard
        k = np.linalg.solve(V[1:, 1:], V[1:, 0])
        variance = max(V[0, 0] - V[0, 1:] @ k, SMALLEST * V[0, 0])
        slopes = k * standard.sds - standard.means
        return float(self.mode[0] - k @ self.mode[1:]), slopes, float(np.sqrt(variance))


def coefficient_information(
    standard: Standard, precision: np.ndarray, slope: np.ndarray
) -> CoefficientInformation:
    """Return the normal with a precision matrix and a slope at zero, near singular or not."""
    values, vectors = np.linalg.eigh(precision)
    values = np.maximum(values, SMALLEST * values.max(initial=0.0))
    covariance = (vectors / values) @ vectors.T
    return CoefficientInformation(standard, covariance @ slope, covariance)
