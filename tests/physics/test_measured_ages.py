"""What was measured at a few ages: scatter of NeuRRAM's cells, charge loss of SONOS, and read noise of HERMES.

Bounds on random numbers are five standard errors, which chance exceeds less than once in a million.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import yaml
from conftest import close

from hwsim.config import experiment, hardware
from hwsim.config.plausible import doubts
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.physics import DataSheet
from hwsim.physics.charge_loss import ChargeLoss
from hwsim.physics.scatter import Scatter

DAY = 86400.0
MICRO, NANO = 1e-6, 1e-9
VOLT = 0.1


def sheet(like: str, **changes: Any) -> DataSheet:
    return hardware.device(Document("test", {"like": like, **changes} if changes else like))


def scatter() -> Scatter:
    law = sheet("rram_hfox_130nm").drift
    assert isinstance(law, Scatter)
    return law


def charge_loss() -> ChargeLoss:
    law = sheet("sonos_40nm").drift
    assert isinstance(law, ChargeLoss)
    return law


# ---- scatter -------------------------------------------------------------------------------------------------

QUARTERS = np.array([0, 0.25, 0.5, 0.75, 1])
WAN = {
    1.0: [0.348, 2.2583, 2.0229, 1.5330, 1.1030],
    DAY: [0.701, 3.7208, 3.9090, 3.3665, 2.6510],
    2 * DAY: [0.782, 3.6638, 3.9291, 3.3744, 2.6770],
}
"""σ in microsiemens at r = 0, ¼, ½, ¾ and 1, as aihwkit has it of Wan et al., 2022, to four digits."""


@pytest.mark.parametrize("waited", WAN)
def test_cells_of_neurram_scatter_as_published(waited: float) -> None:
    np.testing.assert_allclose(scatter().deviation(QUARTERS, waited) / MICRO, WAN[waited], rtol=0, atol=5.1e-5)


def test_scatter_since_programming_and_its_error_make_what_was_measured() -> None:
    """After a day and at each quarter: 200 000 devices about their target, whose σ is that of programming then."""
    made, n = sheet("rram_hfox_130nm"), 200_000
    numbers = np.random.default_rng(2)
    for r, sigma in zip(QUARTERS[1:], WAN[DAY][1:], strict=True):
        target = np.full(n, r * 40e-6)
        programmed = target + made.programming_error(target) * numbers.standard_normal(n)
        alone = target + scatter().added(target, DAY, 40e-6) * numbers.standard_normal(n)
        total = np.hypot(programmed.std(), alone.std()) / MICRO
        assert total == close(sigma, rel=5 * (1 / n) ** 0.5)


def test_between_ages_scatter_goes_with_the_logarithm_of_time_and_stays_after_the_last() -> None:
    law, middle = scatter(), DAY**0.5
    np.testing.assert_allclose(
        law.deviation(QUARTERS, middle) / MICRO, np.mean([WAN[1.0], WAN[DAY]], 0), rtol=0, atol=1e-4
    )
    assert np.array_equal(law.deviation(QUARTERS, 365 * DAY), law.deviation(QUARTERS, 2 * DAY))
    g = QUARTERS * 40e-6
    for early in (0.0, 0.5, 1.0):
        assert np.array_equal(law.relaxed(g, np.ones(5), early, 1e-6, 40e-6), g)
    assert (law.relaxed(g, np.full(5, -99.0), DAY, 1e-6, 40e-6) == 0).all()


# ---- charge loss ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("waited", "at", "sigma"),  # nA: of drifted currents, as CrossSim 3.2 gives them
    [
        (DAY, (100, 400, 1600), (10.606, 22.582, 25.586)),
        (5 * DAY, (100, 400, 1600), (13.231, 29.556, 34.564)),
    ],
)
def test_currents_of_sonos_scatter_as_published(waited: float, at: tuple[float, ...], sigma: tuple[float, ...]) -> None:
    """Of cells that end at these currents: since programming they add what the published σ has beyond that of then."""
    law = charge_loss().model_copy(update={"shifts": [[0.0]] * 5})  # σ is tabled over the drifted current
    current = np.array(at, float)
    added = law.moments(current * NANO / VOLT, waited)[1] * VOLT / NANO
    then = 19.88665 * (1 - np.exp(-current / 176.3115))
    np.testing.assert_allclose(np.hypot(added, then), sigma, rtol=0, atol=5.1e-4)


def test_mean_currents_of_sonos_shift_by_the_polynomial_of_each_day() -> None:
    """The first and the last day by hand, in nanoamperes, and half of the first after half a day."""
    current = np.array([0.0, 50.0, 400.0, 1600.0])
    first = (1.72684e-1, 5.72552e-2, -6.85715e-4, 3.50271e-6, -9.37682e-9, 1.40575e-11, -1.19803e-14, 5.41293e-18,
             -8.85448e-22, -1.66869e-25, 5.95180e-29)  # fmt: skip
    last = (3.19927e-1, 1.06596e-1, -1.04054e-3, 4.50290e-6, -1.10352e-8, 1.56477e-11, -1.27592e-14, 5.45513e-18,
            -7.26841e-22, -2.43893e-25, 7.14608e-29)  # fmt: skip
    for waited, numbers, share in ((DAY, first, 1.0), (5 * DAY, last, 1.0), (DAY / 2, first, 0.5), (99 * DAY, last, 1)):
        by_hand = share * sum(c * current**k for k, c in enumerate(numbers))
        shift = charge_loss().moments(current * NANO / VOLT, waited)[0] * VOLT / NANO
        np.testing.assert_allclose(shift, by_hand, rtol=1e-9, atol=1e-9)


def test_scatter_of_sonos_is_that_of_the_shifted_current() -> None:
    """At 50 nA after a day, by hand: σ of 51.7 nA then, without σ of 50 nA at once."""
    by_hand = 50 + sum(
        c * 50.0**k for k, c in enumerate((1.72684e-1, 5.72552e-2, -6.85715e-4, 3.50271e-6, -9.37682e-9))
    )
    then = 19.88665 * (1 - np.exp(-50 / 176.3115))
    now = 25.59102 * (1 - np.exp(-by_hand / 186.85544))
    added = charge_loss().moments(np.array(50 * NANO / VOLT), DAY)[1] * VOLT / NANO
    assert float(added) == close(np.sqrt(now**2 - then**2), rel=1e-3)  # the higher powers are left out


def test_cells_of_sonos_have_the_moments_of_the_law_and_never_less_than_no_current() -> None:
    """After three days, 100 000 cells at each current."""
    made, law, n = sheet("sonos_40nm"), charge_loss(), 100_000
    normal = np.random.default_rng(4).standard_normal(n)
    for current in (200.0, 800.0, 1500.0):
        g = np.full(n, current * NANO / VOLT)
        shift, sigma = (float(each[0]) for each in law.moments(g[:1], 3 * DAY))
        moved = made.drifted(g, normal, 3 * DAY) - g
        assert abs(moved.mean() - shift) < 5 * sigma / n**0.5
        assert abs(moved.std() - sigma) < 5 * sigma / (2 * n) ** 0.5
    assert (made.drifted(np.full(9, 1e-7), np.full(9, -99.0), DAY) == 0).all()
    assert np.array_equal(made.drifted(np.full(9, 1e-7), np.ones(9), 0.0), np.full(9, 1e-7))


@pytest.mark.parametrize(
    ("device", "change", "said"),
    [
        ("sonos_40nm", {"ages": ["24 h", "12 h", "36 h", "48 h", "60 h"]}, "earliest age comes first"),
        ("sonos_40nm", {"amplitudes": ["20 nA"]}, "amplitudes: one for each of the 5 ages"),
        ("rram_hfox_130nm", {"coefficients": [["1 uS"]]}, "one list for each of the 3 ages"),
    ],
)
def test_a_table_that_is_not_whole_is_refused(device: str, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sheet(device, drift=change)


def test_twice_a_law_scatters_twice_as_much() -> None:
    g = QUARTERS[1:] * 40e-6
    np.testing.assert_allclose(scatter().times(2).added(g, DAY, 40e-6), 2 * scatter().added(g, DAY, 40e-6), rtol=1e-9)
    once, twice = charge_loss().moments(g / 4, DAY), charge_loss().times(2).moments(g / 4, DAY)
    np.testing.assert_allclose(twice[0], 2 * once[0], rtol=1e-9)
    np.testing.assert_allclose(twice[1], 2 * once[1], rtol=0.05)  # σ is that of the shifted current


@pytest.mark.parametrize(("last", "told"), [("1 day", False), ("30 day", True)])
def test_waits_beyond_what_was_measured_are_told(last: str, told: bool) -> None:
    plain = yaml.safe_load((hardware.shelf("configs/experiments") / "deployed.yaml").read_text())
    written = plain | {"machine": "rram_crossbar", "deploy": {"after": ["1 h", last]}}
    texts = [doubt.text for doubt in doubts(experiment.load(written)) if "was measured for" in doubt.text]
    assert len(texts) == told
    assert all("reaches 30 days, and the drift of rram_hfox_130nm was measured for 2" in text for text in texts)


# ---- read noise ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("r", "q"),  # of the branches and on both sides of their joint
    [
        (1e-9, 0.04),
        (0.05, -0.0117 * np.log(0.05) - 0.0069),
        (0.159, 0.015),
        (0.16, 0.0069 * 0.16**3 - 0.0280 * 0.16**2 + 0.0211 * 0.16 + 0.0123),
        (1.0, 0.0123),
    ],
)
def test_reads_of_hermes_scatter_as_published(r: float, q: float) -> None:
    """Le Gallo et al., Nat. Electron. 2023, two devices for each conductance, as aihwkit has them; after an hour."""
    made, g = sheet("pcm_hermes_14nm"), np.array([r * 20.7e-6])
    sigma = made.read_error(0.9 * g, g, 3600.0)
    expected = 0.9 * g * q * np.sqrt(np.log((300 + 3600 + 512e-9) / (2 * 512e-9)))
    np.testing.assert_allclose(sigma, expected, rtol=1e-6)
