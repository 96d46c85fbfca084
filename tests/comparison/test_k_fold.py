"""Parts of a table that are left out, against refits and densities by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import logsumexp
from scipy.stats import norm, poisson

import pymc_mlm as mlm
from pymc_mlm.comparison.scores import score_frame, stacking_weights
from pymc_mlm.prediction import linear_predictor_draws
from tests.mocked import PriorDraws

pytestmark = [
    pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::pymc_mlm.DataWarning"),
]
MOCKED = dict(draws=15, chains=2, sampler=PriorDraws(), path="sampled")


@pytest.fixture
def table(rng):
    size = 1 + np.arange(20) % 3
    g = np.repeat(rng.permutation(20), size)
    m = np.concatenate([rng.choice(6, n, replace=False) for n in size])
    own = pd.DataFrame({
        "y": rng.normal(size=20), "count": rng.poisson(2, 20), "x": rng.normal(size=20),
        "country": np.arange(20) % 4, "grade": np.arange(20) % 3, "weeks": rng.gamma(2.0, size=20),
        "ended": np.arange(20) % 2,
    })  # fmt: skip
    return (
        own.iloc[g]
        .reset_index(drop=True)
        .assign(g=[f"g{v:02}" for v in g], m=m, s=rng.random(len(g)))
    )


def membership(outcome="y", family="gaussian", **options):
    term = mlm.mm("m", "g", weight="exp(b * s)")
    return mlm.MultipleMembershipModel(
        f"{outcome} ~ 1 + x", term, mlm.hm("country"), family=family, **options
    )


def left_out(model, table, units, density):
    """Refit without some groups, and return the log mean density of these, by label."""
    is_out = table["g"].isin(units)
    fit = model.fit(table[~is_out], random_seed=3, progressbar=False, **MOCKED)
    own = fit.result_
    # New units draw their effects with the same seed.
    design = own.spec.read(table[is_out], known=own.design)
    eta = linear_predictor_draws(own, design, 3)
    assert eta["g"].values.tolist() == sorted(units)
    one = table[is_out].drop_duplicates("g").sort_values("g")
    each = density(one, eta.values, fit.idata["posterior"])
    return logsumexp(each, axis=(0, 1)) - np.log(each[..., 0].size)


@pytest.mark.parametrize(("outcome", "family", "density"), [
    ("y", "gaussian",
     lambda one, eta, p: norm.logpdf(one["y"].values, eta, p["sigma"].values[..., None])),
    ("count", "poisson", lambda one, eta, p: poisson.logpmf(one["count"].values, np.exp(eta))),
])  # fmt: skip
def test_each_part_is_predicted_by_a_refit_without_it(table, outcome, family, density):
    model = membership(outcome, family)
    found = mlm.k_fold({"one": model}, table, k=4, by="country", random_seed=3, **MOCKED)
    expected = 0.0
    for country in range(4):
        units = table.loc[table["country"] == country, "g"].unique().tolist()
        expected += left_out(membership(outcome, family), table, units, density).sum()
    assert found.frame.loc["one", "elpd"] == pytest.approx(expected, rel=1e-9)
    assert not hasattr(model, "result_")


def test_members_are_left_out_with_all_their_groups(table):
    options = dict(k=np.int64(3), random_seed=3, **MOCKED)
    found = mlm.k_fold({"one": membership()}, table, by="m", **options)
    part, expected = np.random.default_rng(3).permutation(np.arange(6) % 3), []
    density = lambda one, eta, p: norm.logpdf(  # noqa: E731
        one["y"].values, eta, p["sigma"].values[..., None]
    )
    for f in range(3):
        units = table.loc[part[table["m"]] == f, "g"].unique().tolist()
        expected += left_out(membership(), table, units, density).tolist()
    assert found.frame.loc["one", "elpd"] == pytest.approx(sum(expected), rel=1e-9)
    se = np.sqrt(len(expected) * np.var(expected, ddof=1))
    assert found.frame.loc["one", "se"] == pytest.approx(se, rel=1e-9)
    assert found.title == "Leaving out one of 3 parts of 6 m at a time"
    assert "one with m of several parts is predicted, and counted, once for each" in found.notes[1]


@pytest.mark.parametrize("by", ["row", "u", "country", "m"])
def test_frequencies_are_left_out_as_the_table_written_out(table, rng, by):
    of_group = table["g"].str[1:].astype(int)
    table = table.assign(n=(1 + of_group % 3), u=of_group % 2)
    times = np.repeat(np.arange(len(table)), table["n"])
    copy = np.concatenate([np.arange(n) for n in table["n"]])
    written = table.iloc[times].reset_index(drop=True)
    written["g"] += [f"_{c}" for c in copy]
    assert by != "m" or len(written) == table["n"].sum()
    options = dict(k=2 if by == "u" else 3, by=by, random_seed=3, **MOCKED)
    weighted = membership(row_weights=mlm.FrequencyWeights("n"))
    one = mlm.k_fold({"one": weighted}, table, **options)
    two = mlm.k_fold({"one": membership()}, written, **options)
    pd.testing.assert_frame_equal(one.frame, two.frame, rtol=1e-9)
    assert one.title == two.title


def test_models_that_count_rows_differently_are_refused(table):
    models = {"one": membership(), "two": membership(row_weights=mlm.FrequencyWeights("n"))}
    with pytest.raises(mlm.DataError, match=r"'two' .* or counts them differently"):
        mlm.k_fold(models, table.assign(n=2), k=3, **MOCKED)


def test_known_units_alone_give_the_densities_by_hand(rng):
    own = pd.DataFrame({"x": rng.normal(size=30), "y": rng.normal(size=30), "u": np.arange(30) % 3})
    model = mlm.MultipleMembershipModel("y ~ 1 + x", mlm.hm("u"))
    found = mlm.k_fold({"one": model}, own, k=5, random_seed=3, **MOCKED)
    part = np.random.default_rng(3).permutation(np.arange(30) % 5)
    each = np.empty(30)
    for f in range(5):
        fit = model.fit(own[part != f], random_seed=3, progressbar=False, **MOCKED)
        eta = fit.predict(own[part == f], kind="eta").values
        sigma = fit.idata["posterior"]["sigma"].values[..., None]
        log = norm.logpdf(own["y"].values[part == f], eta, sigma)
        each[part == f] = logsumexp(log, axis=(0, 1)) - np.log(30)
    row = found.frame.loc["one"]
    assert row["elpd"] == pytest.approx(each.sum(), rel=1e-9)
    assert row["se"] == pytest.approx(np.sqrt(30 * each.var(ddof=1)), rel=1e-9)
    assert (row["elpd_diff"], row["dse"], row["weight"]) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(("outcome", "family"), [
    ("grade", "cumulative"), ("grade", "categorical"), ("Surv(weeks, ended)", mlm.Cox(3)),
    ("Surv(weeks, ended)", "weibull"),
])  # fmt: skip
def test_what_a_family_keeps_of_the_fitted_rows_is_that_of_the_refit(table, outcome, family):
    model = membership(outcome, family)
    found = mlm.k_fold({"one": model}, table, k=3, random_seed=1, **MOCKED)
    assert np.isfinite(found.frame["elpd"]).all()


def test_the_model_that_made_the_data_comes_first(rng):
    g, m = np.repeat(np.arange(90), 3), np.concatenate([rng.permutation(12)[:3] for _ in range(90)])
    s, u = rng.normal(size=270), rng.normal(size=12)
    w = np.exp(2 * s)
    w /= np.bincount(g, w)[g]
    y = np.bincount(g, w * u[m]) + 0.3 * rng.normal(size=90)
    table = pd.DataFrame({"g": g, "m": m, "s": s, "y": y[g]})
    models = {
        name: mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g", weight=weight))
        for name, weight in {"mean": "1 / n", "estimated": "exp(b * s)"}.items()
    }
    found = mlm.k_fold(models, table, k=3, path="collapsed", draws=300)
    assert found.frame.index[0] == "estimated"
    assert found.frame.loc["mean", "elpd_diff"] < -2 * found.frame.loc["mean", "dse"]
    assert found.frame["weight"].sum() == pytest.approx(1.0)
    assert found.title == "Leaving out one of 3 parts of 90 observations at a time"
    fits = {
        name: model.fit(table, path="collapsed", random_seed=1) for name, model in models.items()
    }
    by_weights = mlm.compare_weights(fits).frame
    # Less is known without a third of the rows than without one of them.
    assert (found.frame["elpd"] < by_weights["elpd"] + 3).all()
    assert (found.frame["elpd"] > by_weights["elpd"] - 20).all()


def test_rows_without_a_value_are_in_no_part(rng):
    own = pd.DataFrame({"x": rng.normal(size=20), "y": rng.normal(size=20), "u": np.arange(20) % 4})
    own.loc[[3, 8], "x"] = np.nan
    model = mlm.MultipleMembershipModel("y ~ 1 + x", mlm.hm("u"), missing="drop")
    found = mlm.k_fold({"one": model}, own, k=3, **MOCKED)
    again = mlm.k_fold({"one": model}, own.dropna(), k=3, **MOCKED)
    assert "3 parts of 18 observations" in found.title
    pd.testing.assert_frame_equal(found.frame, again.frame)
    other = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u"))
    with pytest.raises(mlm.DataError, match="'two' leaves out other rows of the table than 'one'"):
        mlm.k_fold({"one": model, "two": other}, own, k=3, **MOCKED)


@pytest.mark.parametrize(("options", "error", "text"), [
    (dict(k=1), mlm.SpecificationError, "k=1 must be a whole number from 2 to 20"),
    (dict(k=21), mlm.SpecificationError, "k=21 must be"),
    (dict(k=5, by="country"), mlm.SpecificationError, "from 2 to 4, the number of units of 'coun"),
    (dict(k=True), mlm.SpecificationError, "k=True must be"),
    (dict(k=np.float64(3.0)), mlm.SpecificationError, "must be a whole number"),
    (dict(k=2, by="s"), mlm.DataError, "'s'.*left out with all their observations.*mm.., 'm'"),
    (dict(k=2, by="m"), mlm.DataError, "k=2, by='m': each observation has a 'm' of one part"),
    (dict(k=2, by="nowhere"), mlm.DataError, "nowhere"),
])  # fmt: skip
def test_parts_that_cannot_be_made_are_refused(table, options, error, text):
    if options.get("by") == "m":
        # Members 0 and 1 of all groups.
        table = pd.concat([table.drop_duplicates("g").assign(m=m) for m in range(2)])
    with pytest.raises(error, match=text):
        mlm.k_fold({"one": membership()}, table, **options, **MOCKED)


def test_what_is_no_model_with_one_outcome_is_refused(table):
    with pytest.raises(mlm.SpecificationError, match="takes models by name"):
        mlm.k_fold([membership()], table)
    trial = mlm.MultivariateLogitTrial(["a", "b"], "arm")
    for name, model in {"trial": trial, "text": "none"}.items():
        with pytest.raises(mlm.SpecificationError, match=f"'{name}' is no estimator with one"):
            mlm.k_fold({name: model}, table)
    weighted = membership(row_weights=mlm.SurveyWeights("n"))
    with pytest.raises(
        mlm.SpecificationError, match=r"'one' has row_weights=S.*strata.*az\.compare"
    ):
        mlm.k_fold({"one": weighted}, table)
    many = {"one": membership(row_weights=mlm.FrequencyWeights("n"))}
    with pytest.raises(mlm.SpecificationError, match="stands for 200000 rows, and 100000 at most"):
        mlm.k_fold(many, table.assign(n=10_000), **MOCKED)


def test_stacking_weights_do_not_depend_on_the_scale_of_the_outcome(rng):
    densities = rng.normal(size=(3, 100)) - np.array([[1.0], [1.1], [3.0]])
    # A country of a thousand rows has densities far below what exp can hold.
    far = stacking_weights(densities - 2000.0)
    np.testing.assert_allclose(far, stacking_weights(densities), atol=1e-6)


def test_stacking_weights_are_those_of_arviz(rng):
    from arviz_stats import compare

    values = rng.normal(size=(3, 60)) - np.array([[1.0], [1.05], [1.1]])
    groups = {}
    for name, each in zip("abc", values, strict=True):
        log = xr.DataArray(each + 0.01 * rng.normal(size=(2, 200, 60)), dims=("chain", "draw", "i"))
        groups[name] = xr.DataTree.from_dict({"log_likelihood": log.to_dataset(name="y"),
                                              "posterior": log.to_dataset(name="x")})  # fmt: skip
    frame = compare(groups, method="stacking", round_to="none").sort_index()
    np.testing.assert_allclose(stacking_weights(values), frame["weight"], atol=0.02)
    found = score_frame(dict(zip("abc", values, strict=True))).sort_index()
    np.testing.assert_allclose(found[["se", "dse"]], frame[["se", "dse"]], rtol=0.01)


def test_stacking_weights_maximise_the_mixture(rng):
    densities = rng.normal(size=(3, 200)) - np.array([[1.0], [1.1], [3.0]])
    w = stacking_weights(densities)
    score = lambda v: np.log(v @ np.exp(densities)).sum()  # noqa: E731
    others = rng.dirichlet(np.ones(3), 500)
    assert all(score(w) >= score(v) - 1e-6 for v in others)
    assert w.sum() == pytest.approx(1.0)
