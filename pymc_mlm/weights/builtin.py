"""The weight functions of the multiple-membership literature, as expressions.

Each returns an `Expression`, so each can be printed, compared and written as text. Default priors
are Normal(0, 1), scaled by the column's standard deviation where a parameter multiplies a column.
"""

from __future__ import annotations

from pymc_mlm.weights.expression import Expression
from pymc_mlm.weights.named import quoted


def equal() -> Expression:
    r"""Weigh all members of a group alike.

    .. math:: w_i = 1 / n_g

    Returns
    -------
    Expression
        Without parameters or columns; sums to one within each group as it stands.

    Notes
    -----
    The default of multiple-membership models since Hill and Goldstein (1998) [1]_. The variance
    of a group's contribution is the member variance divided by the group's size.

    References
    ----------
    .. [1] Hill, P. W. and Goldstein, H. (1998). Multilevel Modeling of Educational Data with
       Cross-Classification and Missing Identification for Units. Journal of Educational and
       Behavioral Statistics 23(2), 117-128.

    Examples
    --------
    >>> equal().label
    '1 / n'
    """
    return Expression("1 / n")


def column(name: str) -> Expression:
    r"""Use a column of the table as the weight.

    .. math:: w_i = x_i

    Parameters
    ----------
    name : str
        Column of weights, on any scale if the term normalises. Negative values are for the term
        to refuse or allow.

    Returns
    -------
    Expression

    Examples
    --------
    >>> column("seat share").label
    '`seat share`'
    """
    return Expression(quoted(name))


def largest(name: str) -> Expression:
    r"""Give all weight to the member with the largest value of a column; ties share it.

    .. math:: w_i = 1[x_i = \max_{j \in g} x_j]

    Parameters
    ----------
    name : str
        Column that is compared, for example the share of seats.

    Returns
    -------
    Expression

    Examples
    --------
    >>> largest("seats").label
    'seats == max(seats)'
    """
    x = quoted(name)
    return Expression(f"{x} == max({x})")


def softmax(name: str) -> Expression:
    r"""Weights that are log-linear in a column.

    .. math:: w_i = \exp(b \, x_i)

    Parameters
    ----------
    name : str
        Column `x`.

    Returns
    -------
    Expression
        With the free parameter ``b``: equal weights at 0, all weight on the largest `x` as it
        grows. Default prior Normal(0, 1 / sd(x)).

    Notes
    -----
    An intercept would cancel in the normalisation, so there is none, and no one-sided ridge as
    in `generalized_logistic`. Groups of one and groups with equal `x` carry no information about
    ``b``; nor do data in which the members have no effect, where the posterior is the prior. Not
    meant to be used without normalisation, where the scale of the weights and of the members'
    effects are confounded.

    Examples
    --------
    >>> softmax("seats").label
    'exp(b * seats)'
    """
    return Expression(f"exp(b * {quoted(name)})", prior_scaled=True)


def generalized_logistic(name: str) -> Expression:
    r"""Weights between one for each member and one divided among all, moved by a column.

    .. math:: w_i = \frac{1}{1 + (n_g - 1) \exp\{-(b_0 + b_1 x_i)\}}

    Parameters
    ----------
    name : str
        Column `x`, best standardised.

    Returns
    -------
    Expression
        With the free parameters ``b0`` and ``b1``: equal weights ``1 / n`` at 0. Default priors
        Normal(0, 1) and Normal(0, 1 / sd(x)).

    Notes
    -----
    A group of one has weight 1 whatever the parameters, which anchors the scale, so the function
    can be used with and without normalisation [1]_. Normalised, the weights tend to a softmax of
    ``b1 x`` as ``b0`` falls and to equal weights as it grows: the likelihood is flat on one side,
    and the prior of ``b0`` must be informative.

    References
    ----------
    .. [1] Rosche, B. (2026). A Multilevel Model for Coalition Governments. Political Analysis.

    Examples
    --------
    >>> generalized_logistic("x").label
    '1 / (1 + (n - 1) * exp(-(b0 + b1 * x)))'
    """
    text = f"1 / (1 + (n - 1) * exp(-(b0 + b1 * {quoted(name)})))"
    return Expression(text, prior_scaled=True)


def size_power(name: str) -> Expression:
    r"""Divide by a power of the group's size that depends on a column.

    .. math:: w_i = n_g^{-\exp(b \, x_i)}

    Parameters
    ----------
    name : str
        Column `x`.

    Returns
    -------
    Expression
        With the free parameter ``b``: equal weights ``1 / n`` at 0. Default prior
        Normal(0, 1 / sd(x)).

    Notes
    -----
    A group of one has weight 1 whatever the parameter, which anchors the scale, so the function
    can be used with and without normalisation [1]_. Groups with equal `x` inform about ``b`` only
    without normalisation.

    References
    ----------
    .. [1] Rosche, B. (2026). A Multilevel Model for Coalition Governments. Political Analysis.

    Examples
    --------
    >>> size_power("x").label
    '1 / n ** exp(b * x)'
    """
    return Expression(f"1 / n ** exp(b * {quoted(name)})", prior_scaled=True)
