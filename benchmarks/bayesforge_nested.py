"""The nested schools model in BayesForge, one whole process; run by ``time_to_answer.py``.

It may live in an environment of its own, so this file imports nothing of this package.
Usage: ``python bayesforge_nested.py TABLE.csv``; prints one line of JSON.
"""

import json
import sys
import time

START = time.perf_counter()


def main(table: str) -> None:
    from BayesForge import bf

    engine = bf(platform="cpu")
    engine.data(table)
    imported = time.perf_counter()

    def model(y, x, group_id, region_id):
        sigma = engine.dist.exponential(1, name="sigma")
        intercept, slope = engine.effects.nested_varying_effects(
            N_vars=2, names=["region", "group"], N_groups=[5, 20],
            group_ids=[region_id, group_id], centered=False,
        )  # fmt: skip
        engine.dist.normal(intercept + slope * x, sigma, obs=y)

    engine.fit(model, num_samples=1000, num_warmup=1000, num_chains=4)
    fitted = time.perf_counter()
    import arviz
    import numpy as np

    draws = engine.sampler.get_samples(group_by_chain=True)
    names = ("global_intercept", "global_beta", "sigma_region", "sigma_group", "sigma")
    ess, rhat = [], []
    for name in names:
        values = np.asarray(draws[name])
        for column in np.moveaxis(values.reshape(*values.shape[:2], -1), -1, 0):
            ess.append(float(arviz.ess(column)))
            rhat.append(float(arviz.rhat(column)))
    seconds = fitted - imported
    print()
    print(json.dumps({
        "import": imported - START, "sample": seconds, "min_ess": min(ess), "max_rhat": max(rhat),
        "ess_per_second": min(ess) / seconds, "cpu": time.process_time(),
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
