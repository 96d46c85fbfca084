"""Columns of a trial's linear predictor: arms, covariates, and the products of both.

The coefficients are those of the columns as the user gave them; `to_original` maps them to and
from centred and scaled columns, on which priors are stated and samplers move well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pymc_mlm.data.arms import Array
from pymc_mlm.data.formula import parse_terms
from pymc_mlm.data.formula_terms import Term, term_label
from pymc_mlm.data.formula_tree import Column, column_names
from pymc_mlm.data.values import show
from pymc_mlm.errors import DataError, SpecificationError

INTERCEPT = "Intercept"
ARM = "arm"
# Information of one row about a logit, p (1 - p), at p = 0.3.
ROW_INFORMATION = 0.2


@dataclass(frozen=True, eq=False)
class TrialMatrix:
    """How arms and covariates become columns.

    Attributes
    ----------
    names : tuple of str
        Label of each column.
    terms : tuple of str
        What each column belongs to: ``"1"``, ``"arm"``, a covariate, or ``"arm:covariate"``.
    num_arms : int
        Number of arms; the first one is the control.
    interactions : bool
        Whether covariates are multiplied with the arms.
    center, scale : ndarray, shape (covariate,)
        Mean and standard deviation of the covariates in the fitted rows.
    random : tuple of int
        Columns whose coefficients vary by cluster.
    """

    names: tuple[str, ...]
    terms: tuple[str, ...]
    num_arms: int
    interactions: bool
    center: Array
    scale: Array
    random: tuple[int, ...] = ()

    def rows(self, arm: Array, covariates: Array) -> Array:
        """Return the columns of rows in given arms, shape (row, column).

        Parameters
        ----------
        arm : ndarray of int, shape (row,)
            Code of the arm.
        covariates : ndarray, shape (row, covariate)
            Coded covariates without intercept.
        """
        arms = (np.asarray(arm)[:, None] == np.arange(1, self.num_arms)).astype(float)
        parts = [np.ones((len(arms), 1)), arms, covariates]
        if self.interactions:
            parts.append((arms[:, :, None] * covariates[:, None, :]).reshape(len(arms), -1))
        return np.concatenate(parts, axis=1)

    def random_rows(self, X: Array) -> Array:
        """Return the columns with varying coefficients, centred and scaled, shape (row, slope)."""
        return (X @ self.to_original)[:, list(self.random)]

    @property
    def random_names(self) -> tuple[str, ...]:
        """Labels of the columns with varying coefficients."""
        return tuple(self.names[i] for i in self.random)

    @property
    def to_original(self) -> Array:
        r"""Map from coefficients of standardised columns to those of the columns as they are.

        .. math:: \beta = T b, \qquad X_{\text{standardised}} = X T

        Returns
        -------
        ndarray, shape (column, column)
        """
        T = np.eye(len(self.names))
        num_covariates, first = len(self.center), self.num_arms
        T[first:, first:] /= np.tile(
            self.scale, (len(self.names) - first) // max(num_covariates, 1)
        )
        T[0, first : first + num_covariates] = -self.center / self.scale
        if self.interactions:
            for a in range(1, self.num_arms):
                own = first + a * num_covariates
                T[a, own : own + num_covariates] = -self.center / self.scale
        return T

    def random_to_original(self) -> Array:
        """Map effects of the standardised varying columns to those of the columns as they are.

        Returns
        -------
        ndarray, shape (slope, slope)

        Raises
        ------
        SpecificationError
            Without the column that a covariate is centred by, such as the intercept, the effects
            of the covariate as it is are none of the standardised columns.
        """
        T, varying = self.to_original, list(self.random)
        fixed = [i for i in range(len(self.names)) if i not in varying]
        needed = np.flatnonzero((T[np.ix_(fixed, varying)] != 0).any(axis=1))
        if len(needed):
            missing = self.names[fixed[needed[0]]]
            raise SpecificationError(
                f"A prior on effects of covariates as they are needs {missing!r} among the varying "
                f"coefficients ({', '.join(self.random_names)}). Let it vary too, or state the "
                "prior for standardised covariates."
            )
        return T[np.ix_(varying, varying)]

    @property
    def by_arm(self) -> Array:
        r"""Map from levels and slopes of every arm to coefficients of the columns as they are.

        .. math:: \beta = G c, \qquad \eta = c_g + x' c_{gx} \text{ in arm } g

        with x centred and scaled: first the level of each arm, then its slopes, arm by arm; one
        set of slopes for all arms without interactions. No arm is the reference here, so a prior
        of independent arms treats them alike.

        Returns
        -------
        ndarray, shape (column, column)
        """
        arms, num_covariates = self.num_arms, len(self.center)
        difference = np.eye(arms)
        difference[1:, 0] = -1.0
        slopes = np.kron(difference if self.interactions else np.eye(1), np.eye(num_covariates))
        G = np.zeros((len(self.names), len(self.names)))
        G[:arms, :arms] = difference
        G[arms:, arms:] = slopes
        return self.to_original @ G

    def preconditioner(self, X: Array, weight: Array, prior_sd: Array) -> Array:
        r"""Return a matrix R such that the posterior of :math:`R^{-1} \beta` is about round.

        .. math:: (R R')^{-1} = \tfrac15 X'WX + G^{-T} \operatorname{diag}(s^{-2})\, G^{-1}

        The information of a multinomial logit at a typical probability, plus that of the prior;
        only the ease of sampling depends on it. With G of `by_arm` the coordinates of different
        arms are independent given the data, unless arms share slopes.

        Parameters
        ----------
        X : ndarray, shape (row, column)
        weight : ndarray, shape (row,)
        prior_sd : ndarray, shape (column,)
            Rough prior standard deviations of levels and slopes.
        """
        G = self.by_arm
        # In standardised columns the matrix is well conditioned, whatever the units.
        X = X @ G
        precision = ROW_INFORMATION * X.T @ (weight[:, None] * X) + np.diag(prior_sd**-2.0)
        return G @ np.linalg.inv(np.linalg.cholesky(precision)).T


def trial_matrix(
    arm: str,
    labels: Sequence[Any],
    covariates: Array,
    covariate_names: Sequence[str],
    interactions: bool,
    random: str | None,
    covariate_terms: Sequence[str] | None = None,
) -> TrialMatrix:
    """Lay out the columns of a trial's linear predictor.

    Parameters
    ----------
    arm : str
        Column of the arm, for labels.
    labels : sequence
        Arms, the control first.
    covariates : ndarray, shape (row, covariate)
        Coded covariates of the fitted rows.
    covariate_names : sequence of str
        Their labels.
    interactions : bool
        Whether covariates are multiplied with the arms.
    random : str or None
        Terms whose coefficients vary by cluster, for example ``"1 + arm"``; None without
        clusters.
    covariate_terms : sequence of str, optional
        Term of each covariate, such as ``"site"`` for ``"site[T.b]"``; its label by default.

    Returns
    -------
    TrialMatrix

    Raises
    ------
    DataError
        A covariate does not vary.
    SpecificationError
        `random` names something that is not in the model.

    Examples
    --------
    >>> trial_matrix("group", ["a", "b"], np.array([[1.0], [2.0]]), ["age"], True, None).names
    ('Intercept', 'group[b]', 'age', 'group[b]:age')
    """
    scale = covariates.std(axis=0)
    if (scale == 0).any():
        name = covariate_names[int(np.argmin(scale))]
        raise DataError(
            f"Covariate {name!r} has one value, {show(covariates[0, int(np.argmin(scale))])}, in "
            "every analysed row, so it cannot be told from the intercept. Leave it out."
        )
    arms = [f"{arm}[{label}]" for label in list(labels)[1:]]
    base = list(covariate_names if covariate_terms is None else covariate_terms)
    names = [INTERCEPT, *arms, *covariate_names]
    terms = ["1", *[ARM] * len(arms), *base]
    if interactions:
        names += [f"{a}:{x}" for a in arms for x in covariate_names]
        terms += [f"{ARM}:{x}" for _ in arms for x in base]
    matrix = TrialMatrix(
        tuple(names), tuple(terms), len(labels), interactions, covariates.mean(axis=0), scale
    )
    if random is None:
        return matrix
    return TrialMatrix(**{**matrix.__dict__, "random": _random_columns(random, arm, matrix)})


def check_random(random: Any, arm: str, columns: Sequence[str]) -> None:
    """Refuse varying terms that no table could have.

    Parameters
    ----------
    random : str
        Terms, for example ``"1 + arm"``.
    arm : str
        Column of the arm.
    columns : sequence of str
        Columns that covariates are made from.

    Raises
    ------
    SpecificationError
        A term names neither the arm nor one of the columns, or nothing varies.
    """
    if not isinstance(random, str):
        raise SpecificationError(f"random={random!r} must be text, such as '1 + arm'.")
    known = {arm, ARM, *columns}
    for term in parse_terms(random).products:
        if not all(known.issuperset(column_names(factor)) for factor in term):
            raise _no_term(random, term_label(term), ["1", ARM, *columns])
    if not _random_terms(random, arm):
        raise _nothing_varies(random)


def _random_columns(random: str, arm: str, matrix: TrialMatrix) -> tuple[int, ...]:
    wanted = _random_terms(random, arm)
    for term in wanted:
        if term not in matrix.terms:
            raise _no_term(random, term, matrix.terms)
    columns = tuple(i for i, term in enumerate(matrix.terms) if term in wanted)
    if not columns:
        raise _nothing_varies(random)
    return columns


def _random_terms(random: str, arm: str) -> list[str]:
    formula = parse_terms(random)
    if formula.offsets:
        raise SpecificationError(
            f"random={random!r}: fix() has no place here; a coefficient that varies is not fixed."
        )
    asked = [_in_terms_of_arm(term, arm) for term in formula.products]
    return list(dict.fromkeys([*(["1"] if formula.intercept else []), *asked]))


def _no_term(random: str, term: str, have: Sequence[str]) -> SpecificationError:
    return SpecificationError(
        f"random={random!r}: {term!r} is no term of the model, which has "
        f"{', '.join(dict.fromkeys(have))}. Only coefficients that the model has can vary by "
        "cluster; write, say, '1 + arm'."
    )


def _nothing_varies(random: str) -> SpecificationError:
    return SpecificationError(
        f"random={random!r} lets nothing vary by cluster. Write '1', or leave out cluster=."
    )


def _in_terms_of_arm(term: Term, arm: str) -> str:
    """Return a term's label with the arm first, whatever its column is called."""
    arms = [ARM for factor in term if factor in (Column(arm), Column(ARM))]
    others = tuple(factor for factor in term if factor not in (Column(arm), Column(ARM)))
    return ":".join([*arms, *([term_label(others)] if others else [])])
