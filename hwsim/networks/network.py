"""A network: recurrent layers with instantaneous readouts, stacked; pooling and loss on top."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field, PrivateAttr

from hwsim import cells, initial
from hwsim.accounts.memory import DELAY, STATE
from hwsim.cells import AnyOptions
from hwsim.episode import Episode
from hwsim.errors import CausalityError
from hwsim.machine import Carried, DelayLine, Machine, Matrix, Register, Signal, Step, Tape, Trainable, Workspace
from hwsim.networks.downward import Level, downward
from hwsim.networks.loss import Loss
from hwsim.networks.loss import Options as LossOptions
from hwsim.networks.loss import build as build_loss
from hwsim.networks.readout import Options as ReadoutOptions
from hwsim.networks.readout import Readout
from hwsim.networks.readout import parameters as readout_parameters
from hwsim.records import ERROR, GRADIENT, WEIGHT_WRITE


class LayerOptions(BaseModel, extra="forbid"):
    """One layer: a recurrent cell and its readout."""

    cell: Annotated[AnyOptions, Field(description="the recurrent cell")]
    readout: Annotated[
        ReadoutOptions, Field(description="from the state to what the next layer, or the loss, sees")
    ] = ReadoutOptions()


class Options(BaseModel, extra="forbid"):
    """The network that is trained."""

    layers: Annotated[list[LayerOptions], Field(min_length=1, description="from the input to the output")]
    pooling: Annotated[
        Literal["none", "last", "cumulative_mean"],
        Field(description="what the loss sees: each output, only the last, or the mean of the outputs so far"),
    ] = "none"
    output_scale: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="factor on the outputs before softmax, or before they are compared with the target",
        ),
    ] = 1.0
    loss: Annotated[LossOptions, Field(description="what outputs are judged by")] = LossOptions()
    weights: Annotated[
        str | None,
        Field(
            min_length=1,
            description="a .npz file with the initial value of each parameter, for a network that travels with its "
            "weights; seen from this file, or else from the working folder. It is `weights: {from: FILE}` of the "
            "experiment for all systems, without a checksum; that key also takes run folders and other formats, and is "
            "the one to write by hand",
        ),
    ] = None
    _source: Callable[[], initial.Stored] | None = PrivateAttr(default=None)

    def start_from(self, source: Callable[[], initial.Stored]) -> None:
        """Have initial weights come from elsewhere: `source` gives them anew each time."""
        self._source = source

    def stored(self) -> initial.Stored | None:
        """The initial weights, if they are not drawn.

        Raises:
            ConfigError: they cannot be read.
        """
        if self._source is not None:
            return self._source()
        return None if self.weights is None else initial.Stored.read(self.weights)


class Seen(NamedTuple):
    """The operating points of a layer in one step, for error propagation: signals of that step.

    Attributes:
        at: the operating point of the cell.
        readout: what each block of the readout needs to propagate errors.
        x: what the layer got.
    """

    at: Any
    readout: list[Any]
    x: Signal


def stepped(layer: str) -> str:
    """What a layer whose units fire shows its states under."""
    return f"{layer} stepped"


def traced(layer: str) -> str:
    """What a rule shows the traces of such a layer under: `(…, N)`, or `(…, columns, N)` for each weight of W."""
    return f"{layer} traced"


class Layer:
    """A recurrent cell, and the readout of its state."""

    def __init__(
        self, machine: Machine, name: str, options: LayerOptions, inputs: int, outputs: int, uses: frozenset[str]
    ) -> None:
        self.machine, self.name, self.inputs, self.outputs = machine, name, inputs, outputs
        with machine.part(name):
            self.cell = cells.build(machine, name, options.cell, inputs, uses)
            seen = cells.size(options.cell, inputs)
            emitted = self.cell.emitted if self.cell.emits else None
            self.readout = Readout(machine, name, options.readout, seen.width, seen.visible, outputs, emitted)
        self.trainables = self.cell.trainables + self.readout.trainables
        self._stepped = stepped(name)

    def show(self, h: Signal, seen: Seen) -> None:
        """Show the state behind a step to who watches from outside, and what fired, of cells whose units fire."""
        where = self.cell.membranes
        if where is None:
            return
        if where.counts is not None:
            self.machine.probe(self._stepped, h)
        else:
            fired = seen.readout[0].result if self.cell.emits else self.cell.fired(seen.at, None)
            self.machine.probe(self._stepped, h, fired)

    def step(self, before: Signal, x: Signal, state: Register) -> tuple[Signal, Seen]:
        """One step from a state, and the readout; the new state goes into a register."""
        h, at = self.cell.step(before, x)
        state.store(h)
        out, kept = self.readout.forward(h)
        return out, Seen(at, kept, x)

    def program(self) -> None:
        with self.machine.part(self.name):
            self.cell.program()
            self.readout.program()


class States(NamedTuple):
    """The registers of the dynamics: the state of each layer, and the mean of the outputs if the loss sees it.

    Attributes:
        starts: the states that a sequence goes on from, where it goes on from the one before and may be shown again.
    """

    layers: list[Register]
    pooled: Register | None
    starts: list[Register]

    def all(self) -> list[Register]:
        return self.layers + ([self.pooled] if self.pooled else [])


class Network:
    """A stack of layers on one machine, with pooling and a loss.

    Attributes:
        loss_for: gives the loss for an episode.
        beside: matrices that an update scheme keeps beside its parameters; they are programmed with them.
    """

    def __init__(self, machine: Machine, options: Options, inputs: int, outputs: int, uses: frozenset[str]) -> None:
        self.machine, self.pooling, self.outputs = machine, options.pooling, outputs
        self.scale = options.output_scale
        self.loss_for: Callable[[Episode], Loss] = build_loss(options.loss)
        self.layers: list[Layer] = []
        self.beside: list[Matrix] = []
        self._carried: list[Register] = []
        machine.given = stored = options.stored()
        for number, layer in enumerate(options.layers, 1):
            last = number == len(options.layers)
            width = outputs if last else layer.readout.width or _same_width(layer)
            self.layers.append(Layer(machine, f"layer {number}", layer, inputs, width, uses))
            inputs = width
        machine.given = None
        if stored is not None:
            stored.require_fit()

    @property
    def trainables(self) -> list[Trainable]:
        return [trainable for layer in self.layers for trainable in layer.trainables]

    # ---- dynamics --------------------------------------------------------------------------------------------

    def states(self, workspace: Workspace, prefix: str = "", restarts: bool = True) -> States:
        """Registers for the dynamics; they are reset to zero when a forward pass begins with the first step.

        In an episode that continues another, they are reset to the states that were kept, one per sequence.

        Args:
            prefix: prefix of the registers' names, for a rule that needs a second set of states.
            restarts: whether forward passes show the first step again, if inputs are kept at all; the states that an
                episode goes on from are kept for them.
        """
        begin = f"{prefix} " if prefix else ""

        def register(name: str, width: int) -> Register:
            return workspace.register(f"{begin}{name}", width, STATE, resets=True)

        layers = [register(f"{each.name} h", each.cell.width) for each in self.layers]
        pooled = register("pooled output", self.outputs) if self.pooling == "cumulative_mean" else None
        episode, starts = self.machine.episode, list[Register]()
        if episode.carries or episode.continues:
            self._keep_states()
        if episode.continues and restarts and self.machine.sequencer.presenter.keeps:
            starts = [workspace.register(f"{each.name} start", each.size[-1], DELAY) for each in layers]
        return States(layers, pooled, starts)

    def _keep_states(self) -> None:
        """Hold what episodes hand on.

        Raises:
            CausalityError: this one continues another, and no state of as many sequences was kept.
        """
        machine, names = self.machine, [f"{layer.name} h carried" for layer in self.layers]
        if self._carried and self._carried[0].size[0] != machine.episode.batch and not machine.episode.continues:
            for register in self._carried:
                register.release()
            self._carried = []
        if machine.episode.continues and not (self._carried or machine.holdings.restores(names[0])):
            raise CausalityError("an episode continues another, and none before it kept its state: see `lanes`")
        if not self._carried:
            widths = [layer.cell.width for layer in self.layers]
            self._carried = [Carried(machine, *each) for each in zip(names, widths, strict=True)]
        elif self._carried[0].size[0] != machine.episode.batch:
            raise CausalityError(
                f"an episode of {machine.episode.batch} sequences continues one of {self._carried[0].size[0]}"
            )

    def _kept(self, states: States, number: int) -> Signal:
        """The state of a layer that an episode goes on from."""
        if self.machine.sequencer.presenter.again:
            return states.starts[number].load()
        before = self._carried[number].load()
        if states.starts:
            states.starts[number].store(before)
        return before

    def step(
        self,
        states: States,
        step: Step,
        tapes: list[Tape] | None = None,
        checkpoints: list[Tape] | None = None,
        fed: Signal | None = None,
        lines: list[DelayLine] | None = None,
        undoable: bool = False,
    ) -> tuple[Signal, list[Seen]]:
        """One step of the dynamics: the output as the loss sees it, and the operating points of the layers.

        Args:
            tapes: tapes that each old state is pushed onto.
            checkpoints: tapes that each old state is popped from; without them it is loaded from its register.
            fed: what the first layer gets in place of the input of the step.
            lines: delay lines that the old state of each layer is put into.
            undoable: push what each state forgot instead of the state, for cells that can undo a step.
        """
        x, seen = step.input if fed is None else fed, []
        for number, (layer, register) in enumerate(zip(self.layers, states.layers, strict=True)):
            with self.machine.part(layer.name):
                if checkpoints:
                    before = checkpoints[number].pop()
                elif step.first and self.machine.episode.continues:
                    before = self._kept(states, number)
                else:
                    before = register.load()
                if tapes and not undoable:
                    tapes[number].push(before)
                if lines:
                    lines[number].store(before)
                h, at = layer.cell.step(before, x)
                if tapes and undoable:
                    tapes[number].push(layer.cell.forgotten(at))
                register.store(h)
                if step.last and self.machine.episode.carries and not self.machine.sequencer.presenter.again:
                    self._carried[number].store(h)
                out, kept = layer.readout.forward(h)
            seen.append(Seen(at, kept, x))
            layer.show(h, seen[-1])
            x = out
        if states.pooled is not None:
            mean = checkpoints[-1].pop() if checkpoints else states.pooled.load()
            if tapes:
                tapes[-1].push(mean)
            x = mean + step.share * (x - mean)
            states.pooled.store(x)
        return x, seen

    def recall(
        self, states: States, step: Step, tapes: list[Tape], by: str, behind: States | None = None
    ) -> tuple[Signal, list[Seen]]:
        """Recall a past step: its output and operating points. Each call goes back by one step.

        Before the call, the registers hold the states after the step; after it, those before the step.

        Args:
            by: `"state"` gets the operating points from the states before and after the step, `"input"` carries the
                step out again, `"undoing"` undoes it: the tapes hold what it forgot, not the states before it.
            behind: a second set of registers, which goes back instead of `states`, from where these are when the pass
                begins; the dynamics can go on from `states`.
        """
        x, seen = step.input, []
        now, back = states if behind is None or step.begins else behind, behind or states
        for layer, register, other, tape in zip(self.layers, now.layers, back.layers, tapes, strict=False):
            with self.machine.part(layer.name):
                h, before = register.load(), tape.pop()
                if by == "undoing":
                    before, at = layer.cell.back(h, x, before)
                    other.store(before)
                else:
                    other.store(before)
                    at = layer.cell.recall(before, x, h) if by == "state" else layer.cell.step(before, x)[1]
                out, kept = layer.readout.forward(h)
            seen.append(Seen(at, kept, x))
            x = out
        if now.pooled is not None and back.pooled is not None:
            x = now.pooled.load()
            back.pooled.store(tapes[-1].pop())
        return x, seen

    def downward(self, error: Signal | None, seen: list[Seen]) -> Iterator[Level]:
        """The layers from the last to the first, to propagate an error down through them in this step.

        Args:
            error: the error at the output, from `loss_error`; None if this step has none.
            seen: the operating points, from `step` or `recall`.
        """
        return downward(self.layers, error, seen)

    @property
    def loss(self) -> Loss:
        """The loss for the episode that is shown."""
        return self.loss_for(self.machine.episode)

    def loss_error(self, output: Signal, step: Step) -> Signal | None:
        """∂l_t/∂(output), or None if this step carries no loss.

        The error of a mean over the outputs so far is passed straight through to the current output, as in the
        repository of Zucchet et al. (2026).
        """
        if not step.carries_loss:
            return None
        loss = self.loss
        with self.machine.part("loss", ERROR):
            scaled = output if self.scale == 1 else self.scale * output
            answer = loss.answer(scaled)
            self.machine.probe("answer", answer)
            error = loss.error(answer, step.target)
            if self.machine.episode.masked:
                error = step.mask * error
            if loss.weight is not None:
                return self.scale * step.number(loss.weight) * error
            return error if self.scale == 1 else self.scale * error

    def infer(self) -> None:
        """Show the episode once; outputs at steps that carry a loss are shown to the watcher `"output"`.

        In closed loop, each output as the loss sees it is the next input, by a register.
        """
        free = self.machine.episode.free_from
        with self.machine.workspace() as workspace:
            states = self.states(workspace)
            loop = None if free is None else workspace.register("fed back", self.outputs, STATE)
            for step in self.machine.forward_pass("inference"):
                output, _ = self.step(states, step, fed=loop.load() if loop and step.free else None)
                if loop and free and step.past(free - 1) and not step.last:
                    loop.store(output if self.scale == 1 else self.scale * output)
                if step.carries_loss:
                    self.machine.probe("output", output)

    # ---- parameters ------------------------------------------------------------------------------------------

    def program(self) -> None:
        """Program all units to the master values."""
        for _ in self.machine.phase("programming"):
            with self.machine.part(purpose=WEIGHT_WRITE):
                for layer in self.layers:
                    layer.program()
                for matrix in self.beside:
                    with self.machine.part(matrix.trainable.layer):
                        matrix.program()

    def renew(self) -> None:
        """Renew the units that wear as pulses change them: pairs of devices that pulses drive in one direction only."""
        holders = [each.holder for each in self.trainables if isinstance(each.holder, Matrix)]
        worn = [matrix for matrix in [*holders, *self.beside] if matrix.unit.renews]
        for _ in self.machine.phase("renewal") if worn else ():
            for matrix in worn:
                matrix.renew()

    def begin_training(self) -> None:
        """Allocate the gradients of all parameters."""
        for layer in self.layers:
            layer.cell.begin_training()
            for trainable in layer.readout.trainables:
                trainable.begin_training()

    def clear_gradients(self) -> None:
        """Set all gradient sums to zero; called in a phase."""
        for sums in self.machine.holdings.accumulators():
            sums.clear()

    def finish_gradient(self) -> None:
        """Turn the accumulated sums into the gradient, after the passes."""
        for _ in self.machine.phase("finish gradient"):
            for layer in self.layers:
                with self.machine.part(layer.name, GRADIENT):
                    layer.cell.finish_gradient()


def judged(options: Options, episode: Episode) -> Episode:
    """An episode with its losses where the network's pooling wants them: `last` wants one, in the last step.

    Raises:
        ConfigError: the network's loss does not fit the targets.
    """
    build_loss(options.loss)(episode)
    return episode.at_ends() if options.pooling == "last" else episode


def parameters(options: Options, inputs: int, outputs: int) -> int:
    """Number of parameters of a network."""
    total = 0
    for number, layer in enumerate(options.layers, 1):
        width = outputs if number == len(options.layers) else layer.readout.width or _same_width(layer)
        size = cells.size(layer.cell, inputs)
        total += size.parameters + readout_parameters(layer.readout, size.visible, width)
        inputs = width
    return total


def _same_width(layer: LayerOptions) -> int:
    """The default width of a readout: the number of units or modes of the cell."""
    return cells.size(layer.cell, 1).units
