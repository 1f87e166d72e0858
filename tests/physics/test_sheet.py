"""Data sheets: the numbers in the shipped ones, and the laws that they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import close
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwsim import documents
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.physics import DataSheet
from hwsim.physics.read_noise import Additive, Flicker, Relative
from hwsim.physics.write import CurrentPulses, VoltagePulses
from hwsim.units.mapping import levels

MICRO = 1e-6
SHEETS = [
    "capacitor",
    "ecram_li",
    "ecram_mo",
    "fefet_hzo",
    "gain_cell",
    "gokmen_vlasov",
    "ideal",
    "idealized",
    "pcm_gst_90nm",
    "pcm_hermes_14nm",
    "pcm_update",
    "reram_array_hfo2",
    "reram_array_om",
    "reram_es",
    "reram_sb",
    "rram_cmo_hfox",
    "rram_hfox_130nm",
    "rram_hfox_sky130",
    "rram_milo",
    "sonos_40nm",
]
PCM, RRAM = "pcm_gst_90nm", "rram_hfox_130nm"

every_sheet = pytest.mark.parametrize("name", SHEETS)


def sheet(name: str) -> DataSheet:
    return hardware.device(Document("test", name))


def changed(name: str, **parts: Any) -> DataSheet:
    """A shipped data sheet with other keys, or keys of its parts."""
    data = yaml.safe_load((hardware.shelf("devices") / f"{name}.yaml").read_text())
    for key, value in parts.items():
        data[key] = {**data[key], **value} if isinstance(data.get(key), dict) else value
    return hardware.device(Document("test", data))


def constants(model: Any) -> list[tuple[str | None, str | None]]:
    """Source and assumption of every number in a dumped data sheet."""
    if isinstance(model, dict):
        here = [(model.get("source"), model.get("assumed"))] if {"source", "assumed"} & set(model) else []
        return here + [found for value in model.values() for found in constants(value)]
    return []


# ---- the shipped sheets --------------------------------------------------------------------------------------


def test_these_are_the_shipped_sheets() -> None:
    assert hardware.names("devices") == SHEETS


@every_sheet
def test_a_sheet_is_named_as_its_file(name: str) -> None:
    assert sheet(name).name == name


@every_sheet
def test_every_number_has_a_listed_source_or_a_reason(name: str) -> None:
    found, listed = constants(sheet(name).model_dump()), set(sheet(name).sources)
    assert len(found) >= 6
    for source, assumed in found:
        assert (source is None) != (assumed is None)
        assert source is None or source.split(",")[0] in listed


def test_the_ranges_of_conductance() -> None:
    """PCM of 25 µS and an on/off ratio of 100 (Joshi 2020); NeuRRAM of 40 µS and 1 MΩ (CiMLoop's model of Wan 2022)."""
    for name, low, high in ((PCM, 0.25, 25), (RRAM, 1, 40)):
        range_ = sheet(name).conductance
        assert (range_.min.value, range_.max.value) == close((low * MICRO, high * MICRO), rel=1e-15)
    assert sheet(PCM).conductance.max.value / sheet(PCM).conductance.min.value == close(100)


@pytest.mark.parametrize(
    ("name", "g", "sigma"),  # in microsiemens, worked out from the published polynomials
    [
        (PCM, 0, 0.26348),  # Nandakumar et al., ICECS 2019
        (PCM, 1, 0.34020),
        (PCM, 12.5, 0.95271),
        (PCM, 25, 1.05538),
        (RRAM, 0, 0.348),  # fit to Wan et al., Nature 2022, one second after programming
        (RRAM, 10, 2.2583),
        (RRAM, 20, 2.0229),
        (RRAM, 30, 1.5330),
        (RRAM, 40, 1.1030),
    ],
)
def test_the_programming_error_is_the_published_one(name: str, g: float, sigma: float) -> None:
    assert sheet(name).programming_error(np.array(g * MICRO)) == close(sigma * MICRO, rel=1e-4)


def test_two_fits_to_the_same_measurement_of_pcm_agree() -> None:
    """Another simulator's fit of Joshi 2020, figure 3b: σ = -0.00178767 G² + 0.07585724 G + 0.28638599 in µS."""
    g = np.linspace(0, 25, 51)
    other = np.polynomial.polynomial.polyval(g, [0.28638599, 0.07585724, -0.00178767])
    found = sheet(PCM).programming_error(g * MICRO) / MICRO
    np.testing.assert_allclose(found, other, atol=0.025)


@pytest.mark.parametrize(("g", "share"), [(25, 0.0419), (5, 0.1194), (1, 0.3398)])
def test_flicker_noise_of_pcm_an_hour_after_programming(g: float, share: float) -> None:
    """σ / g for reads of 250 ns (Nandakumar et al., ICECS 2019)."""
    hour = changed(PCM, read_noise={"age": {"value": "3600 s", "assumed": "for this test"}})
    assert hour.read_error(np.array(g * MICRO)) / (g * MICRO) == close(share, abs=1e-4)


def test_flicker_noise_of_pcm_at_the_age_of_the_sheet() -> None:
    law = sheet(PCM).read_noise
    assert isinstance(law, Flicker)
    assert (law.factor, law.exponent, law.cap) == (0.0088, 0.65, 0.2)
    root = np.sqrt(np.log((20 + 250e-9) / 500e-9))
    found = sheet(PCM).read_error(np.array([25, 5, 0.05, 0]) * MICRO) / MICRO
    # a share of 0.0088 / r^0.65, at most 0.2
    np.testing.assert_allclose(found, root * np.array([0.0088 * 25, 0.0088 / 0.2**0.65 * 5, 0.2 * 0.05, 0]), rtol=1e-9)


def test_reads_of_a_pair_of_rram_are_off_by_a_hundredth_of_the_range() -> None:
    """As aihwkit adds it to weights, for the model of Wan et al. (2022)."""
    law = sheet(RRAM).read_noise
    assert isinstance(law, Additive)
    each = sheet(RRAM).read_error(np.array([0, 1e-6, 40e-6]))
    np.testing.assert_allclose(np.sqrt(2) * each, [4e-7] * 3, rtol=1e-3)


def test_noise_may_be_a_share_of_the_conductance() -> None:
    law = Relative(law="relative", deviation_of_g=0.01, source="here")
    np.testing.assert_allclose(law.deviation(np.array([0, 1e-6, 40e-6]), 40e-6), [0, 1e-8, 4e-7], rtol=1e-12)


def test_writing_pcm_takes_eight_pulses_of_45_picojoules() -> None:
    """2 V, and 150 µA for 150 ns each: the SET pulse of the 90 nm cell in NVMExplorer."""
    write = sheet(PCM).write
    assert isinstance(write, CurrentPulses)
    assert write.voltage.value * write.current.value * write.time.value == close(45e-12)
    assert write.pulses.value == 8
    assert write.duration == close(1.2e-6)
    assert write.reads == 8


def test_writing_rram_takes_a_set_of_1_75_volts() -> None:
    """For 8.52 µs in all (CiMLoop's model of Wan 2022)."""
    write = sheet(RRAM).write
    assert isinstance(write, VoltagePulses)
    assert write.voltage.value == 1.75
    assert write.duration == close(8.52e-6)
    assert write.reads == 1


def test_the_ideal_device_has_no_errors() -> None:
    g = np.linspace(0, 25e-6, 11)
    assert not sheet("ideal").programming_error(g).any()
    assert not sheet("ideal").read_error(g).any()


@pytest.mark.parametrize("name", [PCM, RRAM])
def test_a_programming_step_is_about_half_the_usual_error(name: str) -> None:
    """That is the reason that the sheets give for it."""
    made = sheet(name)
    g = np.linspace(made.conductance.min.value, made.conductance.max.value, 101)
    assert 0.4 < made.programming.step.value / np.median(made.programming_error(g)) < 0.65


# ---- laws ----------------------------------------------------------------------------------------------------


@every_sheet
@settings(deadline=None)
@given(st.floats(0, 2))
def test_deviations_are_finite_and_not_negative(name: str, share: float) -> None:
    made = sheet(name)
    g = np.array(share * made.conductance.max.value)
    for sigma in (made.programming_error(g), made.read_error(g)):
        assert 0 <= sigma < made.conductance.max.value


@every_sheet
def test_deviations_are_taken_value_by_value(name: str) -> None:
    made = sheet(name)
    g = np.linspace(0, made.conductance.max.value, 24).reshape(2, 3, 4)
    for law in (made.programming_error, made.read_error):
        assert law(g).shape == g.shape
        np.testing.assert_allclose(law(g).ravel(), [law(np.array(one)) for one in g.ravel()], rtol=1e-14)


def polynomial(*coefficients: float) -> dict[str, Any]:
    """A programming error of PCM, in microsiemens."""
    return {"error": {"coefficients": [f"{value!r} uS" for value in coefficients], "source": "nandakumar2019"}}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.floats(-3, 3).filter(lambda value: not 0 < abs(value) < 1e-53), min_size=1, max_size=5))
@example([1.0, 0.0, 1e-50, 3e-53])
@example([0.0, 0.0])
def test_a_programming_error_is_refused_where_a_fine_grid_finds_it_negative(coefficients: list[float]) -> None:
    """Its range goes from 0.01 to 1 of the largest conductance; close to zero the grid may miss what roots find."""
    r = np.linspace(0.01, 1, 4001)
    least = float(np.polynomial.polynomial.polyval(r, coefficients).min())
    if least > 1e-6:
        assert changed(PCM, programming=polynomial(*coefficients)).programming_error(r * 25 * MICRO).min() > 0
    elif least < -1e-6:
        with pytest.raises(ConfigError, match=r"programming\.error\.coefficients: σ is negative at"):
            changed(PCM, programming=polynomial(*coefficients))


def test_an_error_that_dips_below_zero_between_the_ends_is_refused_with_where_it_does() -> None:
    """σ = 4 (r - 1/2)² - 0.01 µS is positive at both ends, and smallest at 12.5 µS."""
    with pytest.raises(ConfigError, match=r"σ is negative at 12\.5 µS: -10 nS; .* from 250 nS to 25 µS"):
        changed(PCM, programming=polynomial(0.99, -4, 4))
    touching = changed(PCM, programming=polynomial(1, -4, 4))
    assert touching.programming_error(np.array(12.5 * MICRO)) == 0
    below_the_range = changed(PCM, programming=polynomial(-0.005, 1))  # zero at 0.5 % of the largest, not used
    assert below_the_range.programming_error(np.array(0.25 * MICRO)) == close(0.005 * MICRO)


def test_flicker_noise_grows_with_age_and_falls_with_the_time_of_a_read() -> None:
    g = np.array(10 * MICRO)

    def noise(age: str, read: str) -> float:
        parts = {"age": {"value": age, "assumed": "for this test"}, "read_time": read}
        return float(changed(PCM, read_noise=parts).read_error(g))

    assert noise("20 s", "250 ns") < noise("1 hour", "250 ns") < noise("1 year", "250 ns")
    assert noise("20 s", "1 us") < noise("20 s", "250 ns")


# ---- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"conductance": {"max": {"value": "0.1 uS", "source": "joshi2020"}}}, "min must be below max"),
        ({"conductance": {"max": {"value": 25, "source": "joshi2020"}}}, "needs its unit"),
        ({"conductance": {"max": {"value": "25 V", "source": "joshi2020"}}}, "must be in units of siemens"),
        ({"conductance": {"max": {"value": "25 uS", "source": "joshi2019"}}}, "unknown source 'joshi2019'"),
        ({"conductance": {"max": {"value": "25 uS"}}}, "either a source or a reason"),
        ({"programming": {"error": {"coefficients": [], "source": "joshi2020"}}}, "needs 1 or more"),
        ({"write": {"law": "magic"}}, "magic"),
        ({"tint": "blue"}, "unknown key 'tint'"),
        ({"programming": {"step": {"value": "0 uS", "assumed": "no steps"}}}, "greater than 0"),
        ({"programming": {"step": {"value": "-1 uS", "assumed": "backwards"}}}, "greater than 0"),
        (
            {"programming": {"step": {"value": "25 uS", "assumed": "too wide"}}},
            "wider than the range .* to 25 µS",
        ),
        ({"write": {"law": "voltage", "time": {"value": "0 s", "assumed": "at once"}}}, "greater than 0"),
        ({"read_noise": {"cap": "large"}}, "cap"),
    ],
)
def test_a_sheet_that_says_something_wrong_is_refused(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        changed(PCM, **parts)


def test_a_device_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'pcm_gst_90nm'.*rram_hfox_130nm"):
        sheet("pcm_gst_90")


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("name", "key"), [(PCM, "factor"), (PCM, "exponent"), (PCM, "cap"), (RRAM, "deviation_of_g_max")]
)
def test_noise_cannot_be_negative_or_endless(name: str, key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=key):
        changed(name, read_noise={key: value})


def test_a_device_cannot_be_read_before_a_read_is_over() -> None:
    """Flicker noise would be the root of a negative number."""
    with pytest.raises(ConfigError, match="age must be at least read_time"):
        changed(PCM, read_noise={"age": {"value": "100 ns", "assumed": "for this test"}})
    at_once = changed(PCM, read_noise={"age": {"value": "250 ns", "assumed": "for this test"}})
    assert at_once.read_error(np.array(25e-6)) == 0


def test_the_widest_step_leaves_two_states() -> None:
    made = changed(PCM, programming={"step": {"value": "24.75 uS", "assumed": "on or off"}})
    assert levels(made) == 1


def test_what_is_wrong_with_a_step_is_said_where_it_stands(tmp_path: Path) -> None:
    text = (hardware.shelf("devices") / f"{PCM}.yaml").read_text(encoding="utf-8")
    line = next(number for number, line in enumerate(text.splitlines(), 1) if line.startswith("  step:"))
    file = tmp_path / "d.yaml"
    for value in ("0 uS", "30 uS"):
        file.write_text(text.replace("step: {value: 0.5 uS", f"step: {{value: {value}"), encoding="utf-8")
        with pytest.raises(ConfigError, match=rf"^{file}:{line}:\d+: programming\.step"):
            hardware.device(documents.read(file))
