"""Retention of shipped devices: relaxation of CMO/HfOx cells, and drift of HERMES, at published numbers.

Bounds on random numbers are five standard errors, which chance exceeds less than once in a million.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.physics import DataSheet
from hwsim.physics.relaxation import Relaxation
from hwsim.units.devices import Devices
from hwsim.units.mapping import Mapping

MICRO = 1e-6
DAY = 86400.0


def sheet(like: str, **changes: Any) -> DataSheet:
    return hardware.device(Document("test", {"like": like, **changes} if changes else like))


def relaxation() -> Relaxation:
    law = sheet("rram_cmo_hfox").drift
    assert isinstance(law, Relaxation)
    return law


@pytest.mark.parametrize(
    ("waited", "shift", "deviation"),  # in microsiemens, as aihwkit gives them, to four digits
    [(1, 0, 0.4118), (10, -0.2049, 0.5086), (3600, -0.7288, 0.7559), (DAY, -1.0117, 0.8894)],
)
def test_cmo_cells_relax_as_published(waited: float, shift: float, deviation: float) -> None:
    found = np.array(relaxation().moments(waited)) / MICRO
    np.testing.assert_allclose(found, [shift, deviation], rtol=0, atol=5.1e-5)
    exact = [-0.08900206 * np.log(waited), 0.04201137 * np.log(waited) + 0.41183342]
    np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-15)


def test_relaxed_cells_have_the_moments_of_the_law_whatever_their_conductance() -> None:
    """After an hour, of 100 000 devices at each conductance."""
    n, (shift, deviation) = 100_000, relaxation().moments(3600.0)
    for g in (20e-6, 50e-6, 80e-6):
        normal = np.random.default_rng(1).standard_normal(n)
        moved = sheet("rram_cmo_hfox").drifted(np.full(n, g), normal, 3600.0) - g
        assert abs(moved.mean() - shift) < 5 * deviation / n**0.5
        assert abs(moved.std() - deviation) < 5 * deviation / (2 * n) ** 0.5


def test_cells_stay_in_their_range_and_those_just_written_as_they_are() -> None:
    made, g = sheet("rram_cmo_hfox"), np.array([8.5, 9.0, 88.2, 88.9]) * MICRO
    assert np.array_equal(made.drifted(g, np.full(4, 3.0), 0.0), g)
    np.testing.assert_allclose(made.drifted(g, np.full(4, -300.0), DAY), np.array([8.5, 9, 9, 9]) * MICRO, rtol=1e-12)
    up = made.drifted(g, np.full(4, 300.0), DAY)
    np.testing.assert_allclose(up, np.array([88.2, 88.2, 88.2, 88.9]) * MICRO, rtol=1e-12)
    before_the_first = made.drifted(np.array([5e-5]), np.array([1.0]), 1e-3)
    assert before_the_first[0] == close(5e-5 + 0.41183342e-6, rel=1e-12)


def test_a_chip_of_cmo_cells_relaxes_and_comes_back() -> None:
    made = sheet("rram_cmo_hfox")
    devices = Devices(Mapping(made, 1.0), np.full((2, 2, 10, 12), 50e-6))
    draws = [np.random.default_rng(chip) for chip in range(2)]
    devices.wait(3600.0, draws)
    shift, deviation = relaxation().moments(3600.0)
    normal = np.stack([np.random.default_rng(chip).standard_normal((2, 10, 12)) for chip in range(2)])
    np.testing.assert_allclose(devices.conductance, 50e-6 + shift + deviation * normal, rtol=1e-12)
    devices.unwait()
    assert (devices.conductance == 50e-6).all()


@pytest.mark.parametrize(
    ("r", "mean", "deviation"),  # of the branches and on both sides of their joints
    [
        (1e-9, 0.13, 0.04),
        (0.05, -0.0387 * np.log(0.05) - 0.0182, -0.0117 * np.log(0.05) - 0.0057),
        (0.0945, 0.0736 - 0.0126 * 0.0945 - 0.0436 * 0.0945**2, -0.0117 * np.log(0.0945) - 0.0057),
        (0.3, 0.0736 - 0.0126 * 0.3 - 0.0436 * 0.09, 0.0091),
        (0.3055, 0.0736 - 0.0126 * 0.3055 - 0.0436 * 0.3055**2, 0.0073 + 0.0093 * 0.3055 - 0.0118 * 0.3055**2),
        (1.0, 0.0174, 0.0048),
    ],
)
def test_devices_of_hermes_drift_as_published(r: float, mean: float, deviation: float) -> None:
    """Le Gallo et al., Nat. Electron. 2023, two devices for each conductance, as aihwkit has them."""
    law = sheet("pcm_hermes_14nm").drift
    assert law is not None
    assert not isinstance(law, Relaxation)
    found = [float(each) for each in law.moments(np.array(r))]
    np.testing.assert_allclose(found, [mean, deviation], rtol=1e-6)
    assert law.start == 300.0


def test_hermes_at_its_largest_conductance_keeps_most_of_it_for_a_day() -> None:
    left = sheet("pcm_hermes_14nm").drifted(np.array([20.7e-6]), np.zeros(1), DAY) / 20.7e-6
    assert left[0] == close(((DAY + 300) / 300) ** -0.0174, rel=1e-6)


def test_a_relaxation_needs_its_units() -> None:
    with pytest.raises(ConfigError, match=r"drift\.shift .*needs its unit"):
        sheet("rram_cmo_hfox", drift={"shift": -0.089})
