"""Files to start from: they are valid, they say what each key is for, and what they leave out is right too."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hwsim import documents
from hwsim.config import event_network, experiment, grid, hardware, settings, spike_file
from hwsim.config.study import Study
from hwsim.documents import Document
from hwsim.errors import ConfigError, OutputError
from hwsim.experiments import run as runs
from hwsim.experiments.study import trial
from hwsim.guide import starting
from hwsim.guide.starting import KINDS


def study(document: Document) -> Study:
    found = grid.compose(document)
    found.check()
    return found.study


LOADERS = {
    "experiment": experiment.compose,
    "study": study,
    "machine": hardware.machine,
    "device": hardware.device,
    "periphery": hardware.periphery,
    "network": event_network.network,
    "neuron": hardware.neuron,
    "event_driven": hardware.event_driven,
}


def text_of(kind: str) -> str:
    return starting.written(KINDS[kind]("mine"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_valid_and_says_the_same_as_its_data(kind: str) -> None:
    document = documents.parse(text_of(kind), "e.yaml")
    assert document.data == KINDS[kind]("mine").data
    assert LOADERS[kind](document).name == "mine"
    assert "mine.yaml" in " ".join(line.format(file="mine.yaml") for line in KINDS[kind]("mine").following)


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_left_out_may_be_put_in_as_it_stands(kind: str) -> None:
    """One after another, each commented key with a value that is not to be filled in first."""
    lines = text_of(kind).splitlines()
    left_out = [number for number, line in enumerate(lines) if re.match(r" *# \w+: (?!.*…)", line[:30])]
    least = {"device": -1, "periphery": 3, "machine": 10, "experiment": 15, "study": 10, "network": 0, "neuron": 4}
    assert len(left_out) > {**least, "event_driven": 3}[kind]
    for number in left_out:
        if lines[number].lstrip("# ").startswith(("steps", "epochs", "keys", "zip")):
            continue  # one of them, not both
        put_in = [*lines[:number], lines[number].replace("# ", "", 1), *lines[number + 1 :]]
        LOADERS[kind](documents.parse("\n".join(put_in), f"line {number + 1}: {lines[number]}"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_a_comment_the_first_time_that_its_section_comes(kind: str) -> None:
    lines = text_of(kind).splitlines()
    bare = [
        line.split(":")[0].strip(" -#")
        for before, line in zip(["", *lines], lines, strict=False)
        if re.match(r" *(- )?\w+:", line) and " # " not in line and not before.strip().startswith("#")
    ]
    allowed = {"device": ["example"], "periphery": ["example"], "machine": ["mine"], "experiment": []}
    allowed["neuron"] = ["example", "t_ref", "tau", "tau_s", "theta"]
    allowed["event_driven"] = ["energy", "example", "synapse", "time"]
    allowed["network"] = ["cores", "count", "input", "to"]
    allowed["study"] = ["training", "test", "references", "chips", "bits", "key", "values"]
    assert sorted({*bare}) == sorted(allowed[kind])
    assert max(len(line) for line in lines if "{value:" not in line) <= 120  # a constant stays on one line


def test_comments_name_what_else_is_allowed() -> None:
    text = text_of("experiment")
    assert re.search(r"(?s)name: fpe +# Forward error propagation \(auto \| bptt \| .{,80}fpe \| .{,400}\)", text)
    assert re.search(r"(?s)# update: {name: accumulate} .{,120}\(accumulate \| agad \| in_situ \| mixed_prec", text)
    assert re.search(r"(?s)pooling: cumulative_mean.{,200}\(none \| last \| cumulative_mean\)", text)
    assert "batch: 32                               # sequences for each update (≥ 1)" in text


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    file, start = starting.write("device", "mine", tmp_path / "d.yaml")
    before = file.read_bytes()
    assert hardware.device(documents.read(file)).name == "mine"
    assert start.following[0] == "hwsim validate {file}"
    with pytest.raises(OutputError, match="exists already"):
        starting.write("machine", "other", file)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("machin", "mine", "unknown kind 'machin'; did you mean 'machine'"),
        ("device", "../mine", "name '../mine': letters"),
    ],
)
def test_what_cannot_be_made_is_refused(kind: str, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        starting.write(kind, name)
    with pytest.raises(OutputError, match="No such file or directory"):
        starting.write("device", "mine", Path("/nowhere/at/all.yaml"))


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> str:
        return "\ud800"  # fails where it is written, as a full disk does

    monkeypatch.setattr(starting, "written", full)
    with pytest.raises(UnicodeEncodeError):
        starting.write("device", "mine", tmp_path / "mine.yaml")
    assert list(tmp_path.iterdir()) == []


def test_a_device_to_start_from_says_that_a_measurement_can_make_one() -> None:
    head = " ".join(line.removeprefix("# ") for line in text_of("device").splitlines() if line.startswith("# "))
    assert "`hwsim fit` fits tables" in head
    root = Path(__file__).parents[2]
    assert all((root / named).exists() for named in ("docs/own_device.md",))


def test_a_network_to_start_from_takes_spikes_as_its_comment_says(tmp_path: Path) -> None:
    (tmp_path / "spikes.csv").write_text("step,group,neuron\n0,input,3\n1,hidden,7\n", encoding="utf-8")
    machine = hardware.event_driven(Document("machine", "loihi_like"))
    net, found = event_network.placed(documents.parse(text_of("network"), "n.yaml"), machine)
    (block,) = spike_file.blocks(tmp_path / "spikes.csv", net)
    assert block.sum() == 2
    assert found.core.size == 64 + 256


@pytest.mark.parametrize("kind", ["experiment", "study"])
def test_what_is_written_runs(kind: str, tmp_path: Path) -> None:
    file, _ = starting.write(kind, "mine", tmp_path / "mine.yaml")
    if kind == "experiment":
        result = runs.run(experiment.load(file), out=tmp_path / "run")
        assert 0.3 < result.summary.systems["substrate"].accuracy.median <= 1
    else:
        found = grid.load_study(file)
        config = json.dumps(found.experiment(0).resolved())
        assert trial.carry_out(config, found.seeds[0]).status == "done"


@pytest.mark.parametrize("kind", ["machine", "device", "periphery"])
def test_parts_that_are_written_run_in_an_experiment(kind: str, tmp_path: Path) -> None:
    starting.write(kind, "mine", tmp_path / "mine.yaml")
    starting.write("experiment", "whole", tmp_path / "whole.yaml")
    part = "mine.yaml" if kind == "machine" else f"{{like: pcm_crossbar, name: mine, {kind}: mine.yaml}}"
    text = (tmp_path / "whole.yaml").read_text(encoding="utf-8")
    (tmp_path / "whole.yaml").write_text(text.replace("machine: pcm_crossbar ", f"machine: {part} ", 1), "utf-8")
    without = ["training=null", "test=false", "references=[]", "chips=1"]
    result = runs.run(settings.load_with_settings(tmp_path / "whole.yaml", without), out=tmp_path / "run")
    assert result.summary.systems["substrate"].machine == "mine"
