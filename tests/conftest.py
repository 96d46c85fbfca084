"""Fixtures of every test: seeded random numbers, the reference folder, and no display."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ["MPLBACKEND"] = "Agg"
# PyTensor notes for each node of a graph where it was written, a tenth of the time of building and
# compiling it, and no test reads that.
OWN_FLAGS = os.environ.get("PYTENSOR_FLAGS")
os.environ["PYTENSOR_FLAGS"] = ",".join(filter(None, [OWN_FLAGS, "traceback__limit=0"]))

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers that are the same in every run."""
    return np.random.default_rng(20260401)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the reference posteriors and their data, which are not part of the package."""
    folder = Path(os.environ.get("PYMC_MLM_SHARED", PROJECT.parent / "shared"))
    if not (folder / "reference").is_dir():
        pytest.skip(
            f"no reference posteriors in {folder}: name their folder in PYMC_MLM_SHARED to compare"
        )
    return folder
