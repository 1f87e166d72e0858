"""Does whatever validates run?

Experiments are drawn at random from the JSON schema, with each rule, cell, task, optimizer and shipped machine, and
with values of machines moved; what the loader refuses is drawn again. Each valid one is run at a small size, and
is the base of a study with odd names, labels, titles and limits, in which trials are runs or estimates. Both get their
tables, figures and reports. A refusal with a message of hwsim is an answer. Anything else that is raised is a finding,
and so is a study without its tables.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/fuzz_runs.py [--count 1000] [--seed 0] [--keep FOLDER]

Files that are findings are kept in FOLDER. `--small` tries two.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from rich.console import Console

from hwsim import documents
from hwsim.config import experiment as config
from hwsim.config import grid, hardware
from hwsim.config.experiment import Experiment
from hwsim.documents import Document
from hwsim.errors import HwsimError
from hwsim.experiments import run as experiments
from hwsim.experiments.study import study as studies
from hwsim.experiments.study.trial import Job, carry_out
from hwsim.reports import html, terminal
from hwsim.reports import study as report
from hwsim.results import reading, run_folder
from hwsim.results.study.store import TrialResult

PATIENCE = 60
"""Seconds of processor time after which an experiment is given up; it is then left out, and counted."""
SCHEMA = Experiment.model_json_schema()
_KINDS = SCHEMA["properties"]["task"]["discriminator"]["mapping"]
TASKS = {name: path.rpartition("/")[2] for name, path in _KINDS.items()}
"""The definitions of tasks in the schema, by their names."""
LARGEST = {"train": 12, "test": 6, "steps": 7, "width": 4, "outputs": 4, "modes": 4, "units": 4, "batch": 4, "chips": 2}
"""Largest values of sizes, by key; other counts go up to 5."""
NAMES = [
    "a", "λ", "bits, of it", "1", "null", "NaN", "true", 'say "b"', "<b>", "$x_1$", "$", "a&b", "%", "[red]", "\\n",
    "x" * 60,
]  # fmt: skip
"""Names of axes, and labels, that tables, figures and pages have to write as they are."""
LABELS = [*NAMES, "🙂", "a\nb", "2", 2, 0, -1.5, 1e100, -1e100, 2**53, -(2**53), 1e-100, "nan", "inf", "x" * 300]


# ---- from the schema -------------------------------------------------------------------------------------------------


def drawn(schema: dict[str, Any], draw: random.Random, key: str = "") -> Any:
    """A value that a schema describes, mostly."""
    if "$ref" in schema:
        return drawn(SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], draw, key)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return draw.choice(schema["enum"])
    for several in ("oneOf", "anyOf", "allOf"):
        if several in schema:
            return drawn(draw.choice(schema[several]), draw, key)
    match schema.get("type"):
        case "object" if "properties" in schema:
            needed = schema.get("required", [])
            wanted = [name for name in schema["properties"] if name in needed or draw.random() < 0.3]
            return {name: drawn(schema["properties"][name], draw, name) for name in wanted}
        case "array":
            count = draw.randint(schema.get("minItems", 0), schema.get("maxItems", 2))
            return [drawn(schema["items"], draw, key) for _ in range(count)]
        case "integer":
            low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
            return draw.randint(low, max(low, min(schema.get("maximum", 2**53), LARGEST.get(key, 5))))
        case "number":
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            high = schema.get("maximum", schema.get("exclusiveMaximum", low + 2))
            return draw.choice([low, high, *(draw.uniform(low, high) for _ in range(6)), low + (high - low) * 1e-12])
        case "boolean":
            return draw.random() < 0.5
        case "string":
            return draw.choice(schema.get("examples", ["float32", "float16", "fixed<16,8>", "word"]))
        case _:
            return None


def part(key: str, draw: random.Random) -> Any:
    return drawn(SCHEMA["properties"][key], draw, key)


def machine(draw: random.Random) -> Any:
    """A shipped machine, often with one to three of its values moved."""
    name = draw.choice(hardware.names("configs/hardware"))
    data = hardware.inherited(Document(name, name)).data
    if draw.random() < 0.4:
        return name
    changes: dict[str, Any] = {"like": name}
    for _ in range(draw.randint(1, 3)):
        place, value = draw.choice(list(leaves(data)))
        inner = changes
        for step in place[:-1]:
            inner = inner.setdefault(step, {})
        inner[place[-1]] = value if draw.random() < 0.05 else moved(value, draw)
    return changes


def leaves(data: Any, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Places of constants and other values in a machine, without its sources."""
    for key, value in data.items():
        if isinstance(value, dict) and "value" not in value and key != "sources":
            yield from leaves(value, (*place, key))
        elif key not in ("sources", "name", "kind", "like"):
            yield (*place, key), value


def moved(value: Any, draw: random.Random) -> Any:
    """Another value of the same kind."""
    if isinstance(value, dict):
        return {"value": moved(value["value"], draw), "assumed": "moved"}
    factor = draw.choice([0, 1e-12, 0.01, 0.5, 2, 3, 100, 1e12, -1])
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return not value if isinstance(value, bool) else value
    if isinstance(value, int):
        return draw.choice([0, 1, 2, value + 1, value * 2, max(1, value // 2), 24])
    if isinstance(value, float):
        return value * factor
    number = re.match(r"[-+.0-9eE]+", value)
    return value if number is None else f"{float(number[0]) * factor!r}{value[number.end() :]}"


def experiment(draw: random.Random) -> dict[str, Any]:
    """The data of a small experiment, which may be invalid."""
    data = {key: part(key, draw) for key in ("task", "learning")}
    layers = drawn(SCHEMA["$defs"]["hwsim__networks__network__Options"]["properties"]["layers"]["items"], draw)
    data["network"] = {**part("network", draw), "layers": [copy.deepcopy(layers) for _ in range(draw.randint(1, 2))]}
    data |= {"name": "fuzzed", "seed": draw.randrange(2**53), "machine": machine(draw), "chips": draw.randint(1, 2)}
    for key in ("gradient_check", "training"):
        if draw.random() < 0.7:
            data[key] = part(key, draw)
    if "steps" in SCHEMA["$defs"][TASKS[data["task"]["name"]]]["properties"]:
        data["task"].setdefault("steps", draw.randint(2, LARGEST["steps"]))
    data["task"] |= (
        {"train": draw.randint(4, 12), "test": draw.randint(2, 6)} if data["task"]["name"] != "digits" else {}
    )
    if data.get("training"):
        data["training"] |= {"batch": draw.randint(1, 4), "steps": draw.randint(1, 4)}
        data["training"].pop("epochs", None)
    if draw.random() < 0.5:
        data["references"] = [{"name": draw.choice(["r", "1", "a.b", "null"]), "learning": part("learning", draw)}]
        data["references"][0]["machine"] = machine(draw)
    return data


def valid(draw: random.Random) -> tuple[dict[str, Any], int]:
    """The data of an experiment that validates, and how many were refused before."""
    for refused in range(10_000):
        data = experiment(draw)
        if data["task"] and data["task"]["name"] not in ("mnist",):
            with contextlib.suppress(HwsimError):
                config.load(data)
                return data, refused
    raise RuntimeError("nothing that is drawn is valid")


def study(data: dict[str, Any], draw: random.Random) -> dict[str, Any]:
    """A study of an experiment, with names and limits that are odd but allowed."""
    name, other = draw.sample(NAMES, 2)
    labels = draw.sample(LABELS, 2)
    limits = sorted(draw.choice([-1e100, -1.0, 0.0, 1e-100, 0.5, 1.0, 1e100]) for _ in range(2))
    figure: dict[str, Any] = {"name": "f", "x": name}
    figure["y"] = draw.choice(["accuracy", "loss", "energy_gradient_j", "passes"])
    placed = [{"hue": other}, {"facet": other}, {"kind": "map", "up": other}, {"rows": ["system", other]}]
    figure |= draw.choice([{}, *placed])
    figure |= draw.choice([{}, {"x_scale": "log"}, {"x_scale": "even"}, {"y_scale": "log"}, {"exponents": True}])
    figure |= {"title": draw.choice(NAMES), "y_label": draw.choice(NAMES)}
    figure["lines"] = {draw.choice(NAMES): draw.choice(limits)}
    if limits[0] < limits[1] and (limits[0] > 0 or figure.get("y_scale") != "log"):
        figure["y_limits"] = limits
    return {
        "name": "fuzzed study",
        "experiment": data,
        "estimate": draw.random() < 0.6,
        "vary": {
            name: {"key": "chips", "values": [1, 2], "labels": labels},
            other: {"key": "seed.x" if draw.random() < 0.02 else "test", "values": [True, False]},
        },
        "seeds": draw.choice([1, 2, [2**53]]),
        "figures": [figure, {"name": "curve", "x": "updates", "y": "test_loss", "hue": name}],
    }


# ---- what happens ----------------------------------------------------------------------------------------------------


class Stuck(BaseException):
    """Patience is over; trials keep other exceptions as their results."""


class Here:
    """Carries trials out in this process, and collects errors that are none of hwsim's."""

    def __init__(self) -> None:
        self.raised: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def carry_out(self, jobs: Iterator[Job]) -> Iterator[tuple[Job, TrialResult]]:
        for job in jobs:
            result = carry_out(job.config, job.seed, None, job.estimate)
            if result.traceback and "hwsim.errors." not in result.traceback.splitlines()[-1]:
                self.raised += result.traceback.splitlines()[-3:]
            yield job, result


def run_one(data: dict[str, Any], folder: Path) -> None:
    """Run an experiment, show it, and write its page."""
    run = experiments.run(config.load(data), out=folder / "run")
    terminal.show(run.summary, Console(file=io.StringIO(), width=100))
    html.of_run(run_folder.read(folder / "run"))


def study_one(data: dict[str, Any], folder: Path) -> None:
    """Run a study, draw its figures, show it, and write its page."""
    path, here = folder / "study", Here()
    (folder / "study.yaml").write_text(documents.dump(data), encoding="utf-8")
    plan = grid.load_study(folder / "study.yaml")
    studies._executor = lambda *_: here  # type: ignore[assignment]
    ended = studies.run(plan, path)
    figures = report.draw(plan, path)
    report.show(path, ended, figures, Console(file=io.StringIO(), width=100))
    html.of_study(reading.read(path))  # type: ignore[arg-type]
    if here.raised:
        raise AssertionError(" | ".join(line.strip() for line in here.raised[:6]))


def ended(work: Any, data: dict[str, Any]) -> str:
    """How work on some data ends: `done`, `refused: …`, `given up`, or `raised: …`."""
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE, 5)
    try:
        quiet = contextlib.redirect_stdout(io.StringIO())
        with tempfile.TemporaryDirectory() as folder, quiet, warnings.catch_warnings(action="ignore"):
            work(data, Path(folder))
        return "done"
    except Stuck:
        return "given up"
    except HwsimError as error:
        return f"refused: {str(error).splitlines()[0][:150]}"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        at = [f"{Path(each.filename).name}:{each.lineno}" for each in traceback.extract_tb(error.__traceback__)]
        return f"raised: {type(error).__name__}: {str(error)[:300]} ({' '.join(at[-3:])})"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def stop(_: int, __: object) -> None:
    raise Stuck


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first experiment")
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    signal.signal(signal.SIGVTALRM, stop)
    ends, refused, findings, begun = Counter[str](), 0, 0, time.monotonic()
    count = 2 if asked.small else asked.count
    for number in range(asked.first, asked.first + count):
        if number % 50 == 0 and not asked.small:
            print(f"at {number}", flush=True)
        draw = random.Random(f"{asked.seed} {number}")
        data, before = valid(draw)
        refused += before
        for what, work, given in (("run", run_one, data), ("study", study_one, study(data, draw))):
            how = ended(work, given)
            ends[f"{what} {how.partition(':')[0]}"] += 1
            if how.startswith("raised"):
                findings += 1
                print(f"{number}, {what} {how}", flush=True)
                if asked.keep:
                    asked.keep.mkdir(exist_ok=True)
                    (asked.keep / f"{number}_{what}.yaml").write_text(documents.dump(given), encoding="utf-8")
    told = ", ".join(f"{word} {ends[word]}" for word in sorted(ends))
    print(f"{count} experiments that validate, {refused} refused before them: {told}; {findings} findings")
    if not asked.small:
        print(f"{time.monotonic() - begun:.0f} s")
    return 1 if findings else 0


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "100")
    sys.exit(main())
