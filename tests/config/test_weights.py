"""Weights from elsewhere: which they are, to the last bit, and what is said of those that do not fit."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import close
from typer.testing import CliRunner

import hwsim
from hwsim import cli
from hwsim.errors import CapabilityError, ConfigError, OutputError, ResultsError
from hwsim.exchange import weights as exchange
from hwsim.results import checksums, run_folder

CELL: dict[str, Any] = {"name": "lif", "units": 6, "decay": 0.9, "threshold": 0.3, "time_step": "1 ms", "reset": "zero"}
DIGITAL = {"name": "digital", "learning": {"name": "bptt"}, "machine": "digital_45nm"}
BASE: dict[str, Any] = {
    "name": "small", "task": {"name": "digits", "order": "rows"}, "network": {"layers": [{"cell": CELL}]},
    "learning": {"name": "eprop"}, "machine": "ideal_crossbar", "chips": 2,
    "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 64, "steps": 3}, "references": [DIGITAL],
}  # fmt: skip
STILL = {"training": None, "references": []}


def starting(origin: Path | str, into: Any = None, **more: Any) -> dict[str, Any]:
    keys = {"from": str(origin), **({} if into is None else {"into": into})}
    return {**BASE, **STILL, "weights": keys | more.pop("weights", {}), **more}


def loss(run: hwsim.Run, system: str = "substrate") -> Any:
    return run.summary.systems[system].loss


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("runs") / "trained"
    hwsim.run(BASE, out=place)
    return place


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, np.ndarray]:
    return run_folder.read(folder).weights("digital")


def same(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in found)


def test_a_run_and_its_folder_give_the_same_weights(folder: Path) -> None:
    run, kept = hwsim.run(BASE), run_folder.read(folder)
    for system, chips in (("substrate", 2), ("digital", 1)):
        for chip in range(chips):
            assert same(kept.weights(system, chip), run.weights(system, chip))
    assert "weights.npz" in checksums.names(folder)


def test_a_system_starts_from_that_of_another_run(folder: Path, trained: dict[str, np.ndarray]) -> None:
    """Each chip has the same target weights; the loss of the digital system is that at the end of its training."""
    keys = {"system": "digital"}
    run = hwsim.run(starting(folder, weights=keys, references=[DIGITAL]))
    for system, chip in (("substrate", 0), ("substrate", 1), ("digital", 0)):
        assert same(run.weights(system, chip), trained)
    assert loss(run, "digital") == run_folder.read(folder).systems["digital"].loss


def test_others_draw_their_weights_where_one_is_named(folder: Path, trained: dict[str, np.ndarray]) -> None:
    check = {"sequences": 4}
    both = starting(folder, ["digital"], weights={"system": "digital"}, references=[DIGITAL], gradient_check=check)
    run, drawn = hwsim.run(both), hwsim.run({**BASE, **STILL, "gradient_check": check})
    assert same(run.weights("digital"), trained)
    assert same(run.weights("substrate"), drawn.weights("substrate"))
    assert run.systems["substrate"].gradient == drawn.systems["substrate"].gradient  # against its own exact gradient
    exact = run.systems["digital"].gradient
    assert exact is not None
    assert exact.all.target.cosine == close(1, rel=1e-6)


def test_chips_are_programmed_tested_and_learn_on(folder: Path) -> None:
    """Writing is charged as for drawn weights, the test of epoch 0 is that without training, and updates follow."""
    keys: dict[str, Any] = {"weights": {"system": "digital"}, "machine": "pcm_crossbar", "network": BASE["network"]}
    still = hwsim.run(starting(folder, **keys))
    learning = hwsim.run(starting(folder, **keys, training=BASE["training"]))
    first = learning.metrics.query("updates == 0").sort_values("chip")
    assert list(first.test_loss) == loss(still).per_chip
    assert not same(learning.weights(), still.weights())
    writes = still.systems["substrate"].weights
    assert writes is not None
    assert writes.writes_per_device > 0.4


def test_the_same_file_gives_the_same_bytes_and_its_checksum_is_kept(folder: Path, tmp_path: Path) -> None:
    first = hwsim.run(starting(folder, weights={"system": "digital"}), out=tmp_path / "one")
    hwsim.run(tmp_path / "one" / "config.yaml", out=tmp_path / "two")
    one, two = ((tmp_path / name / "SHA256SUMS").read_bytes() for name in ("one", "two"))
    assert one == two
    told = yaml.safe_load((tmp_path / "one" / "config.yaml").read_text())["weights"]
    assert f"{told['sha256']}  weights.npz" in (folder / "SHA256SUMS").read_text()
    assert first.experiment.weights is not None
    assert first.experiment.weights.origin == told["from"] == str(folder)


def test_an_estimate_is_of_the_same_work(folder: Path) -> None:
    drawn, given = hwsim.estimate({**BASE, "references": []}), hwsim.estimate({**starting(folder), **BASE})
    assert drawn.summary.systems["substrate"].energy == given.summary.systems["substrate"].energy


@pytest.mark.parametrize("machine", ["pcm_crossbar", "offset_crossbar"])
def test_weights_that_devices_cannot_hold_are_refused(
    trained: dict[str, np.ndarray], tmp_path: Path, machine: str
) -> None:
    def asked(largest: float) -> dict[str, Any]:
        weights = trained["layer 1 W"].copy()
        weights[0, 1] = largest
        return starting(changed(tmp_path / f"{largest:g}.npz", trained, layer_1_W=weights), machine=machine)

    for work in (hwsim.run, hwsim.estimate):
        with pytest.raises(CapabilityError, match=r"layer 1 W: its largest initial weight is 1e\+30, and tiles take"):
            work(asked(1e30))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        hwsim.run(asked(9e14))


@pytest.mark.parametrize("ending", ["npz", "safetensors", "nir"])
def test_files_of_all_kinds_come_back_to_the_last_bit(
    ending: str, folder: Path, trained: dict[str, np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip({"npz": "numpy"}.get(ending, ending))
    file, run = tmp_path / f"w.{ending}", run_folder.read(folder)
    network = hwsim.load(BASE).network
    exchange.write(file, run.weights("digital"), network)
    found = hwsim.run(starting(file.name) | {"weights": {"from": str(file)}})
    tolerance = 0 if ending != "nir" else 1e-12
    for name, values in found.weights().items():
        assert np.allclose(values, trained[name], rtol=tolerance, atol=0), name
    with pytest.raises(OutputError, match="exists already"):
        exchange.write(file, trained, network)


def test_a_command_writes_them(folder: Path, trained: dict[str, np.ndarray], tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    done = CliRunner().invoke(cli.app, ["export", str(folder), "--system", "digital", "--out", str(file)])
    assert done.exit_code == 0
    assert "5 parameters of digital, chip 0" in done.output
    with np.load(file) as arrays:
        assert same(dict(arrays), trained)


def test_the_path_is_seen_from_the_file_that_names_it(folder: Path) -> None:
    experiment = folder.parent / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(starting("trained")))
    assert hwsim.load(experiment).weights.origin == str(folder)  # type: ignore[union-attr]


def changed(file: Path, trained: dict[str, np.ndarray], **changes: Any) -> Path:
    arrays = trained | {name.replace("_", " "): value for name, value in changes.items()}
    np.savez(file, **{name: value for name, value in arrays.items() if value is not None})  # type: ignore[arg-type]
    return file


def test_all_that_does_not_fit_is_said_at_once(trained: dict[str, np.ndarray], tmp_path: Path) -> None:
    file = changed(
        tmp_path / "w.npz", trained, layer_1_U=trained["layer 1 U"].T, layer_1_W=None, layer_1_b=np.full(6, np.inf),
        layer_1_w=trained["layer 1 W"], layer_1_V1=np.zeros((2, 2, 2)),
    )  # fmt: skip
    with pytest.raises(ConfigError) as refused:
        hwsim.estimate(starting(file))
    lines = str(refused.value).splitlines()
    for line, said in zip(
        lines,
        (
            r"has shape (8, 6), and the network's (6, 8); it is transposed",
            "no finite real numbers",
            "'layer 1 V1' in",
            "has no array 'layer 1 W'; the nearest it has is 'layer 1 w'",
            "has 'layer 1 w', and the network only layer 1 U",
        ),
        strict=True,
    ):
        assert said in line
        assert "weights: " in line


def test_the_file_in_a_run_folder_is_refused_in_one_line(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"by system and chip.* name the folder .*system: digital}`$") as refused:
        hwsim.estimate(starting(folder / "weights.npz"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"from": "nowhere"}, "no file or folder 'nowhere'; weights are in a run folder"),
        ({"from": "FOLDER/summary.json"}, "ends in none of .npz, .safetensors, .nir"),
        ({"from": "FOLDER/.."}, "not the folder of a run"),
        ({"from": "FOLDER", "system": "digitl"}, "unknown system of .* did you mean 'digital'"),
        ({"from": "FOLDER", "system": "digital", "chip": 1}, "weights of 1 chip.* of digital.*there is no 1"),
        ({"from": "FOLDER", "into": ["other"]}, "weights.into.0: unknown system 'other'"),
        ({"from": "FOLDER", "into": []}, "needs 1 or more"),
        ({"from": "FOLDER", "sha256": "0" * 64}, "has another content than it had"),
        ({"from": "FOLDER", "chip": -1}, "at least 0"),
        ({"from": "FOLDER/weights.npz", "system": "digital"}, "weights.system: this key is for a run folder"),
        ({"from": "FOLDER/weights.npz", "chip": 1}, "weights.chip: this key is for a run folder.* is a .npz"),
        ({"from": "FOLDER", "dt": "1 ms"}, "weights.dt: this key is for a .nir.* is a run folder"),
        ({"from": "FOLDER/weights.npz", "method": "euler"}, "weights.method: this key is for a .nir"),
        ({"from": "FOLDER", "system": 5}, r"weights.system \(5\): must be text"),
        ({"from": "FOLDER", "system": ["digital"]}, "weights.system: must be text"),
        ({"from": "FOLDER", "chip": 1.5}, r"weights.chip \(1.5\): must be a whole number"),
        ({"from": "FOLDER", "sha256": 5}, r"weights.sha256 \(5\): must be text"),
        ({"frm": "FOLDER"}, "did you mean 'from'"),
    ],
)  # fmt: skip
def test_what_leads_to_no_weights_is_refused(folder: Path, keys: dict[str, Any], said: str) -> None:
    given = {key: value.replace("FOLDER", str(folder)) if key[0] == "f" else value for key, value in keys.items()}
    with pytest.raises(ConfigError, match=said):
        hwsim.load({**BASE, **STILL, "weights": given})


def test_weights_are_named_once(folder: Path, tmp_path: Path, trained: dict[str, np.ndarray]) -> None:
    network = {**BASE["network"], "weights": str(changed(tmp_path / "w.npz", trained))}
    said = r"`network\.weights` names weights as well, .* `weights: \{from: w\.npz\}`"
    with pytest.raises(ConfigError, match=said):
        hwsim.load(starting(folder, network=network))
    in_the_network = hwsim.run({**BASE, **STILL, "network": network})
    instead = hwsim.run(starting(tmp_path / "w.npz"))
    assert same(in_the_network.weights(), instead.weights())
    assert loss(in_the_network) == loss(instead)


def test_weights_that_were_changed_by_hand_are_refused(tmp_path: Path) -> None:
    hwsim.run({**BASE, **STILL}, out=tmp_path / "run")
    options = hwsim.load(starting(tmp_path / "run"))
    kept = tmp_path / "run" / "weights.npz"
    kept.write_bytes(kept.read_bytes() + b" ")
    with pytest.raises(ConfigError, match="is not as it was written: its checksum"):
        hwsim.load(starting(tmp_path / "run"))
    with pytest.raises(ConfigError, match="has another content than it had"):
        hwsim.run(options)
    kept.unlink()
    with pytest.raises(ConfigError, match="keeps no weights"):
        hwsim.load(starting(tmp_path / "run"))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(ConfigError, match="neither a file nor a folder"):
        hwsim.load(starting(tmp_path / "pipe.npz"))


def test_one_array_alone_is_no_npz(tmp_path: Path) -> None:
    with (tmp_path / "one.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ConfigError, match=r"one\.npz is no \.npz of plain arrays"):
        hwsim.run(starting(tmp_path / "one.npz"))


def test_values_beyond_32_bits_are_refused(trained: dict[str, np.ndarray], tmp_path: Path) -> None:
    file = changed(tmp_path / "w.npz", trained, layer_1_b=np.full(6, 1e39))
    with pytest.raises(ConfigError, match=r"'layer 1 b' in .* too large for 32 bits"):
        hwsim.run(starting(file))


@pytest.mark.parametrize("ending", ["npz", "safetensors", "nir"])
def test_files_that_are_none_are_refused(ending: str, tmp_path: Path) -> None:
    pytest.importorskip({"npz": "numpy"}.get(ending, ending))
    file = tmp_path / f"text.{ending}"
    file.write_text("no arrays at all")
    with pytest.raises(ConfigError, match=r"text\.\w+ is no"):
        hwsim.run(starting(file))


def test_a_graph_of_other_neurons_is_refused(folder: Path, trained: dict[str, np.ndarray], tmp_path: Path) -> None:
    pytest.importorskip("nir")
    exchange.write(tmp_path / "w.nir", trained, hwsim.load(BASE).network)
    other = {"layers": [{"cell": {**CELL, "threshold": 0.4}}]}
    with pytest.raises(ConfigError, match=r"has threshold 0\.3, and the network's 0\.4"):
        hwsim.run(starting(tmp_path / "w.nir", network=other))
    without = {"layers": [{"cell": {key: value for key, value in CELL.items() if key != "time_step"}}]}
    with pytest.raises(ConfigError, match=r"weights\.dt: .* says nothing of steps"):
        hwsim.run(starting(tmp_path / "w.nir", network=without))


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    (tmp_path / "w.safetensors").write_bytes(b"any")
    with pytest.raises(CapabilityError, match=r"pip install 'hwsim\[safetensors\]'"):
        hwsim.run(starting(tmp_path / "w.safetensors"))


def test_a_folder_keeps_as_much_as_it_has_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chip 0 of each system comes before the second chips."""
    run = hwsim.run({**BASE, "training": None})
    size = sum(values.nbytes for values in run.weights().values())
    monkeypatch.setattr(run_folder, "ROOM", 2 * size + sum(each.nbytes for each in run.weights("digital").values()) - 1)
    run.write(tmp_path)
    kept = run_folder.read(tmp_path)
    assert same(kept.weights("digital"), run.weights("digital"))
    with pytest.raises(ResultsError, match="no weights of chip 1 of substrate, which has 2"):
        kept.weights(chip=1)
    with pytest.raises(ResultsError, match="no system 'x'"):
        kept.weights("x")
