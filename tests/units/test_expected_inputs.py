"""What estimates expect of coded and rounded inputs: against samples of the laws, and against runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim.experiments.estimate import estimate
from hwsim.experiments.run import run
from hwsim.machine import Expectations
from hwsim.machine.shapes import Shown, blank, levels_of, marked
from hwsim.units.converter import convert, signs, step
from hwsim.units.encoding import Encoding, parts
from hwsim.units.expected_inputs import ones, size, square

OF = Expectations(input=0.18, input_size=0.3, signal=0.1)
SAMPLES = 400_000


def sampled(shown: bool) -> np.ndarray:
    draws = np.random.default_rng(1)
    if not shown:
        return draws.normal(0, np.sqrt(OF.signal), SAMPLES)
    end, some = OF.of_input
    return np.where(draws.random(SAMPLES) < some, draws.uniform(0, end, SAMPLES), 0.0)


def known(shown: bool, levels: int | None) -> np.ndarray:
    return marked(blank((1,)), blank((1,)).view(Shown) if shown else blank((1,)), levels)


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("bits", [None, 1, 2, 3, 4, 5])
def test_sizes_and_squares_are_those_of_what_converters_give(shown: bool, bits: int | None) -> None:
    """Means of 400 000 samples: their relative deviations are below 0.6 %."""
    x = sampled(shown).astype(np.float32)
    if bits is not None:
        x = (signs(x, 1.0, 1.0) if bits == 1 else convert(x, step(bits, 1.0), 1.0))[0]
    v = known(shown, None if bits is None else 2 ** (bits - 1) - 1)
    assert square(OF, v) == close(np.mean(x.astype(float) ** 2), rel=0.03)
    assert size(OF, v) == close(np.abs(x).mean(dtype=float), rel=0.03)


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8, 12, 14])
@pytest.mark.parametrize("phases", [1, 2])
def test_bits_that_are_one_are_those_of_the_parts_of_reads(shown: bool, bits: int, phases: int) -> None:
    x = sampled(shown)[None, None].astype(np.float32)
    on = parts(x, 1.0, Encoding("bit_serial", phases, bits)).sum(dtype=float) / SAMPLES
    assert ones(OF, shown, bits, phases == 1) == close(on, rel=0.03)


def test_a_mean_size_that_cannot_be_is_the_nearest_that_can() -> None:
    """From the mean square, of inputs that are 0 or 1, to the root of it, of inputs that are all alike."""
    assert Expectations(input=0.5, input_size=0.1).mean_input == 0.5
    assert Expectations(input=0.01, input_size=0.9).mean_input == close(0.1)
    assert Expectations(input=0, input_size=0.9).of_input == (1.0, 0.0)
    assert ones(Expectations(input=0, signal=0), False, 8, True) == 0


def test_views_know_what_is_known_of_an_array() -> None:
    v = known(True, 7)
    assert isinstance(v[None], Shown)
    assert levels_of(v[None].reshape(-1)[:1]) == levels_of(marked(blank((2,)), v)) == 7
    assert levels_of(blank((1,))) is None


def devices(tiles: dict[str, Any], bits: int) -> float:
    """The energy that devices draw in reads, of an estimate over that of a run; weights hardly change."""
    # what tiles read in this run, with inputs as amplitudes: mean squares of inputs and of all else, weighted by what
    # devices draw, the mean size of inputs, and the mean conductance of devices
    told = Expectations(input=0.21, input_size=0.285, signal=0.002, conductance=0.0739)
    dac = {"bits": bits, "energy": {"value": "1 pJ", "assumed": "test"}}
    chip = {"tiles": {"interface": "digital", **tiles}, "dac": dac, "registers": {"classes": []}}
    experiment = {
        "name": "coded",
        "seed": 1,
        "task": {"name": "digits", "order": "rows"},
        "network": {
            "layers": [{"cell": {"name": "leaky_tanh", "units": 32, "leak": 0.5}}],
            "pooling": "cumulative_mean",
        },
        "learning": {"name": "one_step"},
        "machine": {"like": "pcm_crossbar", "name": "x", "parts": chip},
        "training": {"optimizer": {"name": "sgd", "rate": 1e-6}, "batch": 8, "steps": 4},
        "test": False,
    }
    (real,), (found,) = run(experiment).costs, estimate(experiment, told).costs
    read = "machine.parts.tiles.voltage² × machine.parts.tiles.time"
    drawn, wanted = (each.energy()["by_constant"][read]["energy_j"] for each in (found, real))
    return float(drawn / wanted)


@pytest.mark.parametrize(
    ("inputs", "phases"),
    [("parallel", 2), ("parallel", 4), *((coding, n) for coding in ("pulse_width", "bit_serial") for n in (1, 2, 4))],
)
def test_an_estimate_expects_what_devices_draw_in_a_run(inputs: str, phases: int) -> None:
    assert 0.8 < devices({"inputs": inputs, "phases": phases}, 8) < 1.25


@pytest.mark.parametrize("tiles", [{}, {"inputs": "pulse_width"}, {"inputs": "bit_serial", "phases": 1}], ids=str)
def test_inputs_of_one_bit_are_all_at_full_scale(tiles: dict[str, Any]) -> None:
    assert 0.8 < devices(tiles, 1) < 1.25
