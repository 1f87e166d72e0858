"""A bank of analog circuits: what is frozen stays, what is fresh does not, and both are as large as they should be."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from scipy import stats

from hwsim.units.function import Bank
from hwsim.units.multiplier import pairs

ONE_IN_A_MILLION = 1e-6
SCALE = 4.0


def bank(
    name: str = "layer 1 tanh",
    chips: int = 2,
    instances: tuple[int, ...] = (50,),
    mismatch: float = 0.0,
    gain_noise: float = 0.0,
    noise: float = 0.0,
    seed: int = 3,
    **kinds: Any,
) -> Bank:
    return Bank(seed, name, chips, instances, mismatch, gain_noise, noise, **kinds)


def used(made: Bank, values: np.ndarray, step: int = 0, full_scale: float = SCALE) -> np.ndarray:
    """What leaves the bank at a step."""
    out = values.copy()
    made.spoil(out, full_scale, (step, 1 << 16, 1))
    return out


def ones(vectors: int = 6, chips: int = 2, n: int = 50, value: float = 1.0) -> np.ndarray:
    return np.full((chips, vectors, n), value, np.float32)


def test_a_perfect_bank_changes_nothing() -> None:
    values = np.random.default_rng(1).uniform(-SCALE, SCALE, (2, 6, 50)).astype(np.float32)
    assert used(bank(), values).tobytes() == values.tobytes()


def test_mismatch_is_the_same_in_every_use_and_for_every_vector() -> None:
    made = bank(mismatch=0.05)
    first = used(made, ones(), step=0)
    assert used(made, ones(), step=1).tobytes() == first.tobytes()
    assert (first == first[:, :1]).all()
    np.testing.assert_array_equal(first[:, 0], made.gains)
    np.testing.assert_allclose(used(made, ones(value=-0.5)), -0.5 * first, rtol=1e-6)


def test_gains_are_normal_about_one() -> None:
    gains = bank(mismatch=0.05, instances=(20_000,)).gains.astype(np.float64)
    assert stats.kstest((gains.ravel() - 1) / 0.05, "norm").pvalue > ONE_IN_A_MILLION


def test_a_bank_twice_as_bad_has_the_same_circuits_twice_as_far_off() -> None:
    good, bad = (bank(mismatch=mismatch).gains for mismatch in (0.01, 0.02))
    np.testing.assert_allclose(bad - 1, 2 * (good - 1), atol=2e-7)


def test_chips_banks_and_seeds_have_gains_of_their_own() -> None:
    others = {"seed": 4}, {"name": "layer 2 tanh"}
    found = [*bank(mismatch=0.05, instances=(10_000,)).gains]
    found += [bank(mismatch=0.05, instances=(10_000,), **other).gains[0] for other in others]
    for left, right in combinations(found, 2):
        assert abs(np.corrcoef(left, right)[0, 1]) < 5 / 100


def test_gains_of_a_chip_do_not_hang_on_how_many_chips_there_are() -> None:
    np.testing.assert_array_equal(bank(mismatch=0.05, chips=1).gains[0], bank(mismatch=0.05, chips=5).gains[0])


def test_gains_that_are_inside_what_makes_the_outputs_are_not_applied_again() -> None:
    made = bank(mismatch=0.05, instances=(4, 25), apply=False)
    assert made.gains.shape == (2, 4, 25)
    assert made.gains.std() > 0.03
    assert used(made, ones()).tobytes() == ones().tobytes()


def test_noise_is_another_in_every_use_for_every_vector_and_on_every_chip() -> None:
    made = bank(noise=0.01, instances=(1000,))
    first, second = (used(made, ones(2, n=1000), step) - 1 for step in (0, 1))
    parts = [*first.reshape(4, 1000), *second.reshape(4, 1000)]
    for left, right in combinations(parts, 2):
        assert abs(np.corrcoef(left, right)[0, 1]) < 5 / np.sqrt(1000)
    assert used(made, ones(2, n=1000), 0).tobytes() == (first + 1).tobytes()  # the same moment again


def test_noise_is_a_share_of_full_scale() -> None:
    made = bank(noise=0.01)
    for full_scale in (4.0, 16.0):
        for value in (0.0, 2.0):
            found = used(made, ones(1000, value=value), full_scale=full_scale).astype(np.float64)
            assert stats.kstest((found.ravel() - value) / (0.01 * full_scale), "norm").pvalue > ONE_IN_A_MILLION


def test_gain_noise_is_a_share_of_the_value() -> None:
    made = bank(gain_noise=0.02)
    assert not used(made, ones(value=0)).any()
    for value in (0.5, -3.0):
        found = used(made, ones(1000, value=value), full_scale=1e3).astype(np.float64)
        assert stats.kstest((found.ravel() - value) / (0.02 * abs(value)), "norm").pvalue > ONE_IN_A_MILLION


def test_both_kinds_of_noise_add_in_squares() -> None:
    found = used(bank(gain_noise=0.02, noise=0.01), ones(2000, value=2)).astype(np.float64)
    low, high = stats.chi2.ppf([5e-7, 1 - 5e-7], found.size) / found.size
    expected = (0.02 * 2) ** 2 + (0.01 * SCALE) ** 2
    assert low * expected < ((found - 2) ** 2).mean() < high * expected


def test_outputs_saturate_at_full_scale_and_are_counted() -> None:
    values = np.array([-5, -4, -3, 0, 4, 4.5, 9, 1], np.float32).reshape(1, 2, 4)
    found = values.copy()
    assert bank(chips=1, instances=(4,)).spoil(found, SCALE, (0, 0, 0)) == 3
    np.testing.assert_array_equal(found, np.clip(values, -4, 4))


# ---- multipliers of modes ------------------------------------------------------------------------------------


def test_each_mode_has_its_own_two_by_two_matrix() -> None:
    draw = np.random.default_rng(5)
    m, x = draw.normal(size=(3, 4, 6)).astype(np.float32), draw.normal(size=(3, 7, 12)).astype(np.float32)
    squares = m.reshape(3, 2, 2, 6).astype(np.float64)
    expected = np.einsum("cijn,cvnj->cvni", squares, x.reshape(3, 7, 6, 2)).reshape(x.shape)
    np.testing.assert_allclose(pairs(m, x), expected, rtol=1e-5, atol=1e-6)


def test_the_matrix_of_a_complex_factor_multiplies_by_it() -> None:
    draw = np.random.default_rng(6)
    factor, x = (draw.normal(size=(1, n)) + 1j * draw.normal(size=(1, n)) for n in (5, 5))
    m = np.stack([factor.real, -factor.imag, factor.imag, factor.real], 1)
    found = pairs(m, np.stack([x.real, x.imag], -1).reshape(1, 1, 10))
    np.testing.assert_allclose(found.view(np.complex128)[0], factor * x, rtol=1e-12)


@pytest.mark.parametrize("shape", [(1, 4, 6), (2, 3, 6), (2, 4, 5), (2, 4, 7), (2, 4, 1)])
def test_matrices_that_do_not_match_the_signal_are_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="do not match"):
        pairs(np.ones(shape, np.float32), np.ones((2, 3, 12), np.float32))


def test_modes_are_pairs_of_wires() -> None:
    with pytest.raises(ValueError, match="do not match"):
        pairs(np.ones((1, 4, 1), np.float32), np.ones((1, 1, 3), np.float32))
