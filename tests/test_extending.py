"""An operation, a cell, a rule and a unit, each one new file in a copy of the program, learn together on a chip."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import close

ROOT = Path(__file__).parents[1]
UNITS, STEPS, BATCH = 4, 3, 2

OPERATION = '''
"""x between -1 and 1."""

import numpy as np

from hwsim.operations import greater
from hwsim.operations.derivative import Elementwise
from hwsim.operations.operation import Unary, each

clamp = Unary(
    "clamp",
    lambda x: np.clip(x, -1, 1),
    work=each(compare=2),
    derivative=Elementwise(lambda node: greater(node.operands[0], -1.0) - greater(node.operands[0], 1.0)),
)
'''

CELL = '''
"""h' = clamp(W h + U x)."""

from typing import Literal

from pydantic import BaseModel

from hwsim import initial
from hwsim.cells.cell import Size
from hwsim.cells.derived import Derived
from hwsim.machine import Matrix
from hwsim.operations.clamp import clamp


class Options(BaseModel, extra="forbid"):
    name: Literal["clamped"]
    units: int


def size(options, inputs):
    n = options.units
    return Size(width=n, visible=n, parameters=n * (n + inputs), units=n)


class Clamped(Derived):
    def __init__(self, machine, name, options, inputs, uses):
        super().__init__(machine, name)
        n = self.width = options.units
        self.W = Matrix(machine, f"{name} W", "recurrent", initial.normal(machine.seed, f"{name} W", n, n))
        self.U = Matrix(machine, f"{name} U", "input", initial.normal(machine.seed, f"{name} U", n, inputs))
        self.keep(self.W, self.U)

    def next(self, h, x):
        return clamp(self.W @ h + self.U @ x)
'''

RULE = '''
"""Errors of this step, and a share of what the last one leaves."""

from typing import Literal

from pydantic import BaseModel

from hwsim.accounts.memory import LEARNING
from hwsim.learning.rule import Rule


class Options(BaseModel, extra="forbid"):
    name: Literal["fading"]
    share: float


class Fading(Rule):
    def gradients(self, network):
        with network.machine.workspace() as workspace:
            states = network.states(workspace)
            errors = {
                layer: workspace.register(f"{layer.name} fading", layer.cell.width, LEARNING)
                for layer in network.layers
            }
            for step in network.machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                for level in network.downward(network.loss_error(output, step), seen):
                    delta = level.plus_g(self.options.share * errors[level.layer].load())
                    errors[level.layer].store(delta)
                    level.learn(delta)
        network.finish_gradient()
'''

UNIT = '''
"""Limiters: circuits that clamp, with their options, errors and price; and a chip that has one per wire."""

from functools import partial
from math import prod
from typing import Literal

from hwsim.accounts.energy import charge
from hwsim.machines import crossbar
from hwsim.machines.chip import Chip
from hwsim.operations.clamp import clamp
from hwsim.units.function import AnalogUnit


class Limiters(AnalogUnit):
    def charges(self, record):
        return [charge("limiters", prod(record.size), self.energy)]

    def seconds(self, record):
        return prod(record.size[:-1]) * self.time.value


class Options(crossbar.Options):
    kind: Literal["limited"]
    limiter: Limiters


class LimiterCircuits:
    def __init__(self, machine):
        self.machine = machine

    def carry_out(self, operation, operands, constants):
        machine, (x,) = self.machine, operands
        name = f"{machine.layer} limiters"
        bank = machine.circuits.bank(name, name, x._value.shape[-1:], machine.chip.limiter)
        value = machine.compute(partial(self.limited, operation, bank, machine.full_scale), operands)
        return machine.emit_analog(machine.analog_heads[operation, name], value, (x._slot,), machine.full_scale)


    def limited(self, operation, bank, full_scale, x):
        value = self.machine.functions[operation](x)
        self.machine.circuits.spoil(bank, value, full_scale)
        return value


class LimitedChip(Chip):
    def __init__(self, options, **made):
        super().__init__(options, **made)
        self.limiters = LimiterCircuits(self)

    def place(self, operation, operands, holder=None):
        if operation is clamp and operands[0]._analog:
            return self.limiters, operands
        return super().place(operation, operands, holder)

    def prices(self, options=None):
        prices = super().prices(options)
        prices.units[clamp.kind] = (options or self.chip).limiter
        return prices
'''

FILES = {
    "operations/clamp.py": OPERATION,
    "cells/clamped.py": CELL,
    "learning/fading.py": RULE,
    "machines/limited.py": UNIT,
}
EXPERIMENT = {
    "name": "extended",
    "task": {"name": "random", "steps": STEPS, "width": 2, "train": 4, "test": 2},
    "network": {"layers": [{"cell": {"name": "clamped", "units": UNITS}}]},
    "learning": {"name": "fading", "share": 0.5},
    "machine": {
        "like": "pcm_crossbar",
        "kind": "limited",
        "name": "limited",
        "limiter": {
            "energy": {"value": "3 pJ", "assumed": "for this test"},
            "time": {"value": "7 ns", "assumed": "for this test"},
            "mismatch": 0.1,
        },
    },
    "chips": 2,
    "gradient_check": {"sequences": 2},
    "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": BATCH, "steps": 2},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of a copy of the program: links to its files, and four files that are new."""
    copy = extended(tmp_path_factory.mktemp("copy"), FILES)
    (copy / "extended.yaml").write_text(json.dumps(EXPERIMENT), encoding="utf-8")
    hwsim(copy, "run", "extended.yaml", "--out", "made")
    return copy / "made"


def extended(copy: Path, files: dict[str, str]) -> Path:
    """A copy of the program in a folder, with some files that are new."""
    for room in ("hwsim", "configs", "devices"):
        shutil.copytree(ROOT / room, copy / room, copy_function=os.symlink)
    for name, text in files.items():
        assert not (copy / "hwsim" / name).exists()
        (copy / "hwsim" / name).write_text(text, encoding="utf-8")
    return copy


def hwsim(copy: Path, *words: str) -> str:
    """What a copy of the program says."""
    command, path = [sys.executable, "-m", "hwsim.cli", *words], {"PYTHONPATH": str(copy)}
    done = subprocess.run(command, cwd=copy, env=os.environ | path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(folder: Path, table: str) -> list[dict[str, str]]:
    with (folder / table).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def system(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["systems"]["substrate"]


def test_the_unit_carries_the_operation_out_for_its_own_price(folder: Path) -> None:
    found = [row for row in rows(folder, "energy.csv") if row["part"] == "step" and row["operation"] == "clamp"]
    assert {(row["unit"], row["component"], row["constant"]) for row in found} == {
        ("layer 1 limiters", "limiters", "machine.limiter.energy")
    }
    assert sum(float(row["count"]) for row in found) == UNITS * STEPS * BATCH
    assert sum(float(row["energy_j"]) for row in found) == close(3e-12 * UNITS * STEPS * BATCH)


def test_chips_of_the_new_kind_differ(folder: Path) -> None:
    losses = {row["chip"]: row["test_loss"] for row in rows(folder, "metrics.csv") if row["updates"] == "2"}
    assert len(losses) == len(set(losses.values())) == 2


def test_the_schedule_has_the_time_of_the_unit(folder: Path) -> None:
    events = json.loads((folder / "timeline.json").read_text(encoding="utf-8"))["traceEvents"]
    assert {event["dur"] for event in events if event["name"] == "clamp" and event["ph"] == "X"} == {7.0}  # in ns


def test_the_derivative_of_the_operation_is_carried_out_by_the_chip_that_learns_the_cell(folder: Path) -> None:
    charged = {row["operation"] for row in rows(folder, "energy.csv") if row["purpose"] == "error propagation"}
    assert {"greater", "subtract", "multiply"} <= charged
    assert "solve" not in charged


def test_the_gradient_of_the_rule_is_compared_with_the_exact_one_of_the_cell(folder: Path) -> None:
    gradient = system(folder)["gradient"]
    assert {group: 0.3 < gradient[group]["target"]["cosine"] <= 1 for group in ("recurrent", "input", "readout")} == {
        "recurrent": True, "input": True, "readout": True,
    }  # fmt: skip


def test_the_ledger_holds_what_the_rule_and_the_cell_keep(folder: Path) -> None:
    held = {row["holder"]: row["memory_class"] for row in rows(folder, "memory.csv")}
    assert held["layer 1 fading"] == "learning state"
    assert {"layer 1 W devices", "layer 1 U devices"} <= set(held)


# ---- a rule with updates inside the sequence, as the documentation shows it ------------------------------------------

ONLINE = """
name: online
task: {name: random, steps: 7, width: 2, train: 8, test: 4}
network:
  layers:
    - cell: {name: lru, modes: 3}
    - cell: {name: gru, units: 3}
learning: {name: online, every: 3}
machine: pcm_crossbar
chips: 2
gradient_check: {sequences: 2}
training: {optimizer: {name: sgd, rate: 0.1}, batch: 4, steps: 2}
"""


@pytest.fixture(scope="module")
def online(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a copy of the program with that file, in which the experiment was run."""
    page = (ROOT / "docs" / "own_rule.md").read_text(encoding="utf-8")
    (rule,) = [text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if 'Literal["online"]' in text]
    copy = extended(tmp_path_factory.mktemp("copy"), {"learning/online.py": rule})
    (copy / "online.yaml").write_text(ONLINE, encoding="utf-8")
    hwsim(copy, "run", "online.yaml", "--out", "made")
    return copy


def test_a_rule_with_updates_inside_the_sequence_is_one_file(online: Path) -> None:
    """Its gradient is compared, its updates are charged, and what it keeps is in the ledger."""
    found = system(online / "made")
    assert found["rule"] == "online"
    assert 0.3 < found["gradient"]["all"]["target"]["cosine"] <= 1
    steps = [row for row in rows(online / "made", "energy.csv") if row["part"] == "step"]
    assert {"weight write", "weight update"} <= {row["purpose"] for row in steps}
    held = {row["holder"]: row["memory_class"] for row in rows(online / "made", "memory.csv")}
    assert held["layer 1 B average"] == "optimizer slots"


def test_its_estimate_costs_what_its_run_costs(online: Path) -> None:
    """Two batches of three parts are six updates, and the test after them programs twice; .05 of the devices each."""
    told = json.loads(hwsim(online, "estimate", "online.yaml", "--json"))["systems"]["substrate"]
    found = system(online / "made")
    assert told["memory"]["peak_bytes"] == found["memory"]["peak_bytes"]
    assert told["time"] == found["time"]
    assert told["weights"]["writes_per_device"] == close(1 + 0.05 * (6 + 2))
    assert told["energy"]["run_j"] == close(found["energy"]["run_j"], rel=0.1)  # activities are expected ones


def test_it_refuses_short_sequences_in_its_own_words(online: Path) -> None:
    (online / "short.yaml").write_text(ONLINE.replace("every: 3", "every: 9"), encoding="utf-8")
    with pytest.raises(AssertionError, match=r"learning\.every: 9 steps, and a sequence has 7"):
        hwsim(online, "run", "short.yaml")
