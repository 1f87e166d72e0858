"""Converters that differ: capacitors, ramps, gains and offsets, beside closed forms and conversions step by step.

Bounds on sample variances are missed once in ten million for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options
from scipy import stats

import hwsim
from hwsim import machines
from hwsim.episode import Episode
from hwsim.errors import HwsimError
from hwsim.imperfection import found
from hwsim.initial import Initial
from hwsim.machine import Matrix
from hwsim.records import Record
from hwsim.units.converter import convert, signs, step
from hwsim.units.levels import Circuit, capacitors, convert_each, drawn, ramp

COUNT = 20_000
CHI = stats.chi2.ppf([5e-8, 1 - 5e-8], COUNT - 1) / (COUNT - 1)
F = np.float32
CLOCK = {"value": "1 ns", "assumed": "a test"}


def circuit(**options: Any) -> Circuit:
    return Circuit.model_validate(({"clock": CLOCK} if options.get("kind") == "ramp" else {}) | options)


def streams(chip: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([chip, *purpose.encode()])


def spread(values: np.ndarray, deviation: float) -> None:
    ratio = values.var(ddof=1) / deviation**2
    assert CHI[0] < ratio < CHI[1]


# ---- levels ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("bits", "sigma"), [(6, 0.01), (8, 0.01), (8, 0.028), (10, 0.01)])
def test_the_nonlinearity_of_capacitors_at_mid_code(bits: int, sigma: float) -> None:
    """σ √(2^b - 1) from one code to the next, .08, .16, .45 and .32 steps here, and half of σ √(2^b) from the line."""
    stand = capacitors(bits, sigma, np.random.default_rng(bits).standard_normal((COUNT, 24)))
    middle, below = stand[:, -1], stand[:, :-1].sum(1)
    spread(middle - below - 1, sigma * np.sqrt(2**bits - 1))
    spread(middle - 2 ** (bits - 1), sigma * np.sqrt(2**bits) / 2)
    assert sigma * np.sqrt(2**bits - 1) == close({6: 0.08, 8: 16 * sigma, 10: 0.32}[bits], rel=0.01)


@pytest.mark.parametrize("share", [1 / 8, 1 / 2])
def test_the_nonlinearity_of_a_ramp_is_that_of_a_bridge(share: float) -> None:
    bits, sigma, random = 6, 0.05, np.random.default_rng(1)
    places = np.array([ramp(bits, sigma, each) for each in random.standard_normal((COUNT, 2**bits))])
    code = int(share * 2**bits)
    # the sum of steps is in the denominator: deviations are right to the order of σ²/N
    spread(places[:, code] - code, sigma * np.sqrt(2**bits * share * (1 - share)))
    spread(places[:, code + 1] - places[:, code] - 1, sigma * np.sqrt(1 - 2.0**-bits))


def test_a_ramp_of_many_bits_has_the_errors_of_as_many_steps() -> None:
    random = np.random.default_rng(2)
    places = np.array([ramp(14, 0.05, random.standard_normal(4096))[2048] for _ in range(2000)])
    ratio = places.var(ddof=1) / (0.05**2 * 2**14 / 4)
    assert abs(ratio - 1) < 5.3 * np.sqrt(2 / 2000)
    assert ramp(14, 0.0, np.zeros(4096))[-2:].tolist() == [2**14 - 4, 2**14]


# ---- conversion --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uniform", "sar", "ramp"])
@pytest.mark.parametrize("bits", [2, 3, 8, 12, 14])
def test_without_errors_every_kind_gives_the_nearest_level(kind: str, bits: int) -> None:
    each = np.array([bits, 5])  # two chips, with full scales of their own
    full, x = np.array([0.7, 3.0]), np.random.default_rng(0).uniform(-4, 4, (2, 50, 33)).astype(F)
    errors = drawn(circuit(kind=kind), each, 9, streams)
    levels, beyond = convert_each(x, each, full, 1.0, kind, errors, 4)
    plain, clipped = convert(x, F(step(each, full)), F(full))
    np.testing.assert_allclose(levels, plain, atol=2e-6)
    assert beyond == clipped > 0


def by_hand(kind: str, table: np.ndarray, u: float, bits: int) -> int:
    """The code of one value, from the table of a converter."""
    if kind == "ramp":
        return int(np.sum(table[1:] <= u))
    kept: list[int] = []
    for bit in reversed(range(bits)):
        if sum(table[each] for each in [*kept, bit]) <= u:
            kept.append(bit)
    return sum(2**bit for bit in kept)


@pytest.mark.parametrize("kind", ["sar", "ramp"])
def test_conversions_are_those_of_their_capacitors_and_ramps(kind: str) -> None:
    bits, made = 6, circuit(kind=kind, mismatch=0.3, gain=0.05, offset=0.02)
    shared = 3 if kind == "sar" else 1
    errors = drawn(made, np.array([bits]), 7, streams)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 40, 7 * shared)).astype(F)
    levels, _ = convert_each(x, np.array([bits]), 1.0, 1.0, kind, errors, shared)
    for (_, vector, wire), value in np.ndenumerate(x):
        converter = wire // shared
        u = (value * (1 + errors.gain[0, converter]) + errors.offset[0, converter]) * 31 + 32.5
        code = by_hand(kind, errors.table[0, converter if kind == "sar" else 0], u, bits)
        assert levels[0, vector, wire] == close(float(np.clip((code - 32) / 31, -1, 1)), rel=1e-6)


def test_gain_and_offset_are_drawn_for_each_converter_of_each_chip() -> None:
    errors = drawn(circuit(gain=0.0709, offset=0.01), np.array([8, 8]), COUNT, streams)
    for each, deviation in ((errors.gain, 0.0709), (errors.offset, 0.01)):
        for chip in each:
            spread(chip, deviation)
        assert abs(np.corrcoef(*each)[0, 1]) < 5.3 / np.sqrt(COUNT)
    assert abs(np.corrcoef(errors.gain[0], errors.offset[0])[0, 1]) < 5.3 / np.sqrt(COUNT)


@pytest.mark.parametrize("kind", ["uniform", "sar", "ramp"])
def test_converters_keep_their_errors_whatever_stands_beside_them(kind: str) -> None:
    made = circuit(kind=kind, gain=0.1, offset=0.01, **({} if kind == "uniform" else {"mismatch": 0.05}))
    few, many = drawn(made, np.array([8]), 3, streams), drawn(made, np.array([8, 8]), 9, streams)
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(
            one[0], other[0, : one.shape[1], : one.shape[-1]] if one.ndim == 3 else other[0, :3]
        )


def test_what_is_no_number_stays_so_and_saturation_may_be_moved() -> None:
    errors = drawn(circuit(kind="sar", mismatch=0.1), np.array([4]), 1, streams)
    x = np.array([[[np.nan], [3.9], [-0.2]]], F)
    near, far = (convert_each(x, np.array([4]), 1.0, reach, "sar", errors, 1)[0].ravel() for reach in (1.0, 16.0))
    assert np.isnan(near[0])
    assert near[1] == 1
    assert far[1] == close(27 / 7, rel=1e-6)
    assert near[2] == far[2]


# ---- one bit -----------------------------------------------------------------------------------------------------


def test_one_bit_is_the_sign() -> None:
    x = np.array([[[-7, -0.1, 0, 0.1, np.nan, 3]], [[1, -1, 0, 2, -2, 5]]], F)
    levels, beyond = signs(x, np.array([2.0, 3.0]), 1.0)
    np.testing.assert_array_equal(levels[0], [[-2, -2, 2, 2, np.nan, 2]])
    np.testing.assert_array_equal(levels[1], [[3, -3, 3, 3, -3, 3]])
    assert beyond == 3
    errors = drawn(circuit(offset=0.1), np.array([1]), 6, streams)
    shifted, _ = convert_each(np.zeros((1, 1, 6), F), np.array([1]), 2.0, 1.0, "uniform", errors, 1)
    np.testing.assert_array_equal(shifted[0, 0], np.where(errors.offset[0] >= 0, 2, -2))


def experiment(**parts: Any) -> dict[str, Any]:
    return {
        "name": "converters",
        "task": {"name": "adding", "steps": 3},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 4}}]},
        "machine": {"like": "pcm_crossbar", "name": "x", "parts": parts},
        "learning": {"name": "one_step"},
        "training": {"batch": 2, "steps": 1, "optimizer": {"name": "sgd", "rate": 0.01}},
    }


FREE = {"value": "1 pJ", "assumed": "a test"}


def test_a_chip_with_converters_of_one_bit_learns() -> None:
    """From inputs to weights: every input and every number that comes from a tile is ±full scale."""
    one = {"bits": 1, "energy": FREE}
    made = hwsim.run(experiment(dac=one, adc=one, tiles={"interface": "digital"})).summary.systems["substrate"]
    assert made.diverged is None
    assert made.loss is not None
    assert np.isfinite(made.loss.median)


# ---- in a machine ------------------------------------------------------------------------------------------------


def chip(adc: dict[str, Any], like: str = "hermes_14nm", chips: Any = 2) -> Any:
    options = {"like": like, "name": "x", "parts": {"adc": adc, "tiles": {"rows": 4, "columns": 4}}}
    return machines.build(machine_options(options), chips=chips)


def read(made: Any, back: bool = False) -> np.ndarray:
    weights = np.random.default_rng(0).uniform(-1, 1, (6, 6))
    held = Matrix(made, "W", "input", Initial(weights.shape, lambda: weights))
    inputs = np.random.default_rng(1).uniform(-1, 1, (5, 1, 6))
    with made.showing(Episode(inputs, values=np.zeros((5, 1, 1)))), made.workspace():
        for _ in made.phase("programming"):
            held.program()
        for step in made.forward_pass("once"):
            product = made.see(made.digital((held.T if back else held) @ step.input)).copy()
    return product


OFF = {"gain": 0.2, "offset": 0.05}


@pytest.mark.parametrize("like", ["hermes_14nm", "pcm_crossbar"])
def test_errors_of_converters_change_no_other_draw(like: str) -> None:
    fine = {"bits": 24, "energy": FREE, "shared_by": 1}
    exact, off = read(chip(fine, like)), read(chip({**fine, "circuit": OFF}, like))
    assert np.abs(off - exact).max() > 0.05
    none = read(chip({**fine, "circuit": {"gain": 0.0}}, like))
    np.testing.assert_allclose(none, exact, atol=1e-5)
    np.testing.assert_array_equal(read(chip({**fine, "circuit": OFF}, like, chips=[1]))[0], off[1])
    assert np.abs(off[0] - exact[0] - off[1] + exact[1]).max() > 0.01


def test_each_side_of_a_tile_has_converters_of_its_own() -> None:
    banks = {}
    for back in (False, True):
        made = chip({"circuit": OFF})
        read(made, back)
        banks |= made.converters._banks._banks
    names = {"W tiles, column 1", "W tiles, column 2", "W tiles, row 1, transposed", "W tiles, row 2, transposed"}
    assert {bank for bank, _ in banks} == names
    assert len({each.gain.tobytes() for each in banks.values()}) == 4


def test_a_ramp_takes_its_clocks_and_others_their_time() -> None:
    record = Record("adc", "l1 adc", "l1", "inference", "float32", (3, 20), 60, (0,), 1)
    for adc, seconds in (
        ({"shared_by": 1, "circuit": {"kind": "ramp", "clock": CLOCK}}, 3 * 256e-9),
        ({"shared_by": 8, "circuit": {"kind": "sar", "mismatch": 0.01}}, 3 * 8 * 10e-9),
    ):
        assert machine_options({"like": "pcm_crossbar", "name": "x", "parts": {"adc": adc}}).parts.adc.seconds(
            record
        ) == close(seconds)


@pytest.mark.parametrize(
    ("adc", "said"),
    [
        ({"circuit": {"mismatch": 0.1}}, "even levels"),
        ({"circuit": {"kind": "sar", "clock": CLOCK}}, "a ramp has a `clock`"),
        ({"circuit": {"kind": "ramp"}}, "a ramp has a `clock`"),
        ({"circuit": {"kind": "ramp", "clock": CLOCK}, "shared_by": 8}, "shared_by: 1"),
        ({"circuit": {"kind": "sar", "mismatch": 0.1}, "bits": 1, "energy": FREE}, "comparators"),
        ({"circuit": {"kind": "flash"}}, "flash"),
    ],
)
def test_what_circuits_do_not_go_with(adc: dict[str, Any], said: str) -> None:
    with pytest.raises(HwsimError, match=said):
        machine_options({"like": "pcm_crossbar", "name": "x", "parts": {"adc": adc}})


def test_spreads_of_converters_are_imperfections_and_nothing_is_said_of_exact_ones() -> None:
    made = {"kind": "sar", "mismatch": 0.01, "gain": 0.07, "offset": 0.01}
    with_them = machine_options({"like": "pcm_crossbar", "name": "x", "parts": {"adc": {"circuit": made}}})
    names = {each.name for each in found(with_them) if each.present}
    assert {"mismatch of ADCs", "gain error of ADCs", "offset of ADCs"} <= names
    plain = machine_options("pcm_crossbar")
    assert "circuit" not in plain.model_dump(mode="json")["parts"]["adc"]
    assert not any("circuit" in each.key for each in found(plain))
