"""How much memory runs take, beside what was estimated before they began.

Each run is a process of its own. What it takes is the most that it ever held (resident set), less what it held when all
was imported and a tiny run of the same kind was over. Each stands for something that can be large.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/footprint.py

`--small` does it with one run of a few megabytes, which shows that the script works, and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from hwsim.config import experiment as config
from hwsim.experiments.footprint import footprint
from hwsim.experiments.run import run
from hwsim.quantities import si

LRU = {"cell": {"name": "lru", "modes": 32, "r_min": 0.99}, "readout": {"hidden": [32]}}
TRAINING = {"optimizer": {"name": "adamw", "rate": 0.001}, "clip": 1.0, "steps": 2}


def random(steps: int, train: int, **others: Any) -> dict[str, Any]:
    return {"name": "random", "steps": steps, "train": train, "test": 1, **others}


def layer(name: str, size: int, hidden: list[int], **others: Any) -> dict[str, Any]:
    count = "modes" if name == "lru" else "units"
    return {"cell": {"name": name, count: size, **others}, "readout": {"hidden": hidden}}


RUNS: dict[str, dict[str, Any]] = {
    "a long sequence on a chip, gradient check": {
        "task": random(3_000, 16),
        "network": {"layers": [LRU]},
        "learning": {"name": "fpe"},
        "machine": "pcm_crossbar",
        "chips": 16,
        "gradient_check": {"sequences": 16},
        "test": False,
    },
    "a very long one of a tiny network, gradient check": {
        "task": random(100_000, 1),
        "network": {"layers": [layer("lru", 2, [])]},
        "learning": {"name": "fpe"},
        "machine": "pcm_crossbar",
        "gradient_check": {"sequences": 1},
        "test": False,
    },
    "a long sequence, gradient check, ideal": {
        "task": random(10_000, 32),
        "network": {"layers": [LRU, LRU], "pooling": "cumulative_mean"},
        "learning": {"name": "fpe"},
        "machine": "ideal",
        "gradient_check": {"sequences": 32},
        "test": False,
    },
    "bptt, digital": {
        "task": random(1_500, 256, width=8),
        "network": {"layers": [layer("lru", 64, [64]), layer("lru", 64, [64])]},
        "learning": {"name": "bptt"},
        "machine": "digital_45nm",
        "training": {**TRAINING, "batch": 256},
        "test": False,
    },
    "bptt with checkpoints, float16": {
        "task": random(10_000, 128, width=1),
        "network": {"layers": [layer("lru", 64, [64])]},
        "learning": {"name": "bptt", "checkpoints": "sqrt"},
        "machine": "digital_45nm_fp16",
        "training": {**TRAINING, "batch": 128, "steps": 1},
        "test": False,
    },
    "bptt in the loop, gradient check": {
        "task": random(2_000, 16),
        "network": {"layers": [LRU]},
        "learning": {"name": "bptt"},
        "machine": "pcm_crossbar_in_the_loop",
        "chips": 16,
        "gradient_check": {"sequences": 16},
        "test": False,
    },
    "wide layers, ideal": {
        "task": random(3, 4),
        "network": {"layers": [layer("leaky_tanh", 3000, [])]},
        "learning": {"name": "bptt"},
        "machine": "ideal",
        "training": {**TRAINING, "batch": 4},
    },
    "wide layers, gradient check, on chips": {
        "task": random(3, 4),
        "network": {"layers": [layer("leaky_tanh", 1200, [1200])]},
        "learning": {"name": "one_step"},
        "machine": {"like": "pcm_crossbar", "name": "large", "parts": {"tiles": {"count": 1000}}},
        "chips": 2,
        "gradient_check": {"sequences": 4},
        "training": {**TRAINING, "batch": 4},
    },
    "many chips": {
        "task": random(5, 8, width=4),
        "network": {"layers": [layer("lru", 48, [96])]},
        "learning": {"name": "fpe"},
        "machine": "pcm_crossbar",
        "chips": 300,
        "training": {**TRAINING, "batch": 4},
    },
    "rtrl of many inputs, on chips": {
        "task": random(5, 64, width=96),
        "network": {"layers": [layer("lru", 96, [])]},
        "learning": {"name": "rtrl"},
        "machine": "pcm_crossbar",
        "chips": 4,
        "training": {**TRAINING, "batch": 64},
    },
    "rtrl, ideal, gradient check": {
        "task": random(5, 64, width=128),
        "network": {"layers": [layer("lru", 96, [])]},
        "learning": {"name": "rtrl"},
        "machine": "ideal",
        "gradient_check": {"sequences": 64},
    },
    "fpe of a dense layer, on chips": {
        "task": random(5, 32),
        "network": {"layers": [layer("leaky_tanh", 400, [], leak=0.3)]},
        "learning": {"name": "fpe"},
        "machine": "pcm_crossbar",
        "chips": 2,
        "training": {**TRAINING, "batch": 16},
    },
    "fpe of a dense layer, digital, gradient check": {
        "task": random(5, 32),
        "network": {"layers": [layer("leaky_tanh", 500, [], leak=0.3)]},
        "learning": {"name": "fpe"},
        "machine": "digital_45nm",
        "gradient_check": {"sequences": 16},
    },
    "tests of a wide readout": {
        "task": {**random(5, 8), "test": 256},
        "network": {"layers": [layer("lru", 16, [2000])]},
        "learning": {"name": "one_step"},
        "machine": "pcm_crossbar",
        "chips": 16,
        "training": {**TRAINING, "batch": 8},
    },
    "much data": {
        "task": random(100, 20_000, width=20, outputs=8, target="values"),
        "network": {"layers": [layer("lru", 2, [])]},
        "learning": {"name": "one_step"},
        "machine": "ideal",
        "training": {**TRAINING, "batch": 8},
    },
    "many tests": {
        "task": random(2, 8),
        "network": {"layers": [layer("lru", 1, [])]},
        "learning": {"name": "one_step"},
        "machine": "pcm_crossbar",
        "chips": 100,
        "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 2, "steps": 2_000, "test_every": 1},
    },
    "several systems, wide": {
        "task": random(3, 4),
        "network": {"layers": [layer("leaky_tanh", 1200, [])]},
        "learning": {"name": "one_step"},
        "machine": "ideal",
        "training": {**TRAINING, "batch": 4},
        "references": [
            {"name": f"digital {number}", "learning": {"name": "bptt"}, "machine": "digital_45nm"}
            for number in range(4)
        ],
    },
}
SMALL = {**RUNS["bptt, digital"], "task": random(50, 64, width=8), "training": {**TRAINING, "batch": 64, "steps": 1}}


def taken(asked: dict[str, Any]) -> tuple[int, int, str]:
    """What a run takes by estimate and by measurement, in this process, and when most of it is expected."""
    tiny = {**asked, "task": {**asked["task"], "steps": 2, "train": 2, "test": 1}, "chips": 1}
    tiny["network"] = {**asked["network"], "layers": [layer(each["cell"]["name"], 1, []) for each in _layers(asked)]}
    if "training" in asked:
        tiny["training"] = {**asked["training"], "batch": 1, "steps": 1, "test_every": 1}
    run(config.load({"name": "tiny", **tiny}))
    experiment = config.load({"name": "measured", **asked})
    peak = footprint(experiment).peak
    before = psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory() as folder:
        run(experiment, out=Path(folder) / "run")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return peak.size, most - before, peak.when


def _layers(asked: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = asked["network"]["layers"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Memory that runs take, beside what was estimated.")
    parser.add_argument("which", nargs="*", help="runs whose names contain one of these; by default all")
    parser.add_argument("--small", action="store_true", help="one small run: to see that it works")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        print(json.dumps(taken(json.loads(asked.child))))
        return
    runs = {"small": SMALL} if asked.small else RUNS
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    print("| | estimated | taken | estimated / taken | most of it |\n|---|---|---|---|---|")
    for name, wanted in runs.items():
        if asked.which and not any(part in name for part in asked.which):
            continue
        words = [sys.executable, __file__, "--child", json.dumps(wanted)]
        done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        estimated, measured, when = json.loads(done.stdout)
        ratio = estimated / measured if measured > 0 else float("nan")
        print(f"| {name} | {si(estimated, 'B')} | {si(measured, 'B')} | {ratio:.2f} | {when} |", flush=True)


if __name__ == "__main__":
    main()
