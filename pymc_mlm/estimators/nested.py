"""Coefficients that vary between units within units: pupils in schools in regions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from pymc_mlm.data.row_weights import AbstractRowWeights
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.estimators.arguments import as_tuple, refuse_specification
from pymc_mlm.estimators.linear import AbstractLinearEstimator
from pymc_mlm.families import AbstractFamily, as_family
from pymc_mlm.model import Specification
from pymc_mlm.priors import as_priors
from pymc_mlm.terms import AbstractTerm
from pymc_mlm.terms.nested import Nested, nested


class NestedVaryingEffects(AbstractLinearEstimator):
    r"""Multilevel model whose intercept and slopes vary between units within units.

    .. math::
        \eta_i = x_i'\beta + z_i' t_{\mathrm{leaf}(i)}, \quad
        t_g = t_{\mathrm{parent}(g)} + d_g, \quad d_g \sim N(0, D_l R_l D_l)

    Each unit deviates from its parent, the outermost ones from the population; the deviations
    of a level are correlated.

    Parameters
    ----------
    formula : str
        Outcome and covariates: ``"y ~ 1 + x"``.
    levels : sequence of str
        Id columns from the outermost to the innermost: ``["region", "school"]``.
    varying : str or mapping of str to str, optional
        What varies, ``"1 + x"``, at every level or by level. By default the intercept and every
        covariate of the formula that varies within the innermost units, at every level.
    family : str or AbstractFamily, default "gaussian"
        "gaussian", "student_t", "bernoulli", "poisson", "negative_binomial", "weibull", "cox",
        "exponential", "lognormal", "loglogistic", "gamma", "beta", "cumulative",
        "categorical", or an object such as ``Binomial("trials")``.
    parameterization : str or mapping of str to str, default "auto"
        "centered", "noncentered", or "auto": each unit by its information. The collapsed path
        has no units to sample.
    unique_ids : bool
        Whether ids count only within their parent.
    terms : sequence of terms
        Further terms: crossed units `hm`, members `mm`, or terms of your own.
    eta : float or mapping of str to float, default 2
        Shape of the LKJ prior of each level's correlations; 1 is uniform.
    priors : mapping of str to prior, optional
        Priors by variable name (``Intercept``, ``beta``, ``sigma``, ``<level>_sd``, ...) that
        replace the defaults; `model.priors(data)` lists the names.
    within_between : sequence of str
        Covariates whose unit means enter too: the coefficient of the covariate is then its
        effect within units, that of a mean how much more units differ (Mundlak 1978).
    level_covariates : mapping of str to sequence of str, optional
        Formula columns that are properties of a level's units, checked to be constant there.
    missing : {"error", "drop", "predict"}
        Whether a missing value is refused, or its row is left out and counted in the notes; with
        "predict" rows that lack the outcome alone are counted, not fitted, and predicted by
        `predict()`. In new data a missing id is an unknown one of the fitted units.
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

    Notes
    -----
    The varying intercept is a unit's deviation at zero of the covariates: centre a covariate
    whose zero lies far outside the data, ``"y ~ 1 + center(year)"``.

    References
    ----------
    .. [1] Gelman, A. & Hill, J. (2007). Data Analysis Using Regression and
       Multilevel/Hierarchical Models. Cambridge University Press, chapter 13.
    .. [2] Mundlak, Y. (1978). On the pooling of time series and cross section data.
       Econometrica 46, 69-85.

    Examples
    --------
    >>> import pymc_mlm as mlm
    >>> model = mlm.NestedVaryingEffects("y ~ 1 + x", levels=["region", "school"])
    >>> model.fit(pupils)  # doctest: +SKIP
    """

    def __init__(
        self,
        formula: str,
        levels: Sequence[str],
        varying: str | Mapping[str, str] | None = None,
        *,
        family: str | AbstractFamily = "gaussian",
        parameterization: str | Mapping[str, str] = "auto",
        unique_ids: bool = False,
        terms: Sequence[AbstractTerm] = (),
        eta: float | Mapping[str, float] = 2.0,
        priors: Mapping[str, Any] | None = None,
        within_between: Sequence[str] = (),
        level_covariates: Mapping[str, Sequence[str]] | None = None,
        missing: str = "error",
        row_weights: AbstractRowWeights | None = None,
        impute: Sequence[str] = (),
    ) -> None:
        self.formula = formula
        self.levels = levels
        self.varying = varying
        self.family = family
        self.parameterization = parameterization
        self.unique_ids = unique_ids
        self.terms = terms
        self.eta = eta
        self.priors_given = priors
        self.within_between = within_between
        self.level_covariates = level_covariates
        self.missing = missing
        self.row_weights = row_weights
        self.impute = impute
        self.specification  # noqa: B018  (refuses what no table is needed for)

    @property
    def specification(self) -> Specification:
        """The model apart from data."""
        levels = as_tuple(self.levels, "levels", "levels=['region', 'school']")
        if not all(isinstance(name, str) for name in levels):
            raise SpecificationError(
                f"levels is {self.levels!r}; list names of id columns, such as "
                "levels=['region', 'school']."
            )
        self._refuse_bars()
        own = nested(levels, self.varying, self.unique_ids, self.eta, {}, self.parameterization)
        return Specification(
            self.formula,
            (own, *as_tuple(self.terms, "terms", "terms=[hm('year')]")),
            as_family(self.family),
            as_priors(self.priors_given, type(self).__name__),
            as_tuple(self.within_between, "within_between", "within_between=['x']"),
            self._level_covariates(),
            self.missing,
            self.row_weights,
            as_tuple(self.impute, "impute", "impute=['x']"),
        )

    @classmethod
    def _from_specification(cls, spec: Any) -> Self:
        refuse_specification(spec, cls, Specification)
        own = spec.terms[0] if spec.terms else None
        if not isinstance(own, Nested):
            raise DataError(
                f"The file holds a model without nested levels, not one of {cls.__name__}. Load it "
                "with MultipleMembershipModel.load(path)."
            )
        return cls(
            spec.formula,
            own.levels,
            own.varying,
            family=spec.family,
            parameterization=own.parameterization,
            unique_ids=own.unique_ids,
            terms=spec.terms[1:],
            eta=own.eta,
            priors=spec.priors,
            within_between=spec.within_between,
            level_covariates=spec.level_covariates,
            missing=spec.missing,
            row_weights=spec.row_weights,
            impute=spec.impute,
        )

    def _level_covariates(self) -> dict[str, tuple[str, ...]]:
        given = {} if self.level_covariates is None else self.level_covariates
        if not isinstance(given, Mapping):
            raise SpecificationError(
                f"level_covariates is {given!r}; give columns by level, such as "
                "level_covariates={'school': ['income']}."
            )
        return {k: as_tuple(v, "level_covariates", "['income']") for k, v in given.items()}

    def _refuse_bars(self) -> None:
        varying = () if self.varying is None else self.varying
        texts = (varying,) if isinstance(varying, str) else tuple(dict(varying).values())
        for text in (str(self.formula).partition("~")[2], *texts):
            plain = re.sub("`[^`]*`|'[^']*'|\"[^\"]*\"", "", str(text))
            if "|" in plain or "~" in plain:
                raise SpecificationError(
                    f"{text.strip()!r} holds '|' or '~'. Write what varies as a plain sum, "
                    "varying='1 + x', and between which units in levels=['region', 'school']; "
                    "the formula has the population's part alone."
                )
