"""Signed weights of contests: Bradley-Terry comparisons of players and of teams."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from pymc_mlm.errors import MembershipRowError, SpecificationError
from pymc_mlm.weights.expression import Expression
from pymc_mlm.weights.named import AbstractNamedWeight, quoted, require_rows

TEAMS = ("sum", "mean")


@final
@dataclass(frozen=True)
class Contest(AbstractNamedWeight):
    """Specification of signed weights; made by `contest`."""

    side: str
    team: str = "sum"

    def __post_init__(self) -> None:
        """Check the name and what a team is."""
        if self.team not in TEAMS:
            raise SpecificationError(
                f"contest({self.side!r}): team is 'sum' or 'mean' of its members, not "
                f"{self.team!r}."
            )
        self.expression  # noqa: B018  (refuses names)

    @property
    def expression(self) -> Expression:
        """The function."""
        x = quoted(self.side)
        if self.team == "sum":
            return Expression(x)
        return Expression(f"({x} == 1) / sum({x} == 1) - ({x} == -1) / sum({x} == -1)")

    def require(
        self, columns: Mapping[str, np.ndarray], group: np.ndarray, indptr: np.ndarray
    ) -> None:
        """Refuse sides other than 1 and -1, and contests of one side."""
        side = columns[self.side]
        rule = (
            "contest() reads 1 for the side whose win the outcome counts, and -1 for the other. "
            "Code the sides so."
        )
        require_rows(self.side, side, np.isin(side, (-1, 1)), rule)
        sizes = np.diff(indptr)
        wins = np.bincount(group, side == 1, minlength=len(sizes))
        one_sided = np.flatnonzero((sizes > 0) & ((wins == 0) | (wins == sizes)))
        if len(one_sided):
            row = int(indptr[one_sided[0]])
            raise MembershipRowError(
                f"a contest has one side only: {self.side!r} is {side[row].item():g} in all "
                f"{int(sizes[one_sided[0]])} rows of the group of membership row {row} (counted "
                f"from 0, sorted by group; {len(one_sided)} such groups). A contest has members "
                "of both sides, one row each: complete those groups or drop them.",
                row,
            )


def contest(side: str, team: str = "sum") -> Contest:
    r"""Compare two sides of a contest: one side's members count for, the other's against.

    .. math:: w_i = s_i \quad\text{or}\quad w_i = s_i / n_{s_i}, \qquad s_i \in \{1, -1\}

    Parameters
    ----------
    side : str
        Column with 1 for the members of the side whose win (or points, or margin) the outcome
        counts, -1 for those of the other side.
    team : {"sum", "mean"}
        Whether the strength of a side is the sum of its members' effects or their mean, with
        :math:`n_{s}` the number of members of a side. They differ where sides differ in size.

    Returns
    -------
    Contest
        Without free parameters.

    Notes
    -----
    For ``mm(..., normalize=False)``. With a binary outcome and no intercept it is the model of
    Bradley and Terry [1]_ with random effects of the players, for teams that of Huang, Weng and
    Lin [2]_; with a margin it is a Gaussian one, with win, draw and loss a cumulative one. What
    favours a member belongs into ``mm(covariates=)``: it is signed by the same weights, so that
    ``covariates="home"`` with 1 for the members who play at home, else 0, is the home advantage.
    An intercept is the advantage of the side coded 1.

    References
    ----------
    .. [1] Bradley, R. A. & Terry, M. E. (1952). Rank analysis of incomplete block designs. I. The
       method of paired comparisons. Biometrika 39, 324-345.
    .. [2] Huang, T.-K., Weng, R. C. & Lin, C.-J. (2006). Generalized Bradley-Terry models and
       multi-class probability estimates. Journal of Machine Learning Research 7, 85-115.

    Examples
    --------
    >>> contest("side").label
    'side'
    >>> contest("side", team="mean").label
    '(side == 1) / sum(side == 1) - (side == -1) / sum(side == -1)'
    """
    return Contest(side, team)
