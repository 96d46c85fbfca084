"""Laws of unordered categories: definition, two categories, prediction, new units and bad input."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pymc as pm
import pytest
from scipy import stats

import pymc_mlm as mlm
from pymc_mlm.comparison.left_out import left_out
from pymc_mlm.distributions.categories import multinomial_logit
from pymc_mlm.model.row_likelihood import row_likelihood
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.correlation import partials_to_cholesky
from tests.contracts.test_combinations import refuse_wrong_gradient
from tests.mocked import PriorDraws
from tests.models.test_row_weights import log_density, some_values
from tests.terms.test_own_term import Saturation

RNG = np.random.default_rng(5)
N, MEMBERS, LABELS = 30, 6, ["a", "b", "c"]
GID = np.repeat(np.arange(N), 3)
X, CHOICE, COUNTRY = RNG.normal(size=N) + 4.0, RNG.integers(0, 3, N), RNG.integers(0, 4, N)
TABLE = {
    "gid": GID, "m": RNG.integers(0, MEMBERS, 3 * N), "seats": RNG.normal(size=3 * N),
    "age": RNG.normal(size=3 * N), "x": X[GID], "country": COUNTRY[GID],
    "vote": np.array(LABELS, dtype=object)[CHOICE[GID]],
}  # fmt: skip
ROWS = {n: v[::3] for n, v in TABLE.items()} | {"school": COUNTRY}


def membership(formula="vote ~ 1 + x", *terms, **kwargs):
    own = terms or (
        mlm.mm("m", "gid", covariates="age", weight="exp(b * seats)", varying="1 + seats"),
        mlm.hm("country"),
    )
    kwargs.setdefault("family", "categorical")
    return mlm.MultipleMembershipModel(formula, *own, **kwargs)


def nested(**kwargs):
    kwargs.setdefault("family", "categorical")
    return mlm.NestedVaryingEffects("vote ~ 1 + x", ["school"], **kwargs)


def drawn(model, table=TABLE):
    with warnings.catch_warnings():
        # Draws of the prior do not converge.
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(
            table, draws=10, chains=2, random_seed=1, sampler=PriorDraws(), path="sampled"
        )


def by_hand(values):
    """The log odds of each category of each group, given the model's variables."""
    e = np.exp(values["m_weight_b"] * TABLE["seats"])
    w = e / np.bincount(GID, e)[GID]
    eta = np.zeros((N, 3))
    for k in range(2):
        at = slice(2 * k, 2 * k + 2)
        u = values["m_effect"][TABLE["m"], at]
        of_rows = u[:, 0] + u[:, 1] * TABLE["seats"] + values["m_beta"][k] * TABLE["age"]
        eta[:, k + 1] = values["Intercept"][k] + values["beta"][k] * X
        eta[:, k + 1] += np.bincount(GID, w * of_rows) + values["country_effect"][COUNTRY, k]
    return eta


def test_the_log_density_is_that_of_a_model_written_by_hand(rng):
    model = membership().build(TABLE)
    values = some_values(model)
    eta = by_hand(values)
    outcome = pm.logp(pm.Categorical.dist(logit_p=eta), CHOICE).sum()
    counts = np.bincount(CHOICE) + 0.5
    level = np.log(counts[1:] / counts[0]) - X.mean() * values["beta"]
    level = level - values["m_beta"] * (np.bincount(GID, TABLE["age"] / 3)).mean()
    normal, half = stats.norm.logpdf, stats.halfnorm.logpdf
    own = [
        float(outcome.eval(mode=uncompiled())),
        normal(values["Intercept"], level, 2.5), normal(values["beta"], 0, 2.5 / X.std()),
        normal(values["m_beta"], 0, 2.5 / np.bincount(GID, TABLE["age"] / 3).std()),
        normal(values["m_weight_b"]), half(values["country_sd"], scale=2.5),
    ]  # fmt: skip
    # One standard deviation for each category and column; slopes per standard deviation.
    mean, sd = TABLE["seats"].mean(), TABLE["seats"].std()
    wide = 2.5 * np.sqrt(3.0) * np.tile([np.sqrt(1 + (mean / sd) ** 2), 1 / sd], 2)
    own.append(half(values["m_sd"], scale=wide))
    for name in ("m", "country"):
        partial = model[f"{name}_partial"]
        own.append(pm.logp(partial, values[f"{name}_partial"]).sum().eval(mode=uncompiled()))
        covariance = covariance_of(values[f"{name}_sd"], values[f"{name}_partial"])
        zero = np.zeros(len(covariance))
        own.append(stats.multivariate_normal(zero, covariance).logpdf(values[f"{name}_effect"]))
    assert log_density(model, values) == pytest.approx(np.sum([np.sum(o) for o in own]), abs=1e-8)
    refuse_wrong_gradient(model, rng)


def covariance_of(sd, partial):
    root = sd[:, None] * partials_to_cholesky(partial, len(sd))
    return root @ root.T


@pytest.mark.parametrize("make", [membership, nested, lambda **k: nested(varying="1", **k)])
def test_two_categories_are_the_logistic_model(make):
    table = TABLE | {"vote": np.where(TABLE["vote"] == "a", "no", "yes")}
    table = table if make is membership else {n: v[::3] for n, v in table.items()}
    table["school"] = table["country"]
    ours = make().build(table)
    theirs = make(family=mlm.Bernoulli(event="yes")).build(table)
    values = some_values(ours)
    alike = {rv.name: values[rv.name].reshape(rv.shape.eval()) for rv in theirs.free_RVs
             if rv.name in values}  # fmt: skip
    assert {rv.name for rv in theirs.free_RVs} == {rv.name for rv in ours.free_RVs}
    assert log_density(ours, values) == pytest.approx(log_density(theirs, alike), abs=1e-9)


def test_the_log_density_is_finite_far_away_and_pymc_s_nearby(rng):
    eta, y = rng.normal(size=(40, 3)), rng.integers(0, 4, 40)
    far = np.array([[800.0, -800.0], [-800.0, -900.0], [800.0, 799.0]])
    for predictors, outcome in ((eta, y), (far, np.array([2, 0, 1]))):
        with pm.Model(coords={"row": range(len(outcome))}) as model:
            multinomial_logit("y", predictors, observed=outcome.astype(float), dims="row")
        (value,) = (model.rvs_to_values[rv] for rv in model.observed_RVs)
        ours = pm.logp(model["y"], value).eval(mode=uncompiled())
        whole = np.column_stack([np.zeros(len(outcome)), predictors])
        theirs = whole[range(len(outcome)), outcome] - np.logaddexp.reduce(whole, axis=1)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_outcomes_are_drawn_with_their_probabilities():
    eta = np.log([[2.0, 3.0], [0.5, 0.5]])
    with pm.Model(coords={"row": range(2)}) as model:
        multinomial_logit("y", eta, observed=np.zeros(2), dims="row")
        y = pm.draw(model["y"], draws=20_000, random_seed=1, mode=uncompiled())
    found = np.array([np.bincount(c.astype(int), minlength=3) for c in y.T]) / len(y)
    # Five standard errors.
    np.testing.assert_allclose(found, [[1 / 6, 2 / 6, 3 / 6], [0.5, 0.25, 0.25]], atol=0.018)


def test_the_information_of_a_predictor_is_that_of_its_own_category(rng):
    outcome = mlm.Categorical().outcome("y", {
        "value": rng.integers(0, 3, 20).astype(float), "labels": np.array(LABELS, dtype=object),
    })  # fmt: skip
    eta = rng.normal(size=40)
    slope, information = row_likelihood(mlm.Categorical(), outcome, {}, 1.0)(eta)
    p = mlm.Categorical().mean(eta, {"labels": LABELS})[:, 1:]
    own = outcome["value"][:, None] == [1, 2]
    np.testing.assert_allclose(slope, (own - p).ravel(), atol=1e-9)
    np.testing.assert_allclose(information, (p * (1 - p)).ravel(), atol=1e-5)


@pytest.fixture(scope="module")
def fitted():
    return drawn(membership())


def values_at(fit, draw):
    return {n: v.values[1, draw] for n, v in fit.result_.posterior.items()}


def test_predictions_are_those_of_the_definition(fitted):
    eta = fitted.predict(kind="eta")
    mean = fitted.predict(kind="mean")
    assert eta.dims == mean.dims == ("chain", "draw", "gid", "category")
    assert eta["category"].values.tolist() == ["b", "c"]
    assert mean["category"].values.tolist() == LABELS
    whole = by_hand(values_at(fitted, 4))
    np.testing.assert_allclose(eta.values[1, 4], whole[:, 1:], atol=1e-9)
    odds = np.exp(whole)
    np.testing.assert_allclose(mean.values[1, 4], odds / odds.sum(axis=1, keepdims=True))
    drawn_labels = fitted.predict(kind="outcome", random_seed=1)
    assert drawn_labels.dims == ("chain", "draw", "gid")
    assert set(np.unique(drawn_labels)) <= set(LABELS)


def test_nested_units_and_aggregated_covariates_have_coefficients_for_each_category(rng):
    terms = [mlm.mm("m", "gid", covariates="age", effect=None), mlm.hm("m", covariates="seats")]
    model = nested(terms=terms)
    table = ROWS | {"gid": np.arange(N)}
    refuse_wrong_gradient(model.build(table), rng)
    fit = drawn(model, table)
    eta, of = fit.predict(kind="eta").values[1, 4], values_at(fit, 4)
    age, seats, m = (np.asarray(table[n]) for n in ("age", "seats", "m"))
    for k in range(2):
        own = of["Intercept"][k] + of["beta"][k] * X + of["m_beta"][k] * age
        u = of["school_effect"][COUNTRY, 2 * k : 2 * k + 2]
        own += u[:, 0] + u[:, 1] * X + of["m_2_effect"][m, k] + of["m_2_beta"][k] * seats
        np.testing.assert_allclose(eta[:, k], own, atol=1e-9)


def test_coefficients_of_units_are_those_of_their_predictions():
    fit = drawn(nested(), ROWS)
    own = fit.coefficient_draws().isel(school=COUNTRY)
    eta = fit.predict(kind="eta")
    for label in ("b", "c"):
        level, slope = (own.sel(coef=name).values for name in (label, f"{label}:x"))
        np.testing.assert_allclose(level + slope * X, eta.sel(category=label), atol=1e-9)


def test_each_group_has_one_log_likelihood_and_one_new_outcome(fitted):
    tree = fitted.extend("log_likelihood", "posterior_predictive", random_seed=1)
    found = tree["log_likelihood"]["outcome"]
    assert found.dims == ("chain", "draw", "gid")
    eta = by_hand(values_at(fitted, 4))
    wanted = eta[range(N), CHOICE] - np.logaddexp.reduce(eta, axis=1)
    np.testing.assert_allclose(found.values[1, 4], wanted, atol=1e-9)
    new = tree["posterior_predictive"]["outcome"]
    assert new.dims == found.dims
    assert set(np.unique(new)) <= {0.0, 1.0, 2.0}


def test_new_and_unknown_units_have_one_unit_for_all_categories():
    table = ROWS | {"gid": np.arange(N)}
    terms = (mlm.mm("m", "gid"), mlm.nested(["school"], "1"))
    fit = drawn(membership("vote ~ 1", *terms), table)
    new = {"gid": [100, 101, 102, 102], "m": [99, 99, None, 3], "school": [50, 50, 1, 1]}
    eta = fit.predict(new, kind="eta", random_seed=2)
    # The same new member and new school, and nothing else.
    np.testing.assert_allclose(eta.sel(gid=100), eta.sel(gid=101))
    post = fit.result_.posterior
    known = (post["Intercept"] + post["school_effect"].sel(school=1).values).values
    half = post["m_effect"].transpose("chain", "draw", "m", ...).values
    unknown = 2 * (eta.sel(gid=102).values - known) - half[:, :, 3]
    # Both categories have the effect of one of the fitted members.
    gap = np.abs(half - unknown[:, :, None]).max(axis=-1).min(axis=-1)
    assert gap.max() < 1e-9
    nowhere = {"gid": [100], "m": [3], "school": [None]}
    lost = fit.predict(nowhere, kind="eta", random_seed=2).values[:, :, 0]
    assert np.isfinite(lost).all()
    typical = fit.predict({"gid": [1]}, kind="eta", typical=True).values[:, :, 0]
    np.testing.assert_allclose(typical, post["Intercept"].values)


def test_variances_are_split_within_each_category(fitted):
    found = fitted.variance_decomposition().frame
    assert list(found.index) == [
        f"{part}, {c}" for c in "bc" for part in ("mm m", "hm country", "residual")
    ]
    post = fitted.result_.posterior
    for k, c in enumerate("bc"):
        own = (post["country_sd"][..., k] ** 2).mean()
        assert found.loc[f"hm country, {c}", "variance"] == pytest.approx(float(own))
        assert found.loc[f"residual, {c}", "variance"] == pytest.approx(np.pi**2 / 3)
        share = found["share"][[i for i in found.index if i.endswith(c)]]
        assert share.sum() == pytest.approx(1.0)
    at = drawn(nested(varying="1 + x"), ROWS).variance_decomposition(at={"x": 0.0}).frame
    intercepts = drawn(nested(varying="1 + x"), ROWS).result_.posterior["school_sd"]
    assert list(intercepts["school_coef"].values) == ["b", "b:x", "c", "c:x"]
    own = (intercepts.sel(school_coef="c") ** 2).mean()
    assert at.loc["school, c", "variance"] == pytest.approx(float(own))
    with pytest.raises(mlm.SpecificationError, match="columns whose coefficients vary: seats"):
        fitted.variance_decomposition(at={"x": 1.0})


def test_weights_belong_to_memberships_and_not_to_categories(fitted):
    found = fitted.weights()
    assert found["gid"].tolist() == GID.tolist()
    assert found.groupby("gid")["mean"].sum().values == pytest.approx(np.ones(N))


def test_averages_have_a_row_for_each_category(fitted):
    found = fitted.comparisons("x").frame
    assert found.index.names == ["column", "contrast", "category"]
    assert found["estimate"].sum() == pytest.approx(0.0, abs=1e-12)
    assert fitted.predictions().frame["estimate"].sum() == pytest.approx(1.0)
    slope = fitted.slopes("x", kind="eta").frame["estimate"]
    beta = fitted.result_.posterior["beta"].mean(("chain", "draw"))
    assert slope.values == pytest.approx(beta.values, rel=1e-6)


def test_other_members_change_the_probability_of_each_category(fitted):
    found = fitted.counterfactual(replace={1: 2})
    assert found.average().frame.index.names == ["category", None]
    assert found.difference.sum("category").values == pytest.approx(0.0, abs=1e-12)
    one = found.of_category("b")
    assert one.table().frame["difference"].values == pytest.approx(
        found.table().frame.loc["b", "difference"].values
    )
    with pytest.raises(mlm.SpecificationError, match="the categories are a, b, c"):
        found.of_category("d")
    with pytest.raises(mlm.SpecificationError, match="of_category"):
        found.plot()


def test_a_saved_fit_predicts_the_same(fitted, tmp_path):
    again = mlm.MultipleMembershipModel.load(fitted.save(tmp_path / "fit.nc"))
    new = {"gid": [500, 500], "m": [99, 1], "seats": [0.1, 0.2], "age": [0.0, 1.0],
           "x": [4.0, 4.0], "country": [9, 9]}  # fmt: skip
    for table in (None, new):
        ours, theirs = (m.predict(table, random_seed=3) for m in (fitted, again))
        np.testing.assert_array_equal(ours.values, theirs.values)
    assert again.summary().frame.index.tolist() == fitted.summary().frame.index.tolist()


def test_rows_without_an_outcome_are_predicted():
    vote = ROWS["vote"].copy()
    vote[[0, 5]] = None
    model = nested(missing="predict", within_between=["x"], level_covariates={})
    fit = drawn(model, ROWS | {"vote": vote})
    assert len(fit.result_.design.rows) == N - 2
    assert fit.predict().sizes["obs"] == N
    assert {"b:x (mean of school)", "c:x"} <= set(fit.result_.posterior["covariate"].values)


def test_categories_stand_in_the_order_of_the_column():
    votes = pd.Categorical(ROWS["vote"], categories=["d", "c", "b", "a"])
    outcome = nested().specification.read(ROWS | {"vote": votes}).outcome
    assert outcome["labels"].tolist() == ["c", "b", "a"]
    assert outcome["value"].tolist() == (2 - CHOICE).tolist()
    enum = pl.Series(ROWS["vote"], dtype=pl.Enum(["b", "a", "c"]))
    outcome = nested().specification.read(ROWS | {"vote": enum}).outcome
    assert outcome["labels"].tolist() == ["b", "a", "c"]
    second = nested(family=mlm.Categorical(reference="b")).specification.read(ROWS).outcome
    assert second["labels"].tolist() == ["b", "a", "c"]
    numbers = nested().specification.read(ROWS | {"vote": CHOICE + 10.0}).outcome
    assert numbers["labels"].tolist() == [10, 11, 12]
    flags = nested().specification.read(ROWS | {"vote": CHOICE == 1}).outcome
    assert flags["labels"].tolist() == [False, True]


WRONG = {
    "one category": ({"vote": ["a"] * N}, {}, "one category only, 'a'"),
    "a number": ({"vote": ROWS["x"]}, {}, "is a number and no category"),
    "no such reference": ({}, {"family": mlm.Categorical(reference="A")}, "is never 'A'.*'a'"),
    "no intercept": ({}, {"formula": "vote ~ 0 + x"}, "leaves the intercept out"),
    "offset": ({}, {"formula": "vote ~ 1 + fix(x, 0.5)"}, "parts of one linear predictor"),
    "arithmetic": ({}, {"formula": "log(x) ~ 1"}, "no column of categories"),
    "weights": ({}, {"row_weights": mlm.FrequencyWeights("m")}, "no weights. Write the table out"),
    "imputed": ({}, {"impute": ["x"]}, "Fill the column in"),
    "walk": ({}, {"terms": [mlm.mm("m", "gid", dynamics="random_walk", time="gid")]},
             "Leave dynamics= and covariance= out"),
    "fixed": ({}, {"terms": [mlm.hm("country", effect="fixed")]}, r"C\(country\) in the formula"),
    "prior weight": ({}, {"terms": [mlm.hm("country", prior_weight="m")]}, "no prior weights"),
    "own term": ({}, {"terms": [Saturation("x")]}, "one value a row"),
    "fixed covariate": ({}, {"terms": [mlm.mm("m", "gid", covariates="fix(age, 1)")]},
                        "Name the column alone"),
    "varying unit": ({"country": np.arange(3 * N) % 4}, {"terms": [mlm.hm("country")],
                      "observed": TABLE}, "use mm"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG)
def test_what_has_no_place_is_refused(mistake):
    table, arguments, text = WRONG[mistake]
    arguments = dict(arguments)
    table = arguments.pop("observed", ROWS | {"gid": np.arange(N)}) | table
    terms = arguments.pop("terms", [mlm.mm("m", "gid")])
    if mistake == "varying unit":
        terms = [*terms, mlm.mm("m", "gid")]
    with pytest.raises(mlm.MlmError, match=text):
        membership(arguments.pop("formula", "vote ~ 1 + x"), *terms, **arguments).build(table)


def test_reports_of_one_predictor_are_refused(fitted):
    asked = {
        "overlap": lambda: fitted.overlap(TABLE), "shares": fitted.variance_shares,
        "lines": lambda: fitted.plot("lines"),
        "laplace": lambda: fitted.build(TABLE, path="laplace"),
    }  # fmt: skip
    for call in asked.values():
        with pytest.raises(mlm.SpecificationError, match="Use "):
            call()
    with pytest.raises(mlm.SpecificationError, match="of one linear predictor a row"):
        left_out(fitted.result_, by="country")
    assert left_out(fitted.result_)[0]["outcome"].shape == (2, 10, N)


def test_a_part_without_a_category_is_refused():
    rare = ROWS["vote"].copy()
    rare[rare == "c"] = "b"
    rare[3] = "c"
    model = nested(varying="1")
    with pytest.raises(mlm.DataError, match="Without one part the outcome has the categories a, b"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            mlm.k_fold({"one": model}, ROWS | {"vote": rare}, k=2, draws=10, chains=2,
                       sampler=PriorDraws(), path="sampled")  # fmt: skip
