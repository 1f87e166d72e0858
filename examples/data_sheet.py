"""A data sheet from measurements in Python: what `hwsim fit` does, with the numbers at hand.

    python examples/data_sheet.py reads.csv drift.csv --name my_device --out my_device.yaml

Without a measurement at hand, let a shipped device stand in for yours, twice as noisy:

    python examples/data_sheet.py measurement.csv --pretend pcm_gst_90nm
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from hwsim.config import hardware, measured
from hwsim.documents import Document
from hwsim.errors import HwsimError


def pretend(name: str, targets: int = 12, devices: int = 40, reads: int = 20, factor: float = 2.0) -> pd.DataFrame:
    """What program and verify with repeated reads would find of a shipped device with all its errors times `factor`."""
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


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit a data sheet to measurements.")
    parser.add_argument("measurements", type=Path, nargs="*", help="tables, as `hwsim fit` takes them")
    parser.add_argument("--name", default="my_device")
    parser.add_argument("--source", default="our measurement", help="what was measured, where and when")
    parser.add_argument("--out", type=Path, help="the data sheet to write")
    parser.add_argument("--pretend", metavar="DEVICE", help="make up a measurement of a shipped device, twice as noisy")
    parser.add_argument("--small", action="store_true", help="fit a few made-up devices: to see that it works")
    asked = parser.parse_args()
    if not asked.measurements and not asked.small:
        parser.error("needs a measurement")
    if asked.pretend and not asked.small:
        made, *_ = asked.measurements
        reads = pretend(asked.pretend)  # first, so that an unknown device leaves no file
        with made.open("x", encoding="utf-8") as new:  # never over a measurement
            reads.to_csv(new, index=False)
        print(f"{made}: made up from {asked.pretend}, with twice its errors")
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.small:
            asked.measurements = [Path(folder) / "small.csv"]
            pretend("pcm_gst_90nm", targets=4, devices=20, reads=5).to_csv(asked.measurements[0], index=False)

        # Each file is read, its kind told by its columns, and fitted; together they make one sheet, which is checked.
        fitted = measured.data_sheet(asked.measurements, asked.name, asked.source)
    for fit in fitted.fits:
        for each in fit.parameters:
            print(f"{each.name}: {each.value:.4g} {each.unit} ({each.low:.4g} to {each.high:.4g})")
        for device, why in fit.aside:
            print(f"left out: {device}, {why}")
    for doubt in fitted.doubts:
        print(f"warning: {doubt}")
    if asked.out is None:
        print(measured.text(fitted))
    else:
        measured.write(fitted, asked.out)
        print(f"{asked.out}: written; check it with `hwsim validate {asked.out}`")


if __name__ == "__main__":
    try:
        main()
    except HwsimError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or 'output'}: {error.strerror}")
