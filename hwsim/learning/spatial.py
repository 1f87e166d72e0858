"""Spatial backpropagation: errors propagate through layers, never through time, and recurrences are not trained."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from hwsim.learning.rule import Instantaneous


class Options(BaseModel, extra="forbid"):
    """Backpropagation through layers only."""

    name: Literal["spatial"]


class Spatial(Instantaneous):
    """dL/dθ ≈ Σ_t F_tᵀ g_t, but zero for the recurrent factor: the gradient of λh, or Wh, is stopped.

    This is the lower bound of Zucchet, Pourcel and Ernoult, "Forward propagation of errors through time", 2026; it
    differs from `one_step` in that factor only.
    """

    recurrent = False
