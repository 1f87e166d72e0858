"""Networks on event-driven machines: how they are read, and what is refused, with its file and line."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from event_machines import machine
from typer.testing import CliRunner

from hwsim import documents
from hwsim.accounts.placement import Placement
from hwsim.cli import app
from hwsim.config import event_network, hardware, spike_file
from hwsim.documents import Document
from hwsim.errors import ConfigError, OutputError

NETWORK = """\
name: two layers
neurons:
  in: {count: 3, cores: [0], source: true}
  out: {count: 5, cores: [1, 2]}
synapses:
  - {from: in, to: out}
  - {from: out, to: out, pairs: pairs.csv}
"""
PAIRS = "from,to\n0,1\n0,4\n4,0\n"
SPIKES = "step,group,neuron\n0,in,2\n0,out,4\n2,out,0\n"


def written(folder: Path, network: str = NETWORK, pairs: str = PAIRS, spikes: str = SPIKES) -> Path:
    (folder / "pairs.csv").write_text(pairs, encoding="utf-8")
    (folder / "spikes.csv").write_text(spikes, encoding="utf-8")
    path = folder / "network.yaml"
    path.write_text(network, encoding="utf-8")
    return path


def placed(path: Path, name: str = "loihi_like", **changes: object) -> tuple[event_network.Network, Placement]:
    return event_network.placed(documents.read(path), machine(name, **changes))


def test_a_network_is_placed(tmp_path: Path) -> None:
    net, found = placed(written(tmp_path))
    assert net.first == {"in": 0, "out": 3}
    assert found.core.tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert found.source.tolist() == [True] * 3 + [False] * 5
    dense = np.zeros((128, 8))
    dense[1, :3], dense[2, :3] = 3, 2
    dense[1, 3], dense[2, 3], dense[1, 7] = 1, 1, 1
    np.testing.assert_array_equal(found.synapses().toarray(), dense)


def test_spikes_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, _ = placed(written(tmp_path))
    whole = np.zeros((5, 8), bool)
    whole[[0, 0, 2], [2, 7, 3]] = True
    read = list(spike_file.blocks(tmp_path / "spikes.csv", net, 5))
    np.testing.assert_array_equal(np.concatenate(read), whole)
    monkeypatch.setattr(spike_file, "_ENTRIES", 16)  # two steps of eight neurons
    parts = list(spike_file.blocks(tmp_path / "spikes.csv", net, 5))
    assert [len(part) for part in parts] == [2, 2, 1]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert sum(map(len, spike_file.blocks(tmp_path / "spikes.csv", net))) == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"neurons": 2}, "network.yaml:4:26: core 1 would hold 3 neurons; a core of loihi_like (changed) holds 2"),
        ({"synapses": 9}, "network.yaml:6:5: core 1 would hold 11 synapses; a core of loihi_like (changed) holds 9"),
    ],
)
def test_more_than_a_core_holds_is_refused(tmp_path: Path, changes: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        placed(written(tmp_path), core=changes)
    assert said in str(error.value)
    placed(tmp_path / "network.yaml", core=dict.fromkeys(changes, 11))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("cores: [1, 2]", "cores: [1, 128]", "network.yaml:4:30: core 128: loihi_like has the cores 0 to 127"),
        ("to: out}", "to: oot}", "network.yaml:6:20: unknown group 'oot'; did you mean 'out'? allowed: in, out"),
        ("to: out}", "to: out, kind: synapsis}", "unknown kind of synapse 'synapsis'; did you mean 'synapse'?"),
        ("count: 5", "count: 0", "neurons.out.count (0)"),
        ("pairs.csv", "pair.csv", "network.yaml:7:33: no file"),
        ("source", "sources", "unknown key 'sources'; did you mean 'source'?"),
    ],
)
def test_a_network_that_is_wrong_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        placed(written(tmp_path, NETWORK.replace(old, new)))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "{from: in, to: out}",
            "{source: in, target: out}",
            [
                "6:6: unknown key 'source'; the group whose spikes are sent is `from`; allowed here: ",
                "6:18: unknown key 'target'; the group that receives them is `to`; allowed here: ",
            ],
        ),
        ("count: 5", "size: 5", ["4:9: unknown key 'size'; the number of neurons of a group is `count`; allowed "]),
        ("to: out}", "to: out, weight: 1}", ["6:25: unknown key 'weight'; weights are not needed: "]),
    ],
)
def test_keys_of_other_tools_are_told_what_they_are_here_and_nothing_is_missing_besides(
    tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        placed(written(tmp_path, NETWORK.replace(old, new, 1)))
    lines = str(error.value).splitlines()
    assert len(lines) == len(said)
    assert all(text in line for text, line in zip(said, lines, strict=True))


def test_validate_knows_a_network_by_its_keys(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["validate", str(written(tmp_path))])
    assert (said.exit_code, said.stdout.rpartition(": ")[2]) == (0, "a valid network on cores two layers\n")
    other = CliRunner().invoke(app, ["run", str(tmp_path / "network.yaml")])
    assert "this is a network on cores, not an experiment; `hwsim events MACHINE" in str(other.exception)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ("source,target\n0,1\n", "is it 'source'? Call it 'from'"),
        ("from,to\n0,1\n0,5\n", "pairs.csv:3:1: to 5: out has the neurons 0 to 4"),
        ("from,to\n0,x\n", "pairs.csv:2:1: to 'x': must be a whole number, 0 or more"),
        (
            "from,too\n0,1\n",
            "pairs.csv:1:1: the column 'to' is missing; did you mean 'too'? needed: from, to; there: from, too",
        ),
        ("", "no CSV table"),
    ],
)
def test_pairs_that_are_wrong_are_refused(tmp_path: Path, pairs: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        placed(written(tmp_path, pairs=pairs))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("spikes", "said"),
    [
        ("1,in,0\n0,in,0\n", "spikes.csv:3:1: step 0 stands behind a later one"),
        ("0,in,0\n0,inn,0\n", "spikes.csv:3:1: unknown group 'inn'; did you mean 'in'?"),
        ("0,in,3\n", "spikes.csv:2:1: neuron 3: in has the neurons 0 to 2"),
        ("0,in,1\n0,out,0\n0,in,1\n", "spikes.csv:4:1: a neuron fires once in a step"),
        ("9,in,1\n", "spikes.csv:2:1: step 9: there are the steps 0 to 4"),
        ("0,in,-1\n", "spikes.csv:2:1: neuron '-1': must be a whole number"),
    ],
)
def test_spikes_that_are_wrong_are_refused(tmp_path: Path, spikes: str, said: str) -> None:
    net, _ = placed(written(tmp_path, spikes="step,group,neuron\n" + spikes))
    with pytest.raises(ConfigError) as error:
        list(spike_file.blocks(tmp_path / "spikes.csv", net, 5))
    assert said in str(error.value)


@pytest.mark.parametrize("name", hardware.names("configs/hardware/event_driven"))
def test_shipped_machines_are_valid(name: str) -> None:
    found = hardware.event_driven(Document("test", name))
    assert found.name == name
    assert CliRunner().invoke(app, ["validate", name]).exit_code == 0


def test_cycles_need_a_clock() -> None:
    with pytest.raises(ConfigError, match="received takes cycles, so the machine needs a clock"):
        machine("odin_like", clock=None)


@pytest.mark.parametrize(
    "words",
    [("run",), ("loihi_like", "run"), ("loihi_like", "network.yaml", "run"),
     ("loihi_like", "network.yaml", "run/spikes.csv")],
)  # fmt: skip
def test_the_folder_of_a_run_is_told_what_prices_its_spikes(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "summary.json").write_text("{}", encoding="utf-8")
    (tmp_path / "run" / "spikes.csv").write_text("system,layer,sequence,step,neuron\n", encoding="utf-8")
    said = CliRunner().invoke(app, ["events", *words])
    assert isinstance(said.exception, ConfigError)
    assert str(said.exception).startswith(f"{words[-1]} is of a run.")
    assert "`hwsim run FILE --set event_driven=loihi_like`" in str(said.exception)


@pytest.mark.parametrize(("words", "lacks"), [((), "NETWORK"), (("network.yaml",), "SPIKES")])
def test_what_is_missing_is_told_with_how_to_begin_it(
    words: tuple[str, ...], lacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    said = CliRunner().invoke(app, ["events", "loihi_like", *words])
    assert said.exit_code == 2
    assert f"{lacks}: is missing; `hwsim new --kind network` writes a network" in said.output


def test_the_command_prints_counts_energy_and_times(tmp_path: Path) -> None:
    path = written(tmp_path)
    words = ["events", "loihi_like", str(path), str(tmp_path / "spikes.csv"), "--steps", "4"]
    said = CliRunner().invoke(app, words).stdout
    assert "two layers on loihi_like: 4 steps" in said
    for part in ("input spikes", "membrane updates", "synaptic operations", "static power", "energy:", "latency:"):
        assert part in said
    assert re.search(r"^energy: \S+ [µn]J for 4 steps", said, re.MULTILINE)
    assert "counts and energies of all together" in " ".join(said.split())
    narrow = CliRunner().invoke(app, words, env={"COLUMNS": "40"}).stdout
    assert all(len(line) <= 40 for line in narrow.splitlines())
    assert narrow.count("membrane updates") > 1  # columns that do not fit stand below, with their labels
    assert re.search(r"cores: \d of 128 have neurons; core \d fires most, [\d.]+% of the spikes", said)


def test_the_command_draws_the_spikes_of_each_core(tmp_path: Path) -> None:
    path, figure = written(tmp_path), tmp_path / "cores.svg"
    words = ["events", "loihi_like", str(path), str(tmp_path / "spikes.csv"), "--figure", str(figure)]
    assert CliRunner().invoke(app, words).exit_code == 0
    root = ElementTree.fromstring(figure.read_text())
    assert (root.get("width"), root.get("role")) == ("560", "img")
    assert "spikes" in root.get("aria-label", "")
    refused = CliRunner().invoke(app, [*words[:-1], str(tmp_path / "none" / "cores.svg")])
    assert isinstance(refused.exception, OutputError)
    assert "choose another file with --figure" in str(refused.exception)
