"""Read noise with a memory: correlations, spectra and variances against closed forms; false alarms below 10⁻⁵."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.physics.colour import Colour
from hwsim.units.coloured import Coloured, Fresh

DEVICES = 100_000
BOTH = pytest.mark.parametrize("signals", ["gaussian", "telegraph"])


def colour(slow: str = "1 ms", fast: str = "1 us", **keys: Any) -> Colour:
    ends = {name: {"value": value, "assumed": "a test"} for name, value in (("slow", slow), ("fast", fast))}
    return Colour.model_validate({**ends, **keys})


def noise(law: Colour, devices: int) -> tuple[Coloured, Fresh]:
    """Devices of one chip, and fresh numbers for their signals."""
    draw = np.random.default_rng(1)
    state = law.start(draw.standard_normal((1, law.count, 1, devices, 1))).astype(np.float32)

    def fresh(chip: int, signal: int, numbers: np.ndarray) -> None:
        draw.standard_normal(out=numbers, dtype=np.float32)

    return Coloured(law, state), fresh


def test_signals_are_spaced_by_decades() -> None:
    assert colour().times == close([1e-6, 1e-5, 1e-4, 1e-3])
    assert colour(per_decade=2).count == 7
    assert colour("3 ms").count == 5  # at least as many as asked for
    assert colour("1 us").times == close([1e-6])


@BOTH
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_variance_and_correlation_are_those_of_the_law(signals: str, share: float) -> None:
    """Variances, and correlations over all lags from steps of unequal length, within 6 standard errors; 18 bounds.

    The product of two normal numbers of variance 1 has a variance of at most 2, as their square has; with two values
    it is less.
    """
    law = colour(signals=signals, share=share)
    made, fresh = noise(law, DEVICES)
    first, at, error = made.normal.ravel().copy(), 0.0, 6 * share * np.sqrt(2 / DEVICES)
    assert np.mean(first**2, dtype=float) == close(share, rel=0, abs=error)
    assert made.white == close(1 - share)
    for step in (1e-7, 1e-6, 3e-6, 0.0, 5e-5, 4e-4, 2e-3, 1.0):
        made.advance(step, fresh)
        at += step
        now = made.normal.ravel()
        assert np.mean(first * now, dtype=float) == close(share * np.exp(-at / law.times).mean(), rel=0, abs=error)
        assert np.mean(now**2, dtype=float) == close(share, rel=0, abs=error)


@BOTH
def test_the_spectrum_is_the_sum_of_lorentzians(signals: str) -> None:
    """The mean periodogram against its exact mean, which has the window and the sampling in it.

    Power at a frequency is nearly exponential, so the mean of 4000 has a standard error of its 1/√4000; of two values
    it is wider, by at most √(3/2). 8 of them for 128 frequencies: missed less often than once in 10⁶.
    """
    law, steps, period, devices = colour(signals=signals, per_decade=2), 256, 1e-6, 4000
    made, fresh = noise(law, devices)
    found = np.empty((steps, devices))
    for step in range(steps):
        found[step] = made.normal.ravel()
        made.advance(period, fresh)
    power = (np.abs(np.fft.rfft(found, axis=0)) ** 2).mean(1)[1:129] / steps
    lags = np.arange(steps)
    memory = np.exp(-lags[:, None] * period / law.times).mean(1) * (1 - lags / steps)
    waves = np.cos(2 * np.pi * np.outer(np.arange(1, 129) / steps, lags))
    expected = memory[0] + 2 * waves[:, 1:] @ memory[1:]
    assert power == close(expected, rel=8 / np.sqrt(devices))


def test_the_spectrum_falls_as_one_over_f() -> None:
    """4 τ / (1 + (2π f τ)²), summed: f ln(slow / fast) S is 1 within a few hundredths, far from both ends."""
    law = colour("1e3 s", "1 us", per_decade=2)
    f = np.geomspace(1e-1, 1e3, 41)
    spectrum = (4 * law.times / (1 + (2 * np.pi * f[:, None] * law.times) ** 2)).mean(1)
    corrected = spectrum * law.count / (law.count - 1)  # both ends of the grid stand for half an interval each
    assert f * np.log(1e9) * corrected == close(np.ones(41), rel=0.02)


def test_a_telegraph_has_two_values_and_flips_half_as_often_as_it_forgets() -> None:
    """Flips within Δt have the probability (1 - exp(-Δt / τ)) / 2; 6 standard errors, missed once in 10⁸."""
    made, fresh = noise(colour("1 ms", "1 ms", signals="telegraph"), DEVICES)
    before = made.state.copy()
    made.advance(2e-4, fresh)
    assert set(np.unique(made.state)) == {-1.0, 1.0}
    p = (1 - np.exp(-0.2)) / 2
    assert np.mean(made.state != before) == close(p, rel=0, abs=6 * np.sqrt(p * (1 - p) / DEVICES))


def test_a_short_step_is_not_lost_in_rounding() -> None:
    """A thousand steps of 10⁻⁹ τ: variance stays, and each value moves by √(2 · 10⁻⁶); 6 standard errors."""
    made, fresh = noise(colour("1 ms", "1 ms"), DEVICES)
    before = made.state.copy()
    for _ in range(1000):
        made.advance(1e-12, fresh)
    moved = np.mean((made.state - before).astype(float) ** 2)
    assert moved == close(2e-6, rel=6 * np.sqrt(2 / DEVICES) + 1e-3)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"fast": {"value": "2 s", "assumed": "a test"}}, r"colour.fast.*: it is at most `slow`"),
        ({"fast": {"value": "1e-9 s", "assumed": "a test"}, "per_decade": 10}, r"colour.per_decade.*: 91 signals"),
        ({"share": 1.5}, r"colour.share"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], says: str) -> None:
    ends = {name: {"value": value, "assumed": "a test"} for name, value in (("slow", "1 s"), ("fast", "1 us"))}
    with pytest.raises(ConfigError, match=says):
        hardware.device(Document("test", {"like": "rram_milo", "colour": {**ends, **keys}}))
