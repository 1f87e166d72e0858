"""What limits a machine: each of its imperfections is switched off, and doubled, alone.

All machines that differ so have the same seeds and the same chips: the same initial weights, batches, devices and
streams of noise. So differences to the machine as it is are paired, and most of the chance cancels in them.

Chips that differ in an imperfection stand side by side where their units can (`Imperfection.side_by_side`): they share
the data, the passes, the schedule and the draws. Others run on their own. Either way they give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from hwsim import imperfection, learning, machines, tasks
from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment, GradientCheckOptions, Learner, Training
from hwsim.episode import Episode
from hwsim.errors import ConfigError, HwsimError, MemoryEstimateError
from hwsim.experiments import gradient_check
from hwsim.experiments.evaluation import Score
from hwsim.experiments.footprint import footprint
from hwsim.experiments.gradient_check import Gradient
from hwsim.experiments.one_thread import one_thread
from hwsim.experiments.rehearsal import rehearse
from hwsim.experiments.system import System
from hwsim.imperfection import Found
from hwsim.learning import Rule
from hwsim.machine import Machine, Matrix
from hwsim.results.limits import CHANGE, CHANGES, COSINE, LOSS, Limits, Measured, Method, limit
from hwsim.tasks import Dataset

SEEDS, CHIPS, UPDATES = 3, 4, 60
"""How much is simulated, unless something else is asked for."""

GRADIENTS = 8
"""Gradients, at most, that the cosine is a mean over: each of other sequences, with fresh noise of its own."""

TESTED = 512
"""Sequences of the test set, at most, that the loss is of."""

_SIDE_BY_SIDE = 96
"""Chips that are simulated together, at most: more take more memory, and no less time each."""

Progress = Callable[[int, int], None]
ExactGradients = list[tuple[Episode, Gradient]]
Changes = dict[str, np.ndarray]
"""What a training has changed each matrix by, `(chips, rows, columns)`."""
Exact = ExactGradients | Changes
"""What is compared with; if it is changes, the change by pulses is measured in place of the gradient."""


class Variant(NamedTuple):
    """A machine with one imperfection changed, or the machine as it is.

    Attributes:
        machine: its options.
        key: of the imperfection; empty for the machine as it is.
        change: how it is changed.
    """

    machine: Any
    key: str = ""
    change: str = ""


@one_thread()
def limits(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    *,
    measure: Literal["cosine", "change"] = "cosine",
    seeds: int = SEEDS,
    chips: int | None = None,
    updates: int = UPDATES,
    data: str | Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Limits:
    """Find what limits the substrate of an experiment; its references are left out.

    Args:
        experiment: a YAML file, a mapping with the same keys, or what was loaded from either.
        measure: what is measured besides the loss: the cosine of the gradient with the exact one; or that of the
            `change` that pulses make in place, in the training, with the exact change by the same updates.
        seeds: how many, from that of the experiment on.
        chips: of each seed; by default those of the experiment, but at least 4.
        updates: length of the training that the loss is measured after, with the experiment's own optimizer and
            batches; its schedule of rates is fitted into them. Without a training in the experiment there is no loss.
        data: the folder with the data sets that are not shipped.
        progress: called with how much is done, of how much.

    Raises:
        HwsimError: the file is invalid, the rule cannot run on the machine, data or memory is missing, or the machine
            has no imperfection.
    """
    asked = experiment if isinstance(experiment, Experiment) else config.load(experiment)
    for name, value in (("seeds", seeds), ("chips", chips), ("updates", updates)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} ({value}): must be at least 1")
    if measure not in ("cosine", "change"):
        raise ConfigError(f"measure ({measure!r}): must be 'cosine' or 'change'")
    if measure == "change":
        require_pulses(asked)
    short = shortened(asked, max(CHIPS, asked.chips) if chips is None else chips, updates)
    found = list(imperfection.found(short.machine))
    lineups = list(_lineups(short, found))
    how = method(short, seeds)
    if measure == "change":
        how = how._replace(gradients=0)
    told = _Told(progress, seeds * sum(map(len, lineups)) * (how.gradients + (how.updates or 0)))
    shorts = [short.model_copy(update={"seed": seed}) for seed in how.seeds]
    of_seeds = [_of_seed(each, lineups, measure == "change", data, told) for each in shorts]
    measured = {place: _over_seeds([one[place] for one in of_seeds]) for place in of_seeds[0]}
    base = measured["", ""]
    return Limits(
        asked.name,
        asked.learning.name,
        short.machine.name,
        how,
        base,
        [
            limit(
                each, base, {change: measured[each.key, change] for change in CHANGES if (each.key, change) in measured}
            )
            for each in found
            if each.present
        ],
        [each.name for each in found if not each.present],
    )


def require_pulses(asked: Experiment) -> None:
    """Refuse experiments in which pulses change no weights in place, so that there is no change to measure.

    Raises:
        ConfigError: it is such an experiment.
    """
    if asked.training is None or asked.training.update.name != "in_situ":
        raise ConfigError(
            f"{asked.name}: pulses change no weights in place here; give `training.update: {{name: in_situ}}`, as the "
            "experiment in_place does, or measure by the cosine"
        )


def shortened(asked: Experiment, chips: int, updates: int) -> Experiment:
    """The substrate alone, with a short training."""
    check, training = asked.gradient_check or GradientCheckOptions(), asked.training
    if training is not None:
        training = training.model_copy(update={"epochs": None, "steps": updates, "test_every": updates})
    alone = {"gradient_check": GradientCheckOptions(sequences=check.sequences), "training": training, "test": True}
    return asked.model_copy(update={**alone, "references": [], "chips": chips})


def method(short: Experiment, seeds: int) -> Method:
    assert short.gradient_check is not None
    outline, training = tasks.outline(short.task), short.training
    sequences = min(short.gradient_check.sequences, outline.train.batch)
    return Method(
        [short.seed + more for more in range(seeds)],
        short.systems()[short.called].chips_simulated,
        sequences,
        min(GRADIENTS, outline.train.batch // sequences),
        None if training is None else training.steps,
        None if training is None else min(training.batch, outline.train.batch),
        None if training is None else min(TESTED, outline.test.batch),
    )


def _lineups(short: Experiment, found: Sequence[Found]) -> Iterator[list[Variant]]:
    """The machine as it is and all others, those together that can stand side by side.

    Raises:
        ConfigError: there are no others.
    """
    together, apart = [Variant(short.machine)], list[Variant]()
    for each in found:
        for change, machine in zip(CHANGES, (each.off, each.doubled), strict=True):
            if machine is not None:
                (together if each.side_by_side else apart).append(Variant(machine, each.key, change))
    if len(together) + len(apart) == 1:
        raise ConfigError(
            f"{short.name}: {short.machine.name} has no imperfections that are modelled; nothing limits it"
        )
    most = most_side_by_side(short, len(together))
    for start in range(0, len(together), most):
        yield together[start : start + most]
    yield from ([variant] for variant in apart)


def most_side_by_side(short: Experiment, wanted: int = _SIDE_BY_SIDE) -> int:
    """How many machines can be simulated side by side, of so many that are wanted.

    Raises:
        MemoryEstimateError: not even one of them fits into the memory of this computer.
    """
    alone = learning.build(short.learning).settles  # by the errors of the machine that it is on
    alone |= not machines.kind_of(short.machine).is_analog
    return _fitting(short, 1 if alone else min(max(1, _SIDE_BY_SIDE // short.chips), wanted))


def _fitting(short: Experiment, most: int) -> int:
    """How many machines side by side fit into the memory of this computer, of so many at most.

    Raises:
        MemoryEstimateError: not even one does.
    """
    while True:
        try:
            footprint(short.model_copy(update={"chips": short.chips * most})).check()
        except MemoryEstimateError:
            if most == 1:
                raise
            most //= 2
        else:
            return most


class _Told:
    """Tells how much is done, of how much."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._before = progress, total, 0
        progress(0, total)

    def __call__(self, done: int, over: bool = False) -> None:
        """So much of the present line-up is done, which may be over."""
        self._progress(self._before + done, self._total)
        self._before += done if over else 0


def _of_seed(
    short: Experiment, lineups: list[list[Variant]], by_change: bool, data: str | Path | None, told: _Told
) -> dict[tuple[str, str], Measured]:
    """What was measured with one seed, by the imperfection and its change: arrays over chips.

    Args:
        by_change: whether the change by pulses is measured, in place of the gradient.
    """
    whole = tasks.build(short.task, short.seed, None if data is None else Path(data))
    dataset = whole._replace(test=whole.test.select(slice(0, TESTED)))
    ((name, options),) = short.systems().items()
    holds, results = rehearse(short, name, options, *dataset), dict[tuple[str, str], Measured]()
    one = Lineup(short, name, options, dataset, [short.machine])
    exact: Exact = one.exact_changes(short.training) if by_change and short.training else one.exact_gradients()
    for lineup in lineups:
        system = Lineup(short, name, options, dataset, [variant.machine for variant in lineup])
        for variant, measured in zip(lineup, system.measured(exact, holds, told), strict=True):
            results[variant.key, variant.change] = measured
    return results


def _over_seeds(found: list[Measured]) -> Measured:
    """Values `(seeds, chips)`."""
    return {name: np.stack([one[name] for one in found]) for name in found[0]}


class Lineup(System):
    """Machines side by side, which differ in imperfections: the same chips of each.

    Args:
        each: the options of each machine.
        after: gradients are those after a wait of so many seconds.
        compensated: whether outputs of each matrix are then multiplied by a factor; see `TileArray.wait`.
    """

    def __init__(
        self,
        experiment: Experiment,
        name: str,
        options: Learner,
        dataset: Dataset,
        each: Sequence[Any],
        after: float | None = None,
        compensated: bool = False,
    ) -> None:
        self._each, self._lost, self._after, self._compensated = each, set[int](), after, compensated
        alone = options if len(each) > 1 else options.model_copy(update={"machine": each[0]})
        super().__init__(experiment, name, alone, dataset, {})

    def exact_gradients(self) -> ExactGradients:
        """The episodes that gradients are compared on, the first of the training set, with their exact gradients."""
        assert self.experiment.gradient_check is not None
        train = self.dataset.train
        size = min(self.experiment.gradient_check.sequences, train.batch)
        starts = range(0, train.batch - size + 1, size)[:GRADIENTS]
        episodes, exact = [train.select(slice(start, start + size)) for start in starts], self._exact(1)
        gradients = gradient_check.at_targets(exact, episodes)
        exact.machine.release()
        return list(zip(episodes, gradients, strict=True))

    def measured(self, exact: Exact, holds: Any, told: _Told) -> list[Measured]:
        """The cosine of each machine's gradients or changes, and its loss after the training, on each chip."""
        count, training = len(self._each), self.experiment.training
        gradients = 0 if isinstance(exact, dict) else len(exact)
        try:
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                if isinstance(exact, dict):
                    assert training is not None
                    changed = self.changed(training, exact, holds, lambda done: told(count * done))
                    found = {CHANGE.name: changed, LOSS.name: self._score().loss}
                else:
                    found = {COSINE.name: self.cosines(exact, holds, lambda done: told(count * done))}
                    if training is not None:
                        score = self.trained(training, holds, lambda done: told(count * (gradients + done)))
                        found[LOSS.name] = score.loss
        except HwsimError as error:
            raise type(error)(f"{self.name}: {error}") from None
        told(count * (gradients + self.updates), over=True)
        return [{name: values.reshape(count, -1)[number] for name, values in found.items()} for number in range(count)]

    def cosines(self, exact: ExactGradients, holds: Any, told: Callable[[int], None]) -> np.ndarray:
        """The mean over gradients, for each chip, one machine after another; NaN if one of them has none."""
        self._adopt(self._built(self.chips, holds, learns=True))
        rule, found = self.rule.at(0, self.updates), np.zeros(self.machine.chips)
        self._calibrate(rule, 0)
        chip = self.machine.devices
        with nullcontext() if self._after is None else chip.aged(self._after, self._compensated):
            for done, (episode, target) in enumerate(exact, 1):
                found += gradient_check.cosines(self.network, rule, target, episode)
                told(done)
        self.machine.release()
        return found / len(exact)

    def trained(self, training: Training, holds: Any, told: Callable[[int], None]) -> Score:
        """The test after training; the loss and the accuracy of chips whose learning diverged are NaN."""
        scheme = self.experiment.scheme(self.options)
        assert scheme is not None
        self._adopt(self._built(self.chips, holds, learns=True, scheme=scheme))
        self._train(training, scheme, lambda what, done, total: told(done))
        self.machine.release()
        return self._score()

    def _score(self) -> Score:
        """That of the test after the training."""
        score = self.outcome.score
        assert score is not None
        diverged = np.isin(np.arange(len(score.loss)), sorted(self._lost))
        accuracy = None if score.accuracy is None else np.where(diverged, np.nan, score.accuracy)
        return score._replace(loss=np.where(diverged, np.nan, score.loss), accuracy=accuracy)

    def exact_changes(self, training: Training) -> Changes:
        """What the same training changes each matrix by on an ideal machine, where pulses are as large as asked for."""
        ideal = machines.MACHINES["ideal"].Options(kind="ideal", name="ideal")
        update = type(training.update)(name="in_situ")
        exact = training.model_copy(update={"update": update})
        options = self.options.model_copy(update={"machine": ideal})
        alone = self.experiment.model_copy(update={"chips": 1, "training": exact})
        return Lineup(alone, self.name, options, self.dataset, [ideal])._changes(exact, {})

    def changed(
        self, training: Training, exact: Changes, holds: Any, told: Callable[[int], None] = lambda done: None
    ) -> np.ndarray:
        """The cosine of what pulses change with the exact change, for each chip; NaN if nothing changes.

        A change is that of the weights that devices remember: the error of what was written last is not in it, since
        the next pulse draws it anew; what it does to errors and signals is.
        """
        found = self._changes(training, holds, told)
        mine = np.concatenate([found[name].reshape(len(found[name]), -1) for name in exact], axis=1)
        other = np.concatenate([change.reshape(1, -1) for change in exact.values()], axis=1)
        lengths = np.linalg.norm(mine, axis=1) * np.linalg.norm(other)
        return np.asarray(np.where(lengths > 0, (mine * other).sum(1), np.nan) / np.where(lengths > 0, lengths, 1))

    def _changes(self, training: Training, holds: Any, told: Callable[[int], None] = lambda done: None) -> Changes:
        """What a training changes each matrix by."""
        scheme = self.experiment.scheme(self.options)
        assert scheme is not None
        self._adopt(self._built(self.chips, holds, learns=True, scheme=scheme))
        before = self._remembered()
        self._train(training, scheme, lambda what, done, total: told(done))
        after = self._remembered()
        self.machine.release()
        return {name: after[name] - before[name] for name in before}

    def _remembered(self) -> Changes:
        """The weights of each matrix, by what remembers them."""
        arrays = self.machine.devices.arrays if self.machine.devices else None
        if arrays is not None:
            return {name: devices.remembered for name, devices in arrays.items()}
        matrices = (each for each in self.network.trainables if isinstance(each.holder, Matrix))
        return {each.name: each.master.value.astype(float).reshape(1, *each.shape) for each in matrices}

    # ---- what differs from a system that runs alone ----------------------------------------------------------

    def _stage(self, chips: int, strict: bool) -> Machine:
        if len(self._each) == 1:
            return super()._stage(chips, strict)
        return machines.build(
            self.options.machine,
            chips=[*range(chips)] * len(self._each),
            seed=self.experiment.seed,
            strict=strict,
            numerics=self.numerics,
            each=[machine for machine in self._each for _ in range(chips)],
        )

    def _report(self, rule: Rule, in_between: bool = False) -> None:
        """Nobody reads the reports of a rule here; but it may settle by them."""
        if self.rule.settles:
            super()._report(rule, in_between=True)

    def _test(self, updates: int, epoch: int, train_loss: np.ndarray | None) -> None:
        """Test at the end alone, if at all."""
        if updates and self.experiment.test:
            super()._test(updates, epoch, train_loss)

    def _note_divergence(self, updates: int, chips: list[int] | None = None) -> None:
        """Note each chip on which learning diverged, though it may go on to answer."""
        where = self.machine.holdings.divergence
        self._lost |= set(chips or (() if where is None else where.chips))
