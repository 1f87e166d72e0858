"""Store and recall: keep the bit that was shown with one cue until another cue asks for it (Bellec et al., 2018).

G. Bellec, D. Salaj, A. Subramoney, R. Legenstein and W. Maass, "Long short-term memory and learning-to-learn in
networks of spiking neurons", NeurIPS 2018; sizes and rates are those of the authors' published program (LSNN-official).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import episode as shapes
from hwsim import streams
from hwsim.episode import Episode
from hwsim.tasks.dataset import Dataset

GROUPS = 4
"""Inputs that stand for a bit 0, a bit 1, the cue to store, and the cue to recall."""
STORE, RECALL = 2, 3
TRIES = 1000
"""Rounds of drawing symbols anew for sequences that had no recall."""


class Options(BaseModel, extra="forbid"):
    """Bits as spikes, and cues to store one and to recall it; the loss is where a recall is asked for."""

    name: Literal["store_and_recall"]
    symbols: Annotated[int, Field(ge=3, description="symbols of a sequence")] = 12
    duration: Annotated[int, Field(ge=1, description="steps of a symbol, of 1 ms in the paper")] = 200
    delay: Annotated[
        float,
        Field(
            ge=1,
            allow_inf_nan=False,
            description="D: where a cue may stand, it stands with probability 1 / (1 + D), so that the next one comes "
            "after D symbols on average, but for the end of the sequence",
        ),
    ] = 6.0
    inputs: Annotated[int, Field(ge=4, description="input wires; a fourth each for bit 0, bit 1, store and recall")] = (
        100
    )
    rate: Annotated[
        float, Field(gt=0, le=1, description="probability of a spike per step on a wire whose group is active")
    ] = 0.05
    train: Annotated[int, Field(ge=1, description="number of training sequences")] = 1024
    test: Annotated[int, Field(ge=1, description="number of test sequences")] = 256

    @model_validator(mode="after")
    def _fourths(self) -> Self:
        if self.inputs % GROUPS:
            raise ValueError(f"inputs: {self.inputs} wires are not four groups of equal size")
        return self

    @model_validator(mode="after")
    def _recalls(self) -> Self:
        if self.delay > 100 * self.symbols:
            raise ValueError(f"delay: {self.delay:g} symbols between cues are too many for sequences of {self.symbols}")
        return self


def numbers(options: Options) -> int:
    """The number of input, target and mask values of all sequences."""
    return (options.train + options.test) * options.symbols * options.duration * (options.inputs + 2)


def outline(options: Options) -> Dataset:
    """The shapes of the data that `build` returns."""
    steps = options.symbols * options.duration
    train, test = (
        shapes.outline(count, steps, options.inputs, classes=2, each=True, masked=True)
        for count in (options.train, options.test)
    )
    return Dataset(train, test)


def build(options: Options, seed: int, folder: Path | None = None) -> Dataset:
    """Spikes of the groups of wires; the loss is in all steps of each recall, and the class is the stored bit."""

    def episode(kind: str, count: int) -> Episode:
        draw = streams.generator(seed, "store and recall", kind)
        cues, bits = cued(options, draw, count), draw.integers(2, size=(count, options.symbols))
        stored = np.zeros_like(bits)
        for symbol in range(options.symbols):
            before = stored[:, symbol - 1] if symbol else 0
            stored[:, symbol] = np.where(cues[:, symbol] == STORE, bits[:, symbol], before)
        groups = np.arange(GROUPS)
        active = (cues[:, :, None] == groups) | ((bits[:, :, None] == groups) & (cues != RECALL)[:, :, None])
        chance = options.rate * np.repeat(np.repeat(active, options.inputs // GROUPS, 2), options.duration, 1)
        spikes = (draw.random(chance.shape) < chance).astype(float)
        labels, mask = (np.repeat(each, options.duration, 1) for each in (stored, cues == RECALL))
        return Episode(spikes, labels, classes=2, mask=mask)

    return Dataset(episode("train", options.train), episode("test", options.test))


def cued(options: Options, draw: np.random.Generator, count: int) -> np.ndarray:
    """The cue of each symbol, `(count, symbols)`: `STORE`, `RECALL`, or -1 for none.

    Cues take turns, the first one is to store, and a recall never follows its store at once: there is a symbol to
    distract between them. Sequences whose last cue is to store are drawn anew, and so are those without any.
    """
    cues = np.zeros((count, options.symbols), np.int64)
    open_ = np.arange(count)
    for _ in range(TRIES):
        cues[open_] = drawn = _drawn(options, draw, len(open_))
        last = np.where(drawn >= 0, np.arange(options.symbols), -1).max(1)
        done = (last >= 0) & (drawn[np.arange(len(open_)), last] == RECALL)
        open_ = open_[~done]
        if not len(open_):
            return cues
    cues[open_] = -1
    cues[open_, 0], cues[open_, -1] = STORE, RECALL  # hardly ever reached: see `_recalls`
    return cues


def _drawn(options: Options, draw: np.random.Generator, count: int) -> np.ndarray:
    """Cues as they come, whether or not a sequence has a recall."""
    chosen = draw.random((count, options.symbols)) < 1 / (1 + options.delay)
    cues = np.full((count, options.symbols), -1)
    holds, fresh = np.zeros(count, bool), np.zeros(count, bool)
    for symbol in range(options.symbols):
        stands = chosen[:, symbol] & ~fresh
        cues[stands, symbol] = np.where(holds[stands], RECALL, STORE)
        fresh = stands & ~holds
        holds = holds ^ stands
    return cues
