"""Drift: the published exponents and factors, its spread over devices, and what it does to a chip.

Bounds on random numbers are five standard errors or more, which chance exceeds less than once in a million.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from conftest import close

from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.physics import DataSheet
from hwsim.physics.drift import ConstantExponent, left
from hwsim.units.devices import Devices
from hwsim.units.mapping import Mapping

HOUR, DAY = 3600.0, 86400.0
MICRO = 1e-6
ALL_ALIKE = {"law": "constant", "mean": 0.05, "deviation": 0.0, "start": "20 s", "source": "nandakumar2019"}


def sheet(name: str = "pcm_gst_90nm", **parts: Any) -> DataSheet:
    data = yaml.safe_load((hardware.shelf("devices") / f"{name}.yaml").read_text())
    return hardware.device(Document("test", data | parts))


def draws(chips: int, first: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([7, first + chip]) for chip in range(chips)]


@pytest.mark.parametrize(
    ("waited", "g", "share"),  # g in µS: what is left at the mean exponent
    [(HOUR, 25, 0.77513), (HOUR, 5.2, 0.77513), (HOUR, 0, 0.59461), (DAY, 25, 0.66352), (DAY, 0, 0.43295)],
)
def test_the_mean_factors_of_pcm_are_the_published_ones(waited: float, g: float, share: float) -> None:
    """Nandakumar et al., ICECS 2019; to the five digits that are known."""
    law = sheet().drift
    assert law is not None
    found = float(left(law, np.array(g / 25), np.array(0.0), waited))
    assert found == close(share, abs=6e-6)
    mean = min(max(-0.0155 * np.log(max(g / 25, 1e-7)) + 0.0244, 0.049), 0.1)
    assert found == close(((waited + 20) / 20) ** -mean, rel=1e-12)


@pytest.mark.parametrize(("r", "deviation"), [(1.0, 0.008), (0.1, -0.0125 * np.log(0.1) - 0.0059), (0.0, 0.045)])
def test_the_spread_of_exponents_of_pcm(r: float, deviation: float) -> None:
    law = sheet().drift
    assert law is not None
    assert law.moments(np.array(r))[1] == close(deviation, rel=1e-12)


def test_exponents_have_the_moments_of_the_law() -> None:
    """ν = .05 ± .015 of 100 000 devices: five standard errors of a mean and of a deviation."""
    law = ConstantExponent(law="constant", mean=0.05, deviation=0.015, start="20 s", source="here")  # type: ignore[arg-type]
    n = 100_000
    normal = np.random.default_rng(1).standard_normal(n)
    exponents = -np.log(left(law, np.full(n, 0.5), normal, HOUR)) / np.log((HOUR + 20) / 20)
    assert abs(exponents.mean() - 0.05) < 5 * 0.015 / n**0.5
    assert abs(exponents.std() - 0.015) < 5 * 0.015 / (2 * n) ** 0.5


def test_an_exponent_is_never_negative() -> None:
    """It is folded: conductances fall, and never rise."""
    law = ConstantExponent(law="constant", mean=0.01, deviation=0.05, start="20 s", source="here")  # type: ignore[arg-type]
    assert left(law, np.array([0.5]), np.array([-1.0]), HOUR) == close(181**-0.04, rel=1e-12)


def test_a_law_may_have_an_upper_part() -> None:
    """The exponents of Hermes, two devices to a weight (aihwkit), at the joint and on both sides of it."""
    mean = {"slope": -0.0387, "offset": -0.0182, "low": 0.072, "high": 0.13}
    upper = {"start": 0.0945, "coefficients": [0.0736, -0.0126, -0.0436]}
    whole = {**mean, "above": upper}
    flat = {"slope": 0.0, "offset": 0.0, "low": 0.0, "high": 0.0}
    form = {"law": "by_conductance", "mean": whole, "deviation": flat, "start": "300 s", "source": "joshi2020"}
    law = sheet(drift=form).drift
    assert law is not None
    found = law.moments(np.array([0.01, 0.0945, 1.0]))[0]
    np.testing.assert_allclose(found[0], 0.13, rtol=1e-12)
    np.testing.assert_allclose(found[1:], [0.0736 - 0.0126 * r - 0.0436 * r * r for r in (0.0945, 1)], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mean": -0.1}, "drift.mean .*at least 0"),
        ({"start": 20}, "drift.start .*needs its unit"),
        ({"law": "power"}, "unknown drift .power.; allowed: by_conductance, charge_loss, constant"),
    ],
)
def test_a_law_that_is_none_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sheet(drift=ALL_ALIKE | change)


def test_a_sheet_without_drift_is_written_as_ever() -> None:
    assert "drift" not in sheet("rram_milo").model_dump(mode="json")
    assert "drift" in sheet().model_dump(mode="json")


# ---- devices -------------------------------------------------------------------------------------------------


def pairs(of: DataSheet, chips: int, first: int = 0, size: tuple[int, int] = (20, 30)) -> Devices:
    """Devices of a matrix, each pair programmed to some conductances of its own."""
    g = np.stack([np.random.default_rng([3, first + c]).uniform(0.25, 25, (2, *size)) for c in range(chips)])
    return Devices(Mapping(of, 1.0), g * MICRO)


def test_devices_drift_from_what_they_are_and_come_back() -> None:
    devices = pairs(sheet(), 2)
    before, weights, spread = devices.conductance.copy(), devices.weights.copy(), devices.spread.copy()
    devices.wait(HOUR, draws(2))
    law, normal = sheet().drift, np.stack([draw.standard_normal((2, 20, 30)) for draw in draws(2)])
    assert law is not None
    expected = before * left(law, before / 25e-6, normal, HOUR)
    np.testing.assert_allclose(devices.conductance, expected, rtol=1e-12)
    scale = devices.mapping.scale
    np.testing.assert_allclose(devices.weights, (expected[:, 0] - expected[:, 1]) * scale, rtol=1e-5, atol=1e-7)
    q = np.minimum(0.0088 / (before / 25e-6) ** 0.65, 0.2)  # of the conductance after programming
    sigma = expected * q * np.sqrt(np.log((20 + HOUR + 250e-9) / 500e-9))
    np.testing.assert_allclose(devices.spread, np.square(sigma).sum(1) * scale**2, rtol=1e-5)
    devices.unwait()
    for found, old in ((devices.conductance, before), (devices.weights, weights), (devices.spread, spread)):
        assert np.array_equal(found, old)


def test_a_device_keeps_its_exponent_over_all_waits_and_chips_alone_equal_chips_together() -> None:
    devices, exponents = pairs(sheet(), 3), []
    before = devices.conductance.copy()
    for waited in (HOUR, DAY):
        devices.wait(waited, draws(3))
        exponents.append(-np.log(devices.conductance / before) / np.log((waited + 20) / 20))
    np.testing.assert_allclose(exponents[0], exponents[1], rtol=1e-9)
    alone = pairs(sheet(), 1, first=2)
    alone.wait(DAY, draws(1, first=2))
    assert np.array_equal(alone.conductance[0], devices.conductance[2])


def test_devices_that_are_written_again_are_young() -> None:
    """All else stays as old as it is; nothing that was written remains once the wait is undone."""
    devices = pairs(sheet(read_noise={**yaml.safe_load("{law: relative, deviation_of_g: 0, source: joshi2020}")}), 1)
    before = devices.conductance.copy()
    devices.wait(HOUR, draws(1))
    old = devices.conductance.copy()
    wanted, unit = np.zeros((1, 1, 600)), devices.mapping.unit
    wanted[0, 0, 7], moved = 5 * unit, np.zeros((1, 1, 600))
    moved[0, 0, 7] = 1
    devices.program(wanted, np.zeros_like(wanted), moved, draws(1, first=9))
    changed = devices.conductance != old
    assert changed.sum() == 1
    assert changed[0, 0, 0, 7]
    assert devices._written is not None
    assert devices._written.waited[changed] == 0
    assert (devices._written.waited[~changed] == HOUR).all()
    devices.unwait()
    assert np.array_equal(devices.conductance, before)
