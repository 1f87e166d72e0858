"""The rule that a plan puts first: chosen before anything runs, by what is expected of each rule on the machine."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.errors import ConfigError
from hwsim.learning.rule import Rule
from hwsim.networks import Network
from hwsim.quantities import Bytes


class Options(BaseModel, extra="forbid"):
    """The first rule of `hwsim plan`: the one of least energy whose gradient is expected to be good enough."""

    name: Literal["auto"]
    memory: Annotated[
        Bytes | None,
        Field(description="what a sequence may take besides weights and their gradient; by default any amount"),
    ] = None
    cosine: Annotated[
        float, Field(gt=0, le=1, description="smallest expected cosine with the exact gradient that is good enough")
    ] = 0.9


class Auto(Rule):
    """A choice that is open. Runs and estimates make it first; the run folder has the rule that was chosen."""

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        return []

    def check(self, network: Network) -> None:
        raise ConfigError(_OPEN)

    def gradients(self, network: Network) -> None:
        raise ConfigError(_OPEN)


_OPEN = (
    "learning: auto is for the substrate of a run or an estimate; `hwsim plan FILE` says which rule that is: write it "
    "here in its place"
)
