"""A system of an experiment: one rule on one machine, rehearsed, built, checked, trained and tested."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import compress, count
from typing import Any, NamedTuple

import numpy as np

from hwsim import learning, machines, networks
from hwsim.accounts.journal import Batch, Done, Sweep, Totals
from hwsim.accounts.memory import Change, Holding
from hwsim.columns import REPORTED_AT_TESTS
from hwsim.config.experiment import Experiment, Learner, Training
from hwsim.episode import Episode
from hwsim.errors import ConfigError, HwsimError
from hwsim.experiments import gradient_check, vanishing
from hwsim.experiments.activity import Activity
from hwsim.experiments.deployment import Aged, deployed
from hwsim.experiments.evaluation import Meter, Score, evaluate
from hwsim.experiments.firing import Firing
from hwsim.experiments.gradient_check import Gradient
from hwsim.experiments.length import Length
from hwsim.experiments.look import Differences, Outside
from hwsim.experiments.ranging import calibrate
from hwsim.experiments.rehearsal import rehearse
from hwsim.experiments.saturation import Saturation
from hwsim.experiments.settling import first_settled
from hwsim.learning import Rule, optimizers
from hwsim.learning.diagnostics import Diagnostic
from hwsim.learning.horizon import Horizon
from hwsim.learning.update import Update
from hwsim.learning.updates import Scheme
from hwsim.machine import EXACT, Machine
from hwsim.networks import Network
from hwsim.tasks import Dataset
from hwsim.tasks import measure as measure_of

TEST_BATCH = 256
"""Number of sequences that are tested side by side; it affects only the memory of the simulation."""

FEW = 4
"""Number of sequences that diagnostics of a rule are computed from."""

SystemProgress = Callable[[str, int, int], None]
"""Called with the present task, and how much of it is done, of how much."""


class Detail(NamedTuple):
    """One batch, recorded step by step: a training step, or a gradient if there is no training.

    Attributes:
        batch: the sweeps of the batch.
        steps: its steps, in order.
        before: the memory held when it began.
        changes: allocations and releases during the batch.
    """

    batch: Batch
    steps: list[Done]
    before: tuple[Holding, ...]
    changes: list[Change]

    def totals(self, counts: Callable[[Sweep], bool] = lambda sweep: True) -> Totals:
        """Totals of the batch, or of those of its sweeps for which `counts` is true."""
        chosen = [counts(sweep) for sweep in self.batch.sweeps]
        part = Batch(self.batch.sequences, tuple(compress(self.batch.sweeps, chosen)))
        activities: dict[int, np.ndarray] = {}
        for done in self.steps:
            if chosen[done.sweep] and done.activities is not None:
                activities[done.trace] = activities.get(done.trace, 0) + done.activities
        return Totals(Counter({part: 1}), activities)


class Report(NamedTuple):
    """What a rule reports of itself at one test.

    Attributes:
        horizon: its horizon; None if the rule has none, or if it is undefined at the present weights.
        diagnostics: all quantities that it reports.
    """

    horizon: Horizon | None
    diagnostics: list[Diagnostic]

    def value(self, name: str) -> float | Mapping[str, float] | None:
        """The value of the diagnostic with a name; None if there is none."""
        return next((each.value for each in self.diagnostics if each.name == name), None)


@dataclass
class Outcome:
    """The results of a system.

    Attributes:
        score: the last test.
        metrics: one row per test and chip.
        gradient: the result of the gradient check.
        checks: the same for checks of the trained network, with the updates before each.
        saturation: of analog signals, from test to test of training.
        reports: the reports of the rule, at each test and after the gradient check.
        learned: the work from test to test without the tests; the first is programming.
        tests: the work of each test.
        totals: both together.
        detail: one batch, recorded step by step; with training, the batch in the middle.
        firing: spikes and traces of that batch, or of the first test sequences where nothing learns; None if no unit
            fires.
        activity: how much the network spikes in the last test; None if no unit fires.
        aged: tests after waits, at the end of the run.
        repairs: what learning made of devices at these ages, where it is asked for.
        diverged: where learning first reached a value that is not finite; None if it did not.
    """

    score: Score | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)
    gradient: dict[str, Any] | None = None
    checks: list[dict[str, Any]] = field(default_factory=list)
    saturation: Saturation = field(default_factory=Saturation)
    reports: list[Report] = field(default_factory=list)
    learned: list[Totals] = field(default_factory=list)
    tests: list[Totals] = field(default_factory=list)
    totals: list[Totals] = field(default_factory=list)
    detail: Detail | None = None
    firing: Firing | None = None
    activity: Activity | None = None
    aged: list[Aged] = field(default_factory=list)
    repairs: list[Any] = field(default_factory=list)
    diverged: dict[str, Any] | None = None

    @property
    def inference(self) -> Totals | None:
        """The work of the last test; None without a test."""
        return self.tests[-1] if self.tests else None


class System:
    """One system of an experiment; `run` rehearses, checks, trains and tests it.

    Args:
        target: the exact gradient for the gradient check. All systems share it; the first that needs it fills it.

    Attributes:
        dataset: with its losses where the network's pooling wants them.
        machine, network: those of the last stage of `run`.
        outcome: the results, filled in by `run`.
    """

    numerics = EXACT
    """What the operations of its machines do to values."""

    def __init__(self, experiment: Experiment, name: str, options: Learner, dataset: Dataset, target: Gradient) -> None:
        self.experiment, self.name, self.options = experiment.of(options), name, options
        self.dataset = dataset._replace(
            train=networks.judged(experiment.network, dataset.train),
            test=networks.judged(experiment.network, dataset.test),
        )
        self._target = target
        try:
            self.rule = first_settled(learning.build(options.learning), self.experiment, options, self.dataset.train)
        except HwsimError as error:
            raise type(error)(f"{name}: {error}") from None
        self.outcome = Outcome()
        self._shown = Differences()
        self.machine: Machine
        self.network: Network

    def run(self, progress: SystemProgress) -> Outcome:
        """Rehearse, check the gradient, train and test.

        Raises:
            HwsimError: the rule cannot run on the machine, or a Jacobian has no inverse; the message names the system.
        """
        progress("rehearsal", 0, 1)
        holds = rehearse(self.experiment, self.name, self.options, *self.dataset)
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what becomes infinite is reported
                self._carry_out(holds, progress)
        except HwsimError as error:  # such as a Jacobian without an inverse, which depends on values
            raise type(error)(f"{self.name}: {error}") from None
        return self.outcome

    def _carry_out(self, holds: Any, progress: SystemProgress) -> None:
        experiment, training = self.experiment, self.experiment.training
        if experiment.gradient_check:
            progress("gradient check", 0, 1)
            self._check_gradient(experiment.gradient_check.sequences, holds)
        if training:
            if experiment.gradient_check:
                self.machine.release()
                del self.network
            scheme = experiment.scheme(self.options)
            assert scheme is not None
            self._adopt(self._built(self.chips, holds, learns=True, scheme=scheme))
            self._train(training, scheme, progress)
        else:
            if not experiment.gradient_check:
                self._adopt(self._built(self.chips, holds, learns=False))
                self._calibrate(None, 0)
            self._test(0, 0, None)
        self._deploy(progress)

    # ---- building --------------------------------------------------------------------------------------------

    @property
    def chips(self) -> int:
        """Number of chips that are simulated."""
        return self.options.chips_simulated

    def tiles(self) -> int:
        """The tiles that the network and its rule take on one chip."""
        learns = self.experiment.training is not None or self.experiment.gradient_check is not None
        taken: int = self._built(1, {}, learns, scheme=self.experiment.scheme(self.options)).machine.devices.used
        return taken

    def _built(
        self, chips: int, holds: Any, learns: bool, strict: bool = False, scheme: Scheme | None = None
    ) -> Network:
        """The network on the machine, checked by the rule and programmed; if it `learns`, the rule has prepared it.

        Args:
            scheme: how its gradients become weights, if they do.
        """
        stage = self._stage(chips, strict)
        stage.holds = holds
        training = self.experiment.training
        if scheme and training:
            scheme.check(stage, self.rule, self._length(training).size)
            scheme.place(stage)
        network = self._placed(stage, self.rule.uses)
        self.rule.fits(self.dataset.train.steps)
        self.rule.check(network)
        if scheme:
            scheme.prepare(network)
        if learns:
            network.begin_training()
            self.rule.prepare(network)
        self._program(network)
        return network

    def _stage(self, chips: int, strict: bool) -> Machine:
        """The machine, on which nothing is placed yet."""
        return machines.build(
            self.options.machine, chips=chips, seed=self.experiment.seed, strict=strict, numerics=self.numerics
        )

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
        """Make a network the one that runs; it fits the event-driven machine, if there is one."""
        self.network, self.machine = network, network.machine
        if self.experiment.event_driven is not None:
            from hwsim.experiments.on_event_cores import placed  # it loads SciPy and SimPy

            placed(self.experiment.event_driven, network)

    # ---- checking --------------------------------------------------------------------------------------------

    def _check_gradient(self, sequences: int, holds: Any) -> None:
        """Check the gradient on a machine of its own, with the same devices, in strict mode."""
        episode = self.dataset.train.select(slice(0, sequences))
        self._adopt(self._built(self.chips, holds, learns=True, strict=True))
        self._calibrate(self.rule.at(0, self.updates), 0)
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

    def _report(self, rule: Rule, in_between: bool = False) -> None:
        """Add a report of the rule at the present weights, and settle it for the batches that follow.

        The change of errors is part of it unless it is one in between.
        """
        few = self.dataset.train.select(slice(0, FEW))
        look = Outside(self.network, lambda: self._exact(1), few, self._shown)
        self.rule = self.rule.settle(look)
        errors = [] if in_between else vanishing.diagnostic(look.changes_of_errors(), few.steps)
        self.outcome.reports.append(Report(rule.horizon(look), [*rule.diagnostics(look), *errors]))
        look.close()

    def _calibrate(self, rule: Rule | None, done: int) -> None:
        """Have chips choose full scales of their signals, if it is time; without a rule those of inference."""
        own = self.machine.ranges
        if own is not None and done % own.options.every == 0:
            calibrate(self.network, rule, self.calibrated_on, first=done == 0)

    @property
    def calibrated_on(self) -> Episode:
        """The sequences on which chips that choose their full scales do so."""
        own = self.machine.ranges
        assert own is not None
        return self.dataset.train.select(slice(0, own.options.sequences))

    def _check_trained(self, done: int) -> None:
        """Check the gradient at the present weights, from outside: it costs nothing, and changes nothing."""
        options = self.experiment.gradient_check
        if options is None or not options.again(done):
            return
        few, rule = self.dataset.train.select(slice(0, options.sequences)), self.rule.at(done, self.updates)
        with gradient_check.outside(self.network):
            found = gradient_check.check_trained(self.network, rule, self._exact, few)
        self.outcome.checks.append({"updates": done, **found})

    # ---- training --------------------------------------------------------------------------------------------

    def _length(self, training: Training) -> Length:
        length, lanes = Length.of(training, self.dataset.train.batch), self.dataset.train.lanes
        if lanes not in (0, length.size):
            raise ConfigError(
                f"training.batch: {length.size} sequences; the windows of {lanes} longer ones are learned from side by "
                f"side, so it has to be {lanes}"
            )
        check = self.experiment.gradient_check
        if check is not None and max(check.at, default=0) > length.updates:
            raise ConfigError(f"gradient_check.at: {max(check.at)} is beyond the training, of {length.updates} updates")
        return length

    @property
    def updates(self) -> int:
        """Number of batches that are learned from; 0 without training."""
        training = self.experiment.training
        return self._length(training).updates if training else 0

    def _train(self, training: Training, scheme: Scheme, progress: SystemProgress) -> None:
        network, stage = self.network, self.machine
        size, updates, every = self._length(training)
        optimizer = optimizers.build(training.optimizer, network)
        self._calibrate(self.rule.at(0, updates), 0)
        self._shown.watch(network, self.rule)
        self._report(self.rule.at(0, updates), in_between=bool(self.outcome.reports))
        self._test(0, 0, None)
        done, losses, saturation = 0, np.zeros(stage.chips), self.outcome.saturation
        saturation.begin(stage)
        for epoch in count(1):
            for episode in self.dataset.batches(size, self.experiment.seed, epoch):
                rule = self.rule.at(done, updates)
                if done:
                    self._calibrate(rule, done)
                meter = Meter(network, episode, answers=True)
                stage.watchers["answer"] = meter.see
                stop = partial(self._stop_diverged_chips, done)
                update = Update(network, optimizer, training, done / updates, stop, scheme)
                middle = done == updates // 2
                with (
                    self._recording(episode, middle),
                    Watch(stage, middle) as watch,
                    stage.showing(episode, rule.routine),
                ):
                    update.learn(rule)
                self._note_divergence(done)
                self.outcome.detail = watch.detail or self.outcome.detail
                losses, done = losses + meter.loss / episode.losses, done + 1
                progress("training", done, updates)
                self._check_trained(done)
                if done % every == 0 or done == updates:
                    since = done % every or every
                    saturation.end(stage, done)
                    self._report(rule, in_between=done < updates)
                    self._test(done, epoch, losses / since)
                    saturation.begin(stage)
                    losses = np.zeros(stage.chips)
                if done == updates:
                    return

    def _test(self, updates: int, epoch: int, train_loss: np.ndarray | None) -> None:
        """Test, and close the account of the work since the last test."""
        outcome, journal = self.outcome, self.machine.journal
        if self.experiment.test:
            with self._at_test_weights(learned=updates > 0):
                before = journal.collect()
                with self._recording(self.dataset.test, self.experiment.training is None), self._counting():
                    measure = measure_of(self.experiment.task)
                    outcome.score = evaluate(self.network, self.dataset.test, TEST_BATCH, measure)
                outcome.tests.append(journal.collect())
                journal.totals = before
            self._note_test(outcome.score, updates, epoch, train_loss)
        outcome.learned.append(journal.collect())
        outcome.totals.append(outcome.learned[-1] + (outcome.tests[-1] if self.experiment.test else Totals()))

    def _deploy(self, progress: SystemProgress) -> None:
        """Test again after waits, if there are devices that can wait."""
        options = self.experiment.deploy
        if options is None or not self.machine.devices or not self.machine.numerics.exact:
            return
        progress("ageing", 0, 1)
        with self._at_test_weights(learned=self.experiment.training is not None):
            self.outcome.aged = deployed(self.network, options, self.dataset.test, TEST_BATCH)

    def _note_test(self, score: Score, updates: int, epoch: int, train_loss: np.ndarray | None) -> None:
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
                    **{name: report.value(name) for name in REPORTED_AT_TESTS},
                }
            )

    def _recording(self, episode: Episode, wanted: bool) -> AbstractContextManager[None]:
        """Record spikes of what is shown, if there can be some, and values at all."""
        if not (wanted and self._fires):
            return nullcontext()
        self.outcome.firing = Firing(self.network, episode)
        return self.outcome.firing.watching()

    def _counting(self) -> AbstractContextManager[None]:
        """Count spikes of a test, if there can be some, and values at all."""
        if not self._fires:
            return nullcontext()
        self.outcome.activity = Activity(self.network, self.dataset.test)
        return self.outcome.activity.watching()

    @property
    def _fires(self) -> bool:
        """Whether there are values, and units that fire."""
        fires = any(layer.cell.membranes is not None for layer in self.network.layers)
        return fires and self.machine.numerics.exact

    @contextmanager
    def _at_test_weights(self, learned: bool) -> Iterator[None]:
        """Have the network hold the weights that the rule is tested at; what that takes is no part of the test."""
        with self.rule.tested(self.network) if learned else nullcontext():
            self.machine.journal.close_batch(1)
            yield
        self.machine.journal.close_batch(1)

    def _stop_diverged_chips(self, updates: int) -> None:
        """Set gradients that are not finite to zero, so that the chip keeps its weights; record the first time."""
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
    """A context manager: the journal and the memory ledger record one batch step by step."""

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
