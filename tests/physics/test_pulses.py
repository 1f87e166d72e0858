"""Laws of pulses: published trajectories, closed forms, symmetry points, and moments of what is drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close
from pydantic import TypeAdapter, ValidationError

from hwsim import streams
from hwsim.physics import pulses
from hwsim.physics.pulses import Law, Responses, UpdateLaw

LAWS: dict[str, dict[str, Any]] = {
    "gokmen_vlasov": {"law": "constant", "step": 0.0016, "low": -1, "high": 1},
    "capacitor": {"law": "linear", "step": 0.005, "low": -1, "high": 1, "bend_up": 0.05, "bend_down": 0.05},
    "ecram_li": {
        "law": "linear",
        "step": 0.002,
        "low": -0.8276,
        "high": 1.1724,
        "bend_up": 0.1153,
        "bend_down": 0.5085,
    },
    "ecram_mo": {
        "law": "linear",
        "step": 2.8214e-4,
        "low": -0.8286,
        "high": 1.1714,
        "bend_up": 0.4152,
        "bend_down": 0.7342,
    },
    "reram_es": {
        "law": "exponential",
        "step": 0.00135,
        "up_down": 0.259359,
        "low": -1,
        "high": 1,
        "amplitude_up": -1.18445,
        "amplitude_down": -0.081404,
        "rate_up": 5,
        "rate_down": 5,
        "slope": -0.5,
        "offset": -0.5,
    },
    "reram_sb": {"law": "soft_bounds", "step": 0.002, "low": -0.75, "high": 1.25},
    "reram_array_om": {"law": "soft_bounds", "step": 0.0949, "low": -1, "high": 1},
    "pcm": {
        "law": "exponential",
        "step": 0.01,
        "low": 0,
        "high": 2,
        "amplitude_up": -27.235,
        "amplitude_down": -2.235,
        "rate_up": 2.5,
        "rate_down": 2.5,
        "slope": -1,
        "offset": 0,
    },
    "power": {"law": "power", "step": 0.01, "low": -1, "high": 1, "exponent_up": 2, "exponent_down": 0.5},
    "piecewise": {"law": "piecewise", "step": 0.01, "low": -1, "high": 1, "up": [2, 1, 0.5], "down": [0.25, 1]},
}


def law(name: str, **changes: Any) -> Law:
    options = {**LAWS[name], "source": "test", **changes}
    checked: Law = TypeAdapter(UpdateLaw).validate_python(options)
    return checked


def normal(purpose: str, devices: int = 1) -> np.ndarray:
    return streams.generator(0, "test", purpose).standard_normal(devices)


def given(
    to: Law, x: np.ndarray, counts: Any, drawn: Responses | None = None, fresh: np.random.Generator | None = None
) -> np.ndarray:
    """x after so many pulses, down if negative."""
    x, counts = x.copy(), np.broadcast_to(np.asarray(counts, np.int64), x.shape).copy()
    drawn = to.draw(x.size, normal) if drawn is None else drawn
    draws = np.zeros(1) if fresh is None else fresh.standard_normal(int(np.abs(counts).sum()))
    noise = 0.0 if fresh is None else to.noise
    pulses.pulse(to.form, x, counts, *drawn, to.shape, noise, to.noise_of == "step", draws.astype(np.float32))
    return x


ZERO = np.zeros(1)

# ---- without noise -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "up", "down"),
    [
        ("gokmen_vlasov", 0.16, 0.0),
        ("capacitor", 0.493863, -0.012195),
        ("ecram_li", 0.198065, -0.013160),
        ("ecram_mo", 0.028075, -0.000486),
        ("reram_es", 0.146008, -0.064061),
        ("reram_sb", 0.184957, -0.034145),
        ("reram_array_om", 0.999953, -0.999907),
    ],
)
def test_a_hundred_pulses_up_and_as_many_down_lead_where_published_devices_are(
    name: str, up: float, down: float
) -> None:
    """The trajectories of aihwkit's laws, printed to six digits."""
    after = given(law(name), ZERO, 100)
    assert after[0] == close(up, rel=0, abs=6e-7)
    assert given(law(name), after, -100)[0] == close(down, rel=0, abs=6e-7)


def test_single_steps_are_those_of_published_devices() -> None:
    assert given(law("reram_es"), ZERO, 1)[0] == close(0.00148125, rel=0, abs=6e-9)
    assert given(law("reram_es"), ZERO, -1)[0] == close(-0.00199144, rel=0, abs=6e-9)
    pcm = law("pcm")
    found = [given(pcm, ZERO, n)[0] for n in (1, 2, 5, 10, 20)]
    assert found == close([0.28235, 0.426803, 0.681657, 0.924401, 1.21736], rel=0, abs=6e-6)
    assert pcm.change(ZERO, False, pcm.draw(1, normal))[0] == close(0.03235)


@pytest.mark.parametrize("n", [1, 7, 400])
def test_soft_bounds_approach_their_bounds_geometrically(n: int) -> None:
    """x = b (1 - (1 - s / b)ⁿ)."""
    sheet = law("reram_sb")
    assert given(sheet, ZERO, n)[0] == close(1.25 * (1 - (1 - 0.002 / 1.25) ** n))
    assert given(sheet, ZERO, -n)[0] == close(-0.75 * (1 - (1 - 0.002 / 0.75) ** n))


def test_power_and_piecewise_laws_are_their_expressions() -> None:
    x = np.array([-1, -0.5, 0, 0.25, 1.0])
    power, table = law("power"), law("piecewise")
    drawn = power.draw(5, lambda purpose: normal(purpose, 5))
    assert power.change(x, True, drawn) == close(0.01 * ((1 - x) / 2) ** 2)
    assert power.change(x, False, drawn) == close(0.01 * ((x + 1) / 2) ** 0.5)
    drawn = table.draw(5, lambda purpose: normal(purpose, 5))
    assert table.change(x, True, drawn) == close(0.01 * np.interp(x, [-1, 0, 1], [2, 1, 0.5]))
    assert table.change(x, False, drawn) == close(0.01 * np.interp(x, [-1, 1], [0.25, 1]))


def test_asymmetry_makes_one_direction_smaller_and_leaves_the_other() -> None:
    for up_down, up, down in ((0.2, 0.01, -0.008), (-0.2, 0.008, -0.01)):
        sheet = law("gokmen_vlasov", step=0.01, up_down=up_down)
        assert (given(sheet, ZERO, 1)[0], given(sheet, ZERO, -1)[0]) == close((up, down))


def test_devices_stop_at_their_own_bounds() -> None:
    sheet = law("gokmen_vlasov", low_spread=0.3, high_spread=0.3)
    drawn = sheet.draw(1000, lambda purpose: normal(purpose, 1000))
    assert given(sheet, np.zeros(1000), 2000, drawn) == close(drawn.high)
    assert given(sheet, np.zeros(1000), -2000, drawn) == close(drawn.low)
    assert drawn.high.min() >= 0 >= drawn.low.max()


@pytest.mark.parametrize("name", list(LAWS))
def test_a_device_without_a_range_stays_where_it_is(name: str) -> None:
    """Both of its bounds may be drawn beyond 0, where each of them then is."""
    sheet = law(name, noise=1)
    drawn = sheet.draw(1, normal)._replace(low=ZERO, high=ZERO)
    for count in (5, -5):
        assert given(sheet, ZERO, count, drawn, np.random.default_rng(1))[0] == 0


# ---- symmetry points -----------------------------------------------------------------------------------------


def test_symmetry_points_of_soft_bounds_are_the_closed_form() -> None:
    """(s⁺ - s⁻) / (s⁺ / high - s⁻ / low), for each device with its own numbers."""
    sheet = law("reram_sb", step_spread=0.3, up_down_spread=0.1, low_spread=0.1, high_spread=0.1)
    drawn = sheet.draw(500, lambda purpose: normal(purpose, 500))
    up, down, low, high = drawn[:4]
    assert sheet.symmetry(drawn) == close((up - down) / (up / high - down / low), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["reram_es", "reram_sb", "ecram_li", "power", "piecewise"])
def test_pulses_up_and_down_by_turns_lead_to_the_symmetry_point(name: str) -> None:
    """From either end of the range; what is left is one step at most."""
    sheet = law(name)
    drawn = sheet.draw(2, lambda purpose: normal(purpose, 2))
    x, point = np.array([sheet.low, sheet.high]), sheet.symmetry(drawn)
    for _ in range(20_000):
        x = given(sheet, given(sheet, x, 1, drawn), -1, drawn)
    assert np.abs(x - point).max() < 2 * sheet.step


# ---- what is drawn -------------------------------------------------------------------------------------------

DEVICES = 200_000
FIVE = 5 / np.sqrt(DEVICES)
"""Five standard errors of a mean of as many draws of unit variance: missed once in 1.7 million."""


def of_many(purpose: str) -> np.ndarray:
    return normal(purpose, DEVICES)


def test_numbers_of_devices_spread_as_the_sheet_says() -> None:
    sheet = law("reram_es", step_spread=0.2, up_down_spread=0.05, low_spread=0.05, high_spread=0.1)
    drawn = sheet.draw(DEVICES, of_many)
    gain, turn = drawn.up + drawn.down, drawn.up - drawn.down
    assert gain.mean() / 0.00135 == close(2 - 0.259359, rel=0, abs=0.4 * FIVE)
    assert gain.std() / 0.00135 == close(0.4, rel=0, abs=0.4 * FIVE)
    assert turn.mean() / 0.00135 == close(0.259359, rel=0, abs=0.1 * FIVE)
    assert turn.std() / 0.00135 == close(0.1, rel=0, abs=0.1 * FIVE)
    for bound, mean, spread in ((drawn.low, -1, 0.05), (drawn.high, 1, 0.1)):
        assert (bound.mean(), bound.std()) == close((mean, spread), rel=0, abs=spread * FIVE)
    apart = np.corrcoef([gain, turn, drawn.low, drawn.high]) - np.eye(4)
    assert np.abs(apart).max() < FIVE


def test_steps_may_spread_log_normally() -> None:
    drawn = law("reram_array_om", step_spread=0.7829, log_normal=True).draw(DEVICES, of_many)
    logs = np.log(drawn.up / 0.0949)
    assert (logs.mean(), logs.std()) == close((0, 0.7829), rel=0, abs=0.7829 * FIVE)


@pytest.mark.parametrize(("name", "noise_of"), [("reram_es", "change"), ("reram_sb", "step")])
def test_noise_of_pulses_has_the_moments_of_its_law(name: str, noise_of: str) -> None:
    """Of one pulse away from the bounds, in each direction; and of 16 at x = 0, whose variances add up."""
    sheet = law(name, noise=0.5, noise_of=noise_of)
    x, fresh = np.full(DEVICES, 0.4), streams.generator(1, "noise")
    drawn = sheet.draw(DEVICES, of_many)
    for upward, sign in ((True, 1), (False, -1)):
        change = sheet.change(x, upward, drawn)[0]
        sigma = 0.5 * (change if noise_of == "change" else sheet.step)
        moved = given(sheet, x, sign, drawn, fresh) - x
        assert moved.mean() == close(sign * change, rel=0, abs=sigma * FIVE)
        assert moved.std() == close(sigma, rel=0, abs=sigma * FIVE)
    steady = law("gokmen_vlasov", noise=0.5)
    moved = given(steady, np.zeros(DEVICES), 16, steady.draw(DEVICES, of_many), fresh)
    assert moved.std() / steady.step == close(0.5 * 4, rel=0, abs=2 * FIVE)


# ---- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("gokmen_vlasov", {"step": 3}, "step is larger than the range"),
        ("gokmen_vlasov", {"step": 0}, "greater than 0"),
        ("gokmen_vlasov", {"low": 0.1}, "less than or equal to 0"),
        ("gokmen_vlasov", {"up_down": 1}, "less than 1"),
        ("gokmen_vlasov", {"reference": "symmetry"}, "cancel everywhere or nowhere"),
        ("piecewise", {"up": [1]}, "at least 2 items"),
        ("capacitor", {"gamma": 1}, "Extra inputs"),
    ],
)
def test_what_no_device_does_is_refused(name: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        law(name, **changes)
