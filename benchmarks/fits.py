"""How often the 95 % intervals of `hwsim fit` cover the truth: made-up measurements of known laws, fitted one by one.

    python benchmarks/fits.py                  # 200 measurements of each kind
    python benchmarks/fits.py --kind "soft bounds" --fits 20

Each measurement is made by NumPy alone, from the formulas of its law, and goes through a CSV file, as a user's does.
A parameter whose law was not the one chosen in a fit is not counted there; how often that is stands beside it.
`--small` makes one small measurement of each kind.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from hwsim.config import measured

LOW, HIGH = 0.88, 0.99
"""Coverage that 200 fits are to have."""


def program_and_verify(seed: int, devices: int = 40, reads: int = 10, dead: int = 3) -> pd.DataFrame:
    """12 targets; 15 % low, σ = 0.8 + 1.6 r µS about that, read noise of 3 % of g; some devices are dead."""
    draw = np.random.default_rng(seed)
    target = np.repeat(np.linspace(5, 60, 12), devices)
    g = 0.85 * target + (0.8 + 1.6 * target / 60) * draw.normal(size=target.size)
    read = g[:, None] * (1 + 0.03 * draw.normal(size=(target.size, reads)))
    gone = DEAD[:dead] if dead else []
    read[gone] = 0.02 * draw.normal(size=(len(gone), reads))
    number = np.repeat(np.arange(target.size), reads)
    return pd.DataFrame({"device": number, "target_uS": np.repeat(target, reads), "read_uS": read.ravel()})


DEAD = [90, 200, 411]
"""Numbers of devices that are dead; none is at the lowest target, where sound devices may read next to nothing."""


def flicker(seed: int, devices: int = 40, reads: int = 20) -> pd.DataFrame:
    """12 targets; σ of programming is 1 µS, and of a read 0.3 µS √(g / 25 µS)."""
    draw = np.random.default_rng(seed)
    target = np.repeat(np.linspace(5, 25, 12), devices)
    g = np.maximum(target + draw.normal(size=target.size), 0.5)
    read = g[:, None] + 0.3 * np.sqrt(g / 25)[:, None] * draw.normal(size=(target.size, reads))
    number = np.repeat(np.arange(target.size), reads)
    return pd.DataFrame({"device": number, "target_uS": np.repeat(target, reads), "read_uS": read.ravel()})


def additive(seed: int, devices: int = 40, reads: int = 10) -> pd.DataFrame:
    """12 targets; σ of programming is 1 µS, and that of a read 0.5 µS."""
    draw = np.random.default_rng(seed)
    target = np.repeat(np.linspace(5, 25, 12), devices)
    g = target + draw.normal(size=target.size)
    read = g[:, None] + 0.5 * draw.normal(size=(target.size, reads))
    number = np.repeat(np.arange(target.size), reads)
    return pd.DataFrame({"device": number, "target_uS": np.repeat(target, reads), "read_uS": read.ravel()})


def drift(seed: int, devices: int = 40, times: int = 12) -> pd.DataFrame:
    """20 s to 10⁶ s, ν = 0.05 with a spread of 0.015 over devices, read noise of 2 % of g."""
    draw, at = np.random.default_rng(seed), np.geomspace(20, 1e6, times)
    level, exponent = draw.uniform(1, 25, (devices, 1)), draw.normal(0.05, 0.015, (devices, 1))
    g = level * (at / 20) ** -exponent * (1 + 0.02 * draw.normal(size=(devices, times)))
    rows = {"device": np.repeat(np.arange(devices), times), "time_s": np.tile(at, devices), "G_uS": g.ravel()}
    return pd.DataFrame(rows)


def pulses(seed: int, devices: int = 16, cycles: int = 3, count: int = 60, noise: float = 0.5) -> pd.DataFrame:
    """Soft bounds: each device with bounds and steps of its own, as many pulses up as down, one read after each."""
    draw = np.random.default_rng(seed)
    low, high = 5 * np.exp(0.25 * draw.normal(size=devices)), 60 * np.exp(0.2 * draw.normal(size=devices))
    up, down = 0.035 * np.exp(0.3 * draw.normal(size=devices)), 0.06 * np.exp(0.3 * draw.normal(size=devices))
    g, reads = low.copy(), []
    for _ in range(cycles):
        for pulse in range(2 * count):
            step = up * (high - g) if pulse < count else -down * (g - low)
            g = g + step * (1 + noise * draw.normal(size=devices))
            reads.append(g * (1 + 0.01 * draw.normal(size=devices)))
    return _listed(reads, devices, cycles, count)


def _listed(reads: list[np.ndarray], devices: int, cycles: int, count: int) -> pd.DataFrame:
    """The reads of all devices after each pulse, as a table."""
    rows = cycles * 2 * count
    return pd.DataFrame(
        {
            "device": np.repeat(np.arange(devices), rows),
            "cycle": np.tile(np.repeat(np.arange(cycles), 2 * count), devices),
            "pulse": np.tile(np.arange(2 * count), devices * cycles),
            "direction": np.tile(np.repeat(["up", "down"], count), devices * cycles),
            "G (uS)": np.array(reads).T.ravel(),
        }
    )


def shrinking(law: str, larger: float = 1.0) -> Callable[..., pd.DataFrame]:
    """Pulses of another law: steps and bounds of each device are its own, of `linear` also both bends.

    Args:
        larger: factor of steps; with 2, nearly all devices of `constant` and `linear` meet both bounds in each cycle.
    """

    def made(seed: int, devices: int = 16, cycles: int = 3, count: int = 60, noise: float = 0.3) -> pd.DataFrame:
        draw = np.random.default_rng(seed)
        low, high = 5 * np.exp(0.1 * draw.normal(size=devices)), 50 * np.exp(0.1 * draw.normal(size=devices))
        steps = {"constant": (1.0, 1.2), "linear": (1.0, 1.2), "power": (3.0, 4.0), "exponential": (2.0, 2.5)}[law]
        up, down = (larger * step * np.exp(0.2 * draw.normal(size=devices)) for step in steps)
        bends = 0.025 + 0.004 * draw.normal(size=devices), -0.03 + 0.004 * draw.normal(size=devices)
        g, reads = low.copy(), []
        for _ in range(cycles):
            for pulse in range(2 * count):
                upward = pulse < count
                left = (high - g if upward else g - low) / (high - low)
                middle = (low + high) / 2
                share = {
                    "constant": np.ones(devices),
                    "linear": np.maximum(1 - bends[0 if upward else 1] * (g - middle), 0),
                    "power": np.maximum(left, 0) ** (2.0 if upward else 1.5),
                    "exponential": (1 - np.exp(-(3.0 if upward else 2.0) * left))
                    / (1 - np.exp(-3.0 if upward else -2.0)),
                }[law]
                step = (up if upward else -down) * share * (1 + noise * draw.normal(size=devices))
                g = np.clip(g + step, low, high)
                reads.append(g * (1 + 0.01 * draw.normal(size=devices)))
        return _listed(reads, devices, cycles, count)

    return made


def _truth(up: float, down: float, **more: float) -> dict[str, float]:
    """What is true of such a measurement."""
    return {
        "s⁺, a pulse up, median": up * 1e-6,
        "spread of s⁺, of its logarithm": 0.2,
        "s⁻, a pulse down, median": down * 1e-6,
        "spread of s⁻, of its logarithm": 0.2,
        "g_min, median": 5e-6,
        "spread of g_min, of its logarithm": 0.1,
        "g_max, median": 50e-6,
        "spread of g_max, of its logarithm": 0.1,
        "noise of a pulse, share of the change": 0.3,
        "noise of a read, share of g": 0.01,
        **more,
    }


_BENDS = {
    "b⁺, bend up, mean": 0.025e6,
    "spread of b⁺": 0.004e6,
    "b⁻, bend down, mean": -0.03e6,
    "spread of b⁻": 0.004e6,
}
SMALL = {"devices": 8, "cycles": 2, "count": 40}


class Model(NamedTuple):
    """How a measurement is made, and what is true of it."""

    made: Callable[..., pd.DataFrame]
    truth: dict[str, float]
    small: dict[str, int]


MODELS = {
    "program and verify": Model(
        program_and_verify,
        {
            "bias, share of the target": -0.15,
            "programming error, constant": 0.8e-6,
            "programming error, of r": 1.6e-6,
            "read noise, share of g": 0.03,
        },
        {"devices": 36, "reads": 5},
    ),
    "additive noise": Model(
        additive, {"programming error, constant": 1e-6, "read noise": 0.5e-6}, {"devices": 20, "reads": 5}
    ),
    "flicker noise": Model(
        flicker,
        {"programming error, constant": 1e-6, "read noise, exponent of g / g_max in Q": 0.5},
        {"devices": 20, "reads": 10},
    ),
    "drift": Model(
        drift,
        {"drift, mean of ν": 0.05, "drift, spread of ν over devices": 0.015, "noise of a read, share of g": 0.02},
        {"devices": 20, "times": 6},
    ),
    "soft bounds": Model(
        pulses,
        {
            "u, share of the way to g_max, median": 0.035,
            "spread of u, of its logarithm": 0.3,
            "d, share of the way to g_min, median": 0.06,
            "spread of d, of its logarithm": 0.3,
            "g_min, median": 5e-6,
            "spread of g_min, of its logarithm": 0.25,
            "g_max, median": 60e-6,
            "spread of g_max, of its logarithm": 0.2,
            "noise of a pulse, share of the change": 0.5,
            "noise of a read, share of g": 0.01,
        },
        SMALL,
    ),
    "constant pulses": Model(shrinking("constant"), _truth(1.0, 1.2), SMALL),
    "constant pulses to bounds": Model(shrinking("constant", 2.0), _truth(2.0, 2.4), SMALL),
    "linear pulses": Model(shrinking("linear"), {**_truth(1.0, 1.2), **_BENDS}, SMALL),
    "linear pulses to bounds": Model(shrinking("linear", 2.0), {**_truth(2.0, 2.4), **_BENDS}, SMALL),
    "power pulses": Model(shrinking("power"), {**_truth(3.0, 4.0), "exponent γ⁺": 2.0, "exponent γ⁻": 1.5}, SMALL),
    "exponential pulses": Model(shrinking("exponential"), {**_truth(2.0, 2.5), "rate κ⁺": 3.0, "rate κ⁻": 2.0}, SMALL),
}


class Covered(NamedTuple):
    """Of how many fits the interval of a parameter covers the truth."""

    name: str
    covered: int
    fits: int


def cover(name: str, fits: int, small: bool = False, first: int = 0) -> tuple[list[Covered], int]:
    """How often the intervals of a model cover, and how many files had a sound device named."""
    model = MODELS[name]
    count = {each: [0, 0] for each in model.truth}
    falsely = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.csv"
        for seed in range(first, first + fits):
            model.made(seed, **(model.small if small else {})).to_csv(path, index=False, sep=";")
            found = measured.fit(path)
            falsely += any(not each.why.startswith("dead") for each in found.aside)
            for each in found.parameters:
                if each.name in count:
                    count[each.name][0] += each.low <= model.truth[each.name] <= each.high
                    count[each.name][1] += 1
    return [Covered(each, *numbers) for each, numbers in count.items()], falsely


def named(made: pd.DataFrame) -> set[str]:
    """The devices that a fit leaves out."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.csv"
        made.to_csv(path, index=False)
        return {each.device for each in measured.fit(path).aside}


def outliers(fits: int, first: int = 1000, **size: int) -> tuple[int, int, int]:
    """Clean files in which a sound device is named, and dead devices that are named of all that there are."""
    falsely = sum(bool(named(program_and_verify(seed, dead=0, **size))) for seed in range(first, first + fits))
    dead = [len(named(program_and_verify(seed, **size)) & set(map(str, DEAD))) for seed in range(first, first + fits)]
    return falsely, sum(dead), len(DEAD) * fits


def main() -> None:
    parser = argparse.ArgumentParser(description="Coverage of the intervals of fits.")
    parser.add_argument("--kind", choices=list(MODELS), help="one model; by default all, and the rule for outliers")
    parser.add_argument("--fits", type=int, default=200)
    parser.add_argument("--small", action="store_true", help="one small measurement of each kind")
    asked = parser.parse_args()
    fits = 1 if asked.small else asked.fits
    for name in [asked.kind] if asked.kind else MODELS:
        rows, falsely = cover(name, fits, asked.small)
        print(f"{name}: {fits} measurements, sound devices named in {falsely}")
        for row in rows:
            share = row.covered / max(row.fits, 1)
            beyond = "" if asked.small or LOW <= share <= HIGH else f"; not within {LOW} to {HIGH}"
            print(f"  {row.name}: {share:.3f} of {row.fits}{beyond}", flush=True)
    if not asked.kind:
        falsely, dead, of = outliers(fits, **({"devices": 36, "reads": 5} if asked.small else {}))
        print(f"outliers: a sound device named in {falsely} of {fits} clean files; {dead} of {of} dead devices named")


if __name__ == "__main__":
    main()
