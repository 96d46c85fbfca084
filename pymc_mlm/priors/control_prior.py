r"""Prior of the control's response patterns that borrows from historical controls.

.. math:: p(\phi) = \sum_c w_c \operatorname{Dirichlet}(\phi \mid a_c)

A success probability, a sum of patterns, is then a mixture of Beta variables, and so is the
posterior: each component is updated by itself, and its weight by how well it predicts the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import betaln, gammaln, logsumexp

from pymc_mlm.errors import SpecificationError

Array = np.ndarray[Any, Any]
NODES = 4001


@dataclass(frozen=True)
class ControlPrior:
    """A mixture of Dirichlet distributions for the control, and a vague one for other arms.

    Made by `borrowing.power_prior` and `borrowing.robust_map`.

    Parameters
    ----------
    outcomes : tuple of str
        In the order of the trial.
    weights : tuple of float
        Of the components; they sum to one.
    components : tuple of tuples of float
        Dirichlet parameters of the response patterns, from all ones to all zeros.
    vague : tuple of float
        Dirichlet parameters without historical data: of the other arms, and of the last
        component where the mixture is robust.
    label : str
        How it was made.

    Raises
    ------
    SpecificationError
        Weights are no distribution, or parameters are not positive or not one per pattern.

    Examples
    --------
    >>> prior = ControlPrior(("y",), (1.0,), ((13.0, 9.0),), (1.0, 1.0), "power prior")
    >>> round(prior.success("y").mean(), 3), round(prior.effective_sample_size()["y"], 3)
    (0.591, 22.0)
    """

    outcomes: tuple[str, ...]
    weights: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]
    vague: tuple[float, ...]
    label: str

    def __post_init__(self) -> None:
        rows = [*self.components, self.vague]
        sizes, size = {len(row) for row in rows}, 2 ** len(self.outcomes)
        if sizes != {size} or len(self.weights) != len(self.components):
            raise SpecificationError(
                f"A prior of the control has one weight for each component, and {size} parameters "
                f"for {len(self.outcomes)} outcomes; found {len(self.weights)} weights, and rows "
                f"of {', '.join(map(str, sorted(sizes)))}."
            )
        if not all(0 < v < np.inf for row in rows for v in row):
            raise SpecificationError("Dirichlet parameters of the control's prior are positive.")
        if min(self.weights) < 0 or abs(sum(self.weights) - 1) > 1e-9:
            raise SpecificationError(
                f"The weights {self.weights} of the control's prior are from 0 on and sum to one."
            )

    @property
    def is_robust(self) -> bool:
        """Whether the last component is the vague one."""
        return len(self.components) > 1 and self.components[-1] == self.vague

    def create_variable(self, name: str) -> Any:
        """Add the control's probabilities to the current model, shape (pattern,)."""
        import pymc as pm

        components = pm.Dirichlet.dist(np.array(self.components))
        return pm.Mixture(name, w=np.array(self.weights), comp_dists=components)

    def concentration(self, num_arms: int) -> Array:
        """Return Dirichlet parameters, shape (component, arm, pattern); the control is first."""
        others = np.broadcast_to(self.vague, (num_arms - 1, len(self.vague)))
        return np.array([np.vstack([row, others]) for row in self.components])

    def success(self, outcome: str) -> BetaMixture:
        """Return the prior of the control's success probability of an outcome."""
        if outcome not in self.outcomes:
            raise SpecificationError(
                f"{outcome!r} is no outcome of this prior; they are {', '.join(self.outcomes)}."
            )
        a = np.array(self.components)
        place = len(self.outcomes) - 1 - self.outcomes.index(outcome)
        one = (np.arange(a.shape[1])[::-1] >> place) & 1 == 1
        return BetaMixture(np.array(self.weights), a[:, one].sum(axis=1), a[:, ~one].sum(axis=1))

    def effective_sample_size(self, method: str = "elir") -> dict[str, float]:
        """Return how many persons the prior is worth, by outcome.

        Parameters
        ----------
        method : {"elir", "moment"}
            Expected local-information-ratio [1]_, or the Beta distribution with the same mean and
            variance.

        References
        ----------
        .. [1] Neuenschwander, B., Weber, S., Schmidli, H., O'Hagan, A. (2020). Predictively
           consistent prior effective sample sizes. Biometrics 76(2).
        """
        if method not in ("elir", "moment"):
            raise SpecificationError(f"method={method!r} is not known. Use 'elir' or 'moment'.")
        each = {name: self.success(name) for name in self.outcomes}
        return {k: p.elir() if method == "elir" else p.moment_size() for k, p in each.items()}


@dataclass(frozen=True, eq=False)
class BetaMixture:
    """A mixture of Beta distributions.

    Attributes
    ----------
    weights, a, b : ndarray, shape (component,)
    """

    weights: Array
    a: Array
    b: Array

    def mean(self) -> float:
        """Return the mean."""
        return float(self.weights @ (self.a / (self.a + self.b)))

    def variance(self) -> float:
        """Return the variance."""
        size = self.a + self.b
        m = self.a / size
        second = m * (1 - m) / (size + 1) + m**2
        return float(self.weights @ second) - self.mean() ** 2

    def moment_size(self) -> float:
        """Return the sum of the parameters of the Beta distribution of this mean and variance."""
        return self.mean() * (1 - self.mean()) / self.variance() - 1

    def interval(self, ci_prob: float) -> tuple[float, float]:
        """Return the equal-tailed interval."""
        from scipy.optimize import brentq
        from scipy.special import betainc

        def below(x: float) -> float:
            return float(self.weights @ betainc(self.a, self.b, x))

        tails = (1 - ci_prob) / 2, (1 + ci_prob) / 2
        lower, upper = (brentq(lambda x, q=q: below(x) - q, 0.0, 1.0) for q in tails)
        return lower, upper

    def elir(self) -> float:
        r"""Return the expected local-information-ratio.

        .. math:: \operatorname{E}\big[-\theta (1 - \theta)\, \tfrac{d^2}{d\theta^2}
            \log p(\theta)\big]

        Parameters below one, for which it diverges, are taken as one, as RBesT does.
        """
        a, b = np.maximum(self.a, 1.0)[:, None], np.maximum(self.b, 1.0)[:, None]
        x = np.linspace(-40.0, 40.0, NODES)  # log odds
        log_t, log_s = -np.logaddexp(0, -x), -np.logaddexp(0, x)
        log_f = np.log(self.weights)[:, None] + a * log_t + b * log_s - betaln(a, b)
        density = np.exp(logsumexp(log_f, axis=0))
        share = np.exp(log_f - logsumexp(log_f, axis=0))
        odds = np.exp(x)
        # The score and the information of a component, times the root of, and t (1 - t).
        score = (a - 1) * np.exp(0.5 * (log_s - log_t)) - (b - 1) * np.exp(0.5 * (log_t - log_s))
        information = (a - 1) / odds + (b - 1) * odds
        mean = (share * score).sum(axis=0)
        local = (share * (information - (score - mean) ** 2)).sum(axis=0)
        return float((density * local).sum() * (x[1] - x[0]))

    def predictive_p(self, successes: int, persons: int) -> float:
        """Return the prior predictive probability of a count as improbable as the observed.

        References
        ----------
        .. [1] Evans, M., Moshonov, H. (2006). Checking for prior-data conflict. Bayesian Analysis
           1(4).
        """
        y = np.arange(persons + 1)[:, None]
        choose = gammaln(persons + 1) - gammaln(y + 1) - gammaln(persons - y + 1)
        log_each = betaln(self.a + y, self.b + persons - y) - betaln(self.a, self.b)
        p = np.exp(choose + log_each) @ self.weights
        return float(p[p <= p[successes] * (1 + 1e-9)].sum())


def log_pattern_density(concentration: Sequence[float] | Array, counts: Array) -> Array:
    r"""Return the log probability of pattern counts, Dirichlet-multinomial, up to a constant.

    .. math:: \log B(a + n) - \log B(a)

    Parameters
    ----------
    concentration, counts : ndarray, shape (..., pattern)

    Examples
    --------
    >>> log_pattern_density(np.array([1.0, 1.0]), np.array([1, 0])).round(4).item()
    -0.6931
    """
    a = np.asarray(concentration, dtype=float)
    after = a + counts
    value = gammaln(after).sum(axis=-1) - gammaln(after.sum(axis=-1))
    return np.asarray(value - gammaln(a).sum(axis=-1) + gammaln(a.sum(axis=-1)))
