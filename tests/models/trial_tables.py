"""Tables and densities that the tests of trials share."""

import numpy as np
import pandas as pd
import xarray as xr

COVARIATES = {"outcomes": ["y1", "y2"], "arm": "group", "control": "old", "covariates": ["age"]}


def trial_table(rows=120, seed=5, clusters=12):
    """Two outcomes, two arms by cluster, a number and a category."""
    rng = np.random.default_rng(seed)
    cluster = np.arange(rows) % clusters
    group = np.where(cluster % 2, "new", "old")
    age = rng.normal(50, 10, size=rows).round()
    log_odds = 0.6 * (group == "new") + 0.04 * (age - 50) + rng.normal(size=clusters)[cluster]
    return pd.DataFrame(
        {
            "id": [f"c{c:02d}" for c in cluster],
            "group": group,
            "age": age,
            "sex": rng.choice(["f", "m"], size=rows),
            "y1": (rng.random(rows) < 1 / (1 + np.exp(-log_odds))).astype(int),
            "y2": rng.integers(0, 2, size=rows),
            "y3": rng.integers(0, 2, size=rows),
        }
    )


def logp(trial, table, **values):
    """Log density of a trial's model at given parameters."""
    model = trial._build(trial._design(table))
    point = {}
    for rv in model.free_RVs:
        value = model.rvs_to_values[rv]
        transform = model.rvs_to_transforms[rv]
        given = np.asarray(values[rv.name], dtype=float)
        if transform is not None:
            given = transform.forward(given, *rv.owner.inputs).eval(mode="FAST_COMPILE")
        point[value.name] = given
    with model:
        return model.compile_logp(jacobian=False, mode="FAST_COMPILE")(point)


def as_posterior(draws):
    """Draws by name, shape (draw, ...), as a posterior of one chain."""
    return xr.Dataset(
        {
            name: (("chain", "draw", *(f"{name}_{i}" for i in range(v.ndim - 1))), v[None])
            for name, v in draws.items()
        }
    )
