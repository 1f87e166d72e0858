"""What every law of a data sheet says of itself: where its numbers come from, and where it was measured."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from hwsim.quantities import Conductance, si

_ROUNDING = 1e-9
"""What is beyond the measured range by so much of its upper end is within it."""


_DIGITS = 6
"""So many digits tell the end of a device's range from that of a law."""


def _ordered(ends: list[float]) -> list[float]:
    if ends[0] >= ends[1]:
        raise ValueError("the lower end comes first")
    return ends


Source = Annotated[str | None, Field(description="a key of `sources`, perhaps with a remark after a comma")]
Assumed = Annotated[str | None, Field(description="instead of a source: why these numbers were chosen without one")]
Measured = Annotated[
    Annotated[list[Conductance], Field(min_length=2, max_length=2), AfterValidator(_ordered)] | None,
    Field(
        description="the lowest and the highest conductance at which the law was measured; a device that is used "
        "beyond them is warned of"
    ),
]


class Sourced(BaseModel, extra="forbid"):
    """Numbers with one origin for all of them; each model declares `source` and `assumed` as its last keys."""

    @model_validator(mode="after")
    def _accounted_for(self) -> Self:
        said = vars(self)
        if (said["source"] is None) == (said["assumed"] is None):
            raise ValueError("a law has either a source or a reason for which it is assumed")
        return self


class Law(Sourced):
    """A law over conductance, which declares `valid` behind its origin: the range in which it was measured."""

    def beyond(self, low: float, high: float) -> str | None:
        """Says that conductances from `low` to `high`, in siemens, leave the range in which the law was measured.

        Returns:
            None if they do not, or if no range is known.
        """
        ends = vars(self)["valid"]
        if ends is None or (low >= ends[0] - _ROUNDING * ends[1] and high <= ends[1] * (1 + _ROUNDING)):
            return None
        measured, used = (" to ".join(si(end, "S", _DIGITS) for end in pair) for pair in (ends, (low, high)))
        return (
            f"was measured from {measured}, and the device is used from {used}; beyond what was measured the law is a "
            "guess"
        )
