"""Waits of a deployment that are longer than what a law of drift was measured for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_DAY = 86_400.0


def too_old(experiment: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    """Warnings about the waits of an experiment: the key, and what is wrong; each sheet is told of once."""
    if getattr(experiment, "deploy", None) is None:
        return
    last, told = experiment.deploy.after[-1], set()
    for system in experiment.systems().values():
        sheet: Any = getattr(system.machine, "device", None)
        longest = getattr(getattr(sheet, "drift", None), "longest", None)
        if longest is not None and last > longest and sheet.name not in told:
            told.add(sheet.name)
            yield (
                ("deploy", "after"),
                f"reaches {last / _DAY:.3g} days, and the drift of {sheet.name} was measured for {longest / _DAY:.3g}; "
                "from there on devices are taken to stay as they are",
            )
