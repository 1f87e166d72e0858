"""Sums of gradients and programming: the optimizer finds new weights, and devices are programmed to them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from hwsim.learning.updates.scheme import Scheme


class Options(BaseModel, extra="forbid"):
    """Sum gradients in digital memory, then program the weights that the optimizer finds."""

    name: Literal["accumulate"] = "accumulate"


class Accumulate(Scheme):
    """w ← the optimizer's value for the summed gradient; devices whose target moved are programmed, and verified."""
