"""Experiments of many kinds, small ones, whose run folders have to be read and shown, and a study."""

from __future__ import annotations

from collections.abc import Callable
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from hwsim.results.run_folder import RunFolder
from hwsim.results.summary import Summary, SystemSummary

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
    "spiking": {
        "network": {
            "layers": [
                {
                    "cell": {
                        "name": "alif",
                        "units": 20,
                        "decay": 0.8,
                        "beta": 0.2,
                        "adaptation_decay": 0.95,
                        "gain": 2.0,
                    }
                },
                {"cell": {"name": "lif", "units": 6, "decay": 0.7, "gain": 2.0}},
            ],
            "pooling": "cumulative_mean",
        },
        "learning": {"name": "eprop"},
        "machine": "spiking_crossbar",
        "event_driven": "loihi_like",
        "references": [],
    },
    "one step": {"learning": {"name": "one_step"}, "references": FULL["references"][:1]},
}

STUDY = """\
name: small
experiment:
  name: tiny
  task: {name: random, steps: 3, width: 2, train: 4, test: 4}
  network: {layers: [{cell: {name: lru, modes: 3, r_min: 0.9}}]}
  learning: {name: fpe}
  machine: pcm_crossbar
  chips: 2
  gradient_check: {sequences: 2}
  test: false
  references:
    - {name: BPTT, learning: {name: bptt}, machine: ideal}
vary:
  bits: {key: machine.parts.adc.bits, values: [4, 8]}
  steps: {key: task.steps, values: [2, 4]}
seeds: 3
figures:
  - {name: cosine, x: steps, y: cosine_all, hue: bits, facet: system}
"""
"""Twelve trials of two systems each."""

Folders = Callable[[str], RunFolder]


def system(said: dict[str, Any]) -> SystemSummary:
    """A system of which a summary says this; of the rest that it is unknown, nothing or zero."""
    return SystemSummary.model_validate(_filled(SystemSummary, said))


def summary(said: dict[str, Any]) -> Summary:
    """A summary that says this, and as little as it may of the rest."""
    return Summary.model_validate(_filled(Summary, said))


def changed(run: RunFolder, change: Callable[[dict[str, Any]], object]) -> RunFolder:
    """The same run, had its summary been another; `change` is given its systems as they stand in the file."""
    said = run.summary.plain()
    change(said["systems"])
    found = RunFolder(run.path, Summary.model_validate(said), run.config)
    found.__dict__.update({name: table for name, table in run.__dict__.items() if name not in found.__dict__})
    return found


def _filled(kind: Any, said: Any) -> Any:
    """What is said, with the least that a kind of value can be wherever nothing is said."""
    if get_origin(kind) in (Union, UnionType):
        parts = [part for part in get_args(kind) if part is not type(None)]
        return said if said is None or len(parts) > 1 else _filled(parts[0], said)
    if get_origin(kind) is dict:
        return {key: _filled(get_args(kind)[1], value) for key, value in said.items()}
    if get_origin(kind) is list:
        return [_filled(get_args(kind)[0], value) for value in said]
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return said
    fields = kind.model_fields
    least = {key: _least(field.annotation) for key, field in fields.items() if field.is_required()}
    return least | {key: _filled(fields[key].annotation, value) for key, value in said.items()}


def _least(kind: Any) -> Any:
    if type(None) in get_args(kind):
        return None
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _filled(kind, {})
    if kind != int | float and get_origin(kind) in (Union, UnionType):
        return None  # a number that may lack, or several
    return (get_origin(kind) or kind)() if kind != int | float else 0
