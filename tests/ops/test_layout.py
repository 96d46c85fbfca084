"""No kernel leaves its arrays: inputs of another layout are refused, and the layout is enough."""

import numba
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import pymc_mlm.ops as ops
from pymc_mlm.ops import base
from pymc_mlm.ops.base import AbstractKernelOp
from pymc_mlm.ops.chain import Chain
from pymc_mlm.ops.chain_information import ChainInformation, ChainInformationVJP
from pymc_mlm.ops.correlated_normal import CorrelatedNormal
from pymc_mlm.ops.correlation import CholeskyFromPartials, CholeskyFromPartialsPullback
from pymc_mlm.ops.group_mean import GroupMean, GroupMeanVJP
from pymc_mlm.ops.group_softmax import GroupSoftmax, GroupSoftmaxVJP
from pymc_mlm.ops.group_sum import GroupSum, GroupSumVJP
from pymc_mlm.ops.informed_effects import InformedEffects, InformedEffectsVJP
from pymc_mlm.ops.informed_normal import InformedNormal, InformedNormalVJP
from pymc_mlm.ops.layout import Layout, inputs_of, is_nested, is_outside, lengths_of
from pymc_mlm.ops.linear_predictor import LinearPredictor
from pymc_mlm.ops.linear_predictors import SmallProduct
from pymc_mlm.ops.multinomial_logit import MultinomialLogit
from pymc_mlm.ops.multivariate_bernoulli import MultivariateBernoulliLogp
from pymc_mlm.ops.nested_gaussian import NestedGaussianLoglik
from pymc_mlm.ops.unit_predictor import UnitPredictor, UnitPredictorVJP
from pymc_mlm.ops.unit_score import UnitScore, UnitScoreVJP
from pymc_mlm.ops.unit_totals import UnitTotals, UnitTotalsVJP
from pymc_mlm.ops.weibull import CensoredWeibullLogp

OPS = [
    *(kind() for kind in (CorrelatedNormal, GroupSoftmax)),
    *(kind(is_logit) for kind in (GroupMean, GroupMeanVJP) for is_logit in (False, True)),
    *(kind() for kind in (GroupSoftmaxVJP, GroupSum, GroupSumVJP, InformedEffects)),
    *(kind() for kind in (InformedEffectsVJP, InformedNormal, InformedNormalVJP)),
    *(kind() for kind in (MultinomialLogit, MultivariateBernoulliLogp, UnitPredictor)),
    *(kind() for kind in (UnitPredictorVJP, UnitScore, UnitScoreVJP, UnitTotals, UnitTotalsVJP)),
    *(LinearPredictor(transposed) for transposed in (False, True)),
    *(SmallProduct(form) for form in ("A B'", "A B", "A' B")),
    *(kind(n) for kind in (CholeskyFromPartials, CholeskyFromPartialsPullback) for n in (2, 4)),
    *(Chain(is_backward) for is_backward in (False, True)),
    *(kind() for kind in (CensoredWeibullLogp, ChainInformation, ChainInformationVJP)),
]


def random_inputs(layout, rng):
    """Arrays of a layout, with lengths from 0 to 4; None where its conditions fail."""
    lengths = {}

    def number(text):
        text = text.rstrip("?")
        if text.isidentifier():
            return lengths.setdefault(text, int(rng.integers(0, 5)))
        for name in [n for n in compile(text, "", "eval").co_names if n not in lengths]:
            lengths[name] = int(rng.integers(1, 5))
        return eval(text, {}, lengths)

    inputs = []
    for _, sides, bound in inputs_of(layout.text):
        shape = tuple(0 if s.endswith("?") and rng.random() < 0.3 else number(s) for s in sides)
        if bound is None:
            inputs.append(rng.uniform(0.1, 1.0, shape))
            continue
        stop = number(bound)
        if stop < 1 and not bound.endswith("?") and shape[0]:
            return None
        inputs.append(rng.integers(0, max(stop, 1), shape))
    return inputs if is_accepted(layout, inputs) else None


def is_accepted(layout, inputs):
    try:
        layout.check("test", inputs)
    except (ValueError, IndexError):
        return False
    return True


def samples(layout, count, seed=1):
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        inputs = random_inputs(layout, rng)
        found += [] if inputs is None else [inputs]
    return found


@pytest.mark.parametrize("op", OPS, ids=str)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_kernel_stays_inside_arrays_of_its_layout(op):
    kernel = base._numba_kernels[type(op)](op)
    # As Python, which knows the bounds. Negative indices do not fit into unsigned ones.
    for inputs in samples(op.layout, 60):
        if "compatible" in op.layout.names:
            inputs[op.layout.names.index("compatible")][:] = 1.0
        results = kernel(*inputs)
        # Compiled log densities do not look at what a kernel returns.
        results = results if isinstance(results, tuple) else (results,)
        shapes = op.infer_shape(None, [np.shape(x) for x in inputs])
        assert [np.shape(x) for x in results] == [tuple(shape) for shape in shapes]


def test_groups_of_tiny_weights_are_found_by_the_rows_alone():
    """Where groups begin and end is data, which a user's model may set to anything."""
    op = GroupMean(is_logit=True)
    kernel = base._numba_kernels[GroupMean](op)
    logit = np.array([-800.0, -801.0, 0.3, -900.0])
    member, group, v = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 2]), np.array([1.0, 2.0])
    right, wild = np.array([0, 2, 3, 4]), np.array([0, 10**9, -5, 7])
    inputs = [logit, v, np.empty(0), member, group]
    op.layout.check("test", [*inputs, wild])
    expected = kernel(*inputs, right)
    share = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(expected[0], [share + 2 * (1 - share), 1.0, 2.0])
    for one, other in zip(expected, kernel(*inputs, wild), strict=True):
        np.testing.assert_array_equal(one, other)


def changed(inputs, rng):
    """The same arrays, one of them with another length or with entries that lie elsewhere."""
    inputs = [np.array(x) for x in inputs]
    k = int(rng.choice([k for k, x in enumerate(inputs) if x.ndim]))
    if inputs[k].dtype.kind == "i" and inputs[k].size and rng.random() < 0.5:
        step = rng.choice([-(10**9), -3, -1, 1, 3, 10**6, 10**9])
        inputs[k][rng.integers(0, inputs[k].size)] += step
        return inputs
    axis = int(rng.integers(0, inputs[k].ndim))
    more = np.concatenate([inputs[k]] * 3, axis=axis)
    inputs[k] = np.take(more, np.arange(rng.integers(0, more.shape[axis] + 1)), axis=axis)
    return inputs


@pytest.mark.parametrize("op", [*OPS[::4], GroupMean(), UnitScore(), MultinomialLogit()], ids=str)
def test_compiled_test_of_the_layout_is_that_of_numpy(op):
    environment = {"kernel": numba.njit(lambda *_: True), "is_outside": numba.njit(is_outside)}
    exec(op.layout.numba_source("test"), environment)
    compiled = numba.njit(environment["checked"])
    rng, seen = np.random.default_rng(5), set()
    for inputs in samples(op.layout, 200):
        given = changed(inputs, rng)
        expected = is_accepted(op.layout, given)
        seen.add(expected)
        try:
            found = compiled(*given)
        except (ValueError, IndexError):
            found = False
        assert found == expected, [x.shape for x in given]
    assert False in seen


@pytest.mark.parametrize("op", OPS, ids=str)
def test_written_tests_of_the_layout_are_those_of_numpy(op):
    helpers = {"is_outside": is_outside, **op.layout.helpers}
    rng, seen = np.random.default_rng(6), set()
    names = [f"x{k}" for k in range(len(op.layout.names))]
    for inputs in samples(op.layout, 50):
        given = changed(inputs, rng)
        environment = {**dict(zip(names, given, strict=True)), **helpers, "int64": np.int64}
        lengths = [
            [f"int64({name}.shape[{d}])" for d in range(environment[name].ndim)] for name in names
        ]
        tests = op.layout.requirements(names, lengths, lambda name: name)
        equal, faults = tests.equal, [*tests.misfits, *tests.outside, *tests.unmet]
        found = all(eval(one, environment) == eval(other, environment) for one, other in equal)
        # Written with `|`: all are evaluated, whatever the others say.
        fault = any([eval(f"({text})", environment) for text in faults])
        assert (found and not fault) == is_accepted(op.layout, given), (equal, faults)
        seen.add(is_accepted(op.layout, given))
    assert False in seen


GOOD_TREE = ([-1, -1, 0, 1, 1], [2, 3], 3)
BAD_TREES = {
    "a parent that is a leaf": ([-1, -1, 0, 2, 1], [2, 3], 3),
    "no parent": ([-1, -1, 0, -1, 1], [2, 3], 3),
    "a parent far away": ([-1, -1, 0, 10**9, 1], [2, 3], 3),
    "a grandparent": ([-1, 0, 0, 1], [1, 1, 2], 2),
    "fewer units": (GOOD_TREE[0], [2, 2], 2),
    "more units": (GOOD_TREE[0], [2, 4], 4),
    "other leaves": (GOOD_TREE[0], [2, 3], 2),
    "negative sizes": (GOOD_TREE[0], [-1, 6], 6),
}


@pytest.mark.parametrize("name", BAD_TREES)
def test_units_of_a_level_have_parents_of_the_level_above(name):
    assert is_nested(*map(np.asarray, GOOD_TREE))
    assert not is_nested(*map(np.asarray, BAD_TREES[name]))


def test_every_op_of_the_package_has_a_layout():
    # Tests of other files have Ops of their own.
    kernels = {op for op in base._numba_kernels if op.__module__.startswith("pymc_mlm.")}
    assert kernels <= {type(op) for op in OPS} | {NestedGaussianLoglik}
    assert all(issubclass(kind, AbstractKernelOp) for kind in kernels)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
@pytest.mark.parametrize("member", [[0, 2], [0, -1], [0, 10**9]])
def test_op_with_a_wrong_index_raises_when_data_change(mode, member):
    held = pytensor.shared(np.array([0, 1]))
    v = pt.vector("v")
    total = ops.group_sum(np.ones(2), v, held, [0, 0], [0, 2]).sum()
    function = pytensor.function([v], [total, pt.grad(total, v)], mode=mode)
    np.testing.assert_allclose(function(np.array([1.0, 2.0]))[1], [1.0, 1.0])
    held.set_value(np.array(member))
    with pytest.raises(IndexError, match="GroupSum"):
        function(np.array([1.0, 2.0]))
    held.set_value(np.array([0]))
    with pytest.raises(ValueError, match="GroupSum"):
        function(np.array([1.0, 2.0]))


def test_source_of_a_kernel_is_in_its_cache_key():
    op = LinearPredictor()
    kernel = base._numba_kernels[LinearPredictor](op)
    version = base._checked_kernel(op, kernel)[1]
    assert version == base._checked_kernel(LinearPredictor(), kernel)[1]
    assert version != base._checked_kernel(op, is_nested)[1]  # of another module


def test_lengths_of_many_draws_are_compared_once():
    inputs = samples(GroupSum.layout, 1)[0]
    lengths_of.cache_clear()
    for _ in range(5):
        GroupSum.layout.check("test", inputs)
    assert lengths_of.cache_info().misses == 1
    with pytest.raises(ValueError, match=r"^test: .* has the length"):
        GroupSum.layout.check("test", [np.ones(len(inputs[0]) + 1), *inputs[1:]])


def test_layout_refuses_text_that_is_none():
    with pytest.raises(ValueError, match="no layout"):
        Layout("w[rows").check("test", [np.ones(1)])
