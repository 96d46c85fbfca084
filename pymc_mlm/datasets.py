"""Simulated tables with known truth, for examples and tests; the truth is in ``.attrs``."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


def coalitions(
    governments: int = 628,
    countries: int = 29,
    seed: int = 5,
    seat_weight: float = 4.0,
    party_sd: float = 0.9,
    country_sd: float = 0.6,
    shape: float = 1.2,
) -> pd.DataFrame:
    """Simulate how long coalition governments last.

    The layout is that of the data in Rosche (2026): governments are groups, parties are members
    of several governments, countries hold both. Parties with more seats weigh more.

    Parameters
    ----------
    governments, countries : int
        Number of groups and of units above them.
    seed : int
        Seed of the simulation.
    seat_weight : float
        True ``b`` of the weights ``exp(b * seats)``, scaled to sum to one in each government.
    party_sd, country_sd : float
        True standard deviations of the party and country effects, on log weeks.
    shape : float
        True Weibull shape.

    Returns
    -------
    pandas.DataFrame
        A row per party in government: ``government, party, country, weeks, ended`` (0 if
        right-censored), ``majority`` (of the government), ``cohesion, seats`` (of the party in the
        government). ``.attrs["truth"]`` holds the true parameters.

    Examples
    --------
    >>> coalitions(governments=40, countries=4).columns.tolist()[:3]
    ['government', 'party', 'country']
    """
    rng = np.random.default_rng(seed)
    truth = {
        "Intercept": 5.8,
        "majority": 0.4,
        "cohesion": -0.6,
        "weight b": seat_weight,
        "party_sd": party_sd,
        "country_sd": country_sd,
        "shape": shape,
    }
    parties_each = np.maximum(6, rng.poisson(11, countries))
    first_party = np.concatenate([[0], np.cumsum(parties_each)])
    party_effect = rng.normal(0, party_sd, first_party[-1])
    country_effect = rng.normal(0, country_sd, countries)
    popularity = rng.gamma(1.0, 1.0, first_party[-1]) + 0.05
    country = np.sort(rng.integers(0, countries, governments))
    rows = []
    for g, c in enumerate(country):
        pool = np.arange(first_party[c], first_party[c + 1])
        size = min(2 + rng.poisson(1.3), len(pool))
        members = rng.choice(pool, size, replace=False, p=popularity[pool] / popularity[pool].sum())
        seats = rng.dirichlet(0.7 + popularity[members])
        cohesion = rng.normal(0, 1, size)
        majority = int(rng.random() < 0.7)
        w = np.exp(seat_weight * (seats - seats.max()))
        w /= w.sum()
        members_part = w @ (truth["cohesion"] * cohesion + party_effect[members])
        eta = truth["Intercept"] + truth["majority"] * majority + members_part + country_effect[c]
        weeks = np.exp(eta) * rng.standard_exponential() ** (1 / shape)
        watched = rng.uniform(200, 2000)
        for m, s, x in zip(members, seats, cohesion, strict=True):
            ended = int(weeks <= watched)
            time = max(1.0, round(float(min(weeks, watched)), 1))
            label = f"{_country_name(c)}-{m - first_party[c] + 1:02d}"
            rows.append((g + 1, label, _country_name(c), time, ended, majority, x, s))
    names = ["government", "party", "country", "weeks", "ended", "majority", "cohesion", "seats"]
    table = _frame(rows, columns=names)
    table.attrs["truth"] = truth
    return table


def _country_name(code: int) -> str:
    return f"{chr(65 + code // 26)}{chr(65 + code % 26)}"


def teaching_trial(
    schools: int = 20,
    pupils: int = 15,
    seed: int = 2020,
    school_sd: float = 1.5,
    effect: tuple[float, float] = (0.75, 0.80),
) -> pd.DataFrame:
    """Simulate a trial of two teaching methods, randomised by school.

    The design of the example of the R package bmco: whole schools receive one method, and pupils
    pass or fail in two subjects.

    Parameters
    ----------
    schools, pupils : int
        Number of schools, half of them with the new method, and of pupils in each.
    seed : int
        Seed of the simulation.
    school_sd : float
        True standard deviation of the school effects on each subject, log odds.
    effect : pair of float
        True effect of the new method on mathematics and reading, log odds in a typical school.

    Returns
    -------
    pandas.DataFrame
        A row per pupil: ``school, method, ability`` (points, mean 50), ``math, reading`` (0 or 1).
        ``.attrs["truth"]`` holds the true parameters.

    Examples
    --------
    >>> teaching_trial(schools=4, pupils=2)["method"].tolist()[-1]
    'new'
    """
    rng = np.random.default_rng(seed)
    school = np.repeat(np.arange(schools), pupils)
    is_new = (school >= schools // 2).astype(float)
    ability = rng.normal(50.0, 10.0, len(school))
    standard = (ability - 50.0) / 10.0
    school_effect = rng.normal(0.0, school_sd, (schools, 2))
    slope, steeper = np.array([0.10, 0.05]), np.array([0.20, 0.15])
    log_odds = -0.5 + np.outer(is_new, effect) + school_effect[school]
    log_odds += standard[:, None] * (slope + np.outer(is_new, steeper))
    passed = (rng.random(log_odds.shape) < 1.0 / (1.0 + np.exp(-log_odds))).astype(int)
    table = _frame(
        {
            "school": [f"school {s + 1:02d}" for s in school],
            "method": np.where(is_new == 1.0, "new", "traditional"),
            "ability": ability.round(1),
            "math": passed[:, 0],
            "reading": passed[:, 1],
        }
    )
    table.attrs["truth"] = {
        "math effect": effect[0],
        "reading effect": effect[1],
        "school_sd": school_sd,
    }
    return table


def nested_schools(
    regions: int = 8,
    schools: int = 48,
    classes: int = 160,
    pupils: int = 2400,
    seed: int = 2026,
) -> pd.DataFrame:
    """Simulate test scores of pupils in classes in schools in regions, unbalanced.

    The effects of prior attainment and of hours of homework vary between regions, schools and
    classes, and correlate with the intercept; larger classes and schools occur beside tiny ones.

    Parameters
    ----------
    regions, schools, classes, pupils : int
        Number of units of each level, and of rows. Every school has a class and every class a
        pupil.
    seed : int
        Seed of the simulation.

    Returns
    -------
    pandas.DataFrame
        A row per pupil: ``region, school, class_id, score, prior, homework``, and ``income`` (of
        the school). ``.attrs["truth"]`` holds the true parameters by the names of a summary.

    Examples
    --------
    >>> nested_schools(regions=3, schools=6, classes=12, pupils=60).shape
    (60, 7)
    """
    rng = np.random.default_rng(seed)
    sizes = (regions, schools, classes, pupils)
    parents = [_unbalanced_parents(rng, a, b) for a, b in pairwise(sizes)]
    levels = ("region", "school", "class_id")
    sd = {"region": (3.0, 0.6, 0.5), "school": (4.0, 1.0, 0.6), "class_id": (2.0, 0.8, 0.5)}
    names = ("Intercept", "prior", "homework")
    beta = np.array([50.0, 5.0, 1.5])
    R = np.array([[1.0, 0.4, -0.2], [0.4, 1.0, 0.1], [-0.2, 0.1, 1.0]])
    total, own_parent = np.zeros((1, 3)), [np.zeros(regions, dtype=np.int64), *parents[:-1]]
    for level, parent in zip(levels, own_parent, strict=True):
        z = rng.standard_normal((len(parent), 3))
        total = total[parent] + z @ np.linalg.cholesky(R).T * np.array(sd[level])
    income = rng.normal(0.0, 1.0, schools)
    class_id = parents[2]
    school = parents[1][class_id]
    prior = rng.normal(0.0, 1.0, pupils)
    homework = rng.normal(0.0, 1.0, pupils)
    X = np.column_stack([np.ones(pupils), prior, homework])
    score = (X * (beta + total[class_id])).sum(axis=1) + 2.0 * income[school]
    score = score + rng.normal(0.0, 6.0, pupils)
    table = _frame(
        {
            "region": [f"R{r + 1}" for r in parents[0][school]],
            "school": school + 1,
            "class_id": class_id + 1,
            "score": score,
            "prior": prior,
            "homework": homework,
            "income": income[school],
        }
    )
    truth = dict(zip(names, beta.tolist(), strict=True)) | {"income": 2.0, "sigma": 6.0}
    for level in levels:
        truth |= {f"sd {n} [{level}]": v for n, v in zip(names, sd[level], strict=True)}
        for i, j in ((1, 0), (2, 0), (2, 1)):
            truth[f"cor({names[j]}, {names[i]}) [{level}]"] = float(R[i, j])
    table.attrs["truth"] = truth
    return table


def _unbalanced_parents(rng: np.random.Generator, parents: int, units: int) -> np.ndarray:
    """Give each parent one unit, and the rest by weights that differ widely."""
    weights = rng.gamma(1.5, 1.0, parents)
    rest = rng.choice(parents, units - parents, p=weights / weights.sum())
    return np.sort(np.concatenate([np.arange(parents), rest]))


def _frame(*args: Any, **kwargs: Any) -> pd.DataFrame:
    # pandas takes a quarter of a second to import; only a simulation needs it here.
    import pandas as pd

    return pd.DataFrame(*args, **kwargs)
