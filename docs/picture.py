"""The picture at the top of the README: the learning curves of a run, as its report draws them.

hwsim run quickstart && python docs/picture.py runs/quickstart docs/figures/quickstart.svg
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import hwsim
from hwsim.reports import reached
from hwsim.reports.figures.learning import learning, measured, scores
from hwsim.results.run_folder import RunFolder

SIZE = 560
"""Width in pixels."""


def picture(run: RunFolder) -> str:
    """The figure as a file of its own: on white, with the letters that it was measured with."""
    goal = reached.target(run.metrics, run.systems, reached.Question(), run.summary.constant)
    drawn = learning(scores(run), run.systems, measured(run), goal and goal.value)
    if drawn is None:
        raise SystemExit(f"{run.path}: nothing was trained, so there is no learning curve")
    head, _, body = drawn.svg.partition(">")
    head = re.sub(r"fill:var\(--ink[^)]*\)", "fill:#1b2327;font-family:'DejaVu Sans',Verdana,sans-serif", head)
    return f'{head} width="{SIZE}"><rect width="100%" height="100%" fill="#ffffff"/>{body}\n'


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
    folder, file = sys.argv[1:]
    found = hwsim.read(folder)
    if not isinstance(found, RunFolder):
        raise SystemExit(f"{folder} is the folder of a study; its figures are in {folder}/figures")
    Path(file).write_text(picture(found), encoding="utf-8")


if __name__ == "__main__":
    main()
