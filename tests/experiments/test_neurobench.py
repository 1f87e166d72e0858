"""NeuroBench's metrics: by hand, by loops in NumPy over the equations, and beside the package where it is installed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from conftest import built, close, rule
from typer.testing import CliRunner

import hwsim
from hwsim.cli import app
from hwsim.episode import Episode
from hwsim.errors import CapabilityError, ConfigError
from hwsim.experiments.neurobench import Counts, ObservedMachine, neurobench, observed, parameter_count
from hwsim.machines.ideal import Options
from hwsim.networks import Network
from hwsim.results.neurobench import NeuroBench

LIF: dict[str, Any] = {"name": "lif", "units": 3, "decay": 0.5, "threshold": 0.8}
ALIF: dict[str, Any] = {**LIF, "name": "alif", "units": 6, "threshold": 0.3, "beta": 0.2, "adaptation_decay": 0.9}
TANH: dict[str, Any] = {"name": "leaky_tanh", "units": 5, "leak": 0.5}
CELLS = {"lif": {**LIF, "units": 6, "threshold": 0.3}, "alif": ALIF, "leaky_tanh": TANH}


def network(cell: dict[str, Any], inputs: np.ndarray, hidden: list[int] | None = None) -> Network:
    """A network with one output on a machine that shows what it does."""
    episode = Episode(inputs, values=np.zeros((*inputs.shape[:2], 1)))
    stage = ObservedMachine(Options(kind="ideal", name="ideal"))
    layers = [{"cell": cell, "readout": {"hidden": hidden or []}}]
    return built({"layers": layers}, rule("bptt"), episode, stage=stage)


def put(made: Network, values: dict[str, Any]) -> None:
    """Set parameters by name."""
    for trainable in made.trainables:
        if trainable.name in values:
            flat = np.asarray(values[trainable.name], float).reshape(trainable.master.value.shape)
            trainable.master.value = flat
    made.program()


def weights(made: Network) -> dict[str, np.ndarray]:
    return {each.name.removeprefix("layer 1 "): each.values[0] for each in made.trainables}


def thinned(made: Network, seed: int = 5) -> None:
    """Random weights and biases, a third of them zero."""
    draw = np.random.default_rng(seed)
    for each in made.trainables:
        shape = each.master.value.shape
        each.master.value = draw.normal(size=shape) * (draw.random(shape) > 1 / 3)
    made.program()


def counted(made: Network, inputs: np.ndarray, batch: int) -> tuple[NeuroBench, Counts]:
    counts = observed(made, Episode(inputs, values=np.zeros((*inputs.shape[:2], 1))), batch)
    found = NeuroBench(
        "test", 0, len(inputs), inputs.shape[1], batch, parameter_count(made), 4,
        counts.connections(), counts.activations(), counts.updated,
    )  # fmt: skip
    return found, counts


# ---- by hand -------------------------------------------------------------------------------------------------------


def test_three_neurons_counted_by_hand() -> None:
    """Neuron 0 hears the input and fires at steps 1 and 3; it makes neuron 1 fire at step 2; neuron 2 hears nothing.

    U is read with a one twice, 2 weights each; W once with a spike whose column has one weight; the readout sees
    neuron 0 twice. Membranes: all 3 at first, then 2 and 2.
    """
    inputs = np.array([1.0, 0.0, 1.0]).reshape(1, 3, 1)
    made = network(LIF, inputs)
    values = {"W": [[0, 0, 0], [1, 0, 0], [0, 0, 0]], "U": [1, 0.5, 0], "b": [0, 0, 0], "V1": [1, 0, 0], "V1 b": [0]}
    put(made, {f"layer 1 {name}": value for name, value in values.items()})
    found, _ = counted(made, inputs, 1)
    assert found.metrics == {
        "ParameterCount": 9 + 3 + 3 + 3 + 1,
        "Footprint": 76,
        "ConnectionSparsity": round((8 + 1 + 2) / 15, 4),
        "ActivationSparsity": 6 / 9,
        "SynapticOperations": {"Effective_MACs": 0.0, "Effective_ACs": 4.0 + 1.0 + 2.0, "Dense": 3.0 * (9 + 3 + 3)},
        "MembraneUpdates": 7.0,
    }
    by_name = {each.name: each for each in found.connections}
    assert (by_name["layer 1 U"].acs, by_name["layer 1 W"].acs, by_name["layer 1 V1"].acs) == (4, 1, 2)


def test_one_value_that_is_no_spike_makes_the_whole_call_macs() -> None:
    inputs = np.array([[[1.0], [0.0]], [[0.5], [0.0]]])
    made = network(LIF, inputs)
    put(made, {"layer 1 U": [1, 1, 1]})
    together, _ = counted(made, inputs, 2)
    apart, _ = counted(made, inputs, 1)
    of = {
        name: next(each for each in found.connections if each.name == "layer 1 U")
        for name, found in (("together", together), ("apart", apart))
    }
    assert (of["together"].macs, of["together"].acs) == (6, 0)
    assert (of["apart"].macs, of["apart"].acs) == (3, 3)
    assert of["together"].dense == of["apart"].dense == 12


# ---- loops over the equations ----------------------------------------------------------------------------------------


class Loops:
    """NeuroBench's counts in plain loops over calls, samples, rows and columns."""

    def __init__(self) -> None:
        self.macs = self.acs = self.dense = self.nonzero = self.values = self.updates = 0

    def call(self, matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
        effective = 0
        for vector in x:
            for row in matrix:
                for weight, value in zip(row, vector, strict=True):
                    effective += weight != 0 and value != 0
                    self.dense += 1
        if set(np.unique(x)) <= {-1.0, 0.0, 1.0}:
            self.acs += effective
        else:
            self.macs += effective
        return x @ matrix.T

    def output(self, x: np.ndarray) -> np.ndarray:
        self.nonzero, self.values = self.nonzero + np.count_nonzero(x), self.values + x.size
        return x

    def run(self, cell: dict[str, Any], p: dict[str, np.ndarray], inputs: np.ndarray) -> None:
        n = cell["units"]
        v, rise, z, h = (np.zeros((len(inputs), n)) for _ in range(4))
        for step in range(inputs.shape[1]):
            if cell["name"] == "leaky_tanh":
                s = np.tanh(self.call(p["W"], h) + self.call(p["U"], inputs[:, step]) + p["b"])
                h = (1 - cell["leak"]) * h + cell["leak"] * self.output(s)
                seen = h
            else:
                drive = self.call(p["W"], z) + self.call(p["U"], inputs[:, step]) + p["b"]
                new = cell["decay"] * v + drive - cell["threshold"] * z
                rise = cell.get("adaptation_decay", 0) * rise + cell.get("beta", 0) * z
                self.updates += new.size if step == 0 else np.count_nonzero(new != v)
                v = new
                seen = z = self.output((v > cell["threshold"] + rise).astype(float))
            hidden = self.output(np.maximum(self.call(p["V1"], seen) + p["V1 b"], 0))
            self.call(p["V2"], hidden)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("batch", [2, 5])
def test_counts_are_those_of_loops_over_the_equations(name: str, batch: int) -> None:
    draw = np.random.default_rng(2)
    inputs = draw.integers(-1, 2, (5, 7, 3)) * np.where(np.arange(5) == 3, 0.5, 1)[:, None, None]
    made = network(CELLS[name], inputs, hidden=[4])
    thinned(made)
    found, _ = counted(made, inputs, batch)
    loops, p = Loops(), weights(made)
    for start in range(0, 5, batch):
        loops.run(CELLS[name], p, inputs[start : start + batch])
    entries = np.concatenate([p[key].ravel() for key in ("W", "U", "V1", "V2")])
    assert found.metrics == {
        "ParameterCount": sum(each.size for each in p.values()),
        "Footprint": 4 * sum(each.size for each in p.values()),
        "ConnectionSparsity": round(float(np.mean(entries == 0)), 4),
        "ActivationSparsity": close(1 - loops.nonzero / loops.values),
        "SynapticOperations": {
            "Effective_MACs": loops.macs / 5, "Effective_ACs": loops.acs / 5, "Dense": loops.dense / 5,
        },
        "MembraneUpdates": loops.updates / 5,
    }  # fmt: skip
    assert loops.macs, "the bound means nothing if there are none"
    assert loops.acs or name == "leaky_tanh"


def test_a_sparse_matrix_counts_as_the_dense_one_with_zeros() -> None:
    inputs = np.random.default_rng(1).normal(size=(3, 4, 2))
    sparse = network({**TANH, "fan_in": 2}, inputs)
    dense = network(TANH, inputs)
    cell = sparse.layers[0].cell
    full = np.zeros((1, 5, 5))
    np.put_along_axis(full[0], np.array(cell.W.connections), cell.W.weights[0], 1)
    put(dense, {each.name: each.values for each in sparse.trainables} | {"layer 1 W": full})
    found, twin = counted(sparse, inputs, 3)[0], counted(dense, inputs, 3)[0]
    assert found.metrics == twin.metrics
    assert found.connections == twin.connections
    assert found.connection_sparsity == round(15 / (25 + 10 + 5), 4)


# ---- of an experiment ------------------------------------------------------------------------------------------------


def experiment(cell: dict[str, Any], **more: Any) -> dict[str, Any]:
    training = {"optimizer": {"name": "adam", "rate": 0.01}, "batch": 64, "steps": 3}
    return {
        "name": "small", "task": {"name": "digits", "order": "rows"}, "network": {"layers": [{"cell": cell}]},
        "learning": {"name": "bptt"}, "machine": "digital_45nm", "training": training, **more,
    }  # fmt: skip


def test_an_experiment_is_counted_after_its_training_and_before_it() -> None:
    cell = {**LIF, "units": 8, "threshold": 0.3}
    learned, initial = hwsim.neurobench(experiment(cell)), hwsim.neurobench(experiment(cell), trained=False)
    assert (learned.updates, initial.updates) == (3, 0)
    assert learned.loss != initial.loss
    assert learned.synaptic_operations != initial.synaptic_operations
    per_step = 8 * 8 + 8 * 8 + 10 * 8
    assert learned.synaptic_operations["Dense"] == initial.synaptic_operations["Dense"] == 8 * per_step
    again = hwsim.neurobench(experiment(cell), batch=1, element_size=8)
    assert again.footprint == 2 * learned.footprint
    assert sum(again.synaptic_operations.values()) == close(sum(learned.synaptic_operations.values()))
    run = hwsim.run({**experiment(cell), "machine": "ideal"})
    assert run.summary.systems["substrate"].accuracy is not None
    assert learned.accuracy == run.summary.systems["substrate"].accuracy.median


def test_the_command_prints_the_same_numbers(tmp_path: Any) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(json.dumps(experiment({**LIF, "units": 4})))
    shown = CliRunner().invoke(app, ["neurobench", str(file), "--untrained", "--json"])
    assert shown.exit_code == 0, shown.output
    expected = hwsim.neurobench(file, trained=False)
    assert json.loads(shown.stdout)["metrics"] == expected.metrics
    table = CliRunner().invoke(app, ["neurobench", str(file), "--untrained"]).stdout
    for name in ("ParameterCount", "SynapticOperations Effective_MACs", "layer 1 U", "at its initial weights"):
        assert name in table
    narrow = CliRunner().invoke(app, ["neurobench", str(file), "--untrained"], env={"COLUMNS": "44"}).stdout
    assert all(len(line) <= 44 for line in narrow.splitlines())
    assert narrow.count("layer 1 U") > 1  # columns that do not fit stand below, with their labels


# ---- errors are no numbers -----------------------------------------------------------------------------------------


def test_what_neurobench_has_no_count_for_is_refused() -> None:
    with pytest.raises(CapabilityError, match=r"network\.layers\.0\.cell: lru .* alif, leaky_tanh, lif"):
        neurobench(experiment({"name": "lru", "modes": 4}))


@pytest.mark.parametrize("key", ["batch", "element_size"])
def test_nothing_is_counted_in_empty_calls(key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key} \(0\): must be at least 1"):
        neurobench(experiment(LIF), **{key: 0})  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "does"), [("U", "holds"), ("b", "has membranes with")])
def test_values_that_are_not_finite_are_refused(name: str, does: str) -> None:
    inputs = np.ones((1, 2, 1))
    made = network(LIF, inputs)
    put(made, {f"layer 1 {name}": [1, np.inf, 1]})
    with pytest.raises(CapabilityError, match=f"{does} values that are not finite"):
        counted(made, inputs, 1)


# ---- beside the package --------------------------------------------------------------------------------------------


def test_metrics_equal_those_of_the_package() -> None:
    """The same network in PyTorch and snnTorch, with NeuroBench's own hooks and formulas.

    snnTorch's neuron registers constants and its membrane as buffers, which are in NeuroBench's footprint; hwsim has
    none, so those bytes are taken off.
    """
    torch = pytest.importorskip("torch")
    snn = pytest.importorskip("snntorch")
    pytest.importorskip("neurobench")
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics.static import ConnectionSparsity, Footprint, ParameterCount
    from neurobench.metrics.workload import ActivationSparsity, MembraneUpdates, SynapticOperations
    from neurobench.models import SNNTorchModel

    draw = np.random.default_rng(2)
    inputs = draw.integers(-1, 2, (6, 7, 3)) * np.where(np.arange(6) == 4, 0.5, 1)[:, None, None]
    made = network(CELLS["lif"], inputs)
    thinned(made)
    p = weights(made)

    class Twin(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = torch.nn.Linear(6, 6, bias=False)
            self.input = torch.nn.Linear(3, 6)
            self.neurons = snn.Leaky(beta=0.5, threshold=0.3, init_hidden=True)
            self.readout = torch.nn.Linear(6, 1)
            self.z = None

        def reset(self) -> None:
            self.neurons.mem, self.z = torch.zeros(0), None

        def forward(self, x: Any) -> Any:
            z = torch.zeros(len(x), 6, dtype=x.dtype) if self.z is None else self.z
            self.z = self.neurons(self.recurrent(z) + self.input(x))
            return self.readout(self.z), None

    twin = Twin()
    with torch.no_grad():
        for tensor, key in (
            (twin.recurrent.weight, "W"), (twin.input.weight, "U"), (twin.input.bias, "b"),
            (twin.readout.weight, "V1"), (twin.readout.bias, "V1 b"),
        ):  # fmt: skip
            tensor.copy_(torch.tensor(p[key]))
    buffers = sum(each.numel() * each.element_size() for each in twin.buffers())
    data = torch.utils.data.TensorDataset(torch.tensor(inputs, dtype=torch.float32), torch.zeros(6))
    static = [ParameterCount, Footprint, ConnectionSparsity]
    workload = [ActivationSparsity, SynapticOperations, MembraneUpdates]
    loader = torch.utils.data.DataLoader(data, batch_size=3)
    theirs = Benchmark(SNNTorchModel(twin), loader, [], [], [static, workload]).run(quiet=True)
    ours = counted(made, inputs, 3)[0].metrics
    assert theirs["Footprint"] - buffers == ours["Footprint"]
    for name in ("ParameterCount", "ConnectionSparsity", "SynapticOperations", "MembraneUpdates"):
        assert theirs[name] == ours[name], name
    assert theirs["ActivationSparsity"] == close(ours["ActivationSparsity"])
