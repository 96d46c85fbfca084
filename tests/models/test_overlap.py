"""Covariances and intra-class correlations of groups, against the matrices of the effects."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import pymc_mlm as mlm
from pymc_mlm.comparison.entries import effect_graph
from tests.mocked import PriorDraws
from tests.terms.test_own_term import Saturation

RNG = np.random.default_rng(6)
GROUPS = 8
TABLE = pd.DataFrame({
    "g": np.repeat(range(GROUPS), 3), "m": RNG.integers(0, 5, 3 * GROUPS),
    "x": RNG.normal(size=3 * GROUPS), "t": RNG.integers(0, 4, 3 * GROUPS),
    "y": np.repeat(RNG.normal(size=GROUPS), 3), "u": np.repeat([0, 1, 2, 2, 1, 0, 0, 1], 3),
})  # fmt: skip
RING = {k: [(k - 1) % 6, (k + 1) % 6] for k in range(6)}
TERMS = {
    "members": (mlm.mm("m", "g", weight="exp(b * x)"), mlm.hm("u")),
    "slopes": (mlm.mm("m", "g", varying="1 + x"),),
    "ar1": (mlm.mm("m", "g", dynamics="ar1", time="t"),),
    "graph": (mlm.mm("m", "g", covariance=mlm.BYM2(RING), weight="exp(b * x)"),),
    "nested": (mlm.nested(["u"], "1 + z"), mlm.mm("m", "g")),
}


def fitted(terms, family="gaussian", **columns):
    table = TABLE.assign(**{"z": np.repeat(RNG.normal(size=GROUPS), 3), **columns})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = mlm.MultipleMembershipModel("y ~ 1", *terms, family=family)
        return model.fit(table, sampler=PriorDraws(), draws=5, chains=2, path="sampled"), table


@pytest.mark.parametrize("name", TERMS)
def test_covariances_are_those_of_the_matrices_of_effects(name):
    model, table = fitted(TERMS[name])
    frame = model.overlap(table).frame
    graph = effect_graph(model.result_)
    parts, matrices, total = graph.parts, graph.matrices(), 0.0
    sigma = model.result_.posterior["sigma"].values.ravel()
    shares = []
    for s in range(10):
        entries, place, own = matrices(s)[1], 0, np.zeros((GROUPS, GROUPS))
        for part in parts:
            size = int(np.prod(part.shape))
            values = entries[place : place + len(part.rows)]
            place += len(part.rows)
            B = csr_array((values, (part.rows, part.columns)), shape=(GROUPS, size)).toarray()
            own += B @ B.T
        total = total + own / 10
        scale = np.sqrt(np.diag(own) + sigma[s] ** 2)
        shares.append(own / scale[:, None] / scale)
    i, j = np.triu_indices(GROUPS)
    np.testing.assert_allclose(frame["covariance"], total[i, j], rtol=1e-8, atol=1e-10)
    wanted = np.mean(shares, axis=0)[i, j]
    np.testing.assert_allclose(frame["correlation"], wanted, rtol=1e-8, atol=1e-10)


def test_made_up_groups_share_by_hand():
    model, _ = fitted((mlm.mm("m", "g"),))
    new = {"g": ["a", "a", "b", "b", "c"], "m": [0, 1, 1, 2, 77]}
    table = model.overlap(new)
    v = np.square(model.result_.posterior["m_sd"].values.ravel())
    e = np.square(model.result_.posterior["sigma"].values.ravel())
    frame = table.frame
    assert frame.loc[("a", "b"), "covariance"] == pytest.approx((v / 4).mean())
    assert frame.loc[("a", "b"), "correlation"] == pytest.approx((v / 4 / (v / 2 + e)).mean())
    assert frame.loc[("c", "c"), "correlation"] == pytest.approx((v / (v + e)).mean())
    assert frame.loc[("a", "c"), "covariance"] == 0
    assert "weights and parameters" in str(table)


def test_a_link_has_its_residual():
    model, table = fitted((mlm.hm("u"),), "bernoulli", y=np.repeat([0, 1] * 4, 3))
    frame = model.overlap(table.groupby("u").head(1)).frame
    v = np.square(model.result_.posterior["u_sd"].values.ravel())
    assert frame["correlation"].iloc[0] == pytest.approx((v / (v + np.pi**2 / 3)).mean())


def test_what_has_no_answer_is_refused():
    model, table = fitted((mlm.hm("u"),))
    with pytest.raises(mlm.SpecificationError, match="60 at most"):
        model.overlap(pd.concat([table] * 3, ignore_index=True))
    own, table = fitted((mlm.hm("u"), Saturation("z")), z=np.repeat(np.arange(1.0, 9.0), 3))
    with pytest.raises(mlm.SpecificationError, match="not known"):
        own.overlap(table)
