"""Fresh noise: the generator against published vectors, the numbers against the normal law, streams against each other.

Bounds on random numbers are five standard deviations, or a p-value of one in a million: with another seed each such
check would fail about once in a million times though nothing is wrong.
"""

from __future__ import annotations

from itertools import combinations, pairwise
from math import tau

import numpy as np
import pytest
from conftest import close
from numba import njit
from scipy import stats

from hwsim.operations import noise
from hwsim.operations.noise import Moment, Source, normals, perturb, perturb_each

ONE_IN_A_MILLION = 1e-6
N = 1 << 20
NO_GAIN = np.empty((0, 0), np.float32)
KEY, MOMENT = np.array([17, 4], np.uint32), (3, 2, 1)
KEYS = np.array([[17, 4], [18, 4]], np.uint32)
COUNTS = [1, 2, 3, 4, 5, 63, 1023, 1024, 1025, 2048, 3001]

Words = tuple[np.ndarray, ...]


def philox(counter: Words, key: tuple[int, int], rounds: int = 7) -> Words:
    """Philox4x32 as its paper has it (Salmon et al., SC 2011, section 3.3), on columns of counters."""
    low = np.uint64(0xFFFFFFFF)
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    k, m = key
    for _ in range(rounds):
        p, q = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (q >> np.uint64(32)) ^ b ^ np.uint64(k), q & low, (p >> np.uint64(32)) ^ d ^ np.uint64(m), p & low
        k, m = (k + 0x9E3779B9) % 2**32, (m + 0xBB67AE85) % 2**32
    return a, b, c, d


def expected(count: int, key: np.ndarray, moment: Moment) -> np.ndarray:
    """What `normals` should give, in float64: Box and Muller's transform of the words, in blocks of 1024 numbers."""
    found, first = [], 0
    for start in range(0, count, 1024):
        size = min(1024, count - start)
        m = -(-size // 4)
        w = philox((np.arange(first, first + m), *map(np.uint64, moment)), (int(key[0]), int(key[1])))
        radius = [np.sqrt(-2 * np.log((word + 0.5) / 2**32)) for word in (w[0], w[2])]
        turn = [word * (tau / 2**32) for word in (w[1], w[3])]
        parts = [r * f(t) for r, t in zip(radius, turn, strict=True) for f in (np.cos, np.sin)]
        found.append(np.concatenate(parts)[:size])
        first += m
    return np.concatenate(found)


def drawn(count: int = N, key: np.ndarray = KEY, moment: Moment = MOMENT, dtype: type = np.float32) -> np.ndarray:
    out = np.empty(count, dtype)
    normals(out, key, moment)
    return out


def spoilt(values: np.ndarray, additive: float = 0.0, multiplicative: float = 0.0, limit: float = 1e30) -> np.ndarray:
    out = values.copy()
    perturb(out, NO_GAIN, *map(np.float32, (additive, multiplicative, limit)), 1.0, KEYS[: len(out)], MOMENT)
    return out


# ---- the generator -------------------------------------------------------------------------------------------

# counter and key, and what "philox4x32 7" and "philox4x32 10" make of them, in kat_vectors of the Random123 library
# (Salmon et al., SC 2011)
ZEROS = "00000000 00000000 00000000 00000000", "00000000 00000000"
ONES = "ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff"
PI = "243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0"
VECTORS = [
    (7, *ZEROS, "5f6fb709 0d893f64 4f121f81 4f730a48"),
    (7, *ONES, "5207ddc2 45165e59 4d8ee751 8c52f662"),
    (7, *PI, "4dfccaba 190a87f0 c47362ba b6b5242a"),
    (10, *ZEROS, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    (10, *ONES, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    (10, *PI, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


_philox = noise.philox.compiled


@njit
def compiled_philox(c, k):  # type: ignore[no-untyped-def]
    return _philox(c[0], c[1], c[2], c[3], k[0], k[1])


def words(text: str) -> np.ndarray:
    return np.array([int(word, 16) for word in text.split()], np.uint32)


@pytest.mark.parametrize(("rounds", "counter", "key", "output"), VECTORS)
def test_philox_gives_the_published_vectors(rounds: int, counter: str, key: str, output: str) -> None:
    reference = philox(tuple(words(counter)), (int(words(key)[0]), int(words(key)[1])), rounds)
    np.testing.assert_array_equal(reference, words(output))
    if rounds == 7:
        np.testing.assert_array_equal(compiled_philox(words(counter), words(key)), words(output))


@pytest.mark.parametrize("count", COUNTS)
def test_numbers_are_box_and_mullers_of_philox(count: int) -> None:
    np.testing.assert_allclose(drawn(count), expected(count, KEY, MOMENT), rtol=2e-6, atol=2e-6)


def test_numbers_are_right_at_the_ends_of_the_words() -> None:
    ends = [0, 1, 2, 2**29 - 1, 2**29, 2**30, 2**31 - 1, 2**31, 3 * 2**30, 2**32 - 2**10, 2**32 - 2, 2**32 - 1]
    radii, turns = (part.ravel() for part in np.meshgrid(np.array(ends, np.uint32), np.array(ends, np.uint32)))
    x, y = np.empty(radii.size, np.float32), np.empty(radii.size, np.float32)
    noise._box_muller(radii, turns, x, y)
    radius = np.sqrt(-2 * np.log((radii + 0.5) / 2**32))
    # next to u = 1 a float32 resolves u to 2^-24, hence the radius to 2^-11.5
    np.testing.assert_allclose(x, radius * np.cos(turns * (tau / 2**32)), rtol=3e-6, atol=2**-11.5)
    np.testing.assert_allclose(y, radius * np.sin(turns * (tau / 2**32)), rtol=3e-6, atol=2**-11.5)
    assert np.abs(x).max() == close(6.7637, rel=1e-4)  # √(66 ln 2): no number is larger


# ---- the law -------------------------------------------------------------------------------------------------


def test_the_first_four_moments_are_those_of_the_normal_law() -> None:
    found = drawn().astype(np.float64)
    for power, (mean, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        assert abs((found**power).mean() - mean) < 5 * np.sqrt(variance / N), power


def test_the_distribution_is_normal() -> None:
    assert stats.kstest(drawn(), "norm").pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("beyond", [3.0, 4.0])
def test_tails_are_as_heavy_as_they_should_be(beyond: float) -> None:
    found, each = drawn(4 * N), stats.norm.sf(beyond)
    for tail in (found > beyond, found < -beyond):
        assert stats.binomtest(int(tail.sum()), 4 * N, each).pvalue > ONE_IN_A_MILLION


# ---- streams -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lag", [1, 2, 3, 255, 256, 257, 512, 768, 1024, 4096])
def test_numbers_of_a_stream_do_not_hang_together(lag: int) -> None:
    """Cosine and sine of a pair are 256 apart in a full block, the two pairs of a counter 512."""
    found = drawn()
    first, second = found[:-lag], found[lag:]
    for left, right in ((first, second), (first**2, second**2), (np.abs(first), second)):
        assert abs(np.corrcoef(left, right)[0, 1]) < 5 / np.sqrt(N)


STREAMS: list[tuple[tuple[int, int], Moment]] = [
    ((17, 4), (3, 2, 1)),
    ((18, 4), (3, 2, 1)),
    ((17, 5), (3, 2, 1)),
    ((17, 4), (4, 2, 1)),
    ((17, 4), (3, 3, 1)),
    ((17, 4), (3, 2 | 1 << 16, 1)),
    ((17, 4), (3, 2 | 1 << 32, 1)),
    ((17, 4), (3, 2 | 1 << 48, 1)),
    ((17, 4), (3, 2, 2)),
    ((4, 17), (3, 2, 1)),
    ((17, 4), (1, 2, 3)),
]


def test_other_keys_and_moments_give_independent_streams() -> None:
    count = 1 << 16
    found = [drawn(count, np.array(key, np.uint32), moment) for key, moment in STREAMS]
    for left, right in combinations(found, 2):
        assert not np.any(left[:100] == right[:100])
        assert abs(np.corrcoef(left, right)[0, 1]) < 5 / np.sqrt(count)
        assert abs(np.corrcoef(left**2, right**2)[0, 1]) < 5 / np.sqrt(count)


def test_no_part_of_a_stream_stands_in_the_next_one() -> None:
    found = np.concatenate([drawn(1 << 14, moment=(step, 0, 0)) for step in range(8)])
    pairs = np.stack([found[:-1], found[1:]], 1).view(np.uint64)  # two equal pairs by chance: once in 10⁵ such tests
    assert len(np.unique(pairs)) == len(pairs)


def test_a_longer_stream_begins_with_the_full_blocks_of_a_shorter_one() -> None:
    lengths = [1024, 2048, 5000]
    for shorter, longer in pairwise(map(drawn, lengths)):
        full = len(shorter) // 1024 * 1024
        assert shorter[:full].tobytes() == longer[:full].tobytes()


@pytest.mark.parametrize("rows", [1, 2, 3, 8, 60, 120])
def test_a_stream_does_not_hang_on_how_it_is_dealt_out_to_vectors(rows: int) -> None:
    whole = spoilt(np.zeros((2, 1, 2400), np.float32), additive=1)
    parts = spoilt(np.zeros((2, rows, 2400 // rows), np.float32), additive=1)
    assert parts.tobytes() == whole.tobytes()
    for chip in range(2):
        np.testing.assert_array_equal(whole[chip, 0], drawn(2400, KEYS[chip]))


def test_a_chips_numbers_do_not_hang_on_how_many_chips_there_are() -> None:
    one, three = (Source(5, "layer 1 tanh", chips).draw(50, (1, 2, 3)) for chips in (1, 3))
    assert three.shape == (3, 50)
    assert one[0].tobytes() == three[0].tobytes()
    assert not any(np.any(left == right) for left, right in combinations(three, 2))


def test_a_source_is_known_by_its_seed_and_name() -> None:
    first = Source(5, "layer 1 tanh", 1)
    assert first.keys.tobytes() == Source(5, "layer 1 tanh", 1).keys.tobytes()
    for other in (Source(6, "layer 1 tanh", 1), Source(5, "layer 2 tanh", 1)):
        assert not np.any(first.draw(50, (0, 0, 0)) == other.draw(50, (0, 0, 0)))


def test_each_use_of_a_unit_has_a_moment_of_its_own() -> None:
    source = Source(5, "layer 1 tanh", 1)
    places = [(clock, batch, sweep, clock % 3) for batch in (1, 2) for sweep in (1, 2) for clock in range(9 * sweep)]
    moments = [source.moment(*place) for place in places for _ in range(3)]
    assert len(set(moments)) == len({place[1:] for place in places}) * 3
    again = Source(5, "layer 1 tanh", 1)
    assert [again.moment(*place) for place in places for _ in range(3)] == moments


def test_no_use_of_a_unit_has_the_moment_of_another_sweep() -> None:
    """A word of the counter has 32 bits for sweeps and uses together: what does not fit is not lost."""
    source = Source(5, "layer 1 tanh", 1)
    uses = [source.moment(1, 1, 0, 3) for _ in range((1 << 16) + 2)]
    sweeps = [1, 2, 3, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 1 << 17, 1 << 20, (1 << 32) - 1]
    firsts = [source.moment(clock, 1, sweep, 3) for clock, sweep in enumerate(sweeps, 2)]
    assert len({*uses, *firsts}) == len(uses) + len(firsts)
    numbers = [source.draw(8, moment)[0] for moment in [*uses[:2], *uses[-2:], *firsts]]
    for left, right in combinations(numbers, 2):
        assert not np.any(left == right)  # of 78 pairs of 8 numbers one is equal by chance once in 10⁴ such tests


def test_the_upper_half_of_a_moment_is_in_the_key() -> None:
    for upper in (1, 1 << 15, 1 << 16, (1 << 31) - 1):
        found = drawn(5, moment=(3, 2 | upper << 32, 1))
        np.testing.assert_array_equal(found, drawn(5, KEY ^ np.array([upper, 0], np.uint32), (3, 2, 1)))


# batch, sweep, step, use, and what is drawn there
GOLDEN = [
    (1, 1, 0, 0, [-0.12340831, 0.33422387, -0.80424821, 0.73173016]),
    (1, 1, 0, 1, [-1.1378192, -0.092038147, -0.92267221, 1.3142018]),
    (3, 2, 97, 0, [-0.64657599, -0.48561537, 0.58641779, -0.95694387]),
    (3, 65_535, 97, 0, [0.55915838, 0.11090938, -1.2580014, -1.4631065]),
    (3, 65_535, 97, 1, [-1.0122854, -0.40746129, 0.23475991, -0.73254967]),
    (2000, 7, 12, 0, [-1.4932668, -0.9942264, -1.3343842, -1.0828654]),
]


@pytest.mark.parametrize(("batch", "sweep", "step", "use", "numbers"), GOLDEN)
def test_noise_is_what_it_has_been(batch: int, sweep: int, step: int, use: int, numbers: list[float]) -> None:
    source = Source(5, "layer 1 tanh", 1)
    moment = [source.moment(1, batch, sweep, step) for _ in range(use + 1)][-1]
    np.testing.assert_allclose(source.draw(4, moment)[0], numbers, rtol=1e-6)


def test_a_run_can_go_on_from_any_step() -> None:
    source = Source(5, "layer 1 tanh", 1)
    before = [source.moment(clock, 1, 1, clock) for clock in range(10)]
    late = Source(5, "layer 1 tanh", 1)
    assert [late.moment(clock + 77, 1, 1, clock) for clock in range(6, 10)] == before[6:]


# ---- noise on values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_are_the_same_in_either_precision(dtype: type) -> None:
    found = drawn(3001, dtype=dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, drawn(3001))
    noisy = spoilt(np.ones((1, 3, 7), dtype), additive=0.5)
    assert noisy.dtype == dtype
    np.testing.assert_allclose(noisy.ravel(), 1 + 0.5 * drawn(21), rtol=1e-6)


def test_nothing_is_drawn_without_noise() -> None:
    values = np.random.default_rng(1).normal(size=(2, 40, 50)).astype(np.float32)
    values[:, :9] = -0.0  # which loses its sign when anything is added
    assert spoilt(values).tobytes() == values.tobytes()
    zeros = np.zeros_like(values)
    assert spoilt(zeros, multiplicative=0.3).tobytes() == zeros.tobytes()
    perturb_each(zeros, np.zeros_like(values), np.float32(0), np.float32(1), KEYS, MOMENT)
    assert not zeros.any()


def test_noise_is_drawn_for_each_value_by_its_own_deviation() -> None:
    values = np.random.default_rng(2).normal(size=(2, 30, 50)).astype(np.float32)
    draws = np.stack([drawn(1500, key) for key in KEYS]).reshape(values.shape)
    for additive, multiplicative in ((0.3, 0), (0, 0.2), (0.3, 0.2)):
        deviation = np.sqrt(additive**2 + (multiplicative * values) ** 2)
        found = spoilt(values, additive, multiplicative)
        np.testing.assert_allclose(found, values + deviation * draws, rtol=1e-5, atol=1e-6)
    variances, each = np.abs(values) + 0.1, values.copy()
    perturb_each(each, variances, np.float32(0.3), np.float32(1e30), KEYS, MOMENT)
    np.testing.assert_allclose(each, values + np.sqrt(0.3**2 + variances) * draws, rtol=1e-5, atol=1e-6)


def test_frozen_gains_multiply_before_noise_is_added() -> None:
    values = np.ones((2, 3, 4), np.float32)
    gains = np.linspace(0.5, 1.5, 8, dtype=np.float32).reshape(2, 4)
    exact = values.copy()
    perturb(exact, gains, *map(np.float32, (0, 0, 10)), 1.0, KEYS, MOMENT)
    np.testing.assert_array_equal(exact, np.broadcast_to(gains[:, None], values.shape))
    noisy = values.copy()
    perturb(noisy, gains, *map(np.float32, (0, 0.1, 10)), 1.0, KEYS, MOMENT)
    np.testing.assert_allclose(noisy, spoilt(exact, multiplicative=0.1), rtol=1e-6)


def test_what_is_beyond_the_limit_is_clipped_and_counted() -> None:
    values = np.array([-3, -1.01, -1, -0.5, 0, 0.99, 1, 1.01, 7], np.float32).reshape(1, 1, 9)
    for act in (
        lambda v: perturb(v, NO_GAIN, *map(np.float32, (0, 0, 1)), 1.0, KEYS, MOMENT),
        lambda v: perturb_each(v, np.zeros_like(v), *map(np.float32, (0, 1)), KEYS, MOMENT),
    ):
        clipped = values.copy()
        assert act(clipped) == 4
        np.testing.assert_array_equal(clipped, np.clip(values, -1, 1))
    noisy = np.zeros((2, 300, 100), np.float32)
    beyond = perturb(noisy, NO_GAIN, *map(np.float32, (1, 0, 2)), 1.0, KEYS, MOMENT)
    assert beyond == np.count_nonzero(np.abs(noisy) == 2)
    assert stats.binomtest(beyond, noisy.size, 2 * stats.norm.sf(2)).pvalue > ONE_IN_A_MILLION


def test_noise_and_limits_are_shares_of_the_full_scale_of_each_chip() -> None:
    scales, moment = np.array([0.25, 3.0]), (3, 2, 1)
    both = np.random.default_rng(3).normal(size=(2, 30, 50)).astype(np.float32)
    alone = both.copy()
    beyond = perturb(both, NO_GAIN, 0.1, 0.05, 1.5, scales, KEYS, moment)
    shares = [(alone[c : c + 1], NO_GAIN, 0.1 * x, 0.05, 1.5 * x, 1.0, KEYS[c : c + 1]) for c, x in enumerate(scales)]
    assert beyond == sum(perturb(*each, moment) for each in shares) > 0
    np.testing.assert_array_equal(both, alone)


def test_what_is_not_a_number_stays_so() -> None:
    values = np.array([[[np.nan, np.inf, -np.inf]]], np.float32)
    for additive in (0, 1):
        found = values.copy()
        assert perturb(found, NO_GAIN, *map(np.float32, (additive, 0, 4)), 1.0, KEYS, MOMENT) == 2
        np.testing.assert_array_equal(found, [[[np.nan, 4, -4]]])


def test_values_that_could_not_be_changed_in_place_are_refused() -> None:
    for values in (np.zeros((1, 4, 3), np.float32).swapaxes(1, 2), np.zeros((1, 4, 6), np.float32)[:, :, ::2]):
        with pytest.raises(ValueError, match="contiguous"):
            perturb(values, NO_GAIN, *map(np.float32, (1, 0, 1)), 1.0, KEYS, MOMENT)
        with pytest.raises(ValueError, match="contiguous"):
            perturb_each(values, np.ones_like(values), *map(np.float32, (1, 1)), KEYS, MOMENT)
