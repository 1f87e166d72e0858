"""Whether the tests see faults: single faults are put into the sources, and the tests that run their lines are run.

    pip install coverage       # it is among the test extras
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/mutants.py --seed 1 --count 200 --work ../mutants

A seeded sample is drawn from all single faults of `faults.py`, each as likely as any other. Every fault gets a copy of
the checkout, so the checkout itself is never changed, and meets the tests that run its line, the fastest first, until
one of them fails. What takes far longer than it should counts as noticed. Results stream to a file in the work folder:
a sample that was broken off goes on where it was, and `--again` puts the survivors to the tests as they are now.

`--small` puts two faults into the number formats, with the tests of these; it leaves out all other sources.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import covering
import pytest
from copies import LIBRARIES, Copy, Job, import_libraries, side_by_side
from faults import Fault, drawn, faults, is_compiled

ROOT = Path(__file__).parents[1]
ROOMS = ["machine", "machines", "units", "operations", "accounts", "physics", "cells"]
LEFT_OUT = {
    "test_docs.py": "carries all pages out",
    "test_scripts.py": "runs this script",
    "test_cli.py": "runs in other processes",
    "test_browser.py": "needs a browser",
    "test_study.py": "runs in other processes",
    "test_study_so_far.py": "runs in other processes",
    "test_one_thread.py": "runs in other processes",
    "test_footprint.py": "weighs whole runs",
    "test_forgetting.py": "trains for long",
    "test_frozen_against_fresh.py": "trains for long",
}
"""Tests that are slow because they run everything, or whose lines are not seen, since other processes run them."""

ELSEWHERE = ("tests/machine/test_snapshot.py",)
"""Tests that run lines in other processes, where no coverage is known; they meet what no other test runs."""

SURVIVED, NOTICED, STOPPED, NOT_RUN = "survived", "noticed", "stopped", "not run"


class Chosen:
    """A plug-in of pytest that runs some tests in a given order, and remembers which one failed."""

    def __init__(self, tests: list[str]) -> None:
        self._place = {test: place for place, test in enumerate(tests)}
        self.failed: str | None = None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self._place), key=lambda i: self._place[i.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.failed is None:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.failed is None:
            self.failed = f"{report.nodeid} (not imported)"


def run_tests(tests: list[str], limit: float) -> dict[str, Any]:
    """Run tests in this process until one fails; `failed` is its name, or None."""
    covering.make_steady()
    chosen = Chosen(tests)
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    code = pytest.main([*files, "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"], plugins=[chosen])
    return {"failed": chosen.failed or (None if code == 0 else f"pytest ended with {int(code)}")}


# ---- which tests meet which fault ----------------------------------------------------------------------------


def digest(paths: list[Path]) -> str:
    """A name for what some files hold."""
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(paths))).hexdigest()[:16]


def sources() -> list[Path]:
    return sorted((ROOT / "hwsim").rglob("*.py"))


def mapped(copies: list[Copy], test_files: list[str], folder: Path, limit: float) -> list[dict[str, Any]]:
    """What each test file covers; known from an earlier call where neither it nor the sources have changed since."""
    folder.mkdir(exist_ok=True)
    shared = digest([*sources(), *ROOT.glob("tests/**/conftest.py"), *ROOT.glob("tests/*.py")])
    kept = {name: folder / f"{name.replace('/', '+')}.{shared}.{digest([ROOT / name])}.json" for name in test_files}

    def jobs() -> Iterator[tuple[str, Callable[[Copy], Job], float]]:
        for name in test_files:
            if not kept[name].exists():
                yield name, lambda _, name=name: lambda root: covering.cover(root, name), limit

    for name, _, done in side_by_side(copies, jobs()):
        found = done.result or {"seconds": {}, "failed": [], "lines": {}}
        print(f"{name}: {len(found['seconds'])} tests, {done.seconds:.0f} s" + " (stopped)" * done.stopped, flush=True)
        kept[name].write_text(json.dumps(found), encoding="utf-8")
    return [json.loads(path.read_text(encoding="utf-8")) for path in kept.values()]


class Meeting:
    """Which tests meet a fault: those that run its line.

    Lines that are carried out when a file is imported meet all tests of the file. Of compiled functions no lines are
    known; they meet the tests that run a line which names the function, or one that is compiled and calls it, and the
    tests of a file that does so itself. What none of them runs meets those that run it in other processes.
    """

    def __init__(self, parts: list[dict[str, Any]], checkout: Path) -> None:
        self._lines, self.seconds = covering.merged(parts)
        self._named: dict[str, list[tuple[str, int, str]]] = {}
        self._direct: dict[str, set[str]] = {}
        for path in sorted((checkout / "hwsim").rglob("*.py")):
            for function in (
                each for each in ast.walk(ast.parse(path.read_bytes())) if isinstance(each, ast.FunctionDef)
            ):
                caller = function.name if is_compiled(function) else ""
                for name, line in _names(function):
                    self._named.setdefault(name, []).append((str(path.relative_to(checkout)), line, caller))
        for file in {test.partition("::")[0] for test in self.seconds}:
            tests = {test for test in self.seconds if test.startswith(f"{file}::")}
            for name, _ in _names(ast.parse((checkout / file).read_bytes())):
                self._direct.setdefault(name, set()).update(tests)

    def tests(self, fault: Fault) -> list[str]:
        """The tests that meet a fault, the fastest first."""
        lines = self._lines.get(fault.file, {})
        if not fault.function:
            found = set().union(*lines.values())
        elif fault.compiled:
            found = self._through(fault.function, set())
        else:
            found = lines.get(fault.line, set()) | lines.get(fault.statement, set())
        elsewhere = {test for test in self.seconds if test.startswith(ELSEWHERE)}
        return sorted(found or elsewhere, key=lambda test: (self.seconds[test], test))

    def _through(self, function: str, seen: set[str]) -> set[str]:
        seen.add(function)
        found = set(self._direct.get(function, ()))
        for file, line, caller in self._named.get(function, ()):
            if not caller:
                found |= self._lines.get(file, {}).get(line, set())
            elif caller not in seen:
                found |= self._through(caller, seen)
        return found

    def within(self, tests: list[str], seconds: float) -> list[str]:
        """The first tests of a list that take so long together."""
        total, taken = 0.0, []
        for test in tests:
            total += self.seconds[test]
            if total > seconds and taken:
                break
            taken.append(test)
        return taken


def _names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """The names that a piece of source uses, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno


# ---- faults against tests ------------------------------------------------------------------------------------


def compiled_anew(root: Path) -> None:
    """Have this process compile circuits apart from what others keep, since one may be compiled into another."""
    kept, own = Path(os.environ["NUMBA_CACHE_DIR"]), root / "compiled anew"
    shutil.rmtree(own, ignore_errors=True)
    own.mkdir()
    for folder in kept.glob("*"):
        if not folder.name.startswith(("units_", "operations_")):
            shutil.copytree(folder, own / folder.name, copy_function=os.link)
    os.environ["NUMBA_CACHE_DIR"] = str(own)
    import numba

    numba.config.CACHE_DIR = str(own)  # read from the environment long ago


def job_of(fault: Fault, tests: list[str], limit: float) -> Callable[[Copy], Job]:
    """What puts a fault into a copy, and the tests that are to be run there."""

    def prepare(copy: Copy) -> Job:
        copy.change(fault.file, fault.applied)

        def job(root: Path) -> Any:
            if "@compiled" in (root / fault.file).read_text(encoding="utf-8"):
                compiled_anew(root)
            return run_tests(tests, limit)

        return job

    return prepare


def judged(
    copies: list[Copy], sample: list[tuple[int, Fault]], meeting: Meeting, budget: float
) -> Iterator[dict[str, Any]]:
    """The faults of a sample, each with what became of it.

    Args:
        sample: with the number of each.
        budget: seconds that the tests of one fault take, at most; the fastest ones are taken.
    """
    waiting: dict[int, tuple[Fault, list[str], int]] = {}
    for number, fault in sample:
        met = meeting.tests(fault)
        waiting[number] = fault, meeting.within(met, budget), len(met)

    def jobs() -> Iterator[tuple[int, Callable[[Copy], Job], float]]:
        for number, (fault, tests, _) in waiting.items():
            if tests:
                yield number, job_of(fault, tests, budget), 60 + 4 * sum(meeting.seconds[test] for test in tests)

    for number, copy, done in side_by_side(copies, jobs()):
        fault, tests, of = waiting[number]
        copy.restore()
        by = done.result["failed"] if done.result else None
        outcome = SURVIVED if done.result and by is None else STOPPED if done.stopped else NOTICED
        known = {"outcome": outcome, "by": by, "tests": len(tests), "of": of, "seconds": round(done.seconds, 1)}
        yield {"number": number, **known, **asdict(fault)}
    for number, (fault, tests, _) in waiting.items():
        if not tests:
            known = {"outcome": NOT_RUN, "by": None, "tests": 0, "of": 0, "seconds": 0.0}
            yield {"number": number, **known, **asdict(fault)}


def said(result: dict[str, Any]) -> str:
    """One line about a result."""
    before, after = (" ".join(result[key].split()) for key in ("before", "after"))
    met = f"{result['tests']} of {result['of']} tests, {result['seconds']:.0f} s"
    where = f"{result['file']}:{result['line']}"
    return f"{result['number']:4} {result['outcome']:8} {where} {result['kind']}: {before} → {after} ({met})"


def summary(results: list[dict[str, Any]]) -> str:
    """How many faults were noticed, by what was done."""
    seen = [each for each in results if each["outcome"] in (NOTICED, STOPPED)]
    by_kind = Counter(each["kind"] for each in results)
    missed = Counter(each["kind"] for each in results if each not in seen)
    lines = [f"{kind}: {count - missed[kind]} of {count}" for kind, count in sorted(by_kind.items())]
    return "\n".join([*lines, f"noticed: {len(seen)} of {len(results)}"])


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument("--count", type=int, default=200, help="faults in the sample")
    parser.add_argument(
        "--work", type=Path, default=Path("mutants"), help="where copies, coverage and results are kept"
    )
    parser.add_argument("--at-once", type=int, default=2, help="tests of so many faults run side by side")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for the tests of one fault")
    parser.add_argument("--again", action="store_true", help="put only the survivors to the tests, all of them")
    parser.add_argument("--small", action="store_true", help="a few faults in one file")
    options = parser.parse_args(words)
    if options.small:
        small()
    else:
        sampled(options)


def small() -> None:
    """Two faults in the number formats."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.setdefault("NUMBA_CACHE_DIR", f"{folder}/compiled")
        import_libraries("hypothesis", "numba", "pydantic")
        copies = [Copy(ROOT, Path(folder) / "copy")]
        parts = mapped(copies, ["tests/test_formats.py"], Path(folder) / "covered", 60)
        sample = list(enumerate(drawn(faults(ROOT, ["hwsim/formats.py"]), 2, seed=1)))
        results = list(judged(copies, sample, Meeting(parts, ROOT), 60))
    for result in results:
        print(said(result))
    print(summary(results))
    assert any(result["outcome"] == NOTICED for result in results)
    print("all sources but the number formats are left out")


def sampled(options: argparse.Namespace) -> None:
    """A sample of the faults in all rooms, as far as there are no results of it yet."""
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("NUMBA_CACHE_DIR", str(work / "compiled"))
    import_libraries(*LIBRARIES)
    shutil.rmtree(work / "copies", ignore_errors=True)
    copies = [Copy(ROOT, work / "copies" / str(i)) for i in range(options.at_once)]
    test_files = [str(each.relative_to(ROOT)) for each in sorted((ROOT / "tests").glob("**/test_*.py"))]
    test_files = [each for each in test_files if Path(each).name not in LEFT_OUT]
    meeting = Meeting(mapped(copies, test_files, work / "covered", 600), ROOT)
    path = work / f"results {options.seed} {digest(sources())}.jsonl"
    known = {each["number"]: each for each in map(json.loads, path.read_text().splitlines())} if path.exists() else {}
    sample = list(enumerate(drawn(faults(ROOT, [f"hwsim/{room}" for room in ROOMS]), options.count, options.seed)))
    if options.again:
        due = [(number, fault) for number, fault in sample if known[number]["outcome"] in (SURVIVED, NOT_RUN)]
    else:
        due = [(number, fault) for number, fault in sample if number not in known]
    with path.open("a", encoding="utf-8") as file:
        for result in judged(copies, due, meeting, float("inf") if options.again else options.budget):
            known[result["number"]] = result
            print(said(result), flush=True)
            file.write(json.dumps(result) + "\n")
            file.flush()
    results = [known[number] for number, _ in sample]
    print(*(said(each) for each in results if each["outcome"] in (SURVIVED, NOT_RUN)), summary(results), sep="\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "benchmarks"))
    main()
