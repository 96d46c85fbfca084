r"""Success probabilities where outcomes are not missing at random: a pattern-mixture model.

The log odds of each missing outcome, given what is observed of the person and the person's other
missing outcomes, are :math:`\delta` higher than those of a person of the same arm, covariates and
clusters whose outcome is observed. So the missing outcomes of a person have the probabilities

.. math:: P_\delta(y_m \mid y_o) \propto \phi(y_o, y_m) \exp(\delta' y_m),

those at random with :math:`\delta = 0`. The data contain no information about :math:`\delta`, so
that the posterior of the model's parameters is the same for every one.

References
----------
.. [1] Little, R. J. A. (1994). A class of pattern-mixture models for normal incomplete data.
   Biometrika 81(3).
.. [2] Carpenter, J. R., Kenward, M. G. (2013). Multiple imputation and its application. Wiley.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.arms import Array
from pymc_mlm.data.cells import cells as all_cells
from pymc_mlm.data.cells import response_patterns
from pymc_mlm.data.factor import encode
from pymc_mlm.data.frame import absent, columns
from pymc_mlm.data.trial import recode_trial
from pymc_mlm.decisions.standardization import bootstrap_weights
from pymc_mlm.fit import Fit
from pymc_mlm.inference.conjugate import draw_patterns
from pymc_mlm.trial.design import TrialModelDesign
from pymc_mlm.trial.draws import population_cells, row_cells, trial_draws
from pymc_mlm.trial.row_weights import written_out
from pymc_mlm.trial.target import Target
from pymc_mlm.trial.terms import by_person, persons

SEED = 20_242
# Draws are thinned where draws x persons x patterns are more.
MOST_NUMBERS = 40_000_000
# An infinite delta: far beyond the logarithm of the smallest probability that is kept.
INFINITE, SMALLEST = 1e3, 1e-300


@dataclass(frozen=True, eq=False)
class IncompletePersons:
    """Persons of a trial's arms who lack outcomes, those without any outcome included.

    Attributes
    ----------
    design : TrialModelDesign
        Of these persons, with the fitted coding.
    pattern : ndarray of int, shape (person,)
        Line of `compatible`.
    compatible : ndarray of bool, shape (pattern, cell)
    missing : ndarray of bool, shape (person, outcome)
    """

    design: TrialModelDesign
    pattern: Array
    compatible: Array
    missing: Array

    @property
    def arm(self) -> Array:
        """Arm of each person."""
        return self.design.trial.arm.codes


def incomplete_persons(fit: Fit) -> IncompletePersons | None:
    """Return the persons who lack outcomes and nothing else; None where there are none."""
    spec, known, table = fit.spec, fit.design, fit.table
    if spec.row_weights is not None:
        table = written_out(table, spec.row_weights)
    person = persons(table, spec.named)
    place = np.arange(table.num_rows) if person is None else person.codes
    lacks = {name: absent(table, name) for name in spec.columns}
    count = int(place.max()) + 1
    other = [lacks[name] for name in spec.columns if name not in spec.outcomes]
    bad = np.bincount(place, np.any(other, axis=0), count) > 0
    some = np.bincount(place, np.any([lacks[name] for name in spec.outcomes], axis=0), count) > 0
    arms = encode(
        spec.arm, columns(table, [spec.arm])[spec.arm],
        known=known.trial.arm, unseen="new", missing="unknown",
    ).codes  # fmt: skip
    stranger = np.bincount(place, arms >= len(known.trial.arm), count) > 0
    rows = np.flatnonzero((some & ~bad & ~stranger)[place])
    if not len(rows):
        return None
    theirs = table.take(rows)
    design = spec.read(theirs, known)
    read = columns(theirs, spec.parts.columns(spec.outcomes))
    coded = recode_trial(by_person(read, persons(theirs, spec.named)), known.trial)
    pattern, compatible = response_patterns(coded.observed)
    return IncompletePersons(design, pattern, compatible, np.isnan(coded.observed))


class AbstractMissing(ABC):
    """Success probabilities of an arm as a function of the shift of its missing outcomes."""

    @abstractmethod
    def success(self, arm: int, delta: Array) -> Array:
        """Return draws of the success probabilities of an arm, shape (chain, draw, outcome).

        Parameters
        ----------
        arm : int
        delta : ndarray, shape (outcome,)
            Shift of the log odds of the arm's missing outcomes; infinite where all succeed, or
            all fail.
        """

    @abstractmethod
    def share(self, arm: int, delta: Array) -> Array:
        """Return the expected share of successes among missing outcomes, shape (outcome,)."""


@dataclass(frozen=True, eq=False)
class DirichletMissing(AbstractMissing):
    r"""Without covariates: missing outcomes are drawn, and then the posterior given all outcomes.

    For :math:`\delta = 0` this is a step of data augmentation, which leaves the posterior as it
    is; with all missing outcomes failures it is the posterior of the table filled in so.

    Attributes
    ----------
    phi : ndarray, shape (chain, draw, arm, cell)
    complete : ndarray of int, shape (arm, cell)
        Persons with every outcome.
    partial : ndarray of int, shape (arm, pattern)
        Persons with missing outcomes.
    compatible : ndarray of bool, shape (pattern, cell)
    missing : ndarray of bool, shape (pattern, outcome)
    prior : pair of ndarray, shapes (component,) and (component, arm, cell)
        Weights and Dirichlet parameters.
    """

    phi: Array
    complete: Array
    partial: Array
    compatible: Array
    missing: Array
    prior: tuple[Array, Array]

    def success(self, arm: int, delta: Array) -> Array:
        """Draw missing outcomes from the tilted patterns, then the patterns' probabilities."""
        digits = all_cells(len(delta))
        phi = self.phi[:, :, arm]
        if delta.any() and self.partial[arm].any():
            # The same numbers for every delta, so that differences are those of delta.
            rng = np.random.default_rng([SEED, arm])
            drawn = rng.multinomial(self.partial[arm], self._tilted(arm, delta)).sum(axis=2)
            weights, alpha = self.prior[0], self.prior[1][:, [arm]]
            counts = (self.complete[arm] + drawn)[:, :, None]
            phi = draw_patterns(rng, counts, alpha, weights, phi.shape[:2])[:, :, 0]
        return np.asarray(phi @ digits)

    def share(self, arm: int, delta: Array) -> Array:
        """Average over draws and missing outcomes."""
        mean = (self._tilted(arm, delta) @ all_cells(len(delta))).mean(axis=(0, 1))
        count = self.partial[arm][:, None] * self.missing
        return _ratio((mean * count).sum(axis=0), count.sum(axis=0))

    def _tilted(self, arm: int, delta: Array) -> Array:
        log_phi = np.log(np.maximum(self.phi[:, :, arm, None], SMALLEST))
        return tilted(log_phi, self.compatible, delta)


@dataclass(frozen=True, eq=False)
class LogitMissing(AbstractMissing):
    r"""With covariates or clusters: the average at random, and what missing outcomes change.

    .. math:: \theta_k(\delta) = \theta_k(0) + \sum_{i \in \text{arm}} w_i
        \{P_\delta(y_{ik} = 1 \mid y_{io}, x_i) - P_0(y_{ik} = 1 \mid y_{io}, x_i)\}

    The weights are those of the Bayesian bootstrap over the persons of the arm, whole clusters
    where there are clusters: how many outcomes go missing is uncertain, too.

    Attributes
    ----------
    at_random : ndarray, shape (sample, arm, outcome)
    log_phi : ndarray, shape (sample, person, cell)
        Log probabilities of the patterns of the persons with missing outcomes.
    weight : ndarray, shape (sample, person)
        Those of an arm's persons, complete ones too, sum to one.
    incomplete : IncompletePersons
    shape : tuple of int
        Chains and draws.
    """

    at_random: Array
    log_phi: Array
    weight: Array
    incomplete: IncompletePersons
    shape: tuple[int, int]

    def success(self, arm: int, delta: Array) -> Array:
        """Add the weighted change of the missing outcomes."""
        theta = self.at_random[:, arm]
        if delta.any():
            change = self._expected(arm, delta) - self._expected(arm, np.zeros(len(delta)))
            theta = theta + np.einsum(
                "sp,spk->sk", self.weight[:, self.incomplete.arm == arm], change
            )
        return theta.reshape(*self.shape, -1)

    def share(self, arm: int, delta: Array) -> Array:
        """Average over draws and missing outcomes."""
        missing = self.incomplete.missing[self.incomplete.arm == arm]
        mean = self._expected(arm, delta).mean(axis=0)
        return _ratio((mean * missing).sum(axis=0), missing.sum(axis=0))

    def _expected(self, arm: int, delta: Array) -> Array:
        """Return expected outcomes of an arm's persons, shape (sample, person, outcome)."""
        mine = self.incomplete.arm == arm
        allowed = self.incomplete.compatible[self.incomplete.pattern[mine]]
        return tilted(self.log_phi[:, mine], allowed, delta) @ all_cells(len(delta))


def tilted(log_phi: Array, compatible: Array, delta: Array) -> Array:
    r"""Return the probabilities of the patterns that observed outcomes allow, tilted.

    Parameters
    ----------
    log_phi : ndarray, shape (..., cell)
        Log probabilities of the patterns.
    compatible : ndarray of bool, shape (..., cell)
        Patterns that the observed outcomes allow. They agree in these, so that only missing
        outcomes are tilted.
    delta : ndarray, shape (outcome,)
        Shift of the log odds; infinite for certain success or failure.

    Examples
    --------
    >>> half = np.log(np.full(4, 0.25))
    >>> tilted(half, np.array([True, True, False, False]), np.array([9.0, np.log(3)])).round(2)
    array([0.75, 0.25, 0.  , 0.  ])
    """
    shift = all_cells(len(delta)) @ np.clip(delta, -INFINITE, INFINITE)
    log_q = np.where(compatible, log_phi + shift, -np.inf)
    q = np.exp(log_q - log_q.max(axis=-1, keepdims=True))
    return np.asarray(q / q.sum(axis=-1, keepdims=True))


def missing_outcomes(
    fit: Fit, incomplete: IncompletePersons, estimand: str | None = None
) -> AbstractMissing:
    """Prepare the success probabilities of a fitted trial for any shift of missing outcomes."""
    if not fit.spec.is_conjugate:
        return _logit(fit, incomplete, estimand)
    trial, size = fit.design.trial, 2 ** len(fit.design.trial.outcomes)
    counts = np.zeros((len(trial.arm), len(incomplete.compatible)), dtype=np.int64)
    np.add.at(counts, (incomplete.arm, incomplete.pattern), 1)
    missing = np.zeros((len(incomplete.compatible), len(trial.outcomes)), dtype=bool)
    missing[incomplete.pattern] = incomplete.missing
    used = counts.any(axis=0)
    phi = _thinned(fit, used.sum() * size)["cell_probability"]
    return DirichletMissing(
        phi.transpose("chain", "draw", "arm", "cell").values,
        trial.pattern_counts()[:, :size],
        counts[:, used],
        incomplete.compatible[used],
        missing[used],
        fit.spec.trial_priors.mixture(fit.design),
    )


def _thinned(fit: Fit, numbers: int) -> Any:
    """Return the posterior, thinned where so many numbers a draw are too many."""
    numbers *= fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    return fit.posterior.isel(draw=slice(None, None, max(1, -(-numbers // MOST_NUMBERS))))


def _logit(fit: Fit, incomplete: IncompletePersons, estimand: str | None) -> LogitMissing:
    design, prior = fit.design, fit.spec.trial_priors.clusters(fit.design.matrix)
    posterior = _thinned(fit, len(incomplete.arm) * len(design.trial.cells))
    draws = trial_draws(design, posterior, prior)
    at_random = population_cells(draws, Target(None, estimand))
    rng = np.random.default_rng(SEED)
    cells = row_cells(draws, incomplete.design, rng)
    return LogitMissing(
        at_random @ all_cells(len(design.trial.outcomes)),
        np.log(np.maximum(cells, SMALLEST)),
        _weights(design, incomplete, len(cells), rng),
        incomplete,
        draws.shape,
    )


def _weights(
    design: TrialModelDesign, incomplete: IncompletePersons, samples: int, rng: np.random.Generator
) -> Array:
    """Return bootstrap weights of the incomplete persons, shape (sample, person)."""
    complete, arms = ~design.trial.partial, len(design.trial.arm)
    unit = np.arange(len(incomplete.arm))
    of_complete, shape = len(unit) + design.trial.arm.codes[complete], np.ones(len(unit) + arms)
    shape[len(unit) :] = np.maximum(np.bincount(of_complete - len(unit), minlength=arms), 1)
    if design.trial.cluster is not None:
        unit, of_complete = incomplete.design.cluster_codes, design.cluster_codes[complete]
        shape = np.ones(max(unit.max(), design.cluster_codes.max()) + 1)
    # Complete persons of one arm and unit are one row.
    pairs = of_complete * arms + design.trial.arm.codes[complete]
    pairs, count = np.unique(pairs, return_counts=True)
    weight = np.concatenate([np.ones(len(unit)), count])
    arm = np.concatenate([incomplete.arm, pairs % arms])
    w = bootstrap_weights(weight, np.concatenate([unit, pairs // arms]), shape, samples, rng)
    for g in range(arms):
        w[:, arm == g] /= w[:, arm == g].sum(axis=1, keepdims=True)
    return w[:, : len(unit)]


def _ratio(successes: Array, count: Array) -> Array:
    """Return shares, NaN where nothing is missing."""
    share: Array = np.divide(successes, count, np.full(len(count), np.nan), where=count > 0)
    return share
