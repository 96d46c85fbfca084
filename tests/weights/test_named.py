"""Persistence and contests: their formulas, what they refuse, and models by hand."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from pymc_mlm.saving.values import decode, encode
from pymc_mlm.weights import candidates, contest, persistence
from tests.mocked import PriorDraws

GROUP = np.array([0, 0, 0, 1, 1])
INDPTR = np.array([0, 3, 5])
LAG = np.array([0, 1, 2, 0, 1])
SIDE = np.array([1, -1, 1, -1, 1])


def weights_of(weight, b, **columns):
    design = weight.resolve(columns, GROUP, INDPTR)
    raw = weight.evaluate(design.data, b, GROUP, INDPTR)
    return raw.natural().eval(mode="FAST_COMPILE")


def test_persistence_is_one_at_present_and_free_at_each_lag():
    found = weights_of(persistence("lag", 2), {"b1": 0.5, "b2": -0.2}, lag=LAG)
    np.testing.assert_allclose(found, [1.0, 0.5, -0.2, 1.0, 0.5])


def test_a_share_multiplies_persistence():
    weight, share = persistence("lag", 2, share="of time"), np.array([1, 0.5, 1, 0.25, 0.0])
    found = weights_of(weight, {"b1": 0.5, "b2": -0.2}, lag=LAG, **{"of time": share})
    np.testing.assert_allclose(found, share * [1.0, 0.5, -0.2, 1.0, 0.5])
    assert weight.columns == ("of time", "lag")


def test_a_contest_is_signed_by_side_and_a_team_may_be_a_mean():
    np.testing.assert_allclose(weights_of(contest("side"), {}, side=SIDE), SIDE)
    found = weights_of(contest("side", team="mean"), {}, side=SIDE)
    np.testing.assert_allclose(found, [0.5, -1, 0.5, -1, 1])


def test_candidates_weigh_their_probability_of_each_place():
    p = np.array([0.6, 0.4, 0.0, 0.25, 0.75])
    np.testing.assert_allclose(weights_of(candidates("p"), {}, p=p), p)
    two = {"p": np.array([0.6, 0.4, 1.0, 0.25, 0.75]), "slot": np.array([1, 1, 2, 7, 7])}
    found = weights_of(candidates("p", place="slot"), {}, **two)
    np.testing.assert_allclose(found, [0.3, 0.2, 0.5, 0.25, 0.75])


def test_thirds_may_be_rounded():
    p = np.array([0.333, 0.333, 0.333, 0.5, 0.5])
    np.testing.assert_allclose(weights_of(candidates("p"), {}, p=p)[:3], 1 / 3)


@pytest.mark.parametrize(("p", "message"), [
    ([0.6, 0.3, 0.0, 0.5, 0.5], r"sum to 0.9 in the group of membership row 0 .*1 such sums"),
    ([1.0, 0.0, 0.0, 1.0, 1.0], "sum to 2 in the group of membership row 3 .*place=..."),
    ([1.2, -0.2, 0.0, 0.5, 0.5], "'p' is 1.2 in membership row 0 .*between 0 and 1"),
])  # fmt: skip
def test_probabilities_that_are_none_are_refused(p, message):
    with pytest.raises(mlm.DataError, match=message):
        candidates("p").resolve({"p": np.array(p)}, GROUP, INDPTR)


def test_probabilities_of_one_place_are_named_with_it():
    columns = {"p": np.array([0.6, 0.4, 0.5, 0.5, 0.5]), "slot": np.array([1, 1, 2, 1, 1])}
    with pytest.raises(mlm.DataError, match="row 2 with 'slot' = 2"):
        candidates("p", "slot").resolve(columns, GROUP, INDPTR)


@pytest.mark.parametrize(("value", "longest"), [(3, 3), (0.5, 1), (-1, 1)])
def test_a_lag_that_is_none_is_refused(value, longest):
    lag = np.where(np.arange(5) == 2, value, np.minimum(LAG, 1))
    with pytest.raises(mlm.DataError, match=f"'lag' is {value:g} in membership row 2 .*"
                       f"lags={longest}"):  # fmt: skip
        persistence("lag").resolve({"lag": lag}, GROUP, INDPTR)


def test_a_negative_share_is_refused():
    columns = {"lag": LAG, "s": np.array([1, 1, -0.5, 1, 1])}
    with pytest.raises(mlm.DataError, match=r"'s' is -0.5 in .* row 2 .*not be negative"):
        persistence("lag", 2, "s").resolve(columns, GROUP, INDPTR)


@pytest.mark.parametrize("lags", [0, 13, 1.5, True, "2"])
def test_a_number_of_lags_that_is_none_is_refused(lags):
    with pytest.raises(mlm.SpecificationError, match="must be a whole number from 1 to 12"):
        persistence("lag", lags)


def test_a_side_other_than_1_and_minus_1_is_refused():
    with pytest.raises(mlm.DataError, match=r"'side' is 0 in .* row 1 .*Code the sides"):
        contest("side").resolve({"side": np.array([1, 0, 1, -1, 1])}, GROUP, INDPTR)


def test_a_contest_of_one_side_is_refused():
    with pytest.raises(mlm.DataError, match="one side only: 'side' is 1 in all 2 rows of the "
                       r"group of membership row 3 .*1 such groups"):  # fmt: skip
        contest("side").resolve({"side": np.array([1, -1, 1, 1, 1])}, GROUP, INDPTR)


def test_a_team_is_a_sum_or_a_mean():
    with pytest.raises(mlm.SpecificationError, match="team is 'sum' or 'mean'"):
        contest("side", team="max")


@pytest.mark.parametrize("weight", [persistence("lag"), contest("side")])
def test_weights_that_may_be_negative_are_not_normalised(weight):
    table = {"g": GROUP, "m": [0, 1, 2, 0, 1], "lag": np.minimum(LAG, 1), "side": SIDE,
             "y": np.array([1.0, 2.0])[GROUP]}  # fmt: skip
    term = mlm.mm("m", "g", weight=weight)
    with pytest.raises((mlm.SpecificationError, mlm.DataError), match="normalize=False"):
        term.resolve(table)


@pytest.mark.parametrize(
    "weight", [persistence("a b", 3, "s"), contest("n", team="mean"), candidates("p", "slot")]
)
def test_a_saved_weight_is_the_same(weight):
    assert decode(json.loads(json.dumps(encode(weight)))) == weight


def fitted(model, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(table, draws=25, chains=2, sampler=PriorDraws(), path="sampled")


@pytest.fixture(scope="module")
def contests():
    rng = np.random.default_rng(2)
    player = np.array([rng.choice(8, 2, replace=False) for _ in range(20)])
    table = pd.DataFrame({
        "match": np.repeat(np.arange(20), 2), "player": player.ravel(), "side": [1, -1] * 20,
        "home": rng.permuted(np.tile([1, 0], (20, 1)), axis=1).ravel(),
        "won": np.repeat(rng.integers(0, 2, 20), 2),
    })  # fmt: skip
    term = mlm.mm("player", "match", covariates="home", weight=contest("side"), normalize=False)
    return fitted(mlm.MultipleMembershipModel("won ~ 0", term, family="bernoulli"), table), table


def test_a_contest_of_two_is_the_model_of_bradley_and_terry(contests):
    model, table = contests
    posterior = model.result_.posterior
    first, second = table[table["side"] == 1], table[table["side"] == -1]
    strength = posterior["player_effect"]
    log_odds = (
        strength.sel(player=first["player"].values).values
        - strength.sel(player=second["player"].values).values
        + posterior["player_beta"].values
        * (first["home"].values - second["home"].values)
    )  # fmt: skip
    np.testing.assert_allclose(model.predict(kind="eta").values, log_odds, atol=1e-12)


def test_a_score_has_its_teacher_and_the_persistence_of_the_last():
    rng = np.random.default_rng(3)
    table = pd.DataFrame({
        "test": [0, 1, 1, 2, 3, 3], "lag": [0, 0, 1, 0, 0, 1],
        "teacher": ["a", "c", "a", "b", "c", "b"], "score": rng.normal(size=4)[[0, 1, 1, 2, 3, 3]],
    })  # fmt: skip
    term = mlm.mm("teacher", "test", weight=persistence("lag"), normalize=False)
    model = fitted(mlm.MultipleMembershipModel("score ~ 0", term), table)
    posterior = model.result_.posterior
    a, b, c = np.moveaxis(posterior["teacher_effect"].values, -1, 0)
    eta = model.predict(kind="eta").values
    b1 = posterior["teacher_weight_b1"].values
    np.testing.assert_allclose(eta[..., 1], c + b1 * a, atol=1e-12)
    np.testing.assert_allclose(eta[..., 2], b, atol=1e-12)


def test_ranks_are_those_of_each_draw(contests):
    model, _ = contests
    found = model.ranking(ci_prob=0.8)
    draws = model.effect_draws().values.reshape(-1, 8)
    by_hand = np.array([[1 + (row > x).sum() for x in row] for row in draws])
    frame = found.frame.loc[range(8)]
    np.testing.assert_allclose(frame["rank"], by_hand.mean(axis=0))
    np.testing.assert_allclose(frame["p_first"], (by_hand == 1).mean(axis=0))
    np.testing.assert_allclose(frame["rank_eti80_lb"], np.quantile(by_hand, 0.1, axis=0))
    np.testing.assert_allclose(frame["mean"], draws.mean(axis=0))
    assert (np.diff(found.frame["rank"]) >= 0).all()
    assert "Rank 1 of 8 is the highest effect" in found.notes[0]


def test_the_best_may_be_the_lowest(contests):
    model, _ = contests
    high, low = (model.ranking(best=b).frame["rank"].loc[range(8)] for b in ("highest", "lowest"))
    np.testing.assert_allclose(high + low, 9)
    with pytest.raises(mlm.SpecificationError, match="best is 'highest' or 'lowest'"):
        model.ranking(best="top")


def test_units_with_several_effects_have_no_rank():
    table = mlm.datasets.nested_schools(regions=4, schools=12, classes=24, pupils=240)
    model = fitted(mlm.NestedVaryingEffects("score ~ 1 + prior", ["region"], varying="1"), table)
    assert len(model.ranking().frame) == 4
    slopes = mlm.NestedVaryingEffects("score ~ 1 + prior", ["region"], varying="1 + prior")
    with pytest.raises(mlm.SpecificationError, match="several effects each"):
        fitted(slopes, table).ranking()


def test_estimated_probabilities_tilt_the_given_ones():
    table = {
        "g": [0, 0, 0, 1, 1], "m": [0, 1, 2, 1, 0], "p": [0.5, 0.3, 0.2, 1.0, 0.0],
        "x": [1.0, 2.0, 4.0, 3.0, 9.0], "z": [0.0, 1.0, 0.0, 0.0, 5.0], "y": [1, 1, 1, 2, 2],
    }  # fmt: skip
    weight = mlm.weights.candidates("p", evidence=["x", "z"])
    assert weight.parameters == ("b1", "b2")
    term = mlm.mm("m", "g", weight=weight)
    model = mlm.MultipleMembershipModel("y ~ 1", term)
    ((_, part),) = model.specification.read(table).terms
    b = {"m_weight_b1": np.array([[0.3]]), "m_weight_b2": np.array([[-1.0]])}
    found = term.weight_draws(part, {k: v[0] for k, v in b.items()})[0]
    raw = np.array(table["p"]) * np.exp(0.3 * np.array(table["x"]) - np.array(table["z"]))
    wanted = raw / np.array([raw[:3].sum()] * 3 + [raw[3:].sum()] * 2)
    at = part.membership.rows  # sorted by group
    np.testing.assert_allclose(found, wanted[at], atol=1e-12)
    np.testing.assert_allclose(part.start, np.array(table["p"])[at])  # no evidence yet
    with pytest.raises(mlm.SpecificationError, match="one place"):
        mlm.weights.candidates("p", place="x", evidence="z")
    with pytest.raises(mlm.SpecificationError, match="each once"):
        mlm.weights.candidates("p", evidence=["z", "z"])


def test_an_estimated_smooth_maximum_goes_from_mean_to_maximum():
    table = {"g": [0, 0, 1, 1], "m": [0, 1, 2, 1], "x": [1.0, 3.0, 2.0, 5.0], "y": [1, 1, 2, 2]}
    weight = mlm.weights.softmax("x")
    term = mlm.mm("m", "g", covariates="x", weight=weight, effect=None)
    ((_, part),) = mlm.MultipleMembershipModel("y ~ 1", term).specification.read(table).terms
    for b, wanted in ((0.0, [2.0, 3.5]), (50.0, [3.0, 5.0]), (-50.0, [1.0, 2.0])):
        w = term.weight_draws(part, {"m_weight_b": np.array([b])})[0]
        found = np.bincount([0, 0, 1, 1], w * np.array(table["x"])[part.membership.rows])
        np.testing.assert_allclose(found, wanted, atol=1e-6)
