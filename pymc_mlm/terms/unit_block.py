"""Units whose effects enter a linear predictor, apart from how many predictors there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.factor import UNKNOWN, Factor
from pymc_mlm.data.membership import Membership

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class UnitBlock:
    r"""Effects :math:`\sum_{k \in i} w_{ik} z_i' u_k` of units of one kind, all of them normal.

    Attributes
    ----------
    name : str
        Prefix of the variables.
    label : str
        Name in reports.
    links : Membership
        Unit and observation of each membership.
    weight : ndarray, shape (link,)
        Weights w, at the starting values where they are estimated.
    Z : ndarray, shape (row, coef)
        Columns z of the observations.
    coefs : tuple of str
        Names of the columns; empty for a single effect of each unit.
    eta : float
        Shape of the LKJ prior of correlations.
    is_estimated : bool
        Whether the weights have free parameters: the term then has `weight_graph` and
        `weight_draws`.
    columns : tuple of ndarray, each of shape (link,)
        What the weights depend on.
    """

    name: str
    label: str
    links: Membership
    weight: Array
    Z: Array
    coefs: tuple[str, ...] = ()
    eta: float = 1.0
    is_estimated: bool = False
    columns: tuple[Array, ...] = ()

    def kinds(self) -> Array:
        """Number observations so that those with the same units and weights share a number."""
        of_links = self.Z[self.links.group].T if self.coefs else ()
        return self.links.kinds(*self.columns, *of_links)

    def each_coefficient(self) -> tuple[Membership, Array]:
        """Return memberships in which each coefficient of a unit is a unit of its own.

        Returns
        -------
        links : Membership
            Unit times number of coefficients, plus the coefficient.
        z : ndarray, shape (link * coef,)
            Column of each, by which its weight is multiplied.
        """
        count, links = self.Z.shape[1], self.links
        codes = (unit_codes(links.member)[:, None] * count + np.arange(count)).ravel()
        units = Factor(links.member.name, links.member.labels, codes, links.member.num_known)
        rows = np.arange(len(codes))
        group = np.repeat(links.group, count)
        return Membership(units, group, links.indptr * count, rows), self.Z[links.group].ravel()


def unit_codes(units: Factor) -> np.ndarray:
    """Return the place of each row's effect, shape (row,): of unknown units after all others."""
    codes = units.codes.copy()
    unknown = codes == UNKNOWN
    codes[unknown] = len(units) + np.arange(int(unknown.sum()))
    return codes


def one_unit_each(units: Factor) -> Membership:
    """Return the memberships of observations that belong to one unit each."""
    ends = np.arange(len(units.codes) + 1)
    return Membership(units, ends[:-1], ends, ends[:-1])
