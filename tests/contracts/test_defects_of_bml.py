"""Faults of bml 0.9.0 that must not be repeated, by number.

The list with what is done here is in docs/models/multiple_membership.md, "What bml does otherwise".
"""

import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from tests.mocked import PriorDraws


@pytest.fixture
def table(rng):
    """Twelve groups of three among eight members, in countries and years that cross."""
    group = np.repeat(np.arange(12), 3)
    member = np.concatenate([rng.choice(8, 3, replace=False) for _ in range(12)])
    return pd.DataFrame({
        "g": group, "m": member, "country": group % 4, "year": 1990 + group % 3,
        "y": rng.normal(size=12)[group], "x": rng.normal(size=36),
        "t": rng.exponential(size=12)[group] + 0.1, "event": np.where(group == 5, 0, 1),
    })  # fmt: skip


def test_01_crossed_units_have_an_effect_each_by_their_own_column(table):
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("country"), mlm.hm("year"))
    built = model.build(table)
    assert list(built.coords["country"]) == [0, 1, 2, 3]
    assert list(built.coords["year"]) == [1990, 1991, 1992]
    table = table.assign(year=table["year"] + 100)  # other labels, the same units
    assert list(model.build(table).coords["country"]) == [0, 1, 2, 3]


def test_02_two_member_columns_with_nulls_are_two_blocks(table):
    first = np.arange(len(table)) % 3 == 0
    roles = table.assign(
        governing=table["m"].where(first).astype("Int64"),
        opposing=table["m"].where(~first).astype("Int64"),
    )
    terms = [mlm.mm(c, "g", missing="skip") for c in ("governing", "opposing")]
    sums = [t.resolve(roles).incidence.sum(axis=1) for t in terms]
    np.testing.assert_allclose(np.asarray(sums).squeeze(), 1.0)  # equal weights of 1 and of 2
    mlm.MultipleMembershipModel("y ~ 1", *terms).build(roles)


def test_03_the_size_power_of_the_faq_has_its_parameter(table):
    term = mlm.mm("m", "g", weight="1/n^exp(b*x)", normalize=False)
    model = mlm.MultipleMembershipModel("y ~ 1", term)
    assert "m_weight_b" in [rv.name for rv in model.build(table).free_RVs]


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("w ~ x^2", lambda x: x**2),
        ("w ~ ilogit(x)", lambda x: 1 / (1 + np.exp(-x))),
        ("w ~ abs(-x^2)", lambda x: x**2),
    ],
)
def test_04_fixed_weights_are_those_of_their_formula(table, text, formula):
    table.loc[0, "x"] = -1.1
    term = mlm.mm("m", "g", weight=text, normalize=False)
    raw = np.zeros((12, 8))
    np.add.at(raw, (table["g"], table["m"]), formula(table["x"].to_numpy()))
    found = term.resolve(table)
    labels = list(found.membership.member.labels)
    np.testing.assert_allclose(found.incidence.toarray(), raw[:, labels])


def test_05_a_cox_model_has_no_intercept_beside_its_baseline(table):
    model = mlm.MultipleMembershipModel("Surv(t, event) ~ 1", mlm.mm("m", "g"), family="cox")
    names = [rv.name for rv in model.build(table).free_RVs]
    assert "log_hazard" in names and "Intercept" not in names


def fitted(table, family="weibull", **of_member):
    term = mlm.mm("m", "g", **of_member)
    model = mlm.MultipleMembershipModel("Surv(t, event) ~ 1", term, family=family)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return model.fit(table, draws=50, sampler=PriorDraws(), path="sampled", progressbar=False)


def test_06_shares_have_the_gumbel_residual_and_the_weights_of_each_draw(table):
    model = fitted(table, weight="exp(b * x)")
    posterior = model.result_.posterior
    shape, sd, b = (posterior[n].values.ravel() for n in ("shape", "m_sd", "m_weight_b"))
    raw = np.exp(b[:, None] * table["x"].to_numpy())
    totals = np.stack([np.bincount(table["g"], r) for r in raw])
    w = raw / totals[:, table["g"]]
    of_members = sd**2 * (w**2).sum(axis=1) / 12
    found = model.variance_decomposition().frame["variance"]
    assert found["mm m"] == pytest.approx(of_members.mean(), rel=1e-6)
    assert found["residual"] == pytest.approx((np.pi**2 / (6 * shape**2)).mean(), rel=1e-6)
    mean_weights = (sd**2).mean() * (w.mean(axis=0) ** 2).sum() / 12
    assert of_members.mean() > 1.05 * mean_weights


def test_16_unsorted_rows_have_the_weights_of_their_members(table, rng):
    term = mlm.mm("m", "g", weight="x_share", normalize=False)
    table = table.assign(x_share=rng.random(36))
    sorted_rows = term.resolve(table.sort_values(["g", "m"]))
    shuffled = term.resolve(table.sample(frac=1, random_state=3))
    assert (sorted_rows.incidence != shuffled.incidence).nnz == 0
    expected = table.set_index(["g", "m"])["x_share"]
    matrix = shuffled.incidence.toarray()
    labels = list(shuffled.membership.member.labels)
    for (g, m), w in expected.items():
        assert matrix[g, labels.index(m)] == pytest.approx(w)


def test_17_no_prior_is_dropped_in_silence(table):
    term = mlm.mm("m", "g")
    with pytest.raises(mlm.SpecificationError, match=r"b\[2\]"):
        mlm.MultipleMembershipModel(
            "y ~ 1", term, priors={"b[2]": mlm.Prior("Normal", mu=0, sigma=1)}
        ).build(table)
    prior = mlm.Prior("HalfNormal", sigma=0.01)
    built = mlm.MultipleMembershipModel("y ~ 1", term, priors={"sigma": prior}).build(table)
    # The scale of the likelihood is the variable that has the prior.
    logp = built.compile_logp(built.observed_RVs[0], mode="FAST_COMPILE")
    point = built.initial_point()
    other = point | {"sigma_log__": point["sigma_log__"] + 1.0}
    assert logp(point) != logp(other)


def test_18_walks_follow_a_time_that_is_named():
    with pytest.raises(mlm.SpecificationError, match="Ids are never taken for an order"):
        mlm.mm("m", "g", dynamics="random_walk")


def test_18_a_cox_model_keeps_the_draws_of_its_baseline(table):
    posterior = fitted(table, family="cox").result_.posterior
    assert posterior["log_hazard"].sizes["draw"] == 50
