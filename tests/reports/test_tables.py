"""The tables that end a run: every number is the one in the summary, and what is not known is a dash."""

from __future__ import annotations

import io
import re
from math import inf
from typing import Any

import pytest
import run_folders
from conftest import NETWORKS, close
from hypothesis import given
from hypothesis import strategies as st

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments.run import run
from hwsim.printing import Terminal
from hwsim.quantities import si
from hwsim.reports import tables, terminal
from hwsim.reports.fitting import put
from hwsim.reports.tables import Table, TableCell, TableRow
from hwsim.results.summary import Summary

PREFIX = {prefix: 1000.0 ** (power - 6) for power, prefix in enumerate(["a", "f", "p", "n", "µ", "m", "", *"kMGT"])}
ENERGY = {
    "energy / inference": "inference_j_per_sequence",
    "energy / gradient": "gradient_j_per_sequence",
    "energy / training step": "training_step_j",
    "energy, whole run": "run_j",
}


def number(cell: str) -> float:
    """The number that a cell begins with, as a plain one: "1.5 µJ (×3)" is 1.5e-6, "12%" is 0.12."""
    if found := re.match(r"(-?[\d.]+)%", cell):
        return float(found[1]) / 100
    found = re.match(r"(-?[\d.e+-]+)(?: ([afpnµmkMGT]?)[JBs]\b)?", cell)
    assert found, cell
    return float(found[1]) * PREFIX[found[2] or ""]


def ratio(cell: str) -> float:
    found = re.search(r"\(×([\d.e+-]+)\)", cell)
    assert found, cell
    return float(found[1])


def share(cell: str) -> float:
    return float(cell.split()[-1].removesuffix("%")) / 100


def cells(table: Table) -> dict[str, list[str]]:
    """Rows of a table by their label, as text."""
    lines = [*table.rows, *([table.total] if table.total else [])]
    assert all(len(line.cells) == len(table.columns) for line in lines)
    return {line.label: [str(cell) for cell in line.cells] for line in lines}


def three_digits(value: float) -> Any:
    return close(value, rel=0.00501)  # three digits


def system(**changes: Any) -> dict[str, Any]:
    """What a summary says of a system of which everything is known, but for `changes` in its parts."""
    known: dict[str, Any] = {
        "rule": "fpe",
        "machine": "pcm_crossbar",
        "chips": 3,
        "loss": {"median": 0.4321, "per_chip": [0.4, 0.4321, 0.5]},
        "accuracy": {"median": 0.8125, "per_chip": [0.75, 0.8125, 0.875]},
        "gradient": {group: {"target": {"cosine": 0.9}} for group in ("recurrent", "input", "readout")},
        "horizon": None,
        "energy": {
            "inference_j_per_sequence": 1.5e-9,
            "gradient_j_per_sequence": 4.56e-9,
            "training_step_j": 1.47e-7,
            "run_j": 2.5e-3,
            "by_purpose": {"inference": 3e-8, "gradient": 1e-7, "leakage": 1.7e-8},
            "assumed_fraction": 0.254,
        },
        "memory": {"peak_bytes": 34567, "peak_by_class": {"weights": 30000, "state": 4567}, "devices": 12345678},
        "time": {"passes": 3, "sequence_s": 2.25e-5},
        "weights": {"writes": 5000.0, "writes_per_device": 12.34},
        "signal_health": {"saturation_rate": 0.0012},
        "diverged": None,
        "diagnostics": [],
    }
    for key, value in changes.items():
        known[key] = known[key] | value if isinstance(value, dict) and isinstance(known[key], dict) else value
    return known


UNKNOWN = {
    "loss": None,
    "accuracy": None,
    "gradient": None,
    "energy": dict.fromkeys(
        ["inference_j_per_sequence", "gradient_j_per_sequence", "training_step_j", "run_j", "assumed_fraction"]
    )
    | {"by_purpose": {"inference": None, "gradient": None}},
    "memory": {"peak_bytes": 100, "peak_by_class": {"weights": 100}, "devices": 0},
    "time": {"passes": None, "sequence_s": None},
    "weights": None,
    "signal_health": None,
}


def summary(*found: dict[str, Any]) -> Summary:
    names = ["substrate", "first", "second"]
    return run_folders.summary({"name": "a test", "systems": dict(zip(names, found, strict=False))})


def printed(found: Summary) -> str:
    out = io.StringIO()
    terminal.show(found, Terminal(file=out, width=200))
    return out.getvalue()


# ---- systems side by side ------------------------------------------------------------------------------------


def test_every_number_of_a_system_is_in_its_column() -> None:
    rows = cells(tables.systems(summary(system()).systems))
    assert rows == {
        "rule": ["fpe"],
        "machine": ["pcm_crossbar"],
        "accuracy (min, max)": ["81.2% (75.0%, 87.5%)"],
        "test loss": ["0.432"],
        "cosine, recurrent": ["0.900"],
        "cosine, input": ["0.900"],
        "cosine, readout": ["0.900"],
        "energy / inference": ["1.5 nJ"],
        "energy / gradient": ["4.56 nJ"],
        "energy / training step": ["147 nJ"],
        "energy, whole run": ["2.5 mJ"],
        "… on assumptions": ["25%"],
        "peak memory": ["34.6 kB"],
        "memory devices": ["12 345 678"],
        "passes": ["3"],
        "time / sequence": ["22.5 µs"],
        "writes / device": ["12.3"],
        "saturated": ["0.12%"],
    }


def test_ratios_are_to_the_first_system() -> None:
    other = system(
        energy={"inference_j_per_sequence": 6e-9, "run_j": 1.25e-3},
        memory={"peak_bytes": 34567 * 1000},
        time={"sequence_s": 2.25e-8},
    )
    rows = cells(tables.systems(summary(system(), other, system()).systems))
    assert rows["energy / inference"] == ["1.5 nJ", "6 nJ (×4)", "1.5 nJ (×1)"]
    assert rows["energy, whole run"] == ["2.5 mJ", "1.25 mJ (×0.5)", "2.5 mJ (×1)"]
    assert rows["peak memory"] == ["34.6 kB", "34.6 MB (×1e+03)", "34.6 kB (×1)"]
    assert rows["time / sequence"] == ["22.5 µs", "22.5 ns (×0.001)", "22.5 µs (×1)"]
    assert not any("×" in cell for label in ("test loss", "rule", "writes / device") for cell in rows[label])


def test_what_is_not_known_is_a_dash_and_has_no_ratio() -> None:
    rows = cells(tables.systems(summary(system(), system(**UNKNOWN)).systems))
    for label, (_, second) in rows.items():
        if label not in ("rule", "machine", "peak memory"):
            assert second == "-", label


def test_without_a_first_number_there_is_no_ratio() -> None:
    for nothing in (None, 0.0):
        first = system(energy={"run_j": nothing})
        rows = cells(tables.systems(summary(first, system()).systems))
        assert rows["energy, whole run"] == ["-" if nothing is None else "0 J", "2.5 mJ"]


def test_a_row_that_nobody_can_fill_is_left_out() -> None:
    rows = cells(tables.systems(summary(system(**UNKNOWN), system(**UNKNOWN)).systems))
    assert list(rows) == ["rule", "machine", "peak memory"]


def test_one_chip_has_no_range() -> None:
    rows = cells(tables.systems(summary(system(accuracy={"median": 0.5, "per_chip": [0.5]})).systems))
    assert rows["accuracy (min, max)"] == ["50.0%"]


def test_names_are_printed_as_they_are() -> None:
    text = printed(summary(system(machine="my chip [old] v2"), system()))
    assert "my chip [old] v2" in text
    assert "(75.0%, 87.5%)" in text


# ---- by purpose and by class ---------------------------------------------------------------------------------


def test_energy_is_broken_down_by_purpose() -> None:
    other = system(energy={"by_purpose": {"inference": 1e-6, "weight update": 3e-6}})
    rows = cells(tables.energy(summary(system(), other).systems))
    assert rows == {
        "inference": ["30 nJ  20%", "1 µJ  25%"],
        "gradient": ["100 nJ  68%", "-"],
        "weight update": ["-", "3 µJ  75%"],
        "leakage": ["17 nJ  12%", "-"],
        "sum": ["147 nJ", "4 µJ"],
    }


def test_memory_is_broken_down_by_class() -> None:
    other = system(memory={"peak_bytes": 1000000, "peak_by_class": {"tape": 1000000}})
    rows = cells(tables.memory(summary(system(), other).systems))
    assert rows == {
        "weights": ["30 kB  87%", "-"],
        "state": ["4.57 kB  13%", "-"],
        "tape": ["-", "1 MB 100%"],
        "sum": ["34.6 kB", "1 MB"],
    }


@pytest.mark.parametrize("known", [{}, {"inference": 1e-9}])
def test_what_is_known_in_part_has_no_sum_and_no_shares(known: dict[str, float]) -> None:
    parts = {**known, "gradient": None}
    rows = cells(tables.energy(summary(system(), system(energy={"by_purpose": parts})).systems))
    assert rows["gradient"] == ["100 nJ  68%", "-"]
    assert rows["inference"] == ["30 nJ  20%", "1 nJ" if known else "-"]
    assert rows["sum"] == ["147 nJ", "-"]


def test_where_nothing_was_done_there_is_no_sum() -> None:
    rows = cells(tables.energy(summary(system(), system(energy={"by_purpose": {}})).systems))
    assert rows["sum"] == ["147 nJ", "-"]


def test_what_costs_nothing_is_zero_and_not_a_dash() -> None:
    rows = cells(tables.energy(summary(system(energy={"by_purpose": {"inference": 0.0}})).systems))
    assert rows == {"inference": ["0 J"], "sum": ["0 J"]}


# ---- remarks -------------------------------------------------------------------------------------------------


def remarks(**changes: Any) -> list[str]:
    return tables.remarks(summary(system(**changes)).systems)


def diagnostic(verdict: str | None, good: bool | None = None, words: str | None = None, **more: Any) -> dict[str, Any]:
    said = {"name": "depth", "unit": "layers", "description": "layers that learn", "value": 3.0}
    return {**said, "words": words, "verdict": verdict, "good": good, "at_start": None, **more}


def early(**more: Any) -> dict[str, Any]:
    return {key: value for key, value in diagnostic(None, **more).items() if key != "at_start"}


def test_there_is_nothing_to_remark_where_all_is_well() -> None:
    assert remarks() == []


def test_what_a_rule_says_of_itself_is_remarked_whatever_rule_it_is() -> None:
    start = early(words="two of four")
    found = [diagnostic("three layers learn", True, "three of four", at_start=start), diagnostic(None)]
    (line,) = remarks(diagnostics=found)
    assert line == "substrate: three layers learn; at the initial weights it was two of four."
    assert remarks(diagnostics=[diagnostic("none learns", False)]) == ["substrate: none learns."]
    twice = summary(
        system(diagnostics=found), system(diagnostics=[diagnostic("none learns")]), system(diagnostics=found)
    )
    names = list(twice.systems)
    assert tables.remarks(twice.systems) == [
        f"{names[0]}, {names[2]}: three layers learn; at the initial weights it was two of four.",
        f"{names[1]}: none learns.",
    ]
    only = run_folders.system(system(diagnostics=[*found, diagnostic("none learns", False)]))
    assert tables.verdicts(only, bad_alone=True) == ["none learns"]


def test_what_a_rule_reports_has_a_row_for_each_number() -> None:
    start = early(value=5.0)
    parts = {"name": "off", "description": "share that is off", "unit": ""}
    by_layer = diagnostic(None, **parts, value={"layer 1": 0.25, "layer 2": None})
    found = summary(
        system(diagnostics=[diagnostic(None, at_start=start), by_layer]), system(), system(diagnostics=[by_layer])
    )
    table = tables.diagnostics(found.systems)
    assert table.columns == ("substrate", "second")
    assert cells(table) == {
        "layers that learn (layers)": ["3 (5 at first)", "-"],
        "share that is off, layer 1": ["0.25", "0.25"],
        "share that is off, layer 2": ["∞", "∞"],
    }


def test_a_system_that_diverged_has_no_numbers_and_is_shown() -> None:
    lost = {"loss": {"median": None, "per_chip": [None] * 3}, "accuracy": {"median": None, "per_chip": [None] * 3}}
    rows = cells(tables.systems(summary(system(), system(**lost)).systems))
    assert rows["test loss"] == ["0.432", "not finite"]
    assert rows["accuracy (min, max)"] == ["81.2% (75.0%, 87.5%)", "not finite"]
    assert rows["chips not finite"] == ["-", "3 of 3"]
    assert remarks(**lost) == ["substrate: on 3 of 3 chips answers are not finite, so its test has no result."]


def test_chips_that_are_lost_are_counted_beside_the_others() -> None:
    lost = {
        "loss": {"median": 0.45, "per_chip": [0.4, None, 0.5]},
        "accuracy": {"median": 0.8, "per_chip": [0.7, None, 0.9]},
        "gradient": {
            group: {"target": {"cosine": cosine, "non_finite": gone}}
            for group, cosine, gone in (("recurrent", 0.9, 1), ("input", None, 3), ("readout", None, 0))
        },
    }
    rows = cells(tables.systems(summary(system(), system(**lost)).systems))
    assert rows["accuracy (min, max)"][1] == "80.0% (70.0%, 90.0%)"
    assert rows["test loss"][1] == "0.450"
    assert rows["chips not finite"] == ["-", "1 of 3"]
    assert rows["cosine, recurrent"] == ["0.900", "0.900 (1 not finite)"]
    assert rows["cosine, input"] == ["0.900", "not finite"]
    assert rows["cosine, readout"] == ["0.900", "-"]  # that of a gradient that is all zero
    assert remarks(**lost) == [
        "substrate: on 1 of 3 chips answers are not finite; its medians are those of the others."
    ]


def test_divergence_is_remarked_on_with_its_place() -> None:
    where = {"updates": 7, "storage": "layer 1 error", "step": 5, "sweep": "pass 2", "chips": [0, 2]}
    assert remarks(diverged=where) == [
        "substrate: learning diverged after 7 updates in layer 1 error, step 5 of pass 2; chips [0, 2]."
    ]
    assert remarks(diverged={"updates": 7, "chips": [1]}) == [
        "substrate: learning diverged after 7 updates; chips [1]."
    ]


@pytest.mark.parametrize(("rate", "lines"), [(0.0099, 0), (0.0101, 1), (0.5, 1)])
def test_saturation_is_remarked_on_from_one_value_in_a_hundred(rate: float, lines: int) -> None:
    found = remarks(signal_health={"saturation_rate": rate})
    assert len(found) == lines
    assert all(f"{rate:.1%} of analog values saturate" in line for line in found)


def test_saturation_between_two_tests_is_remarked_on_with_its_unit() -> None:
    """A network that grows before full scales are found anew saturates for a while, and little on average."""
    clipped = {"dac_clip_rate": 0.0, "adc_clip_rate": 0.0}
    windows = [
        {"updates": 10, "saturation_rate": 0.0099, "worst": {"layer 1 add 32": 0.05}, **clipped},
        {"updates": 20, "saturation_rate": 0.038, "worst": {"layer 2 B tiles": 0.23}, **clipped},
        {"updates": 30, "saturation_rate": 0.058, "worst": {"layer 1 V2 tiles": 0.358, "h": 0.3}, **clipped},
        {"updates": 600, "saturation_rate": 0.0001, "worst": {}, **clipped},
    ]
    assert remarks(signal_health={"saturation_rate": 0.002, "windows": windows}) == [
        "substrate: in updates 21 to 30 5.8% of analog values saturate, and 36% of layer 1 V2 tiles; set parts.ranges "
        "to auto, or find full scales more often (parts.ranges.own.every)."
    ]
    assert remarks(signal_health={"saturation_rate": 0.002, "windows": windows[:1] + windows[3:]}) == []


def test_solutions_that_were_read_too_early_are_remarked_on() -> None:
    said = (
        "substrate: 2.5% of solutions were read before the inverse solver had settled; a smaller solver.slowest waits."
    )
    for rate, lines in ((0.025, [said]), (0.0, []), (None, [])):
        assert remarks(signal_health={"saturation_rate": 0.0, "late_rate": rate}) == lines


def test_the_reason_for_which_there_is_no_energy_is_given() -> None:
    found = remarks(energy={**UNKNOWN["energy"], "why_null": "a constant has no value"})  # type: ignore[dict-item]
    assert found == ["substrate: no energy, since a constant has no value."]


# ---- a real run ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Summary:
    """A short run of a chip beside a digital machine and one that has no prices."""
    data = {
        "name": "tables",
        "task": {"name": "random", "steps": 6, "width": 2, "train": 8, "test": 4},
        "network": NETWORKS["lru"],
        "learning": {"name": "fpe"},
        "machine": "pcm_crossbar",
        "chips": 2,
        "gradient_check": {"sequences": 2},
        "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 4, "steps": 2},
        "references": [
            {"name": "first", "learning": {"name": "bptt"}, "machine": "digital_45nm"},
            {"name": "second", "learning": {"name": "bptt"}, "machine": "ideal"},
        ],
    }
    return run(config.compose(Document("test", data))).summary


def test_the_energies_of_a_run_are_those_of_its_summary(real: Summary) -> None:
    rows, systems = cells(tables.systems(real.systems)), list(real.systems.values())
    for label, key in ENERGY.items():
        values = [getattr(one.energy, key) for one in systems]
        assert number(rows[label][0]) == three_digits(values[0])
        assert number(rows[label][1]) == three_digits(values[1])
        assert ratio(rows[label][1]) == three_digits(values[1] / values[0])
        assert values[2] is None
        assert rows[label][2] == "-"


def test_the_other_numbers_of_a_run_are_those_of_its_summary(real: Summary) -> None:
    rows = cells(tables.systems(real.systems))
    for place, one in enumerate(real.systems.values()):
        assert number(rows["peak memory"][place]) == three_digits(one.memory.peak_bytes)
        assert number(rows["passes"][place]) == one.time.passes
        assert number(rows["test loss"][place]) == close(one.loss.median, abs=5.1e-4)
        assert number(rows["accuracy (min, max)"][place]) == close(one.accuracy.median, abs=5.1e-4)
        for group in ("recurrent", "input", "readout"):
            cosine = getattr(one.gradient, group).target.cosine
            assert number(rows[f"cosine, {group}"][place]) == close(cosine, abs=5.1e-4)
        if one.time.sequence_s:
            assert number(rows["time / sequence"][place]) == three_digits(one.time.sequence_s)


def test_the_parts_of_a_run_add_up_to_the_whole(real: Summary) -> None:
    by_purpose, by_class = cells(tables.energy(real.systems)), cells(tables.memory(real.systems))
    for place, one in enumerate(list(real.systems.values())[:2]):
        assert number(by_purpose["sum"][place]) == three_digits(one.energy.training_step_j)
        for purpose, value in one.energy.by_purpose.items():
            cell = by_purpose[purpose][place]
            assert number(cell) == three_digits(value)
            assert share(cell) == close(value / one.energy.training_step_j, abs=0.0051)
        for kind, held in one.memory.peak_by_class.items():
            assert number(by_class[kind][place]) == three_digits(held)
            whole = sum(one.memory.peak_by_class.values())  # each is rounded up to whole bytes
            assert share(by_class[kind][place]) == close(held / whole, abs=0.0051)
    assert by_class["sum"][0].startswith(si(real.systems["substrate"].memory.peak_bytes, "B"))


def test_all_of_it_is_printed(real: Summary) -> None:
    text = printed(real)
    for table in (tables.systems(real.systems), tables.energy(real.systems), tables.memory(real.systems)):
        for label, row in cells(table).items():
            assert any(label in line and all(cell in line for cell in row) for line in text.splitlines()), label
    assert "second: no energy, since this machine has no energy model; its operations are counted." in text


# ---- numbers with prefixes -----------------------------------------------------------------------------------


@given(st.floats(1e-20, 1e15), st.sampled_from(["J", "B", "s"]))
def test_a_number_with_a_prefix_is_the_number(value: float, unit: str) -> None:
    for sign in (1, -1):
        text = si(sign * value, unit)
        assert number(text) == three_digits(sign * value)
        digits = text.split()[0].lstrip("-")
        assert float(digits) < 1000 or value >= 1e15 * 0.999
        assert float(digits) >= 1 or value < 1e-18


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 J"),
        (1, "1 J"),
        (0.1, "100 mJ"),
        (1e-6, "1 µJ"),
        (1e-18, "1 aJ"),
        (1.5e-19, "0.15 aJ"),
        (999.4, "999 J"),
        (999.6, "1 kJ"),
        (12345, "12.3 kJ"),
        (inf, "inf J"),
    ],
)
def test_prefixes_by_hand(value: float, text: str) -> None:
    assert si(value, "J") == text


def test_costs_that_are_a_bound_are_called_so_and_ranges_are_shown() -> None:
    bounded = system(
        bound="a lower bound of cost; int8 training is not simulated", energy={"training_step_range_j": [1e-7, 2e-7]}
    )
    found = {"substrate": run_folders.system(system()), "int8": run_folders.system(bounded)}
    lines = {line.label: [str(cell) for cell in line.cells] for line in tables.systems(found).rows}
    assert lines["costs are"] == ["-", "a bound"]
    assert lines["… lowest to highest"] == ["-", "100 nJ … 200 nJ"]
    assert "int8: a lower bound of cost; int8 training is not simulated." in tables.remarks(found)


def test_a_table_that_is_too_wide_goes_on_below() -> None:
    columns = tuple(f"system {number}" for number in range(8))
    table = Table("T", columns, (TableRow("row", tuple(TableCell(f"value {number}") for number in range(8))),))
    for width in (80, 120):
        console = Terminal(width=width, file=io.StringIO())
        put(table, console)
        said = console.file.getvalue()  # type: ignore[attr-defined]
        assert max(map(len, said.splitlines())) <= width
        assert all(said.count(f"{what} {number} ") == 1 for number in range(8) for what in ("system", "value"))
        assert ("continued" in said) == (width == 80)
