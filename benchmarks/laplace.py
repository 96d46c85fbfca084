"""Seconds from a table to draws by Laplace's method, on simulated tables.

Usage: python benchmarks/laplace.py [name ...] [--nuts] [--peers]. Processor seconds of one thread;
a small fit comes first, so that imports are paid for; memberships-1m only when named. With --nuts
the table is sampled, too, and the means of all standard deviations are compared. With --peers R's
lme4 and glmmTMB fit it where they can and are installed; they give a maximum, no draws.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import pandas as pd

import pymc_mlm as mlm

RUN = {"draws": 250, "chains": 4, "random_seed": 1, "progressbar": False}


def logistic(eta, rng):
    return 1 * (rng.random(len(eta)) < 1 / (1 + np.exp(-eta)))


def memberships(rows, rng, family="bernoulli", members=None):
    """Groups of five members, weights that are a softmax; 50 rows of a member if not given."""
    groups, members = rows // 5, members or rows // 50
    member = rng.integers(0, members, (groups, 5))
    z, s, x = rng.normal(size=(groups, 5)), rng.normal(size=(groups, 5)), rng.normal(size=groups)
    w = np.exp(s) / np.exp(s).sum(axis=1, keepdims=True)
    u = 0.7 * rng.normal(size=members)
    eta = 0.3 + 0.5 * x + (w * (u[member] - 0.4 * z)).sum(axis=1)
    y = eta + 0.96 * rng.normal(size=groups) if family == "gaussian" else logistic(eta, rng)
    of_group = {"group": np.arange(groups), "x": x, "y": y}
    table = {k: np.repeat(v, 5) for k, v in of_group.items()}
    table |= {"member": member.ravel(), "z": z.ravel(), "s": s.ravel()}
    term = mlm.mm("member", "group", covariates="z", weight=mlm.weights.softmax("s"))
    return table, mlm.MultipleMembershipModel("y ~ 1 + x", term, family=family)


def gaussian(rows, rng):
    """The same with a Gaussian outcome."""
    return memberships(rows, rng, "gaussian")


def doubles(matches, rng, players=992):
    """Matches of two against two."""
    player = np.array([rng.choice(players, 4, replace=False) for _ in range(matches)])
    sign = np.tile([1.0, 1.0, -1.0, -1.0], (matches, 1))
    win = logistic((sign * 0.45 * rng.normal(size=players)[player]).sum(axis=1), rng)
    table = {"match": np.repeat(np.arange(matches), 4), "win": np.repeat(win, 4)}
    table |= {"player": player.ravel(), "sign": sign.ravel()}
    term = mlm.mm("player", "match", weight="sign", normalize=False)
    return table, mlm.MultipleMembershipModel("win ~ 1", term, family="bernoulli")


def nested(rows, rng):
    """Varying intercepts and slopes of schools in regions, correlated."""
    schools = rows // 20
    regions = schools // 10
    school, x = rng.integers(0, schools, rows), rng.normal(size=rows)
    b = [0.2, 0.4] + (rng.normal(size=(regions, 2)) * [0.6, 0.3])[np.arange(schools) % regions]
    b += rng.normal(size=(schools, 2)) * [0.5, 0.3]
    y = logistic(b[school, 0] + b[school, 1] * x, rng)
    table = {"region": school % regions, "school": school, "x": x, "y": y}
    levels = ["region", "school"]
    return table, mlm.NestedVaryingEffects("y ~ 1 + x", levels=levels, family="bernoulli")


def crossed(rows, rng):
    """Ratings of lecturers by students, sizes and deviations those of lme4's InstEval."""
    student, lecturer = rng.integers(0, 2_972, rows), rng.integers(0, 1_128, rows)
    department, service = lecturer % 14, rng.integers(0, 2, rows)
    y = 3.3 - 0.1 * service + 0.33 * rng.normal(size=2_972)[student] + 1.18 * rng.normal(size=rows)
    y += 0.52 * rng.normal(size=1_128)[lecturer] + 0.2 * rng.normal(size=14)[department]
    table = {"student": student, "lecturer": lecturer, "department": department}
    terms = [mlm.hm(name) for name in table]
    return table | {"service": service, "y": y}, mlm.MultipleMembershipModel("y ~ service", *terms)


def value_added(students, rng, years=5, teachers=150):
    """Scores of students in five years, a new teacher in each, whose effects last in part."""
    lasts, effect = [1.0, 0.5, 0.3, 0.2, 0.1], 0.3 * rng.normal(size=(years, teachers))
    taught = rng.integers(0, teachers, (students, years))
    student, own = np.arange(students), 0.8 * rng.normal(size=students)
    parts = []
    for year in range(years):
        past = range(year + 1)
        score = own + 0.6 * rng.normal(size=students)
        score += sum(lasts[year - t] * effect[t, taught[:, t]] for t in past)
        for t in past:
            teacher = t * teachers + taught[:, t]
            part = {"student": student, "teacher": teacher, "score": score, "year": year}
            parts.append(pd.DataFrame(part | {"test": student * years + year, "lag": year - t}))
    weight = mlm.weights.persistence("lag", lags=years - 1)
    terms = [mlm.mm("teacher", "test", weight=weight, normalize=False), mlm.hm("student")]
    model = mlm.MultipleMembershipModel("score ~ 1 + C(year)", *terms)
    return pd.concat(parts, ignore_index=True), model


TABLES = {
    "gaussian-10k": (gaussian, 10_000),
    "memberships-10k": (memberships, 10_000),
    "memberships-100k": (memberships, 100_000),
    "memberships-1m": (memberships, 1_000_000),
    "doubles": (doubles, 13_038),
    "crossed-73k": (crossed, 73_421),
    "value-added": (value_added, 37_500),
    "nested-2k": (nested, 2_000),
    "nested-10k": (nested, 10_000),
}


SLOPES = "y ~ x + (1 + x | region) + (1 + x | school)"
# Tools of R, formula and family of what they can fit.
PEERS = {
    "crossed-73k": (
        ("lme4", "y ~ service + (1 | student) + (1 | lecturer) + (1 | department)", "gaussian"),
    ),
    "nested-2k": (("glmmTMB", SLOPES, "binomial"), ("lme4", SLOPES, "binomial")),
    "nested-10k": (("glmmTMB", SLOPES, "binomial"), ("lme4", SLOPES, "binomial")),
}


def peers(name, table):
    """Fit a table by tools of R, where there are any."""
    if name not in PEERS:
        print("  peers: no tool of R fits estimated weights or several members of a row")
        return
    if shutil.which("Rscript") is None:
        print("  peers: Rscript is not installed")
        return
    script = Path(__file__).with_name("mixed_model.R")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        table.to_csv(path, index=False)
        for tool, formula, family in PEERS[name]:
            command = ["Rscript", str(script), tool, str(path), formula, family]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            last = (done.stdout or done.stderr).strip().splitlines()[-1:]
            print(f"  {tool}: {''.join(last)}", flush=True)


def timed(model, table, **options):
    wall, cpu = time.perf_counter(), time.process_time()
    model.fit(table, **RUN, **options)
    return time.perf_counter() - wall, time.process_time() - cpu


def main(names, with_nuts, with_peers):
    warm, model = memberships(500, np.random.default_rng(0))
    timed(model, pd.DataFrame(warm), path="laplace")
    for name in names or [n for n in TABLES if n != "memberships-1m"]:
        simulate, size = TABLES[name]
        table, model = simulate(size, np.random.default_rng(1))
        table = pd.DataFrame(table)
        path = "collapsed" if simulate in (gaussian, crossed, value_added) else "laplace"
        wall, cpu = timed(model, table, path=path)
        found = model.result_.posterior
        sds = [n for n in found if str(n).endswith("_sd")]
        attrs = found.attrs
        print(
            f"{name}: {cpu:.1f} s of processor, {wall:.1f} s on the clock, "
            f"k-hat {attrs['k_hat']:.2f}, effective size {attrs['effective_size']:.0f}, "
            f"exact {bool(attrs['is_exact'])}",
            flush=True,
        )
        if with_peers:
            mean = {n: found[n].mean(("chain", "draw")).values.round(3).tolist() for n in sds}
            print(f"  pymc_mlm: sds {mean}")
            peers(name, table)
        if with_nuts:
            wall, cpu = timed(model, table, path="sampled", tune=500)
            nuts = model.result_.posterior
            over = ("chain", "draw")
            away = [abs(found[n].mean(over) - nuts[n].mean(over)) / nuts[n].std(over) for n in sds]
            print(
                f"  NUTS {cpu:.1f} s; largest difference of an sd {max(map(np.max, away)):.2f} sd"
            )


if __name__ == "__main__":
    given = sys.argv[1:]
    main([a for a in given if not a.startswith("--")], "--nuts" in given, "--peers" in given)
