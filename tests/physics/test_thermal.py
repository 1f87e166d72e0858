"""Thermal and shot noise: the SI's constants, closed forms, and what a chip's reads have of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close
from scipy import constants

from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.physics import DataSheet
from hwsim.physics.thermal import BOLTZMANN, CHARGE
from hwsim.units.devices import Devices
from hwsim.units.mapping import Mapping

G = np.array([0.0, 1e-6, 25e-6])


def sheet(**law: Any) -> DataSheet:
    noise = {"law": "thermal", "bandwidth": "100 MHz", "voltage": "0.2 V", "assumed": "for this test", **law}
    return hardware.device(Document("test", {"like": "ideal", "name": "mine", "read_noise": noise}))


def test_the_constants_are_those_of_the_si() -> None:
    assert (constants.k, constants.e) == (BOLTZMANN, CHARGE)


@pytest.mark.parametrize(("kelvin", "volts", "hertz"), [(300, 0.2, 1e8), (77, 0.2, 1e8), (300, 0.5, 1e6)])
def test_currents_scatter_by_the_closed_form(kelvin: float, volts: float, hertz: float) -> None:
    made = sheet(temperature=f"{kelvin} K", voltage=f"{volts} V", bandwidth=f"{hertz} Hz")
    current = (4 * constants.k * kelvin * G + 2 * constants.e * volts * G) * hertz
    np.testing.assert_allclose((volts * made.read_error(G)) ** 2, current, rtol=1e-12)


def test_a_number_by_hand_and_the_default_temperature() -> None:
    """25 uS at 0.2 V, 300 K and 100 MHz: √((4.142e-25 + 1.602e-24) 1e8) A = 14.20 nA."""
    assert float(sheet().read_error(G)[2]) * 0.2 == close(14.20e-9, rel=5e-4)
    np.testing.assert_array_equal(sheet().read_error(G), sheet(temperature="300 K").read_error(G))


def test_both_parts_are_equal_at_twice_the_thermal_voltage() -> None:
    """Without shot noise the square would be half as large there: σ² is 8 k T g B / V²."""
    volts = 2 * constants.k * 300 / constants.e
    found = sheet(voltage=f"{volts!r} V").read_error(G) ** 2
    np.testing.assert_allclose(found, 8 * constants.k * 300 * G * 1e8 / volts**2, rtol=1e-9)


@pytest.mark.parametrize("factor", [0.0, 2.0])
def test_it_is_switched_off_and_doubled_as_a_whole(factor: float) -> None:
    law = sheet().read_noise
    np.testing.assert_allclose(law.times(factor).deviation(G, 25e-6), factor * law.deviation(G, 25e-6), rtol=1e-12)


def test_the_variance_of_a_weight_is_that_of_both_its_devices() -> None:
    made = sheet()
    devices = Devices(Mapping(made, 1.0), np.full((1, 2, 3, 4), 10e-6))
    both = 2 * (4 * constants.k * 300 + 2 * constants.e * 0.2) * 1e8 * 10e-6 / 0.2**2
    np.testing.assert_allclose(devices.spread, both * devices.mapping.scale**2, rtol=1e-6)


@pytest.mark.parametrize(
    ("law", "said"),
    [({"temperature": 300}, "temperature .*needs its unit"), ({"temperature": "0 K"}, "temperature"),
     ({"bandwidth": "1 us"}, "1 us is 1 MHz")],
)  # fmt: skip
def test_what_is_none_is_refused(law: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sheet(**law)
