"""Multiple-membership Weibull model with estimated weights: rows are memberships, 4 a group."""

from __future__ import annotations

import math

import numpy as np

from gradients import bound

SIZES = (2_000, 200_000, 5_000_000)


def data(rows: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    groups, members = rows // 4, rows // 8
    group = np.sort(np.concatenate([np.arange(groups), rng.integers(0, groups, rows - groups)]))
    return {
        "group": group,
        "member": rng.integers(0, members, rows),
        "seats": rng.random(rows),
        "cohesion": rng.normal(size=rows),
        "x": rng.normal(size=groups),
        "time": rng.exponential(size=groups) + 0.1,
        "event": (rng.random(groups) < 0.8).astype(float),
        "members": np.array(members),
    }


def parameters(d: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"a": 0.1, "beta": 0.2, "gamma": -0.3, "b": 0.7, "log_sd": -0.5, "log_shape": 0.1,
            "z": np.random.default_rng(2).normal(size=int(d["members"]))}  # fmt: skip


NAMES = ("a", "beta", "gamma", "b", "log_sd", "log_shape", "z")


def log_likelihood(d: dict[str, np.ndarray], p, ops, prefix: str):
    """Return the graph of the log likelihood; prefix "reference_" asks for plain PyTensor."""
    import pytensor
    import pytensor.tensor as pt

    indptr = np.concatenate([[0], np.cumsum(np.bincount(d["group"]))])
    share = {k: pytensor.shared(np.asarray(v)) for k, v in d.items()}
    share |= {"indptr": pytensor.shared(indptr)}
    pick = lambda name: getattr(ops, prefix + name)  # noqa: E731
    rest = (share["group"], share["indptr"])
    effects = pt.exp(p["log_sd"]) * p["z"]
    values = (effects, p["gamma"] * share["cohesion"], share["member"])
    eta = p["a"] + p["beta"] * share["x"]
    eta = eta + pick("group_mean")(p["b"] * share["seats"], *values, *rest)
    shape = pt.exp(p["log_shape"])
    return pick("censored_weibull_logp")(eta, shape, share["time"], share["event"]).sum()


def ours(d):
    """Compile as the package does: one function of loops that calls the Ops' kernels."""
    import pymc as pm

    from pymc_mlm import ops
    from pymc_mlm.inference.compiled_nutpie import compile_model

    start = parameters(d)
    with pm.Model() as model:
        p = {n: pm.Flat(n, shape=np.shape(start[n]), initval=start[n]) for n in NAMES}
        pm.Potential("likelihood", log_likelihood(d, p, ops, ""))
    compiled = compile_model(model, NAMES)
    point = np.concatenate([np.ravel(start[name]) for name, _ in compiled.layout])
    return bound(compiled, point)


def plain(d):
    """Compile the plain graph as PyTensor does."""
    import pytensor
    import pytensor.tensor as pt

    from pymc_mlm import ops

    start = parameters(d)
    p = {n: pt.dvector(n) if np.ndim(start[n]) else pt.dscalar(n) for n in NAMES}
    logp = log_likelihood(d, p, ops, "reference_")
    inputs = list(p.values())
    outputs = [logp, *pt.grad(logp, inputs)]
    f = pytensor.function(inputs, outputs, mode="NUMBA", trust_input=True)
    values = [np.asarray(start[n]) for n in NAMES]
    return lambda: f(*values)[0]


def floor(d):
    """The same arithmetic in bare loops: what no graph can beat by much."""
    import numba

    @numba.njit(fastmath=True, error_model="numpy")
    def run(group, member, seats, cohesion, x, t, event, s, z, gs, gz, eta, total, top, w, ge):
        rows, groups = len(group), len(x)
        a, beta, gamma, b, sd, shape = s[0], s[1], s[2], s[3], math.exp(s[4]), math.exp(s[5])
        for g in range(groups):
            eta[g], total[g], top[g] = a + beta * x[g], 0.0, -1e300
        for k in range(rows):
            g = np.uint64(group[k])
            r = b * seats[k]
            w[k] = r
            if r > top[g]:
                top[g] = r
        for k in range(rows):
            g = np.uint64(group[k])
            w[k] = math.exp(w[k] - top[g])
            total[g] += w[k]
        for k in range(rows):
            g = np.uint64(group[k])
            w[k] /= total[g]
            eta[g] += w[k] * (gamma * cohesion[k] + sd * z[np.uint64(member[k])])
        logp = 0.0
        for j in range(6):
            gs[j] = 0.0
        for g in range(groups):
            log_t = math.log(t[g])
            zeta = shape * (log_t - eta[g])
            hazard = math.exp(zeta)
            logp += event[g] * (s[5] - log_t + zeta) - hazard
            ge[g] = shape * (hazard - event[g])
            gs[5] += event[g] * (1.0 + zeta) - hazard * zeta
            gs[0] += ge[g]
            gs[1] += ge[g] * x[g]
            total[g] = 0.0
        for m in range(len(z)):
            gz[m] = 0.0
        for k in range(rows):
            g, m = np.uint64(group[k]), np.uint64(member[k])
            v = gamma * cohesion[k] + sd * z[m]
            c = ge[g] * w[k]
            total[g] += w[k] * v
            gs[2] += c * cohesion[k]
            gs[4] += c * sd * z[m]
            gz[m] += c * sd
        for k in range(rows):
            g = np.uint64(group[k])
            v = gamma * cohesion[k] + sd * z[np.uint64(member[k])]
            gs[3] += w[k] * ge[g] * (v - total[g]) * seats[k]
        return logp

    p = parameters(d)
    s = np.array([p["a"], p["beta"], p["gamma"], p["b"], p["log_sd"], p["log_shape"]])
    groups, rows = len(d["x"]), len(d["group"])
    work = [np.empty(6), np.empty(int(d["members"])), *(np.empty(groups) for _ in range(3)),
            np.empty(rows), np.empty(groups)]  # fmt: skip
    names = ("group", "member", "seats", "cohesion", "x", "time", "event")
    arrays = [d[n] for n in names]
    return lambda: run(*arrays, s, p["z"], *work)
