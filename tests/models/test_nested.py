"""Laws of the nested model: dense likelihood, variance components, and what it refuses."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pymc as pm
import pytest
import xarray as xr
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.inference import AbstractSampler
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.correlation import partials_to_cholesky

FAST = "FAST_COMPILE"
LEVELS = ["region", "school"]


@pytest.fixture(scope="module")
def fitted(pupils):
    """A short real fit of the collapsed model."""
    model = mlm.NestedVaryingEffects("y ~ 1 + x", LEVELS)
    run = {"draws": 1000, "tune": 1000, "chains": 2, "random_seed": 1, "progressbar": False}
    return model.fit(pupils, sampler=mlm.Nutpie(target_accept=0.99), **run)


@dataclass(frozen=True)
class FromThePrior(AbstractSampler):
    """A sampler that ignores the outcome: for laws that hold at any draws."""

    def sample(self, model, var_names, run):
        with model:
            tree = pm.sample_prior_predictive(
                run.draws, var_names=list(var_names), random_seed=run.random_seed,
                compile_kwargs={"mode": uncompiled()},
            )  # fmt: skip
        return xr.DataTree.from_dict({"posterior": tree["prior"].to_dataset()})


def unsampled(model, table, draws=2000):
    """Return the model with draws from its prior."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        return model.fit(table, draws=draws, random_seed=1, sampler=FromThePrior())


@pytest.fixture(scope="module")
def crossed(pupils):
    """A model with crossed years and a covariate whose slope does not vary."""
    table = pupils.assign(year=np.arange(72) % 5, z=pupils["z"] + 4)
    model = mlm.NestedVaryingEffects("y ~ 1 + x + z", LEVELS, "1 + x", terms=[mlm.hm("year")])
    return unsampled(model, table), table


def model_of(table, **kwargs):
    model = mlm.NestedVaryingEffects("y ~ 1 + x + income", LEVELS, "1 + x", **kwargs)
    return model, model._design(table)


def test_the_collapsed_likelihood_is_the_dense_normal(pupils):
    model, design = model_of(pupils)
    built = model._build(design)
    rng = np.random.default_rng(8)
    point = {k: 0.4 * rng.normal(size=np.shape(v)) for k, v in built.initial_point().items()}
    names = ["Intercept", "beta", "sigma"] + [f"{n}_{v}" for n in LEVELS for v in ("sd", "partial")]
    outputs = built.replace_rvs_by_values([built.potentials[0], *(built[n] for n in names)])
    values = built.compile_fn(outputs, inputs=built.value_vars, mode=FAST)
    loglik, *rest = values(point)
    at = dict(zip(names, rest, strict=True))
    Z = np.column_stack([np.ones(len(pupils)), pupils["x"]])
    cov = at["sigma"] ** 2 * np.eye(len(pupils))
    for level in LEVELS:
        factor = at[f"{level}_sd"][:, None] * partials_to_cholesky(at[f"{level}_partial"], 2)
        same = pupils[level].to_numpy()[:, None] == pupils[level].to_numpy()
        cov += same * (Z @ factor @ factor.T @ Z.T)
    mean = at["Intercept"] + pupils[["x", "income"]].to_numpy() @ at["beta"]
    dense = stats.multivariate_normal(mean, cov).logpdf(pupils["y"])
    assert loglik == pytest.approx(dense, rel=1e-10)


def test_balanced_variance_components_maximise_the_collapsed_likelihood():
    rng = np.random.default_rng(6)
    units, rows = 12, 5
    y = np.repeat(rng.normal(0, 2, units), rows) + rng.normal(size=units * rows)
    table = {"unit": np.repeat(np.arange(units), rows), "y": y}
    model = mlm.NestedVaryingEffects("y ~ 1", ["unit"])
    built = model._build(model._design(table))
    means = y.reshape(units, rows).mean(axis=1)
    within = ((y - np.repeat(means, rows)) ** 2).sum() / (units * (rows - 1))
    between = rows * ((means - y.mean()) ** 2).sum() / units
    [loglik, location] = built.replace_rvs_by_values([built.potentials[0], built["Intercept"]])
    gradient = pm.pytensorf.gradient(loglik, built.value_vars)
    values = built.compile_fn([gradient, location], inputs=built.value_vars, mode=FAST)
    start = built.initial_point()
    intercept = next(n for n in start if n.startswith("Intercept"))
    zero = values(start | {intercept: np.array(0.0)})[1]
    one = values(start | {intercept: np.array(1.0)})[1]
    point = {
        intercept: np.array((y.mean() - zero) / (one - zero)),
        "unit_sd_log__": 0.5 * np.log([(between - within) / rows]),
        "sigma_log__": np.array(0.5 * np.log(within)),
    }
    # Searle, Casella & McCulloch (1992), section 3.7: the maximum has a closed form.
    np.testing.assert_allclose(values(point)[0], 0.0, atol=1e-8)


def test_what_varies_by_default_is_what_varies_within_leaves(pupils):
    model = mlm.NestedVaryingEffects("y ~ 1 + x + income + z", LEVELS)
    assert model._design(pupils).nested.columns == ("Intercept", "x", "z")


def test_the_summary_speaks_of_deviations_and_correlations(fitted):
    assert list(fitted.summary().frame.index) == [
        "Intercept", "x", "sd Intercept [region]", "sd x [region]", "cor(Intercept, x) [region]",
        "sd Intercept [school]", "sd x [school]", "cor(Intercept, x) [school]", "sigma",
    ]  # fmt: skip


def test_effects_are_in_the_trace_with_names_and_labels(fitted):
    posterior = fitted.idata["posterior"]
    assert posterior["school_effect"].dims == ("chain", "draw", "school", "school_coef")
    assert list(posterior["region_effect"]["region"].values) == ["A", "B", "C"]
    assert fitted.effects("region").shape == (6, 4)
    assert fitted.coefficients().loc[(0, "x"), "mean"] != fitted.effects().loc[(0, "x"), "mean"]


def test_units_own_coefficients_are_near_least_squares_where_rows_are_many(fitted, pupils):
    own = fitted.coefficients("school")["mean"].unstack()
    for school, rows in pupils.groupby("school"):
        slope, intercept = np.polyfit(rows["x"], rows["y"], 1)
        assert own.loc[school, "x"] == pytest.approx(slope, abs=0.5)
        assert own.loc[school, "Intercept"] == pytest.approx(intercept, abs=0.5)


def test_a_new_unit_shares_its_draw_and_a_fitted_one_keeps_its_own(fitted):
    new = pd.DataFrame(
        {"region": list("AAABZZ"), "school": [0, 90, 90, 91, 92, 93], "x": [0.0] * 6}
    )
    eta = fitted.predict(new, kind="eta", random_seed=1).values.reshape(-1, 6)
    own = fitted.coefficient_draws("school").sel(school=0, coef="Intercept").values.ravel()
    np.testing.assert_allclose(eta[:, 0], own, rtol=1e-12)
    np.testing.assert_array_equal(eta[:, 1], eta[:, 2])
    assert np.abs(eta[:, 1] - eta[:, 3]).min() > 0
    # Two new schools of one new region share the region's deviation, not their own.
    assert 0.05 < np.corrcoef(eta[:, 4], eta[:, 5])[0, 1] < 0.99
    assert eta[:, 4].std() > eta[:, 0].std()


def test_a_missing_id_is_an_unknown_one_of_the_fitted_units(fitted):
    new = pd.DataFrame(
        {"region": ["A", "A", None, None], "school": [None, None, None, 3], "x": [0.0] * 4}
    )
    eta = fitted.predict(new, kind="eta", random_seed=1, allow_new=False).values.reshape(-1, 4)
    own = fitted.coefficient_draws("school").sel(coef="Intercept").values.reshape(-1, 6)
    in_a = own[:, [0, 3]]  # the schools of region A
    for column, among in ((0, in_a), (1, in_a), (2, own)):
        hits = np.abs(eta[:, [column]] - among) < 1e-12
        assert hits.any(axis=1).all()
        np.testing.assert_allclose(hits.mean(axis=0), 1 / among.shape[1], atol=0.05)
    assert np.mean(eta[:, 0] == eta[:, 1]) == pytest.approx(0.5, abs=0.05)
    # The parent of a fitted unit is known, whether or not the row tells it.
    np.testing.assert_allclose(eta[:, 3], own[:, 3], rtol=1e-12)


def test_an_unknown_unit_of_a_new_parent_is_a_new_unit(fitted):
    new = pd.DataFrame({"region": ["Z", "Z"], "school": [None, 99], "x": [0.0, 0.0]})
    eta = fitted.predict(new, kind="eta", random_seed=1).values.reshape(-1, 2)
    assert eta[:, 0].std() == pytest.approx(eta[:, 1].std(), rel=0.15)
    assert np.abs(eta[:, 0] - eta[:, 1]).min() > 0


def test_a_new_unit_varies_as_its_level_does(fitted):
    count = 200
    new = pd.DataFrame({"region": "A", "school": np.arange(100, 100 + count), "x": 1.5})
    eta = fitted.predict(new, kind="eta", random_seed=3).values
    posterior = fitted.idata["posterior"]
    sd, rho = posterior["school_sd"].values, posterior["school_correlation"].values[..., 0]
    own = sd[..., 0] ** 2 + 2 * rho * sd[..., 0] * sd[..., 1] * 1.5 + (sd[..., 1] * 1.5) ** 2
    # Given the parameters, schools of one region are independent around it.
    np.testing.assert_allclose((eta.var(axis=2, ddof=1) / own).mean(), 1.0, atol=0.02)
    parent = fitted.coefficient_draws("region").sel(region="A").values @ [1.0, 1.5]
    deviations = (eta.mean(axis=2) - parent) / np.sqrt(own / count)
    assert deviations.std() == pytest.approx(1.0, abs=0.06)


def test_new_crossed_units_and_the_noise_are_independent(crossed):
    model, table = crossed
    new = table.head(1).assign(year=99)
    eta = model.predict(new, kind="eta", random_seed=1)
    noise = (model.predict(new, kind="outcome", random_seed=1) - eta) / model.idata["posterior"][
        "sigma"
    ]
    old = model.predict(table.head(1), kind="eta", random_seed=1)
    own = (eta - old).values.ravel() / model.idata["posterior"]["year_sd"].values.ravel()
    # Seeded alike, both would be the same normals; 2,000 draws know zero to 0.022.
    assert abs(np.corrcoef(own, noise.values.ravel())[0, 1]) < 0.1


def test_predictions_follow_the_rows_and_their_noise(fitted, pupils):
    mean = fitted.predict().mean(("chain", "draw")).values
    assert np.corrcoef(mean, pupils["y"])[0, 1] > 0.7
    noisy = fitted.predict(pupils.head(3), kind="outcome", random_seed=2)
    assert noisy.shape == (2, 1000, 3)
    sigma = fitted.idata["posterior"]["sigma"].mean().item()
    assert (noisy - fitted.predict(pupils.head(3))).std().item() == pytest.approx(sigma, rel=0.15)


def test_variance_changes_along_a_varying_slope(fitted):
    posterior = fitted.idata["posterior"]
    sd, rho = posterior["region_sd"].values, posterior["region_correlation"].values[..., 0]
    at = 1.5
    variance = sd[..., 0] ** 2 + 2 * rho * sd[..., 0] * sd[..., 1] * at + (sd[..., 1] * at) ** 2
    table = fitted.variance_decomposition(at={"x": at})
    assert table.frame.loc["region", "variance"] == pytest.approx(variance.mean())
    assert table.frame["share"].sum() == pytest.approx(1.0)
    assert "At x = 1.5." in table.notes[0]
    shares = fitted.variance_shares("x", [0.0, at])
    assert shares.loc[(at, "region"), "variance"] == pytest.approx(variance.mean())


def test_shares_ask_for_a_slope_at_a_number(fitted):
    for ask in (
        lambda: fitted.variance_decomposition(at={"Intercept": 2.0}),
        lambda: fitted.variance_shares("Intercept"),
        lambda: fitted.plot("lines", column="Intercept"),
    ):
        with pytest.raises(mlm.SpecificationError, match="The intercept is no covariate"):
            ask()
    with pytest.raises(mlm.SpecificationError, match="'x' needs a finite number"):
        fitted.variance_decomposition(at={"x": np.nan})


def test_the_plot_of_effects_shows_all_of_each_unit(fitted):
    axes = fitted.plot("effects", term="region", column="x").get_target("y", {})
    assert axes.get_xlabel() == "x of each region, population included"
    low, _ = axes.get_xlim()
    assert low < fitted.coefficients("region")["mean"].xs("x", level="coef").min()
    figure = axes.figure
    figure.draw_without_rendering()
    assert axes.xaxis.label.get_window_extent().y0 >= 0


def test_shares_of_counts_do_not_depend_on_the_other_points(pupils):
    model = mlm.NestedVaryingEffects("count ~ 1 + x", LEVELS, family="poisson")
    model = unsampled(model, pupils, draws=200)
    alone = model.variance_shares("x", [2.0])
    pd.testing.assert_frame_equal(model.variance_shares("x", [0.0, 2.0]).loc[[2.0]], alone)
    shares = model.variance_decomposition(at={"x": 2.0}).frame["share"]
    np.testing.assert_allclose(alone["share"].loc[2.0], shares[alone.loc[2.0].index])


def test_crossed_units_have_their_share_of_the_variance(crossed):
    model, _ = crossed
    posterior = model.idata["posterior"]
    frame = model.variance_decomposition().frame
    assert list(frame.index) == ["region", "school", "hm year", "residual"]
    assert frame.loc["hm year", "variance"] == pytest.approx(
        (posterior["year_sd"] ** 2).mean().item()
    )
    assert frame["share"].sum() == pytest.approx(1.0)
    assert model.variance_shares("x", [0.0]).index.get_level_values("part").tolist() == [
        *frame.index
    ]


def test_lines_stand_where_the_predictor_is(crossed):
    model, table = crossed
    posterior = model.idata["posterior"]
    axes = model.plot("lines", term="region").get_target("y", {})
    at_zero = [np.interp(0.0, line.get_xdata(), line.get_ydata()) for line in axes.lines[:3]]
    own = model.coefficients("region")["mean"].xs("Intercept", level="coef")
    slope = posterior["beta"].sel(covariate="z").mean().item()
    np.testing.assert_allclose(at_zero, own + slope * table["z"].mean())


@pytest.mark.parametrize("what", ["forest", "trace", "pairs", "effects", "lines", "variance"])
def test_a_plot_is_drawn(fitted, what):
    assert type(fitted.plot(what)).__name__.startswith("Plot")


FAMILIES = {
    "gaussian": ("y", {}),
    "student_t": ("y", {"family": "student_t"}),
    "bernoulli": ("yes", {"family": "bernoulli"}),
    "poisson": ("count", {"family": "poisson"}),
    "negative_binomial": ("count", {"family": "negative_binomial"}),
    "binomial": ("wins", {"family": mlm.Binomial("games")}),
    "weibull": ("Surv(count)", {"family": "weibull"}),
    "crossed": ("y", {"terms": [mlm.hm("z_id")]}),
}


@pytest.mark.parametrize(("outcome", "kwargs"), FAMILIES.values(), ids=FAMILIES.keys())
def test_every_family_has_a_finite_density_and_prior_predictions(outcome, kwargs, pupils):
    table = pupils.assign(z_id=np.arange(len(pupils)) % 5)
    model = mlm.NestedVaryingEffects(f"{outcome} ~ 1 + x", LEVELS, **kwargs)
    built = model._build(model._design(table), "sampled")
    assert np.isfinite(built.compile_logp(mode=FAST)(built.initial_point()))
    drawn = model.sample_prior_predictive(table, draws=3, random_seed=1)
    assert drawn["prior_predictive"]["outcome"].shape == (1, 3, 72)


def test_unit_means_separate_within_from_between(pupils):
    model = mlm.NestedVaryingEffects("y ~ 1 + x", LEVELS, within_between=["x"])
    design = model._design(pupils)
    assert design.population.names == ("x", "x (mean of region)", "x (mean of school)")
    expected = pupils.groupby("school")["x"].transform("mean")
    np.testing.assert_allclose(design.population.X[:, 2], expected)
    new = pd.DataFrame({"region": ["A", "A"], "school": [0, 77], "x": [9.0, 5.0]})
    again = model._design(new, known=design)
    np.testing.assert_allclose(
        again.population.X[:, 2], [expected[pupils.school == 0].iloc[0], 5.0]
    )


def test_the_mean_of_what_is_constant_within_schools_is_that_of_regions(pupils):
    model = mlm.NestedVaryingEffects("y ~ 1 + x + income", LEVELS, within_between=["income"])
    design = model._design(pupils)
    # The mean of a school's income is its income: a second column of the same numbers.
    assert design.population.names == ("x", "income", "income (mean of region)")
    again = model._design(pupils.head(9), known=design)
    np.testing.assert_array_equal(again.population.X, design.population.X[:9])


def test_unit_means_ask_for_ids(pupils):
    model = mlm.NestedVaryingEffects("y ~ 1 + x", LEVELS, within_between=["x"])
    design = model._design(pupils)
    new = pupils.assign(school=pupils["school"].where(pupils.index != 5))
    with pytest.raises(mlm.DataError, match=r"'school' is missing in row 5 .*mean of 'x'"):
        model._design(new, known=design)


def test_ids_that_count_within_parents_make_more_units(pupils):
    table = pupils.assign(school=pupils["school"] // 3)
    model = mlm.NestedVaryingEffects("y ~ 1 + x", LEVELS, unique_ids=True)
    assert len(model._design(table).nested.nesting.labels[1]) == 6


def test_new_units_are_refused_where_they_are_not_allowed(fitted):
    new = pd.DataFrame({"region": ["Z"], "school": [99], "x": [0.0]})
    with pytest.raises(mlm.DataError, match="'region'='Z' was not among the 3 fitted units"):
        fitted.predict(new, allow_new=["school"])


def test_an_unknown_level_in_allow_new_is_named(fitted):
    with pytest.raises(mlm.SpecificationError, match="allow_new names 'scool'"):
        fitted.predict(allow_new=["scool"])
    with pytest.raises(mlm.DataError, match="'region'='Z' was not among"):
        new = pd.DataFrame({"region": ["Z"], "school": [99], "x": [0.0]})
        fitted.predict(new, allow_new="school")


def test_a_new_unit_of_an_unknown_parent_is_refused(fitted):
    new = pd.DataFrame({"region": ["A", None], "school": [99, 98], "x": [0.0, 0.0]})
    with pytest.raises(mlm.DataError, match=r"'region' is missing in row 1 .*'school'=98 is no"):
        fitted.predict(new)


def test_ids_of_another_type_are_not_silently_new(fitted):
    new = pd.DataFrame({"region": ["A"], "school": ["3"], "x": [0.0]})
    with pytest.raises(
        mlm.DataError, match="'school'='3' is text, but the fitted unit 3 is a number"
    ):
        fitted.predict(new)


def test_a_fitted_unit_cannot_move_to_another_parent(fitted):
    with pytest.raises(mlm.DataError, match="when the model was fitted"):
        fitted.predict(pd.DataFrame({"region": ["B"], "school": [0], "x": [0.0]}))


def test_a_copy_has_the_same_arguments():
    model = mlm.NestedVaryingEffects("y ~ 1 + x", LEVELS, eta=1.0)
    assert model.__sklearn_clone__().get_params() == model.get_params()
