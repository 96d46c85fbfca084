"""Two binary outcomes in clusters, given the cluster effects: rows are people, 15 a cluster."""

from __future__ import annotations

import math

import numpy as np

from gradients import bound

SIZES = (300, 100_000)


def data(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(rows), rng.random(rows) < 0.5, rng.normal(size=rows)])
    return {
        "X": np.column_stack([X, X[:, 1] * X[:, 2]]),
        "cluster": np.sort(rng.integers(0, rows // 15, rows)),
        "cell": rng.integers(0, 4, rows),
        "clusters": np.array(rows // 15),
    }


def parameters(d: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    return {"beta": rng.normal(size=(3, 4)), "u": rng.normal(size=(int(d["clusters"]), 3))}


def ours(d):
    import pymc as pm

    from pymc_mlm.inference.compiled_nutpie import compile_model
    from pymc_mlm.ops.multinomial_logit import multinomial_logit_loglik

    start, rows = parameters(d), len(d["X"])
    arrays = [d["X"], np.ones((rows, 1)), d["cluster"], np.eye(3), d["cell"], np.eye(4) > 0,
              np.ones(rows)]  # fmt: skip
    with pm.Model() as model:
        p = [pm.Flat(n, shape=v.shape, initval=v) for n, v in start.items()]
        held = [pm.Data(f"data_{i}", array) for i, array in enumerate(arrays)]
        pm.Potential("likelihood", multinomial_logit_loglik(*p, *held))
    compiled = compile_model(model, list(start))
    point = np.concatenate([np.ravel(start[name]) for name, _ in compiled.layout])
    return bound(compiled, point)


def plain(d):
    import pytensor
    import pytensor.tensor as pt

    start = parameters(d)
    share = {k: pytensor.shared(v) for k, v in d.items()}
    beta, u = pt.dmatrix("beta"), pt.dmatrix("u")
    eta = pt.dot(share["X"], beta.T) + u[share["cluster"]]
    logits = pt.concatenate([eta, pt.zeros((eta.shape[0], 1))], axis=1)
    chosen = logits[pt.arange(eta.shape[0]), share["cell"]]
    logp = pt.sum(chosen - pt.logsumexp(logits, axis=1))
    outputs = [logp, *pt.grad(logp, [beta, u])]
    f = pytensor.function([beta, u], outputs, mode="NUMBA", trust_input=True)
    return lambda: f(start["beta"], start["u"])[0]


def floor(d):
    """The same arithmetic in bare loops."""
    import numba

    @numba.njit(fastmath=True, error_model="numpy")
    def run(X, cluster, cell, beta, u, gbeta, gu, phi):
        logp = 0.0
        gbeta[:] = 0.0
        gu[:] = 0.0
        for i in range(len(X)):
            c = np.uint64(cluster[i])
            total = 1.0
            for m in range(3):
                t = u[c, m]
                for j in range(4):
                    t += X[i, j] * beta[m, j]
                if cell[i] == m:
                    logp += t
                phi[m] = math.exp(t)
                total += phi[m]
            logp -= math.log(total)
            for m in range(3):
                g = -phi[m] / total
                if cell[i] == m:
                    g += 1.0
                gu[c, m] += g
                for j in range(4):
                    gbeta[m, j] += g * X[i, j]
        return logp

    p = parameters(d)
    work = [np.empty((3, 4)), np.empty_like(p["u"]), np.empty(3)]
    return lambda: run(d["X"], d["cluster"], d["cell"], p["beta"], p["u"], *work)
