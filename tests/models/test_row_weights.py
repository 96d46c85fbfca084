"""Rows that stand for several rows, and weights of a survey."""

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.graph import clone_replace

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.collapsed_gaussian import collapsed_model
from pymc_mlm.paths.conditional import conditional
from pymc_mlm.paths.log_marginal import LogMarginal
from tests.contracts.test_combinations import FAMILIES
from tests.mocked import PriorDraws

RNG = np.random.default_rng(11)
ROWS = 24
TIMES = np.array([1, 3, 2, 1] * 6)
X = RNG.normal(2.0, 1.0, ROWS)
TABLE = pd.DataFrame({
    "x": X, "z": RNG.normal(size=ROWS), "unit": np.tile(range(6), 4), "n": TIMES,
    "y": X + RNG.normal(size=ROWS), "yes": RNG.integers(0, 2, ROWS), "share": RNG.random(ROWS),
    "wins": RNG.integers(0, 5, ROWS), "games": np.full(ROWS, 5), "count": RNG.poisson(2, ROWS),
    "weeks": RNG.exponential(2, ROWS) + 0.1, "ended": np.tile([1, 1, 0], 8),
})  # fmt: skip
EXPANDED = TABLE.loc[np.repeat(TABLE.index, TIMES)].reset_index(drop=True)
N = mlm.FrequencyWeights("n")


def hierarchical(formula, family, weights):
    return mlm.MultipleMembershipModel(formula, mlm.hm("unit"), family=family, row_weights=weights)


def nested(formula, family, weights):
    return mlm.NestedVaryingEffects(formula, ["unit"], "1 + x", family=family, row_weights=weights)


def fitted(model, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mlm.ConvergenceWarning)  # draws of the prior
        return model.fit(table, sampler=PriorDraws(), draws=20, chains=2, path="sampled")


def log_density(model, values):
    """Return the log density of variables as they are, whatever the sampler's coordinates."""
    parts = [pt.sum(pm.logp(rv, rv)) for rv in model.free_RVs]
    parts += [pt.sum(pm.logp(rv, model.rvs_to_values[rv])) for rv in model.observed_RVs]
    graph = pt.sum(pt.stack([*parts, *(pt.sum(p) for p in model.potentials)]))
    given = {rv: pt.as_tensor(values[rv.name]).astype(rv.dtype) for rv in model.free_RVs}
    run = pytensor.function([], clone_replace([graph], given)[0], mode=uncompiled())
    return float(run())


def some_values(model, seed=3):
    drawn = pm.draw(model.free_RVs, random_seed=seed, mode=uncompiled())
    return {rv.name: np.asarray(v) for rv, v in zip(model.free_RVs, drawn, strict=True)}


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "categorical"])
def test_frequencies_of_every_family_are_repeated_rows(family):
    outcome, named = FAMILIES[family]
    made = hierarchical(f"{outcome} ~ 1 + x", named, N)
    short = made.specification.read(TABLE)
    spec = made.set_params(row_weights=None).specification
    long = spec.read(EXPANDED)
    assert vars(short.scale) == pytest.approx(vars(long.scale))
    assert repr(spec.priors_used(short)) == repr(spec.priors_used(long))
    for role in spec.family.constants:
        assert short.outcome[role].tolist() == long.outcome[role].tolist()

    def likelihood(design, eta):
        with pm.Model(coords={"row": range(len(eta))}) as model:
            priors = spec.family_priors(long.scale)
            known = design.outcome, priors, "row"
            spec.family.weighted_likelihood("outcome", pt.as_tensor(eta), *known)
        return model

    eta = 0.3 * X
    one, other = likelihood(short, eta), likelihood(long, np.repeat(eta, TIMES))
    start = other.initial_point()
    start |= {"cutpoint": np.arange(4.0)} if "cutpoint" in start else {}
    found = [m.compile_logp(mode=uncompiled())(start) for m in (one, other)]
    assert np.isfinite(found[1])
    assert found[0] == pytest.approx(found[1], rel=1e-10)


CASES = [
    (hierarchical, "gaussian"), (hierarchical, "cox"), (hierarchical, "binomial"),
    (nested, "gaussian"), (nested, "cumulative"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "family"), CASES)
def test_frequencies_give_the_log_density_of_the_table_written_out(make, family):
    outcome, named = FAMILIES[family]
    formula = f"{outcome} ~ 1 + x + center(z)"
    short, long = make(formula, named, N).build(TABLE), make(formula, named, None).build(EXPANDED)
    values = some_values(long)
    one, other = log_density(short, values), log_density(long, values)
    assert one == pytest.approx(other, rel=1e-9)
    # The weights matter.
    assert abs(log_density(make(formula, named, None).build(TABLE), values) - other) > 1.0


@pytest.mark.parametrize(
    "formula", ["y ~ 1 + x", "y ~ 0 + x", "y ~ 1 + poly(x, 2)", "y ~ x * z", "y ~ 1 + bs(x, df=4)"]
)
def test_coding_and_default_priors_are_those_of_the_table_written_out(formula):
    short, long = hierarchical(formula, "gaussian", N), hierarchical(formula, "gaussian", None)
    one, other = short.specification.read(TABLE), long.specification.read(EXPANDED)
    np.testing.assert_allclose(np.repeat(one.population.X, TIMES, axis=0), other.population.X)
    priors = short.specification.priors_used(one), long.specification.priors_used(other)
    for name, prior in priors[0].items():
        for parameter, value in prior.parameters.items():
            np.testing.assert_allclose(value, priors[1][name].parameters[parameter], rtol=1e-10)


MEMBERS = pd.DataFrame({
    "group": np.repeat(range(12), 2), "member": RNG.integers(0, 5, 24), "v": RNG.normal(size=24),
    "y": np.repeat(RNG.normal(size=12), 2), "n": np.repeat([1, 3, 2, 1] * 3, 2),
    "x": np.repeat(RNG.normal(size=12), 2),
})  # fmt: skip
COPIES = pd.concat(
    [MEMBERS[MEMBERS.n > k].assign(group=lambda t, k=k: t.group + 100 * k) for k in range(3)],
    ignore_index=True,
)


@pytest.mark.parametrize("varying", [None, "1 + v"])
def test_frequencies_of_groups_count_groups_with_their_members(varying):
    def model(weights):
        term = mlm.mm(
            "member", "group", covariates=None if varying else "v", weight="exp(b * v)",
            varying=varying,
        )  # fmt: skip
        return mlm.MultipleMembershipModel("y ~ 1 + x", term, row_weights=weights)

    models = model(N), model(None)
    short, long = models[0].build(MEMBERS), models[1].build(COPIES)
    values = some_values(long)
    assert log_density(short, values) == pytest.approx(log_density(long, values), rel=1e-9)
    own = {n: np.asarray(v)[None] for n, v in values.items()}
    own["member_correlation"] = np.array([[0.3]])
    designs = [m.specification.read(t) for m, t in zip(models, (MEMBERS, COPIES), strict=True)]
    found = [t.variance(part, own)["mm member"] for d in designs for t, part in d.terms]
    assert found[0] == pytest.approx(found[1])


def test_collapsed_levels_count_frequencies_exactly():
    short, long = nested("y ~ 1 + x", "gaussian", N), nested("y ~ 1 + x", "gaussian", None)
    specs = short.specification, long.specification
    models = [
        collapsed_model(spec, spec.read(table))
        for spec, table in zip(specs, (TABLE, EXPANDED), strict=True)
    ]
    values = some_values(models[1])
    one, other = (log_density(m, values) for m in models)
    assert one == pytest.approx(other, rel=1e-9)


@pytest.mark.parametrize("family", ["gaussian", "negative_binomial", "weibull"])
def test_effects_are_integrated_out_with_frequencies(family):
    outcome, named = FAMILIES[family]
    points = []
    for weights, table in ((N, TABLE), (None, EXPANDED)):
        spec = hierarchical(f"{outcome} ~ 1 + x", named, weights).specification
        points.append(LogMarginal(conditional(spec, spec.read(table))))
    # The same parameters: coordinates of coefficients depend on a rough fit of the rows.
    x = points[1].model.start
    names = points[1].model.names
    wanted = dict(zip(names, points[1].model.values(x), strict=False))
    y = matching_point(points[0].model, wanted)
    found = [p.at(at)[1] for p, at in zip(points, (y, x), strict=True)]
    assert found[0].value == pytest.approx(found[1].value, rel=1e-6)
    assert found[0].second_order == pytest.approx(found[1].second_order, rel=1e-4, abs=1e-8)
    gradient = points[0](y)[1]
    step = 1e-5 * np.ones_like(y)
    ends = points[0](y + step)[0], points[0](y - step)[0]
    assert (ends[0] - ends[1]) / 2 == pytest.approx(gradient @ step, rel=1e-4)


def matching_point(model, wanted):
    """Return where a model's parameters have wanted values, by Newton's method."""
    from scipy.optimize import root

    target = np.concatenate([np.ravel(wanted[n]) for n in model.names])

    def off(point):
        found = model.values(point)[: len(model.names)]
        return np.concatenate([np.ravel(v) for v in found]) - target

    found = root(off, model.start, tol=1e-12)
    assert found.success
    return found.x


@pytest.mark.parametrize("family", ["gaussian", "bernoulli"])
def test_survey_weights_multiply_log_densities(family):
    table = TABLE.assign(y=TABLE.yes, w=RNG.exponential(size=ROWS))
    w = table.w / table.w.mean()
    plain = hierarchical("y ~ 1 + x", family, None)
    values = some_values(plain.build(table))
    one = plain.build(table)
    each = [log_density(one, values)]
    with pytest.warns(mlm.DataWarning, match="pseudo-likelihood"):
        weighted = hierarchical("y ~ 1 + x", family, mlm.SurveyWeights("w"))
        built = weighted.build(table)
        fitted(weighted, table)
    outcome = one["outcome"]
    density = pm.logp(outcome, one.rvs_to_values[outcome])
    given = {rv: pt.as_tensor(values[rv.name]) for rv in one.free_RVs}
    rows = pytensor.function([], clone_replace([density], given)[0], mode=uncompiled())()
    assert log_density(built, values) == pytest.approx(each[0] + (w - 1) @ rows)
    assert "Standard errors" in str(weighted.summary())
    assert "rows worth" in str(weighted.summary())


@pytest.fixture(scope="module")
def pair():
    """One posterior on the short and on the long table."""
    models = hierarchical("y ~ 1 + x", "gaussian", N), hierarchical("y ~ 1 + x", "gaussian", None)
    short, long = (fitted(m, t) for m, t in zip(models, (TABLE, EXPANDED), strict=True))
    long.result_.idata["posterior"] = short.result_.idata["posterior"]
    return short, long


def test_log_likelihoods_are_those_of_the_table_written_out(pair):
    one, other = (m.extend("log_likelihood", "posterior_predictive") for m in pair)
    a, b = (t["log_likelihood"]["outcome"].values for t in (one, other))
    np.testing.assert_allclose(a, b, rtol=1e-10)
    assert one["posterior_predictive"]["outcome"].shape == b.shape


@pytest.mark.parametrize("by", ["row", "unit"])
@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_what_is_left_out_is_that_of_the_table_written_out(by, family, pair):
    from pymc_mlm.comparison.left_out import left_out

    short, long = pair
    if family == "poisson":
        formula = "count ~ 1 + x"
        short = fitted(hierarchical(formula, family, N), TABLE)
        long = fitted(hierarchical(formula, family, None), EXPANDED)
        long.result_.idata["posterior"] = short.result_.idata["posterior"]
    found = [left_out(m.result_, by)[0]["outcome"].values for m in (short, long)]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-8)


def test_marginal_effects_average_over_the_table_written_out(pair):
    both = {"variables": {"x": (1.0, 2.0)}, "by": "unit"}
    for method, options in (("predictions", {}), ("comparisons", both), ("slopes", {})):
        one, other = (getattr(m, method)(**options) for m in pair)
        np.testing.assert_allclose(one.frame.iloc[:, 0], other.frame.iloc[:, 0])
    assert "weighted by 'n'" in str(pair[0].predictions())


def test_variance_decomposition_is_that_of_the_table_written_out(pair):
    one, other = (m.variance_decomposition().frame for m in pair)
    np.testing.assert_allclose(one, other)


def test_a_fit_with_weights_is_saved_and_loaded(pair, tmp_path):
    short, _ = pair
    short.save(tmp_path / "fit.nc")
    again = mlm.MultipleMembershipModel.load(tmp_path / "fit.nc")
    assert again.get_params()["row_weights"] == N
    assert str(again.summary()) == str(short.summary())
    assert "24 for 42" in str(again.summary())
    assert mlm.MultipleMembershipModel.from_dict(short.to_dict()).row_weights == N


def test_rows_that_stand_for_none_are_left_out():
    table = pd.concat([TABLE, TABLE.assign(n=0, unit=99, y=1e6)], ignore_index=True)
    model = hierarchical("y ~ 1 + x", "gaussian", N)
    design = model.specification.read(table)
    assert design.dropped == {"'n' is 0": 24}
    assert vars(design.scale) == vars(model.specification.read(TABLE).scale)


def test_a_trial_counts_persons_of_frequencies():
    table = {
        "arm": [0, 0, 1, 1, 0, 1], "a": [1, 0, 1, 0, 1, 1], "b": [0, 0, 1, 1, 1, 0],
        "n": [10, 20, 12, 9, 0, 3],
    }  # fmt: skip
    long = {k: np.repeat(v, table["n"]) for k, v in table.items() if k != "n"}
    one = mlm.MultivariateLogitTrial(["a", "b"], "arm", row_weights=N).fit(table, random_seed=1)
    other = mlm.MultivariateLogitTrial(["a", "b"], "arm").fit(long, random_seed=1)
    rule = mlm.rules.Any()
    assert one.probability(rule).joint_probability == other.probability(rule).joint_probability
    found = [m.predictions().frame.iloc[:, 0] for m in (one, other)]
    np.testing.assert_allclose(*found)
    assert "30 0, 24 1" in str(one.summary())


def test_a_counterfactual_averages_over_the_table_written_out():
    def model(weights):
        return mlm.MultipleMembershipModel("y ~ 1 + x", mlm.mm("member", "group"),
                                           row_weights=weights)  # fmt: skip

    short, long = fitted(model(N), MEMBERS), fitted(model(None), COPIES)
    long.result_.idata["posterior"] = short.result_.idata["posterior"]
    change = {"replace": {0: 1}}
    one, other = (m.counterfactual(**change).average() for m in (short, long))
    np.testing.assert_allclose(one.frame, other.frame)
    assert "weighted as in the fit" in str(one)


def test_missing_outcomes_of_a_trial_count_persons_of_frequencies():
    table = {
        "arm": [0, 0, 1, 1, 0, 1], "a": [1, 0, 1, 0, np.nan, np.nan], "b": [0, 1, 1, 0, 1, 0],
        "n": [10, 20, 22, 9, 4, 3],
    }  # fmt: skip
    long = {k: np.repeat(v, table["n"]) for k, v in table.items() if k != "n"}
    one = mlm.MultivariateLogitTrial(["a", "b"], "arm", missing="drop", row_weights=N)
    other = mlm.MultivariateLogitTrial(["a", "b"], "arm", missing="drop")
    one.fit(table, random_seed=1)
    other.fit(long, random_seed=1)
    found = [m.tipping_point(mlm.rules.Any(), grid=[-1.0, 0.0, 1.0]) for m in (one, other)]
    assert str(found[0]) == str(found[1])
    assert "a 4" in str(found[0])
    assert one.report().to_json().replace("\n", "")


WRONG = {
    "negative": ([-1, 2], "negative"), "half": ([0.5, 2], "no whole number"),
    "missing": ([np.nan, 2], "missing"), "text": (["a", "b"], "n'"),
    "infinite": ([np.inf, 1], "infinite"), "nothing": ([0, 0], "no row is left"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_frequencies_are_refused(case):
    values, message = WRONG[case]
    table = TABLE.assign(n=np.tile(np.array(values, dtype=object), 12))
    with pytest.raises(mlm.DataError, match=message):
        hierarchical("y ~ 1 + x", "gaussian", N).specification.read(table)
    trial = mlm.MultivariateLogitTrial(["yes", "ended"], "arm", row_weights=N)
    with pytest.raises(mlm.DataError):
        trial.specification.read(table.assign(arm=np.tile([0, 1], 12)))


def test_weights_that_vary_inside_a_group_are_refused():
    with pytest.raises(mlm.DataError, match=r"'n'.*group"):
        mlm.MultipleMembershipModel(
            "y ~ 1", mlm.mm("member", "group"), row_weights=N
        ).specification.read(MEMBERS.assign(n=range(1, 25)))


def test_a_column_alone_does_not_tell_what_the_weights_are():
    with pytest.raises(mlm.SpecificationError, match=r"FrequencyWeights\('n'\).*SurveyWeights"):
        mlm.MultipleMembershipModel("y ~ 1", mlm.hm("unit"), row_weights="n")
    with pytest.raises(mlm.SpecificationError, match="name of the column"):
        mlm.FrequencyWeights(3)


def test_a_trial_refuses_survey_weights_and_persons_of_several_rows():
    with pytest.raises(mlm.SpecificationError, match="error rates"):
        mlm.MultivariateLogitTrial(["a"], "arm", row_weights=mlm.SurveyWeights("w"))
    with pytest.raises(mlm.SpecificationError, match="each membership"):
        mlm.MultivariateLogitTrial(["a"], "arm", terms=[mlm.mm("c", "p")], row_weights=N)


def test_survey_weights_leave_no_single_row_out():
    from pymc_mlm.comparison.left_out import left_out

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = fitted(hierarchical("y ~ 1 + x", "gaussian", mlm.SurveyWeights("n")), TABLE)
    with pytest.raises(mlm.SpecificationError, match="pseudo-likelihood"):
        left_out(model.result_)
