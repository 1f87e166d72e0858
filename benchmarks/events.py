"""Event-driven cost beside SANA-FE: spikes, synaptic operations, packets and energy are equal; what they take to find.

    python benchmarks/events.py --architecture loihi.yaml --network dvs.yaml

The files are SANA-FE's: `sanafe/examples/loihi.yaml` of its wheel, and `snn/dvs.yaml` of its repository, a network of
convolutions for gestures on 49 cores of Loihi. Its neurons are simulated here by NumPy, in a few lines, as that is
what makes the spikes; counts, energy and times are the package's. Where `sanafe` is installed it runs the same job,
each in a process of its own, in its `simple` and its `detailed` timing. `--small` makes a small network in SANA-FE's
format instead.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import sparse

from hwsim.config import sanafe
from hwsim.experiments.event_cost import cost

BLOCK = 50
ARCHITECTURE = """
architecture:
  name: small
  attributes: {topology: mesh, width: 2, height: 2, link_buffer_size: 16,
               latency_sync: {1: 1.0e-6, 3: 2.0e-6}, sync_model: table}
  tile:
  - name: tile[0..3]
    attributes: {energy_north_hop: 4.0e-12, latency_north_hop: 6.0e-9, energy_south_hop: 4.0e-12,
                 latency_south_hop: 6.0e-9, energy_east_hop: 3.0e-12, latency_east_hop: 5.0e-9,
                 energy_west_hop: 3.0e-12, latency_west_hop: 5.0e-9}
    core:
    - name: core[0..1]
      attributes: {buffer_position: soma, buffer_inside_unit: false, max_neurons_supported: 64}
      axon_in: [{name: in, attributes: {energy_message_in: 1.0e-12, latency_message_in: 7.0e-9}}]
      synapse:
      - name: one
        attributes: {model: current_based, energy_process_spike: 20.0e-12, latency_process_spike: 3.0e-9}
      - name: two
        attributes: {model: current_based, energy_process_spike: 30.0e-12, latency_process_spike: 4.0e-9}
      dendrite: [{name: sum, attributes: {model: accumulator, energy_update: 0.0, latency_update: 0.0}}]
      soma:
      - name: lif
        attributes: {model: leaky_integrate_fire, energy_access_neuron: 5.0e-12, latency_access_neuron: 6.0e-9,
                     energy_update_neuron: 8.0e-12, latency_update_neuron: 4.0e-9, energy_spike_out: 60.0e-12,
                     latency_spike_out: 30.0e-9}
      axon_out: [{name: out, attributes: {energy_message_out: 100.0e-12, latency_message_out: 5.0e-9}}]
"""
"""An architecture of four tiles of two cores, with numbers of no chip."""


def small_network(seed: int = 1) -> str:
    """A network in SANA-FE's format: a driven layer, a convolution, a dense layer that inhibits itself."""
    draw = np.random.default_rng(seed)
    bias = "\n".join(f"    - {n}: {{bias: {b}}}" for n, b in enumerate(draw.integers(0, 9, 36).tolist()))
    few = {"convolution": draw.integers(-6, 12, 3 * 3 * 2), "dense": draw.integers(-5, 9, 32 * 10)}
    weights = {name: each.tolist() for name, each in few.items()}
    return f"""
network:
  name: small
  groups:
  - name: a
    attributes: {{threshold: 20, reset: 0, leak_decay: 0.9}}
    neurons:
{bias}
  - name: b
    attributes: {{threshold: 9, reset: 0, leak_decay: 0.75, synapse_hw_name: two}}
    neurons: [0..31]
  - name: c
    attributes: {{threshold: 12, reset: 0}}
    neurons: [0..9]
  edges:
  - a -> b: {{type: conv2d, input_width: 6, input_height: 6, input_channels: 1, kernel_width: 3, kernel_height: 3,
              kernel_count: 2, stride_width: 1, stride_height: 1, weight: {weights["convolution"]}}}
  - b -> c: {{type: dense, weight: {weights["dense"]}}}
  - c.0 -> c.1: {{weight: -4}}
  - c.1 -> c.0: {{weight: -4}}
mappings:
- a.0..19: {{core: '0.0'}}
- a.20..35: {{core: '1.1'}}
- b.0..15: {{core: '2.0'}}
- b.16..31: {{core: '3.0'}}
- c: {{core: '0.1'}}
"""


def neurons(network: sanafe.Where, steps: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Spikes of a network of SANA-FE's leaky integrate-and-fire neurons, and which membranes were updated."""
    pre, post, weight = sanafe.synapses(network)
    of = sanafe.parameters(network, threshold=0.0, reset=0.0, leak_decay=1.0, bias=0.0)
    count = of["bias"].size
    into = sparse.csr_array((weight, (pre, post)), shape=(count, count))
    del pre, post, weight, network
    v, current, arrived = np.zeros(count), np.zeros(count), np.zeros(count, bool)
    spikes, updated = (np.zeros((BLOCK, count), bool) for _ in range(2))
    for step in range(steps):
        now = step % BLOCK
        updated[now] = (v != 0) | arrived | (of["bias"] != 0)
        v = np.trunc((v * of["leak_decay"] if step else v) * 64) / 64 + of["bias"] + current
        spikes[now] = fires = v > of["threshold"]
        v[fires] = of["reset"][fires]
        rows = into[np.flatnonzero(fires)]
        current = np.bincount(rows.indices, rows.data, count)
        arrived = np.bincount(rows.indices, minlength=count) > 0
        if now == BLOCK - 1 or step == steps - 1:
            yield spikes[: now + 1].copy(), updated[: now + 1].copy()


def ours(architecture: Path, network: Path, steps: int, timing: str) -> dict[str, float]:
    """Counts, energy and times of the package."""
    began = time.perf_counter()
    machine = sanafe.architecture(architecture)
    file = sanafe.File(network)
    _, placement = sanafe.network(file, machine)
    machine = sanafe.architecture(architecture, sanafe.tiles_used(placement, machine))
    stream = neurons(file, steps)
    del file
    first = next(stream)
    ready = time.perf_counter()
    blocks = (block for each in ([first], stream) for block in each)
    timed = () if timing == "counts" else (0,)
    found = cost(machine, placement, blocks, timed=timed, links=timing == "links")
    return {
        "fired": found.counts["spikes"],
        "synaptic operations": found.synaptic_operations,
        "packets": found.counts["packets"],
        "updates": found.counts["membrane updates"],
        "energy": found.spent.known,
        "latency": found.latency,
        "without links": found.without_links,
        "setup": ready - began,
        "seconds": time.perf_counter() - ready,
    }


def theirs(architecture: Path, network: Path, steps: int, timing: str) -> dict[str, float]:
    """The same by SANA-FE."""
    import sanafe as other

    began = time.perf_counter()
    arch = other.load_arch(str(architecture))
    chip = other.SpikingChip(arch)
    chip.load(other.load_net(str(network), arch))
    ready = time.perf_counter()
    found = chip.sim(steps, timing_model=timing, processing_threads=1, scheduler_threads=0)
    return {
        "fired": found["neurons_fired"],
        "synaptic operations": found["spikes"],
        "packets": found["packets_sent"],
        "updates": found["neurons_updated"],
        "energy": found["energy"]["total"],
        "latency": found["sim_time"],
        "setup": ready - began,
        "seconds": time.perf_counter() - ready,
    }


def alone(who: str, architecture: Path, network: Path, steps: int, timing: str) -> dict[str, float] | None:
    """A job in a process of its own; None if SANA-FE is not there."""
    words = [
        "--job",
        who,
        timing,
        "--architecture",
        str(architecture),
        "--network",
        str(network),
        "--steps",
        str(steps),
    ]
    done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        if "No module named 'sanafe'" in done.stderr:
            return None
        raise SystemExit(done.stdout + done.stderr)
    pairs = (line.rsplit(" ", 1) for line in done.stdout.splitlines() if line.startswith("= "))
    return {name.removeprefix("= "): float(number) for name, number in pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", type=Path)
    parser.add_argument("--network", type=Path)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--small", action="store_true", help="a small network, which is made here")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.job:
        who, timing = asked.job
        found = {"ours": ours, "theirs": theirs}[who](asked.architecture, asked.network, asked.steps, timing)
        found["GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        for name, number in found.items():
            print(f"= {name} {number!r}")
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.small:
            asked.architecture, asked.network = Path(folder) / "small_architecture.yaml", Path(folder) / "small.yaml"
            asked.architecture.write_text(ARCHITECTURE, encoding="utf-8")
            asked.network.write_text(small_network(), encoding="utf-8")
            asked.steps = 100
        if asked.architecture is None or asked.network is None:
            parser.error("needs --architecture and --network, or --small")
        compare(asked.architecture, asked.network, asked.steps)


def compare(architecture: Path, network: Path, steps: int) -> None:
    """Print both side by side."""
    jobs = [("ours", "counts"), ("ours", "cores"), ("ours", "links"), ("theirs", "simple"), ("theirs", "detailed")]
    found = {job: alone(job[0], architecture, network, steps, job[1]) for job in jobs}
    names = ("fired", "synaptic operations", "packets", "updates", "energy", "latency", "setup", "seconds", "GB")
    print(f"{'':22}" + "".join(f"{name:>22}" for name in names))
    for (who, timing), each in found.items():
        called = f"{'hwsim' if who == 'ours' else 'SANA-FE'}, {timing}"
        if each is None:
            print(f"{called:22}is not installed")
            continue
        print(f"{called:22}" + "".join(f"{each[name]:22.12g}" for name in names))


if __name__ == "__main__":
    main()
