"""Score and information of members with several effects each, before sampling.

As `pymc_mlm.approximation.effect_information` has them for terms with one effect a unit: at the
penalised maximum, given intercept and coefficients, all other effects integrated out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pymc_mlm.approximation.crossed_information import penalised_maximum
from pymc_mlm.approximation.effect_information import (
    NO_BASIS,
    EffectInformation,
    conjugate_gradients,
    scaled_rows,
)
from pymc_mlm.approximation.standard import Standard
from pymc_mlm.approximation.unit_information import RowLikelihood

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Multiplications of one step of the responses of all effects.
MOST_WORK = 1e9


@dataclass(frozen=True, eq=False)
class MemberInformation:
    r"""Normal approximation of the likelihood of each member's effects.

    .. math:: \log p(y \mid u) \approx (s_k - C_k g)'u_k - u_k' J_k u_k / 2

    with g the intercept and the coefficients.

    Attributes
    ----------
    score : ndarray, shape (member, effect)
        s.
    precision : ndarray, shape (member, effect, effect)
        J.
    cross : ndarray, shape (member, effect, given)
        C.
    """

    score: np.ndarray
    precision: np.ndarray
    cross: np.ndarray

    @property
    def of_one_effect(self) -> EffectInformation:
        """The same of members, or their times, that have one effect each."""
        own = self.score[:, 0], self.precision[:, 0, 0], self.cross[:, 0]
        return EffectInformation(*own, NO_BASIS)

    def of_scaled(self, scale: np.ndarray) -> MemberInformation:
        """Return the same of effects that are these ones times `scale`, shape (effect,)."""
        by = 1.0 / scale
        return MemberInformation(
            self.score * by,
            self.precision * by[:, None] * by,
            self.cross * by[:, None],
        )


def member_information(
    blocks: Sequence[csr_array],
    others: Sequence[csr_array],
    X: np.ndarray,
    standard: Standard,
    offset: np.ndarray,
    likelihood: RowLikelihood,
    spread: float,
    location: float = 0.0,
) -> MemberInformation | None:
    """Approximate the likelihood of members' effects at the penalised maximum.

    Parameters
    ----------
    blocks : sequence of csr_array, shape (row, member)
        What each effect of the members adds to each row, one array an effect.
    others : sequence of csr_array, shape (row, unit)
        The same of other terms, whose effects are integrated out.
    X, standard, offset, likelihood, spread, location
        As in `crossed_information`.

    Returns
    -------
    MemberInformation or None
        None if the steps lead nowhere, or there is too much to solve for.
    """
    from scipy.sparse import csr_array, hstack

    every = [*blocks, *others]
    columns = standard.columns(X)
    if sum(b.nnz for b in every) * (columns.shape[1] + 1) > MOST_WORK:
        return None
    with np.errstate(all="ignore"):
        # Effects of columns of other scales have other variances.
        found = penalised_maximum(every, columns, offset, likelihood, spread, [None] * len(every))
        if found is None:
            return None
        weight, working, variances = found
        B = csr_array(hstack(every, format="csr"))
        Bt = B.T.tocsr()
        sizes = [b.shape[1] for b in every]
        prior = np.repeat(1.0 / np.array(variances), sizes)
        squares = Bt.copy()
        squares.data **= 2
        own = squares @ weight + prior
        wanted = np.column_stack([Bt @ (weight[:, None] * columns), Bt @ working])
        solved = conjugate_gradients(B, Bt, weight, prior, own, wanted)
        p, count = len(blocks), blocks[0].shape[1]
        D = _own_blocks(blocks, weight)
        tau = np.diag(1.0 / np.array(variances[:p]))
        # (member, effect, response)
        at = solved[: p * count].reshape(p, count, -1).transpose(1, 0, 2)
        told = (D + tau) @ at
        T = standard.matrix
        skip = int(standard.intercept)
        score = told[:, :, -1] + location * told[:, :, :skip].sum(axis=2)
        cross = told[:, :, :-1] @ T
    result = MemberInformation(score, D, np.ascontiguousarray(cross))
    is_finite = all(np.isfinite(x).all() for x in (score, D, cross))
    return result if is_finite else None


def _own_blocks(blocks: Sequence[csr_array], weight: np.ndarray) -> Any:
    """Return the information of each member's effects about each other, (member, p, p)."""
    p, count = len(blocks), blocks[0].shape[1]
    D = np.empty((count, p, p))
    weighted = [scaled_rows(b, weight) for b in blocks]
    for i in range(p):
        for j in range(i + 1):
            D[:, i, j] = D[:, j, i] = blocks[i].multiply(weighted[j]).sum(axis=0)
    return D
