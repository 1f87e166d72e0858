"""Files that documents name: by name or path, from where they are seen, and what is said if they are something else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hwsim import documents
from hwsim.config import experiment as config
from hwsim.config import files, grid, spike_file
from hwsim.config.settings import load_with_settings
from hwsim.errors import ConfigError

EXPERIMENT = """\
name: tiny
task: {name: random, steps: 5}
network: {layers: [{cell: {name: lru, modes: 4}}]}
learning: {name: fpe}
machine: MACHINE
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, with a machine and a device in it, and a machine in a folder below."""
    monkeypatch.chdir(tmp_path)
    write("chip.yaml", "like: pcm_crossbar\nname: chip\n")
    write("device.yaml", "like: pcm_gst_90nm\nname: own\n")
    write("hw/base.yaml", "like: pcm_crossbar\nname: base\ndevice: sheet.yaml\n")
    write("hw/sheet.yaml", "like: rram_hfox_130nm\nname: sheet\n")
    return tmp_path


def write(name: str, text: str) -> str:
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    return name


def machine(given: str, *settings: str, at: str = "e.yaml") -> Any:
    return load_with_settings(write(at, EXPERIMENT.replace("MACHINE", given)), list(settings)).machine


def refused(make: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make()
    return str(caught.value)


def test_a_path_is_seen_from_the_file_that_gives_it_through_any_inheritance() -> None:
    write("hw/top.yaml", "like: base.yaml\nname: top\n")
    for given, settings in (("hw/top.yaml", ()), ("{like: hw/top.yaml}", ("machine.parts.adc.bits=5",))):
        assert machine(given, *settings).device.name == "sheet"


def test_a_path_is_seen_from_the_working_folder_too() -> None:
    assert machine("chip.yaml", at="hw/e.yaml").name == "chip"
    write("hw/chip.yaml", "like: pcm_crossbar\nname: beside\n")
    assert machine("chip.yaml", at="hw/e.yaml").name == "beside", "what is beside the file comes first"
    assert machine("ideal_crossbar", "machine.device=hw/sheet.yaml").device.name == "sheet"


def test_a_path_in_a_study_is_seen_from_the_study(folder: Path) -> None:
    write("e.yaml", EXPERIMENT.replace("MACHINE", "pcm_crossbar"))
    write("hw/s.yaml", "name: s\nexperiment: ../e.yaml\nvary: {machine.device: [sheet.yaml]}\n")
    assert grid.load_study("hw/s.yaml").experiment(0).machine.device.name == "sheet"


WRONG = {
    "device.yaml": "'device.yaml' describes a device, not a machine; a machine names it, `device: device.yaml`",
    "pcm_gst_90nm": "'pcm_gst_90nm' is a device, not a machine; a machine names it, `device: pcm_gst_90nm`",
    "{like: device.yaml}": "'device.yaml' describes a device, not a machine",
    "{like: pcm_crossbar, device: chip.yaml}": "'chip.yaml' describes a machine, not a device; an experiment names it",
    "{like: pcm_crossbar, periphery: device.yaml}": "'device.yaml' describes a device, not a periphery",
    "quickstart": "'quickstart' is an experiment, not a machine; run it with `hwsim run quickstart`",
    "e.yaml": "'e.yaml' describes an experiment, not a machine",
    "strong": "'strong' is a set of references, not a machine; an experiment names it, `references: strong`",
    "chip": "unknown machine 'chip'; did you mean the file 'chip.yaml'?",
    "hw/base": "unknown machine 'hw/base'; did you mean the file 'hw/base.yaml'?",
    "chp.yaml": "no file 'chp.yaml'; did you mean 'chip.yaml'?",
    "n" * 300: "unknown machine 'nnn",
    "n" * 300 + ".yaml": "no file has a name like 'nnn",
    '"\\ud800.yaml"': "no file '\\ud800.yaml'",
    '"a\\0.yaml"': "no file 'a\\x00.yaml'",
    "folder.yaml": "'folder.yaml' is no regular file",
    "pipe.yaml": "'pipe.yaml' is no regular file",
    "zeros.yaml": "'zeros.yaml' is no regular file",
}


def odd() -> None:
    """A folder, a pipe and an endless device with the names of files."""
    Path("folder.yaml").mkdir()
    os.mkfifo("pipe.yaml")
    Path("zeros.yaml").symlink_to("/dev/zero")


@pytest.mark.parametrize("given", WRONG)
def test_what_is_no_machine_is_told_where_it_is_named(given: str) -> None:
    odd()
    said = refused(lambda: machine(given))
    assert said.startswith("e.yaml:5:"), said
    assert WRONG[given] in said
    assert len(said) < 600


@pytest.mark.parametrize(
    "name", ["folder.yaml", "pipe.yaml", "zeros.yaml", "n" * 300 + ".yaml", "a\0.yaml", "\ud800.yaml"]
)
def test_only_regular_files_are_read(name: str) -> None:
    odd()
    for read in (config.load, grid.load_study, documents.read):
        assert repr(name)[1:9] in refused(lambda read=read: read(name))


@pytest.mark.parametrize("name", ["folder", "n" * 300, "a\0", "nothing", "no/folder/here"])
def test_what_is_no_shipped_name_is_no_file_either(name: str) -> None:
    Path("folder").mkdir()
    assert "no" in refused(lambda: config.load(name))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("{like: pcm_crossbar}", "pcm_crossbar"),
        ("{like: pcm_crossbar, device: rram_hfox_130nm}", "pcm_crossbar with rram_hfox_130nm"),
        ("{like: pcm_crossbar, device: hw/sheet.yaml}", "pcm_crossbar with sheet"),
        ("{like: pcm_crossbar, device: {like: pcm_gst_90nm, name: other}}", "pcm_crossbar with other"),
        ("{like: pcm_crossbar, device: {like: pcm_gst_90nm, what: other}}", "pcm_crossbar (changed)"),
        ("{like: pcm_crossbar, parts: {adc: {bits: 6}}}", "pcm_crossbar (changed)"),
        ("{like: pcm_crossbar, name: mine, parts: {adc: {bits: 6}}}", "mine"),
    ],
)
def test_a_machine_that_differs_is_not_called_like_the_other(given: str, name: str) -> None:
    assert machine(given).name == name


def test_devices_take_like_as_machines_do() -> None:
    given = "{like: pcm_crossbar, device: {like: pcm_gst_90nm, name: mine, read_noise: {cap: 0.1}}}"
    sheet, base = machine(given).device, machine("pcm_crossbar").device
    noise = base.read_noise.model_copy(update={"cap": 0.1})
    assert sheet == base.model_copy(update={"name": "mine", "read_noise": noise})
    assert machine("{like: pcm_crossbar, device: device.yaml}").device == base.model_copy(update={"name": "own"})
    assert (
        machine("{like: pcm_crossbar, device: device.yaml}", "machine.device.read_noise.cap=0.1").device.name == "own"
    )


def test_another_law_replaces_the_one_before() -> None:
    law = "read_noise: {law: relative, deviation_of_g: 0.1, source: joshi2020}"
    noise = machine("{like: pcm_crossbar, device: {like: pcm_gst_90nm, " + law + "}}").device.read_noise
    assert (noise.law, noise.deviation_of_g) == ("relative", 0.1)


@pytest.mark.parametrize(
    ("chip", "device", "said"),
    [
        (
            "like: pcm_crossbar\ndevice: device.yaml",
            "like: device.yaml",
            "device.yaml:1:7: a device cannot be like itself",
        ),
        ("like: pcm_crossbar\ndigital: chip.yaml", "", "chip.yaml:2:10: "),
        ("like: chip.yaml", "", "chip.yaml:1:7: a machine cannot be like itself"),
    ],
)
def test_what_names_itself_is_refused_in_studies_too(chip: str, device: str, said: str) -> None:
    write("chip.yaml", chip)
    write("device.yaml", device or "like: pcm_gst_90nm")
    write("e.yaml", EXPERIMENT.replace("MACHINE", "chip.yaml"))
    for changes in ("", "set: {machine.parts.adc.bits: 6}\n"):
        write("s.yaml", f"name: s\nexperiment: e.yaml\n{changes}")

        def whole() -> None:
            study = grid.load_study("s.yaml")
            study.resolved()
            study.check()

        assert said in refused(whole)


def test_a_part_that_is_like_something_only_where_machines_and_devices_are() -> None:
    write("e.yaml", EXPERIMENT.replace("MACHINE", "ideal") + "like: quickstart\n")
    said = refused(lambda: load_with_settings("e.yaml", ["task.steps=3"]))
    assert said.startswith("e.yaml:6:1: unknown key 'like'")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("like: device.yaml", "device"),
        ("like: {like: device.yaml}", "device"),
        ("like: hw/base.yaml", "machine"),
        ("like: nothing", "machine"),
        ("like: loop.yaml", "machine"),
        ("like: none\nname: x", "periphery"),
        ("experiment: x", "study"),
        ("name: x", "experiment"),
    ],
)
def test_a_document_says_what_it_describes(text: str, kind: str) -> None:
    assert files.kind_of(documents.read(write("loop.yaml", text))) == kind


# ---- paths that lead nowhere, and files that are no YAML ------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("experimnts/mine.yaml", "experimnts/mine.yaml: no such file; did you mean 'experiments/mine.yaml'?"),
        ("experiments/mein.yml", "experiments/mein.yml: no such file; did you mean 'experiments/mine.yaml'?"),
        ("configs/quickstart.yaml", "did you mean 'quickstart', an experiment that is shipped?"),
        ("nothing/like/it.yaml", "nothing/like/it.yaml: no such file"),
        ("spike.csv", "no file 'spike.csv'; did you mean 'spikes.csv'?"),
        (
            "spikes.csv",
            "is a table, and not a file in YAML; by its columns it holds spikes, for `hwsim events MACHINE ",
        ),
        ("reads.csv", "by its columns it holds a measurement of devices, for `hwsim fit reads.csv`"),
        ("other.csv", "tables hold spikes, for `hwsim events MACHINE NETWORK other.csv`; or events, for an experiment"),
    ],
)
def test_a_path_is_told_from_those_near_it_and_a_table_from_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.yaml").write_text("name: mine")
    for name, columns in (("spikes", "step,group,neuron"), ("reads", "device;target_us;read_us"), ("other", "a,b")):
        (tmp_path / f"{name}.csv").write_text(columns)
    with pytest.raises(ConfigError) as caught:
        documents.read(files.path_of(asked, *files.CALLED))
    assert said in str(caught.value)


def test_tables_are_told_by_columns_that_their_readers_take() -> None:
    assert tuple(spike_file.COLUMNS) in files.TABLES
    assert len(files.TABLES) == len({use.split(",")[0] for use in files.TABLES.values()}) == 4
