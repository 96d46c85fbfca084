"""What tools for memberships offer beside the rows of the README's table, called here once each.

What one of them has and this package has not is a row of docs/limitations.md.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from tests.contracts.test_readme_claims import built, fitted, membership_table
from tests.mocked import PriorDraws

LIMITS = (Path(__file__).parents[2] / "docs" / "limitations.md").read_text()
MOCKED = dict(draws=30, chains=2, sampler=PriorDraws(), path="sampled", progressbar=False)
# Functions of a group, of bml 0.9 and of JAGS, that have a counterpart in weights.
WEIGHTS = (
    "1 / n", "s / max(s)", "min(s)", "s / mean(s)", "s / sum(s)", "median(s)", "1 + range(s)",
    "quantile(s, 0.75)", "first(s, t)", "last(s, t)", "exp(s)", "log(1 + s)", "log10(10 + s)",
    "sqrt(s)", "abs(s)", "pow(s, 2)", "tanh(s)", "9 + logit(s)", "ilogit(s)", "9 + probit(s)",
    "iprobit(s)", "9 + cloglog(s)", "icloglog(s)", "1 + round(s)", "1 + trunc(s)", "1 + floor(s)",
    "ceiling(s)",
)  # fmt: skip


@pytest.fixture
def table():
    own = membership_table()
    g = own["g"].to_numpy()
    return own.assign(
        t=np.arange(len(own)) * 1.0, c=g % 4, r=g % 2, z=np.cos(g), signed=own["s"] - 0.5
    )


def drawn(table, formula="y ~ 1 + z", *terms, **options):
    model = mlm.MultipleMembershipModel(formula, *(terms or (mlm.mm("m", "g"),)), **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(table, random_seed=1, **MOCKED)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_the_weight_language_has_the_functions_of_bml(table, weight):
    assert "m_sd" in built(table, mlm.mm("m", "g", weight=weight))


def test_weights_may_be_negative_and_need_not_sum_to_one(table):
    term = mlm.mm("m", "g", weight="signed", normalize=False)
    design = term.resolve(table)
    ordered = table.sort_values(["g", "t"])["signed"]
    assert sorted(design.start) == pytest.approx(sorted(ordered))


def test_a_wide_table_is_read(table):
    wide = pd.DataFrame({"id": [1, 2], "a": [7, 8], "b": [8, None], "u": [0.4, 1], "v": [0.6, 0]})
    with pytest.warns(mlm.DataWarning):
        long = mlm.long_memberships(wide, ["a", "b"], weights=["u", "v"], group="id")
    assert len(long) == 3


def test_members_are_crossed_with_units_and_stand_beside_nested_ones(table):
    assert {"m_sd", "c_sd", "r_sd"} <= built(table, mlm.mm("m", "g"), mlm.hm("c"), mlm.hm("r"))
    nested = mlm.NestedVaryingEffects("y ~ 1 + z", ["r", "c"], terms=[mlm.mm("m", "g")])
    names = {rv.name for rv in nested.build(table).free_RVs}
    assert {"m_sd", "r_sd", "c_sd"} <= names


def test_coefficients_may_be_known(table):
    model = mlm.MultipleMembershipModel(
        "y ~ 1 + fix(z, 1) + offset(t)", mlm.mm("m", "g", covariates="fix(x, 2)")
    )
    one = table.assign(t=table.groupby("g")["t"].transform("first"))
    design = model.specification.read(one)
    first = one.drop_duplicates("g")
    expected = first["z"] + first["t"]
    np.testing.assert_allclose(design.population.offset, expected)
    assert design.population.names == ()


def test_missing_values_are_left_out_predicted_or_imputed(table):
    lost = table.assign(y=table["y"].where(table["g"] != 3))
    assert drawn(lost, missing="drop").predict().sizes["g"] == 11
    assert drawn(lost, missing="predict").predict().sizes["g"] == 12
    lost = table.assign(z=table["z"].where(table["g"] != 3))
    model = mlm.MultipleMembershipModel("y ~ 1 + z", mlm.mm("m", "g"), impute=["z"])
    assert len(model.build(lost).free_RVs) > len(built(table, mlm.mm("m", "g")))


def test_new_unknown_and_typical_members_are_predicted(table):
    model = drawn(table)
    new = {"g": ["n", "n"], "m": np.array([99, None], dtype=object), "z": [0.0, 0.0]}
    for typical in (False, True):
        assert model.predict(new, random_seed=1, typical=typical).sizes["g"] == 1


@pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:arviz_stats")
def test_predictions_are_checked_and_compared(table):
    import arviz as az

    groups = fitted().extend()
    assert {"posterior_predictive", "log_likelihood", "prior_predictive"} <= set(groups.children)
    assert np.isfinite(az.loo(groups).elpd)
    models = {n: mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g", weight=n))
              for n in ("1 / n", "s")}  # fmt: skip
    assert len(mlm.k_fold(models, table, k=2, **MOCKED).frame) == 2
    options = dict(path="collapsed", draws=100, random_seed=1, progressbar=False)
    fits = {name: model.fit(table, **options) for name, model in models.items()}
    assert len(mlm.compare_weights(fits).frame) == 2


@pytest.mark.filterwarnings("ignore::pymc_mlm.DataWarning")
def test_effects_of_covariates_are_averaged_over_rows(table):
    model = drawn(table)
    assert len(model.comparisons("z").frame) == len(model.slopes("z").frame) == 1
    assert len(model.predictions().frame) == 1


@pytest.mark.parametrize("kind", ["forest", "trace", "weights", "effects"])
def test_pictures(kind):
    assert fitted().plot(kind) is not None


def test_chains_are_diagnosed():
    found = fitted().diagnostics().frame
    assert {"r_hat", "ess_bulk", "ess_tail", "mcse_mean", "mcse_sd"} <= set(found.columns)


def test_a_fit_is_saved_and_loaded(table, tmp_path):
    model = drawn(table)
    model.save(tmp_path / "fit.nc")
    assert mlm.load(tmp_path / "fit.nc").spec == model.specification


@pytest.mark.parametrize("what", [
    "covariates that differ between the categories of one row",
    "several outcomes of different families",
    "further families", "parameters of the family that depend on covariates", "`mode`, `sin`",
    "priors as text, inverse Wishart", "DIC, WAIC, AIC", "Geweke", "histogram and matrix",
    "power by simulation", "profile likelihood",
])  # fmt: skip
def test_what_is_not_there_is_a_row_of_the_limitations(what):
    assert what in LIMITS
