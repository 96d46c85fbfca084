"""Refits on a Dask cluster of two processes, one of which is killed on the way."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest

from pymc_mlm.planning import TrialDesign
from pymc_mlm.planning.refit import refit_statistics

DESIGN = TrialDesign({"old": (0.4, 0.4), "new": (0.6, 0.6)}, per_arm=40)
TRIALS, FIT = 60, {"draws": 2000}


@pytest.mark.slow
def test_every_result_arrives_once_when_a_worker_dies():
    distributed = pytest.importorskip("distributed")
    serial = refit_statistics(DESIGN, TRIALS, np.random.default_rng(1), FIT)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        before = client.run(os.getpid)

        def kill_one():
            while not any(client.processing().values()):
                time.sleep(0.05)
            time.sleep(3)  # it has results by then, which are lost with it
            os.kill(next(iter(before.values())), signal.SIGKILL)

        killer = threading.Thread(target=kill_one)
        killer.start()
        with joblib.parallel_config(backend="dask"):
            found = refit_statistics(DESIGN, TRIALS, np.random.default_rng(1), FIT)
        killer.join()
        after = client.run(os.getpid)
    assert set(after.values()) != set(before.values())
    np.testing.assert_array_equal(found, serial)
