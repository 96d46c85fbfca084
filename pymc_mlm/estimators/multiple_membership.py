"""Outcomes that depend on several members at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from pymc_mlm.data.row_weights import AbstractRowWeights
from pymc_mlm.estimators.arguments import as_tuple, refuse_specification
from pymc_mlm.estimators.linear import AbstractLinearEstimator
from pymc_mlm.families import AbstractFamily, as_family
from pymc_mlm.model import Specification
from pymc_mlm.priors import as_priors
from pymc_mlm.terms import AbstractTerm


class MultipleMembershipModel(AbstractLinearEstimator):
    r"""Multilevel model for outcomes of groups that share members.

    .. math:: \eta_j = x_j'\beta + \sum_{k \in j} w_{jk}\,(z_{jk}'\gamma + u_k) + v_{c(j)}

    with weights that are known or estimated as a function of covariates, member effects
    :math:`u_k \sim N(0, \sigma^2)` and effects of ordinary units :math:`v_c \sim N(0, \tau^2)`.

    Parameters
    ----------
    formula : str
        Outcome and group-level covariates: ``"y ~ 1 + x"``, ``"Surv(time, event) ~ 1 + x"``;
        ``fix(column, value)`` is a covariate whose coefficient is fixed.
    *terms : terms
        Multiple-membership blocks `mm` (all of one group column), hierarchical terms `hm`, `nested`
        levels, or terms of your own; also as ``terms=[...]``.
    family : str or AbstractFamily, default "gaussian"
        "gaussian", "student_t", "bernoulli", "poisson", "negative_binomial", "weibull", "cox",
        "exponential", "lognormal", "loglogistic", "gamma", "beta", "cumulative",
        "zero_inflated_poisson", "zero_inflated_negative_binomial", "hurdle_poisson",
        "hurdle_negative_binomial", "probit", "cloglog", "cumulative_probit", "categorical",
        or an object such as ``Binomial("trials")``.
    priors : mapping of str to prior, optional
        Priors by variable name (``Intercept``, ``beta``, ``sigma``, ``shape``, ``party_sd``, ...)
        that replace the defaults; `model.priors(data)` lists the names.
    missing : {"error", "drop", "predict"}
        Whether a missing value is refused, or its whole group is left out and counted in the
        notes; with "predict" groups that lack the outcome alone are counted, not fitted, and
        predicted by `predict()`. In new data a missing id is an unknown one of the fitted units.
    row_weights : FrequencyWeights or SurveyWeights, optional
        How much each row, or group, counts: ``FrequencyWeights("n")`` for rows that stand for n
        rows, exactly; ``SurveyWeights("w")`` for a pseudo-likelihood.
    impute : sequence of str
        Covariates of the formula whose missing values are imputed within the model: normal, with
        a mean that is linear in the other covariates (docs/missing_covariates.md).

    Attributes
    ----------
    result_ : Fit
        After `fit`: the model, its draws and its design.

    References
    ----------
    .. [1] Browne, Goldstein and Rasbash (2001). Multiple membership multiple classification
       (MMMC) models. Statistical Modelling 1, 103-124.
    .. [2] Rosche, B. (2026). A Multilevel Model for Coalition Governments. Political Analysis.

    Examples
    --------
    >>> import pymc_mlm as mlm
    >>> model = mlm.MultipleMembershipModel(
    ...     "Surv(weeks, ended) ~ 1 + majority",
    ...     mlm.mm("party", "government", covariates="cohesion", weight="ilogit(b0 + b1 * seats)"),
    ...     mlm.hm("country"),
    ...     family="weibull",
    ... )
    >>> model.get_params()["family"]
    'weibull'
    """

    def __init__(
        self,
        formula: str,
        *more_terms: AbstractTerm,
        terms: Sequence[AbstractTerm] = (),
        family: str | AbstractFamily = "gaussian",
        priors: Mapping[str, Any] | None = None,
        missing: str = "error",
        row_weights: AbstractRowWeights | None = None,
        impute: Sequence[str] = (),
    ) -> None:
        self.formula = formula
        self.terms = (*more_terms, *as_tuple(terms, "terms", "terms=[hm('year')]"))
        self.family = family
        self.priors_given = priors
        self.missing = missing
        self.row_weights = row_weights
        self.impute = impute
        self.specification  # noqa: B018  (refuses what does not go together)

    @property
    def specification(self) -> Specification:
        """The model apart from data."""
        priors = as_priors(self.priors_given, type(self).__name__)
        return Specification(
            self.formula,
            tuple(self.terms),
            as_family(self.family),
            priors,
            missing=self.missing,
            row_weights=self.row_weights,
            impute=as_tuple(self.impute, "impute", "impute=['x']"),
        )

    @classmethod
    def _from_specification(cls, spec: Any) -> Self:
        refuse_specification(spec, cls, Specification)
        return cls(
            spec.formula,
            terms=spec.terms,
            family=spec.family,
            priors=spec.priors,
            missing=spec.missing,
            row_weights=spec.row_weights,
            impute=spec.impute,
        )
