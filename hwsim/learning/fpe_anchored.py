"""Anchored forward error propagation: the direct warm-up restarted every S steps, so that no error grows for longer."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from hwsim.accounts.memory import LEARNING
from hwsim.errors import ConfigError
from hwsim.learning.anchors import Aim, Group, by_mode, uniform, usable
from hwsim.learning.diagnostics import Look
from hwsim.learning.forward_errors import CommonOptions, Errors, ForwardErrors
from hwsim.learning.horizon import Precision
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.rule import Rule
from hwsim.learning.window_sums import Window, WindowSums
from hwsim.machine import Queue, Register, Signal, Step, Workspace
from hwsim.networks import Layer, Level, Network
from hwsim.operations import Places, patch, pick, zeros

Steps = Annotated[int, Field(ge=1)]


class Options(CommonOptions, extra="forbid"):
    """Anchored forward error propagation."""

    name: Literal["fpe_anchored"]
    every: Annotated[
        Literal["auto", "uniform", "per_mode"] | Steps,
        Field(
            description="S: steps from one anchor to the next. `uniform`: as many as the fastest direction of each "
            "layer and the precision of the machine allow. `per_mode`: the same for each mode, for cells that have "
            "modes. `auto`: `per_mode` in layers that have modes, `uniform` in the others"
        ),
    ] = "auto"
    age: Annotated[
        Literal["auto", "all"] | Steps,
        Field(
            description="steps that an anchor sums over, rounded up to a multiple of S; what is later counts as "
            "forgotten. `auto`: until it is, but for `error`; `all`: up to the end of the sequence, which takes ever "
            "more sums at a time"
        ),
    ] = "auto"
    error: Annotated[
        float,
        Field(gt=0, lt=1, description="relative error that `auto` and `per_mode` aim at, if the machine is so precise"),
    ] = 1e-4
    sums: Annotated[
        Literal["each", "doubled"],
        Field(
            description="`each`: in each step all open anchors add to their sums; `doubled`: sums over S steps are "
            "joined two by two, log2(age/S) times, for cells that have modes. The age is then S times a power of two, "
            "rounded up"
        ),
    ] = "each"
    carry: Annotated[
        Literal["delta", "gamma_delta"],
        Field(description="what is carried: δ, or, in cells with a gain γ per mode, γδ, of like size in all modes"),
    ] = "delta"


class Anchored(ForwardErrors):
    """Forward error propagation from an anchor every S steps: δ_t = J_{t-1}⁻ᵀ (δ_{t-1} - g_{t-1}) for S steps at most.

    The warm-up pass of a layer opens an anchor k at each t = kS, with A_k = 0 and R_k = I. In each step, all open
    anchors take R_k ← R_k Jᵀ and A_k ← A_k + R_k g. Anchors close at an age D, and their A_k wait in a queue, first in
    first out. In later passes the recursion starts again at each kS from δ - g = A_k, so an error of size ε grows to
    ε |λ|^-S at most, and not to ε |λ|^-T. What an anchor does not sum over is of relative size |λ|^D, and grows as
    much.

    Where S exceeds the horizon, all is lost as in `fpe`; the horizon of this rule is S steps. Memory is one A for each
    anchor, T/S of them, and an R for each open one, D/S of them. L layers take L + 1 passes; while the layers below
    learn, the anchors of the layers above go round in their queues.

    With doubled sums one anchor is open at a time. When it closes, after S steps, it has the sum and the product of its
    block; queues join those of blocks that follow on each other to windows of 2, 4, 8, … blocks, see `WindowSums`. An
    anchor takes 2 S + 2 log2(D/S) - 1 products at most, where it takes 2 D if it stays open, and a product of D
    Jacobians goes through S + log2(D/S) noisy multiplications rather than D. Queues hold D/S - 1 sums, and as many
    products, in place of the open anchors.

    Modes with a time constant τ = 1/ln(1/|λ|) allow S = τ ln(tol/ε) and need D = S + τ ln(1/tol), for a relative error
    ε of one step and a tolerated one tol. `per_mode` gives each mode the largest S₀ 2^k within its S, so that steps
    repeat; modes of equal k have a queue of their own. S and D go by the eigenvalues at the last report.

    In cells whose error at the drive is γδ, with a gain γ per mode, g may be multiplied by γ before it enters A and the
    recursion. J is diagonal there, so γδ obeys the same recursion, and γ is divided out once, in the sums.

    Source: ours; it is multiple shooting (Bock and Plitt, IFAC Proceedings 17:1603, 1984) for the recursion of
    Zucchet, Pourcel and Ernoult, "Forward propagation of errors through time", 2026.

    Attributes:
        settled: the groups of each layer, by its name, once they are chosen.
    """

    settled: Mapping[str, tuple[Group, ...]] | None = None

    def errors(self, layer: Layer, workspace: Workspace, top: bool) -> FromAnchors:
        return FromAnchors(layer, workspace, self.options, top, self.groups(layer))

    def groups(self, layer: Layer) -> tuple[Group, ...]:
        """Where anchors are opened in a layer.

        Raises:
            ConfigError: it goes by rates, and nobody said which they are.
        """
        return self._placed(layer.name, layer.machine.episode.steps)

    def _placed(self, layer: str, steps: int) -> tuple[Group, ...]:
        groups = self._asked(layer, steps)
        return tuple(map(doubled, groups)) if self.options.sums == "doubled" else groups

    def _asked(self, layer: str, steps: int) -> tuple[Group, ...]:
        every, age = self.options.every, self.options.age
        if not self.settles:
            return (Group(every, steps if age == "all" else min(age, steps)),)
        if self.settled is None:
            raise ConfigError(
                f"learning: every: {every}, age: {age} go by how fast the network forgets; call `settle` before the "
                "rule runs, or give numbers"
            )
        return tuple(group._replace(age=min(group.age, steps)) for group in self.settled[layer])

    @property
    def settles(self) -> bool:
        return isinstance(self.options.every, str) or self.options.age == "auto"

    def settle(self, look: Look) -> Rule:
        rates, precision = look.rates(), Precision.of(look)
        finite = precision.fresh < 1 and all(map(usable, rates.values()))
        if not (self.settles and rates and (finite or self.settled is None)):
            return self  # at weights that are no numbers anchors stay where they were
        aim = Aim(self.options.error, min(max(precision), 0.5) if finite else 0.5, look.steps)
        every, asked = self.options.every, self.options.age
        age = {"auto": None, "all": aim.steps}.get(asked, asked)
        by_modes = look.with_modes if every in ("auto", "per_mode") else frozenset()
        shortest = min((aim.distance(rate) for layer in by_modes for rate in rates[layer]), default=1)
        other = copy(self)
        other.settled = {
            layer: by_mode(of_layer, aim, shortest, age)
            if layer in by_modes
            else uniform(of_layer, aim, None if isinstance(every, str) else every, age)
            for layer, of_layer in rates.items()
        }
        return other

    @property
    def routine(self) -> str:
        return f"{super().routine} {self.settled!r}"

    @property
    def shortest(self) -> int:
        return 1 if isinstance(self.options.every, str) else 2 * int(self.options.every) + 1

    def forward(self, directions: Directions, steps: int) -> Keeps:
        """What is within an anchor's age: the full age at the anchor, and S - 1 lags fewer just before the next."""
        groups = self._placed(directions.layer, steps)
        of_modes = {wire // 2: group for group in groups for wire in group.wires or ()}
        own = [of_modes[mode] for mode in range(len(directions.rates))] if of_modes else groups
        ages = [(min(group.every, steps), group.most * group.every) for group in own]
        lags = [Lags.up_to(steps) if age >= steps else Lags(age - every + 1, age) for every, age in ages]
        return Keeps(tuple(lags), inverted=tuple(every - 1 for every, _ in ages))

    def reach(self, steps: int) -> int:
        if not isinstance(self.options.every, str):
            return min(self.options.every, steps)
        shortest = [groups[0].every for groups in (self.settled or {}).values()]  # that of the fastest direction
        return min([steps, *shortest])

    def check(self, network: Network) -> None:
        super().check(network)
        for layer in network.layers:
            if self._gained and not layer.cell.gained:
                raise ConfigError(
                    f"learning.carry: gamma_delta needs a gain per mode, which the cell of {layer.name} has not; "
                    "lru has one, and every cell takes carry: delta"
                )
            if self.options.sums == "doubled" and layer.cell.dense:
                raise ConfigError(
                    f"learning.sums: doubled needs a cell with modes, which that of {layer.name} is not; lru has "
                    "modes, and every cell takes sums: each"
                )
            if self.options.every == "per_mode" and layer.cell.dense:
                raise ConfigError(
                    f"learning.every: per_mode needs a cell with modes, which that of {layer.name} is not; lru has "
                    "modes, and every cell takes every: auto or a number"
                )

    def finish(self, network: Network) -> None:
        if self._gained:
            for _ in network.machine.phase("divide by gains"):
                for layer in network.layers:
                    with network.machine.part(layer.name):
                        layer.cell.divide_by_gain()
        super().finish(network)

    @property
    def _gained(self) -> bool:
        return bool(self.options.carry == "gamma_delta")


class Place(NamedTuple):
    """Registers of an open anchor: R and A."""

    R: Register
    A: Register


class FromAnchors(Errors):
    """One layer's errors: δ at each anchor, from the warm-up, and δ_t between them, in each later pass.

    Open anchors are in places by their age, the latest first. In a step that opens one, each moves up by a place as it
    is stored, so that steps S apart do the same. Groups share the registers of a place, each on its wires; as distances
    are multiples of each other, a step opens anchors of the first groups, up to some group.
    """

    def __init__(self, layer: Layer, workspace: Workspace, options: Any, top: bool, groups: tuple[Group, ...]) -> None:
        super().__init__(layer, workspace, options, top)
        self.groups, self.places = groups, list[Place]()
        self.most = max(group.most for group in groups)
        self.closed: list[Queue] = []
        for number, group in enumerate(groups, 1):
            name = f"{layer.name} anchors" + (f" {number}" if len(groups) > 1 else "")
            self.closed.append(workspace.queue(name, layer.cell.width if group.wires is None else len(group.wires)))
        self._own = [None if group.wires is None else Places(group.wires) for group in groups]
        self._windows: list[WindowSums] = []
        if options.sums == "doubled":
            self._windows = [
                WindowSums(workspace, layer.cell, closed.name, closed.size[0], group.every, group.most.bit_length() - 1)
                for group, closed in zip(groups, self.closed, strict=True)
            ]
        self._moving = [_together(groups[:opening]) for opening in range(len(groups))]

    def begin_warm_up(self, part: int) -> None:
        """Anchors get their registers when they open."""

    def warm_up(self, level: Level, step: Step, part: int) -> None:
        """One step of the warm-up pass: R ← R Jᵀ, A ← A + R g for all open anchors."""
        g, opening = self.loss_gradient(level, learn=True), self._opening(step)
        if self._windows:
            self._sum_block(level, g, step, opening)
            return
        for number, group in enumerate(self.groups[:opening]):
            if step.past(group.most * group.every):
                self._put(number, self._place(group.most - 1).A.load())
        sums = []
        for number in range(self.most):
            if number and not step.past(_opened(number) * self.groups[0].every):
                break
            sums.append(self._advance(number, level, g, step, opening))
        if step.last:
            self._close(sums, step)

    def _sum_block(self, level: Level, g: Signal | None, step: Step, opening: int) -> None:
        """The same for the latest anchors alone; the blocks of those that were open before them have ended."""
        ended: list[Window | None] = [None] * len(self.groups)
        if opening and not step.first:
            place = self._place(0)
            A, P = place.A.load(), place.R.load()
            for number in range(opening):
                ended[number] = Window(self._of_group(number, A), self._of_group(number, P))
        if not step.last:
            for number, window in enumerate(ended):
                whole = window and self._windows[number].push(window, step)
                if whole is not None:
                    self.closed[number].put(whole)
        last = self._advance(0, level, g, step, opening)
        if step.last:
            for number, (group, window) in enumerate(zip(self.groups, ended, strict=True)):
                blocks = [*([window] if window else []), Window(self._of_group(number, last), None)]
                before = max(0, self.layer.machine.episode.steps - 2) // group.every
                for A in self._windows[number].finish(blocks, before):
                    self.closed[number].put(A)

    def _of_group(self, number: int, whole: Signal) -> Signal:
        """The wires of a group."""
        own = self._own[number]
        picked: Signal = whole if own is None else pick(whole, own)
        return picked

    def _opening(self, step: Step) -> int:
        """The number of groups that open an anchor in this step."""
        steps = self.layer.machine.episode.steps
        for number, group in enumerate(self.groups):
            if not (step.first if group.every >= steps else step.every(group.every)):
                return number
        return len(self.groups)

    def _place(self, number: int) -> Place:
        """A place, counted from the latest; it is made when it is first needed."""
        width, bundle = self.layer.cell.width, self.layer.cell.width if self.layer.cell.dense else 0
        for new in range(len(self.places) + 1, number + 2):
            R = self.workspace.register(f"{self.layer.name} anchor {new} product", width, LEARNING, bundle=bundle)
            self.places.append(Place(R, self.register(f"anchor {new}")))
        return self.places[number]

    def _advance(self, number: int, level: Level, g: Signal | None, step: Step, opening: int) -> Signal:
        """The sums of one place behind the step."""
        cell, place = level.cell, self._place(number)
        before = self._place(number - 1) if number else None
        R = self._moved(place.R, before.R.load() if before else cell.identity(), opening) if opening else place.R.load()
        R = cell.extend(R, level.at)
        if not opening:
            A = place.A.load()
        elif before:
            A = self._moved(place.A, before.A.load(), opening)
        else:
            A = self._moved(place.A, zeros(cell.machine, cell.width), opening)
        if g is not None:
            A = A + cell.through(R, g)
        if not step.last:
            place.R.store(R)
            if opening or g is not None:
                place.A.store(A)
        return A

    def _moved(self, stays: Register, moves: Signal, opening: int) -> Signal:
        """What is in a place once the groups that open an anchor have moved up."""
        if opening == len(self.groups):
            return moves
        wires = self._moving[opening]
        moved: Signal = patch(stays.load(), pick(moves, wires), wires)
        return moved

    def _close(self, sums: list[Signal], step: Step) -> None:
        """At the end of the sequence all anchors close, the oldest first."""
        for place, group in enumerate(self.groups):
            for number in reversed(range(min(group.most, len(sums)))):
                if not number or step.past(number * group.every):
                    self._put(place, sums[number])

    def _put(self, number: int, A: Signal) -> None:
        """The wires of a group go to the end of its queue."""
        self.closed[number].put(self._of_group(number, A))

    def end_warm_up(self, part: int) -> None:
        for place in self.places:
            place.R.release()
            place.A.release()
        self.open()

    def before(self, step: Step, again: bool) -> Signal:
        """A_k where an anchor was opened; it goes to the end of its queue if a later pass needs it."""
        opening = self._opening(step)
        found = [closed.get() for closed in self.closed[:opening]]
        if again:
            for closed, A in zip(self.closed, found, strict=False):
                closed.put(A)
        if len(self.groups) == opening == 1:
            return found[0]
        cell = self.layer.cell
        v = zeros(cell.machine, cell.width) if opening == len(self.groups) else self.following(step)
        for own, A in zip(self._own, found, strict=False):
            v = patch(v, A, own)
        return v

    def loss_gradient(self, level: Level, learn: bool) -> Signal | None:
        g = super().loss_gradient(level, learn)
        return g if g is None or self.options.carry == "delta" else level.cell.drive_error(level.at, g)

    def hand_on(self, level: Level, delta: Signal, learn: bool) -> None:
        if self.options.carry == "delta":
            super().hand_on(level, delta, learn)
        elif learn:
            level.learn_gained(delta)
        else:
            level.send_gained(delta)


def doubled(group: Group) -> Group:
    """A group whose age is S times a power of two, the next one."""
    return group._replace(age=group.every << (group.most - 1).bit_length())


def _opened(number: int) -> int:
    """How many anchors have to be open before a place is used: in powers of two, so that few kinds of steps differ.

    The places that no anchor has come to yet hold zero.
    """
    return 1 << (number.bit_length() - 1)


def _together(groups: tuple[Group, ...]) -> Places:
    """The wires of several groups."""
    return Places(sorted(wire for group in groups for wire in group.wires or ()))
