"""Calls of bml as they stand in its documentation, both grammars: what they become, and do not."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import gamma

import pymc_mlm as mlm
from pymc_mlm import Prior

WIDE = Prior("Normal", mu=0, sigma=100)


@pytest.fixture(scope="module")
def coalgov():
    """A table with the columns of bml's own example data."""
    rng = np.random.default_rng(1)
    size = rng.integers(1, 4, 24)
    gid = np.repeat(np.arange(24), size)
    pid = np.concatenate([rng.choice(9, k, replace=False) for k in size])
    n, of_groups = len(gid), {
        "cid": rng.integers(0, 4, 24), "year": np.arange(24) % 5, "majority": np.arange(24) % 2,
        "dur_wkb": rng.gamma(2.0, 20.0, 24), "event_wkb": (np.arange(24) % 3 > 0) * 1,
        "gdp": rng.normal(size=24), "investiture": rng.normal(size=24),
        "exposure": rng.normal(size=24), "x1": rng.normal(size=24), "x2": rng.normal(size=24),
        "y": rng.normal(size=24), "sim.y": rng.normal(size=24),
    }  # fmt: skip
    table = pd.DataFrame({k: np.asarray(v)[gid] for k, v in of_groups.items()})
    own = {c: rng.uniform(0.1, 1, n) for c in ("pseat", "cohesion", "finance", "rile", "ipd", "x")}
    inside = rng.random(n) < 0.6
    return table.assign(
        gid=gid, pid=[f"p{p}" for p in pid], log_dur=np.log(table["dur_wkb"]), **own,
        pid_g=np.where(inside, pid, np.nan), pid_o=np.where(inside, np.nan, pid),
    )  # fmt: skip


def translated(*parts, rest='family = "Weibull", data = coalgov'):
    body = " + ".join(["Surv(dur_wkb, event_wkb) ~ 1 + majority", *parts])
    return mlm.from_bml(f"m <- bml({body}, {rest})")


MM = "mm(id = id(pid, gid), vars = vars(cohesion), fn = fn(w ~ {w}), RE = {re})"
FORMULA = "Surv(dur_wkb, event_wkb) ~ 1 + majority"

SEED = {
    "fix in the formula": (
        'bml(y ~ 1 + fix(exposure, 1) + x1 + x2, family = "Gaussian", data = dat)',
        mlm.MultipleMembershipModel("y ~ 1 + fix(exposure, 1) + x1 + x2"),
    ),
    "fixed effects beside covariates": (
        """m <- bml(y ~ 1 + x1 +
            mm(id = id(pid, gid), fn = fn(w ~ 1/n), RE = TRUE) +
            hm(id = id(cid), vars = vars(fix(investiture, 0.5) + gdp), type = "FE"),
          family = "Gaussian", data   = coalgov)""",
        mlm.MultipleMembershipModel(
            "y ~ 1 + x1 + fix(investiture, 0.5) + gdp",
            mlm.mm("pid", "gid"),
            mlm.hm("cid", effect="fixed"),
        ),
    ),
    "fix in mm": (
        """bml(Surv(dur_wkb, event_wkb) ~ 1 + majority + mm(
              id   = id(pid, gid),
              vars = vars(fix(cohesion, 1) + finance),
              fn   = fn(w ~ 1/n, c = TRUE),
              RE   = TRUE
            ), family = "Weibull", data = coalgov)""",
        mlm.MultipleMembershipModel(
            FORMULA,
            mlm.mm("pid", "gid", covariates=["fix(cohesion, 1)", "finance"]),
            family="weibull",
        ),
    ),
    "a free parameter called b": (
        f"""bml({FORMULA} + mm(id = id(pid, gid), vars = vars(cohesion),
            fn = fn(w ~ 1/n^exp(b * x), c = TRUE), RE = FALSE, ar = FALSE),
            family = "Weibull", data = coalgov)""",
        mlm.MultipleMembershipModel(
            FORMULA,
            mlm.mm("pid", "gid", "cohesion", weight="1 / n^exp(b * x)", effect=None),
            family="weibull",
        ),
    ),
    "weights that are not normalised": (
        f"""bml({FORMULA} + mm(id = id(pid, gid), vars = vars(cohesion),
            fn = fn(w ~ 1 / (1 + (n - 1) * exp(-b0)), c = FALSE), RE = FALSE),
            family = "Weibull", data = coalgov, priors = list("b.w.1[1] ~ dnorm(0,1)"))""",
        mlm.MultipleMembershipModel(
            FORMULA,
            mlm.mm("pid", "gid", "cohesion", weight="1 / (1 + (n - 1) * exp(-b0))",
                   normalize=False, effect=None, priors={"b0": Prior("Normal", mu=0, sigma=1)}),
            family="weibull",
        ),
    ),
    "priors of two weight parameters": (
        f"""bml({FORMULA} + mm(id = id(pid, gid), vars = vars(cohesion),
            fn = fn(w ~ ilogit(b0 + b1 * pseat), c = TRUE), RE = TRUE),
            family = "Weibull", data = coalgov, priors = list(
            "b.w.1[1] ~ dnorm(0, 1)",   # SD = 1 instead of 100
            "b.w.1[2] ~ dnorm(0, 1)"))""",
        mlm.MultipleMembershipModel(
            FORMULA,
            mlm.mm("pid", "gid", "cohesion", weight="ilogit(b0 + b1 * pseat)",
                   priors=dict.fromkeys(("b0", "b1"), Prior("Normal", mu=0, sigma=1))),
            family="weibull",
        ),
    ),
}  # fmt: skip
MANUAL = {
    "two blocks": (
        f"""bml({FORMULA} + {MM.format(w="pseat == max(pseat)", re="FALSE")} +
            mm(id = id(pid, gid), vars = NULL, fn = fn(w ~ 1/n), RE = TRUE),
            family = "Weibull", data = coalgov)""",
        mlm.MultipleMembershipModel(
            FORMULA,
            mlm.mm("pid", "gid", "cohesion", weight="pseat == max(pseat)", effect=None),
            mlm.mm("pid", "gid"),
            family="weibull",
        ),
    ),
    "Cox with intervals": (
        f"""bml({FORMULA} + {MM.format(w="1/n", re="TRUE")}, family = "Cox", cox_intervals = 10,
            data = coalgov)""",
        mlm.MultipleMembershipModel(FORMULA, mlm.mm("pid", "gid", "cohesion"), family=mlm.Cox(10)),
    ),
    "Cox at all event times": (
        f"""bml({FORMULA}, family = "Cox", data = coalgov)""",
        mlm.MultipleMembershipModel(FORMULA, family=mlm.Cox("all")),
    ),
    "priors of several levels": (
        f"""bml({FORMULA} + {MM.format(w="1/n", re="TRUE")}, family = "Weibull", priors = list(
            "b[1] ~ dnorm(0, 0.01)", "b.mm.1 ~ dnorm(0, 0.0001)", "b[2] ~ dnorm(0, 0.0001)",
            "tau.mm.1 ~ dgamma(2, 0.5)"), data = coalgov)""",
        mlm.MultipleMembershipModel(
            FORMULA,
            mlm.mm(
                "pid", "gid", "cohesion", priors={"beta": WIDE, "sd": mlm.PrecisionGamma(2, 0.5)}
            ),
            family="weibull",
            priors={"Intercept": Prior("Normal", mu=0, sigma=10), "beta[majority]": WIDE},
        ),
    ),
    "crossed units": (
        f"""bml({FORMULA} + hm(id = id(cid), type = "RE") + hm(id = id(year), type = "RE"),
            family = "Weibull",
            data = coalgov |> mutate(year = format(election, "%Y") |> as.integer()))""",
        mlm.MultipleMembershipModel(FORMULA, mlm.hm("cid"), mlm.hm("year"), family="weibull"),
    ),
    "walks by participation": (
        """bml(log_dur ~ 1 + majority + mm(id = id(pid, gid), vars = vars(cohesion),
            fn = fn(w ~ 1/n, c = TRUE), RE = TRUE, ar = TRUE), family = "Gaussian", data = d)""",
        mlm.MultipleMembershipModel(
            "log_dur ~ 1 + majority",
            mlm.mm("pid", "gid", "cohesion", dynamics="random_walk", time="gid"),
        ),
    ),
    "members and others": (
        """bml(y ~ 1 +
            mm(id = id(pid_g, gid), vars = vars(rile, ipd), fn = fn(w ~ 1/n), RE = TRUE) +
            mm(id = id(pid_o, gid), vars = vars(rile, ipd), fn = fn(w ~ 1/n), RE = TRUE),
            family = "Gaussian", data = d)""",
        mlm.MultipleMembershipModel(
            "y ~ 1",
            mlm.mm("pid_g", "gid", ["rile", "ipd"], missing="skip"),
            mlm.mm("pid_o", "gid", ["rile", "ipd"], missing="skip"),
        ),
    ),
    "products, powers and no intercept": (
        """bml(event_wkb ~ 0 + x1 * x2 + I(x1^2) + mm(id(pid, gid), vars(rile * ipd + I(rile^2)),
            RE = FALSE) - 1, family = "Binomial", data = d)""",
        mlm.MultipleMembershipModel(
            "event_wkb ~ 0 + x1 * x2 + I(x1^2) - 1",
            mlm.mm("pid", "gid", ["rile * ipd", "I(rile^2)"], effect=None),
            family="bernoulli",
        ),
    ),
}
NEW = {
    "the manual's first": (
        """m1 <- bml(Surv(dur_wkb, event_wkb) ~ 1 + majority +
            mm(id = id(pid, gid), vars = vars(cohesion), w = w(~ 1/n), RE = TRUE) +
            hm(id = id(cid)), data = coalgov, family = weibull())
        summary(m1)""",
        mlm.MultipleMembershipModel(
            FORMULA, mlm.mm("pid", "gid", "cohesion"), mlm.hm("cid"), family="weibull"
        ),
    ),
    "weights that are estimated": (
        """bml(Surv(dur_wkb, event_wkb) ~ 1 + majority + mm(id = id(pid, gid),
            vars = vars(cohesion), w = w(~ ilogit(b0 + b1 * pseat), scale = TRUE)),
            coalgov, family = cox(intervals = 5))""",
        mlm.MultipleMembershipModel(
            FORMULA,
            mlm.mm("pid", "gid", "cohesion", weight="ilogit(b0 + b1 * pseat)", effect=None),
            family=mlm.Cox(5),
        ),
    ),
    "structured priors": (
        """bml(sim.y ~ 1 + majority + mm(id = id(pid, gid), vars = vars(cohesion),
            w = w(~ pseat^b, scale = FALSE), fn = fn("sum"), RE = TRUE) +
            hm(id = id(cid), FE = fe(1)), data = coalgov, family = gaussian(), prior = c(
            prior(normal(0, 5), class = "b"), prior(exponential(1), class = "sd"),
            prior(normal(0, 1), class = "w"), prior(cauchy(0, 2), class = "sigma"),
            prior(normal(0, 2), class = "b", coef = "A_cohesion"),
            prior(student_t(3, 0, 5), class = "Intercept")))""",
        mlm.MultipleMembershipModel(
            "`sim.y` ~ 1 + majority",
            mlm.mm("pid", "gid", "cohesion", weight="pseat^b", normalize=False, priors={
                "beta": Prior("Normal", mu=0, sigma=2), "sd": Prior("Exponential", lam=1),
                "b": Prior("Normal", mu=0, sigma=1)}),
            mlm.hm("cid", effect="fixed"),
            priors={"beta": Prior("Normal", mu=0, sigma=5), "sigma": Prior("HalfCauchy", beta=2),
                    "Intercept": Prior("StudentT", nu=3, mu=0, sigma=5)},
        ),
    ),
    "members with slopes": (
        """bml(y ~ 1 + x1 + mm(id = id(pid, gid), vars = vars(x), w = w(~ 1/n),
            RE = re(1 + x, cor = TRUE)), data = d, prior = c(prior(lkj(3), class = "cor"),
            prior(normal(0, 2), class = "sd", coef = "x"),
            prior(normal(0, 3), class = "sd", coef = "Intercept", group = "mm.1")))""",
        mlm.MultipleMembershipModel(
            "y ~ 1 + x1",
            mlm.mm("pid", "gid", "x", varying=mlm.VaryingCoefficients("1 + x", eta=3), priors={
                "sd[x]": Prior("HalfNormal", sigma=2),
                "sd[Intercept]": Prior("HalfNormal", sigma=3)}),
        ),
    ),
    "walks on time": (
        """bml(y ~ majority + mm(id = id(pid, gid), w = w(~ 1/n), RE = re(1, ar = year)),
            data = d)""",
        mlm.MultipleMembershipModel(
            "y ~ majority", mlm.mm("pid", "gid", dynamics=mlm.RandomWalk("year", steps="time"))
        ),
    ),
    "members with slopes that are not correlated": (
        "bml(y ~ 1 + mm(id(pid, gid), vars(x), w = w(~ 1/n), RE = re(1 + x)), data = d)",
        mlm.MultipleMembershipModel("y ~ 1", mlm.mm(
            "pid", "gid", "x", varying=mlm.VaryingCoefficients("1 + x", correlated=False))),
    ),
    "units that walk": (
        """bml(y ~ 1 + mm(id = id(pid, gid), RE = TRUE) + hm(id = id(cid), ar = TRUE),
            family = "Gaussian", priors = list("tau.hm.1 ~ dgamma(2, 0.5)"), data = d)""",
        mlm.MultipleMembershipModel("y ~ 1", mlm.mm("pid", "gid"), mlm.mm(
            "cid", "gid", dynamics=mlm.RandomWalk("gid"),
            priors={"sd": mlm.PrecisionGamma(2, 0.5)})),
    ),
    "units that walk on time": (
        """bml(y ~ 1 + mm(id = id(pid, gid), w = w(~ 1/n), RE = TRUE) +
            hm(id(cid), RE = re(1, ar = year)), data = d)""",
        mlm.MultipleMembershipModel("y ~ 1", mlm.mm("pid", "gid"), mlm.mm(
            "cid", "gid", dynamics=mlm.RandomWalk("year", steps="time"))),
    ),
    "units with slopes": (
        """bml(y ~ 1 + x1 + mm(id = id(pid, gid), w = w(~ 1/n), RE = TRUE) +
            hm(id(cid), RE = re(1 + x1, cor = TRUE)), data = d,
            prior = prior(lkj(3), class = "cor"))""",
        mlm.MultipleMembershipModel("y ~ 1 + x1", mlm.mm("pid", "gid"), mlm.mm(
            "cid", "gid", varying=mlm.VaryingCoefficients("1 + x1", eta=3))),
    ),
}  # fmt: skip
CALLS = SEED | MANUAL | NEW


@pytest.mark.parametrize("name", CALLS)
def test_a_call_becomes_the_model_that_it_describes(name):
    text, expected = CALLS[name]
    assert mlm.from_bml(text).model.specification == expected.specification


@pytest.mark.parametrize("name", CALLS)
def test_a_translated_call_builds(name, coalgov):
    model = mlm.from_bml(CALLS[name][0]).model
    if name.endswith(("walks on time", "walk on time")):
        coalgov = coalgov.assign(year=coalgov["gid"] + 0.5)
    if name == "fixed effects beside covariates":
        assert "gdp" in mlm.from_bml(CALLS[name][0]).notes[0]
    assert np.isfinite(model.build(coalgov).point_logps(round_vals=4)["outcome"])


@pytest.mark.parametrize("name", CALLS)
def test_the_printed_code_makes_the_same_model(name):
    call = mlm.from_bml(CALLS[name][0])
    again = eval(call.code, {"mlm": mlm})
    assert again.specification == call.model.specification


def test_the_calls_of_the_reference_posteriors_are_translated(shared):
    for path in sorted((shared / "reference").glob("bml_*.json")):
        case = json.loads(path.read_text())["call"]
        priors = ", ".join(f'"{p}"' for p in case["priors"] or ())
        intervals = case["cox_intervals"] or "NULL"
        call = mlm.from_bml(f"""bml({case["formula"]}, family = "{case["family"]}",
            priors = list({priors}), cox_intervals = {intervals}, data = coalgov)""")
        assert call.model.terms[0].group == "gid"
        assert len(call.notes) == len(case["priors"] or ()) + 1


def test_every_prior_is_shown_as_it_was_and_as_it_is():
    notes = mlm.from_bml(MANUAL["priors of several levels"][0]).notes
    assert notes[:4] == (
        "b[1] ~ dnorm(0, 0.01): Intercept ~ Normal(mu=0, sigma=10)",
        "b.mm.1 ~ dnorm(0, 0.0001): beta of mm(pid, gid) ~ Normal(mu=0, sigma=100)",
        "b[2] ~ dnorm(0, 0.0001): beta[majority] ~ Normal(mu=0, sigma=100)",
        "tau.mm.1 ~ dgamma(2, 0.5): sd of mm(pid, gid) ~ PrecisionGamma(shape=2, rate=0.5)",
    )
    assert "not those of bml" in notes[-1]


@pytest.mark.parametrize(("jags", "expected"), [
    ("dnorm(0, 0.0001)", WIDE), ("dnorm(0, 1.0E-4)", WIDE), ("dnorm(1, 1/4)", Prior(
        "Normal", mu=1, sigma=2)), ("dnorm(-2, 25)", Prior("Normal", mu=-2, sigma=0.2)),
    ("dt(0, 4, 7)", Prior("StudentT", nu=7, mu=0, sigma=0.5)),
    ("dunif(-1, 1)", Prior("Uniform", lower=-1, upper=1)),
    ("dnorm(0, 1)T(0,)", Prior("HalfNormal", sigma=1)),
    ("dnorm(0, 1) T(-1, 2)", Prior("TruncatedNormal", mu=0, sigma=1, lower=-1, upper=2)),
    ("ddexp(0, 2)", Prior("Laplace", mu=0, b=0.5)), ("dlogis(0, 2)", Prior(
        "Logistic", mu=0, s=0.5)),
])  # fmt: skip
def test_distributions_of_jags_have_standard_deviations_here(jags, expected):
    found = translated(MM.format(w="exp(b * x)", re="TRUE"),
                       rest=f'family = "Weibull", priors = list("b.w.1 ~ {jags}")')  # fmt: skip
    assert found.model.terms[0].priors["b"] == expected


@pytest.mark.parametrize(("jags", "expected"), [
    ("dscaled.gamma(25, 1)", Prior("HalfCauchy", beta=25)),
    ("dscaled.gamma(2, 3)", Prior("HalfStudentT", nu=3, sigma=2)),
    ("dgamma(0.001, 0.001)", mlm.PrecisionGamma(0.001, 0.001)),
])  # fmt: skip
@pytest.mark.parametrize("name", ["tau.mm.1", "tau.hm.1", "tau"])
def test_a_prior_of_a_precision_is_one_of_a_standard_deviation(jags, expected, name):
    text = f"""bml(y ~ 1 + {MM.format(w="1/n", re="TRUE")} + hm(id(cid)), family = "Gaussian",
        priors = c("{name} ~ {jags}"))"""
    model = mlm.from_bml(text).model
    found = {"tau.mm.1": model.terms[0].priors, "tau.hm.1": model.terms[1].priors,
             "tau": model.specification.priors}[name]  # fmt: skip
    assert found == {"sigma" if name == "tau" else "sd": expected}


def test_a_gamma_precision_has_the_density_of_its_root():
    import pymc as pm

    with pm.Model() as model:
        mlm.PrecisionGamma(2, 0.5).create_variable("sd")
    for sd in (0.2, 1.0, 3.0):
        by_hand = gamma.logpdf(sd**-2, 2, scale=2) + np.log(2 * sd**-3)
        found = float(model.compile_logp(jacobian=False)({"sd_log__": np.log(sd)}))
        assert found == pytest.approx(by_hand, abs=1e-7)
    with pytest.raises(mlm.SpecificationError, match="rate=0 must be above zero"):
        mlm.PrecisionGamma(2, 0)


def test_settings_and_initial_values_are_arguments_of_fit(coalgov):
    text = f"""bml({FORMULA} + {MM.format(w="ilogit(b0 + b1 * pseat)", re="TRUE")} +
        hm(id = id(cid), type = "RE"), family = "Weibull", data = coalgov, n.chains = 2L,
        seed = 7, n.iter = 50000, n.burnin = 1000, parallel = TRUE, monitor = TRUE,
        inits = list("b.w.1" = c(0.5, -0.1), tau.hm.1 = 4, b = c(3, 0.2), b.mm.1 = 0.3))"""
    call = mlm.from_bml(text)
    assert call.fit_arguments == {
        "chains": 2, "random_seed": 7,
        "initvals": {"pid_weight_b0": 0.5, "pid_weight_b1": -0.1, "cid_sd": 0.5,
                     "Intercept": 3.0, "beta": [0.2], "pid_beta": [0.3]},
    }  # fmt: skip
    assert any(n.startswith("n.iter = 50000, n.burnin = 1000: not taken over") for n in call.notes)
    names = {rv.name for rv in call.model.build(coalgov).free_RVs}
    assert set(call.fit_arguments["initvals"]) <= names


def test_settings_are_known_in_both_spellings():
    call = mlm.from_bml("bml(y ~ x, n_chains = 3, n_iter = 50, n_burnin = 5, n_thin = 2)")
    assert call.fit_arguments == {"chains": 3}
    assert call.notes[0].startswith("n_iter = 50, n_burnin = 5, n_thin = 2: not taken over")


def test_a_unit_as_the_one_member_of_its_groups_has_the_weight_one(coalgov):
    design = mlm.mm("cid", "gid").resolve(coalgov)
    unit = coalgov.groupby("gid")["cid"].first()[list(design.group.labels)]
    labels = np.asarray(design.membership.member.labels)
    assert np.allclose(design.incidence.toarray(), unit.to_numpy()[:, None] == labels)
