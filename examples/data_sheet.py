"""A data sheet from a measurement: how far from its target a device ends, and how much it changes from read to read.

The measurement is a table, `device,target_us,read_us`, with one row for each read of each device, in microsiemens:
program many devices to each of some targets, and read each of them several times. For each target, the scatter of the
devices' mean reads is the error of programming, and the scatter of the reads of one device is the noise of reading. A
polynomial is fitted to the first, and to the second the law that fits better, `relative` or `additive`. How devices are
written, which this measurement cannot tell, is left as an assumption, and says so.

    python examples/data_sheet.py measurement.csv --name my_device --source "our wafer 7, May 2026" --out my_device.yaml

Without a measurement at hand, let a shipped device stand in for yours, twice as noisy:

    python examples/data_sheet.py measurement.csv --pretend pcm_gst_90nm
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from hwsim import documents
from hwsim.config import hardware
from hwsim.documents import Document

DEGREE = 2
"""Of the polynomial for the error of programming; three numbers are as much as ten targets can tell."""


def pretend(name: str, targets: int = 12, devices: int = 40, reads: int = 20, factor: float = 2.0) -> pd.DataFrame:
    """What such a measurement would be for a shipped device, with all its errors times `factor`."""
    sheet, draw = hardware.device(Document("device", name)), np.random.default_rng(1)
    target = np.repeat(np.linspace(sheet.conductance.min.value, sheet.conductance.max.value, targets), devices)
    programmed = target + factor * sheet.programming_error(target) * draw.normal(size=target.size)
    noise = factor * sheet.read_error(target)[:, None] * draw.normal(size=(target.size, reads))
    read = programmed[:, None] + noise
    return pd.DataFrame(
        {
            "device": np.repeat(np.arange(target.size), reads),
            "target_us": np.repeat(target * 1e6, reads),
            "read_us": np.round(read.ravel() * 1e6, 4),
        }
    )


def scatter(measured: pd.DataFrame) -> pd.DataFrame:
    """For each target the standard deviations of programming and of reading, in microsiemens."""
    devices = measured.groupby(["target_us", "device"]).read_us.agg(["mean", "var", "count"]).reset_index()
    devices["error"] = devices["mean"] - devices.target_us
    at = devices.groupby("target_us")
    noise = at["var"].mean()
    between = at.error.apply(lambda error: float(np.mean(error**2))) - noise / at["count"].first()
    return pd.DataFrame({"programming": np.sqrt(between.clip(lower=0)), "reading": np.sqrt(noise)}).reset_index()


def data_sheet(found: pd.DataFrame, name: str, source: str) -> dict[str, Any]:
    """The data sheet that fits the scatter best."""
    target, largest = found.target_us.to_numpy(), float(found.target_us.max())
    coefficients = np.polynomial.polynomial.polyfit(target / largest, found.programming.to_numpy(), DEGREE)
    guess = "a guess, as this measurement does not tell"
    return {
        "name": name,
        "what": f"fitted to {source}",
        "sources": {"measurement": source},
        "conductance": {
            "min": {"value": f"{target.min():.4g} uS", "source": "measurement, the lowest target"},
            "max": {"value": f"{largest:.4g} uS", "source": "measurement, the highest target"},
        },
        "programming": {
            "error": {
                "coefficients": [f"{value:.4g} uS" for value in coefficients],
                "source": "measurement, a fit over the targets",
            },
            "step": {
                "value": f"{found.programming.median() / 2:.2g} uS",
                "assumed": "half the usual programming error; finer writes would drown in it",
            },
        },
        "read_noise": _read_noise(target, found.reading.to_numpy(), largest),
        "write": {
            "law": "voltage",
            "voltage": {"value": "2 V", "assumed": guess},
            "time": {"value": "1 us", "assumed": guess},
        },
    }


def _read_noise(target: np.ndarray, reading: np.ndarray, largest: float) -> dict[str, Any]:
    """The law of noise that leaves the smaller squares: in proportion to the conductance, or of one size."""
    slope, size = float(target @ reading / (target @ target)), float(reading.mean())
    if np.sum((reading - slope * target) ** 2) < np.sum((reading - size) ** 2):
        return {"law": "relative", "deviation_of_g": round(slope, 5), "source": "measurement, reads of one device"}
    return {
        "law": "additive",
        "deviation_of_g_max": round(size / largest, 5),
        "source": "measurement, reads of one device",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit a data sheet to a measurement.")
    parser.add_argument("measurement", type=Path, nargs="?", help="a table with the columns device, target_us, read_us")
    parser.add_argument("--name", default="my_device")
    parser.add_argument("--source", default="our measurement", help="what was measured, where and when")
    parser.add_argument("--out", type=Path, help="the data sheet to write")
    parser.add_argument("--pretend", metavar="DEVICE", help="make up a measurement of a shipped device, twice as noisy")
    parser.add_argument("--small", action="store_true", help="fit a few made-up devices: to see that it works")
    asked = parser.parse_args()
    if asked.measurement is None and not asked.small:
        parser.error("needs a measurement")
    if asked.pretend and not asked.small:
        pretend(asked.pretend).to_csv(asked.measurement, index=False)
        print(f"{asked.measurement}: made up from {asked.pretend}, with twice its errors")
        return
    if asked.small:
        found = scatter(pretend("pcm_gst_90nm", targets=4, devices=20, reads=5))
    else:
        found = scatter(pd.read_csv(asked.measurement))
    print(found.round(3).to_string(index=False))
    sheet = documents.dump(data_sheet(found, asked.name, asked.source))
    if asked.out is None:
        print(sheet)
    else:
        asked.out.write_text(sheet, encoding="utf-8")
        print(f"{asked.out}: written; check it with `hwsim validate {asked.out}`")


if __name__ == "__main__":
    main()
