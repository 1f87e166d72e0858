"""The ideal machine: exact and free of noise, the golden reference. Its operations are counted; they cost nothing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim.machine.machine import Machine
from hwsim.machine.numerics import EXACT, Numerics


class Options(BaseModel, extra="forbid"):
    """An exact machine."""

    kind: Literal["ideal"]
    name: Annotated[str, Field(description="what it is called in tables")]
    format: Annotated[Literal["float64", "float32"], Field(description="float32 is faster")] = "float64"


class IdealMachine(Machine):
    """Every operation in float64, or float32."""

    def __init__(
        self, options: Options, *, chips: int = 1, seed: int = 0, strict: bool = False, numerics: Numerics = EXACT
    ) -> None:
        super().__init__(chips=chips, seed=seed, dtype=options.format, strict=strict, numerics=numerics)
        self.options, self.exact = options, options.format == "float64"
