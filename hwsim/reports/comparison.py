"""Several runs side by side: their systems as columns, and the differences of their configurations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from hwsim import documents
from hwsim.errors import ResultsError
from hwsim.quantities import si
from hwsim.reports.tables import NOTHING, Table, TableCell, TableRow
from hwsim.results.run_folder import RunFolder
from hwsim.results.summary import ConstantAnswer, SystemSummary

SAME = ("task", "network")
"""Parts of the configuration that must agree, or numbers answer different questions."""

_MOST_INSIDE = 12
"""Largest number of rows on the differences inside a machine."""
_ORIGIN = ("source", "assumed", "range", "valid")
"""Keys of a constant, or of a law, beside its values."""


class ComparedRuns(NamedTuple):
    """Several runs.

    Attributes:
        runs: the runs by their labels.
        systems: the systems by their columns; a system that is the same in several runs has one column.
        columns: for each run, the column of each of its systems.
        repeated: the columns with systems of several runs, and these runs.
    """

    runs: dict[str, RunFolder]
    systems: dict[str, SystemSummary]
    columns: dict[str, dict[str, str]]
    repeated: dict[str, list[str]]

    @property
    def constant(self) -> ConstantAnswer | None:
        """The best constant answer, if it is the same in all runs."""
        first, *others = (run.summary.constant for run in self.runs.values())
        return first if all(other == first for other in others) else None


def compare(runs: Sequence[RunFolder], *, substrates: bool = False) -> ComparedRuns:
    """Compare runs side by side; ratios are to the first.

    Args:
        substrates: leave references out.

    Raises:
        ResultsError: there are fewer than two runs, or a run is given twice.
    """
    if len(runs) < 2:
        raise ResultsError("a comparison needs two runs or more; `hwsim report RUN` shows one")
    places = [run.path.resolve() for run in runs]
    twice = next((run.path for run, place in zip(runs, places, strict=True) if places.count(place) > 1), None)
    if twice is not None:
        raise ResultsError(f"{twice} stands twice; a comparison is of different runs")
    named = dict(zip(_names(places), runs, strict=True))
    systems: dict[str, SystemSummary] = {}
    columns: dict[str, dict[str, str]] = {}
    repeated: dict[str, list[str]] = {}
    for label, run in named.items():
        columns[label] = {}
        for place, (name, system) in enumerate(run.systems.items()):
            if place and substrates:
                break
            known = next((column for column, other in systems.items() if place and other == system), None)
            if known is None:
                known = label if place == 0 else f"{label}: {name}"
                systems[known] = system
            else:
                repeated.setdefault(known, []).append(label)
            columns[label][name] = known
    return ComparedRuns(named, systems, columns, repeated)


def remarks(comparison: ComparedRuns) -> list[str]:
    """Remarks: why runs are not comparable, and which columns stand for several runs."""
    configs = {label: run.config for label, run in comparison.runs.items()}
    lines = []
    for part in SAME:
        first, *others = configs
        unlike = [label for label in others if configs[label].get(part) != configs[first].get(part)]
        if unlike:
            lines.append(
                f"The {part} of {', '.join(unlike)} is another than that of {first}: "
                "their numbers answer different questions."
            )
    for column, labels in comparison.repeated.items():
        lines.append(f"{column} is the same in {', '.join(dict.fromkeys(labels))}, and stands here once.")
    return lines


def metrics(comparison: ComparedRuns) -> pd.DataFrame:
    """The tests of all columns; `system` is the column."""
    parts = []
    for label, run in comparison.runs.items():
        columns, tests = comparison.columns[label], run.metrics
        parts.append(tests.assign(system=tests.system.map(columns)).dropna(subset=["system"]))
    return pd.concat(parts).drop_duplicates(["system", "updates", "chip"])


def doubts(comparison: ComparedRuns) -> list[str]:
    """Warnings about implausible values in any of the runs."""
    return list(dict.fromkeys(line for run in comparison.runs.values() for line in run.doubts))


def differences(comparison: ComparedRuns) -> Table:
    """The dotted keys in which runs differ, with their values; a part that some runs lack has one row.

    Of a machine or a device with another name, the first differences inside it are listed, and the others are counted.
    """
    flat = {label: dict(_flat(run.config)) for label, run in comparison.runs.items()}
    keys = list(dict.fromkeys(key for config in flat.values() for key in config if key != "name"))
    rows, lacked, inside = [], list[str](), dict[str, int]()
    for key in keys:
        values = [config.get(key) for config in flat.values()]
        if all(value == values[0] for value in values) or any(key.startswith(f"{part}.") for part in lacked):
            continue
        part = _lacking(key, flat)
        owner, _, last = key.rpartition(".")
        around = next((each for each in inside if key.startswith(f"{each}.")), None)
        if part and around is None:
            lacked.append(part)
            key, values = part, [_called(config, part) for config in flat.values()]
        elif last in ("name", "kind") and owner:
            if not _comparable(owner, flat):  # another rule or kind of machine has other keys altogether
                lacked.append(owner)
            elif around is None:
                inside[owner] = 0
        elif around is not None:
            if last in _ORIGIN or ".sources." in key or last == "what":
                continue
            inside[around] += 1
            if inside[around] > _MOST_INSIDE:
                continue
            key = owner if last == "value" else key
        shown = zip(values, _texts(values), strict=True)
        cells = tuple(NOTHING if value is None else TableCell(text) for value, text in shown)
        rows.append(TableRow(key, cells))
    for part, count in inside.items():
        if count > _MOST_INSIDE:
            more = TableRow(f"{part}: {count - _MOST_INSIDE} more", tuple(NOTHING for _ in flat))
            rows.insert(max(at for at, row in enumerate(rows) if row.label.startswith(f"{part}.")) + 1, more)
    return Table("What differs in what was asked", tuple(flat), tuple(rows), corner="key")


_QUANTITY = re.compile(r"([-+]?[0-9.]+(?:e[-+]?[0-9]+)?) ([a-z]+)")
_SYMBOLS = {
    "siemens": "S", "second": "s", "volt": "V", "ampere": "A", "joule": "J", "watt": "W", "meter": "m", "farad": "F"
}  # fmt: skip
_EXACT = 12
"""Digits that values are shown with: all that people write."""


def _texts(values: Sequence[Any]) -> list[str]:
    """Values in words, quantities with prefixes; as they stand in a file where those would not show a difference."""
    written = [documents.inline(value) for value in values]
    shown = [_prefixed(value) for value in values]
    return shown if len(set(shown)) == len(set(written)) else written


def _prefixed(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_prefixed, value))}]"
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[2] not in _SYMBOLS:
        return documents.inline(value)
    return si(float(found[1]), _SYMBOLS[found[2]], _EXACT)


def _comparable(part: str, flat: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a part is of one kind in all runs: a machine, a device or a periphery, which has the same keys in all."""
    kinds = {config.get(f"{part}.kind") for config in flat.values()}
    described = all(f"{part}.what" in config for config in flat.values())
    return len(kinds) == 1 and (described or None not in kinds)


def _lacking(key: str, flat: Mapping[str, Mapping[str, Any]]) -> str:
    """The outermost part around a key that some runs lack and that has a short name; empty if there is none."""
    steps = key.split(".")
    parts = [".".join(steps[:depth]) for depth in range(1, len(steps))]
    lacking = (part for part in parts if any(not _has(config, part) for config in flat.values()))
    return next((part for part in lacking if any(_called(config, part) for config in flat.values())), "")


def _has(config: Mapping[str, Any], part: str) -> bool:
    return any(key.startswith(f"{part}.") for key in config)


def _called(config: Mapping[str, Any], part: str) -> str | None:
    """A short name of a part: rule and machine of a system, otherwise its own name; None if it has none."""
    rule, machine = config.get(f"{part}.learning.name"), config.get(f"{part}.machine.name")
    if rule and machine:
        return f"{rule} on {machine}"
    names = (config.get(f"{part}.{key}") for key in ("name", "kind", "cell.name"))
    return next((str(name) for name in names if name is not None), None)


def _flat(data: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values, names of parts first; references by their names."""
    if isinstance(data, Mapping):
        for key in sorted(data, key=lambda key: (key != "name", key != "kind")):
            yield from _flat(data[key], f"{prefix}.{key}" if prefix else str(key))
    elif (
        isinstance(data, list) and (data or prefix == "references") and all(isinstance(item, Mapping) for item in data)
    ):
        for place, item in enumerate(data):
            yield from _flat(item, f"{prefix}.{item.get('name', place) if prefix == 'references' else place}")
    else:
        yield prefix, data


def _names(places: list[Path]) -> list[str]:
    """The shortest ends of paths that differ from each other."""
    for depth in range(1, max(len(place.parts) for place in places) + 1):
        names = ["/".join(place.parts[-depth:]) for place in places]
        if len(set(names)) == len(names):
            break
    return names
