"""The path from a table to an answer, on one short real fit."""

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from sklearn.base import clone

import pymc_mlm as mlm

pytestmark = pytest.mark.filterwarnings("ignore::pymc_mlm.ConvergenceWarning")


def test_fit_returns_self_with_a_frozen_result(fitted):
    assert isinstance(fitted.result_, mlm.Fit)
    with pytest.raises(AttributeError):
        fitted.result_.title = "other"


def test_summary_names_every_parameter_by_its_role(fitted):
    assert set(fitted.summary().frame.index) == {
        "Intercept", "majority", "cohesion [mm party]", "weight b [mm party]", "sd [mm party]",
        "sd [hm country]", "shape",
    }  # fmt: skip


def test_summary_prints_the_weight_function_and_its_prior(fitted):
    text = str(fitted.summary())
    assert "exp(b * seats)" in text
    assert "b ~ Normal(mu=0" in text


def test_summary_equals_the_draws(fitted):
    row = fitted.summary(ci_prob=0.5).frame.loc["sd [mm party]"]
    draws = fitted.result_.posterior["party_sd"].values.ravel()
    assert row["mean"] == pytest.approx(draws.mean())
    assert row["eti50_lb"] == pytest.approx(np.quantile(draws, 0.25))


def test_posterior_covers_the_simulated_truth(fitted, table):
    frame = fitted.summary(ci_prob=0.99).frame
    truth = table.attrs["truth"]
    pairs = {"majority": "majority", "cohesion": "cohesion [mm party]", "shape": "shape",
             "weight b": "weight b [mm party]", "party_sd": "sd [mm party]"}  # fmt: skip
    for name, label in pairs.items():
        assert frame.loc[label, "eti99_lb"] < truth[name] < frame.loc[label, "eti99_ub"], label


def test_observed_data_and_member_effects_carry_their_labels(fitted, table):
    assert fitted.idata["observed_data"]["outcome"].dims == ("government",)
    effects = fitted.result_.posterior["party_effect"]
    assert list(effects["party"].values) == sorted(table["party"].unique())


def test_variance_shares_sum_to_one(fitted):
    shares = fitted.variance_decomposition().frame["share"]
    assert set(shares.index) == {"mm party", "hm country", "residual"}
    assert shares.sum() == pytest.approx(1.0)


def test_weights_sum_to_one_in_each_government(fitted, table):
    weights = fitted.weights()
    assert len(weights) == len(table)
    np.testing.assert_allclose(weights.groupby("government")["mean"].sum(), 1.0, atol=1e-8)


def test_members_are_sorted_by_their_effect(fitted):
    assert fitted.effects()["mean"].is_monotonic_decreasing
    assert len(fitted.effects("country")) == 6


def test_prediction_of_the_fitted_table_equals_the_formula_by_hand(fitted, table):
    posterior = fitted.result_.posterior
    eta = fitted.predict(kind="eta", random_seed=3)
    group = table[table["government"] == 7]
    s = {"chain": 1, "draw": 9}
    b = float(posterior["party_weight_b"][s])
    w = np.exp(b * group["seats"])
    w /= w.sum()
    member = float(posterior["party_beta"][s].squeeze()) * group["cohesion"].to_numpy()
    member = member + posterior["party_effect"][s].sel(party=group["party"].to_list()).values
    by_hand = (
        float(posterior["Intercept"][s])
        + float(posterior["beta"][s].squeeze()) * group["majority"].iloc[0]
        + float((w * member).sum())
        + float(posterior["country_effect"][s].sel(country=group["country"].iloc[0]))
    )
    assert float(eta[s].sel(government=7)) == pytest.approx(by_hand, rel=1e-9)


def test_mean_is_the_mean_of_outcomes(fitted):
    mean = fitted.predict(random_seed=1)
    outcome = fitted.predict(kind="outcome", random_seed=1)
    ratio = (outcome / mean).mean(("chain", "draw")).mean()
    assert float(ratio) == pytest.approx(1.0, abs=0.02)


NEW = pd.DataFrame(
    {
        "government": ["x", "x", "y", "z"],
        "party": ["NEW", "OTHER", "NEW", None],
        "country": ["AA", "AA", "AA", "AA"],
        "majority": [1, 1, 1, 1],
        "cohesion": [0.0, 0.0, 0.0, 0.0],
        "seats": [0.5, 0.5, 1.0, 1.0],
    }
)


def test_rows_with_one_new_member_share_its_draw(fitted):
    new = NEW[NEW["party"] == "NEW"].assign(seats=1.0)
    eta = fitted.predict(new, kind="eta", random_seed=4)
    np.testing.assert_allclose(eta.sel(government="x"), eta.sel(government="y"))


def test_two_new_members_have_draws_of_their_own_with_the_fitted_spread(fitted):
    one = NEW.iloc[[0]]
    two = NEW.iloc[[0, 1]].assign(government=["x", "w"])
    known = fitted.predict(NEW.iloc[[0]].assign(party=fitted.effects().index[0]), kind="eta")
    eta = fitted.predict(two, kind="eta", random_seed=4)
    assert not np.allclose(eta.sel(government="x"), eta.sel(government="w"))
    spread = float(np.sqrt((fitted.result_.posterior["party_sd"] ** 2).mean()))
    base = fitted.predict(one, kind="eta", random_seed=4).squeeze()
    known_part = known.squeeze() - fitted.result_.posterior["party_effect"].sel(
        party=fitted.effects().index[0]
    )
    assert float((base - known_part).std()) == pytest.approx(spread, rel=0.15)


def test_missing_member_takes_the_effect_of_a_fitted_one(fitted):
    eta = fitted.predict(NEW.iloc[[3]], kind="eta", random_seed=4).squeeze()
    first = fitted.effects().index[0]
    known = fitted.predict(NEW.iloc[[3]].assign(party=first), kind="eta", random_seed=4).squeeze()
    posterior = fitted.result_.posterior
    effect = eta - (known - posterior["party_effect"].sel(party=first))
    gap = np.abs(posterior["party_effect"] - effect)
    assert float(gap.min("party").max()) < 1e-9
    # Drawn anew in every draw: nearly all of the fitted members turn up.
    assert len(np.unique(gap.argmin("party"))) > 0.9 * posterior.sizes["party"]


def test_prediction_ignores_the_outcome_of_new_data(fitted, table):
    without = table.drop(columns=["weeks", "ended"])
    np.testing.assert_allclose(
        fitted.predict(without, kind="eta"), fitted.predict(kind="eta"), atol=1e-10
    )


@pytest.mark.parametrize("what", ["forest", "trace", "weights", "effects"])
def test_every_plot_is_drawn_and_can_be_saved(fitted, what, tmp_path):
    fitted.plot(what).savefig(tmp_path / f"{what}.png")
    assert (tmp_path / f"{what}.png").stat().st_size > 5_000


def test_unknown_plot_lists_the_known_ones(fitted):
    with pytest.raises(mlm.SpecificationError, match="one of 'forest', 'trace', 'pairs'"):
        fitted.plot("violin")


def test_priors_are_listed_by_variable_name(fitted):
    frame = fitted.priors().frame
    assert frame.loc["party_sd", "prior"].startswith("HalfNormal")
    assert frame.loc["shape", "prior"] == "LogNormal(mu=0, sigma=1)"


def test_prior_predictive_has_outcomes_and_parameters(specification, table):
    prior = specification.sample_prior_predictive(table, draws=20, random_seed=1)
    assert prior["prior_predictive"]["outcome"].sizes["government"] == 150
    assert "party_weight_b" in prior["prior"]


def test_polars_and_pandas_give_the_same_model(specification, table):
    polars = pytest.importorskip("polars")
    one = specification._build(specification._design(table))
    two = specification._build(specification._design(polars.from_pandas(table)))
    start = one.initial_point()
    assert one.compile_logp(mode="FAST_COMPILE")(start) == pytest.approx(
        two.compile_logp(mode="FAST_COMPILE")(start), rel=1e-12
    )


def test_scikit_learn_clones_an_unfitted_copy(fitted):
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    with pytest.raises(mlm.NotFittedError, match="Call fit"):
        copy.summary()


def test_set_params_replaces_and_refuses(specification):
    copy = clone(specification)
    assert copy.set_params(family=mlm.Weibull()).family == mlm.Weibull()
    with pytest.raises(mlm.SpecificationError, match="is not for durations"):
        copy.set_params(family="gaussian")
    with pytest.raises(mlm.SpecificationError, match="no argument 'familly'"):
        copy.set_params(familly="gaussian")


def test_term_works_inside_a_users_own_model(table):
    party = mlm.mm("party", "government", weight="1 / n ** exp(b * seats)")
    with pm.Model() as own:
        mu = pm.Normal("alpha", 0, 10) + party.effect(party.resolve(table))
        pm.StudentT("log_weeks", nu=4, mu=mu, sigma=1.0, observed=np.zeros(150), dims="government")
    assert np.isfinite(own.compile_logp(mode="FAST_COMPILE")(own.initial_point()))
    assert {v.name for v in own.free_RVs} == {"alpha", "party_sd", "party_effect", "party_weight_b"}


def test_warning_names_parameter_number_and_remedy(table, specification):
    with pytest.warns(mlm.ConvergenceWarning, match=r"R-hat is .* Draw longer") as caught:
        clone(specification).fit(
            table, draws=20, tune=20, chains=2, random_seed=1, progressbar=False
        )
    assert "effective sample size" in str(caught[0].message)


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_log_likelihood_and_loo_come_from_arviz(fitted):
    import arviz as az

    idata = fitted.idata.copy()
    with fitted.result_.model:
        pm.compute_log_likelihood(idata, progressbar=False)
    assert idata["log_likelihood"]["outcome"].sizes["government"] == 150
    assert np.isfinite(az.loo(idata).elpd)


def test_priors_argument_round_trips_through_get_and_set_params():
    priors = {"shape": mlm.Prior("LogNormal", mu=0, sigma=0.5)}
    model = mlm.MultipleMembershipModel("Surv(t, e) ~ 1", mlm.hm("u"), family="weibull")
    assert model.set_params(priors=priors).get_params()["priors"] == priors
    assert "LogNormal" in repr(model)
