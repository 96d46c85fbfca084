"""What the last column of the README's table of other tools claims, claim by claim."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import pymc_mlm as mlm
from tests.mocked import PriorDraws

README = (Path(__file__).parents[2] / "README.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split("|")]
    for line in README.split("## Other tools")[1].split("\n\n")[1].splitlines()[2:]
]
K = {a: {b: float(a == b) for b in range(6)} for a in range(6)}
RING = {a: [(a - 1) % 6, (a + 1) % 6] for a in range(6)}
COVARIANCES = (K, mlm.ICAR(RING), mlm.CAR(RING), mlm.BYM2(RING))


@cache
def membership_table():
    """Twelve groups of one to four among six members, in years."""
    rng = np.random.default_rng(1)
    size = 1 + np.arange(12) % 4
    group = np.repeat(np.arange(12), size)
    member = np.concatenate([rng.choice(6, k, replace=False) for k in size])
    return pd.DataFrame({
        "g": group, "m": member, "y": rng.normal(size=12)[group], "year": 1990.0 + group,
        "x": rng.normal(size=len(group)), "s": rng.random(len(group)),
    })  # fmt: skip


def built(table, *terms):
    model = mlm.MultipleMembershipModel("y ~ 1", *terms)
    return {rv.name for rv in model.build(table).free_RVs}


@cache
def fitted():
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g", weight="exp(b * s)"))
    return model.fit(
        membership_table(), draws=25, sampler=PriorDraws(), path="sampled", progressbar=False
    )


def is_member_kind(table, **arguments):
    return "m_sd" in built(table, mlm.mm("m", "g", **arguments))


def families():
    with pytest.raises(mlm.SpecificationError) as error:
        mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g"), family="none")
    return str(error.value).count("'") // 2 - 2 - 1  # less 'none', "Binomial('trials')", 'normal'


def predicts_a_new_member(table):
    new = pd.DataFrame({"g": ["next"], "m": [99], "s": [0.5]})
    return fitted().predict(new, random_seed=1).notnull().all()


CLAIMS = {
    "multiple membership": lambda t: is_member_kind(t),
    "weights with free parameters": lambda t: "m_weight_b" in built(
        t, mlm.mm("m", "g", weight="exp(b * s)")),
    "any number of members per group": lambda t: set(t.groupby("g").size()) == {1, 2, 3, 4}
        and is_member_kind(t),
    "member covariates summed in the model": lambda t: "m_beta" in built(
        t, mlm.mm("m", "g", covariates="x")),
    "several blocks with member effects": lambda t: {"m_sd", "other_sd"} <= built(
        t, mlm.mm("m", "g"), mlm.mm("m", "g", weight="s", name="other")),
    "random slopes of members": lambda t: {"m_sd", "m_weight_b"} <= built(
        t, mlm.mm("m", "g", varying="1 + x", weight="exp(b * s)")),
    "known covariance of members": lambda t: all(
        is_member_kind(t, covariance=c) for c in COVARIANCES),
    "members that change over time": lambda t: all(
        is_member_kind(t, dynamics=d, time="year") for d in ("random_walk", "ar1")),
    "families": lambda t: families() == int(dict((r[0], r[-1]) for r in ROWS)["families"]),
    "prediction for new members": predicts_a_new_member,
    "variance shares": lambda t: "share_eti95_lb" in fitted().variance_decomposition().frame,
    "runs on": lambda t: isinstance(
        mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g")).build(t), pm.Model),
}  # fmt: skip


def test_each_row_has_a_claim_here():
    assert [row[0] for row in ROWS] == list(CLAIMS)


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_of_the_readme_is_true(claim):
    assert CLAIMS[claim](membership_table())
