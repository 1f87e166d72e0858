"""Gradients in a fast array, and a digital buffer: Tiki-Taka version 2, with choppers if they are wanted."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from hwsim.learning.updates.fast_array import Chopped, Fast, Summed, Transfer
from hwsim.machine import Ring, Signal
from hwsim.operations import flips, whole


class Options(Summed, extra="forbid"):
    """As `tiki_taka`, but sum what is read in digital memory; where that exceeds a pulse, weights get one."""

    name: Literal["tiki_taka_v2"]
    chop: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            allow_inf_nan=False,
            description="probability that the sign of a column of the fast array is turned over when it was read; 0 is "
            "without choppers",
        ),
    ] = 0.0


class TikiTakaV2(Transfer):
    """A ← A - fast_rate e (s ∘ x)ᵀ at each step; after a batch, for one column j after the other,

        h ← h + η s_j A e_j,  n = ⌊|h| / ε⌋ with the sign of h, at most `longest`,  h ← h - n ε,

    and n pulses change column j of C, each by ε at zero. H is digital, one number for each weight; it averages the
    noise of reads, and no change is lost that is smaller than a pulse. (Gokmen, "Enabling training of neural networks
    on noisy hardware", Front. Artif. Intell. 4:699148, 2021; see `hwsim.learning.updates.fast_array`.) What is left
    after the pulses stays in h; in aihwkit most of it is forgotten.

    With `chop`, each column has a sign s_j of ±1, turned over with that probability after it was read: what A adds by
    itself, as where its zero is not the symmetry point, then cancels in h. (Chopped version 2: Rasch et al.,
    Nat. Commun. 15:7133, 2024.) Without it, s = 1.
    """

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._sums: dict[str, Ring] = {}
        if options.chop:
            self.sink = Chopped

    def keep(self, fast: Fast) -> None:
        self._sums[fast.name] = fast.buffer("H")

    def move(self, fast: Fast, place: Signal, rate: float) -> None:
        machine, sums = fast.machine, self._sums[fast.name]
        v = machine.digital(fast.read(place))
        if isinstance(fast, Chopped):
            v = v * fast.sign(place)
            fast.chop(place, flips(machine, f"{fast.name} choppers", 1, self.options.chop))
        give(fast, place, sums, sums.load() + rate * v)


def give(fast: Fast, place: Signal, sums: Ring, h: Signal) -> None:
    """Give a column of the weights the pulses that its sums amount to, and keep the rest."""
    pulses = fast.weights.trainable.pulses
    assert pulses is not None
    given = whole(h, pulses.step, pulses.most)
    sums.store(h - given)
    fast.weights.pulse_column(given, place, 1.0)
