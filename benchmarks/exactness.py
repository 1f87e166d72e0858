"""How far the gradient of each rule is from that of backpropagation through time, for each kind of cell.

    python benchmarks/exactness.py

`--small` does it for four rules and one cell: it shows that the script works.

On the ideal machine: stacks of three layers, 12 steps, three sequences, float64. A number is |g - exact| / |exact|, the
largest over layers and groups of parameters. Rules above the line are exact, to their tolerance; those below it are
biased, or noisy. A dash stands where the rule refuses the cell.
"""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table

import hwsim
from hwsim.errors import HwsimError

STEPS = 12
CELLS: dict[str, dict[str, Any]] = {
    "lru": {"name": "lru", "modes": 6, "r_min": 0.8},
    "leaky_tanh": {"name": "leaky_tanh", "units": 6, "leak": 0.3},
    "gru": {"name": "gru", "units": 4},
    "lstm": {"name": "lstm", "units": 3},
    "rev_gru": {"name": "rev_gru", "units": 4, "forgets": 3},
}
EXACT: dict[str, dict[str, Any]] = {
    "bptt, sqrt checkpoints": {"name": "bptt", "checkpoints": "sqrt"},
    "reversible": {"name": "reversible"},
    "rtrl, across": {"name": "rtrl", "across": True},
    "fpe": {"name": "fpe"},
    "fpe, seed": {"name": "fpe", "warm_up": "seed"},
    "fpe, tangents 2": {"name": "fpe", "tangents": 2},
    "fpe_anchored, S 3": {"name": "fpe_anchored", "every": 3, "age": "all"},
    "fpe_anchored, auto": {"name": "fpe_anchored"},
    "fpe_lagged, lag T": {"name": "fpe_lagged", "lag": STEPS, "every": 3},
    "fpe_slowfast, lag T": {"name": "fpe_slowfast", "slow": 2, "lag": STEPS},
    "tbptt, window T": {"name": "tbptt", "k": STEPS},
    "tbptt, block T": {"name": "tbptt", "kind": "block", "k": STEPS},
}
OTHERS: dict[str, dict[str, Any]] = {
    "fpe, two_minus": {"name": "fpe", "inverse": "two_minus"},
    "fpe, neumann 3": {"name": "fpe", "inverse": "neumann"},
    "fpe_lagged, lag 6": {"name": "fpe_lagged", "lag": 6, "every": 3},
    "fpe_slowfast, lag 4": {"name": "fpe_slowfast", "slow": 2, "lag": 4},
    "tbptt, window 4": {"name": "tbptt", "k": 4},
    "tbptt, block 4": {"name": "tbptt", "kind": "block", "k": 4},
    "one_step": {"name": "one_step"},
    "rtrl": {"name": "rtrl"},
    "snap, 1 step": {"name": "snap"},
    "eprop, symmetric": {"name": "eprop", "feedback": "symmetric"},
    "rflo, random": {"name": "rflo", "feedback": "random"},
    "uoro": {"name": "uoro"},
    "kf_rtrl": {"name": "kf_rtrl"},
    "fptt, 4 parts": {"name": "fptt", "parts": 4},
}


def error(rule: dict[str, Any], cell: dict[str, Any]) -> str:
    """The largest relative error over layers and groups, or why there is none."""
    layer = {"cell": cell, "readout": {"hidden": [5]}}
    asked = {
        "name": "exactness",
        "task": {"name": "random", "steps": STEPS, "width": 2, "outputs": 3, "train": 3, "test": 1},
        "network": {"layers": [layer] * 3},
        "learning": rule,
        "machine": "ideal",
        "gradient_check": {"sequences": 3},
        "test": False,
    }
    try:
        gradient = hwsim.run(asked).summary.systems["substrate"].gradient
    except HwsimError as refused:
        return "singular" if "no inverse" in str(refused) else "-"
    assert gradient is not None
    groups = [
        getattr(layer, group).target.relative_error
        for layer in gradient.by_layer.values()
        for group in ("recurrent", "input", "readout")
    ]
    return "not finite" if None in groups else f"{max(groups):.0e}"


def main() -> None:
    parser = argparse.ArgumentParser(description="How exact each rule is, for each kind of cell.")
    parser.add_argument("--small", action="store_true", help="four rules, one cell: to see that it works")
    most = 1 if parser.parse_args().small else None
    cells = dict(list(CELLS.items())[:most])
    table = Table("rule", *cells)
    for rules in (EXACT, OTHERS):
        for name, rule in list(rules.items())[: most and 2]:
            table.add_row(name, *(error(rule, cell) for cell in cells.values()))
        table.add_section()
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
