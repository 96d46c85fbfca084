"""`import pymc_mlm` loads only what it needs; counted by modules, not by seconds."""

import subprocess
import sys

HEAVY = ("arviz", "arviz_plots", "formulaic", "jax", "matplotlib", "numba", "nutpie", "pandas",
         "polars", "scipy.sparse", "sklearn")  # fmt: skip


def loaded_by(statement):
    code = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_adds_no_heavy_library_to_pymc():
    added = loaded_by("import pymc_mlm") - loaded_by("import pymc")
    assert sorted(added & set(HEAVY)) == []


def test_a_fit_without_a_sampler_loads_no_sampler():
    fit = (
        "import warnings; warnings.simplefilter('ignore'); import pymc_mlm as mlm; "
        "table = {'y': ([0, 1, 1] * 80)[:200], 'u': [*range(20)] * 10}; "
        "model = mlm.MultipleMembershipModel('y ~ 1', mlm.hm('u'), family='bernoulli'); "
        "model.fit(table, path='laplace', draws=50, random_seed=1, progressbar=False); "
        "str(model.summary())"
    )
    assert "nutpie" not in loaded_by(fit)
