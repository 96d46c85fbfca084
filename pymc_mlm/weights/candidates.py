"""Weights of memberships that are uncertain: candidates with probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from pymc_mlm.errors import MembershipRowError, SpecificationError
from pymc_mlm.weights.expression import Expression
from pymc_mlm.weights.named import AbstractNamedWeight, quoted, require_rows

# Probabilities are written with few digits: thirds as 0.333 each.
TOLERANCE = 5e-3
# Free parameters that the weight language has without declaration.
MOST_EVIDENCE = 12


@final
@dataclass(frozen=True)
class Candidates(AbstractNamedWeight):
    """Specification of probabilities as weights; made by `candidates`."""

    probability: str
    place: str | None = None
    evidence: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names."""
        if self.evidence and self.place is not None:
            raise SpecificationError(
                f"candidates({self.probability!r}): probabilities are estimated where a group has "
                "one place, which its candidates share. Leave place= out, or evidence=."
            )
        if len(self.evidence) > MOST_EVIDENCE or len({*self.evidence}) < len(self.evidence):
            raise SpecificationError(
                f"candidates({self.probability!r}): evidence={list(self.evidence)!r} names "
                f"columns, each once, {MOST_EVIDENCE} at most."
            )
        self.expression  # noqa: B018  (refuses names)

    @property
    def expression(self) -> Expression:
        """The function: with places their number is the sum of probabilities."""
        p = quoted(self.probability)
        if self.evidence:
            names = ["b"] if len(self.evidence) == 1 else [f"b{k + 1}" for k in range(12)]
            pairs = zip(names, map(quoted, self.evidence), strict=False)
            return Expression(f"{p} * exp({' + '.join(f'{b} * {x}' for b, x in pairs)})")
        if self.place is None:
            return Expression(f"{p} / sum({p})")
        return Expression(f"{p} / sum({p}) + 0 * {quoted(self.place)}")

    def require(
        self, columns: Mapping[str, np.ndarray], group: np.ndarray, indptr: np.ndarray
    ) -> None:
        """Refuse what is no probability, and places whose probabilities do not sum to one."""
        p = columns[self.probability]
        rule = "a probability is between 0 and 1. Correct it, or leave those rows out."
        require_rows(self.probability, p, (p >= 0) & (p <= 1), rule)
        place = np.zeros(len(p)) if self.place is None else columns[self.place]
        pairs, of = np.unique(np.column_stack([group, place]), axis=0, return_inverse=True)
        sums = np.bincount(of.ravel(), p, minlength=len(pairs))
        wrong = np.flatnonzero(np.abs(sums - 1.0) > TOLERANCE)
        if len(wrong):
            row = int(np.argmax(of.ravel() == wrong[0]))
            where = "" if self.place is None else f" with {self.place!r} = {place[row]:g}"
            raise MembershipRowError(
                f"the probabilities {self.probability!r} sum to {sums[wrong[0]]:.4g} in the group "
                f"of membership row {row}{where} (counted from 0, sorted by group; {len(wrong)} "
                "such sums); those of the candidates for one place sum to 1. Add the missing "
                "candidates, or name the column that tells places apart: candidates(p, place=...).",
                row,
            )


def candidates(
    probability: str, place: str | None = None, evidence: str | Sequence[str] = ()
) -> Candidates:
    r"""Weigh candidates for an uncertain membership by their probabilities.

    .. math:: w_i = p_i / m_g

    Parameters
    ----------
    probability : str
        Column with the probability that the member of the row is the one; 1 for a member that is
        known.
    place : str, optional
        Column of numbers that tells the places of a group apart, such as 1 for the first teacher
        and 2 for the second: candidates for one place have the same number. Without it a group has
        one place.
    evidence : str or sequence of str
        Columns by which the probabilities are estimated: those given are prior ones, and
        :math:`w_i \propto p_i \exp(\sum_k b_k x_{ik})` in each group. Of one place.

    Returns
    -------
    Candidates
        Summing to one; :math:`m_g` is the number of places. Without free parameters, or with one
        for each column of `evidence`, zero where the given probabilities are right.

    Notes
    -----
    The expected contribution, given the probabilities: the model of Hill and Goldstein [1]_ for
    units whose identification is missing. Means and covariances between groups are those of the
    mixture in which one candidate has the whole effect. The variance within a group is not: the
    mixture has :math:`\sigma^2 (1 - \sum p^2)` more, which goes into the residual and differs
    from group to group. Estimated probabilities are informed by the outcomes alone:
    `weights_report` tells how much.

    References
    ----------
    .. [1] Hill, P. W. & Goldstein, H. (1998). Multilevel modeling of educational data with
       cross-classification and missing identification for units. Journal of Educational and
       Behavioral Statistics 23(2), 117-128.

    Examples
    --------
    >>> candidates("p").label
    'p / sum(p)'
    """
    names = (evidence,) if isinstance(evidence, str) else tuple(evidence)
    return Candidates(probability, place, names)
