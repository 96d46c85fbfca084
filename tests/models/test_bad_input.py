"""What people get wrong: each mistake is an error whose text says what to do."""

import uuid
import warnings

import numpy as np
import pandas as pd
import pytest

import pymc_mlm as mlm

N = 12


@pytest.fixture
def table():
    """Six groups of two members; every column is fine."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(6), 2)
    return pd.DataFrame(
        {
            "g": group,
            "m": list("abbccddeefaf"),
            "unit": group % 2,
            "y": rng.normal(size=6)[group],
            "t": rng.exponential(size=6)[group] + 0.1,
            "e": np.array([1, 0, 1, 1, 0, 1])[group],
            "x": rng.normal(size=6)[group],
            "z": rng.normal(size=N),
            "w": rng.uniform(0.1, 1, size=N),
        }
    )


def design(table, formula="y ~ 1 + x", *terms, **kwargs):
    terms = terms or (mlm.mm("m", "g"),)
    return mlm.MultipleMembershipModel(formula, *terms, **kwargs)._design(table)


def put(table, column, row, value):
    values = table[column].astype(object if isinstance(value, str) else float).to_list()
    values[row] = value
    return table.assign(**{column: values})


def survival(table, **columns):
    return design(table.assign(**columns), "Surv(t, e) ~ 1", family="weibull")


WRONG_DATA = {
    "missing column": (lambda t: design(t, "y ~ nix"), "no column 'nix'"),
    "missing member column": (lambda t: design(t, "y ~ 1", mlm.mm("mm", "g")), "did you mean 'm'"),
    "no rows": (lambda t: design(t.iloc[:0]), "no rows"),
    "outcome varies": (lambda t: design(put(t, "y", 0, 9.0)), r"'y' varies inside 'g'=0.*outcome"),
    "covariate varies": (lambda t: design(t, "y ~ z"), r"'z' varies inside 'g'=0.*mm\(covariates"),
    "NaN outcome": (
        lambda t: design(t.assign(y=t.y.mask(t.g == 2))), "'y' is missing in 2 of 12"),
    "inf covariate": (lambda t: design(t.assign(x=np.inf)), "'x' is infinite"),
    "NaN member covariate": (
        lambda t: design(put(t, "z", 3, np.nan), "y ~ 1", mlm.mm("m", "g", covariates="z")),
        "'z' is missing in 1 of 12"),
    "NaN weight column": (
        lambda t: design(put(t, "w", 3, np.nan), "y ~ 1", mlm.mm("m", "g", weight="w")), "'w'"),
    "zero time": (lambda t: survival(t, t=0.0), "time in 'Surv.t, e.' must be positive; found 0"),
    "negative time": (lambda t: survival(t, t=-t.t), "must be positive"),
    "event of 2": (lambda t: survival(t, e=2), r"must be 1 \(event seen\) or 0.*found 2"),
    "no event": (lambda t: survival(t, e=0), "No event was seen"),
    "outcome not binary": (lambda t: design(t, family="bernoulli"), "must be 0 or 1"),
    "constant outcome": (lambda t: design(t.assign(y=1.0)), "must vary"),
    "text outcome": (lambda t: design(t.assign(y="high")), "holds text, such as 'high'"),
    "missing member id": (
        lambda t: design(t.assign(m=t.m.mask(t.index == 4))), "'m' is missing in 1"),
    "missing group id": (
        lambda t: design(t.assign(g=t.g.mask(t.index == 4))), "'g' is missing in 1"),
    "weights sum to zero": (
        lambda t: design(
            t.assign(w=t.w.mask(t.g == 2, 0.0)), "y ~ 1", mlm.mm("m", "g", weight="w")),
        "sum to zero in 1 group.s., first in 'g'=2"),
    "negative weight": (
        lambda t: design(put(t, "w", 5, -0.5), "y ~ 1", mlm.mm("m", "g", weight="w")),
        r"negative in 1 row\(s\), first in 'g'=2 \(-0.5\).*normalize=False"),
    "one member, undefined weight": (
        lambda t: design(t.iloc[1:], "y ~ 1", mlm.mm("m", "g", weight="1 / (n - 1)")), "n"),
    "unit varies in group": (
        lambda t: design(put(t, "unit", 0, 1.0), "y ~ 1", mlm.mm("m", "g"), mlm.hm("unit")),
        "'unit' varies inside 'g'=0"),
    "single unit": (
        lambda t: design(t.assign(unit=1), "y ~ 1", mlm.mm("m", "g"), mlm.hm("unit")),
        "single unit"),
    "single member": (lambda t: design(t.assign(m="a")), "at least two"),
    "repeated member refused": (
        lambda t: design(put(t, "m", 1, "a"), "y ~ 1", mlm.mm("m", "g", repeated="refuse")),
        "'m'='a' is listed more than once in 'g'=0"),
    "not finite after transformation": (lambda t: design(t.assign(x=0.0), "y ~ log(x)"), "log"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG_DATA)
def test_wrong_data_is_an_error_that_names_it(table, mistake):
    call, text = WRONG_DATA[mistake]
    with pytest.raises(mlm.MlmError, match=text):
        call(table)


WRONG_SPECIFICATION = {
    "negative normalised weights": (
        lambda t: design(t, "y ~ 1", mlm.mm("m", "g", weight="b0 + b1 * w")),
        r"can be negative.*exp.*normalize=False"),
    "unknown column in weight": (
        lambda t: design(t, "y ~ 1", mlm.mm("m", "g", weight="1 / nn + ww")), "'?nn'?|'?ww'?"),
    "unknown function in weight": (lambda t: mlm.mm("m", "g", weight="foo(w)"), "foo"),
    "hostile weight": (lambda t: mlm.mm("m", "g", weight="__import__('os')"), "position|character"),
    "attribute in weight": (lambda t: mlm.mm("m", "g", weight="w.real"), "position|character"),
    "parentheses in weight": (lambda t: mlm.mm("m", "g", weight="(" * 100_000), "long|character"),
    "hostile formula": (lambda t: design(t, "y ~ __import__('os')"), "double underscores"),
    "attribute in formula": (lambda t: design(t, "y ~ {x.shape}"), "no column 'x.shape'"),
    "lambda in formula": (
        lambda t: design(t, "y ~ {(lambda: 1)()}"), "not a known function|Lambda"),
    "unordered": (
        lambda t: design(t, family="categorical"), "is a number and no category.*'gaussian'"
    ),
    "unknown family": (lambda t: design(t, family="poison"), "Unknown family 'poison'"),
    "survival outcome, gaussian": (lambda t: design(t, "Surv(t, e) ~ 1"), "family='weibull'"),
    "two group columns": (
        lambda t: design(t, "y ~ 1", mlm.mm("m", "g"), mlm.mm("m", "unit")), "share one group"),
    "no term": (lambda t: design(t, "y ~ 1", "mm(m, g)"), "is not a term"),
    "effect misspelt": (lambda t: mlm.mm("m", "g", effect="randm"), "use 'random'"),
    "empty term": (lambda t: mlm.mm("m", "g", effect=None), "the term is empty"),
    "unknown prior": (
        lambda t: design(t, priors={"sgma": mlm.Prior("HalfNormal", sigma=1)}),
        "no parameter 'sgma'"),
    "unknown prior of a term": (
        lambda t: design(
            t, "y ~ 1", mlm.mm("m", "g", priors={"sigma": mlm.Prior("HalfNormal", sigma=1)})),
        "no parameter 'sigma'; its priors are named sd"),
    "prior that is none": (lambda t: design(t, priors={"sigma": 3.0}), r"give Prior\('Normal'"),
    "unknown distribution": (lambda t: mlm.Prior("Normall"), "no distribution 'Normall'"),
    "wrong prior parameter": (
        lambda t: mlm.Prior("Normal", sd=1), "does not take the parameter .sd"),
    "column named like a variable": (
        lambda t: mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "sigma"))._build(
            design(t.assign(sigma=t.g), "y ~ 1", mlm.mm("m", "sigma"))),
        "'sigma' would name a dimension.*Rename"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WRONG_SPECIFICATION)
def test_wrong_specification_is_an_error_that_names_it(table, mistake):
    call, text = WRONG_SPECIFICATION[mistake]
    with pytest.raises(mlm.MlmError, match=text):
        call(table)


def test_question_before_fit_says_to_fit():
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g"))
    for ask in (model.predict, model.summary, model.plot, model.variance_decomposition):
        with pytest.raises(mlm.NotFittedError, match=r"not fitted yet. Call fit\(data\) first"):
            ask()


@pytest.mark.parametrize("draws", [0, -1, 2.5, True])
def test_number_of_draws_must_be_a_positive_whole_number(table, draws):
    with pytest.raises(mlm.SpecificationError, match="draws must be a positive whole number"):
        mlm.MultipleMembershipModel("y ~ 1", mlm.mm("m", "g")).fit(table, draws=draws)


IDS = {
    "str": lambda k: [f"g{i}" for i in k],
    "categorical": lambda k: pd.Categorical([f"g{i}" for i in k]),
    "nullable": lambda k: pd.array(k, dtype="Int64"),
    "uuid": lambda k: [uuid.UUID(int=int(i)) for i in k],
    "float": lambda k: np.asarray(k, dtype=float),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_every_kind_give_the_same_log_density(table, kind):
    def logp(data):
        model = mlm.MultipleMembershipModel("y ~ 1 + x", mlm.mm("m", "g"), mlm.hm("unit"))
        built = model._build(model._design(data))
        return built.compile_logp(mode="FAST_COMPILE")(built.initial_point())

    other = table.assign(g=IDS[kind](table.g), unit=IDS[kind](table.unit))
    assert logp(other) == pytest.approx(logp(table), rel=1e-12)


NO_NAME = {
    "members": (lambda: mlm.mm(["a", "b"], "g"), r"the member of mm.*long_memberships\(table"),
    "group": (lambda: mlm.mm("m", ("g", "h")), r"the group of mm.*one column"),
    "number": (lambda: mlm.hm(3), r"3 cannot be the unit of hm"),
    "nothing": (lambda: mlm.hm(""), "'' cannot be the unit"),
    "covariate": (lambda: mlm.mm("m", "g", covariates=[1]), "1 cannot be a column"),
    "covariates": (lambda: mlm.mm("m", "g", covariates=5), "5 names no columns"),
    "set": (lambda: mlm.hm("m", covariates={"a", "b"}), "names no columns: .* in order"),
    "name": (lambda: mlm.hm("m", name=4), "4 cannot be the name of a term"),
    "one column twice": (lambda: mlm.mm("g", "g"), "member and group are one column"),
    "level": (lambda: mlm.NestedVaryingEffects("y ~ 1", levels=[("a", "b")]), "levels is"),
}


@pytest.mark.parametrize("mistake", NO_NAME)
def test_what_names_no_column_is_refused_at_construction(mistake):
    call, text = NO_NAME[mistake]
    with pytest.raises(mlm.SpecificationError, match=text):
        call()


SHADOWED = {
    "size": ("n", "n", r"'n' is the number of rows of a group.*`n` in backquotes"),
    "share of a size": ("n / sum(n)", "n", "`n` in backquotes"),
    "parameter": ("exp(b * w)", "b", r"'b' is a free parameter here.*`b` in backquotes"),
}


@pytest.mark.parametrize("case", SHADOWED)
def test_a_name_that_is_a_column_too_is_refused_in_a_text_weight(table, case):
    weight, column, text = SHADOWED[case]
    with pytest.raises(mlm.SpecificationError, match=text):
        design(table.assign(**{column: table.w}), "y ~ 1", mlm.mm("m", "g", weight=weight))


@pytest.mark.parametrize(
    "weight", ["1 / n", "`n`", "1/n", mlm.weights.Expression("n"), mlm.weights.size_power("w")]
)
def test_a_weight_without_doubt_is_read_beside_a_column_n(table, weight):
    design(table.assign(n=table.w), "y ~ 1", mlm.mm("m", "g", weight=weight))


def test_a_declared_parameter_is_no_column(table):
    term = mlm.mm("m", "g", weight="exp(b * w)", parameters=["b"])
    assert design(table.assign(b=1.0), "y ~ 1", term).terms[0][1].weight.prior_sd == {"b": 1.0}


def test_swapped_member_and_group_are_named_only_where_they_are(table):
    with pytest.raises(mlm.DataError, match=r"are swapped. Write mm\('m', 'g'\)"):
        design(table, "y ~ 1", mlm.mm("g", "m"))
    wide = table.assign(pupil=range(N), y=table.z)
    with pytest.raises(mlm.DataError, match=r"'pupil' of its own. mm\(\) reads one row per"):
        design(wide, "y ~ 1", mlm.mm("pupil", "m"))
    with pytest.raises(mlm.DataError, match=r"in all of its rows\.$"):
        design(table.assign(y=table.z), "y ~ 1")


def test_a_unit_may_be_called_sample(table):
    model = mlm.MultipleMembershipModel("y ~ 1", mlm.hm("sample"))
    assert "sample" in model.build(table.assign(sample=table.unit)).coords


FAMILIES = {
    "gaussian": "residual of a Gaussian",
    "student_t": "residual of a Student-t",
    "negative_binomial": "overdispersion of negative-binomial",
    "bernoulli": "chance in a single 0/1",
    "weibull": "residual of a log time",
    "poisson": None,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_unit_per_row_is_warned_of_by_what_the_family_varies(table, family):
    data = table.assign(row=range(N), y=[0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 1, 0], t=table.t)
    formula = "Surv(t, e) ~ 1" if family == "weibull" else "y ~ 1"
    model = mlm.NestedVaryingEffects(formula, levels=["unit", "row"], family=family)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model._design(data)
    texts = [str(w.message) for w in caught if "has one row" in str(w.message)]
    assert (FAMILIES[family] or "") in "".join(texts)
    assert len(texts) == (FAMILIES[family] is not None)
