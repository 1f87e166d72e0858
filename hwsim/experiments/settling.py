"""The first settling of a rule: for the initial weights and a short sequence, before anything runs.

Runs, rehearsals and estimates all begin with it, so that they are of the same passes.
"""

from __future__ import annotations

import numpy as np

from hwsim import machines
from hwsim.config.experiment import Experiment, Learner
from hwsim.episode import Episode
from hwsim.experiments.look import Outside
from hwsim.learning import Rule
from hwsim.networks import Network

STEPS = 64
"""Number of steps, at most, over which rates and sizes of errors are found."""


def first_settled(rule: Rule, experiment: Experiment, options: Learner, episode: Episode) -> Rule:
    """The rule for the initial weights, on one chip.

    Args:
        episode: has the shapes of the training set; its values are not looked at.

    Raises:
        HwsimError: the rule cannot run on the machine.
    """
    if not rule.settles:
        return rule
    network = network_on(experiment, options.machine, rule.uses, episode)
    rule.check(network)
    look = Outside(
        network, lambda: exact_network(experiment, rule.uses, episode), small(episode, min(episode.steps, STEPS))
    )
    look.steps = episode.steps
    settled = rule.settle(look)
    look.close()
    network.machine.release()
    return settled


def exact_network(experiment: Experiment, uses: frozenset[str], episode: Episode, rule: Rule | None = None) -> Network:
    options = machines.MACHINES["ideal"].Options(kind="ideal", name="ideal")
    return network_on(experiment, options, uses | {"transposed"}, episode, rule)


def network_on(
    experiment: Experiment, machine: object, uses: frozenset[str], episode: Episode, rule: Rule | None = None
) -> Network:
    """The network at its initial weights, on a machine of its own; a rule prepares what it needs there."""
    stage = machines.build(machine, seed=experiment.seed)
    network = Network(stage, experiment.network, episode.width, episode.outputs, uses)
    network.begin_training()
    if rule is not None:
        rule.prepare(network)
    network.program()
    stage.journal.close_batch(1)
    return network


def small(episode: Episode, steps: int) -> Episode:
    """A short sequence of small inputs. They are not zero, since cells with gates have a singular Jacobian at rest."""
    labels, values, rows = None, None, (1, steps) if episode.target_per_step else (1,)
    if episode.values is not None:
        values = np.zeros((*rows, episode.outputs))
    else:
        labels = np.zeros(rows, np.int64)
    loss_from = 0 if episode.loss_from == 0 else steps - 1
    mask = np.ones((1, steps), bool) if episode.masked else None
    inputs = np.full((1, steps, episode.width), 0.125)
    free_from = None if episode.free_from is None else steps // 2
    more = {"lanes": int(episode.carries), "free_from": free_from}
    return Episode(inputs, labels, values, episode.classes, loss_from, mask, **more)  # type: ignore[arg-type]
