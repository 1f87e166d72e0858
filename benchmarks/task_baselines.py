"""What simple methods make of tasks: what a network has to beat for its dynamics to count. One task a run.

    hwsim data fetch japanese_vowels
    hwsim data fetch spoken_digits
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
from hwsim.tasks import Dataset, averaged, delay_series, ngrams
from hwsim.tasks import characters as text_task

OPTIONS = TypeAdapter(tasks.AnyOptions)
FEATURES, SEEDS, BACK, UNITS, BANDS = (32, 64, 256, 1024), 5, 6, (40, 100, 300), (16, 20, 32)


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def data_of(name: str, folder: Path | None, **options: Any) -> Dataset:
    return tasks.build(OPTIONS.validate_python({"name": name, **options}), 0, folder)


def japanese_vowels(folder: Path | None, small: bool) -> None:
    """Classifiers of inputs averaged over time."""
    data = noisy_classes(9) if small else data_of("japanese_vowels", folder)
    averages({"": data}, FEATURES[:1] if small else FEATURES)


def spoken_digits(folder: Path | None, small: bool) -> None:
    """Classifiers of inputs averaged over time, for each number of bands."""
    if small:
        averages({"made up": noisy_classes(10)}, FEATURES[1:2])
    else:
        chosen = {f"{bands} bands": data_of("spoken_digits", folder, bands=bands, steps=80) for bands in BANDS}
        averages(chosen, FEATURES[1:])


def averages(data: dict[str, Dataset], features: tuple[int, ...]) -> None:
    """Linear maps of averages over time, and of random features of them; inputs with a name have a column for it."""
    rows = []
    for name, each in data.items():
        rows.append((name, "linear", f"{averaged.linear(each):.1%}", ""))
        for count in features:
            found = [averaged.random_features(each, count, seed) for seed in range(SEEDS)]
            spread = f"{min(found):.1%}, {max(found):.1%}"
            rows.append((name, f"{count} random features", f"{np.median(found):.1%}", spread))
    columns = "input", "classifier of averages", "accuracy", f"lowest, highest of {SEEDS}"
    named = 0 if all(data) else 1
    table(columns[named:], [row[named:] for row in rows])


def noisy_classes(classes: int) -> Dataset:
    """Classes with a mean of their own each, in noise."""
    draw = np.random.default_rng(0)
    means = draw.normal(size=(classes, 1, 6))

    def episode(count: int) -> Episode:
        labels = np.arange(count) % classes
        return Episode(means[labels] + draw.normal(0, 2, (count, 12, 6)), labels, classes=classes)

    return Dataset(episode(20 * classes), episode(10 * classes))


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


def mackey_glass(folder: Path | None, small: bool) -> None:
    """NeuroBench's error in closed loop, the mean over repeats of the series of each delay."""
    repeats, delays = (2, (17,)) if small else (delay_series.REPEATS, (17, 24, 30))
    methods = {"the mean of what was learned from": constant, "a line through the last 50 values": linear}
    methods |= {
        f"{units} random tanh units, linear read-out": random_units(units) for units in UNITS[: 1 if small else 3]
    }
    rows = []
    for name, method in methods.items():
        found = []
        for tau in delays:
            scores = []
            for repeat in range(repeats):
                values = delay_series.series(tau, repeat, 1501)
                predicted, wanted = method(values[:751]), values[751:]
                scores.append(200 * np.mean(np.abs(predicted - wanted) / (np.abs(predicted) + np.abs(wanted))))
            found.append(f"{np.mean(scores):.1f}")
        rows.append((name, *found))
    table(("sMAPE of 750 values in closed loop", *(f"τ = {tau}" for tau in delays)), rows)


def constant(shown: np.ndarray) -> np.ndarray:
    return np.full(750, shown.mean())


def linear(shown: np.ndarray) -> np.ndarray:
    """Σ a_k x(t - k) + b, fitted with a ridge of 1e-6 per value, and run freely."""
    mean, back = shown.mean(), 50
    rows = np.lib.stride_tricks.sliding_window_view(shown - mean, back + 1)
    weights = ridge(rows[:, :-1], rows[:, -1])
    line = list(shown[-back:] - mean)
    for _ in range(750):
        line.append(float(weights @ np.array(line[-back:])))
    return np.array(line[back:]) + mean


def random_units(units: int) -> Callable[[np.ndarray], np.ndarray]:
    """Leaky tanh units with random weights of spectral radius 1.1, whose read-out alone is fitted (seed 0)."""

    def method(shown: np.ndarray) -> np.ndarray:
        draw, leak = np.random.default_rng(0), 0.5
        W = draw.normal(size=(units, units))
        W *= 1.1 / np.abs(np.linalg.eigvals(W)).max()
        U, b = draw.normal(size=units), 0.2 * draw.normal(size=units)
        mean, h, states = shown.mean(), np.zeros(units), []
        for x in shown:
            h = (1 - leak) * h + leak * np.tanh(W @ h + U * (x - mean) + b)
            states.append(h)
        weights = ridge(np.array(states[45:-1]), shown[46:] - mean)
        found = []
        for _ in range(750):
            x = float(weights @ h)
            found.append(x + mean)
            h = (1 - leak) * h + leak * np.tanh(W @ h + U * x + b)
        return np.array(found)

    return method


def ridge(inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    inner = inputs.T @ inputs + 1e-6 * len(inputs) * np.eye(inputs.shape[1])
    return np.linalg.solve(inner, inputs.T @ targets)


BASELINES: dict[str, Callable[[Path | None, bool], None]] = {
    "characters": characters,
    "japanese_vowels": japanese_vowels,
    "mackey_glass": mackey_glass,
    "spoken_digits": spoken_digits,
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
