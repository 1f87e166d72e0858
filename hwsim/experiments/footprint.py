"""The footprint of a run: how much memory of this computer the simulation takes, and when, before any of it is taken.

All that a run does is done once on counted shapes, which take no memory themselves: networks are built as the run
builds them, gradients found, weights updated and tests made, at the run's own sizes. Passes leap over steps that are
alike, so a long sequence takes no longer than a short one. What is not in arrays of a machine is added: the data, the
states that the gradient check records, the gradients that it compares, and what is kept of steps and of tests.

`benchmarks/footprint.py` compares footprints with the memory that runs really took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, nan, prod
from typing import Any, NamedTuple

import numpy as np

from hwsim import networks, tasks
from hwsim.config.experiment import Experiment, System
from hwsim.episode import Episode, outline
from hwsim.errors import CausalityError, HwsimError, MemoryEstimateError
from hwsim.experiments.forgetting import extend
from hwsim.experiments.trial import FEW, TEST_BATCH, Trial
from hwsim.free_memory import Part, check_memory
from hwsim.learning import RULES, optimizers
from hwsim.learning.bptt import BPTT
from hwsim.learning.diagnostics import Look
from hwsim.learning.update import Regularise, Update
from hwsim.machine import Counted, CrossbarMachine, Machine, Precision
from hwsim.machine.counted import HEADER, SHOWN, TAPE, VALUES, WEIGHTS, Gauge
from hwsim.networks import Network
from hwsim.tasks import Dataset

_STEPS = 2048
"""Steps that are carried out for a footprint at most; where steps are of more kinds, it is extrapolated."""
_A_NUMBER = 10
"""Bytes of a number of the data, with what making it takes for a while."""
_A_STEP = 180
"""Bytes of a step in detail, or of one whose states are recorded, beside the arrays in it."""
_A_CHANGE = 220
"""Bytes of a line of the memory ledger's history."""
_A_PASS = 600
"""Bytes of a pass in the journal and in its schedule."""
_A_TEST = 5_000
"""Bytes of what is kept between two tests, beside activities and rows."""
_A_ROW = 450
"""Bytes of a row of metrics, with its copies in a table."""
_A_DEVICE = 30
"""Bytes that histograms take of a device for a while."""
_LEAST = 24
"""Bytes that a parameter takes at least on each chip: its value, its gradient, and what a product reads."""

_SMALLER = "fewer chips or a smaller network"
_SHORTER = "smaller batches, shorter sequences or fewer chips"
_UNCHECKED = "fewer sequences in gradient_check, shorter ones or fewer chips; or no gradient_check"


class Moment(NamedTuple):
    """What takes memory at once, at a moment of a run."""

    when: str
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes that are taken of the computer."""
        return sum(part.taken for part in self.parts)


class Footprint(NamedTuple):
    """The moments of a run at which most may be needed."""

    moments: tuple[Moment, ...]

    @property
    def peak(self) -> Moment:
        return max(self.moments, key=lambda moment: moment.size)

    def check(self) -> None:
        """Refuse a run that would not fit.

        Raises:
            MemoryEstimateError: it would not; what is largest at the moment at which most is needed is named.
        """
        check_memory(self.peak.when, *self.peak.parts)


def footprint(experiment: Experiment) -> Footprint:
    """What a run takes, moment by moment; it does not depend on the seed.

    Raises:
        MemoryEstimateError: something is so large that it is not even worth to look at the rest.
        HwsimError: a rule and its machine do not fit each other.
    """
    task = experiment.task
    data = Part(f"the data of {task.name}", tasks.numbers(task) * _A_NUMBER, "fewer or shorter sequences")
    check_memory(f"task: {data.what}", data)  # shapes of arrays have their limits
    dataset, moments = tasks.outline(task), [Moment(f"task: {data.what}", (data,))]
    held = [data._replace(size=sum(values.nbytes for part in dataset for values in _arrays(part)))]
    references: dict[tuple[int, int], Load] = {}
    for name, system in experiment.systems().items():
        weights = networks.parameters(experiment.network, dataset.train.width, dataset.train.outputs)
        check_memory(f"{name}: simulating it", Part(_OF_WEIGHTS, weights * system.chips * _LEAST, _SMALLER))
        scale = Scale(experiment, name, system, dataset, references)
        try:
            found = [(when, (*parts, *held)) for when, parts in scale.moments()]
        except ValueError as error:  # of NumPy, since no array can have such a shape
            if "too big" not in str(error):
                raise
            vast = f"{name}: simulating it would take arrays larger than any memory"
            raise MemoryEstimateError(f"{vast}; use {_SMALLER}, or {_SHORTER}") from None
        moments += [Moment(f"{name}: {when}, simulating it", parts) for when, parts in found]
        held.append(Part(f"what {name} leaves to be written", scale.left, _SMALLER))
    return Footprint(tuple(moments))


# ---- one system ----------------------------------------------------------------------------------------------

_OF_WEIGHTS = "weights, and what is kept of each"

Bytes = dict[str, int]
"""By what arrays are."""


class Stage(NamedTuple):
    """A part of some work.

    Attributes:
        peak: the most that it takes.
        detail: bytes of the steps of the batch that is over, one by one.
        activities: measured numbers that are kept of that batch.
    """

    peak: Bytes
    detail: int
    activities: int

    def further(self, other: Stage, times: float) -> Stage:
        detail = ceil(self.detail + times * (other.detail - self.detail))
        return Stage(_further(self.peak, other.peak, times), detail, other.activities)


class Load(NamedTuple):
    """What some work takes, by its stages, and what is there when it is over."""

    stages: dict[str, Stage]
    after: Bytes

    def further(self, other: Load, times: float) -> Load:
        """So many times the way from this load to another one, beyond this one."""
        stages = {name: stage.further(other.stages[name], times) for name, stage in self.stages.items()}
        return Load(stages, _further(self.after, other.after, times))


def _largest(*peaks: Bytes) -> Bytes:
    return max(peaks, key=lambda peak: sum(peak.values()))


def _further(one: Bytes, other: Bytes, times: float) -> Bytes:
    return {kind: ceil(size + times * (other[kind] - size)) for kind, size in one.items()}


Show = Callable[[Episode, int], Episode]
"""Gives the shape of so many sequences of an episode, at most."""
Work = Callable[[Network, Show], Iterator[tuple[str, list[Bytes]]]]
"""Says when each of its stages is over, and the peaks of its parts, if those were weighed apart."""


class _Long(Exception):  # noqa: N818
    """More steps would have to be carried out than a footprint is worth."""


class Scale(Trial):
    """A trial on counted shapes.

    Args:
        references: exact gradients that were weighed already, by chips and sequences; all systems share them.

    Attributes:
        left: bytes that are there when it is over.
    """

    def __init__(
        self,
        experiment: Experiment,
        name: str,
        system: System,
        dataset: Dataset,
        references: dict[tuple[int, int], Load],
    ) -> None:
        super().__init__(experiment, name, system, dataset, {})
        self.left, self._references = 0, references

    def moments(self) -> Iterator[tuple[str, list[Part]]]:
        """When most may be needed, and what for.

        Raises:
            HwsimError: the rule and the machine do not fit each other.
        """
        training, check = self.experiment.training, self.experiment.gradient_check
        kept: list[Part] = []
        if check:
            yield from self._checked(min(check.sequences, self.dataset.train.batch), kept)
        if training:
            yield from self._trained(kept)
        elif self.experiment.test:
            load = self._load(lambda: self._made(learns=check is not None), self._test_work)
            yield "in a test", [*_parts(load.stages["test"].peak, _SMALLER), *kept]
            self.left = max(self.left, sum(load.after.values()))
        self.left += sum(part.size for part in kept)

    def _checked(self, sequences: int, kept: list[Part]) -> Iterator[tuple[str, list[Part]]]:
        chips = self.chips

        def work(network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
            with network.machine.showing(show(self.dataset.train, sequences)):
                self.rule.at(0, self.updates).gradients(network)
            yield "gradient", []

        own = self._load(lambda: self._made(learns=True, strict=True), work)
        exact, parameters = self.machine.exact, sum(prod(one.shape) for one in self.network.trainables)
        states = Part("states that are recorded for the gradient check", 0, _UNCHECKED)
        if not exact:
            states = states._replace(size=self._recorded(sequences))
        target = Part("exact gradients", 8 * parameters, _SMALLER)
        detail = Part("its steps one by one", own.stages["gradient"].detail, "shorter sequences")
        yield "in the gradient check", [*_parts(own.stages["gradient"].peak, _UNCHECKED), states, target, detail]
        after = _parts(own.after, _UNCHECKED)
        yield from self._reports(after)
        reference = self._exactly(1 if exact else chips, sequences).stages["gradient"]
        compared = Part("gradients that are compared", 8 * parameters * (3 * chips + 5), _SMALLER)
        yield (
            "in the gradient check",
            [*_parts(reference.peak, _UNCHECKED, " of the exact gradient"), *after, states, target, detail, compared],
        )
        kept += [target, detail]
        self.left = sum(own.after.values())

    def _recorded(self, sequences: int) -> int:
        """Bytes of the states of all steps, in float64."""
        widths = [layer.cell.width for layer in self.network.layers]
        widths += [self.network.outputs] if self.network.pooling == "cumulative_mean" else []
        of_a_step = sum(8 * self.chips * sequences * width + HEADER for width in widths) + _A_STEP
        return self.dataset.train.steps * of_a_step

    def _reports(self, beside: list[Part]) -> Iterator[tuple[str, list[Part]]]:
        """What the rule reports of itself takes a look at the network, for rules that ask for one."""
        asked = Asked(self.dataset.train.steps)
        self.rule.horizon(asked)
        self.rule.diagnostics(asked)

        def work(network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
            gauge = _gauge(network)
            with network.machine.showing(show(self.dataset.train, FEW)), network.machine.workspace() as workspace:
                products = [layer.cell.product(workspace, f"{layer.name} product") for layer in network.layers]
                gauge.pass_by(4 * sum(product.value.nbytes for product in products))  # to keep them orthogonal
                extend(network, workspace, products)
            yield "products", []

        stages = []
        if asked.of_products:
            stages.append(self._load(lambda: self._exact(1), work).stages["products"])
        if asked.of_errors:
            stages.append(self._exactly(1, min(FEW, self.dataset.train.batch)).stages["gradient"])
        for stage in stages:
            hint = "shorter sequences or a smaller network"
            yield "to find its horizon", [*_parts(stage.peak, hint, " of the horizon"), *beside]

    def _trained(self, kept: list[Part]) -> Iterator[tuple[str, list[Part]]]:
        training, train = self.experiment.training, self.dataset.train
        assert training is not None
        length, optimizer = self._length(training), list[optimizers.Optimizer]()

        def build() -> Network:
            network = self._made(learns=True)
            optimizer[:] = [optimizers.build(training.optimizer, network)]
            return network

        def work(network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
            gauge, episode = _gauge(network), show(train, length.size)
            gauge.add(SHOWN, sum(values.nbytes for values in _arrays(episode)))  # batches are taken at random: copies
            rule = self.rule.at(length.updates - 1, length.updates)  # the last stage, as in the rehearsal
            with network.machine.showing(episode):
                rule.learn(network, update := Weighed(network, optimizer[0], training))
            yield "gradient", update.passes
            yield "update", update.peaks
            if self.experiment.test:
                yield from self._test_work(network, show)

        load = self._load(build, work)
        done = load.stages["update"]
        detail = Part("the steps of a training step one by one", done.detail, "shorter sequences")
        tests = length.tests if self.experiment.test else 1
        rows = tests * (_A_TEST + self.chips * (_A_ROW + 8 * done.activities))
        results = Part("what is kept of tests", rows, "fewer of them: a larger training.test_every")
        whens = {"gradient": "in a training step", "update": "to update its weights", "test": "in a test"}
        for stage, found in load.stages.items():
            advice = _SMALLER if stage == "test" else _SHORTER
            yield whens[stage], [*_parts(found.peak, advice), detail, results, *kept]
        after = [*_parts(load.after, _SHORTER), detail, results, *kept]
        yield from self._reports(after)
        if isinstance(self.machine, CrossbarMachine):
            devices = sum(2 * array.plus.size for array in self.machine.arrays.values())
            yield "to write its results", [*after, Part("histograms of devices", devices * _A_DEVICE, _SMALLER)]
        kept[:] = [part for part in kept if part.what == "exact gradients"] + [detail, results]
        self.left = sum(load.after.values())

    def _test_work(self, network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
        gauge = _gauge(network)
        network.machine.watchers["output"] = lambda value: gauge.pass_by(4 * 8 * value.size)  # scores, in float64
        with network.machine.showing(show(self.dataset.test, TEST_BATCH)):
            network.infer()
        yield "test", []

    def _exactly(self, chips: int, sequences: int) -> Load:
        """Exact backpropagation through time on an ideal machine."""

        def work(network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
            with network.machine.showing(show(self.dataset.train, sequences)):
                BPTT(RULES["bptt"].Options(name="bptt")).gradients(network)
            yield "gradient", []

        if (chips, sequences) not in self._references:
            self._references[chips, sequences] = self._load(lambda: self._exact(chips), work)
        return self._references[chips, sequences]

    def _made(self, learns: bool, strict: bool = False) -> Network:
        network = self._built(self.chips, {}, learns=learns, strict=strict)
        self._adopt(network)
        return network

    # ---- weighing --------------------------------------------------------------------------------------------

    def _load(self, build: Callable[[], Network], work: Work) -> Load:
        """What work takes on a network that is built for it.

        Between landmarks all steps are alike, and are leapt over. Where they are not, and there are very many, the work
        is done on two shorter sequences, and what it takes is drawn out in a straight line.
        """
        steps, few = self.dataset.train.steps, max(_STEPS // 8, self.rule.shortest)
        try:
            try:
                return self._weighed(build, work, steps, leaps=True, most=_STEPS)
            except CausalityError:  # steps differ that say the same of themselves
                return self._weighed(build, work, steps, leaps=False, most=_STEPS)
        except _Long:
            one, two = (self._weighed(build, work, number, leaps=False) for number in (few, 2 * few))
            return one.further(two, (steps - few) / few)
        except HwsimError as error:
            raise type(error)(f"{self.name}: {error}") from None

    def _weighed(
        self, build: Callable[[], Network], work: Work, steps: int, leaps: bool, most: int | None = None
    ) -> Load:
        self.numerics = Counted()
        network, gauge, done = build(), self.numerics.gauge, 0
        network.machine.leaps, gauge.kind = leaps, VALUES

        def look() -> None:
            nonlocal done
            done += 1
            if most is not None and done > most:
                raise _Long

        def show(data: Episode, sequences: int) -> Episode:
            sequences, whole = min(sequences, data.batch), steps == data.steps
            shape = data.select(slice(0, sequences)) if whole else _shorter(data, sequences, steps)
            gauge.add(SHOWN, shape.targets.nbytes if shape.classes else 0)  # one-hot, and kept with the batch
            return shape

        network.machine.after_step = look
        gauge.restart()
        stages = {}
        for name, apart in work(network, show):
            whole = gauge.restart()
            stages[name] = Stage(_largest(*(apart or [whole])), *_noted(network.machine))
        return Load(stages, dict(gauge.live))


class Asked(Look):
    """A look that finds nothing, and notes what was asked for.

    Attributes:
        of_products: whether it takes products of Jacobians.
        of_errors: whether it takes exact errors.
    """

    def __init__(self, steps: int) -> None:
        self.steps, self.of_products, self.of_errors = steps, False, False

    def forgetting(self) -> float:
        self.of_products = True
        return nan

    def precision(self) -> Precision:
        self.of_errors = True
        return Precision(nan, nan)

    def differences(self, name: str) -> dict[str, float]:
        return {}


class Weighed(Update):
    """Updates whose peaks are taken apart from those of passes, and in which arrays count as those of parameters.

    Attributes:
        passes: the peak before each update, since the one before.
        peaks: the peak of each update.
    """

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.passes: list[Bytes] = []
        self.peaks: list[Bytes] = []

    def __call__(self, losses: int, regularise: Regularise | None = None) -> None:
        gauge, machine = _gauge(self.network), self.network.machine
        self.passes.append(gauge.restart())
        gauge.kind = WEIGHTS
        gauge.pass_by(machine.chips * max(prod(one.shape) for one in self.network.trainables))  # whether all is finite
        super().__call__(losses, regularise)
        gauge.kind = VALUES
        self.peaks.append(gauge.restart())


def _parts(load: Bytes, advice: str, of: str = "") -> list[Part]:
    """The parts of a load."""
    return [
        Part(f"{_OF_WEIGHTS}{of}", load[WEIGHTS], _SMALLER),
        Part(f"inputs and targets{of}", load[SHOWN], advice),
        Part(f"the tape{of}", load[TAPE], advice),
        Part(f"values of a step and in registers{of}", load[VALUES], advice),
    ]


def _shorter(episode: Episode, sequences: int, steps: int) -> Episode:
    """The shape of so many sequences of so many steps, with as many that carry a loss, or all of them."""
    values = 0 if episode.values is None else episode.outputs
    each = episode.values is None and episode.target_per_step
    loss_from = max(0, steps - episode.loss_steps) if episode.loss_from else 0
    return outline(
        sequences, steps, episode.width, classes=episode.classes, values=values, each=each, loss_from=loss_from
    )


def _arrays(episode: Episode) -> list[np.ndarray]:
    return [values for values in (episode.inputs, episode.labels, episode.values) if values is not None]


def _gauge(network: Network) -> Gauge:
    numerics = network.machine.numerics
    assert isinstance(numerics, Counted)
    return numerics.gauge


def _noted(stage: Machine) -> tuple[int, int]:
    """Bytes of the steps of the last batch one by one, and how many activities its kinds of steps have together."""
    batch, prices, journal = stage.journal.latest, stage.prices(), stage.journal
    if batch is None:
        return 0, 0
    total, kinds = _A_PASS * len(batch.sweeps), dict[int, int]()
    for trace, count in (run for sweep in batch.sweeps for run in sweep.runs):
        if trace not in kinds:
            kinds[trace] = sum(prices.activities(record) for record in journal.traces[trace])
        changes = sum(record.kind in ("push", "pop") for record in journal.traces[trace])
        measured = 2 * HEADER + 8 * kinds[trace] * stage.chips if kinds[trace] else 0
        total += count * (_A_STEP + measured + changes * _A_CHANGE)
    return total, sum(kinds.values())
