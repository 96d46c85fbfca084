"""Members' effects along time: against dense covariance matrices, and at new times."""

import warnings

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.conditional import conditional
from tests.mocked import PriorDraws

RNG = np.random.default_rng(2)
GROUPS = 14
GROUP = np.repeat(np.arange(GROUPS), 2)
WHEN = RNG.permutation(np.cumsum(RNG.uniform(0.1, 1.5, GROUPS)).round(2))
TABLE = {
    "g": GROUP, "m": np.concatenate([RNG.permutation(5)[:2] for _ in range(GROUPS)]),
    "t": WHEN[GROUP], "s": RNG.random(2 * GROUPS), "x": RNG.normal(size=2 * GROUPS),
    "y": RNG.normal(size=GROUPS)[GROUP],
}  # fmt: skip
DYNAMICS = {
    "ar1": mlm.AR1("t", unit=2.0),
    "by participation": mlm.RandomWalk("t"),
    "by time": mlm.RandomWalk("t", steps="time"),
}
VALUES = {"sd": 1.3, "rho": 0.6, "first_sd": 0.7}


def model(dynamics, formula="y ~ 1", **kwargs):
    return mlm.MultipleMembershipModel(formula, mlm.mm("m", "g", dynamics=dynamics, **kwargs))


def covariance(dynamics, member, time):
    """Covariance of effects of members at times, written down at once."""
    same = member[:, None] == member
    if isinstance(dynamics, mlm.AR1):
        lag = np.abs(time[:, None] - time) / dynamics.unit
        return same * VALUES["sd"] ** 2 * VALUES["rho"] ** lag
    known = TABLE["t"], TABLE["m"]
    if dynamics.steps == "participation":
        fitted = [np.unique(known[0][known[1] == m]) for m in member]
        # Times after the last fitted one are further steps.
        times = [np.unique([*f, *time[member == m]]) for f, m in zip(fitted, member, strict=True)]
        done = np.array([np.searchsorted(u, t) + 1 for u, t in zip(times, time, strict=True)])
        return same * VALUES["sd"] ** 2 * np.minimum(done[:, None], done)
    first = np.array([
        min(known[0][known[1] == m], default=time[member == m].min()) for m in member
    ])  # fmt: skip
    since = time - first
    walked = VALUES["sd"] ** 2 * np.minimum(since[:, None], since)
    return same * (VALUES["first_sd"] ** 2 + walked)


def parameters(dynamics):
    return {n: VALUES[n] for n in dynamics.labels}


@pytest.mark.parametrize("name", DYNAMICS)
def test_the_density_is_the_normal_one_with_the_dense_covariance(name, rng):
    built = model(DYNAMICS[name]).build(TABLE)
    paths = model(DYNAMICS[name]).specification.read(TABLE).terms[0][1].effects
    effect, u = built["m_effect"], rng.normal(size=len(paths.member))
    density = pm.logp(effect, u)
    given = {built[f"m_{n}"]: v for n, v in parameters(DYNAMICS[name]).items()}
    expected = stats.multivariate_normal(
        np.zeros(len(u)), covariance(DYNAMICS[name], paths.member, paths.time)
    ).logpdf(u)
    assert density.eval(given, mode=uncompiled()) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", DYNAMICS)
def test_each_row_has_the_effect_of_its_member_at_its_time(name):
    built = model(DYNAMICS[name]).build(TABLE)
    labels = list(built.coords["m_at_t"])
    effects = np.arange(len(labels)) * 1.0
    outcome = built["outcome"].owner.inputs[2]
    eta = outcome.eval({built["m_effect"]: effects, built["Intercept"]: 0.0}, mode=uncompiled())
    at = [labels.index(f"{m}, {t:.15g}") for m, t in zip(TABLE["m"], TABLE["t"], strict=True)]
    np.testing.assert_allclose(eta, np.bincount(GROUP, effects[at]) / 2)


def density_at(built, seed=0):
    rng = np.random.default_rng(seed)
    start = built.initial_point()
    point = {k: np.asarray(v) + 0.3 * rng.normal(size=np.shape(v)) for k, v in start.items()}
    return float(built.compile_fn(built.logp(), mode=uncompiled())(point))


@pytest.mark.parametrize("name", DYNAMICS)
def test_neither_the_order_of_rows_nor_that_of_ids_matters(name):
    order = RNG.permutation(len(GROUP))
    shuffled = {k: np.asarray(v)[order] for k, v in TABLE.items()}
    built = model(DYNAMICS[name]).build(TABLE)
    assert density_at(model(DYNAMICS[name]).build(shuffled)) == pytest.approx(density_at(built))
    # The ids of groups in another order: the walk follows the time all the same.
    renamed = TABLE | {"g": GROUPS - GROUP}
    assert density_at(model(DYNAMICS[name]).build(renamed)) == pytest.approx(density_at(built))


def test_a_random_walk_is_the_autoregression_as_rho_goes_to_one(rng):
    one, two = (model(mlm.AR1("t")).build(TABLE), model(DYNAMICS["by time"]).build(TABLE))
    u, near = rng.normal(size=len(one.coords["m_at_t"])), 1e-8
    walk = {two["m_sd"]: 2.0, two["m_first_sd"]: 2.0 / np.sqrt(2 * near)}
    step = {one["m_sd"]: 2.0 / np.sqrt(2 * near), one["m_rho"]: 1.0 - near}
    first, second = (
        pm.logp(m["m_effect"], u).eval(v, mode=uncompiled()) for m, v in ((one, step), (two, walk))
    )  # fmt: skip
    assert first == pytest.approx(second, rel=1e-6)


@pytest.mark.parametrize("name", DYNAMICS)
def test_effects_that_are_integrated_out_have_the_same_covariance(name, monkeypatch):
    mod = model(DYNAMICS[name], weight="exp(b * s)")
    design = mod.specification.read(TABLE)
    paths, split = design.terms[0][1].effects, conditional(mod.specification, design)
    built, point = split.model, split.start + 0.2
    dense = split.rows.matrix(split.pieces(point).entries).toarray()
    drawn = split.draw(point, np.eye(len(paths.member)))
    named = {n: float(v) for n, v in drawn.items() if np.ndim(v) == 0}
    for n in DYNAMICS[name].labels:
        monkeypatch.setitem(VALUES, n, named[f"m_{n}"])
    expected = covariance(DYNAMICS[name], paths.member, paths.time)
    root = drawn["m_effect"].T
    np.testing.assert_allclose(root @ root.T, expected, rtol=1e-9, atol=1e-12)
    # And the rows of the matrix are the weights times that root.
    raw = np.exp(named["m_weight_b"] * TABLE["s"])
    w = raw / np.bincount(GROUP, raw)[GROUP]
    order = design.terms[0][1].membership.rows
    sums = np.zeros((GROUPS, len(paths.member)))
    np.add.at(sums, (GROUP[order], paths.place), w[order])
    np.testing.assert_allclose(dense, sums @ root, rtol=1e-9, atol=1e-12)
    assert built["m_effect"].ndim == 1


NEW_TIMES = {
    # Between fitted times, twice in one gap, before and after all of them, of a new member, and
    # at a fitted time.
    "ar1": [0.03, 1.0, 1.05, 3.0, 30.0, 31.0],
    "by time": [5.0, 5.05, 7.0, 30.0, 31.0],
    "by participation": [30.0, 31.0, 40.0],
}


@pytest.mark.parametrize("name", DYNAMICS)
def test_effects_at_new_times_have_the_conditional_distribution(name, rng):
    dynamics, count = DYNAMICS[name], 40_000
    term = mlm.mm("m", "g", dynamics=dynamics, normalize=False)
    known = term.resolve(TABLE)
    times = np.array([*NEW_TIMES[name], *NEW_TIMES[name][-2:]])
    member = np.array([1] * len(NEW_TIMES[name]) + [77, 77])
    new = {"g": 100 + np.arange(len(times)), "m": member, "t": times}
    design = term.resolve(new, known)
    paths = design.effects
    codes = design.membership.member.codes
    fitted = rng.normal(size=len(paths.member))
    draws = {f"m_{n}": np.full(count, v) for n, v in parameters(dynamics).items()}
    draws["m_effect"] = np.tile(fitted, (count, 1))
    drawn = dynamics.row_draws(design, draws, rng)
    joint = covariance(
        dynamics, np.concatenate([paths.member, codes]), np.concatenate([paths.time, times])
    )
    n = len(fitted)
    gain = joint[n:, :n] @ np.linalg.inv(joint[:n, :n])
    mean, var = gain @ fitted, joint[n:, n:] - gain @ joint[:n, n:]
    error = np.sqrt(np.diag(var) / count)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * error + 1e-9).all()
    spread = np.sqrt((np.outer(np.diag(var), np.diag(var)) + var**2) / count)
    assert (np.abs(np.cov(drawn.T) - var) < 5 * spread + 1e-9).all()


def fitted_model(dynamics, **kwargs):
    mod = model(dynamics, **kwargs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return mod.fit(TABLE, draws=20, chains=2, sampler=PriorDraws(), path="sampled")


@pytest.mark.parametrize("name", DYNAMICS)
def test_predictions_of_fitted_rows_are_the_models_own(name):
    mod = fitted_model(
        DYNAMICS[name], covariates=["x", "fix(s, 0.5)"], weight="exp(b * s)", normalize=False
    )
    draws = mod.idata.posterior
    eta = mod.predict(kind="eta", random_seed=1)
    built = mod.result_.model
    names = ["m_effect", "m_beta", "m_weight_b", "Intercept"]
    given = {built[n]: draws[n].values[1, 3] for n in names}
    own = built["outcome"].owner.inputs[2].eval(given, mode=uncompiled())
    np.testing.assert_allclose(eta[1, 3], own, rtol=1e-10)


@pytest.mark.parametrize("name", DYNAMICS)
def test_a_saved_fit_predicts_new_times_as_before(name, tmp_path):
    mod = fitted_model(DYNAMICS[name])
    new = {"g": [1, 1, 2, 3], "m": [0, 9, 0, None], "t": [50.0, 50.0, 51.0, 4.0]}
    before = mod.predict(new, kind="eta", random_seed=3)
    again = mlm.MultipleMembershipModel.load(mod.save(tmp_path / "fit.nc"))
    np.testing.assert_array_equal(again.predict(new, kind="eta", random_seed=3), before)
    assert again.specification == mod.specification
    still = mod.predict(new, kind="eta", typical=True)
    np.testing.assert_allclose(
        still, mod.idata.posterior["Intercept"].values[..., None] + 0 * still
    )


def test_an_unknown_member_has_the_effect_of_a_fitted_one_nearby():
    mod = fitted_model(DYNAMICS["ar1"])
    new = {"g": [0], "m": [None], "t": [WHEN.max() + 5.0]}
    drawn = mod.predict(new, kind="eta", random_seed=1)
    draws = mod.idata.posterior
    last = draws["m_effect"].values[..., [
        max(i for i, label in enumerate(draws["m_at_t"].values) if label.startswith(f"{m},"))
        for m in np.unique(TABLE["m"])
    ]]  # fmt: skip
    possible = draws["Intercept"].values[..., None] + last
    assert (np.abs(possible - drawn.values).min(axis=-1) < 1e-12).all()
    assert len(np.unique(np.abs(possible - drawn.values).argmin(axis=-1))) > 1


@pytest.mark.parametrize("name", DYNAMICS)
def test_the_variance_is_that_of_the_weighted_sums(name):
    twice = {k: np.append(v, v[-1]) for k, v in TABLE.items()}
    dynamics = DYNAMICS[name]
    term = mlm.mm("m", "g", dynamics=dynamics)
    design = term.resolve(twice)
    draws = {f"m_{n}": np.full(3, v) for n, v in parameters(dynamics).items()}
    found = term.variance(design, draws)["mm m"]
    m = design.membership
    C = covariance(dynamics, m.member.codes, design.effects.row_time)
    W = np.zeros((GROUPS, len(m.group)))
    W[m.group, np.arange(len(m.group))] = design.start
    np.testing.assert_allclose(found, np.diag(W @ C @ W.T).mean())


def test_a_table_of_effects_has_a_row_per_member_and_time():
    mod = fitted_model(DYNAMICS["ar1"])
    assert set(mod.effects().index) == {
        f"{m}, {t:.15g}" for m, t in zip(TABLE["m"], TABLE["t"], strict=True)
    }
    rows = set(mod.summary().frame.index)
    assert {"sd [mm m]", "rho [mm m]"} <= rows


TIED = TABLE | {"t": np.where(GROUP < 9, 1.0, TABLE["t"])}


def test_ties_are_refused_where_participations_are_counted():
    with pytest.raises(mlm.DataError, match=r"'m'=.* is in 'g'=.* at one time, t=1.*steps='time'"):
        model("random_walk", time="t").build(TIED)
    # One effect per member and time.
    assert len(model("ar1", time="t").build(TIED).coords["m_at_t"]) < len(GROUP)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"dynamics": "random_walk"}, "needs time=.*Ids are never taken for an order"),
        ({"time": "t"}, "dynamics says how"),
        ({"dynamics": "ar2", "time": "t"}, "'random_walk' or 'ar1'"),
        ({"dynamics": mlm.AR1("t"), "time": "s"}, "Leave time='s' out"),
        ({"dynamics": "ar1", "time": "t", "effect": None, "covariates": "x"}, "effect=None"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, match):
    with pytest.raises(mlm.SpecificationError, match=match):
        mlm.mm("m", "g", **arguments)


def test_units_and_steps_that_are_none_are_refused():
    with pytest.raises(mlm.SpecificationError, match="unit is 0"):
        mlm.AR1("t", unit=0)
    with pytest.raises(mlm.SpecificationError, match="steps is 'year'"):
        mlm.RandomWalk("t", steps="year")


@pytest.mark.parametrize(
    ("times", "match"),
    [
        (np.full(len(GROUP), 3.0), "No 'm' has two different times"),
        (np.array(["a"] * len(GROUP)), "'t'"),
        (np.where(GROUP == 2, np.nan, TABLE["t"]), "'t'"),
    ],
)
def test_times_that_are_no_order_are_refused(times, match):
    with pytest.raises(mlm.DataError, match=match):
        model("ar1", time="t").build(TABLE | {"t": times})


def test_times_without_a_value_of_the_walk_are_refused():
    new = {"g": [1], "m": [0], "t": [0.0]}
    with pytest.raises(mlm.DataError, match=r"between two of them.*steps='time'"):
        fitted_model(DYNAMICS["by participation"]).predict(new)
    with pytest.raises(mlm.DataError, match=r"before its first fitted time.*'ar1'"):
        fitted_model(DYNAMICS["by time"]).predict(new)


def test_a_prior_of_rho_beyond_one_is_refused():
    prior = {"rho": mlm.Prior("HalfNormal", sigma=0.5)}
    with pytest.raises(mlm.SpecificationError, match="allows values above 1"):
        model("ar1", time="t", priors=prior).build(TABLE)
    bounded = {"rho": mlm.Prior("Beta", alpha=2.0, beta=2.0)}
    model("ar1", time="t", priors=bounded).build(TABLE)


def test_a_unit_in_which_rho_says_nothing_is_warned_of():
    spec = model("ar1", time="t").specification
    days = TABLE | {"t": TABLE["t"] * 365.0}
    (text,) = spec.cautions(spec.read(days))
    assert "apart, and rho belongs to a distance of 1" in text
    assert spec.cautions(spec.read(TABLE)) == ()


def test_a_trial_has_no_dynamics():
    with pytest.raises(mlm.SpecificationError, match="effects of members in a trial"):
        mlm.MultivariateLogitTrial("y", "arm", terms=[mlm.mm("m", "g", dynamics="ar1", time="t")])


def test_new_times_have_no_place_in_a_graph_of_ones_own():
    term = mlm.mm("m", "g", dynamics="ar1", time="t")
    known = term.resolve(TABLE)
    new = term.resolve({"g": [1], "m": [0], "t": [99.0]}, known)
    with pm.Model(), pytest.raises(mlm.SpecificationError, match="not fitted"):
        term.effect(new)
