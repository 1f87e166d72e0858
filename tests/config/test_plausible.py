"""Numbers that no device has are warned of, shipped ones never, and each quantity has a line in the table."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, get_args

import converter_bits
import data_sheet
import frozen_against_fresh
import generate
import pytest
import run_folders
import yaml
from pydantic import BaseModel
from typer.testing import CliRunner

import hwsim
from hwsim import cli
from hwsim.config import grid, hardware, measured
from hwsim.config.plausible import PUBLISHED, UNBOUNDED, Limit, Published, doubts
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.guide import starting
from hwsim.machines.crossbar import CrossbarParts
from hwsim.physics import DataSheet
from hwsim.quantities import Constant
from hwsim.reports import html
from hwsim.results import run_folder
from hwsim.units.periphery import Periphery
from hwsim.units.processor import DigitalParts

MODELS = (DataSheet, CrossbarParts, Periphery, DigitalParts)


def shipped(kind: str, name: str) -> Any:
    return yaml.safe_load((hardware.shelf(kind) / f"{name}.yaml").read_text(encoding="utf-8"))


def changed(data: Any, key: str, value: Any) -> Any:
    """Data with another value at a dotted key; a constant keeps its source, but loses its range."""
    *steps, last = key.split(".")
    there = data
    for step in steps:
        there = there.setdefault(step, {})
    if isinstance(there.get(last), dict) and "value" in there[last]:
        there[last] = {**{k: v for k, v in there[last].items() if k != "range"}, "value": value}
    elif isinstance(value, str) and steps and steps[0] == "parts":
        there[last] = {"value": value, "assumed": "for this test"}
    else:
        there[last] = value
    return data


def sheet(key: str, value: Any, name: str = "pcm_gst_90nm") -> DataSheet:
    return hardware.device(Document("test", changed(shipped("devices", name), key, value)))


def chip(key: str, value: Any) -> Any:
    return hardware.machine(Document("test", changed({"like": "pcm_crossbar", "name": "my_chip"}, key, value)))


def keys(model: BaseModel) -> list[str]:
    """The dotted keys that are implausible."""
    return [doubt.text.split(": ")[1].split(" ")[0] for doubt in doubts(model)]


# ---- what is warned of ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("conductance.max", "25 mS"),
        ("conductance.max", "25 S"),
        ("write.voltage", "200 V"),
        ("write.voltage", "2 mV"),
        ("write.current", "150 mA"),
        ("write.current", "150 pA"),
        ("write.time", "150 s"),
        ("write.time", "1 ps"),
        ("write.pulses", 8e6),
        ("read_noise.factor", 8.8),
        ("read_noise.cap", 20),
        ("read_noise.exponent", 65),
        ("read_noise.read_time", "250 us"),
    ],
)
def test_a_wrong_unit_in_a_data_sheet_is_warned_of(key: str, value: Any) -> None:
    assert key in keys(sheet(key, value))


@pytest.mark.parametrize(
    ("error", "wrong"), [(["0.26 nS"], True), (["0.26 uS"], False), (["12 uS"], True), (["0 uS"], False)]
)
def test_a_programming_error_is_looked_at_beside_the_range(error: list[str], wrong: bool) -> None:
    made = sheet("programming.error.coefficients", error)
    assert ("programming.error" in keys(made)) == wrong


@pytest.mark.parametrize(("energy", "wrong"), [("50 pJ", False), ("50 nJ", True), ("5 fJ", True), ("0 J", False)])
def test_a_measured_energy_of_writing_is_looked_at(energy: str, wrong: bool) -> None:
    values = {"energy": energy, "time": "100 ns", "pulses": 1}
    law = {"law": "energy", **{key: {"value": value, "assumed": "x"} for key, value in values.items()}}
    assert ("write.energy" in keys(sheet("write", law))) == wrong


def test_read_noise_of_three_hundred_percent_is_warned_of() -> None:
    law = {"law": "relative", "deviation_of_g": 3, "source": "nandakumar2019"}
    (doubt,) = doubts(sheet("read_noise", law))
    assert doubt.place == ("read_noise", "deviation_of_g")
    assert doubt.text.startswith(
        "pcm_gst_90nm: read_noise.deviation_of_g is 300 %, 8.82 times the largest published, 34 %"
    )
    assert "read_noise.deviation_of_g_max" in keys(sheet("read_noise.deviation_of_g_max", 0.7, "rram_hfox_130nm"))


def test_a_step_is_looked_at_where_there_is_an_error_to_be_finer_than() -> None:
    assert keys(sheet("programming.step", "5 pS")) == ["programming.step"]
    assert shipped("devices", "ideal")["programming"]["step"]["value"] == "1 pS"
    assert doubts(hardware.device(Document("test", "ideal"))) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parts.tiles.voltage", "200 V"),
        ("parts.tiles.time", "250 s"),
        ("parts.tiles.time", "250 fs"),
        ("parts.tiles.output_noise", 0.9),
        ("parts.dac.energy", "2 nJ"),
        ("parts.adc.energy", "2 aJ"),
        ("parts.adc.time", "10 s"),
        ("parts.dac.time", "10 fs"),
        ("parts.functions.tanh.energy", "1 uJ"),
        ("parts.functions.add.time", "1 s"),
        ("parts.functions.multiply.mismatch", 0.5),
        ("parts.diagonals.inverse.noise", 0.5),
        ("parts.diagonals.forward.gain_noise", 0.5),
        ("parts.registers.energy", "1 nJ"),
        ("parts.registers.noise", 0.5),
        ("parts.registers.retention", "5 ns"),
        ("parts.verify", "2 uJ"),
    ],
)
def test_a_wrong_unit_in_a_chip_is_warned_of(key: str, value: Any) -> None:
    assert keys(chip(key, value)) == [key]


@pytest.mark.parametrize(
    ("key", "value"),
    [("driver", "35 mW"), ("output", "40 W"), ("converter", "22 nW"), ("area.output", "990 mm^2"), ("cell", "1 mW")],
)
def test_a_wrong_unit_in_a_periphery_is_warned_of(key: str, value: str) -> None:
    data = shipped("configs/periphery", "pwm_cco_14nm")
    data["cell"] = {"value": "0.3 uW", "assumed": "for this test"}
    changed(data, key, value)
    (doubt,) = doubts(chip("periphery", data))
    assert doubt.place == ("periphery", *key.split("."))
    assert doubt.text.startswith(f"pwm_cco_14nm: {key} is ")


def test_the_digital_unit_of_a_chip_is_looked_at_as_well() -> None:
    unit = {
        "like": "digital_45nm",
        "name": "unit",
        "parts": {"timing": {"clock": {"value": "1 ms", "assumed": "slow"}}},
    }
    (doubt,) = doubts(hardware.machine(Document("test", {"like": "pcm_crossbar", "name": "x", "digital": unit})))
    assert doubt.place == ("digital", "parts", "timing", "clock")
    assert doubt.text.startswith("unit: parts.timing.clock is 1 ms, 4e+04 times the largest published, 25 ns")


@pytest.mark.parametrize(("node", "tables", "nearest"), [(28, 45, 32), (28, 32, None), (14, 32, 22), (14, 22, None)])
def test_memories_of_another_node_than_the_arithmetic_are_warned_of(
    node: int, tables: int, nearest: int | None
) -> None:
    machine = {
        "like": "digital_45nm",
        "name": "mine",
        "scaled_to": {"node": f"{node} nm", "voltage": {"value": "0.9 V", "assumed": "usual"}},
        "parts": {"sram": {"node_nm": tables}},
    }
    found = doubts(hardware.machine(Document("test", machine)))
    assert [doubt.place for doubt in found] == ([("parts", "sram", "node_nm")] if nearest else [])
    assert all(f"to {node} nm" in doubt.text and f"that of {nearest} nm" in doubt.text for doubt in found)


def test_an_end_of_a_range_is_looked_at_as_well() -> None:
    data = shipped("devices", "pcm_gst_90nm")
    data["write"]["current"]["range"] = ["100 uA", "500 mA"]
    (doubt,) = doubts(hardware.device(Document("test", data)))
    assert "write.current reaches 500 mA, 1e+03 times" in doubt.text


@pytest.mark.parametrize(("value", "wrong"), [(9.9, False), (10.1, True), (0.101, False), (0.099, True), (0, False)])
def test_a_margin_is_a_factor_both_ways(value: float, wrong: bool) -> None:
    row = Published("x", "", Limit(1, "here"), Limit(1, "here"), 10)
    assert (row.doubt(value) is not None) == wrong


# ---- nothing that is shipped is warned of --------------------------------------------------------------------


@pytest.mark.parametrize("name", hardware.names("devices"))
def test_no_shipped_device_is_warned_of(name: str) -> None:
    assert doubts(hardware.device(Document("test", name))) == []


@pytest.mark.parametrize("name", hardware.names("configs/hardware"))
def test_no_shipped_machine_is_warned_of(name: str) -> None:
    assert doubts(hardware.machine(Document("test", name))) == []


@pytest.mark.parametrize("name", hardware.names("configs/experiments"))
def test_no_shipped_experiment_is_warned_of(name: str) -> None:
    assert doubts(hwsim.load(name)) == []


@pytest.mark.parametrize("name", hardware.names("configs/references"))
def test_no_shipped_set_of_references_is_warned_of(name: str) -> None:
    asked = yaml.safe_load((hardware.shelf("configs/experiments") / "quickstart.yaml").read_text(encoding="utf-8"))
    assert doubts(hwsim.load({**asked, "references": name})) == []


@pytest.mark.parametrize("name", hardware.names("configs/studies"))
def test_no_shipped_study_is_warned_of(name: str) -> None:
    assert grid.load_study(hardware.shelf("configs/studies") / f"{name}.yaml").doubts() == []


def test_no_example_is_warned_of(tmp_path: Path) -> None:
    for asked in (converter_bits.experiment(max(converter_bits.BITS)), frozen_against_fresh.experiment(8, 0)):
        assert doubts(hwsim.load(asked)) == []
    for name in ("pcm_gst_90nm", "rram_hfox_130nm"):
        data_sheet.pretend(name).to_csv(tmp_path / "m.csv")
        assert measured.data_sheet(tmp_path / "m.csv", "mine", "pretended").doubts == []


def test_an_unknown_device_to_pretend_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["data_sheet.py", str(tmp_path / "m.csv"), "--pretend", "nope"])
    with pytest.raises(ConfigError, match="unknown device 'nope'"):
        data_sheet.main()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", starting.KINDS)
def test_no_file_to_start_from_is_warned_of(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, _ = starting.write(kind, "mine")
    said = CliRunner().invoke(cli.app, ["validate", str(file)])
    assert (said.exit_code, said.output.count("\n")) == (0, 1), said.output


# ---- each quantity has a line --------------------------------------------------------------------------------


def fields(annotation: Any, place: tuple[str, ...] = ()) -> Iterator[str]:
    """The dotted keys of all numbers that a model may hold."""
    if isinstance(annotation, type) and issubclass(annotation, Constant):
        yield ".".join(place)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield from fields(field.annotation, (*place, name))
    elif annotation in (int, float):
        yield ".".join(place)
    elif getattr(annotation, "__origin__", None) in (dict, list):
        yield from fields(get_args(annotation)[-1], (*place, "*"))
    elif getattr(annotation, "__metadata__", None):
        yield from fields(get_args(annotation)[0], place)
    elif any(type(value) in (int, float) for value in get_args(annotation)):  # a choice of numbers
        yield ".".join(place)
    else:
        for member in get_args(annotation):
            yield from fields(member, place)


def matches(field: str, key: str) -> bool:
    """Whether a line of the table is about a number of a model; either may have `*`."""
    return fnmatchcase(field, key) or field.startswith(f"{key}.")


def unlisted(model: type[BaseModel]) -> list[str]:
    listed = [row.key for row in PUBLISHED[model]] + list(UNBOUNDED[model])
    return [field for field in dict.fromkeys(fields(model)) if not any(matches(field, key) for key in listed)]


@pytest.mark.parametrize("model", MODELS)
def test_each_quantity_has_a_line(model: type[BaseModel]) -> None:
    """A new quantity needs a line in `PUBLISHED`, or, with the reason, in `UNBOUNDED`, of hwsim/config/plausible.py."""
    assert unlisted(model) == []


@pytest.mark.parametrize("model", MODELS)
def test_each_line_is_about_a_quantity(model: type[BaseModel]) -> None:
    known = list(fields(model))
    for key in (*(row.key for row in PUBLISHED[model]), *UNBOUNDED[model]):
        assert any(matches(field, key) for field in known), key


def test_a_quantity_without_a_line_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one of a new law would be."""
    rows = PUBLISHED[DataSheet]
    monkeypatch.setitem(PUBLISHED, DataSheet, tuple(row for row in rows if row.key != "write.pulses"))
    assert unlisted(DataSheet) == ["write.pulses"]


@pytest.mark.parametrize("model", MODELS)
def test_limits_are_in_order_and_have_sources(model: type[BaseModel]) -> None:
    for row in PUBLISHED[model]:
        ends = [limit for limit in (row.low, row.high) if limit is not None]
        assert ends, row.key
        assert all(limit.source and limit.value > 0 for limit in ends), row.key
        assert ends[0].value <= ends[-1].value, row.key
        assert row.margin > 1, row.key


def test_the_documentation_shows_the_table() -> None:
    for page, part in (("own_device", "devices"), ("own_machine", "machines")):
        text = (Path(generate.__file__).parent / f"{page}.md").read_text(encoding="utf-8")
        assert f"<!-- made here: plausible numbers of {part} -->" in text
    shown = generate.on_page_markdown("<!-- made here: plausible numbers of devices -->")
    assert "| `conductance.max` | 32 nS (31 MΩ, TaOx RRAM" in shown
    assert shown.count("\n| `") == len(PUBLISHED[DataSheet])


# ---- where warnings are seen ---------------------------------------------------------------------------------

DEVICE = """\
name: slip
what: a device with a slip of the unit
sources: {lab: ours}
conductance:
  min: {value: 0.1 uS, source: lab}
  max: {value: 25 mS, source: lab}
programming:
  error: {coefficients: [1 mS], source: lab}
  step: {value: 0.5 mS, source: lab}
read_noise: {law: relative, deviation_of_g: 0.01, source: lab}
write: {law: voltage, voltage: {value: 2 V, source: lab}, time: {value: 100 ns, source: lab}}
"""
EXPERIMENT = """\
name: tiny
task: {name: random, steps: 3, width: 2, train: 4, test: 2}
network: {layers: [{cell: {name: lru, modes: 2}}]}
learning: {name: one_step}
machine:
  like: pcm_crossbar
  name: my_chip
  device: slip.yaml
  parts: {tiles: {voltage: {value: 200 V, assumed: a slip}}}
gradient_check: {sequences: 2}
references:
  - {name: again, learning: {name: one_step}, machine: {like: pcm_crossbar, name: other, device: slip.yaml}}
"""
STUDY = """\
name: slips
experiment: tiny.yaml
set: {machine.device: pcm_gst_90nm, "references.*.machine.device": pcm_gst_90nm}
vary:
  voltage: {key: machine.parts.tiles.voltage, values: [100 V]}
"""
CONDUCTANCE = "slip: conductance.max is 25 mS, 25 times the largest published, 1 mS (PCM of 1 kΩ, NVMExplorer"
VOLTAGE = "my_chip: parts.tiles.voltage is 200 V, 400 times the largest published, 500 mV"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command in a folder with a device, an experiment and a study that are implausible; gives its lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")
    for name, text in (("slip", DEVICE), ("tiny", EXPERIMENT), ("study", STUDY)):
        Path(f"{name}.yaml").write_text(text, encoding="utf-8")

    def invoke(*words: str) -> list[str]:
        said = CliRunner().invoke(cli.app, words)
        assert said.exit_code == 0, said.output
        return said.output.splitlines()

    return invoke


def test_validate_says_where_each_stands_in_whichever_file(command: Any) -> None:
    first, *others = command("validate", "slip.yaml")
    assert first == "slip.yaml: a valid data sheet of slip"
    (line,) = others
    assert line.startswith(f"slip.yaml:6:8: warning: {CONDUCTANCE}")
    first, conductance, voltage = command("validate", "tiny.yaml")
    assert first == "tiny.yaml: a valid experiment tiny"
    assert conductance.startswith(f"slip.yaml:6:8: warning: {CONDUCTANCE}")
    assert voltage.startswith(f"tiny.yaml:9:28: warning: {VOLTAGE}")
    Path("chip.yaml").write_text(yaml.safe_dump(yaml.safe_load(EXPERIMENT)["machine"]), encoding="utf-8")
    assert len(command("validate", "chip.yaml")) == 3
    assert [line.split(" is ")[0] for line in command("validate", "study.yaml")[1:]] == [
        "study.yaml: warning: my_chip: parts.tiles.voltage"
    ]


def test_a_run_warns_below_its_tables_and_its_report_first(command: Any) -> None:
    lines = command("run", "tiny.yaml", "--out", "r")
    warned = [line for line in lines if line.startswith("warning: ")]
    assert [line.removeprefix("warning: ")[:40] for line in warned] == [CONDUCTANCE[:40], VOLTAGE[:40]]
    found = run_folder.read("r")
    assert [line[:40] for line in found.doubts] == [CONDUCTANCE[:40], VOLTAGE[:40]]
    page = html.of_run(found)
    assert page.index("Read this first") < page.index(CONDUCTANCE) < page.index(VOLTAGE) < page.index("Systems side")
    shutil.copytree("r", "q")
    assert sum(line.startswith("warning: ") for line in command("compare", "r", "q", "--html", "c.html")) == 2
    assert CONDUCTANCE in Path("c.html").read_text(encoding="utf-8")


def test_an_estimate_warns_and_keeps_json_clean(command: Any) -> None:
    assert sum(line.startswith("warning: ") for line in command("estimate", "tiny.yaml")) == 2
    said = CliRunner().invoke(cli.app, ["estimate", "tiny.yaml", "--json"])
    assert (said.stderr.count("warning: "), said.stdout.count("warning: ")) == (2, 0)


def test_a_study_warns_of_what_it_varies(command: Any) -> None:
    for words in (("--dry-run",), ("--out", "s", "--workers", "1")):
        lines = command("study", "study.yaml", *words)
        (line,) = [line for line in lines if line.startswith("warning: ")]
        assert "my_chip: parts.tiles.voltage is 100 V" in line
    command("report", "s")
    assert "my_chip: parts.tiles.voltage is 100 V" in Path("s/report.html").read_text(encoding="utf-8")


def test_a_run_of_what_is_refused_today_says_so_in_its_report(command: Any) -> None:
    found = run_folder.RunFolder(Path("r"), run_folders.summary({}), hwsim.load("tiny.yaml").resolved())
    assert len(found.doubts) == 2
    del found.doubts
    found.config["machine"]["device"]["programming"]["step"]["value"] = "0 S"
    (line,) = found.doubts
    assert line.startswith("the configuration is no longer valid")
    assert 'programming.step.value ("0 S"): must be greater than 0' in line
