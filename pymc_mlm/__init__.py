"""Multilevel models for PyMC that have no good home elsewhere in Python.

- `MultipleMembershipModel`: outcomes that depend on several members at once, with weights that
  are estimated. Its terms `mm` and `hm` also work inside any `pm.Model`.
- `MultivariateLogitTrial`: trials with several binary outcomes. Rules (`rules.All`,
  `rules.Any`, ...) and populations (`populations.Range`, ...) are applied to its draws;
  `MultivariateBernoulli` is its distribution for your own models.
- `NestedVaryingEffects`: intercepts and slopes that vary between units within units, correlated at
  every level; a Gaussian outcome is sampled without its effects. Its term is `nested`.
- `Prior`, families and samplers are values: print, compare and replace them.
- `borrowing` makes priors of a trial's control from historical controls.
- `planning` gives error rates, power, thresholds and sample size of a trial before it is run.
- `datasets` simulates tables with known truth; `weights` holds the built-in weight functions.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pymc_mlm import weights
from pymc_mlm.data.long_memberships import long_memberships
from pymc_mlm.data.row_weights import FrequencyWeights, SurveyWeights
from pymc_mlm.distributions.censored_weibull import CensoredWeibull
from pymc_mlm.distributions.multivariate_bernoulli import MultivariateBernoulli
from pymc_mlm.distributions.noncentered import noncentered
from pymc_mlm.distributions.piecewise_exponential import PiecewiseExponential
from pymc_mlm.errors import DataError, DataWarning, MlmError, NotFittedError, SpecificationError
from pymc_mlm.estimators import (
    MultipleMembershipModel,
    MultivariateLogitTrial,
    NestedVaryingEffects,
)
from pymc_mlm.families import (
    AbstractFamily,
    Bernoulli,
    Beta,
    Binomial,
    Categorical,
    ComplementaryLogLog,
    Cox,
    Cumulative,
    CumulativeProbit,
    Exponential,
    Gamma,
    Gaussian,
    HurdleNegativeBinomial,
    HurdlePoisson,
    LogLogistic,
    LogNormal,
    NegativeBinomial,
    Poisson,
    Probit,
    StudentT,
    Weibull,
    ZeroInflatedNegativeBinomial,
    ZeroInflatedPoisson,
)
from pymc_mlm.fit import Fit
from pymc_mlm.inference import AbstractSampler, Nutpie, PymcNuts
from pymc_mlm.priors import PrecisionGamma, Prior
from pymc_mlm.reporting.diagnostics import ConvergenceWarning
from pymc_mlm.saving import load, save
from pymc_mlm.terms import AbstractTerm, hm, mm
from pymc_mlm.terms.cluster_effects import LKJ, InverseWishart
from pymc_mlm.terms.member_effects import (
    AR1,
    BYM2,
    CAR,
    ICAR,
    AbstractMemberEffects,
    KnownCovariance,
    RandomWalk,
    VaryingCoefficients,
)
from pymc_mlm.terms.nested import nested
from pymc_mlm.weights import AbstractWeight

if TYPE_CHECKING:
    from pymc_mlm import aggregations, borrowing, datasets, planning, populations, rules
    from pymc_mlm.aggregations import aggregate
    from pymc_mlm.bml import from_bml
    from pymc_mlm.comparison import compare_weights, k_fold

__version__ = "0.1.0"

__all__ = [
    "AR1",
    "BYM2",
    "CAR",
    "ICAR",
    "LKJ",
    "AbstractFamily",
    "AbstractMemberEffects",
    "AbstractSampler",
    "AbstractTerm",
    "AbstractWeight",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "CensoredWeibull",
    "ComplementaryLogLog",
    "ConvergenceWarning",
    "Cox",
    "Cumulative",
    "CumulativeProbit",
    "DataError",
    "DataWarning",
    "Exponential",
    "Fit",
    "FrequencyWeights",
    "Gamma",
    "Gaussian",
    "HurdleNegativeBinomial",
    "HurdlePoisson",
    "InverseWishart",
    "KnownCovariance",
    "LogLogistic",
    "LogNormal",
    "MlmError",
    "MultipleMembershipModel",
    "MultivariateBernoulli",
    "MultivariateLogitTrial",
    "NegativeBinomial",
    "NestedVaryingEffects",
    "NotFittedError",
    "Nutpie",
    "PiecewiseExponential",
    "Poisson",
    "PrecisionGamma",
    "Prior",
    "Probit",
    "PymcNuts",
    "RandomWalk",
    "SpecificationError",
    "StudentT",
    "SurveyWeights",
    "VaryingCoefficients",
    "Weibull",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedPoisson",
    "aggregate",
    "aggregations",
    "borrowing",
    "compare_weights",
    "datasets",
    "from_bml",
    "hm",
    "k_fold",
    "load",
    "long_memberships",
    "mm",
    "nested",
    "noncentered",
    "planning",
    "populations",
    "rules",
    "save",
    "weights",
]

# No fit needs these: a folder is loaded when one of its names is first asked for.
_LATER = {
    "aggregate": "aggregations",
    "compare_weights": "comparison",
    "from_bml": "bml",
    "k_fold": "comparison",
}
_FOLDERS = ("aggregations", "borrowing", "datasets", "planning", "populations", "rules")


def __getattr__(name: str) -> Any:
    if name not in _FOLDERS and name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = import_module(f"{__name__}.{_LATER.get(name, name)}")
    globals()[name] = getattr(found, name) if name in _LATER else found
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
