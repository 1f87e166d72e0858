"""Plans: which rules can carry an experiment, before anything is simulated.

Whether a rule can run, and what it costs, an estimate says. What its gradient leaves out by itself, a rehearsal says:
of the rule with the initial weights, along a batch of the task, in exact arithmetic. What errors of the machine make of
that, closed forms say, in the eigenvalues of the network and the sizes of its signals in the rehearsal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from math import inf, isnan
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import learning, networks, quantities, tasks
from hwsim.accounts.memory import ACCUMULATORS, MASTER, OPTIMIZER, WEIGHTS
from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment, Learner
from hwsim.episode import Episode
from hwsim.errors import ConfigError, HwsimError
from hwsim.experiments.alignment import Modes, Task
from hwsim.experiments.estimate import described_alone, sketched
from hwsim.experiments.left_out import LeftOut
from hwsim.experiments.length import Length
from hwsim.experiments.look import Outside
from hwsim.experiments.one_thread import one_thread
from hwsim.experiments.prediction import Forms, Prediction
from hwsim.experiments.prospect import Sizes, modes, sizes
from hwsim.experiments.settling import exact_network, network_on
from hwsim.experiments.system import FEW
from hwsim.learning.keeps import Directions, Keeps
from hwsim.machine import Expectations
from hwsim.networks import Network
from hwsim.results.plan import GOOD, Candidate, Plan, State, ranked

EQUAL = (WEIGHTS, MASTER, OPTIMIZER, ACCUMULATORS)
"""Classes of memory that hold weights, and what becomes of them: not what a sequence takes."""

_EXPLODED = 30.0
"""Errors that grow by more than e to this power over a sequence are beyond closed forms of numbers."""

LONGEST = 512
"""Steps of a sequence, at most, along which the network is rehearsed."""

_STEPS = 8192
"""Steps of all sequences of a rehearsal, about, at most: signals of all of them are kept."""

_OPERATIONS, _BYTES = 4e9, 1e9
"""What a rule may take of a computer in a rehearsal; of rules that take more, closed forms say what they leave out."""


Progress = Callable[[int, int], None]


@one_thread()
def plan(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    *,
    memory: str | float | None = None,
    good: float = GOOD,
    expected: Expectations | None = None,
    data: str | Path | None = None,
    progress: Progress = lambda done, total: None,
) -> Plan:
    """Which rules can carry an experiment on its machine; references are left out.

    Args:
        experiment: a YAML file, a mapping with the same keys, or what was loaded from either.
        memory: what a sequence may take besides weights and their gradient, as `"20 kB"` or in bytes; None for any.
        good: the smallest cosine with the exact gradient that is good enough.
        expected: statistics of values that energy depends on; see `estimate`.
        data: the folder with the data sets that are not shipped.
        progress: called with the number of rules that are done, and of all.

    Raises:
        HwsimError: something is wrong with the file, or data is missing.
    """
    asked = experiment if isinstance(experiment, Experiment) else config.load(experiment)
    if not 0 < good <= 1:
        raise ConfigError(f"good ({good}): a cosine above 0, and at most 1")
    budget = in_bytes(memory)
    prospect = Prospect(asked, data)
    tried, found = list(prospect.tried()), list[Candidate]()
    for done, options in enumerate(tried):
        progress(done, len(tried))
        found.append(_judged(prospect, options, budget, good, expected))
    return Plan(
        asked.name,
        asked.machine.name,
        prospect.episode.steps,
        prospect.batch,
        budget,
        good,
        {name: (min(each), max(each)) for name, each in prospect.rates.items()},
        ranked(found),
    )


def in_bytes(memory: str | float | None) -> float | None:
    """A memory in bytes.

    Raises:
        ConfigError: it is no amount of memory.
    """
    if memory is None:
        return None
    try:
        found = quantities.parse(memory, "byte", "20 kB") if isinstance(memory, str) else float(memory)
    except ValueError as error:
        raise ConfigError(f"memory ({memory}): {error}") from None
    if not 0 < found < float("inf"):
        raise ConfigError(f"memory ({memory}): an amount above zero, such as 20 kB")
    return found


class Prospect:
    """What is known of an experiment before anything runs.

    Attributes:
        alone: the experiment without references and tests.
        rehearsed: the sequences of a batch, as far as they are rehearsed.
        episode: a few of them.
    """

    def __init__(self, asked: Experiment, data: str | Path | None) -> None:
        check = asked.gradient_check
        if asked.training is None and check is None:
            check = config.GradientCheckOptions()
        without = {"references": [], "test": False, "deploy": None, "event_driven": None, "gradient_check": check}
        self.alone = asked.model_copy(update=without)
        if asked.training is not None:
            short = asked.training.model_copy(update={"test_every": None})
            self.alone = self.alone.model_copy(update={"training": short})
        whole = tasks.build(asked.task, asked.seed, None if data is None else Path(data)).train
        self.outline = tasks.outline(asked.task)
        sequences = min(self.batch, max(FEW, _STEPS // min(whole.steps, LONGEST)))
        some = networks.judged(asked.network, whole.select(slice(0, sequences)))
        self.task = Task(some.steps, some.loss_from)
        self.rehearsed = some if some.steps <= LONGEST else shortened(some, LONGEST)
        self.episode = self.rehearsed.select(slice(0, FEW))
        self.left_out = LeftOut(self.alone, self.rehearsed)
        self.steps = some.steps
        self.called = asked.called

    @property
    def batch(self) -> int:
        training, check = self.alone.training, self.alone.gradient_check
        most = self.outline.train.batch
        return min(most, training.batch if training else check.sequences if check else 1)

    @property
    def updates(self) -> int:
        """Number of batches that are learned from; 1 without training."""
        training = self.alone.training
        return Length.of(training, self.outline.train.batch).updates if training else 1

    @property
    def machine(self) -> Any:
        return self.alone.machine

    @cached_property
    def exact(self) -> Network:
        """The network on an ideal machine."""
        return exact_network(self.alone, frozenset({"transposed"}), self.episode)

    @cached_property
    def sizes(self) -> Sizes:
        return sizes(self.exact, self.rehearsed)

    @cached_property
    def rates(self) -> dict[str, tuple[float, ...]]:
        look = Outside(self.exact, lambda: exact_network(self.alone, frozenset(), self.episode), self.episode)
        found = look.rates()
        look.close()
        return found

    def tried(self) -> Iterator[dict[str, Any]]:
        """The options of rules that are tried: those of the experiment, then those that rules have by themselves."""
        own = self.alone.learning
        if own.name != "auto":
            yield {"name": own.name, **own.model_dump(mode="json", exclude_defaults=True, exclude={"name"})}
        width = min(layer.cell.width for layer in self.exact.layers)
        for name in learning.RULES:
            for options in learning.implementation_of(name).tried(self.steps, width, len(self.exact.layers)):
                if name != own.name or learning.options({"name": name, **options}) != own:
                    yield {"name": name, **options}

    def candidate(self, options: dict[str, Any]) -> tuple[Experiment, Learner]:
        """The experiment with a rule.

        Raises:
            HwsimError: the rule does not go with its machine, network or update scheme.
        """
        experiment = self.alone.learned_by(learning.options(options))
        return experiment, experiment.systems()[self.called]

    def expected(
        self, experiment: Experiment, system: Learner, costs: Mapping[str, Any] | None = None
    ) -> Prediction | str:
        """What is expected of the gradient of a rule, or why it is not predicted.

        Args:
            costs: the summary of an estimate of it. A rule that takes too much there is not carried out in exact
                arithmetic: closed forms say what it leaves out.

        Raises:
            HwsimError: the rule cannot run.
        """
        rule = learning.build(system.learning)
        network = network_on(experiment, system.machine, rule.uses, self.episode)
        try:
            rule.check(network)
            rule.fits(self.steps)
            if not self.rates:
                return "the initial weights are no finite numbers"
            look = Outside(network, lambda: exact_network(experiment, rule.uses, self.episode), self.episode)
            look.steps = self.steps
            rule = rule.settle(look)
            look.close()
            return self._predicted(network, rule, costs)
        finally:
            network.machine.release()

    def _predicted(self, network: Network, rule: learning.Rule, costs: Mapping[str, Any] | None) -> Prediction | str:
        kept = list[Keeps]()
        for layer in network.layers:
            rates = self.rates[layer.name]
            if layer.cell.membranes is not None:
                return f"{layer.name} has spikes, which the closed forms of linear modes do not describe"
            if any(isnan(rate) or rate == -inf for rate in rates):
                return f"rates at which {layer.name} forgets are no numbers"
            if min(rates) * self.steps < -_EXPLODED:
                return f"exact errors of {layer.name} explode over a sequence"
            each = rule.keeps(Directions(layer.name, rates, not layer.cell.dense, self.task.loss_from), self.steps)
            if isinstance(each, str):
                return each
            kept.append(each)
        seen = Task(self.episode.steps, self.episode.loss_from)
        layers = modes(network.machine, self.machine, self.exact, self.rates, self.sizes, kept, seen)
        layers[0] = self._as_seen(layers[0])
        forms = Forms([layer.name for layer in network.layers], layers, kept, self.task, self.sizes.gradient)
        if not forms.exactly or (costs is not None and self._takes_long(costs)):
            return Prediction(forms)
        return Prediction(forms, self.left_out.by(rule.at(self.updates - 1, self.updates)))

    def _takes_long(self, costs: Mapping[str, Any]) -> bool:
        """Whether a computer takes long for the gradients of the rehearsal, or much memory."""
        sequences = self.rehearsed.batch * self.rehearsed.steps / self.steps
        return bool(
            sequences * costs["work"]["operations"] > _OPERATIONS or sequences * bytes_of_sequence(costs) > _BYTES
        )

    def _as_seen(self, lowest: Modes) -> Modes:
        """The first layer with inputs that saturate at the full scale of their converters."""
        ranges = getattr(getattr(self.machine, "parts", None), "ranges", None)
        if ranges is None or ranges.own is not None:
            return lowest
        x = self.episode.inputs.astype(float)
        seen, power = np.clip(x, -ranges.input, ranges.input), float((x**2).mean())
        if not power:
            return lowest
        return lowest._replace(
            input_gain=float((x * seen).mean()) / power, input_square=float((seen**2).mean()) / power
        )


def _judged(
    prospect: Prospect, options: dict[str, Any], budget: float | None, good: float, expected: Expectations | None
) -> Candidate:
    """One candidate, with what it costs and what is expected of it."""
    try:
        experiment, system = prospect.candidate(options)
        costs = sketched(experiment, prospect.called, system, prospect.outline, expected)
        summary = described_alone(costs)
        prediction = prospect.expected(experiment, system, summary)
    except HwsimError as error:
        return Candidate(options, "refused", _plain(str(error), prospect.called))
    taken = bytes_of_sequence(summary)
    state, reason = _state(prediction, good, taken, budget)
    energy, trained = summary["energy"], experiment.training is not None
    return Candidate(
        options,
        state,
        reason,
        {} if isinstance(prediction, str) else prediction.cosines,
        energy["training_step_j"] if trained else energy["gradient_j_per_sequence"],
        summary["time"].get("training_step_s") if trained else summary["time"].get("sequence_s"),
        taken,
        summary["memory"]["peak_bytes"],
        summary["weights"]["writes_per_device"] if trained and summary["weights"] else None,
    )


def bytes_of_sequence(summary: Mapping[str, Any]) -> int:
    """Bytes that a sequence takes."""
    held = summary["memory"]["most_by_class"]
    return sum(held.values()) - sum(held.get(each, 0) for each in EQUAL)


def _state(prediction: Prediction | str, good: float, taken: int, budget: float | None) -> tuple[State, str]:
    poor = f"not predicted: {prediction}" if isinstance(prediction, str) else prediction.reason(good)
    if budget is not None and taken > budget:
        larger = f"takes {quantities.si(taken, 'B')} of {quantities.si(budget, 'B')}"
        return "too large", f"{larger}; {poor}" if poor else larger
    if isinstance(prediction, str):
        return "unknown", poor
    return ("poor", poor) if poor else ("fits", "")


def _plain(message: str, system: str) -> str:
    """The first line of an error, without the name of the system."""
    return message.splitlines()[0].removeprefix(f"{system}: ")


def shortened(episode: Episode, steps: int) -> Episode:
    """The last steps of sequences."""
    cut = episode.steps - steps
    by_step = episode.target_per_step
    return replace(
        episode,
        inputs=episode.inputs[:, cut:],
        labels=episode.labels[:, cut:] if by_step and episode.labels is not None else episode.labels,
        values=episode.values[:, cut:] if by_step and episode.values is not None else episode.values,
        mask=None if episode.mask is None else episode.mask[:, cut:],
        loss_from=max(0, episode.loss_from - cut),
        free_from=None if episode.free_from is None else max(1, episode.free_from - cut),
        lanes=0,
        continues=False,
    )
