"""Gradients in a fast array: Tiki-Taka, whose columns move to the weights as they are read."""

from __future__ import annotations

from typing import Literal

from hwsim.learning.updates.fast_array import Fast, Moved, Transfer
from hwsim.machine import Signal


class Options(Moved, extra="forbid"):
    """Pulse gradients into a fast array of devices, read its columns in turn, and pulse these into the weights."""

    name: Literal["tiki_taka"]


class TikiTaka(Transfer):
    """A ← A - fast_rate e xᵀ at each step; after a batch C ← C + η A e_j e_jᵀ, for one column j after the other.

    Both outer products are random trains on lines, the second of what the read of the column gives and of the one-hot
    vector that chose it; where tiles have analog outputs, no number is in between. Beside the weights there is one more
    array of devices, and no digital buffer. (Gokmen and Haensch, "Algorithm for training neural networks on resistive
    device arrays", Front. Neurosci. 14:103, 2020, with γ = 0; see `hwsim.learning.updates.fast_array`.)
    """

    whole = False

    def move(self, fast: Fast, place: Signal, rate: float) -> None:
        fast.weights.pulse_column(fast.read(place), place, rate)
