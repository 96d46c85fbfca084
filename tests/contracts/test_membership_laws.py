"""Laws that every multiple-membership model obeys, on the log density of the whole model."""

from functools import cache

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import pymc_mlm as mlm
from pymc_mlm.distributions.noncentered import noncentered
from pymc_mlm.ops import register_jax

WEIGHTS = {
    "equal": "1 / n",
    "column": mlm.weights.column("seats"),
    "largest": mlm.weights.largest("seats"),
    "softmax": mlm.weights.softmax("seats"),
    "generalized logistic": mlm.weights.generalized_logistic("seats"),
    "size power": mlm.weights.size_power("seats"),
    "text": "ilogit(b0 + b1 * seats)",
    "group functions": "exp(b * (seats - mean(seats)) / (0.1 + sd(seats)))",
}
FAMILIES = {
    "gaussian": "log_weeks ~ 1 + majority",
    "bernoulli": "ended ~ 1 + majority",
    "weibull": "Surv(weeks, ended) ~ 1 + majority",
    "cox": "Surv(weeks, ended) ~ 1 + majority",
    "exponential": "Surv(weeks, ended) ~ 1 + majority",
    "lognormal": "Surv(weeks, ended) ~ 1 + majority",
    "loglogistic": "Surv(weeks, ended) ~ 1 + majority",
    "gamma": "weeks ~ 1 + majority",
}


# Every weight once, and every family once: the two meet only in the linear predictor.
PAIRS = [(w, "weibull") for w in WEIGHTS] + [("softmax", f) for f in FAMILIES if f != "weibull"]


@pytest.fixture(scope="module")
def table():
    data = mlm.datasets.coalitions(governments=40, countries=4, seed=8)
    return data.assign(log_weeks=np.log(data["weeks"]))


def built(table, weight="1 / n", family="weibull", **kwargs):
    model = mlm.MultipleMembershipModel(
        FAMILIES[family],
        mlm.mm("party", "government", covariates="cohesion", weight=weight, **kwargs),
        mlm.hm("country"),
        family=family,
    )
    return model._build(model._design(table))


def point_of(model, seed=0, size=0.3):
    """A random point of the unconstrained space, the same for equal models."""
    rng = np.random.default_rng(seed)
    start = model.initial_point()
    return {k: np.asarray(v) + size * rng.normal(size=np.shape(v)) for k, v in start.items()}


def compiled(model, mode="FAST_COMPILE"):
    """Log density and gradient as one function, so that both have one graph to be rewritten."""
    return model.compile_fn([model.logp(), model.dlogp()], inputs=model.value_vars, mode=mode)


def logp_and_gradient(model, point, mode="FAST_COMPILE"):
    return compiled(model, mode)(point)


@pytest.fixture(scope="module")
def made(table):
    """Model and function of a weight and a family, made once for all laws."""

    @cache
    def of(weight, family="weibull"):
        model = built(table, WEIGHTS[weight], family)
        return model, compiled(model)

    return of


@pytest.mark.parametrize(("weight", "family"), PAIRS)
def test_row_order_changes_nothing(table, made, weight, family):
    shuffled = table.sample(frac=1.0, random_state=4).reset_index(drop=True)
    one, evaluate = made(weight, family)
    two = built(shuffled, WEIGHTS[weight], family)
    value, gradient = evaluate(point_of(one))
    other_value, other_gradient = logp_and_gradient(two, point_of(one))
    assert other_value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(other_gradient, gradient, rtol=1e-9, atol=1e-9)


def test_relabelling_and_dtype_of_ids_change_nothing(table):
    parties = {name: i for i, name in enumerate(sorted(table["party"].unique()))}
    renamed = table.assign(
        party=table["party"].map(parties).astype("Int64"),
        government=pd.Categorical([f"g{i:04d}" for i in table["government"]]),
    )
    one, two = built(table), built(renamed)
    value, gradient = logp_and_gradient(one, point_of(one))
    other_value, other_gradient = logp_and_gradient(two, point_of(one))
    assert other_value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(other_gradient, gradient, rtol=1e-10, atol=1e-10)


def test_one_member_per_group_equals_varying_intercept(table):
    single = table.drop_duplicates("government")
    as_members = mlm.MultipleMembershipModel(
        "log_weeks ~ 1", mlm.mm("party", "government", weight="1 / n")
    )
    as_units = mlm.MultipleMembershipModel("log_weeks ~ 1", mlm.hm("party"))
    one = as_members._build(as_members._design(single))
    two = as_units._build(as_units._design(single))
    point = point_of(one)
    assert logp_and_gradient(one, point)[0] == pytest.approx(logp_and_gradient(two, point)[0])


def test_member_listed_twice_adds_its_weights(table):
    twice = pd.concat([table, table.iloc[[0]]])
    term = mlm.mm("party", "government", weight="1", normalize=False, effect=None,
                  covariates="cohesion")  # fmt: skip
    once_sum = term.resolve(table).group_covariates[:, 0]
    twice_sum = term.resolve(twice).group_covariates[:, 0]
    group = table["government"].iloc[0] - 1
    assert twice_sum[group] - once_sum[group] == pytest.approx(table["cohesion"].iloc[0])


def test_weights_equal_their_formula_by_hand(table):
    term = mlm.mm("party", "government", weight=mlm.weights.generalized_logistic("seats"))
    design = term.resolve(table)
    w = term.weights(design, {"b0": np.array([0.4]), "b1": np.array([-1.5])})[0]
    rows = table.iloc[design.membership.rows]
    n = rows.groupby("government")["party"].transform("size")
    raw = 1 / (1 + (n - 1) * np.exp(-(0.4 - 1.5 * rows["seats"])))
    expected = raw / raw.groupby(rows["government"]).transform("sum")
    np.testing.assert_allclose(w, expected, rtol=1e-12)


@pytest.mark.parametrize(("weight", "family"), PAIRS)
@pytest.mark.parametrize("b", [-50.0, 50.0])
def test_log_density_and_gradient_are_finite_at_extreme_weights(made, weight, family, b):
    model, evaluate = made(weight, family)
    point = model.initial_point()
    for name in point:
        if "_weight_" in name:
            point[name] = np.asarray(b)
    value, gradient = evaluate(point)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_signed_weights_are_used_as_they_are(table):
    term = mlm.mm("party", "government", weight="b0 + b1 * (seats - mean(seats))", normalize=False)
    design = term.resolve(table)
    w = term.weights(design, {"b0": np.array([0.0]), "b1": np.array([2.0])})
    assert (w < 0).any()


BACKENDS = ["NUMBA", "JAX"]


@pytest.mark.parametrize("mode", BACKENDS)
def test_compiled_backends_equal_python_on_the_flagship_model(made, mode):
    if mode == "JAX":
        pytest.importorskip("jax")
        register_jax()
    model, evaluate = made("softmax")
    point = point_of(model)
    value, gradient = evaluate(point)
    other_value, other_gradient = logp_and_gradient(model, point, mode)
    assert other_value == pytest.approx(value, rel=1e-10)
    np.testing.assert_allclose(other_gradient, gradient, rtol=1e-8, atol=1e-8)


def test_noncentred_and_centred_sampling_spaces_hold_the_same_density():
    """p(z) dz = p(u) du: the transform changes coordinates, not the model."""
    u = np.array([0.3, -1.2, 0.8])

    def logp(transform, unit):
        with pm.Model() as model:
            sd = pm.HalfNormal("sd", 1.0, default_transform=None)
            options = {} if transform is None else {"transform": transform}
            pm.Normal("u", 0.0, sd, shape=3, **options)
        name = "u" if transform is None else "u_noncentered__"
        point = {"sd": np.asarray(0.5), name: u / unit}
        return float(model.compile_logp(mode="FAST_COMPILE")(point)), unit

    centred, _ = logp(None, 1.0)
    value, _ = logp(noncentered, 0.5)
    assert value == pytest.approx(centred + 3 * np.log(0.5))


def test_prior_of_any_kind_of_object_is_used(table):
    class Foreign:
        def create_variable(self, name):
            return pm.Gamma(name, 3.0, 2.0)

    model = mlm.MultipleMembershipModel(
        "log_weeks ~ 1", mlm.mm("party", "government", priors={"sd": Foreign()})
    )
    assert "gamma" in str(model._build(model._design(table))["party_sd"].owner.op)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_graph_has_no_dot_and_no_dense_matrix(made, weight):
    _, evaluate = made(weight)
    names = {str(node.op) for node in evaluate.f.maker.fgraph.toposort()}
    assert not any("dot" in n.lower() or "gemv" in n.lower() for n in names)


def test_moving_the_zero_of_a_covariate_moves_only_the_intercept(table):
    """The default intercept prior sits at the mean of all covariates, those of terms included."""
    moved = table.assign(cohesion=table["cohesion"] + 1950, majority=table["majority"] - 30)
    one, two = built(table), built(moved)
    point = point_of(one)
    value, gradient = logp_and_gradient(one, point)
    other_value, other_gradient = logp_and_gradient(two, point)
    assert other_value == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(other_gradient, gradient, rtol=1e-5, atol=1e-6)


def test_sd_with_a_prior_on_the_whole_line_is_refused(table):
    wrong = mlm.mm("party", "government", priors={"sd": mlm.Prior("Normal", mu=0, sigma=1)})
    model = mlm.MultipleMembershipModel("log_weeks ~ 1", wrong)
    with pytest.raises(mlm.SpecificationError, match=r"'party_sd'.*allows negative values"):
        model.build(table)


def test_prior_of_another_length_is_refused(table):
    priors = {"beta": mlm.Prior("Normal", mu=0, sigma=[1.0, 2.0, 3.0])}
    model = mlm.MultipleMembershipModel(
        "log_weeks ~ 1 + majority", mlm.hm("country"), priors=priors
    )
    with pytest.raises(mlm.SpecificationError, match=r"shape \(3,\); 'beta' has the shape \(1,\)"):
        model.build(table)


def test_replaced_prior_starts_where_its_default_would(table):
    priors = {"shape": mlm.Prior("Exponential", lam=0.001)}
    model = mlm.MultipleMembershipModel(
        FAMILIES["weibull"], mlm.mm("party", "government"), family="weibull", priors=priors
    )
    starts = model.specification.starts(model._design(table))
    assert starts == {"shape": pytest.approx(np.exp(0.5))}
