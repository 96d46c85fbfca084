"""Averages of predictions: against predict by hand, closed forms, and what has no average."""

import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from tests.mocked import PriorDraws

RNG = np.random.default_rng(7)
ROWS = 60
TABLE = pd.DataFrame(
    {
        "x": RNG.normal(size=ROWS), "kind": RNG.choice(["a", "b", "c"], ROWS),
        "yes": RNG.integers(0, 2, ROWS), "flag": RNG.integers(0, 2, ROWS),
        "unit": np.repeat(range(10), 6), "region": np.repeat(["n", "s"], 30),
        "y": RNG.normal(size=ROWS), "arm": RNG.choice(["old", "new"], ROWS),
        "other": RNG.integers(0, 2, ROWS),
    }
)  # fmt: skip
GROUP = np.repeat(range(20), 3)
MEMBERS = {
    "g": GROUP, "m": RNG.integers(0, 9, ROWS), "z": RNG.normal(size=ROWS),
    "x": RNG.normal(size=20)[GROUP], "side": np.array(["l", "r"])[GROUP % 2],
    "y": RNG.normal(size=20)[GROUP],
}  # fmt: skip


def fitted(model, table):
    """Draws of the prior in the place of a posterior, scaled down so that means are finite."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(table, draws=40, chains=2, sampler=PriorDraws(), path="sampled")


@pytest.fixture(scope="module")
def logistic():
    return fitted(mlm.MultipleMembershipModel(
        "yes ~ x + kind + flag", mlm.hm("unit"), family="bernoulli"), TABLE)  # fmt: skip


@pytest.fixture(scope="module")
def members():
    term = mlm.mm("m", "g", covariates="z", weight="exp(b * z)")
    return fitted(mlm.MultipleMembershipModel("y ~ x + side", term), MEMBERS)


@pytest.fixture(scope="module")
def trial():
    model = mlm.MultivariateLogitTrial(
        ["yes", "other"], "arm", control="old", covariates="x + kind", cluster="unit"
    )
    return fitted(model, TABLE)


def test_predictions_need_values_of_columns(logistic):
    for wrong in ("x", ["x"]):
        with pytest.raises(mlm.SpecificationError, match=r"variables=\{column: \[values\]\}"):
            logistic.predictions(wrong)


def averaged(model, table, **kwargs):
    return model.predict(table, **kwargs).mean("obs").values.ravel()


def test_a_comparison_is_the_difference_of_averages_of_predict(logistic):
    found = logistic.comparisons("flag").frame
    by_hand = averaged(logistic, TABLE.assign(flag=1)) - averaged(logistic, TABLE.assign(flag=0))
    assert found.index.tolist() == [("flag", "1 - 0")]
    assert found["estimate"].iloc[0] == pytest.approx(by_hand.mean())
    assert found["sd"].iloc[0] == pytest.approx(by_hand.std(ddof=1))
    assert found["eti95_lb"].iloc[0] == pytest.approx(np.quantile(by_hand, 0.025))


def test_each_category_is_compared_with_the_first(logistic):
    found = logistic.comparisons("kind").frame
    assert found.index.tolist() == [("kind", "'b' - 'a'"), ("kind", "'c' - 'a'")]
    by_hand = averaged(logistic, TABLE.assign(kind="c")) - averaged(
        logistic, TABLE.assign(kind="a")
    )
    assert found["estimate"].iloc[1] == pytest.approx(by_hand.mean())


def test_the_reference_is_that_of_declared_categories():
    order = pd.Categorical(TABLE["kind"], categories=["c", "a", "b"])
    model = mlm.MultipleMembershipModel("y ~ kind", mlm.hm("unit"))
    found = fitted(model, TABLE.assign(kind=order)).comparisons("kind").frame
    assert [label for _, label in found.index] == ["'a' - 'c'", "'b' - 'c'"]


def test_all_covariates_are_compared_by_default(logistic):
    assert {column for column, _ in logistic.comparisons().frame.index} == {"x", "kind", "flag"}


@pytest.mark.parametrize(
    ("asked", "label", "change"),
    [(None, "+1", 1.0), (0.5, "+0.5", 0.5), ("sd", "+sd", TABLE["x"].std(ddof=0))],
)
def test_a_number_takes_a_step_from_each_row(logistic, asked, label, change):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.DataWarning)
        found = logistic.comparisons({"x": asked}).frame
        by_hand = averaged(logistic, TABLE.assign(x=TABLE["x"] + change)) - averaged(logistic, None)
    assert found.index[0][1].startswith(label)
    assert found["estimate"].iloc[0] == pytest.approx(by_hand.mean())


def test_ratio_and_lift_are_of_the_averages(logistic):
    high, low = (averaged(logistic, TABLE.assign(x=v)) for v in (1.0, -1.0))
    pair = {"x": (-1.0, 1.0)}
    for comparison, by_hand in {"ratio": high / low, "lift": (high - low) / low}.items():
        found = logistic.comparisons(pair, comparison).frame
        assert found.index[0] == ("x", "1.0 - -1.0")
        assert found["estimate"].iloc[0] == pytest.approx(by_hand.mean())


def test_on_the_link_a_step_is_its_coefficient(logistic):
    found = logistic.comparisons({"x": 0.1}, kind="eta").frame
    beta = logistic.result_.posterior["beta"].sel(covariate="x").values
    assert found["estimate"].iloc[0] == pytest.approx(0.1 * beta.mean())
    assert found["sd"].iloc[0] == pytest.approx(0.1 * beta.std(ddof=1))


def test_a_logistic_slope_is_p_times_q_times_beta(logistic):
    p = logistic.predict().values
    beta = logistic.result_.posterior["beta"].sel(covariate="x").values[..., None]
    by_hand = (p * (1 - p) * beta).mean(axis=2)
    found = logistic.slopes("x").frame
    assert found["estimate"].iloc[0] == pytest.approx(by_hand.mean(), rel=1e-6)
    assert found["sd"].iloc[0] == pytest.approx(by_hand.std(ddof=1), rel=1e-5)


def test_slopes_take_numbers_of_more_than_two_values(logistic):
    assert logistic.slopes().frame.index.get_level_values(0).tolist() == ["x"]
    with pytest.raises(mlm.SpecificationError, match=r"'kind' is no number .* comparisons"):
        logistic.slopes("kind")


def test_predictions_are_as_observed_or_at_every_combination(logistic):
    observed = logistic.predictions().frame
    assert observed["estimate"].iloc[0] == pytest.approx(averaged(logistic, None).mean())
    found = logistic.predictions({"kind": ["a", "b"], "flag": [0, 1]}).frame
    assert len(found) == 4
    by_hand = averaged(logistic, TABLE.assign(kind="b", flag=0)).mean()
    assert found.loc[("kind = 'b', flag = 0",), "estimate"] == pytest.approx(by_hand)


def test_averages_are_taken_within_a_column(logistic):
    table = TABLE.assign(flag=1)
    found = logistic.predictions({"flag": 1}, by="region", data=TABLE).frame
    drawn = logistic.predict(table).values[..., TABLE["region"] == "s"]
    assert found.index.names == ["setting", "region"]
    assert found.loc[("flag = 1", "s"), "estimate"] == pytest.approx(drawn.mean())


def test_typical_units_have_no_effects(logistic):
    found = logistic.comparisons("flag", typical=True)
    by_hand = averaged(logistic, TABLE.assign(flag=1), typical=True) - averaged(
        logistic, TABLE.assign(flag=0), typical=True
    )
    assert found.frame["estimate"].iloc[0] == pytest.approx(by_hand.mean())
    assert "effects of units at zero" in found.notes[0]


def test_new_units_are_the_same_at_both_ends(logistic):
    new = TABLE.assign(unit=TABLE["unit"] + 100)
    step = logistic.comparisons({"x": 0.1}, data=new, kind="eta").frame
    beta = logistic.result_.posterior["beta"].sel(covariate="x").values
    assert step["sd"].iloc[0] == pytest.approx(0.1 * beta.std(ddof=1))


def test_columns_of_members_change_in_all_rows_of_a_group(members):
    moved = MEMBERS | {"z": MEMBERS["z"] + 0.1}
    by_hand = (members.predict(moved) - members.predict()).mean("g").values.ravel()
    found = members.comparisons({"z": 0.1}).frame
    assert found["estimate"].iloc[0] == pytest.approx(by_hand.mean())
    with pytest.warns(mlm.DataWarning, match="outside the observed range"):
        every = members.comparisons().frame
    assert {c for c, _ in every.index} == {"x", "side", "z"}


def test_by_is_constant_within_the_unit_of_observation(members):
    found = members.predictions(by="side").frame
    drawn = members.predict().values[..., np.arange(20) % 2 == 1]
    assert found.loc[("as observed", "r"), "estimate"] == pytest.approx(drawn.mean())
    with pytest.raises(mlm.DataError, match="'z' varies inside 'g'=0"):
        members.predictions(by="z")


def test_a_trial_has_a_row_for_each_outcome(trial):
    found = trial.comparisons("arm").frame
    assert found.index.names == ["column", "contrast", "outcome"]
    new, old = (
        trial.predict(TABLE.assign(arm=a)).mean("row").sel(outcome="other").values.ravel()
        for a in ("new", "old")
    )
    ours = found.loc[("arm", "'old' - 'new'", "other"), "estimate"]
    assert ours == pytest.approx((old - new).mean())
    assert len(trial.slopes("x").frame) == 2


def test_rows_that_the_fit_left_out_are_not_averaged_over():
    gone = TABLE.assign(x=TABLE["x"].where(TABLE.index > 3))
    model = fitted(mlm.MultipleMembershipModel("y ~ x", mlm.hm("unit"), missing="drop"), gone)
    expected = model.predict(TABLE.iloc[4:]).mean().item()
    assert model.predictions().frame["estimate"].iloc[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        (lambda m: m.comparisons("unit"), "'unit' holds ids of units"),
        (lambda m: m.comparisons("age"), "no column 'age'"),
        (lambda m: m.comparisons("x", "odds"), "comparison is difference, ratio, lift"),
        (lambda m: m.comparisons("x", "ratio", kind="eta"), "whose zero means nothing"),
        (lambda m: m.comparisons({"x": "iqr"}), "no contrast of 'x'"),
        (lambda m: m.comparisons({"x": 0}), "no contrast of 'x'"),
        (lambda m: m.comparisons({"kind": 1}), "no contrast of 'kind'"),
        (lambda m: m.predictions(kind="outcome"), "kind is 'mean' or 'eta'"),
        (lambda m: m.predictions(by="region"), "by='region' is no column that the model reads"),
    ],
)
def test_what_has_no_average_is_refused(logistic, ask, match):
    with pytest.raises(mlm.MlmError, match=match):
        ask(logistic)
