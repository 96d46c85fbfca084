"""Intercepts and slopes of leaves in regions, Gaussian outcome: rows are observations.

This package integrates the effects out and reads the rows once, before sampling; floor and plain
graph have the effects as parameters and read the rows at every gradient. The log densities
therefore differ; the posterior of what they share is the same.
"""

from __future__ import annotations

import math

import numpy as np

from gradients import bound

SIZES = (400, 1_000_000)


def data(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    leaves = min(rows // 20, 2_000)
    regions = leaves // 5
    leaf = np.concatenate([np.arange(leaves), rng.integers(0, leaves, rows - leaves)])
    parent = np.concatenate([np.arange(regions), rng.integers(0, regions, leaves - regions)])
    x = rng.normal(size=rows)
    effect = rng.normal(size=(regions, 2))[parent] + rng.normal(size=(leaves, 2))
    y = effect[leaf, 0] + effect[leaf, 1] * x + rng.normal(size=rows)
    return {"leaf": leaf, "parent": parent, "x": x, "y": y}


def parameters(d: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    leaves, regions = len(d["parent"]), int(d["parent"].max()) + 1
    scalars = np.array([0.1, 0.2, -0.1, 0.2, 0.1, -0.2, 0.0])  # a, b, log sds, log sigma
    return {"s": scalars, "v": rng.normal(size=(regions, 2)), "z": rng.normal(size=(leaves, 2))}


def ours(d):
    from pymc_mlm import NestedVaryingEffects
    from pymc_mlm.inference.compiled_nutpie import compile_model

    table = {"region": d["parent"][d["leaf"]], "leaf": d["leaf"], "x": d["x"], "y": d["y"]}
    model = NestedVaryingEffects("y ~ 1 + x", levels=["region", "leaf"]).build(table)
    compiled = compile_model(model, [v.name for v in model.free_RVs])
    point = np.zeros(compiled.sampled.n_dim)
    return bound(compiled, point)


def plain(d):
    import pytensor
    import pytensor.tensor as pt

    start = parameters(d)
    share = {k: pytensor.shared(v) for k, v in d.items()}
    s, v, z = pt.dvector("s"), pt.dmatrix("v"), pt.dmatrix("z")
    leaf = s[:2] + pt.exp(s[2:4]) * v[share["parent"]] + pt.exp(s[4:6]) * z
    mu = leaf[share["leaf"], 0] + leaf[share["leaf"], 1] * share["x"]
    residual = (share["y"] - mu) / pt.exp(s[6])
    logp = -0.5 * pt.sum(residual**2) - s[6] * residual.shape[0]
    outputs = [logp, *pt.grad(logp, [s, v, z])]
    f = pytensor.function([s, v, z], outputs, mode="NUMBA", trust_input=True)
    return lambda: f(*start.values())[0]


def floor(d):
    """The arithmetic of the plain graph in bare loops."""
    import numba

    @numba.njit(fastmath=True, error_model="numpy")
    def run(leaf, parent, x, y, s, v, z, gs, gv, gz, total, gtotal):
        sds = (math.exp(s[2]), math.exp(s[3]), math.exp(s[4]), math.exp(s[5]))
        sigma = math.exp(s[6])
        for g in range(len(parent)):
            for j in range(2):
                total[g, j] = s[j] + sds[j] * v[parent[g], j] + sds[2 + j] * z[g, j]
                gtotal[g, j] = 0.0
        squares = 0.0
        for i in range(len(x)):
            g = np.uint64(leaf[i])
            r = (y[i] - total[g, 0] - total[g, 1] * x[i]) / sigma
            squares += r * r
            gtotal[g, 0] += r / sigma
            gtotal[g, 1] += r / sigma * x[i]
        gs[:] = 0.0
        gv[:] = 0.0
        for g in range(len(parent)):
            for j in range(2):
                t = gtotal[g, j]
                gs[j] += t
                gv[parent[g], j] += sds[j] * t
                gz[g, j] = sds[2 + j] * t
                gs[2 + j] += sds[j] * v[parent[g], j] * t
                gs[4 + j] += sds[2 + j] * z[g, j] * t
        gs[6] = squares - len(x)
        return -0.5 * squares - s[6] * len(x)

    p = parameters(d)
    leaves, regions = len(p["z"]), len(p["v"])
    shapes = [7, (regions, 2), (leaves, 2), (leaves, 2), (leaves, 2)]
    work = [np.empty(shape) for shape in shapes]
    arrays = [d[n] for n in ("leaf", "parent", "x", "y")]
    return lambda: run(*arrays, p["s"], p["v"], p["z"], *work)
