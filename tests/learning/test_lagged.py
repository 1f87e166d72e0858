"""A rule that learns some steps behind: delay lines, `past`, `every` and steps beyond the input in one pass."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import built, close, distance, gradient, gradient_of, machine_options, random_episode

from hwsim import learning, machines
from hwsim.accounts.memory import STATE
from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments.estimate import estimate
from hwsim.experiments.run import run
from hwsim.learning.rule import Rule
from hwsim.machine import Snapshot, resume, snapshot
from hwsim.networks import Network
from hwsim.records import ERROR

LAG = 4


class Lagged(Rule):
    """The gradient of `one_step`, for one layer: a second copy of the dynamics follows `LAG` steps behind."""

    shortest = LAG + 3

    def gradients(self, network: Network) -> None:
        machine, (layer,) = network.machine, network.layers
        with machine.workspace() as workspace:
            states = network.states(workspace)
            rear = workspace.register("rear", layer.cell.width, STATE)
            inputs = workspace.delay_line("inputs", layer.inputs, LAG)
            errors = workspace.delay_line("errors", layer.cell.width, LAG)
            for step in machine.forward_pass("front and rear", beyond=LAG):
                x, delta = inputs.load(), errors.load()
                if not step.beyond:
                    output, seen = network.step(states, step)
                    inputs.store(step.input)
                    for level in network.downward(network.loss_error(output, step), seen):
                        g = level.g()
                        if g is not None:
                            errors.store(g)
                if step.past(LAG):
                    with machine.part(layer.name, ERROR):
                        h, at = layer.cell.step(rear.load(), x)
                        rear.store(h)
                        layer.cell.accumulate(at, delta, layer.cell.drive_error(at, delta), True)
        network.finish_gradient()


@pytest.mark.parametrize("network", ["tanh", "lru", "gru"])
@pytest.mark.parametrize("loss_from", [0, 3, 8])
@pytest.mark.parametrize("on", ["ideal", "digital_45nm"])
def test_what_is_learned_later_is_the_same(network: str, loss_from: int, on: str) -> None:
    episode, learned = random_episode(steps=9, loss_from=loss_from), Lagged(None)
    mine = gradient_of(built(network, learned, episode, on=on, strict=True), learned, episode)
    assert distance(mine, gradient(network, "one_step", episode, on=on)) < (1e-14 if on == "ideal" else 1e-5)


def test_it_shows_the_input_once_and_costs_what_is_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "build", lambda options: Lagged(None))
    data = {
        "name": "lagged",
        "task": {"name": "random", "steps": 40, "width": 2, "train": 8, "test": 4},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 5}}]},
        "learning": {"name": "one_step"},
        "machine": "digital_45nm",
        "training": {"optimizer": {"name": "sgd", "rate": 0.3}, "batch": 4, "steps": 3},
    }
    asked = config.compose(Document("test", data))
    real, sketch = (each.summary.plain()["systems"]["substrate"] for each in (run(asked), estimate(asked)))
    assert real["time"]["passes"] == 1
    for what in ("energy", "time"):
        found = {key: value for key, value in real[what].items() if isinstance(value, float)}
        assert {key: sketch[what][key] for key in found} == {key: close(value) for key, value in found.items()}
    assert sketch["memory"] == real["memory"]
    assert real["memory"]["peak_by_class"].keys() & {"delay lines", "input replay"} == {"delay lines"}


def test_it_goes_on_from_a_snapshot_at_every_step() -> None:
    episode, learned = random_episode(steps=6), Lagged(None)
    stage = machines.build(machine_options("pcm_crossbar"), chips=2, seed=3)
    made, taken = built("tanh", learned, episode, stage=stage), list[Snapshot]()
    stage.sequencer.after_step = lambda: taken.append(snapshot(stage))
    found = gradient_of(made, learned, episode)
    assert len(taken) == 6 + LAG
    for shot in taken:
        other = machines.build(machine_options("pcm_crossbar"), chips=2, seed=3)
        resume(other, shot)
        again = gradient_of(built("tanh", learned, episode, stage=other), learned, episode)
        for name, values in found.items():
            np.testing.assert_array_equal(again[name], values)
