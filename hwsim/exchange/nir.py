"""NIR, the neuromorphic intermediate representation: graphs of leaky integrate-and-fire neurons, in and out.

Pedersen et al., "Neuromorphic intermediate representation: a unified instruction set for interoperable brain-inspired
computing", Nature Communications 15:8122, 2024. A graph is in continuous time, τ dv/dt = v_leak - v + R I with a spike
at v > v_threshold and v = v_reset behind it, and says nothing of steps. Here a step is stated, and what a membrane
keeps in it: α = exp(-dt/τ), which is exact for inputs that are constant in a step, or 1 - dt/τ, Euler's. Then

    v' = α v + g (W z + U x + b),   g = R / R₁,   R₁ = 1 / (1 - α), or τ / dt by Euler,

and the cell `lif` holds g W, g U and g b. Graphs that are written have R = R₁, so that g is 1 to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log, nextafter
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hwsim.cells import lif
from hwsim.errors import CapabilityError, ConfigError
from hwsim.networks import Options
from hwsim.quantities import parse

Method = Literal["exact", "euler"]
_MAPS = "Affine", "Linear"
_KNOWN = "Input", "Output", "LIF", "LI", *_MAPS


@dataclass(frozen=True)
class Imported:
    """A network from a graph.

    Attributes:
        network: the key `network` of an experiment, without `weights`.
        weights: the initial value of each parameter, by name.
        inputs, outputs: the widths that a task has to have.
    """

    network: dict[str, Any]
    weights: dict[str, np.ndarray]
    inputs: int
    outputs: int

    def starting_from(self, file: str | Path) -> dict[str, Any]:
        """Write the weights into a .npz file; gives the key `network` of an experiment that starts from it."""
        np.savez(file, **self.weights)  # type: ignore[arg-type]
        return {**self.network, "weights": str(file)}


def read(
    file: str | Path | Any, *, dt: str, method: Method = "exact", reset: Literal["zero", "subtract"] = "zero"
) -> Imported:
    """A network from a file of NIR, or from a graph of the package `nir`.

    Args:
        dt: the time of one step, such as "1 ms"; time constants of graphs are taken to be in seconds.
        method: what a membrane keeps in a step: exp(-dt/τ), or 1 - dt/τ, as tools that integrate by Euler mean it.
        reset: what a spike does. NIR says `zero`; some tools write networks that reset by subtraction all the same.

    Raises:
        ConfigError: it is no such file, or the graph has a node, or a number in one, that cannot be said here.
    """
    graph, where = (_opened(file), str(file)) if isinstance(file, str | Path) else (file, "graph")
    try:
        step = parse(dt, "second", "1 ms")
    except ValueError as error:
        raise ConfigError(f"dt ({dt!r}): {error}") from None
    return _Reader(graph, where, step, method, reset).read()


def write(file: str | Path, network: Options, weights: Mapping[str, np.ndarray], *, dt: str | None = None) -> None:
    """Write a network into a file of NIR; see `graph`."""
    package = _package()
    package.write(str(file), graph(network, weights, dt=dt))


def graph(network: Options, weights: Mapping[str, np.ndarray], *, dt: str | None = None) -> Any:
    """A network as a graph of the package `nir`: `graph(run.experiment.network, run.weights())`.

    Pooling, `output_scale` and the loss are no part of it.

    Args:
        weights: of all parameters, by name, as `Run.weights` gives them.
        dt: the time of one step, for cells that do not give `time_step`.

    Raises:
        CapabilityError: NIR cannot say what a layer does.
        ConfigError: no step is given, or two.
    """
    package = _package()
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    before = "input"
    for number, layer in enumerate(network.layers, 1):
        cell, key = layer.cell, f"network.layers.{number - 1}"
        _require_said(layer, key)
        step = _step(cell, key, dt)
        u, w, b, v, c = (np.asarray(weights[f"layer {number} {name}"]) for name in ("U", "W", "b", "V1", "V1 b"))
        n = cell.units
        if number == 1:
            nodes["input"] = package.Input(input_type={"input": np.array([u.shape[1]])})
        nodes[f"U{number}"], nodes[f"W{number}"] = package.Affine(u, b), package.Linear(w)
        nodes[f"lif{number}"] = package.LIF(
            tau=np.full(n, _tau(cell.tau, cell.alpha, step, f"{key}.cell.decay")),
            r=np.full(n, 1 / (1 - cell.alpha)),
            v_leak=np.zeros(n),
            v_threshold=np.full(n, cell.threshold),
            v_reset=np.zeros(n),
        )
        edges += [(before, f"U{number}"), (f"U{number}", f"lif{number}")]
        edges += [(f"lif{number}", f"W{number}"), (f"W{number}", f"lif{number}")]
        before = f"lif{number}"
        if cell.kappa is not None:
            tau = _tau(cell.tau_readout, cell.kappa, step, f"{key}.cell.readout_decay")
            nodes[f"trace{number}"] = package.LI(
                tau=np.full(n, tau), r=np.full(n, 1 / (1 - cell.kappa)), v_leak=np.zeros(n)
            )
            edges.append((before, f"trace{number}"))
            before = f"trace{number}"
        nodes[f"V{number}"] = package.Affine(v, c)
        edges.append((before, f"V{number}"))
        before = f"V{number}"
    nodes["output"] = package.Output(output_type={"output": np.array([len(nodes[before].bias)])})
    return package.NIRGraph(nodes=nodes, edges=[*edges, (before, "output")])


# ---- out ---------------------------------------------------------------------------------------------------------


def _require_said(layer: Any, key: str) -> None:
    """Refuse what NIR has no node for.

    Raises:
        CapabilityError: the layer has it.
    """
    cell, readout = layer.cell, layer.readout
    if not isinstance(cell, lif.Options):
        raise CapabilityError(f"{key}.cell: NIR has no node for {cell.name}; networks of lif can be written")
    if cell.reset != "zero":
        raise CapabilityError(
            f"{key}.cell.reset: NIR puts the membrane of a neuron that fires to v_reset, and has no word for "
            f"`{cell.reset}`; `reset: zero` can be written"
        )
    if cell.fan_in is not None or cell.input_fan_in is not None:
        raise CapabilityError(
            f"{key}.cell: weights of sparse synapses do not say which neurons they come from; leave out fan_in and "
            "input_fan_in to write a network"
        )
    if cell.refractory > 1:
        raise CapabilityError(f"{key}.cell.refractory: NIR has no refractory time")
    for name in ("project", "norm", "hidden"):
        if getattr(readout, name):
            raise CapabilityError(f"{key}.readout.{name}: NIR has no node for it; one linear map can be written")


def _step(cell: Any, key: str, dt: str | None) -> float:
    """The time of one step in seconds."""
    given = None if dt is None else parse(dt, "second", "1 ms")
    if cell.time_step is None and given is None:
        raise ConfigError(f"{key}.cell.time_step: NIR has time constants, so say how long a step is, here or by `dt`")
    if None not in (cell.time_step, given) and cell.time_step != given:
        raise ConfigError(f"{key}.cell.time_step: it is {cell.time_step} s, and dt is {given} s; leave one of them out")
    return float(cell.time_step if given is None else given)


def _tau(tau: float | None, kept: float, step: float, key: str) -> float:
    """The time constant from which a reader finds what is kept in a step, to the last bit."""
    if tau is not None:
        return tau
    if not 0 < kept < 1:
        raise CapabilityError(f"{key}: {kept:g} is no leak with a time constant, so NIR has no such node")
    near = -step / log(kept)
    below = above = near
    for _ in range(64):  # from 1/2 on one time constant at least rounds to each decay
        for each in (below, above):
            if exp(-step / each) == kept:
                return each
        below, above = nextafter(below, 0), nextafter(above, inf)
    raise CapabilityError(f"{key}: no time constant gives {kept!r} in {step} s to the last bit; give a time constant")


# ---- in ----------------------------------------------------------------------------------------------------------


@dataclass
class _Layer:
    """A layer as it is found in a graph: names of nodes."""

    drive: list[str]
    neurons: str
    recurrence: str | None
    trace: str | None = None


class _Reader:
    def __init__(self, graph: Any, where: str, step: float, method: Method, reset: str) -> None:
        self._nodes, self._where, self._step, self._method, self._reset = graph.nodes, where, step, method, reset
        edges = list(dict.fromkeys((str(a), str(b)) for a, b in graph.edges))
        self._after = {name: [b for a, b in edges if a == name] for name in self._nodes}
        self._before = {name: [a for a, b in edges if b == name] for name in self._nodes}
        for name in self._nodes:
            if self._type(name) not in _KNOWN:
                raise self._error(name, f"there is no counterpart here; known are {', '.join(_KNOWN)}")

    def read(self) -> Imported:
        layers, last = self._walk()
        network: list[dict[str, Any]] = []
        weights: dict[str, np.ndarray] = {}
        width = inputs = self._width(self._one("Input"), "input_type", "input")
        for number, layer in enumerate(layers, 1):
            onward = layers[number].drive if number < len(layers) else last
            found, options, width = self._layer(layer, onward, width, number == 1, number == len(layers))
            weights |= {f"layer {number} {name}": value for name, value in found.items()}
            network.append(options)
        outputs = self._width(self._one("Output"), "output_type", "output")
        if outputs != width:
            raise self._error(self._one("Output"), f"it is {outputs} wide, and gets {width}")
        return Imported({"layers": network}, weights, inputs, outputs)

    # ---- the chain of nodes ------------------------------------------------------------------------------------

    def _walk(self) -> tuple[list[_Layer], list[str]]:
        """The layers from the input to the output, and the maps behind the last one."""
        layers: list[_Layer] = []
        maps: list[str] = []
        place = self._one("Input")
        seen = {place}
        while True:
            place = self._next(place, layers[-1].recurrence if layers else None)
            if place in seen:
                raise self._error(place, "it is part of a cycle that is no recurrence of one layer of neurons")
            seen.add(place)
            kind = self._type(place)
            if kind == "Output":
                break
            if kind in _MAPS:
                maps.append(place)
            elif kind == "LIF":
                layers.append(_Layer(maps, place, self._recurrence(place)))
                maps, seen = [], seen | {layers[-1].recurrence or place}
            elif not layers or maps or layers[-1].trace:
                raise self._error(place, "LI can stand behind LIF alone, as the trace that a readout sees")
            else:
                layers[-1].trace = place
        if not layers:
            raise ConfigError(f"{self._where}: the graph has no LIF between its input and its output")
        left = sorted(self._nodes.keys() - seen)
        if left:
            raise self._error(left[0], "it is not on the way from the input to the output")
        return layers, maps

    def _next(self, place: str, recurrence: str | None) -> str:
        onward = [name for name in self._after[place] if name != recurrence]
        if len(onward) != 1:
            raise self._error(place, f"it leads to {len(onward)} nodes ({', '.join(onward)}), and layers form a chain")
        (name,) = onward
        others = [each for each in self._before[name] if each != place]
        if [each for each in others if self._type(name) != "LIF" or name not in self._before[each]]:
            raise self._error(name, f"it gets signals from {', '.join([place, *others])}, and layers form a chain")
        return name

    def _recurrence(self, neurons: str) -> str | None:
        """The map from neurons to themselves, if any."""
        if neurons in self._after[neurons]:
            raise self._error(neurons, "its recurrence has no map; put a Linear into the cycle")
        found = [name for name in self._after[neurons] if neurons in self._after[name] and self._type(name) in _MAPS]
        if len(found) > 1:
            raise self._error(neurons, f"it has {len(found)} maps to itself, {', '.join(found)}; one is possible")
        for name in found:
            if len(self._after[name]) > 1 or len(self._before[name]) > 1:
                raise self._error(name, "a map from neurons to themselves leads nowhere else")
        return found[0] if found else None

    # ---- numbers -------------------------------------------------------------------------------------------------

    def _layer(
        self, layer: _Layer, onward: Sequence[str], width: int, first: bool, last: bool
    ) -> tuple[dict[str, np.ndarray], dict[str, Any], int]:
        """Parameters, options, and the width of what the next layer gets."""
        own = layer.drive[-1:] if first or len(layer.drive) > 1 else []
        if first and len(layer.drive) > 1:
            raise self._error(layer.drive[0], "there is one map from the input to the first neurons")
        u, b = self._map(own[0]) if own else (np.eye(width), np.zeros(width))
        if u.shape[1] != width:
            raise self._error((own or [layer.neurons])[0], f"it takes {u.shape[1]} wires, and gets {width}")
        n = len(b)
        w, more = self._map(layer.recurrence) if layer.recurrence else (np.zeros((n, n)), np.zeros(n))
        if w.shape != (n, n):
            raise self._error(str(layer.recurrence), f"its weight has shape {w.shape}, and {layer.neurons} {n} neurons")
        alpha, gain = self._leak(layer.neurons, n)
        threshold = self._alike(layer.neurons, "v_threshold", n)
        if threshold <= 0:
            raise self._error(layer.neurons, f"v_threshold is {threshold:g}; it is positive here")
        self._require_zero(layer.neurons, "v_reset", n)
        cell = {
            "name": "lif",
            "units": n,
            "decay": alpha,
            "threshold": threshold,
            "reset": self._reset,
            "time_step": f"{self._step!r} s",
        }
        limit = 1 if last else 2
        if len(onward) > limit:
            raise self._error(onward[limit], f"there are at most {limit} maps behind the neurons of {layer.neurons}")
        v, c = self._map(onward[0]) if onward else (np.eye(n), np.zeros(n))
        if v.shape[1] != n:
            raise self._error(onward[0], f"it takes {v.shape[1]} wires, and gets {n}")
        if layer.trace is not None:
            cell["readout_decay"], share = self._leak(layer.trace, n)
            v = v * share
        column = gain[:, None]
        bias = b + more if layer.recurrence and self._type(layer.recurrence) == "Affine" else b
        parameters = {"W": w * column, "U": u * column, "b": bias * gain, "V1": v, "V1 b": c}
        return parameters, {"cell": cell} | ({} if last else {"readout": {"width": len(c)}}), len(c)

    def _map(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases."""
        node = self._nodes[name]
        weight = self._numbers(name, "weight")
        if weight.ndim != 2:
            raise self._error(name, f"its weight has shape {weight.shape}; it is (outputs, inputs) here")
        if self._type(name) == "Linear":
            return weight, np.zeros(len(weight))
        if np.shape(node.bias) not in ((), (1,), (len(weight),)):
            raise self._error(name, f"its bias has shape {np.shape(node.bias)}, and its weight {weight.shape}")
        return weight, np.broadcast_to(self._numbers(name, "bias"), len(weight)).copy()

    def _leak(self, name: str, n: int) -> tuple[float, np.ndarray]:
        """What neurons keep in a step, and the factor on their input, for each."""
        tau = self._alike(name, "tau", n)
        self._require_zero(name, "v_leak", n)
        if tau <= 0 or (self._method == "euler" and tau < self._step):
            least = "0" if self._method == "exact" else f"the step, {self._step} s"
            raise self._error(name, f"tau is {tau:g} s, which has to be above {least}")
        if self._method == "euler":
            kept, unit = 1 - self._step / tau, tau / self._step
        else:
            kept = exp(-self._step / tau)
            unit = 1 / (1 - kept)
        return kept, self._each(name, "r", n) / unit

    def _alike(self, name: str, key: str, n: int) -> float:
        """A number that all neurons of a node share."""
        values = self._each(name, key, n)
        if (values != values[0]).any():
            raise self._error(name, f"{key} is from {values.min():g} to {values.max():g}; neurons of a layer share it")
        return float(values[0])

    def _require_zero(self, name: str, key: str, n: int) -> None:
        values = self._each(name, key, n)
        if values.any():
            raise self._error(name, f"{key} is {values[values != 0][0]:g} for some neurons; it is 0 here")

    def _each(self, name: str, key: str, n: int) -> np.ndarray:
        """A number for each neuron; one for all is spread."""
        values = self._numbers(name, key)
        if values.shape not in ((), (1,), (n,)):
            raise self._error(name, f"{key} has shape {values.shape}, and there are {n} neurons")
        return np.broadcast_to(values, n)

    def _numbers(self, name: str, key: str) -> np.ndarray:
        values = np.asarray(getattr(self._nodes[name], key))
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise self._error(name, f"{key} has values that are no finite real numbers")
        return values.astype(float)

    def _width(self, name: str, key: str, port: str) -> int:
        shape = np.atleast_1d(np.asarray(getattr(self._nodes[name], key)[port]))
        if shape.size != 1:
            raise self._error(name, f"its shape is {tuple(shape.tolist())}; signals are vectors here")
        return int(shape[0])

    def _one(self, kind: str) -> str:
        found = [name for name in self._nodes if self._type(name) == kind]
        if len(found) != 1:
            raise ConfigError(f"{self._where}: the graph has {len(found)} nodes of type {kind}; it has one here")
        return found[0]

    def _type(self, name: str) -> str:
        return type(self._nodes[name]).__name__

    def _error(self, name: str, text: str) -> ConfigError:
        return ConfigError(f"{self._where}: node {name!r} of type {self._type(name)}: {text}")


# ---- the package -------------------------------------------------------------------------------------------------


def _package() -> Any:
    try:
        import nir
    except ImportError:
        raise CapabilityError("NIR needs the package nir: pip install 'hwsim[nir]'") from None
    return nir


def _opened(file: str | Path) -> Any:
    package = _package()
    try:
        return package.read(str(file), type_check=False)
    except (OSError, KeyError, ValueError, AssertionError, TypeError) as error:
        raise ConfigError(f"{file} is no file of NIR ({error})") from None
