"""`import pymc_mlm` loads only what it needs; counted by modules, not by seconds."""

import subprocess
import sys

import pytest

import pymc_mlm as mlm

HEAVY = ("arviz", "arviz_plots", "formulaic", "jax", "matplotlib", "numba", "nutpie", "pandas",
         "polars", "scipy.sparse", "sklearn")  # fmt: skip
# Folders whose names are loaded when they are asked for.
NO_FIT = ("aggregations", "bml", "borrowing", "comparison", "datasets", "planning", "populations",
          "rules")  # fmt: skip
MODULES = 360


def loaded_by(statement):
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_adds_no_heavy_library_to_pymc():
    added = loaded_by("import pymc_mlm") - loaded_by("import pymc")
    assert sorted(added & set(HEAVY)) == []


def test_a_fit_loads_no_sampler_without_need_and_no_folder_that_no_fit_needs():
    fit = (
        "import warnings; warnings.simplefilter('ignore'); import pymc_mlm as mlm; "
        "table = {'y': ([0, 1, 1] * 80)[:200], 'u': [*range(20)] * 10}; "
        "model = mlm.MultipleMembershipModel('y ~ 1', mlm.hm('u'), family='bernoulli'); "
        "model.fit(table, path='laplace', draws=50, random_seed=1, progressbar=False); "
        "str(model.summary())"
    )
    loaded = loaded_by(fit)
    assert "nutpie" not in loaded
    later = [name for name in NO_FIT if f"pymc_mlm.{name}" in loaded]
    assert later == []


@pytest.mark.parametrize("name", mlm.__all__)
def test_every_name_is_found_and_listed(name):
    assert name in dir(mlm)
    assert getattr(mlm, name) is not None
    assert getattr(mlm, name) is getattr(mlm, name)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mlm.nothing  # noqa: B018


def test_import_loads_no_more_modules_than_it_did():
    """Of this package; each costs a millisecond, and most are a frozen dataclass or two."""
    ours = {name for name in loaded_by("import pymc_mlm") if name.startswith("pymc_mlm")}
    assert len(ours) <= MODULES
