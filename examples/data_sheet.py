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
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from hwsim import documents
from hwsim.config import hardware, measured
from hwsim.documents import Document
from hwsim.errors import HwsimError


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


def shown(found: pd.DataFrame) -> str:
    """The scatter at each target as a table in microsiemens; behind ± is half of the 95 % interval."""
    table = found[["target", "devices", "reads"]].copy()
    table["target"] = (table["target"] * 1e6).map("{:.4g}".format)
    for name in ("programming", "reading"):
        sigma, half = (found[column] * 1e6 for column in (name, f"{name}_half"))
        table[name] = sigma.map("{:.3f} ± ".format) + half.map("{:.3f}".format)
    return "target, and σ of programming and of reading, in uS:\n" + table.to_string(index=False)


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
        made_up = pretend(asked.pretend)  # first, so that an unknown device leaves no file
        with asked.measurement.open("x", encoding="utf-8") as new:  # never over a measurement
            made_up.to_csv(new, index=False)
        print(f"{asked.measurement}: made up from {asked.pretend}, with twice its errors")
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.small:
            asked.measurement = Path(folder) / "small.csv"
            pretend("pcm_gst_90nm", targets=4, devices=20, reads=5).to_csv(asked.measurement, index=False)

        # Reading, fitting and checking are part of the package; the table is refused with the line of what is wrong.
        fitted = measured.data_sheet(asked.measurement, asked.name, asked.source)
    print(shown(fitted.found))
    for doubt in fitted.doubts:
        print(f"warning: {doubt}")
    sheet = documents.dump(fitted.written)
    if asked.out is None:
        print(sheet)
    else:
        asked.out.write_text(sheet, encoding="utf-8")
        print(f"{asked.out}: written; check it with `hwsim validate {asked.out}`")


if __name__ == "__main__":
    try:
        main()
    except HwsimError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"{error.filename or 'output'}: {error.strerror}")
