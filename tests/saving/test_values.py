"""Laws of specifications as text: what is written is read again, and nothing else is."""

import datetime
import decimal
import inspect
import json
import uuid

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.data.row_weights import AbstractRowWeights
from pymc_mlm.families import AbstractFamily
from pymc_mlm.inference import AbstractSampler
from pymc_mlm.saving.values import SPECIFICATIONS, decode, encode
from pymc_mlm.terms import AbstractTerm
from pymc_mlm.terms.cluster_effects import AbstractClusterPrior
from pymc_mlm.terms.member_effects import AbstractMemberEffects
from pymc_mlm.weights import AbstractWeight

VALUES = {
    "none": None, "yes": True, "int": 2**70, "float": 0.1, "inf": -np.inf, "text": "a\u00e9\x00\"",
    "list": [1, "a", None], "tuple": (1, (2.5,)), "mapping": {1: "a", "b": {"$Prior": 1}},
    "date": datetime.date(2026, 11, 25), "moment": datetime.datetime(2026, 11, 25, 1, 2, 3, 4),
    "pandas": pd.Timestamp("2026-01-01 12:00:00.123456789", tz="Europe/Vienna"),
    "seconds": pd.Timestamp("1900-01-01").as_unit("s"),
    "zone": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "span": datetime.timedelta(1, 2),
    "decimal": decimal.Decimal("1.10"), "uuid": uuid.UUID(int=7), "bytes": b"\x00\xff",
    "prior": mlm.Prior("Normal", mu=0, sigma=2.5),
    "prior of arrays": mlm.Prior("Normal", mu=np.array([0.0, 1.0]), sigma=[1.0, 2.0]),
    "mm": mlm.mm("a", "b", covariates=["x"], weight="exp(b * x)", priors={"sd": mlm.Prior(
        "HalfNormal", sigma=1)}, missing="skip", name="m"),
    "softmax": mlm.weights.softmax("seat share"), "hm": mlm.hm("c", effect="fixed"),
    "nested": mlm.nested(["r", "s"], {"r": "1 + x"}, eta={"s": 3.0}),
    "weibull": mlm.Weibull(priors={"shape": mlm.Prior("Gamma", mu=1, sigma=0.5)}),
    "binomial": mlm.Binomial("trials"), "nutpie": mlm.Nutpie(target_accept=0.95),
    "lkj": mlm.LKJ(eta=2.0), "wishart": mlm.InverseWishart(3.0, 0.2),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_a_value_is_read_as_it_was_written(name):
    text = json.dumps(encode(VALUES[name]), allow_nan=False)
    assert decode(json.loads(text)) == VALUES[name]
    assert type(decode(json.loads(text))) is type(VALUES[name])


@pytest.mark.parametrize(
    "number", [np.float64("nan"), np.int8(3), np.bool_(True), np.uint64(2**64 - 1)]
)
def test_numpy_scalars_keep_their_type(number):
    found = decode(json.loads(json.dumps(encode(number), allow_nan=False)))
    assert type(found) is type(number)
    np.testing.assert_equal(found, number)


def test_arrays_keep_type_and_shape():
    array = np.array([[1.5, np.inf], [np.nan, -0.0]], dtype=np.float32)
    found = decode(json.loads(json.dumps(encode(array), allow_nan=False)))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)


class Own:
    def create_variable(self, name):
        raise NotImplementedError


@pytest.mark.parametrize(
    "value", [Own(), lambda x: x, {1, 2}, np.array(["a"], dtype=object), 1j, Own, print]
)
def test_what_has_no_form_as_text_is_named(value):
    with pytest.raises(mlm.SpecificationError, match=r"priors\['sd'\] is .*no form as text"):
        encode({"sd": value}, "priors")


HOSTILE = [
    {"$os.system": "touch x"}, {"$eval": "1"}, {"$Own": {}}, {"a": 1, "b": 2},
    {"$Prior": {"$mapping": [["distribution", "os"], ["parameters", {"$mapping": []}]]}},
    {"$MultipleMembership": {"$mapping": [["member", 3]]}}, {"$array": ["O", [1], [1]]},
    {"$scalar": ["V8", 1]}, {"$uuid": "x"}, {"$date": []}, {"$mapping": 3}, {"$tuple": None},
    {"$timedelta": [10**30]}, {"$array": ["<f8", [2], [1]]},
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=str)
def test_damaged_and_hostile_text_is_one_error(value):
    with pytest.raises(mlm.MlmError):
        decode(value)


def test_a_time_zone_without_a_name_is_refused_when_it_is_written():
    from dateutil import tz

    with pytest.raises(mlm.SpecificationError, match="time zone without a name"):
        encode(pd.Timestamp("2026-01-01", tz=tz.gettz("Europe/Vienna")))


BASES = [
    AbstractTerm, AbstractWeight, AbstractFamily, AbstractMemberEffects, AbstractSampler,
    AbstractClusterPrior, AbstractRowWeights,
]  # fmt: skip
# Made from the parts of a specification, never given to one.
DERIVED = {"Population", "Imputed", "OnEachPredictor"}


def of_the_package(base):
    for kind in base.__subclasses__():
        if kind.__module__.startswith("pymc_mlm."):
            yield from of_the_package(kind)
            yield from () if inspect.isabstract(kind) else (kind,)


@pytest.mark.parametrize("base", BASES, ids=lambda b: b.__name__)
def test_every_class_that_a_model_is_made_of_can_be_written(base):
    assert {k.__name__ for k in of_the_package(base)} - DERIVED <= set(SPECIFICATIONS)
