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
