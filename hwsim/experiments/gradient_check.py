"""The gradient check: a rule's gradient against exact backpropagation through time, at the same weights and sequences.

Exact gradients are computed three times, on an ideal machine: at the target weights, at the weights that the devices
were programmed to, and at these weights along the noisy trajectory of the substrate. Their differences are the
programming error, the dynamics error and the rule error. On an exact substrate all three are equal, and computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hwsim import learning
from hwsim.episode import Episode
from hwsim.experiments.saturation import uncounted
from hwsim.learning.bptt import BPTT, carried_errors
from hwsim.machine import Machine
from hwsim.networks import Network

Gradient = dict[str, np.ndarray]

_PLAIN = BPTT(learning.RULES["bptt"].Options(name="bptt"))
_ALONG = BPTT(learning.RULES["bptt"].Options(name="bptt", recall="input"))


def at_target(exact: Network, episode: Episode) -> Gradient:
    """The exact gradient at the target weights, from a network on an ideal machine; one for all systems."""
    return _run(exact, episode, _PLAIN.gradients)


def check(
    network: Network, rule: learning.Rule, exact: Callable[[int], Network], target: Gradient, episode: Episode
) -> dict[str, Any]:
    """Cosine and relative error of the gradient by group and layer.

    Args:
        exact: makes the same network on an ideal machine, with a given number of chips, for `bptt`.
        target: the exact gradient at the target weights.

    Returns:
        `{group: {against: {"cosine": …, "relative_error": …, "per_chip": […], "relative_error_per_chip": […],
        "non_finite": …}}}` for the groups recurrent, input and readout, and for `all` parameters together; `by_layer`
        has the same for each layer. Cosines and errors are medians over the chips that have one. `non_finite` is the
        number of chips that have neither: their gradient or its relative error is not finite. A gradient that is all
        zero has an error, but no cosine. Undefined values are None.
    """
    machine = network.machine
    record = _Recorder(network)
    with machine.sequencer.watching(None if machine.exact else record.look), machine.showing(episode):
        rule.gradients(network)
    mine = _gradient(network)

    if machine.exact:
        return _compare(network, mine, dict.fromkeys(("target", "programmed", "recorded"), target))
    real = exact(machine.chips)
    _adopt(real, network)
    programmed = _run(real, episode, _PLAIN.gradients)
    _forget(real)
    recorded = _run(real, episode, lambda net: _backward(_ALONG, net, record.last_pass()))
    real.machine.release()
    return _compare(network, mine, {"target": target, "programmed": programmed, "recorded": recorded})


def at_targets(exact: Network, episodes: Iterable[Episode]) -> list[Gradient]:
    """The exact gradient of each of several episodes at the target weights, from a network on an ideal machine."""
    found = []
    for episode in episodes:
        found.append(at_target(exact, episode))
        _forget(exact)
    return found


def cosines(network: Network, rule: learning.Rule, target: Gradient, episode: Episode) -> np.ndarray:
    """For each chip, the cosine of the gradient of all parameters with the exact one; NaN if it is undefined."""
    mine = _run(network, episode, rule.gradients)
    _forget(network)
    return np.array(_compare(network, mine, {"target": target})["all"]["target"]["per_chip"], float)


def check_trained(
    network: Network, rule: learning.Rule, exact: Callable[[int], Network], episode: Episode
) -> dict[str, Any]:
    """The same at the present weights, where each chip has targets of its own."""
    real = exact(network.machine.chips)
    for theirs, mine in zip(real.trainables, network.trainables, strict=True):
        theirs.master.value = mine.master.value.astype(float)
    real.program()
    target = at_target(real, episode)
    real.machine.release()
    return {**check(network, rule, exact, target, episode), "beyond_range": beyond_range(network.machine)}


def beyond_range(machine: Machine) -> dict[str, float]:
    """The share of each matrix's target weights beyond the largest that devices hold, on all chips together."""
    arrays = machine.devices or {}
    held = {unit.name: unit for unit in machine.units if unit.name in arrays}
    return {
        name: float((np.abs(unit.trainable.values) > arrays[name].mapping.w_max).mean()) for name, unit in held.items()
    }


@contextmanager
def outside(network: Network) -> Iterator[None]:
    """What is done in here is looked at from outside: it is not charged or counted, and leaves no gradient."""
    machine = network.machine
    sequencer, before = machine.sequencer, machine.journal.collect()
    batch, latest = sequencer.batch_number, machine.journal.latest
    try:
        with machine.probe.unwatched(), uncounted(machine):
            yield
            _forget(network)
    finally:
        machine.journal.collect()
        machine.journal.totals, machine.journal.latest, sequencer.batch_number = before, latest, batch


class _Recorder:
    """The states of the dynamics at the end of each step."""

    def __init__(self, network: Network) -> None:
        self._machine = network.machine
        self._names = [f"{layer.name} h" for layer in network.layers]
        if network.pooling == "cumulative_mean":
            self._names.append("pooled output")
        self._states: dict[int, list[np.ndarray]] = {}

    def look(self) -> None:
        machine = self._machine
        if not machine.sequencer.presenter.backward and machine.sequencer.step_index < machine.episode.steps:
            states = [machine.storages[name].value.astype(float) for name in self._names]
            self._states[machine.sequencer.step_index] = states

    def last_pass(self) -> list[list[np.ndarray]]:
        """The states at each step, from the last forward pass over the step."""
        return [self._states[step] for step in sorted(self._states)]


def _run(network: Network, episode: Episode, gradients: Callable[[Network], None]) -> Gradient:
    with network.machine.showing(episode):
        gradients(network)
    return _gradient(network)


def _backward(rule: BPTT, network: Network, recorded: list[list[np.ndarray]]) -> None:
    """The backward pass along states that were recorded elsewhere."""
    with network.machine.workspace(keep_inputs=True) as workspace:
        network.machine.sequencer.take_as_shown()
        states, tapes = rule.open(network, workspace)
        for number, (register, tape) in enumerate(zip(states.all(), tapes, strict=True)):
            tape.fill([register.initial, *(step[number] for step in recorded[:-1])])
            register.value = recorded[-1][number]
        rule.backward(network, states, tapes, carried_errors(network, workspace), range(len(recorded)))
    network.finish_gradient()


def _adopt(exact: Network, network: Network) -> None:
    """Set the weights and factors of a network on an ideal machine to those that the units of another network hold."""
    theirs = {unit.name: unit for unit in network.machine.units}
    for mine in exact.machine.units:
        if mine.name in theirs:  # a rule may do without some of the units that exact backpropagation needs
            mine.take(theirs[mine.name].programmed.astype(float))


def _gradient(network: Network) -> Gradient:
    return {trainable.name: trainable.gradient.value.astype(float) for trainable in network.trainables}


def _forget(network: Network) -> None:
    machine: Machine = network.machine
    for _ in machine.phase("clear"):
        network.clear_gradients()
    machine.journal.close_batch(1)


def _compare(network: Network, mine: Gradient, references: dict[str, Gradient]) -> dict[str, Any]:
    def one(names: list[str]) -> dict[str, Any]:
        compared = {}
        for against, reference in references.items():
            chips = [
                _alike(_flat(mine, names, chip), _flat(reference, names, chip)) for chip in range(network.machine.chips)
            ]
            cosines, errors = zip(*chips, strict=True)
            compared[against] = {
                "cosine": _median(cosines),
                "relative_error": _median(errors),
                "per_chip": list(cosines),
                "relative_error_per_chip": list(errors),
                "non_finite": errors.count(None),
            }
        return compared

    def grouped(prefix: str) -> dict[str, Any]:
        groups: dict[str, list[str]] = {"recurrent": [], "input": [], "readout": []}
        for trainable in network.trainables:
            if trainable.layer.startswith(prefix):
                groups[trainable.group].append(trainable.name)
        groups["all"] = [name for names in groups.values() for name in names]
        return {group: one(names) for group, names in groups.items()}

    return {**grouped("layer"), "by_layer": {layer.name: grouped(layer.name) for layer in network.layers}}


def _flat(gradient: Gradient, names: list[str], chip: int) -> np.ndarray:
    return np.concatenate([gradient[name][min(chip, len(gradient[name]) - 1)].ravel() for name in names])


def _alike(x: np.ndarray, y: np.ndarray) -> tuple[float | None, float | None]:
    """Cosine, and |x - y| / |y|. The cosine is None if x or y is all zero; both are None if a value is not finite."""
    largest, other = float(np.abs(x).max()), float(np.linalg.norm(y))
    if not np.isfinite(largest) or not np.isfinite(other):
        return None, None
    if not other:
        return None, None if largest else 0.0
    if not largest:
        return None, 1.0
    u = x / largest  # squares of numbers that have grown large would not be finite
    cosine = float(u @ y) / (float(np.linalg.norm(u)) * other)
    return cosine, float(np.linalg.norm(u - y / largest)) / other * largest


def _median(values: tuple[float | None, ...]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None
