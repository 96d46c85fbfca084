"""Members in a trial: likelihood against a dense one, estimands, prediction, bad input."""

import copy
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import clone

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.ops.correlation import partials_to_cholesky
from pymc_mlm.trial.draws import row_shift
from pymc_mlm.trial.questions import draws_of
from tests.mocked import PriorDraws
from tests.models.test_trial import COVARIATES, logp, trial_table

# Two sexes are few units of a term, and the tests do not ask for their standard deviation.
pytestmark = pytest.mark.filterwarnings("ignore:Arm .* has rows in 2 unit:pymc_mlm.DataWarning")
RNG = np.random.default_rng(8)
PARTIAL = np.array([0.3, 0.6, 0.55])
# Log odds of each outcome and log odds ratio, by hand: patterns 11, 10, 01 against 00.
CONTRASTS = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, -0.5], [0.0, 1.0, -0.5]])
SPREAD = np.array([0.7, 1.4, 0.5])[:, None]
ROOT = CONTRASTS @ (SPREAD * partials_to_cholesky(2 * PARTIAL[None] - 1, 3)[0])
BETA = RNG.normal(size=(3, 4)) * [0.3, 0.3, 0.01, 0.01]
WEIGHT = "ilogit(b0 + b1 * share)"
Trial = partial(mlm.MultivariateLogitTrial, **COVARIATES)


def persons():
    """One row per person."""
    table = trial_table()
    return table.assign(person=[f"p{i:03d}" for i in range(len(table))])


def memberships(seed=3):
    """One to three rows per person, in any order; some have one clinician twice."""
    rng = np.random.default_rng(seed)
    table = persons()
    rows = table.loc[np.repeat(table.index, rng.integers(1, 4, len(table)))]
    doctor = rng.integers(0, 9, len(rows))
    rows = rows.assign(doctor=doctor, share=rng.random(len(rows)))
    return rows.sample(frac=1, random_state=seed).reset_index(drop=True)


def fitted(table, draws=20, **arguments):
    trial = Trial(**arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return trial.fit(table, draws=draws, chains=2, random_seed=1, sampler=PriorDraws())


def dense_weights(table, weight):
    """Weight of each doctor for each person, by a loop; persons in the order of their names."""
    names = sorted(set(table["person"]))
    out = np.zeros((len(names), 9))
    for p, rows in table.groupby("person"):
        for v, m in zip(weight(rows), rows["doctor"], strict=True):
            out[names.index(p), m] += v
    return out


def dense_loglik(table, eta):
    """Log probabilities of the response patterns of persons, shape (person,)."""
    first = table.groupby("person").first()
    logits = np.column_stack([eta, np.zeros(len(eta))])
    cell = (3 - 2 * first["y1"] - first["y2"]).to_numpy()
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits[np.arange(len(cell)), cell]


def population_eta(table, beta):
    first = table.groupby("person").first()
    arm = (first["group"] == "new").to_numpy(float)
    X = np.column_stack([np.ones(len(arm)), arm, first["age"], arm * first["age"]])
    return X @ beta.T


# ---------------------------------------------------------------------- likelihood


@pytest.mark.parametrize("term", [mlm.mm("id", "person"), mlm.hm("id")], ids=["mm", "hm"])
@pytest.mark.parametrize("dependence", ["saturated", "pairwise", "independent"])
def test_one_member_per_person_has_the_density_of_clusters(term, dependence):
    table = persons()
    size = 2 if dependence == "independent" else 3
    z, sd = RNG.normal(size=(12, size)), np.arange(1, size + 1) / 2
    partials = PARTIAL[: size * (size - 1) // 2]
    own = {"beta": BETA[:size], "id_sd": sd, "id_partial": partials, "id_z": z}
    clusters = {"beta": BETA[:size], "cluster_sd": sd[None], "cluster_partial": partials,
                "cluster_z": z}  # fmt: skip
    clustered = logp(Trial(cluster="id", dependence=dependence), table, **clusters)
    assert logp(Trial(terms=[term], dependence=dependence), table, **own) == pytest.approx(
        clustered, rel=1e-13
    )


def test_one_outcome_has_no_correlations():
    one = dict(COVARIATES, outcomes="y1")
    table, z = persons(), RNG.normal(size=(12, 1))
    clusters = {"cluster_sd": [[0.8]], "cluster_z": z}
    a = logp(mlm.MultivariateLogitTrial(**one, cluster="id"), table, beta=BETA[:1], **clusters)
    trial = mlm.MultivariateLogitTrial(**one, terms=[mlm.mm("id", "person")])
    assert logp(trial, table, beta=BETA[:1], id_sd=[0.8], id_z=z) == pytest.approx(a, rel=1e-13)


WEIGHTS = {
    "equal": (mlm.mm("doctor", "person"), lambda r: np.full(len(r), 1 / len(r)), {}),
    "known, not scaled": (
        mlm.mm("doctor", "person", weight="share", normalize=False), lambda r: r["share"], {},
    ),
    "estimated": (
        mlm.mm("doctor", "person", weight=WEIGHT),
        lambda r: _scaled(1 / (1 + np.exp(-(0.4 - 1.2 * r["share"])))), {"b0": 0.4, "b1": -1.2},
    ),
    "estimated, not scaled": (
        mlm.mm("doctor", "person", weight="exp(b * share)", normalize=False),
        lambda r: np.exp(0.7 * r["share"]), {"b": 0.7},
    ),
}  # fmt: skip


def _scaled(w):
    return w / w.sum()


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("clustered", [False, True])
def test_the_density_is_the_dense_one(kind, clustered):
    term, weight, b = WEIGHTS[kind]
    table = memberships()
    trial = Trial(terms=[term], **({"cluster": "id", "random": "1 + arm"} if clustered else {}))
    design = trial._design(table)
    model = trial._build(design)
    loglik = model.compile_fn(model["loglik"], inputs=model.free_RVs, mode=uncompiled())
    z = RNG.normal(size=(9, 3))
    given = {"beta": BETA, "doctor_sd": [0.7, 1.4, 0.5], "doctor_partial": PARTIAL, "doctor_z": z}
    given |= {f"doctor_weight_{name}": value for name, value in b.items()}
    eta = population_eta(table, BETA) + dense_weights(table, weight) @ z @ ROOT.T
    if clustered:
        offsets = RNG.normal(size=(12, 6))
        given |= {"cluster_sd": np.ones((2, 3)), "cluster_z": offsets,
                  "cluster_partial": np.full(15, 0.5)}  # fmt: skip
        first = table.groupby("person").first()
        u = offsets[[int(c[1:]) for c in first["id"]]] @ np.kron(np.eye(2), CONTRASTS).T
        eta += u[:, :3] + (first["group"] == "new").to_numpy(float)[:, None] * u[:, 3:]
    expected = dense_loglik(table, eta).sum()
    assert float(loglik(given)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("units", ["cluster", "id"])
def test_success_and_failure_may_be_exchanged(units):
    """No pattern is the reference: the joint density of the turned table is the same."""
    table, z = persons(), RNG.normal(size=(12, 3))
    turned = table.assign(y1=1 - table["y1"], y2=1 - table["y2"])
    own = {"cluster": "id"} if units == "cluster" else {"terms": [mlm.hm("id")]}
    sd = np.array([[0.7, 1.4, 0.5]]) if units == "cluster" else np.array([0.7, 1.4, 0.5])
    given = {f"{units}_sd": sd, f"{units}_partial": np.full(3, 0.5)}
    # Patterns in the opposite order against the former 11; log odds change signs, their ratio not.
    back = np.stack([0.0 * BETA[0], BETA[2], BETA[1]]) - BETA[0]
    a = logp(Trial(**own), table, beta=BETA, **given, **{f"{units}_z": z})
    b = logp(Trial(**own), turned, beta=back, **given, **{f"{units}_z": z * [-1, -1, 1]})
    assert a == pytest.approx(b, rel=1e-10)


def test_persons_that_are_alike_are_counted():
    table = persons().drop(columns="age").assign(age=50.0 + np.arange(120) % 2)
    design = Trial(terms=[mlm.mm("id", "person")])._design(table)
    assert len(design.collapse().first) < 100
    apart = Trial(terms=[mlm.mm("doctor", "person", weight=WEIGHT)])._design(memberships())
    assert len(apart.collapse().first) == 120


def test_persons_without_outcomes_are_left_out_with_their_members():
    table = memberships()
    table["y1"], table["y2"] = table["y1"].astype(float), table["y2"].astype(float)
    table.loc[table["person"] == "p005", ["y1", "y2"]] = np.nan
    table.loc[table["person"] == "p005", "doctor"] = 77
    design = Trial(terms=[mlm.mm("doctor", "person")], missing="drop")._design(table)
    assert design.trial.dropped == {"every outcome is missing": 1}
    assert 77 not in design.terms[0][1].membership.member.labels.tolist()
    assert "p005" not in design.row_labels.tolist()
    assert design.row_dim == "person"


# ---------------------------------------------------------------------- estimands


@pytest.mark.parametrize("estimand", ["new_cluster", "observed_clusters", "typical_cluster"])
def test_one_member_per_person_answers_as_clusters_do(estimand):
    table = persons()
    clusters = fitted(table, cluster="id")
    members = fitted(table, terms=[mlm.mm("id", "person")])
    members.result_.idata["posterior"]["id_z"].values[:] = clusters.idata.posterior["cluster_z"]
    asked = {"estimand": estimand}
    for population in (None, mlm.populations.Range("age", 40, 60)):
        for by in ("both", "arm"):
            asked |= {"population": population, "covariate_rows": by}
            np.testing.assert_allclose(
                members.treatment_effect(**asked), clusters.treatment_effect(**asked), atol=1e-12
            )
    curve = members.treatment_effect_curve("age", [40.0, 50.0], estimand=estimand)
    # Ten persons of each cluster: as many of one as of another.
    np.testing.assert_allclose(
        curve, clusters.treatment_effect_curve("age", [40.0, 50.0], estimand=estimand), atol=1e-12
    )


def test_observed_and_new_members_by_brute_force():
    table = memberships()
    trial = fitted(table, draws=3, terms=[mlm.mm("doctor", "person", weight=WEIGHT)])
    draws = trial.idata.posterior
    found = trial.cell_probability(estimand="observed_clusters")
    new = trial.cell_probability()
    rng = np.random.default_rng(2)
    for s in range(3):
        one = draws.isel(chain=1, draw=s)
        b0, b1 = float(one["doctor_weight_b0"]), float(one["doctor_weight_b1"])

        def weight(rows, b0=b0, b1=b1):
            return _scaled(1 / (1 + np.exp(-(b0 + b1 * rows["share"]))))

        partials = one["doctor_partial"].values[None]
        spread = one["doctor_sd"].values[:, None]
        root = CONTRASTS @ (spread * partials_to_cholesky(2 * partials - 1, 3)[0])
        effects = one["doctor_z"].values @ root.T
        weights = dense_weights(table, weight)
        for a, arm in enumerate(["old", "new"]):
            eta = population_eta(table.assign(group=arm), one["beta"].values)
            own = eta + weights @ effects
            np.testing.assert_allclose(found[1, s, a], _cells(own), atol=1e-10)
            many = []
            for _ in range(150):
                fresh = rng.normal(size=(9, 3)) @ root.T
                many.append(_cells(eta + weights @ fresh))
            error = np.std(many, axis=0) / np.sqrt(len(many))
            assert (np.abs(new[1, s, a] - np.mean(many, axis=0)) < 5 * error + 0.01).all()


def _cells(eta):
    p = np.exp(np.column_stack([eta, np.zeros(len(eta))]))
    return (p / p.sum(axis=1, keepdims=True)).mean(axis=0)


def test_rows_that_are_nobody_have_the_members_of_all_persons():
    table = memberships()
    trial = fitted(table, draws=2, terms=[mlm.mm("doctor", "person")], cluster="id")
    at = mlm.populations.Value(age=50.0)
    found = trial.cell_probability(population=at, estimand="observed_clusters")
    # The persons themselves, all of age 50.
    changed = table.assign(age=50.0, group="new")
    cells = trial.predict(changed, kind="cell").mean("person")
    np.testing.assert_allclose(found.sel(arm="new"), cells, atol=1e-10)


def test_too_many_combinations_are_refused():
    trial = fitted(memberships(), draws=2, terms=[mlm.mm("doctor", "person", weight=WEIGHT)])
    with pytest.raises(mlm.SpecificationError, match=r"10000 rows.*120 kinds"):
        trial.treatment_effect(
            population={"age": np.linspace(40, 60, 10_000)}, estimand="observed_clusters"
        )


# ---------------------------------------------------------------------- persons


@pytest.fixture(scope="module")
def doctors():
    term = mlm.mm("doctor", "person", weight=WEIGHT)
    return fitted(memberships(), draws=400, terms=[term, mlm.hm("sex")])


def test_fitted_new_unknown_and_typical_members_are_predicted(doctors):
    rows = {"person": ["a", "b", "b", "c"], "group": ["old"] * 4, "age": [50.0] * 4,
            "sex": ["f", "f", "f", "f"], "share": [0.5] * 4}  # fmt: skip
    fit = doctors.predict(rows | {"doctor": [2, 2, 2, 2]}, random_seed=1)
    assert fit["person"].values.tolist() == ["a", "b", "c"]
    # The same doctor: whether once or twice, the weights sum to one.
    np.testing.assert_allclose(fit[:, :, 0], fit[:, :, 1], atol=1e-12)
    new = doctors.predict(rows | {"doctor": [99, 99, 99, 98]}, random_seed=1)
    np.testing.assert_allclose(new[:, :, 0], new[:, :, 1], atol=1e-12)
    assert np.abs(new[:, :, 0] - new[:, :, 2]).max() > 0.05
    unknown = doctors.predict(rows | {"doctor": [None, 2, 2, None]}, random_seed=1)
    assert np.abs(unknown[:, :, 0] - fit[:, :, 0]).max() > 0.05
    np.testing.assert_allclose(unknown[:, :, 1], fit[:, :, 1], atol=1e-12)
    typical = doctors.predict(rows | {"doctor": [2, 99, None, 2]}, typical="doctor")
    assert np.ptp(typical.values, axis=2).max() < 1e-12
    bare = doctors.predict(
        {"person": ["a"], "group": ["old"], "age": [50.0], "share": [0.5]}, typical=True
    )
    beta = doctors.idata.posterior["beta"].values
    eta = beta[..., 0] + 50.0 * beta[..., 2]
    cells = np.exp(np.concatenate([eta, np.zeros_like(eta[..., :1])], axis=-1))
    cells /= cells.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(bare[:, :, 0, 0], cells[..., 0] + cells[..., 1], atol=1e-10)


def test_new_members_have_the_covariance_of_fitted_ones():
    trial = fitted(persons(), draws=4000, terms=[mlm.mm("id", "person")])
    part = trial.result_.design
    draws = draws_of(trial.result_)
    rows = {"person": [0, 1, 1], "id": ["x", "y", "z"], "group": ["old"] * 3, "age": [50.0] * 3}
    design = trial.specification.read(rows, part)
    shift = row_shift(draws, design, np.random.default_rng(1))
    own = draws.members[0].roots @ np.swapaxes(draws.members[0].roots, 1, 2)
    variance = np.diagonal(own, axis1=1, axis2=2).mean(axis=0)
    np.testing.assert_allclose(shift[:, :, 0].var(axis=0), variance, rtol=0.1)
    np.testing.assert_allclose(shift[:, :, 1].var(axis=0), variance / 2, rtol=0.1)


def test_pointwise_log_likelihoods_are_the_dense_ones(doctors):
    tree = doctors.extend("log_likelihood", "log_prior", "prior_predictive", prior_draws=3)
    found = tree["log_likelihood"]["outcomes"]
    assert found.dims == ("chain", "draw", "person")
    assert set(tree["log_prior"]) >= {"doctor_sd", "doctor_weight_b0", "sex_partial"}
    assert tree["prior_predictive"]["outcomes"].dims == ("chain", "draw", "person", "outcome")
    one = doctors.idata.posterior.isel(chain=0, draw=7)
    model = doctors.result_.spec.build_fused(doctors.result_.design)
    loglik = model.compile_fn(model["loglik"], inputs=model.free_RVs, mode=uncompiled())
    point = {rv.name: one[rv.name].values for rv in model.free_RVs}
    assert float(found[0, 7].sum()) == pytest.approx(float(loglik(point)), rel=1e-10)


def test_reports_name_members_and_weights(doctors):
    report = doctors.summary()
    assert list(report.members) == ["mm doctor", "hm sex"]
    assert "corr(y1)" in report.members["mm doctor"]
    assert list(report.weights.index) == ["weight b0 [mm doctor]", "weight b1 [mm doctor]"]
    text = str(report)
    assert "averaged over members that are still to come" in text
    assert "Effects [mm doctor], log odds" in text
    assert "weights [mm doctor]: ilogit(b0 + b1 * share)" in text
    assert {"doctor_sd", "doctor_partial", "doctor_weight_b1", "sex_sd"} <= set(
        doctors.priors().frame.index
    )
    effects = doctors.effect_draws("doctor")
    assert effects.dims == ("chain", "draw", "doctor", "slope", "predictor")
    assert effects.sizes["doctor"] == 9
    np.testing.assert_allclose(
        doctors.effect_draws(), effects, err_msg="the first term without clusters"
    )
    assert doctors.plot("effects", term="sex").axes


def test_a_fit_is_saved_loaded_and_cloned(doctors, tmp_path):
    loaded = mlm.MultivariateLogitTrial.load(doctors.save(tmp_path / "trial.nc"))
    np.testing.assert_array_equal(loaded.treatment_effect(), doctors.treatment_effect())
    new = memberships(seed=9).assign(doctor=lambda t: t["doctor"] + 5)
    np.testing.assert_array_equal(
        loaded.predict(new, random_seed=3), doctors.predict(new, random_seed=3)
    )
    assert str(loaded.summary()) == str(doctors.summary())
    for other in (
        clone(doctors),
        copy.deepcopy(doctors),
        type(doctors).from_dict(doctors.to_dict()),
    ):
        assert other.specification == doctors.specification
    assert type(doctors)(**doctors.get_params()).specification == doctors.specification


def test_the_order_of_rows_does_not_matter():
    term = mlm.mm("doctor", "person", weight=WEIGHT)
    table = memberships()
    a, b = (fitted(t, draws=5, terms=[term]) for t in (table, table.iloc[::-1]))
    np.testing.assert_allclose(a.treatment_effect(), b.treatment_effect(), atol=1e-12)


def test_priors_of_members_are_replaced_by_name():
    sd = mlm.Prior("HalfNormal", sigma=0.3)
    for trial in (
        Trial(terms=[mlm.mm("doctor", "person", priors={"sd": sd})]),
        Trial(terms=[mlm.mm("doctor", "person")], priors={"doctor_sd": sd}),
    ):
        assert trial.priors(memberships()).frame.loc["doctor_sd", "prior"] == repr(sd)
    default = Trial(terms=[mlm.mm("doctor", "person"), mlm.hm("sex")]).priors(memberships()).frame
    # HalfNormal(2) on what members add to a person: an effect of one of n weighs 1/n.
    assert default.loc["sex_sd", "prior"] == "HalfNormal(sigma=2)"
    table = memberships()
    size = float(default.loc["doctor_sd", "prior"].split("=")[1].rstrip(")"))
    rows = 1 / table.groupby("person")["doctor"].transform("size")
    expected = 2 / np.sqrt((rows**2).groupby(table["person"]).sum().mean())
    assert size == pytest.approx(expected, rel=1e-3)


def test_a_short_fit_with_estimated_weights():
    table = memberships()
    trial = Trial(terms=[mlm.mm("doctor", "person", weight=WEIGHT)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)
        trial.fit(table, draws=100, tune=150, chains=2, random_seed=1, progressbar=False)
    assert trial.result_.path == "fused"
    assert np.isfinite(trial.treatment_effect()).all()
    assert trial.idata.observed_data["outcomes"].dims == ("person", "outcome")
    assert 0.05 < float(trial.idata.posterior["doctor_sd"].mean()) < 3
