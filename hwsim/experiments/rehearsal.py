"""The rehearsal: a few steps of everything with one chip and one sequence of zeros, before anything large is made.

It finds out whether the rule fits the machine, how long registers hold their values, which leak needs, and how much
memory the simulation will take.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import psutil

from hwsim import learning, machine, networks
from hwsim.accounts.passes import Passes
from hwsim.accounts.schedule import Scheduler
from hwsim.config.experiment import Experiment, System
from hwsim.episode import Episode
from hwsim.errors import HwsimError, MemoryEstimateError
from hwsim.machine import Hold, Machine, Tape
from hwsim.networks import Network
from hwsim.quantities import si

STEPS = 8
"""Steps that are rehearsed, if that is enough for all kinds of passes: enough for a schedule to repeat itself."""

SMALLER = "fewer chips, smaller batches, shorter sequences or a smaller network"

_BYTES_A_PARAMETER = 120
"""Weights, gradient, optimizer slots, devices with their conductances and variances, and what updating them copies."""


def rehearse(experiment: Experiment, name: str, system: System, episode: Episode) -> Mapping[str, Hold]:
    """How long values are held in each pass, for machines whose registers leak.

    Args:
        episode: the shape of what will be shown.

    Raises:
        HwsimError: the rule and the machine do not fit each other, or the simulation would not fit this computer.
    """
    parameters = networks.parameters(experiment.network, episode.width, episode.outputs)
    check_memory(f"{name}: simulating it", parameters * system.chips * _BYTES_A_PARAMETER, SMALLER)
    rule = learning.build(system.learning)
    zeros = _zeros(episode, min(episode.steps, max(STEPS, rule.shortest)))
    try:
        stage = machine.build(system.machine, seed=experiment.seed)
        network = Network(stage, experiment.network, episode.width, episode.outputs, rule.uses)
        rule.check(network)
        network.begin_training()
        network.program()
        stage.journal.close_batch(1)
        tally = _Tally(stage, rule.recorded(episode.steps))
        stage.after_step = tally.look
        with np.errstate(all="ignore"), stage.showing(zeros):
            rule.gradients(network)
        with stage.showing(zeros):
            network.infer()
    except HwsimError as error:
        raise type(error)(f"{name}: {error}") from None
    sequences = experiment.training.batch if experiment.training else 1
    sequences = max(sequences, experiment.gradient_check.sequences if experiment.gradient_check else 1)
    values = tally.most * system.chips * min(sequences, episode.batch)
    check_memory(f"{name}: simulating it", parameters * system.chips * _BYTES_A_PARAMETER + values, SMALLER)
    traces = stage.journal.traces  # of passes, the whole ones stand for longer ones
    passes = Passes(traces, lambda steps: episode.steps if steps == zeros.steps else steps)
    scheduler = Scheduler(traces, stage.prices().occupied, passes=passes)
    longest: dict[str, tuple[int, Hold]] = {}  # of the passes of one name
    for batch in stage.journal.totals.batches:
        for sweep, timing in zip(batch.sweeps, scheduler.batch(batch), strict=True):
            steps = sum(count for _, count in sweep.runs)
            if steps >= longest.get(sweep.name, (0,))[0]:
                held = {register: time * 1e-12 for register, time in timing.held.items()}
                longest[sweep.name] = steps, Hold(timing.period * 1e-12, held)
    return {name: hold for name, (_, hold) in longest.items()}


class _Tally:
    """The most bytes that one sequence on one chip has in storage, for tapes as long as they will get."""

    def __init__(self, stage: Machine, recorded: int) -> None:
        self.stage, self.recorded, self.most = stage, recorded, 0

    def look(self) -> None:
        total = 0
        for storage in self.stage.storages.values():
            if not storage.shared:
                count = prod(storage.size) * (self.recorded if isinstance(storage, Tape) else 1)
                total += 8 * count * 4  # the value, its successor, and copies on the way
        self.most = max(self.most, total)


def check_memory(what: str, needed: int, advice: str) -> None:
    """Refuse what would need more memory than is free on this computer.

    Raises:
        MemoryEstimateError: it would.
    """
    free = psutil.virtual_memory().available
    if needed > 0.9 * free:
        raise MemoryEstimateError(
            f"{what} would take about {si(needed, 'B')} of memory, and {si(free, 'B')} are free; use {advice}"
        )


def _zeros(episode: Episode, steps: int) -> Episode:
    """One sequence of zeros, a little shorter."""
    labels = values = None
    if episode.values is not None:
        values = np.zeros((1, steps, episode.outputs))
    else:
        labels = np.zeros((1, steps) if episode.target_per_step else (1,), np.int64)
    loss_from = 0 if episode.loss_from == 0 else steps - 1
    return Episode(np.zeros((1, steps, episode.width)), labels, values, episode.classes, loss_from)
