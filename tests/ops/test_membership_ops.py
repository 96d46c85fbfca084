"""Laws of the Ops of multiple membership: each equals its plain definition, on every backend."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad

from pymc_mlm import ops

GROUPS, MEMBERS, ROWS = 7, 5, 23


@pytest.fixture
def ragged(rng):
    """Rows of a ragged membership in which the last group and one member have no row."""
    group = np.sort(rng.integers(0, GROUPS - 1, ROWS))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=GROUPS))])
    return {
        "group": group,
        "indptr": indptr,
        "member": rng.integers(0, MEMBERS - 1, ROWS),
        "w": rng.normal(size=ROWS),
        "v": rng.normal(size=MEMBERS),
    }


def dense_sum(w, v, member, group, num_groups):
    return np.array(
        [
            sum(w[k] * v[member[k]] for k in range(len(w)) if group[k] == g)
            for g in range(num_groups)
        ]
    )


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_group_sum_equals_dense_sum(ragged, mode):
    r = ragged
    out = ops.group_sum(r["w"], r["v"], r["member"], r["group"], r["indptr"]).eval(mode=mode)
    expected = dense_sum(r["w"], r["v"], r["member"], r["group"], GROUPS)
    np.testing.assert_allclose(out, expected, atol=1e-14)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_group_sum_gradient_equals_finite_differences(ragged, rng, mode):
    r = ragged
    verify_grad(
        lambda w, v: ops.group_sum(w, v, r["member"], r["group"], r["indptr"]),
        [r["w"], r["v"]],
        rng=rng,
        mode=mode,
    )


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_group_softmax_sums_to_one_at_huge_logarithms(ragged, mode):
    log_raw = 1e4 * ragged["w"]
    p = ops.group_softmax(log_raw, ragged["group"], ragged["indptr"]).eval(mode=mode)
    sums = np.bincount(ragged["group"], weights=p, minlength=GROUPS)
    np.testing.assert_allclose(sums[np.diff(ragged["indptr"]) > 0], 1.0, atol=1e-12)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_group_softmax_gradient_equals_finite_differences(ragged, rng, mode):
    verify_grad(
        lambda r: ops.group_softmax(r, ragged["group"], ragged["indptr"]),
        [ragged["w"]],
        rng=rng,
        mode=mode,
    )


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_linear_predictor_gradient_equals_finite_differences(rng, mode):
    X = rng.normal(size=(6, 3))
    verify_grad(lambda b: ops.linear_predictor(X, b), [rng.normal(size=3)], rng=rng, mode=mode)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_censored_weibull_gradient_equals_finite_differences(rng, mode):
    time, event = rng.exponential(size=6), np.array([1.0, 0, 1, 1, 0, 1])
    verify_grad(
        lambda eta, a: ops.censored_weibull_logp(eta, a, time, event),
        [rng.normal(size=6), np.array(1.3)],
        rng=rng,
        mode=mode,
    )


PAIRS = {
    "group_sum": (ops.group_sum, ops.reference_group_sum),
    "group_softmax": (ops.group_softmax, ops.reference_group_softmax),
    "linear_predictor": (ops.linear_predictor, ops.reference_linear_predictor),
    "censored_weibull": (ops.censored_weibull_logp, ops.reference_censored_weibull_logp),
}


def arguments(name, ragged, rng):
    """Free arguments and constants of each Op."""
    r = ragged
    return {
        "group_sum": ([r["w"], r["v"]], [r["member"], r["group"], r["indptr"]]),
        "group_softmax": ([r["w"]], [r["group"], r["indptr"]]),
        "linear_predictor": ([rng.normal(size=3)], []),
        "censored_weibull": ([rng.normal(size=4), np.array(0.7)], []),
    }[name]


def value_and_gradients(function, name, free, constants, mode):
    variables = [pt.as_tensor(x).type() for x in free]
    if name == "linear_predictor":
        X = np.arange(12.0).reshape(4, 3)
        out = function(X, *variables)
    elif name == "censored_weibull":
        out = function(*variables, np.array([1.0, 2.0, 0.5, 3.0]), np.array([1.0, 0.0, 1.0, 1.0]))
    else:
        out = function(*variables, *constants)
    total = (out * pt.arange(1, out.shape[0] + 1)).sum()
    compiled = pytensor.function(variables, [out, *pt.grad(total, variables)], mode=mode)
    return [np.asarray(x) for x in compiled(*free)]


@pytest.mark.parametrize("name", PAIRS)
def test_op_equals_its_plain_graph_in_value_and_gradient(name, ragged, rng):
    free, constants = arguments(name, ragged, rng)
    op, reference = PAIRS[name]
    ours = value_and_gradients(op, name, free, constants, "FAST_COMPILE")
    plain = value_and_gradients(reference, name, free, constants, "FAST_COMPILE")
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", PAIRS)
def test_jax_equals_python_in_value_and_gradient(name, ragged, rng):
    pytest.importorskip("jax")
    ops.register_jax()
    free, constants = arguments(name, ragged, rng)
    python = value_and_gradients(PAIRS[name][0], name, free, constants, "FAST_COMPILE")
    jax = value_and_gradients(PAIRS[name][0], name, free, constants, "JAX")
    for a, b in zip(python, jax, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_second_derivative_of_the_fused_op_names_the_plain_graph():
    eta, a = pt.dvector("eta"), pt.dscalar("a")
    out = ops.censored_weibull_logp(eta, a, np.ones(3), np.ones(3)).sum()
    gradient = pt.grad(out, eta)
    with pytest.raises(NotImplementedError, match="reference_censored_weibull_logp"):
        pt.grad(gradient.sum(), a)


def mean_inputs(r, rng):
    log_raw = rng.normal(size=ROWS)
    log_raw[3] = -np.inf
    return log_raw, r["v"], rng.normal(size=ROWS), r["member"], r["group"], r["indptr"]


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
@pytest.mark.parametrize("without", ["nothing", "members", "rows"])
def test_group_mean_is_the_sum_with_softmax_weights(ragged, rng, mode, without):
    log_raw, v, per_row, member, group, indptr = mean_inputs(ragged, rng)
    p = ops.group_softmax(log_raw, group, indptr).eval(mode="FAST_COMPILE")
    of_members = 0.0 * per_row if without == "members" else v[member]
    of_rows = 0.0 * per_row if without == "rows" else per_row
    expected = np.bincount(group, weights=p * (of_members + of_rows), minlength=GROUPS)
    v = np.zeros(0) if without == "members" else v
    per_row = np.zeros(0) if without == "rows" else per_row
    out = ops.group_mean(log_raw, v, per_row, member, group, indptr).eval(mode=mode)
    np.testing.assert_allclose(out, expected, atol=1e-14)
    assert out[-1] == 0.0  # the last group has no rows


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_group_mean_gradient_equals_finite_differences(ragged, rng, mode):
    log_raw, v, per_row, *indices = mean_inputs(ragged, rng)
    log_raw[3] = 0.3
    verify_grad(
        lambda x, y, z: ops.group_mean(x, y, z, *indices), [log_raw, v, per_row], rng=rng, mode=mode
    )
    none = np.zeros(0)
    verify_grad(lambda x, z: ops.group_mean(x, none, z, *indices), [log_raw, per_row], rng=rng)
    verify_grad(lambda x, y: ops.group_mean(x, y, none, *indices), [log_raw, v], rng=rng)


def of_logits(z, *args):
    """Return the mean with logistic weights, and what stands for it where nothing is detected."""
    hidden = -pt.switch(pt.isnan(z), 0.0, pt.softplus(-z))
    return ops.group_mean(-pt.softplus(-z), *args), ops.group_mean(hidden, *args)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
@pytest.mark.parametrize("scale", [1.0, 30.0, 2000.0])
def test_weights_that_are_logistic_functions_have_the_means_of_their_logarithms(
    ragged, rng, mode, scale
):
    """Also where all weights of a group are too small for a number, and where they are one."""
    z, v, per_row, member, group, indptr = mean_inputs(ragged, rng)
    z = scale * np.where(group % 2, -abs(np.nan_to_num(z, neginf=0.1)), rng.normal(size=ROWS))
    x, y, r = pt.dvectors("x", "y", "r")
    outputs = []
    for mean in of_logits(x, y, r, member, group, indptr):
        outputs += [mean, *pt.grad(pt.sum(mean**2), [x, y, r])]
    found = pytensor.function([x, y, r], outputs, mode=mode)(z, v, per_row)
    for ours, theirs in zip(found[:4], found[4:], strict=True):
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_logistic_weights_are_detected_and_others_are_not(ragged, rng):
    _, *args = mean_inputs(ragged, rng)
    x = pt.dvector()
    detected, hidden = of_logits(x, *args)
    assert detected.owner.op.is_logit
    assert not hidden.owner.op.is_logit
    assert not ops.group_mean(pt.softplus(-x), *args).owner.op.is_logit
    assert not ops.group_mean(-pt.exp(-x), *args).owner.op.is_logit


def test_gradient_of_logistic_weights_equals_finite_differences(ragged, rng):
    z, v, per_row, *indices = mean_inputs(ragged, rng)
    z[3] = 0.3
    verify_grad(
        lambda x, y, r: of_logits(x, y, r, *indices)[0], [z, v, per_row], rng=rng, mode="NUMBA"
    )


def test_logistic_weights_on_jax_equal_numpy(ragged, rng):
    pytest.importorskip("jax")
    ops.register_jax()
    z, v, per_row, *indices = mean_inputs(ragged, rng)
    z[3] = 0.3
    x = pt.dvector()
    total = pt.sum(of_logits(x, v, per_row, *indices)[0] ** 2)
    one, other = (
        pytensor.function([x], [total, pt.grad(total, x)], mode=mode)(z)
        for mode in ("JAX", "FAST_COMPILE")
    )
    for ours, theirs in zip(one, other, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_group_mean_equals_its_plain_graph_and_survives_huge_logarithms(ragged, rng):
    args = mean_inputs(ragged, rng)
    expected = ops.reference_group_mean(*args).eval(mode="FAST_COMPILE")
    np.testing.assert_allclose(ops.group_mean(*args).eval(mode="NUMBA"), expected, atol=1e-14)
    huge = ops.group_mean(1e4 * args[0], *args[1:]).eval(mode="NUMBA")
    assert np.isfinite(huge).all()


def test_group_mean_on_jax_equals_numpy(ragged, rng):
    pytest.importorskip("jax")
    ops.register_jax()
    log_raw, v, per_row, *indices = mean_inputs(ragged, rng)
    log_raw[3] = 0.3
    x, y, z = pt.dvector(), pt.dvector(), pt.dvector()
    total = pt.sum(ops.group_mean(x, y, z, *indices) ** 2)
    outputs = [total, *pt.grad(total, [x, y, z])]
    for mode in ("JAX", "FAST_COMPILE"):
        values = pytensor.function([x, y, z], outputs, mode=mode)(log_raw, v, per_row)
        if mode == "JAX":
            first = values
    for one, other in zip(first, values, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)
