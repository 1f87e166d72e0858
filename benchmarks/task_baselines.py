"""What simple methods make of tasks: what a network has to beat for its dynamics to count. One task a run.

    hwsim data fetch japanese_vowels
    hwsim data fetch characters
    python benchmarks/task_baselines.py

`--small` takes made-up data for each task, in place of what is fetched.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from hwsim import tasks
from hwsim.episode import Episode
from hwsim.tasks import Dataset, averaged, ngrams
from hwsim.tasks import characters as text_task

OPTIONS = TypeAdapter(tasks.AnyOptions)
FEATURES, SEEDS, BACK = (32, 64, 256, 1024), 5, 6


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def data_of(name: str, folder: Path | None, **options: Any) -> Dataset:
    return tasks.build(OPTIONS.validate_python({"name": name, **options}), 0, folder)


def japanese_vowels(folder: Path | None, small: bool) -> None:
    """Classifiers of inputs averaged over time."""
    data = noisy_classes() if small else data_of("japanese_vowels", folder)
    rows = [("linear", f"{averaged.linear(data):.1%}", "")]
    for count in FEATURES[:1] if small else FEATURES:
        found = [averaged.random_features(data, count, seed) for seed in range(SEEDS)]
        rows.append((f"{count} random features", f"{np.median(found):.1%}", f"{min(found):.1%}, {max(found):.1%}"))
    table(("classifier of averages", "accuracy", f"lowest, highest of {SEEDS}"), rows)


def noisy_classes() -> Dataset:
    """Nine classes, each with a mean of its own, in noise."""
    draw = np.random.default_rng(0)
    means = draw.normal(size=(9, 1, 6))

    def episode(count: int) -> Episode:
        labels = np.arange(count) % 9
        return Episode(means[labels] + draw.normal(0, 2, (count, 12, 6)), labels, classes=9)

    return Dataset(episode(180), episode(90))


def characters(folder: Path | None, small: bool) -> None:
    """Bits per character of counts, over the whole tested part."""
    if small:
        codes = np.random.default_rng(0).integers(3, size=4000).cumsum() % 5
        learned, tested, symbols = codes[:3600], codes[3600:], 5
    else:
        learned, tested = text_task.parts(OPTIONS.validate_python({"name": "characters"}), folder)
        symbols = int(learned.max()) + 1
    rows = [(str(back), f"{ngrams.bits(learned, tested, symbols, back):.3f}") for back in range(3 if small else BACK)]
    table(("characters that the model sees", "bits per character"), rows)


BASELINES: dict[str, Callable[[Path | None, bool], None]] = {
    "characters": characters,
    "japanese_vowels": japanese_vowels,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What simple methods make of a task.")
    parser.add_argument("task", nargs="?", choices=BASELINES, help="all that have some, if it is left out")
    parser.add_argument("--data", type=Path, help="folder with data sets, as for hwsim run")
    parser.add_argument("--small", action="store_true", help="made-up data: to see that it works")
    asked = parser.parse_args()
    for name in [asked.task] if asked.task else BASELINES:
        print(f"\n{name}{': made up; what is fetched is left out' if asked.small else ''}\n")
        BASELINES[name](asked.data, asked.small)


if __name__ == "__main__":
    main()
