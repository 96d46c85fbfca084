"""The path "laplace": the pieces are the model's, draws are certified, weak tables are refused."""

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytest
from pytensor.tensor.variable import _tensor_py_operators
from scipy.special import logsumexp

import pymc_mlm as mlm
from pymc_mlm.model.build import build_with_predictor
from pymc_mlm.paths.conditional import conditional
from pymc_mlm.paths.log_marginal import LogMarginal
from pymc_mlm.paths.starts import initial_values, start_at

RUN = {"draws": 200, "chains": 2, "random_seed": 1, "progressbar": False, "path": "laplace"}


@pytest.fixture(scope="module")
def table():
    """Coalitions of four parties; a government is a group, in a country and a period."""
    rng = np.random.default_rng(4)
    groups = 120
    party = np.array([rng.choice(15, 4, replace=False) for _ in range(groups)]).ravel()
    group = np.repeat(np.arange(groups), 4)
    country, period = np.arange(groups) % 6, np.arange(groups) % 10
    seats, z = rng.random(len(party)), rng.normal(size=len(party))
    x = rng.normal(size=groups)
    eta = 0.3 + 0.5 * x + np.bincount(group, rng.normal(size=15)[party]) / 4
    eta += 0.5 * rng.normal(size=6)[country]
    yes, count = 1.0 * (rng.random(groups) < 1 / (1 + np.exp(-eta))), rng.poisson(np.exp(eta))
    of_group = {
        "x": x, "country": country, "period": period, "yes": yes, "count": count,
        "weeks": rng.weibull(1.5, groups) * np.exp(eta), "ended": np.ones(groups),
        "y": eta + rng.standard_t(5, groups), "trials": 5 + 0 * count,
        "wins": rng.binomial(5, 1 / (1 + np.exp(-eta))),
    }  # fmt: skip
    columns = {name: values[group] for name, values in of_group.items()}
    return pd.DataFrame({"party": party, "government": group, "seats": seats, "z": z} | columns)


MEMBER = {
    "fixed": mlm.mm("party", "government"),
    "softmax": mlm.mm("party", "government", covariates="z", weight=mlm.weights.softmax("seats")),
    "ilogit": mlm.mm("party", "government", weight="ilogit(b0 + b1 * seats)"),
    "signed": mlm.mm("party", "government", weight="b * seats", normalize=False),
}
OUTCOMES = {
    "bernoulli": "yes ~ 1 + x",
    "poisson": "count ~ 1 + x",
    "negative_binomial": "count ~ 1 + x",
    "weibull": "Surv(weeks, ended) ~ 1 + x",
    "student_t": "y ~ 1 + x",
    "binomial": "wins ~ 1 + x",
}


def models():
    for name, member in MEMBER.items():
        yield name, mlm.MultipleMembershipModel(
            "yes ~ 1 + x", member, mlm.hm("country", covariates=None), mlm.hm("period"),
            family="bernoulli",
        )  # fmt: skip
    yield "fixed units", mlm.MultipleMembershipModel(
        "yes ~ 1 + x", MEMBER["fixed"], mlm.hm("country", effect="fixed", covariates=None),
        family="bernoulli",
    )  # fmt: skip
    for family, formula in OUTCOMES.items():
        kind = mlm.Binomial("trials") if family == "binomial" else family
        yield family, mlm.MultipleMembershipModel(formula, MEMBER["fixed"], family=kind)
    yield "slopes", mlm.NestedVaryingEffects(
        "yes ~ 1 + x", levels=["country", "government"],
        varying={"country": "1 + x", "government": "1"}, family="bernoulli",
    )  # fmt: skip


MODELS = dict(models())


def split(model, table):
    spec = model.specification
    design = spec.read(table)
    return spec, design, conditional(spec, design)


@pytest.mark.parametrize("name", MODELS)
def test_pieces_are_those_of_the_model(name, table, rng):
    """Offset and matrix of effects give the model's own linear predictor at any parameters."""
    spec, design, parts = split(MODELS[name], table)
    point = parts.start + 0.2 * rng.normal(size=len(parts.start))
    z = rng.normal(size=(parts.rows.size, 1))
    pieces, drawn = parts.pieces(point), parts.draw(point, z)
    model, eta = build_with_predictor(spec, design)
    f = pytensor.function(model.free_RVs, eta, mode="FAST_COMPILE", on_unused_input="ignore")
    given = [drawn[v.name][0] if v.name in parts.effects else drawn[v.name] for v in model.free_RVs]
    expected = pieces.offset + parts.rows.times(pieces.entries, z[:, 0])
    assert np.allclose(f(*given), expected)


def test_the_start_is_that_of_the_sampler(table):
    model = MODELS["slopes"].specification
    design = model.read(table)
    built = model.build(design)
    start_at(built, model.starts(design))
    expected, found = built.initial_point(), initial_values(built)
    assert found.keys() == expected.keys()
    assert all(np.allclose(found[name], expected[name]) for name in expected)


def test_no_graph_is_indexed_by_an_array_of_numpy(table, monkeypatch):
    """PyTensor looks at each element of one, for seconds in a long table."""
    inner, lengths = _tensor_py_operators.__getitem__, []

    def counted(self, args):
        each = args if isinstance(args, tuple) else (args,)
        lengths.extend(a.size if isinstance(a, np.ndarray) else 0 for a in each)
        return inner(self, args)

    monkeypatch.setattr(_tensor_py_operators, "__getitem__", counted)
    split(MODELS["softmax"], table)
    assert lengths and max(lengths) < len(table)


@pytest.mark.parametrize("name", MODELS)
def test_log_prior_is_that_of_the_variables_in_their_coordinates(name, table, rng):
    """Also where the coordinates of fixed effects follow random ones, which then are zero."""
    parts = split(MODELS[name], table)[2]
    point = parts.start + 0.2 * rng.normal(size=len(parts.start))

    def variables(point):
        return np.concatenate([np.ravel(v) for v in parts.values(point)[: len(parts.names)]])

    jacobian = [slope(variables, point, direction) for direction in np.eye(len(point))]
    free = [parts.model[n] for n in parts.names]
    density = sum(pm.logp(rv, rv).sum() for rv in free)
    f = pytensor.function(free, density, mode="FAST_COMPILE", on_unused_input="ignore")
    expected = f(*parts.values(point)[: len(free)]) + np.linalg.slogdet(jacobian).logabsdet
    assert parts.pieces(point).log_prior == pytest.approx(expected, abs=1e-5)


def slope(f, x, direction, h=1e-5):
    return (f(x + h * direction) - f(x - h * direction)) / (2 * h)


@pytest.mark.parametrize("name", ["ilogit", "weibull", "slopes", "fixed units"])
def test_gradient_reaches_every_hyperparameter(name, table, rng):
    density = LogMarginal(split(MODELS[name], table)[2])
    point = density.model.start + 0.1 * rng.normal(size=len(density.model.start))
    gradient = density(point)[1]
    for direction, slope in zip(np.eye(len(point)), gradient, strict=True):
        ends = [density(point + h * direction)[0] for h in (1e-4, -1e-4)]
        assert (ends[0] - ends[1]) / 2e-4 == pytest.approx(slope, abs=1e-4)


def test_draws_have_the_variables_and_dims_of_plain_sampling(table):
    model = MODELS["softmax"].fit(table, **RUN)
    posterior, plain = model.result_.posterior, model.result_.model
    for rv in plain.free_RVs:
        dims = plain.named_vars_to_dims.get(rv.name, ())
        assert posterior[rv.name].dims == ("chain", "draw", *dims)
        assert np.isfinite(posterior[rv.name]).all()
    assert posterior["party_effect"].coords["party"].size == 15
    assert "observed_data" in model.idata
    assert posterior.attrs["is_exact"] == 1
    text = str(model.summary())
    assert "exact posterior (k-hat" in text
    assert "approximate" not in text + repr(model)
    assert model.predict(table).sizes["draw"] == 200


def test_a_certificate_that_fails_says_approximate(table, monkeypatch, tmp_path):
    monkeypatch.setattr("pymc_mlm.paths.weighted.k_hat_limit", lambda count: -10.0)
    with pytest.warns(mlm.ConvergenceWarning, match=r"approximate, .* \(k-hat .*path='sampled'"):
        model = MODELS["fixed"].fit(table, **RUN)
    for text in (str(model.summary()), repr(model), " ".join(model.result_.notes)):
        assert "approximate" in text
    again = mlm.load(model.save(tmp_path / "fit.nc"))
    assert again.is_approximate
    assert "approximate" in repr(again)


def exact_sd(u, y):
    """Posterior mean and sd of the sd of units: quadrature within units, a grid for the rest."""
    rows, events = np.bincount(u), np.bincount(u, y)
    kinds, times = np.unique(np.stack([rows, events]), axis=1, return_counts=True)
    a, sd = np.linspace(-12, 12, 101)[:, None], np.exp(np.linspace(-8, 3, 150))
    z = np.linspace(-8, 8, 401)
    log_z = -0.5 * z**2 - 0.5 * np.log(2 * np.pi) + np.log(z[1] - z[0])
    log_density = -0.5 * (a / 2.5) ** 2 - 0.5 * (sd / 2.5) ** 2 + np.log(sd)
    for place, tau in enumerate(sd):
        p, q = (-np.logaddexp(0, sign * (a + tau * z)) for sign in (-1, 1))
        for (n, k), count in zip(kinds.T, times, strict=True):
            log_density[:, place] += count * logsumexp(k * p + (n - k) * q + log_z, axis=1)
    weight = np.exp(log_density - log_density.max())
    weight /= weight.sum()
    mean = (weight * sd).sum()
    return mean, np.sqrt((weight * (sd - mean) ** 2).sum())


WEAK = [("random", u, r) for u in (20, 40, 60) for r in (1, 2, 3)]
WEAK += [("apart", u, r) for u in (6, 10, 20, 40) for r in (2, 4, 10)]
QUICK = [("random", 40, 1), ("apart", 6, 4), ("apart", 20, 4)]


@pytest.mark.parametrize(
    ("kind", "units", "rows"),
    [pytest.param(*c, marks=[] if c in QUICK else pytest.mark.slow) for c in WEAK],
)
def test_weak_tables_are_refused_or_right(kind, units, rows):
    """Few rows a unit, sds of zero, units of one outcome each: nothing wrong is certified."""
    rng = np.random.default_rng(units + rows)
    u = np.repeat(np.arange(units), rows)
    y = u % 2 if kind == "apart" else rng.permutation(len(u)) % 2
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u"), family="bernoulli")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mlm.DataWarning)
            warnings.simplefilter("ignore", mlm.ConvergenceWarning)
            model.fit({"u": u, "y": y}, **RUN)
    except mlm.SpecificationError as error:
        assert "path='sampled'" in str(error)
        return
    if not model.result_.is_approximate:
        mean, sd = exact_sd(u, y)
        found = model.result_.posterior["u_sd"]
        assert abs(found.mean() - mean) < 0.25 * sd  # 400 draws, some 250 of them effective
        assert abs(found.std() / sd - 1) < 0.2


def test_outliers_under_a_student_t_are_refused():
    """The effects have several modes."""
    rng = np.random.default_rng(1)
    table = {"u": np.arange(60) // 3, "y": rng.standard_t(1, size=60)}
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("u"), family="student_t")
    with pytest.raises(mlm.SpecificationError, match="path='sampled'"):
        model.fit(table, **RUN)


def test_obstacles_name_the_reason(table):
    with pytest.raises(mlm.SpecificationError, match="by path='collapsed'"):
        mlm.MultipleMembershipModel("y ~ 1", MEMBER["fixed"], family="gaussian").fit(table, **RUN)
    with pytest.raises(mlm.SpecificationError, match="no random effects"):
        fixed = mlm.hm("country", effect="fixed")
        mlm.MultipleMembershipModel("yes ~ 1", fixed, family="bernoulli").fit(table, **RUN)
    with pytest.raises(mlm.SpecificationError, match="start nowhere"):
        MODELS["fixed"].fit(table, initvals={"party_sd": 1.0}, **RUN)
    with pytest.raises(mlm.SpecificationError, match=r"take 23\.8 GB"):
        MODELS["fixed"].fit(table, **RUN | {"draws": 10_000_000})


@pytest.mark.parametrize("name", ["poisson", "negative_binomial"])
def test_the_search_starts_where_the_sampler_would(name, table):
    """The centre of a wide prior lies where the likelihood has no mode, or a far one."""
    wide = mlm.Prior("HalfNormal", sigma=1e4)
    model = mlm.MultipleMembershipModel(
        OUTCOMES[name],
        mlm.mm("party", "government", priors={"sd": wide}),
        mlm.hm("country"),
        family=name,
    )
    parts = split(model, table)[2]
    starts = dict(zip(parts.names, parts.values(parts.start), strict=False))
    assert starts["party_sd"] < 5
    assert model.fit(table, **RUN).result_.posterior["party_sd"].mean() < 5


@pytest.mark.parametrize(
    ("name", "front"),
    [("slopes", ("government_effect", 120)), ("softmax", ("party_effect", 0))],
)
def test_units_of_which_each_row_has_one_are_eliminated_first(name, front, table):
    parts = split(MODELS[name], table)[2]
    assert (parts.parts[0].name, parts.rows.front[0]) == front


SMALL = {
    "followed from the mode": {"effect_mode.CHEAP_FACTOR": 0},
    "matrix-free": {"effect_mode.CHEAP_FACTOR": 0, "laplace.MOST_DENSE": 0},
}


@pytest.mark.parametrize("form", SMALL)
def test_many_effects_have_the_posterior_of_few(form, table, monkeypatch):
    """What is done where effects are many has the same posterior where they are few."""
    run = RUN | {"draws": 1000}
    plain = MODELS["fixed"].fit(table, **run).result_.posterior
    for name, limit in SMALL[form].items():
        monkeypatch.setattr(f"pymc_mlm.integration.{name}", limit)
        if name.startswith("effect_mode"):
            monkeypatch.setattr("pymc_mlm.paths.approximation.CHEAP_FACTOR", limit)
    found = MODELS["fixed"].fit(table, **run).result_.posterior
    assert found.attrs["is_exact"] == 1
    over = ("chain", "draw")
    for name in ("party_sd", "country_sd", "Intercept", "party_effect"):
        away, sd = found[name].mean(over) - plain[name].mean(over), plain[name].std(over)
        # Some 150 of the draws are effective.
        assert (abs(away) < 0.35 * sd).all(), name
        assert (abs(found[name].std(over) / sd - 1) < 0.3).all(), name


@pytest.mark.parametrize("family", ["bernoulli", "gaussian"])
def test_rows_in_another_order_have_the_same_draws(family, monkeypatch):
    """Without a matrix of effects, too: probes and noise belong to members, not to rows."""
    monkeypatch.setattr("pymc_mlm.integration.laplace.MOST_DENSE", 200)
    monkeypatch.setattr("pymc_mlm.integration.effect_mode.CHEAP_FACTOR", 200)
    monkeypatch.setattr("pymc_mlm.paths.approximation.CHEAP_FACTOR", 200)
    monkeypatch.setattr("pymc_mlm.integration.gaussian.MOST_EXACT", 200)
    rng = np.random.default_rng(3)
    member, u = rng.integers(0, 300, (1500, 3)), rng.normal(size=300)
    eta = 0.3 + u[member].mean(axis=1)
    y = eta + rng.normal(size=1500)
    if family == "bernoulli":
        y = 1.0 * (rng.random(1500) < 1 / (1 + np.exp(-eta)))
    rows = {"group": np.repeat(np.arange(1500), 3), "member": member.ravel(), "y": np.repeat(y, 3)}
    rows = pd.DataFrame(rows)
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.mm("member", "group"), family=family)
    run = RUN | {"path": "collapsed" if family == "gaussian" else "laplace"}
    one, other = (
        model.fit(table, **run).result_.posterior for table in (rows, rows.sample(frac=1.0))
    )
    assert one.attrs["is_exact"] == 1
    for name in ("member_sd", "Intercept", "member_effect"):
        assert np.allclose(one[name], other[name], atol=1e-3), name
    assert abs(one["member_sd"].mean() - 1) < 4 * one["member_sd"].std()
