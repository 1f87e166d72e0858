"""Run an experiment: its substrate, then each reference; and summarise the results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

import hwsim
from hwsim import documents, tasks
from hwsim.columns import METRICS, SPIKES, TRACES
from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment
from hwsim.errors import CapabilityError, ConfigError, ResultsError
from hwsim.experiments import costs as accounting
from hwsim.experiments import recording
from hwsim.experiments.averages import averages
from hwsim.experiments.choosing import chosen
from hwsim.experiments.constant import constant
from hwsim.experiments.costs import Costs
from hwsim.experiments.deployment import Aged
from hwsim.experiments.evaluation import Score
from hwsim.experiments.footprint import Footprint, footprint
from hwsim.experiments.gradient_check import Gradient
from hwsim.experiments.lifetime import lifetime
from hwsim.experiments.one_thread import one_thread
from hwsim.experiments.repair import Repair, repaired
from hwsim.experiments.room import lacking
from hwsim.experiments.system import Report, System
from hwsim.learning.horizon import Horizon
from hwsim.results import accuracy, reaching, run_folder
from hwsim.results.accuracy import Uncertain
from hwsim.results.run_folder import RunFolder
from hwsim.results.shown import Shown
from hwsim.results.summary import SCHEMA_VERSION, Summary, SystemSummary
from hwsim.results.tables import EnergyRow, MemoryRow
from hwsim.results.whole import written_whole
from hwsim.tasks import Dataset

RunProgress = Callable[[str, str, int, int], None]
"""Called with the name of the system, its present task, and how much of the task is done, of how much."""


@dataclass(repr=False)
class Run(Shown):
    """A finished run. A notebook shows its tables and figures.

    Attributes:
        experiment: the experiment.
        summary: the content of `summary.json`.
        costs: energy, memory and time of each system.
        folder: the run folder; None if none was written.
    """

    experiment: Experiment
    summary: Summary
    costs: list[Costs]
    folder: Path | None = None

    def __repr__(self) -> str:
        return f"<Run {self.summary.name}, seed {self.summary.seed}: {', '.join(self.summary.systems)}>"

    @contextmanager
    def opened(self) -> Iterator[RunFolder]:
        """Its folder; one that is removed afterwards if the run was not written."""
        if self.folder is not None:
            yield run_folder.read(self.folder)
            return
        with TemporaryDirectory() as folder:
            self.write(Path(folder))
            yield run_folder.read(folder)

    def write(self, folder: Path) -> None:
        """Write all results into an empty folder."""
        rows, timeline = recording.tables(self.costs), partial(recording.timeline, self.costs)
        run_folder.write(folder, self.experiment.resolved(), self.summary, rows, timeline, self._trained())

    def weights(self, system: str | None = None, chip: int = 0) -> dict[str, np.ndarray]:
        """The target value of each parameter after the run, by name, as an experiment takes them from a file.

        `numpy.savez("trained.npz", **run.weights())` writes that file.

        Args:
            system: its name; by default the substrate.
            chip: its number, counted from 0.

        Raises:
            ResultsError: there is no such system or chip.
        """
        of = next((each.system for each in self.costs if system in (None, each.system.name)), None)
        if of is None:
            raise ResultsError(f"no system {system!r}; there are {', '.join(self.systems)}")
        if not 0 <= chip < of.machine.chips:
            raise ResultsError(f"no chip {chip}; {of.name} has {of.machine.chips}, which count from 0")
        return {each.name: each.values[chip].copy() for each in of.network.trainables}

    def _trained(self) -> Iterator[tuple[str, int, dict[str, np.ndarray]]]:
        """The weights of each system and chip, in the order in which a folder keeps them: first chips first."""
        for chip in range(max(each.system.machine.chips for each in self.costs)):
            for each in self.costs:
                if chip < each.system.machine.chips:
                    yield each.system.name, chip, self.weights(each.system.name, chip)

    @property
    def systems(self) -> Mapping[str, SystemSummary]:
        """The results of each system; the first is the substrate."""
        return self.summary.systems

    @property
    def energy(self) -> pd.DataFrame:
        """The content of `energy.csv`."""
        return pd.DataFrame((row for one in self.costs for row in one.rows()), columns=EnergyRow._fields)

    @property
    def memory(self) -> pd.DataFrame:
        """The content of `memory.csv`."""
        rows = (row for one in self.costs for row in recording.held(one))
        return pd.DataFrame(rows, columns=MemoryRow._fields)

    @property
    def metrics(self) -> pd.DataFrame:
        """The content of `metrics.csv`."""
        rows = (row for one in self.costs for row in recording.metrics(one))
        return pd.DataFrame(rows, columns=METRICS)

    @property
    def spikes(self) -> pd.DataFrame:
        """The content of `spikes.csv`; no rows if nothing spikes."""
        return pd.DataFrame((row for one in self.costs for row in recording.spikes(one)), columns=SPIKES)

    @property
    def traces(self) -> pd.DataFrame:
        """The content of `traces.csv`; no rows if nothing spikes."""
        return pd.DataFrame((row for one in self.costs for row in recording.traces(one)), columns=TRACES)


@one_thread()
def run(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    *,
    out: str | Path | Iterable[Path] | None = None,
    seed: int | None = None,
    data: str | Path | None = None,
    progress: RunProgress = lambda system, what, done, total: None,
) -> Run:
    """Run an experiment, and write its folder if `out` says where.

    Args:
        experiment: a YAML file, a mapping with the same keys, or what was loaded from either.
        out: a folder that does not exist yet, or several, of which the run gets the first that is free; None writes
            nothing.
        seed: replaces the seed of the file.
        data: the folder with the data sets that are not shipped.

    Raises:
        HwsimError: the file is invalid, the data is missing, or the folder cannot be written.
    """
    asked = experiment if isinstance(experiment, Experiment) else config.load(experiment)
    if seed is not None:
        if not 0 <= seed <= documents.MOST:
            raise ConfigError(f"seed ({seed}): must be at least 0, and at most {documents.MOST}")
        asked = asked.model_copy(update={"seed": seed})
    asked = chosen(asked, data)
    if out is None:
        return simulate(asked, data=data, progress=progress)
    names = [Path(out)] if isinstance(out, str | Path) else out
    with written_whole(names) as unfinished:
        result = simulate(asked, data=data, progress=progress)
        result.write(unfinished.path)
    result.folder = unfinished.folder
    return result


BuildDataset = Callable[[Any, int, Path | None], Dataset]
"""Gives the data of a task, as `hwsim.tasks.build` does."""


@one_thread()
def simulate(
    experiment: Experiment,
    build_dataset: BuildDataset | None = None,
    data: str | Path | None = None,
    progress: RunProgress = lambda system, what, done, total: None,
    needed: Footprint | None = None,
) -> Run:
    """Run an experiment and write nothing.

    Args:
        build_dataset: gives the data instead of `hwsim.tasks.build`.
        needed: the footprint of the experiment, if it is known.

    Raises:
        HwsimError: the memory of this computer is too small, a rule cannot run on its machine, or data is missing.
    """
    try:
        (needed or footprint(experiment)).check()
    except CapabilityError as error:
        raise lacking(experiment) or error from None
    dataset = (build_dataset or tasks.build)(experiment.task, experiment.seed, None if data is None else Path(data))
    ledgers: list[Costs] = []
    targets: dict[bool, Gradient] = {True: {}, False: {}}  # at weights that are given, and at those that are drawn
    for name, options in experiment.systems().items():
        system = System(experiment, name, options, dataset, targets[options.weights_from is not None])
        system.run(lambda what, done, total, name=name: progress(name, what, done, total))  # type: ignore[misc]
        system.outcome.repairs = repaired(system)
        ledgers.append(Costs(system))
    return Run(experiment, summarised(experiment, ledgers), ledgers)


def summarised(experiment: Experiment, ledgers: list[Costs]) -> Summary:
    """The summary of finished systems, each by itself and beside the others."""
    systems = {costs.system.name: described(costs) for costs in ledgers}
    least = _constant(ledgers)
    beside = {"differences": list(_differences(ledgers)), **_reached(ledgers, systems, least), **least}
    if least:
        simple = averages(experiment.task.name, ledgers[0].system.dataset)
        beside |= {} if simple is None else {"averaged": simple}
    return Summary.model_validate({**heading(experiment), **beside, "systems": systems})


def _differences(ledgers: list[Costs]) -> Iterator[dict[str, Any]]:
    """Each two systems, compared in pairs; those with chips that are lost are left out."""
    tested = {costs.system.name: score for costs in ledgers if (score := costs.outcome.score) is not None}
    whole = {name: score for name, score in tested.items() if np.isfinite(score.loss).all()}
    for (first, one), (second, other) in combinations(whole.items(), 2):
        if one.right is not None and other.right is not None:
            found: Uncertain | None = accuracy.difference(one.right, other.right)
        else:
            found = accuracy.difference_of_losses(one.loss, other.loss)
        if found is not None:
            quantity = "loss" if one.right is None else "accuracy"
            yield {"quantity": quantity, "first": first, "second": second, **found._asdict()}


def _constant(ledgers: list[Costs]) -> dict[str, Any]:
    """The best constant answer to the test, if there was one; all systems have the same test and the same loss."""
    tested = next((costs.system for costs in ledgers if costs.outcome.score is not None), None)
    if tested is None:
        return {}
    test = tested.dataset.test
    return {"constant": constant(test, tested.network.loss_for(test))}


def _reached(ledgers: list[Costs], systems: Mapping[str, dict[str, Any]], beside: Mapping[str, Any]) -> dict[str, Any]:
    """The target of a training; what it took to reach it is entered at each system."""
    metrics = pd.DataFrame((row for costs in ledgers for row in recording.metrics(costs)), columns=METRICS)
    lost = [name for name, system in systems.items() if system["diverged"]]
    of = reaching.quantity(metrics)
    least = beside.get("constant", {}).get(of)
    target = reaching.default_target(reaching.tests(metrics, of), without=lost, of=of, constant=least)
    if target is None:
        return {}
    for name, found in reaching.reaching(metrics, target).items():
        at, before = found.at, found.before
        systems[name]["reached"] = at and {
            "updates": at.updates,
            "updates_before": before and before.updates,
            "energy_j": at.energy,
            "time_s": at.seconds,
            "writes_per_device": at.writes,
            "chips": sum(chip is not None for chip in found.chips),
        }
    return {"target": target.value}


def heading(experiment: Experiment) -> dict[str, Any]:
    """The keys of `summary.json` before its systems."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": experiment.name,
        "seed": experiment.seed,
        "hwsim_version": hwsim.__version__,
        "config_sha256": documents.fingerprint(experiment.resolved()),
    }


def described(costs: Costs) -> dict[str, Any]:
    """The summary of one system."""
    system, outcome = costs.system, costs.outcome
    result: dict[str, Any] = {
        "rule": system.options.learning.name,
        "machine": system.options.machine.name,
        "analog": system.machine.is_analog,
        "bound": system.machine.bound,
        "chips": system.machine.chips,
        "loss": None if outcome.score is None else _spread(outcome.score.loss),
        "accuracy": None,
        "gradient": outcome.gradient,
        "trained": outcome.checks,
        "horizon": None,
        "energy": costs.energy(),
        "memory": costs.memory(),
        "work": costs.work(),
        "time": costs.time(),
        "efficiency": costs.efficiency(),
        "weights": _worn(costs),
        "signal_health": accounting.health(system.machine, outcome.saturation),
        "diverged": outcome.diverged,
        "diagnostics": [],
    }
    if outcome.score is not None:
        result["accuracy"] = _accuracy(outcome.score)
        if outcome.score.measured:
            result["measures"] = {name: _spread(values) for name, values in outcome.score.measured.items()}
    if outcome.aged:
        repairs = outcome.repairs or [None] * len(outcome.aged)
        result["aged"] = [_age(costs, *each) for each in zip(outcome.aged, repairs, strict=True)]
    if outcome.activity is not None:
        result["spiking"] = {**outcome.activity.summary(), **_each(costs, result)}
        if system.experiment.event_driven is not None:
            from hwsim.experiments.on_event_cores import on_event_cores  # it loads SciPy and SimPy

            found = on_event_cores(
                system.experiment.event_driven, system.network, outcome.activity, system.dataset.test
            )
            result["spiking"]["on_event_cores"] = found
    if outcome.reports:
        result |= _reported(outcome.reports[0], outcome.reports[-1])
    return result


def _worn(costs: Costs) -> dict[str, Any] | None:
    """Writes of devices, those that do not work, and how long the others last; None for machines without devices."""
    writes = costs.writes()
    return None if writes is None else {**writes, **lifetime(costs)}


def _accuracy(score: Score) -> dict[str, Any] | None:
    """The accuracy of a test, with its uncertainty if all chips are finite; None without classes."""
    if score.accuracy is None:
        return None
    found = _spread(score.accuracy)
    if score.right is not None and np.isfinite(score.right).all():
        found["uncertainty"] = accuracy.accuracy(score.right)._asdict()
    return found


def _age(costs: Costs, aged: Aged, repair: Repair | None) -> dict[str, Any]:
    """A system at one age of its devices."""
    found: dict[str, Any] = {
        "after_s": aged.after,
        "conductance": float(np.median(aged.conductance)),
        "drifted": {**_tested(aged.plain), **costs.taken(aged.work[0])},
    }
    if aged.compensated is not None:
        taken = costs.taken(aged.work[1])
        found["compensated"] = {**_tested(aged.compensated), **taken, "memory_bytes": aged.words / 8}
    if repair is not None:
        found["repaired"] = {**_tested(repair.score), "energy_j": repair.energy, "time_s": repair.seconds}
    return found


def _tested(score: Score) -> dict[str, Any]:
    return {"loss": _spread(score.loss), "accuracy": _accuracy(score)}


def _each(costs: Costs, found: dict[str, Any]) -> dict[str, Any]:
    """What an inference and a learning step take on the machine itself."""
    return {
        "energy_j": found["energy"]["inference_j_per_sequence"],
        "latency_s": costs.latency() or None,
        "learning_step_j": found["energy"]["training_step_j"] if costs.system.experiment.training else None,
        "learning_step_s": found["time"].get("training_step_s") or None if costs.system.experiment.training else None,
    }


def _reported(first: Report, last: Report) -> dict[str, Any]:
    """The horizon and the diagnostics of the last report, with those of the first beside them."""
    horizon, start = None, {each.name: each for each in first.diagnostics}
    if last.horizon is not None:
        at_start = None if first.horizon is None else _reach(first.horizon)
        residual = last.value("end_residual") or {}
        horizon = {**_reach(last.horizon), "end_residual": residual, "at_start": at_start}
    diagnostics = [
        {**each._asdict(), "at_start": start[each.name]._asdict() if each.name in start else None}
        for each in last.diagnostics
    ]
    return {"horizon": horizon, "diagnostics": diagnostics}


def _reach(horizon: Horizon) -> dict[str, Any]:
    return {
        **horizon._asdict(),
        "fresh_error": horizon.fresh_error,
        "frozen_error": horizon.frozen_error,
        "fresh_steps": horizon.fresh_steps,
        "frozen_steps": horizon.frozen_steps,
        "fits": horizon.fits,
    }


def _spread(values: np.ndarray) -> dict[str, Any]:
    """The median over the chips with finite values, the value of each chip, and the number of chips without one."""
    finite = values[np.isfinite(values)]
    median = float(np.median(finite)) if len(finite) else None
    return {
        "median": median,
        "per_chip": [float(value) for value in values],
        "non_finite": len(values) - len(finite),
    }
