"""Laws of the collapsed nested Gaussian: the dense multivariate normal, at the units' cost."""

import importlib.util
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from pytensor.gradient import verify_grad
from scipy import stats

from pymc_mlm.data.nesting import nest
from pymc_mlm.data.sufficient import leaf_moments
from pymc_mlm.ops import register_jax
from pymc_mlm.ops.correlation import partials_to_cholesky
from pymc_mlm.ops.nested_gaussian import (
    NestedGaussianLoglik,
    NestedStatistics,
    nested_gaussian_loglik,
    reference_nested_gaussian,
)
from pymc_mlm.ops.nested_gaussian_draws import draw_effects

needs_jax = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is missing")


@dataclass(frozen=True)
class Case:
    """Rows of an unbalanced design, their statistics, and a point of the parameter space."""

    X: np.ndarray
    y: np.ndarray
    codes: list  # unit of each row, one array per level
    statistics: NestedStatistics
    point: tuple  # beta, sd, partial, sigma

    def at(self, **changes):
        names = ("beta", "sd", "partial", "sigma")
        return tuple(changes.get(k, v) for k, v in zip(names, self.point, strict=True))


def make_case(num_levels, p, extra=0, seed=1):
    rng = np.random.default_rng(seed)
    sizes = (3, 7, 16)[3 - num_levels :]
    parents = [
        np.r_[np.arange(sizes[k]), rng.integers(0, sizes[k], sizes[k + 1] - sizes[k])]
        for k in range(num_levels - 1)
    ]
    unit = np.r_[np.arange(sizes[-1]), rng.integers(0, sizes[-1], 24)]
    X = np.column_stack([np.ones(40), rng.normal(size=(40, p + extra - 1))])
    ids = {f"level{num_levels - 1}": unit}
    for k in reversed(range(num_levels - 1)):
        unit = parents[k][unit]
        ids[f"level{k}"] = unit
    y = 5 + X @ rng.normal(size=p + extra) + rng.normal(size=40)
    order = rng.permutation(40)
    ids = {name: values[order] for name, values in ids.items()}
    point = (
        rng.normal(size=p + extra),
        np.exp(rng.normal(size=(num_levels, p))),
        rng.uniform(-0.9, 0.9, (num_levels, p * (p - 1) // 2)),
        np.asarray(1.3),
    )
    varying = rng.permutation(p + extra)[:p]
    return case_of(X, y, ids, sorted(ids), varying, point)


def case_of(X, y, ids, levels, varying, point):
    nesting = nest(ids, levels)
    m = leaf_moments(X, y, nesting.leaf, nesting.sizes[-1])
    statistics = NestedStatistics(
        m.xx,
        m.xy,
        np.asarray(m.yy),
        np.asarray(m.n),
        m.center,
        varying,
        nesting.tree,
        nesting.sizes,
    )
    return Case(X, y, [nesting.codes(level) for level in levels], statistics, point)


DESIGNS = [(1, 1, 0), (1, 2, 1), (2, 2, 2), (3, 3, 0), (3, 3, 2)]


@pytest.fixture(params=DESIGNS, ids=lambda d: "{}_levels_{}_varying_{}_fixed".format(*d))
def case(request):
    return make_case(*request.param)


def covariance_root(sd, partial):
    return sd[..., None] * partials_to_cholesky(partial, sd.shape[-1])


def dense_loglik(case, beta, sd, partial, sigma):
    Z = case.X[:, case.statistics.varying]
    covariance = sigma**2 * np.eye(len(case.y))
    for codes, root in zip(case.codes, covariance_root(sd, partial), strict=True):
        covariance += (codes[:, None] == codes) * (Z @ root @ root.T @ Z.T)
    return stats.multivariate_normal(case.X @ beta, covariance).logpdf(case.y)


def central_differences(f, x, step=1e-5):
    out = np.empty(x.shape)
    for k in np.ndindex(x.shape):
        shift = np.zeros(x.shape)
        shift[k] = step
        out[k] = (f(x + shift) - f(x - shift)) / (2 * step)
    return out


def compiled(mode, loglik=nested_gaussian_loglik, statistics=None):
    """Compile value and gradients; data are inputs unless given as constants."""
    parameters = [pt.vector("beta"), pt.matrix("sd"), pt.matrix("partial"), pt.scalar("sigma")]
    data = [x.type() for x in map(pt.as_tensor, make_case(2, 2).statistics)]
    data = [pt.TensorType(x.dtype, shape=(None,) * x.ndim)() for x in data]
    given = NestedStatistics(*data) if statistics is None else statistics
    value = loglik(*parameters, given)
    outputs = [value, *pytensor.grad(value, parameters, disconnected_inputs="ignore")]
    return pytensor.function(parameters + (data if statistics is None else []), outputs, mode=mode)


@pytest.fixture(scope="module")
def kernel():
    return compiled("NUMBA")


@pytest.fixture(scope="module")
def definition():
    return compiled("FAST_COMPILE")


def assert_all_close(results, expected, rtol, atol=0.0):
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=rtol, atol=atol)


def test_the_value_is_that_of_a_dense_multivariate_normal(case, kernel):
    value = kernel(*case.point, *case.statistics)[0]
    np.testing.assert_allclose(value, dense_loglik(case, *case.point), rtol=1e-10)


def test_gradients_are_finite_differences_of_the_dense_form(case, kernel):
    _, *gradients = kernel(*case.point, *case.statistics)
    for k, gradient in enumerate(gradients):

        def vary_one(x, k=k):
            return dense_loglik(case, *case.point[:k], x, *case.point[k + 1 :])

        # Second order differences with steps of 1e-5 of a value of some 100: eight digits.
        expected = central_differences(vary_one, case.point[k])
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6)


def test_numba_and_numpy_agree(case, kernel, definition):
    inputs = (*case.point, *case.statistics)
    assert_all_close(kernel(*inputs), definition(*inputs), rtol=1e-10, atol=1e-10)


def test_the_plain_graph_is_the_same_function(kernel):
    case = make_case(3, 2, 1)
    reference = compiled("FAST_COMPILE", reference_nested_gaussian, case.statistics)
    expected = kernel(*case.point, *case.statistics)
    assert_all_close(reference(*case.point), expected, rtol=1e-9, atol=1e-10)


@needs_jax
def test_jax_and_numba_agree(kernel):
    register_jax()
    case = make_case(3, 2, 1)
    jax = compiled("JAX", statistics=case.statistics)
    expected = kernel(*case.point, *case.statistics)
    assert_all_close(jax(*case.point), expected, rtol=1e-9, atol=1e-10)


@needs_jax
def test_jax_asks_for_constant_sizes():
    register_jax()
    case = make_case(1, 1)
    with pytest.raises(NotImplementedError, match="freeze_dims_and_data"):
        compiled("JAX")(*case.point, *case.statistics)


@pytest.mark.parametrize("mode", ["FAST_COMPILE", "NUMBA"])
def test_the_declared_gradient_passes_verify_grad(mode, rng):
    case = make_case(2, 2, 1)
    verify_grad(
        lambda *parameters: nested_gaussian_loglik(*parameters, case.statistics),
        list(case.point),
        rng=rng,
        mode=mode,
    )


def test_value_and_gradient_are_one_node(kernel):
    nodes = kernel.maker.fgraph.toposort()
    assert [type(node.op) for node in nodes] == [NestedGaussianLoglik]


def test_second_derivatives_point_to_the_plain_graph():
    case = make_case(1, 1)
    beta = pt.vector("beta")
    value = nested_gaussian_loglik(beta, *case.point[1:], case.statistics)
    slope = pytensor.grad(value, beta)[0]
    with pytest.raises(NotImplementedError, match="reference_nested_gaussian"):
        pytensor.grad(slope, beta)


@pytest.mark.parametrize("tiny", [0.0, 1e-12, 1e-6, 1e-3])
@pytest.mark.parametrize("backend", ["kernel", "definition"])
def test_a_vanishing_sd_is_exact_and_its_gradient_finite(backend, tiny, request):
    case = make_case(3, 3, 1)
    sd = case.point[1].copy()
    sd[1], sd[2, 1] = tiny, tiny
    point = case.at(sd=sd)
    value, *gradients = request.getfixturevalue(backend)(*point, *case.statistics)
    np.testing.assert_allclose(value, dense_loglik(case, *point), rtol=1e-10)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_a_gradient_at_a_vanishing_sd_is_that_of_the_dense_form(kernel):
    case = make_case(2, 2)
    sd = case.point[1].copy()
    sd[0, 1] = 1e-4
    gradient = kernel(*case.at(sd=sd), *case.statistics)[2]
    expected = central_differences(lambda x: dense_loglik(case, *case.at(sd=x)), sd)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("z", [1.0, -1.0, 1 - 1e-12])
@pytest.mark.parametrize("backend", ["kernel", "definition"])
def test_a_perfect_correlation_is_exact_and_its_gradient_finite(backend, z, request):
    case = make_case(2, 2)
    point = case.at(partial=np.array([[z], [0.3]]))
    value, *gradients = request.getfixturevalue(backend)(*point, *case.statistics)
    np.testing.assert_allclose(value, dense_loglik(case, *point), rtol=1e-10)
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_a_column_that_does_not_vary_at_a_level_is_an_sd_of_zero(kernel):
    case = make_case(2, 3)
    sd, partial = case.point[1].copy(), case.point[2].copy()
    sd[0, 0] = 0.0
    partial[0] = [0.0, 0.0, -0.6]  # only columns 1 and 2 vary, and correlate by -0.6
    value = kernel(*case.at(sd=sd, partial=partial), *case.statistics)[0]
    root = covariance_root(sd[0, 1:], np.array([-0.6]))
    Z = case.X[:, case.statistics.varying]
    covariance = 1.3**2 * np.eye(len(case.y))
    covariance += (case.codes[0][:, None] == case.codes[0]) * (
        Z[:, 1:] @ root @ root.T @ Z[:, 1:].T
    )
    root = covariance_root(sd[1], partial[1])
    covariance += (case.codes[1][:, None] == case.codes[1]) * (Z @ root @ root.T @ Z.T)
    expected = stats.multivariate_normal(case.X @ case.point[0], covariance).logpdf(case.y)
    np.testing.assert_allclose(value, expected, rtol=1e-10)


# The kernel factors J itself; the NumPy, JAX and plain graph forms invert I + SJ, whose condition
# number is 10^10 here. A difference such as J - JVJ would leave the kernel six digits.
@pytest.mark.parametrize(("backend", "rtol"), [("kernel", 1e-12), ("definition", 1e-5)])
def test_much_information_per_leaf_costs_the_kernel_no_digits(backend, rtol, request):
    case = make_case(2, 2)
    point = case.at(sigma=np.asarray(1e-3), sd=np.full((2, 2), 100.0))
    value, _, dsd, *_ = request.getfixturevalue(backend)(*point, *case.statistics)
    exact_value, exact_dsd = rational_dense_form(case, *point)
    np.testing.assert_allclose(value, exact_value, rtol=rtol)
    np.testing.assert_allclose(dsd, exact_dsd, rtol=rtol)


fractions = np.vectorize(lambda x: Fraction(float(x)), otypes=[object])


def rational_dense_form(case, beta, sd, partial, sigma):
    """Return value and sd gradient of the dense form, in rational arithmetic but for the log."""
    Z, sd = fractions(case.X[:, case.statistics.varying]), fractions(sd)
    C = fractions(partials_to_cholesky(partial, sd.shape[1]))
    same = [fractions(codes[:, None] == codes) for codes in case.codes]
    V = fractions(np.eye(len(case.y))) * Fraction(float(sigma)) ** 2
    for level, root in enumerate(sd[..., None] * C):
        V = V + same[level] * (Z @ root @ root.T @ Z.T)
    inverse, determinant = gauss_jordan(V)
    residual = fractions(case.y) - fractions(case.X) @ fractions(beta)
    a = inverse @ residual
    logdet = math.log(determinant.numerator) - math.log(determinant.denominator)
    value = -0.5 * (len(a) * math.log(2 * math.pi) + logdet + float(residual @ a))
    score = np.outer(a, a) - inverse  # twice the gradient in V
    pairs = zip(sd, C, same, strict=True)
    dsd = [np.diag(c @ c.T @ np.diag(s) @ Z.T @ (score * both) @ Z) for s, c, both in pairs]
    return value, np.array(dsd).astype(float)


def gauss_jordan(V):
    """Return inverse and determinant of a positive definite matrix of fractions."""
    V, determinant = V.copy(), Fraction(1)
    for k in range(len(V)):
        determinant *= V[k, k]
        pivot, V[k, k] = V[k, k], Fraction(1)
        V[k] = V[k] / pivot
        others = np.arange(len(V)) != k
        factor, V[others, k] = V[others, k].copy(), Fraction(0)
        V[others] = V[others] - np.outer(factor, V[k])
    return V, determinant


def test_row_order_and_unit_names_do_not_matter(kernel, rng):
    case = make_case(2, 2)
    order = rng.permutation(len(case.y))
    rename = rng.permutation(100)
    ids = {f"level{k}": rename[codes[order]] for k, codes in enumerate(case.codes)}
    other = case_of(
        case.X[order], case.y[order], ids, sorted(ids), case.statistics.varying, case.point
    )
    expected = kernel(*case.point, *case.statistics)
    assert_all_close(kernel(*other.point, *other.statistics), expected, rtol=1e-9, atol=1e-9)


def test_a_leaf_without_rows_changes_nothing(kernel):
    case = make_case(2, 2)
    s = case.statistics
    wider = s._replace(
        xx=np.concatenate([s.xx, np.zeros((1, 2, 2))]),
        xy=np.concatenate([s.xy, np.zeros((1, 2))]),
        parent=np.append(s.parent, 0),
        sizes=s.sizes + np.array([0, 1]),
    )
    expected = kernel(*case.point, *s)
    assert_all_close(kernel(*case.point, *wider), expected, rtol=1e-12, atol=1e-12)


def deviation_design(case):
    """Return the design of all own deviations, (row, unit * p), and the level of each unit."""
    Z = case.X[:, case.statistics.varying]
    units = [(level, unit) for level, c in enumerate(case.codes) for unit in range(c.max() + 1)]
    columns = [Z * (case.codes[level] == unit)[:, None] for level, unit in units]
    return np.hstack(columns), [level for level, _ in units]


def block_diagonal(blocks):
    count, p = len(blocks), blocks.shape[1]
    out = np.zeros((count, p, count, p), dtype=blocks.dtype)
    out[np.arange(count), :, np.arange(count)] = blocks
    return out.reshape(count * p, count * p)


def dense_moments(case):
    """Return mean and covariance of all own deviations, outermost level first, given y."""
    beta, sd, partial, sigma = case.point
    A, level_of = deviation_design(case)
    root = covariance_root(sd, partial)
    precision = block_diagonal(np.linalg.inv(root @ root.mT)[level_of]) + A.T @ A / sigma**2
    covariance = np.linalg.inv(precision)
    return covariance @ A.T @ (case.y - case.X @ beta) / sigma**2, covariance


def repeat_point(case, draws):
    return tuple(np.broadcast_to(x, (draws, *x.shape)) for x in case.point)


@pytest.mark.parametrize("design", [(1, 1, 0), (3, 2, 1)])
def test_draws_have_the_dense_conditional_moments(design, rng):
    case, draws = make_case(*design), 20_000
    effects = draw_effects(*repeat_point(case, draws), case.statistics, rng)
    flat = np.concatenate([level.reshape(draws, -1) for level in effects], axis=1)
    mean, covariance = dense_moments(case)
    sd = np.sqrt(np.diag(covariance))
    # Seeded; up to some 50 coordinates, whose largest deviation is about 2.5 standard errors.
    assert np.max(np.abs(flat.mean(0) - mean) / sd) < 4 / np.sqrt(draws)
    correlation_error = (np.cov(flat.T) - covariance) / np.outer(sd, sd)
    assert np.max(np.abs(correlation_error)) < 5 / np.sqrt(draws)


def test_draws_do_not_vary_where_the_sd_is_zero(rng):
    case = make_case(2, 2)
    sd = case.point[1].copy()
    sd[0, 1] = 0.0
    beta, _, partial, sigma = repeat_point(case, 7)
    effects = draw_effects(
        beta, np.broadcast_to(sd, (7, 2, 2)), partial, sigma, case.statistics, rng
    )
    np.testing.assert_array_equal(effects[0][..., 1], 0.0)
    assert np.all(effects[0][..., 0] != 0.0)


def test_chunks_of_draws_are_joined_in_order(rng, monkeypatch):
    monkeypatch.setattr("pymc_mlm.ops.nested_gaussian_draws.CHUNK_NUMBERS", 300)
    case = make_case(2, 2)
    beta, sd, partial, sigma = repeat_point(case, 10)
    sd = sd * np.where(np.arange(10) == 6, 0.0, 1.0)[:, None, None]
    effects = draw_effects(beta, sd, partial, sigma, case.statistics, rng)
    vanished = [np.all(level == 0.0, axis=(1, 2)) for level in effects]
    np.testing.assert_array_equal(vanished, [np.arange(10) == 6] * 2)
