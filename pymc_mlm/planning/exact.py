"""Power by enumeration of every table of successes that a trial can give."""

from __future__ import annotations

import string
from functools import lru_cache

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.planning.beta_posterior import probability_above
from pymc_mlm.planning.contrasts import is_separable, linear_contrasts
from pymc_mlm.planning.design import TrialDesign
from pymc_mlm.planning.normal import Road
from pymc_mlm.planning.patterns import Array, pattern_values

# Multiplications of the sum over all pairs of tables: about a second.
MOST = 100_000_000
# Pairs of counts whose posterior is integrated: about ten seconds.
MOST_PAIRS = 500_000


def exact_obstacle(design: TrialDesign) -> str | None:
    """Return why a design cannot be enumerated."""
    slope, _ = linear_contrasts(design.rule, design.names)
    if not is_separable(slope):
        return "rule " + design.rule.label + " weighs outcomes against each other"
    if design.borrowing is not None:
        return "a control that borrows has a posterior that depends on all response patterns"
    if design.clusters is not None or design.missing.any():
        return "clusters and dropout have too many tables"
    pairs = int((design.patients[0] + 1) * (design.patients[1:].max() + 1))
    if pairs > MOST_PAIRS:
        return f"the arms have {pairs:,} pairs of counts of successes, more than {MOST_PAIRS:,}"
    size = float(design.patients.max() + 1)
    if size ** (len(_used(slope)) + 1) > MOST:
        return f"{design.patients.max()} patients in an arm have too many tables"
    return None


def exact_road(design: TrialDesign) -> Road:
    r"""Return exact probabilities of finding treatments better, a function of the threshold.

    The posterior of each success probability is Beta, so the decision depends on the tables of
    successes :math:`x_T, x_C` (one count per outcome) alone:

    .. math:: \sum_{x_T, x_C} p(x_T)\, p(x_C) \prod_k 1\{P(\delta_k > m_k \mid x_{Tk}, x_{Ck}) > c\}

    The sum is taken one outcome at a time, and :math:`p(x)`, the distribution of a sum of
    independent vectors, is a power of a Fourier transform.

    Parameters
    ----------
    design : TrialDesign
        A rule of single outcomes, no clusters and no dropout.

    Raises
    ------
    SpecificationError
        The design cannot be enumerated.
    """
    obstacle = exact_obstacle(design)
    if obstacle is not None:
        raise SpecificationError(
            f"method='exact' is not possible: {obstacle}. Use method='simulation'."
        )
    slope, margin = linear_contrasts(design.rule, design.names)
    used = _used(slope)
    tables = [
        sum_distribution(phi, used, int(n))
        for phi, n in zip(design.pattern_probabilities, design.patients, strict=True)
    ]
    prior, margins = float(design.prior), margin.tolist()
    order = [int(np.flatnonzero(row)[0]) for row in slope]
    above = {
        (arm, k): _above(int(design.patients[arm]), int(design.patients[0]), prior, margins[c])
        for arm in range(1, len(tables))
        for c, k in enumerate(order)
    }
    every = design.rule.combine == "every"

    def road(threshold: float) -> Array:
        found = []  # probability of being found better given the control's table
        for arm in range(1, len(tables)):
            passes = [above[arm, k] > threshold for k in used]
            held = _contracted(tables[arm], passes if every else [~p for p in passes])
            found.append(held if every else 1 - held)
        missed = np.prod([1 - f for f in found], axis=0)
        return np.array([(tables[0] * f).sum() for f in [*found, 1 - missed]])

    return road


def sum_distribution(pattern: Array, used: list[int], patients: int) -> Array:
    """Return the distribution of the counts of successes, an axis of n + 1 per used outcome."""
    one = np.zeros((patients + 1,) * len(used))
    values = pattern_values(int(np.log2(len(pattern)))).astype(int)[:, used]
    np.add.at(one, tuple(values.T), pattern)
    total = np.fft.irfftn(np.fft.rfftn(one) ** patients, one.shape, axes=range(one.ndim))
    return np.asarray(np.maximum(total, 0.0))


def _contracted(table: Array, passes: list[Array]) -> Array:
    """Sum over the treated counts: one matrix product per outcome."""
    letters = string.ascii_letters
    here, there = letters[: table.ndim], letters[table.ndim : 2 * table.ndim]
    terms = ",".join(f"{a}{b}" for a, b in zip(here, there, strict=True))
    operands = [p.astype(float) for p in passes]
    return np.asarray(np.einsum(f"{here},{terms}->{there}", table, *operands, optimize=True))


@lru_cache(maxsize=64)  # the same for all nulls of a design
def _above(treated: int, untreated: int, prior: float, margin: float) -> Array:
    """Posterior probability for every pair of counts, shape (treated + 1, untreated + 1)."""
    pairs = _beta(treated, prior)[:, None], _beta(untreated, prior)[None]
    return probability_above(*pairs, margin)


def _beta(patients: int, prior: float) -> Array:
    """Beta parameters of each count, shape (count, 2)."""
    x = np.arange(patients + 1.0)
    return np.stack([x, patients - x], axis=-1) + prior / 2


def _used(slope: Array) -> list[int]:
    return np.flatnonzero((slope != 0).any(axis=0)).tolist()
