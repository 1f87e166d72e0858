"""What a machine file leaves out means that nothing is added: no errors, no sharing, one phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from conftest import machine_options

from hwsim import networks

DISTINCT = yaml.safe_load((Path(__file__).parents[1] / "hardware" / "distinct.yaml").read_text(encoding="utf-8"))
NEEDED = {
    "tiles": {"rows", "columns", "count", "voltage", "time", "output_noise"},
    "dac": {"bits", "energy", "time"},
    "adc": {"bits", "energy", "time"},
    "registers": {"energy", "time"},
}


def shortest() -> dict[str, Any]:
    """A chip of which only what is needed is said."""
    chip = {key: DISTINCT[key] for key in ("kind", "name", "sources", "device", "periphery", "digital", "parts")}
    parts = {key: {name: chip["parts"][key][name] for name in names} for key, names in NEEDED.items()}
    for section in ("functions", "diagonals"):
        parts[section] = {
            name: {key: unit[key] for key in ("energy", "time")} for name, unit in chip["parts"][section].items()
        }
    digital = {key: chip["digital"][key] for key in ("kind", "name", "sources")}
    needed = {
        key: value for key, value in chip["digital"]["parts"].items() if key not in ("dataflow", "area", "expansions")
    }
    needed["sram"] = {key: needed["sram"][key] for key in ("node_nm", "bank", "capacity", "wire", "wires")}
    needed["expansions"] = {"divide": {"because": "-"}, "root": {"because": "-"}}
    return {**chip, "digital": {**digital, "parts": needed}, "parts": {**parts, "verify": chip["parts"]["verify"]}}


def test_a_chip_of_which_only_what_is_needed_is_said() -> None:
    made = machine_options(shortest())
    parts = made.parts
    assert (made.coefficients, made.attached) == ("fixed<16,12>", "nothing")
    assert (made.sharing.transposed, made.sharing.inverse) == ("own", "own")
    assert (parts.ranges.input, parts.ranges.forward, parts.ranges.error) == (1.0, 4.0, 4.0)
    tiles = parts.tiles
    assert (tiles.phases, tiles.scale, tiles.interface, tiles.weight_range) == (1, None, "analog", 2.0)
    assert (parts.dac.shared_by, parts.adc.shared_by) == (1, 1)
    for section in (parts.functions, parts.diagonals):
        for name, unit in section:
            assert (unit.mismatch, unit.gain_noise, unit.noise) == (0, 0, 0), name
    registers = parts.registers
    assert (registers.classes, registers.noise, registers.retention) == (["state", "learning state"], 0, None)


def test_a_digital_machine_of_which_only_what_is_needed_is_said() -> None:
    made = machine_options(shortest()["digital"])
    assert (made.format, made.accumulator, made.update, made.priced_as) == ("float32", "float32", None, None)
    assert (made.measured_at, made.scaled_to, made.parts.area) == (None, None, None)
    sram, flow = made.parts.sram, made.parts.dataflow
    assert (sram.cell, sram.scale, sram.leakage_scale, sram.area_scale) == ("lstp", None, None, None)
    assert (flow.batch_parallel, flow.together, flow.weight_reuse, flow.gradient_block) == (1, None, None, None)
    for expansion in (made.parts.expansions.divide, made.parts.expansions.root):
        assert (expansion.multiply, expansion.add, expansion.compare) == (0, 0, 0)


def test_cells_of_which_only_the_size_is_said() -> None:
    layers = [{"cell": {"name": "leaky_tanh", "units": 3}}, {"cell": {"name": "lru", "modes": 2}}]
    tanh, lru = (layer.cell for layer in networks.Options.model_validate({"layers": layers}).layers)
    assert (tanh.leak, tanh.gain, tanh.recurrence) == (1.0, 1.0, "normal")
    assert (lru.r_min, lru.r_max, lru.normalise) == (0.9, 1.0, True)
    assert 6.283 < lru.max_phase < 6.284
