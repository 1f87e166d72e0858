"""Networks that start from weights in a file: to the last bit those of the file, on each machine; what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import hwsim
from hwsim.errors import ConfigError, ResultsError

CELL: dict[str, Any] = {"name": "lif", "units": 6, "decay": 0.9, "threshold": 0.3}
BASE: dict[str, Any] = {
    "name": "small", "task": {"name": "digits", "order": "rows"}, "network": {"layers": [{"cell": CELL}]},
    "learning": {"name": "bptt"}, "machine": "ideal",
    "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 64, "steps": 4},
}  # fmt: skip


def starting(weights: Path | str, **more: Any) -> dict[str, Any]:
    return {**BASE, "network": {**BASE["network"], "weights": str(weights)}, **more}


@pytest.fixture(scope="module")
def trained() -> Any:
    return hwsim.run(BASE)


@pytest.fixture
def file(trained: Any, tmp_path: Path) -> Path:
    np.savez(tmp_path / "trained.npz", **trained.weights())
    return tmp_path / "trained.npz"


def test_a_network_starts_from_the_weights_of_a_run_to_the_last_bit(trained: Any, file: Path) -> None:
    again = hwsim.run(starting(file, training=None))
    before = trained.weights()
    assert before.keys() == again.weights().keys() == {f"layer 1 {name}" for name in ("W", "U", "b", "V1", "V1 b")}
    for name, values in again.weights().items():
        assert np.array_equal(values, before[name]), name
    loss = trained.summary.systems["substrate"].loss
    assert again.summary.systems["substrate"].loss == loss != hwsim.run({**BASE, "training": None}).summary.systems[
        "substrate"
    ].loss  # fmt: skip


def test_it_goes_on_learning_and_is_estimated(trained: Any, file: Path) -> None:
    more = hwsim.run(starting(file))
    assert not np.array_equal(more.weights()["layer 1 U"], trained.weights()["layer 1 U"])
    drawn, given = hwsim.estimate(BASE), hwsim.estimate(starting(file))
    assert drawn.summary.systems["substrate"].energy == given.summary.systems["substrate"].energy


def test_devices_are_programmed_to_it(file: Path) -> None:
    """What the tiles of `ideal_crossbar` hold are the weights of the file, but for its ranges and converters."""
    run = hwsim.run(starting(file, machine="ideal_crossbar", learning={"name": "eprop"}, training=None))
    stored = np.load(file)
    for matrix in run.costs[0].system.machine.units:
        if matrix.name in ("layer 1 U", "layer 1 W"):
            assert matrix.largest == np.abs(stored[matrix.name]).max()
            assert np.abs(matrix.programmed[0] - stored[matrix.name]).max() < 1e-6 * matrix.largest


def test_what_a_rule_holds_beside_the_network_is_drawn_as_before(file: Path) -> None:
    """Its matrices of feedback are no parameters of the network, so the file has none of them."""
    run = hwsim.run(starting(file, learning={"name": "eprop", "feedback": "random"}))
    assert run.weights().keys() == np.load(file).keys()


def test_the_path_is_seen_from_the_file_that_names_it(file: Path, trained: Any) -> None:
    experiment = file.parent / "experiment.yaml"
    experiment.write_text(yaml.safe_dump(starting("trained.npz", training=None)))
    run = hwsim.run(experiment)
    assert run.summary.systems["substrate"].loss == trained.summary.systems["substrate"].loss
    assert run.experiment.network.weights == str(file.resolve())


def changed(file: Path, **changes: Any) -> Path:
    arrays = {**np.load(file), **{name.replace("_", " "): value for name, value in changes.items()}}
    np.savez(file, **{name: value for name, value in arrays.items() if value is not None})
    return file


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer_1_U": np.zeros((6, 7))}, r"'layer 1 U' in .* has shape \(6, 7\), and the network's \(6, 8\)"),
        ({"layer_1_U": None}, r"trained\.npz has no array 'layer 1 U'"),
        ({"layer_1_b": np.full(6, np.nan)}, "'layer 1 b' .* no finite real numbers"),
        ({"layer_1_b": np.zeros(6, complex)}, "'layer 1 b' .* no finite real numbers"),
        ({"layer_2_W": np.zeros(1)}, "has 'layer 2 W', and the network only layer 1 U, layer 1 V1"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(file: Path, changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"network.weights: .*{message}"):
        hwsim.run(starting(changed(file, **changes)))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file 'nowhere\.npz'; weights are in a \.npz"):
        hwsim.load(starting("nowhere.npz"))
    (tmp_path / "text.npz").write_text("no arrays")
    with pytest.raises(ConfigError, match=r"text\.npz is no \.npz of plain arrays"):
        hwsim.run(starting(tmp_path / "text.npz"))


def test_there_are_weights_of_what_ran_only(trained: Any) -> None:
    with pytest.raises(ResultsError, match="no system 'other'; there are substrate"):
        trained.weights("other")
    with pytest.raises(ResultsError, match="no chip 1; substrate has 1"):
        trained.weights(chip=1)
