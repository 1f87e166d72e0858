"""What spoken digits give to classifiers without memory, which a network has to beat for its dynamics to count.

    hwsim data fetch spoken_digits
    python benchmarks/spoken_digits_baselines.py

Inputs are averaged over time; a linear map of them, or of random features of them, says the digit. `--small`
takes made-up sequences in place of the recordings.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from hwsim import tasks
from hwsim.episode import Episode
from hwsim.tasks import Dataset, averaged

BANDS, FEATURES, SEEDS = (16, 20, 32), (64, 256, 1024), 5
OPTIONS = TypeAdapter(tasks.AnyOptions)


def made_up() -> Dataset:
    """Ten classes, each with a mean of its own, in noise."""
    draw = np.random.default_rng(0)
    means = draw.normal(size=(10, 1, 6))

    def episode(count: int) -> Episode:
        labels = np.arange(count) % 10
        return Episode(means[labels] + draw.normal(0, 2, (count, 12, 6)), labels, classes=10)

    return Dataset(episode(200), episode(100))


def rows(data: Dataset, features: tuple[int, ...], seeds: int) -> Iterator[tuple[str, float, float, float]]:
    """A classifier, and the median, lowest and highest accuracy over seeds."""
    exact = averaged.linear(data)
    yield "linear", exact, exact, exact
    for count in features:
        found = [averaged.random_features(data, count, seed) for seed in range(seeds)]
        yield f"{count} random features", float(np.median(found)), min(found), max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracies of classifiers without memory on spoken digits.")
    parser.add_argument("--data", type=Path, help="folder with data sets, as for hwsim run")
    parser.add_argument("--small", action="store_true", help="made-up sequences: to see that it works")
    asked = parser.parse_args()
    print("| input | classifier | accuracy | lowest, highest |\n|---|---|---|---|")
    if asked.small:
        data = {"made up; the recordings are left out": made_up()}
    else:
        chosen = (OPTIONS.validate_python({"name": "spoken_digits", "bands": bands, "steps": 80}) for bands in BANDS)
        data = {f"{each.bands} bands": tasks.build(each, 0, asked.data) for each in chosen}
    for name, each in data.items():
        for classifier, *found in rows(each, FEATURES[:1] if asked.small else FEATURES, 2 if asked.small else SEEDS):
            median, low, high = (f"{100 * share:.1f} %" for share in found)
            print(f"| {name} | {classifier} | {median} | {low}, {high} |", flush=True)


if __name__ == "__main__":
    main()
