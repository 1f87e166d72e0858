"""Anchored forward error propagation: the direct warm-up restarted every S steps, so that no error grows for longer."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from hwsim.accounts.memory import LEARNING
from hwsim.errors import ConfigError
from hwsim.learning.forward_errors import CommonOptions, Errors, ForwardErrors
from hwsim.machine import Register, Signal, Step, Workspace
from hwsim.networks import Layer, Level, Network
from hwsim.operations import zeros


class Options(CommonOptions, extra="forbid"):
    """Anchored forward error propagation."""

    name: Literal["fpe_anchored"]
    every: Annotated[int, Field(ge=1, description="S: steps from one anchor to the next")] = 10
    age: Annotated[
        Literal["all"] | Annotated[int, Field(ge=1)],
        Field(
            description="steps that an anchor sums over, rounded up to a multiple of S; what is later counts as "
            "forgotten. `all`: up to the end of the sequence, which takes ever more sums at a time"
        ),
    ] = "all"
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

    In cells whose error at the drive is γδ, with a gain γ per mode, g may be multiplied by γ before it enters A and the
    recursion. J is diagonal there, so γδ obeys the same recursion, and γ is divided out once, in the sums.

    Source: ours; it is multiple shooting (Bock and Plitt, IFAC Proceedings 17:1603, 1984) for the recursion of
    Zucchet, Pourcel and Ernoult, "Forward propagation of errors through time", 2026.
    """

    def errors(self, layer: Layer, workspace: Workspace, top: bool) -> FromAnchors:
        return FromAnchors(layer, workspace, self.options, top)

    @property
    def shortest(self) -> int:
        return 2 * int(self.options.every) + 1

    def reach(self, steps: int) -> int:
        return min(self.options.every, steps)

    def check(self, network: Network) -> None:
        super().check(network)
        for layer in network.layers:
            if self._gained and not layer.cell.gained:
                raise ConfigError(
                    f"learning.carry: gamma_delta needs a gain per mode, which the cell of {layer.name} has not; "
                    "lru has one, and every cell takes carry: delta"
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
    is stored, so that steps S apart do the same.
    """

    def __init__(self, layer: Layer, workspace: Workspace, options: Any, top: bool) -> None:
        super().__init__(layer, workspace, options, top)
        self.every, steps = options.every, layer.machine.episode.steps
        age = steps if options.age == "all" else min(options.age, steps)
        self.most = ceil(age / self.every)
        self.places: list[Place] = []
        self.closed = workspace.queue(f"{layer.name} anchors", layer.cell.width)

    def begin_warm_up(self, part: int) -> None:
        """Anchors get their registers when they open."""

    def warm_up(self, level: Level, step: Step, part: int) -> None:
        """One step of the warm-up pass: R ← R Jᵀ, A ← A + R g for all open anchors."""
        g, opens = self.loss_gradient(level, learn=True), step.every(self.every)
        if opens and step.past(self.most * self.every):
            self.closed.put(self._place(self.most - 1).A.load())
        sums = [self._advance(place, was, level, g, step) for place, was in self._open(step, opens)]
        if step.last:
            for A in reversed(sums):
                self.closed.put(A)

    def _open(self, step: Step, opens: bool) -> Iterator[tuple[Place, Place | None]]:
        """The place of each open anchor, and the one that it was in before the step; None for one that opens."""
        for number in range(self.most):
            if number and not step.past(number * self.every):
                return
            before = number - 1 if opens else number
            yield self._place(number), self._place(before) if before >= 0 else None

    def _place(self, number: int) -> Place:
        """A place, counted from the latest; it is made when it is first needed."""
        width, bundle = self.layer.cell.width, self.layer.cell.width if self.layer.cell.dense else 0
        for new in range(len(self.places) + 1, number + 2):
            R = self.workspace.register(f"{self.layer.name} anchor {new} product", width, LEARNING, bundle=bundle)
            self.places.append(Place(R, self.register(f"anchor {new}")))
        return self.places[number]

    def _advance(self, place: Place, was: Place | None, level: Level, g: Signal | None, step: Step) -> Signal:
        """The sum of one anchor behind the step."""
        cell = level.cell
        R = cell.extend(cell.identity() if was is None else was.R.load(), level.at)
        A = None if was is None else was.A.load()
        if g is not None:
            more = cell.through(R, g)
            A = more if A is None else A + more
        if A is None:
            A = zeros(cell.machine, cell.width)
        if not step.last:
            place.R.store(R)
            place.A.store(A)
        return A

    def end_warm_up(self, part: int) -> None:
        for place in self.places:
            place.R.release()
            place.A.release()
        self.open()

    def anchor(self, step: Step, again: bool) -> Signal | None:
        """A_k in every S-th step; it goes to the end of the queue if a later pass needs it."""
        if not step.every(self.every):
            return None
        A = self.closed.get()
        if again:
            self.closed.put(A)
        return A

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
