"""Counts that keep a fit quick: nodes in the compiled graph, kernels compiled for new data.

Counts do not flake; seconds belong to benchmarks/.
"""

import numpy as np
import nutpie
import pytest
import xarray as xr

import pymc_mlm as mlm
from pymc_mlm.codegen import host
from pymc_mlm.inference import compiled_nutpie

# Statements of log density and gradient, and numba functions that they call (kernels of Ops,
# scalar functions); raise a limit only with a measured reason: a statement costs 5 to 10 ms cold.
# Effects that follow intercept, coefficients and each other cost 60 to 85 statements; without
# them 30 units of 1,000 rows have an effective size of 8 of 4,000 draws, with them 7,000. Lengths
# of what a table gives are tested once, at the start, and so are its places, by functions that all
# kernels share. Without them each kernel had a function around it, which was not counted here, and
# the fixed weights took 23 s of CPU to compile instead of 15.
MOST_STATEMENTS = {"fixed weights": 350, "estimated weights": 365, "nested": 255,
                   "sampled nested": 400, "trial": 255}  # fmt: skip
MOST_FUNCTIONS = {"fixed weights": 8, "estimated weights": 10, "nested": 5, "sampled nested": 15,
                  "trial": 10}  # fmt: skip
# Places where the function ends: each frees all arrays that are alive there, so that tests of what
# is given at the start are one, before there are arrays.
MOST_ENDS = {"fixed weights": 3, "estimated weights": 3, "nested": 9, "sampled nested": 13,
             "trial": 11}  # fmt: skip


def coalition_model(weight, governments, seed):
    table = mlm.datasets.coalitions(governments=governments, countries=5, seed=seed)
    model = mlm.MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority",
        mlm.mm("party", "government", covariates="cohesion", weight=weight),
        mlm.hm("country"),
        family="weibull",
    )
    return model.build(table)


WEIGHTS = {"fixed weights": "1 / n", "estimated weights": mlm.weights.softmax("seats")}


def nested_model(seed=1, schools=12):
    table = mlm.datasets.nested_schools(4, schools, 40, 200, seed)
    model = mlm.NestedVaryingEffects("score ~ 1 + homework", levels=["region", "school"])
    return model.build(table)


def sampled_nested_model(schools=12):
    table = mlm.datasets.nested_schools(4, schools, 40, 200, seed=1)
    table = table.assign(passed=(table["score"] > 50).astype(int))
    levels = ["region", "school"]
    return mlm.NestedVaryingEffects("passed ~ 1 + homework", levels, family="bernoulli").build(
        table
    )


def trial_model(seed=1, schools=10):
    table = mlm.datasets.teaching_trial(schools=schools, seed=seed)
    return mlm.MultivariateLogitTrial(
        ["math", "reading"], arm="method", control="traditional", cluster="school"
    ).build(table)


def compile_model(model):
    return compiled_nutpie.compile_model(model, [rv.name for rv in model.free_RVs])


def compiled(weight, governments=60, seed=1):
    return compile_model(coalition_model(WEIGHTS[weight], governments, seed))


FLAGSHIPS = {
    "fixed weights": lambda: coalition_model(WEIGHTS["fixed weights"], 60, 1),
    "estimated weights": lambda: coalition_model(WEIGHTS["estimated weights"], 60, 1),
    "nested": nested_model,
    "sampled nested": sampled_nested_model,
    "trial": trial_model,
}


def test_installed_nutpie_is_compiled_through_the_disk_cache():
    assert host().fits_nutpie()


@pytest.mark.parametrize("name", FLAGSHIPS)
def test_flagship_code_stays_small_and_has_no_dot(name):
    code = compile_model(FLAGSHIPS[name]()).code
    lines = code.function.__source__.splitlines()
    statements = [line for line in lines if " = " in line]
    ends = [k for k, line in enumerate(lines) if line.strip() == "return -1"]
    assert len(ends) <= MOST_ENDS[name]
    assert ends[0] < next(k for k, line in enumerate(lines) if "np.empty" in line)
    assert len(statements) <= MOST_STATEMENTS[name]
    assert len(code.called) <= MOST_FUNCTIONS[name]
    assert not [f for f in code.called if "dot" in f.lower()]


@pytest.mark.parametrize("weight", WEIGHTS)
def test_second_table_of_another_size_is_served_by_the_same_code(weight):
    one = compiled(weight, governments=60, seed=1)
    two = compiled(weight, governments=83, seed=2)
    assert one.sampled.n_dim != two.sampled.n_dim
    assert one.code.key is not None
    assert one.code.key == two.code.key


def test_the_same_code_is_loaded_once():
    """numba keeps compiled code for ever: each refit took .5 MB."""
    one, two = compiled("fixed weights", 60, 1), compiled("fixed weights", 83, 2)
    addresses = [model.sampled.compiled_logp_func.address for model in (one, two)]
    assert addresses[0] == addresses[1]


def test_second_nested_table_and_trial_are_served_by_the_same_code():
    nested = compile_model(nested_model()), compile_model(nested_model(seed=2, schools=15))
    assert nested[0].code.key == nested[1].code.key is not None
    sampled = compile_model(sampled_nested_model()), compile_model(sampled_nested_model(15))
    assert sampled[0].code.key == sampled[1].code.key is not None
    trials = compile_model(trial_model()), compile_model(trial_model(seed=2, schools=16))
    assert trials[0].code.key == trials[1].code.key is not None


def test_another_model_has_code_of_its_own():
    assert compiled("fixed weights").code.key != compiled("estimated weights").code.key


def test_without_the_needed_functions_nutpie_compiles_itself(monkeypatch):
    asked = []
    monkeypatch.setattr(host(), "fits_nutpie", lambda: False)
    monkeypatch.setattr(nutpie, "compile_pymc_model", lambda *a, **k: asked.append(k) or "own")
    model = coalition_model("1 / n", 30, 3)
    with pytest.warns(RuntimeWarning, match="the installed nutpie lacks functions"):
        result = compiled_nutpie.compile_model(model, ["shape"])
    assert result.sampled == "own"
    assert asked == [{"backend": "numba", "var_names": ["shape"]}]
    drawn = xr.Dataset({"shape": ("draw", [1.0]), "other": ("draw", [2.0])})
    assert list(result.posterior(drawn)) == ["shape"]


def test_model_with_more_arrays_than_a_call_takes_compiles_and_is_right():
    table = mlm.datasets.coalitions(governments=40, countries=4, seed=3)
    table = table.assign(decade=table["government"] % 5, opposition=table["party"].to_numpy()[::-1])
    model = mlm.MultipleMembershipModel(
        "Surv(weeks, ended) ~ 1 + majority",
        mlm.mm("party", "government", covariates="cohesion", weight=mlm.weights.softmax("seats")),
        mlm.mm("opposition", "government"),
        mlm.hm("country"),
        mlm.hm("decade"),
        family="weibull",
    ).build(table)
    compiled = compiled_nutpie.compile_model(model, [rv.name for rv in model.free_RVs])
    assert len(compiled.sampled.shared_data) > 30
    logp = compiled.sampled.logp_func(compiled.sampled.initial_point_func(1))[0]
    point = compiled.sampled.initial_point_func(1)
    at, split = 0, {}
    for name, shape in compiled.layout:
        size = int(np.prod(shape))
        split[name] = point[at : at + size].reshape(shape)
        at += size
    assert float(logp) == pytest.approx(float(model.compile_logp(mode="FAST_COMPILE")(split)))
    assert compiled.sampled.compiled_logp_func is not None
