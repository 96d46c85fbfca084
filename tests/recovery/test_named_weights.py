"""Named weights recover the truth: persistence of teachers, strength of players in contests.

``python tests/recovery/test_named_weights.py 100`` prints the table of docs/weights.md.
"""

import sys

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm

PERSISTENCE, TEACHER_SD, STUDENT_SD, RESIDUAL_SD = (0.5, 0.25), 0.6, 0.7, 0.5
TEACHERS, YEARS, STUDENTS = 12, 3, 240
STRENGTH_SD, HOME, PLAYERS, MATCHES = 0.8, 0.4, 30, 400


def value_added(seed):
    """Scores of students in three years, each with twelve teachers, who are met at random."""
    rng = np.random.default_rng(seed)
    effect = TEACHER_SD * rng.normal(size=(YEARS, TEACHERS))
    student = STUDENT_SD * rng.normal(size=STUDENTS)
    met = rng.integers(0, TEACHERS, (YEARS, STUDENTS))
    persists = (1.0, *PERSISTENCE)
    rows = []
    for year in range(YEARS):
        of_teachers = sum(
            persists[year - then] * effect[then, met[then]] for then in range(year + 1)
        )
        score = student + of_teachers + RESIDUAL_SD * rng.normal(size=STUDENTS)
        for then in range(year + 1):
            rows += [
                {"test": f"{s}.{year}", "student": s, "year": year, "score": score[s],
                 "teacher": f"{then}.{met[then, s]}", "lag": year - then}
                for s in range(STUDENTS)
            ]  # fmt: skip
    return pd.DataFrame(rows)


def fit_persistence(seed):
    term = mlm.mm("teacher", "test", weight=mlm.weights.persistence("lag", 2), normalize=False)
    model = mlm.MultipleMembershipModel("score ~ 1 + year", term, mlm.hm("student"))
    model.fit(value_added(seed), draws=1000, path="collapsed", random_seed=seed, progressbar=False)
    truth = dict(zip(("teacher_weight_b1", "teacher_weight_b2"), PERSISTENCE, strict=True))
    truth |= {"teacher_sd": TEACHER_SD, "student_sd": STUDENT_SD, "sigma": RESIDUAL_SD}
    return model, truth


def matches(seed):
    """Wins of two against two players; one side is at home, or none in every fourth match."""
    rng = np.random.default_rng(seed)
    strength = STRENGTH_SD * rng.normal(size=PLAYERS)
    players = np.array([rng.choice(PLAYERS, 4, replace=False) for _ in range(MATCHES)])
    side = np.tile([1, 1, -1, -1], (MATCHES, 1))
    where = np.where(np.arange(MATCHES) % 4 == 0, 0, rng.choice([1, -1], MATCHES))
    home = 1 * (side == where[:, None])
    eta = (side * (strength[players] + HOME * home)).sum(axis=1)
    win = 1 * (rng.random(MATCHES) < 1 / (1 + np.exp(-eta)))
    return pd.DataFrame({
        "match": np.repeat(np.arange(MATCHES), 4), "player": players.ravel(),
        "side": side.ravel(), "home": home.ravel(), "won": np.repeat(win, 4),
    }), strength  # fmt: skip


def fit_contests(seed):
    table, strength = matches(seed)
    term = mlm.mm("player", "match", covariates="home", weight=mlm.weights.contest("side"),
                  normalize=False)  # fmt: skip
    model = mlm.MultipleMembershipModel("won ~ 0", term, family="bernoulli")
    model.fit(table, draws=1000, path="laplace", random_seed=seed, progressbar=False)
    return model, {"player_sd": STRENGTH_SD, "player_beta": HOME}, strength


def test_candidates_leave_the_sd_of_members_and_raise_the_residual():
    rng = np.random.default_rng(4)
    groups, members, share = 3000, 60, 0.7
    effect = rng.normal(size=members)
    pairs = np.array([rng.choice(members, 2, replace=False) for _ in range(groups)])
    true = np.where(rng.random(groups) < share, pairs[:, 0], pairs[:, 1])
    y = effect[true] + 0.5 * rng.normal(size=groups)
    table = {"g": np.repeat(np.arange(groups), 2), "m": pairs.ravel(), "y": np.repeat(y, 2),
             "p": np.tile([share, 1 - share], groups)}  # fmt: skip
    term = mlm.mm("m", "g", weight=mlm.weights.candidates("p"))
    model = mlm.MultipleMembershipModel("y ~ 1", term)
    model.fit(table, draws=500, path="collapsed", random_seed=1, progressbar=False)
    posterior = model.result_.posterior
    drawn = effect.std(ddof=1)
    assert abs(float(posterior["m_sd"].mean()) - drawn) < 3 * float(posterior["m_sd"].std())
    # .25 of the outcome, and the variance of which candidate it was: 1 - .7^2 - .3^2.
    expected = 0.25 + drawn**2 * (1 - share**2 - (1 - share) ** 2)
    assert float((posterior["sigma"] ** 2).mean()) == pytest.approx(expected, rel=0.08)


def is_inside(draws, truth, probability=0.8):
    tail = (1 - probability) / 2
    low, high = np.quantile(draws.values, [tail, 1 - tail])
    return low < truth < high


def covered(model, truth):
    posterior = model.result_.posterior
    return {name: is_inside(posterior[name], value) for name, value in truth.items()}


def share_of_strengths(model, strength):
    """Share of players whose 80% interval holds their strength, and of those of their ranks."""
    effects = model.effect_draws()
    players = effects["player"].values.astype(int)
    draws = effects.values.reshape(-1, len(players))
    found = model.ranking(ci_prob=0.8).frame.loc[players]
    rank = (-strength[players]).argsort().argsort() + 1
    low, high = np.quantile(draws, [0.1, 0.9], axis=0)
    of_effects = ((low < strength[players]) & (strength[players] < high)).mean()
    of_ranks = ((found["rank_eti80_lb"] <= rank) & (rank <= found["rank_eti80_ub"])).mean()
    return {"strength": of_effects, "rank": of_ranks}


def coverage(fit, seeds):
    found = []
    for seed in seeds:
        model, truth, *strength = fit(seed)
        found.append(
            covered(model, truth) | (share_of_strengths(model, *strength) if strength else {})
        )
    return pd.DataFrame(found).astype(float).mean()


@pytest.mark.slow
@pytest.mark.parametrize("fit", [fit_persistence, fit_contests])
def test_intervals_of_80_percent_hold_the_truth_in_70_to_90_percent(fit):
    # All parameters of 40 sets; docs/weights.md has the shares of larger studies.
    assert 0.7 < coverage(fit, range(40)).mean() < 0.9


def test_persistence_and_home_advantage_are_recovered_in_one_table():
    model, truth = fit_persistence(1)
    assert sum(covered(model, truth).values()) >= 3
    for k, b in enumerate(PERSISTENCE, 1):
        draws = model.result_.posterior[f"teacher_weight_b{k}"]
        assert abs(float(draws.mean()) - b) < 3 * float(draws.std())
        assert float(draws.std()) < 0.25  # of a prior sd of 1
    model, _, strength = fit_contests(1)
    found = model.ranking().frame
    assert np.corrcoef(found["mean"], strength[found.index.astype(int)])[0, 1] > 0.8


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore")
    for fit in (fit_persistence, fit_contests):
        print(fit.__name__, coverage(fit, range(int(sys.argv[1]))).round(3).to_dict(), flush=True)
