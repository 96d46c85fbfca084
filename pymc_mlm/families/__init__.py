"""Outcome families: one file a family."""

from __future__ import annotations

from typing import Any

from pymc_mlm.errors import SpecificationError
from pymc_mlm.families.base import ROW_WEIGHT, AbstractFamily, OutcomeScale
from pymc_mlm.families.bernoulli import Bernoulli
from pymc_mlm.families.beta import Beta
from pymc_mlm.families.binomial import Binomial
from pymc_mlm.families.categorical import Categorical
from pymc_mlm.families.cloglog import ComplementaryLogLog
from pymc_mlm.families.cox import Cox
from pymc_mlm.families.cumulative import Cumulative
from pymc_mlm.families.cumulative_probit import CumulativeProbit
from pymc_mlm.families.exponential import Exponential
from pymc_mlm.families.gamma import Gamma
from pymc_mlm.families.gaussian import Gaussian
from pymc_mlm.families.hurdle_negative_binomial import HurdleNegativeBinomial
from pymc_mlm.families.hurdle_poisson import HurdlePoisson
from pymc_mlm.families.loglogistic import LogLogistic
from pymc_mlm.families.lognormal import LogNormal
from pymc_mlm.families.negative_binomial import NegativeBinomial
from pymc_mlm.families.poisson import Poisson
from pymc_mlm.families.probit import Probit
from pymc_mlm.families.student_t import StudentT
from pymc_mlm.families.weibull import Weibull
from pymc_mlm.families.zero_inflated_negative_binomial import ZeroInflatedNegativeBinomial
from pymc_mlm.families.zero_inflated_poisson import ZeroInflatedPoisson

__all__ = [
    "ROW_WEIGHT",
    "AbstractFamily",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "ComplementaryLogLog",
    "Cox",
    "Cumulative",
    "CumulativeProbit",
    "Exponential",
    "Gamma",
    "Gaussian",
    "HurdleNegativeBinomial",
    "HurdlePoisson",
    "LogLogistic",
    "LogNormal",
    "NegativeBinomial",
    "OutcomeScale",
    "Poisson",
    "Probit",
    "StudentT",
    "Weibull",
    "ZeroInflatedNegativeBinomial",
    "ZeroInflatedPoisson",
    "as_family",
]

_NAMES: dict[str, Any] = {
    "beta": Beta,
    "exponential": Exponential,
    "gamma": Gamma,
    "loglogistic": LogLogistic,
    "lognormal": LogNormal,
    "gaussian": Gaussian,
    "normal": Gaussian,
    "bernoulli": Bernoulli,
    "binomial": Bernoulli,
    "categorical": Categorical,
    "cox": Cox,
    "cumulative": Cumulative,
    "negative_binomial": NegativeBinomial,
    "poisson": Poisson,
    "student_t": StudentT,
    "weibull": Weibull,
    "cumulative_probit": CumulativeProbit,
    "cloglog": ComplementaryLogLog,
    "probit": Probit,
    "hurdle_negative_binomial": HurdleNegativeBinomial,
    "hurdle_poisson": HurdlePoisson,
    "zero_inflated_negative_binomial": ZeroInflatedNegativeBinomial,
    "zero_inflated_poisson": ZeroInflatedPoisson,
}


def as_family(family: Any) -> AbstractFamily:
    """Return a family given as an object or by its name in any case.

    Raises
    ------
    SpecificationError
        No such family.

    Examples
    --------
    >>> as_family("Weibull").link
    'log'
    """
    if isinstance(family, AbstractFamily):
        return family
    if isinstance(family, str) and family.lower() in _NAMES:
        return _NAMES[family.lower()]()
    if isinstance(family, type) and issubclass(family, AbstractFamily):
        raise SpecificationError(
            f"family={family.__name__} is a class; give an object: family={family.__name__}()."
        )
    raise SpecificationError(
        f"Unknown family {family!r}. Use one of {', '.join(map(repr, sorted(_NAMES)))}, or an "
        "object such as Binomial('trials')."
    )
