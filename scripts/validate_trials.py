"""Error rates and coverage of trials' decisions: thousands of data sets, each fitted.

``python scripts/validate_trials.py results.csv`` fits what the file does not have yet, as many at a
time as there are cores, and prints the tables of docs/validation/trials.md. Another call goes on
where the last one stopped. ``--only NAME`` and ``--trials N`` choose (0 fits nothing);
``--jobs 1`` takes one core; ``--looks`` prints the table of trials with looks alone, and
``--against-long 50`` the differences of short fits from four chains of 1,000 draws.
"""

import argparse
import csv
import sys
import warnings
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

import pymc_mlm as mlm
from pymc_mlm.planning import (
    Clusters,
    Looks,
    TrialDesign,
    calibrate_looks,
    operating_characteristics,
    sequential_characteristics,
)
from pymc_mlm.planning.patterns import pattern_values
from pymc_mlm.planning.refit import ARM, CLUSTER, simulated_table

CLINICIAN, PATIENT = "clinician_", "patient_"
RULES = ("All", "Any", "Compensatory")
FIELDS = ("scenario", "trial", *RULES, "covered", "outcomes")
NULL, ONE = {2: (0.0, 0.0), 3: (0.0,) * 3}, {2: (0.15, 0.0), 3: (0.15, 0.15, 0.0)}


def scenario(outcomes, effects, level=0.4, **more):
    """Return a design; the control succeeds with probability `level` on every outcome."""
    arms = {"old": (level,) * outcomes, "new": tuple(level + e for e in effects[outcomes])}
    return TrialDesign(arms, correlation=0.3, **more)


def clusters(number, size, icc):
    """Return the argument of a cluster-randomised design."""
    return {"clusters": Clusters(number, size, icc=icc)}


@dataclass(frozen=True)
class Members:
    """A trial of the patients of clinicians, who are randomised; each patient has two of them.

    A clinician has a normal effect on the log odds of each outcome given the others, with the
    standard deviation `sd` and the correlation `correlation` between outcomes. Each of a patient's
    two clinicians counts one half. Both are drawn from all clinicians of the arm.
    """

    design: TrialDesign
    per_arm: int
    sd: float
    correlation: float = 0.5

    @property
    def effects(self):
        """Effects on patients of clinicians to come: those of the design only if zero."""
        return self.design.effects

    def table(self, rng):
        """Simulate a row for each patient and clinician."""
        arms, outcomes = self.design.success.shape
        cov = self.sd**2 * (self.correlation + (1 - self.correlation) * np.eye(outcomes))
        effect = rng.multivariate_normal(np.zeros(outcomes), cov, arms * self.per_arm)
        arm = np.repeat(np.arange(arms), self.design.patients)
        own = rng.random((len(arm), self.per_arm)).argsort(axis=1)[:, :2]
        clinician = own + self.per_arm * arm[:, None]
        values = pattern_values(outcomes)
        odds = np.exp(effect[clinician].mean(axis=1) @ values.T)
        odds *= self.design.pattern_probabilities[arm]
        share = odds.cumsum(axis=1) / odds.sum(axis=1, keepdims=True)
        y = values[(rng.random((len(arm), 1)) > share[:, :-1]).sum(axis=1)]
        table = {name: np.repeat(y[:, k], 2) for k, name in enumerate(self.design.names)}
        table[ARM] = np.repeat(np.array(list(self.design.arms))[arm], 2)
        patient = np.repeat(np.arange(len(arm)), 2)
        return table | {PATIENT: patient, CLINICIAN: clinician.ravel()}


SCENARIOS = {
    "100 per arm, K = 2, no effect": scenario(2, NULL, per_arm=100),
    "100 per arm, K = 2, effect on one": scenario(2, ONE, per_arm=100),
    "100 per arm, K = 3, no effect": scenario(3, NULL, per_arm=100),
    "100 per arm, K = 3, effect on two": scenario(3, ONE, per_arm=100),
    "30 per arm, success .1, K = 2, no effect": scenario(2, NULL, level=0.1, per_arm=30),
    "100 per arm, 20% missing, K = 2, no effect": scenario(2, NULL, per_arm=100, dropout=0.2),
    "10 clusters of 15 per arm, ICC .1, K = 2, no effect": scenario(
        2, NULL, **clusters(10, 15, 0.1)
    ),
    "10 clusters of 15 per arm, ICC .1, K = 2, effect on one": scenario(
        2, ONE, **clusters(10, 15, 0.1)
    ),
    "5 clusters of 30 per arm, ICC .05, K = 2, no effect": scenario(
        2, NULL, **clusters(5, 30, 0.05)
    ),
    "20 clusters of 10 per arm, ICC .3, K = 2, no effect": scenario(
        2, NULL, **clusters(20, 10, 0.3)
    ),
    "20 clusters of 10 per arm, ICC 0, K = 3, no effect": scenario(
        3, NULL, **clusters(20, 10, 0.0)
    ),
    "12 clinicians per arm, sd .5, two for each of 150 patients, K = 2, no effect": Members(
        scenario(2, NULL, per_arm=150), per_arm=12, sd=0.5
    ),
}
LOOKED_AT = (
    "100 per arm, K = 2, no effect",
    "10 clusters of 15 per arm, ICC .1, K = 2, no effect",
    "5 clusters of 30 per arm, ICC .05, K = 2, no effect",
)
SAMPLED = {"draws": 500, "tune": 400, "chains": 1}
LONG = {"draws": 1000, "tune": 1000, "chains": 4}
COMPARED = "10 clusters of 15 per arm, ICC .1, K = 2, effect on one"


def effects(name, trial, clustered):
    """Simulate and fit one trial; return the draws of its effect and the design."""
    asked = SCENARIOS[name]
    rng = np.random.default_rng([list(SCENARIOS).index(name), trial])
    if isinstance(asked, Members):
        design, table = asked.design, asked.table(rng)
        units = {"terms": [mlm.mm(CLINICIAN, PATIENT)]}
    else:
        design, table = asked, simulated_table(asked, rng)
        units = {} if design.clusters is None else {"cluster": CLUSTER}
    model = mlm.MultivariateLogitTrial(
        list(design.names), ARM, control="old", missing="drop", **units
    )
    settings = clustered if units else {"draws": 10_000}
    with warnings.catch_warnings():
        # Short runs by design: error rates are averages over data sets.
        warnings.simplefilter("ignore", UserWarning)
        model.fit(table, random_seed=trial, progressbar=False, **settings)
    return model.treatment_effect(), design


def fired(effect):
    """Tell of each rule whether it finds the treatment better."""
    count = effect.sizes["outcome"]
    rules = (mlm.rules.All(), mlm.rules.Any(), mlm.rules.Compensatory((1 / count,) * count))
    return [mlm.decisions.decide(rule, effect).conclusion == "superior" for rule in rules]


def analysed(name, trial):
    """Simulate, fit and decide one trial."""
    effect, design = effects(name, trial, SAMPLED)
    low, high = effect.quantile([0.05, 0.95], ("chain", "draw")).values
    truth = design.effects[0]
    covered = int(((low <= truth) & (truth <= high)).sum())
    return [name, trial, *map(int, fired(effect)), covered, len(truth)]


def long_lines(trials):
    """Yield how far short fits of clustered trials are from long ones of the same data."""
    means, chances, decisions = [], [], []
    for trial in range(trials):
        short, long = (effects(COMPARED, trial, run)[0] for run in (SAMPLED, LONG))
        over = ("chain", "draw")
        means.append(((short.mean(over) - long.mean(over)) / long.std(over)).values)
        chances.append(((short > 0).mean(over) - (long > 0).mean(over)).values)
        decisions.append([a == b for a, b in zip(fired(short), fired(long), strict=True)])
    for what, found in (("mean, posterior sd", means), ("P(effect > 0)", chances)):
        found = np.abs(found)
        yield f"{what}: {np.sqrt(np.mean(found**2)):.3f} rms, {found.max():.3f} at most"
    yield f"decisions alike: {np.sum(decisions)} of {np.size(decisions)}"


def read(path):
    """Return the rows of the file, by scenario and trial."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {(row["scenario"], int(row["trial"])): row for row in csv.DictReader(file)}


def complete(path, names, trials, jobs):
    """Fit what the file lacks; each result is written when it arrives."""
    done = read(path)
    todo = [(n, t) for n in names for t in range(trials) if (n, t) not in done]
    with path.open("a", newline="") as file:
        write = csv.writer(file)
        if not done:
            write.writerow(FIELDS)
        run = Parallel(n_jobs=jobs, return_as="generator_unordered")
        for row in run(delayed(analysed)(*pair) for pair in todo):
            write.writerow(row)
            file.flush()


def planned(design):
    """Return what planning says of each rule, how often it fires; None where it says nothing."""
    if isinstance(design, Members):
        return [None] * len(RULES)
    count = len(design.names)
    rules = (mlm.rules.All(), mlm.rules.Any(), mlm.rules.Compensatory((1 / count,) * count))
    found = []
    for rule in rules:
        asked = replace(design, rule=rule)
        summed = isinstance(rule, mlm.rules.Compensatory) and design.missing.any()
        method = "normal" if summed else "simulation"
        plan = operating_characteristics(asked, method, 20_000, random_seed=1, nulls=False)
        found.append(plan.power.value)
    return found


def lines(path):
    """Yield the table: percentages with their Monte Carlo errors, and what planning says."""
    found = defaultdict(list)
    for (name, _), row in read(path).items():
        found[name].append([int(row[k]) for k in (*RULES, "covered", "outcomes")])
    yield "| trials | data sets | All | Any | Compensatory | 90% intervals cover |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name in (n for n in SCENARIOS if n in found):
        rows = np.array(found[name], dtype=float)
        shares = [
            f"{p:.1%} (±{np.sqrt(p * (1 - p) / len(rows)):.1%})"
            + ("" if plan is None else f", {plan:.1%}")
            for p, plan in zip(rows[:, :3].mean(axis=0), planned(SCENARIOS[name]), strict=True)
        ]
        inside = rows[:, 3] / rows[:, 4]
        cover = f"{inside.mean():.1%} (±{inside.std() / np.sqrt(len(rows)):.1%})"
        yield f"| {name} | {len(rows):,} | {' | '.join(shares)} | {cover} |"


def looks_lines(trials=10_000):
    """Yield the table of trials with three looks: the error as calibrated, and without."""
    looks = Looks((0.4, 0.7, 1.0), spending="obrien_fleming")
    yield "| trials with looks at .4, .7, 1 | rule | thresholds | error | uncalibrated |"
    yield "|---|---|---|---:|---:|"
    for name in LOOKED_AT:
        for rule in (mlm.rules.All(), mlm.rules.Any()):
            design = replace(SCENARIOS[name], rule=rule)
            held = calibrate_looks(design, looks, trials=trials, random_seed=1)
            naive = replace(looks, spending=None, efficacy=design.cutoff)
            one, two = (
                sequential_characteristics(design, asked, trials, random_seed=2)
                for asked in (held, naive)
            )
            thresholds = ", ".join(f"{p:.4f}" for p in held.efficacy)
            errors = " | ".join(f"{f.worst_type_one_error.value:.3f}" for f in (one, two))
            yield f"| {name} | {rule.label} | {thresholds} | {errors} |"


def main(arguments):
    """Complete the file and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=Path("validation.csv"))
    parser.add_argument("--looks", action="store_true")
    parser.add_argument("--against-long", type=int, default=0)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=-1)
    parser.add_argument("--only", choices=list(SCENARIOS), action="append")
    asked = parser.parse_args(arguments)
    if asked.looks:
        print("\n".join(looks_lines()))
        return
    if asked.against_long:
        print("\n".join(long_lines(asked.against_long)))
        return
    if asked.trials:
        complete(asked.results, asked.only or list(SCENARIOS), asked.trials, asked.jobs)
    print("\n".join(lines(asked.results)))


if __name__ == "__main__":
    main(sys.argv[1:])
