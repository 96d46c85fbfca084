"""Maximum likelihood of the variable persistence model with dense matrices, apart from the package.

y ~ N(X beta, sum_t g_t A_t A_t' + R), with A_t the scores by teachers of year t, whose entry in a
later year s is alpha_st, and R a matrix of a student's years, block by block (Lockwood et al.
2007).
"""

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import minimize

YEARS = 3
PAIRS = [(1, 0), (2, 0), (2, 1)]  # later year, year of the teacher
NAMES = ("alpha_21", "alpha_31", "alpha_32")


def unstructured(values):
    """A covariance of three years from its Cholesky factor, logarithms on the diagonal."""
    L = np.zeros((YEARS, YEARS))
    L[np.tril_indices(YEARS)] = values
    L[np.diag_indices(YEARS)] = np.exp(np.diag(L))
    return L @ L.T


def compound(values):
    """One variance of students and one of residuals."""
    between, within = np.exp(2 * np.asarray(values))
    return between + within * np.eye(YEARS)


KINDS = {"unstructured": (unstructured, [-0.2, 0.4, -0.4, 0.4, 0.0, -0.4]),
         "compound": (compound, [-0.4, -0.7])}  # fmt: skip


class Scores:
    """Scores of students who have one in each year, and the teachers whom they have met."""

    def __init__(self, table):
        present = table[table["lag"] == 0].sort_values(["student", "year"])
        self.y = present["score"].to_numpy()
        self.year = present["year"].to_numpy()
        self.student = present["student"].to_numpy()
        self.X = (self.year[:, None] == np.arange(YEARS)).astype(float)
        self.met = {}
        for year in range(YEARS):
            of_year = table[table["year"] - table["lag"] == year]
            teacher = of_year.set_index(["student", "year"])["teacher"]
            index = pd.MultiIndex.from_frame(present[["student", "year"]])
            codes, _ = pd.factorize(teacher.reindex(index), sort=True)
            Z = np.zeros((len(codes), codes.max() + 1))
            Z[codes >= 0, codes[codes >= 0]] = 1.0
            self.met[year] = Z

    def loglik(self, alpha, variance, R):
        """Log likelihood, with the means of the years at their best."""
        share = np.eye(YEARS)
        for value, (later, year) in zip(alpha, PAIRS, strict=True):
            share[later, year] = value
        same = self.student[:, None] == self.student[None, :]
        V = np.where(same, R[np.ix_(self.year, self.year)], 0.0)
        for year, Z in self.met.items():
            A = share[self.year, year][:, None] * Z
            V += variance[year] * (A @ A.T)
        factor = cho_factor(V, lower=True)
        beta = np.linalg.solve(
            self.X.T @ cho_solve(factor, self.X), self.X.T @ cho_solve(factor, self.y)
        )
        z = solve_triangular(factor[0], self.y - self.X @ beta, lower=True)
        return -0.5 * (len(z) * np.log(2 * np.pi) + z @ z) - np.log(np.diag(factor[0])).sum()


def maximum(table, student):
    """Return the estimates of the three persistences and the log likelihood there."""
    scores, (covariance, start) = Scores(table), KINDS[student]

    def negative(theta):
        return -scores.loglik(theta[:3], np.exp(theta[3:6]), covariance(theta[6:]))

    found = minimize(negative, np.array([0.5, 0.25, 0.5, -1.0, -1.0, -1.0, *start]), method="BFGS",
                     options={"gtol": 1e-3})  # fmt: skip
    return dict(zip(NAMES, found.x[:3], strict=True)), -found.fun
