"""Estimated weights together with member effects, against the same model in plain PyMC.

The reference files of bml have one or the other, never both.
"""

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

import pymc_mlm as mlm
from pymc_mlm.model.information import effect_information


def test_log_density_equals_a_plain_model_with_weights_and_effects():
    table = mlm.datasets.coalitions(governments=50, countries=4, seed=12)
    model = mlm.MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority",
        mlm.mm("party", "government", covariates="cohesion", weight="ilogit(b0 + b1 * seats)"),
        mlm.hm("country"),
        family="weibull",
        priors={"Intercept": mlm.Prior("Normal", mu=5.0, sigma=3.0)},
    )
    ours, design = model.build(table), model._design(table)
    used = {k: v.parameters for k, v in model.specification.priors_used(design).items()}
    plain, known = plain_model(table, used), effect_information(model.specification, design)
    rng = np.random.default_rng(0)
    start = plain.initial_point()
    differences = []
    for _ in range(5):
        point = {k: np.asarray(v) + 0.4 * rng.normal(size=np.shape(v)) for k, v in start.items()}
        renamed = {name_of(ours, k): v for k, v in point.items() if k not in LOCATED}
        expected = float(plain.compile_logp(mode="FAST_COMPILE")(point))
        coefficients = [point.pop(n) for n in ("Intercept", "beta", "party_beta")]
        located, log_volume = coordinates(known.coefficients, *coefficients)
        renamed |= located
        expected += log_volume
        given = np.concatenate([np.atleast_1d(c) for c in coefficients])
        for term, said in (("country", known.effects[1]), ("party", known.effects[0])):
            # Other coordinates of the same effects, and the volume that they change.
            sd = np.exp(point[f"{term}_sd_log__"])
            scale = sd / np.sqrt(1.0 + said.precision * sd**2)
            effects = sd * point[f"z_{term}"]
            slope = said.score - dense(said.cross) @ given
            turned = said.basis.T @ effects if len(said.basis) else effects
            renamed[f"{term}_effect_informed__"] = turned / scale - scale * slope
            expected += np.log(scale / sd).sum()
            given = np.concatenate([given, effects]) if term == "country" else given
        differences.append(float(ours.compile_logp(mode="FAST_COMPILE")(renamed)) - expected)
    np.testing.assert_allclose(differences, 0.0, atol=1e-6)


LOCATED = ("Intercept", "beta", "party_beta")


def coordinates(information, intercept, beta, gamma):
    """Our coordinates of the coefficients, and the log volume that they change."""
    constant, slopes, sd = information.intercept()
    centre = constant + slopes @ np.concatenate([beta, gamma])
    found, log_volume = {"Intercept_located__": (intercept - centre) / sd}, np.log(sd)
    for place, (name, value) in enumerate([("beta", beta), ("party_beta", gamma)]):
        mode, root = information.block(place, 1)
        found[f"{name}_located__"] = (value - mode) / root
        log_volume += np.log(root).sum()
    return found, log_volume


def dense(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


def name_of(ours, name):
    """Our value variable behind a variable of the plain model."""
    pairs = {"z_party": "party_effect_informed__", "z_country": "country_effect_informed__"}
    found = pairs.get(name, name)
    assert found in {v.name for v in ours.value_vars}, found
    return found


def plain_model(table, used):
    gid, _ = pd.factorize(table["government"])
    pid, parties = pd.factorize(table["party"], sort=True)
    groups = table.drop_duplicates("government")
    cid, countries = pd.factorize(groups["country"], sort=True)
    seats, cohesion = table["seats"].to_numpy(), table["cohesion"].to_numpy()
    time, event = groups["weeks"].to_numpy(), groups["ended"].to_numpy()
    with pm.Model() as plain:
        intercept = pm.Normal("Intercept", 5.0, 3.0)
        beta = pm.Normal("beta", 0, used["beta"]["sigma"], shape=1)
        gamma = pm.Normal("party_beta", 0, used["party_beta"]["sigma"], shape=1)
        b0 = pm.Normal("party_weight_b0", 0, 1)
        b1 = pm.Normal("party_weight_b1", 0, 1)
        party_sd = pm.HalfNormal("party_sd", used["party_sd"]["sigma"])
        country_sd = pm.HalfNormal("country_sd", used["country_sd"]["sigma"])
        u = party_sd * pm.Normal("z_party", 0, 1, shape=len(parties))
        v = country_sd * pm.Normal("z_country", 0, 1, shape=len(countries))
        shape = pm.LogNormal("shape", 0, 1)
        raw = pm.math.sigmoid(b0 + b1 * seats)
        w = raw / pt.zeros(len(groups))[gid].inc(raw)[gid]
        members = pt.zeros(len(groups))[gid].inc(w * (gamma[0] * cohesion + u[pid]))
        mu = intercept + beta[0] * groups["majority"].to_numpy() + members + v[cid]
        weibull = pm.Weibull.dist(alpha=shape, beta=pt.exp(mu))
        seen = pm.logp(weibull, time)
        later = -((time / pt.exp(mu)) ** shape)
        pm.Potential("likelihood", pt.where(event == 1, seen, later).sum())
    return plain
