"""Full scales of a chip's signals, fixed and chosen: what saturates in training, and which gradients are left.

    python benchmarks/ranges.py                        # every rule, 3 seeds, 4 chips, 100 updates
    python benchmarks/ranges.py one_step --seeds 1 --chips 1 --updates 20
    python benchmarks/ranges.py --ranges auto per_kind fixed
    python benchmarks/ranges.py --small                # shows that it works, and nothing else

Digits by pixels (64 steps), two layers of 16 modes, readouts with a layer norm, on `pcm_crossbar`. For each rule, full
scales and seed: the largest share of analog values that saturates between two tests, and the cosine of the gradient of
input weights with exact BPTT at the programmed weights, by layer: at the start, and its median over training.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from statistics import median
from typing import Any

from hwsim.config import experiment as config
from hwsim.experiments.run import simulate
from hwsim.results.summary import Against, Groups, SystemSummary

RULES: dict[str, dict[str, Any]] = {
    "fpe_anchored": {"name": "fpe_anchored", "every": 2, "age": 32, "carry": "gamma_delta"},
    "bptt": {"name": "bptt"},
    "rtrl": {"name": "rtrl"},
    "one_step": {"name": "one_step"},
    "fpe": {"name": "fpe"},
    "snap": {"name": "snap"},
    "uoro": {"name": "uoro"},
    "eprop": {"name": "eprop", "feedback": "random"},
    "tbptt": {"name": "tbptt", "k": 8},
    "spatial": {"name": "spatial"},
}
"""`bptt` runs with the chip in the loop of a host."""
RANGES: dict[str, Any] = {"auto": "auto", "per_kind": "per_kind", "fixed": {"forward": 16.0, "error": 4.0}}
LAYER = {
    "cell": {"name": "lru", "modes": 16, "r_min": 0.9, "r_max": 0.97},
    "readout": {"norm": {"epsilon": 0.01}, "hidden": [32]},
}
COLUMNS = "rule           ranges    seed  chips  updates  saturated  start 1  start 2  median 1  median 2  accuracy"


def experiment(rule: str, ranges: str, seed: int, chips: int, updates: int) -> dict[str, Any]:
    """The experiment, as a file would describe it."""
    like = "pcm_crossbar_in_the_loop" if rule == "bptt" else "pcm_crossbar"
    every = max(updates // 5, 1)
    return {
        "name": "ranges",
        "seed": seed,
        "task": {"name": "digits", "order": "pixels"},
        "network": {"layers": [LAYER, LAYER], "pooling": "cumulative_mean"},
        "learning": RULES[rule],
        "machine": {"like": like, "name": like, "parts": {"ranges": RANGES[ranges]}},
        "chips": chips,
        "gradient_check": {"sequences": 16, "every": every},
        "training": {
            "optimizer": {"name": "adamw", "rate": 0.01},
            "schedule": "cosine",
            "clip": 1.0,
            "recurrent_factor": 0.1,
            "batch": 32,
            "steps": updates,
            "test_every": every,
        },
    }


def found(rule: str, ranges: str, seed: int, chips: int, updates: int) -> SystemSummary:
    """The summary of the system, once it has been trained."""
    run = simulate(config.load(experiment(rule, ranges, seed, chips, updates)))
    return next(iter(run.summary.systems.values()))


def saturated(system: SystemSummary) -> float:
    """The largest share of analog values that saturate in a window of training."""
    assert system.signal_health is not None
    return max(float(window.saturation_rate) for window in system.signal_health.windows)


def cosines(groups: Groups) -> list[float]:
    """Of input weights with BPTT at the programmed weights, of each chip that has one."""
    against: Against = groups.input
    return [float(each) for each in against.programmed.per_chip if each is not None]


def by_layer(system: SystemSummary) -> Iterator[tuple[float, float]]:
    """For each layer the median over chips at the start, and over chips and checks in training, that one included."""
    assert system.gradient is not None
    for layer, start in system.gradient.by_layer.items():
        later = [cosines(check.by_layer[layer]) for check in system.trained]
        yield median(cosines(start)), median([*cosines(start), *(each for check in later for each in check)])


def main() -> None:
    """Print the table, a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rules", nargs="*", help=f"of {', '.join(RULES)}; by default all")
    parser.add_argument("--ranges", nargs="+", default=["auto"], choices=list(RANGES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--chips", type=int, default=4)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--small", action="store_true", help="one rule, one seed, one chip, two updates")
    asked = parser.parse_args()
    if asked.small:
        asked.rules, asked.seeds, asked.chips, asked.updates = ["one_step"], [1], 1, 2
    if unknown := set(asked.rules) - set(RULES):
        parser.error(f"no rule {', '.join(sorted(unknown))}; there are {', '.join(RULES)}")
    print(COLUMNS)
    for rule in asked.rules or RULES:
        for ranges in asked.ranges:
            for seed in asked.seeds:
                system = found(rule, ranges, seed, asked.chips, asked.updates)
                (one, one_later), (two, two_later) = by_layer(system)
                accuracy = float("nan") if system.accuracy is None else system.accuracy.median
                print(
                    f"{rule:14} {ranges:9} {seed:4} {asked.chips:6} {asked.updates:8} {saturated(system):10.4%} "
                    f"{one:8.2f} {two:8.2f} {one_later:9.2f} {two_later:9.2f} {accuracy:9.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
