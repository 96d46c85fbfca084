"""Wrong arguments of a trial are named when it is constructed, or where they are asked."""

import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm


def table(clusters=12):
    rng = np.random.default_rng(3)
    school = np.arange(96) % clusters
    return pd.DataFrame(
        {
            "school": school,
            "method": np.where(school % 2, "new", "old"),
            "age": rng.normal(50, 10, size=96),
            "math": rng.integers(0, 2, size=96),
            "reading": rng.integers(0, 2, size=96),
        }
    )


HALF = mlm.Prior("Normal", mu=0, sigma=0.5)


def trial(**change):
    given = {"outcomes": ["math", "reading"], "arm": "method", "control": "old"} | change
    return mlm.MultivariateLogitTrial(**given)


NORMAL = mlm.Prior("Normal", mu=0, sigma=1)
CONSTRUCTION = {
    "no outcome": ({"outcomes": []}, "outcomes is empty"),
    "outcomes is a number": ({"outcomes": 3}, "outcomes=3 names no columns"),
    "an outcome is a number": ({"outcomes": ["math", 3]}, "outcomes=3 is no column"),
    "outcome twice": ({"outcomes": ["math", "math"]}, "'math' is named 2 times"),
    "arm is an outcome": ({"arm": "math"}, "'math' is named 2 times"),
    "arm is a list": ({"arm": ["method"]}, r"arm=\['method'\] is no column"),
    "cluster is a term": ({"cluster": mlm.hm("school")}, "cluster=.*is no column: name it"),
    "cluster is an mm term": (
        {"cluster": mlm.mm("school", "id")}, "Terms such as .* go into terms="),
    "cluster is the arm": ({"cluster": "method"}, "'method' is named 2 times"),
    "dependence": ({"dependence": "pairwize"}, "pairwize"),
    "too many outcomes": (
        {"outcomes": [f"y{k}" for k in range(7)]}, "Use dependence='pairwise'"),
    "interactions without covariates": ({"interactions": False}, "has no covariates"),
    "interactions is a word": (
        {"interactions": "yes", "covariates": ["age"]}, "interactions='yes' must be True or False"),
    "random without cluster": ({"random": "1 + arm"}, "cluster= is not given"),
    "random typo": ({"cluster": "school", "random": "1 + agee"}, "'agee' is no term.*has 1, arm"),
    "random typo beside covariates": (
        {"cluster": "school", "random": "1 + agee", "covariates": ["Age"]}, "'agee' is no term"),
    "random typo in a product": (
        {"cluster": "school", "random": "1 + arm:agee", "covariates": ["Age"]}, "no term"),
    "random of nothing": ({"cluster": "school", "random": "0"}, "lets nothing vary"),
    "random is a list": ({"cluster": "school", "random": ["1"]}, "must be text"),
    "prior of clusters without clusters": (
        {"cluster_prior": "inverse_wishart"}, "is a prior of cluster effects"),
    "unknown prior of clusters": (
        {"cluster": "school", "cluster_prior": "wishart"}, "'inverse_wishart'"),
    "priors is a list": ({"priors": ["beta ~ dnorm(0, 1)"]}, "priors is a mapping"),
    "priors is an empty list": ({"priors": []}, "priors is a mapping"),
    "unknown parameter": ({"priors": {"beat": NORMAL}}, "no parameter 'beat'"),
    "prior of what is not there": ({"priors": {"cluster_sd": NORMAL}}, "no parameter 'cluster_sd'"),
    "a normal prior of probabilities": ({"priors": {"cell_probability": NORMAL}}, "Dirichlet"),
    "a Dirichlet of another length": (
        {"priors": {"cell_probability": mlm.Prior("Dirichlet", a=np.ones(3))}}, "3 numbers"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "text"), CONSTRUCTION.values(), ids=CONSTRUCTION)
def test_a_wrong_argument_is_named_at_construction(change, text):
    with pytest.raises(mlm.MlmError, match=text):
        trial(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"cluster": "school", "random": "1 + arm"},
        {"cluster": "school", "random": "0 + method"},
        {"cluster": "school", "random": "1 + age + method:age", "covariates": ["age"]},
        {"cluster": "school", "random": "1 + bs(age, df=4)", "covariates": "bs(age, df=4)"},
        {"outcomes": ("math", "reading")},
        {"outcomes": np.array(["math", "reading"])},
        {"outcomes": "math", "covariates": "~ age", "interactions": False},
    ],
)
def test_what_a_table_could_fit_is_left_to_the_table(change):
    assert trial(**change).arm == "method"


def test_arguments_that_were_changed_are_checked_again():
    changed = trial()
    changed.dependence = "pairwize"
    with pytest.raises(mlm.SpecificationError, match="pairwize"):
        changed.build(table())


# ---------------------------------------------------------------------- priors of coefficients

WRONG_LENGTHS = {
    "two for four columns": {"mu": [0.0, 0.0], "sigma": 1.0},
    "five for four columns": {"mu": 0.0, "sigma": np.ones(5)},
    "rows for columns": {"mu": np.zeros((4, 3)), "sigma": 1.0},
    "three axes": {"mu": np.zeros((2, 3, 4)), "sigma": 1.0},
}


@pytest.mark.parametrize("parameters", WRONG_LENGTHS.values(), ids=WRONG_LENGTHS)
def test_a_prior_of_another_length_names_the_columns(parameters):
    model = trial(covariates=["age"], priors={"beta": mlm.Prior("Normal", **parameters)})
    with pytest.raises(mlm.SpecificationError, match=r"4 columns \(Intercept, method\[new\], age"):
        model.build(table())


@pytest.mark.parametrize(
    "parameters",
    [
        {"mu": 0.0, "sigma": 1.0},
        {"mu": np.zeros(4), "sigma": [1.0, 2.0, 3.0, 4.0]},
        {"mu": np.zeros((3, 4)), "sigma": np.ones((3, 1))},
    ],
)
def test_a_prior_for_all_columns_or_each_one_is_taken(parameters):
    model = trial(covariates=["age"], priors={"beta": mlm.Prior("Normal", **parameters)})
    assert "beta" in model.build(table()).named_vars


# ---------------------------------------------------------------------- plots


@pytest.fixture(scope="module")
def direct():
    return trial().fit(table(), draws=200, random_seed=1)


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        ("treatment_effects", "type"),
        ("treatment_effects", "prob"),
        ("joint", "which"),
        ("joint", "measure"),
        ("curve", "what"),
        ("effects", "population"),
        ("forest", "type"),
        ("trace", "which"),
        ("trace", "treatment"),
    ],
)
def test_a_plot_names_the_arguments_that_it_has(direct, kind, argument):
    with pytest.raises(mlm.SpecificationError, match=rf"plot\('{kind}'\) has no.*'{argument}'"):
        direct.plot(kind, **{argument: "trace"})


# ---------------------------------------------------------------------- few clusters


@pytest.mark.parametrize(("clusters", "arms"), [(4, 2), (8, 2), (9, 1), (10, 0), (12, 0)])
def test_fewer_than_five_clusters_in_an_arm_are_a_warning_and_a_note(clusters, arms):
    # Nine clusters: five with an even number, old, and four with an odd one, new.
    model, data = trial(cluster="school"), table(clusters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        design = model._design(data)
    texts = [str(w.message) for w in caught if w.category is mlm.DataWarning]
    assert len(texts) == arms
    assert set(texts) <= set(model.specification.notes(design))
    if arms == 1:
        assert "Arm 'new' has rows in 4 cluster(s) of 'school', fewer than 5." in texts[0]


@pytest.mark.parametrize(("units", "arms"), [(2, 2), (8, 2), (9, 1), (10, 0)])
@pytest.mark.parametrize("term", [mlm.hm("school"), mlm.mm("school", "pupil")], ids=["hm", "mm"])
def test_fewer_than_five_units_of_a_term_in_an_arm_are_a_warning_and_a_note(term, units, arms):
    # Every pupil has two schools of one parity, so units are in the arms as clusters are.
    one = table(units).assign(pupil=range(96))
    data = one if not hasattr(term, "group") else pd.concat(
        [one, one.assign(school=(one["school"] + 2 * (units > 2)) % units)])  # fmt: skip
    data = data[data["school"] % 2 == (data["method"] == "new")]
    model = trial(terms=[term])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        design = model._design(data)
    texts = [str(w.message) for w in caught if w.category is mlm.DataWarning]
    assert len(texts) == arms
    assert set(texts) <= set(model.specification.notes(design))
    if arms == 1:
        assert "Arm 'new' has rows in 4 unit(s) of " in texts[0]
        assert "Compare results under several priors of school_sd." in texts[0]


def test_a_warning_of_the_data_points_at_the_line_of_the_user():
    with pytest.warns(mlm.DataWarning) as caught:
        trial(cluster="school").build(table(4))
    assert caught[0].filename == __file__


def test_default_priors_are_checked_once_whoever_asks(monkeypatch):
    """The check of one takes 20 ms, and a fit asks for the priors eight times."""
    trial(cluster="school")  # makes the default prior of clusters
    checked = []
    monkeypatch.setattr(
        "pymc_mlm.priors.prior._check_parameters", lambda prior, what: checked.append(what)
    )
    specification = trial(cluster="school", priors={"slope": HALF}).specification
    before = len(checked)
    for _ in range(3):
        _ = specification.trial_priors.cluster
    assert len(checked) == before
    assert not [what for what in checked if "cluster_sd" in what]
