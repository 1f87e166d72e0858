"""Three measurements of made-up devices, to try `hwsim fit` and `hwsim verdict` without a probe station.

    python examples/measurement.py measured

writes verify.csv (program and verify), pulses.csv (pulses up and down) and drift.csv into a folder, and prints the
truth behind them: what a fit should find. The devices are resistive memory with soft bounds,

    Δg = u (g_max - g) up, -d (g - g_min) down,

each with numbers of its own, which spread log-normally. `--small` writes a few rows to a folder that is removed again.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

TRUTH = """u: .035 (spread 30 %), d: .06 (30 %), from 5 (25 %) to 60 uS (20 %), noise of a pulse: half of its change
programming error: .8 uS + 1.6 uS x target / 60 uS; bias: -15 % of the target; 3 of 720 devices are dead
drift: exponent .05 with spread .015, from 20 s on; noise of a read: 1 % (pulses), 3 % (verify), 2 % (drift)"""


def pulses(draw: np.random.Generator, devices: int, cycles: int, each: int) -> pd.DataFrame:
    """Reads in siemens after each pulse, so many up and as many down in each cycle."""
    u, d, low, high = (
        median * np.exp(spread * draw.normal(size=devices))
        for median, spread in ((0.035, 0.3), (0.06, 0.3), (5e-6, 0.25), (60e-6, 0.2))
    )
    g, rows = low.copy(), []
    for cycle in range(cycles):
        for pulse in range(2 * each):
            up = pulse < each
            step = u * (high - g) if up else -d * (g - low)
            g = np.clip(g + step * (1 + 0.5 * draw.normal(size=devices)), 0, None)
            read = g * (1 + 0.01 * draw.normal(size=devices))
            named = {"device": np.arange(devices), "cycle": cycle, "pulse": pulse, "polarity": "up" if up else "down"}
            rows.append(pd.DataFrame({**named, "conductance (S)": read}))
    return pd.concat(rows).sort_values(["device", "cycle", "pulse"], kind="stable")


def verify(draw: np.random.Generator, each: int, reads: int) -> pd.DataFrame:
    """Reads in microsiemens of devices that were programmed to twelve targets."""
    target = np.repeat(np.linspace(5, 60, 12), each)
    g = 0.85 * target + (0.8 + 1.6 * target / 60) * draw.normal(size=target.size)
    read = g[:, None] * (1 + 0.03 * draw.normal(size=(target.size, reads)))
    dead = draw.choice(target.size, 3, replace=False)
    read[dead] = 0.001 * draw.normal(size=(3, reads))
    device = np.repeat(np.arange(target.size), reads)
    return pd.DataFrame({"device": device, "target_us": np.repeat(target, reads), "read_us": read.ravel()})


def drift(draw: np.random.Generator, devices: int) -> pd.DataFrame:
    """Reads in siemens from 20 s to twelve days after programming."""
    time = np.geomspace(20, 1e6, 12)
    g, exponent = draw.uniform(10e-6, 60e-6, devices), 0.05 + 0.015 * draw.normal(size=devices)
    read = g[:, None] * (time / 20) ** -exponent[:, None] * (1 + 0.02 * draw.normal(size=(devices, time.size)))
    device = np.repeat(np.arange(devices), time.size)
    return pd.DataFrame({"device": device, "time_s": np.tile(time, devices), "conductance (S)": read.ravel()})


def write(folder: Path, small: bool = False) -> None:
    draw = np.random.default_rng(2026)
    made = {
        "verify.csv": verify(draw, *((4, 2) if small else (60, 15))),
        "pulses.csv": pulses(draw, *((2, 1, 3) if small else (24, 5, 100))),
        "drift.csv": drift(draw, 2 if small else 40),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in made.items():
        with (folder / name).open("x", encoding="utf-8") as new:  # never over a measurement
            table.to_csv(new, index=False, float_format="%.6g", lineterminator="\n")
        print(f"{folder / name}: {len(table)} reads")
    print(f"The truth behind them:\n{TRUTH}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make up three measurements.")
    parser.add_argument("folder", type=Path, nargs="?", help="where the tables go")
    parser.add_argument("--small", action="store_true", help="a few rows, which are not kept: to see that it works")
    asked = parser.parse_args()
    if asked.small:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "small", small=True)
        return
    if asked.folder is None:
        parser.error("needs a folder")
    write(asked.folder)


if __name__ == "__main__":
    main()
