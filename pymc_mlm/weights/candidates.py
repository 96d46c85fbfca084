"""Weights of memberships that are uncertain: candidates with probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from pymc_mlm.errors import DataError
from pymc_mlm.weights.expression import Expression
from pymc_mlm.weights.named import AbstractNamedWeight, quoted, require_rows

# Probabilities are written with few digits: thirds as 0.333 each.
TOLERANCE = 5e-3


@final
@dataclass(frozen=True)
class Candidates(AbstractNamedWeight):
    """Specification of probabilities as weights; made by `candidates`."""

    probability: str
    place: str | None = None

    def __post_init__(self) -> None:
        """Check the names."""
        self.expression  # noqa: B018  (refuses names)

    @property
    def expression(self) -> Expression:
        """The function: with places their number is the sum of probabilities."""
        p = quoted(self.probability)
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
            raise DataError(
                f"the probabilities {self.probability!r} sum to {sums[wrong[0]]:.4g} in the group "
                f"of membership row {row}{where} (counted from 0, sorted by group; {len(wrong)} "
                "such sums); those of the candidates for one place sum to 1. Add the missing "
                "candidates, or name the column that tells places apart: candidates(p, place=...)."
            )


def candidates(probability: str, place: str | None = None) -> Candidates:
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

    Returns
    -------
    Candidates
        Without free parameters, summing to one; :math:`m_g` is the number of places.

    Notes
    -----
    The expected contribution, given the probabilities: the model of Hill and Goldstein [1]_ for
    units whose identification is missing. Means and covariances between groups are those of the
    mixture in which one candidate has the whole effect. The variance within a group is not: the
    mixture has :math:`\sigma^2 (1 - \sum p^2)` more, which goes into the residual and differs
    from group to group.

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
    return Candidates(probability, place)
