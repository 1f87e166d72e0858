"""Does the loader survive any file?

Shipped files of all kinds, and files that `hwsim new` writes, are changed at random: as text, by letters, words and
lines; and as trees, by keys, values and parts of other files. Each is checked as `hwsim validate` checks it. A file is
either valid, or refused by a message that names it, with line and column where the text can be read as YAML. Anything
else that is raised is a finding, and so is a file that takes more processor time than `SLOW` readings of the
quickstart.

    python benchmarks/fuzz_files.py [--count 10000] [--seed 0] [--keep FOLDER]

Files that are findings are kept in FOLDER. `--small` tries 60 files.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import math
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from hwsim import cli, documents
from hwsim.config import files
from hwsim.errors import HwsimError
from hwsim.guide import starting

SLOW = 60.0
"""Largest processor time of one file, in readings of the quickstart; the shipped study `map` takes about 30."""
STUCK = 20
"""Seconds of processor time after which a file is given up."""

ODD = [
    None, True, False, 0, -1, 1, 2, 3, 0.5, -0.5, 1e-9, 1e9, 2**53, 2**63, 10**400, -(10**30), 1e308, -1e308, 5e-324,
    float("nan"), float("inf"), "", " ", "x", "nan", "inf", "1", "10 ns", "1e400 J", "-3 pJ", "0 S", "1e-300 s", "5 uS",
    "a" * 300, "a" * 300 + ".yaml", "../x.yaml", "/dev/zero", "/", ".", "..", "*", "a.b", "ideal", "pcm_crossbar",
    "pcm_gst_90nm", "quickstart", "digital_45nm", "none", "fpe", "bptt", "lru", "\0", "\x1b[31m", "\ud800", "é", "🙂",
    "\n", [], {}, [[]], [{}], [1, 2], ["a", "a"], {"value": 1}, {"value": "1 pJ", "source": "x"},
    {"like": "pcm_crossbar"},
    {"like": "like"}, {"name": "x"}, {"law": "relative"}, {"a": {"b": {"c": 1}}}, {"": 1}, {"0": 1},
]  # fmt: skip
"""Values that a document is not made for."""
WORDS = [
    "&a ", "*a", "!!str ", "<<: ", "? ", "- ", ": ", "{", "}", "[", "]", "#", "'", '"', "|", ">", "%", "@", "`", "\t",
    "---\n", "...\n", "\ufeff", "\x00", "\u2028", "é", "9" * 40, "1e", "0x", ".inf", "~", "null", "\n", "  ", "*", "..",
    "value: ",
]  # fmt: skip
"""Words that mean something in YAML, or nothing."""


class End(NamedTuple):
    """How a file ends: in a word, what is wrong with that, or None, and in how many seconds of processor time."""

    word: str
    wrong: str | None
    took: float


class Finding(NamedTuple):
    """A file that did not end as it should: what is wrong, and the file's text."""

    what: str
    text: bytes


def originals() -> list[tuple[str, str]]:
    """The text of each file to change, with its kind."""
    found = [
        ((files.shelf(kind) / f"{name}.yaml").read_text(encoding="utf-8"), kind)
        for kind in files.CALLED
        for name in files.names(kind)
    ]
    return found + [(starting.written(make("mine")), kind) for kind, make in starting.KINDS.items()]


# ---- mutations -------------------------------------------------------------------------------------------------------


def changed_text(text: str, draw: random.Random) -> str:
    """A text with a few changes of letters, words and lines."""
    for _ in range(draw.choice([1, 1, 1, 2, 3, 8])):
        at, to = sorted(draw.randrange(len(text) + 1) for _ in range(2))
        to = min(to, at + draw.choice([1, 1, 2, 5, 40]))
        lines = text.splitlines(keepends=True) or [""]
        line = draw.randrange(len(lines))
        match draw.randrange(8):
            case 0:
                text = text[:at] + text[to:]
            case 1:
                text = text[:at] + draw.choice(WORDS) + text[at:]
            case 2:
                text = text[:at] + text[at:to] * 2 + text[to:]
            case 3:
                text = text[:at] + chr(draw.choice([draw.randrange(32, 127), draw.randrange(0x250)])) + text[to:]
            case 4:
                text = "".join([*lines[:line], *lines[line + 1 :]])
            case 5:
                text = "".join([*lines[:line], lines[line], *lines[line:]])
            case 6:
                other = draw.randrange(len(lines))
                lines[line], lines[other] = lines[other], lines[line]
                text = "".join(lines)
            case 7:
                lines[line] = draw.choice(["  ", " ", ""]) + lines[line].lstrip(draw.choice([" ", ""]))
                text = "".join(lines)
    return text


def places(data: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places below the root of a tree."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [each for key, value in inside for each in ((*place, key), *places(value, (*place, key)))]


def changed_tree(data: Any, other: Any, draw: random.Random) -> Any:
    """A tree with a few changes of keys and values, some of which are parts of another tree."""
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        known = places(data)
        if not known:
            return copy.deepcopy(draw.choice(ODD))
        *around, last = draw.choice(known)
        owner = data
        for step in around:
            owner = owner[step]
        elsewhere = places(other)
        match draw.randrange(6):
            case 0:
                del owner[last]
            case 1 if isinstance(owner, dict):
                keys = [str(place[-1]) for place in known + elsewhere]
                owner[draw.choice([*keys, "", "like", "value", "x" * 99, "\0"])] = owner.pop(last)
            case 2 if isinstance(owner, dict):
                key = draw.choice(["drift", "like", "law", "kind", "name", "value", "set"])
                owner[key] = copy.deepcopy(draw.choice(ODD))
            case 3 if elsewhere:
                part = other
                for step in draw.choice(elsewhere):
                    part = part[step]
                owner[last] = copy.deepcopy(part)
            case 4 if isinstance(owner[last], (int, float)) and not isinstance(owner[last], bool):
                owner[last] = owner[last] * draw.choice([-1, 0, 0.5, 2, 1000, 10**18, 1e-30, 1e200])
            case _:
                owner[last] = copy.deepcopy(draw.choice(ODD))
    return data


def mutation(known: list[tuple[str, str]], draw: random.Random) -> bytes:
    """A changed file."""
    text, _ = draw.choice(known)
    if draw.random() < 0.5:
        return changed_text(text, draw).encode("utf-8", "surrogatepass")
    data, other = (documents.parse(each, "file").data for each in (text, draw.choice(known)[0]))
    return documents.dump(changed_tree(data, other, draw)).encode("utf-8", "surrogatepass")


# ---- what happens ----------------------------------------------------------------------------------------------------


def tried(path: Path, longest: float = math.inf) -> End:
    """How a file ends; it is wrong to take longer than `longest`, in seconds of processor time."""
    begun = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, STUCK)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            cli.validate(path)
        word, wrong = "valid", None
    except HwsimError as error:
        word, wrong = "refused", misplaced(path, str(error))
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        word, wrong = "raised", f"{type(error).__name__}: {str(error)[:80]} ({Path(at.filename).name}:{at.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    took = time.process_time() - begun
    late = f"takes {took:.1f} s, more than {longest:.1f} s" if took > longest else None
    return End(word, wrong or late, took)


def pace() -> float:
    """Seconds of processor time that this computer needs to read the quickstart."""
    for name in ("quickstart.yaml", "neurons.yaml"):  # imports, of Brian2 too, take their time once
        tried(files.shelf("configs/experiments") / name)
    return min(tried(files.shelf("configs/experiments") / "quickstart.yaml").took for _ in range(3))


def misplaced(path: Path, said: str) -> str | None:
    """What a message lacks: the file, or line and column although the text can be read."""
    try:
        documents.read(path)
        readable = True
    except HwsimError:
        readable = False
    for line in said.splitlines():
        placed = re.match(r"(\S+\.yaml)(:\d+:\d+)?: ", line)
        if placed is None or (readable and placed[2] is None):
            return f"says without its place: {line[:150]}"
    return None


def stop(_: int, __: object) -> None:
    raise TimeoutError(f"more than {STUCK} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    parser.add_argument("--keep", type=Path, default=None)
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    count = 60 if asked.small else asked.count
    signal.signal(signal.SIGVTALRM, stop)
    known, ends, found = originals(), Counter[str](), list[Finding]()
    keep = asked.keep.resolve() if asked.keep else None
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        path, longest = Path("fuzzed.yaml"), 0.0
        allowed = SLOW * pace()
        for number in range(asked.first, asked.first + count):
            path.write_bytes(mutation(known, random.Random(f"{asked.seed} {number}")))
            word, wrong, took = tried(path, allowed)
            longest = max(longest, took)
            ends[word] += 1
            if wrong:
                print(f"{number}: {wrong}", flush=True)
                found.append(Finding(wrong, path.read_bytes()))
                if keep:
                    keep.mkdir(exist_ok=True)
                    (keep / f"{number}.yaml").write_bytes(path.read_bytes())
    shares = ", ".join(f"{ends[word]} {word}" for word in ("valid", "refused", "raised"))
    print(f"{count} files: {shares}; {len(found)} findings; the longest took {longest:.2f} s of processor time")
    return 1 if found else 0


if __name__ == "__main__":
    os.environ.setdefault("COLUMNS", "120")
    sys.exit(main())
