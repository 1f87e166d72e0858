"""Chips whose weights are in slices learn: their gradients, which cells an update writes, and what estimates expect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import built, close, distance, gradient, random_episode, rule

import hwsim
from hwsim.accounts.energy import Tariff, grouped
from hwsim.config.hardware import shelf
from hwsim.config.settings import load_with_settings
from hwsim.learning import optimizers
from hwsim.learning.update import Options, Update
from hwsim.machines.chip import Chip


def chip(adc: int = 16, **tiles: Any) -> dict[str, Any]:
    """ISAAC's arrays with full scales that no signal exceeds."""
    ranges = {"input": 4, "forward": 4, "error": 4}
    return {"like": "isaac_ce_32nm", "name": "x", "parts": {"tiles": tiles, "adc": {"bits": adc}, "ranges": ranges}}


CODED = chip(adc=8, inputs="bit_serial", slices={"full_scale": 254})
"""With converters that resolve the states of columns one by one."""


@pytest.mark.parametrize("on", [chip(), CODED])
@pytest.mark.parametrize("learned", ["one_step", "fpe_anchored"])
def test_gradients_are_those_of_an_exact_machine(learned: str, on: dict[str, Any]) -> None:
    """Signals and weights of 16 bits leave errors of 2^-13 of full scale, here half a thousandth of the gradient."""
    episode = random_episode()
    exact, found = (gradient("tanh", learned, episode, on=each) for each in ("ideal", on))
    assert distance(found, exact) < 1.5e-3


def digits(master: np.ndarray, mapping: Any) -> np.ndarray:
    """Digits of the cells of weights, by division, `(cells, weights)`."""
    base, count = 2**mapping.slices.bits, mapping.slices.cells
    step = np.round(np.clip(master.astype(float), -mapping.w_max, mapping.w_max) / mapping.w_max * mapping.levels)
    word = step.astype(int).reshape(-1) + base**count // 2
    return np.stack([word // base**cell % base for cell in range(count)])


def test_an_update_writes_each_cell_whose_digit_changes_and_pays_for_no_other() -> None:
    """Masters are floats in digital memory; after each of three updates cells hold the digits nearest to them."""
    episode, learned = random_episode(), rule("one_step")
    made = built("tanh", learned, episode, on=chip(slices={"cells": 4, "bits": 2}))
    stage = made.machine
    assert isinstance(stage, Chip)
    arrays, masters = stage.devices.arrays, {each.name: each.master for each in made.trainables}
    held = {name: digits(masters[name].value, arrays[name].mapping) for name in arrays}
    devices = sum(each.size for each in held.values())
    assert stage.devices.written[0] == devices == stage.devices.count  # at first all of them
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 0.02}})
    slots, expected, siemens = optimizers.build(options.optimizer, made), 0, 0.0
    stage.journal.collect()
    for _ in range(3):
        with stage.showing(episode):
            learned.gradients(made)
            Update(made, slots, options, 0.0)(1)
        for name, array in arrays.items():
            now, mapping = digits(masters[name].value, array.mapping), array.mapping
            changed, held[name] = now != held[name], now
            expected += int(changed.sum())
            siemens += float(mapping.goal(now[changed]).sum())
            states = (array.conductance[0] - mapping.sheet.conductance.min.value) / mapping.per_digit
            np.testing.assert_allclose(states.reshape(now.shape), now, atol=1e-9)
    assert 0 < expected < devices
    assert stage.devices.written[0] - devices == expected
    ledger = Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 0.0)
    write, verify = stage.sheet.write, stage.parts.verify.value
    pulse = np.prod([each.value for each in write.pulse])
    rounds = np.prod([each.value for each in write.rounds])
    joules = rounds * (pulse * (siemens if write.by_conductance else expected) + verify * expected)
    assert grouped(ledger, "component")["programming"].energy == close(float(joules), rel=1e-9)


def experiment(tiles: dict[str, Any], learned: str) -> dict[str, Any]:
    return {
        "name": "slices that learn",
        "task": {"name": "adding", "steps": 4},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 18}}]},
        "machine": chip(**tiles),
        "learning": {"name": learned},
        "training": {"batch": 2, "steps": 2, "optimizer": {"name": "sgd", "rate": 0.01}},
    }


@pytest.mark.parametrize("learned", ["one_step", "fpe_anchored"])
def test_estimates_have_the_time_the_memory_and_the_energy_of_runs(learned: str) -> None:
    """But for writing, which depends on values; cells of this periphery draw the same whatever they hold."""
    data = experiment({}, learned)
    ran, sketched = (work(data).summary.systems["substrate"] for work in (hwsim.run, hwsim.estimate))
    assert (sketched.time, sketched.memory) == (ran.time, ran.memory)
    assert sketched.energy.gradient_j_per_sequence == close(ran.energy.gradient_j_per_sequence, rel=1e-12)


def test_the_shipped_study_and_its_experiment_run_in_short(tmp_path: Path) -> None:
    """The same digits on slices, on pairs, and on columns that resolve every state."""
    asked = yaml.safe_load((shelf("configs/studies") / "learning_on_slices.yaml").read_text(encoding="utf-8"))
    arrays = asked["vary"]["arrays"]
    for columns in (arrays["labels"], arrays["zip"]):
        for name, points in columns.items():
            assert len(points) == 11
            columns[name] = [points[4], points[7], points[9]]
    asked |= {"set": {**asked["set"], "training.steps": 2}, "seeds": [1]}
    found = hwsim.study(asked, workers=1, out=tmp_path / "study").table
    assert list(found.status.unique()) == ["done"]
    resolved, coarse, real = (each for _, each in found.groupby(["device", "column converter"], sort=False))
    assert list(real["weights"].unique()) == ["4 cells"]
    short = load_with_settings("learning_on_slices", ["training.steps=2"])
    systems = hwsim.run(short).summary.systems
    ideal = [systems[name].accuracy for name in ("substrate", "pairs")]
    assert all(each is not None and each.per_chip == resolved.accuracy.tolist() for each in ideal)
    assert coarse.loss.tolist() != resolved.loss.tolist()
    assert real.energy_training_step_j.iloc[0] > systems["4 cells"].energy.training_step_j
    assert [systems[name].memory.devices for name in ("substrate", "4 cells", "pairs")] == [12_800, 6_400, 3_200]
