"""The decision along a covariate is the decision at each of its values."""

import warnings

import numpy as np
import pytest

import pymc_mlm as mlm
from tests.mocked import PriorDraws
from tests.models.test_trial import trial_table

ALL, ANY = mlm.rules.All(), mlm.rules.Any()


@pytest.fixture(scope="module")
def trial():
    model = mlm.MultivariateLogitTrial(
        ["y1", "y2"], "group", control="old", covariates="age + sex", cluster="id"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(trial_table(), draws=150, chains=2, random_seed=1, sampler=PriorDraws())


@pytest.mark.parametrize("rule", [ALL, ANY, mlm.rules.Compensatory((0.7, 0.3))])
def test_a_row_is_the_decision_at_that_value(trial, rule):
    women = mlm.populations.Value(sex="f")
    table = trial.decision_curve(rule, "age", [40.0, 55.0], women, "typical_cluster", alpha=0.1)
    assert table.index.name == "age" and table.index.tolist() == [40.0, 55.0]
    for age in table.index:
        decision = trial.probability(
            rule, [women, mlm.populations.Value(age=age)], "typical_cluster", alpha=0.1
        )
        evidence, row = decision.evidence[0], table.loc[age]
        assert row["statistic"] == evidence.statistic
        assert row["threshold"] == evidence.threshold
        assert row["joint probability"] == evidence.joint_probability
        assert row["mc_error"] == evidence.joint_error
        assert row["conclusion"] == decision.conclusion
        for name, p in evidence.marginal.items():
            assert row[f"P({name})"] == p


def test_a_two_sided_alternative_has_both_directions(trial):
    table = trial.decision_curve(ANY, "sex", alternative="two-sided")
    assert table.index.tolist() == ["f", "m"]
    np.testing.assert_allclose(table["P(y1)"] + table["P(y1), control better"], 1.0)


def test_the_plot_has_a_line_for_each_contrast_and_the_threshold(trial):
    figure = trial.plot("decision_curve", rule=ANY, column="age", grid=[40.0, 50.0, 60.0])
    [axes] = figure.axes
    labels = [line.get_label() for line in axes.lines]
    assert labels == ["P(y1)", "P(y2)", "joint", "threshold", "decided"]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [40, 50, 60])
    assert trial.plot("decision_curve", column="sex").axes[0].get_xlabel() == "sex"


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda t: t.decision_curve(ALL, "weight"), "is no covariate of the model"),
        (lambda t: t.decision_curve("All", "age"), "is no rule"),
        (lambda t: t.decision_curve(ALL, "age", grid=[]), "grid is empty"),
        (lambda t: t.decision_curve(ALL, "age", alpha=2), "alpha=2"),
        (lambda t: t.plot("decision_curve"), "plot\\('decision_curve'\\) needs column="),
        (lambda t: t.plot("decision_curve", measure="ratio"), "has no argument 'measure'"),
    ],
)
def test_bad_input_is_refused(trial, call, words):
    with pytest.raises(mlm.SpecificationError, match=words):
        call(trial)
