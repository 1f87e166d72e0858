"""Which tests run which lines of the sources, and how long each test takes.

Coverage of one test file is measured in a process of its own, with a context per test. What a shared fixture runs is
counted for every test that uses it. Caches are emptied before each test, so that no test hides behind an earlier one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import configuration, settings

Lines = dict[str, dict[int, set[str]]]
"""Tests by source file and line."""


class Contexts:
    """A plug-in of pytest that names a context of coverage after each test and each shared fixture."""

    def __init__(self, measured: Any) -> None:
        self._measured, self._current = measured, ""
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []
        self._users: dict[str, set[str]] = {}

    def tests(self, context: str) -> set[str]:
        """The tests that a context stands for."""
        return self._users.get(context, {context} if context in self.seconds else set())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        forget(sys.modules[item.module.__name__] if hasattr(item, "module") else None)
        self.seconds[item.nodeid] = 0.0
        for name in getattr(item, "fixturenames", ()):
            self._users.setdefault(f"fixture {name}", set()).add(item.nodeid)
        self._enter(item.nodeid)
        yield
        self._enter("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        before = self._current
        if fixturedef.scope != "function":
            self._enter(f"fixture {fixturedef.argname}")
        made = yield
        self._enter(before)
        return made

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed:
            self.failed.append(report.nodeid)

    def _enter(self, context: str) -> None:
        self._current = context
        self._measured.switch_context(context)


def forget(also: Any) -> None:
    """Empty the caches of the package's functions, and of a test file's."""
    for name, module in list(sys.modules.items()):
        if module is also or name.partition(".")[0] == "hwsim":
            for each in list(vars(module).values()):
                if hasattr(each, "cache_clear"):
                    each.cache_clear()


def make_steady() -> None:
    """Have tests that draw examples draw the same ones each time, however slow the computer is, and keep them here."""
    configuration.set_hypothesis_home_dir(Path.cwd() / ".hypothesis")
    settings.register_profile("steady", deadline=None, database=None, derandomize=True)
    settings.load_profile("steady")


def cover(root: Path, test_file: str) -> dict[str, Any]:
    """Run a test file in this process, in which the package was not yet imported.

    Returns:
        `seconds` by test, `failed` tests, and `lines`: lists of tests by source file and line.
    """
    import coverage  # only this needs it

    make_steady()
    measured = coverage.Coverage(data_file=None, config_file=False, source=[str(root / "hwsim")])
    contexts = Contexts(measured)
    measured.start()
    pytest.main([test_file, "-q", "-p", "no:cacheprovider", "-p", "no:xdist"], plugins=[contexts])
    measured.stop()
    data, lines = measured.get_data(), {}
    for file in data.measured_files():
        found = {
            line: sorted(set().union(*(contexts.tests(name) for name in names)))
            for line, names in data.contexts_by_lineno(file).items()
        }
        lines[str(Path(file).relative_to(root))] = {line: tests for line, tests in found.items() if tests}
    return {"seconds": contexts.seconds, "failed": contexts.failed, "lines": lines}


def merged(parts: list[dict[str, Any]]) -> tuple[Lines, dict[str, float]]:
    """The tests by line, and the seconds of each test that passes, from what `cover` found in each test file."""
    lines: Lines = {}
    seconds: dict[str, float] = {}
    for part in parts:
        failed = set(part["failed"])
        seconds |= {test: time for test, time in part["seconds"].items() if test not in failed}
        for file, found in part["lines"].items():
            for line, tests in found.items():
                lines.setdefault(file, {}).setdefault(int(line), set()).update(set(tests) - failed)
    return lines, seconds
