"""Does a damaged folder of results ever end in a traceback?

The folders of a run, of limits, of a finished study and of a stopped one are damaged at random: a file is cut, emptied,
made longer, swapped with another one, or scrambled; a value in it gets another type or size, a column or key is lost or
comes twice. In three of four cases the folder gets new checksums, as if it had been written so. Then a report is made
of it, which has to end with a page or with a message.

    python benchmarks/fuzz_folders.py [--count 1000] [--seed 0]

`--small` damages each folder twice.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd

import hwsim
from hwsim.config import experiment as config
from hwsim.config import grid
from hwsim.documents import Document
from hwsim.errors import HwsimError, OutputError
from hwsim.experiments.limits import limits
from hwsim.experiments.study import study as studies
from hwsim.reports import comparison, html
from hwsim.reports import limits as limits_report
from hwsim.reports import study as report
from hwsim.results import checksums, limits_folder, reading, run_folder, study_folder
from hwsim.results.limits_folder import LimitsFolder
from hwsim.results.run_folder import RunFolder

EXPERIMENT: dict[str, Any] = {
    "name": "small",
    "task": {"name": "random", "steps": 4, "width": 2, "train": 8, "test": 4},
    "network": {"layers": [{"cell": {"name": "lru", "modes": 3, "r_min": 0.9}, "readout": {"hidden": [4]}}]},
    "learning": {"name": "fpe"},
    "machine": "pcm_crossbar",
    "chips": 2,
    "gradient_check": {"sequences": 2},
    "training": {"optimizer": {"name": "sgd", "rate": 0.05}, "batch": 4, "steps": 3, "test_every": 2},
    "references": [{"name": "BPTT", "learning": {"name": "bptt"}, "machine": "ideal"}],
}
STUDY: dict[str, Any] = {
    "name": "small",
    "experiment": EXPERIMENT,
    "vary": {"bits": {"key": "machine.parts.adc.bits", "values": [4, 8]}},
    "seeds": 2,
    "figures": [{"name": "cosine", "x": "bits", "y": "cosine_all", "hue": "system"}],
}
ODD = [
    None,
    True,
    -1,
    0,
    10**30,
    1e308,
    -1e-308,
    "",
    "high",
    "nan",
    "1,2",
    "\x1b[2J",
    "λ" * 300,
    [],
    {},
    [[]],
    {"a": {}},
]
"""Values that may stand where another kind of value should."""


class Enough(BaseException):
    """Stops a study."""


def made(root: Path) -> dict[str, Path]:
    """A folder of each kind."""
    hwsim.run(EXPERIMENT, out=root / "run")
    (root / "limits").mkdir()
    experiment = config.load(EXPERIMENT)
    limits_report.write(limits(experiment, seeds=1, chips=2, updates=2), experiment, root / "limits")
    plan = grid.compose(Document("study", STUDY))
    studies.run(plan, root / "study", workers=1)
    report.draw(plan, root / "study")

    def stop(now: Any) -> None:
        if now.over >= 2:
            raise Enough

    with suppress(Enough):
        studies.run(plan, root / "stopped", workers=1, progress=stop)
    return {name: root / name for name in ("run", "limits", "study", "stopped")}


# ---- damage ------------------------------------------------------------------------------------------------------


def cut(path: Path, draw: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: draw.randrange(len(content) + 1)])


def emptied(path: Path, draw: random.Random) -> None:
    path.write_bytes(b"")


def lengthened(path: Path, draw: random.Random) -> None:
    path.write_bytes(path.read_bytes() + draw.randbytes(draw.randrange(1, 100)))


def swapped(path: Path, draw: random.Random) -> None:
    other = draw.choice([each for each in path.parent.iterdir() if each.is_file()])
    mine, theirs = path.read_bytes(), other.read_bytes()
    path.write_bytes(theirs)
    other.write_bytes(mine)


def lost(path: Path, draw: random.Random) -> None:
    path.unlink()


def made_a_folder(path: Path, draw: random.Random) -> None:
    path.unlink()
    path.mkdir()


def scrambled(path: Path, draw: random.Random) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(draw.randrange(1, 20)):
        if content:
            content[draw.randrange(len(content))] = draw.randrange(256)
    path.write_bytes(bytes(content))


def changed(path: Path, draw: random.Random) -> None:
    """Another value in a file that is still of its format."""
    if path.suffix == ".json":
        data = json.loads(path.read_text(encoding="utf-8"))
        _change(data, draw)
        path.write_text(json.dumps(data), encoding="utf-8")
    elif path.suffix == ".csv":
        rows = [line.split(",") for line in path.read_text(encoding="utf-8").splitlines()]
        _change_rows(rows, draw)
        path.write_text("\n".join(map(",".join, rows)) + "\n", encoding="utf-8")
    elif path.suffix == ".parquet":
        table = pd.read_parquet(path)
        column = draw.choice(list(table))
        if draw.random() < 0.3:
            table = table.drop(columns=column)
        else:
            table[column] = draw.choice([None, "high", 1e308, float("inf"), -1, True])
        table.to_parquet(path)
    else:
        scrambled(path, draw)


def _change(data: Any, draw: random.Random) -> None:
    while True:
        places = list(data) if isinstance(data, dict) else range(len(data))
        if not places:
            return
        place = draw.choice(list(places))
        if isinstance(data[place], dict | list) and draw.random() < 0.85:
            data = data[place]
        elif draw.random() < 0.2:
            del data[place]
            return
        else:
            data[place] = draw.choice(ODD)
            return


def _change_rows(rows: list[list[str]], draw: random.Random) -> None:
    kind, column = draw.randrange(5), draw.randrange(len(rows[0]))
    if kind == 0:
        for row in rows:
            del row[column : column + 1]
    elif kind == 1:
        rows[0][column] = draw.choice(rows[0])
    elif kind == 2:
        rows[draw.randrange(len(rows))] *= 2
    elif kind == 3:
        del rows[1:]
    else:
        for row in draw.sample(rows[1:], min(len(rows) - 1, draw.choice([1, 1000]))):
            row[column] = str(draw.choice(ODD))


DAMAGE: list[Callable[[Path, random.Random], None]] = [
    cut, emptied, lengthened, swapped, lost, made_a_folder, scrambled, *[changed] * 6
]  # fmt: skip


def spoil(folder: Path, draw: random.Random) -> str:
    """Damage a folder; what was done."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("trials.lock"))
    path, how = draw.choice(files), draw.choice(DAMAGE)
    how(path, draw)
    if draw.random() < 0.75 and (folder / checksums.CHECKSUMS).is_file():
        if (folder / "summary.json").exists():
            checksums.write(folder, [name for name in run_folder.FILES if (folder / name).is_file()])
        elif limits_folder.is_limits(folder):
            checksums.write(folder, [name for name in limits_folder.FILES if (folder / name).is_file()])
        else:
            with suppress(OutputError):  # what is a folder now has no checksum
                study_folder.seal(folder)
    return f"{path.relative_to(folder)} {how.__name__}"


def shown(folder: Path, beside: Path) -> str:
    """Make the report of a folder, and compare a run with another one; how it ended."""
    try:
        with reading.understood(folder):
            found = reading.read(folder)
            if isinstance(found, LimitsFolder):
                html.of_limits(found)
            elif not isinstance(found, RunFolder):
                html.of_study(found)
            else:
                html.of_run(found)
                html.of_comparison(comparison.compare([run_folder.read(beside), found]))
        return "a page"
    except HwsimError as error:
        return "does not fit together" if "does not fit together" in str(error) else "refused"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000, help="for each kind of folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--small", action="store_true", help="two of each kind")
    asked = parser.parse_args()
    draw, failed = random.Random(asked.seed), 0
    with tempfile.TemporaryDirectory() as name:
        for kind, folder in made(Path(name)).items():
            ends: Counter[str] = Counter()
            for _ in range(2 if asked.small else asked.count):
                spoilt = Path(shutil.copytree(folder, Path(name) / "spoilt"))
                what = spoil(spoilt, draw)
                try:
                    ends[shown(spoilt, folder)] += 1
                except Exception:
                    failed += 1
                    print(f"{kind}: {what}\n{traceback.format_exc()}", flush=True)
                shutil.rmtree(spoilt)
            print(f"{kind}: {', '.join(f'{count} × {end}' for end, count in ends.most_common())}", flush=True)
    print("no traceback" if not failed else f"{failed} tracebacks")
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
