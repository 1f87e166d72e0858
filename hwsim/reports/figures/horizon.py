"""The map of the horizon: how long a sequence may be against how fast the network forgets, with this run on it."""

from __future__ import annotations

from math import exp, inf, isfinite
from typing import Any

import numpy as np
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from hwsim.learning.horizon import Horizon
from hwsim.reports.figures.canvas import INK, MUTED, PALETTE, PAPER, Drawing, canvas, drawing, legend
from hwsim.reports.tables import Systems
from hwsim.results.summary import InitialHorizon

_MODULI = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999)


def horizon(systems: Systems) -> Drawing | None:
    """The map for the first system that has a horizon; None if none has."""
    name, reach = next(((name, s.horizon) for name, s in systems.items() if s.horizon), ("", None))
    if reach is None:
        return None
    now, start = _point(reach), _point(reach.at_start) if reach.at_start else None
    known = [point.rate for point in (now, start) if point is not None]
    lowest = min(*known, 0.01) / 2
    highest = max([0.5, *filter(isfinite, known)])
    rates = np.geomspace(max(lowest, 1e-5), 2 * highest, 160)
    at = np.clip(known, rates[0], rates[-1])
    with canvas(330) as figure:
        axes = figure.subplots()
        axes.set_xscale("log")
        axes.set_yscale("log")
        fresh, frozen = _fresh(now, rates), np.array([now._replace(rate=rate).frozen_steps for rate in rates.tolist()])
        limit = np.minimum(fresh, frozen)
        bottom = max(0.5, min(1.0, float(limit.min()) / 2))
        top = 2.5 * max([now.steps, *(value for value in (*fresh[:1], *frozen[:1]) if isfinite(value))])
        axes.fill_between(rates, bottom, np.minimum(limit, top), color=PALETTE["green"], alpha=0.15, linewidth=0)
        axes.plot(rates, fresh, color=PALETTE["blue"], label="fresh errors allow")
        if isfinite(now.frozen_steps):
            axes.plot(rates, frozen, "--", color=PALETTE["orange"], label="frozen errors allow")
        edge: Any = {"markeredgecolor": INK, "markeredgewidth": 1.5, "markersize": 9}
        if start is not None:
            axes.plot(rates, _fresh(start, rates), ":", color=PALETTE["blue"], label="fresh, initial weights")
            axes.plot(at, [now.steps] * 2, color=MUTED, linewidth=1)
            axes.plot(at[1], now.steps, "o", color=PAPER, label="initial weights", **edge)
        axes.plot(at[0], now.steps, "o", color=INK, label="last weights", **edge)
        axes.set_xlim(rates[0], rates[-1])
        axes.set_ylim(bottom, top)
        axes.yaxis.set_major_locator(LogLocator(10, numticks=6))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_locator(LogLocator(10, numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("forgetting per step, ln(1/|λ|); above, |λ|")
        axes.set_ylabel("steps of a sequence")
        axes.grid()
        upper = axes.twiny()
        upper.set_xscale("log")
        upper.set_xlim(rates[0], rates[-1])
        shown = [modulus for modulus in _MODULI if rates[0] * 1.1 < -np.log(modulus) < rates[-1] / 1.1]
        upper.xaxis.set_major_locator(FixedLocator([-np.log(modulus) for modulus in _thinned(shown)]))
        upper.xaxis.set_minor_locator(NullLocator())
        upper.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{exp(-value):.3g}"))
        upper.tick_params("x", length=2)
        legend(figure, axes)
        return drawing(
            figure,
            "horizon",
            f"{now.verdict[0].upper()}{now.verdict[1:]}",
            f"{name} is in reach where its mark lies in the shaded region: there errors at the end of a sequence stay "
            f"within {reach.tolerance:.0%}. Fresh errors are drawn at each use and grow the faster the network "
            "forgets; frozen ones are mismatch of circuits, and add up step by step.",
        )


def _point(reach: InitialHorizon) -> Horizon:
    """The horizon of a summary, where null means infinite."""
    fields: Any = {key: inf if (value := getattr(reach, key)) is None else value for key in Horizon._fields}
    return Horizon(**fields)


def _fresh(point: Horizon, rates: np.ndarray) -> np.ndarray:
    """The longest sequences that fresh errors of this size allow at other rates."""
    return np.array([point._replace(rate=float(rate)).fresh_steps if point.fresh else np.inf for rate in rates])


def _thinned(values: list[float]) -> list[float]:
    return values if len(values) <= 6 else values[::2]
