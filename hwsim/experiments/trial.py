"""A trial: one rule on one machine, rehearsed, built, checked, trained and tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import compress, count
from typing import Any, NamedTuple

import numpy as np

from hwsim import learning, machines, networks
from hwsim.accounts.journal import Batch, Done, Sweep, Totals
from hwsim.accounts.memory import Change, Holding
from hwsim.columns import REPORTED_AT_TESTS
from hwsim.config.experiment import Experiment, System, Training
from hwsim.errors import ConfigError
from hwsim.experiments import gradient_check
from hwsim.experiments.evaluation import Meter, Score, evaluate
from hwsim.experiments.gradient_check import Gradient
from hwsim.experiments.length import Length
from hwsim.experiments.look import Differences, Outside
from hwsim.experiments.rehearsal import rehearse
from hwsim.learning import Rule, optimizers
from hwsim.learning.diagnostics import Diagnostic
from hwsim.learning.horizon import Horizon
from hwsim.learning.update import Update
from hwsim.machine import EXACT, Machine
from hwsim.networks import Network
from hwsim.tasks import Dataset

TEST_BATCH = 256
"""Sequences that are tested side by side; it changes nothing but the memory that the simulation takes."""

FEW = 4
"""Sequences along which a rule may look at its network."""

Progress = Callable[[str, int, int], None]
"""Told what is going on, how much of it is done, and how much there is."""


class Detail(NamedTuple):
    """One batch step by step: a training step, or a gradient if there is no training.

    Attributes:
        batch: what was done.
        steps: each of its steps.
        before: what was held when it began.
        changes: what was allocated and released in it.
    """

    batch: Batch
    steps: list[Done]
    before: tuple[Holding, ...]
    changes: list[Change]

    def totals(self, counts: Callable[[Sweep], bool] = lambda sweep: True) -> Totals:
        """All of the batch, or of the sweeps that count."""
        chosen = [counts(sweep) for sweep in self.batch.sweeps]
        part = Batch(self.batch.sequences, tuple(compress(self.batch.sweeps, chosen)))
        activities: dict[int, np.ndarray] = {}
        for done in self.steps:
            if chosen[done.sweep] and done.activities is not None:
                activities[done.trace] = activities.get(done.trace, 0) + done.activities
        return Totals(Counter({part: 1}), activities)


class Report(NamedTuple):
    """What a rule reported of itself.

    Attributes:
        horizon: how far it could carry errors; None if it has no horizon, or none at the weights of then.
        diagnostics: all that it reported.
    """

    horizon: Horizon | None
    diagnostics: list[Diagnostic]

    def found(self, name: str) -> float | Mapping[str, float] | None:
        """What the diagnostic of a name found; None if there is none."""
        return next((each.found for each in self.diagnostics if each.name == name), None)


@dataclass
class Outcome:
    """What is known of a trial when it is over.

    Attributes:
        score: the last test.
        metrics: a row for each test and chip.
        gradient: what the gradient check found.
        reports: what the rule reported of itself at each test, and after the gradient check.
        totals: what was done between tests; the first is programming and the test before training.
        inference: one test alone.
        detail: one batch step by step; with training, the one in the middle of it.
        diverged: where learning first failed, if it did.
    """

    score: Score | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    gradient: dict[str, Any] | None = None
    reports: list[Report] = field(default_factory=list)
    totals: list[Totals] = field(default_factory=list)
    inference: Totals | None = None
    detail: Detail | None = None
    diverged: dict[str, Any] | None = None


class Trial:
    """One system of an experiment. `run` does all that the experiment asks of it.

    Args:
        target: the exact gradient for the gradient check, which all systems share; the first one to need it fills it.

    Attributes:
        dataset: with its losses where the network's pooling wants them.
        machine, network: as they are after `run`.
        outcome: filled in by `run`.
    """

    numerics = EXACT
    """What the operations of its machines do to values."""

    def __init__(self, experiment: Experiment, name: str, system: System, dataset: Dataset, target: Gradient) -> None:
        self.experiment, self.name, self.system = experiment, name, system
        self.dataset = dataset._replace(
            train=networks.judged(experiment.network, dataset.train),
            test=networks.judged(experiment.network, dataset.test),
        )
        self._target = target
        self.rule = learning.build(system.learning)
        self.outcome = Outcome()
        self._shown = Differences()
        self.machine: Machine
        self.network: Network

    def run(self, progress: Progress) -> Outcome:
        """Rehearse, check the gradient, train and test.

        Raises:
            HwsimError: the system cannot be simulated, or something that it needs has no answer.
        """
        experiment, training = self.experiment, self.experiment.training
        progress("rehearsal", 0, 1)
        holds = rehearse(experiment, self.name, self.system, *self.dataset)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what becomes infinite is reported
            if experiment.gradient_check:
                progress("gradient check", 0, 1)
                self._check_gradient(experiment.gradient_check.sequences, holds)
            if training:
                if experiment.gradient_check:
                    self.machine.release()
                    del self.network
                self._adopt(self._built(self.chips, holds, learns=True))
                self._train(training, progress)
            else:
                if not experiment.gradient_check:
                    self._adopt(self._built(self.chips, holds, learns=False))
                self._test(0, 0, None)
            self.outcome.totals.append(self.machine.journal.collect())
        return self.outcome

    # ---- building --------------------------------------------------------------------------------------------

    @property
    def chips(self) -> int:
        """Machines without variation are all alike, so one of them is enough."""
        return self.system.chips if self.system.machine.kind == "crossbar" else 1

    def _built(self, chips: int, holds: Any, learns: bool, strict: bool = False) -> Network:
        """The network on the machine, if the rule fits both; the rule has prepared itself if it is to learn."""
        stage = machines.build(
            self.system.machine, chips=chips, seed=self.experiment.seed, strict=strict, numerics=self.numerics
        )
        stage.holds = holds
        network = self._placed(stage, self.rule.uses)
        self.rule.check(network)
        if learns:
            network.begin_training()
            self.rule.prepare(network)
        self._program(network)
        return network

    def _exact(self, chips: int) -> Network:
        """The same network on an ideal machine, for exact backpropagation through time."""
        options = machines.MACHINES["ideal"].Options(kind="ideal", name="ideal")
        stage = machines.build(options, chips=chips, seed=self.experiment.seed, numerics=self.numerics)
        network = self._placed(stage, self.rule.uses | {"transposed"})
        network.begin_training()
        self._program(network)
        return network

    def _placed(self, stage: Machine, uses: frozenset[str]) -> Network:
        train = self.dataset.train
        return Network(stage, self.experiment.network, train.width, train.outputs, uses)

    def _program(self, network: Network) -> None:
        network.program()
        network.machine.journal.close_batch(1)

    def _adopt(self, network: Network) -> None:
        """Take a network as the one that runs."""
        self.network, self.machine = network, network.machine

    # ---- checking --------------------------------------------------------------------------------------------

    def _check_gradient(self, sequences: int, holds: Any) -> None:
        """In strict mode, on a machine of its own with the same devices: nothing can be smuggled out of a step."""
        episode = self.dataset.train.select(slice(0, sequences))
        self._adopt(self._built(self.chips, holds, learns=True, strict=True))
        self._shown.watch(self.network, self.rule)
        if not self._target:
            exact = self._exact(1)
            self._target.update(gradient_check.at_target(exact, episode))
            exact.machine.release()
        with Watch(self.machine) as watch:
            rule = self.rule.at(0, self.updates)
            self.outcome.gradient = gradient_check.check(self.network, rule, self._exact, self._target, episode)
        self.outcome.detail = watch.detail
        self._note_divergence(0)
        self._report(rule)

    def _report(self, rule: Rule) -> None:
        """Note what the rule reports of itself at the present weights."""
        few = self.dataset.train.select(slice(0, FEW))
        look = Outside(self.network, lambda: self._exact(1), few, self._shown)
        self.outcome.reports.append(Report(rule.horizon(look), rule.diagnostics(look)))
        look.close()

    # ---- training --------------------------------------------------------------------------------------------

    def _length(self, training: Training) -> Length:
        length, lanes = Length.of(training, self.dataset.train.batch), self.dataset.train.lanes
        if lanes not in (0, length.size):
            raise ConfigError(
                f"training.batch: {length.size} sequences; the windows of {lanes} longer ones are learned from side by "
                f"side, so it has to be {lanes}"
            )
        return length

    @property
    def updates(self) -> int:
        """Batches that are learned from; 0 without training."""
        training = self.experiment.training
        return self._length(training).updates if training else 0

    def _train(self, training: Training, progress: Progress) -> None:
        network, stage = self.network, self.machine
        size, updates, every = self._length(training)
        optimizer = optimizers.build(training.optimizer, network)
        self._shown.watch(network, self.rule)
        self._report(self.rule.at(0, updates))
        self._test(0, 0, None)
        self.outcome.totals.append(stage.journal.collect())
        done, losses = 0, np.zeros(stage.chips)
        for epoch in count(1):
            for episode in self.dataset.batches(size, self.experiment.seed, epoch):
                meter = Meter(network, episode, answers=True)
                stage.watchers["answer"] = meter.see
                stop = partial(self._stop_diverged_chips, done)
                update = Update(network, optimizer, training, done / updates, before=stop)
                with Watch(stage, wanted=done == updates // 2) as watch, stage.showing(episode):
                    rule = self.rule.at(done, updates)
                    rule.learn(network, update)
                self._note_divergence(done)
                self.outcome.detail = watch.detail or self.outcome.detail
                losses, done = losses + meter.loss / episode.losses, done + 1
                progress("training", done, updates)
                if done % every == 0 or done == updates:
                    since = done % every or every
                    self._report(rule)
                    self._test(done, epoch, losses / since)
                    self.outcome.totals.append(stage.journal.collect())
                    losses = np.zeros(stage.chips)
                if done == updates:
                    return

    def _test(self, updates: int, epoch: int, train_loss: np.ndarray | None) -> None:
        if not self.experiment.test:
            return
        before = self.machine.journal.collect()
        score = evaluate(self.network, self.dataset.test, TEST_BATCH)
        self.outcome.inference = self.machine.journal.collect()
        self.machine.journal.totals = before + self.outcome.inference
        self.outcome.score = score
        lost = [int(chip) for chip in np.flatnonzero(~np.isfinite(score.loss))]
        if lost:
            self._note_divergence(updates, lost)
        report = self.outcome.reports[-1] if self.outcome.reports else Report(None, [])
        for chip in range(self.machine.chips):
            self.outcome.metrics.append(
                {
                    "system": self.name,
                    "updates": updates,
                    "epoch": epoch,
                    "chip": chip,
                    "train_loss": None if train_loss is None else float(train_loss[chip]),
                    "test_loss": float(score.loss[chip]),
                    "test_accuracy": None if score.accuracy is None else float(score.accuracy[chip]),
                    **{name: report.found(name) for name in REPORTED_AT_TESTS},
                }
            )

    def _stop_diverged_chips(self, updates: int) -> None:
        """Chips whose gradient is no longer a number keep their weights; where it was lost is noted once."""
        sums = self.machine.holdings.accumulators()
        lost = np.zeros(self.machine.chips, bool)
        for storage in sums:
            lost |= ~np.isfinite(storage.loaded.reshape(len(lost), -1)).all(1)
        if lost.any():
            for storage in sums:
                storage.value[lost] = 0
            self._note_divergence(updates, [int(chip) for chip in np.flatnonzero(lost)])

    def _note_divergence(self, updates: int, chips: list[int] | None = None) -> None:
        where = self.machine.holdings.divergence
        if self.outcome.diverged is None and (where is not None or chips):
            noted = {} if where is None else where._asdict()
            self.outcome.diverged = {"updates": updates, **noted, "chips": chips or list(where.chips)}  # type: ignore[union-attr]


class Watch:
    """Has the journal and the ledger note one batch in detail."""

    def __init__(self, stage: Machine, wanted: bool = True) -> None:
        self._machine, self._wanted = stage, wanted
        self.detail: Detail | None = None

    def __enter__(self) -> Watch:
        if self._wanted:
            self._before = tuple(self._machine.memory.live.values())
            self._machine.journal.detail, self._machine.memory.history = [], []
        return self

    def __exit__(self, *exc: object) -> None:
        journal, memory = self._machine.journal, self._machine.memory
        if self._wanted and journal.latest is not None:
            assert journal.detail is not None
            assert memory.history is not None
            count = len(journal.latest.sweeps)
            steps = [step for step in journal.detail if step.sweep < count]
            self.detail = Detail(journal.latest, steps, self._before, memory.history)
        journal.detail, memory.history = None, None
