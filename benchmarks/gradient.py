"""Microseconds and memory of one log density with its gradient, against two rulers.

For the multiple-membership Weibull model with estimated weights, at 2 thousand, 200 thousand
and 5 million membership rows: this package's graph, the plain PyTensor graph of the same model
(scatter sums, no custom Op), and a bare numba loop that does the same arithmetic (the floor).
Each size runs in a process of its own, so that peak memory is its own.

Usage: ``python benchmarks/gradient.py [--rows 2000 200000 5000000]``
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import time

import numpy as np

SIZES = (2_000, 200_000, 5_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", nargs="+", type=int, default=SIZES)
    parser.add_argument("--child", nargs=2)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(measure(chosen.child[0], int(chosen.child[1]))))
        return
    heads = ("rows", "variant", "us/gradient", "of floor", "MB", "log density")
    print("{:>9}  {:>9}  {:>12}  {:>8}  {:>7}  {}".format(*heads))
    for rows in chosen.rows:
        results = {v: child(v, rows) for v in ("floor", "pymc_mlm", "plain")}
        for variant, r in results.items():
            ratio = r["us"] / results["floor"]["us"]
            print(
                f"{rows:>9}  {variant:>9}  {r['us']:12.1f}  {ratio:8.2f}  {r['mb']:7.0f}  "
                f"{r['logp']:.6f}",
                flush=True,
            )


def child(variant: str, rows: int) -> dict:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, __file__, "--child", variant, str(rows)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


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


def measure(variant: str, rows: int) -> dict:
    d = data(rows)
    evaluate = {"floor": floor, "pymc_mlm": ours, "plain": plain}[variant](d)
    logp = evaluate()
    repeats = max(3, min(2_000, int(1e7 / rows)))
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeats):
            evaluate()
        best = min(best, (time.perf_counter() - start) / repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"us": best * 1e6, "mb": peak, "logp": float(logp)}


def parameters(d: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {"a": 0.1, "beta": 0.2, "gamma": -0.3, "b": 0.7, "log_sd": -0.5, "log_shape": 0.1,
            "z": np.random.default_rng(2).normal(size=int(d["members"]))}  # fmt: skip


def graph(d: dict[str, np.ndarray], plain_graph: bool):
    """Return a compiled function of (scalars (6,), z) with log likelihood and gradients."""
    import pytensor
    import pytensor.tensor as pt

    from pymc_mlm import ops

    s, z = pt.dvector("s"), pt.dvector("z")
    counts = np.bincount(d["group"])
    indptr = np.concatenate([[0], np.cumsum(counts)])
    share = {k: pytensor.shared(np.asarray(v)) for k, v in d.items()}
    rows_of = np.arange(len(d["group"]))
    share |= {"indptr": pytensor.shared(indptr), "rows": pytensor.shared(rows_of)}
    pick = lambda name: getattr(ops, f"reference_{name}" if plain_graph else name)  # noqa: E731
    w = pick("group_softmax")(s[3] * share["seats"], share["group"], share["indptr"])
    eta = s[0] + s[1] * share["x"]
    rest = (share["group"], share["indptr"])
    eta = eta + pick("group_sum")(w, pt.exp(s[4]) * z, share["member"], *rest)
    eta = eta + pick("group_sum")(w, s[2] * share["cohesion"], share["rows"], *rest)
    rows = pick("censored_weibull_logp")(eta, pt.exp(s[5]), share["time"], share["event"])
    logp = rows.sum()
    return pytensor.function([s, z], [logp, *pt.grad(logp, [s, z])], mode="NUMBA", trust_input=True)


def ours(d):
    return _call(graph(d, plain_graph=False), d)


def plain(d):
    return _call(graph(d, plain_graph=True), d)


def _call(f, d):
    p = parameters(d)
    scalars = np.array([p["a"], p["beta"], p["gamma"], p["b"], p["log_sd"], p["log_shape"]])
    return lambda: f(scalars, p["z"])[0]


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


if __name__ == "__main__":
    main()
