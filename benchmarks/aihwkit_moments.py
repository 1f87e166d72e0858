"""Devices that answer to pulses, beside those of IBM's aihwkit at equal settings: mean and σ over devices.

Each device starts at x = 0 and gets 100 pulses up, then 100 down; others get 1000 pulses of a random direction each.
What conducts is looked at, with the noise of what is written. Phase-change devices get pulses up only. Last, aihwkit
reads a matrix with noise of outputs and of weights; beside it is the closed form that our reads have.

    python benchmarks/aihwkit_moments.py [--write tests/physics/aihwkit_moments.csv]

Without aihwkit (`pip install aihwkit`; 1.1.0 has wheels for Python 3.11) its side is what it gave before, which
`tests/physics/aihwkit_moments.csv` holds. `--small` takes a few devices of ours, and that file.

Distributions are the same, random numbers are not. A few devices that stand at near bounds would decide σ, so half of
the range that the middle 68 % of devices are in is beside it: σ of a normal distribution. What differs on purpose is
left out here: our reference beside a weight is a device that is programmed with an error, and the share of corrupt
devices is as measured.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwsim import streams
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.physics import pulses
from hwsim.physics.pulses import Law

STORED = Path(__file__).parents[1] / "tests" / "physics" / "aihwkit_moments.csv"
PRESETS = {
    "reram_es": "ReRamESPresetDevice",
    "reram_sb": "ReRamSBPresetDevice",
    "capacitor": "CapacitorPresetDevice",
    "ecram_li": "EcRamPresetDevice",
    "gokmen_vlasov": "GokmenVlasovPresetDevice",
    "pcm_update": "PCMPresetDevice",
}
UPWARD = ("pcm_update",)
"""Devices that have pulses up only."""
PULSES = 100
MIXED = 1000


class Moments(NamedTuple):
    """Mean and σ over devices of what conducts, as x, and half the range of the middle 68 % of them."""

    device: str
    after: str
    mean: float
    sigma: float
    middle: float


def moments(name: str, after: str, found: np.ndarray) -> Moments:
    """The moments of what devices have."""
    low, high = np.percentile(found, (15.8655, 84.1345))
    return Moments(name, after, float(found.mean()), float(found.std()), float(high - low) / 2)


def steps(name: str) -> list[tuple[str, list[int]]]:
    """What devices are asked, from x = 0 on: pulses of one direction after another; 0 is a random one."""
    if name in UPWARD:
        return [("5 up", [1] * 5), ("20 up", [1] * 20)]
    up = [1] * PULSES
    return [("100 up", up), ("100 up, 100 down", [*up, *[-1] * PULSES]), ("1000 mixed", [0] * MIXED)]


def theirs(name: str, size: int = 128, tiles: int = 40) -> Iterator[Moments]:
    """The moments of devices of aihwkit, on many tiles: those of one tile are not independent of each other."""
    import torch
    from aihwkit.simulator.configs import SingleRPUConfig, UpdateParameters
    from aihwkit.simulator.parameters.enums import PulseType
    from aihwkit.simulator.presets import devices
    from aihwkit.simulator.tiles import AnalogTile

    one_pulse = UpdateParameters(
        pulse_type=PulseType.DETERMINISTIC_IMPLICIT, desired_bl=1, update_management=False, update_bl_management=False
    )
    for after, directions in steps(name):
        found = []
        for seed in range(1, tiles + 1):
            device = getattr(devices, PRESETS[name])(construction_seed=seed)
            tile = AnalogTile(size, size, SingleRPUConfig(device=device, update=one_pulse))
            tile.tile.set_weights(torch.zeros(size, size))
            tile.tile.set_learning_rate(1.0)  # so much that every pulse is sent
            draws, ones = np.random.default_rng(seed), torch.ones(1, size)
            for direction in directions:
                rows = ones * -direction if direction else torch.tensor(draws.choice([-1.0, 1.0], (1, size))).float()
                columns = ones if direction else torch.tensor(draws.choice([-1.0, 1.0], (1, size))).float()
                tile.tile.update(columns, rows, False)
            found.append(np.asarray(tile.tile.get_weights()).astype(float))
        yield moments(name, after, np.concatenate(found))


INPUTS = 64
OUTPUT_NOISE, WEIGHT_NOISE = 0.06, 0.02


def their_reads(repeats: int = 400) -> Moments:
    """Reads of 512 outputs by aihwkit, which all have the same weights: noise of outputs, and of each weight."""
    import torch
    from aihwkit.simulator.configs import IOParameters, SingleRPUConfig
    from aihwkit.simulator.parameters.enums import BoundManagementType, NoiseManagementType, WeightNoiseType
    from aihwkit.simulator.tiles import AnalogTile

    plain = IOParameters(
        inp_res=-1,
        out_res=-1,
        out_bound=1e6,
        inp_bound=1e6,
        out_noise=OUTPUT_NOISE,
        w_noise=WEIGHT_NOISE,
        w_noise_type=WeightNoiseType.ADDITIVE_CONSTANT,
        noise_management=NoiseManagementType.NONE,
        bound_management=BoundManagementType.NONE,
    )
    tile = AnalogTile(512, INPUTS, SingleRPUConfig(forward=plain))
    weights, inputs = signals()
    tile.tile.set_weights(torch.tensor(np.tile(weights, (512, 1)), dtype=torch.float32))
    exact = np.asarray(tile.tile.get_weights()) @ inputs  # within the bounds of its devices
    sent = torch.tensor(np.tile(inputs, (repeats, 1)), dtype=torch.float32)
    found = np.asarray(tile.tile.forward(sent, False, False, False, False))
    return moments("reads", f"{INPUTS} inputs", (found - exact).ravel())


def signals() -> tuple[np.ndarray, np.ndarray]:
    """Weights of one output, and inputs."""
    places = np.arange(INPUTS)
    return 0.3 * np.sin(places), np.cos(places)


def our_reads() -> Moments:
    """The closed form: σ² = σ_out² + σ_w² Σ x²."""
    sigma = float(np.sqrt(OUTPUT_NOISE**2 + WEIGHT_NOISE**2 * np.square(signals()[1]).sum()))
    return Moments("reads", f"{INPUTS} inputs", 0.0, sigma, sigma)


def law_of(name: str) -> Law:
    """The law of a shipped data sheet."""
    law = hardware.device(Document("benchmark", name)).update
    assert law is not None
    return law


def ours(name: str, count: int) -> Iterator[Moments]:
    """The moments of so many devices of the shipped data sheet."""
    law = law_of(name)

    def normal(purpose: str) -> np.ndarray:
        return streams.generator(1, name, purpose).standard_normal(count)

    drawn, fresh = law.draw(count, normal), streams.generator(1, name, "fresh")
    for after, directions in steps(name):
        x = np.zeros(count)
        for direction in directions:
            sent = np.full(count, direction) if direction else 2 * fresh.integers(0, 2, count) - 1
            noise = fresh.standard_normal(count, np.float32)
            pulses.pulse(law.form, x, sent, *drawn, law.shape, law.noise, law.noise_of == "step", noise)
        conducts = x + law.write_noise * law.step * fresh.standard_normal(count)
        yield moments(name, after, conducts)


def stored() -> list[Moments]:
    """What aihwkit gave before."""
    with STORED.open(encoding="utf-8") as file:
        return [Moments(device, after, *map(float, numbers)) for device, after, *numbers in list(csv.reader(file))[1:]]


def written(path: Path, found: list[Moments]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(Moments._fields)
        rows.writerows([*each[:2], *(f"{number:.6g}" for number in each[2:])] for each in found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="file for aihwkit's moments")
    parser.add_argument("--small", action="store_true")
    asked: Any = parser.parse_args()
    try:
        if asked.small:
            raise ImportError
        import aihwkit  # noqa: F401

        reference = [*(each for name in PRESETS for each in theirs(name)), their_reads()]
    except ImportError:
        print(f"aihwkit's side is what it gave before, of {STORED.name}")
        reference = stored()
    if asked.write:
        written(asked.write, reference)
    count = 1000 if asked.small else 200_000
    found = {each[:2]: each for each in [*(each for name in PRESETS for each in ours(name, count)), our_reads()]}
    print(
        f"{'device':14} {'after':17}{'mean':>9}{'aihwkit':>9}{'σ':>9}{'aihwkit':>9}{'middle':>9}{'aihwkit':>9}  ratio"
    )
    for other in reference:
        mine = found[other[:2]]
        pairs = "".join(f"{a:9.5f}{b:9.5f}" for a, b in zip(mine[2:], other[2:], strict=True))
        print(f"{mine.device:14} {mine.after:17}{pairs}  {mine.middle / other.middle:.4f}")


if __name__ == "__main__":
    main()
