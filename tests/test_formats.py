"""Number formats against all their values: the nearest one, the even one of two that are equally near."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import formats
from hwsim.formats import Format, parse

FLOATS = ["float16", "bfloat16"]
FIXED = [(2, 0), (2, 1), (8, 0), (8, 4), (8, 7), (12, 11), (16, 12), (24, 0), (24, 23)]
WIDE = [(25, 10), (32, 0), (32, 16), (32, 31)]

every_float = pytest.mark.parametrize("name", FLOATS)
every_fixed = pytest.mark.parametrize(("bits", "fraction"), FIXED + WIDE)


def rounded(form: Format, x: np.ndarray) -> np.ndarray:
    """What a unit of this format makes of x."""
    assert form.round is not None
    found = form.round(x)
    assert found.dtype == x.dtype == form.dtype
    assert found.shape == x.shape
    return found


def fixed(bits: int, fraction: int) -> Format:
    return parse(f"fixed<{bits},{fraction}>")


def positive_values(name: str) -> np.ndarray:
    """All finite values of a format from zero up, exactly, in the order of their bit patterns."""
    patterns = np.arange(1 << 15, dtype=np.uint16)
    if name == "float16":
        found = patterns.view(np.float16).astype(np.float32)
    else:
        found = (patterns.astype(np.uint32) << 16).view(np.float32)
    return found[np.isfinite(found)].astype(np.float64)


def spread_over(name: str, count: int = 200_000) -> np.ndarray:
    """Numbers of both signs over the whole range of a format, subnormal ones included, and beyond its smallest."""
    draw, values = np.random.default_rng(3), positive_values(name)
    exponents = draw.uniform(np.log2(values[1]) - 3, np.log2(values[-1]) - 1e-3, count)
    return (np.exp2(exponents) * draw.choice([-1, 1], count)).astype(np.float32)


@every_float
def test_the_ends_of_a_floating_point_format(name: str) -> None:
    form, values = parse(name), positive_values(name)
    assert (form.smallest, form.largest) == (values[1], values[-1])
    for end in (form.smallest, form.largest, -form.largest):
        assert form.nearest(end) == end
    assert form.nearest(form.smallest * 0.4) == 0


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_the_ends_of_a_native_format(name: str) -> None:
    form, kind = parse(name), np.dtype(name).type
    assert kind(form.smallest) == np.nextafter(kind(0), kind(1))
    assert kind(form.largest) == np.nextafter(kind(np.inf), kind(0))
    assert form.nearest(1 / 3) == float(kind(1 / 3))


@every_fixed
def test_the_ends_of_a_fixed_point_format(bits: int, fraction: int) -> None:
    form = fixed(bits, fraction)
    assert (form.smallest, form.largest) == (2.0**-fraction, (2 ** (bits - 1) - 1) / 2**fraction)
    assert form.nearest(1e12) == form.largest
    assert form.nearest(form.smallest * 0.6) == form.smallest


@pytest.mark.parametrize("name", ["float64", "float32", *FLOATS])
def test_what_is_as_small_as_the_least_divisor_has_a_reciprocal(name: str) -> None:
    form = parse(name)
    least = form.nearest(form.least_divisor)
    assert 0 < least < 1e-4
    assert 0 < form.nearest(1 / least) < np.inf
    assert form.least_divisor > form.smallest  # whose reciprocal is out of range


@every_fixed
def test_fixed_point_numbers_can_be_divided_by_all_but_zero(bits: int, fraction: int) -> None:
    assert fixed(bits, fraction).least_divisor == fixed(bits, fraction).smallest


# ---- floating point ------------------------------------------------------------------------------------------


@every_float
def test_rounding_gives_the_nearest_value(name: str) -> None:
    x, values = spread_over(name), positive_values(name)
    found = rounded(parse(name), x).astype(np.float64)
    above = np.searchsorted(values, np.abs(x).astype(np.float64))
    error = np.minimum(np.abs(values[above] - np.abs(x)), np.abs(values[above - 1] - np.abs(x)))
    np.testing.assert_array_equal(np.abs(found - x), error)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(x))


@every_float
def test_halfway_between_two_values_the_even_one_is_taken(name: str) -> None:
    values = positive_values(name)
    middles = ((values[:-1] + values[1:]) / 2).astype(np.float32)
    exact = middles.astype(np.float64) == (values[:-1] + values[1:]) / 2  # half the smallest is no float32 in bfloat16
    even = np.where(np.arange(len(middles)) % 2 == 0, values[:-1], values[1:])
    assert exact.sum() > 30_000
    for sign in (1, -1):
        np.testing.assert_array_equal(rounded(parse(name), sign * middles)[exact], sign * even[exact])


@every_float
def test_values_of_a_format_stay_what_they_are(name: str) -> None:
    values = positive_values(name).astype(np.float32)
    both = np.concatenate([values, -values, [np.inf, -np.inf]]).astype(np.float32)
    assert rounded(parse(name), both).tobytes() == both.tobytes()
    once = rounded(parse(name), spread_over(name))
    assert rounded(parse(name), once).tobytes() == once.tobytes()


@every_float
def test_what_is_too_large_becomes_infinite_and_nothing_else_does(name: str) -> None:
    values = positive_values(name)
    edge = values[-1] + (values[-1] - values[-2]) / 2  # halfway to the value that would come next
    inside, beyond = np.nextafter(np.float32(edge), np.float32(0)), np.float32(edge)
    x = np.array([inside, beyond, -inside, -beyond], np.float32)
    np.testing.assert_array_equal(rounded(parse(name), x), [values[-1], np.inf, -values[-1], -np.inf])


@every_float
def test_what_is_not_a_number_stays_so(name: str) -> None:
    odd = np.array([0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FC00000], np.uint32).view(np.float32)
    assert np.isnan(odd).all()
    assert np.isnan(rounded(parse(name), odd)).all()


@pytest.mark.parametrize(("name", "significant"), [("float16", 11), ("bfloat16", 8)])
def test_epsilon_is_the_largest_relative_error(name: str, significant: int) -> None:
    x = np.random.default_rng(4).uniform(1, 2, 400_000).astype(np.float32)
    x = np.append(x, np.float32(1 + 2.0**-significant))  # halfway above 1
    worst = (np.abs(rounded(parse(name), x) - x) / x).max()
    epsilon = parse(name).epsilon
    assert epsilon == 2.0**-significant
    assert 0.99 * epsilon < worst <= epsilon


@pytest.mark.parametrize(("name", "significant"), [("float32", 24), ("float64", 53)])
def test_the_formats_of_the_computer_itself_are_not_rounded(name: str, significant: int) -> None:
    form = parse(name)
    assert form.round is None
    assert (form.dtype, form.bits, form.epsilon) == (name, int(name[5:]), 2.0**-significant)


# ---- fixed point ---------------------------------------------------------------------------------------------


@every_fixed
def test_fixed_point_is_what_integers_of_its_bits_give(bits: int, fraction: int) -> None:
    form, draw = fixed(bits, fraction), np.random.default_rng([bits, fraction])
    largest = 2 ** (bits - 1)
    x = (draw.uniform(-1.2, 1.2, 20_000) * largest / 2**fraction).astype(form.dtype)
    small = (draw.uniform(-1, 1, 20_000) * min(largest, 300) / 2**fraction).astype(form.dtype)
    x = np.concatenate([x, small])
    words = [min(max(round(float(value) * 2**fraction), -largest), largest - 1) for value in x]  # round: half to even
    np.testing.assert_array_equal(rounded(form, x), np.array(words, np.float64) / 2**fraction)


@every_fixed
def test_halfway_between_two_words_the_even_one_is_taken(bits: int, fraction: int) -> None:
    words = np.arange(max(-(2 ** (bits - 1)), -500), min(2 ** (bits - 1), 500))
    middles = ((words[:-1] + 0.5) / 2.0**fraction).astype(fixed(bits, fraction).dtype)
    even = words[:-1] + words[:-1] % 2
    np.testing.assert_array_equal(rounded(fixed(bits, fraction), middles) * 2.0**fraction, even)


@every_fixed
def test_rounding_twice_is_rounding_once(bits: int, fraction: int) -> None:
    form, scale = fixed(bits, fraction), 2.0 ** (bits - fraction)
    x = np.random.default_rng(5).normal(0, scale, 10_000).astype(form.dtype)
    once = rounded(form, x)
    assert rounded(form, once).tobytes() == once.tobytes()


@every_fixed
def test_fixed_point_saturates(bits: int, fraction: int) -> None:
    ends = np.array([1e30, -1e30, np.inf, -np.inf], fixed(bits, fraction).dtype)
    high, low = (2 ** (bits - 1) - 1) / 2**fraction, -(2.0 ** (bits - 1)) / 2**fraction
    np.testing.assert_array_equal(rounded(fixed(bits, fraction), ends), [high, low, high, low])
    assert np.isnan(rounded(fixed(bits, fraction), np.array([np.nan], fixed(bits, fraction).dtype))).all()


def test_eight_bits_have_256_values() -> None:
    x = np.linspace(-3, 3, 100_001, dtype=np.float32)
    for fraction in (7, 6):
        found = np.unique(rounded(fixed(8, fraction), x))
        np.testing.assert_array_equal(found, np.arange(-128, 128) / 2**fraction)


@every_fixed
def test_the_error_is_at_most_epsilon(bits: int, fraction: int) -> None:
    form = fixed(bits, fraction)
    inside = (2.0 ** (bits - 1) - 1) / 2**fraction
    x = np.random.default_rng(6).uniform(-inside, inside, 100_000).astype(form.dtype)
    worst = np.abs(rounded(form, x) - x).max()
    assert form.epsilon == 2.0 ** -(fraction + 1)
    assert worst <= form.epsilon
    if bits <= 16:
        assert worst > 0.99 * form.epsilon


@every_fixed
def test_the_array_type_holds_every_value(bits: int, fraction: int) -> None:
    form = fixed(bits, fraction)
    words = np.array([-(2 ** (bits - 1)), 1 - 2 ** (bits - 1), -1, 0, 1, 2 ** (bits - 1) - 2, 2 ** (bits - 1) - 1])
    values = (words / 2.0**fraction).astype(form.dtype)
    np.testing.assert_array_equal(values.astype(np.float64) * 2**fraction, words)
    np.testing.assert_array_equal(rounded(form, values), values)
    assert form.arithmetic == f"int{bits}"


# ---- names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "bits"),
    [("float64", 64), ("float32", 32), ("float16", 16), ("bfloat16", 16), ("fixed<8,4>", 8), ("fixed<32,31>", 32)],
)
def test_a_format_knows_its_name_and_bits(name: str, bits: int) -> None:
    assert (parse(name).name, parse(name).bits) == (name, bits)


UNKNOWN = ["", "float8", "Float32", "float32 ", "int8", "bfloat32", "xfixed<8,4>", "fixed<8,4>\n", "fixed<8, 4>"]
NARROW_OR_WIDE = ["fixed", "fixed<8>", "fixed<8,8>", "fixed<8,9>", "fixed<1,0>", "fixed<33,4>", "fixed<8,-1>"]


@pytest.mark.parametrize("name", [*UNKNOWN, *NARROW_OR_WIDE])
def test_other_names_are_refused_with_those_that_are_allowed(name: str) -> None:
    with pytest.raises(ValueError, match="no number format") as error:
        parse(name)
    assert formats.NAMES in str(error.value)


@given(st.integers(2, 32), st.data(), st.floats(-1e6, 1e6, width=32))
def test_rounding_is_monotonic_and_never_changes_the_sign(bits: int, data: st.DataObject, x: float) -> None:
    form = fixed(bits, data.draw(st.integers(0, bits - 1)))
    other = data.draw(st.floats(-1e6, 1e6, width=32))
    low, high = rounded(form, np.array(sorted([x, other]), form.dtype))
    assert low <= high
    assert rounded(form, np.array([x], form.dtype))[0] * x >= 0


@pytest.mark.parametrize("name", ["float16", "bfloat16", "fixed<20,10>"])
def test_arrays_of_doubles_are_rounded_to_the_same_values(name):
    values = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    rounded = parse(name).round(values.astype(np.float64))
    assert rounded.dtype == np.float64
    np.testing.assert_array_equal(rounded, parse(name).round(values))
