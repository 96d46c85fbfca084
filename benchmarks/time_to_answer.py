"""Seconds from a table to an answer: whole processes, cold and warm, against plain PyMC.

Each measurement is a process of its own. Cold means a fresh compile directory; warm, the same
command again; "warmed up", a fresh directory after ``python -m pymc_mlm warmup``. The plain
graph is the same model as a PyMC user would write it, sampled by nutpie through `pm.sample`.

Usage: ``python benchmarks/time_to_answer.py [--models coalition nested trial] [--runs 1]``. The
data are those of the reference tools where PYMC_MLM_SHARED (or ../shared) has them, and
simulated ones else. BayesForge is run for the nested model by the Python named in
BAYESFORGE_PYTHON, or by this one if it is installed here.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
SHARED = Path(os.environ.get("PYMC_MLM_SHARED", HERE.parents[1] / "shared"))
RESULTS = HERE / "results.csv"
MODELS = ("coalition", "nested", "trial")
COLUMNS = ["model", "tool", "state", "whole", "import", "build", "compile", "sample", "report",
           "cpu", "min_ess", "max_rhat", "ess_per_second"]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--child", nargs=2, metavar=("TOOL", "MODEL"))
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(measure(*chosen.child)))
        return
    rows = []
    for model in chosen.models:
        for tool in ("pymc_mlm", "plain"):
            for _ in range(chosen.runs):
                rows.extend(cold_and_warm(tool, model))
    rows.extend(warmed_up(chosen.models))
    if "nested" in chosen.models:
        rows.extend(bayesforge() for _ in range(chosen.runs))
    tools = ("pymc_mlm", "plain", "BayesForge")
    rows = [row for row in rows if row]
    report(sorted(rows, key=lambda r: (MODELS.index(r["model"]), tools.index(r["tool"]))))
    print("skipped: bml and bmco run in R; their measured figures stand in docs/performance.md")


def cold_and_warm(tool: str, model: str) -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        for state in ("cold", "warm"):
            rows.append(child(tool, model, state, cache))
    return [r for r in rows if r]


def warmed_up(models: tuple[str, ...]) -> list[dict]:
    """First fits after one warm-up; each model has graphs of its own, so one cache serves all."""
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        command = [sys.executable, "-m", "pymc_mlm", "warmup"]
        subprocess.run(command, env=environment(cache), check=True, stdout=subprocess.DEVNULL)
        print(f"warm-up took {time.perf_counter() - start:.0f} s", flush=True)
        rows = [child("pymc_mlm", model, "warmed up", cache) for model in models]
    return [r for r in rows if r]


def bayesforge() -> dict:
    """The nested model in BayesForge: it compiles anew in every process."""
    python = os.environ.get("BAYESFORGE_PYTHON")
    if python is None and find_spec("BayesForge") is None:
        print("skipped: BayesForge is not installed, and BAYESFORGE_PYTHON names no Python with it")
        return {}
    if not (SHARED / "data" / "nested.csv").exists():
        print("skipped: BayesForge, since the table of the nested model is not there")
        return {}
    script = HERE / "bayesforge_nested.py"
    command = [python or sys.executable, str(script), str(SHARED / "data" / "nested.csv")]
    return process(command, dict(os.environ), "BayesForge", "nested", "any")


def child(tool: str, model: str, state: str, cache: str) -> dict:
    command = [sys.executable, __file__, "--child", tool, model]
    return process(command, environment(cache), tool, model, state)


def process(command: list[str], env: dict[str, str], tool: str, model: str, state: str) -> dict:
    start = time.perf_counter()
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    whole = time.perf_counter() - start
    if done.returncode:
        print(f"failed: {tool} {model} {state}\n{done.stderr[-2000:]}", file=sys.stderr)
        return {}
    row = {"model": model, "tool": tool, "state": state, "whole": whole}
    row |= json.loads(done.stdout.splitlines()[-1])
    print({k: round(v, 2) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def environment(cache: str) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return env | {"PYTENSOR_FLAGS": f"base_compiledir={cache}"}


def measure(tool: str, name: str) -> dict:
    """Fit one model in this process and return seconds and figures of merit."""
    times = {}
    clock = time.perf_counter
    start = clock()
    if tool == "pymc_mlm":
        import pymc_mlm as mlm

        times["import"] = clock() - start
        model, table = ours(name, mlm)
        start = clock()
        model.fit(table, random_seed=1, progressbar=False)
        attrs = model.idata["posterior"].attrs
        times["compile"], times["sample"] = attrs["compile_seconds"], attrs["sampling_seconds"]
        times["build"] = clock() - start - times["compile"] - times["sample"]
        start = clock()
        str(model.summary())
        times["report"] = clock() - start
        posterior = model.result_.posterior
        kinds = ("coefficient", "sd", "weight", "family", "correlation")
        posterior = posterior[model.result_.names(*kinds)]
    else:
        import nutpie
        import pymc as pm

        times["import"] = clock() - start
        start = clock()
        graph, names = plain(name, pm)
        times["build"] = clock() - start
        start = clock()
        compiled = nutpie.compile_pymc_model(graph)
        times["compile"] = clock() - start
        start = clock()
        idata = nutpie.sample(compiled, draws=1000, tune=1000, chains=4, seed=1,
                              progress_bar=False, save_warmup=False)  # fmt: skip
        times["sample"] = clock() - start
        start = clock()
        import arviz

        str(arviz.summary(idata, var_names=names))
        times["report"] = clock() - start
        posterior = idata["posterior"].to_dataset()[names]
    return times | figures(posterior, times["sample"])


def figures(posterior, seconds: float) -> dict:
    import arviz_stats
    import numpy as np

    with np.errstate(all="ignore"):
        ess = arviz_stats.ess(posterior, method="bulk")
        rhat = arviz_stats.rhat(posterior)
    # Constant entries (a correlation of a variable with itself) have no effective size.
    flat_ess = np.concatenate([np.ravel(ess[v].values) for v in ess.data_vars])
    flat_rhat = np.concatenate([np.ravel(rhat[v].values) for v in rhat.data_vars])
    varies = np.isfinite(flat_rhat)
    smallest = float(flat_ess[varies].min())
    return {
        "cpu": time.process_time(),
        "min_ess": smallest,
        "max_rhat": float(flat_rhat[varies].max()),
        "ess_per_second": smallest / seconds,
    }


def read(name: str):
    import pandas as pd

    return pd.read_csv(SHARED / "data" / name) if (SHARED / "data" / name).exists() else None


def coalition_table():
    table = read("coalgov.csv")
    if table is not None:
        return table
    from pymc_mlm.datasets import coalitions

    names = {"government": "gid", "party": "pid", "country": "cid", "weeks": "dur_wkb",
             "ended": "event_wkb"}  # fmt: skip
    return coalitions().rename(columns=names)


def ours(name: str, mlm):
    if name == "coalition":
        model = mlm.MultipleMembershipModel(
            "Surv(dur_wkb, event_wkb) ~ 1 + majority",
            mlm.mm("pid", "gid", covariates="cohesion"),
            mlm.hm("cid"),
            family="weibull",
        )
        return model, coalition_table()
    if name == "nested":
        table = read("nested.csv")
        return mlm.NestedVaryingEffects("y ~ 1 + x", levels=["region_id", "group_id"]), table
    table = read("bglmm_data.csv")
    model = mlm.MultivariateLogitTrial(["y1", "y2"], arm="group", control="placebo",
                                       covariates=["age"], cluster="id")  # fmt: skip
    return model, table


def plain(name: str, pm):
    return {"coalition": plain_coalition, "nested": plain_nested, "trial": plain_trial}[name](pm)


def plain_coalition(pm):
    import numpy as np
    import pandas as pd
    import pytensor.tensor as pt

    table = coalition_table()
    gid, _ = pd.factorize(table["gid"])
    pid, parties = pd.factorize(table["pid"])
    groups = table.drop_duplicates("gid")
    cid, countries = pd.factorize(groups["cid"])
    w = 1.0 / np.bincount(gid)[gid]
    cohesion = np.bincount(gid, w * table["cohesion"])
    time_, event = groups["dur_wkb"].to_numpy(float), groups["event_wkb"].to_numpy(float)
    s = np.log(time_).std()
    X = np.column_stack([groups["majority"].to_numpy(float), cohesion])
    with pm.Model() as model:
        intercept = pm.Normal("Intercept", np.log(time_).mean(), 2.5 * s)
        beta = pm.Normal("beta", 0, 2.5 * s / X.std(axis=0), shape=2)
        pid_sd = pm.HalfNormal("pid_sd", 2 * s)
        cid_sd = pm.HalfNormal("cid_sd", s)
        u = pid_sd * pm.Normal("u", 0, 1, shape=len(parties))
        v = cid_sd * pm.Normal("v", 0, 1, shape=len(countries))
        shape = pm.LogNormal("shape", 0, 1)
        members = pt.zeros(len(groups))[gid].inc(w * u[pid])
        mu = intercept + pm.math.dot(X, beta) + members + v[cid]
        upper = np.where(event == 1, np.inf, time_)
        weibull = pm.Weibull.dist(alpha=shape, beta=pt.exp(mu))
        pm.Censored("y", weibull, lower=None, upper=upper, observed=time_)
    return model, ["Intercept", "beta", "pid_sd", "cid_sd", "shape"]


def plain_nested(pm):
    table = read("nested.csv")
    x, y = table["x"].to_numpy(), table["y"].to_numpy()
    group, region = table["group_id"].to_numpy(), table["region_id"].to_numpy()
    parent = table.drop_duplicates("group_id").sort_values("group_id")["region_id"].to_numpy()
    with pm.Model() as model:
        import pytensor.tensor as pt

        mu = pt.stack([pm.Normal("a", 5, 2), pm.Normal("b", -1, 1)])
        effects = []
        for name, count in (("region", region.max() + 1), ("group", group.max() + 1)):
            chol, _, _ = pm.LKJCholeskyCov(
                f"chol_{name}", n=2, eta=2, sd_dist=pm.Exponential.dist(1)
            )
            z = pm.Normal(f"z_{name}", 0, 1, shape=(count, 2))
            effects.append(pm.math.dot(z, chol.T))
        leaf = mu + effects[0][parent] + effects[1]
        sigma = pm.Exponential("sigma", 1)
        pm.Normal("y", leaf[group, 0] + leaf[group, 1] * x, sigma, observed=y)
    names = ["a", "b", "sigma", "chol_region_stds", "chol_group_stds", "chol_region_corr",
             "chol_group_corr"]  # fmt: skip
    return model, names


def plain_trial(pm):
    import numpy as np
    import pandas as pd
    import pytensor.tensor as pt

    table = read("bglmm_data.csv")
    drug = (table["group"] != "placebo").to_numpy(float)
    age = table["age"].to_numpy()
    age = (age - age.mean()) / age.std()
    X = np.column_stack([np.ones(len(table)), drug, age, drug * age])
    cluster, clusters = pd.factorize(table["id"])
    cell = (3 - 2 * table["y1"] - table["y2"]).to_numpy()
    with pm.Model() as model:
        beta = pm.Normal("beta", 0, 1.5, shape=(4, 3))
        chol, _, _ = pm.LKJCholeskyCov("chol", n=3, eta=2, sd_dist=pm.HalfNormal.dist(1.0))
        z = pm.Normal("z", 0, 1, shape=(len(clusters), 3))
        psi = pm.math.dot(X, beta) + pm.math.dot(z, chol.T)[cluster]
        logits = pt.concatenate([psi, pt.zeros((len(table), 1))], axis=1)
        pm.Categorical("y", logit_p=logits, observed=cell)
    return model, ["beta", "chol_stds", "chol_corr"]


def report(rows: list[dict]) -> None:
    packages = ("pymc", "pytensor", "nutpie", "numba", "numpy")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    versions = ", ".join(f"{p} {version(p)}" for p in packages)
    with RESULTS.open("w", newline="") as file:
        file.write(f"# {machine}; {versions}\n")
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()})
    print(f"\n{machine}; {versions}")
    print("  ".join(f"{c:>9}" for c in COLUMNS))
    for row in rows:
        cells = [row.get(c, "") for c in COLUMNS]
        print("  ".join(f"{c:9.2f}" if isinstance(c, float) else f"{c:>9}" for c in cells))
    print(f"\nwritten to {RESULTS.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
