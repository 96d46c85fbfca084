"""Response patterns ("cells") of several binary outcomes: order, labels, missing parts, bases.

A cell is one of the 2^K patterns of K outcomes. Cells run in descending binary order and the
all-zero reference comes last: 11, 10, 01, 00 for two outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pymc_mlm.errors import SpecificationError

Dependence = Literal["saturated", "pairwise", "independent"]

# 2^6 - 1 = 63 logits for every column of the design; one outcome more makes it 127.
MAX_SATURATED = 6
# Every row visits all 2^K cells, whatever the basis.
MAX_OUTCOMES = 12


def cells(num_outcomes: int) -> NDArray[np.int64]:
    """List the response patterns of `num_outcomes` binary outcomes, the all-zero one last.

    Parameters
    ----------
    num_outcomes : int
        Number of outcomes K, at least 1.

    Returns
    -------
    ndarray of int, shape (2**K, K)
        Zeros and ones; row c holds the outcomes of cell c.

    Notes
    -----
    The order of bmco [1]_.

    References
    ----------
    .. [1] Kavelaars, X., Mulder, J., Kaptein, M. (2020). Decision-making with multiple correlated
       binary outcomes in clinical trials. Statistical Methods in Medical Research 29(11).

    Examples
    --------
    >>> cells(2).tolist()
    [[1, 1], [1, 0], [0, 1], [0, 0]]
    """
    code = np.arange(2**num_outcomes - 1, -1, -1)[:, None]
    return (code >> np.arange(num_outcomes - 1, -1, -1)) & 1


def cell_labels(num_outcomes: int) -> tuple[str, ...]:
    """Name every cell by its digits, in the order of `cells`.

    Examples
    --------
    >>> cell_labels(2)
    ('11', '10', '01', '00')
    """
    return tuple("".join(map(str, cell)) for cell in cells(num_outcomes).tolist())


def response_patterns(outcomes: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    r"""Index each row's observed pattern in a small table of the cells it is compatible with.

    A row that is observed in full is compatible with one cell; (1, missing) with 11 and 10, so
    that its likelihood is :math:`\phi_{11} + \phi_{10}`.

    Parameters
    ----------
    outcomes : array_like, shape (row, outcome)
        Zeros and ones; NaN where an outcome was not observed.

    Returns
    -------
    pattern : ndarray of int, shape (row,)
        Row of `compatible` that belongs to each row of `outcomes`.
    compatible : ndarray of bool, shape (pattern, cell)
        Which cells an observed pattern allows. Fully observed patterns come first, all 2^K of
        them in the order of `cells`; partial ones follow as far as they occur.

    Examples
    --------
    >>> pattern, compatible = response_patterns([[1, 1], [1, np.nan]])
    >>> pattern.tolist(), compatible[4].tolist()
    ([0, 4], [True, True, False, False])
    """
    observed = np.asarray(outcomes, dtype=float)
    num_outcomes = observed.shape[1]
    # Base three, missing as 2: patterns without a missing part are told apart without a search.
    digit = np.where(np.isnan(observed), 2, observed).astype(np.int64)
    power = 3 ** np.arange(num_outcomes - 1, -1, -1)
    full = cells(num_outcomes)
    codes, inverse = np.unique(digit @ power, return_inverse=True)
    partial = np.setdiff1d(codes, full @ power)
    table = np.concatenate([full @ power, partial])
    order = np.argsort(table)
    pattern = order[np.searchsorted(table, codes, sorter=order)]
    digits = (table[:, None] // power) % 3  # (pattern, outcome)
    agrees = (digits[:, None, :] == full[None]) | (digits[:, None, :] == 2)
    return pattern[inverse.reshape(-1)].astype(np.int64), agrees.all(axis=2)


def logit_basis(num_outcomes: int, dependence: Dependence = "saturated") -> NDArray[np.float64]:
    r"""Return the matrix that maps linear predictors to the logits of the cells.

    .. math:: \psi_c = \log(\phi_c / \phi_{0 \cdots 0}) = \sum_m A_{cm}\, \eta_m

    With ``"saturated"`` every cell but the reference has a predictor of its own (A is the
    identity); with ``"pairwise"`` :math:`\psi_c = \sum_k \eta_k y_{ck} + \sum_{k<l} \eta_{kl}
    y_{ck} y_{cl}`, so that :math:`\eta_{kl}` is the log odds ratio of two outcomes given the
    others are zero; ``"independent"`` keeps the first sum alone, K unrelated logistic
    regressions. For one outcome all three agree; for two, pairwise spans the saturated model.

    Parameters
    ----------
    num_outcomes : int
        Number of outcomes K.
    dependence : {"saturated", "pairwise", "independent"}
        Which associations between the outcomes are free.

    Returns
    -------
    ndarray, shape (2**K - 1, M)
        M is 2**K - 1, K + K (K - 1) / 2 or K.

    Raises
    ------
    SpecificationError
        If `dependence` is none of the three, or K is too large for it.

    Notes
    -----
    The multivariate Bernoulli model of Dai, Ding and Wahba [1]_, cut at interactions of order
    two (the Ising or quadratic exponential model).

    References
    ----------
    .. [1] Dai, B., Ding, S., Wahba, G. (2013). Multivariate Bernoulli distribution.
       Bernoulli 19(4), 1465-1483.

    Examples
    --------
    >>> logit_basis(2, "pairwise").tolist()
    [[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    _check_size(num_outcomes, dependence)
    if dependence == "saturated":
        return np.eye(2**num_outcomes - 1)
    main = cells(num_outcomes)[:-1].astype(float)
    if dependence == "independent":
        return main
    pairs = [main[:, k] * main[:, j] for k, j in combinations(range(num_outcomes), 2)]
    return np.column_stack([main, *pairs])


def outcome_contrasts(
    num_outcomes: int, dependence: Dependence = "saturated"
) -> NDArray[np.float64]:
    r"""Return the matrix that maps contrasts of the outcomes to linear predictors.

    A contrast is the log odds of one outcome, the log odds ratio of two, the log ratio of the odds
    ratios of three and so on, each averaged over the values of the outcomes that it does not
    name: effects of the analysis of variance of log probabilities,

    .. math:: \log \phi_c = \text{const} + \sum_{S \ne \emptyset} 2^{-|S|} \gamma_S
        \prod_{k \in S} (2 y_{ck} - 1).

    No pattern is the reference. Failure in place of success changes signs, and another order of
    the outcomes changes the order.

    Parameters
    ----------
    num_outcomes : int
        Number of outcomes K.
    dependence : {"saturated", "pairwise", "independent"}
        Contrasts of any number of outcomes, of one or two, or of one.

    Returns
    -------
    ndarray, shape (M, M)
        Columns are outcomes, pairs, triples and so on.

    Examples
    --------
    >>> outcome_contrasts(2).tolist()  # 11, 10 and 01 against 00
    [[1.0, 1.0, 0.0], [1.0, 0.0, -0.5], [0.0, 1.0, -0.5]]
    """
    basis = logit_basis(num_outcomes, dependence)
    sign = 2.0 * cells(num_outcomes) - 1.0
    named = _subsets(range(num_outcomes), dependence)
    log_cell = np.column_stack([np.prod(sign[:, s] / 2.0, axis=1) for s in named])
    logits = log_cell[:-1] - log_cell[-1]
    # Both span the same space, so that the solution is exact.
    return np.asarray(np.linalg.lstsq(basis, logits, rcond=None)[0])


def predictor_labels(
    outcomes: Sequence[str], dependence: Dependence = "saturated"
) -> tuple[str, ...]:
    """Name the linear predictors, the columns of `logit_basis`.

    Cells ("11", "10", "01") for the saturated model; outcomes, then pairs, for the others.

    Examples
    --------
    >>> predictor_labels(["math", "reading"], "pairwise")
    ('math', 'reading', 'math:reading')
    """
    _check_size(len(outcomes), dependence)
    if dependence == "saturated":
        return cell_labels(len(outcomes))[:-1]
    if dependence == "independent":
        return tuple(outcomes)
    return (*outcomes, *(f"{first}:{second}" for first, second in combinations(outcomes, 2)))


def contrast_labels(
    outcomes: Sequence[str], dependence: Dependence = "saturated"
) -> tuple[str, ...]:
    """Name the columns of `outcome_contrasts`.

    Examples
    --------
    >>> contrast_labels(["math", "reading"])
    ('math', 'reading', 'math:reading')
    """
    return tuple(":".join(subset) for subset in _subsets(outcomes, dependence))


def _subsets(outcomes: Sequence[Any], dependence: Dependence) -> list[list[Any]]:
    most = {"saturated": len(outcomes), "pairwise": 2, "independent": 1}[dependence]
    sizes = range(1, min(most, len(outcomes)) + 1)
    return [list(subset) for size in sizes for subset in combinations(outcomes, size)]


def _check_size(num_outcomes: int, dependence: str) -> None:
    if dependence not in get_args(Dependence):
        raise SpecificationError(
            f"dependence={dependence!r} is not known. "
            "Write 'saturated', 'pairwise' or 'independent'."
        )
    if dependence == "saturated" and num_outcomes > MAX_SATURATED:
        raise SpecificationError(
            f"{num_outcomes} outcomes are too many for dependence='saturated': it needs "
            f"{2**num_outcomes - 1} logits per covariate (limit {MAX_SATURATED} outcomes). "
            f"Use dependence='pairwise', which needs {num_outcomes * (num_outcomes + 1) // 2}."
        )
    if num_outcomes > MAX_OUTCOMES:
        raise SpecificationError(
            f"{num_outcomes} outcomes are too many: every row visits 2**{num_outcomes} response "
            f"patterns (limit {MAX_OUTCOMES} outcomes). Analyse fewer outcomes at a time."
        )
