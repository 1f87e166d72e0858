"""How long `hwsim limits quickstart` takes, over training the substrate of the quickstart alone, in the same process.

OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/limits.py

Both are timed in seconds of this process, which other processes on the computer change little; what is compiled is
compiled before. It prints what `hwsim limits` prints, and the ratio, which is to be at most 15. `--small` takes a
training of two updates for both, and compiles nothing before: it shows that the script works, and its times mean
nothing.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment
from hwsim.experiments.limits import SEEDS, UPDATES, limits
from hwsim.experiments.run import simulate
from hwsim.printing import Terminal
from hwsim.reports import limits as report

BOUND = 15.0
"""The ratio, at most."""


def short(experiment: Experiment, updates: int) -> Experiment:
    """The substrate alone, with a short training."""
    assert experiment.training is not None
    training = experiment.training.model_copy(update={"epochs": None, "steps": updates})
    return experiment.model_copy(update={"references": [], "training": training})


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """The seconds of this process that something takes, and its result."""
    before = time.process_time()
    result = work()
    return time.process_time() - before, result


def main(small: bool) -> None:
    asked = config.load("quickstart")
    substrate = short(asked, 2) if small else asked.model_copy(update={"references": []})
    seeds, updates = (1, 2) if small else (SEEDS, UPDATES)
    if not small:
        simulate(short(asked, 2))
        limits(asked, seeds=1, chips=1, updates=1)
    alone, _ = seconds(lambda: simulate(substrate))
    all_, found = seconds(lambda: limits(asked, seeds=seeds, updates=updates))
    report.show(found, Terminal(width=120))
    print(f"the substrate alone {alone:.1f} s; its limits {all_:.1f} s; ratio {all_ / alone:.1f}, at most {BOUND:g}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a training of two updates")
    main(parser.parse_args().small)
