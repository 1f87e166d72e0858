"""What spikes cost on an event-driven chip, and what the placement of neurons has to do with it.

A chip like Loihi does something only when a spike comes. So its energy is a sum of counts: membranes that are updated,
packets, hops over its mesh, and above all synaptic operations, one for each synapse that a spike meets; besides the
power that it draws anyway. Its time is not a sum. Cores work side by side, a step is as long as the busiest of them,
and then all of them agree that it is over. The script asks what that means for one network on more and more cores.

    python examples/event_cost.py
"""

import argparse

import numpy as np

from hwsim.accounts import placement as places
from hwsim.accounts.energy import grouped
from hwsim.accounts.placement import Placement
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.experiments.event_cost import EventCost, cost
from hwsim.quantities import si

SYNAPSE = "synapse"
"""The kind of synapse that the machine has."""


def placement(inputs: int, neurons: int, cores: int, of: int) -> Placement:
    """Inputs that reach each neuron, and neurons that reach each other, spread over so many cores.

    Spikes of inputs come from outside, and enter at the first core. Neurons are numbered behind them.
    """
    core = np.concatenate([np.zeros(inputs, dtype=int), places.spread(neurons, range(cores))])
    everyone, within = np.arange(inputs + neurons), np.arange(inputs, inputs + neurons)
    return Placement(core, everyone < inputs, (places.dense(SYNAPSE, everyone, within, core),), of)


def spikes(inputs: int, neurons: int, steps: int, rate: float, seed: int = 1) -> np.ndarray:
    """Spikes at random, `(steps, inputs + neurons)`. Those of a run, or of a file, would stand here."""
    return np.random.default_rng(seed).random((steps, inputs + neurons)) < rate


def row(cores: int, found: EventCost) -> str:
    """A line of the table."""
    by = {name: spent.known for name, spent in grouped(found.ledger, "component").items()}
    events = sum(by.values()) - by["static power"]
    each = (f"{found.counts['packets']:,.0f}", si(found.latency / found.steps, "s"), si(events, "J"))
    return f"{cores:>5} " + "".join(f"{text:>12}" for text in (*each, si(by["static power"], "J")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="a small network, for a few steps")
    small = parser.parse_args().small
    inputs, neurons, steps = (8, 32, 5) if small else (100, 1000, 100)

    # A machine is a file: counts times the constants in it are energy, and each constant names its source.
    machine = hardware.event_driven(Document("machine", "loihi_like"))

    # The same spikes on 1, 2, 4 … cores. Synaptic operations are the same each time; packets are not, since a spike
    # sends one to each core that it reaches.
    activity = spikes(inputs, neurons, steps, rate=0.05)
    print(f"{neurons} neurons, {inputs} inputs, {steps} steps, 5 % of them fire in a step")
    print(f"{'cores':>5} {'packets':>12}{'per step':>12}{'events':>12}{'static':>12}")
    for cores in (1, 2, 4, 8, 16, 32):
        print(row(cores, cost(machine, placement(inputs, neurons, cores, machine.cores), [activity])))

    # Synapses are shared out among more cores, so steps get shorter. Static power goes by time, so a placement that is
    # faster takes less energy although it sends more packets.
    print("Events take nearly the same energy wherever neurons stand; time, and with it static energy, does not.")


if __name__ == "__main__":
    main()
