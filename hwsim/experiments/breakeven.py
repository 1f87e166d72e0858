"""Break-even: where the substrate meets the best of its digital references along an axis, from estimates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import exp, inf, log
from typing import Any, NamedTuple

from hwsim import cells, machines, tasks
from hwsim.config import hardware
from hwsim.config.experiment import Experiment, Learner, Reference, SystemOptions
from hwsim.documents import Document, nearest, unknown
from hwsim.episode import Episode
from hwsim.errors import ConfigError
from hwsim.experiments.costs import Costs
from hwsim.experiments.estimate import sketched
from hwsim.experiments.study_instead import study_instead
from hwsim.machine import Expectations
from hwsim.machines import digital
from hwsim.quantities import Constant
from hwsim.results.breakeven import QUANTITIES, Breakeven, Course, Meeting, RangedConstant, SystemCost, Verdict
from hwsim.tasks import Dataset

_MANY_TILES = 1 << 40
_SIZE = re.compile(r" \d+ KiB (read|write)$")
_MACHINE = re.compile(r"^(?:.*\.)?(?:machine|digital)\.")


@dataclass(frozen=True)
class Search(Breakeven):
    """The result of a search, and what is needed to repeat it with other constants.

    Attributes:
        curves: costs at any value.
        exact: whether meetings are searched to the whole number.
    """

    curves: CostCurves
    exact: bool


STATED, FAVOURABLE, UNFAVOURABLE = 0, -1, 1
"""Positions of constants in their ranges."""


class BreakevenAxis(NamedTuple):
    """An axis along which an experiment varies.

    Attributes:
        what: the axis in words.
        bounds: the default of its first and last value.
        at: gives the experiment and the shapes of its data at a value.
        note: what else changes along the axis.
        whole_step: whether the update counts, besides the gradient.
    """

    what: str
    bounds: tuple[float, float]
    at: Callable[[Experiment, Dataset, int], tuple[Experiment, Dataset]]
    note: str = ""
    whole_step: bool = False


def breakeven(
    experiment: Experiment,
    over: str,
    lowest: float | None = None,
    highest: float | None = None,
    points: int = 13,
    expected: Expectations | None = None,
    file: str | None = None,
) -> Search:
    """Where the substrate of an experiment meets the best of its digital references.

    Args:
        over: a key of `AXES`.
        lowest: where the axis begins.
        highest: where it ends.
        points: the number of values, evenly spaced on a log scale.
        file: the name of the experiment's file, for a message; by default that of the experiment.

    Raises:
        ConfigError: there is no such axis, no digital reference, no gradient, or nothing between the ends.
    """
    if over not in AXES:
        raise ConfigError(_no_axis(experiment, over, file or experiment.name))
    if experiment.training is None and experiment.gradient_check is None:
        raise ConfigError(f"{experiment.name}: break-even is about gradients; it needs training or gradient_check")
    values = nodes() if over == "node" else list(spaced(AXES[over].bounds, lowest, highest, points))
    low, high = 0 if lowest is None else lowest, inf if highest is None else highest
    values = [value for value in values if low <= value <= high]
    if not values:
        known = f"; allowed: {', '.join(map(str, nodes()))}" if over == "node" else ""
        raise ConfigError(f"--over {over}: there is nothing from {low:g} to {high:g}{known}")
    curves = CostCurves(experiment, AXES[over], values, expected)
    costs = {float(value): curves.at(value) for value in values}
    exact = over != "node"
    verdicts = {
        name: Verdict(
            curves.course(name, STATED, exact),
            curves.course(name, FAVOURABLE, exact),
            curves.course(name, UNFAVOURABLE, exact),
            curves.course(name, STATED, exact, list(curves.bounds)) if curves.bounds and name == "energy" else None,
        )
        for name, _ in QUANTITIES
    }
    axis, notes = AXES[over], [AXES[over].note] if AXES[over].note else []
    names = experiment.name, over, axis.what, "a training step" if axis.whole_step else "the gradient"
    return Search(*names, curves.substrate, curves.bounds, costs, verdicts, notes, curves=curves, exact=exact)


def _no_axis(experiment: Experiment, over: str, file: str) -> str:
    """The message for an axis that there is not: a study of estimates varies any key."""
    text = f"--over: {unknown('axis', over, list(AXES))}"
    if nearest(over, list(AXES)):
        return text
    lines = study_instead(experiment, over, file)
    if lines is None:
        return f"{text}; a study with `estimate: true` varies any key of the experiment, and `hwsim docs` lists them"
    return (
        f"{text}. A study of estimates varies any key. Save these lines as study.yaml, and run `hwsim study "
        f"study.yaml`:\n\n{lines}\n\nIts tables have the energy, memory and time of each system at each value."
    )


def spaced(bounds: tuple[float, float], lowest: float | None, highest: float | None, points: int) -> Iterator[int]:
    """Whole numbers, evenly spaced on a log scale."""
    first = bounds[0] if lowest is None else lowest
    last = bounds[1] if highest is None else highest
    if not 1 <= first < last <= _MOST:
        raise ConfigError(f"--from {first:g} --to {last:g}: must be 1 to {_MOST:g}, the first below the last")
    raw = (round(first * (last / first) ** (number / (points - 1))) for number in range(points))
    yield from dict.fromkeys(raw)


_MOST = 1e8
"""Largest value of an axis; shapes of arrays cannot be larger."""


class CostCurves:
    """Costs along an axis, each estimated once.

    Attributes:
        substrate, references: names of what is compared.
        bounds: references whose costs are only bounds, and what they bound.
    """

    def __init__(
        self, experiment: Experiment, axis: BreakevenAxis, values: list[int], expected: Expectations | None
    ) -> None:
        self.experiment, self.axis, self.values, self.expected = experiment, axis, values, expected
        self.dataset = tasks.outline(experiment.task)
        changed, _ = axis.at(experiment, self.dataset, values[0])
        self.substrate, self.references, self.bounds = experiment.called, list[str](), dict[str, str]()
        for reference in changed.references:
            if _digital(reference):
                priced = reference.machine.priced_as
                if priced is None:
                    self.references.append(reference.name)
                else:
                    self.bounds[reference.name] = priced.bound
        if not self.references:
            raise ConfigError(
                f"{experiment.name}: there is no digital reference to compare the substrate with; name a shipped set "
                "of them, `references: strong`, in the file or with --set references=strong"
            )
        self._known: dict[int, dict[str, SystemCost]] = {}
        self._costs: dict[tuple[int, str], Costs] = {}

    def at(self, value: int) -> dict[str, SystemCost]:
        """The costs of each system at a value."""
        if value not in self._known:
            names = [self.substrate, *self.references, *self.bounds]
            self._known[value] = {name: self.cost_of(name, self.costs(value, name)) for name in names}
        return self._known[value]

    def costs(self, value: int, name: str) -> Costs:
        """The ledgers of a system at a value."""
        if (value, name) not in self._costs:
            experiment, options, dataset = self.options(value, name)
            self._costs[value, name] = sketched(experiment, name, options, dataset, self.expected)
        return self._costs[value, name]

    def options(self, value: int, name: str) -> tuple[Experiment, Learner, Dataset]:
        """The options of a system at a value, with its experiment, and the shapes of its data."""
        experiment, dataset = self.axis.at(self.experiment, self.dataset, value)
        return experiment, experiment.systems()[name], dataset

    def cost(self, experiment: Experiment, name: str, options: Learner, dataset: Dataset) -> SystemCost:
        """The costs of a system, from a new estimate."""
        return self.cost_of(name, sketched(experiment, name, options, dataset, self.expected))

    def cost_of(self, name: str, costs: Costs) -> SystemCost:
        """The costs of a gradient, or of a whole training step, per sequence; from the ledgers of a system.

        Raises:
            ConfigError: there is no energy.
        """
        spent = costs.training_step() if self.axis.whole_step else costs.gradient()
        memory, time = costs.memory()["peak_bytes"], costs.time()["sequence_s"]
        if spent.range is None:
            raise ConfigError(f"{name}: {costs.energy()['why_null']}, so there is no break-even")
        assert costs.outcome.detail is not None
        sequences = costs.outcome.detail.batch.sequences
        constants: dict[RangedConstant, float] = {}
        for part in spent.by_constant.values():
            if part.energy:
                bounds = (round(bound / part.energy, 9) for bound in (part.low, part.high))
                ranged = RangedConstant(tuple(map(shared, part.constants)), *bounds)
                constants[ranged] = constants.get(ranged, 0.0) + part.energy / sequences
        energy = spent.known / sequences, spent.low / sequences, spent.high / sequences
        return SystemCost(energy, (memory,) * 3, (time,) * 3, constants)

    def lead(self, quantity: str, value: int, end: int, other: str) -> float:
        """The logarithm of the ratio between what the substrate and another system need."""
        costs = self.at(value)
        own, its = costs[self.substrate], costs[other]
        if quantity == "energy" and end != STATED:
            substrate, digital = moved(own.constants, its.constants, end)
        else:
            substrate, digital = getattr(own, quantity)[0], getattr(its, quantity)[0]
        return log(substrate / digital) if substrate and digital else 0.0

    def course(
        self, quantity: str, end: int, exact: bool, others: list[str] | None = None, within: float = 1.0
    ) -> Course:
        """How the substrate compares with the best of others.

        Args:
            exact: search meetings to the whole number.
            within: the lead is interpolated between values that are closer than this factor.
        """
        names = others or self.references

        def lead(value: int) -> float:
            return max(self.lead(quantity, value, end, name) for name in names)

        meetings = []
        for first, last in pairwise(self.values):
            if (lead(first) < 0) == (lead(last) < 0):
                continue
            low, high, halve = first, last, False
            while exact and high - low > 1 and high > within * low:
                low, high = _closer(lead, low, high, halve)
                halve = not halve
            best = max(names, key=lambda name: self.lead(quantity, high, end, name))
            value = high if within == 1 else _between(low, high, _crossing(lead, low, high))
            meetings.append(Meeting(value, lead(high) < 0, best))
        return Course(lead(self.values[0]) < 0, tuple(meetings))


def shared(constant: Constant[Any]) -> str:
    """The key of a constant behind its machine, which is the same for an accelerator and the digital unit of a chip.

    Numbers of static memories are shared by all sizes.
    """
    return _SIZE.sub("", _MACHINE.sub("", constant.key))


def moved(
    first: Mapping[RangedConstant, float], second: Mapping[RangedConstant, float], end: int
) -> tuple[float, float]:
    """Two energies, with each constant at the end of its range that is best, or worst, for the first energy.

    A constant that both energies depend on has the same value in both: the end at which their difference is smallest,
    or largest.
    """
    totals = [0.0, 0.0]
    for constant in first.keys() | second.keys():
        first_energy, second_energy = first.get(constant, 0.0), second.get(constant, 0.0)
        factor = constant.low if (first_energy - second_energy) * end < 0 else constant.high
        totals[0] += first_energy * factor
        totals[1] += second_energy * factor
    return totals[0], totals[1]


def _closer(lead: Callable[[int], float], low: int, high: int, halve: bool) -> tuple[int, int]:
    """A smaller interval around the change of lead: by linear interpolation in logarithms, or by bisection."""
    middle = _between(low, high, 0.5 if halve else _crossing(lead, low, high))
    middle = min(max(middle, low + 1), high - 1)
    return (middle, high) if (lead(middle) < 0) == (lead(low) < 0) else (low, middle)


def _crossing(lead: Callable[[int], float], low: int, high: int) -> float:
    """The relative position of the change of lead between two values, interpolated in logarithms."""
    a, b = lead(low), lead(high)
    return 0.5 if a == b else a / (a - b)


def _between(low: int, high: int, share: float) -> int:
    """The whole number at a relative position between two others, in logarithms."""
    return round(exp(log(low) + share * (log(high) - log(low))))


# ---- axes ----------------------------------------------------------------------------------------------------


def _steps(experiment: Experiment, dataset: Dataset, value: int) -> tuple[Experiment, Dataset]:
    def longer(episode: Episode) -> Episode:
        loss_from = max(0, value - episode.loss_steps) if episode.loss_from else 0
        return episode.outline(steps=value, loss_from=loss_from)

    return experiment, dataset._replace(train=longer(dataset.train), test=longer(dataset.test))


def _batch(experiment: Experiment, dataset: Dataset, value: int) -> tuple[Experiment, Dataset]:
    changed: dict[str, Any] = {}
    if experiment.training:
        changed["training"] = experiment.training.model_copy(update={"batch": value})
    elif experiment.gradient_check:
        changed["gradient_check"] = experiment.gradient_check.model_copy(update={"sequences": value})
    train = dataset.train.outline(batch=max(value, dataset.train.batch))
    return experiment.model_copy(update=changed), dataset._replace(train=train)


def _width(experiment: Experiment, dataset: Dataset, value: int) -> tuple[Experiment, Dataset]:
    network = experiment.network
    first = network.layers[0].cell
    factor = value / cells.size(first, 1).units

    def scaled(size: int | None) -> int | None:
        return size and max(1, round(size * factor))

    layers = []
    for layer in network.layers:
        size = "units" if hasattr(layer.cell, "units") else "modes"
        readout = layer.readout
        widths = {"project": scaled(readout.project), "width": scaled(readout.width)}
        changed = readout.model_copy(update={**widths, "hidden": [scaled(hidden) for hidden in readout.hidden]})
        cell = layer.cell.model_copy(update={size: scaled(getattr(layer.cell, size))})
        layers.append(layer.model_copy(update={"cell": cell, "readout": changed}))
    wide = experiment.model_copy(update={"network": network.model_copy(update={"layers": layers})})
    return _with_tiles(wide), dataset


def _with_tiles(experiment: Experiment) -> Experiment:
    """The experiment with as many tiles on the substrate as it needs."""
    machine = experiment.machine
    if not machines.kind_of(machine).is_analog:
        return experiment
    tiles = machine.parts.tiles.model_copy(update={"count": _MANY_TILES})
    parts = machine.parts.model_copy(update={"tiles": tiles})
    return experiment.model_copy(update={"machine": machine.model_copy(update={"parts": parts})})


def nodes() -> list[int]:
    """Technology nodes of the shipped digital machines, in nm."""
    matches = (re.fullmatch(r"digital_(\d+)nm", name) for name in hardware.names("configs/hardware"))
    return sorted(int(match[1]) for match in matches if match)


def _node(experiment: Experiment, dataset: Dataset, value: int) -> tuple[Experiment, Dataset]:
    """The experiment with digital references, and the chip's digital unit, of a node; equal references are merged."""
    references: list[Reference] = []
    for reference in filter(_digital, experiment.references):
        moved = reference.model_copy(update={"machine": _at_node(reference.machine, value)})
        if not any((other.learning, other.machine) == (moved.learning, moved.machine) for other in references):
            references.append(moved)
    machine, changed = experiment.machine, dict[str, Any]()
    if hasattr(machine, "digital"):
        changed["machine"] = machine.model_copy(update={"digital": _at_node(machine.digital, value)})
    elif _digital(experiment):
        changed["machine"] = _at_node(machine, value)
    return experiment.model_copy(update={"references": references, **changed}), dataset


def _at_node(own: Any, value: int) -> Any:
    """The shipped digital machine of a node, with the format and the dataflow of `own`."""
    key = own.parts.timing.clock.key.removesuffix("parts.timing.clock").rstrip(".")
    shipped = hardware.machine(Document("--over node", f"digital_{value}nm"), key)
    kept = {key: getattr(own, key) for key in ("format", "accumulator", "update", "priced_as")}
    parts = shipped.parts.model_copy(update={"dataflow": own.parts.dataflow})
    return shipped.model_copy(update={**kept, "parts": parts})


AXES = {
    "steps": BreakevenAxis(
        "steps of a sequence", (10, 1e6), _steps, "As many steps as before carry a loss, or all of them."
    ),
    "width": BreakevenAxis(
        "units or modes of the first layer",
        (16, 4096),
        _width,
        "All cells and readouts grow in proportion, and the substrate has as many tiles as it needs.",
    ),
    "batch": BreakevenAxis(
        "sequences for each update",
        (1, 1024),
        _batch,
        "Energy is that of the whole training step, over its sequences: they share one update.",
        whole_step=True,
    ),
    "node": BreakevenAxis(
        "technology node of all that is digital, nm",
        (1, 1000),
        _node,
        "Digital references, and the digital unit of the substrate, are the shipped machine of each node, in their "
        "formats and with their dataflow; references that are alike there are shown once. Arrays and converters stay "
        "what they are.",
    ),
}


def _digital(options: SystemOptions) -> bool:
    return isinstance(options.machine, digital.Options)
