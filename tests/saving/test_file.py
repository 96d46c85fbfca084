"""Laws of a saved fit: it answers as the fit that was saved, and nothing in a file is run."""

import datetime
import json
import os
import subprocess
import sys
import uuid
from dataclasses import replace

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import pymc_mlm as mlm
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.saving import file
from tests.mocked import PriorDraws

IDS = {
    "int": list(range(6)),
    "text": ["b", "a", "", "é/ü", "1", "nan"],
    "uuid": [uuid.UUID(int=i) for i in range(6)],
    "date": [datetime.date(2026, 1, 1 + i) for i in range(6)],
    "moment": list(pd.date_range("2026-01-01", periods=6, tz="Europe/Vienna")),
    "bool": [True, False] * 3,
    "mixed": [1, "a", 2.5, None, "é", datetime.date(2026, 1, 1)],
}


def coalitions(ids=range(6)):
    """Thirty groups of two members; a name with a space, and a category that has an order."""
    rng = np.random.default_rng(0)
    group = np.repeat(range(30), 2)
    members = np.empty(60, dtype=object)
    members[:] = [list(ids)[i] for i in rng.integers(0, len(ids), 60)]
    return pd.DataFrame(
        {
            "my group": group, "member": members, "y": rng.normal(size=30)[group],
            "x": rng.normal(size=30)[group], "share": rng.random(60),
            "c": pd.Categorical(np.array(list("lmh"))[group % 3], categories=list("lmh")),
            "never read": "secret",
        }
    )  # fmt: skip


def membership(ids=range(6)):
    model = mlm.MultipleMembershipModel(
        "y ~ 1 + x + c",
        mlm.mm("member", "my group", weight="exp(b0 * share)", missing="skip"),
        priors={"sigma": mlm.Prior("Exponential", lam=2.0)},
    )
    return fitted(model, coalitions(ids))


def nested():
    table = mlm.datasets.nested_schools(regions=4, schools=12, classes=24, pupils=240)
    return fitted(mlm.NestedVaryingEffects("score ~ 1 + prior", ["region", "school"]), table)


def trial():
    table = mlm.datasets.teaching_trial(schools=10, pupils=12)
    model = mlm.MultivariateLogitTrial(["math", "reading"], arm="method", control="traditional")
    return model.fit(table, draws=200, random_seed=1)


def fitted(model, table):
    run = {"draws": 20, "chains": 2, "random_seed": 1, "path": "sampled"}
    with pytest.warns(mlm.ConvergenceWarning):
        return model.fit(table, sampler=PriorDraws(), **run)


MODELS = {"membership": membership, "nested": nested, "trial": trial}


@pytest.fixture(scope="module", params=MODELS)
def pair(request, tmp_path_factory):
    """A fitted model and the same from a file."""
    model = MODELS[request.param]()
    path = model.save(tmp_path_factory.mktemp("fits") / "fit.nc")
    return model, type(model).load(path)


def test_a_loaded_fit_has_the_same_draws_summary_and_specification(pair):
    model, loaded = pair
    assert str(loaded.summary()) == str(model.summary())
    assert loaded.result_.spec == model.result_.spec
    assert loaded.result_.path == model.result_.path
    assert loaded.result_.notes == model.result_.notes
    assert loaded.result_.versions == model.result_.versions
    for name, group in model.idata.children.items():
        assert group.to_dataset().identical(loaded.idata[name].to_dataset()), name
    # A clone can be fitted again.
    assert type(loaded)(**loaded.get_params()).specification == model.specification


def single(**arguments):
    table = mlm.datasets.teaching_trial(schools=10, pupils=12)
    model = mlm.MultivariateLogitTrial(
        ["math"], arm="method", control="traditional", cluster="school", **arguments
    )
    return fitted(model, table)


def intercepts():
    table = mlm.datasets.nested_schools(regions=4, schools=12, classes=24, pupils=240)
    return fitted(mlm.NestedVaryingEffects("score ~ 1 + prior", ["region"], "1"), table)


@pytest.mark.parametrize("make", [
    single, lambda: single(cluster_prior="inverse_wishart"), intercepts,
])  # fmt: skip
def test_a_fit_without_correlations_is_loaded(make, tmp_path):
    """Its effects have one dimension: what tells correlations has no draws."""
    model = make()
    loaded = type(model).load(model.save(tmp_path / "fit.nc"))
    assert str(loaded.summary()) == str(model.summary())


def test_a_loaded_fit_predicts_by_seed_as_the_saved_one(pair):
    model, loaded = pair
    if isinstance(model, mlm.MultivariateLogitTrial):
        one, two = (m.predict(random_seed=3) for m in (model, loaded))
        xr.testing.assert_identical(one, two)
        assert str(loaded.treatment_effect()) == str(model.treatment_effect())
        return
    one, two = (m.predict(kind="outcome", random_seed=3) for m in (model, loaded))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kind", IDS)
def test_labels_of_any_type_are_the_same_units_after_loading(kind, tmp_path):
    model = membership(IDS[kind])
    loaded = mlm.MultipleMembershipModel.load(model.save(tmp_path / "a.nc"))
    before, after = model.result_.design.terms[0][1], loaded.result_.design.terms[0][1]
    labels = before.membership.member.labels
    assert after.membership.member.labels.tolist() == labels.tolist()
    assert [type(v) for v in after.membership.member.labels] == [type(v) for v in labels]
    new = coalitions(IDS[kind]).head(4).drop(columns="y")
    one, two = (m.predict(new, random_seed=1) for m in (model, loaded))
    np.testing.assert_array_equal(one, two)


def test_another_process_reads_the_same(tmp_path):
    model = membership()
    path = model.save(tmp_path / "a.nc")
    code = (
        "import sys, pymc_mlm as mlm\n"
        "m = mlm.MultipleMembershipModel.load(sys.argv[1])\n"
        "print(m.summary())\nprint(m.predict(random_seed=1).values.sum())"
    )
    run = [sys.executable, "-c", code, str(path)]
    found = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    assert found == f"{model.summary()}\n{model.predict(random_seed=1).values.sum()}\n"


def test_a_file_holds_no_column_that_the_model_does_not_read(tmp_path):
    path = membership().save(tmp_path / "a.nc")
    assert b"secret" not in path.read_bytes()


def test_a_crash_leaves_the_old_file(tmp_path, monkeypatch):
    model, path = trial(), tmp_path / "a.nc"
    model.save(path)
    before = path.read_bytes()

    def crash(*args):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(OSError, match="no space"):
        model.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]


def test_a_truncated_or_damaged_file_is_one_clear_error(tmp_path):
    path = trial().save(tmp_path / "a.nc")
    whole = path.read_bytes()
    rng = np.random.default_rng(1)
    same, told = 0, str(mlm.load(path).summary if hasattr(mlm.load(path), "summary") else "")
    for size in rng.integers(0, len(whole), 20):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"a\.nc"):
            mlm.load(path)
    for _ in range(40):
        damaged = bytearray(whole)
        at = int(rng.integers(0, len(whole) - 64))
        damaged[at : at + 64] = rng.bytes(64)
        path.write_bytes(bytes(damaged))
        try:
            mlm.load(path)
            same += 1
        except DataError:
            pass
    assert same < 40, told


def rewritten(path, change):
    """Change the document of a file."""
    with h5py.File(path, "r+") as opened:
        document = json.loads(opened["document"][:].tobytes().decode())
        change(document)
        text = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
        del opened["document"]
        del opened["byte"]
        opened["byte"] = np.arange(len(text))
        opened["byte"].make_scale("byte")
        opened["document"] = text
        opened["document"].dims[0].attach_scale(opened["byte"])
    return path


HOSTILE = {
    "schema": lambda d: d.update(schema=99),
    "format": lambda d: d.update(format="other"),
    "no model": lambda d: d.update(spec=[1, 2]),
    "a foreign type": lambda d: d.update(spec={"$os.system": "echo"}),
    "code as a distribution": lambda d: d.update(
        spec={"$Prior": {"$mapping": [["distribution", "__import__('os')"], ["parameters", {
            "$mapping": []}]]}}),
    "code in a formula": lambda d: d.update(
        spec=json.loads(json.dumps(d["spec"]).replace("math", "__import__('os').getcwd()"))),
    "missing part": lambda d: d.pop("groups"),
    "nonsense": lambda d: d.update(table={"columns": 1}),
    "deep": lambda d: d.update(spec=nest(900)),
    "no draws": lambda d: d["groups"].pop("posterior"),
    "no list of draws": lambda d: d.update(drawn=7),
    "draws of another model": lambda d: d["groups"]["posterior"]["variables"][0].update(name="x"),
}  # fmt: skip


def nest(depth):
    return [nest(depth - 1)] if depth else 1


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_newer_file_is_one_clear_error(name, tmp_path):
    path = rewritten(trial().save(tmp_path / "a.nc"), HOSTILE[name])
    with pytest.raises(DataError, match=r"a\.nc"):
        mlm.load(path)


def test_a_file_that_is_no_fit_is_named(tmp_path):
    idata = tmp_path / "draws.nc"
    trial().idata.to_netcdf(idata, engine="h5netcdf")
    text = tmp_path / "table.csv"
    text.write_text("a,b\n1,2\n")
    for path in (idata, text, tmp_path / "absent.nc", tmp_path):
        with pytest.raises(DataError, match=path.name):
            mlm.load(path)


def test_another_models_file_is_refused_with_the_class_to_use(tmp_path):
    path = trial().save(tmp_path / "a.nc")
    with pytest.raises(DataError, match="another model"):
        mlm.MultipleMembershipModel.load(path)
    flat = membership().save(tmp_path / "b.nc")
    with pytest.raises(DataError, match="without nested levels"):
        mlm.NestedVaryingEffects.load(flat)


class Squared:
    def create_variable(self, name):
        raise NotImplementedError


def test_a_prior_of_another_class_is_named_when_saving(tmp_path):
    model = membership()
    spec = replace(model.result_.spec, priors={"sigma": Squared()})
    with pytest.raises(SpecificationError, match=r"sigma.*Squared"):
        file.save(replace(model.result_, spec=spec), tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


def test_an_unfitted_model_has_nothing_to_save(tmp_path):
    with pytest.raises(mlm.NotFittedError):
        mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u")).save(tmp_path / "a.nc")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_the_same_after_a_round_trip_through_json(name):
    model = MODELS[name]()
    again = type(model).from_dict(json.loads(json.dumps(model.to_dict(), allow_nan=False)))
    assert again.specification == model.specification
    assert not hasattr(again, "result_")


@pytest.mark.parametrize(
    "change", [{"schema": 2}, {"format": "x"}, {"spec": 1}, {"spec": {"$x": 1}}]
)
def test_other_documents_are_refused(change):
    document = trial().to_dict() | change
    with pytest.raises(DataError):
        mlm.MultivariateLogitTrial.from_dict(document)
    with pytest.raises(DataError, match="no model"):
        mlm.MultivariateLogitTrial.from_dict(["a"])


def test_the_model_of_another_class_is_refused():
    with pytest.raises(DataError, match="another model"):
        mlm.MultipleMembershipModel.from_dict(trial().to_dict())
