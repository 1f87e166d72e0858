"""The same spikes on event-driven cores: counts and energy worked out by hand, and what is refused."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from conftest import close

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.errors import CapabilityError, ConfigError
from hwsim.experiments.run import Run, simulate
from hwsim.reports import spiking
from hwsim.results.summary import OnEventCores, Spiking

STEPS, WIDTH, N = 10, 3, 7
LIF = {"name": "lif", "units": N, "decay": 0.8, "gain": 3.0}
TINY = {
    "name": "tiny",
    "mesh": {"width": 2, "height": 1, "cores_per_tile": 2},
    "events": {
        "update": {"energy": {"value": "2 pJ", "assumed": "a test"}, "time": {"value": "5 ns", "assumed": "a test"}},
        "spike": {"energy": {"value": "3 pJ", "assumed": "a test"}},
        "packet": {"energy": {"value": "0 pJ", "assumed": "a test"}},
        "received": {"energy": {"value": "0 pJ", "assumed": "a test"}},
        "within_tile": {"energy": {"value": "0 pJ", "assumed": "a test"}},
        "hop_x": {"energy": {"value": "0 pJ", "assumed": "a test"}},
        "synapses": {"synapse": {"energy": {"value": "7 pJ", "assumed": "a test"}}},
    },
    "steps": {"barrier": {"value": "1 ns", "assumed": "a test"}},
}


def data(event_driven: Any, *cells: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return deepcopy(
        {
            "name": "small",
            "task": {"name": "random", "steps": STEPS, "width": WIDTH, "train": 8, "test": 6},
            "network": {"layers": [{"cell": cell} for cell in cells or (LIF,)]},
            "learning": {"name": "eprop"},
            "machine": "ideal",
            "event_driven": event_driven,
            **changes,
        }
    )


def ran(*args: Any, **changes: Any) -> Run:
    return simulate(config.compose(Document("test", data(*args, **changes))))


def found(run: Run) -> tuple[Spiking, OnEventCores]:
    spikes = run.systems["substrate"].spiking
    assert spikes is not None
    assert spikes.on_event_cores is not None
    return spikes, spikes.on_event_cores


def test_events_of_one_layer_are_those_of_its_spikes() -> None:
    """Inputs meet N synapses, spikes N of the layer and those to the outputs; all neurons are updated in each step."""
    run = ran({"machine": TINY, "neurons_per_core": 4})
    spikes, on = found(run)
    outputs = run.costs[0].system.dataset.train.outputs
    assert on.counts["input spikes"] == close(STEPS * WIDTH)
    assert on.counts["spikes"] == close(spikes.spikes)
    assert on.counts["membrane updates"] == close(STEPS * (N + outputs))
    operations = STEPS * WIDTH * N + spikes.synaptic_operations
    assert on.counts["synaptic operations, synapse"] == close(operations)
    assert on.counts["packets"] == close(STEPS * WIDTH * 2 + spikes.spikes * 3)  # to two cores, and to the outputs'
    assert on.cores == 3
    picojoules = 2 * STEPS * (N + outputs) + 3 * spikes.spikes + 7 * operations
    assert on.energy_j == close(picojoules * 1e-12)
    assert on.latency_s == close(STEPS * (4 * 5e-9 + 1e-9))  # four neurons on the fullest core
    assert sum(on.spikes_per_core) == close(spikes.spikes)
    assert on.spikes_per_core[2] == 0


def test_outputs_of_a_layer_are_events_of_the_next() -> None:
    run = ran({"machine": TINY}, LIF, {**LIF, "units": 5, "readout_decay": 0.5})
    spikes, on = found(run)
    assert on.cores == 4
    assert on.counts["spikes"] == close(spikes.spikes + STEPS * N)
    assert on.counts["synaptic operations, synapse"] == close(
        STEPS * WIDTH * N + spikes.synaptic_operations + STEPS * N * 5
    )
    layers = [each.spikes for each in spikes.layers.values()]
    assert on.spikes_per_core == [close(layers[0]), close(STEPS * N), close(layers[1]), 0]


def test_it_changes_nothing_else() -> None:
    with_it, without = ran("loihi_like"), ran(None)
    spikes, on = found(with_it)
    plain = spikes.plain()
    del plain["on_event_cores"]
    alone = without.systems["substrate"].spiking
    assert alone is not None
    assert alone.plain() == plain
    assert on.machine == "loihi_like"
    table = spiking.spiking(with_it.systems)
    assert table is not None
    assert {f"{what} on loihi_like" for what in ("energy", "latency", "cores")} <= {row.label for row in table.rows}
    assert "On loihi_like, each input value" in spiking.remarks(with_it.systems)[0]


@pytest.mark.parametrize("given", ["loihi_like", {"like": "odin_like", "name": "mine"}, {"machine": TINY}])
def test_what_is_written_out_is_the_same_experiment(given: Any) -> None:
    made = config.compose(Document("test", data(given)))
    assert made.event_driven is not None
    again = config.compose(Document("test", made.resolved()))
    assert again.resolved() == made.resolved()
    assert again.event_driven == made.event_driven
    assert "event_driven" not in config.compose(Document("test", data(None))).resolved()


@pytest.mark.parametrize(
    ("given", "changes", "message"),
    [
        ("loihi", {}, "unknown event-driven machine 'loihi'"),
        ({"neurons_per_core": 4}, {}, "event_driven.machine is missing"),
        ({"machine": "loihi_like", "neurons_per_cor": 4}, {}, "neurons_per_core"),
        ({"machine": TINY | {"mesh": {"width": 0}}}, {}, "mesh.width"),
        (
            "loihi_like",
            {"network": {"layers": [{"cell": {"name": "liquid", "units": 4}}]}},
            "layer 1 is of liquid, which does more than spike; take lif, alif or a circuit",
        ),
        (
            "loihi_like",
            {"network": {"layers": [{"cell": LIF, "readout": {"hidden": [4]}}]}},
            "the readout of layer 1 is more than one linear map",
        ),
    ],
)
def test_what_cannot_be_placed_is_refused(given: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config.compose(Document("test", data(given, **changes)))


def test_layers_share_cores_where_there_are_too_few() -> None:
    """ODIN has one core: all neurons are on it, and each spike sends it one packet."""
    spikes, on = found(ran("odin_like"))
    assert on.cores == 1
    assert on.spikes_per_core == [close(spikes.spikes)]


def test_a_machine_that_is_too_small_is_refused() -> None:
    with pytest.raises(CapabilityError, match="the network takes 9 cores, and tiny has 4"):
        ran({"machine": TINY, "neurons_per_core": 1})
    with pytest.raises(CapabilityError, match="core 0 would hold 7 neurons; a core of tiny holds 4"):
        ran({"machine": TINY | {"core": {"neurons": 4}}, "neurons_per_core": 7})
