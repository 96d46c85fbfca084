"""Who wins in men's doubles: strengths of players from matches of two against two.

The table is `atp_doubles` of R's lmerMultiMember, collected by Jeff Sackmann (CC BY-NC-SA), as a
file of comma-separated values; in R: `write.csv(lmerMultiMember::atp_doubles, "atp_doubles.csv")`.
Run `python examples/contests.py atp_doubles.csv`; it takes twenty seconds, and writes contests.png
to the current folder.
"""

import sys

import numpy as np
import pandas as pd

import pymc_mlm as mlm

PLAYERS = [f"team{team}_player{player}" for team in (1, 2) for player in (1, 2)]


def matches(file):
    """Return a row per match that was played, with a column for each of its four players."""
    raw = pd.read_csv(file)
    raw = raw[~raw["score"].str.contains("W/O", na=False)]  # nobody played
    names = pd.concat(
        [raw[[f"{p}_id", f"{p}_name"]].set_axis(["id", "name"], axis=1) for p in PLAYERS]
    )
    names = names.drop_duplicates("id").set_index("id")["name"]
    names = names.where(~names.duplicated(keep=False), names + " " + names.index.astype(str))
    wide = raw[[f"{p}_id" for p in PLAYERS]].set_axis(PLAYERS, axis=1).apply(lambda c: c.map(names))
    best = (raw["best_of"] == 5).astype(int)
    return wide.assign(match=range(len(raw)), won=raw["team1_win"].astype(int), best_of_5=best)


def memberships(wide):
    """Return a row per player of a match; `side` is 1 for the team whose victory is `won`."""
    long = mlm.long_memberships(wide, PLAYERS, group="match", member="player")
    return long.assign(side=np.tile([1, 1, -1, -1], len(wide)))


def picture(ranks):
    """Draw strength and rank of the best twenty players."""
    import matplotlib.pyplot as plt

    best = ranks.sort_values("rank").head(20).iloc[::-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 5), sharey=True, layout="constrained")
    for axes, what in ((left, ""), (right, "rank_")):
        middle = best["mean" if not what else "rank"]
        axes.hlines(best.index, best[f"{what}eti95_lb"], best[f"{what}eti95_ub"], color="0.7", lw=2)
        axes.plot(middle, best.index, "o", color="#1f77b4", ms=4)
    left.set(xlabel="strength, log odds")
    right.set(xlabel=f"rank among {len(ranks)} players")
    figure.savefig("contests.png", dpi=120)


def main(file):
    """Fit, and print what a reader needs."""
    table = memberships(matches(file))
    model = mlm.MultipleMembershipModel(
        "won ~ 0",
        mlm.mm("player", "match", weight=mlm.weights.contest("side"), normalize=False),
        family="bernoulli",
    )
    model.fit(table, random_seed=1, progressbar=False)
    print("== summary")
    print(model.summary())
    print("== ranks")
    ranks = model.ranking().frame
    columns = ["rank", "rank_eti95_lb", "rank_eti95_ub", "p_first", "mean", "sd"]
    print(ranks[columns].head(10).round(2).to_string())
    print("== match")
    best = list(ranks.index[:4])
    final = pd.DataFrame({"match": "final", "player": best, "side": [1, -1, -1, 1]})
    chance = model.predict(final).values.ravel()
    low, high = np.quantile(chance, [0.025, 0.975])
    print(f"{best[0]} and {best[3]} against {best[1]} and {best[2]}:")
    print(f"probability to win {chance.mean():.2f} (95% {low:.2f} to {high:.2f})")
    picture(ranks)


if __name__ == "__main__":
    main(sys.argv[1])
