"""The efficiency of matrix products: systems side by side, and published chips."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

import yaml

from hwsim.quantities import si
from hwsim.reports.tables import NOTHING, Systems, Table, TableCell, TableRow
from hwsim.results.summary import SystemSummary


class PublishedChip(NamedTuple):
    """A published chip; values that its source does not give are None.

    Attributes:
        energy_per_mac_pj: energy per multiply-accumulate, converters included.
        power_mw, area_mm2: power and area of the circuits that the energy includes.
        source: the key of its source.
    """

    name: str
    what: str
    energy_per_mac_pj: float
    power_mw: float | None
    area_mm2: float | None
    source: str


@cache
def chips() -> dict[str, PublishedChip]:
    """The published chips, by name."""
    return {chip["name"]: PublishedChip(**chip) for chip in _file()["chips"]}


def sources() -> Mapping[str, str]:
    """The citations of published chips, by key."""
    return _file()["sources"]


@cache
def _file() -> Any:
    return yaml.safe_load(resources.files(__package__).joinpath("published_chips.yaml").read_text("utf-8"))


class Measure(NamedTuple):
    """One measure of efficiency: its label, its key in a summary, and how it is written."""

    label: str
    key: str
    write: Callable[[float], str]


MEASURES = (
    Measure("energy / MAC", "energy_per_mac_j", lambda v: si(v, "J")),
    Measure("TOPS/W", "tops_per_w", lambda v: f"{v:.3g}"),
    Measure("… of it converters", "converter_share", lambda v: f"{v:.0%}"),
    Measure("tile fill", "tile_fill", lambda v: f"{100 * v:.2g}%"),
    Measure("mean power", "mean_power_w", lambda v: si(v, "W")),
    Measure("area", "area_m2", lambda v: f"{v * 1e6:.3g} mm²"),
)


def efficiency(systems: Systems) -> Table:
    """The efficiency of the matrix products of a training step, its mean power, and the area of the system."""
    rows = []
    for label, key, write in MEASURES:
        values = [getattr(system.efficiency, key) for system in systems.values()]
        cells = [NOTHING if value is None else TableCell(write(value), value) for value in values]
        if any(cell is not NOTHING for cell in cells):
            rows.append(TableRow(label, tuple(cells)))
    known = [_known_area(system) for system in systems.values()]
    if any(cell is not NOTHING for cell in known):
        rows.append(TableRow("… as far as known", tuple(known)))
    return Table("Efficiency of matrix products, power and area", tuple(systems), tuple(rows))


def _known_area(system: SystemSummary) -> TableCell:
    """The sum of the areas that have a source, if some have none."""
    measured = system.efficiency
    if measured.area_m2 is not None or not measured.area_by_part_m2:
        return NOTHING
    known = sum(area or 0.0 for area in measured.area_by_part_m2.values())
    return TableCell(f"{known * 1e6:.3g} mm²", known)


def published(brief: bool = False) -> Table:
    """The published chips; `brief` leaves out their power and area."""
    rows = []
    for chip in chips().values():
        power = NOTHING if chip.power_mw is None else TableCell(si(chip.power_mw / 1e3, "W"), chip.power_mw)
        area = NOTHING if chip.area_mm2 is None else TableCell(f"{chip.area_mm2:.3g} mm²", chip.area_mm2)
        energy, tops = chip.energy_per_mac_pj, 2 / chip.energy_per_mac_pj
        more = () if brief else (power, area)
        cells = TableCell(si(energy * 1e-12, "J"), energy), TableCell(f"{tops:.3g}", tops), *more, TableCell(chip.what)
        rows.append(TableRow(chip.name, cells))
    columns = ("energy / MAC", "TOPS/W", *(() if brief else ("power", "area")), "what")
    return Table("Published chips, for comparison", columns, tuple(rows), corner="chip")


def remarks(systems: Systems) -> list[str]:
    """Remarks about tiles that are mostly empty, and about areas that are not known as a whole."""
    return _empty(systems) + _no_area(systems)


EMPTY = 0.1
"""The tile fill below which a remark explains its cost."""


def empty(system: SystemSummary) -> str | None:
    """The tile fill in per cent, if tiles are mostly empty and draw the power of whole tiles; else None."""
    fill = system.efficiency.tile_fill
    drawn = any("periphery." in constant for constant in system.energy.by_constant)
    return f"{100 * fill:.2g} %" if fill is not None and fill < EMPTY and drawn else None


def _empty(systems: Systems) -> list[str]:
    """Remarks about systems whose tiles are mostly empty, one per tile fill."""
    fills: dict[str, list[str]] = {}
    for name, system in systems.items():
        fill = empty(system)
        if fill is not None:
            fills.setdefault(fill, []).append(name)
    return [
        f"{', '.join(names)}: weights fill {fill} of the tiles that are read, and a read draws the power of whole "
        "tiles; tiles of fewer machine.parts.tiles.rows and columns read for less."
        for fill, names in fills.items()
    ]


def _no_area(systems: Systems) -> list[str]:
    """Remarks about areas that are not known as a whole, one per reason."""
    reasons: dict[str, list[str]] = {}
    for name, system in systems.items():
        why = system.efficiency.area_why_null
        if why and system.efficiency.area_by_part_m2:
            reasons.setdefault(why, []).append(name)
    return [f"{', '.join(names)}: no area as a whole, since {why}." for why, names in reasons.items()]
