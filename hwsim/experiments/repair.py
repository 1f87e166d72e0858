"""Repair on the chip: learning goes on for a few updates, on devices that have drifted."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.config.deploy import Deploy
from hwsim.config.experiment import Experiment
from hwsim.experiments.costs import Costs
from hwsim.experiments.evaluation import Score
from hwsim.experiments.system import System
from hwsim.machine import Machine
from hwsim.networks import Network


class Repair(NamedTuple):
    """What learning made of devices that have drifted.

    Attributes:
        score: the test after it.
        energy: of its updates, in joules, without tests, mean over chips; None if it is unknown.
        seconds: of hardware time of its updates.
    """

    score: Score
    energy: float | None
    seconds: float


class Resumed(System):
    """The same system, which goes on where another one ended, with devices that have waited meanwhile.

    It has a machine of its own, with the same circuits, so the other one stays as it is. Optimizers start anew.

    Args:
        ended: the other system.
        after: how long the devices have waited, in seconds.
    """

    def __init__(self, ended: System, after: float) -> None:
        super().__init__(continued(ended.experiment), ended.name, ended.options, ended.dataset, {})
        self._ended, self._after = ended, after

    def _adopt(self, network: Network) -> None:
        super()._adopt(network)
        take_over(network, self._ended.network)
        for name, array in network.machine.devices.items():
            array.wait(name, self._after)


def continued(experiment: Experiment) -> Experiment:
    """The experiment whose training is the repair."""
    training, deploy = experiment.training, experiment.deploy
    assert training is not None
    assert deploy is not None
    assert deploy.repair is not None
    repair = deploy.repair
    rate = training.optimizer.rate if repair.rate is None else repair.rate
    changed = {
        "steps": repair.steps,
        "epochs": None,
        "test_every": repair.steps,
        "schedule": "constant",
        "optimizer": training.optimizer.model_copy(update={"rate": rate}),
    }
    without = dict.fromkeys(("deploy", "gradient_check", "event_driven"))
    return experiment.model_copy(update={"training": training.model_copy(update=changed), **without})


def take_over(network: Network, ended: Network) -> None:
    """Have a network hold what another one holds, which is the same on a machine of the same kind."""
    machine, other = network.machine, ended.machine
    devices = [array.devices.conductance for array in machine.devices.values()]
    devices += [array.devices.state for array in machine.devices.values() if array.whole]
    for name, storage in machine.holdings.storages.items():
        old = other.holdings.storages.get(name)
        if old is not None and old.shared and old.value.shape == storage.value.shape:
            if any(storage.value is each for each in devices):
                storage.value[:] = old.value  # devices have views of it
            else:
                storage.value = old.value.copy()
    for name, array in machine.devices.items():
        array.devices.wear_as(other.devices[name].devices)
    _look_again(machine)


def _look_again(machine: Machine) -> None:
    """Have units read by what storages hold now."""
    for unit in machine.units:
        if hasattr(unit, "unit") and hasattr(unit.unit, "take"):
            unit.unit.take(unit)
    for array in machine.devices.values():
        array.devices.refresh()
        array.unwait()


def repaired(ended: System) -> list[Repair]:
    """The repair at each age of a deployment that asks for it, each from the end of the run; nothing is charged there.

    Raises:
        HwsimError: as for any training.
    """
    deploy: Deploy | None = ended.experiment.deploy
    if deploy is None or deploy.repair is None or not ended.outcome.aged:
        return []
    return [_repaired(ended, after) for after in deploy.after]


def _repaired(ended: System, after: float) -> Repair:
    resumed = Resumed(ended, after)
    outcome = resumed.run(lambda what, done, total: None)
    first, last = (Costs(resumed).at_tests[end] for end in (0, -1))
    resumed.machine.release()
    assert outcome.score is not None
    known = last.learning_energy_j is not None and first.learning_energy_j is not None
    energy = last.learning_energy_j - first.learning_energy_j if known else None  # type: ignore[operator]
    return Repair(outcome.score, energy, last.learning_time_s - first.learning_time_s)
