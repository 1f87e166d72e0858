"""Whether networks fit the chips: the tiles that each system needs, told for all systems at once."""

from __future__ import annotations

from hwsim import tasks
from hwsim.config.experiment import Experiment, Learner
from hwsim.documents import MOST
from hwsim.errors import CapabilityError, HwsimError
from hwsim.experiments.system import System
from hwsim.machine import Expectations, Shapes


def lacking(experiment: Experiment) -> CapabilityError | None:
    """The error that lists the systems whose chips have too few tiles; None if all have enough."""
    said = []
    for name, options in experiment.systems().items():
        parts = getattr(options.machine, "parts", None)
        tiles = getattr(parts, "tiles", None)
        needed = None if tiles is None else _needed(experiment, name, options)
        if tiles is not None and needed is not None and needed > tiles.count:
            said.append(
                f"{name}: the network needs {needed} tiles of {tiles.rows} by {tiles.columns}, and "
                f"{options.machine.name} has {tiles.count}; raise machine.parts.tiles.count, or take larger tiles"
            )
    return CapabilityError("\n".join(said)) if said else None


def _needed(experiment: Experiment, name: str, options: Learner) -> int | None:
    """The tiles that a network and its rule take on a chip that has any number of them; None if it is refused there."""
    machine, parts = options.machine, options.machine.parts
    vast = parts.model_copy(update={"tiles": parts.tiles.model_copy(update={"count": MOST})})
    wide = options.model_copy(update={"machine": machine.model_copy(update={"parts": vast})})
    try:
        system = System(experiment, name, wide, tasks.outline(experiment.task), {})
        system.numerics = Shapes(Expectations())
        return system.tiles()
    except HwsimError:
        return None
