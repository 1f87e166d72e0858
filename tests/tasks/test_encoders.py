"""Encoders: when values spike, how often, and that a seed fixes it."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from conftest import close
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from hwsim.tasks import encoders
from hwsim.tasks.encoders import latency

OPTIONS = TypeAdapter(encoders.AnyEncoder)
ONE_IN_A_MILLION = 1e-6


def made(name: str, **options: Any) -> Any:
    return OPTIONS.validate_python({"name": name, **options})


def encoded(values: Any, name: str, seed: int = 0, **options: Any) -> np.ndarray:
    """Spikes `(steps, wires)` of values of one wire."""
    column = np.asarray(values, float)[None, :, None]
    return encoders.encode(made(name, **options), column, seed, "test")[0]


def test_these_are_the_encoders() -> None:
    assert sorted(encoders.ENCODERS) == ["delta", "latency", "rate"]


def test_without_encoder_values_stay() -> None:
    values = np.random.default_rng(0).uniform(-3, 3, (2, 3, 4))
    assert encoders.encode(None, values, 0) is values
    assert encoders.shape(None, 3, 4) == (3, 4)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "rate", "repeats": 3},
        {"name": "latency", "window": 5},
        {"name": "delta", "threshold": 0.2, "repeats": 2},
    ],
)
@given(batch=st.integers(1, 3), steps=st.integers(1, 6), width=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_spikes_have_the_shape_that_was_said(
    options: dict[str, Any], batch: int, steps: int, width: int, seed: int
) -> None:
    values = np.random.default_rng(seed).uniform(-0.5, 1.5, (batch, steps, width))
    spikes = encoders.encode(made(**options), values, seed, "test")
    assert spikes.shape == (batch, *encoders.shape(made(**options), steps, width))
    assert set(np.unique(spikes)) <= {0, 1}
    within = encoders.encode(made(**options), np.clip(values, 0, 1), seed, "test")
    np.testing.assert_array_equal(spikes, within)


# ---- rate ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "chance"),
    [
        ({"peak": 1.0}, 0.3),
        ({"peak": 0.1}, 0.03),
        ({"peak": 0.1, "process": "poisson"}, 0.029554466451491845),  # 1 - exp(-0.03)
        ({"peak": 5.0, "process": "poisson"}, 0.7768698398515702),  # 1 - exp(-1.5)
    ],
)
def test_a_value_spikes_as_often_as_it_says(options: dict[str, Any], chance: float) -> None:
    """The number of spikes is binomial, and a spike says nothing of the next one."""
    spikes = encoded(np.full(1000, 0.3), "rate", repeats=100, **options)[:, 0]
    assert stats.binomtest(int(spikes.sum()), len(spikes), chance).pvalue > ONE_IN_A_MILLION
    pairs = np.histogram2d(spikes[0::2], spikes[1::2], 2)[0]
    assert stats.chi2_contingency(pairs).pvalue > ONE_IN_A_MILLION


def test_nothing_never_spikes_and_a_certain_value_always_does() -> None:
    assert not encoded([0.0] * 50, "rate", repeats=20).any()
    assert encoded([1.0] * 50, "rate", repeats=20).all()


def test_repeats_show_a_value_so_often() -> None:
    spikes = encoded([1, 0, 1], "rate", repeats=4)[:, 0]
    assert spikes.tolist() == [1] * 4 + [0] * 4 + [1] * 4


def test_a_seed_fixes_spikes_and_streams_differ() -> None:
    values = np.full((2, 50, 3), 0.5)
    once, again, other, elsewhere = (
        encoders.encode(made("rate"), values, seed, name) for seed, name in ((1, "a"), (1, "a"), (2, "a"), (1, "b"))
    )
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()
    assert (once != elsewhere).any()


def test_a_peak_that_is_no_probability_is_refused() -> None:
    with pytest.raises(ValidationError, match=re.escape("peak: 1.5 is no probability; up to 1, or process: poisson")):
        made("rate", peak=1.5)


# ---- latency -------------------------------------------------------------------------------------------------


def test_times_of_spikes_are_those_of_a_charging_membrane() -> None:
    """τ ln(x / (x - θ)) with τ 1 and θ 0.01, and that is when a membrane with x as its end reaches θ."""
    values = np.array([0.02, 0.1, 0.5, 1.0])
    found = latency.times(made("latency", tau=1.0, threshold=0.01), values)
    np.testing.assert_allclose(found, [0.693147, 0.105361, 0.020203, 0.010050], atol=5e-7)
    np.testing.assert_allclose(values * (1 - np.exp(-found)), 0.01, rtol=1e-12)


def test_larger_values_spike_earlier_and_small_ones_never() -> None:
    spikes = encoded([1.0, 0.5, 0.2, 0.1, 0.05, 0.11], "latency", window=16, tau=8.0, threshold=0.1)
    windows = spikes.reshape(6, 16)
    assert windows.sum(1).tolist() == [1, 1, 1, 0, 0, 0]  # the last one would spike after 19 steps
    assert windows[:3].argmax(1).tolist() == [0, 1, 5]  # 8 ln(10 / 9) = 0.84, 8 ln(5 / 4) = 1.79, 8 ln 2 = 5.55


def test_linear_latency_uses_the_whole_window() -> None:
    windows = encoded([1.0, 0.5, 0.11, 0.1], "latency", window=9, law="linear", threshold=0.1).reshape(4, 9)
    assert windows.sum(1).tolist() == [1, 1, 1, 0]
    assert windows[:3].argmax(1).tolist() == [0, 4, 7]


# ---- delta ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("threshold", "up", "down"), [(0.3, 29, 30), (0.05, 199, 200)])
def test_a_sine_makes_as_many_spikes_as_it_has_crossings(threshold: float, up: int, down: int) -> None:
    """A sine of size 1 about 0 makes 4 ⌊1 / δ⌋ spikes a period. Shifted and halved into [0, 1], levels are halves, too.

    From its mean the first period first climbs; k = 0 there, so the mean is a level only if δ divides it.
    """
    time = np.linspace(0, 5, 50_001)
    levels, k = [], Fraction(0)
    step = Fraction(str(threshold))
    wave = np.sin(2 * np.pi * time)
    for value in wave:  # an independent count with exact levels
        while value >= float((k + 1) * step):
            k += 1
            levels.append(1)
        while value <= float((k - 1) * step):
            k -= 1
            levels.append(-1)
    assert (levels.count(1), levels.count(-1)) == (up, down)
    ramp = np.concatenate([np.linspace(0, 0.5, 1000), (wave + 1) / 2])
    spikes = encoded(ramp, "delta", threshold=threshold / 2)[1000:]
    assert abs(int(spikes[:, 0].sum()) - up) <= 1
    assert abs(int(spikes[:, 1].sum()) - down) <= 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.02, 1))
@settings(deadline=None)
def test_the_level_is_never_further_away_than_a_threshold(values: list[float], threshold: float) -> None:
    """With enough steps for the largest move, ups less downs say the value to within δ."""
    repeats = int(1 / threshold) + 2
    spikes = encoded(values, "delta", threshold=threshold, repeats=repeats)
    level = np.cumsum(spikes[:, 0] - spikes[:, 1])[repeats - 1 :: repeats]
    assert np.all(np.abs(level * threshold - values) < threshold * (1 + 1e-9))
    assert not (spikes[:, 0] * spikes[:, 1]).any()


def test_what_is_left_of_a_move_follows_later() -> None:
    spikes = encoded([0.5, 0.5, 0.5, 0.5, 0.0], "delta", threshold=0.2, repeats=1)
    assert spikes[:, 0].tolist() == [1, 1, 0, 0, 0]
    assert spikes[:, 1].tolist() == [0, 0, 0, 0, 1]


def test_wires_of_downs_stand_behind_those_of_ups() -> None:
    values = np.array([[[0.3, 0.0], [0.0, 0.3]]])
    spikes = encoders.encode(made("delta", threshold=0.3), values, 0)[0]
    assert spikes.tolist() == [[1, 0, 0, 0], [0, 1, 1, 0]]


# ---- images --------------------------------------------------------------------------------------------------


def test_images_become_spikes_whatever_the_split() -> None:
    from hwsim import tasks

    options = {"name": "digits", "encoder": {"name": "rate", "repeats": 2}}
    adapter = TypeAdapter(tasks.AnyOptions)
    half, most = (tasks.build(adapter.validate_python({**options, "test_share": share}), 3) for share in (0.5, 0.1))
    every = [
        np.sort(np.concatenate([part.inputs.reshape(part.batch, -1).sum(1) for part in data])) for data in (half, most)
    ]
    np.testing.assert_array_equal(every[0], every[1])
    outline = tasks.outline(adapter.validate_python({**options, "test_share": 0.5}))
    assert outline.train.inputs.shape == half.train.inputs.shape == (899, 16, 8)
    assert tasks.numbers(adapter.validate_python(options)) == 1797 * (16 * 8 + 1)
    plain = tasks.build(adapter.validate_python({"name": "digits"}), 3)
    rate = half.train.inputs.mean()
    assert rate == close(
        np.mean([part.inputs.mean() for part in plain]), abs=5 * np.sqrt(0.25 / half.train.inputs.size)
    )
