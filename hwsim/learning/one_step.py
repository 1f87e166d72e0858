"""One-step truncated backpropagation: each loss reaches the parameters of its own step, and no further."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from hwsim.learning.rule import Instantaneous


class Options(BaseModel, extra="forbid"):
    """Truncated backpropagation through one step."""

    name: Literal["one_step"]


class OneStep(Instantaneous):
    """dL/dθ ≈ Σ_t F_tᵀ g_t: the recursion of BPTT's errors, cut after its first term; one pass, no learning state.

    The state is carried from step to step, errors are not. The recurrent factor gets its immediate gradient, as in
    truncated backpropagation with k = 1.
    """

    recurrent = True
