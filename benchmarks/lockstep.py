"""Forward error propagation and BPTT learn in lockstep, until chaos parts them.

MNIST98 on the ideal machine (float64): 4 layers of 32 complex modes, r_min 0.99, AdamW, clipping at 1, batches of 64,
same seed and order of the data. First both train side by side and their weights are compared; then `fpe` goes on alone,
and every 100 updates BPTT is asked for the gradient at the same weights and batch.

    hwsim data fetch mnist
    python benchmarks/lockstep.py --updates 2000

`--small` makes two updates of batches of four on made-up images, and does without the data.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from mnist98 import Learner, made_up

from hwsim import tasks
from hwsim.episode import Episode


def take(mine: Learner, other: Learner) -> None:
    """Have the weights of another learner."""
    for one, theirs in zip(mine.network.trainables, other.network.trainables, strict=True):
        one.master.value = theirs.master.value.copy()
    mine.network.program()
    mine.clear()


def batches(data: tasks.Dataset, seed: int, size: int = 64) -> Iterator[Episode]:
    """Batches without end."""
    for epoch in count(1):
        yield from data.batches(size, seed, epoch)


def apart(one: Learner, other: Learner, start: np.ndarray) -> float:
    """Distance of two learners' weights, relative to their way from the start."""
    return float(np.linalg.norm(one.weights() - other.weights()) / np.linalg.norm(other.weights() - start))


def by_layer(mine: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> dict[str, float]:
    """|mine - other| / |other| for each layer."""
    found: dict[str, Any] = {}
    for name, value in other.items():
        layer = " ".join(name.split()[:2])
        missed, size = found.setdefault(layer, [0.0, 0.0])
        found[layer] = [missed + np.square(mine[name] - value).sum(), size + np.square(value).sum()]
    return {layer: float(np.sqrt(missed / size)) for layer, (missed, size) in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--updates", type=int, default=2000, help="of fpe alone")
    parser.add_argument("--side-by-side", type=int, default=100, help="updates of both")
    parser.add_argument("--small", action="store_true", help="two updates on made-up images: to see that it works")
    chosen = parser.parse_args()
    if chosen.small:
        print("small: MNIST is left out, the images are made up")
        data, size, every = tasks.Dataset(made_up(8), made_up(8)), 4, 2
        chosen.updates = chosen.side_by_side = 2
    else:
        data, size, every = tasks.build(tasks.TASKS["mnist"].Options(name="mnist"), chosen.seed), 64, 100
    bptt, fpe = (Learner(rule, seed=chosen.seed) for rule in ("bptt", "fpe"))
    start, stream = fpe.weights(), batches(data, chosen.seed, size)
    worst = 0.0
    for number in range(1, chosen.updates + 1):
        episode = next(stream)
        fpe.learn(episode)
        if number <= chosen.side_by_side:
            bptt.learn(episode)
            if number in (1, 10, 20, 50, 60, 75, 100, chosen.side_by_side):
                print(f"after {number:4d} updates the weights are {apart(fpe, bptt, start):.2e} apart", flush=True)
        if number % every == 0:
            take(bptt, fpe)
            checked = next(batches(data, chosen.seed + number, size))
            bptt.gradient(checked)
            fpe.gradient(checked)
            missed = by_layer(fpe.gradients(), bptt.gradients())
            bptt.clear()
            fpe.clear()
            worst = max(worst, *missed.values())
            text = ", ".join(f"{layer}: {value:.1e}" for layer, value in missed.items())
            print(f"after {number:4d} updates, at the same weights: {text}", flush=True)
    print(f"largest difference of a layer's gradient: {worst:.2e}")


if __name__ == "__main__":
    main()
