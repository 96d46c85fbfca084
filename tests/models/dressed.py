"""Tables whose columns are dressed in every type of every library, and models to read them."""

import datetime
import decimal
import uuid
from fractions import Fraction
from functools import cache

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.model.information import own_terms

ROWS = 24
GROUP = np.repeat(np.arange(8), 3)
DAY = datetime.date(2020, 1, 1)


def plain():
    """Columns of small whole numbers or letters, so that every type can hold them."""
    rng = np.random.default_rng(8)
    tree = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    return {
        "member": np.array(
            [0, 1, 2, 1, 2, 3, 2, 3, 4, 3, 4, 5, 4, 5, 0, 5, 0, 1, 0, 2, 4, 1, 3, 5]
        ),
        "group": GROUP,
        "unit": (GROUP % 4),
        "region": tree[GROUP],
        "y": rng.permutation(8)[GROUP],
        "yes": np.array([0, 1, 1, 0, 1, 0, 1, 0])[GROUP],
        "time": 1 + rng.permutation(8)[GROUP],
        "event": np.array([1, 1, 0, 1, 1, 0, 1, 1])[GROUP],
        "trials": np.full(ROWS, 9),
        "x": rng.permutation(8)[GROUP],
        "z": rng.integers(0, 9, ROWS),
        "w": rng.integers(1, 9, ROWS),
        "f": np.array([*"abcabcab"], dtype=object)[GROUP],
        "y1": rng.integers(0, 2, ROWS),
        "y2": rng.integers(0, 2, ROWS),
        "arm": (np.arange(8) % 2)[GROUP],
        "cluster": np.arange(ROWS) % 7,
    }


MODELS = {
    "gaussian": lambda: mlm.MultipleMembershipModel(
        "y ~ 1 + x + f + fix(unit, 1)",
        mlm.mm("member", "group", covariates="z", weight="w"),
        mlm.hm("unit", covariates="unit"),
    ),
    "binomial": lambda: mlm.MultipleMembershipModel(
        "y ~ 1 + x", mlm.mm("member", "group"), family=mlm.Binomial("trials")),
    "bernoulli": lambda: mlm.MultipleMembershipModel(
        "yes ~ 1 + C(f)", mlm.mm("member", "group", weight="exp(b * w)"), family="bernoulli"),
    "weibull": lambda: mlm.MultipleMembershipModel(
        "Surv(time, event) ~ 1 + x", mlm.mm("member", "group"), mlm.hm("unit"), family="weibull"),
    "nested": lambda: mlm.NestedVaryingEffects(
        "y ~ 1 + z + f", levels=["region", "group"], terms=[mlm.hm("member")]),
    "nested paths": lambda: mlm.NestedVaryingEffects(
        "y ~ 1 + z", levels=["region", "group"], unique_ids=True, within_between=["z"]),
    "trial": lambda: mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", control=0, covariates="z + f", cluster="cluster"),
}  # fmt: skip

NUMBER, ID, BOTH, SIDE = "number", "id", "covariate", "side"
ROLES = [
    ("gaussian", "y", NUMBER), ("gaussian", "x", BOTH), ("gaussian", "z", BOTH),
    ("gaussian", "w", NUMBER), ("gaussian", "member", ID), ("gaussian", "group", ID),
    ("binomial", "y", NUMBER), ("binomial", "trials", NUMBER), ("bernoulli", "yes", NUMBER),
    ("bernoulli", "w", NUMBER), ("weibull", "time", NUMBER), ("weibull", "event", NUMBER),
    ("weibull", "unit", ID), ("nested", "y", NUMBER), ("nested", "z", BOTH),
    ("nested", "region", ID), ("nested", "group", ID), ("nested", "member", ID),
    ("nested paths", "region", ID), ("nested paths", "z", BOTH),
    ("trial", "y1", NUMBER), ("trial", "z", BOTH), ("trial", "cluster", ID), ("trial", "arm", ID),
]  # fmt: skip


def numpy_of(dtype):
    return lambda v: np.array(v, dtype=dtype)


def pandas_of(dtype):
    return lambda v: pd.Series(v, dtype=dtype)


def polars_of(name):
    def make(values):
        pl = pytest.importorskip("polars")
        return pl.Series(values, dtype=getattr(pl, name))

    return make


def arrow_of(name, *args):
    def make(values):
        pa = pytest.importorskip("pyarrow")
        return pa.chunked_array([pa.array(values).cast(getattr(pa, name)(*args))])

    return make


def listed(convert):
    return lambda values: [convert(v) for v in values]


INTEGERS = {
    **{f"numpy {t}": numpy_of(t)
       for t in ("i1", "u1", "i8", "u8", ">i4", "f2", "f4", "f8", "longdouble", "O")},
    **{f"pandas {t}": pandas_of(t)
       for t in ("int16", "uint64", "Int64", "UInt8", "float32", "Float64", "object",
                 "Sparse[int64]", "int64[pyarrow]", "double[pyarrow]")},
    **{f"polars {t}": polars_of(t) for t in ("Int8", "UInt64", "Int128", "Float32", "Float64")},
    "polars Decimal": lambda v: pytest.importorskip("polars").Series(listed(decimal.Decimal)(v)),
    **{f"arrow {t}": arrow_of(t) for t in ("int8", "uint64", "float32")},
    "arrow decimal": arrow_of("decimal128", 25, 2),
    "list": list,
    "tuple of NumPy scalars": lambda v: tuple(np.array(v)),
    "list of Decimal": listed(decimal.Decimal),
    "list of Fraction": listed(Fraction),
    "list of float": listed(float),
    "masked": lambda v: np.ma.array(v, mask=False),
}  # fmt: skip
# Their labels are numbers, but in a formula they are categories.
CATEGORIES = {
    "category": pd.Categorical,
    "arrow dictionary": lambda v: pytest.importorskip("pyarrow").array(v).dictionary_encode(),
}
# Ids in the order of the numbers.
LABELS = {
    "text": listed(lambda v: f"id {v}"),
    "text of numbers": listed(str),
    "pandas text": lambda v: pd.Series([f"id {i}" for i in v], dtype="string"),
    "category of text": lambda v: pd.Categorical([f"id {i}" for i in v]),
    "enum": lambda v: pytest.importorskip("polars").Series(
        [str(i) for i in v], dtype=pytest.importorskip("polars").Enum([*"9876543210"])),
    "date": listed(lambda v: DAY + datetime.timedelta(int(v))),
    "time stamp": lambda v: pd.Timestamp(DAY) + pd.to_timedelta(v, "D"),
    "zoned": lambda v: pd.Timestamp(DAY, tz="UTC") + pd.to_timedelta(v, "D"),
    "time": listed(lambda v: datetime.time(int(v))),
    "duration": lambda v: pd.to_timedelta(v, "D"),
    "uuid": listed(lambda v: uuid.UUID(int=int(v))),
    "interval": lambda v: pd.arrays.IntervalArray.from_arrays(v, np.asarray(v) + 1),
    "period": lambda v: pd.PeriodIndex([pd.Period(f"{2000 + int(i)}", "Y") for i in v]),
}  # fmt: skip
NO_VALUES = {
    "complex": lambda v: np.asarray(v) + 1j,
    "bytes": listed(lambda v: str(v).encode()),
    "list of lists": listed(lambda v: [int(v)]),
    "struct": listed(lambda v: {"a": int(v)}),
    "one n/a": lambda v: ["n/a", *map(float, v[1:])],
    "one n/a among texts": lambda v: ["n/a", *map(str, v[1:])],
    "nothing": lambda v: [None] * len(v),
}


def arrays(design):
    """Return what a design says, as arrays: ids as codes."""
    if hasattr(design, "trial"):
        trial = design.trial
        return [trial.observed, trial.arm.codes, trial.cluster.factor.codes, design.X]
    found = [design.population.X, design.population.offset, *(design.outcome or {}).values()]
    found += [design.rows.codes, *design.side.values()]
    if design.nested is not None:
        found += [design.nested.Z, *design.nested.nesting.parents, design.nested.nesting.leaf]
    for _, part in own_terms(design):
        found += [part.X, part.units.codes] if hasattr(part, "units") else [
            part.X, part.membership.member.codes, part.membership.indptr, part.start]  # fmt: skip
    return found


def same(one, two):
    return len(one) == len(two) and all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


@cache
def plain_design(name):
    return MODELS[name]()._design(plain())


def outcome(name, columns, known=False):
    """Return "same" as the plain table, "refused", or "different"."""
    twin = plain_design(name)
    try:
        got = MODELS[name]()._design(columns, twin if known else None)
    except mlm.MlmError:
        return "refused"
    twin = MODELS[name]()._design(plain(), twin) if known else twin
    return "same" if same(arrays(got), arrays(twin)) else "different"


NO_CELL = {"nothing", "one n/a", "one n/a among texts"}
DRESSES = INTEGERS | CATEGORIES | LABELS | NO_VALUES


def expected(kind, dress):
    if dress in INTEGERS:
        return {"same"}
    if dress in CATEGORIES:
        return {"same"} if kind != BOTH else {"different", "refused"}
    if dress in LABELS and kind == ID:
        return {"same"}
    if kind == ID:  # 'n/a' is an id like another
        return {"refused", "different"} if "n/a" in dress else {"refused"}
    # Labels that are no numbers are categories of a formula, or refused.
    return {"refused"} if kind == NUMBER or dress in NO_VALUES else {"refused", "different"}
