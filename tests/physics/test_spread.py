"""Spread over devices: ranges and read noise of their own, from streams that change no other draw.

Bounds on random numbers are five standard errors or more, which chance exceeds less than once in a million.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim import streams
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.physics import DataSheet
from hwsim.physics.pulses import Law
from hwsim.units.devices import Devices
from hwsim.units.mapping import Mapping
from hwsim.units.own import GIVE

SPREAD = {"min": 0.4, "max": 0.2, "reads": 0.5, "assumed": "for this test"}
SHAPE = (100, 200)
MICRO = 1e-6
EXACT = {"error": {"coefficients": ["0 uS"], "source": "nandakumar2019"}}


def sheet(like: str = "pcm_gst_90nm", **parts: Any) -> DataSheet:
    return hardware.device(Document("test", {"like": like, **parts}))


def drawn(seed: int, chip: int, purpose: str) -> np.random.Generator:
    return streams.generator(seed, f"chip {chip}", "W", "devices", purpose)


def devices(of: DataSheet, chips: int = 1, shape: tuple[int, int] = SHAPE) -> Devices:
    made = Devices(Mapping(of, 1.0), np.full((chips, 2, *shape), 10 * MICRO))
    GIVE.values(made, [of] * chips, 1.0, partial(drawn, 3))
    return made


def written(of: Devices, steps: int, seed: int = 0) -> np.ndarray:
    """What devices conduct once each plus device is programmed to so many steps."""
    chips, _, rows, columns = of.conductance.shape
    words = np.full((chips, 1, rows * columns), steps * of.mapping.unit)
    of.program(words, np.full_like(words, np.nan), np.ones_like(words), [np.random.default_rng([seed, 1])] * chips)
    return of.conductance


def test_ends_and_noise_have_the_moments_of_the_law_and_do_not_depend_on_each_other() -> None:
    """ln of each is normal: mean and deviation within five standard errors, and no correlation beyond five."""
    own = devices(sheet(spread=SPREAD)).own
    assert own is not None
    assert own.least is not None
    assert own.most is not None
    assert own.noise is not None
    n = own.least.size
    found = [np.log(own.least / 0.25e-6), np.log(own.most / 25e-6), np.log(own.noise)]
    for values, sigma in zip(found, (0.4, 0.2, 0.5), strict=True):
        assert abs(values.mean()) < 5 * sigma / n**0.5
        assert abs(values.std() - sigma) < 5 * sigma / (2 * n) ** 0.5
    correlations = np.corrcoef([values.ravel() for values in found])
    assert np.abs(correlations[np.triu_indices(3, 1)]).max() < 5 / n**0.5


def test_targets_are_clipped_to_what_each_device_reaches() -> None:
    """Without an error of programming, devices are at their goal or at their own end."""
    made = devices(sheet(spread=SPREAD, programming=EXACT))
    own, top = made.own, made.mapping.levels
    assert own is not None
    found = written(made, top)
    np.testing.assert_allclose(found[:, 0], np.minimum(25e-6, own.most[:, 0]), rtol=1e-12)  # type: ignore[index]
    np.testing.assert_allclose(found[:, 1], np.maximum(0.25e-6, own.least[:, 1]), rtol=1e-12)  # type: ignore[index]
    assert 0.45 < (found[:, 0] < 25e-6).mean() < 0.55  # half of 20 000, fourteen standard errors


def test_the_error_of_programming_is_that_of_the_clipped_goal() -> None:
    made = devices(sheet(spread=SPREAD))
    own, of = made.own, made.mapping.sheet
    assert own is not None
    goal = np.minimum(25e-6, own.most[0, 0])  # type: ignore[index]
    normal = np.random.default_rng([0, 1]).standard_normal(goal.size).reshape(goal.shape)
    expected = np.maximum(goal + of.programming_error(goal) * normal, 0)
    np.testing.assert_allclose(written(made, made.mapping.levels)[0, 0], expected, rtol=1e-12)


def test_a_read_scatters_by_the_factor_of_each_device_and_the_mean_variance_is_the_closed_form() -> None:
    """E[exp(2 s ξ)] = exp(2 s²), with Var = exp(8 s²) - exp(4 s²); s = .2, within six standard errors."""
    s, plain = 0.2, devices(sheet())
    made = devices(sheet(spread={"reads": s, "assumed": "for this test"}))
    own = made.own
    assert own is not None
    noise = own.noise
    assert noise is not None
    assert own.within(np.array([1.0]), 0) == 1.0  # no range of their own: nothing is clipped
    ratio = made.spread / plain.spread
    np.testing.assert_allclose(ratio, (noise[:, 0] ** 2 + noise[:, 1] ** 2) / 2, rtol=1e-5)
    error = np.sqrt((np.exp(8 * s**2) - np.exp(4 * s**2)) / (2 * ratio.size))
    assert abs(ratio.mean() - np.exp(2 * s**2)) < 6 * error


def test_pulses_stop_where_each_device_ends() -> None:
    made = devices(sheet(spread=SPREAD), shape=(20, 30))
    own = made.own
    assert own is not None
    made.pulse(np.full((1, 20, 30), 5.0), None)
    np.testing.assert_allclose(made.plus, np.maximum(10 * MICRO, own.most[:, 0]), rtol=1e-12)  # type: ignore[index]
    np.testing.assert_allclose(made.minus, np.minimum(10 * MICRO, own.least[:, 1]), rtol=1e-12)  # type: ignore[index]


def test_draws_of_a_chip_and_of_a_kind_are_its_own() -> None:
    """Chips together are as each alone, and one kind of spread leaves the others as they are."""
    both, alone = devices(sheet(spread=SPREAD), 2).own, devices(sheet(spread={**SPREAD, "min": 0, "reads": 0})).own
    assert both is not None
    assert alone is not None
    assert np.array_equal(both.most[0], alone.most[0])  # type: ignore[index]
    assert not np.array_equal(both.most[0], both.most[1])  # type: ignore[index]
    assert alone.noise is None
    assert np.unique(alone.least).size == 1  # type: ignore[type-var]


def test_spread_changes_no_draw_of_programming() -> None:
    wide = {"max": 1e-9, "reads": 0.5, "assumed": "for this test"}
    plain, spread = (written(devices(sheet(**parts)), 7) for parts in ({}, {"spread": wide}))
    np.testing.assert_allclose(plain, spread, rtol=1e-8)


def test_devices_with_a_law_of_pulses_have_a_spread_of_bounds_there() -> None:
    with pytest.raises(ConfigError, match=r"spread\.max.*`update\.high_spread`"):
        sheet("reram_sb", spread={"max": 0.1, "assumed": "for this test"})
    assert sheet("reram_sb", spread={"reads": 0.1, "assumed": "for this test"}).spread is not None


def test_a_sheet_without_spread_is_written_as_ever() -> None:
    assert "spread" not in sheet().model_dump(mode="json")


@pytest.mark.parametrize("name", ["reram_es", "reram_sb", "capacitor", "ecram_li", "gokmen_vlasov"])
def test_steps_up_and_down_of_a_device_are_correlated_as_the_sheet_says(name: str) -> None:
    """(σ² - τ²) / (σ² + τ²), σ that of `step_spread`, τ that of `up_down_spread`; five standard errors (1 - ρ²)/√n."""
    law: Law | None = sheet(name).update
    assert law is not None
    n = 200_000
    numbers = np.random.default_rng(5)
    normals = {purpose: numbers.standard_normal(n) for purpose in ("step", "up_down")}
    made = law.draw(n, lambda purpose: normals.get(purpose, np.zeros(n)))
    common, apart = law.step_spread**2, law.up_down_spread**2
    expected = (common - apart) / (common + apart)
    found = np.corrcoef(made.up, made.down)[0, 1]
    assert found == close(expected, abs=5 * (1 - expected**2) / n**0.5 + 2e-3)  # |gain| folds one device in 2000
