"""Run folders are read back as they were written, or refused with a reason."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest

import hwsim
from hwsim import documents, machines
from hwsim.config import experiment as config
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import MemoryEstimateError, ResultsError
from hwsim.experiments import wear
from hwsim.experiments.run import Run, run
from hwsim.results import run_folder, whole
from hwsim.results.summary import SCHEMA_VERSION
from hwsim.results.tables import CONDUCTANCE, TABLES, WORDS, WRITES
from hwsim.units.devices import Devices
from hwsim.units.mapping import Mapping

DATA: dict[str, Any] = {
    "name": "small",
    "task": {"name": "random", "steps": 4, "width": 2, "train": 8, "test": 4},
    "network": {"layers": [{"cell": {"name": "lru", "modes": 3, "r_min": 0.9}, "readout": {"hidden": [4]}}]},
    "learning": {"name": "fpe"},
    "machine": "pcm_crossbar",
    "chips": 2,
    "training": {"optimizer": {"name": "sgd", "rate": 0.05}, "batch": 4, "steps": 3, "test_every": 2},
    "references": [{"name": "BPTT", "learning": {"name": "bptt"}, "machine": "ideal"}],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run(config.compose(Document("test", DATA)), out=tmp_path_factory.mktemp("made") / "run")


@pytest.fixture
def folder(made: Run, tmp_path: Path) -> Path:
    """A copy, to spoil."""
    return Path(shutil.copytree(str(made.folder), tmp_path / "run"))


def test_what_is_read_is_what_was_found(made: Run) -> None:
    found = run_folder.read(str(made.folder))
    assert found.summary == made.summary
    assert found.summary.schema_version == SCHEMA_VERSION
    assert list(found.systems) == ["substrate", "BPTT"]
    assert config.compose(Document("again", found.config)).resolved() == made.experiment.resolved()
    for name in ("energy", "memory", "metrics"):
        written, read = getattr(made, name), getattr(found, name)
        assert list(written) == list(read)
        numbers = read.select_dtypes("number").columns
        np.testing.assert_array_equal(written[numbers].astype(float), read[numbers].astype(float))
    assert {"M", "X"} <= {event["ph"] for event in found.timeline}


@pytest.fixture(scope="module")
def spiking(tmp_path_factory: pytest.TempPathFactory) -> Run:
    layers = [{"cell": {"name": "lif", "units": 5, "decay": 0.8, "gain": 3.0}}]
    beside = [{"name": "BPTT", "learning": {"name": "bptt"}, "machine": "ideal"}]
    changes = {"learning": {"name": "eprop"}, "machine": "rram_crossbar", "references": beside}
    data = {**DATA, "network": {"layers": layers}, **changes}
    return run(config.compose(Document("test", data)), out=tmp_path_factory.mktemp("spiking") / "run")


def test_recordings_are_read_as_they_were_made(spiking: Run) -> None:
    assert spiking.folder is not None
    found = run_folder.read(spiking.folder)
    assert set(found.spikes.system) == {"substrate", "BPTT"}
    pd.testing.assert_frame_equal(found.spikes, spiking.spikes, check_dtype=False)
    pd.testing.assert_frame_equal(found.traces, spiking.traces, check_dtype=False)
    lines = (spiking.folder / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [*run_folder.FILES, "spikes.csv", "traces.csv", "weights.npz"]


def test_a_recording_that_is_missing_or_changed_is_refused(spiking: Run, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(str(spiking.folder), tmp_path / "run"))
    with (folder / "spikes.csv").open("a") as file:
        file.write("substrate,layer 1,0,0,0\n")
    with pytest.raises(ResultsError, match=r"spikes\.csv is not as it was written"):
        run_folder.read(folder)
    (folder / "spikes.csv").unlink()
    with pytest.raises(ResultsError, match=r"incomplete: spikes\.csv is missing"):
        run_folder.read(folder)


def test_a_folder_without_recordings_has_empty_ones(folder: Path, made: Run) -> None:
    found = run_folder.read(folder)
    assert not len(found.spikes)
    assert list(found.spikes) == list(made.spikes)
    assert not len(found.traces)
    assert list(found.traces) == list(made.traces)


def test_checksums_are_those_of_sha256sum(folder: Path) -> None:
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == [*run_folder.FILES, "weights.npz"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*run_folder.FILES, "weights.npz", "SHA256SUMS"])
    if shutil.which("sha256sum"):
        assert os.system(f"cd '{folder}' && sha256sum --check --quiet SHA256SUMS") == 0


def change(folder: Path, **keys: Any) -> None:
    path = folder / "summary.json"
    summary = json.loads(path.read_text())
    for key, value in keys.items():
        if value is None:
            del summary[key]
        else:
            summary[key] = value
    path.write_text(json.dumps(summary))


def cut(path: Path, to: int = -200) -> None:
    path.write_bytes(path.read_bytes()[:to])


Spoil = Callable[[Path], object]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: shutil.rmtree(f), "run: no such folder; `hwsim run FILE` makes one"),
        (lambda f: (shutil.rmtree(f), f.write_text("")), "run: is a file, not the folder of a run"),
        (lambda f: (f / "summary.json").unlink(), "run is not the folder of a run: it has no summary.json"),
        (lambda f: (f / "summary.json").write_text("[1, 2]"), "its summary.json was not written by hwsim"),
        (lambda f: (f / "summary.json").write_text('{"systems": {}}'), "its summary.json was not written by hwsim"),
        (lambda f: (f / "summary.json").write_bytes(b"\xff\x00"), "summary.json is not JSON (truncated?)"),
        (lambda f: (f / "summary.json").write_text("[" * 100000), "summary.json is not JSON"),
        (lambda f: cut(f / "summary.json"), "summary.json is not JSON (truncated?); run its config.yaml again"),
        (
            lambda f: change(f, schema_version=None),
            f"made by an older hwsim ({hwsim.__version__}; its schema_version is 1",
        ),
        (lambda f: change(f, schema_version=7), "made by a newer hwsim (0.1.0; its schema_version is 7, and this one"),
        (lambda f: change(f, schema_version="two"), "its schema_version is 'two'"),
        (lambda f: change(f, seed=99), "summary.json is not as it was written (truncated, or changed by hand)"),
        (lambda f: (f / "energy.csv").unlink(), "is incomplete: energy.csv is missing; run its config.yaml again"),
        (lambda f: (f / "SHA256SUMS").unlink(), "is incomplete: SHA256SUMS is missing"),
        (lambda f: cut(f / "metrics.csv"), "metrics.csv is not as it was written (truncated"),
        (
            lambda f: cut(f / "energy.csv", (f / "energy.csv").read_bytes().rindex(b"\n", 0, -1) + 1),
            "energy.csv is not as",
        ),
        (lambda f: cut(f / "timeline.json"), "timeline.json is not as it was written"),
        (lambda f: (f / "config.yaml").write_text("name: other\n"), "config.yaml is not as it was written"),
    ],
)
def test_folders_that_are_not_whole_are_refused(folder: Path, spoil: Spoil, said: str) -> None:
    spoil(folder)
    with pytest.raises(ResultsError, match=re.escape(said)):
        run_folder.read(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything can be read by root")
@pytest.mark.parametrize("name", ["", "summary.json", "energy.csv"])
def test_folders_that_may_not_be_read_are_refused(folder: Path, name: str) -> None:
    (folder / name).chmod(0)
    try:
        with pytest.raises(ResultsError, match="Permission denied"):
            run_folder.read(folder)
    finally:
        (folder / name).chmod(0o755)


@pytest.mark.parametrize("name", ["", "there/nothing", "file/below"])
def test_what_is_no_folder_of_results_is_refused_and_the_way_to_one_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ResultsError) as error:
        hwsim.read(tmp_path / name)
    said = str(error.value)
    assert said.startswith(str(tmp_path / name))
    assert "it has no summary.json" in said if not name else "no such folder; `hwsim run FILE` makes one" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "notes.txt"]


def test_reading_tells_runs_from_studies(folder: Path) -> None:
    assert isinstance(hwsim.read(folder), hwsim.RunFolder)
    (folder / "study.yaml").write_text("name: mine\n")  # it says of itself that it is one
    with pytest.raises(ResultsError, match="is a study without results"):
        hwsim.read(folder)


# ---- writing -----------------------------------------------------------------------------------------------------


def row_of(name: str) -> tuple[Any, ...]:
    """A row in which each column says where it is; those of names are names that look like something else."""
    return tuple("null" if column in WORDS else float(at) for at, column in enumerate(TABLES[name]))


def test_a_folder_that_is_written_is_read_as_the_same(made: Run, tmp_path: Path) -> None:
    """Whoever writes it: what is asked for is a summary, rows and events, and no run."""
    config, rows = {"name": "λ", "bits": "08"}, {name: [row_of(name)] * 2 for name in TABLES}
    said = made.summary.model_copy(update={"config_sha256": documents.fingerprint(config)})
    folder, event = tmp_path / "run", {"ph": "X", "name": "λ"}
    with whole.written_whole([folder]) as unfinished:
        timeline = json.dumps({"traceEvents": [event]})
        run_folder.write(unfinished.path, config, said, rows, lambda file: file.write(timeline))
        assert not folder.exists()
    found = run_folder.read(folder)
    assert (found.path, found.summary, found.config) == (folder, said, config)
    assert found.timeline == [event]
    for name in TABLES:
        table = getattr(found, name.removesuffix(".csv"))
        assert list(table.itertuples(index=False, name=None)) == rows[name]
    assert len(found.doubts) == 1
    assert found.doubts[0].startswith("the configuration is no longer valid")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


# ---- devices and circuits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["energy", "memory", "metrics", "histograms", "clipping", "timeline"])
def test_files_that_would_not_fit_this_computer_are_not_read(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = run_folder.read(folder)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100))
    with pytest.raises(MemoryEstimateError, match=rf"{name}\.(csv|json): reading it would take about .* for its rows"):
        getattr(found, name)
    monkeypatch.undo()
    assert len(getattr(found, name))


def test_histograms_count_every_device_and_every_write(made: Run) -> None:
    bins = run_folder.read(str(made.folder)).histograms
    stage = made.costs[0].machine
    assert set(bins.system) == {"substrate"}
    for name, array in stage.devices.arrays.items():
        mine = bins[bins.array == name]
        for quantity in (CONDUCTANCE, WRITES):
            assert mine[mine.quantity == quantity].devices.sum() == 2 * array.plus.size
        writes = mine[mine.quantity == WRITES]
        assert (writes.low * writes.devices).sum() == array.writes.sum()
    total = sum(array.writes.sum((1, 2, 3)) for array in stage.devices.arrays.values())
    np.testing.assert_array_equal(total, stage.devices.written)
    for quantity, found in bins.groupby("quantity"):
        assert (found.high - found.low).round(12).nunique() == 1, quantity


def test_clipping_by_unit_adds_up_to_the_rates_of_the_summary(made: Run) -> None:
    found = run_folder.read(str(made.folder)).clipping
    rates = made.summary.systems["substrate"].signal_health
    for kind, key in (("dac", "dac_clip_rate"), ("adc", "adc_clip_rate"), ("analog", "saturation_rate")):
        rows = found[found.kind == kind]
        assert rows.clipped.sum() / rows["values"].sum() == getattr(rates, key)
        assert rows.unit.is_unique


def test_machines_without_devices_have_neither() -> None:
    plain = machines.build(hardware.machine(Document("test", "ideal")))
    assert list(wear.histograms("a", plain)) == []
    assert list(wear.clipping("a", plain)) == []


def test_writes_are_counted_however_many_there_are() -> None:
    sheet = hardware.machine(Document("test", "pcm_crossbar")).device
    array = Devices(Mapping(sheet, 1.0), np.zeros((1, 2, 1, 1)))
    draws = [np.random.default_rng(0)]
    array._programmed = array_most = np.iinfo(np.uint16).max - 2
    array.writes[:] = array_most
    assert array.writes.dtype == np.uint16
    before = np.full((1, 1, 1), np.nan)
    for place in range(5):
        wanted = np.full((1, 1, 1), float(place % 2))
        array.program(wanted, before, np.ones((1, 1, 1)), draws)
        before = wanted
    assert array.writes[0, 0, 0, 0] == array_most + 5
    assert array.writes[0, 1, 0, 0] == array_most + 1  # it is written once at first, and then stays at zero
