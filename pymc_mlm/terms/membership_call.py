"""The call that specifies a multiple-membership term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymc_mlm.priors import as_priors
from pymc_mlm.terms.base import as_names
from pymc_mlm.terms.member_effects import AbstractMemberEffects
from pymc_mlm.terms.member_effects.choice import member_effects
from pymc_mlm.terms.membership import MultipleMembership
from pymc_mlm.weights import AbstractWeight


def mm(
    member: str,
    group: str,
    covariates: str | tuple[str, ...] | list[str] | None = None,
    weight: str | AbstractWeight = "1 / n",
    normalize: bool = True,
    effect: str | None = "random",
    priors: Mapping[str, Any] | None = None,
    parameters: tuple[str, ...] | list[str] = (),
    repeated: str = "add",
    missing: str = "error",
    name: str | None = None,
    dynamics: str | AbstractMemberEffects | None = None,
    time: str | None = None,
    varying: str | AbstractMemberEffects | None = None,
    covariance: Any = None,
) -> MultipleMembership:
    r"""Let an outcome depend on several members at once, with known or estimated weights.

    .. math:: \eta_j \mathrel{+}= \sum_{k \in j} w_{jk}\,(x_{jk}'\gamma + u_k), \qquad
        u_k \sim N(0, \sigma^2)

    Parameters
    ----------
    member : str
        Column with the member of each row, such as the party.
    group : str
        Column with the group of each row, such as the government; one outcome each.
    covariates : str or sequence of str, optional
        Member-level columns, aggregated inside the model with the same weights; also parts of a
        formula, such as ``"cohesion * finance"``, and ``"fix(seats, 0.5)"`` for a coefficient
        that is known.
    weight : str or AbstractWeight, default "1 / n"
        Weight function: text such as ``"ilogit(b0 + b1 * seats)"`` with columns, the group size
        ``n`` and free parameters ``b``, ``b0``, ``b1``, ...; or one of `pymc_mlm.weights`.
    normalize : bool, default True
        Scale the weights so that they sum to one in each group. With False the weights are
        taken as they are, and may be negative.
    effect : {"random", None}
        Random effects of the members, or none (the term then only aggregates covariates).
    priors : mapping of str to prior, optional
        ``sd``, ``beta``, and the free parameters of the weight function.
    parameters : sequence of str, optional
        Further names in the weight text that are free parameters.
    repeated : {"add", "refuse"}
        A member listed twice in a group adds its weights, or is an error.
    missing : {"error", "skip"}
        Rows without a member id are an error, or are no memberships of this term (tables with
        several member columns, such as parties in government and in opposition).
    name : str, optional
        Prefix of the term's variables; `member` by default.
    dynamics : {"random_walk", "ar1"}, RandomWalk or AR1, optional
        How a member's effect changes over time; it does not by default.
    time : str, optional
        Column of numbers that orders the groups of a member, for a name in `dynamics`.
    varying : str or VaryingCoefficients, optional
        Right-hand side of what varies between members, such as ``"1 + x"``: correlated intercepts
        and slopes of columns of the rows. An intercept alone by default.
    covariance : DataFrame, mapping of mappings, KnownCovariance, ICAR, CAR or BYM2, optional
        How members resemble each other: a matrix with their ids, known up to a factor, or a
        distribution over a graph of neighbours. Members without rows may be there.

    Returns
    -------
    MultipleMembership

    Raises
    ------
    SpecificationError
        An argument or the weight text is not understood; the position is named.

    References
    ----------
    .. [1] Browne, Goldstein and Rasbash (2001). Multiple membership multiple classification
       (MMMC) models. Statistical Modelling 1, 103-124.
    .. [2] Rosche, B. (2026). A Multilevel Model for Coalition Governments. Political Analysis.

    Examples
    --------
    >>> mm("party", "cabinet", weight="ilogit(b0 + b1 * seats)").columns
    ('party', 'cabinet', 'seats')
    """
    where = f"mm({member!r}, {group!r})"
    return MultipleMembership(
        member,
        group,
        as_names(covariates) or None,
        weight,
        normalize,
        effect,
        as_priors(priors, where),
        tuple(parameters),
        repeated,
        missing,
        name,
        member_effects(where, dynamics, time, varying, covariance),
    )
