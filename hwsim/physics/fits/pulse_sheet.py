"""The keys of a data sheet that a law of pulses gives: `update` in numbers without unit, and the range of conductance.

A sheet counts the state of a device by x, which is 0 where pulses up and down cancel on the median device, and
g = g₀ + x (g_max − g_min) / 2, so that the range of x is 2 wide.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.physics.fits.faulty import Faulty
from hwsim.physics.fits.population import population
from hwsim.physics.fits.pulse_filter import moves
from hwsim.physics.fits.pulse_laws import Law

_SOURCE = "measurement, pulses up and down"


def range_of(law: Law, unit: float) -> tuple[float, float]:
    """Least and largest conductance of the median device, in siemens."""
    middle = typical(law)
    return float(max(middle[2], 0.0)) * unit, float(middle[3]) * unit


def keys(law: Law, unit: float, faulty: Faulty) -> dict[str, Any]:
    """`conductance`, `programming`, `read_noise` and `update`, and `faults` where devices do not work.

    Args:
        unit: of conductances in the law, in siemens.
        faulty: devices that do not work.
    """
    kind = law.kind
    middle = typical(law)
    low, high = (each / unit for each in range_of(law, unit))
    zero, per_x = _zero(law, middle), (high - low) / 2
    update = _update(law, middle, zero, per_x)
    pulse = update["step"] * per_x * unit
    noise = float(np.exp(law.found.shared[1]))
    source = "measurement, reads after pulses"
    return {
        "conductance": {
            "min": {"value": _us(low * unit), "source": "measurement, the median of what pulses down lead to"},
            "max": {"value": _us(high * unit), "source": "measurement, the median of what pulses up lead to"},
        },
        "programming": {
            "error": {
                "coefficients": [_us(pulse / 2)],
                "assumed": "half a pulse at x = 0, as pulses that are verified leave; program and verify would tell",
            },
            "step": {"value": _us(pulse), "assumed": "a pulse at x = 0"},
        },
        "read_noise": (
            {"law": "additive", "deviation_of_g_max": _round(noise / high), "source": source}
            if kind.additive
            else {"law": "relative", "deviation_of_g": _round(noise), "source": source}
        ),
        "update": {**update, **_corrupt(faulty, zero * unit, per_x * unit), "source": _SOURCE},
        **faulty.sheet,
    }


def _corrupt(faulty: Faulty, zero: float, per_x: float) -> dict[str, Any]:
    """The share of devices that stay where they are, and how far from x = 0 these are."""
    if not faulty.between:
        return {}
    furthest = max(abs(each - zero) / per_x for each in faulty.between)
    return {"corrupt": float(f"{len(faulty.between) / faulty.of:.3g}"), "corrupt_range": _round(furthest)}


def typical(law: Law) -> np.ndarray:
    """The numbers of the median device: means over devices, of logarithms for steps and for bounds above 0."""
    middle = np.median(law.found.own, axis=0)
    for at in range(4):
        (mean, _spread), of_logs = law.over_devices[at]
        middle[at] = np.exp(mean[0]) if of_logs and at > 1 else mean[0]
    return middle


def _zero(law: Law, middle: np.ndarray) -> float:
    """The conductance at which pulses up and down cancel; the middle of the range if there is none within."""
    low, high = float(middle[2]), float(middle[3])
    grid = np.linspace(low, high, 20001)[1:-1]
    more = moves(law.kind.law, middle, law.found.shared, grid, True) - moves(
        law.kind.law, middle, law.found.shared, grid, False
    )
    crossing = np.flatnonzero((more[:-1] > 0) & (more[1:] <= 0))
    return float(grid[crossing[0]]) if crossing.size else (low + high) / 2


def _update(law: Law, middle: np.ndarray, zero: float, per_x: float) -> dict[str, Any]:
    """The law in x."""
    name, own, shared = law.kind.law, law.found.own, law.found.shared
    low, high = (float(middle[2]) - zero) / per_x, (float(middle[3]) - zero) / per_x
    sizes = np.stack([_sizes(law, each, zero) / per_x for each in own])  # s⁺ and s⁻ of each device
    up, down = _sizes(law, middle, zero) / per_x
    step = max(up, down)
    asymmetry = 1 - down / up if down <= up else up / down - 1
    gain = (sizes[:, 0] - min(asymmetry, 0) * step + sizes[:, 1] + max(asymmetry, 0) * step) / (2 * step)
    turn = sizes[:, 0] / step - min(asymmetry, 0) - gain
    errors = _errors(law, zero, per_x, step)
    found: dict[str, Any] = {"law": name, "step": _round(step)}
    if abs(asymmetry) > 1e-3:
        found["up_down"] = _round(asymmetry)
    found |= {"low": _round(low), "high": _round(high)}
    found |= {
        "step_spread": _round(_spread(np.log(np.maximum(gain, 1e-6)), errors[:, 0])),
        "log_normal": True,
        "up_down_spread": _round(_spread(turn, errors[:, 1])),
        "low_spread": _round(_of_bound(law, 2, zero, per_x, errors)),
        "high_spread": _round(_of_bound(law, 3, zero, per_x, errors)),
    }
    found |= _bends(law, middle, zero, per_x, low, high)
    noise = float(np.exp(shared[0]))
    if law.kind.of_step:  # of half way, in the fit
        half = (middle[2:3] + middle[3:4]) / 2
        noise *= float(
            np.mean([moves(name, middle, shared, half, way)[0] / per_x for way in (True, False)]) / ((up + down) / 2)
        )
    return {**found, "noise": _round(noise), "noise_of": "step" if law.kind.of_step else "change"}


def _sizes(law: Law, own: np.ndarray, zero: float) -> np.ndarray:
    """s⁺ and s⁻ of a device as its law has them: at x = 0, or of the whole range, and never 0."""
    name, shared = law.kind.law, law.found.shared
    if name in ("power", "exponential"):
        found = np.exp(own[:2])
        return np.asarray(found / (1 - np.exp(-np.exp(shared[2:]))) if name == "exponential" else found)
    at = np.array([zero])
    return np.maximum([float(moves(name, own, shared, at, way)[0]) for way in (True, False)], 1e-9)


def _bends(law: Law, middle: np.ndarray, zero: float, per_x: float, low: float, high: float) -> dict[str, Any]:
    """What a law has besides steps and bounds."""
    name, shared, own = law.kind.law, law.found.shared, law.found.own
    if name == "linear":
        of_all = np.stack([_linear(each, zero, per_x, low, high) for each in own])
        up, down = np.median(of_all, axis=0)
        return {
            "bend_up": _round(max(up, 0.0)),
            "bend_down": _round(max(down, 0.0)),
            "bend_spread": _round(float(np.sqrt(of_all.var(0, ddof=1).mean()))),
        }
    if name == "power":
        return {"exponent_up": _round(np.exp(shared[2])), "exponent_down": _round(np.exp(shared[3]))}
    if name == "exponential":
        return {
            "amplitude_up": _round(np.exp(-np.exp(shared[2]))),
            "amplitude_down": 1.0,
            "rate_up": _round(np.exp(shared[2])),
            "rate_down": _round(np.exp(shared[3])),
            "slope": 0.5,
            "offset": _round(-low / (high - low)),
        }
    return {}


def _linear(own: np.ndarray, zero: float, per_x: float, low: float, high: float) -> np.ndarray:
    """γ⁺ and γ⁻ of one device."""
    away = zero - (own[2] + own[3]) / 2
    bends = own[4:6]
    return np.asarray(bends * per_x * np.array([high, low]) / np.maximum(1 - bends * away, 0.05))


def _errors(law: Law, zero: float, per_x: float, step: float) -> np.ndarray:
    """Variances of what is said of each device: ln of its gain, asymmetry, and bounds as shares."""
    own, found = law.found.own, law.found
    middle = typical(law)
    bounds = (middle[2:4] - zero) / per_x

    def said(numbers: np.ndarray) -> np.ndarray:
        up, down = _sizes(law, numbers, zero) / per_x / step
        edges = (numbers[2:4] - zero) / per_x / bounds
        return np.array([np.log(max((up + down) / 2, 1e-6)), (up - down) / 2, *edges])

    variances = np.zeros((len(own), 4))
    for device, numbers in enumerate(own):
        slopes = np.stack(
            [(said(numbers + shift) - said(numbers - shift)) / 2e-4 for shift in 1e-4 * np.eye(numbers.size)],
            axis=1,
        )
        variances[device] = np.diag(slopes @ found.own_errors[device] @ slopes.T)
    return variances


def _of_bound(law: Law, at: int, zero: float, per_x: float, errors: np.ndarray) -> float:
    """Spread of a bound in x, as a share of it."""
    bound = typical(law)[at]
    if law.met[:, at - 2].all():
        return _spread((law.found.own[:, at] - zero) / (bound - zero), errors[:, at])
    (_mean, spread), of_logs = law.over_devices[at]
    return float(spread[0] * (bound if of_logs else 1.0) / abs(bound - zero))


def _spread(estimates: np.ndarray, variances: np.ndarray) -> float:
    return population(estimates, variances).spread[0]


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _us(value: float) -> str:
    return f"{value * 1e6:.4g} uS"
