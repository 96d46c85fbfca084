"""A fit as a Zarr store has the guarantees of one in a netCDF file."""

import json
import os
import shutil

import numpy as np
import pytest

import pymc_mlm as mlm
from pymc_mlm.errors import DataError, SpecificationError
from pymc_mlm.saving import zarr_store
from tests.saving.test_file import IDS, MODELS, coalitions, membership, trial


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A store to copy and damage."""
    return trial().save(tmp_path_factory.mktemp("stores") / "a.zarr")


@pytest.fixture
def store(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "a.zarr")


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_store_answers_as_the_fit_that_was_saved(name, tmp_path):
    model = MODELS[name]()
    path = model.save(tmp_path / "fit.zarr")
    assert path.is_dir() and [p.name for p in tmp_path.iterdir()] == ["fit.zarr"]
    loaded = type(model).load(path)
    assert str(loaded.summary()) == str(model.summary())
    assert loaded.result_.spec == model.result_.spec
    assert loaded.result_.notes == model.result_.notes
    for group, node in model.idata.children.items():
        assert node.to_dataset().identical(loaded.idata[group].to_dataset()), group
    one, two = (m.predict(kind="outcome", random_seed=3) for m in (model, loaded))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("kind", ["mixed", "moment", "uuid"])
def test_labels_keep_their_type(kind, tmp_path):
    model = membership(IDS[kind])
    loaded = mlm.MultipleMembershipModel.load(model.save(tmp_path / "a.zarr"))
    new = coalitions(IDS[kind]).head(4).drop(columns="y")
    one, two = (m.predict(new, random_seed=1) for m in (model, loaded))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("at", [0, 1])
def test_a_crash_leaves_the_old_store(at, store, monkeypatch):
    model, calls, replace = trial(), [], os.replace

    def crash(*args):
        calls.append(args)
        if len(calls) == at + 1:
            raise OSError("no space left")
        replace(*args)

    before = mlm.load(store)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", crash)
        with pytest.raises(OSError, match="no space"):
            model.save(store)
    assert (
        mlm.load(store)
        .idata["posterior"]
        .to_dataset()
        .identical(before.idata["posterior"].to_dataset())
    )
    assert [p.name for p in store.parent.iterdir()] == ["a.zarr"]


def test_a_store_that_was_moved_aside_when_the_machine_stopped_is_found(store):
    os.replace(store, store.with_name(".a.zarr.old"))
    assert mlm.load(store).spec == trial().specification
    assert store.is_dir()


def test_a_folder_of_something_else_is_not_deleted(tmp_path):
    folder = tmp_path / "data.zarr"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no fit"):
        trial().save(folder)
    assert (folder / "notes.txt").read_text() == "mine"
    with pytest.raises(DataError, match=r"data\.zarr"):
        mlm.load(folder)


def test_each_part_that_is_absent_cut_or_changed_is_noticed(store):
    rng = np.random.default_rng(1)
    for path in sorted(p for p in store.rglob("*") if p.is_file()):
        whole = path.read_bytes()
        at = int(rng.integers(0, len(whole)))
        for damaged in (None, whole[: len(whole) // 2], whole[:at] + b"\x07" + whole[at + 1 :]):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            try:
                loaded = mlm.load(store)
            except DataError as error:
                assert "a.zarr" in str(error)
            else:  # a byte that has no meaning
                assert damaged == whole or path.name == "zarr.json"
                assert loaded.spec == trial().specification
            path.write_bytes(whole)


def edited(store, change, node=""):
    path = store / node / "zarr.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    return store


HOSTILE = {
    "a codec that unpickles": lambda d: d["codecs"].append({"name": "numcodecs.pickle"}),
    "objects": lambda d: d.update(data_type="string"),
    "another format": lambda d: d.update(zarr_format=2),
    "a transformer": lambda d: d.update(storage_transformers=[{"name": "x"}]),
    "another shape": lambda d: d.update(shape=[1]),
    "nonsense": lambda d: d.clear(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_store_is_one_clear_error(name, store):
    with pytest.raises(DataError, match=r"a\.zarr"):
        mlm.load(edited(store, HOSTILE[name], "document"))


def test_old_metadata_beside_the_new_and_links_are_refused(store, tmp_path):
    (store / ".zarray").write_text("{}")
    with pytest.raises(DataError, match="zarray"):
        mlm.load(store)
    (store / ".zarray").unlink()
    (store / "link").symlink_to(tmp_path)
    with pytest.raises(DataError, match="link"):
        mlm.load(store)


def test_a_store_of_a_newer_schema_is_refused_with_both_numbers(tmp_path, monkeypatch):
    from pymc_mlm.saving import file

    monkeypatch.setattr(file, "SCHEMA", 99)
    path = trial().save(tmp_path / "a.zarr")
    monkeypatch.undo()
    with pytest.raises(DataError, match="schema 99, and this version of pymc_mlm reads 1"):
        mlm.load(path)


def test_without_zarr_the_extra_to_install_is_named(store, tmp_path, monkeypatch):
    model = trial()
    monkeypatch.setattr(zarr_store, "find_spec", lambda name: None)
    with pytest.raises(SpecificationError, match=r"pymc-mlm\[zarr\]"):
        model.save(tmp_path / "b.zarr")
    with pytest.raises(DataError, match=r"a\.zarr.*pymc-mlm\[zarr\]"):
        mlm.load(store)
    assert model.save(tmp_path / "b.nc").is_file()
