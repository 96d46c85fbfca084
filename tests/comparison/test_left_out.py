"""Densities of rows left out: dense normals, integrals by quadrature of SciPy, and refits."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm, poisson

import pymc_mlm as mlm
from pymc_mlm.comparison.left_out import CONDITIONAL, EXACT, INTEGRATED, left_out
from tests.mocked import PriorDraws

GROUPS, MEMBERS = 12, 7


def memberships(seed=5, members=MEMBERS):
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 4, GROUPS)
    g = np.repeat(np.arange(GROUPS), size)
    m = np.concatenate([rng.choice(members, k, replace=False) for k in size])
    m[:members] = np.arange(members)[: len(m)]  # everyone is somewhere
    y = rng.normal(size=GROUPS)
    return pd.DataFrame({
        "g": g, "m": m, "x": rng.normal(size=len(g)), "y": y[g], "z": rng.normal(size=GROUPS)[g],
        "country": rng.integers(0, 3, GROUPS)[g], "count": rng.poisson(2, GROUPS)[g],
    })  # fmt: skip


def fitted(model, table, draws=6):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(table, draws=draws, chains=2, sampler=PriorDraws(), path="sampled")


def membership_model(table, weight="exp(b * x)", **kwargs):
    term = mlm.mm("m", "g", weight=weight)
    return fitted(mlm.MultipleMembershipModel("y ~ z", term, mlm.hm("country"), **kwargs), table)


def dense(model, table, chain, draw):
    """Mean and covariance of the outcome of a draw, effects integrated out, by hand."""
    p = model.result_.posterior.isel(chain=chain, draw=draw)
    raw = np.exp(float(p["m_weight_b"]) * table["x"])
    w = raw / raw.groupby(table["g"]).transform("sum")
    W = np.zeros((GROUPS, MEMBERS))
    np.add.at(W, (table["g"], table["m"]), w)
    one = table.drop_duplicates("g")
    C = np.eye(3)[one["country"]]
    mean = float(p["Intercept"]) + float(p["beta"][0]) * one["z"].values
    V = float(p["m_sd"]) ** 2 * W @ W.T + float(p["country_sd"]) ** 2 * C @ C.T
    return mean, V + float(p["sigma"]) ** 2 * np.eye(GROUPS)


def given_others(y, mean, V, at):
    rest = np.setdiff1d(np.arange(len(y)), at)
    joint = multivariate_normal.logpdf(y, mean, V)
    return joint - multivariate_normal.logpdf(y[rest], mean[rest], V[np.ix_(rest, rest)])


@pytest.mark.parametrize("by", ["row", "country", "m"])
def test_gaussian_densities_are_those_of_dense_normals(by):
    table = memberships()
    model = membership_model(table)
    found, how = left_out(model.result_, by)
    y = table.drop_duplicates("g")["y"].values
    column = {"row": "g"}.get(by, by)
    blocks = [table["g"][table[column] == v].unique() for v in sorted(table[column].unique())]
    assert how == EXACT
    for chain, draw in [(0, 0), (1, 3)]:
        mean, V = dense(model, table, chain, draw)
        expected = [given_others(y, mean, V, at) for at in blocks]
        own = found["outcome"].isel(chain=chain, draw=draw).values
        np.testing.assert_allclose(own, expected, rtol=1e-9, atol=1e-9)


def test_more_effects_than_rows_give_the_same_densities():
    table = memberships()
    few = membership_model(table)
    terms = mlm.mm("m", "g", weight="exp(b * x)"), mlm.hm("country"), mlm.hm("g")
    model = fitted(mlm.MultipleMembershipModel("y ~ z", *terms), table)
    posterior = few.result_.posterior
    own = model.result_.posterior
    same = {n: (own[n].dims, posterior[n].values) for n in posterior if n in own}
    zero = {"g_sd": 0 * own["g_sd"] + 1e-9}
    tree = xr.DataTree.from_dict({"posterior": own.assign(same | zero)})
    for by in ("row", "m"):
        found = left_out(replace(model.result_, idata=tree), by)[0]["outcome"].values
        expected = left_out(few.result_, by)[0]["outcome"].values
        np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_correlated_slopes_are_integrated_out_exactly():
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"s": np.repeat(np.arange(5), 4), "x": rng.normal(size=20),
                          "y": rng.normal(size=20)})  # fmt: skip
    model = fitted(mlm.NestedVaryingEffects("y ~ 1 + x", ["s"]), table)
    found, how = left_out(model.result_, "s")
    p = model.result_.posterior.isel(chain=0, draw=2)
    sd, partial = p["s_sd"].values, float(p["s_partial"].values[0])
    covariance = np.array([[sd[0] ** 2, partial * sd[0] * sd[1]],
                           [partial * sd[0] * sd[1], sd[1] ** 2]])  # fmt: skip
    Z = np.column_stack([np.ones(20), table["x"]])
    same = np.equal.outer(table["s"].values, table["s"].values)
    V = same * (Z @ covariance @ Z.T) + float(p["sigma"]) ** 2 * np.eye(20)
    mean = float(p["Intercept"]) + float(p["beta"][0]) * table["x"].values
    expected = [given_others(table["y"].values, mean, V, np.arange(4 * k, 4 * k + 4))
                for k in range(5)]  # fmt: skip
    np.testing.assert_allclose(found["outcome"][0, 2], expected, rtol=1e-8)
    assert how == EXACT


def test_a_member_whose_effect_changes_is_left_out_with_all_its_times():
    table = memberships().assign(year=lambda t: t["g"])
    term = mlm.mm("m", "g", dynamics="random_walk", time="year")
    model = fitted(mlm.MultipleMembershipModel("y ~ z", term), table)
    found, how = left_out(model.result_, "m")
    assert how == EXACT
    p = model.result_.posterior.isel(chain=0, draw=1)
    one = table.drop_duplicates("g")
    V = float(p["sigma"]) ** 2 * np.eye(GROUPS)
    for member in range(MEMBERS):
        own = table[table["m"] == member].sort_values("year")
        steps = np.tri(len(own))  # of a walk whose first step has the sd of the others
        B = np.zeros((GROUPS, len(own)))
        B[own["g"]] = (
            steps / table.groupby("g")["m"].transform("size").loc[own.index].values[:, None]
        )
        V += float(p["m_sd"]) ** 2 * B @ B.T
    mean = float(p["Intercept"]) + float(p["beta"][0]) * one["z"].values
    expected = [given_others(one["y"].values, mean, V, table["g"][table["m"] == v].values)
                for v in range(MEMBERS)]  # fmt: skip
    np.testing.assert_allclose(found["outcome"][0, 1], expected, rtol=1e-8)
    counts = mlm.MultipleMembershipModel("count ~ 1", term, family="poisson")
    with pytest.raises(mlm.SpecificationError, match="effects that are correlated"):
        left_out(fitted(counts, table).result_, "m")


def test_members_of_known_covariance_are_integrated_out_together():
    root = np.random.default_rng(0).normal(size=(MEMBERS, MEMBERS))
    names = range(MEMBERS)
    K = pd.DataFrame(root @ root.T + np.eye(MEMBERS), index=names, columns=names)
    table, term = memberships(), mlm.mm("m", "g", covariance=K)
    model = fitted(mlm.MultipleMembershipModel("y ~ z", term), table)
    p = model.result_.posterior.isel(chain=0, draw=1)
    one = table.drop_duplicates("g")
    W = np.zeros((GROUPS, MEMBERS))
    np.add.at(W, (table["g"], table["m"]), 1 / table.groupby("g")["m"].transform("size"))
    V = float(p["m_sd"]) ** 2 * W @ K.values @ W.T + float(p["sigma"]) ** 2 * np.eye(GROUPS)
    mean = float(p["Intercept"]) + float(p["beta"][0]) * one["z"].values
    expected = [given_others(one["y"].values, mean, V, table["g"][table["m"] == v].values)
                for v in names]  # fmt: skip
    found = left_out(model.result_, "m")[0]["outcome"]
    np.testing.assert_allclose(found[0, 1], expected, rtol=1e-7)
    counts = fitted(mlm.MultipleMembershipModel("count ~ z", term, family="poisson"), table)
    with pytest.raises(mlm.SpecificationError, match="effects that are correlated"):
        left_out(counts.result_, "m")


@pytest.mark.parametrize("by", ["m", "country"])
def test_other_outcomes_integrate_the_effect_of_the_unit_that_is_left_out(by):
    table = memberships()
    term = mlm.mm("m", "g", weight="exp(b * x)")
    model = fitted(mlm.MultipleMembershipModel(
        "count ~ z", term, mlm.hm("country"), family="poisson",
        priors={"Intercept": mlm.Prior("Normal", mu=0, sigma=0.5)}), table, draws=60)  # fmt: skip
    found, how = left_out(model.result_, by)
    assert how == INTEGRATED
    one = table.drop_duplicates("g")
    eta = model.predict(kind="eta")
    for draw in (3, 40):
        p = model.result_.posterior.isel(chain=1, draw=draw)
        w = model.result_.design.terms[0][0].weight_draws(
            model.result_.design.terms[0][1], {"m_weight_b": p["m_weight_b"].values[None]}
        )[0]
        m = model.result_.design.terms[0][1].membership
        B = np.zeros((GROUPS, MEMBERS))
        np.add.at(B, (m.group, m.member.codes), w)
        B = B if by == "m" else np.eye(3)[one["country"]]
        u, sd = p[f"{by}_effect"].values, float(p[f"{by}_sd"])
        for k in (0, 2):
            at = np.flatnonzero(B[:, k])
            rest = eta.isel(chain=1, draw=draw).values[at] - B[at, k] * u[k]

            def density(v, at=at, rest=rest, k=k, sd=sd, B=B):
                mu = np.exp(rest + B[at, k] * v)
                return poisson.pmf(one["count"].values[at], mu).prod() * norm.pdf(v, 0, sd)

            expected = np.log(quad(density, -9 * sd, 9 * sd, limit=500, epsabs=0)[0])
            assert float(found["outcome"][1, draw, k]) == pytest.approx(expected, abs=2e-3)


def test_single_rows_of_other_outcomes_are_given_all_effects():
    table = memberships()
    model = fitted(mlm.MultipleMembershipModel(
        "count ~ z", mlm.mm("m", "g"), family="poisson",
        priors={"Intercept": mlm.Prior("Normal", mu=0, sigma=0.5)}), table)  # fmt: skip
    found, how = left_out(model.result_, "g")
    mu = np.exp(model.predict(kind="eta").values)
    expected = poisson.logpmf(table.drop_duplicates("g")["count"].values, mu)
    np.testing.assert_allclose(found["outcome"].values, expected, rtol=1e-9)
    assert how == CONDITIONAL


def test_what_cannot_be_left_out_is_refused():
    table = memberships()
    model = membership_model(table)
    with pytest.raises(mlm.SpecificationError, match=r"by='party' is nothing to.*: m, count"):
        left_out(model.result_, "party")
    rng = np.random.default_rng(1)
    binary = {"s": np.arange(20) % 5, "x": rng.normal(size=20), "y": rng.integers(0, 2, 20)}
    slopes = fitted(mlm.NestedVaryingEffects("y ~ 1 + x", ["s"], family="bernoulli"), binary)
    with pytest.raises(mlm.SpecificationError, match="its units have several effects each"):
        left_out(slopes.result_, "s")
