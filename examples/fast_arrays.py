"""Where do weights settle that learn by pulses: at the minimum, or where pulses up and down cancel?

A matrix on devices of `reram_sb` learns y = W x by least squares, from targets with noise. Each device is to reach
x = 0.2 or -0.2 of its range, and its pulses up and down cancel at x = 0. Plain pulses (`in_situ`) settle in between:
noise in the gradient pulses a device up and down, and a pulse towards zero is the larger one. Schemes with a fast array
let other devices take these pulses, and come near the minimum.

Where plain pulses settle can be worked out: the mean change of x by an error e of mean m and deviation σ is zero there,

    E[(-e)⁺] s⁺ (1 - x / high) = E[e⁺] s⁻ (1 - x / low),  E[e⁺] = σ φ(m / σ) + m Φ(m / σ).

The zero of a fast array is a reference beside each device. Where these are programmed beside the symmetry points,
Tiki-Taka takes what the array rests at for a gradient; choppers take most of that out, and AGAD nearly all of it, as in
Rasch et al., "Fast and robust analog in-memory deep neural network training", Nat. Commun. 15:7133, 2024.

    python examples/fast_arrays.py --figure fast_arrays.svg
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.optimize import brentq
from scipy.stats import norm

from hwsim import machines, networks
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.learning import one_step, optimizers, updates
from hwsim.learning.rule import Rule
from hwsim.learning.update import Options, Update
from hwsim.networks import Network
from hwsim.reports.figures import canvas

ROWS, INPUTS, STEPS = 64, 4, 40
WANTED, SIGMA = 0.2, 0.8
LOW, HIGH = -0.75, 1.25  # of the sheet
SCHEMES: dict[str, tuple[dict[str, Any], float, float]] = {
    "plain pulses": ({"name": "in_situ"}, 0.02, 0),
    "Tiki-Taka": ({"name": "tiki_taka"}, 0.05, 0.02),
    "version 2": ({"name": "tiki_taka_v2"}, 0.05, 0.02),
    "chopped version 2": ({"name": "tiki_taka_v2", "chop": 0.02}, 0.05, 0.04),
    "AGAD": ({"name": "agad", "chop": 0.1}, 0.05, 0.05),
}
"""Schemes with their learning rates, of the weights and of fast arrays, both for x rather than for weights."""
OFFSETS = (0.0, 0.1, 0.2, 0.3, 0.4)
"""σ of references over devices, of x, beside their symmetry points."""
BESIDE = {
    "version 2": SCHEMES["version 2"],
    "chopped version 2": ({"name": "tiki_taka_v2", "chop": 0.1}, 0.05, 0.05),
    "AGAD": SCHEMES["AGAD"],
}
"""Schemes that learn with such references; choppers turn over one time in ten."""


class LeastSquares(Rule):
    """A rule is its equations: the error of U x, and its outer product with x."""

    in_place = True

    def gradients(self, network: Network) -> None:
        cell: Any = network.layers[0].cell
        with network.machine.workspace():
            for step in network.machine.forward_pass("forward"):
                cell.U.gradient.add_outer(cell.U @ step.input - step.target, step.input)


def learner(scheme: dict[str, Any], rate: float, off: float = 0.0) -> tuple[Network, Update]:
    """A matrix of devices that learns by an update scheme, on a chip without other errors, and what updates it."""
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": rate}, "update": scheme})
    device = {"like": "reram_sb", "name": "reram_sb_beside", "update": {"reference_spread": off}}
    chip = hardware.machine(Document("chip", {"like": "ideal_crossbar", "device": device}))
    machine, made_by = machines.build(chip, seed=1), updates.build(options.update)
    made_by.place(machine)
    layer = {"cell": {"name": "leaky_tanh", "units": ROWS, "leak": 0.5}}
    network = Network(machine, networks.Options.model_validate({"layers": [layer]}), INPUTS, ROWS, frozenset())
    made_by.prepare(network)
    network.begin_training()
    network.program()
    machine.journal.close_batch(1)
    return network, Update(network, optimizers.build(options.optimizer, network), options, scheme=made_by)


def shown(batch: int, goal: np.ndarray, sigma: float) -> Episode:
    """Unit vectors in a random order, and y = W x with noise."""
    draws = np.random.default_rng(batch)
    x = np.eye(INPUTS, dtype=np.float32)[draws.integers(0, INPUTS, STEPS)]
    y = x @ goal.T + sigma * draws.standard_normal((STEPS, ROWS))
    return Episode(inputs=x[None], values=y[None].astype(np.float32))


def learned(name: str, how: tuple[dict[str, Any], float, float], batches: int, off: float = 0.0) -> np.ndarray:
    """x of devices beyond their references after each batch, towards the minimum.

    Args:
        name: of the scheme, for the bar of progress.
        how: the scheme, and its rates.
        off: σ of references beside their place.

    Returns:
        `(batches + 1, devices)`, of those that can hold twice as much as the minimum.
    """
    scheme, rate, fast = how
    largest = devices_of(learner({"name": "in_situ"}, 0.1)[0]).mapping.w_max  # a weight is x times this one
    if fast:
        scheme, rate = {**scheme, "fast_rate": fast / largest, "columns": INPUTS}, rate * largest
    network, update = learner(scheme, rate, off)
    rule = LeastSquares(one_step.Options(name="one_step"))
    signs = np.where(np.arange(ROWS) % 2, 1.0, -1.0)[:, None] * np.ones(INPUTS)
    devices = devices_of(network)
    low, high = (bound.reshape(ROWS, INPUTS) for bound in devices.responses[0][2:4])
    zero = devices.reference[0]
    can = np.where(signs > 0, high - zero, zero - low) > 2 * WANTED
    reached = [((devices.state[0] - zero) * signs)[can]]
    for batch in track(range(batches), f"{name}, references off by {off}" if off else name):
        with network.machine.showing(shown(batch, largest * WANTED * signs, largest * SIGMA)):
            rule.learn(network, update)
        reached.append(((devices.state[0] - zero) * signs)[can])
    return np.array(reached)


def devices_of(network: Network) -> Any:
    """The devices of the matrix that learns."""
    return network.machine.devices.arrays["layer 1 U"]


def settled() -> float:
    """Where plain pulses settle on devices like the sheet's, mean over both signs of the minimum."""

    def gain(x: float, low: float, high: float) -> float:
        m = x - WANTED
        over = SIGMA * norm.pdf(m / SIGMA) + m * norm.cdf(m / SIGMA)
        return float((over - m) * (1 - x / high) - over * (1 - x / low))

    return sum(float(brentq(gain, 0, WANTED, bounds)) for bounds in ((LOW, HIGH), (-HIGH, -LOW))) / 2


def missed(reached: np.ndarray) -> float:
    """Root mean square distance of devices from the minimum, each of its mean over the last quarter."""
    return float(np.sqrt(np.mean((reached[-len(reached) // 4 :].mean(0) - WANTED) ** 2)))


def drawn(found: dict[str, np.ndarray], beside: dict[str, list[float]]) -> str:
    """The figure, as SVG.

    Args:
        found: mean x after each batch.
        beside: distances from the minimum with references that are off by each of `OFFSETS`.
    """
    with canvas.canvas(560, 560) as figure:
        axes, offsets = figure.subplots(2, 1, height_ratios=(3, 2))
        for name, distances in beside.items():
            place = list(found).index(name)
            offsets.plot(OFFSETS[: len(distances)], distances, canvas.DASHES[place % 4], color=canvas.SERIES[place])
        offsets.set_xlabel("σ of references beside the symmetry points, of x")
        offsets.set_ylabel("distance from the minimum, rms")
        offsets.set_ylim(bottom=0)
        for place, (name, reached) in enumerate(found.items()):
            axes.plot(
                np.arange(len(reached)) * STEPS,
                reached,
                canvas.DASHES[place % 4],
                color=canvas.SERIES[place],
                label=name,
            )
        levels = (WANTED, "minimum", 3), (settled(), "where plain pulses should settle", -22), (0, "symmetry point", 3)
        for level, text, above in levels:
            axes.axhline(level, color=canvas.MUTED, linewidth=0.9, dashes=(4, 3), zorder=1)
            words: dict[str, Any] = {
                "xycoords": ("axes fraction", "data"),
                "textcoords": "offset points",
                "ha": "right",
            }
            axes.annotate(text, (1, level), (-2, above), **words)
        axes.set_xlabel("outer products")
        axes.set_ylabel("mean x of devices, towards the minimum")
        canvas.legend(figure, axes)
        return canvas.alone(canvas.drawing(figure, "fast_arrays", "Fast arrays", "", wide=True))


def main() -> None:
    parser = argparse.ArgumentParser(description="Where weights settle that learn by pulses.")
    parser.add_argument("--batches", type=int, default=150, help=f"of {STEPS} outer products")
    parser.add_argument("--figure", type=Path, help="a file for the figure, .svg")
    parser.add_argument("--small", action="store_true", help="two batches: to see that it works")
    asked = parser.parse_args()
    batches = 2 if asked.small else asked.batches
    found = {name: learned(name, how, batches).mean(1) for name, how in SCHEMES.items()}
    offsets = OFFSETS[:2] if asked.small else OFFSETS
    beside = {name: [missed(learned(name, how, batches, off)) for off in offsets] for name, how in BESIDE.items()}
    table = Table("scheme", "x at the end", title=f"minimum {WANTED}; plain pulses should settle at {settled():.3f}")
    for name, reached in found.items():
        table.add_row(name, f"{reached[-len(reached) // 4 :].mean():.3f}")
    Console(width=100).print(table)
    table = Table("scheme", *map(str, offsets), title="distance from the minimum, rms, over σ of references")
    for name, distances in beside.items():
        table.add_row(name, *(f"{each:.3f}" for each in distances))
    Console(width=100).print(table)
    if asked.figure:
        asked.figure.write_text(drawn(found, beside), encoding="utf-8")


if __name__ == "__main__":
    main()
