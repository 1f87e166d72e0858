"""Options that are accepted and do nothing in this experiment, of which a user is warned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hwsim import cells, machines
from hwsim.documents import Place

_INSTEAD = "it is `exact` here"


def idle_inverse(experiment: Any) -> Iterator[tuple[Place, str]]:
    """Warnings about `inverse: analog` where no analog inverse solver solves anything: the key, and why."""
    if not hasattr(experiment, "systems"):
        return
    places = [(), *(("references", number) for number in range(len(experiment.references)))]
    layers = [layer.cell.name for layer in experiment.network.layers]
    for place, system in zip(places, experiment.systems().values(), strict=True):
        if getattr(system.learning, "inverse", None) == "analog":
            why = _why_idle(system, layers)
            if why is not None:
                yield (*place, "learning", "inverse"), f"analog does nothing: {why}; {_INSTEAD}"


def _why_idle(system: Any, layers: list[str]) -> str | None:
    """Why a system never solves by an analog circuit; None where it does."""
    if getattr(system.learning, "stride", None) == 1:
        return f"with `every: 1` {system.learning.name} sums all errors directly, and inverts no Jacobian"
    if not any(cells.dense(name) for name in layers):
        return f"Jacobians of {layers[0]} are one number per mode, which multipliers invert; leaky_tanh has dense ones"
    if not machines.kind_of(system.machine).is_analog:
        return (
            f"{system.machine.name} has no analog circuits, and solves in numbers; solving_crossbar has an analog "
            "inverse solver"
        )
    return None
