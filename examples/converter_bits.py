"""How many bits does the converter of a tile need, to see the direction of a gradient?

The quickstart's network and chip, with analog-to-digital converters of fewer and more bits. Nothing is trained: the
gradient of each rule at the initial weights is compared with the exact one, along the states that the chip really took,
so what remains is the error of learning and not of the dynamics. More than eight bits help no rule here, since other
noise is larger by then; with four, errors of the recurrence vanish below one level.

    python examples/converter_bits.py

`--small` does it with one converter, one chip and few sequences, which tells nothing but that it works.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

import hwsim

QUICKSTART = Path(__file__).parents[1] / "configs" / "experiments" / "quickstart.yaml"
BITS = (4, 6, 8, 10, 12)
RULES = ("fpe", "rtrl", "one_step")
GROUPS = ("recurrent", "input", "readout")


def experiment(bits: int) -> dict[str, Any]:
    """The quickstart without training, one system for each rule."""
    machine = {"like": "pcm_crossbar", "name": f"{bits} bits", "parts": {"adc": {"bits": bits}}}
    asked: dict[str, Any] = yaml.safe_load(QUICKSTART.read_text(encoding="utf-8"))
    del asked["training"]
    others = [{"name": rule, "learning": {"name": rule}, "machine": machine} for rule in RULES[1:]]
    return {**asked, "name": f"{bits} bits", "machine": machine, "test": False, "references": others}


def main() -> None:
    parser = argparse.ArgumentParser(description="Cosines with the exact gradient by bits of the converters.")
    parser.add_argument("--small", action="store_true", help="one converter, one chip: to see that it works")
    small = parser.parse_args().small
    fewer: dict[str, Any] = {"chips": 1, "gradient_check": {"sequences": 2}} if small else {}
    title = f"cosine, {'one chip' if small else 'median of 4 chips'}"
    table = Table("bits", *(f"{rule}\n{group}" for rule in RULES for group in GROUPS), title=title)
    for bits in BITS[:1] if small else BITS:
        systems = hwsim.run({**experiment(bits), **fewer}).summary.systems.values()
        cosines = [getattr(system.gradient, group).recorded.cosine for system in systems for group in GROUPS]
        table.add_row(str(bits), *("-" if cosine is None else f"{cosine:.2f}" for cosine in cosines))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
