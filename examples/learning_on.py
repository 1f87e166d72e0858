"""Weights that were trained elsewhere are written to spiking chips: what is lost, and do the chips learn it back?

Backpropagation through time trains a network of adaptive spiking neurons in exact arithmetic. Then its weights are
written to chips, each with its own devices and its own thresholds. No chip is the network that was trained. But each
can go on learning by itself, by e-prop: strictly forward in time, in one pass, without a tape.

    python examples/learning_on.py
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import hwsim

NETWORK = {
    "layers": [
        {
            "cell": {
                "name": "alif",
                "units": 32,
                "threshold": 0.5,
                "decay": 0.8,
                "beta": 0.2,
                "adaptation_decay": 0.95,
                "gain": 2,
            }
        }
    ],
    "pooling": "cumulative_mean",
}
CHIPS = {
    "as they are": {"like": "spiking_crossbar"},
    "with exact devices": {"like": "spiking_crossbar", "device": "ideal"},
    "with equal thresholds": {"like": "spiking_crossbar", "parts": {"spiking": {"mismatch": 0}}},
}


def experiment(rule: str, machine: Any, epochs: int, rate: float, **more: Any) -> dict[str, Any]:
    """Handwritten digits, a row of pixels in each step, and so many epochs of learning."""
    optimizer = {"name": "adam", "rate": rate}
    training = {"optimizer": optimizer, "schedule": "cosine", "clip": 1.0, "batch": 32, "epochs": epochs}
    return {
        "name": "learning_on",
        "seed": 1,
        "task": {"name": "digits", "order": "rows"},
        "network": NETWORK,
        "learning": {"name": rule},
        "machine": machine,
        "training": training if epochs else None,
        **more,
    }


def accuracy(run: hwsim.Run) -> str:
    """The mean over chips, and that of the worst and of the best chip."""
    chips = run.summary.systems["substrate"].accuracy.per_chip
    return f"{np.mean(chips):.1%}" + (f" ({min(chips):.1%} to {max(chips):.1%})" if len(chips) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", type=int, default=4)
    parser.add_argument("--small", action="store_true", help="one chip, one epoch: to see that it works")
    asked = parser.parse_args()
    names, epochs, before, chips = list(CHIPS), [0, 1, 4], 8, asked.chips
    if asked.small:
        names, epochs, before, chips = names[:1], [0, 1], 1, 1

    trained = hwsim.run(experiment("bptt", "ideal", epochs=before, rate=0.02))
    print(f"Trained elsewhere: {accuracy(trained)} of the test digits")

    title = f"Epochs of learning on the chip, and then the accuracy: mean of {chips} chips (worst to best)"
    table = Table("chips", *map(str, epochs), title=title)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "trained.npz"
        np.savez(weights, **trained.weights())
        start = {**NETWORK, "weights": str(weights)}
        for name in names:
            runs = [experiment("eprop", CHIPS[name], count, rate=0.005, chips=chips, network=start) for count in epochs]
            table.add_row(name, *(accuracy(hwsim.run(run)) for run in runs))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
