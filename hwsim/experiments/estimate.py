"""Estimates: what an experiment costs, from shapes alone.

The same rules run on the same machines as in a run, but no value is computed. Equal steps of a pass are skipped and
counted. Equal batches are carried out at most twice per stage of training, and counted. So records, traces, memory and
time are those of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from hwsim import tasks
from hwsim.accounts.journal import Totals
from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment, Learner
from hwsim.episode import Episode
from hwsim.errors import CapabilityError, HwsimError
from hwsim.experiments.choosing import chosen
from hwsim.experiments.costs import Costs
from hwsim.experiments.ranging import calibration
from hwsim.experiments.room import lacking
from hwsim.experiments.run import described, heading
from hwsim.experiments.stages import TrainingStage, stages
from hwsim.experiments.system import TEST_BATCH, Outcome, System, Watch
from hwsim.free_memory import addressable
from hwsim.learning import Rule, optimizers
from hwsim.learning.update import Update
from hwsim.learning.updates import Scheme
from hwsim.machine import Expectations, Shapes
from hwsim.results.summary import Summary
from hwsim.tasks import Dataset


@dataclass
class Estimate:
    """An estimate.

    Attributes:
        experiment: what was asked.
        expected: the expected statistics of the values that energy depends on.
        summary: as the summary of a run, without the results that depend on values.
        costs: energy, memory and time of each system.
    """

    experiment: Experiment
    expected: Expectations
    summary: Summary
    costs: list[Costs]


def estimate(experiment: str | Path | Mapping[str, Any] | Experiment, expected: Expectations | None = None) -> Estimate:
    """Estimate the costs of each system of an experiment.

    Args:
        experiment: a YAML file, a mapping with the same keys, or what was loaded from either.
        expected: expected statistics of the values that energy depends on.

    Raises:
        HwsimError: something is wrong with the file, or a rule does not fit its machine.
    """
    asked = chosen(experiment if isinstance(experiment, Experiment) else config.load(experiment))
    expected = expected or Expectations()
    dataset = tasks.outline(asked.task)
    try:
        ledgers = [sketched(asked, name, options, dataset, expected) for name, options in asked.systems().items()]
    except CapabilityError as error:
        raise lacking(asked) or error from None
    systems = {costs.system.name: described_alone(costs) for costs in ledgers}
    summary = Summary.model_validate({**heading(asked), "estimated": expected.model_dump(), "systems": systems})
    return Estimate(asked, expected, summary, ledgers)


def sketched(
    experiment: Experiment, name: str, options: Learner, dataset: Dataset, expected: Expectations | None = None
) -> Costs:
    """Estimate the costs of one system of an experiment, for data of the shapes in `dataset`.

    Raises:
        HwsimError: the rule and the machine do not fit each other.
    """
    with addressable(f"{name}: an estimate of it", "fewer chips, a smaller network, or shorter sequences"):
        sketch = Sketch(experiment, name, options, dataset, expected or Expectations())
        sketch.run()
        return Costs(sketch)


class Sketch(System):
    """A system that is carried out on shapes: its outcome has costs only."""

    def __init__(
        self, experiment: Experiment, name: str, options: Learner, dataset: Dataset, expected: Expectations
    ) -> None:
        super().__init__(experiment, name, options, dataset, {})
        self.numerics = Shapes(expected)
        self.rounds: dict[Rule | None, Totals] = {}  # of one round of a calibration

    def run(self, progress: Any = None) -> Outcome:
        """Build the system, then carry out each kind of batch at most twice.

        Raises:
            HwsimError: the rule and the machine do not fit each other.
        """
        training, check = self.experiment.training, self.experiment.gradient_check
        try:
            scheme = self.experiment.scheme(self.options)
            network = self._built(1, {}, learns=training is not None or check is not None, scheme=scheme)
            self._adopt(network)
            totals = network.machine.journal.collect()
            if scheme:
                totals += self._trained(scheme)
            else:
                totals += self._calibrated(self.rule.at(0, 0) if check else None)
                if check:
                    totals += self._checked(check.sequences)
                totals += self._tested(1, learned=False)
        except HwsimError as error:
            raise type(error)(f"{self.name}: {error}") from None
        self.outcome.totals.append(totals)
        return self.outcome

    def _checked(self, sequences: int) -> Totals:
        """Carry out the gradient check, which is one gradient."""
        with Watch(self.machine) as watch, self.machine.showing(self.dataset.train.select(slice(0, sequences))):
            self.rule.at(0, self.updates).gradients(self.network)
        self.outcome.detail = watch.detail
        return self.machine.journal.collect()

    def _calibrated(self, rule: Rule | None, later: int | None = None) -> Totals:
        """Totals of the first calibration of full scales, or of so many later ones; none where these are fixed.

        Rounds of a rule are alike but for the very first, which allocates buffers.
        """
        own = self.machine.ranges
        rounds, totals = 0, Totals()
        if own is not None:
            rounds = own.options.rounds if later is None else later * own.options.later
        if rounds and rule not in self.rounds:
            with calibration(self.network, rule, self.calibrated_on) as choose:
                choose(rounds == 1)
                totals, rounds = self.machine.journal.collect(), rounds - 1
                if rounds:
                    choose(True)
                    self.rounds[rule] = self.machine.journal.collect()
        return totals + self.rounds[rule].times(rounds) if rounds else totals

    def _trained(self, scheme: Scheme) -> Totals:
        """Totals of all updates, of the calibrations for them, and of the tests before, between and after them."""
        training, train = self.experiment.training, self.dataset.train
        assert training is not None
        size, times, every = self._length(training)
        optimizer = optimizers.build(training.optimizer, self.network)
        totals = self._calibrated(self.rule.at(0, times)) + self._tested(1, learned=False)
        episode = train.select(slice(0, size))
        lasting = train.batch // size if train.carries else 1  # batches that go on from each other
        for stage in stages(self.rule, times):
            for continues in (False, True):
                batches = stage.continuing(lasting, continues)
                if batches:
                    update = Update(self.network, optimizer, training, batches[0] / times, scheme=scheme)
                    shown, alike = replace(episode, continues=continues), stage._replace(batches=batches)
                    totals += self._learned(alike, update, shown, wanted=times // 2 in batches)
            own = self.machine.ranges
            if own is not None:
                again = len(stage.continuing(own.options.every, False)) - (0 in stage.batches)
                totals += self._calibrated(stage.rule, again)
        return totals + self._tested(ceil(times / every), learned=True)

    def _learned(self, stage: TrainingStage, update: Update, episode: Episode, wanted: bool) -> Totals:
        """Totals of all batches of a stage of training; if `wanted`, one of them is recorded step by step."""
        machine, times = self.machine, len(stage.batches)

        def learn() -> None:
            with Watch(machine, wanted) as watch, machine.showing(episode):
                update.learn(stage.rule)
            self.outcome.detail = watch.detail or self.outcome.detail

        return self._repeated(learn, times)

    def _tested(self, times: int, learned: bool) -> Totals:
        """Totals of `times` tests; none if the experiment has no test."""
        if not self.experiment.test:
            return Totals()
        with self._at_test_weights(learned):
            around = self.machine.journal.collect()
            self.outcome.tests.append(self._inferred())
        around += self.machine.journal.collect()
        return (around + self.outcome.tests[-1]).times(times)

    def _inferred(self) -> Totals:
        """Totals of one test, without what it takes to set its weights."""
        test, totals = self.dataset.test, Totals()
        full, rest = divmod(test.batch, TEST_BATCH)
        for size, count in ((TEST_BATCH, full), (rest, 1 if rest else 0)):

            def infer(size: int = size) -> None:
                with self.machine.showing(test.select(slice(0, size))):
                    self.network.infer()

            totals += self._repeated(infer, count)
        return totals

    def _repeated(self, work: Callable[[], None], times: int) -> Totals:
        """Totals of `work`, `times` times; carried out at most twice, since the first time allocates buffers."""
        totals = Totals()
        for count in (min(times, 1), times - 1):
            if count > 0:
                work()
                totals += self.machine.journal.collect().times(count)
        return totals


def described_alone(costs: Costs) -> dict[str, Any]:
    """The summary of one system."""
    system, summary = costs.system, described(costs)
    summary["chips"] = system.chips
    summary["signal_health"] = None
    energy, on_values = summary["energy"], costs.tariff.by_activity()
    whole = energy["training_step_j"]
    expected = sum(each["energy_j"] for constant, each in energy["by_constant"].items() if constant in on_values)
    energy["expected_fraction"] = expected / whole if whole else None
    return summary
