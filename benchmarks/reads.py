"""What reads of tiles take, beside a product of the same matrix in float32, and what wires take beside elimination.

OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/reads.py

Times are those of the processor in one thread, and the shortest of many, so that other jobs on the computer count
little. A product is `x @ weights` in NumPy: both in float32, weights `(inputs, outputs)` in C order. What a step takes
in which nothing is read, with the conversion of its input, is taken off, and has rows of its own.
`--small` carries everything out once with a few numbers: it shows that the script works, and its times mean nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from time import thread_time
from typing import Any, NamedTuple

import numpy as np

from hwsim import documents, initial, machines
from hwsim.config import hardware
from hwsim.episode import Episode
from hwsim.machine import Matrix
from hwsim.physics import ir_drop

OHMS = {"value": "0.35 ohm", "assumed": "as in aihwkit"}
REPEATED = 20
"""Reads, or products, that are timed together."""


class Size(NamedTuple):
    """How much is measured: outputs, inputs and the largest ratio of reads; cells of lines with wires; repeats."""

    reads: tuple[tuple[int, int, float], ...] = ((32, 64, 5.0), (256, 256, 1.5), (512, 512, 1.25), (1024, 1024, 1.15))
    batch: int = 32
    wires: tuple[int, ...] = (64, 256)
    repeats: int = 60


SMALL = Size(((4, 6, 5.0),), 2, (4,), 1)


def seconds(tasks: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The shortest processor time of each task, in turn, after one run that nobody counts."""
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for number in range(repeats + 1):
        for name, task in tasks.items():
            start = thread_time()
            task()
            if number:
                taken[name].append(thread_time() - start)
    return {name: min(times) for name, times in taken.items()}


def read_and_product(
    device: str, outputs: int, inputs: int, batch: int, tiles: dict[str, Any]
) -> dict[str, Callable[[], object]]:
    """The same inputs through a tile, again and again in one step, through its matrix, and in a step without reads."""
    options = {
        "like": "pcm_crossbar",
        "name": "tile",
        "device": device,
        "parts": {"tiles": {"rows": outputs, "columns": inputs, **tiles}},
    }
    stage = machines.build(hardware.machine(documents.Document("benchmark", options)), seed=1)
    matrix = Matrix(stage, "W", "readout", initial.normal(1, "W", outputs, inputs))
    for _ in stage.phase("programming"):
        matrix.program()
    stage.journal.close_batch(1)
    x = np.random.default_rng(1).uniform(-1, 1, (batch, inputs)).astype(np.float32)
    weights = np.ascontiguousarray(matrix.weights[0].T)
    episode = Episode(x[:, None], np.zeros(batch, int), classes=2)

    def read(times: int = REPEATED) -> None:
        with stage.showing(episode), stage.workspace():
            for step in stage.forward_pass("reads"):
                for _ in range(times):
                    matrix @ step.input

    def product() -> None:
        for _ in range(REPEATED):
            x @ weights

    return {"read": read, "product": product, "step": lambda: read(0)}


def reads(size: Size) -> Iterator[str]:
    """Reads whose outputs stay analog, those with converters, and those through wires."""
    wired = {"wires": {"resistance": OHMS, "solution": "approximate"}}
    kinds: tuple[tuple[str, str, dict[str, Any], float | None], ...] = (
        ("output noise", "ideal", {}, None),
        ("output noise, and wires", "ideal", wired, 3.0),
        ("output noise, and converters", "ideal", {"interface": "digital"}, float("nan")),
        ("output and device noise", "pcm_gst_90nm", {}, 2.4),
    )
    steps: dict[int, float] = {}
    for what, device, tiles, most in kinds:
        for outputs, inputs, bound in size.reads:
            times = seconds(read_and_product(device, outputs, inputs, size.batch, tiles), size.repeats)
            limit = bound if most is None else max(most, bound if outputs < 256 else 0.0)
            alone = times["read"] - times["step"]
            yield row(f"read of {outputs} × {inputs}, {what}, over a product", alone / times["product"], limit)
            steps[inputs] = times["step"]
    for inputs, taken in steps.items():
        yield row(f"µs for a step of {inputs} inputs in which nothing is read", taken * 1e6, None)


def wires(size: Size) -> Iterator[str]:
    """Exact solutions against elimination, with eight patterns of inputs each; and what the matrix itself takes."""
    draw = np.random.default_rng(0)
    for n in size.wires:
        g, x = draw.uniform(1e-6, 25e-6, (n, n)), draw.uniform(-1, 1, (8, n))
        times = seconds(
            {
                "elimination": lambda g=g, x=x: ir_drop.direct(g, x, 0.35),  # type: ignore[misc]
                "gradients": lambda g=g, x=x: ir_drop.solved(g, x, 0.35),  # type: ignore[misc]
            },
            min(size.repeats, 3),
        )
        found = ir_drop.solved(g, x, 0.35)
        yield row(f"elimination over conjugate gradients, {n} × {n}", times["elimination"] / times["gradients"], None)
        yield row(f"residual of Kirchhoff's law, {n} × {n}", ir_drop.residual(g, x, 0.35, found), 1e-10)
        for how in ("exact", "approximate"):
            solve = getattr(ir_drop, how)
            took = seconds({how: lambda g=g, solve=solve: solve(g, 0.35)}, 1)[how]  # type: ignore[misc]
            yield row(f"ms for the matrix behind wires, {n} × {n}, {how}", took * 1e3, None)


def row(what: str, found: float, most: float | None) -> str:
    limit = "" if most is None or most != most else f"{most:g}"
    return f"| {what} | {found:.3g} | {limit} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="What reads of tiles take.")
    parser.add_argument("--small", action="store_true", help="once, with a few numbers: to see that it works")
    asked = parser.parse_args()
    if not asked.small and os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("times are those of one thread: set OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1")
    size = SMALL if asked.small else Size()
    print("| | found | at most |\n|---|---|---|")
    for lines in (reads(size), wires(size)):
        for line in lines:
            print(line, flush=True)


if __name__ == "__main__":
    main()
