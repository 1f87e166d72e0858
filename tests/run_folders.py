"""Experiments of many kinds, small ones, whose run folders have to be read and shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hwsim.results.run_folder import RunFolder

STACK = {
    "layers": [
        {"cell": {"name": "lru", "modes": 4, "r_min": 0.9}, "readout": {"hidden": [5], "width": 6}},
        {"cell": {"name": "lru", "modes": 4, "r_min": 0.9}, "readout": {"hidden": [5]}},
    ],
    "pooling": "cumulative_mean",
}
FULL: dict[str, Any] = {
    "name": "full",
    "task": {"name": "random", "steps": 6, "width": 2, "train": 8, "test": 4},
    "network": STACK,
    "learning": {"name": "fpe"},
    "machine": "pcm_crossbar",
    "chips": 2,
    "gradient_check": {"sequences": 2},
    "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 4, "steps": 4, "test_every": 1},
    "references": [
        {"name": "digital", "learning": {"name": "bptt"}, "machine": "digital_45nm"},
        {"name": "exact", "learning": {"name": "bptt"}, "machine": "ideal"},
    ],
}
KINDS: dict[str, dict[str, Any]] = {
    "full": {},
    "unchecked": {"gradient_check": None},
    "untrained": {"training": None},
    "untested": {"test": False},
    "bare": {"gradient_check": None, "training": None, "references": []},
    "ideal": {"machine": "ideal", "chips": 1, "references": []},
    "diverged": {
        "training": {"optimizer": {"name": "sgd", "rate": 1e30}, "batch": 4, "steps": 4},
        "references": [{"name": "exact", "learning": {"name": "fpe"}, "machine": "ideal"}],
    },
    "regression": {"task": {"name": "adding", "steps": 6, "train": 8, "test": 4}},
    "one step": {"learning": {"name": "one_step"}, "references": FULL["references"][:1]},
}

Folders = Callable[[str], RunFolder]
