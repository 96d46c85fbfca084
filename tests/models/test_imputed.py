"""Missing values of covariates as unknowns of the model."""

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from tests.contracts.test_combinations import refuse_wrong_gradient
from tests.mocked import PriorDraws
from tests.models.test_row_weights import log_density, some_values

RNG = np.random.default_rng(8)
ROWS = 30
Z = RNG.normal(5.0, 2.0, ROWS)
X = 1.0 + 0.5 * Z + RNG.normal(size=ROWS)
V = X - Z + RNG.normal(size=ROWS)
Y = X + V + RNG.normal(size=ROWS)
TABLE = pd.DataFrame(
    {"y": Y, "z": Z, "x": X, "v": V, "unit": np.tile(range(6), 5), "w": RNG.random(ROWS)}
)
TABLE.loc[[3, 7, 8], "x"] = np.nan
TABLE.loc[[7, 20], "v"] = np.nan


def model(formula="y ~ 1 + x + z + v", impute=("x", "v"), **options):
    return mlm.MultipleMembershipModel(formula, mlm.hm("unit"), impute=impute, **options)


def by_hand(values):
    """Return the log density of the same model, every row with its distribution."""
    x, v = TABLE.x.to_numpy(copy=True), TABLE.v.to_numpy(copy=True)
    seen = {"x": ~np.isnan(x), "v": ~np.isnan(v)}
    fills = {"x": np.nanmean(x), "v": np.nanmean(v)}
    sds = {"x": np.nanstd(x), "v": np.nanstd(v)}
    filled_x = np.where(seen["x"], x, fills["x"])
    x[~seen["x"]], v[~seen["v"]] = values["x_missing"], values["v_missing"]
    z = Z - Z.mean()
    total = 0.0
    g, h = values["x_imputation"], values["v_imputation"]
    mu_x = g[0] + g[1] * z
    mu_v = h[0] + h[1] * z + h[2] * (x - filled_x.mean())

    def normal(value, mu, sd):
        return pm.logp(pm.Normal.dist(mu, sd), value).eval(mode=uncompiled()).sum()

    total += normal(x, mu_x, values["x_imputation_sd"])
    total += normal(v, mu_v, values["v_imputation_sd"])
    spreads = [z.std(), filled_x.std()]
    for name, sd_name, k in (("x", "x_imputation_sd", 1), ("v", "v_imputation_sd", 2)):
        c, sd = values[f"{name}_imputation"], sds[name]
        total += normal(c[0], fills[name], 2.5 * sd)
        total += normal(c[1:], 0.0, 2.5 * sd / np.array(spreads[:k]))
        total += pm.logp(pm.Exponential.dist(scale=sd), values[sd_name]).eval(mode=uncompiled())
    b = values["beta"]
    eta = values["Intercept"] + b[0] * x + b[1] * Z + b[2] * v
    eta = eta + values["unit_effect"][TABLE.unit]
    total += normal(Y, eta, values["sigma"])
    total += normal(values["unit_effect"], 0.0, values["unit_sd"])
    return float(total)


def test_the_log_density_is_that_of_the_model_written_by_hand():
    built = model().build(TABLE)
    values = some_values(built)
    names = {"Intercept", "beta", "sigma", "unit_sd"}
    given = {rv: values[rv.name] for rv in built.free_RVs if rv.name in names}
    own = [pm.logp(rv, rv).sum() for rv in given]
    others = sum(x.eval(given, on_unused_input="ignore", mode=uncompiled()) for x in own)
    assert log_density(built, values) == pytest.approx(by_hand(values) + others)


@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_the_gradient_is_that_of_finite_differences(family, rng):
    table = (
        TABLE.assign(y=(TABLE.y > TABLE.y.median()).astype(int)) if family != "gaussian" else TABLE
    )
    refuse_wrong_gradient(model(family=family).build(table), rng)
    nested = mlm.NestedVaryingEffects(
        "y ~ 1 + x + z", ["unit"], "1 + z", impute=["x"], family=family
    )
    refuse_wrong_gradient(nested.build(table), rng)


@pytest.fixture(scope="module")
def fit():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model().fit(TABLE, sampler=PriorDraws(), draws=400, chains=2)


def test_fitted_rows_have_their_imputed_values(fit):
    p = fit.result_.posterior
    eta = fit.predict(kind="eta").values
    x = np.broadcast_to(TABLE.x.to_numpy(), eta.shape).copy()
    v = np.broadcast_to(TABLE.v.to_numpy(), eta.shape).copy()
    x[..., [3, 7, 8]], v[..., [7, 20]] = p["x_missing"].values, p["v_missing"].values
    b = p["beta"].values[..., None]
    wanted = p["Intercept"].values[..., None] + b[:, :, 0] * x + b[:, :, 1] * Z + b[:, :, 2] * v
    wanted = wanted + p["unit_effect"].values[..., TABLE.unit]
    np.testing.assert_allclose(eta, wanted, rtol=1e-8, atol=1e-6)


def test_new_rows_are_imputed_given_their_covariates(fit):
    new = pd.DataFrame({"x": [np.nan, 2.0], "z": [5.0, 5.0], "v": [np.nan, np.nan], "unit": [0, 0]})
    p = fit.result_.posterior
    # The coefficients as they are, one of them at a time, so that the value can be seen.
    p = p.assign(
        beta=p["beta"] * 0 + np.array([0.0, 0.0, 1.0]), Intercept=p["Intercept"] * 0,
        unit_effect=p["unit_effect"] * 0, x_imputation_sd=p["x_imputation_sd"] * 0 + 0.1,
        v_imputation_sd=p["v_imputation_sd"] * 0 + 0.2,
        x_imputation=p["x_imputation"] * 0 + np.array([3.0, 0.5]),
        v_imputation=p["v_imputation"] * 0 + np.array([1.0, 0.0, 2.0]),
    )  # fmt: skip
    result = fit.result_
    kept = result.idata["posterior"].to_dataset()
    result.idata["posterior"] = p
    try:
        v = fit.predict(new, kind="eta", random_seed=1).values.reshape(-1, 2)
    finally:
        result.idata["posterior"] = kept
    x_fill = np.where(np.isnan(TABLE.x), TABLE.x.mean(), TABLE.x).mean()
    x = 3.0 + 0.5 * (5.0 - Z.mean())
    means = 1.0 + 2.0 * (np.array([x, 2.0]) - x_fill)
    np.testing.assert_allclose(v.mean(axis=0), means, atol=0.05)
    np.testing.assert_allclose(v.std(axis=0), [np.hypot(0.2, 2 * 0.1), 0.2], rtol=0.1)


def test_reports_name_what_is_imputed(fit, tmp_path):
    text = str(fit.summary())
    assert "3 of 30 values of 'x' are imputed" in text
    assert "linear in z, x" in text  # v, given z and x
    assert "sd [imputed x]" in text
    fit.save(tmp_path / "fit.nc")
    again = mlm.load(tmp_path / "fit.nc")
    assert again.spec.impute == ("x", "v")
    assert again.design.terms[-1][1].columns[0].missing.tolist() == [3, 7, 8]
    assert "x_imputation_sd" in str(fit.priors(TABLE))
    with pytest.raises(mlm.SpecificationError, match="no value to start"):
        fit.slopes("x")
    assert len(fit.comparisons({"x": (1.0, 2.0)}).frame) == 1


def test_a_group_has_one_value():
    table = pd.DataFrame({
        "group": [0, 0, 1, 1, 2, 2, 3, 3], "member": [0, 1, 1, 2, 2, 0, 1, 0],
        "y": np.repeat([1.0, 2.0, 4.0, 3.0], 2), "x": np.repeat([1.0, np.nan, 5.0, 2.0], 2),
    })  # fmt: skip
    term = mlm.mm("member", "group")
    design = mlm.MultipleMembershipModel("y ~ x", term, impute=["x"]).specification.read(table)
    assert design.terms[-1][1].columns[0].missing.tolist() == [1]
    assert design.population.X[:, 0].tolist() == pytest.approx([1.0, 8 / 3, 5.0, 2.0])
    table.loc[2, "x"] = 3.0
    with pytest.raises(mlm.DataError, match="some rows of 'group'=1 only"):
        mlm.MultipleMembershipModel("y ~ x", term, impute=["x"]).specification.read(table)


WRONG = {
    "a function": ({"formula": "y ~ log(x) + z", "impute": ["x"]}, "on its own"),
    "a product": ({"formula": "y ~ x * z", "impute": ["x"]}, "on its own"),
    "no covariate": ({"formula": "y ~ z", "impute": ["x"]}, "on its own"),
    "twice": ({"impute": ["x", "x"]}, "each once"),
    "weights": ({"impute": ["x"], "row_weights": mlm.FrequencyWeights("unit")}, "stands for"),
    "a number": ({"impute": [3]}, "each once"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_imputed_is_refused(case):
    options, message = WRONG[case]
    with pytest.raises(mlm.SpecificationError, match=message):
        model(**options)


def test_a_column_of_another_term_is_not_imputed():
    with pytest.raises(mlm.SpecificationError, match="reads, too"):
        mlm.NestedVaryingEffects("y ~ x + z", ["unit"], "1 + x", impute=["x"])
    # By default every covariate varies that varies within units.
    with pytest.raises(mlm.SpecificationError, match="varies between units of 'unit'"):
        mlm.NestedVaryingEffects("y ~ x + z", ["unit"], impute=["x"]).specification.read(TABLE)


def test_categories_and_two_values_are_not_normal():
    with pytest.raises(mlm.DataError, match="two values only"):
        model("y ~ x + z", ["x"]).specification.read(
            TABLE.assign(x=(TABLE.x > 3).astype(float).where(TABLE.x.notna()))
        )
    with pytest.raises(mlm.DataError, match="'x'"):
        model("y ~ x + z", ["x"]).specification.read(TABLE.assign(x=["a", None] * 15))


@pytest.mark.parametrize("path", ["collapsed", "certified", "laplace"])
def test_effects_are_not_integrated_out(path):
    with pytest.raises(mlm.SpecificationError, match=r"impute=|collapsed"):
        model().fit(TABLE, path=path)


def test_other_missing_values_are_refused_as_before():
    with pytest.raises(mlm.DataError, match="'z' is missing"):
        model().specification.read(TABLE.assign(z=TABLE.z.where(TABLE.z < 6)))


def test_complete_columns_change_nothing():
    full = TABLE.dropna().reset_index(drop=True)
    values = some_values(model(impute=()).build(full))
    extra = model().build(full)
    own = some_values(extra) | values
    names = {rv.name for rv in extra.free_RVs} - values.keys()
    assert names == {f"{n}_{w}" for n in "xv" for w in ("imputation", "imputation_sd", "missing")}
    start = extra.compile_logp(mode=uncompiled())(extra.initial_point())
    assert np.isfinite(start)
    assert np.isfinite(log_density(extra, own))


def test_a_missing_value_that_could_be_imputed_is_told_so():
    table = {"y": [1.0, 2.0, 3.0, 1.5], "x": [1.0, np.nan, 0.0, 2.0], "z": [0.0, 1.0, np.nan, 3.0]}
    message = r"'x' is missing in 1 of 4 rows.* let the model impute numbers with impute=\['x'\];"
    for formula in ("y ~ x", "y ~ x + log(z + 1)"):
        with pytest.raises(mlm.DataError, match=message):
            mlm.MultipleMembershipModel(formula).build(table)
    with pytest.raises(mlm.DataError, match="Missing values are not imputed: fill them in"):
        mlm.MultipleMembershipModel("y ~ log(z + 1)").build(table)
    with pytest.raises(mlm.DataError, match="Missing values are not imputed: fill them in"):
        mlm.MultipleMembershipModel("y ~ x", row_weights=mlm.FrequencyWeights("n")).build(
            table | {"n": [1, 1, 2, 1]}
        )
