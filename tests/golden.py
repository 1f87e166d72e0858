"""Golden traces and sums: small experiments, for every rule, held against what they gave before.

    python tests/golden.py                           # what differs from tests/golden.csv
    python tests/golden.py --write                   # keep what is found now
    python tests/golden.py --against REV             # run the code of REV as well, and compare all files of all runs
    python tests/golden.py fpe pcm_crossbar          # only cases with these words

A case is a network, a rule and a machine: some rules on every machine, all others on two of them. On every computer,
`tests/test_golden.py` holds what half of them give to `tests/golden.csv`; rows of the kind `bytes` may differ between
processors, and are compared here alone.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import zip_longest
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
KEPT = Path(__file__).with_suffix(".csv")

MACHINES = (
    "ideal", "digital_45nm", "digital_45nm_fp16", "digital_45nm_int8_bound", "digital_7nm", "ideal_crossbar",
    "pcm_crossbar", "pcm_crossbar_in_the_loop", "rram_crossbar", "hermes_14nm", "neurram_130nm",
)  # fmt: skip
RULES = ("bptt", "bptt checkpoints", "fpe", "fpe seed", "fpe two_minus", "rtrl", "one_step", "spatial")
NETWORKS = ("lru stack", "tanh stack")
ELSEWHERE = {
    "fpe tangents": "tanh stack", "fpe neumann": "lru stack", "fpe_anchored": "lru stack", "fpe_lagged": "tanh stack",
    "fpe_hybrid": "lru stack", "fpe_slowfast": "tanh stack", "rtrl across": "lru stack", "snap": "tanh stack",
    "snap 2": "sparse", "uoro": "tanh stack", "kf_rtrl": "tanh stack", "eprop random": "lru stack", "rflo": "tanh",
    "tbptt window": "lru stack", "tbptt block": "tanh stack", "fptt": "lru stack", "fptt steps": "tanh stack",
    "reversible": "undone", "stdp": "lif", "stdp triplet": "alif",
}  # fmt: skip
"""All other rules, each with the one network that it is held to."""
TWO = ("digital_45nm", "pcm_crossbar_in_the_loop")
"""The machines of these: one without devices, and one with all units of a chip, and a tape."""


class Case(NamedTuple):
    """A network that learns by a rule on a machine; each by its name in `conftest`, or that of a shipped file."""

    network: str
    rule: str
    machine: str

    def __str__(self) -> str:
        return f"{self.network}, {self.rule}, {self.machine}"


CASES = [
    *(Case(network, rule, machine) for machine in MACHINES for network in NETWORKS for rule in RULES),
    *(Case(network, rule, machine) for machine in TWO for rule, network in ELSEWHERE.items()),
]


Tolerance = dict[str, float]


class Row(NamedTuple):
    """One number of a case.

    Attributes:
        kind: `exact` is equal everywhere; `sum` but for rounding; `value` as far as noise and limited precision let it;
            `bytes` on the same computer.
    """

    case: Case
    quantity: str
    kind: str
    value: str


def rows(case: Case, folder: Path) -> list[Row]:
    """Carry a case out. Its run folder, and the records of a gradient, stand at `folder` afterwards."""
    from hwsim.errors import HwsimError

    folder.mkdir(parents=True)
    try:
        found = [*_gradient(case, folder), *_run(case, folder)]
    except HwsimError as error:
        return [Row(case, "refused", "exact", type(error).__name__)]
    return [Row(case, *row) for row in found]


def _gradient(case: Case, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Records and values of the gradient of a small episode, without training."""
    import conftest

    learner, episode = conftest.rule(case.rule), conftest.random_episode(steps=5, target="one")
    made = conftest.built(case.network, learner, episode, on=case.machine, chips=_chips(case.machine))
    gradients = conftest.gradient_of(made, learner, episode)
    made.machine.journal.close_batch(episode.batch)
    journal = made.machine.journal
    lines = [f"{number} {tuple(record)}" for number, trace in enumerate(journal.traces) for record in trace]
    order = [f"{one} × {count}".replace(", beyond=0)", ")") for one, count in journal.collect().in_sweeps().items()]
    text = "\n".join([*lines, *order]) + "\n"
    (folder / "records.txt").write_text(text, encoding="utf-8")
    yield "records", "exact", str(len(lines))
    yield "traces", "exact", _digest(text.encode())
    squares = [float((value.astype(float) ** 2).sum()) for value in gradients.values()]
    yield "gradient norm", "value", repr(sum(squares) ** 0.5)
    yield "gradients", "bytes", _digest(b"".join(value.tobytes() for value in gradients.values()))


def _run(case: Case, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Sums of a run of two updates, and its files."""
    import conftest

    import hwsim

    hwsim.run(
        {
            "name": "golden",
            "task": {"name": "random", "steps": 5, "width": 2, "train": 4, "test": 2, "loss": "last"},
            "network": conftest.ALL_NETWORKS[case.network],
            "learning": conftest.RULES[case.rule],
            "machine": case.machine,
            "chips": _chips(case.machine),
            "gradient_check": {"sequences": 2},
            "training": {"optimizer": {"name": "adamw", "rate": 0.01}, "batch": 2, "steps": 2, "clip": 1.0},
        },
        out=folder / "run",
    )
    system = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))["systems"]["substrate"]
    yield from _numbers(system)
    for file in sorted((folder / "run").iterdir()):
        if file.suffix in (".csv", ".json") and file.name != "summary.json":
            yield file.name, "bytes", _digest(file.read_bytes())


def _numbers(system: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What a summary sums up."""
    energy, memory, time = system["energy"], system["memory"], system["time"]
    for name in ("inference_j_per_sequence", "gradient_j_per_sequence", "training_step_j", "run_j", "assumed_fraction"):
        yield f"energy {name}", "sum", repr(energy[name])
    for purpose, value in (energy.get("by_purpose") or {}).items():
        yield f"energy {purpose}", "sum", repr(value)
    for name in ("hardware_step_s", "sequence_s", "training_step_s", "passes"):
        yield f"time {name}", "exact", repr(time.get(name))
    yield "memory peak_bytes", "exact", repr(memory["peak_bytes"])
    for name, value in memory["peak_by_class"].items():
        yield f"memory {name}", "exact", repr(value)
    for name, value in (system.get("efficiency") or {}).items():
        if isinstance(value, int | float):
            yield f"efficiency {name}", "sum", repr(value)
    yield "loss", "value", repr(system["loss"]["median"])
    for group in ("recurrent", "input", "readout"):
        yield f"cosine {group}", "value", repr(system["gradient"][group]["target"]["cosine"])


def analog(machine: str) -> bool:
    """Whether a machine of this list has devices."""
    return "crossbar" in machine or machine in ("hermes_14nm", "neurram_130nm")


def _chips(machine: str) -> int:
    return 2 if analog(machine) else 1


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


# ---- comparing -----------------------------------------------------------------------------------------------


def kept() -> dict[tuple[Case, str], Row]:
    """The rows that stand in `tests/golden.csv`, by case and quantity."""
    with KEPT.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        next(lines)
        read = (Row(Case(*line[:3]), *line[3:]) for line in lines)
        return {(row.case, row.quantity): row for row in read}


def differences(now: list[Row], before: dict[tuple[Case, str], Row], tolerance: Tolerance | None = None) -> list[str]:
    """What differs, a line each.

    Args:
        tolerance: relative, by kind of row; `exact` needs none, and kinds that have none are not compared. Without any
            tolerance, all kinds have to be equal to the character.
    """
    cases = {row.case for row in now}
    mine = {(row.case, row.quantity): row for row in now}
    keys = [*mine, *(key for key in before if key[0] in cases and key not in mine)]
    pairs = [(key, before.get(key), mine.get(key)) for key in keys]
    return [
        f"{case}: {quantity}: {old.value if old else 'none'} before, {new.value if new else 'none'} now"
        for (case, quantity), old, new in pairs
        if not _same(old, new, tolerance)
    ]


def _same(old: Row | None, new: Row | None, tolerance: Tolerance | None) -> bool:
    if old is None or new is None:
        return False
    if old.value == new.value or tolerance is None or new.kind == "exact":
        return old.value == new.value
    if new.kind not in tolerance:
        return True
    return "None" not in (old.value, new.value) and isclose(
        float(old.value), float(new.value), rel_tol=tolerance[new.kind], abs_tol=0.0
    )


def write(now: list[Row]) -> None:
    """Keep the rows of these cases, and those of all others as they are."""
    cases = {row.case for row in now}
    others = [row for row in kept().values() if row.case not in cases] if KEPT.exists() else []
    place = {case: number for number, case in enumerate(CASES)}
    ordered = sorted([*now, *others], key=lambda row: place[row.case])
    with KEPT.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(["network", "rule", "machine", "quantity", "kind", "value"])
        lines.writerows([*row.case, *row[1:]] for row in ordered)


# ---- beside another commit -----------------------------------------------------------------------------------


def against(revision: str, words: list[str], work: Path) -> list[str]:
    """Run cases with the code of a revision and with that of now; what differs between their folders, a line each."""
    tree = work / "tree"
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", tree, revision], check=True)
    try:
        if not (tree / "tests" / "golden.py").exists():
            (tree / "tests" / "golden.py").write_bytes(Path(__file__).read_bytes())
        for code, out in ((tree, work / "before"), (ROOT, work / "now")):
            command = [sys.executable, str(code / "tests" / "golden.py"), "--folders", str(out), *words]
            subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(code)})
    finally:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)
    return [line for case in chosen(words) for line in _folders_differ(str(case), work)]


def _folders_differ(case: str, work: Path) -> Iterator[str]:
    before, now = work / "before" / case, work / "now" / case
    files = {file.relative_to(side) for side in (before, now) for file in side.rglob("*") if file.is_file()}
    for file in sorted(files):
        old, new = (_lines(side / file) for side in (before, now))
        if old != new and file.name != "SHA256SUMS":
            number, pair = next((n, pair) for n, pair in enumerate(zip_longest(old, new), 1) if pair[0] != pair[1])
            yield f"{case}: {file}:{number}\n    before: {pair[0]}\n    now:    {pair[1]}"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


# ---- the command ---------------------------------------------------------------------------------------------


def chosen(words: list[str]) -> list[Case]:
    """Cases that have each of these words as a part."""
    return [case for case in CASES if set(words) <= {*case}]


def main() -> int:
    """Compare, write, or run beside another commit; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only cases with these networks, rules, machines")
    parser.add_argument("--write", action="store_true", help="keep what is found now")
    parser.add_argument("--against", metavar="REV", help="a commit to run as well")
    parser.add_argument("--folders", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    cases = chosen(asked.words)
    if not cases:
        words = ", ".join(dict.fromkeys(word for case in CASES for word in case))
        parser.error(f"no case has {' and '.join(asked.words)}; words: {words}")
    with tempfile.TemporaryDirectory() as work:
        if asked.against:
            said = against(asked.against, asked.words, Path(work))
        else:
            now = [row for case in cases for row in rows(case, (asked.folders or Path(work)) / str(case))]
            if asked.folders:
                return 0
            if asked.write:
                write(now)
            said = differences(now, kept())
    print(*said, sep="\n", end="\n" if said else "")
    print(f"{len(cases)} cases: " + (f"{len(said)} differences" if said else "all equal"))
    return 1 if said else 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # the code beside it, whatever is installed
    sys.exit(main())
