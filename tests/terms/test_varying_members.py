"""Members with intercepts and slopes: against plain PyMC, dense matrices, and by hand."""

import warnings

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.comparison.blocks import blocks_of
from pymc_mlm.comparison.entries import effect_graph
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.conditional import conditional
from tests.mocked import PriorDraws

RNG = np.random.default_rng(4)
GROUPS, MEMBERS = 25, 6
GROUP = np.repeat(np.arange(GROUPS), 3)
ROWS = len(GROUP)
TABLE = {
    "g": GROUP, "m": np.concatenate([RNG.permutation(MEMBERS)[:3] for _ in range(GROUPS)]),
    "x": RNG.normal(1.0, 2.0, ROWS), "z": RNG.normal(size=ROWS), "s": RNG.random(ROWS),
    "kind": RNG.choice(["a", "b"], ROWS), "y": RNG.normal(size=GROUPS)[GROUP],
}  # fmt: skip
WEIGHT = "exp(b * s)"


def model(varying, family="gaussian", **kwargs):
    term = mlm.mm("m", "g", varying=varying, weight=WEIGHT, **kwargs)
    return mlm.MultipleMembershipModel("y ~ 1", term, family=family)


def joint_density(built, values):
    """Log density of all variables at values of their own, whatever the coordinates."""
    total = 0.0
    given = {built[n]: v for n, v in values.items()}
    for rv in [*built.free_RVs, *built.observed_RVs]:
        value = values.get(
            rv.name,
            built.rvs_to_values[rv].eval(mode=uncompiled()) if rv.name == "outcome" else None,
        )
        others = {k: v for k, v in given.items() if k is not built[rv.name]}
        density = pm.logp(rv, value).sum()
        total += float(density.eval(others, on_unused_input="ignore", mode=uncompiled()))
    return total


def plain_model(priors):
    """The same model with dense matrices and PyMC's own distributions."""
    Z = np.eye(MEMBERS)[TABLE["m"]]
    groups = np.eye(GROUPS)[:, GROUP]
    with pm.Model() as plain:
        intercept = pm.Normal("Intercept", **priors["Intercept"])
        sd = pm.HalfNormal("m_sd", priors["m_sd"], shape=2)
        # LKJ(2) of two variables is a stretched Beta(2, 2).
        r = 2 * pm.Beta("half", 2, 2) - 1
        b = pm.Normal("m_weight_b", 0, 1)
        R = pm.math.stack([pm.math.stack([1.0, r]), pm.math.stack([r, 1.0])])
        u = pm.MvNormal("m_effect", np.zeros(2), sd[:, None] * R * sd[None], shape=(MEMBERS, 2))
        raw = pm.math.exp(b * TABLE["s"])
        w = raw / (groups @ raw)[GROUP]
        own = Z @ u
        eta = intercept + groups @ (w * (own[:, 0] + own[:, 1] * TABLE["x"]))
        sigma = pm.HalfNormal("sigma", priors["sigma"])
        pm.Normal("outcome", eta, sigma, observed=TABLE["y"][::3])
    return plain


def test_the_log_density_is_that_of_a_dense_plain_model(rng):
    own = {"m_sd": np.array([2.0, 0.7]), "sigma": 1.5, "Intercept": {"mu": 0.0, "sigma": 3.0}}
    half = {n: mlm.Prior("HalfNormal", sigma=own[n]) for n in ("m_sd", "sigma")}
    priors = half | {
        "Intercept": mlm.Prior("Normal", **own["Intercept"]),
        "m_weight_b": mlm.Prior("Normal", mu=0.0, sigma=1.0),
    }
    term = mlm.mm("m", "g", varying="1 + x", weight=WEIGHT)
    built = mlm.MultipleMembershipModel("y ~ 1", term, priors=priors).build(TABLE)
    plain = plain_model(own)
    for _ in range(3):
        values = {
            "Intercept": rng.normal(), "m_sd": rng.uniform(0.3, 2, 2), "sigma": rng.uniform(0.5, 2),
            "m_weight_b": rng.normal(), "m_effect": rng.normal(size=(MEMBERS, 2)),
        }  # fmt: skip
        half = rng.uniform(0.1, 0.9)
        ours = joint_density(built, values | {"m_partial": np.array([2 * half - 1])})
        theirs = joint_density(plain, values | {"half": half})
        # The density of r is half that of (r + 1) / 2.
        assert ours == pytest.approx(theirs - np.log(2.0), abs=1e-6)


@pytest.mark.parametrize("varying", ["1 + x", "1 + x + z", "0 + x", "1 + kind"])
def test_effects_that_are_integrated_out_have_the_same_covariance(varying):
    mod = model(varying)
    design = mod.specification.read(TABLE)
    split = conditional(mod.specification, design)
    own, m = design.terms[0][1].effects, design.terms[0][1].membership
    p, point = len(own.columns), split.start + 0.3
    drawn = split.draw(point, np.eye(MEMBERS * p))
    # Coefficients of all members are a matrix times standard normal ones.
    root = drawn["m_effect"].reshape(MEMBERS * p, -1).T
    if p > 1:
        r = mlm.terms.member_effects.varying.correlation_of(
            {"m_partial": _as_draws(drawn["m_partial"])}, "m", own.pairs
        ).values[0, 0]
        R = np.eye(p)
        i, j = np.tril_indices(p, -1)
        R[i, j] = R[j, i] = r
        expected = np.kron(np.eye(MEMBERS), R * np.outer(drawn["m_sd"], drawn["m_sd"]))
        np.testing.assert_allclose(root @ root.T, expected, atol=1e-12)
    raw = np.exp(drawn["m_weight_b"] * TABLE["s"])[m.rows]
    w = raw / np.bincount(m.group, raw)[m.group]
    dense = np.zeros((GROUPS, MEMBERS * p))
    for row in range(ROWS):
        at = m.member.codes[row] * p + np.arange(p)
        dense[m.group[row], at] += w[row] * own.X[row]
    found = split.rows.matrix(split.pieces(point).entries).toarray()
    np.testing.assert_allclose(found, dense @ root, atol=1e-12)


def _as_draws(values):
    import xarray as xr

    return xr.DataArray(values[None, None], dims=("chain", "draw", "m_pair"))


def test_coefficients_without_correlation_are_independent(rng):
    apart = mlm.VaryingCoefficients("1 + x", correlated=False)
    built, sd = model(apart).build(TABLE), np.array([1.3, 0.4])
    u = rng.normal(size=(MEMBERS, 2))
    found = pm.logp(built["m_effect"], u).eval({built["m_sd"]: sd}, mode=uncompiled())
    assert found == pytest.approx(stats.norm(0, sd).logpdf(u).sum(), rel=1e-12)
    assert "m_partial" not in built.named_vars
    split = conditional(model(apart).specification, model(apart).specification.read(TABLE))
    drawn = split.draw(split.start + 0.3, np.eye(MEMBERS * 2))
    root = drawn["m_effect"].reshape(MEMBERS * 2, -1).T
    np.testing.assert_allclose(root, np.diag(np.tile(drawn["m_sd"], MEMBERS)), atol=1e-12)


def test_coefficients_without_correlation_are_reported_predicted_and_saved(tmp_path):
    mod = fitted(mlm.VaryingCoefficients("1 + x", correlated=False))
    rows = set(mod.summary().frame.index)
    assert {"sd Intercept [mm m]", "sd x [mm m]"} <= rows
    assert not any("cor" in row for row in rows)
    draws = {n: v.values.reshape(40, -1) for n, v in mod.idata.posterior.items()}
    found = mod.variance_decomposition(at={"x": 3.0}).frame.loc["mm m", "variance"]
    (term, design) = mod.result_.design.terms[0]
    w = (term.weight_draws(design, mod.result_.sample("weight")) ** 2).sum(axis=1) / GROUPS
    by_hand = w * (draws["m_sd"][:, 0] ** 2 + 9.0 * draws["m_sd"][:, 1] ** 2)
    assert found == pytest.approx(by_hand.mean())
    new = {"g": [1, 2], "m": [99, 99], "x": [0.0, 1.0], "s": [0.0, 0.0]}
    before = mod.predict(new, kind="eta", random_seed=1)
    again = mlm.MultipleMembershipModel.load(mod.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(again.predict(new, kind="eta", random_seed=1), before)


def density_at(built, seed=0):
    rng = np.random.default_rng(seed)
    start = built.initial_point()
    point = {k: np.asarray(v) + 0.3 * rng.normal(size=np.shape(v)) for k, v in start.items()}
    return float(built.compile_fn(built.logp(), mode=uncompiled())(point))


def test_an_intercept_alone_is_the_term_without_varying():
    assert mlm.mm("m", "g", varying="1") == mlm.mm("m", "g")


def test_the_order_of_rows_does_not_matter():
    order = RNG.permutation(ROWS)
    shuffled = {k: v[order] for k, v in TABLE.items()}
    one, two = (model("1 + x + kind").build(t) for t in (TABLE, shuffled))
    assert density_at(one) == pytest.approx(density_at(two))


def fitted(varying="1 + x", **kwargs):
    mod = model(varying, **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return mod.fit(TABLE, draws=20, chains=2, sampler=PriorDraws(), path="sampled")


def test_predictions_are_sums_of_weighted_lines():
    mod = fitted()
    draws = {n: v.values for n, v in mod.idata.posterior.items()}
    raw = np.exp(draws["m_weight_b"][..., None] * TABLE["s"])
    u = draws["m_effect"][:, :, TABLE["m"]]
    lines = raw * (u[..., 0] + u[..., 1] * TABLE["x"])
    G = np.eye(GROUPS)[GROUP]
    eta = draws["Intercept"][..., None] + (lines @ G) / (raw @ G)
    np.testing.assert_allclose(mod.predict(kind="eta"), eta)


def test_new_members_have_one_draw_of_both_coefficients_for_all_their_rows():
    mod = fitted()
    new = {"g": [1, 2, 3], "m": [99, 99, 99], "x": [0.0, 1.0, 3.0], "s": [0.0, 0.0, 0.0]}
    eta = mod.predict(new, kind="eta", random_seed=1).values
    np.testing.assert_allclose(eta[..., 2] - eta[..., 0], 3 * (eta[..., 1] - eta[..., 0]))
    assert (eta[..., 1] != eta[..., 0]).all()
    new["m"] = [None, 2, 2]
    assert np.isfinite(mod.predict(new, kind="eta", random_seed=1)).all()


def test_a_saved_fit_predicts_as_before(tmp_path):
    mod = fitted("1 + x + kind")
    new = {"g": [1, 1], "m": [0, 99], "x": [1.0, 2.0], "s": [0.1, 0.2], "kind": ["b", "b"]}
    before = mod.predict(new, kind="eta", random_seed=1)
    again = mlm.MultipleMembershipModel.load(mod.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(again.predict(new, kind="eta", random_seed=1), before)
    assert again.specification == mod.specification
    assert again.effects().equals(mod.effects())


def test_tables_name_coefficients_and_correlations():
    mod = fitted()
    assert {"sd Intercept [mm m]", "sd x [mm m]", "cor(Intercept, x) [mm m]"} <= set(
        mod.summary().frame.index
    )
    assert set(mod.effects().index) == {(m, c) for m in range(MEMBERS) for c in ("Intercept", "x")}
    assert "LKJ(eta=2)" in str(mod.priors())
    prior = {"m_sd[x]": mlm.Prior("HalfNormal", sigma=0.123)}
    assert "0.123" in str(model("1 + x", priors=prior).priors(TABLE))
    mod.plot("effects", column="x")
    with pytest.raises(mlm.SpecificationError, match="No coefficient of 'z' varies"):
        mod.plot("effects", column="z")


@pytest.mark.parametrize("at", [None, {"x": 2.5}])
def test_the_variance_is_that_of_the_weighted_sums(at):
    mod = fitted()
    (term, design) = mod.result_.design.terms[0]
    draws = mod.result_.sample("sd", "weight")
    found = term.variance(design, draws, at or {})["mm m"]
    m, X = design.membership, design.effects.X.copy()
    X[:, 1] = X[:, 1] if at is None else at["x"]
    w = term.weight_draws(design, draws)
    for s in (0, 7):
        D = np.diag(draws["m_sd"][s])
        r = draws["m_correlation"][s, 0]
        C = D @ np.array([[1, r], [r, 1]]) @ D
        by_row = w[s] ** 2 * np.einsum("ri,ij,rj->r", X, C, X)
        assert found[s] == pytest.approx(np.bincount(m.group, by_row).mean())
    text = str(mod.variance_decomposition(at=at))
    assert ("At x = 2.5" in text) == (at is not None)
    assert ("at the rows' own x" in text) == (at is None)


def test_a_point_of_nothing_that_varies_is_refused():
    mod = fitted()
    with pytest.raises(mlm.SpecificationError, match=r"no coefficient of 'z' varies.*: x"):
        mod.variance_decomposition(at={"z": 1.0})
    with pytest.raises(mlm.SpecificationError, match="needs a finite number"):
        mod.variance_decomposition(at={"x": np.nan})


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"varying": "0"}, "no coefficient"),
        ({"varying": "1 + fix(x, 2)"}, r"fix\(\) has no place"),
        ({"varying": 3}, "right-hand side of a formula"),
        ({"varying": "1 + x", "dynamics": "ar1", "time": "x"}, "two distributions"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, match):
    with pytest.raises(mlm.SpecificationError, match=match):
        mlm.mm("m", "g", **arguments)


def test_shapes_and_answers_that_are_none_are_refused():
    with pytest.raises(mlm.SpecificationError, match="eta is 0"):
        mlm.VaryingCoefficients("1 + x", eta=0)
    with pytest.raises(mlm.SpecificationError, match="correlated is 'no'"):
        mlm.VaryingCoefficients("1 + x", correlated="no")


def test_slopes_that_cannot_vary_are_refused():
    with pytest.raises(mlm.DataError, match="'age' has one value in every 'm'"):
        model("1 + age").build(TABLE | {"age": TABLE["m"] * 1.0})
    far = TABLE | {"x": TABLE["x"] + 1e9}
    with pytest.raises(mlm.DataError, match="standard deviations from 0"):
        model("1 + x").build(far)
    spec = model("1 + x").specification
    (text,) = spec.cautions(spec.read(TABLE | {"x": TABLE["x"] + 100.0}))
    assert "center(x)" in text


def test_a_member_is_left_out_with_both_coefficients():
    fit = fitted().result_
    found = blocks_of(fit, "m", effect_graph(fit).parts)
    assert len(found.labels) == MEMBERS
    for k in range(MEMBERS):
        rows = found.rows[found.indptr[k] : found.indptr[k + 1]]
        assert set(rows) == set(GROUP[TABLE["m"] == k])
