"""Runs of one experiment with several seeds: accuracy of each system, and differences within seeds.

    for seed in 1 2 3 4 5; do hwsim run configs/experiments/mnist98.yaml --seed $seed --out runs/mnist98-$seed; done
    python benchmarks/paired.py runs/mnist98-*

Systems of a run start from the same weights and see the same batches, so their differences are compared, not their
means: the interval is that of Student's t for the mean of paired differences, 95 %.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy import stats


def accuracies(folders: list[Path]) -> pd.DataFrame:
    """Accuracy in the last test, the mean over chips: a row for each run, a column for each system."""
    rows = {}
    for folder in folders:
        metrics = pd.read_csv(folder / "metrics.csv")
        last = metrics[metrics.updates == metrics.updates.max()]
        rows[folder.name] = last.groupby("system", sort=False).test_accuracy.mean()
    return pd.DataFrame(rows).T


def interval(differences: pd.Series[float]) -> tuple[float, float, float]:
    """Mean, and the bounds of its 95 % interval."""
    mean, error = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
    half = float(stats.t.ppf(0.975, len(differences) - 1)) * error
    return mean, mean - half, mean + half


def main() -> None:
    parser = argparse.ArgumentParser(description="Accuracies and paired differences of runs with several seeds.")
    parser.add_argument("folders", type=Path, nargs="+")
    found = accuracies(parser.parse_args().folders)
    each = Table("run", *found.columns, title="accuracy in the last test")
    for name, row in found.iterrows():
        each.add_row(str(name), *(f"{value:.2%}" for value in row))
    each.add_section()
    each.add_row("mean", *(f"{value:.2%}" for value in found.mean()))
    each.add_row("deviation", *(f"{value:.2%}" for value in found.std(ddof=1)))
    pairs = Table("difference", "mean", "95 % interval", "leads in", title="paired differences")
    for first, second in combinations(found.columns, 2):
        differences = found[first] - found[second]
        mean, low, high = (f"{value:+.2%}" for value in interval(differences))
        pairs.add_row(f"{first} - {second}", mean, f"{low} to {high}", f"{(differences > 0).sum()} of {len(found)}")
    console = Console(width=100)
    console.print(each)
    console.print(pairs)


if __name__ == "__main__":
    main()
