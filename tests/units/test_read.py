"""What a read does to values: products in parts, and what inputs draw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.operations.noise import Source, of_chips
from hwsim.units import read
from hwsim.units.devices import Cut


def test_a_product_in_parts_is_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of full parts, of a last one that overlaps the one before it, and of inputs that are summed in two or three."""
    monkeypatch.setattr(read, "_takes_as_they_lie", lambda: True)
    draw = np.random.default_rng(0)
    for chips, vectors, n, outputs in (
        (1, 32, 256, 256), (2, 64, 200, 130), (1, 16, 449, 200), (2, 32, 900, 65), (1, 128, 1024, 80),
        (1, 7, 1500, 333), (1, 2000, 448, 100),
    ):  # fmt: skip
        x = draw.normal(size=(chips, vectors, n)).astype(np.float32)
        weights = draw.normal(size=(chips, n, outputs)).astype(np.float32)
        expected = np.matmul(x.astype(float), weights)
        np.testing.assert_allclose(read.product(x, weights), expected, atol=1e-6 * n)


@given(st.integers(1, 5000))
def test_parts_of_inputs_are_all_of_them(n: int) -> None:
    """None is longer than what BLAS sums at once, and none but the last ends within a register."""
    parts = []
    while n > sum(parts):
        parts.append(read._summed(n - sum(parts)))
    assert sum(parts) == n
    assert max(parts) <= read._DEEP
    assert all(part % read._STEP == 0 for part in parts[:-1])


def test_reads_draw_the_same_whether_devices_are_noisy_or_not() -> None:
    draw = np.random.default_rng(1)
    x, weights = draw.normal(size=(2, 9, 30)).astype(np.float32), draw.normal(size=(2, 30, 5)).astype(np.float32)
    cut = Cut(slice(0, 30), weights, weights**2, draw.uniform(1e-6, 1e-4, (2, 30)).astype(np.float32))
    scale, source = np.array([0.5, 2.0]), Source(1, "read", 2)
    args = cut, x, scale, of_chips(0.0), of_chips(1.5), source, (0, 0, 0)
    quiet, noisy = read.READ.values(False, *args), read.READ.values(True, *args)
    expected = ((x.astype(float) / scale[:, None, None]) ** 2 * cut.conductance[:, None]).sum((1, 2))
    np.testing.assert_allclose(quiet[1], expected, rtol=1e-5)
    np.testing.assert_array_equal(quiet[1], noisy[1])
    assert (np.abs(quiet[0]) <= 1.5).all()
    assert quiet[2] == (np.abs(np.matmul(x, weights)) > 1.5).sum() > 0


@pytest.mark.parametrize("small", [0, 10**6])
@pytest.mark.parametrize("noisy", [False, True])
def test_a_read_is_a_product_with_noise_of_its_stream(small: int, noisy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one kernel where it is small, and step by step: σ² is that of outputs and Σ x² s of devices; then clipped."""
    monkeypatch.setattr(read, "_SMALL", small)
    draw = np.random.default_rng(2)
    for chips, vectors, n, outputs in ((1, 1, 9, 4), (1, 32, 64, 32), (4, 33, 7, 1), (3, 8, 1, 5)):
        x = draw.normal(size=(chips, vectors, n)).astype(np.float32)
        weights, root = draw.normal(size=(2, chips, n, outputs)).astype(np.float32)
        cut = Cut(slice(0, n), weights, root**2, np.ones((chips, n), np.float32))
        ends, source, moment = (of_chips(np.full(chips, 0.1)), of_chips(2.0)), Source(1, "read", chips), (3, 2, 1)
        y, _, beyond = read.READ.values(noisy, cut, x, 1.0, *ends, source, moment)
        normal = source.draw(vectors * outputs, moment).reshape(y.shape)
        variance = 0.1**2 + noisy * np.matmul(x.astype(float) ** 2, root**2)
        expected = np.matmul(x.astype(float), weights) + np.sqrt(variance) * normal
        np.testing.assert_allclose(y, np.clip(expected, -2, 2), rtol=1e-4, atol=1e-5)
        assert beyond == (np.abs(expected) > 2).sum()
