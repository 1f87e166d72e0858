"""The rehearsal: all passes and phases of a system, over a few steps, with one chip and one sequence.

It runs before anything large is allocated. It shows whether the rule, at its last stage of training, can run on the
machine, and how long registers hold their values, which determines their leak.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from hwsim import learning, machines
from hwsim.accounts.passes import Passes
from hwsim.accounts.schedule import Scheduler
from hwsim.config.experiment import Experiment, Learner
from hwsim.episode import Episode
from hwsim.errors import HwsimError
from hwsim.experiments.length import Length
from hwsim.experiments.settling import first_settled, small
from hwsim.learning import optimizers
from hwsim.learning.update import Update
from hwsim.machine import Machine
from hwsim.networks import Network
from hwsim.units.register import Hold

STEPS = 8
"""Number of steps that are rehearsed: enough for a schedule to become periodic. More if the rule's passes need more."""


def rehearse(
    experiment: Experiment, name: str, options: Learner, episode: Episode, tested: Episode | None = None
) -> Mapping[str, Hold]:
    """Rehearse a system, and give how long registers hold their values in each pass.

    Args:
        episode: has the shapes of the training set.
        tested: has those of the test set; by default those of the training set.

    Raises:
        HwsimError: the rule cannot run on the machine.
    """
    rule, training = learning.build(options.learning), experiment.training
    try:
        rule = first_settled(rule, experiment, options, episode)
    except HwsimError as error:
        raise type(error)(f"{name}: {error}") from None
    times = Length.of(training, episode.batch).updates if training else 0

    def last() -> learning.Rule:
        return rule.at(max(times - 1, 0), times)

    short = small(episode, min(episode.steps, max(STEPS, last().shortest)))
    try:
        stage = machines.build(options.machine, seed=experiment.seed)
        scheme = experiment.scheme(options)
        if scheme and training:
            scheme.check(stage, rule, Length.of(training, episode.batch).size)
            scheme.place(stage)
        network = Network(stage, experiment.network, episode.width, episode.outputs, rule.uses)
        rule.fits(episode.steps)
        last().check(network)
        if scheme:
            scheme.prepare(network)
        network.begin_training()
        rule.prepare(network)
        network.program()
        stage.journal.close_batch(1)
        with np.errstate(all="ignore"):
            update = None
            if training:
                update = Update(network, optimizers.build(training.optimizer, network), training, scheme=scheme)
            for shown in [short, replace(short, continues=True)] if short.carries else [short]:
                with stage.showing(shown):
                    if update:
                        update.learn(last())
                    else:
                        last().gradients(network)
            with stage.showing(small(tested or episode, min((tested or episode).steps, short.steps))):
                network.infer()
    except HwsimError as error:
        raise type(error)(f"{name}: {error}") from None
    more = episode.steps - short.steps
    holds = _held(stage, lambda steps: steps + more if steps >= short.steps else steps)
    stage.release()
    return holds


def _held(stage: Machine, standing_for: Callable[[int], int]) -> dict[str, Hold]:
    """How long registers hold their values, in the longest pass of each name.

    Args:
        standing_for: gives the number of steps in the run, from the number of steps in the rehearsal.
    """
    traces = stage.journal.traces
    passes = Passes(traces, standing_for)
    scheduler = Scheduler(traces, stage.prices().occupied, passes=passes)
    longest: dict[str, tuple[int, Hold]] = {}
    for batch in stage.journal.totals.batches:
        for sweep, timing in zip(batch.sweeps, scheduler.batch(batch), strict=True):
            steps = sweep.runs.steps.total()
            if steps >= longest.get(sweep.name, (0,))[0]:
                held = {register: time * 1e-12 for register, time in timing.held.items()}
                longest[sweep.name] = steps, Hold(timing.period * 1e-12, held)
    return {name: hold for name, (_, hold) in longest.items()}
