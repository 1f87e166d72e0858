"""Forward propagation through time: weights are updated inside the sequence, held together by a dynamic regulariser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim.accounts.memory import OPTIMIZER, STATE
from hwsim.episode import Episode
from hwsim.errors import ConfigError
from hwsim.learning.keeps import Directions, Keeps
from hwsim.learning.rule import Rule
from hwsim.learning.span import Recall, Span
from hwsim.learning.update import Update
from hwsim.machine import Accumulator, Register, Signal, Step, Trainable, Workspace
from hwsim.networks import CrossEntropy, Network
from hwsim.operations import at_least, greater, largest, lookup, ones, total, where
from hwsim.records import ERROR, UPDATE

Count = Annotated[int, Field(ge=1)]


class Options(BaseModel, extra="forbid"):
    """Forward propagation through time, with updates inside the sequence. It needs no tape."""

    name: Literal["fptt"]
    parts: Annotated[
        Count | Literal["steps"],
        Field(description="K: parts that a sequence is cut into, with an update after each; `steps` is one per step"),
    ] = 10
    form: Annotated[
        Literal["code", "paper"],
        Field(
            description="`code` is what the authors released, which follows the gradient by λ; `paper` computes it a "
            "second time in each part, at the new weights"
        ),
    ] = "code"
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False, description="α: strength of the regulariser")] = 0.1
    beta: Annotated[float, Field(gt=0, le=1, description="β: share of the new weights in their average")] = 0.5
    rho: Annotated[float, Field(ge=0, le=1, description="ρ: share of λ that is left out of the loss")] = 0.0
    scale: Annotated[float, Field(gt=0, allow_inf_nan=False, description="c: factor on the quadratic term")] = 1.0
    oracle: Annotated[
        Literal["uniform", "class_statistics"],
        Field(
            description="what parts before the last should answer, beside the class, where a sequence has one class "
            "and one loss, at its end: all classes alike, or what was last answered there for this class by mistake. "
            "For values there is no other than `uniform`, which says nothing about them"
        ),
    ] = "uniform"
    uniform_updates: Annotated[
        int, Field(ge=0, description="batches at the start of training in which the oracle is `uniform` in any case")
    ] = 0
    restart: Annotated[
        Count | None,
        Field(description="batches after which weights are set to their averages, and λ to zero, again and again"),
    ] = None
    tested_at: Annotated[
        Literal["average", "weights"],
        Field(description="weights that tests are made at; for the average, units are programmed twice per test"),
    ] = "average"
    recall: Recall = "state"

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.form == "paper" and (self.beta, self.rho, self.scale) != (0.5, 0.0, 1.0):
            raise ValueError("beta, rho and scale are of form: code; in form: paper they are 1/2, 0 and 1")
        if self.parts == "steps" and self.oracle == "class_statistics":
            raise ValueError("oracle: class_statistics keeps a table per part; give parts as a number")
        return self


class FPTT(Rule):
    """After each of K parts of a sequence, one step of the optimiser on the part's loss l and a regulariser R.

    Errors go back to the start of the part and no further; the state goes on, whatever the weights have become. So the
    gradient leaves out how the weights act on the state before the part. R holds the weights near an average w̄ of
    themselves, so that all parts together get one solution. With λ = 0 and w̄ = w at first, in the released *code*:

        R = -(1 - ρ) ⟨w, λ⟩ + c α/2 ‖w - w̄‖²,  then  λ ← λ - α (w - w̄),  w̄ ← (1 - β) w̄ + β w - β/α λ

    Where a step minimises l + R with c = 1 and ρ = 0, λ is ∇l at the new weights. The *paper* writes this gradient,
    which takes a second pass over the part, at the new weights and from the same state:

        R = α/2 ‖w - w̄ - ∇l'/(2α)‖²,  then  ∇l' ← ∇l(w),  w̄ ← ½ (w̄ + w) - ∇l'/(2α)

    Source: Kag and Saligrama, "Training recurrent neural networks via forward propagation through time", ICML 2021, and
    their repository FPTT. The forms are not the same: expanded, the quadratic of the code is centred at w̄ + λ/α, that
    of the paper at w̄ + ∇l'/(2α).

    *Loss.* Where a sequence has one target y, and its loss at the end only, each part has the loss of its last step,
    with β_t = t / T. For a class it is β_t CE(y, ŷ_t) + (1 - β_t) CE(Q, ŷ_t): at first, what the oracle Q says counts
    more than y. Q is uniform; or for each class and part the answer to the sequence of this class that was last
    misclassified at the end of the part, in a batch the mean over those, and uniform until there is one. (The
    repository divides this term by the number of classes once more.)

    For a value it is β_t ½ ‖ŷ_t - y‖². An oracle Q would be a distribution of values, and ½ E_Q ‖ŷ_t - q‖² has the
    gradient ŷ_t - E_Q q; a uniform one over all values has no mean, and the limit of ever wider ones, each as likely as
    the others, pulls nowhere. The repository's adding task has the same loss, with a slip, (p + 1/K) for (p + 1)/K in
    part p from 0, and without the regulariser. Everywhere else, the loss of a part is that of its steps, if any.

    *Weights.* Tests are made at w̄. The repository sets w ← w̄ and, in most of its experiments, λ ← 0 at the end of each
    epoch, before it tests: `restart` does so after as many batches.

    *Memory and time.* 3 P numbers for P parameters, with w. Errors go back at the end of a part along delay lines of
    its states and inputs, see `Span`, so there is no tape, and with one part per step there are no lines either. All
    T / K steps back are part of the last step of a part, which takes as much longer; in an estimate too. The units are
    programmed K times per batch. Parts differ in length by one step at most, the longer ones first.
    """

    updates_once = False

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.average: dict[Trainable, Register] = {}
        self.pull: dict[Trainable, Register] = {}
        """λ; in the paper's form the last gradient."""
        self.statistics: Statistics | None = None

    @property
    def uses(self) -> frozenset[str]:
        return frozenset(() if self.options.parts == "steps" else {"transposed"})

    @property
    def shortest(self) -> int:
        parts = self.options.parts
        return 2 * parts if isinstance(parts, int) else 1  # so that there are parts of more than a step

    def fits(self, steps: int) -> None:
        parts = self.options.parts
        if isinstance(parts, int) and parts > steps:
            raise ConfigError(
                f"learning.parts: {parts} parts, and a sequence has {steps} steps; at most {steps} are possible, which "
                "is one per step, as with `steps`"
            )

    def check(self, network: Network) -> None:
        if network.machine.pulsed and (self.options.restart is not None or self.options.tested_at == "average"):
            raise ConfigError(
                "learning.tested_at: units are programmed to averages of the weights, and under this update scheme "
                "pulses alone change them; take `tested_at: weights` without restart, or `update: {name: accumulate}`"
            )

    def prepare(self, network: Network) -> None:
        self.average = {w: w.slot(f"{w.name} average", OPTIMIZER) for w in network.trainables}
        self.pull = {w: w.slot(f"{w.name} lambda", OPTIMIZER) for w in network.trainables}
        for _ in network.machine.phase("averages"):
            for w, average in self.average.items():
                average.store(w.master.load())
        if self.options.oracle == "class_statistics":
            self.statistics = Statistics(network, self.options.parts - 1)

    def at(self, update: int, updates: int) -> FPTT:
        every, changed = self.options.restart, dict[str, Any]()
        if every is not None and every > 1:
            changed["restart"] = None if (update + 1) % every else 1
        if update < self.options.uniform_updates:
            changed["oracle"] = "uniform"
        return self.but(**changed) if changed else self

    # ---- learning --------------------------------------------------------------------------------------------

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        return [{}] if steps >= 10 else [{"parts": "steps"}]

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        return "it follows a gradient of its own, of losses with a pull to an average of the weights"

    def gradients(self, network: Network) -> None:
        """The sum of the gradients of all parts at the same weights, without the regulariser."""
        with network.machine.workspace() as workspace:
            span, parts = self._span(network, workspace)
            for part in network.machine.rounds(parts):
                self._show(network, span, "part", part, parts.index(part))
        network.finish_gradient()

    def learn(self, network: Network, update: Update) -> None:
        machine, paper = network.machine, self.options.form == "paper"
        episode = machine.episode
        parts = self._parts(episode.steps)
        with machine.workspace(keep_inputs=len(parts[0]) if paper else False) as workspace:
            span, _ = self._span(network, workspace)
            again = Again(span, workspace) if paper else None
            collects = self.statistics if self._oracle(episode) == "class_statistics" else None
            for part in machine.rounds(parts):
                number = parts.index(part)
                losses = episode.batch if self._oracle(episode) else max(episode.losses_in(part), 1)
                if again:
                    again.begin()
                self._show(network, span, "part", part, number, collects)
                network.finish_gradient()
                if collects and number < len(parts) - 1:
                    collects.end(number)
                update(losses, self._regularised)
                if again:
                    again.turn_back()
                    self._show(network, span, "part again", part, number)
                    network.finish_gradient()
                    self._average_by_gradient(network, losses)
                    again.go_on()
                else:
                    self._average(network)
        if self.options.restart == 1:
            self._restart(network)

    def _parts(self, steps: int) -> list[range]:
        count = min(self.options.parts, steps) if isinstance(self.options.parts, int) else steps
        length, longer = divmod(steps, count)
        starts = [number * length + min(number, longer) for number in range(count + 1)]
        return [range(start, end) for start, end in pairwise(starts)]

    def _span(self, network: Network, workspace: Workspace) -> tuple[Span, list[range]]:
        episode = network.machine.episode
        parts, losses = self._parts(episode.steps), 1 if self._oracle(episode) else episode.loss_steps
        return Span(network, workspace, len(parts[0]), losses, self.options.recall), parts

    def _show(
        self, network: Network, span: Span, name: str, part: range, number: int, collects: Statistics | None = None
    ) -> None:
        """A pass over one part, which adds the gradient of its loss to the sums."""
        oracle = self._oracle(network.machine.episode)
        for step in network.machine.forward_pass(name, part):
            output, seen = span.advance(step)
            if oracle is None or step.last:
                error = network.loss_error(output, step)
            else:
                error = self._terminal_error(network, output, step, number, collects) if step.ends else None
            if error is not None and step.ends:
                span.back(error, seen, len(part), learn_all=True)
            elif error is not None:
                span.keep(error, seen)

    # ---- the loss before the end of a sequence ---------------------------------------------------------------

    def _oracle(self, episode: Episode) -> str | None:
        """What parts before the last one are judged by; None if the steps have losses of their own.

        Raises:
            ConfigError: statistics of classes are asked for, and a sequence has not one class and one loss.
        """
        alone = episode.loss_steps == 1 and not episode.masked and not episode.target_per_step
        if self.statistics and not (alone and episode.classes):
            if not episode.classes:
                has = "values to predict"
            elif episode.masked:
                has = "different lengths"
            else:
                has = "a class for each step" if episode.target_per_step else "losses before it: see `network.pooling`"
            raise ConfigError(
                "learning.oracle: class_statistics is for sequences that have one class, and one loss, at their end, "
                f"and those of this task have {has}; take `uniform`"
            )
        oracle: str = self.options.oracle
        return oracle if alone else None

    def _terminal_error(
        self, network: Network, output: Signal, step: Step, number: int, collects: Statistics | None
    ) -> Signal:
        """∂l/∂(output) at the end of a part: ŷ - β y - (1 - β) Q for a class, β (ŷ - y) for a value."""
        machine, loss, scale = network.machine, network.loss, network.scale
        with machine.part("loss", ERROR):
            answer, target = loss.answer(output if scale == 1 else scale * output), step.target
            done = step.number(_done)
            if not machine.episode.classes:
                error = done * loss.error(answer, target)
                return error if scale == 1 else scale * error
            if self._oracle(machine.episode) == "uniform":
                wanted = done * target + (1 - done) / network.outputs
            else:
                assert self.statistics is not None
                wanted = done * target + (1 - done) * lookup(self.statistics.tables[number].load(), target)
            if collects:
                collects.see(answer, target)
            error = loss.error(answer, wanted)
            return error if scale == 1 else scale * error

    # ---- weights and their averages --------------------------------------------------------------------------

    def _regularised(self, w: Trainable, gradient: Signal) -> Signal:
        """∇(l + R)."""
        options = self.options
        kept, factor = (0.5, 1.0) if options.form == "paper" else (1 - options.rho, options.scale)
        away = w.master.load() - self.average[w].load()
        return gradient - kept * self.pull[w].load() + (factor * options.alpha) * away

    def _average(self, network: Network) -> None:
        """λ ← λ - α (w - w̄), w̄ ← (1 - β) w̄ + β w - β/α λ."""
        alpha, beta, machine = self.options.alpha, self.options.beta, network.machine
        for _ in machine.phase("averages"):
            for w in network.trainables:
                with machine.part(w.layer, UPDATE):
                    new, average = w.master.load(), self.average[w].load()
                    pull = self.pull[w].load() - alpha * (new - average)
                    self.pull[w].store(pull)
                    self.average[w].store((1 - beta) * average + beta * new - (beta / alpha) * pull)

    def _average_by_gradient(self, network: Network, losses: int) -> None:
        """w̄ ← ½ (w̄ + w) - ∇l(w) / (2α), by the gradient in the sums, which is kept for the next part."""
        machine = network.machine
        for _ in machine.phase("averages"):
            for w in network.trainables:
                with machine.part(w.layer, UPDATE):
                    pull = (1 / losses) * w.gradient.load()
                    self.pull[w].store(pull)
                    middle = 0.5 * (self.average[w].load() + w.master.load())
                    self.average[w].store(middle - (0.5 / self.options.alpha) * pull)
            with machine.part(purpose=UPDATE):
                network.clear_gradients()

    def _restart(self, network: Network) -> None:
        """w ← w̄, λ ← 0."""
        machine = network.machine
        for _ in machine.phase("restart"):
            for w in network.trainables:
                with machine.part(w.layer, UPDATE):
                    w.master.store(self.average[w].load())
                    self.pull[w].clear()
        network.program()

    @contextmanager
    def tested(self, network: Network) -> Iterator[None]:
        exchanges = self.options.tested_at == "average" and bool(self.average)
        if exchanges:
            self._exchange(network)
        yield
        if exchanges:
            self._exchange(network)

    def _exchange(self, network: Network) -> None:
        """w ↔ w̄; no other memory is needed."""
        machine = network.machine
        for _ in machine.phase("exchange"):
            for w in network.trainables:
                with machine.part(w.layer, UPDATE):
                    weights, average = w.master.load(), self.average[w].load()
                    w.master.store(average)
                    self.average[w].store(weights)
        network.program()


def _done(index: int, steps: int) -> float:
    """β_t = t / T."""
    return (index + 1) / steps


class Again:
    """Shows a part a second time, from the state that it began with; then the dynamics goes on from where it was."""

    def __init__(self, span: Span, workspace: Workspace) -> None:
        self.machine, self.states = span.network.machine, span.states.all()
        self.starts, self.stops = (
            [workspace.register(f"{state.name} at the {where}", state.size[-1], STATE) for state in self.states]
            for where in ("start", "end")
        )

    def begin(self) -> None:
        self._copy("keep states", [(self.states, self.starts)])

    def turn_back(self) -> None:
        self._copy("turn back", [(self.states, self.stops), (self.starts, self.states)])

    def go_on(self) -> None:
        self._copy("go on", [(self.stops, self.states)])

    def _copy(self, name: str, pairs: list[tuple[list[Register], list[Register]]]) -> None:
        for _ in self.machine.phase(name):
            for sources, targets in pairs:
                for source, target in zip(sources, targets, strict=True):
                    target.store(source.load())


class Statistics:
    """For each part, what was answered at its end to a sequence of each class that was misclassified there.

    Attributes:
        tables: by part, one row of a distribution over classes for each class.
    """

    def __init__(self, network: Network, parts: int) -> None:
        self.network, self.machine, n = network, network.machine, network.outputs
        machine, size = network.machine, (network.outputs, network.outputs)
        uniform = machine.numerics.repeated((1 / n,), n * n, 0, (machine.chips, 1), machine.dtype)
        self.tables = [
            Register(machine, f"answers at the end of part {number}", OPTIMIZER, uniform, shared=True)
            for number in range(1, parts + 1)
        ]
        self._sums = Accumulator(machine, "answers by mistake", size)
        self._counts = Accumulator(machine, "mistakes", size)

    def see(self, answer: Signal, target: Signal) -> None:
        """Add the answers to sequences that are misclassified, by their class."""
        if not isinstance(self.network.loss, CrossEntropy):
            raise ConfigError("learning.oracle: class_statistics takes cross-entropy, whose answers are probabilities")
        mistaken = greater(largest(answer), total(answer * target)) * target
        self._sums.add_outer(mistaken, answer)
        self._counts.add_outer(mistaken, ones(self.machine, answer.width))

    def end(self, number: int) -> None:
        """Where there were some, their mean is the new row of the table of a part; the sums start anew."""
        for _ in self.machine.phase("statistics"):
            with self.machine.part("loss", UPDATE):
                counts, table = self._counts.load(), self.tables[number]
                table.store(where(counts, self._sums.load() / at_least(counts, 1.0), table.load()))
                self._sums.clear()
                self._counts.clear()
