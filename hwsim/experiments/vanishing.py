"""Vanishing and exploding errors: the size of the exact errors at the start of sequences, beside that at their ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import hypot, inf, isfinite

import numpy as np

from hwsim.episode import Episode
from hwsim.learning import RULES
from hwsim.learning.bptt import BPTT
from hwsim.learning.diagnostics import Diagnostic
from hwsim.machine import Register, Signal, Step, Tape
from hwsim.networks import Layer, Level, Network, States

EXACT = RULES["bptt"].Options(name="bptt", checkpoints="sqrt")
"""Exact errors by little memory: the tape of a long sequence holds a part of it at a time."""
KEPT = 100.0
"""Errors count as kept unless they shrink or grow by more than this factor."""


def change_of_errors(network: Network, episode: Episode) -> dict[str, float]:
    """‖δ_0‖ / ‖δ_T‖ by layer, of the error of the last loss of each sequence; over all sequences together.

    δ_T is the error at the state in the step of that loss, the T-th; δ_0 = J_0ᵀ δ_1 is the error at the state before
    the first step. Losses of earlier steps are left out: their errors have come from nearer, and would hide what became
    of those that came all the way. In a stack, errors also go down from layer to layer, in every step.

    Infinite where errors overflow. Layers are left out whose δ_T is zero or not finite.
    """
    found = _AtBothEnds()
    with network.machine.showing(replace(episode.at_ends(), lanes=0)):
        found.gradients(network)
    known = [layer.name for layer in network.layers if 0 < found.last.get(layer.name, 0.0) < inf]
    ratios = {name: found.first[name] / found.last[name] for name in known}
    return {name: ratio if isfinite(ratio) else inf for name, ratio in ratios.items()}


def diagnostic(changes: Mapping[str, float], steps: int) -> list[Diagnostic]:
    """What becomes of errors on the way back to the start, as a diagnostic; an empty list if nothing is known."""
    if not changes:
        return []
    named: dict[str, list[str]] = {"vanish": [], "explode": [], "are kept": []}
    for layer, ratio in changes.items():
        named[_fate(ratio)].append(layer)
    fates = [
        f"{fate} in {'all layers' if len(layers) == len(changes) > 1 else ', '.join(layers)}"
        for fate, layers in named.items()
        if layers
    ]
    return [
        Diagnostic(
            "error_change",
            "",
            "‖δ_0‖ / ‖δ_T‖: the error of the last loss at the start of a sequence, over that at its end",
            changes,
            verdict=f"{steps} steps back from the last loss, exact errors {'; '.join(fates)}",
        )
    ]


def _fate(ratio: float) -> str:
    return "vanish" if ratio < 1 / KEPT else "explode" if ratio > KEPT else "are kept"


class _AtBothEnds(BPTT):
    """BPTT that notes the size of errors at both ends of sequences.

    Attributes:
        first, last: ‖δ_0‖ and ‖δ_T‖ by layer.
    """

    def __init__(self) -> None:
        super().__init__(EXACT)
        self.first: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def delta(self, step: Step, level: Level, later: Signal) -> Signal:
        delta = super().delta(step, level, later)
        machine, name = level.layer.machine, level.layer.name
        ends = machine.episode.ends == machine.sequencer.step_index
        if ends.any():
            size = float(np.linalg.norm(machine.see(delta)[:, ends]))
            self.last[name] = hypot(self.last.get(name, 0.0), size)
        return delta

    def backward(
        self, network: Network, states: States, tapes: list[Tape], carried: dict[Layer, Register], segment: range
    ) -> None:
        super().backward(network, states, tapes, carried, segment)
        self.first = {layer.name: float(np.linalg.norm(register.value)) for layer, register in carried.items()}
