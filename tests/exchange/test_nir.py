"""NIR: round trips to the last bit, graphs of other tools stepped in plain NumPy, and what cannot be said."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import built, close, rule

import hwsim
from hwsim import networks
from hwsim.episode import Episode
from hwsim.errors import CapabilityError, ConfigError, HwsimError
from hwsim.exchange import nir as exchange
from hwsim.exchange.nir import Imported

nir = pytest.importorskip("nir")

CELL: dict[str, Any] = {
    "name": "lif", "units": 6, "tau": "7 ms", "time_step": "1 ms", "threshold": 0.3, "reset": "zero",
}  # fmt: skip


def outputs(network: dict[str, Any], inputs: np.ndarray, wide: int) -> np.ndarray:
    """The output of a network at each step, `(batch, steps, wide)`."""
    episode = Episode(inputs, values=np.zeros((*inputs.shape[:2], wide)))
    made = built(network, rule("bptt"), episode)
    seen: list[np.ndarray] = []
    made.machine.watchers["output"] = lambda value: seen.append(value[0].copy())
    with made.machine.showing(episode):
        made.infer()
    return np.stack(seen, 1)


def parameters(layers: list[dict[str, Any]], inputs: int, wide: int) -> dict[str, np.ndarray]:
    """Random parameters of a network."""
    draw = np.random.default_rng(4)
    found: dict[str, np.ndarray] = {}
    for number, layer in enumerate(layers, 1):
        n = layer["cell"]["units"]
        out = wide if number == len(layers) else layer.get("readout", {}).get("width", n)
        shapes = {"W": (n, n), "U": (n, inputs), "b": (n,), "V1": (out, n), "V1 b": (out,)}
        found |= {f"layer {number} {name}": draw.normal(size=shape) for name, shape in shapes.items()}
        inputs = out
    return found


# ---- round trips -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "dt"),
    [
        ([CELL], None),
        ([{**CELL, "tau_readout": "13 ms"}], None),
        ([{"name": "lif", "units": 4, "decay": 0.9, "readout_decay": 0.77, "reset": "zero"}], "1 ms"),
        ([CELL, {**CELL, "units": 5, "tau": "20 ms", "threshold": 1.7}], None),
    ],
)
def test_a_round_trip_keeps_every_parameter_to_the_last_bit(cells: Any, dt: str | None, tmp_path: Path) -> None:
    layers = [{"cell": cell, "readout": {"width": 3}} for cell in cells]
    options, weights = networks.Options.model_validate({"layers": layers}), parameters(layers, 2, 3)
    exchange.write(tmp_path / "net.nir", options, weights, dt=dt)
    found = exchange.read(tmp_path / "net.nir", dt="1 ms")
    assert (found.inputs, found.outputs) == (2, 3)
    assert found.weights.keys() == weights.keys()
    for name, values in weights.items():
        assert np.array_equal(found.weights[name], values), name
    again = networks.Options.model_validate(found.network)
    for before, after in zip(options.layers, again.layers, strict=True):
        for key in ("units", "alpha", "kappa", "threshold", "reset", "refractory"):
            assert getattr(before.cell, key) == getattr(after.cell, key), key


def test_decays_that_no_time_constant_was_given_for_come_back_to_the_last_bit() -> None:
    """From 1/2 on there always is one: a last digit of τ moves α by less than its own, since α ln(1/α) < 1/2."""
    for decay in np.random.default_rng(6).uniform(0.5, 0.999, 100):
        layers = [{"cell": {"name": "lif", "units": 1, "decay": float(decay), "reset": "zero"}}]
        options, weights = networks.Options.model_validate({"layers": layers}), parameters(layers, 1, 1)
        found = exchange.read(exchange.graph(options, weights, dt="1 ms"), dt="1 ms")
        assert found.network["layers"][0]["cell"]["decay"] == decay
        assert all(np.array_equal(found.weights[name], values) for name, values in weights.items())


def test_a_trained_network_goes_out_comes_in_and_goes_on_learning(tmp_path: Path) -> None:
    asked: dict[str, Any] = {
        "name": "small", "task": {"name": "digits", "order": "rows"}, "network": {"layers": [{"cell": CELL}]},
        "learning": {"name": "bptt"}, "machine": "ideal",
        "training": {"optimizer": {"name": "sgd", "rate": 0.1}, "batch": 64, "steps": 2},
    }  # fmt: skip
    run = hwsim.run(asked)
    exchange.write(tmp_path / "net.nir", run.experiment.network, run.weights())
    network = exchange.read(tmp_path / "net.nir", dt="1 ms").starting_from(tmp_path / "net.npz")
    same = hwsim.run({**asked, "network": network, "training": None})
    assert same.summary.systems["substrate"].loss == run.summary.systems["substrate"].loss
    more = hwsim.run({**asked, "network": network})
    assert not np.array_equal(more.weights()["layer 1 U"], run.weights()["layer 1 U"])
    assert hwsim.estimate({**asked, "network": network, "machine": "digital_45nm"}).summary.systems


# ---- graphs of other tools -----------------------------------------------------------------------------------------


def foreign(beta: float = 0.875, dt: float = 2.0**-10, **changes: Any) -> Any:
    """Two layers, as tools write them that step v = β v + x: τ = dt / (1 - β) and R = τ / dt; one threshold for all."""
    draw = np.random.default_rng(8)
    tau = dt / (1 - beta)

    def neurons(n: int) -> Any:
        numbers = {"tau": tau, "r": tau / dt, "v_leak": 0.0, "v_threshold": 0.5} | changes
        return nir.LIF(**{key: np.full(n, value) if np.ndim(value) == 0 else value for key, value in numbers.items()})

    nodes = {
        "input": nir.Input(input_type={"input": np.array([3])}),
        "fc1": nir.Affine(draw.normal(size=(5, 3)), draw.normal(size=5) / 4),
        "lif1": neurons(5),
        "rec": nir.Linear(draw.normal(size=(5, 5))),
        "fc2": nir.Linear(draw.normal(size=(5, 5))),
        "lif2": neurons(5),
        "output": nir.Output(output_type={"output": np.array([5])}),
    }
    chain = ["input", "fc1", "lif1", "fc2", "lif2", "output"]
    edges = [*pairwise(chain), ("lif1", "rec"), ("rec", "lif1")]
    return nir.NIRGraph(nodes=nodes, edges=edges)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_graph_of_another_tool_has_equal_spikes(reset: Any, tmp_path: Path) -> None:
    """Its spikes by v = β v + x, in the order of snnTorch: the reset of a step is by the spikes of the one before."""
    graph = foreign()
    nir.write(str(tmp_path / "net.nir"), graph)
    found = exchange.read(tmp_path / "net.nir", dt=f"{2.0**-10!r} s", method="euler", reset=reset)
    inputs = np.random.default_rng(1).normal(size=(2, 40, 3))
    mine = outputs(found.starting_from(tmp_path / "net.npz"), inputs, 5)
    v1, z1, v2, z2 = (np.zeros((2, 5)) for _ in range(4))
    fc1, rec, fc2 = (graph.nodes[name] for name in ("fc1", "rec", "fc2"))

    def stepped(v: np.ndarray, z: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        new = 0.875 * v * (1 - z) + x if reset == "zero" else 0.875 * v + x - 0.5 * z
        return new, (new > 0.5).astype(float)

    spikes = []
    for step in range(40):
        v1, z1 = stepped(v1, z1, inputs[:, step] @ fc1.weight.T + fc1.bias + z1 @ rec.weight.T)
        v2, z2 = stepped(v2, z2, z1 @ fc2.weight.T)
        spikes.append(z2)
    assert np.array_equal(mine, np.stack(spikes, 1))
    assert 0.1 < np.mean(spikes) < 0.9


def test_resistances_scale_what_each_neuron_gets_and_a_trace_what_the_readout_sees(tmp_path: Path) -> None:
    """τ = 8 dt by Euler, R of each neuron: v' = 7/8 v + R/8 x; a trace with R = 3 and τ = 4 dt: s' = 3/4 s + 3/4 z."""
    r = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
    graph = foreign(tau=8.0, dt=1.0)
    lif1, fc1, rec = (graph.nodes[name] for name in ("lif1", "fc1", "rec"))
    lif1.r = r
    nodes = {name: graph.nodes[name] for name in ("input", "fc1", "lif1", "rec", "output")}
    nodes["trace"] = nir.LI(np.full(5, 4.0), np.full(5, 3.0), np.zeros(5))
    nodes["out"] = nir.Linear(np.eye(5))
    chain = ["input", "fc1", "lif1", "trace", "out", "output"]
    made = nir.NIRGraph(nodes=nodes, edges=[*pairwise(chain), ("lif1", "rec"), ("rec", "lif1")])
    found = exchange.read(made, dt="1 s", method="euler")
    inputs = np.random.default_rng(1).normal(size=(2, 30, 3))
    mine = outputs(found.starting_from(tmp_path / "net.npz"), inputs, 5)
    v, z, s = (np.zeros((2, 5)) for _ in range(3))
    for step in range(30):
        v = 7 / 8 * v * (1 - z) + r / 8 * (inputs[:, step] @ fc1.weight.T + fc1.bias + z @ rec.weight.T)
        z = (v > 0.5).astype(float)
        s = 3 / 4 * s + 3 / 4 * z
        assert mine[:, step] == close(s)
    assert z.any()


def test_exact_steps_follow_the_equation_of_a_neuron_with_a_constant_input() -> None:
    """τ dv/dt = -v + R I from rest: v(t) = R I (1 - exp(-t/τ)); it spikes first at t = τ ln(R I / (R I - θ))."""
    tau, r, current, threshold = 0.02, 3.0, 0.5, 1.0
    nodes = {
        "input": nir.Input(input_type={"input": np.array([1])}),
        "fc": nir.Linear(np.ones((1, 1))),
        "lif": nir.LIF(*(np.full(1, each) for each in (tau, r, 0.0, threshold))),
        "output": nir.Output(output_type={"output": np.array([1])}),
    }
    graph = nir.NIRGraph(nodes=nodes, edges=[("input", "fc"), ("fc", "lif"), ("lif", "output")])
    found = exchange.read(graph, dt="0.1 ms")
    cell = found.network["layers"][0]["cell"]
    first, v = 0, 0.0
    while v <= threshold:
        v, first = cell["decay"] * v + found.weights["layer 1 U"][0, 0] * current, first + 1
        assert v == close(r * current * (1 - np.exp(-first * 1e-4 / tau)))
    assert first == np.ceil(tau * np.log(r * current / (r * current - threshold)) / 1e-4)


def test_scalars_are_spread_over_the_neurons() -> None:
    graph = foreign()
    plain, node = exchange.read(graph, dt="1 ms"), graph.nodes["lif1"]
    node.tau, node.r, node.v_threshold = np.array(node.tau[0]), node.r[:1], np.array(0.5)
    found: Imported = exchange.read(graph, dt="1 ms")
    assert found.network == plain.network
    assert all(np.array_equal(found.weights[name], values) for name, values in plain.weights.items())


# ---- what cannot be said -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"cell": {**CELL, "name": "alif", "beta": 0.1, "adaptation_decay": 0.9}}, "cell: NIR has no node for alif"),
        ({"cell": {"name": "leaky_tanh", "units": 3}}, "cell: NIR has no node for leaky_tanh"),
        ({"cell": {"name": "liquid", "units": 3}}, "cell: NIR has no node for liquid"),
        ({"cell": {**CELL, "reset": "subtract"}}, "cell.reset: .* has no word for `subtract`"),
        ({"cell": {**CELL, "fan_in": 2}}, "cell: weights of sparse synapses do not say"),
        ({"cell": {**CELL, "refractory": 3}}, "cell.refractory: NIR has no refractory time"),
        ({"cell": CELL, "readout": {"hidden": [3]}}, "readout.hidden: NIR has no node for it"),
        ({"cell": CELL, "readout": {"norm": True}}, "readout.norm: NIR has no node for it"),
        ({"cell": {"name": "lif", "units": 3, "decay": 0.9, "reset": "zero"}}, "time_step: .* how long a step is"),
        (
            {"cell": {"name": "lif", "units": 3, "decay": 0.3854753967688637, "reset": "zero", "time_step": "1 ms"}},
            "no time constant gives 0.3854753967688637",
        ),
        ({"cell": {"name": "lif", "units": 3, "decay": 0.0, "reset": "zero", "time_step": "1 ms"}}, "0 is no leak"),
    ],
)
def test_what_nir_has_no_word_for_is_not_written(layer: dict[str, Any], message: str) -> None:
    options = networks.Options.model_validate({"layers": [layer]})
    n = layer["cell"]["units"]
    weights = parameters([{"cell": {"units": n}}], 2, 1)
    with pytest.raises(HwsimError, match=rf"network\.layers\.0\..*{message}"):
        exchange.graph(options, weights)


def test_two_lengths_of_a_step_are_refused() -> None:
    layers = [{"cell": CELL}]
    with pytest.raises(ConfigError, match=r"time_step: it is 0.001 s, and dt is 0.002 s"):
        exchange.graph(networks.Options.model_validate({"layers": layers}), parameters(layers, 2, 1), dt="2 ms")


@pytest.mark.parametrize(
    ("name", "node", "message"),
    [
        ("lif1", nir.CubaLIF(*(np.ones(5) for _ in range(5))), "'lif1' of type CubaLIF: there is no counterpart here"),
        ("rec", nir.Scale(np.ones(5)), "'rec' of type Scale: there is no counterpart"),
        ("lif1", nir.LI(*(np.ones(5) for _ in range(3))), "'lif1' of type LI: it gets signals from fc1, rec"),
        ("fc2", nir.Linear(np.ones((5, 4))), "'fc2' of type Linear: it takes 4 wires, and gets 5"),
        ("fc1", nir.Linear(np.full((5, 3), np.nan)), "'fc1' of type Linear: weight has values that are no finite"),
        ("rec", nir.Linear(np.ones((5, 4))), r"'rec' of type Linear: its weight has shape \(5, 4\)"),
        ("output", nir.Output(output_type={"output": np.array([4])}), "'output' .* it is 4 wide, and gets 5"),
    ],
)  # fmt: skip
def test_nodes_without_a_counterpart_are_named(name: str, node: Any, message: str) -> None:
    graph = foreign()
    graph.nodes[name] = node
    with pytest.raises(ConfigError, match=f"graph: node {message}"):
        exchange.read(graph, dt="1 ms")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"v_leak": 0.1}, "v_leak is 0.1 for some neurons; it is 0 here"),
        ({"v_reset": -0.2}, "v_reset is -0.2 for some neurons"),
        ({"v_threshold": 0.0}, "v_threshold is 0; it is positive"),
        ({"tau": np.linspace(0.01, 0.02, 5)}, "tau is from 0.01 to 0.02; neurons of a layer share it"),
        ({"tau": -1.0}, "tau is -1 s, which has to be above 0"),
    ],
)
def test_numbers_without_a_counterpart_are_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"node 'lif1' of type LIF: {message}"):
        exchange.read(foreign(**changes), dt="1 ms")


def test_a_step_longer_than_a_time_constant_is_refused_by_euler() -> None:
    with pytest.raises(ConfigError, match=r"tau is 0\.0078125 s, which has to be above the step, 0\.01 s"):
        exchange.read(foreign(), dt="10 ms", method="euler")


def test_other_shapes_of_graphs_are_refused() -> None:
    graph = foreign()
    graph.edges = [*graph.edges, ("lif2", "rec")]
    with pytest.raises(ConfigError, match="node 'rec' of type Linear: a map from neurons to themselves leads nowhere"):
        exchange.read(graph, dt="1 ms")
    graph = foreign()
    graph.edges = [*graph.edges, ("lif2", "fc1")]
    with pytest.raises(ConfigError, match="node 'fc1' of type Affine: it gets signals from input, lif2"):
        exchange.read(graph, dt="1 ms")
    graph = foreign()
    graph.nodes["alone"] = nir.Linear(np.ones((2, 2)))
    with pytest.raises(ConfigError, match="node 'alone' of type Linear: it is not on the way"):
        exchange.read(graph, dt="1 ms")


def test_files_that_are_none_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "text.nir").write_text("no graph")
    for name in ("text.nir", "nowhere.nir"):
        with pytest.raises(ConfigError, match=rf"{name} is no file of NIR"):
            exchange.read(tmp_path / name, dt="1 ms")
    with pytest.raises(ConfigError, match=r"dt \(1\): needs its unit"):
        exchange.read(foreign(), dt=1)  # type: ignore[arg-type]
    monkeypatch.setitem(__import__("sys").modules, "nir", None)
    with pytest.raises(CapabilityError, match=r"pip install 'hwsim\[nir\]'"):
        exchange.read(tmp_path / "text.nir", dt="1 ms")
