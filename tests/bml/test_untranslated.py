"""What is not translated from a call of bml is named with its place."""

import pytest

import pymc_mlm as mlm


def test_other_names_than_columns_are_parameters_where_columns_are_known():
    text = """bml(y ~ 1 + mm(id = id(pid, gid), w = w(~ ilogit(a + om * pseat)), RE = TRUE))"""
    known = mlm.from_bml(text, columns=["y", "pid", "gid", "pseat"]).model.terms[0]
    assert known.weight_function.parameters == ("a", "om")
    assert mlm.from_bml(text).model.terms[0].weight_function.columns == ("a", "om", "pseat")


@pytest.mark.parametrize(("text", "message"), [
    ("lm(y ~ x)", r"has 0 calls of bml\(\)"),
    ("bml(y ~ x) ; bml(z ~ x)", r"character 14: the text has 2 calls"),
    ("bml(y ~ x, family = \"Gaussian\"", "character 31: .* the text ends"),
    ("bml(y ~ x + )", "character 13: a value is expected, and '\\)' stands there"),
    ("bml(x)", "character 5: bml\\(\\) takes a formula first"),
    ("bml(y ~ x ? 1)", "character 11: '\\?' is not understood here"),
    ("bml(y ~ x, family = \"Gamma\")", "character 21: the family 'Gamma' is none of bml"),
    ("bml(y ~ x, wibble = 3)", "character 21: bml\\(\\) has no argument 'wibble'"),
    ("bml(y ~ x, priors = list(3))", "character 26: a prior is a text"),
    ("bml(y ~ x, priors = list('b[1]'))", "'b\\[1\\]' is no prior"),
    ("bml(y ~ x, priors = list('b[3] ~ dnorm(0, 1)'))", r"character 27: .*it has 2 element"),
    ("bml(y ~ x, priors = list('q ~ dnorm(0, 1)'))", "'q' is no parameter with a counterpart"),
    ("bml(y ~ x, priors = list('b[2] ~ dpois(3)'))", r"'dpois\(3\)' has no counterpart"),
    ("bml(y ~ x, priors = list('b[2] ~ dnorm(0, tau)'))", "a number is expected, and 'tau'"),
    ("bml(y ~ I(x^2), priors = list('b[2] ~ dnorm(0, 1)'))", "depends on the table"),
    ("bml(y ~ x, priors = list('lambda0[1] ~ dgamma(1, 1)'))", "'lambda0' is no parameter"),
    ("bml(y ~ x + mm(id(a, b), fn = fn(w ~ wat(x))))", "character 38: .*unknown function 'wat'"),
    ("bml(y ~ x + mm(id(a), RE = TRUE))", r"character 16: id\(member, group\) is expected"),
    ("bml(y ~ x + hm(id(a), ar = TRUE))", "units of hm\\(\\) with slopes or walks"),
    ("bml(y ~ x + mm(id(a, b), vars(z), fn = fn('hhi')))", "aggregates otherwise"),
    ("bml(y ~ x + mm(id(a, b), vars(z), fn = fn('var', moment = 3)))",
     r"character 40: .*Variance\('z', 3\)"),
    ("bml(y ~ x + mm(id(a, b), vars(z), fn = fn('var', kappa = 3)))", "no argument 'kappa'"),
    ("bml(y ~ x + mm(id(a, b), vars(z + q), fn = fn('var')))", "vars\\(\\) holds one plain column"),
    ("bml(y ~ x + mm(id(a, b), vars(I(z^2)), fn = fn('var')))", "holds one plain column"),
    ("bml(y ~ x + mm(id(a, b), vars(z), fn = fn('cov')))", "holds two plain columns"),
    ("bml(y ~ x + mm(id(a, b), vars(z), w = w(~ q, scale = FALSE), fn = fn('var')))",
     "character 67: .* weights that sum to one"),
    ("bml(y ~ x + mm(id(a, b), vars(z), fn = fn('var'), RE = re(1)))", "a block of their own"),
    ("bml(y ~ x + mm(id(a, b), vars(z), fn = fn(~ E(z^2))))", "aggregates otherwise"),
    ("bml(y ~ x + hm(id(a), RE = re(1 + z)))", r"write mm\(unit, row\)"),
    ("bml(y ~ mm(id(a, b)), prior = prior(exponential(1), class = 'sd', coef = 'z'))",
     r"mm\(a, b\) has no slope of 'z'"),
    ("bml(y ~ mm(id(a, b)), prior = prior(lkj(2), class = 'cor'))",
     "no block has correlated slopes"),
    ("bml(y ~ mm(id(a, b), RE = re(1 + z)), prior = prior(lkj(2), class = 'cor'))",
     "no block has correlated slopes"),
    ("bml(y ~ x:mm(id(a, b)))", "mm\\(\\) stands inside another term"),
    ("bml(y ~ x + hm(id(a), FE = fe(1 + x)))", "only units of hm\\(\\) have fixed effects"),
])  # fmt: skip
def test_what_is_not_translated_is_named_with_its_place(text, message):
    with pytest.raises(mlm.SpecificationError, match=message):
        mlm.from_bml(text)


def test_all_parts_without_a_counterpart_are_named_at_once():
    text = """bml(Y ~ education + Ax:education + mm(name = Ax, id = id(task, occ), vars = vars(x),
        w = w(~ 1/n), fn = fn("hhi")), data = dat,
        prior = prior(uniform(0, 1), class = "fn", coef = "c"))"""
    with pytest.raises(mlm.SpecificationError) as caught:
        mlm.from_bml(text)
    lines = str(caught.value).splitlines()
    assert lines[0] == "bml call: not translated"
    assert [text[int(line.split()[2].rstrip(":")) - 1:][:5] for line in lines[1:]] == [
        "Ax:ed", "fn(\"h", "prior"]  # fmt: skip
