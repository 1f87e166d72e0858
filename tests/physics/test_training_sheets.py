"""Shipped sheets of devices that are trained by pulses: published trajectories, and devices that answer to none."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import close

from hwsim import streams
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.physics import DataSheet, pulses
from hwsim.physics.pulses import Law

SPREADS = ("step_spread", "up_down_spread", "low_spread", "high_spread", "bend_spread", "corrupt")
TRAINED = [name for name in hardware.names("devices") if hardware.device(Document("test", name)).update is not None]


def sheet(name: str) -> DataSheet:
    return hardware.device(Document("test", name))


def law_of(name: str) -> Law:
    law = sheet(name).update
    assert law is not None
    return law


def trajectory(name: str, *counts: int) -> list[float]:
    """x from 0 on, after so many pulses each, down if negative, of a device without noise that is as most are."""
    law = law_of(name)
    exact = law.model_copy(update={each: 0.0 for each in SPREADS if hasattr(law, each)})
    drawn, x, found = exact.draw(1, lambda purpose: np.zeros(1)), np.zeros(1), []
    for count in counts:
        pulses.pulse(exact.form, x, np.array([count]), *drawn, exact.shape, 0.0, False, np.zeros(1, np.float32))
        found.append(float(x[0]))
    return found


@pytest.mark.parametrize(
    ("name", "up", "down"),
    [
        ("gokmen_vlasov", 0.16, 0.0),
        ("idealized", 0.02, 0.0),
        ("capacitor", 0.493863, -0.012195),
        ("gain_cell", 0.493863, -0.012195),
        ("ecram_li", 0.198065, -0.013160),
        ("ecram_mo", 0.028075, -0.000486),
        ("reram_es", 0.146008, -0.064061),
        ("reram_sb", 0.184957, -0.034145),
        ("reram_array_om", 0.999953, -0.999907),
        ("reram_array_hfo2", 1.0, -1.0),  # no published number: 1 - .5378¹⁰⁰ is 1
    ],
)
def test_shipped_devices_are_where_published_ones_are_after_100_pulses_up_and_100_down(
    name: str, up: float, down: float
) -> None:
    """The trajectories of aihwkit's presets, printed to six digits."""
    assert trajectory(name, 100, -100) == close([up, down], rel=0, abs=6e-7)


def test_phase_change_devices_grow_as_published_ones() -> None:
    """Up only; printed to five or six digits."""
    found = [trajectory("pcm_update", n)[0] for n in (1, 2, 5, 10, 20)]
    assert found == close([0.28235, 0.426803, 0.681657, 0.924401, 1.21736], rel=0, abs=6e-6)


def test_every_sheet_with_a_law_of_pulses_names_the_publication_it_is_of() -> None:
    for name in TRAINED:
        made, law = sheet(name), law_of(name)
        assert law.source.partition(",")[0] in made.sources, name
        assert law.reference == "symmetry" or law.corrupt == 0, name


@pytest.mark.parametrize(("name", "share"), [("reram_array_om", 0.1348), ("reram_array_hfo2", 0.0977)])
def test_as_many_devices_answer_to_no_pulse_as_were_measured(name: str, share: float) -> None:
    """They stay within .01 of 0, spread evenly; five standard errors, missed less often than once in 10⁶."""
    law, devices = law_of(name), 100_000

    def normal(purpose: str) -> np.ndarray:
        return streams.generator(0, "test", purpose).standard_normal(devices)

    drawn = law.draw(devices, normal)
    stuck = drawn.low == drawn.high
    stuck &= drawn.low != 0  # a bound that the spread took beyond 0
    assert stuck.mean() == close(share, rel=0, abs=5 * np.sqrt(share * (1 - share) / devices))
    place = drawn.low[stuck]
    assert np.abs(place).max() <= 0.01
    bounds = law.model_copy(update={"corrupt": 0.0}).draw(devices, normal)
    free = (bounds.low[stuck] <= -0.01) & (bounds.high[stuck] >= 0.01)
    spread = np.sort(place[free])
    uniform = (np.arange(spread.size) + 0.5) / spread.size * 0.02 - 0.01
    assert np.abs(spread - uniform).max() < 0.02 * 2.6 / np.sqrt(spread.size)  # Kolmogorov: once in 700 000
    x, counts = np.zeros(devices), np.full(devices, 3)
    fresh = streams.generator(1, "test").standard_normal(3 * devices).astype(np.float32)
    pulses.pulse(law.form, x, counts, *drawn, law.shape, law.noise, True, fresh)
    assert np.array_equal(x[stuck], place)
