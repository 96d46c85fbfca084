"""Weights of value-added models: the effect of an earlier teacher persists in part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from pymc_mlm.errors import SpecificationError
from pymc_mlm.weights.expression import Expression
from pymc_mlm.weights.named import AbstractNamedWeight, quoted, require_rows


@final
@dataclass(frozen=True)
class Persistence(AbstractNamedWeight):
    """Specification of weights that persist; made by `persistence`."""

    lag: str
    lags: int = 1
    share: str | None = None

    def __post_init__(self) -> None:
        """Check the names and the number of lags."""
        if isinstance(self.lags, bool) or self.lags not in range(1, 13):
            raise SpecificationError(
                f"persistence({self.lag!r}): lags={self.lags!r} must be a whole number from 1 to "
                "12, the longest lag in the data."
            )
        self.expression  # noqa: B018  (refuses names)

    @property
    def expression(self) -> Expression:
        """The function."""
        x = quoted(self.lag)
        later = (f"b{k} * ({x} == {k})" for k in range(1, self.lags + 1))
        text = " + ".join([f"({x} == 0)", *later])
        return Expression(text if self.share is None else f"{quoted(self.share)} * ({text})")

    def require(
        self, columns: Mapping[str, np.ndarray], group: np.ndarray, indptr: np.ndarray
    ) -> None:
        """Refuse lags that are none of 0, 1, ..., `lags`, and negative shares."""
        lag = columns[self.lag]
        is_last = float(lag.max(initial=0.0))
        require_rows(
            self.lag, lag, np.isin(lag, range(self.lags + 1)),
            f"persistence() reads whole lags from 0, the present, to lags={self.lags}. Use "
            f"lags={max(int(is_last), 1)} if the longest lag is {is_last:g}, or leave those rows "
            "out, which sets their persistence to zero.",
        )  # fmt: skip
        if self.share is not None:
            share = columns[self.share]
            rule = "a share must not be negative. Correct it, or leave those rows out."
            require_rows(self.share, share, share >= 0, rule)


def persistence(lag: str, lags: int = 1, share: str | None = None) -> Persistence:
    r"""Let the effect of an earlier member persist in part, as in value-added models.

    .. math:: w_i = 1[l_i = 0] + \sum_{k=1}^{L} b_k \, 1[l_i = k]

    Parameters
    ----------
    lag : str
        Column with the time since the membership: 0 for the present teacher, 1 for the one a
        year before the score, and so on.
    lags : int
        Longest lag `L`; a row with a longer one is refused.
    share : str, optional
        Column that multiplies the weight, such as the share of the instruction.

    Returns
    -------
    Persistence
        With the free parameters ``b1``, ..., ``bL``: 0 forgets the earlier member, 1 keeps the
        whole effect. Default priors Normal(0, 1).

    Notes
    -----
    For ``mm(..., normalize=False)``: the weight of the present anchors the scale. One group is
    one score of one student, and its members are the teachers up to then, so that the rows of a
    teacher's later scores repeat the teacher. This is the variable persistence model [1]_ [2]_
    with one persistence for each lag; all ``b`` at 1 is the layered model of EVAAS [3]_.
    What identifies ``b`` are the effects: where their standard deviation is zero, it is not.

    References
    ----------
    .. [1] McCaffrey, D. F., Lockwood, J. R., Koretz, D., Louis, T. A. & Hamilton, L. (2004).
       Models for value-added modeling of teacher effects. J. Educ. Behav. Stat. 29, 67-101.
    .. [2] Lockwood, J. R., McCaffrey, D. F., Mariano, L. T. & Setodji, C. (2007). Bayesian methods
       for scalable multivariate value-added assessment. J. Educ. Behav. Stat. 32, 125-150.
    .. [3] Sanders, W. L., Saxton, A. M. & Horn, S. P. (1997). The Tennessee value-added assessment
       system. In Grading Teachers, Grading Schools, 137-162.

    Examples
    --------
    >>> persistence("lag", lags=2).label
    '(lag == 0) + b1 * (lag == 1) + b2 * (lag == 2)'
    """
    return Persistence(lag, lags, share)
