"""How fast the simulator is, by comparison with something else in the same run.

pip install torch          # only for the comparison with PyTorch
OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/speed.py

`--small` carries everything out once with a few numbers: it shows that the script works, and its times mean nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import bare
import numpy as np
from compare import seconds
from mnist98 import LAYERS, STEPS, Learner, made_up

from hwsim import documents, initial, learning, machines
from hwsim.accounts.schedule import Scheduler
from hwsim.config import experiment as config
from hwsim.config import hardware
from hwsim.config.experiment import Experiment
from hwsim.episode import Episode
from hwsim.experiments.estimate import estimate
from hwsim.machine import Matrix, Pulses
from hwsim.units import trains

FLOAT32 = {"kind": "ideal", "name": "float32", "format": "float32"}
REPEATED = 20
"""Reads, or products, that are timed together."""


class Size(NamedTuple):
    """How much is measured.

    Attributes:
        steps, batch: of the sequences.
        matrices, vectors: how wide the matrices are that are read, and with how many vectors.
        chips: side by side.
        repeats: of what is timed; of reads three times as many.
        estimated: steps of the sequences of which costs are estimated.
    """

    steps: int = STEPS
    batch: int = 64
    matrices: tuple[int, ...] = (256, 512, 1024)
    vectors: tuple[int, ...] = (32, 256)
    chips: int = 16
    repeats: int = 7
    estimated: int = 100_000


SMALL = Size(steps=3, batch=2, matrices=(16,), vectors=(2,), chips=2, repeats=1, estimated=100)


class Row(NamedTuple):
    """One result, and what it should be at most."""

    what: str
    found: float
    bound: float | None
    unit: str
    detail: str


def record(size: Size) -> Iterator[Row]:
    """(a) What a record costs over the same arithmetic in plain NumPy."""
    learner, episode = Learner("bptt", FLOAT32), made_up(size.batch, size.steps)
    weights = {trainable.name: trainable.values for trainable in learner.network.trainables}
    learner.gradient(episode)
    ours, theirs = learner.gradients(), bare.gradient(weights, episode, "float32")
    for name in theirs.keys() & ours.keys():
        assert np.array_equal(ours[name], theirs[name].reshape(ours[name].shape)), name
    times = seconds(
        {"hwsim": lambda: learner.gradient(episode), "bare": lambda: bare.gradient(weights, episode, "float32")},
        size.repeats,
    )
    cost = (times["hwsim"] - times["bare"]) / learner.records()
    detail = f"{learner.records()} records, {times['hwsim'] * 1e3:.0f} ms; without them {times['bare'] * 1e3:.0f} ms"
    yield Row("a record over bare NumPy, a BPTT gradient", cost * 1e6, 1.0, "µs", detail)
    yield Row("a BPTT gradient against bare NumPy", times["hwsim"] / times["bare"], 1.45, "", detail)


def noisy_read(size: Size) -> Iterator[Row]:
    """(b) A noisy read between converters against a plain product, and with read noise of each device."""
    for device, bound in (("ideal", 2.0), ("pcm_gst_90nm", None)):
        for n in size.matrices:
            for batch in size.vectors:
                times = seconds(_reads(device, n, batch), 3 * size.repeats)
                noise = "output noise" if device == "ideal" else "output and device noise"
                detail = f"{times['read'] * 1e6:.0f} µs; product {times['product'] * 1e6:.0f} µs"
                what = f"read of {n} × {n}, batch {batch}, {noise}, against a product"
                yield Row(what, times["read"] / times["product"], bound, "", detail)


def _reads(device: str, n: int, batch: int) -> dict[str, Callable[[], object]]:
    tiles = {"rows": n, "columns": n, "interface": "digital"}
    options = {"like": "pcm_crossbar", "name": "tile", "device": device, "parts": {"tiles": tiles}}
    stage = machines.build(hardware.machine(documents.Document("benchmark", options)), seed=1)
    matrix = Matrix(stage, "layer 1 W", "readout", initial.normal(1, "layer 1 W", n, n))
    for _ in stage.phase("programming"):
        matrix.program()
    stage.journal.close_batch(1)
    x = np.random.default_rng(1).uniform(-1, 1, (batch, n)).astype(np.float32)
    weights = np.ascontiguousarray(matrix.weights[0].T)
    episode = Episode(np.repeat(x[:, None], REPEATED, 1), np.zeros(batch, int), classes=2)

    def read() -> None:
        with stage.showing(episode), stage.workspace():
            for step in stage.forward_pass("reads"):
                matrix @ step.input

    def product() -> None:
        for _ in range(REPEATED):
            x @ weights

    return {"read": read, "product": product}


def in_torch(size: Size) -> Iterator[Row]:
    """(c) A BPTT gradient against PyTorch, eager."""
    try:
        from in_torch import Learner as InTorch
    except ModuleNotFoundError as missing:
        raise MissingError("PyTorch is not installed") from missing
    episode = made_up(size.batch, size.steps)
    learner, theirs = Learner("bptt", FLOAT32), InTorch(episode)
    times = seconds(
        {
            "hwsim": lambda: learner.gradient(episode),
            "step by step": lambda: theirs.gradient("step_by_step"),
            "at once": lambda: theirs.gradient("at_once"),
        },
        size.repeats,
    )
    for how, bound in (("step by step", 1.0), ("at once", None)):
        detail = f"{times['hwsim'] * 1e3:.0f} ms; PyTorch {times[how] * 1e3:.0f} ms"
        yield Row(f"a BPTT gradient against PyTorch eager, {how}", times["hwsim"] / times[how], bound, "", detail)


def passes(size: Size) -> Iterator[Row]:
    """(d) A gradient by forward error propagation against as many forward passes as it has."""
    learner, episode = Learner("fpe", FLOAT32), made_up(size.batch, size.steps)

    def infer() -> None:
        for _ in range(LAYERS + 1):
            learner.infer(episode)

    times = seconds({"gradient": lambda: learner.gradient(episode), "passes": infer}, size.repeats)
    detail = f"{times['gradient'] * 1e3:.0f} ms; {LAYERS + 1} passes {times['passes'] * 1e3:.0f} ms"
    what = f"an fpe gradient against {LAYERS + 1} forward passes"
    yield Row(what, times["gradient"] / times["passes"], 3.0, "", detail)


def chips(size: Size) -> Iterator[Row]:
    """(e) Chips side by side against as many runs of one."""
    count = size.chips
    for batch, bound in ((max(1, size.batch // 8), 0.5), (size.batch, 0.9)):
        episode = made_up(batch, size.steps)
        one, many = Learner("fpe", "pcm_crossbar"), Learner("fpe", "pcm_crossbar", chips=count)
        times = seconds({"one": partial(one.gradient, episode), "many": partial(many.gradient, episode)}, size.repeats)
        detail = f"{times['many'] * 1e3:.0f} ms; one {times['one'] * 1e3:.0f} ms"
        what = f"{count} chips side by side, batch {batch}"
        yield Row(what, times["many"] / (count * times["one"]), bound, "", detail)


def analog(size: Size) -> Iterator[Row]:
    """(f) Analog circuits against exact ones."""
    episode, noisy = made_up(size.batch, size.steps), Learner("fpe", "pcm_crossbar")
    exact = {"ideal": Learner("fpe"), "ideal in float32": Learner("fpe", FLOAT32)}
    quiet = {name: partial(learner.gradient, episode) for name, learner in exact.items()}
    times = seconds({**quiet, "analog": lambda: noisy.gradient(episode)}, size.repeats)
    for name, bound in (("ideal", 2.5), ("ideal in float32", 3.2)):
        detail = f"{times['analog'] * 1e3:.0f} ms; {name} {times[name] * 1e3:.0f} ms"
        yield Row(f"an fpe gradient on pcm_crossbar against {name}", times["analog"] / times[name], bound, "", detail)


def misses(size: Size) -> Iterator[Row]:
    """(g) Steps that the scheduler has to simulate."""
    for rule, on in (("fpe", "pcm_crossbar"), ("bptt", "digital_45nm")):
        learner = Learner(rule, on)
        learner.gradient(made_up(2, size.steps))
        stage = learner.network.machine
        assert stage.journal.latest is not None
        timings = Scheduler(stage.journal.traces, stage.prices().occupied).batch(stage.journal.latest)
        most = max(timing.misses for timing in timings)
        yield Row(f"schedule misses in a pass, {rule} on {on}", most, 30, f"of {size.steps}", "")


RULES: dict[str, dict[str, Any]] = {
    "bptt": {"name": "bptt"},
    "bptt, sqrt checkpoints": {"name": "bptt", "checkpoints": "sqrt"},
    "fpe": {"name": "fpe"},
    "fpe_anchored, two open": {"name": "fpe_anchored", "every": 20, "age": 40},
    "fpe_anchored, γδ, S 2, age 32": {"name": "fpe_anchored", "every": 2, "age": 32, "carry": "gamma_delta"},
    "fpe_lagged, lag 40": {"name": "fpe_lagged", "lag": 40, "every": 20},
    "fpe_hybrid, lag 40": {"name": "fpe_hybrid", "lag": 40, "every": 20, "slow": 8},
    "rtrl": {"name": "rtrl"},
    "snap": {"name": "snap"},
    "uoro": {"name": "uoro"},
    "eprop, random": {"name": "eprop", "feedback": "random"},
    "tbptt, window 10": {"name": "tbptt", "k": 10},
    "tbptt, block 10": {"name": "tbptt", "kind": "block", "k": 10},
    "fptt, 10 parts": {"name": "fptt", "parts": 10},
    "one_step": {"name": "one_step"},
}


def rules(size: Size) -> Iterator[Row]:
    """(h) A gradient by each rule against a forward pass on the same machine, and against BPTT in PyTorch."""
    episode = made_up(size.batch, size.steps)
    chosen = {name: rule for name, rule in RULES.items() if rule["name"] in learning.RULES}
    learners = {name: Learner(rule, FLOAT32) for name, rule in chosen.items()}
    work: dict[str, Callable[[], object]] = {name: partial(each.gradient, episode) for name, each in learners.items()}
    work["a forward pass"] = partial(learners["bptt"].infer, episode)
    try:
        from in_torch import Learner as InTorch
    except ModuleNotFoundError:
        theirs = None
    else:
        theirs = "PyTorch"
        work[theirs] = partial(InTorch(episode).gradient, "step_by_step")
    times = seconds(work, size.repeats)
    once = times["a forward pass"]
    for name in learners:
        beside = f"; {times[name] / times[theirs]:.1f} × BPTT in PyTorch" if theirs else ""
        detail = f"{times[name] * 1e3:.0f} ms; a pass {once * 1e3:.0f} ms{beside}"
        yield Row(f"{name}, against a forward pass", times[name] / once, None, "", detail)
    detail = f"{times['fpe_anchored, two open'] * 1e3:.0f} ms; fpe {times['fpe'] * 1e3:.0f} ms"
    yield Row(
        "fpe_anchored with two anchors open, against fpe",
        times["fpe_anchored, two open"] / times["fpe"],
        1.5,
        "",
        detail,
    )


ESTIMATED: dict[str, tuple[dict[str, Any], float | None]] = {
    "every 20, age 40": ({"every": 20, "age": 40}, 5),
    "every 2, age 32": ({"every": 2, "age": 32}, None),
    "per mode": ({"every": "per_mode"}, None),
}
"""Options of anchored rules, and how many times as long as for `fpe` their estimates may take."""


def estimates(size: Size) -> Iterator[Row]:
    """(i) An estimate of anchored rules against one of fpe, for a long sequence."""

    def asked(learning: dict[str, Any]) -> Experiment:
        cell = {"name": "lru", "modes": 16, "r_min": 0.36}
        task = {"name": "random", "steps": size.estimated, "width": 16, "outputs": 10, "train": 1, "test": 1}
        network = {"layers": [{"cell": cell}] * 2}
        data = {"name": "estimate", "task": task, "network": network, "learning": learning, "machine": "digital_45nm"}
        return config.load({**data, "gradient_check": {"sequences": 1}, "test": False})

    names = {"fpe": {"name": "fpe"}} | {name: {"name": "fpe_anchored", **each} for name, (each, _) in ESTIMATED.items()}
    times = seconds({name: partial(estimate, asked(learning)) for name, learning in names.items()}, size.repeats)
    for name, (_, bound) in ESTIMATED.items():
        detail = f"{times[name] * 1e3:.0f} ms; fpe {times['fpe'] * 1e3:.0f} ms; {size.estimated} steps"
        yield Row(f"an estimate of fpe_anchored, {name}, against fpe", times[name] / times["fpe"], bound, "", detail)


def pulses(size: Size) -> Iterator[Row]:
    """(j) A pulsed update with random trains, per device and sequence, against a standard normal number."""
    n, batch = max(size.matrices[:2]), size.vectors[0]
    draws = np.random.default_rng(1)
    x = draws.uniform(-1, 1, (1, batch, n)).astype(np.float32)
    keys = np.array([[1, 2]], np.uint32), np.array([[3, 4]], np.uint32)
    largest = (np.abs(x).max(2),) * 2
    step, rate = 0.002, 0.01
    work: dict[str, Callable[[], object]] = {
        "trains": lambda: trains.met(x, x, -rate, Pulses(step, 31, True), largest, keys, (0, 0, 0)),
        "normal": lambda: draws.standard_normal((n, n)),
    }
    for sequences in (batch, 1):
        work[f"update {sequences}"] = partial(_update(n, sequences), rate)
    times, cells = seconds(work, size.repeats), n * n
    normal = times["normal"] / cells
    for name, sequences, bound in (
        ("trains", batch, 0.1),
        (f"update {batch}", batch, 0.4),
        ("update 1", 1, None),
    ):
        each = times[name] / cells / sequences / (1 if name == "trains" else REPEATED)
        what = "random trains and where they meet" if name == "trains" else "a pulsed update on reram_sb"
        detail = f"{each * 1e9:.2f} ns; a normal number {normal * 1e9:.2f} ns"
        yield Row(f"{what}, {n} × {n}, batch {sequences}, against a normal number", each / normal, bound, "", detail)


def _update(n: int, batch: int) -> Callable[[float], None]:
    """Outer products that a crossbar of devices with a law of pulses carries out, one after another."""
    tiles = {"rows": n, "columns": n}
    options = {"like": "ideal_crossbar", "name": "tile", "device": "reram_sb", "parts": {"tiles": tiles}}
    stage = machines.build(hardware.machine(documents.Document("benchmark", options)), seed=1)
    stage.pulsed = True
    matrix = Matrix(stage, "layer 1 W", "readout", initial.normal(1, "layer 1 W", n, n))
    for _ in stage.phase("programming"):
        matrix.program()
    stage.journal.close_batch(1)
    matrix.trainable.pulsed = True
    matrix.trainable.pulses = Pulses(matrix.unit.pulse_of(None, matrix), 31, True)
    rate = matrix.unit.mapping.w_max  # so that it is the rate of x
    x = np.random.default_rng(1).uniform(-1, 1, (batch, n)).astype(np.float32)
    episode = Episode(np.repeat(x[:, None], REPEATED, 1), np.zeros(batch, int), classes=2)

    def update(of_x: float) -> None:
        with stage.showing(episode), stage.workspace():
            for step in stage.forward_pass("updates"):
                matrix.pulse_outer(step.input, step.input, -of_x * rate)

    return update


class MissingError(Exception):
    """Something is not measured, since what it needs is not there."""


MEASURES = {
    "a": record,
    "b": noisy_read,
    "c": in_torch,
    "d": passes,
    "e": chips,
    "f": analog,
    "g": misses,
    "h": rules,
    "i": estimates,
    "j": pulses,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the simulator is, side by side with something else.")
    parser.add_argument("which", nargs="*", default=list(MEASURES), help=f"some of {', '.join(MEASURES)}")
    parser.add_argument("--small", action="store_true", help="once, with a few numbers: to see that it works")
    asked = parser.parse_args()
    if not asked.small and os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        parser.error("times are those of one thread: set OPENBLAS_NUM_THREADS=1 and OMP_NUM_THREADS=1")
    print("| | found | at most | |\n|---|---|---|---|")
    for which in asked.which:
        try:
            for row in MEASURES[which](SMALL if asked.small else Size()):
                bound = "" if row.bound is None else f"{row.bound:g} {row.unit}"
                print(f"| ({which}) {row.what} | {row.found:.2f} {row.unit} | {bound} | {row.detail} |", flush=True)
        except MissingError as why:
            print(f"| ({which}) left out: {why} | | | |", flush=True)


if __name__ == "__main__":
    main()
