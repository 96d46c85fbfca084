"""Tipping points: closed limits, brute force, agreement of both paths, and bad input."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from scipy.special import expit, logit

import pymc_mlm as mlm
from pymc_mlm.trial.draws import row_cells, trial_draws
from pymc_mlm.trial.missing_outcomes import incomplete_persons, missing_outcomes, tilted
from tests.mocked import PriorDraws

INF = np.inf
ALL, ANY = mlm.rules.All(), mlm.rules.Any()


def table(rows=240, seed=3, drop=0.15):
    """Two outcomes that go missing, some persons without both, some without a covariate."""
    rng = np.random.default_rng(seed)
    arm = np.where(np.arange(rows) % 2, "new", "old")
    y = (rng.random((rows, 2)) < np.where(arm == "new", 0.68, 0.45)[:, None]).astype(float)
    y[:, 1] = np.where(rng.random(rows) < 0.4, y[:, 0], y[:, 1])
    y[rng.random((rows, 2)) < drop] = np.nan
    return pd.DataFrame(
        {
            "arm": arm, "y1": y[:, 0], "y2": y[:, 1], "age": rng.normal(50, 8, rows).round(),
            "site": [f"s{i}" for i in rng.integers(0, 6, rows)],
        }
    )  # fmt: skip


def direct(data, outcomes=("y1", "y2"), **more):
    model = mlm.MultivariateLogitTrial(list(outcomes), "arm", control="old", missing="drop", **more)
    return model.fit(data, draws=40_000, random_seed=1)


def from_prior(data, **more):
    model = mlm.MultivariateLogitTrial(["y1", "y2"], "arm", control="old", missing="drop", **more)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(data, draws=50, chains=2, random_seed=1, sampler=PriorDraws())


def filled(data, **value):
    """The table with the missing outcomes of arms filled in."""
    out = data.copy()
    for arm, v in value.items():
        mine = out["arm"] == arm
        out.loc[mine, ["y1", "y2"]] = out.loc[mine, ["y1", "y2"]].fillna(v)
    return out


@pytest.fixture(scope="module")
def trial():
    return direct(table())


# ---------------------------------------------------------------------- closed limits


@pytest.mark.parametrize("rule", [ALL, ANY, mlm.rules.Compensatory((0.7, 0.3))])
def test_no_shift_is_the_answer_at_random(trial, rule):
    found = trial.tipping_point(rule, grid=[-1.0, 1.0])
    assert found.grid == (-1.0, 0.0, 1.0)
    assert found.at_random.evidence == trial.probability(rule).evidence
    assert found.decisions[1][1].evidence == trial.probability(rule).evidence


@pytest.mark.parametrize("old", [0.0, 1.0])
@pytest.mark.parametrize("new", [0.0, 1.0])
def test_infinite_shifts_are_the_posterior_of_the_table_filled_in(trial, old, new):
    data = table()
    known = filled(data, old=old, new=new)
    missing = missing_outcomes(trial.result_, incomplete_persons(trial.result_))
    for code, (arm, v) in enumerate({"old": old, "new": new}.items()):
        theta = missing.success(code, np.full(2, INF if v else -INF)).reshape(-1, 2)
        own = known.loc[known["arm"] == arm, ["y1", "y2"]]
        ones = own.sum().to_numpy()
        beta = stats.beta(ones + 1, len(own) - ones + 1)
        np.testing.assert_allclose(theta.mean(axis=0), beta.mean(), atol=5e-4)
        np.testing.assert_allclose(theta.std(axis=0), beta.std(), rtol=0.02)
    by_hand = direct(known).probability(ALL).evidence[0]
    found = trial.tipping_point(ALL, grid=[-INF, INF])
    place = [2 if v else 0 for v in (old, new)]
    assert found.decisions[place[0]][place[1]].evidence[0].statistic == pytest.approx(
        by_hand.statistic, abs=0.006
    )


def test_one_outcome_of_persons_without_any_has_its_posterior_mean_in_closed_form():
    data = table().assign(y2=0.0)
    trial, delta = direct(data, ["y1"]), 0.8
    missing = missing_outcomes(trial.result_, incomplete_persons(trial.result_))
    own = data.loc[data["arm"] == "new", "y1"]
    ones, zeros, unknown = own.sum(), (own == 0).sum(), own.isna().sum()
    assert unknown > 5
    prior = stats.beta(ones + 1, zeros + 1)
    imputed = prior.expect(lambda p: expit(logit(p) + delta))
    theta = missing.success(1, np.array([delta]))
    expected = (ones + 1 + unknown * imputed) / (len(own) + 2)
    assert theta.mean() == pytest.approx(expected, abs=5e-4)
    assert missing.share(1, np.array([delta]))[0] == pytest.approx(imputed, abs=5e-4)


def test_brute_force_imputation_person_by_person(trial):
    """Each missing outcome is drawn with its shifted log odds, and the table analysed again."""
    data, delta, rng = table(), np.array([-1.2, 0.7]), np.random.default_rng(8)
    own = data.loc[data["arm"] == "new", ["y1", "y2"]].to_numpy()
    phi = trial.result_.posterior["cell_probability"].sel(arm="new").values[:, ::40].reshape(-1, 4)
    theta = []
    for cells in phi[:1000]:
        y = own.copy()
        for person in y:
            # Gibbs steps: each outcome given the other has log odds higher by its delta.
            lacks = np.isnan(person)
            person[lacks] = 0.0
            for _ in range(12 if lacks.all() else 1):
                for k in np.flatnonzero(lacks):
                    one, zero = person.copy(), person.copy()
                    one[k], zero[k] = 1.0, 0.0
                    at = [int(3 - 2 * v[0] - v[1]) for v in (one, zero)]
                    odds = np.log(cells[at[0]] / cells[at[1]]) + delta[k]
                    person[k] = float(rng.random() < expit(odds))
        counts = np.bincount((3 - 2 * y[:, 0] - y[:, 1]).astype(int), minlength=4)
        drawn = rng.dirichlet(counts + 0.5)
        theta.append([drawn[0] + drawn[1], drawn[0] + drawn[2]])
    missing = missing_outcomes(trial.result_, incomplete_persons(trial.result_))
    found = missing.success(1, delta).reshape(-1, 2)
    np.testing.assert_allclose(np.mean(theta, axis=0), found.mean(axis=0), atol=0.006)
    np.testing.assert_allclose(np.std(theta, axis=0), found.std(axis=0), rtol=0.08)


# ---------------------------------------------------------------------- with coefficients


def as_logits(trial):
    """The same draws as coefficients of a model with log odds."""
    phi = trial.result_.posterior["cell_probability"].values
    psi = np.log(phi[..., :-1] / phi[..., -1:])  # (chain, draw, arm, 11 10 01)
    eta = np.stack([psi[..., 1], psi[..., 2], psi[..., 0] - psi[..., 1] - psi[..., 2]], axis=-1)
    beta = np.stack([eta[:, :, 0], eta[:, :, 1] - eta[:, :, 0]], axis=-1)
    other = mlm.MultivariateLogitTrial(
        ["y1", "y2"], "arm", control="old", missing="drop", dependence="pairwise"
    )
    design = other._design(table())
    coords = {"predictor": list(design.trial.predictors), "covariate": list(design.matrix.names)}
    draws = xr.DataArray(beta, dims=("chain", "draw", "predictor", "covariate"), coords=coords)
    tree = xr.DataTree.from_dict({"posterior": draws.to_dataset(name="beta")})
    other.result_ = replace(trial.result_, spec=other.specification, design=design, idata=tree)
    return other


def test_both_paths_agree(trial):
    logits = as_logits(trial)
    one = missing_outcomes(trial.result_, incomplete_persons(trial.result_))
    two = missing_outcomes(logits.result_, incomplete_persons(logits.result_))
    for delta in ([0.0, 0.0], [1.0, -2.0], [-INF, 0.0], [INF, INF]):
        a, b = (m.success(1, np.array(delta)).reshape(-1, 2) for m in (one, two))
        # The prior is worth 2 persons of 120.
        np.testing.assert_allclose(a.mean(axis=0), b.mean(axis=0), atol=0.003)
        np.testing.assert_allclose(a.std(axis=0), b.std(axis=0), rtol=0.05)
        np.testing.assert_allclose(
            one.share(1, np.array(delta)), two.share(1, np.array(delta)), atol=0.005
        )
    a, b = (m.tipping_point(ALL, grid=[-2, 2]) for m in (trial, logits))
    np.testing.assert_allclose(a.statistic, b.statistic, atol=0.015)


def by_hand(fit, arm, delta, draw):
    """The change of an arm's success in one draw, person by person, and bootstrap sums."""
    prior = fit.spec.trial_priors.clusters(fit.design.matrix)
    draws = trial_draws(fit.design, fit.posterior, prior)
    persons = incomplete_persons(fit)
    cells = row_cells(draws, persons.design, np.random.default_rng(0))[draw]
    change = np.zeros((len(cells), 2))
    for i in np.flatnonzero(persons.arm == arm):
        allowed = persons.compatible[persons.pattern[i]]
        for sign, shift in ((1, delta), (-1, np.zeros(2))):
            q = np.array([c * np.exp(a * shift[0] + b * shift[1]) for c, (a, b) in zip(
                cells[i], [(1, 1), (1, 0), (0, 1), (0, 0)], strict=True)]) * allowed  # fmt: skip
            q /= q.sum()
            change[i] += sign * np.array([q[0] + q[1], q[0] + q[2]])
    return persons, change


@pytest.mark.parametrize("more", [{}, {"cluster": "site"}], ids=["persons", "clusters"])
def test_the_change_is_a_bootstrap_average_over_the_persons_of_the_arm(more):
    fit = from_prior(table(), covariates=["age"], **more).result_
    delta, draw = np.array([0.9, -0.4]), 37
    persons, change = by_hand(fit, 1, delta, draw)
    missing = missing_outcomes(fit, persons)
    mine = persons.arm == 1
    weight = missing.weight[draw, mine]
    found = missing.success(1, delta).reshape(-1, 2)[draw] - missing.at_random[draw, 1]
    np.testing.assert_allclose(found, weight @ change[mine], atol=1e-12)
    # On average over draws a person weighs one of the arm's, those without any outcome too.
    total = (table()["arm"] == "new").sum()
    mean = missing.weight[:, mine].mean(axis=0)
    assert mean.mean() == pytest.approx(1 / total, rel=0.1)
    if more:  # persons of one cluster rise and fall together
        codes = persons.design.cluster_codes[mine]
        for c in np.unique(codes):
            assert np.ptp(missing.weight[draw, mine][codes == c]) == 0
    else:
        spread = missing.weight[:, mine].std(axis=0).mean()
        assert spread == pytest.approx(1 / total, rel=0.2)  # Dirichlet(1, ..., 1)


def test_persons_without_any_outcome_count_and_others_do_not():
    data = table()
    data.loc[[0, 1], ["y1", "y2"]] = np.nan
    data.loc[0, "age"] = np.nan
    data = pd.concat([data, pd.DataFrame({"arm": ["third"], "age": [50.0], "site": ["s1"]})])
    trial = from_prior(data, covariates=["age"], treatment="new")
    persons = incomplete_persons(trial.result_)
    lacking = data[["y1", "y2"]].isna() & (data["arm"] != "third").to_numpy()[:, None]
    lacking = lacking[data["age"].notna().to_numpy()]
    assert persons.missing.sum(axis=0).tolist() == lacking.sum().tolist()
    assert (persons.missing.all(axis=1)).sum() == lacking.all(axis=1).sum() > 0


def test_a_person_of_several_memberships_counts_once():
    data = table(60).assign(person=np.arange(60))
    long = data.loc[np.repeat(np.arange(60), 2)].assign(doctor=np.arange(120) % 7)
    trial = from_prior(long.reset_index(drop=True), terms=[mlm.mm("doctor", "person")])
    persons = incomplete_persons(trial.result_)
    assert persons.missing.sum(axis=0).tolist() == data[["y1", "y2"]].isna().sum().tolist()
    assert trial.tipping_point(ALL, grid=[1]).axes[0].persons == 30


# ---------------------------------------------------------------------- tips, text, report


def test_a_tip_is_the_smallest_shift_that_changes_the_conclusion(trial):
    found = trial.tipping_point(ALL)
    tip = next(t for t in found.tips if (t.axis, t.direction) == (1, "down"))
    assert found.at_random.conclusion == "superior" and tip.conclusion == "not decided"
    there = trial.tipping_point(ALL, grid=[tip.delta, tip.delta + 0.02])
    assert [d.conclusion for d in there.decisions[-1][:2]] == ["not decided", "superior"]
    assert tip.share["y1"] < tip.at_random["y1"]
    frame = found.to_dataframe()
    assert len(frame) == len(found.grid) ** 2
    assert (frame["conclusion"] == "superior").to_numpy().tolist() == (
        ~found.changed.ravel()
    ).tolist()
    assert f"new, down: delta {tip.delta:.2f}, not decided" in str(found)
    assert "old, down: none from 0 to -inf" in str(found)


def test_one_outcome_of_one_arm_is_shifted_alone(trial):
    found = trial.tipping_point(ANY, along=[("new", "y1"), ("new", "y2")], grid=[-INF, -1])
    counts = table().loc[lambda t: t["arm"] == "new", ["y1", "y2"]].isna().sum()
    assert found.axes[0].missing == {"y1": counts["y1"]}
    assert str(found.axes[1]).startswith("new, y2: y2 ")
    missing = missing_outcomes(trial.result_, incomplete_persons(trial.result_))
    theta = missing.success(1, np.array([-1.0, 0.0])) - missing.success(0, np.zeros(2))
    first = found.decisions[1][2].evidence[0].marginal["y1"]
    assert first == pytest.approx((theta[..., 0] > 0).mean(), abs=1e-12)


def test_a_loaded_fit_gives_the_same_answer(trial, tmp_path):
    loaded = mlm.MultivariateLogitTrial.load(trial.save(tmp_path / "fit.nc"))
    one, two = (m.tipping_point(ALL, grid=[-1, 1]) for m in (trial, loaded))
    assert str(one) == str(two) and (one.statistic == two.statistic).all()


def test_the_picture_has_a_cell_for_each_pair(trial):
    figure = trial.plot("tipping_point", rule=ALL, grid=[-1, 1])
    axes = figure.axes[0]
    assert axes.images[0].get_array().shape == (3, 3) and len(axes.texts) == 9
    assert axes.get_xlabel() == "delta of new" and axes.get_ylabel() == "delta of old"
    with pytest.raises(mlm.SpecificationError, match="has no argument 'deltas'"):
        trial.plot("tipping_point", deltas=[1])


def test_the_report_has_tipping_points_of_every_rule(trial):
    rules = [ALL, mlm.rules.Margins({"y1": 0.0, "y2": -0.1})]
    sections = trial.report(rules=rules).sections
    rows = sections["Sensitivity"]["Tipping points"]
    assert {row["rule"] for row in rows} == {rule.label for rule in rules}
    own = trial.tipping_point(ALL, grid=[-INF, -2, -1, 1, 2, INF])
    assert [row["delta"] for row in rows[:4]] == [tip.delta for tip in own.tips]
    grid = sections["Sensitivity"]["Decisions by delta"]
    assert grid[3]["0"] == f"{own.at_random.evidence[0].statistic:.3f} superior"
    items = {r["item"]: r["in this report"] for r in sections["Checklist"]["Items"]}
    assert items["sensitivity to what is assumed of missing outcomes"] == "yes"


def test_a_report_without_missing_outcomes_says_so():
    sections = direct(table(drop=0.0)).report().sections
    assert sections["Sensitivity"]["Missing outcomes"].startswith("No outcome of the arms")
    assert "Tipping points" not in sections["Sensitivity"]
    model = from_prior(table(), covariates=["age"])
    other = model.report(population=mlm.populations.Range("age", 45, 55)).sections["Sensitivity"]
    assert "not for another population" in other["Missing outcomes"]


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "asked, words",
    [
        ({"along": ["old", "third"]}, "none of the arms compared"),
        ({"along": ["old", ("new", "y3")]}, "no outcome; they are 'y1', 'y2'"),
        ({"along": ["new", ("new", "y1")]}, "the same missing outcomes twice"),
        ({"along": "new"}, "two arms, or pairs"),
        ({"along": ["new"]}, "two arms, or pairs"),
        ({"grid": "wide"}, "must be numbers"),
        ({"grid": [np.nan]}, "must be numbers"),
        ({"treatment": "old"}, "is the control itself"),
        ({"treatment": "other"}, "is no arm of the trial"),
        ({"estimand": "typical_cluster"}, "not in a cluster whose effects are zero"),
    ],
)
def test_what_is_not_understood_is_refused(trial, asked, words):
    with pytest.raises(mlm.SpecificationError, match=words):
        trial.tipping_point(ALL, **asked)


def test_nothing_missing_is_refused():
    complete = direct(table(drop=0.0))
    with pytest.raises(mlm.DataError, match="No outcome of the arms is missing"):
        complete.tipping_point(ALL)


def test_patterns_without_probability_leave_no_nan():
    log_phi = np.log(np.maximum(np.array([0.0, 1.0, 0.0, 0.0]), 1e-300))
    for delta in ([INF, INF], [-INF, -INF], [INF, -INF]):
        q = tilted(log_phi, np.array([True, True, False, False]), np.array(delta))
        assert np.isfinite(q).all() and q.sum() == pytest.approx(1)
