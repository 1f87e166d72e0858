"""A figure of a run as a file of its own, as its report draws it: by default the learning curves, as in the README.

hwsim run quickstart && python docs/picture.py runs/quickstart docs/figures/quickstart.svg
hwsim run spiking_digits && python docs/picture.py runs/spiking_digits docs/figures/spikes.svg raster
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import hwsim
from hwsim.reports.figures.canvas import alone
from hwsim.reports.notebook import figures
from hwsim.results.run_folder import RunFolder


def picture(run: RunFolder, name: str = "learning") -> str:
    """A figure as a file of its own."""
    there = figures(run)
    if name not in there:
        raise SystemExit(f"{run.path} has no figure {name}; it has {', '.join(there)}")
    return alone(there[name])


SMALL = {
    "name": "small",
    "task": {"name": "random", "steps": 3, "width": 2, "train": 8, "test": 4},
    "network": {"layers": [{"cell": {"name": "lru", "modes": 2}}]},
    "learning": {"name": "bptt"},
    "machine": "digital_45nm",
    "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 4, "steps": 2},
}


def main() -> None:
    """Draw the picture of a run; `--small` draws one of a tiny run, and writes nothing."""
    if sys.argv[1:] == ["--small"]:
        with TemporaryDirectory() as folder:
            hwsim.run(SMALL, out=Path(folder) / "small")
            run = hwsim.read(Path(folder) / "small")
            assert isinstance(run, RunFolder)
            print(f"a picture of {len(picture(run))} letters")
        return
    folder, file, *name = sys.argv[1:]
    found = hwsim.read(folder)
    if not isinstance(found, RunFolder):
        raise SystemExit(f"{folder} is the folder of a study; its figures are in {folder}/figures")
    Path(file).write_text(picture(found, *name), encoding="utf-8")


if __name__ == "__main__":
    main()
