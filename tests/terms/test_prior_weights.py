"""Prior weights of units: powers of the density of their effects."""

import warnings

import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt
import pytest

import pymc_mlm as mlm
from pymc_mlm.ops.base import uncompiled
from pymc_mlm.paths.conditional import conditional
from pymc_mlm.paths.log_marginal import LogMarginal
from tests.contracts.test_combinations import refuse_wrong_gradient
from tests.mocked import PriorDraws
from tests.models.test_row_weights import log_density, some_values

RNG = np.random.default_rng(9)
W = np.array([1.0, 4.0, 0.5, 2.0, 0.5])
UNIT = np.tile(range(5), 8)
TABLE = pd.DataFrame({"y": RNG.normal(size=40), "x": RNG.normal(size=40), "u": UNIT, "w": W[UNIT]})


def model(weight="w", **options):
    return mlm.MultipleMembershipModel("y ~ x", mlm.hm("u", prior_weight=weight), **options)


def test_the_log_density_of_each_effect_is_multiplied_by_its_weight():
    plain, weighted = model(None).build(TABLE), model().build(TABLE)
    values = some_values(plain)
    u, sd = values["u_effect"], values["u_sd"]
    each = pm.logp(pm.Normal.dist(0.0, sd), u).eval(mode=uncompiled())
    w = W / W.mean()
    # Up to a constant of the data.
    constant = 0.5 * np.log(w).sum()
    wanted = log_density(plain, values) + (w - 1) @ each + constant
    assert log_density(weighted, values) == pytest.approx(wanted)


@pytest.mark.parametrize("other", [(), (mlm.hm("c"),)])
def test_the_gradient_is_that_of_finite_differences(other, rng):
    table = TABLE.assign(c=np.repeat(range(4), 10))
    made = mlm.MultipleMembershipModel("y ~ x", mlm.hm("u", prior_weight="w"), *other)
    refuse_wrong_gradient(made.build(table), rng)


def test_effects_are_integrated_out_with_their_own_scales():
    spec = model().specification
    design = spec.read(TABLE)
    density = LogMarginal(conditional(spec, design))
    start = density.model.start
    pieces = density.model.pieces(start)
    found = density.at(start)[1].value
    sigma = np.exp(pieces.parameters[0])
    named = dict(zip(density.model.names, density.model.values(start), strict=False))
    Z = np.eye(5)[UNIT] * named["u_sd"] / np.sqrt(W / W.mean())
    V = sigma**2 * np.eye(40) + Z @ Z.T
    dense = pm.logp(pm.MvNormal.dist(pieces.offset, V), pt.as_tensor(TABLE.y.to_numpy())).eval(
        mode=uncompiled()
    )
    assert found == pytest.approx(float(dense))


def test_reports_predictions_and_files_take_them(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = model().fit(TABLE, sampler=PriorDraws(), draws=50, chains=2, path="sampled")
    p = made.result_.posterior
    parts = made.variance_decomposition().frame
    factor = (1.0 / (W / W.mean())).mean()
    assert parts.loc["hm u", "variance"] == pytest.approx(float((p["u_sd"] ** 2).mean()) * factor)
    own = made.overlap(TABLE.head(5)).frame["covariance"]
    assert own.loc[(1, 1)] == pytest.approx(float((p["u_sd"] ** 2).mean()) * W.mean() / W[1])
    eta = made.predict(TABLE.tail(3), kind="eta", random_seed=1)
    fitted = made.predict(kind="eta")
    np.testing.assert_allclose(eta.values, fitted.values[..., -3:])
    made.save(tmp_path / "fit.nc")
    assert mlm.load(tmp_path / "fit.nc").spec.terms[0].prior_weight == "w"


def test_wrong_prior_weights_are_refused():
    with pytest.raises(mlm.DataError, match="'u'=2 is 0"):
        model().specification.read(TABLE.assign(w=np.where(UNIT == 2, 0.0, 1.0)))
    with pytest.raises(mlm.DataError, match="'w'"):
        model().specification.read(TABLE.assign(w=range(40)))
    with pytest.raises(mlm.DataError, match="'w'"):
        model().specification.read(TABLE.assign(w=np.where(UNIT == 2, np.nan, 1.0)))
    with pytest.raises(mlm.SpecificationError, match=r"has none.*SurveyWeights\('w'\)"):
        mlm.hm("u", effect="fixed", prior_weight="w")
    with pytest.raises(mlm.SpecificationError, match=r"error rates.*covariates= of"):
        mlm.MultivariateLogitTrial(["a"], "arm", terms=[mlm.hm("u", prior_weight="w")])


def test_covariates_beside_fixed_effects_are_sent_to_the_formula():
    with pytest.raises(mlm.SpecificationError, match=r"the formula, 'y ~ 1 \+ size \+ age'"):
        mlm.hm("u", ["size", "age"], effect="fixed")
    made = mlm.MultipleMembershipModel("y ~ 1 + x", mlm.hm("u", effect="fixed"))
    assert made.specification.read(TABLE).population.names == ("x",)
