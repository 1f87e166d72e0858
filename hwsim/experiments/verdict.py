"""A verdict on a device: is it good enough to learn with, what limits it, and what would it have to become?

The device is put into the shipped crossbar machine and learns the quickstart's task. A small verdict is one task, one
forward rule and few chips, and takes minutes; a large one is two tasks, several rules and seeds. Each part is written
as a whole, and is not done again when the same command goes on after it was stopped.

All devices learn by being programmed. Those with a law of pulses are trained in place as well, beside shipped devices
that are: chips of the experiment `in_place`, which differ in the law of their devices.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import hwsim
from hwsim import documents
from hwsim.config import files, grid, hardware, settings
from hwsim.config.experiment import Experiment
from hwsim.documents import Document
from hwsim.errors import ConfigError
from hwsim.experiments import run as runs
from hwsim.experiments.limits import UPDATES, limits
from hwsim.experiments.properties import AGE
from hwsim.experiments.specification import ALLOWED, specification
from hwsim.experiments.study import study as studies
from hwsim.physics import DataSheet
from hwsim.results import verdict as folders
from hwsim.results.study.store import StudyProgress
from hwsim.results.verdict import CONTROL, DIGITAL, FORWARD, LOOP, VerdictFolder

Progress = Callable[[str, str, int, int], None]
"""Called with a part, its present task, and how much of it is done, of how much."""
WriteLimits = Callable[[Any, Experiment, Path], None]


class Size(NamedTuple):
    """How much a verdict simulates.

    Attributes:
        name: what it is called.
        base: the experiment that the device is put into.
        settings: other values of some of its keys.
        tasks: to learn, by name; several make a study.
        rules: forward rules beside the first one.
        chips, seeds: of the trainings.
        beside: chips of each shipped device that is trained beside it; 0 for none.
        in_place: other values of some keys of the experiment of devices that are trained by pulses.
        most: trainings of a substrate, with all its chips side by side, at most; None without a limit.
        gradient_chips, gradient_seeds: that limits and thresholds are measured on.
        changes: updates by pulses whose change is compared with the exact one.
        updates: of the trainings that limits, and thresholds by accuracy, are measured after; None for gradients alone.
    """

    name: str
    base: str = "quickstart"
    settings: tuple[str, ...] = ()
    tasks: tuple[tuple[str, dict[str, Any]], ...] = ()
    rules: tuple[str, ...] = ()
    chips: int = 4
    seeds: int = 1
    beside: int = 4
    in_place: tuple[str, ...] = ()
    most: int | None = 20
    gradient_chips: int = 2
    gradient_seeds: int = 5
    changes: int = 32
    updates: int | None = None


_ROWS, _PIXELS = {"name": "digits", "order": "rows"}, {"name": "digits", "order": "pixels"}
SIZES = {
    "small": Size("small"),
    "large": Size(
        "large",
        tasks=(("digits by rows", _ROWS), ("digits by pixels", _PIXELS)),
        rules=("rtrl", "one_step"),
        chips=2,
        seeds=5,
        beside=2,
        most=None,
        gradient_chips=4,
        gradient_seeds=6,
        changes=240,
        updates=120,
    ),
}
"""The sizes that a verdict may have."""


class Plan(NamedTuple):
    """What a verdict simulates.

    Attributes:
        sheet: the data sheet.
        size: how much.
        learning: the experiment whose substrate has the device.
        in_place: the experiment that trains it by pulses; None for a device without a law of them.
        others: shipped devices that are trained beside it, and those that are left out.
        age: at which drift is asked about, in seconds.
        allowed: what may be lost by a property that is good enough.
    """

    sheet: DataSheet
    size: Size
    learning: Experiment
    in_place: Experiment | None
    others: list[str]
    left_out: list[str]
    age: float
    allowed: float

    @property
    def trainings(self) -> int:
        """Trainings of a substrate: by the rules, in the loop, and of other devices. Each has chips side by side."""
        beside = self.size.seeds * (1 + len(self.others)) if self.others else 0
        return _own(self.size) + beside

    @property
    def outline(self) -> str:
        """What will be simulated, in a sentence."""
        size, others = self.size, len(self.others)
        beside = f", {_many(others, 'shipped device')} beside it" if others else ""
        return (
            f"{self.sheet.name}, {size.name}: {_many(max(1, len(size.tasks)), 'task')}, "
            f"{_many(1 + len(size.rules), 'forward rule')}, {_many(size.seeds, 'seed')} of "
            f"{_many(size.chips, 'chip')}{beside}; {_many(self.trainings, 'training')}, "
            f"each with its chips side by side; limits "
            f"and thresholds on {_many(size.gradient_seeds, 'seed')} of {_many(size.gradient_chips, 'chip')}"
        )

    @property
    def asked(self) -> dict[str, Any]:
        """What determines the results."""
        return {
            "hwsim": hwsim.__version__,
            "device": self.sheet.model_dump(mode="json"),
            "size": self.size._asdict(),
            "age_s": self.age,
            "allowed": self.allowed,
            "others": self.others,
            "left_out": self.left_out,
            "trainings": self.trainings,
            "experiment": self.learning.resolved(),
            **({} if self.in_place is None else {"in_place": self.in_place.resolved()}),
        }


def _own(size: Size) -> int:
    """Trainings of the device itself: by each rule and in the loop, on each task and with each seed."""
    return size.seeds * (2 + len(size.rules)) * max(1, len(size.tasks))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def plan(device: str | Path, size: str | Size = "small", age: float = AGE, allowed: float = ALLOWED) -> Plan:
    """What a verdict on a device simulates.

    Args:
        device: a data sheet in YAML, or the name of a shipped one.
        size: `small`, `large`, or a size of your own.
        age: at which drift is asked about, in seconds.
        allowed: what may be lost by a property that is good enough, of a cosine or of accuracy as a number.

    Raises:
        ConfigError: there is no such sheet or size, or a number is out of its range.
    """
    if isinstance(size, str) and size not in SIZES:
        raise ConfigError(documents.unknown("size", size, list(SIZES)))
    of = SIZES[size] if isinstance(size, str) else size
    if not 0 < allowed < 1:
        raise ConfigError(f"allowed ({allowed:g}): what may be lost is above 0 and below 1, such as 0.02")
    path = files.path_of(device, "devices")
    sheet = hardware.device(files.opened(Document("DEVICE", str(path)), "devices"))
    learning = settings.load_with_settings(of.base, [*_learns(str(path.resolve())), *of.settings])
    learning = learning.model_copy(update={"name": sheet.name, "called": FORWARD, "chips": of.chips})
    in_place = None
    if sheet.update is not None:
        in_place = settings.load_with_settings(
            "in_place", [f"machine.device={path.resolve()}", f"training.optimizer.rate={RATE}", *of.in_place]
        )
    shipped = sorted((each for each in files.names("devices") if _alike(each, sheet)), key=lambda each: each != CONTROL)
    if not of.beside:
        shipped = []
    fitting = len(shipped)
    if of.most is not None and of.beside:
        fitting = max(0, of.most - _own(of) - of.seeds) // of.seeds
    return Plan(sheet, of, learning, in_place, shipped[:fitting], shipped[fitting:], age, allowed)


def _alike(name: str, sheet: DataSheet) -> bool:
    """Whether a shipped device is another one that learns in the same way."""
    other = hardware.device(files.opened(Document("DEVICE", name), "devices"))
    return other.name != sheet.name and (other.update is None) == (sheet.update is None)


def _learns(device: str) -> list[str]:
    """Settings by which a device learns, beside BPTT on a digital machine and with the device in the loop."""
    loop = f"{{like: pcm_crossbar_in_the_loop, device: '{device}'}}"
    return [
        f"machine.device={device}",
        f"references=[{{name: {DIGITAL}, learning: {{name: bptt}}, machine: digital_45nm}}, "
        f"{{name: {LOOP}, learning: {{name: bptt}}, machine: {loop}}}]",
    ]


def verdict(
    device: str | Path,
    *,
    size: str | Size = "small",
    age: float = AGE,
    allowed: float = ALLOWED,
    out: str | Path | None = None,
    workers: int | None = None,
    data: str | Path | None = None,
    progress: Progress = lambda part, what, done, total: None,
) -> VerdictFolder:
    """A verdict on a device, as the command `hwsim verdict` gives it; one that was stopped goes on.

    Args:
        device, size, age, allowed: as for `plan`.
        out: the folder; by default `verdicts/NAME`.
        workers, data, progress: as for `carry_out`.

    Raises:
        HwsimError: the device is invalid, a rule cannot run on the machine, or the folder holds something else.
    """
    from hwsim.reports import html  # they load Matplotlib
    from hwsim.reports import limits as limits_report

    planned = plan(device, size, age, allowed)
    folder = folders.place(None if out is None else Path(out), planned.sheet.name, planned.size.name)
    found = carry_out(planned, folder, write_limits=limits_report.write, workers=workers, data=data, progress=progress)
    html.write(folder / folders.PAGE, html.of_verdict(found))
    return found


RATE = 0.003
"""Learning rate in place: the best of five for four of the six shipped devices in docs/results.md."""


def carry_out(
    planned: Plan,
    out: Path,
    *,
    write_limits: WriteLimits,
    workers: int | None = None,
    data: str | Path | None = None,
    progress: Progress = lambda part, what, done, total: None,
) -> VerdictFolder:
    """Simulate what a verdict needs into a folder, or go on with one that was stopped.

    Args:
        planned: what is to be simulated.
        out: a new folder, or that of the same verdict.
        write_limits: writes what limits the machine into an empty folder.
        workers: processes on this computer for studies, by default one per core.
        data: the folder with the data sets that are not shipped, for a size of your own whose tasks need them.

    Raises:
        HwsimError: a rule cannot run on the machine, data is missing, or the folder holds something else.
    """
    folders.begin(out, planned.asked)
    by = _By(workers, data, progress)
    _learning(planned, out, by)
    gradients = planned.learning.model_copy(update={"references": [], "chips": planned.size.gradient_chips})
    _limits(planned, gradients, out, write_limits, by)
    _specifications(planned, gradients, out, by)
    _beside(planned, out, by)
    return folders.read(out)


class _By(NamedTuple):
    """By what means a verdict is simulated: arguments of `carry_out`."""

    workers: int | None
    data: str | Path | None
    progress: Progress


def _limits(planned: Plan, gradients: Experiment, out: Path, write: WriteLimits, by: _By) -> None:
    size = planned.size
    if size.updates is None:
        gradients = gradients.model_copy(update={"training": None})

    def made(folder: Path) -> None:
        found = limits(
            gradients,
            seeds=size.gradient_seeds,
            chips=size.gradient_chips,
            updates=size.updates or UPDATES,
            data=by.data,
            progress=lambda done, total: by.progress("limits", "one at a time", done, total),
        )
        write(found, gradients, folder)

    folders.once(out, folders.LIMITS, made)


def _specifications(planned: Plan, gradients: Experiment, out: Path, by: _By) -> None:
    size = planned.size

    def made(measure: Any, experiment: Experiment, updates: int, pulsed: bool) -> Callable[[Path], None]:
        def write(folder: Path) -> None:
            found = specification(
                experiment,
                measure=measure,
                allowed=planned.allowed,
                age=planned.age,
                seeds=size.gradient_seeds,
                chips=size.gradient_chips,
                of=lambda each: each.trains == pulsed,
                updates=updates,
                data=by.data,
                progress=lambda done, total: by.progress(f"thresholds, {measure}", "halving", done, total),
            )
            folders.write_specification(found, folder)

        return write

    trained = size.updates or UPDATES
    folders.once(out, folders.NEEDED, made("cosine", gradients, trained, pulsed=False))
    if planned.in_place is not None:
        folders.once(out, f"{folders.NEEDED}_change", made("change", planned.in_place, size.changes, pulsed=True))
    if size.updates is not None and gradients.training is not None:
        folders.once(out, f"{folders.NEEDED}_accuracy", made("accuracy", gradients, trained, pulsed=False))


def _learning(planned: Plan, out: Path, by: _By) -> None:
    if not planned.size.tasks:
        folders.once(out, folders.LEARNING, lambda folder: _run(planned.learning, folder, by))
        return
    resolved = planned.learning.resolved()
    more = [_reference(resolved, rule) for rule in planned.size.rules]
    base = {**resolved, "references": [*more, *resolved["references"]]}
    named, values = zip(*planned.size.tasks, strict=True)
    vary = {"task": {"labels": list(named), "values": list(values)}}
    _study(planned, f"{planned.sheet.name} learns", base, vary, out / folders.LEARNING, by)


def _reference(resolved: dict[str, Any], rule: str) -> dict[str, Any]:
    """Another rule on the same machine."""
    return {"name": rule, "learning": {"name": rule}, "machine": resolved["machine"]}


def _beside(planned: Plan, out: Path, by: _By) -> None:
    if not planned.others:
        return
    learning = planned.in_place or planned.learning
    alone = learning.model_copy(update={"chips": planned.size.beside, "called": planned.sheet.name})
    resolved = {**alone.resolved(), "references": []}
    machines = {name: _with_device(resolved["machine"], name) for name in planned.others}
    if planned.size.tasks:
        vary = {
            "device": {
                "labels": [planned.sheet.name, *machines],
                "zip": {"machine": [resolved["machine"], *machines.values()]},
            }
        }
        _study(planned, "beside shipped devices", resolved, vary, out / folders.BESIDE, by)
        return
    references = [
        {"name": name, "learning": resolved["learning"], "machine": machine} for name, machine in machines.items()
    ]
    experiment = settings.load({**resolved, "name": "beside shipped devices", "references": references})
    folders.once(out, folders.BESIDE, lambda folder: _run(experiment, folder, by))


def _with_device(machine: dict[str, Any], name: str) -> dict[str, Any]:
    return {**machine, "device": name}


def _run(experiment: Experiment, folder: Path, by: _By) -> None:
    runs.simulate(experiment, data=by.data, progress=by.progress).write(folder)


def _study(
    planned: Plan,
    name: str,
    experiment: dict[str, Any],
    vary: dict[str, Any],
    folder: Path,
    by: _By,
) -> None:
    """A study of so many seeds; it goes on where it stopped."""
    asked = {"name": name, "experiment": experiment, "vary": vary, "seeds": planned.size.seeds}
    made = grid.compose(Document("study", documents.plain(asked)))

    def told(now: StudyProgress) -> None:
        by.progress(name, "trials", now.over, now.total)

    studies.run(made, folder, workers=by.workers, data=by.data, progress=told)
