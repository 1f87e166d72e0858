"""Which errors does forward error propagation survive: those that are drawn anew at each step, or those that stay?

Errors run forward through 1/λ̄, along states that ran through λ. If the two circuits disagree by the same amount in
every step, the disagreement adds up as T ε; if they disagree by chance, only as √T ε. Here everything on the chip is
exact but the multipliers by λ, by its conjugate and by the inverse of that, each with errors of its own. Beside it
stands BPTT along the same multipliers, with a memory for its tape.

    python examples/frozen_against_fresh.py --seeds 20
"""

import argparse
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table

import hwsim

STEPS = (8, 64, 98, 300)
ERRORS = (0.002, 0.01, 0.02)
KINDS = {"fresh": "gain_noise", "frozen": "mismatch"}
RULES = ("fpe", "bptt")
GROUPS = ("recurrent", "input")


def chip(kind: str, error: float) -> dict[str, Any]:
    """An exact chip but for its multipliers; the memory is there for BPTT."""
    multiplier = {KINDS[kind]: error}
    diagonals = {"forward": multiplier, "transposed": multiplier, "inverse": multiplier}
    return {
        "like": "ideal_crossbar",
        "name": f"{kind} {error}",
        "attached": "memory",
        "parts": {"diagonals": diagonals},
    }


def experiment(steps: int, seed: int) -> dict[str, Any]:
    """One layer of linear recurrent units, and a gradient check for each kind and size of error."""
    systems = [
        {"name": f"{rule} {kind} {error}", "learning": {"name": rule}, "machine": chip(kind, error)}
        for rule in RULES
        for kind in KINDS
        for error in ERRORS
    ]
    return {
        "name": f"{steps} steps",
        "seed": seed,
        "task": {"name": "random", "steps": steps, "width": 4, "outputs": 4, "train": 8, "test": 1},
        "network": {"layers": [{"cell": {"name": "lru", "modes": 32, "r_min": 0.99}, "readout": {"hidden": [32]}}]},
        "learning": {"name": "fpe"},
        "machine": "ideal_crossbar",
        "gradient_check": {"sequences": 8},
        "test": False,
        "references": systems,
    }


def cosines(steps: int, seed: int) -> pd.DataFrame:
    """The cosine between each system's gradient and the exact one, by group of parameters."""
    systems = hwsim.run(experiment(steps, seed)).summary.systems
    rows = (
        {"group": group, "system": name, "cosine": getattr(found.gradient, group).target.cosine}
        for name, found in systems.items()
        for group in GROUPS
    )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="Cosines with the exact gradient under fresh and frozen errors.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--small", action="store_true", help="one seed and 8 steps: to see that it works")
    asked = parser.parse_args()
    if asked.small:
        asked.seeds, asked.steps = 1, [8]
    found = {
        steps: pd.concat([cosines(steps, seed) for seed in track(range(asked.seeds), f"{steps} steps")])
        for steps in asked.steps
    }
    for group in GROUPS:
        columns = [f"{rule} {kind}" for kind in KINDS for rule in RULES]
        table = Table("steps", "error", *columns, title=f"{group} parameters: median cosine (quartiles over seeds)")
        for steps, rows in found.items():
            quartiles = rows[rows.group == group].groupby("system").cosine.quantile([0.25, 0.5, 0.75]).unstack()
            for error in ERRORS:
                cells = (quartiles.loc[f"{column} {error}"] for column in columns)
                table.add_row(
                    str(steps), f"{error:.1%}", *(f"{mid:.2f} ({low:.2f}–{high:.2f})" for low, mid, high in cells)
                )
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
