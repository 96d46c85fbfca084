"""Members added, removed and replaced: against tables changed by hand, and what is refused."""

import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm
from tests.mocked import PriorDraws

TABLE = pd.DataFrame({
    "g": [1, 1, 1, 2, 2, 3, 4, 4], "m": ["a", "b", "c", "a", "c", "b", "c", "d"],
    "seats": [0.5, 0.3, 0.2, 0.6, 0.4, 1.0, 0.7, 0.3],
    "z": [1.0, -1.0, 0.5, 0.0, 2.0, 1.5, -0.5, 0.3],
    "x": [0.1, 0.1, 0.1, 0.2, 0.2, -0.3, 0.4, 0.4],
    "country": ["k", "k", "k", "l", "l", "k", "l", "l"],
})  # fmt: skip
TABLE["y"] = TABLE["g"].map({1: 0.5, 2: -1.0, 3: 2.0, 4: 0.3})


def fitted(model, table=TABLE):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(table, draws=20, chains=2, sampler=PriorDraws(), path="sampled")


@pytest.fixture(scope="module")
def model():
    term = mlm.mm("m", "g", covariates="z", weight="exp(b * seats)")
    return fitted(mlm.MultipleMembershipModel("y ~ x", term, mlm.hm("country")))


def by_hand(model, table, groups, **kwargs):
    return model.predict(table, **kwargs).sel(g=groups).values


def test_a_member_that_is_replaced_leaves_its_values_to_the_other(model):
    found = model.counterfactual(replace={"a": "d"})
    new = TABLE.assign(m=TABLE["m"].replace("a", "d"))
    np.testing.assert_array_equal(found.observed["g"], [1, 2])
    np.testing.assert_allclose(found.changed, by_hand(model, new, [1, 2]))
    np.testing.assert_allclose(found.observed, by_hand(model, TABLE, [1, 2]))
    np.testing.assert_allclose(found.difference, found.changed - found.observed)


def test_values_of_the_member_that_comes_in_are_taken(model):
    found = model.counterfactual(replace={"a": "d"}, values={"d": {"seats": 0.9}}, kind="eta")
    new = TABLE.assign(m=TABLE["m"].replace("a", "d"))
    new.loc[new["g"].isin([1, 2]) & (new["m"] == "d"), "seats"] = 0.9
    np.testing.assert_allclose(found.changed, by_hand(model, new, [1, 2], kind="eta"))


def test_without_a_member_the_weights_of_the_others_sum_to_one_again(model):
    found = model.counterfactual(remove="c")
    new = TABLE[TABLE["m"] != "c"]
    np.testing.assert_array_equal(found.changed["g"], [1, 2, 4])
    np.testing.assert_allclose(found.changed, by_hand(model, new, [1, 2, 4]))
    term, design = model.result_.design.terms[0]
    w = term.weight_draws(term.resolve(new, known=design), model.result_.sample("weight"))
    np.testing.assert_allclose(w[:, :2].sum(axis=1), 1.0)


def test_a_member_is_added_to_groups_that_lack_it(model):
    values = {"d": {"z": 0.7, "seats": 0.1}}
    found = model.counterfactual(add="d", values=values, groups=[4, 3, 1])
    rows = TABLE[TABLE["g"].isin([1, 3])].drop_duplicates("g").assign(m="d", z=0.7, seats=0.1)
    np.testing.assert_array_equal(found.changed["g"], [1, 3])
    np.testing.assert_allclose(found.changed, by_hand(model, pd.concat([TABLE, rows]), [1, 3]))
    assert found.notes[0] == "1 group left as they are, because 'd' is a member already."


def test_groups_that_would_be_empty_or_hold_a_member_twice_stay_and_are_counted(model):
    found = model.counterfactual(remove="b")
    np.testing.assert_array_equal(found.changed["g"], [1])
    assert found.notes[0] == "1 group left as they are, because no member would be left."
    found = model.counterfactual(replace={"a": "b"})
    np.testing.assert_array_equal(found.changed["g"], [2])
    assert found.notes[0] == "1 group left as they are, because 'b' is a member already."


def test_a_new_member_has_one_new_effect_in_all_its_groups(model):
    found = model.counterfactual(replace={"a": "new"}, kind="eta", random_seed=3)
    again = model.counterfactual(replace={"a": "new"}, kind="eta", random_seed=3)
    np.testing.assert_array_equal(found.changed, again.changed)
    assert "new: not in the fitted table" in found.notes[0]
    term, design = model.result_.design.terms[0]
    draws = model.result_.sample("weight")
    w = term.weight_draws(design, draws)
    # Rows are sorted by group and member: a is the first of groups 1 and 2.
    change = found.difference.values.reshape(len(w), 2) / w[:, [0, 3]]
    np.testing.assert_allclose(change[:, 0], change[:, 1], rtol=1e-9)


def test_tables_have_means_and_intervals_of_the_draws(model):
    found = model.counterfactual(replace={"a": "d"})
    table = found.table(0.8).frame
    draws = found.difference.values.reshape(-1, 2)
    np.testing.assert_allclose(table["difference"], draws.mean(axis=0))
    np.testing.assert_allclose(table["eti80_lb"], np.quantile(draws, 0.1, axis=0))
    np.testing.assert_allclose(table["observed"], found.observed.mean(("chain", "draw")))
    average = found.average().frame.loc["difference"]
    assert average["mean"] == pytest.approx(draws.mean())
    assert average["sd"] == pytest.approx(draws.mean(axis=1).std(ddof=1))
    assert str(found).startswith("'a' replaced by 'd'\n")
    assert "Average of the 2 groups that change." in str(found)


def test_differences_are_drawn(model):
    collection = model.counterfactual(remove="c").plot()
    axes = collection.viz["plot"].sel(column="forest").item()
    assert axes.get_title() == "'c' removed: difference (all 3)"


def test_groups_left_out_of_the_fit_stay_out():
    table = TABLE.assign(z=[*TABLE["z"][:-1], np.nan])
    term = mlm.mm("m", "g", covariates="z")
    model = fitted(mlm.MultipleMembershipModel("y ~ 1", term, missing="drop"), table)
    found = model.counterfactual(remove="c")
    np.testing.assert_array_equal(found.changed["g"], [1, 2])


def test_rows_of_two_kinds_of_members_change_one_of_them():
    table = pd.DataFrame({
        "g": [1, 1, 2, 2, 3, 3], "inside": ["a", "b", "a", None, "b", "c"],
        "outside": ["d", None, "e", "d", None, "e"], "y": [0.5, 0.5, 1.0, 1.0, -1.0, -1.0],
    })  # fmt: skip
    terms = (mlm.mm(c, "g", missing="skip") for c in ("inside", "outside"))
    model = fitted(mlm.MultipleMembershipModel("y ~ 1", *terms), table)
    found = model.counterfactual(remove="c", member="inside", kind="eta")
    new = table.assign(inside=["a", "b", "a", None, "b", None])
    np.testing.assert_allclose(found.changed, by_hand(model, new, [3], kind="eta"))
    found = model.counterfactual(add="c", groups=[1], member="inside", kind="eta")
    row = pd.DataFrame({"g": [1], "inside": ["c"], "outside": [None], "y": [0.5]})
    expected = by_hand(model, pd.concat([table, row]), [1], kind="eta")
    np.testing.assert_allclose(found.changed, expected)
    with pytest.raises(mlm.SpecificationError, match="one of inside, outside"):
        model.counterfactual(remove="c")


@pytest.mark.parametrize(("change", "text"), [
    ({}, "Nothing changes"),
    ({"remove": "q"}, "'q' is none of the 4 members in 'm'"),
    ({"replace": {"q": "a"}}, "'q' is none of the 4 members in 'm'"),
    ({"replace": ["a", "b"]}, "must map members"),
    ({"remove": "a", "replace": {"a": "b"}}, "'a' is removed and replaced"),
    ({"remove": "a", "groups": [9]}, "groups= names 9, which is none of the 4 groups"),
    ({"remove": "a", "groups": [3]}, "No group changes with 'a' removed"),
    ({"remove": "b", "groups": [3]}, r"No group changes .*\(1 group left .* no member would be"),
    ({"add": "d"}, r"its 'z' is not known: give values=\{'d': \{'z': \.\.\., 'seats': \.\.\.\}\}"),
    ({"replace": {"a": "d"}, "values": {"d": {"x": 1}}}, "'x' is no column of members"),
    ({"replace": {"a": "d"}, "values": {"c": {"z": 1}}}, "'c' does not: name it in add="),
    ({"remove": "a", "kind": "outcome"}, "kind is 'mean' or 'eta'"),
    ({"remove": "a", "member": "party"}, "member='party': name the column"),
])  # fmt: skip
def test_changes_that_mean_nothing_are_refused(model, change, text):
    with pytest.raises(mlm.SpecificationError, match=text):
        model.counterfactual(**change)


def test_a_model_without_members_is_refused():
    other = fitted(mlm.MultipleMembershipModel("y ~ 1", mlm.hm("country")))
    with pytest.raises(mlm.SpecificationError, match=r"the model has no mm\(\) term"):
        other.counterfactual(remove="k")
