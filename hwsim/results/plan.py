"""A plan: which learning rules can carry an experiment on its machine, at what cost; and why others cannot."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from hwsim.results.summary import plain

GOOD = 0.9
"""The smallest cosine of a gradient that carries an experiment, unless another one is asked for."""

State = Literal["fits", "poor", "unknown", "too large", "refused"]
"""In the order in which candidates are ranked."""
STATES: tuple[State, ...] = ("fits", "poor", "unknown", "too large", "refused")


class Candidate(NamedTuple):
    """A rule with some options, on the machine of the experiment.

    Attributes:
        learning: its options, as `learning` in a file would have them.
        state: `fits`: it is within the memory, and its gradient is expected to be good enough. `poor`: it is not.
            `unknown`: that is not predicted. `too large`: it takes more memory. `refused`: it cannot run.
        reason: why it does not fit; empty if it does.
        cosines: expected, of the gradient of each group of parameters, and of `all`; empty if they are not predicted.
        energy: of a training step for its whole batch, in joules; of the gradient where nothing is trained. None if it
            is unknown, or the rule is refused.
        time: hardware time of that step, in seconds.
        memory: bytes that a sequence takes besides weights and their gradient: states, what the rule keeps, replay;
            each class of memory at its own peak.
        whole: bytes at the peak in all.
        writes: writes per device in the whole training; None without devices, or without a training.
    """

    learning: dict[str, Any]
    state: State
    reason: str = ""
    cosines: Mapping[str, float] = {}
    energy: float | None = None
    time: float | None = None
    memory: int | None = None
    whole: int | None = None
    writes: float | None = None

    @property
    def name(self) -> str:
        """The rule, and those of its options that are given."""
        given = [f"{key} {value}" for key, value in self.learning.items() if key != "name"]
        return ", ".join([str(self.learning["name"]), *given])

    @property
    def cosine(self) -> float | None:
        """The expected cosine of the gradient of all parameters; None if it is not predicted."""
        return self.cosines.get("all")


class Plan(NamedTuple):
    """Candidates for the learning rule of an experiment, the best first.

    Attributes:
        name: of the experiment.
        machine: its name.
        steps: of a sequence.
        batch: sequences of a training step; of the gradient where nothing is trained.
        memory: the budget, in bytes; None without one.
        good: the smallest cosine that is good enough.
        rates: ln(1/|λ|) per step at the initial weights, the slowest and the fastest of each layer.
        candidates: ranked: those that fit by their energy, then those with a poor gradient, with one that is not
            predicted, those that are too large, and those that are refused.
    """

    name: str
    machine: str
    steps: int
    batch: int
    memory: float | None
    good: float
    rates: Mapping[str, tuple[float, float]]
    candidates: list[Candidate]

    @property
    def best(self) -> Candidate | None:
        """The first candidate that fits; None if none does."""
        return next((each for each in self.candidates if each.state == "fits"), None)

    def text(self) -> str:
        """As JSON."""
        data = {
            **self._asdict(),
            "best": None if self.best is None else self.best.learning,
            "candidates": [
                {
                    "name": each.name,
                    **each._asdict(),
                }
                for each in self.candidates
            ],
        }
        return json.dumps(plain(data), indent=2) + "\n"


def ranked(candidates: list[Candidate]) -> list[Candidate]:
    """The best first: by energy, those with a poor gradient by their cosine."""

    def key(each: Candidate) -> tuple[int, float, bool, float, str]:
        poor = -(each.cosine or 0.0) if each.state == "poor" else 0.0
        return STATES.index(each.state), poor, each.energy is None, each.energy or 0.0, each.name

    return sorted(candidates, key=key)
