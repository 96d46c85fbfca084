"""Any term in a trial: nested units, a user's own term, covariates of members."""

import copy

import numpy as np
import pytensor.tensor as pt
import pytest

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.correlation import partials_to_cholesky
from pymc_mlm.terms import Role
from pymc_mlm.trial.draws import row_shift
from pymc_mlm.trial.questions import draws_of
from tests.models.test_trial import logp
from tests.models.test_trial_terms import (
    BETA,
    CONTRASTS,
    PARTIAL,
    ROOT,
    Trial,
    _cells,
    dense_loglik,
    fitted,
    memberships,
    persons,
    population_eta,
)
from tests.terms.test_own_term import Saturation

RNG = np.random.default_rng(11)


def schools():
    """Twelve schools in six regions, with a dose and an hour for each person."""
    table = persons()
    school = table["id"].str[1:].astype(int)
    return table.assign(
        region=school // 2, dose=RNG.uniform(0, 5, len(table)), hour=RNG.normal(9, 2, len(table))
    )


TABLE = schools()


def evaluate(trial, table, given):
    model = trial.build(table)
    loglik = model.compile_fn(model["loglik"], inputs=model.free_RVs, mode=uncompiled())
    return float(loglik(given))


# ---------------------------------------------------------------------- nested units


def test_one_level_has_the_density_of_clusters():
    z, sd = RNG.normal(size=(12, 3)), np.array([0.5, 1.0, 1.5])
    given = {"cluster_sd": sd[None], "cluster_partial": PARTIAL, "cluster_z": z}
    clustered = logp(Trial(cluster="id"), TABLE, beta=BETA, **given)
    term = mlm.nested(["id"], "1", eta=1.0)
    own = {"id_sd": sd[:, None], "id_partial": PARTIAL, "id_z": z}
    assert logp(Trial(terms=[term]), TABLE, beta=BETA, **own) == pytest.approx(clustered, rel=1e-13)


def nested_given():
    return {
        "region_sd": RNG.uniform(0.3, 1, (3, 1)), "region_partial": PARTIAL,
        "region_z": RNG.normal(size=(6, 3)),
        "id_sd": RNG.uniform(0.3, 1, (3, 2)), "id_partial": RNG.uniform(0.3, 0.7, 15),
        "id_z": RNG.normal(size=(12, 6)),
    }  # fmt: skip


def nested_eta(table, given):
    """What both levels add, by the formula."""
    ordered = table.sort_values("person", kind="stable")
    hour = (ordered["hour"] - TABLE["hour"].mean()) / TABLE["hour"].std(ddof=0)
    L = partials_to_cholesky(2 * given["id_partial"][None] - 1, 6)[0]
    u = given["id_z"] @ (np.kron(np.eye(2), CONTRASTS) @ (given["id_sd"].T.reshape(6, 1) * L)).T
    u = u[[int(c[1:]) for c in ordered["id"]]]
    own = u[:, :3] + hour.to_numpy()[:, None] * u[:, 3:]
    L = partials_to_cholesky(2 * given["region_partial"][None] - 1, 3)[0]
    root = CONTRASTS @ (given["region_sd"] * L)
    return own + (given["region_z"] @ root.T)[ordered["region"]]


NESTED = {"region": "1", "id": "1 + hour"}


def test_two_levels_with_a_varying_slope_have_the_dense_density():
    trial, given = Trial(terms=[mlm.nested(["region", "id"], NESTED)]), nested_given()
    eta = population_eta(TABLE, BETA) + nested_eta(TABLE, given)
    expected = dense_loglik(TABLE, eta).sum()
    assert evaluate(trial, TABLE, {"beta": BETA, **given}) == pytest.approx(expected, rel=1e-12)


@pytest.fixture(scope="module")
def nested():
    return fitted(TABLE, draws=300, terms=[mlm.nested(["region", "id"], NESTED)])


def one_draw(fit, s):
    return {n: v.values for n, v in fit.idata.posterior.isel(chain=1, draw=s).items()}


def test_estimands_of_nested_units_by_brute_force(nested):
    found = {e: nested.cell_probability(estimand=e) for e in ("observed_clusters", "new_cluster")}
    rng = np.random.default_rng(2)
    for s in range(3):
        draw = one_draw(nested, s)
        for a, arm in enumerate(["old", "new"]):
            eta = population_eta(TABLE.assign(group=arm), draw["beta"])
            own = _cells(eta + nested_eta(TABLE, draw))
            np.testing.assert_allclose(found["observed_clusters"][1, s, a], own, atol=1e-10)
            many = []
            for _ in range(200):
                fresh = {n: rng.normal(size=draw[n].shape) for n in ("region_z", "id_z")}
                many.append(_cells(eta + nested_eta(TABLE, draw | fresh)))
            error = np.std(many, axis=0) / np.sqrt(len(many))
            new = found["new_cluster"][1, s, a]
            assert (np.abs(new - np.mean(many, axis=0)) < 5 * error + 0.01).all()


def test_fitted_new_unknown_and_typical_schools_are_predicted(nested):
    row = TABLE.iloc[[0, 0, 0, 0]].assign(person=list("abcd"))
    cells = nested.predict(TABLE, kind="eta")
    np.testing.assert_allclose(nested.predict(row, kind="eta")[:, :, 0], cells[:, :, 0], atol=1e-12)
    ids = [TABLE["id"][0], "new", "new", None]
    eta = nested.predict(row.assign(id=ids), kind="eta", random_seed=1)
    np.testing.assert_allclose(eta[:, :, 1], eta[:, :, 2], atol=1e-12)
    assert np.abs(eta[:, :, 0] - eta[:, :, 1]).max() > 0.1
    # An unknown school of a known region is one of the region's, in every draw.
    two = ["c00", "c01"]
    assert set(TABLE["id"][TABLE["region"] == TABLE["region"][0]]) == set(two)
    known = nested.predict(TABLE.iloc[[0, 0]].assign(person=list("ab"), id=two), kind="eta").values
    unknown = eta.values[:, :, 3]
    gap = np.abs(known - unknown[:, :, None]).max(axis=-1)
    np.testing.assert_allclose(gap.min(axis=-1), 0.0, atol=1e-10)
    assert len(np.unique(gap.argmin(axis=-1))) == 2
    typical = nested.predict(row.assign(id=ids), kind="eta", typical=["region", "id"])
    assert np.ptp(typical.values, axis=2).max() < 1e-12


def test_new_schools_have_the_covariance_of_fitted_ones(nested):
    fit = nested.result_
    row = TABLE.iloc[[0]].assign(region=99, id="y")
    design = nested.specification.read(row, fit.design)
    draws = draws_of(fit)
    shift = row_shift(draws, design, np.random.default_rng(1))[:, :, 0]
    z = np.array([1.0, (row["hour"].iloc[0] - TABLE["hour"].mean()) / TABLE["hour"].std(ddof=0)])
    region, school = (own.roots @ np.swapaxes(own.roots, 1, 2) for own in draws.members)
    on_row = np.kron(z, np.eye(3))
    variance = np.diagonal(region + on_row @ school @ on_row.T, axis1=1, axis2=2).mean(axis=0)
    np.testing.assert_allclose(shift.var(axis=0), variance, rtol=0.25)


def test_reports_of_nested_units(nested, tmp_path):
    report = nested.summary()
    assert list(report.members) == ["region", "id"]
    assert list(report.members["id"].index[:4]) == [
        "Intercept, y1", "Intercept, y2", "Intercept, y1:y2", "hour, y1",
    ]  # fmt: skip
    frame = nested.priors().frame
    assert frame.loc["id_partial", "prior"] == "LKJ(eta=2)"
    assert "HalfNormal" in frame.loc["id_sd", "prior"]
    effects = nested.effect_draws("id")
    assert effects.dims == ("chain", "draw", "id", "slope", "predictor")
    assert effects["slope"].values.tolist() == ["Intercept", "hour"]
    loaded = mlm.MultivariateLogitTrial.load(nested.save(tmp_path / "trial.nc"))
    np.testing.assert_array_equal(loaded.treatment_effect(), nested.treatment_effect())
    total = nested.extend("log_likelihood")["log_likelihood"]["outcomes"][1, 2].sum()
    expected = evaluate(nested, TABLE, one_draw(nested, 2))
    assert float(total) == pytest.approx(expected, rel=1e-10)


# ---------------------------------------------------------------------- a term of one's own


def saturation(table, top, half):
    x = table.sort_values("person", kind="stable")["dose"].to_numpy()[:, None]
    return np.asarray(top) * x / (np.asarray(half) + x)


def test_an_own_term_has_parameters_on_every_predictor():
    top, half = np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, 0.5])
    given = {"beta": BETA}
    for m, p in enumerate(["11", "10", "01"]):
        given |= {f"dose_{p}_top": top[m], f"dose_{p}_half": half[m]}
    eta = population_eta(TABLE, BETA) + saturation(TABLE, top, half)
    found = evaluate(Trial(terms=[Saturation("dose")]), TABLE, given)
    assert found == pytest.approx(dense_loglik(TABLE, eta).sum(), rel=1e-12)


@pytest.fixture(scope="module")
def doses():
    return fitted(TABLE, draws=8, terms=[Saturation("dose"), mlm.hm("id")])


def hospital_root(draw):
    L = partials_to_cholesky(2 * draw["id_partial"][None] - 1, 3)[0]
    return CONTRASTS @ (draw["id_sd"][:, None] * L)


def parameters(draw):
    return [[draw[f"dose_{p}_{n}"] for p in ("11", "10", "01")] for n in ("top", "half")]


@pytest.mark.parametrize("estimand", ["observed_clusters", "typical_cluster"])
def test_estimands_with_an_own_term_by_the_formula(doses, estimand):
    found = doses.cell_probability(estimand=estimand)
    at = doses.cell_probability(population=mlm.populations.Value(age=50.0), estimand=estimand)
    for s in range(3):
        draw = one_draw(doses, s)
        own = saturation(TABLE, *parameters(draw))
        if estimand == "observed_clusters":
            partials = draw["id_partial"][None]
            root = CONTRASTS @ (
                draw["id_sd"][:, None] * partials_to_cholesky(2 * partials - 1, 3)[0]
            )
            ids = TABLE.sort_values("person", kind="stable")["id"]
            own = own + (draw["id_z"] @ root.T)[[int(c[1:]) for c in ids]]
        for a, arm in enumerate(["old", "new"]):
            eta = population_eta(TABLE.assign(group=arm), draw["beta"]) + own
            np.testing.assert_allclose(found[1, s, a], _cells(eta), atol=1e-10)
            eta = population_eta(TABLE.assign(group=arm, age=50.0), draw["beta"]) + own
            np.testing.assert_allclose(at[1, s, a], _cells(eta), atol=1e-10)


def test_new_units_beside_an_own_term_are_averaged_over(doses):
    draw, rng = one_draw(doses, 1), np.random.default_rng(3)
    own = saturation(TABLE, *parameters(draw))
    root = hospital_root(draw)
    eta = population_eta(TABLE.assign(group="new"), draw["beta"]) + own
    many = [_cells(eta + rng.normal(size=(120, 3)) @ root.T) for _ in range(200)]
    error = np.std(many, axis=0) / np.sqrt(len(many))
    found = doses.cell_probability()[1, 1, 1]
    assert (np.abs(found - np.mean(many, axis=0)) < 5 * error + 0.01).all()


def test_an_own_term_is_predicted_and_reported(doses):
    new = TABLE.iloc[[0, 0]].assign(person=["a", "b"], dose=[0.0, 1e12])
    eta = doses.predict(new, kind="eta")
    tops = np.stack([doses.idata.posterior[f"dose_{p}_top"] for p in ("11", "10", "01")], axis=-1)
    np.testing.assert_allclose(eta[:, :, 1] - eta[:, :, 0], tops, rtol=1e-6)
    np.testing.assert_allclose(
        doses.predict(TABLE, kind="eta"), doses.predict(kind="eta"), atol=1e-10
    )
    report = doses.summary()
    assert {"top [dose_11]", "half [dose_01]"} <= set(report.weights.index)
    assert "dose_10_half" in doses.priors().frame.index
    assert np.isfinite(doses.extend("log_likelihood")["log_likelihood"]["outcomes"]).all()
    assert copy.deepcopy(doses).specification == doses.specification


def test_priors_of_an_own_term_are_those_of_all_predictors_or_of_one():
    wide, one = mlm.Prior("HalfNormal", sigma=9.0), mlm.Prior("HalfNormal", sigma=1.0)
    trial = Trial(terms=[Saturation("dose")], priors={"dose_half": wide, "dose_10_half": one})
    frame = trial.priors(TABLE).frame
    assert [frame.loc[f"dose_{p}_half", "prior"] for p in ("11", "10", "01")] == [
        repr(wide), repr(one), repr(wide),
    ]  # fmt: skip


class Clinics(type(mlm.hm("id"))):
    """Units with an effect of their own kind: a subclass with another `effect`."""

    def effect(self, design, scale=1.0, **more):
        return pt.exp(super().effect(design, scale, **more))


def test_new_units_of_an_own_term_without_a_stated_distribution_are_refused():
    trial = fitted(TABLE, draws=4, terms=[Clinics("id")])
    for ask in (trial.treatment_effect, trial.summary):
        with pytest.raises(mlm.SpecificationError, match=r"'new_cluster' .*new units of id"):
            ask()
    eta = trial.predict(kind="eta").values
    draw = trial.idata.posterior
    u = np.stack([draw[f"id_{p}_effect"].values for p in ("11", "10", "01")], axis=-1)
    code = [int(c[1:]) for c in TABLE["id"]]
    fixed = np.swapaxes(draw["beta"].values @ trial.result_.design.X.T, -1, -2)
    np.testing.assert_allclose(eta, fixed + np.exp(u[:, :, code]), atol=1e-10)
    typical = trial.predict(kind="eta", typical=True).values
    np.testing.assert_allclose(typical, fixed + 1.0, atol=1e-10)
    assert np.isfinite(trial.treatment_effect(estimand="observed_clusters")).all()


# ---------------------------------------------------------------------- covariates of members


def test_covariates_of_members_have_coefficients_on_every_predictor():
    table = memberships()
    aggregated = mlm.mm(
        "doctor", "person", covariates="share", effect=None, name="shares", priors=None
    )
    trial = Trial(terms=[mlm.mm("doctor", "person"), aggregated])
    gamma, z = np.array([0.4, -0.7, 1.1]), RNG.normal(size=(9, 3))
    given = {"beta": BETA, "doctor_sd": [0.7, 1.4, 0.5], "doctor_partial": PARTIAL, "doctor_z": z}
    given |= {f"shares_{p}_beta": [g] for p, g in zip(("11", "10", "01"), gamma, strict=True)}
    mean = table.groupby("person")["share"].mean()
    counts = table.groupby("person")["doctor"].value_counts(normalize=True).unstack().fillna(0)
    # The intercept is that at the mean of the covariate, as its prior.
    eta = population_eta(table, BETA) + counts.to_numpy() @ z @ ROOT.T
    eta += (mean - mean.mean()).to_numpy()[:, None] * gamma
    assert evaluate(trial, table, given) == pytest.approx(dense_loglik(table, eta).sum(), rel=1e-12)
    fit = fitted(table, draws=5, terms=[aggregated])
    assert fit.result_.design.units == ()
    shifted = table.assign(share=table["share"] + 1.0)
    change = fit.predict(shifted, kind="eta") - fit.predict(kind="eta")
    gammas = np.stack(
        [fit.idata.posterior[f"shares_{p}_beta"][..., 0] for p in ("11", "10", "01")], axis=-1
    )
    np.testing.assert_allclose(change, np.broadcast_to(gammas[:, :, None], change.shape))


REFUSED = {
    "effects and covariates": (mlm.mm("doctor", "person", covariates="share"), "effect=None"),
    "weights for each pattern": (
        mlm.mm("doctor", "person", covariates="share", effect=None, weight="exp(b * share)"),
        "without free parameters",
    ),
    "covariates of units": (mlm.hm("id", covariates="hour"), "same for all its persons"),
    "the arm": (mlm.nested(["id"], "1 + group"), "reads 'group', an outcome or the arm"),
    "an outcome": (Saturation("y1"), "reads 'y1', an outcome or the arm"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_terms_without_a_meaning_here_are_refused_with_a_remedy(case):
    term, match = REFUSED[case]
    with pytest.raises(mlm.SpecificationError, match=match):
        Trial(terms=[term])


def test_coefficients_of_members_cannot_be_fixed():
    term = mlm.mm("doctor", "person", covariates="fix(share, 2)", effect=None)
    with pytest.raises(mlm.SpecificationError, match="cannot be fixed in a trial"):
        Trial(terms=[term]).build(memberships())


def test_a_population_cannot_change_a_column_that_a_term_reads():
    trial = fitted(TABLE, draws=2, terms=[mlm.nested(["id"], "1 + age")])
    with pytest.raises(mlm.SpecificationError, match="changes 'age', and the term \\[id\\]"):
        trial.treatment_effect(population=mlm.populations.Value(age=50.0))
    middle = mlm.populations.Range("age", 40, 60)
    assert np.isfinite(trial.treatment_effect(population=middle)).all()


def test_roles_of_an_own_term_name_the_predictor(doses):
    assert doses.result_.roles["dose_11_top"] == Role("coefficient", "top", "dose_11")
