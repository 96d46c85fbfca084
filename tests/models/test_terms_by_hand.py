"""The linear predictor of multiple-membership models equals its formula, written out in NumPy."""

import numpy as np
import pandas as pd
import pytensor
import pytest

import pymc_mlm as mlm


@pytest.fixture
def table(rng):
    """Eight governments of two or three parties, countries crossed with years."""
    group = np.repeat(np.arange(8), [2, 3, 2, 3, 2, 3, 2, 3])
    country = np.array(list("aabbccdd"))[group]
    year = np.array([1, 2, 3, 1, 2, 3, 1, 2])[group]
    return pd.DataFrame({
        "cabinet": group, "party": rng.permutation(np.resize(np.arange(6), len(group))),
        "country": country, "year": year, "income": np.array([2.0, 1.0, 5.0, 3.0])[group // 2],
        "seats": rng.uniform(0.1, 1.0, len(group)), "x": rng.normal(size=8)[group],
        "y": rng.normal(size=8)[group],
    })  # fmt: skip


def predictor(model, values):
    """Return the mean of a Gaussian outcome as a function of the random variables' values."""
    outcome = model["outcome"]
    mean = outcome.owner.op.dist_params(outcome.owner)[0]
    given = {model[name]: np.asarray(value, dtype=float) for name, value in values.items()}
    free = {rv.name for rv in model.free_RVs} - {"sigma"}
    assert free == set(values)
    found = pytensor.function(
        [], mean, givens=given, mode="FAST_COMPILE", on_unused_input="ignore"
    )()
    return np.broadcast_to(found, len(outcome.eval(mode="FAST_COMPILE")))


def one_per_group(table, column):
    return table.groupby("cabinet")[column].first().to_numpy()


def test_two_crossed_units_have_effects_of_their_own(table, rng):
    """bml 0.9.0 gives every hm() the units of the first one (STATISTICS 0.1)."""
    country, year = rng.normal(size=4), rng.normal(size=3)
    model = mlm.MultipleMembershipModel(
        "y ~ 1 + x", mlm.mm("party", "cabinet"), mlm.hm("country"), mlm.hm("year")
    ).build(table)
    party = rng.normal(size=6)
    values = {
        "Intercept": 0.7, "beta": [0.3], "party_effect": party, "party_sd": 1.0,
        "country_effect": country, "country_sd": 1.0, "year_effect": year, "year_sd": 1.0,
    }  # fmt: skip
    members = table.assign(u=party[table["party"]]).groupby("cabinet")["u"].mean().to_numpy()
    by_hand = (
        0.7
        + 0.3 * one_per_group(table, "x")
        + members
        + country[[*"abcd"].index("a") + np.arange(8) // 2]
        + year[one_per_group(table, "year") - 1]
    )
    np.testing.assert_allclose(predictor(model, values), by_hand, rtol=1e-12)


def test_rows_without_a_member_are_no_memberships_of_a_term_that_skips_them(table, rng):
    """Government and opposition in two columns: bml 0.9.0 stops there (STATISTICS 0.2)."""
    side = np.resize([True, False], len(table))
    name = np.array([f"p{k}" for k in table["party"]], dtype=object)
    rows = table.assign(
        government=np.where(side, name, None), opposition=np.where(side, None, name)
    )
    model = mlm.MultipleMembershipModel(
        "y ~ 1",
        mlm.mm("government", "cabinet", weight="seats", missing="skip"),
        mlm.mm("opposition", "cabinet", missing="skip"),
    ).build(rows)
    labels = {k: sorted(rows[k].dropna().unique()) for k in ("government", "opposition")}
    effect = {k: rng.normal(size=len(v)) for k, v in labels.items()}
    values = {"Intercept": -0.4}
    for k, u in effect.items():
        values |= {f"{k}_effect": u, f"{k}_sd": 1.0}
    by_hand = np.full(8, -0.4)
    for cabinet in range(8):
        own = rows[rows["cabinet"] == cabinet]
        ins, out = own.dropna(subset="government"), own.dropna(subset="opposition")
        u = effect["government"][[labels["government"].index(k) for k in ins["government"]]]
        v = effect["opposition"][[labels["opposition"].index(k) for k in out["opposition"]]]
        by_hand[cabinet] += np.sum(u * ins["seats"] / ins["seats"].sum()) + np.mean(v)
    np.testing.assert_allclose(predictor(model, values), by_hand, rtol=1e-12)


def test_skipped_rows_are_counted_in_the_notes(table):
    rows = table.assign(party=[None if i in (0, 3) else f"p{k}" for i, k in enumerate(table.party)])
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.mm("party", "cabinet", missing="skip"))
    notes = " ".join(model.specification.notes(model._design(rows)))
    assert "2 rows without a member id were skipped" in notes
    with pytest.raises(mlm.DataError, match="'party' is missing"):
        mlm.MultipleMembershipModel("y ~ 1", mlm.mm("party", "cabinet")).build(rows)


def test_fixed_units_differ_from_the_first_by_a_free_coefficient(table, rng):
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("year", effect="fixed")).build(table)
    contrast = rng.normal(size=2)
    by_hand = 1.5 + np.concatenate([[0.0], contrast])[table["year"] - 1]
    found = predictor(model, {"Intercept": 1.5, "year_effect": contrast})
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)
    assert "year_sd" not in model.named_vars


def test_covariates_of_units_add_to_their_effects(table, rng):
    term = mlm.hm("country", covariates="income")
    model = mlm.MultipleMembershipModel("y ~ 1", term).build(table)
    effect = rng.normal(size=4)
    by_hand = (
        1.5
        + effect[table["country"].map({"a": 0, "b": 1, "c": 2, "d": 3})]
        + 0.8 * table["income"].to_numpy()
    )
    values = {"Intercept": 1.5, "country_effect": effect, "country_sd": 1.0, "country_beta": [0.8]}
    np.testing.assert_allclose(predictor(model, values), by_hand, rtol=1e-12)


def test_generalized_logistic_weights_count_the_other_members(table, rng):
    """A group of one has weight one, whatever the parameters: n - 1, not n."""
    weight = mlm.weights.generalized_logistic("seats")
    term = mlm.mm("party", "cabinet", weight=weight, normalize=False)
    rows = table.iloc[2:].assign(cabinet=np.maximum(table["cabinet"].iloc[2:], 2))
    rows = pd.concat([rows, rows.tail(1).assign(cabinet=9)])
    rows["y"] = rows["cabinet"].map(dict(enumerate(rng.normal(size=10))))
    model = mlm.MultipleMembershipModel("y ~ 1", term).build(rows)
    labels = sorted(rows["party"].unique())
    effect, b0, b1 = rng.normal(size=len(labels)), 0.6, -1.1
    n = rows.groupby("cabinet")["party"].transform("size").to_numpy()
    w = 1 / (1 + (n - 1) * np.exp(-(b0 + b1 * rows["seats"].to_numpy())))
    assert w[-1] == 1.0
    u = effect[[labels.index(k) for k in rows["party"]]]
    by_hand = 0.2 + pd.Series(w * u).groupby(rows["cabinet"].to_numpy()).sum().to_numpy()
    values = {
        "Intercept": 0.2, "party_effect": effect, "party_sd": 1.0, "party_weight_b0": b0,
        "party_weight_b1": b1,
    }  # fmt: skip
    np.testing.assert_allclose(predictor(model, values), by_hand, rtol=1e-10)
