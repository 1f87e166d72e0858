"""What a read of a whole tile takes on two published chips, beside what the shipped machines make of it."""

from __future__ import annotations

from typing import Any

import pytest
from conftest import close, machine_options

from hwsim.experiments.one_read import Read, one_read

FITTED, PREDICTED = 1.05, 1.5
"""By how much an energy may differ, either way."""


def read(on: str, *, periphery: str | None = None, **parts: Any) -> Read:
    """One read of a full tile, every input at full scale."""
    around = {} if periphery is None else {"periphery": periphery}
    return one_read(machine_options({"like": on, "name": "chip", "parts": parts, **around}))


def within(found: float | None, published: float, factor: float) -> bool:
    assert found is not None
    return 1 / factor <= found / published <= factor


# ---- HERMES: Le Gallo et al., 2023, Table I; Khaddam-Aljameh et al., 2022 -------------------------------------

MEAN = {"weight_range": 1.58}
"""With evenly spread weights the four devices of one have 6.9 uS together, the mean that its array term stands for."""


@pytest.mark.parametrize(
    ("phases", "published", "factor"),
    [
        pytest.param(1, 13.44e-9, FITTED, id="one phase, fitted"),
        pytest.param(4, 52.81e-9, PREDICTED, id="four phases"),
        pytest.param(1, 12.48e-9, PREDICTED, id="a single core"),
    ],
)
def test_hermes(phases: int, published: float, factor: float) -> None:
    found = read("hermes_14nm", tiles={"phases": phases, **MEAN})
    assert within(found.energy, published, factor)
    assert found.time == close(phases * 130e-9)  # 132.9 ns and 521 ns


def test_the_power_of_a_core_hardly_depends_on_its_phases() -> None:
    for phases, published in ((1, 0.1011), (4, 0.1014)):
        found = read("hermes_14nm", tiles={"phases": phases, **MEAN})
        assert within(found.energy / found.time, published, FITTED)


# ---- NeuRRAM: Wan et al., 2022, Fig. 12 ----------------------------------------------------------------------

OPERATIONS = 2 * 256 * 128
"""Of a read of a core."""
SETTINGS = [  # bits out, bits in, TOPS of 48 cores, TOPS/W
    (3, 1, 2.122, 43.08),
    (4, 2, 1.793, 40.33),
    (5, 3, 1.165, 23.09),
    (6, 4, 0.744, 15.95),
    (7, 5, 0.525, 11.03),
    (8, 6, 0.418, 8.257),
    (9, 7, 0.344, 7.75),
    (10, 8, 0.264, 6.437),
]


@pytest.mark.parametrize(("out", "bits", "tops", "tops_per_w"), SETTINGS)
def test_neurram(out: int, bits: int, tops: float, tops_per_w: float) -> None:
    seconds = 48 * OPERATIONS / (tops * 1e12)
    time = {"time": {"value": f"{seconds!r} s", "source": "wan2022"}} if bits < 2 else {}  # a converter has two bits
    found = read("neurram_130nm", tiles=time, dac={"bits": max(bits, 2)}, adc={"bits": out})
    assert found.time == close(seconds, rel=1e-3)
    assert within(found.energy, OPERATIONS / (tops_per_w * 1e12), FITTED if (out, bits) == (8, 6) else PREDICTED)


# ---- ISAAC: Shafiee et al., 2016, Table I; a study, not silicon ----------------------------------------------


def test_isaac() -> None:
    """A cycle of an array takes 301 pJ; an input of 8 bits takes eight cycles of 100 ns."""
    tiles = {"rows": 128, "columns": 128, "phases": 1, "time": {"value": "100 ns", "source": "khaddam2022"}}
    found = read("hermes_14nm", periphery="sar_bitserial_32nm", tiles=tiles)
    assert within(found.energy, 8 * 301e-12, FITTED)
    assert found.time == close(8 * 100e-9)
    # 256 by 256 weights of 8 bits on cells of 2 bits: two blocks of rows, eight of columns
    assert within(2 * 8 * found.energy, 38.5e-9, FITTED)
