"""Laws of proportional hazards: definition, partial likelihood, splitting, units, and bad input."""

import numpy as np
import pymc as pm
import pytest
from scipy.optimize import minimize

import pymc_mlm as mlm
from pymc_mlm.families.cox import exposure, labels
from pymc_mlm.ops.base import uncompiled
from tests.mocked import PriorDraws

CUTS, LOG_HAZARD = np.array([0.0, 1.0, 2.5]), np.log([0.5, 2.0, 0.3])
FLAT = mlm.Prior("Normal", mu=0, sigma=1e6)


@pytest.fixture
def table(rng):
    x = rng.normal(size=60)
    return {
        "x": x, "time": rng.exponential(np.exp(-0.7 * x)) + 0.05, "seen": np.ones(60),
        "ended": rng.integers(0, 2, 60), "unit": rng.integers(0, 6, 60), "zero": np.zeros(60),
    }  # fmt: skip


def built(table, formula="Surv(time, ended) ~ x", family=None, **kwargs):
    terms = kwargs.pop("terms", ())
    family = family or mlm.Cox(5)
    return mlm.MultipleMembershipModel(formula, *terms, family=family, **kwargs).build(table)


def density(model):
    return model.compile_fn(model.logp(), inputs=model.value_vars, mode=uncompiled())


def at(model, values):
    """The log density at values of the variables, not of the sampler's coordinates."""
    with_values = {model[n]: np.asarray(v, dtype=float) for n, v in values.items()}
    terms = [model.rvs_to_values[rv] for rv in model.observed_RVs]
    logp = pm.logp(model["outcome"], terms[0]).sum()
    return float(logp.eval(with_values, on_unused_input="ignore", mode=uncompiled()))


def test_a_row_has_the_density_that_its_hazard_integrates_to(rng):
    stop = np.array([0.4, 1.0, 1.7, 2.5, 6.0])
    start, event, eta = stop * rng.random(5), np.array([1, 0, 1, 1, 0]), rng.normal(size=5)
    seen = mlm.PiecewiseExponential.dist(eta, LOG_HAZARD, CUTS, event, start)
    grid = np.linspace(0, 1, 200_001)
    hazard = np.exp(LOG_HAZARD)
    for i, logp in enumerate(pm.logp(seen, stop).eval(mode=uncompiled())):
        times = start[i] + (stop[i] - start[i]) * (grid[1:] + grid[:-1]) / 2
        rate = hazard[np.searchsorted(CUTS[1:], times)] * np.exp(eta[i])
        last = LOG_HAZARD[np.searchsorted(CUTS[1:], stop[i])] + eta[i]
        expected = event[i] * last - rate.mean() * (stop[i] - start[i])
        assert logp == pytest.approx(expected, abs=1e-4)


def test_a_time_before_its_start_is_impossible():
    seen = mlm.PiecewiseExponential.dist(0.0, LOG_HAZARD, CUTS, 1.0, np.array([2.0, 0.5]))
    assert np.isinf(pm.logp(seen, np.array([1.0, 1.0])).eval(mode=uncompiled())).tolist() == [
        True,
        False,
    ]


def test_draws_survive_as_the_cumulative_hazard_says():
    seen = mlm.PiecewiseExponential.dist(np.full(100_000, 0.3), LOG_HAZARD, CUTS)
    drawn = pm.draw(seen, random_seed=1, mode=uncompiled())
    reached = np.exp(0.3) * np.array([0.5 * 0.5, 0.5, 0.5 + 2.0, 0.5 + 3.0 + 0.3 * 1.5])
    survived = [(drawn > t).mean() for t in (0.5, 1.0, 2.0, 4.0)]
    np.testing.assert_allclose(survived, np.exp(-reached), atol=0.005)


def test_the_mean_is_that_of_draws():
    family, eta = mlm.Cox([1.0, 2.5]), np.array([-0.5, 0.0, 1.0])
    mean = family.mean(eta, {"log_hazard": LOG_HAZARD[:, None], "cuts": CUTS})
    seen = mlm.PiecewiseExponential.dist(np.tile(eta, (200_000, 1)), LOG_HAZARD, CUTS)
    np.testing.assert_allclose(
        mean, pm.draw(seen, random_seed=2, mode=uncompiled()).mean(axis=0), rtol=0.02
    )


def test_one_interval_is_the_exponential(table):
    model = built(table, family=mlm.Cox(1))
    rate = np.exp(0.4 * table["x"] - 1.0)
    by_hand = (table["ended"] * np.log(rate) - rate * table["time"]).sum()
    assert at(model, {"beta": [0.4], "log_hazard": [-1.0]}) == pytest.approx(by_hand)


def breslow(beta, x, time):
    """Log partial likelihood without ties and without censoring."""
    order = np.argsort(time)
    eta = beta * x[order]
    at_risk = np.log(np.cumsum(np.exp(eta)[::-1])[::-1])
    return (eta - at_risk).sum()


def test_integrated_over_the_hazards_at_all_times_it_is_the_partial_likelihood(table):
    model = built(table, "Surv(time, seen) ~ x", mlm.Cox("all"))
    time, x = table["time"], table["x"]
    widths = np.diff(np.sort(time), prepend=0.0)

    def integrated(beta):
        # A flat prior on the log of a hazard with one event integrates to 1 / (time at risk),
        # and the density at its largest is e^-1 of that.
        at_risk = np.cumsum(np.exp(beta * x[np.argsort(time)])[::-1])[::-1] * widths
        return at(model, {"beta": [beta], "log_hazard": -np.log(at_risk)}) + len(time)

    shift = integrated(0.0) - breslow(0.0, x, time)
    for beta in (-1.0, 0.3, 2.0):
        assert integrated(beta) - breslow(beta, x, time) == pytest.approx(shift, abs=1e-8)


def test_the_maximum_is_that_of_lifelines(table):
    lifelines = pytest.importorskip("lifelines")
    import pandas as pd

    frame = pd.DataFrame({k: table[k] for k in ("x", "time", "seen")})
    theirs = lifelines.CoxPHFitter().fit(frame, "time", "seen").params_["x"]
    priors = {"beta": FLAT, "log_hazard": FLAT}
    model = built(table, "Surv(time, seen) ~ x", mlm.Cox("all"), priors=priors)
    evaluate = model.compile_fn(
        [model.logp(), model.dlogp()], inputs=model.value_vars, mode=uncompiled()
    )
    start, names = model.initial_point(), [v.name for v in model.continuous_value_vars]
    sizes = np.cumsum([np.size(start[n]) for n in names])[:-1]

    def negative(flat):
        value, slope = evaluate(dict(zip(names, np.split(flat, sizes), strict=True)))
        return -float(value), -slope

    flat = np.concatenate([np.ravel(start[n]) for n in names])
    found = minimize(negative, flat, jac=True, options={"gtol": 1e-6})
    point = dict(zip(names, np.split(found.x, sizes), strict=True))
    draw = model.compile_fn(model.unobserved_value_vars, inputs=model.value_vars,
                            mode=uncompiled(), on_unused_input="ignore")  # fmt: skip
    ours = dict(zip([v.name for v in model.unobserved_value_vars], draw(point), strict=True))
    assert float(ours["beta"][0]) == pytest.approx(float(theirs), abs=1e-4)


def test_a_row_may_be_split_at_any_time(table):
    first = table["time"] * 0.4
    halves = {k: np.concatenate([v, v]) for k, v in table.items()}
    halves["begin"] = np.concatenate([table["zero"], first])
    halves["time"] = np.concatenate([first, table["time"]])
    halves["ended"] = np.concatenate([table["zero"], table["ended"]])
    values = {"beta": [0.4], "log_hazard": LOG_HAZARD}
    family = mlm.Cox([np.quantile(table["time"], 0.4), np.quantile(table["time"], 0.7)])
    whole = built(table, family=family)
    split = built(halves, "Surv(begin, time, ended) ~ x", family)
    assert at(split, values) == pytest.approx(at(whole, values))


def test_starts_of_zero_change_nothing(table):
    one, two = built(table), built(table, "Surv(zero, time, ended) ~ x")
    point = one.initial_point()
    assert density(one)(point) == pytest.approx(density(two)(point))


def test_the_prior_of_the_baseline_is_at_the_mean_of_the_covariates(table):
    """Moving the zero of a covariate moves the log hazards, and the density not at all."""
    terms = (mlm.hm("unit"),)
    one, far = (
        built(t, terms=terms) for t in (table, table | {"x": table["x"] + 1000.0})
    )  # fmt: skip
    point = {k: v + 0.1 for k, v in one.initial_point().items()}
    assert density(one)(point) == pytest.approx(density(far)(point), abs=1e-4)


def test_the_unit_of_time_moves_the_log_hazards_alone(table):
    one, other = built(table), built(table | {"time": table["time"] * 7.0})
    point = one.initial_point()
    jacobian = np.log(7.0) * table["ended"].sum()
    assert density(other)(point) == pytest.approx(density(one)(point) - jacobian)


def test_the_formula_s_intercept_is_left_out(table):
    for formula in ("Surv(time, ended) ~ 1 + x", "Surv(time, ended) ~ x"):
        names = {rv.name for rv in built(table, formula).free_RVs}
        assert names == {"beta", "log_hazard"}
    with pytest.raises(mlm.SpecificationError, match="baseline in its place"):
        built(table, "Surv(time, ended) ~ 0 + x")


def test_a_model_without_covariates_has_the_rate_of_its_events(table):
    model = built(table, "Surv(time, ended) ~ 1")
    assert [rv.name for rv in model.free_RVs] == ["log_hazard"]


def test_time_in_an_interval_is_that_of_all_rows(rng):
    stop = rng.exponential(2.0, 200)
    outcome = {"cuts": CUTS, "time": stop, "start": stop * rng.random(200)}
    ends = np.append(CUTS[1:], np.inf)
    dense = np.minimum(stop[:, None], ends) - np.maximum(outcome["start"][:, None], CUTS)
    np.testing.assert_allclose(exposure(outcome), np.maximum(dense, 0.0).sum(axis=0))


def cuts_of(family, time, event=None):
    event = np.ones(len(time)) if event is None else event
    return family.outcome("Surv(t, d)", {"time": np.asarray(time, float), "event": event})["cuts"]


def test_cuts_are_quantiles_of_the_times_of_events():
    time, event = np.arange(1.0, 41.0), np.tile([1.0, 0.0], 20)
    found = cuts_of(mlm.Cox(4), time, event)
    np.testing.assert_allclose(found[1:], np.quantile(time[::2], [0.25, 0.5, 0.75]))


def test_all_cuts_at_every_distinct_event():
    event = np.array([1.0, 0.0, 1.0, 1.0])
    assert cuts_of(mlm.Cox("all"), [2.0, 3.0, 5.0, 5.0], event).tolist() == [0.0, 2.0]


def test_intervals_without_an_event_are_merged_and_counted():
    family = mlm.Cox(10)
    cuts = cuts_of(family, [1.0] * 50 + [2.0] * 50)
    assert len(cuts) == 2
    assert "10 intervals were asked for" in family.notes({"cuts": cuts})[1]


def test_labels_of_near_times_differ():
    assert len({*labels(np.array([0.0, 1000.001, 1000.002]))}) == 3


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"begin": 2.0, "time": 2.0}, "0 <= start < stop; row or group 0.* 60 in all"),
        ({"begin": -1.0}, "begins at -1"),
        ({"begin": 0.0, "time": -3.0}, "ends at -3"),
        ({"begin": 0.0, "ended": 0}, "No event was seen"),
        ({"begin": 0.0, "ended": 2}, "must be 1 .event seen. or 0"),
    ],
)
def test_times_that_are_none_are_refused(table, change, match):
    wrong = table | {k: np.full(60, v) for k, v in change.items()}
    with pytest.raises(mlm.DataError, match=match):
        built(wrong, "Surv(begin, time, ended) ~ x")


def test_cut_points_that_leave_an_interval_empty_are_refused(table):
    with pytest.raises(mlm.DataError, match=r"No event of .* interval \(1e\+06, inf\)"):
        built(table, family=mlm.Cox([0.5, 1e6]))


@pytest.mark.parametrize("wrong", [0, -3, True, "most", [3, 2], [0, 1], [[1, 2]], [np.nan], 2.5])
def test_intervals_that_are_none_are_refused(wrong):
    with pytest.raises(mlm.SpecificationError, match="must be a number of intervals"):
        mlm.Cox(wrong)


def test_other_families_refuse_a_start(table):
    with pytest.raises(mlm.SpecificationError, match="Use family='cox'"):
        built(table, "Surv(zero, time, ended) ~ x", mlm.Weibull())
    with pytest.raises(mlm.SpecificationError, match=r"Surv\(start, stop, event\)"):
        built(table, "Surv(zero, time, ended, x) ~ x")


def test_no_prior_of_an_intercept_is_taken(table):
    with pytest.raises(mlm.SpecificationError, match="Intercept"):
        built(table, priors={"Intercept": FLAT})


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(3)
    data = {
        "x": rng.normal(size=40), "unit": rng.integers(0, 8, 40),
        "time": rng.exponential(size=40) + 0.1, "ended": rng.integers(0, 2, 40),
    }  # fmt: skip
    model = mlm.MultipleMembershipModel("Surv(time, ended) ~ x", mlm.hm("unit"), family=mlm.Cox(3))
    with pytest.warns(UserWarning):
        model.fit(data, draws=20, chains=2, sampler=PriorDraws(), path="sampled")
    return model, data


def test_the_summary_has_a_row_for_each_interval(fitted):
    model, _ = fitted
    rows = [r for r in model.summary().frame.index if "log hazard" in r]
    assert len(rows) == 3
    assert rows[0].startswith("(0, ")
    assert any("place of the intercept" in note for note in model.summary().notes)
    assert "each interval [log hazard]" in set(model.priors().frame["meaning"])


def test_each_row_has_its_log_likelihood(fitted):
    model, data = fitted
    found = model.extend("log_likelihood")["log_likelihood"]["outcome"]
    posterior = model.result_.posterior
    cuts = model.result_.design.outcome["cuts"]
    eta = model.predict(kind="eta").isel(chain=0, draw=5).values
    hazard = posterior["log_hazard"].isel(chain=0, draw=5).values
    seen = mlm.PiecewiseExponential.dist(eta, hazard, cuts, data["ended"].astype(float))
    np.testing.assert_allclose(
        found.isel(chain=0, draw=5), pm.logp(seen, data["time"]).eval(mode=uncompiled()), rtol=1e-6
    )


def test_the_baseline_is_tabulated_and_drawn(fitted):
    model, data = fitted
    frame = model.baseline_hazard()
    posterior = model.result_.posterior
    at_mean = posterior["beta"].values[..., 0] * data["x"].mean()
    first = np.exp(posterior["log_hazard"].values[..., 0] + at_mean)
    assert frame["hazard"].iloc[0] == pytest.approx(first.mean())
    survived = np.exp(-first * frame["end"].iloc[0])
    assert frame["survival"].iloc[0] == pytest.approx(survived.mean())
    assert frame["end"].iloc[-1] == data["time"].max()
    assert len(model.plot("baseline").viz["figure"].item().axes) == 2


def test_only_a_model_with_a_baseline_shows_one(fitted):
    _, data = fitted
    other = mlm.MultipleMembershipModel("time ~ x", mlm.hm("unit"))
    with pytest.warns(UserWarning):
        other.fit(data, draws=20, chains=2, sampler=PriorDraws(), path="sampled")
    with pytest.raises(mlm.SpecificationError, match="no baseline hazard"):
        other.baseline_hazard()


def test_a_saved_fit_keeps_its_intervals(fitted, tmp_path):
    model, _ = fitted
    again = mlm.MultipleMembershipModel.load(model.save(tmp_path / "cox.nc"))
    for kind in ("mean", "outcome"):
        one, two = (m.predict({"x": [0.3], "unit": [1]}, kind, random_seed=1)
                    for m in (model, again))  # fmt: skip
        np.testing.assert_array_equal(one, two)
