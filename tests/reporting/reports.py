"""Tables, models and a reader of pages that the tests of reports share."""

import warnings
from html.parser import HTMLParser

import numpy as np
import pandas as pd

import pymc_mlm as mlm
from pymc_mlm.planning import (
    TrialDesign,
)
from tests.mocked import PriorDraws

EFFECTS = "Treatment effects: differences of success probabilities"


RULES = [
    mlm.rules.All(),
    mlm.rules.Compensatory((0.7, 0.3)),
    mlm.rules.Equivalence({"y1": (-1, 1)}),
]


ATTACK = "<script>alert(1)</script>\"><img src=x onerror=alert(2)></style>&'\x00"


def table(outcomes=("y1", "y2"), arms=("old", "new"), cluster="site"):
    rng = np.random.default_rng(5)
    rows = 90
    return pd.DataFrame(
        {
            outcomes[0]: rng.integers(0, 2, rows).astype(float),
            outcomes[1]: rng.integers(0, 2, rows).astype(float),
            "arm": np.array(arms, dtype=object)[np.arange(rows) % 2],
            "age": rng.normal(50, 8, rows).round(),
            cluster: [f"{cluster} {i}" for i in rng.integers(0, 8, rows)],
        }
    )


def fitted(model, data, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(data, draws=60, chains=2, random_seed=7, sampler=PriorDraws(), **more)


def members():
    data = table().assign(team=np.arange(90) // 3, share=np.linspace(0.1, 1, 90))
    return fitted(
        mlm.MultipleMembershipModel(
            "age ~ 1 + y1", mlm.mm("site", "team", weight="ilogit(b0 + b1 * share)"), mlm.hm("arm"),
            family="student_t",
        ),
        data.assign(
            **{n: data.groupby("team")[n].transform("first") for n in ("age", "y1", "arm")}
        ),
    )  # fmt: skip


def nested():
    model = mlm.NestedVaryingEffects("age ~ 1 + y1", ["site"], family="student_t")
    return fitted(model, table())


def bare():
    return fitted(mlm.MultipleMembershipModel("y1 ~ 1 + age", family="bernoulli"), table())


class Page(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [(tag, *attr) for attr in attrs]

    def handle_data(self, data):
        self.text.append(data)


TAGS = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "nav", "ol", "li", "a",
    "section", "p", "ul", "div", "table", "thead", "tbody", "tr", "th", "td", "svg", "line",
    "text", "circle",
}  # fmt: skip


ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "href", "id", "class", "scope", "viewbox",
    "role", "aria-label", "x", "x1", "x2", "y", "y1", "y2", "cx", "cy", "r", "text-anchor",
}  # fmt: skip


PLAN = TrialDesign({"old": (0.4, 0.4), "new": (0.6, 0.6)}, per_arm=45)
