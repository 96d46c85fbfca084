"""Specifications as JSON and back: a closed list of types, and nothing that runs.

A value that JSON lacks becomes an object with one key that begins with ``$``, such as
``{"$tuple": [1, 2]}`` or ``{"$Prior": {...}}``. `decode` makes only the types that are listed here,
by calling their constructors, which check their arguments.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import math
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pymc_mlm.data.labelled_matrix import LabelledMatrix
from pymc_mlm.data.row_weights import FrequencyWeights, SurveyWeights
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.families import (
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
from pymc_mlm.inference import Nutpie, PymcNuts
from pymc_mlm.model import Specification
from pymc_mlm.priors import PrecisionGamma, Prior
from pymc_mlm.priors.control_prior import ControlPrior
from pymc_mlm.terms import Hierarchical, MultipleMembership
from pymc_mlm.terms.cluster_effects import LKJ, InverseWishart
from pymc_mlm.terms.member_effects import (
    AR1,
    BYM2,
    CAR,
    ICAR,
    Independent,
    KnownCovariance,
    RandomWalk,
    VaryingCoefficients,
)
from pymc_mlm.terms.nested import Nested
from pymc_mlm.trial import TrialSpecification
from pymc_mlm.weights import Candidates, Contest, Expression, Persistence

MARK = "$"
SPECIFICATIONS = {
    cls.__name__: cls
    for cls in (
        Bernoulli, Beta, Binomial, Categorical, Contest, ControlPrior, Cox, Cumulative, Exponential,
        Expression, Gamma,
        Gaussian, Hierarchical, InverseWishart, LKJ, LogLogistic, LogNormal, MultipleMembership,
        NegativeBinomial, Nested, Nutpie, Persistence, Poisson, Prior, PymcNuts, Specification,
        StudentT, TrialSpecification, Weibull,
        AR1, Independent, PrecisionGamma, RandomWalk, VaryingCoefficients,
        Candidates, ComplementaryLogLog, CumulativeProbit, Probit,
        BYM2, CAR, ICAR, KnownCovariance, LabelledMatrix, FrequencyWeights, SurveyWeights,
        HurdleNegativeBinomial, HurdlePoisson, ZeroInflatedNegativeBinomial, ZeroInflatedPoisson,
    )
}  # fmt: skip
# What labels and arguments are beside text and numbers: how each is written, and read again.
PLAIN: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "datetime": (datetime.datetime, lambda v: v.isoformat(), datetime.datetime.fromisoformat),
    "date": (datetime.date, lambda v: v.isoformat(), datetime.date.fromisoformat),
    "time": (datetime.time, lambda v: v.isoformat(), datetime.time.fromisoformat),
    "timedelta": (
        datetime.timedelta,
        lambda v: [v.days, v.seconds, v.microseconds],
        lambda v: datetime.timedelta(*v),
    ),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "uuid": (uuid.UUID, str, uuid.UUID),
    "bytes": (bytes, lambda v: v.hex(), bytes.fromhex),
}


def encode(value: Any, where: str = "value") -> Any:
    """Write a value as JSON.

    Parameters
    ----------
    value : object
        None, a number, text, a date, a UUID, an array, a container of such values, or a
        specification of the package (prior, term, weight, family, sampler).
    where : str
        What the value is, for the message.

    Returns
    -------
    object
        None, bool, int, float, str, list or dict.

    Raises
    ------
    SpecificationError
        The value is of another type: an own class, a function, an object of another package.

    Examples
    --------
    >>> encode((1, float("inf")))
    {'$tuple': [1, {'$float': 'inf'}]}
    """
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, np.generic):
        return {"$scalar": [value.dtype.str, encode(_native(value), where)]}
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if isinstance(value, np.ndarray):
        return _array(value, where)
    if isinstance(value, list):
        return [encode(v, f"{where}[{i}]") for i, v in enumerate(value)]
    if isinstance(value, tuple):
        return {"$tuple": [encode(v, f"{where}[{i}]") for i, v in enumerate(value)]}
    if isinstance(value, Mapping):
        pairs = [[encode(k, where), encode(v, f"{where}[{k!r}]")] for k, v in value.items()]
        return {"$mapping": pairs}
    for tag, (kind, write, _) in PLAIN.items():
        if type(value) is kind:
            return {MARK + tag: write(value)}
    if isinstance(value, datetime.datetime) and hasattr(value, "as_unit"):
        return {"$moment": _moment(value)}
    if SPECIFICATIONS.get(type(value).__name__) is type(value):
        return {MARK + type(value).__name__: _fields(value, where)}
    raise SpecificationError(
        f"{where} is {value!r}, which has no form as text: a file holds priors made with "
        "Prior(...), and the terms, weights and families of the package. Replace it, or keep the "
        "draws alone with idata.to_netcdf(...)."
    )


def decode(value: Any) -> Any:
    """Read a value that `encode` wrote.

    Parameters
    ----------
    value : object
        What `json.loads` returned.

    Returns
    -------
    object

    Raises
    ------
    DataError
        The text names a type that is not in the list, or its content does not make one.

    Examples
    --------
    >>> decode(encode({"sd": Prior("HalfNormal", sigma=2.0)}))
    {'sd': HalfNormal(sigma=2)}
    """
    if isinstance(value, list):
        return [decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        raise DataError("The file holds a specification that is damaged: save the fit again.")
    ((tag, content),) = value.items()
    try:
        return _made(tag.removeprefix(MARK), content)
    except DataError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, ArithmeticError) as error:
        raise DataError(
            f"The file holds a {tag.removeprefix(MARK)!r} that cannot be made again ({error}). It "
            "is damaged, or another version of the package wrote it."
        ) from error


def _made(tag: str, content: Any) -> Any:
    if tag == "float":
        return float(content)
    if tag == "tuple":
        return tuple(decode(v) for v in content)
    if tag == "mapping":
        return {decode(k): decode(v) for k, v in content}
    if tag == "scalar":
        kind, number = content
        return _dtype(kind).type(decode(number))
    if tag == "array":
        kind, shape, numbers = content
        return np.array(decode(numbers), dtype=_dtype(kind)).reshape(shape)
    if tag == "moment":
        return _timestamp(*content)
    if tag in PLAIN:
        return PLAIN[tag][2](content)
    if tag == "Prior":
        own = decode(content)
        return Prior(own["distribution"], **own["parameters"])
    if tag in SPECIFICATIONS:
        return SPECIFICATIONS[tag](**decode(content))
    raise DataError(
        f"The file names the type {tag!r}, which this version of pymc_mlm does not have. A newer "
        "version wrote it, or it is damaged."
    )


def _fields(value: Any, where: str) -> Any:
    own = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init or
           isinstance(value, Prior)}  # fmt: skip
    return encode(own, where)


def _array(value: np.ndarray, where: str) -> Any:
    if value.dtype.kind not in "biuf":
        raise SpecificationError(
            f"{where} is an array of type {value.dtype}, which has no form as text. Give numbers."
        )
    numbers = [encode(v, where) for v in value.ravel().tolist()]
    return {"$array": [value.dtype.str, list(value.shape), numbers]}


def _moment(value: Any) -> list[Any]:
    """Write a pandas Timestamp: count of its unit since 1970, unit, time zone."""
    count = value.tz_convert(None) if value.tzinfo else value
    zone = None if value.tzinfo is None else str(value.tzinfo)
    written = [int(count.to_numpy().astype(np.int64)), value.unit, zone]
    try:
        is_same = _timestamp(*written) == value
    except (KeyError, ValueError):  # zones of other libraries have names of their own
        is_same = False
    if not is_same:
        raise SpecificationError(
            f"{value!r} has a time zone without a name. Use one such as 'Europe/Vienna' or 'UTC'."
        )
    return written


def _timestamp(count: Any, unit: Any, zone: str | None) -> Any:
    import pandas as pd

    moment = pd.Timestamp(np.datetime64(int(count), unit)).as_unit(unit)
    return moment if zone is None else moment.tz_localize("UTC").tz_convert(zone)


def _native(value: np.generic) -> Any:
    if value.dtype.kind not in "biufU":
        raise SpecificationError(f"{value!r} of type {value.dtype} has no form as text.")
    return value.item()


def _dtype(text: Any) -> np.dtype:
    found = np.dtype(text)
    if found.kind not in "biufU":
        raise DataError(f"The file names the number type {text!r}, which is none.")
    return found
