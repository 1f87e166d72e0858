"""Break-even: along an axis, where the substrate meets the best of its digital references, from estimates."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import exp, inf, log
from typing import Any, NamedTuple

from hwsim import tasks
from hwsim.config import hardware
from hwsim.config.experiment import Experiment, System
from hwsim.documents import Document, unknown
from hwsim.episode import Episode, outline
from hwsim.errors import ConfigError
from hwsim.experiments.estimate import sketched
from hwsim.machine import Expectations
from hwsim.tasks import Dataset

SUBSTRATE = "substrate"
_MANY_TILES = 1 << 40


class Quantity(NamedTuple):
    """What is compared, its unit, and the key of its value in a `Cost`."""

    name: str
    unit: str


QUANTITIES = (Quantity("energy", "J"), Quantity("memory", "B"), Quantity("time", "s"))


class Cost(NamedTuple):
    """One system at one value: of a gradient of one sequence, as the sources say, and the least and most they allow."""

    energy: tuple[float, float, float]
    memory: tuple[float, float, float]
    time: tuple[float, float, float]


class Meeting(NamedTuple):
    """Where the substrate begins, or ceases, to need less than the best digital reference.

    Attributes:
        value: the first value at which the other one needs less; between known values for axes that are not whole.
        less: whether the substrate needs less from there on.
        reference: which one is the best digital reference there.
    """

    value: float
    less: bool
    reference: str


class Breakeven(NamedTuple):
    """Costs along an axis.

    Attributes:
        name: of the experiment.
        over: the axis.
        costs: at each value that was asked for, of each system; the substrate is the first.
        meetings: by quantity, in the order of the axis.
        favourable, unfavourable: the same if all constants are at the end of their ranges that is best, or worst, for
            the substrate; constants of both machines count as independent of each other.
        notes: what a reader has to know.
    """

    name: str
    over: str
    costs: dict[float, dict[str, Cost]]
    meetings: dict[str, list[Meeting]]
    favourable: dict[str, list[Meeting]]
    unfavourable: dict[str, list[Meeting]]
    notes: list[str]


class Axis(NamedTuple):
    """One way to vary an experiment.

    Attributes:
        what: it is.
        bounds: the first and last value if nothing else is asked for.
        at: the experiment and the shapes of its data at a value.
        note: what else changes with it.
    """

    what: str
    bounds: tuple[float, float]
    at: Callable[[Experiment, Dataset, int], tuple[Experiment, Dataset]]
    note: str = ""


def breakeven(
    experiment: Experiment,
    over: str,
    lowest: float | None = None,
    highest: float | None = None,
    points: int = 13,
    expected: Expectations | None = None,
) -> Breakeven:
    """Where the substrate of an experiment meets the best of its digital references.

    Args:
        over: a key of `AXES`.
        lowest, highest: the ends of the axis; `points` values between them are evenly spaced on a log scale.

    Raises:
        ConfigError: there is no such axis, no digital reference, no gradient, or nothing between the ends.
    """
    if over not in AXES:
        raise ConfigError(f"--over: {unknown('axis', over, list(AXES))}")
    if experiment.training is None and experiment.gradient_check is None:
        raise ConfigError(f"{experiment.name}: break-even is about gradients; it needs training or gradient_check")
    curves = Curves(experiment, AXES[over], expected)
    values = nodes() if over == "node" else list(spaced(AXES[over].bounds, lowest, highest, points))
    values = [value for value in values if (lowest or 0) <= value <= (highest or inf)]
    if not values:
        raise ConfigError(f"--over {over}: there is nothing from {lowest:g} to {highest:g}")
    costs = {float(value): curves.at(value) for value in values}

    def meetings(mine: int, other: int) -> dict[str, list[Meeting]]:
        return {
            quantity.name: list(curves.meetings(quantity.name, values, mine, other, exact=over != "node"))
            for quantity in QUANTITIES
        }

    notes = [AXES[over].note] if AXES[over].note else []
    return Breakeven(experiment.name, over, costs, meetings(0, 0), meetings(1, 2), meetings(2, 1), notes)


def spaced(bounds: tuple[float, float], lowest: float | None, highest: float | None, points: int) -> Iterator[int]:
    """Whole numbers, evenly spaced on a log scale."""
    first, last = lowest or bounds[0], highest or bounds[1]
    if not 1 <= first < last:
        raise ConfigError(f"--from {first:g} --to {last:g}: must be at least 1, the first below the last")
    raw = (round(first * (last / first) ** (number / (points - 1))) for number in range(points))
    yield from dict.fromkeys(raw)


class Curves:
    """Costs along an axis, each estimated once."""

    def __init__(self, experiment: Experiment, axis: Axis, expected: Expectations | None) -> None:
        self.experiment, self.axis, self.expected = experiment, axis, expected
        self.dataset = tasks.outline(experiment.task)
        found = experiment.systems()
        self.names = [SUBSTRATE, *(name for name, system in found.items() if _digital(system) and name != SUBSTRATE)]
        if len(self.names) == 1:
            raise ConfigError(
                f"{experiment.name}: there is no digital reference to compare the substrate with; name a shipped set "
                "of them, `references: strong`, in the file or with --set references=strong"
            )
        self._known: dict[int, dict[str, Cost]] = {}

    def at(self, value: int) -> dict[str, Cost]:
        """What each system costs at a value."""
        if value not in self._known:
            experiment, dataset = self.axis.at(self.experiment, self.dataset, value)
            systems = experiment.systems()
            self._known[value] = {name: self._cost(experiment, name, systems[name], dataset) for name in self.names}
        return self._known[value]

    def _cost(self, experiment: Experiment, name: str, system: System, dataset: Dataset) -> Cost:
        costs = sketched(experiment, name, system, dataset, self.expected)
        energy, memory, time = costs.energy(), costs.memory()["peak_bytes"], costs.time()["sequence_s"]
        joules = energy["gradient_j_per_sequence"]
        if joules is None:
            raise ConfigError(f"{name}: {energy['why_null']}, so there is no break-even")
        low, high = energy.get("gradient_range_j_per_sequence") or (joules, joules)
        return Cost((joules, low, high), (memory,) * 3, (time,) * 3)

    def best(self, quantity: str, value: int, bound: int) -> str:
        """The digital reference that needs least."""
        return min(self.names[1:], key=lambda name: getattr(self.at(value)[name], quantity)[bound])

    def lead(self, quantity: str, value: int, mine: int, other: int) -> float:
        """The logarithm of what the substrate needs, relative to the best digital reference."""
        costs = self.at(value)
        substrate = getattr(costs[SUBSTRATE], quantity)[mine]
        digital = getattr(costs[self.best(quantity, value, other)], quantity)[other]
        return log(substrate / digital) if substrate and digital else 0.0

    def meetings(self, quantity: str, values: list[int], mine: int, other: int, exact: bool) -> Iterator[Meeting]:
        """Where the lead changes; with `exact`, to the whole number."""

        def less(value: int) -> bool:
            return self.lead(quantity, value, mine, other) < 0

        for first, last in pairwise(values):
            if less(first) == less(last):
                continue
            low, high, halve = first, last, False
            while exact and high - low > 1:
                low, high = self._closer(quantity, low, high, mine, other, halve)
                halve = not halve
            yield Meeting(high, less(high), self.best(quantity, high, other))

    def _closer(self, quantity: str, low: int, high: int, mine: int, other: int, halve: bool) -> tuple[int, int]:
        """Ends closer to where the lead changes: by a straight line in logarithms, and by halves in turn."""
        a, b = (self.lead(quantity, value, mine, other) for value in (low, high))
        share = 0.5 if halve or a == b else a / (a - b)
        middle = min(max(round(exp(log(low) + share * (log(high) - log(low)))), low + 1), high - 1)
        return (middle, high) if (self.lead(quantity, middle, mine, other) < 0) == (a < 0) else (low, middle)


# ---- axes ----------------------------------------------------------------------------------------------------


def _steps(experiment: Experiment, dataset: Dataset, value: int) -> tuple[Experiment, Dataset]:
    def longer(episode: Episode) -> Episode:
        loss_from = max(0, value - episode.loss_steps) if episode.loss_from else 0
        return _outlined(episode, steps=value, loss_from=loss_from)

    return experiment, Dataset(*map(longer, dataset))


def _batch(experiment: Experiment, dataset: Dataset, value: int) -> tuple[Experiment, Dataset]:
    changed: dict[str, Any] = {}
    if experiment.training:
        changed["training"] = experiment.training.model_copy(update={"batch": value})
    elif experiment.gradient_check:
        changed["gradient_check"] = experiment.gradient_check.model_copy(update={"sequences": value})
    train = _outlined(dataset.train, batch=max(value, dataset.train.batch))
    return experiment.model_copy(update=changed), Dataset(train, dataset.test)


def _width(experiment: Experiment, dataset: Dataset, value: int) -> tuple[Experiment, Dataset]:
    network = experiment.network
    first = network.layers[0].cell
    factor = value / (getattr(first, "units", None) or first.modes)

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
    """The same with as many tiles on the substrate as it needs."""
    machine = experiment.machine
    if machine.kind != "crossbar":
        return experiment
    tiles = machine.parts.tiles.model_copy(update={"count": _MANY_TILES})
    parts = machine.parts.model_copy(update={"tiles": tiles})
    return experiment.model_copy(update={"machine": machine.model_copy(update={"parts": parts})})


def nodes() -> list[int]:
    """Technology nodes of the shipped digital machines, in nm."""
    found = (re.fullmatch(r"digital_(\d+)nm", name) for name in hardware.names("configs/hardware"))
    return sorted(int(match[1]) for match in found if match)


def _node(experiment: Experiment, dataset: Dataset, value: int) -> tuple[Experiment, Dataset]:
    machine = hardware.machine(Document("--over node", f"digital_{value}nm"))
    references = [
        reference.model_copy(update={"machine": machine}) if _digital(reference) else reference
        for reference in experiment.references
    ]
    return experiment.model_copy(update={"references": references}), dataset


AXES = {
    "steps": Axis("steps of a sequence", (10, 1e6), _steps, "As many steps as before carry a loss, or all of them."),
    "width": Axis(
        "units or modes of the first layer",
        (16, 4096),
        _width,
        "All cells and readouts grow in proportion, and the substrate has as many tiles as it needs.",
    ),
    "batch": Axis("sequences for each update", (1, 1024), _batch),
    "node": Axis(
        "technology node of the digital references, nm",
        (1, 1000),
        _node,
        "Digital references run on the shipped machine of each node; the substrate stays what it is.",
    ),
}


def _digital(system: System) -> bool:
    return bool(system.machine.kind == "digital")


def _outlined(episode: Episode, **changed: int) -> Episode:
    each = episode.labels is not None and episode.labels.ndim == 2
    values = 0 if episode.values is None else episode.outputs
    shape = {"batch": episode.batch, "steps": episode.steps, "width": episode.width, "loss_from": episode.loss_from}
    return outline(classes=episode.classes, values=values, each=each, **{**shape, **changed})
