"""snnTorch: a network that its own exporter wrote runs here with equal spikes, and learns with equal gradients.

The file `snntorch.nir` was made by `exported()` below, with snnTorch 1.0.0, nirtorch 2.6 and PyTorch 2.13: two layers
of `RLeaky` with linear maps in front of each. `snntorch.npz` has an input, and the spikes that snnTorch found for it:

    python -c "import sys; sys.path += ['tests', 'tests/exchange']; import test_snntorch as t; t.store(*t.exported())"

So spikes are compared where snnTorch is not installed as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import built, close, gradient_of, perturb, rule

from hwsim.episode import Episode
from hwsim.exchange import nir as exchange

HERE = Path(__file__).parent
STORED, SPIKES = HERE / "snntorch.nir", HERE / "snntorch.npz"
BETA, THRESHOLD, INPUTS, WIDTHS, STEPS = 0.9, 0.5, 4, (8, 6), 100


# ---- made by snnTorch's public functions -----------------------------------------------------------------------------


def exported() -> tuple[Any, np.ndarray, np.ndarray]:
    """A graph from snnTorch, an input `(batch, steps, wires)`, and the spikes of its last layer."""
    import snntorch
    import torch
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(3)
    neurons = [
        snntorch.RLeaky(
            beta=torch.full((n,), BETA), threshold=torch.full((n,), THRESHOLD), linear_features=n, init_hidden=True
        )
        for n in WIDTHS
    ]
    maps = [torch.nn.Linear(a, b) for a, b in zip((INPUTS, *WIDTHS[:-1]), WIDTHS, strict=True)]
    network = torch.nn.Sequential(*(each for pair in zip(maps, neurons, strict=True) for each in pair))
    graph = export_to_nir(network, torch.zeros(1, INPUTS), ignore_dims=[0])
    inputs = 2 * torch.rand(STEPS, 3, INPUTS)
    for each in neurons:
        each.reset_mem()
    with torch.no_grad():
        spikes = torch.stack([network(x) for x in inputs])
    return graph, inputs.numpy().swapaxes(0, 1), spikes.numpy().swapaxes(0, 1)


def store(graph: Any, inputs: np.ndarray, spikes: np.ndarray) -> None:
    """Write both files."""
    import nir

    nir.write(str(STORED), graph)
    np.savez_compressed(SPIKES, inputs=inputs, spikes=spikes.astype(bool))


# ---- spikes ----------------------------------------------------------------------------------------------------------


def run_here(graph: Any, inputs: np.ndarray, folder: Path) -> np.ndarray:
    """The spikes of the last layer here. snnTorch steps by Euler, takes 0.1 ms for a step, and subtracts."""
    found = exchange.read(graph, dt="0.1 ms", method="euler", reset="subtract")
    assert (found.inputs, found.outputs) == (INPUTS, WIDTHS[-1])
    episode = Episode(inputs.astype(float), values=np.zeros((*inputs.shape[:2], found.outputs)))
    made = built(found.starting_from(folder / "net.npz"), rule("bptt"), episode)
    seen: list[np.ndarray] = []
    made.machine.watchers["output"] = lambda value: seen.append(value[0].copy())
    with made.machine.showing(episode):
        made.infer()
    return np.stack(seen, 1)


def test_a_file_that_snntorch_wrote_runs_with_equal_spikes(tmp_path: Path) -> None:
    """100 steps, 3 sequences, 6 neurons, in float32 there and in float64 here."""
    pytest.importorskip("nir")
    with np.load(SPIKES) as stored:
        inputs, expected = stored["inputs"], stored["spikes"]
    assert 0.1 < expected.mean() < 0.9
    assert np.array_equal(run_here(STORED, inputs, tmp_path), expected)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:nirtorch")
def test_snntorch_still_writes_that_file(tmp_path: Path) -> None:
    pytest.importorskip("snntorch")
    pytest.importorskip("nirtorch")
    nir = pytest.importorskip("nir")
    graph, inputs, spikes = exported()
    assert np.array_equal(run_here(graph, inputs, tmp_path), spikes)
    stored = nir.read(str(STORED))
    assert sorted(stored.edges) == sorted(graph.edges)
    for name, node in stored.nodes.items():
        for key in ("weight", "bias", "tau", "r", "v_threshold"):
            if hasattr(node, key):
                assert np.allclose(getattr(node, key), np.asarray(getattr(graph.nodes[name], key)), atol=1e-6), name


# ---- gradients -------------------------------------------------------------------------------------------------------

THETA = 0.3
SLOPES: dict[str, tuple[Any, dict[str, Any]]] = {
    "fast_sigmoid": (("fast_sigmoid", {"slope": 5.0}), {"height": THETA, "width": 1 / (5.0 * THETA)}),
    "atan": (("atan", {"alpha": 2.0}), {"height": THETA * 2.0 / 2, "width": 2 / (np.pi * 2.0 * THETA)}),
}
"""snnTorch's slope is of v - θ, 1 / (1 + k |v - θ|)² and (α/2) / (1 + (π α (v - θ) / 2)²). Here it is γ s(u) / θ of
u = (v - θ) / (θ w). So γ = θ and w = 1 / (k θ), or γ = θ α / 2 and w = 2 / (π α θ)."""


@pytest.mark.parametrize("name", SLOPES)
def test_gradients_equal_those_of_snntorch(name: str) -> None:
    """BPTT through leaky neurons with recurrent weights; both cut the derivative of the reset.

    snnTorch's spikes are float32, and so is what comes back through them.
    """
    torch = pytest.importorskip("torch")
    snntorch = pytest.importorskip("snntorch")
    from snntorch import surrogate

    (function, numbers), slope = SLOPES[name]
    cell = {
        "name": "lif", "units": 6, "decay": 0.875, "threshold": THETA, "surrogate": {"name": name, **slope}, "gain": 2.0
    }  # fmt: skip
    draw = np.random.default_rng(4)
    episode = Episode(draw.uniform(size=(3, 12, 2)), values=draw.normal(size=(3, 12, 3)))
    learner = rule("bptt")
    made = built({"layers": [{"cell": cell}]}, learner, episode)
    perturb(made)
    names = [trainable.name.removeprefix("layer 1 ") for trainable in made.trainables]
    p = {
        key: torch.tensor(trainable.values[0], requires_grad=True)
        for key, trainable in zip(names, made.trainables, strict=True)
    }
    neurons = snntorch.Leaky(beta=0.875, threshold=THETA, spike_grad=getattr(surrogate, function)(**numbers))
    neurons.threshold = torch.tensor(THETA, dtype=torch.float64)  # it keeps one in float32
    z = mem = torch.zeros(3, 6, dtype=torch.float64)
    loss, fired = torch.zeros((), dtype=torch.float64), 0.0
    for step in range(12):
        x, target = torch.tensor(episode.inputs[:, step]), torch.tensor(episode.values[:, step])
        z, mem = neurons(z @ p["W"].T + x @ p["U"].T + p["b"], mem)
        z = z.double()
        fired += float(z.detach().sum())
        loss = loss + 0.5 * ((z @ p["V1"].T + p["V1 b"] - target) ** 2).sum()
    loss.backward()
    assert fired > 20
    for key, found in zip(names, gradient_of(made, learner, episode).values(), strict=True):
        expected = p[key].grad.numpy()
        assert np.abs(expected).max() > 1e-3
        assert found[0] == close(expected, rel=1e-6, abs=1e-6 * np.abs(expected).max()), key
