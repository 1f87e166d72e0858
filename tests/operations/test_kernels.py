"""Compiled kernels against plain NumPy: bit for bit where nothing is summed, closely where something is."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hwsim.operations import kernels
from hwsim.operations.sparse import Connected

DTYPES = [np.float32, np.float64]
SHAPES = [(1, 1, 2), (1, 3, 6), (3, 1, 4), (2, 5, 8), (4, 2, 34)]
FEW = [(1, 1, 1), (1, 1, 2), (2, 3, 5), (1, 4, 64), (3, 2, 33)]

every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_shape = pytest.mark.parametrize("shape", SHAPES)


def draw(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    """Normal numbers over a few orders of magnitude."""
    rng = np.random.default_rng([seed, *shape])
    return (rng.normal(size=shape) * 10.0 ** rng.integers(-3, 3, size=shape)).astype(dtype)


def same(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    assert found.tobytes() == np.ascontiguousarray(expected).tobytes()


def by_parts(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """Real and imaginary parts side by side."""
    return np.stack([real, imaginary], -1).reshape(*real.shape[:-1], -1)


# ---- coefficients on signals ---------------------------------------------------------------------------------


@every_dtype
@every_shape
def test_bias_adds(shape: tuple[int, int, int], dtype: type) -> None:
    b, x = draw((shape[0], 1, shape[2]), dtype, 1), draw(shape, dtype)
    same(kernels.bias(b, x), x + b)


@every_dtype
@every_shape
def test_gain_multiplies(shape: tuple[int, int, int], dtype: type) -> None:
    g, x = draw((shape[0], 1, shape[2]), dtype, 1), draw(shape, dtype)
    same(kernels.gain(g, x), g * x)


@every_dtype
@every_shape
def test_mode_gain_multiplies_both_wires_of_a_mode(shape: tuple[int, int, int], dtype: type) -> None:
    g, x = draw((shape[0], 1, shape[2] // 2), dtype, 1), draw(shape, dtype)
    same(kernels.mode_gain(g, x), np.repeat(g, 2, -1) * x)


@every_dtype
@every_shape
def test_diagonal_is_complex_multiplication(shape: tuple[int, int, int], dtype: type) -> None:
    d, x = draw((shape[0], 1, shape[2]), dtype, 1), draw(shape, dtype)
    p, q, y, z = d[..., ::2], d[..., 1::2], x[..., ::2], x[..., 1::2]
    same(kernels.diagonal(d, x), by_parts(p * y - q * z, p * z + q * y))


@every_dtype
@every_shape
def test_conjugate_diagonal_multiplies_by_the_conjugates(shape: tuple[int, int, int], dtype: type) -> None:
    d, x = draw((shape[0], 1, shape[2]), dtype, 1), draw(shape, dtype)
    p, q, y, z = d[..., ::2], d[..., 1::2], x[..., ::2], x[..., 1::2]
    same(kernels.conjugate_diagonal(d, x), by_parts(p * y + q * z, p * z - q * y))


def test_the_diagonals_are_numpys_complex_products() -> None:
    d, x = draw((2, 1, 8), np.float64, 1), draw((2, 3, 8), np.float64)
    whole = d.view(np.complex128) * x.view(np.complex128)
    np.testing.assert_allclose(kernels.diagonal(d, x).view(np.complex128), whole, rtol=1e-12, atol=1e-12)
    whole = d.view(np.complex128).conj() * x.view(np.complex128)
    np.testing.assert_allclose(kernels.conjugate_diagonal(d, x).view(np.complex128), whole, rtol=1e-12, atol=1e-12)


# ---- signals with signals ------------------------------------------------------------------------------------


@every_dtype
@every_shape
def test_complex_multiply_is_the_product(shape: tuple[int, int, int], dtype: type) -> None:
    x, y = draw(shape, dtype), draw(shape, dtype, 1)
    a, b, c, d = x[..., ::2], x[..., 1::2], y[..., ::2], y[..., 1::2]
    same(kernels.complex_multiply(x, y), by_parts(a * c - b * d, a * d + b * c))


@every_dtype
@every_shape
def test_conjugate_multiply_is_the_product_with_the_second_conjugated(shape: tuple[int, int, int], dtype: type) -> None:
    x, y = draw(shape, dtype), draw(shape, dtype, 1)
    a, b, c, d = x[..., ::2], x[..., 1::2], y[..., ::2], y[..., 1::2]
    same(kernels.conjugate_multiply(x, y), by_parts(a * c + b * d, b * c - a * d))


@every_dtype
@every_shape
def test_pair_dot_and_pair_cross_are_its_parts(shape: tuple[int, int, int], dtype: type) -> None:
    x, y = draw(shape, dtype), draw(shape, dtype, 1)
    both = kernels.conjugate_multiply(x, y)
    same(kernels.pair_dot(x, y), both[..., ::2])
    same(kernels.pair_cross(x, y), both[..., 1::2])


@every_dtype
def test_products_take_bundles(dtype: type) -> None:
    x, y = draw((2, 3, 4, 6), dtype), draw((2, 3, 4, 6), dtype, 1)
    for kernel in (kernels.complex_multiply, kernels.conjugate_multiply):
        same(kernel(x, y), kernel(x.reshape(2, 12, 6), y.reshape(2, 12, 6)).reshape(x.shape))


@every_dtype
@pytest.mark.parametrize("shape", [*SHAPES, (2, 3, 4, 5)])
def test_relu_is_the_larger_of_x_and_zero(shape: tuple[int, ...], dtype: type) -> None:
    x = draw(shape, dtype)
    same(kernels.relu(x), np.where(x < 0, dtype(0), x))


@every_dtype
@pytest.mark.parametrize("shape", [*SHAPES, (2, 3, 4, 5)])
def test_gate_passes_x_where_the_other_is_positive(shape: tuple[int, ...], dtype: type) -> None:
    x, by = draw(shape, dtype), draw(shape, dtype, 1)
    by.ravel()[0] = 0
    same(kernels.gate(x, by), np.where(by > 0, x, dtype(0)))


@every_dtype
def test_what_is_not_a_number_stays_so(dtype: type) -> None:
    x = np.array([[[np.nan, np.inf, -np.inf, -0.0]]], dtype)
    np.testing.assert_array_equal(kernels.relu(x), np.array([[[np.nan, np.inf, 0, 0]]], dtype))
    assert np.isnan(kernels.gate(x, np.ones_like(x))[0, 0, 0])
    assert np.isnan(kernels.bias(np.ones((1, 1, 4), dtype), x)[0, 0, 0])


# ---- sums within a vector ------------------------------------------------------------------------------------

CLOSE = {np.float32: 1e-6, np.float64: 1e-14}


@every_dtype
@pytest.mark.parametrize("shape", FEW)
def test_softmax_is_what_numpy_gives(shape: tuple[int, int, int], dtype: type) -> None:
    x = np.clip(draw(shape, dtype), -20, 20)
    wide = x.astype(np.float64)
    powers = np.exp(wide - wide.max(-1, keepdims=True))
    found = kernels.softmax(x)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, powers / powers.sum(-1, keepdims=True), rtol=20 * CLOSE[dtype], atol=CLOSE[dtype])
    np.testing.assert_allclose(found.sum(-1, dtype=np.float64), 1, rtol=10 * CLOSE[dtype])


@every_dtype
def test_softmax_of_large_numbers_is_finite(dtype: type) -> None:
    x = np.array([[[1000.0, 1000.0, -1000.0]]], dtype)
    np.testing.assert_array_equal(kernels.softmax(x), np.array([[[0.5, 0.5, 0]]], dtype))


def standardised(x: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    wide = x.astype(np.float64)
    scale = 1 / np.sqrt(wide.var(-1, keepdims=True) + epsilon)
    return (wide - wide.mean(-1, keepdims=True)) * scale, scale


@every_dtype
@pytest.mark.parametrize("shape", FEW)
def test_standardise_is_what_numpy_gives(shape: tuple[int, int, int], dtype: type) -> None:
    x = np.random.default_rng(5).normal(2, 3, shape).astype(dtype)
    found, scale = kernels.standardise(x, 1e-6)
    expected, by = standardised(x, 1e-6)
    assert found.dtype == scale.dtype == dtype
    np.testing.assert_allclose(scale, by, rtol=10 * CLOSE[dtype])
    np.testing.assert_allclose(found, expected, rtol=10 * CLOSE[dtype], atol=CLOSE[dtype])


def test_standardise_keeps_its_sums_in_float64() -> None:
    x = (1000 + np.random.default_rng(6).normal(size=(1, 2, 4000))).astype(np.float32)  # float32 sums lose 1e-4 here
    np.testing.assert_allclose(kernels.standardise(x, 1e-6)[0], standardised(x, 1e-6)[0], atol=1e-6)


@every_dtype
@pytest.mark.parametrize("shape", FEW)
def test_standardise_error_is_what_numpy_gives(shape: tuple[int, int, int], dtype: type) -> None:
    rng = np.random.default_rng(7)
    e, x = rng.normal(size=shape).astype(dtype), rng.normal(2, 3, shape).astype(dtype)
    y, scale = kernels.standardise(x, 1e-6)
    wide, v = e.astype(np.float64), y.astype(np.float64)
    expected = (wide - wide.mean(-1, keepdims=True) - v * (wide * v).mean(-1, keepdims=True)) * scale
    found = kernels.standardise_error(e, y, scale)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=20 * CLOSE[dtype], atol=CLOSE[dtype] * max(1, scale.max()))


@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 0.3])
@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 3, 5), (1, 2, 16)])
def test_standardise_error_is_the_slope_of_standardise(shape: tuple[int, int, int], epsilon: float) -> None:
    rng, h = np.random.default_rng(8), 1e-5
    e, x = rng.normal(size=shape), rng.normal(2, 3, shape)
    y, scale = kernels.standardise(x, epsilon)
    slope = np.empty(shape)
    for place in np.ndindex(shape):
        change = np.zeros(shape)
        change[place] = h
        up, down = kernels.standardise(x + change, epsilon)[0], kernels.standardise(x - change, epsilon)[0]
        slope[place] = ((up - down) * e).sum() / (2 * h)
    np.testing.assert_allclose(kernels.standardise_error(e, y, scale), slope, atol=1e-8)


@every_dtype
@every_shape
def test_add_rows_adds_vectors_in_order(shape: tuple[int, int, int], dtype: type) -> None:
    x, sums = draw(shape, dtype), draw((shape[0], shape[2]), dtype, 1)
    expected = sums.copy()
    for vector in x.swapaxes(0, 1):
        expected = expected + vector
    kernels.add_rows(sums, x)
    same(sums, expected)


# ---- what is refused -----------------------------------------------------------------------------------------

APPLIED = [kernels.bias, kernels.gain, kernels.diagonal, kernels.conjugate_diagonal]
PAIRED = [kernels.complex_multiply, kernels.conjugate_multiply, kernels.pair_dot, kernels.pair_cross, kernels.gate]


@pytest.mark.parametrize("shape", [(1, 1, 6), (2, 3, 6), (2, 1, 4), (2, 1, 8), (3, 1, 6)])
@pytest.mark.parametrize("kernel", APPLIED)
def test_coefficients_have_one_row_a_chip_of_the_signals_width(
    kernel: Callable[..., np.ndarray], shape: tuple[int, int, int]
) -> None:
    with pytest.raises(ValueError, match="coefficients do not match"):
        kernel(np.ones(shape), np.ones((2, 3, 6)))


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (2, 1, 6), (2, 1, 2)])
def test_a_mode_gain_has_one_number_a_mode(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="coefficients do not match"):
        kernels.mode_gain(np.ones(shape), np.ones((2, 3, 6)))


@pytest.mark.parametrize("shape", [(1, 3, 6), (2, 1, 6), (2, 3, 2), (2, 3, 1)])
@pytest.mark.parametrize("kernel", PAIRED)
def test_operands_have_one_shape(kernel: Callable[..., np.ndarray], shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="different shapes"):
        kernel(np.ones((2, 3, 6)), np.ones(shape))


def test_standardise_error_needs_a_scale_for_each_vector() -> None:
    e = np.ones((2, 3, 6))
    with pytest.raises(ValueError, match="different shapes"):
        kernels.standardise_error(e, np.ones((2, 3, 5)), np.ones((2, 3, 1)))
    for shape in ((2, 1, 1), (2, 3, 6), (1, 3, 1)):
        with pytest.raises(ValueError, match="scales do not match"):
            kernels.standardise_error(e, e, np.ones(shape))


@pytest.mark.parametrize("shape", [(1, 6), (2, 5), (3, 6)])
def test_sums_have_the_width_of_what_is_added(shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="sums do not match"):
        kernels.add_rows(np.zeros(shape), np.ones((2, 3, 6)))


@pytest.mark.parametrize(
    "kernel",
    [
        lambda: kernels.mode_gain(np.ones((1, 1, 1)), np.ones((1, 1, 3))),
        lambda: kernels.diagonal(np.ones((1, 1, 3)), np.ones((1, 1, 3))),
        lambda: kernels.conjugate_diagonal(np.ones((1, 1, 3)), np.ones((1, 1, 3))),
        lambda: kernels.complex_multiply(np.ones((1, 1, 3)), np.ones((1, 1, 3))),
        lambda: kernels.conjugate_multiply(np.ones((1, 1, 3)), np.ones((1, 1, 3))),
        lambda: kernels.pair_dot(np.ones((1, 1, 3)), np.ones((1, 1, 3))),
        lambda: kernels.pair_cross(np.ones((1, 1, 3)), np.ones((1, 1, 3))),
    ],
)
def test_modes_are_pairs_of_wires(kernel: Callable[[], np.ndarray]) -> None:
    with pytest.raises(ValueError, match="even number of wires"):
        kernel()


@pytest.mark.parametrize("kernel", [kernels.relu, lambda x: kernels.complex_multiply(x, x)])
def test_the_layout_of_operands_changes_nothing(kernel: Callable[..., np.ndarray]) -> None:
    x = draw((2, 3, 4), np.float32)
    same(kernel(np.asfortranarray(x)), kernel(x))


# ---- sparse matrices -----------------------------------------------------------------------------------------


def connected(shape: tuple[int, int, int], dtype: type, rows: int = 7) -> tuple[Connected, np.ndarray]:
    """A sparse matrix that takes vectors of this shape, and the dense one that it stands for."""
    chips, _, columns = shape
    rng, fan_in = np.random.default_rng(5), max(1, columns // 2)
    places = np.stack([rng.permutation(columns)[:fan_in] for _ in range(rows)])
    weights, dense = draw((chips, rows, fan_in), dtype, 2), np.zeros((chips, rows, columns), dtype)
    for chip, i, k in np.ndindex(*weights.shape):
        dense[chip, i, places[i, k]] = weights[chip, i, k]
    return Connected(weights, places[None], columns), dense


def near(found: np.ndarray, expected: np.ndarray, dtype: type) -> None:
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=10 * CLOSE[dtype] * np.abs(expected).max())


@every_dtype
@pytest.mark.parametrize("shape", FEW)
def test_products_with_a_sparse_matrix_are_those_of_the_dense_one(shape: tuple[int, int, int], dtype: type) -> None:
    (matrix, dense), x = connected(shape, dtype), draw(shape, dtype)
    e = draw((*shape[:2], dense.shape[1]), dtype, 3)
    near(kernels.sparse_product(matrix, x), x @ dense.swapaxes(1, 2), dtype)
    near(kernels.sparse_transposed_product(matrix, e), e @ dense, dtype)


@every_dtype
@pytest.mark.parametrize("shape", FEW)
def test_sparse_outer_products_are_the_dense_ones_at_the_connections(shape: tuple[int, int, int], dtype: type) -> None:
    (matrix, dense), x = connected(shape, dtype), draw(shape, dtype)
    e = draw((*shape[:2], dense.shape[1]), dtype, 3)
    sums = matrix.weights.copy()
    kernels.add_sparse_outer(sums, matrix.places, e, x, matrix.columns)
    outer = e.swapaxes(1, 2) @ x
    expected = matrix.weights + np.take_along_axis(outer, np.repeat(matrix.places, len(outer), 0), 2)
    near(sums, expected, dtype)


@pytest.mark.parametrize(("rows", "columns"), [(7, 5), (6, 6)])
def test_connections_that_do_not_match_a_signal_are_refused(rows: int, columns: int) -> None:
    matrix, _ = connected((1, 1, 6), np.float64)
    x, e = np.ones((1, 1, columns)), np.ones((1, 1, rows))
    with pytest.raises(ValueError, match="do not match"):
        kernels.add_sparse_outer(matrix.weights.copy(), matrix.places, e, x, matrix.columns)
    with pytest.raises(ValueError, match="do not match"):
        kernels.sparse_product(matrix, x if columns == 5 else np.ones((2, 1, 6)))
    with pytest.raises(ValueError, match="do not match"):
        kernels.sparse_transposed_product(matrix, np.ones((1, 1, 6)))


# ---- what is compiled is kept ----------------------------------------------------------------------------------------


def test_a_kernel_that_is_found_by_a_link_is_kept_with_its_file(tmp_path: Path) -> None:
    """So that copies of the program made of links compile nothing again."""
    file, link = tmp_path / "file" / "doubling.py", tmp_path / "link" / "doubling.py"
    for path in (file, link):
        path.parent.mkdir()
    file.write_text("from hwsim.operations.kernels import compiled\n\n\n@compiled\ndef double(x):\n    return 2 * x\n")
    link.symlink_to(file)
    found = importlib.util.spec_from_file_location("doubling", link)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    assert Path(module.__file__) == link
    assert Path(module.double.compiled.py_func.__code__.co_filename) == file.resolve()
