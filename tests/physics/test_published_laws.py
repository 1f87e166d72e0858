"""Golden values of the laws of shipped sheets, and the range of conductance in which each was measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import close
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.config import hardware
from hwsim.config.plausible import doubts
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.physics import DataSheet

MICRO = 1e-6
VOLT = 0.1


def sheet(like: str, **changes: Any) -> DataSheet:
    return hardware.device(Document("test", {"like": like, **changes} if changes else like))


# ---- golden values -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "g", "sigma", "digits"),  # in microsiemens, as the models of aihwkit and CrossSim give them
    [
        ("rram_milo", 50, 4.327, 3),
        ("rram_milo", 100, 3.872, 3),
        ("rram_milo", 225, 2.733, 3),
        ("rram_milo", 100, 4.782321 - 0.009107 * 100, 9),
        ("rram_cmo_hfox", 50, 0.575732, 6),
        ("rram_cmo_hfox", 9, 0.0112185391 + 0.01129027418 * 9, 11),
        ("rram_cmo_hfox", 88.2, 0.0112185391 + 0.01129027418 * 88.2, 11),
        ("pcm_hermes_14nm", 0, 0.1660, 4),
        ("pcm_hermes_14nm", 20.7 / 4, 0.8888, 4),
        ("pcm_hermes_14nm", 20.7 / 2, 0.9910, 4),
        ("pcm_hermes_14nm", 20.7 * 3 / 4, 0.9124, 4),
        ("pcm_hermes_14nm", 20.7, 1.0927, 4),
    ],
)
def test_programming_errors_are_the_published_ones(name: str, g: float, sigma: float, digits: int) -> None:
    found = float(sheet(name).programming_error(np.array(g * MICRO))) / MICRO
    assert found == close(sigma, rel=0, abs=0.51 * 10.0**-digits)


@pytest.mark.parametrize(
    ("current", "programmed", "read"),  # σ of currents, all in nanoamperes
    [(0, 0, 0), (100, 8.608, 4.673), (400, 17.829, 10.617), (1600, 19.884, 12.573)],
)
def test_currents_of_sonos_scatter_as_published(current: float, programmed: float, read: float) -> None:
    made, g = sheet("sonos_40nm"), np.array(current * 1e-9 / VOLT)
    assert float(made.programming_error(g)) * VOLT * 1e9 == close(programmed, rel=0, abs=5.1e-4)
    assert float(made.read_error(g)) * VOLT * 1e9 == close(read, rel=0, abs=5.1e-4)


@pytest.mark.parametrize(("age", "sigma"), [("1 s", 0.1707), ("10 s", 0.1850), ("1 hour", 0.2175), ("1 day", 0.2332)])
def test_read_noise_of_cmo_grows_with_age_as_published(age: str, sigma: float) -> None:
    """At 50 µS."""
    aged = sheet("rram_cmo_hfox", read_noise={"age": {"value": age, "assumed": "for this test"}})
    assert float(aged.read_error(np.array(50 * MICRO))) / MICRO == close(sigma, rel=0, abs=5.1e-5)


def test_read_noise_of_cmo_is_the_fit_to_the_last_digit_and_none_below_a_microsiemens() -> None:
    found = sheet("rram_cmo_hfox").read_error(np.array([88.2, 9, 1, 0.5, 0]) * MICRO) / MICRO
    root = np.sqrt(np.log((1 + 1e-6) / 2e-6))
    np.testing.assert_allclose(found[:2], 0.0277316483 * np.log10([88.2, 9]) * root, rtol=1e-12)
    np.testing.assert_allclose(found[2:], 0, atol=1e-15)


def test_the_ends_of_the_published_windows() -> None:
    for name, low, high in (
        ("rram_milo", 50, 225),
        ("rram_cmo_hfox", 9, 88.2),
        ("sonos_40nm", 16e-7, 16),
        ("rram_hfox_sky130", 30, 120),
        ("fefet_hzo", 1 / (45 * 0.55928), 1 / 0.55928),
    ):
        range_ = sheet(name).conductance
        assert (range_.min.value, range_.max.value) == close((low * MICRO, high * MICRO), rel=1e-5)


@pytest.mark.parametrize("name", ["rram_milo", "rram_cmo_hfox", "sonos_40nm"])
def test_a_programming_step_is_about_half_the_usual_error(name: str) -> None:
    made = sheet(name)
    g = np.linspace(made.conductance.min.value, made.conductance.max.value, 101)
    assert 0.4 < made.programming.step.value / np.median(made.programming_error(g)) < 0.65


# ---- the laws that were new with them ------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.floats(1, 100), st.floats(1, 500), st.floats(0.05, 1), st.floats(0, 20))
def test_a_saturating_spread_is_its_closed_form_at_any_voltage(a: float, b: float, volts: float, g: float) -> None:
    error = {
        "law": "saturating",
        "amplitude": f"{a!r} nA",
        "scale": f"{b!r} nA",
        "voltage": f"{volts!r} V",
        "assumed": "for this test",
    }
    made = sheet("ideal", programming={"error": error})
    current = g * MICRO * volts * 1e9
    assert float(made.programming_error(np.array(g * MICRO))) * volts * 1e9 == close(
        a * (1 - np.exp(-current / b)), rel=1e-9, abs=1e-12
    )
    (_, least), (_, most) = made.programming.error.extremes(0.0, 25 * MICRO)
    np.testing.assert_allclose([least, most], made.programming_error(np.array([0.0, 25 * MICRO])), rtol=1e-12)


@pytest.mark.parametrize("name", ["rram_cmo_hfox", "sonos_40nm"])
@pytest.mark.parametrize("factor", [0.0, 2.0])
def test_a_law_is_switched_off_and_doubled_as_a_whole(name: str, factor: float) -> None:
    made = sheet(name)
    g = np.linspace(made.conductance.min.value, made.conductance.max.value, 7)
    for law in (made.programming.error, made.read_noise):
        most = made.conductance.max.value
        np.testing.assert_allclose(law.times(factor).deviation(g, most), factor * law.deviation(g, most), rtol=1e-12)


def test_an_error_without_a_law_is_a_polynomial() -> None:
    error = {"coefficients": ["0.26348 uS", "1.9650 uS", "-1.1731 uS"], "source": "nandakumar2019"}
    said, unsaid = (
        sheet("pcm_gst_90nm", name="x", programming={"error": each}) for each in ({"law": "polynomial", **error}, error)
    )
    assert said.programming.error.model_dump(exclude={"valid"}) == unsaid.programming.error.model_dump(
        exclude={"valid"}
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"programming": {"error": {"law": "saturated"}}}, "saturated.*did you mean 'saturating'"),
        ({"programming": {"error": {"assumed": "as well"}}}, "either a source or a reason"),
        ({"read_noise": {"law": "relative", "deviation_of_g": 0.1}}, "either a source or a reason"),
        ({"read_noise": {"valid": ["25 uS", "1 uS"]}}, r"read_noise\.valid.*lower end comes first"),
        ({"read_noise": {"valid": ["25 uS"]}}, r"read_noise\.valid"),
        ({"read_noise": {"valid": [0, 25]}}, "needs its unit"),
    ],
)
def test_a_law_that_says_something_wrong_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sheet("pcm_gst_90nm", **changes)


def test_noise_that_grows_with_age_has_none_before_a_read_is_over() -> None:
    with pytest.raises(ConfigError, match="age must be at least read_time"):
        sheet("rram_cmo_hfox", read_noise={"age": {"value": "100 ns", "assumed": "for this test"}})


# ---- where a law was measured --------------------------------------------------------------------------------


def window(low: str, high: str) -> dict[str, Any]:
    return {"min": {"value": low, "assumed": "for this test"}, "max": {"value": high, "assumed": "for this test"}}


@pytest.mark.parametrize("name", hardware.names("devices"))
def test_shipped_devices_are_used_where_their_laws_were_measured(name: str) -> None:
    assert doubts(sheet(name)) == []


@pytest.mark.parametrize(("low", "high"), [("50 uS", "300 uS"), ("10 uS", "225 uS"), ("49.9 uS", "225.1 uS")])
def test_a_device_that_is_used_beyond_is_warned_of(low: str, high: str) -> None:
    (doubt,) = doubts(sheet("rram_milo", conductance=window(low, high)))
    assert doubt.place == ("programming", "error")
    assert doubt.text == (
        "rram_milo (changed): programming.error was measured from 50 µS to 225 µS, and the device is used from "
        f"{low.replace('u', 'µ')} to {high.replace('u', 'µ')}; beyond what was measured the law is a guess"
    )


@pytest.mark.parametrize(("low", "high"), [("50 uS", "225 uS"), ("60 uS", "70 uS")])
def test_a_device_that_is_used_within_is_not(low: str, high: str) -> None:
    assert doubts(sheet("rram_milo", conductance=window(low, high))) == []


def test_both_laws_are_looked_at_on_a_machine_and_its_reach_counts() -> None:
    def texts(**changes: Any) -> list[str]:
        machine = {"like": "pcm_crossbar", "device": "pcm_gst_90nm", **changes}
        return [doubt.text for doubt in doubts(hardware.machine(Document("test", machine)))]

    assert texts() == []
    (one,) = [line for line in texts(parts={"tiles": {"reach": 1.5}}) if "programming.error" in line]
    assert "is used from 250 nS to 37.375 µS" in one
    wider = {"like": "pcm_gst_90nm", "conductance": window("0.25 uS", "30 uS")}
    assert [text.split(" was ")[0].split(": ")[1] for text in texts(device=wider)] == [
        "programming.error",
        "read_noise",
    ]


def test_validate_names_the_line(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from hwsim import cli

    file = tmp_path / "mine.yaml"
    text = (hardware.shelf("devices") / "rram_milo.yaml").read_text(encoding="utf-8")
    file.write_text(text.replace("max: {value: 225 uS", "max: {value: 250 uS"), encoding="utf-8")
    done = CliRunner().invoke(cli.app, ["validate", str(file)])
    assert done.exit_code == 0
    assert f"{file}:" in done.output.replace("\n", "")
    assert "programming.error was measured from 50 µS to 225 µS" in " ".join(done.output.split())
