"""Calibration: published reads beside simulated ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple

import yaml
from pydantic import BaseModel, Field

from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.experiments.one_read import Read, one_read


class PublishedRead(BaseModel, extra="forbid"):
    """A published read of a whole tile, and the machine that simulates it.

    Its energy is `energy_nj`, or follows from `tops_per_w` or `pj_per_mac`. Its time, if one was published, is
    `time_ns`, or follows from the `tops` of all `cores`.
    """

    chip: str
    setting: str
    is_: Literal["fitted", "predicted", "missed"] = Field(alias="is")
    because: str | None = None
    like: str
    periphery: str | None = None
    parts: dict[str, Any]
    times: int = 1
    energy_nj: float | None = None
    tops_per_w: float | None = None
    pj_per_mac: float | None = None
    time_ns: float | None = None
    tops: float | None = None
    cores: int = 1
    source: str

    def machine(self) -> Any:
        """The options of the machine."""
        around = {} if self.periphery is None else {"periphery": self.periphery}
        data = {"like": self.like, "name": self.chip, "parts": self.parts, **around}
        return hardware.machine(Document(self.chip, data))

    def energy(self, operations: int) -> float:
        """The published energy of a number of operations, in joules."""
        if self.energy_nj is not None:
            return self.energy_nj * 1e-9
        if self.tops_per_w is not None:
            return operations / (self.tops_per_w * 1e12)
        assert self.pj_per_mac is not None
        return operations / 2 * self.pj_per_mac * 1e-12

    def time(self, operations: int) -> float | None:
        """The published time of a number of operations on one core, in seconds; None if there is none."""
        if self.time_ns is not None:
            return self.time_ns * 1e-9
        return None if self.tops is None else self.cores * operations / (self.tops * 1e12)


class ReadComparison(NamedTuple):
    """A published read beside the same one here.

    Attributes:
        published: the read as its source has it.
        simulated: one read of a tile of the machine.
        energy, published_energy: the simulated and the published energy, in joules.
        published_time: the published time, in seconds; None if there is none.
    """

    published: PublishedRead
    simulated: Read
    energy: float
    published_energy: float
    published_time: float | None

    @property
    def ratio(self) -> float:
        """The simulated energy divided by the published one."""
        return self.energy / self.published_energy


def comparisons() -> list[ReadComparison]:
    """All published reads beside simulated ones, including those that the model misses."""
    return [compared(published) for published in published_reads()]


def compared(published: PublishedRead) -> ReadComparison:
    """A published read beside the simulated one."""
    simulated = one_read(published.machine())
    operations = 2 * simulated.rows * simulated.columns * published.times
    assert simulated.energy is not None
    return ReadComparison(
        published,
        simulated,
        simulated.energy * published.times,
        published.energy(operations),
        published.time(operations),
    )


def published_reads() -> list[PublishedRead]:
    """The published reads, in the order of the file."""
    return [PublishedRead.model_validate(read) for read in _file()["reads"]]


def sources() -> Mapping[str, str]:
    """Citations of published reads, by key."""
    return _file()["sources"]


@cache
def _file() -> Any:
    return yaml.safe_load(resources.files(__package__).joinpath("published_reads.yaml").read_text("utf-8"))
