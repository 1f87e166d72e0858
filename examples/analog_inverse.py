"""What does it buy to solve with the Jacobian by an analog circuit in one step?

Forward error propagation needs J⁻ᵀ v in each step. Here the ways to it stand side by side on one chip: the digital
unit solves (`exact`), amplifiers settle around a copy of W or around the tile of W itself (`analog`), and the
approximation 2I - Jᵀ, which reads W once and solves nothing (`two_minus`). What makes the analog solution bad is shown
as well: offsets of amplifiers, which are the same in each step. Nothing is trained: the gradient
at the initial weights is compared with the exact one along the states that the chip really took, for networks of more
and more units.

    python examples/analog_inverse.py

`--small` does it with few units and one chip, which tells nothing but that it works.
"""

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

import hwsim

UNITS = (16, 64)
LEAKS = (0.02, 0.1)
STEPS = 20
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "digital": ("exact", {}),
    "analog with a copy": ("analog", {}),
    "analog on the tile": ("analog", {"solver": {"array": "shared"}}),
    "a fifth of the offset": ("analog", {"solver": {"array": "shared", "offset": 0.0001}}),
    "without offset": ("analog", {"solver": {"array": "shared", "offset": 0}}),
    "two minus": ("two_minus", {}),
}
RANGES = "auto"
"""Full scales that the chip chooses itself; in its usual one the errors of this task drown in noise."""


def experiment(units: int, leak: float) -> dict[str, Any]:
    """A layer of slow units, and a gradient check for each way to invert its Jacobian."""
    systems = [
        {
            "name": name,
            "learning": {"name": "fpe", "inverse": inverse},
            "machine": {"like": "solving_crossbar", "name": name, "parts": {"ranges": RANGES, **parts}},
        }
        for name, (inverse, parts) in SYSTEMS.items()
    ]
    first, *others = systems
    return {
        "name": f"{units} units",
        "task": {"name": "random", "steps": STEPS, "width": 8, "outputs": 4, "train": 8, "test": 1},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": units, "leak": leak}, "readout": {}}]},
        "learning": first["learning"],
        "machine": first["machine"],
        "chips": 4,
        "gradient_check": {"sequences": 8},
        "test": False,
        "references": others,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Energy, time and cosines of forward errors by how J is inverted.")
    parser.add_argument("--small", action="store_true", help="few units, one chip: to see that it works")
    small = parser.parse_args().small
    columns = (
        "units",
        "leak",
        "inverse",
        "energy of\na step, µJ",
        "time of\na step, ms",
        "late",
        "cosine\nW",
        "cosine\nU",
    )
    table = Table(*columns, title=f"a training step of {STEPS} time steps")
    fewer: dict[str, Any] = {"chips": 1, "gradient_check": {"sequences": 2}} if small else {}
    for units in (8,) if small else UNITS:
        for leak in LEAKS[:1] if small else LEAKS:
            systems = hwsim.run({**experiment(units, leak), **fewer}).summary.systems.values()
            for name, system in zip(SYSTEMS, systems, strict=True):
                joules, health = system.energy.training_step_j, system.signal_health
                assert joules is not None
                assert health is not None
                groups = system.gradient.recurrent, system.gradient.input
                cosines = [group.recorded.cosine for group in groups]
                table.add_row(
                    str(units),
                    f"{leak}",
                    name,
                    f"{1e6 * joules:.1f}",
                    f"{1e3 * (system.time.training_step_s or 0):.3f}",
                    f"{health.late_rate or 0:.0%}",
                    *("-" if cosine is None else f"{cosine:.3f}" for cosine in cosines),
                )
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
