"""An excerpt of the timeline: what each unit does over a few steps of hardware time, coloured by purpose."""

from __future__ import annotations

from collections import Counter
from typing import Any

from matplotlib.patches import Patch

from hwsim.quantities import si
from hwsim.records import PURPOSES
from hwsim.reports.figures.canvas import INK, MUTED, SERIES, Drawing, canvas, drawing, quantities, shortened
from hwsim.results.run_folder import RunFolder

STEPS, LANES = 3, 26
"""Largest numbers of steps and of units that are shown: the units that work most."""

Event = dict[str, Any]
COLOURS = dict(zip(PURPOSES, SERIES, strict=False))


def timeline(run: RunFolder) -> Drawing | None:
    """The timeline of the first system that has one; None if none has."""
    names = list(run.systems)
    events = [event for event in run.timeline if event["ph"] in ("X", "M")]
    processes = sorted({event["pid"] for event in events if event["ph"] == "X"})
    if not processes:
        return None
    process = processes[0]
    events = [event for event in events if event["pid"] == process]
    units = {event["tid"]: event["args"]["name"] for event in events if event["name"] == "thread_name"}
    work = [event for event in events if event["ph"] == "X"]
    sweep, steps = _excerpt(work)
    chosen = [event for event in work if event["args"]["pass"] == sweep and event["args"]["step"] in steps]
    start, end = min(event["ts"] for event in chosen), max(event["ts"] + event["dur"] for event in chosen)
    seen = [event for event in work if event["ts"] < end and event["ts"] + event["dur"] > start]
    busy: Counter[int] = Counter()
    for event in seen:
        busy[event["tid"]] += min(event["ts"] + event["dur"], end) - max(event["ts"], start)
    most = {lane for lane, _ in busy.most_common(LANES)}
    lanes = [lane for lane in dict.fromkeys(event["tid"] for event in sorted(seen, key=_begin)) if lane in most]
    with canvas(70 + 15 * len(lanes), 760) as figure:
        axes = figure.subplots()
        for row, lane in enumerate(lanes):
            for purpose in PURPOSES:
                spans = [
                    (max(event["ts"], start) - start, min(event["ts"] + event["dur"], end) - max(event["ts"], start))
                    for event in seen
                    if event["tid"] == lane and event["args"]["purpose"] == purpose
                ]
                if spans:
                    spans = [(1e-9 * begin, 1e-9 * length) for begin, length in spans]
                    axes.broken_barh(spans, (row - 0.38, 0.76), facecolors=COLOURS[purpose], linewidth=0)
        for step in steps[1:]:
            first = min(event["ts"] for event in chosen if event["args"]["step"] == step)
            axes.axvline(1e-9 * (first - start), color=MUTED, linestyle=(0, (1, 3)), linewidth=1)
        axes.set_yticks(range(len(lanes)), [shortened(units[lane], 34) for lane in lanes], fontsize=9)
        axes.tick_params("y", length=0)
        axes.set_ylim(len(lanes) - 0.5, -0.5)
        axes.set_xlim(0, 1e-9 * (end - start))
        quantities(axes.xaxis, "s")
        axes.set_xlabel("hardware time", color=INK)
        axes.grid(axis="x")
        shown = [purpose for purpose in PURPOSES if any(event["args"]["purpose"] == purpose for event in seen)]
        patches = [Patch(color=COLOURS[purpose], label=purpose) for purpose in shown]
        figure.legend(handles=patches, loc="outside upper left", ncols=6)
        busiest, time = busy.most_common(1)[0]
        rest, length = len(busy) - len(lanes), si(1e-9 * (end - start), "s")
        return drawing(
            figure,
            "timeline",
            f"{units[busiest]} is the busiest unit: at work {time / (end - start):.0%} of {length}",
            f"{names[process - 1]}, {sweep}, steps {steps[0]} to {steps[-1]} of one sequence. A row is a unit, a bar "
            "is an operation, a colour is a purpose; dotted vertical lines mark the starts of steps, which may overlap."
            + (f" {rest} units that work less are left out." if rest else "")
            + " The whole training step is in timeline.json.",
            wide=True,
        )


def _excerpt(work: list[Event]) -> tuple[str, list[int]]:
    """A few steps in the middle of the pass that serves the most purposes."""
    steps: dict[str, set[int]] = {}
    purposes: dict[str, set[str]] = {}
    for event in work:
        where = event["args"]
        steps.setdefault(where["pass"], set()).add(where["step"])
        purposes.setdefault(where["pass"], set()).add(where["purpose"])
    sweep = max(steps, key=lambda name: (len(steps[name]) > 1, len(purposes[name])))
    known = sorted(steps[sweep])
    first = max(0, (len(known) - STEPS) // 2)
    return sweep, known[first : first + STEPS]


def _begin(event: Event) -> float:
    return event["ts"]
