"""Estimates: what an experiment costs, from shapes alone.

The same rules run on the same machines as in a run, but no value is computed, equal steps of a pass are leapt over, and
equal batches are carried out twice at most and counted, in each stage of training if the rule changes in it. So
records, traces, memory and time are those of the run.
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
from hwsim.config.experiment import Experiment, System
from hwsim.episode import Episode
from hwsim.errors import HwsimError
from hwsim.experiments.costs import Costs
from hwsim.experiments.run import described, heading
from hwsim.experiments.stages import TrainingStage, stages
from hwsim.experiments.trial import TEST_BATCH, Outcome, Trial, Watch
from hwsim.learning import optimizers
from hwsim.learning.update import Update
from hwsim.machine import Expectations, Shapes
from hwsim.results.summary import Summary
from hwsim.tasks import Dataset


@dataclass
class Estimate:
    """What was estimated.

    Attributes:
        experiment: what was asked.
        expected: what was taken for the values that energy depends on.
        summary: as that of a run, without what only values tell.
        costs: energy, memory and time of each system.
    """

    experiment: Experiment
    expected: Expectations
    summary: Summary
    costs: list[Costs]


def estimate(experiment: str | Path | Mapping[str, Any] | Experiment, expected: Expectations | None = None) -> Estimate:
    """What each system of an experiment costs.

    Args:
        experiment: a YAML file, a mapping with the same keys, or what was loaded from either.
        expected: of the values that energy depends on.

    Raises:
        HwsimError: something is wrong with the file, or a rule does not fit its machine.
    """
    asked = experiment if isinstance(experiment, Experiment) else config.load(experiment)
    expected = expected or Expectations()
    dataset = tasks.outline(asked.task)
    found = [sketched(asked, name, system, dataset, expected) for name, system in asked.systems().items()]
    systems = {one.trial.name: _described(one) for one in found}
    summary = Summary.model_validate({**heading(asked), "estimated": expected.model_dump(), "systems": systems})
    return Estimate(asked, expected, summary, found)


def sketched(
    experiment: Experiment, name: str, system: System, dataset: Dataset, expected: Expectations | None = None
) -> Costs:
    """What one system of an experiment costs, with data of these shapes.

    Raises:
        HwsimError: the rule and the machine do not fit each other.
    """
    sketch = Sketch(experiment, name, system, dataset, expected or Expectations())
    sketch.run()
    return Costs(sketch)


class Sketch(Trial):
    """A trial on shapes: its costs, and nothing else of its outcome."""

    def __init__(
        self, experiment: Experiment, name: str, system: System, dataset: Dataset, expected: Expectations
    ) -> None:
        super().__init__(experiment, name, system, dataset, {})
        self.numerics = Shapes(expected)

    def run(self, progress: Any = None) -> Outcome:
        """Build, then carry out each kind of batch, twice at most.

        Raises:
            HwsimError: the rule and the machine do not fit each other.
        """
        training, check = self.experiment.training, self.experiment.gradient_check
        try:
            network = self._built(1, {}, learns=training is not None or check is not None)
            self._adopt(network)
            totals = network.machine.journal.collect()
            if training:
                totals += self._trained()
            else:
                if check:
                    totals += self._checked(check.sequences)
                totals += self._tested(1)
        except HwsimError as error:
            raise type(error)(f"{self.name}: {error}") from None
        self.outcome.totals.append(totals)
        return self.outcome

    def _checked(self, sequences: int) -> Totals:
        """The gradient check: one gradient."""
        with Watch(self.machine) as watch, self.machine.showing(self.dataset.train.select(slice(0, sequences))):
            self.rule.at(0, self.updates).gradients(self.network)
        self.outcome.detail = watch.detail
        return self.machine.journal.collect()

    def _trained(self) -> Totals:
        """All updates, and the tests before, between and after them."""
        training, train = self.experiment.training, self.dataset.train
        assert training is not None
        size, updates, every = self._length(training)
        optimizer = optimizers.build(training.optimizer, self.network)
        episode, found = train.select(slice(0, size)), self._tested(1)
        lasting = train.batch // size if train.carries else 1  # batches that go on from each other
        for stage in stages(self.rule, updates):
            for continues in (False, True):
                batches = [number for number in stage.batches if (number % lasting > 0) == continues]
                if batches:
                    update = Update(self.network, optimizer, training, batches[0] / updates)
                    shown, alike = replace(episode, continues=continues), stage._replace(batches=batches)
                    found += self._learned(alike, update, shown, wanted=updates // 2 in batches)
        return found + self._tested(ceil(updates / every))

    def _learned(self, stage: TrainingStage, update: Update, episode: Episode, wanted: bool) -> Totals:
        """All batches of a stage of training; one of them is noted step by step if that is wanted."""
        machine, times = self.machine, len(stage.batches)

        def learn() -> None:
            with Watch(machine, wanted) as watch, machine.showing(episode):
                stage.rule.learn(self.network, update)
            self.outcome.detail = watch.detail or self.outcome.detail

        devices = machine.devices
        before = 0 if devices is None else devices.written.copy()
        found = self._repeated(learn, times)
        if devices is not None:
            devices.written = before + times * (devices.written - before) / min(times, 2)
        return found

    def _tested(self, times: int) -> Totals:
        """So many tests, if there are any."""
        test = self.dataset.test
        if not self.experiment.test:
            return Totals()
        found = Totals()
        full, rest = divmod(test.batch, TEST_BATCH)
        for size, count in ((TEST_BATCH, full), (rest, 1 if rest else 0)):

            def infer(size: int = size) -> None:
                with self.machine.showing(test.select(slice(0, size))):
                    self.network.infer()

            found += self._repeated(infer, count)
        self.outcome.inference = found
        return found.times(times)

    def _repeated(self, work: Callable[[], None], times: int) -> Totals:
        """The same work so many times: carried out twice, since the first time buffers are not there from the start."""
        found = Totals()
        for count in (min(times, 1), times - 1):
            if count > 0:
                work()
                found += self.machine.journal.collect().times(count)
        return found


def _described(costs: Costs) -> dict[str, Any]:
    """What the summary says of one system."""
    trial, found = costs.trial, described(costs)
    found["chips"] = trial.chips
    found["signal_health"] = None
    energy, on_values = found["energy"], costs.tariff.by_activity()
    whole = energy["training_step_j"]
    expected = sum(each["energy_j"] for constant, each in energy["by_constant"].items() if constant in on_values)
    energy["expected_fraction"] = expected / whole if whole else None
    return found
