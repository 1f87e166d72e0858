"""Spikes in a CSV file: a row for each, with its step, its group and its neuron; read as blocks of steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from hwsim import documents
from hwsim.config.event_network import Network
from hwsim.documents import Problem
from hwsim.documents.table import blocks_of
from hwsim.errors import ConfigError

COLUMNS = {"step": "int64", "group": "str", "neuron": "int64"}
_ENTRIES = 1 << 22
"""Of an activity that is held at once."""


_OF_RUNS = ("spikes.csv", "traces.csv", "config.yaml", "summary.json")
"""Files in the folder of a run."""


def refuse_run(*places: str | Path) -> None:
    """Refuse the folder of a run, or a file in one, where a machine, a network or spikes are asked for.

    A run has no input spikes in its `spikes.csv`, and no cores; an experiment that names a machine has both.

    Raises:
        ConfigError: one of the places is such; the message says what prices the spikes of a run.
    """
    for place in map(Path, places):
        folder = place.parent if place.name in _OF_RUNS else place
        if documents.is_file(folder / "summary.json"):
            raise ConfigError(
                f"{place} is of a run. To price the spikes of an experiment on event-driven cores, let it name the "
                "machine, and run it again: `hwsim run FILE --set event_driven=loihi_like`; the tables and the report "
                "of that run have energy and latency on these cores, and the spikes of each. `hwsim events MACHINE "
                "NETWORK SPIKES` takes a network with its cores, which `hwsim new --kind network` begins, and a "
                "CSV file with the columns step, group and neuron"
            )


def blocks(path: Path, net: Network, steps: int | None = None) -> Iterator[np.ndarray]:
    """The spikes of a file as activities `(steps, neurons)` of some steps at a time, in order.

    Args:
        steps: how many steps there are; by default up to the last spike.

    Raises:
        ConfigError: a group or a neuron is unknown, rows are not in the order of steps, or a neuron fires twice in one.
    """
    count = sum(group.count for group in net.neurons.values())
    length = max(1, _ENTRIES // count)
    block, first = np.zeros((length, count), dtype=bool), 0
    last = -1
    for rows in blocks_of(path, COLUMNS):
        neuron = _numbered(path, rows, net)
        step = rows["step"].to_numpy()
        _ordered(path, rows, step, last, steps)
        last = int(step[-1]) if len(step) else last
        while len(step):
            here = int(np.searchsorted(step, first + length))
            _fill(path, rows, block, step[:here] - first, neuron[:here])
            step, neuron, rows = step[here:], neuron[here:], rows.iloc[here:]
            if len(step):
                yield block
                block, first = np.zeros_like(block), first + length
    end = last + 1 if steps is None else steps
    while first < end:
        yield block[: end - first]
        block, first = np.zeros_like(block), first + length


def _numbered(path: Path, rows: pd.DataFrame, net: Network) -> np.ndarray:
    """Neurons of a table, numbered through all groups."""
    first = rows["group"].map(net.first)
    wrong = rows.index[first.isna()]
    if len(wrong):
        text = documents.unknown("group", str(rows["group"][wrong[0]]), list(net.neurons))
        raise documents.refuse([Problem(str(path), int(wrong[0]), 1, text)])
    counts = rows["group"].map({name: group.count for name, group in net.neurons.items()})
    wrong = rows.index[rows["neuron"] >= counts]
    if len(wrong):
        group, neuron = rows["group"][wrong[0]], rows["neuron"][wrong[0]]
        text = f"neuron {neuron}: {group} has the neurons 0 to {net.neurons[group].count - 1}"
        raise documents.refuse([Problem(str(path), int(wrong[0]), 1, text)])
    numbered: np.ndarray = (first + rows["neuron"]).to_numpy(dtype=np.int64)
    return numbered


def _ordered(path: Path, rows: pd.DataFrame, step: np.ndarray, last: int, steps: int | None) -> None:
    """Refuse steps that go back, and steps behind the last one."""
    back = np.flatnonzero(np.diff(step, prepend=last) < 0)
    if back.size:
        text = f"step {step[back[0]]} stands behind a later one; rows are in the order of steps"
        raise documents.refuse([Problem(str(path), int(rows.index[back[0]]), 1, text)])
    behind = np.flatnonzero(step >= steps) if steps is not None else back
    if behind.size:
        text = f"step {step[behind[0]]}: there are the steps 0 to {(steps or 0) - 1}"
        raise documents.refuse([Problem(str(path), int(rows.index[behind[0]]), 1, text)])


def _fill(path: Path, rows: pd.DataFrame, block: np.ndarray, step: np.ndarray, neuron: np.ndarray) -> None:
    key = step * block.shape[1] + neuron
    order = np.argsort(key, kind="stable")
    twice = np.flatnonzero(np.diff(key[order]) == 0)
    already = np.flatnonzero(block[step, neuron])
    wrong = [int(order[twice[0] + 1])] if twice.size else already[:1].tolist()
    if wrong:
        text = f"a neuron fires once in a step; this spike stands twice: step {rows['step'].iloc[wrong[0]]}"
        raise documents.refuse([Problem(str(path), int(rows.index[wrong[0]]), 1, text)])
    block[step, neuron] = True
