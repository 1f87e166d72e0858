"""Energy per multiply-accumulate, converters, fill, power and area, against counts and constants by hand."""

import json
from math import ceil

import pytest
from conftest import close

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments import run as experiments
from hwsim.experiments.costs import Costs
from hwsim.experiments.estimate import estimate

T, N, D, C, SEQUENCES = 5, 4, 3, 2, 8
"""Steps, modes, inputs, classes, sequences of a batch."""
MACS = T * SEQUENCES * (2 * N * D + C * 2 * N)
"""Of a forward pass: the input matrix, and the one of the readout."""


def costs(machine, learner="one_step", training=True):
    data = {
        "name": "efficiency",
        "task": {"name": "random", "steps": T, "width": D, "outputs": C, "train": SEQUENCES, "test": 4},
        "network": {"layers": [{"cell": {"name": "lru", "modes": N}}]},
        "learning": {"name": learner},
        "machine": machine,
        "test": False,
    }
    step = {"optimizer": {"name": "sgd", "rate": 0.01}, "steps": 2, "batch": SEQUENCES}
    data |= {"training": step} if training else {"gradient_check": {"sequences": SEQUENCES}}
    result = experiments.run(config.compose(Document("test", json.loads(json.dumps(data)))))
    return result.costs[0], result.summary.plain()["systems"]["substrate"]["efficiency"], data


def joules(found: Costs, *operations: str) -> float:
    """Of a training step, from the rows of its table."""
    rows = [row for row in found.rows() if row.part == "step" and row.operation in operations]
    return sum(row.energy_j or 0.0 for row in rows)


@pytest.mark.parametrize("on", ["pcm_crossbar", "digital_45nm", "hermes_14nm"])
def test_the_energy_of_a_product_is_that_of_its_reads_and_conversions_over_its_macs(on):
    """One-step truncation multiplies forward, and back through the readout."""
    found, efficiency, _ = costs(on)
    macs = MACS + T * SEQUENCES * C * 2 * N
    spent = joules(found, "read", "read transposed", "adc", "dac", "tile adc")
    assert efficiency["energy_per_mac_j"] == close(spent / macs)
    assert efficiency["tops_per_w"] == close(2 * macs / spent * 1e-12)


def test_the_share_of_converters_is_theirs_wherever_they_are():
    found, efficiency, _ = costs("pcm_crossbar")
    for on, unit in (("pcm_crossbar", "layer 1 adc"), ("hermes_14nm", "layer 1 B tiles")):
        found, efficiency, _ = costs(on)
        rows = [row for row in found.rows() if row.part == "step" and row.component in ("adc", "dac")]
        assert unit in {row.unit for row in rows}
        converted = sum(row.energy_j for row in rows)
        whole = joules(found, "read", "read transposed", "tile adc", "adc", "dac")
        assert 0 < efficiency["converter_share"] < 1
        assert efficiency["converter_share"] == close(converted / whole)


@pytest.mark.parametrize(("rows", "columns"), [(256, 256), (8, 3), (5, 2)])
def test_the_fill_of_tiles_is_what_holds_weights(rows, columns):
    machine = {"like": "pcm_crossbar", "parts": {"tiles": {"rows": rows, "columns": columns}}}
    _, efficiency, _ = costs(machine)
    matrices = [(2 * N, D), (C, 2 * N)]
    tiles = sum(ceil(n / rows) * ceil(m / columns) for n, m in matrices)
    assert efficiency["tile_fill"] == close(sum(n * m for n, m in matrices) / (tiles * rows * columns))


def test_power_is_energy_over_time():
    found, efficiency, _ = costs("pcm_crossbar")
    energy, time = found.energy(), found.time()
    assert efficiency["mean_power_w"] == close(energy["training_step_j"] / time["training_step_s"])


def test_the_area_of_a_chip_is_that_of_its_parts():
    """Two tiles of HERMES, each 0.634 mm², and the digital unit; nothing there lacks a source."""
    _, efficiency, _ = costs("hermes_14nm")
    parts = efficiency["area_by_part_m2"]
    assert parts["tiles"] == close(2 * 0.634e-6, rel=1e-3)
    assert efficiency["area_m2"] == close(sum(parts.values()))
    assert efficiency["area_why_null"] is None


def test_the_area_of_a_digital_machine():
    """256 elements of three times their arithmetic, 16 lanes of the same, and the macros that hold what there is."""
    _, efficiency, _ = costs("digital_45nm")
    parts = efficiency["area_by_part_m2"]
    assert parts["systolic array"] == close(256 * 3 * 11884e-12)
    assert parts["vector unit"] == close(16 * 3 * 11884e-12)
    assert parts["local buffer"] == close(16 * 0.0263e-6)
    assert parts["weight memory"] == close(0.0075e-6)  # two kilobytes
    assert efficiency["area_m2"] == close(sum(parts.values()))
    smaller = costs("digital_7nm")[1]["area_by_part_m2"]
    assert smaller["systolic array"] == close(0.055 * parts["systolic array"])


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ("ideal", "no model of its area"),
        ("pcm_crossbar", "no source gives the area of analog registers"),
        ({"like": "digital_45nm", "format": "bfloat16"}, "no source gives the area of arithmetic in bfloat16"),
        ({"like": "hermes_14nm", "periphery": "none"}, "the periphery none does not say what it takes"),
    ],
)
def test_an_area_without_a_source_is_null_and_says_why(machine, why):
    _, efficiency, _ = costs(machine)
    assert efficiency["area_m2"] is None
    assert why in efficiency["area_why_null"]


def test_what_has_no_energy_has_no_efficiency():
    _, efficiency, _ = costs("ideal")
    assert [efficiency[key] for key in ("energy_per_mac_j", "tops_per_w", "mean_power_w", "tile_fill")] == [None] * 4


def test_an_estimate_tells_it_too():
    _, _, data = costs("pcm_crossbar", training=False)
    real = costs("pcm_crossbar", training=False)[1]
    found = estimate(data).summary.plain()["systems"]["substrate"]["efficiency"]
    for key in ("tile_fill", "area_why_null", "area_by_part_m2"):
        assert found[key] == real[key]
    for key in ("energy_per_mac_j", "tops_per_w", "converter_share", "mean_power_w"):  # but for what devices draw
        assert found[key] == close(real[key], rel=0.02)
