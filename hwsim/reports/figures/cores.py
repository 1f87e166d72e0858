"""Spikes of each core of an event-driven machine: bars, or a map of the mesh if many cores have neurons."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, sqrt

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D

from hwsim.accounts.contention import Mesh
from hwsim.reports.figures.canvas import INK, MUTED, PALETTE, PAPER, RULE, Drawing, canvas, drawing
from hwsim.reports.figures.recorded import named
from hwsim.results.run_folder import RunFolder
from hwsim.units.event_cores import MeshOptions

BARS = 16
"""Largest number of cores that have a bar each."""
TONES = 20
"""Tones of a map; cores of one tone are one path."""
_NARROW, _WIDE, _BESIDE = 350, 760, 60
"""Widths of figures, and room for what stands beside a map, in points."""
_BAR, _LETTERS, _LARGEST = 17, 26, 76
"""Height of a bar, width of a core from which on its spikes stand in it, and largest side of a tile, in points."""
_HIGH = 560
"""Largest height of a map, in points."""
_FRAMED = 400
"""Largest number of tiles that have a frame each."""
_DARK = 0.55
"""Opacity from which numbers in a core are as light as paper."""


def event_cores(run: RunFolder) -> list[Drawing]:
    """Spikes by core of each system whose spikes were put on an event-driven machine."""
    found = {name: each.spiking.on_event_cores for name, each in run.systems.items() if each.spiking is not None}
    placed, drawings = {name: on for name, on in found.items() if on is not None}, []
    for system, on in placed.items():
        of = MeshOptions.model_validate(run.config["event_driven"]["machine"].get("mesh", {}))
        mesh = Mesh(of.width, of.height, of.cores_per_tile)
        what = (
            f"Spikes of {system} in an inference, on average over test sequences and chips, by the core that the "
            "neurons would stand on; outputs of a layer that go on to the next one are among them."
        )
        name = named("cores", system, list(placed))
        drawn = cores(dict(enumerate(on.spikes_per_core)), mesh, on.machine, what, name)
        drawings += [] if drawn is None else [drawn]
    return drawings


def cores(spikes: Mapping[int, float], mesh: Mesh, machine: str, what: str, name: str = "cores") -> Drawing | None:
    """Spikes by the core that the neurons which fired stand on.

    Args:
        spikes: of each core that has neurons.
        mesh: the tiles of the machine.
        machine: its name.
        what: which spikes they are, as a sentence.
        name: that of the figure.

    Returns:
        The figure; None if no core has neurons.
    """
    if not spikes:
        return None
    heading = _heading(spikes, machine)
    if len(spikes) <= BARS:
        with canvas(50 + _BAR * len(spikes), _NARROW) as figure:
            _bars(figure.subplots(), spikes)
            return drawing(figure, name, heading, f"{what} Cores without neurons are left out.")
    shown = _part(spikes, mesh)
    across, down = shown[1] - shown[0], shown[3] - shown[2]
    columns = ceil(sqrt(mesh.cores_per_tile))
    narrow = min((_NARROW - _BESIDE) / across, _HIGH / down) >= _LETTERS * columns
    side = min(((_NARROW if narrow else _WIDE) - _BESIDE) / across, _HIGH / down, _LARGEST)
    with canvas(50 + side * down, _BESIDE + side * across if narrow else _WIDE) as figure:
        _map(figure.subplots(), spikes, mesh, shown, side)
        said = f"{what} A square is a core, a frame a tile. The fuller a core, the more spikes: the fullest has "
        said += f"{_number(max(spikes.values()))}, an empty one none."
        if across * down < mesh.width * mesh.height:
            said += f" Of {mesh.width} × {mesh.height} tiles those around the cores with neurons are shown."
        return drawing(figure, name, heading, said, wide=not narrow)


def _heading(spikes: Mapping[int, float], machine: str) -> str:
    total, most = sum(spikes.values()), max(spikes, key=lambda core: spikes[core])
    if not total:
        return f"No neuron fires on {machine}"
    if len(spikes) == 1:
        return f"All {_number(total)} spikes are of core {most} of {machine}"
    times = spikes[most] * len(spikes) / total
    return f"Core {most} of {machine} fires most: {_number(spikes[most])} spikes, {times:.2g} times the mean of cores"


def _bars(axes: Axes, spikes: Mapping[int, float]) -> None:
    """A bar for each core, with its number of spikes behind it."""
    rows = sorted(spikes)
    axes.barh(range(len(rows)), [spikes[core] for core in rows], height=0.72, color=PALETTE["blue"])
    for row, core in enumerate(rows):
        axes.annotate(
            _number(spikes[core]), (spikes[core], row), (4, 0), textcoords="offset points", va="center", fontsize=9,
            color=MUTED,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), [f"core {core}" for core in rows])
    axes.tick_params("y", length=0)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 1.18 * max(spikes.values()) or 1.0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("spikes")
    axes.grid(axis="x")


def _part(spikes: Mapping[int, float], mesh: Mesh) -> tuple[int, int, int, int]:
    """The tiles that a map shows, from x to below x, from y to below y: all of a small mesh."""
    if mesh.width * mesh.height <= _FRAMED:
        return 0, mesh.width, 0, mesh.height
    x, y = mesh.position(np.array(list(spikes)))
    return int(x.min()), int(x.max()) + 1, int(y.min()), int(y.max()) + 1


def _map(axes: Axes, spikes: Mapping[int, float], mesh: Mesh, shown: tuple[int, int, int, int], side: float) -> None:
    """Tiles at their places, with their cores row by row from above."""
    columns = ceil(sqrt(mesh.cores_per_tile))
    size = (0.92 / columns, 0.92 / ceil(mesh.cores_per_tile / columns))
    tones: dict[int, list[Path]] = {}
    for core, (left, low) in _corners(spikes, mesh, columns, size).items():
        full = spikes[core] / (max(spikes.values()) or 1.0)
        square = Path.unit_rectangle().transformed(_placed(left, low, *size))
        tones.setdefault(ceil(full * TONES), []).append(square)
        if side * size[0] >= _LETTERS * 0.9:
            ink, middle = PAPER if full > _DARK else INK, (left + size[0] / 2, low + size[1] / 2)
            axes.text(*middle, _number(spikes[core]), ha="center", va="center", fontsize=8, color=ink)
    for tone, squares in sorted(tones.items()):
        path, opacity = Path.make_compound_path(*squares), tone / TONES
        axes.add_patch(PathPatch(path, facecolor=PALETTE["blue"], alpha=opacity, linewidth=0))
    from_x, to_x, from_y, to_y = shown
    framed = (to_x - from_x) * (to_y - from_y) <= _FRAMED
    tiles = [(x, y) for x in range(from_x, to_x) for y in range(from_y, to_y)] if framed else []
    frames = [Path.unit_rectangle().transformed(_placed(x - 0.46, y - 0.46, 0.92, 0.92)) for x, y in tiles]
    if frames:
        axes.add_patch(PathPatch(Path.make_compound_path(*frames), fill=False, edgecolor=RULE, linewidth=0.8))
    _places(axes, shown)


def _corners(
    spikes: Mapping[int, float], mesh: Mesh, columns: int, size: tuple[float, float]
) -> dict[int, tuple[float, float]]:
    """Left and low end of each core."""
    known = np.array(sorted(spikes))
    x, y = mesh.position(known)
    row, column = np.divmod(known % mesh.cores_per_tile, columns)
    left, low = x - 0.46 + column * size[0], y + 0.46 - (row + 1) * size[1]
    return dict(zip(known.tolist(), zip(left.tolist(), low.tolist(), strict=True), strict=True))


def _placed(left: float, low: float, width: float, height: float) -> Affine2D:
    return Affine2D().scale(width, height).translate(left, low)


def _places(axes: Axes, shown: tuple[int, int, int, int]) -> None:
    """The axes of a map: where tiles stand."""
    axes.set_xlim(shown[0] - 0.5, shown[1] - 0.5)
    axes.set_ylim(shown[2] - 0.5, shown[3] - 0.5)
    axes.set_aspect("equal")
    for axis, name in ((axes.xaxis, "x"), (axes.yaxis, "y")):
        axis.set_major_locator(MaxNLocator(8, integer=True))
        axis.set_label_text(f"{name} of the tile")
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _number(count: float) -> str:
    """A count of spikes; a mean may be no whole number."""
    if count >= 100 or count == round(count):
        return f"{count:,.0f}"
    return f"{count:.1f}" if count >= 10 else f"{count:.2f}"
