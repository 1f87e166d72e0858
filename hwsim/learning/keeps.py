"""What a rule keeps of the exact gradient, by its mathematics alone: plans predict cosines of gradients from it."""

from __future__ import annotations

from typing import NamedTuple


class Directions(NamedTuple):
    """The directions of a layer's state, as a rule is told of them before anything runs.

    Attributes:
        layer: its name.
        rates: ln(1/|λ|) per step, of each mode, or of each direction of a dense recurrence.
        modes: whether they are modes of a diagonal recurrence.
        loss_from: the first step that carries a loss.
    """

    layer: str
    rates: tuple[float, ...]
    modes: bool
    loss_from: int = 0


class Lags(NamedTuple):
    """Errors of losses fewer than c steps later are kept, where c is anything from `least` to `most`, equally often."""

    least: int
    most: int

    @classmethod
    def up_to(cls, steps: int) -> Lags:
        """All that are fewer than `steps` steps later."""
        return cls(steps, steps)


class Keeps(NamedTuple):
    """What a rule keeps of a layer's exact gradient dL/dθ = Σ_t F_tᵀ δ_t, with δ_t = Σ_s J_tᵀ … J_{t+s-1}ᵀ g_{t+s}.

    Attributes:
        lags: the s that are kept, for each direction of the layer, or for all alike if there is one.
        sends: the same for errors that go on to the layer below; by default the same lags.
        jointly: whether the lags are those of the whole way of an error, through the layers above as well.
        inverted: steps over which errors go forward by the inverse of J, by direction or for all alike. 0: they never
            do, so that nothing grows.
        sensitivities: whether sensitivities run forward, in place of errors that run back.
        backward: whether errors run in backward passes.
        recurrent: whether the recurrent parameters learn.
        aligned: whether errors reach the layer by weights that have to do with the gradient; if not, a cosine of zero
            is expected.
    """

    lags: tuple[Lags, ...]
    sends: tuple[Lags, ...] | None = None
    jointly: bool = False
    inverted: tuple[int, ...] = (0,)
    sensitivities: bool = False
    backward: bool = False
    recurrent: bool = True
    aligned: bool = True
