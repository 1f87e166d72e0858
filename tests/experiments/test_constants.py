"""Names of constants in `energy.csv` are keys: `--set` takes them, and another value changes their part of the energy.

Shipped machines are estimated; a small experiment is run as well.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from conftest import close

import hwsim
from hwsim import tasks
from hwsim.accounts.energy import LEAKAGE, TIMES, Ledger
from hwsim.config.settings import load_with_settings
from hwsim.experiments.costs import Costs
from hwsim.experiments.estimate import sketched
from hwsim.experiments.robustness import repriced
from hwsim.quantities import Constant, Origin

DATA = {
    "name": "small",
    "task": {"name": "adding", "steps": 6, "train": 4, "test": 2},
    "network": {"layers": [{"cell": {"name": "lru", "modes": 4}, "readout": {"hidden": [6]}}]},
    "learning": {"name": "fpe"},
    "training": {"optimizer": {"name": "adamw", "rate": 0.1}, "batch": 4, "steps": 2},
}
CHIPS = ("pcm_crossbar", "rram_crossbar", "hermes_14nm", "neurram_130nm", "pcm_crossbar_in_the_loop")
MACHINES = (*CHIPS, "digital_14nm", "digital_45nm", "digital_45nm_fp16", "digital_45nm_int8_bound")

WIDER_SUMS = ("digital_45nm_fp16", "digital_45nm_int8_bound")
"""Sums are wider than words: one access of an operation has more bits, whatever `registers_per_operation` is."""


def written(folder: Path, machine: str) -> Path:
    """An experiment whose substrate and reference, `the same v1.2`, are one shipped machine."""
    again = {"name": "the same v1.2", "learning": {"name": "one_step"}, "machine": machine}
    file = folder / "e.yaml"
    file.write_text(yaml.safe_dump(DATA | {"machine": machine, "references": [again]}), encoding="utf-8")
    return file


def keys(costs: Costs) -> dict[str, Origin]:
    """The constants that prices name by a key, and what documents say of them."""
    found = [constant for balance in ledger(costs).values() for constant in balance.price.constants]
    return {each.key: each.origin for each in found if not each.key.startswith("sram_cacti7 ")}


def ledger(costs: Costs) -> Ledger:
    assert costs.outcome.detail is not None
    return costs.of_totals(costs.outcome.detail.totals() + costs.outcome.totals[0])


def times(value: str, factor: float) -> str:
    """A written quantity, multiplied."""
    number, *unit = value.split(" ", 1)
    return " ".join([repr(float(number) * factor), *unit])


@pytest.mark.parametrize("machine", MACHINES)
def test_what_prices_name_can_be_set(machine: str, tmp_path: Path) -> None:
    """All constants are multiplied together, each by another factor, so that no price can be right by chance."""
    file = written(tmp_path, machine)
    stated = load_with_settings(file, [])
    dataset = tasks.outline(stated.task)
    systems = {name: sketched(stated, name, system, dataset, None) for name, system in stated.systems().items()}
    named = {key: origin for costs in systems.values() for key, origin in keys(costs).items()}
    assert any(key.startswith("references.the same v1.2.machine.") for key in named)
    assert load_with_settings(file, [f"{key}={origin.value}" for key, origin in named.items()]) == stated
    factors = {key: 1 + (number + 1) / 101 for number, key in enumerate(named)}
    changed = load_with_settings(file, [f"{key}={times(named[key].value, factors[key])}" for key in named]).systems()
    for name, costs in systems.items():
        after = ledger(repriced(costs, changed[name].machine))
        assert after.keys() == ledger(costs).keys()
        for account, before in ledger(costs).items():
            ratio = 1.0
            for factor in account.constant.split(TIMES):
                ratio *= factors.get(factor.removesuffix("²"), 1.0) ** (2 if factor.endswith("²") else 1)
            assert ratio > 1
            assert after[account].price.value == close((before.price.value or 0.0) * ratio, rel=1e-12), account
            wider = account.constant.endswith("registers_per_operation") and machine in WIDER_SUMS
            if account.operation != LEAKAGE and not wider:  # which takes as long as all the rest
                assert after[account].count == before.count


def test_a_run_names_what_can_be_set(tmp_path: Path) -> None:
    file = written(tmp_path, "pcm_crossbar")
    stated = hwsim.run(load_with_settings(file, []), out=tmp_path / "stated")
    energy = stated.summary.systems["substrate"].energy
    assert {key for name in energy.by_constant for key in name.replace("²", "").split(TIMES)} <= energy.constants.keys()
    typed = [f"{key}={origin.value}" for key, origin in energy.constants.items() if "sram_cacti7" not in key]
    hwsim.run(load_with_settings(file, typed), out=tmp_path / "typed")
    assert (tmp_path / "typed" / "energy.csv").read_bytes() == (tmp_path / "stated" / "energy.csv").read_bytes()
    voltage = "machine.parts.tiles.voltage"
    hwsim.run(load_with_settings(file, [f"{voltage}=0.4 V"]), out=tmp_path / "doubled")
    before, after = (hwsim.read(tmp_path / name).energy for name in ("stated", "doubled"))
    rests = before.constant.str.startswith(f"{voltage}² × ")
    assert rests.any()
    assert list(after.energy_j) == close(list(before.energy_j.where(~rests, 4 * before.energy_j)), rel=1e-12)
    assert list(after["count"]) == list(before["count"])


def test_a_constant_cites_its_own_document(tmp_path: Path) -> None:
    """Devices and peripheries have sources of their own; keys of sources may be the same with another text."""
    named = load_with_settings(written(tmp_path, "pcm_crossbar"), []).machine
    found: dict[str, Constant[float]] = {
        "device": named.device.write.current,
        "periphery": named.periphery.driver,
        "digital": named.digital.parts.dram.energy,
        "parts": named.parts.tiles.time,
    }
    owners = {"device": named.device, "periphery": named.periphery, "digital": named.digital, "parts": named}
    for where, constant in found.items():
        assert constant.key.startswith(f"machine.{where}.")
        assert constant.source is not None
        assert constant.origin.citation == owners[where].sources[constant.source.split(",")[0]]
    assert found["device"].origin[1:5] == ("150 µA", "100 µA", "500 µA", "nvmexp, SET; range: singh2025")
    assert named.parts.adc.time.origin.why == "assumed: 100 MS/s"
