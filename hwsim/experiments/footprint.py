"""The footprint of a run: the memory of this computer that the simulation will need, and when.

The run is carried out once on counted shapes, which take no memory: networks are built as the run builds them,
gradients are computed, weights updated and tests made, at the run's own sizes. Passes leap over equal steps, so a long
sequence takes no longer than a short one. Memory outside of a machine's arrays is added: the data, the states that the
gradient check records, the gradients that it compares, and the records of steps and of tests.

`benchmarks/footprint.py` compares footprints with the memory that runs really took.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from math import ceil, nan, prod
from typing import Any, NamedTuple

import numpy as np

from hwsim import networks, tasks
from hwsim.config.experiment import Experiment, Learner
from hwsim.episode import Episode
from hwsim.errors import CausalityError, HwsimError
from hwsim.experiments import vanishing
from hwsim.experiments.forgetting import extend
from hwsim.experiments.ranging import calibrate
from hwsim.experiments.system import FEW, TEST_BATCH, System
from hwsim.free_memory import MemoryNeed, addressable, check_memory
from hwsim.learning import RULES, Rule, optimizers, updates
from hwsim.learning.bptt import BPTT
from hwsim.learning.diagnostics import Look
from hwsim.learning.update import Regularise, Update
from hwsim.machine import Counted, Machine, Trainable, UnitErrors
from hwsim.machine.counted import HEADER, SHOWN, TAPE, VALUES, WEIGHTS, Gauge
from hwsim.networks import Network
from hwsim.operations import Operation
from hwsim.tasks import Dataset

_STEPS = 2048
"""Largest number of steps that are carried out for a footprint; beyond it, memory is extrapolated."""
_A_NUMBER = 10
"""Bytes per value of the data, including temporary memory."""
_A_STEP = 180
"""Bytes per step that is recorded in detail, or with its states, besides its arrays."""
_A_CHANGE = 220
"""Bytes per change in the memory ledger."""
_A_PASS = 600
"""Bytes per pass in the journal and in its schedule."""
_A_TEST = 5_000
"""Bytes that are kept per interval between tests, besides activities and rows."""
_A_ROW = 450
"""Bytes per row of metrics, including its copies in a table."""
_A_DEVICE = 30
"""Temporary bytes of histograms per device."""
_A_WAIT = 24
"""Bytes that are kept of each device while it is aged: what it was, what it was written to, and its age."""
_A_SIGNAL = 4
"""The same for each signal of its noise that has a memory."""
_DRIFTING = 40
"""Temporary bytes per device of a chip, while it drifts: its exponent, and what is left of it."""
_LEAST = 24
"""Least bytes per parameter and chip: its value, its gradient, and the copy that a product reads."""

_BPTT = RULES["bptt"].Options(name="bptt")
_SMALLER = "fewer chips or a smaller network"
_SHORTER = "smaller batches, shorter sequences or fewer chips"
_UNCHECKED = "fewer sequences in gradient_check, shorter ones or fewer chips; or no gradient_check"


class Moment(NamedTuple):
    """A moment of a run, and the parts that need memory then."""

    when: str
    parts: tuple[MemoryNeed, ...]

    @property
    def size(self) -> int:
        """Bytes that the process takes."""
        return sum(part.taken for part in self.parts)


class Footprint(NamedTuple):
    """The moments of a run at which memory may peak."""

    moments: tuple[Moment, ...]

    @property
    def peak(self) -> Moment:
        return max(self.moments, key=lambda moment: moment.size)

    def check(self) -> None:
        """Refuse a run that needs too much memory.

        Raises:
            MemoryEstimateError: it needs more than is free; the message names the largest part at the peak.
        """
        check_memory(self.peak.when, *self.peak.parts)


def footprint(experiment: Experiment) -> Footprint:
    """The memory that a run needs, moment by moment; it does not depend on the seed.

    Raises:
        MemoryEstimateError: one part alone needs more than is free.
        HwsimError: a rule and its machine do not fit together.
    """
    task = experiment.task
    data = MemoryNeed(f"the data of {task.name}", tasks.numbers(task) * _A_NUMBER, "fewer or shorter sequences")
    check_memory(f"task: {data.what}", data)  # first: shapes of arrays have limits
    dataset, moments = tasks.outline(task), [Moment(f"task: {data.what}", (data,))]
    held = [data._replace(size=sum(values.nbytes for part in dataset for values in _arrays(part)))]
    references: dict[Hashable, WorkMemory] = {}
    for name, options in experiment.systems().items():
        weights = networks.parameters(experiment.network, dataset.train.width, dataset.train.outputs)
        check_memory(f"{name}: simulating it", MemoryNeed(_OF_WEIGHTS, weights * options.chips * _LEAST, _SMALLER))
        system = CountedSystem(experiment, name, options, dataset, references)
        with addressable(f"{name}: simulating it", f"{_SMALLER}, or {_SHORTER}"):
            system_moments = [(when, (*parts, *held)) for when, parts in system.moments()]
        moments += [Moment(f"{name}: {when}, simulating it", parts) for when, parts in system_moments]
        held.append(MemoryNeed(f"what {name} leaves to be written", system.left, _SMALLER))
    return Footprint(tuple(moments))


# ---- one system ----------------------------------------------------------------------------------------------

_OF_WEIGHTS = "weights, and what is kept of each"

Bytes = dict[str, int]
"""Bytes by kind of array."""


class StageMemory(NamedTuple):
    """The memory of one stage of some work.

    Attributes:
        peak: bytes at its peak.
        detail: bytes of the step-by-step records of the last batch.
        activities: the number of activities that are kept of that batch.
    """

    peak: Bytes
    detail: int
    activities: int

    def further(self, other: StageMemory, times: float) -> StageMemory:
        detail = ceil(self.detail + times * (other.detail - self.detail))
        return StageMemory(_further(self.peak, other.peak, times), detail, other.activities)


class WorkMemory(NamedTuple):
    """The memory of some work: by stage, and the bytes that remain at its end."""

    stages: dict[str, StageMemory]
    after: Bytes

    def further(self, other: WorkMemory, times: float) -> WorkMemory:
        """Linear extrapolation: this memory plus `times` the difference to another one."""
        stages = {name: stage.further(other.stages[name], times) for name, stage in self.stages.items()}
        return WorkMemory(stages, _further(self.after, other.after, times))


def _largest(*peaks: Bytes) -> Bytes:
    return max(peaks, key=lambda peak: sum(peak.values()))


def _further(one: Bytes, other: Bytes, times: float) -> Bytes:
    return {kind: ceil(size + times * (other[kind] - size)) for kind, size in one.items()}


Show = Callable[[Episode, int], Episode]
"""Gives the shape of an episode with at most a number of sequences."""
Work = Callable[[Network, Show], Iterator[tuple[str, list[Bytes]]]]
"""Works on a network; yields the name of each stage when it is over, and the peaks of its parts if they were apart."""


class _Long(Exception):  # noqa: N818
    """More than `_STEPS` steps would have to be carried out."""


class CountedSystem(System):
    """A system that is carried out on counted shapes.

    Args:
        references: the known memory of exact gradients, by chips, sequences and checkpoints; all systems share it.

    Attributes:
        left: bytes that remain allocated at its end.
    """

    def __init__(
        self,
        experiment: Experiment,
        name: str,
        options: Learner,
        dataset: Dataset,
        references: dict[Hashable, WorkMemory],
    ) -> None:
        super().__init__(experiment, name, options, dataset, {})
        self.left, self._references = 0, references

    def moments(self) -> Iterator[tuple[str, list[MemoryNeed]]]:
        """The moments at which memory may peak, and the parts that need it.

        Raises:
            HwsimError: the rule and the machine do not fit together.
        """
        training, check = self.experiment.training, self.experiment.gradient_check
        kept: list[MemoryNeed] = []
        if check:
            yield from self._checked(min(check.sequences, self.dataset.train.batch), kept)
        if training:
            yield from self._trained(kept)
        elif self.experiment.test:
            memory = self._memory_of(lambda: self._made(learns=check is not None), self._test_work)
            yield "in a test", [*_parts(memory.stages["test"].peak, _SMALLER), *kept]
            yield from self._deployed(memory, kept)
            self.left = max(self.left, sum(memory.after.values()))
        self.left += sum(part.size for part in kept)

    def _checked(self, sequences: int, kept: list[MemoryNeed]) -> Iterator[tuple[str, list[MemoryNeed]]]:
        chips = self.chips

        def work(network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
            rule = self.rule.at(0, self.updates)
            self._find_scales(network, rule, show)
            with network.machine.showing(show(self.dataset.train, sequences)):
                rule.gradients(network)
            yield "gradient", []

        own = self._memory_of(lambda: self._made(learns=True, strict=True), work)
        exact, parameters = self.machine.exact, sum(prod(parameter.shape) for parameter in self.network.trainables)
        states = MemoryNeed("states that are recorded for the gradient check", 0, _UNCHECKED)
        if not exact:
            states = states._replace(size=self._recorded(sequences))
        target = MemoryNeed("exact gradients", 8 * parameters, _SMALLER)
        detail = MemoryNeed("its steps one by one", own.stages["gradient"].detail, "shorter sequences")
        yield "in the gradient check", [*_parts(own.stages["gradient"].peak, _UNCHECKED), states, target, detail]
        after = _parts(own.after, _UNCHECKED)
        yield from self._reports(after)
        reference = self._exactly(1 if exact else chips, sequences).stages["gradient"]
        compared = MemoryNeed("gradients that are compared", 8 * parameters * (3 * chips + 5), _SMALLER)
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

    def _reports(self, beside: list[MemoryNeed]) -> Iterator[tuple[str, list[MemoryNeed]]]:
        """The memory for the diagnostics, of those of the rule that need an ideal machine, and of errors."""
        asked = Asked(self.dataset.train.steps, self.machine)
        self.rule.horizon(asked)
        self.rule.diagnostics(asked)

        def work(network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
            gauge = _gauge(network)
            with network.machine.showing(show(self.dataset.train, FEW)), network.machine.workspace() as workspace:
                products = [layer.cell.product(workspace, f"{layer.name} product") for layer in network.layers]
                gauge.pass_by(4 * sum(product.value.nbytes for product in products))  # for their orthogonalisation
                extend(network, workspace, products)
            yield "products", []

        few = min(FEW, self.dataset.train.batch)
        stages = []
        if asked.of_products:
            stages.append(self._memory_of(lambda: self._exact(1), work).stages["products"])
        if asked.of_errors:
            stages.append(self._exactly(1, few).stages["gradient"])
        hint = "shorter sequences or a smaller network"
        for stage in stages:
            yield "to find its horizon", [*_parts(stage.peak, hint, " of the horizon"), *beside]
        followed = self._exactly(1, few, vanishing.EXACT).stages["gradient"]
        yield "to follow errors to the start", [*_parts(followed.peak, hint, " of exact errors"), *beside]

    def _trained(self, kept: list[MemoryNeed]) -> Iterator[tuple[str, list[MemoryNeed]]]:
        training, train = self.experiment.training, self.dataset.train
        assert training is not None
        length, optimizer, scheme = self._length(training), list[optimizers.Optimizer](), list[updates.Scheme]()

        def build() -> Network:
            found = self.experiment.scheme(self.options)
            assert found is not None
            scheme[:] = [found]
            network = self._made(learns=True, scheme=found)
            optimizer[:] = [optimizers.build(training.optimizer, network)]
            return network

        def work(network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
            gauge, episode = _gauge(network), show(train, length.size)
            gauge.add(SHOWN, sum(values.nbytes for values in _arrays(episode)))  # batches are copies
            rule = self.rule.at(length.updates - 1, length.updates)  # the last stage, as in the rehearsal
            self._find_scales(network, rule, show)
            with network.machine.showing(episode):
                update = Weighed(network, optimizer[0], training, scheme[0])
                update.learn(rule)
            yield "gradient", update.passes
            yield "update", update.peaks
            if self.experiment.test:
                yield from self._test_work(network, show)

        memory = self._memory_of(build, work)
        done = memory.stages["update"]
        detail = MemoryNeed("the steps of a training step one by one", done.detail, "shorter sequences")
        tests = length.tests if self.experiment.test else 1
        rows = tests * (_A_TEST + self.chips * (_A_ROW + 8 * done.activities))
        results = MemoryNeed("what is kept of tests", rows, "fewer of them: a larger training.test_every")
        whens = {"gradient": "in a training step", "update": "to update its weights", "test": "in a test"}
        for stage, stage_memory in memory.stages.items():
            advice = _SMALLER if stage == "test" else _SHORTER
            yield whens[stage], [*_parts(stage_memory.peak, advice), detail, results, *kept]
        after = [*_parts(memory.after, _SHORTER), detail, results, *kept]
        yield from self._reports(after)
        yield from self._checked_later(after)
        yield from self._deployed(memory, [detail, results, *kept])
        if self.machine.devices is not None:
            devices = self.machine.chips * self.machine.devices.count
            yield "to write its results", [*after, MemoryNeed("histograms of devices", devices * _A_DEVICE, _SMALLER)]
        kept[:] = [part for part in kept if part.what == "exact gradients"] + [detail, results]
        self.left = sum(memory.after.values())

    def _deployed(self, memory: WorkMemory, beside: list[MemoryNeed]) -> Iterator[tuple[str, list[MemoryNeed]]]:
        """The memory of tests after waits, and of learning on, on a second machine beside the first."""
        options, arrays = self.experiment.deploy, self.machine.devices
        if options is None or arrays is None:
            return
        colour = arrays.colour
        signals = 0 if colour is None else _A_SIGNAL * colour.count
        aged = arrays.count * (self.machine.chips * (_A_WAIT + signals) + _DRIFTING)
        waits = MemoryNeed("what is kept of devices that drift", aged, _SMALLER)
        yield "to test aged devices", [*_parts(memory.stages["test"].peak, _SMALLER), waits, *beside]
        if options.repair is not None:
            ended = _parts(memory.after, _SMALLER, " of the system that ended")
            for stage in memory.stages.values():
                yield "to repair aged devices", [*_parts(stage.peak, _SHORTER), *ended, waits, *beside]

    def _checked_later(self, beside: list[MemoryNeed]) -> Iterator[tuple[str, list[MemoryNeed]]]:
        """The memory of checks of the trained network, beside the network itself."""
        check = self.experiment.gradient_check
        if check is not None and (check.at or check.every):
            sequences = min(check.sequences, self.dataset.train.batch)
            states = MemoryNeed(
                "states that are recorded for the gradient check", self._recorded(sequences), _UNCHECKED
            )
            exact = self._exactly(self.chips, sequences).stages["gradient"]
            parts = [*_parts(exact.peak, _UNCHECKED, " of the exact gradient"), states, *beside]
            yield "in a check of the trained network", parts

    def _find_scales(self, network: Network, rule: Rule, show: Show) -> None:
        """Calibrate full scales, where they are chosen."""
        own = network.machine.ranges
        if own is not None:
            calibrate(network, rule, show(self.dataset.train, own.options.sequences))

    def _test_work(self, network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
        gauge = _gauge(network)
        network.machine.watchers["output"] = lambda value: gauge.pass_by(4 * 8 * value.size)  # scores, in float64
        with network.machine.showing(show(self.dataset.test, TEST_BATCH)):
            network.infer()
        yield "test", []

    def _exactly(self, chips: int, sequences: int, options: Any = _BPTT) -> WorkMemory:
        """The memory of exact backpropagation through time on an ideal machine."""

        def work(network: Network, show: Show) -> Iterator[tuple[str, list[Bytes]]]:
            with network.machine.showing(show(self.dataset.train, sequences)):
                BPTT(options).gradients(network)
            yield "gradient", []

        key = chips, sequences, options.checkpoints
        if key not in self._references:
            self._references[key] = self._memory_of(lambda: self._exact(chips), work)
        return self._references[key]

    def _made(self, learns: bool, strict: bool = False, scheme: updates.Scheme | None = None) -> Network:
        network = self._built(self.chips, {}, learns=learns, strict=strict, scheme=scheme)
        self._adopt(network)
        return network

    # ---- measuring -------------------------------------------------------------------------------------------

    def _memory_of(self, build: Callable[[], Network], work: Work) -> WorkMemory:
        """The memory of work on a network that is built for it.

        Equal steps between landmarks are leapt over. If too many steps differ, the work is done on two shorter
        sequences, and its memory is extrapolated linearly.
        """
        steps, few = self.dataset.train.steps, max(_STEPS // 8, self.rule.shortest)
        try:
            try:
                return self._measured(build, work, steps, leaps=True, most=_STEPS)
            except CausalityError:  # steps with equal records differ
                return self._measured(build, work, steps, leaps=False, most=_STEPS)
        except _Long:
            one, two = (self._measured(build, work, number, leaps=False) for number in (few, 2 * few))
            return one.further(two, (steps - few) / few)
        except HwsimError as error:
            raise type(error)(f"{self.name}: {error}") from None

    def _measured(
        self, build: Callable[[], Network], work: Work, steps: int, leaps: bool, most: int | None = None
    ) -> WorkMemory:
        self.numerics = Counted()
        network, gauge, done = build(), self.numerics.gauge, 0
        network.machine.sequencer.skips, gauge.kind = leaps, VALUES

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

        network.machine.sequencer.after_step = look
        gauge.restart()
        stages = {}
        for name, apart in work(network, show):
            whole = gauge.restart()
            stages[name] = StageMemory(_largest(*(apart or [whole])), *_recorded_batch(network.machine))
        return WorkMemory(stages, dict(gauge.live))


class Asked(Look):
    """A look whose answers are undefined; it records what a rule asks for.

    Attributes:
        of_products: whether products of Jacobians are needed.
        of_errors: whether exact errors are needed.
    """

    def __init__(self, steps: int, machine: Machine) -> None:
        self.steps, self._machine, self.of_products, self.of_errors = steps, machine, False, False

    def forgetting(self) -> float:
        self.of_products = True
        return nan

    def rates(self) -> dict[str, tuple[float, ...]]:
        self.of_products = True
        return {}

    def errors(self, operation: Operation) -> UnitErrors:
        return self._machine.errors(operation)

    def size(self) -> float:
        self.of_errors = True
        return nan

    def differences(self, name: str) -> dict[str, float]:
        return {}


class Weighed(Update):
    """Updates whose peaks are separate from the peaks of passes; arrays in them count as those of parameters.

    Attributes:
        passes: the peak before each update, since the previous update.
        peaks: the peak of each update.
    """

    def __init__(self, network: Network, optimizer: Any, options: Any, scheme: updates.Scheme) -> None:
        super().__init__(network, optimizer, options, scheme=scheme)
        self.passes: list[Bytes] = []
        self.peaks: list[Bytes] = []

    def __call__(self, losses: int, regularise: Regularise | None = None, beside: Sequence[Trainable] = ()) -> None:
        gauge, machine = _gauge(self.network), self.network.machine
        self.passes.append(gauge.restart())
        gauge.kind = WEIGHTS
        largest = max(prod(parameter.shape) for parameter in (*self.network.trainables, *beside))
        gauge.pass_by(machine.chips * largest)  # the check whether all is finite
        super().__call__(losses, regularise, beside)
        gauge.kind = VALUES
        self.peaks.append(gauge.restart())


def _parts(live: Bytes, advice: str, of: str = "") -> list[MemoryNeed]:
    """The parts of the live bytes."""
    return [
        MemoryNeed(f"{_OF_WEIGHTS}{of}", live[WEIGHTS], _SMALLER),
        MemoryNeed(f"inputs and targets{of}", live[SHOWN], advice),
        MemoryNeed(f"the tape{of}", live[TAPE], advice),
        MemoryNeed(f"values of a step and in registers{of}", live[VALUES], advice),
    ]


def _shorter(episode: Episode, sequences: int, steps: int) -> Episode:
    """The shape of an episode with other numbers of sequences and steps; as many steps carry a loss, or all."""
    loss_from = max(0, steps - episode.loss_steps) if episode.loss_from else 0
    return episode.outline(batch=sequences, steps=steps, loss_from=loss_from)


def _arrays(episode: Episode) -> list[np.ndarray]:
    held = episode.inputs, episode.labels, episode.values, episode.mask
    return [values for values in held if values is not None]


def _gauge(network: Network) -> Gauge:
    numerics = network.machine.numerics
    assert isinstance(numerics, Counted)
    return numerics.gauge


def _recorded_batch(machine: Machine) -> tuple[int, int]:
    """Bytes of the step-by-step records of the last batch, and the number of activities of its distinct steps."""
    batch, prices, journal = machine.journal.latest, machine.prices(), machine.journal
    if batch is None:
        return 0, 0
    total, kinds = _A_PASS * len(batch.sweeps), dict[int, int]()
    for trace, count in (each for sweep in batch.sweeps for each in sweep.runs.steps.items()):
        if trace not in kinds:
            kinds[trace] = sum(prices.activities(record) for record in journal.traces[trace])
        changes = sum(record.kind in ("push", "pop") for record in journal.traces[trace])
        measured = 2 * HEADER + 8 * kinds[trace] * machine.chips if kinds[trace] else 0
        total += count * (_A_STEP + measured + changes * _A_CHANGE)
    return total, sum(kinds.values())
