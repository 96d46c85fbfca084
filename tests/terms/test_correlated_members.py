"""Members that resemble each other: against dense covariances, PyMC's own, and identities."""

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.comparison.blocks import blocks_of
from pymc_mlm.comparison.entries import effect_graph
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.conditional import conditional
from pymc_mlm.terms.member_effects.neighbours import intrinsic_root
from tests.mocked import PriorDraws

RNG = np.random.default_rng(7)
MEMBERS = list("abcdefgh")
GROUPS, SIZE = 30, len(MEMBERS)
GROUP = np.repeat(np.arange(GROUPS), 2)
ROWS = len(GROUP)
# Nobody of the table is g or h.
TABLE = {
    "g": GROUP, "m": np.concatenate([RNG.permutation(MEMBERS[:6])[:2] for _ in range(GROUPS)]),
    "s": RNG.random(ROWS), "y": RNG.normal(size=GROUPS)[GROUP],
}  # fmt: skip
A = RNG.normal(size=(SIZE, SIZE))
K = pd.DataFrame(A @ A.T / SIZE + 0.5 * np.eye(SIZE), index=MEMBERS, columns=MEMBERS)
# Two parts, and an island.
EDGES = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b", "d"], "d": ["c"], "e": ["f", "g"],
         "f": ["e"], "g": ["e"], "h": []}  # fmt: skip
W = pd.DataFrame(0.0, index=MEMBERS, columns=MEMBERS)
for one, others in EDGES.items():
    W.loc[one, others] = 1.0
W = W.to_numpy()
DISTRIBUTIONS = {
    "known": mlm.KnownCovariance(K), "icar": mlm.ICAR(EDGES), "bym2": mlm.BYM2(EDGES),
    "car": mlm.CAR(EDGES),
}  # fmt: skip
VALUES = {"sd": 1.4, "rho": 0.7, "alpha": 0.8}


def covariance(name, sd=VALUES["sd"], mixing=None):
    """Covariance of all members' effects, written down at once."""
    if name == "known":
        return sd**2 * K.to_numpy()
    if name == "car":
        D = np.diag(np.where(W.sum(axis=1) > 0, W.sum(axis=1), 1.0))
        return sd**2 * np.linalg.inv(D - (VALUES["alpha"] if mixing is None else mixing) * W)
    smooth = np.zeros((SIZE, SIZE))
    for part in (range(4), range(4, 7)):
        own = np.ix_(part, part)
        inverse = np.linalg.pinv(np.diag(W[own].sum(axis=1)) - W[own])
        smooth[own] = inverse / np.exp(np.log(np.diag(inverse)).mean())
    smooth[7, 7] = 1.0
    if name == "icar":
        return sd**2 * smooth
    rho = VALUES["rho"] if mixing is None else mixing
    return sd**2 * ((1 - rho) * np.eye(SIZE) + rho * smooth)


def model(effects, **kwargs):
    return mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g", covariance=effects, **kwargs))


def parameters(built, name):
    own = {built["m_sd"]: VALUES["sd"]}
    short = DISTRIBUTIONS[name].mixing
    return own | ({built[f"m_{short}"]: VALUES[short]} if short else {})


@pytest.mark.parametrize("name", ["known", "bym2", "car"])
def test_the_density_is_the_normal_one_with_the_dense_covariance(name, rng):
    built, u = model(DISTRIBUTIONS[name]).build(TABLE), rng.normal(size=SIZE)
    expected = stats.multivariate_normal(np.zeros(SIZE), covariance(name)).logpdf(u)
    found = pm.logp(built["m_effect"], u).eval(parameters(built, name), mode=uncompiled())
    assert found == pytest.approx(expected, rel=1e-10)
    assert list(built.coords["m"]) == MEMBERS


def test_a_proper_autoregression_is_that_of_pymc(rng):
    connected = {k: v for k, v in EDGES.items() if k in "abcd"}
    own = W[:4, :4]
    table = TABLE | {"m": np.array(list("abcd"))[RNG.integers(0, 4, ROWS)]}
    built, u = model(mlm.CAR(connected)).build(table), rng.normal(size=4)
    found = pm.logp(built["m_effect"], u).eval(
        {built["m_sd"]: 1.4, built["m_alpha"]: 0.8}, mode=uncompiled()
    )
    other = pm.CAR.dist(np.zeros(4), own, alpha=0.8, tau=1 / 1.4**2)
    # PyMC leaves out two constants: of the normal density, and the neighbours' numbers.
    constant = -2 * np.log(2 * np.pi) + 0.5 * np.log(own.sum(axis=1)).sum()
    assert found == pytest.approx(
        pm.logp(other, u).eval(mode=uncompiled()).item() + constant, rel=1e-8
    )


def test_an_intrinsic_autoregression_has_the_sum_over_neighbours(rng):
    built = model(DISTRIBUTIONS["icar"]).build(TABLE)
    density, value = _density_of_effect(built)

    def constrained(u):
        for part in ([0, 1, 2, 3], [4, 5, 6]):
            u[part] -= u[part].mean()
        return u

    one, two = (constrained(rng.normal(size=SIZE)) for _ in range(2))
    found = density(one) - density(two)

    def sum_of(u):
        total = u[7] ** 2
        for part in ([0, 1, 2, 3], [4, 5, 6]):
            own = np.ix_(part, part)
            inverse = np.linalg.pinv(np.diag(W[own].sum(axis=1)) - W[own])
            factor = np.exp(np.log(np.diag(inverse)).mean())
            squares = W[own] * (u[part][:, None] - u[part]) ** 2
            total += factor * squares.sum() / 2
        return -0.5 * total / VALUES["sd"] ** 2

    assert found == pytest.approx(sum_of(one) - sum_of(two), rel=1e-8)
    assert value > 0


def _density_of_effect(built):
    u = pt.vector()
    given = parameters(built, "icar")
    graph = pm.logp(built["m_effect"], u)
    return (lambda x: float(graph.eval({u: x, **given}, mode=uncompiled()))), len(given)


def test_the_scale_of_a_smooth_part_is_the_geometric_mean_of_its_variances():
    F = intrinsic_root(W)
    variance = (F**2).sum(axis=1)
    for part in ([0, 1, 2, 3], [4, 5, 6], [7]):
        assert np.exp(np.log(variance[part]).mean()) == pytest.approx(1.0)
    np.testing.assert_allclose(F @ F.T, covariance("icar", sd=1.0), atol=1e-12)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_effects_that_are_integrated_out_have_the_same_covariance(name):
    mod = model(DISTRIBUTIONS[name], weight="exp(b * s)")
    design = mod.specification.read(TABLE)
    split = conditional(mod.specification, design)
    point = split.start + 0.2
    q = design.terms[0][1].effects.F.shape[1]
    drawn = split.draw(point, np.eye(q))
    root, mixing = drawn["m_effect"].T, DISTRIBUTIONS[name].mixing
    value = float(drawn[f"m_{mixing}"]) if mixing else None
    expected = covariance(name, float(drawn["m_sd"]), value)
    np.testing.assert_allclose(root @ root.T, expected, atol=1e-9)
    raw = np.exp(drawn["m_weight_b"] * TABLE["s"])
    w = raw / np.bincount(GROUP, raw)[GROUP]
    Z = np.eye(SIZE)[[MEMBERS.index(m) for m in TABLE["m"]]]
    dense = np.eye(GROUPS)[:, GROUP] @ (w[:, None] * Z)
    found = split.rows.matrix(split.pieces(point).entries).toarray()
    np.testing.assert_allclose(found, dense @ root, atol=1e-12)


def same_members():
    return sorted(set(TABLE["m"]))


def joint_density(built, values):
    """Log density of all variables at values of their own, whatever the coordinates."""
    given = {built[n]: v for n, v in values.items()}
    observed = {"outcome": built.rvs_to_values[built["outcome"]].eval(mode=uncompiled())}
    densities = [
        pm.logp(rv, (values | observed)[rv.name]).sum().eval(
            {k: v for k, v in given.items() if k is not rv}, on_unused_input="ignore",
            mode=uncompiled(),
        )
        for rv in [*built.free_RVs, *built.observed_RVs]
    ]  # fmt: skip
    return float(sum(densities))


def test_identity_is_the_term_without_covariance(rng):
    members = same_members()
    one = {k: {other: float(k == other) for other in members} for k in members}
    known, plain = model(one), mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g"))
    assert known.priors(TABLE).frame.equals(plain.priors(TABLE).frame)
    built = [mod.build(TABLE) for mod in (known, plain)]
    for _ in range(3):
        values = {"Intercept": rng.normal(), "m_sd": rng.uniform(0.2, 2.0),
                  "sigma": rng.uniform(0.2, 2.0), "m_effect": rng.normal(size=6)}  # fmt: skip
        first, second = (joint_density(b, values) for b in built)
        assert first == pytest.approx(second, rel=1e-13)
    splits = [
        conditional(mod.specification, mod.specification.read(TABLE)) for mod in (known, plain)
    ]
    first, second = (s.rows.matrix(s.pieces(s.start).entries).toarray() for s in splits)
    np.testing.assert_array_equal(first, second)


def test_members_without_rows_have_their_conditional_distribution():
    mod = model(DISTRIBUTIONS["known"])
    mod.fit(TABLE, draws=2000, chains=2, random_seed=1, path="collapsed")
    u = mod.idata.posterior["m_effect"].values.reshape(-1, SIZE)
    sd = mod.idata.posterior["m_sd"].values.ravel()
    k = K.to_numpy()
    gain = k[6:, :6] @ np.linalg.inv(k[:6, :6])
    left = np.linalg.cholesky(np.linalg.inv(k[6:, 6:] - gain @ k[:6, 6:])).T
    z = ((u[:, 6:] - u[:, :6] @ gain.T) / sd[:, None]) @ left.T
    # Resampled draws repeat; a third of them is enough for five standard errors.
    error = 5 / np.sqrt(len(np.unique(sd)) / 3)
    assert (np.abs(z.mean(axis=0)) < error).all()
    assert (np.abs(np.cov(z.T) - np.eye(2)) < 2 * error).all()
    assert "2 of 8 members of the matrix have no rows" in str(mod.summary())
    assert set(mod.effects().index) == set(MEMBERS)


def fitted(name, **kwargs):
    mod = model(DISTRIBUTIONS[name], **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return mod.fit(TABLE, draws=20, chains=2, sampler=PriorDraws(), path="sampled")


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_predictions_and_saved_fits(name, tmp_path):
    mod = fitted(name, weight="exp(b * s)")
    draws = {n: v.values for n, v in mod.idata.posterior.items()}
    u = draws["m_effect"][:, :, [MEMBERS.index(m) for m in TABLE["m"]]]
    raw, G = np.exp(draws["m_weight_b"][..., None] * TABLE["s"]), np.eye(GROUPS)[GROUP]
    expected = draws["Intercept"][..., None] + (raw * u) @ G / (raw @ G)
    np.testing.assert_allclose(mod.predict(kind="eta"), expected)
    # h has no rows in the fitted table, and effects all the same.
    new = {"g": [1, 2], "m": ["h", None], "s": [0.0, 0.0]}
    eta = mod.predict(new, kind="eta", random_seed=1)
    own = draws["Intercept"] + draws["m_effect"][..., 7]
    np.testing.assert_allclose(eta.sel(g=1), own)
    again = mlm.MultipleMembershipModel.load(mod.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(again.predict(new, kind="eta", random_seed=1), eta)
    assert again.specification == mod.specification
    assert hash(again.specification.terms[0].effects) == hash(DISTRIBUTIONS[name])
    with pytest.raises(mlm.DataError, match="'m'='z' is not in the matrix of the 8 members"):
        mod.predict({"g": [1], "m": ["z"], "s": [0.0]})


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("weight", ["1 / n", "exp(b * s)"])
def test_the_variance_is_that_of_the_weighted_sums(name, weight):
    term = mlm.mm("m", "g", covariance=DISTRIBUTIONS[name], weight=weight)
    design = term.resolve({k: np.append(v, v[-1]) for k, v in TABLE.items()})
    short = DISTRIBUTIONS[name].mixing
    draws = {"m_sd": np.full(2, VALUES["sd"]), "m_weight_b": np.array([0.4, 0.4])}
    draws |= {f"m_{short}": np.full(2, VALUES[short])} if short else {}
    m, w = design.membership, term.weight_draws(design, draws)[0]
    sums = np.zeros((GROUPS, SIZE))
    np.add.at(sums, (m.group, m.member.codes), w)
    found = term.variance(design, draws)["mm m"]
    np.testing.assert_allclose(found, np.diag(sums @ covariance(name) @ sums.T).mean())
    a, b = term.effects.pairs(m)
    cov = term.effects.covariance(design, draws, a, b, {})[0]
    codes = m.member.codes
    np.testing.assert_allclose(cov, covariance(name)[codes[a], codes[b]], atol=1e-12)


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_members_are_left_out_of_a_comparison():
    mod = model(DISTRIBUTIONS["known"])
    mod.fit(TABLE, draws=200, chains=2, random_seed=1, path="collapsed")
    found = blocks_of(mod.result_, "m", effect_graph(mod.result_).parts)
    assert list(found.labels) == MEMBERS
    rows = found.rows[found.indptr[1] : found.indptr[2]]
    assert set(rows) == set(GROUP[TABLE["m"] == "b"])


def changed(**cells):
    out = K.copy()
    for pair, value in cells.items():
        out.loc[pair[0], pair[1]] = value
    return out


SINGULAR = pd.DataFrame(np.ones((8, 8)), index=MEMBERS, columns=MEMBERS)


@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (changed(ab=9.0), "not symmetric: it has 9 for 'a' and 'b'"),
        (changed(ab=np.nan, ba=np.nan), "no finite number for 'a' and 'b'"),
        (SINGULAR, "not positive definite: its smallest eigenvalue"),
        (K - 5 * np.eye(8), "not positive definite"),
        (K.to_numpy(), "no ids for rows and columns"),
        (K.rename(index={"a": "A"}), "'A' is a label of rows or columns only"),
        (K.rename(index={"a": "b"}, columns={"a": "b"}), "'b' twice"),
        ({"a": {"a": 1.0}, "b": {"a": 0.0, "b": 1.0}}, "no number for 'a' and 'b'"),
        ({"a": {"a": 1.0, "z": 0.1}}, "'a' names 'z', which has no entry"),
        ({"a": 3.0}, "the entry of 'a' is 3.0"),
        (K.astype(object).replace(K.iloc[0, 0], "much"), "not a number"),
    ],
)
def test_a_matrix_that_is_no_covariance_is_refused(matrix, match):
    with pytest.raises(mlm.SpecificationError, match=match):
        mlm.mm("m", "g", covariance=matrix)


@pytest.mark.parametrize(
    ("graph", "match"),
    [
        ({"a": ["b"], "b": []}, "not symmetric"),
        ({"a": ["a", "b"], "b": ["a"]}, "neighbour of itself"),
        ({"a": [], "b": []}, "nobody has a neighbour"),
        ({"a": {"a": 0, "b": -1}, "b": {"a": -1, "b": 0}}, "has -1 for 'a' and 'b'"),
        ({"a": ["c"], "b": []}, "'a' names 'c'"),
    ],
)
@pytest.mark.parametrize("kind", [mlm.ICAR, mlm.CAR, mlm.BYM2])
def test_a_graph_that_is_none_is_refused(kind, graph, match):
    with pytest.raises(mlm.SpecificationError, match=match):
        kind(graph)


def test_a_member_that_the_matrix_lacks_is_refused():
    few = K.loc[MEMBERS[1:], MEMBERS[1:]]
    with pytest.raises(mlm.DataError, match="'m'='a' is not in the matrix of the 7 members"):
        model(few).build(TABLE)
    numbers = K.set_axis(range(8), axis=0).set_axis(range(8), axis=1)
    with pytest.raises(mlm.DataError, match="is text, but the fitted unit 0 is a number"):
        model(numbers).build(TABLE)


def test_the_order_of_rows_and_columns_does_not_matter():
    order = MEMBERS[::-1]
    assert mlm.KnownCovariance(K.loc[:, order]) == mlm.KnownCovariance(K)
    mapping = {a: {b: K.loc[a, b] for b in order} for a in MEMBERS}
    assert mlm.KnownCovariance(mapping) == mlm.KnownCovariance(K)


def test_a_trial_takes_independent_effects():
    with pytest.raises(mlm.SpecificationError, match="effects of members in a trial"):
        mlm.MultivariateLogitTrial("y", "arm", terms=[mlm.mm("m", "g", covariance=K)])
    with pytest.raises(mlm.SpecificationError, match="two distributions"):
        mlm.mm("m", "g", covariance=K, varying="1 + s")


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
def test_a_distribution_with_fewer_coordinates_than_effects_is_sampled():
    mod = model(DISTRIBUTIONS["icar"])
    mod.fit(TABLE, draws=20, tune=20, chains=1, random_seed=1, path="sampled", progressbar=False)
    u = mod.idata.posterior["m_effect"].values
    np.testing.assert_allclose(u[..., :4].sum(axis=-1), 0.0, atol=1e-9)
