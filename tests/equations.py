"""Networks written from their equations, for automatic differentiation (HIPS autograd)."""

import autograd.numpy as anp
import numpy as np
from autograd import jacobian


def model(layers, parameters, inputs):
    """Outputs `(steps, n)` of a network for one sequence, written from the equations, complex numbers and all."""
    xs = list(inputs)
    for number, layer in enumerate(layers, 1):
        p = {
            name.removeprefix(f"layer {number} "): value
            for name, value in parameters.items()
            if f"layer {number} " in name
        }
        xs = [readout(layer.get("readout", {}), p, h) for h in states(layer["cell"], p, xs)]
    return xs


def leaks(cell):
    """The leak of a leaky tanh cell, a number or one per unit."""
    a = cell.get("leak", 1.0)
    return anp.repeat([g["value"] for g in a], [g["units"] for g in a]) if isinstance(a, list) else a


def states(cell, p, xs):
    """The states of a cell as real vectors."""
    if cell["name"] == "leaky_tanh":
        a, h = leaks(cell), anp.zeros(cell["units"])
        for x in xs:
            h = (1 - a) * h + a * anp.tanh(p["W"] @ h + p["U"] @ x + p["b"])
            yield h
        return
    if cell["name"] == "continuous_tanh":
        h = anp.zeros(cell["units"])
        for x in xs:
            h = integrated(cell, p, h, x)
            yield h
        return
    if cell["name"] in ("gru", "lstm"):
        width = cell["units"] * (2 if cell["name"] == "lstm" else 1)
        h = anp.zeros(width)
        for x in xs:
            h = gated(cell["name"], p, h, x)
            yield h[: cell["units"]]
        return
    if cell["name"] == "rev_gru":
        h = anp.zeros(2 * cell["units"])
        for x in xs:
            h = coupled(p, h, x)
            yield h
        return
    eigenvalues = anp.exp(-anp.exp(p["nu"]) + 1j * anp.exp(p["theta"]))
    h = anp.zeros(cell["modes"]) * 1j
    for x in xs:
        drive = p["B"] @ x + p["b"]
        h = eigenvalues * h + anp.exp(p["log gamma"]) * (drive[::2] + 1j * drive[1::2])
        yield anp.ravel(anp.stack([anp.real(h), anp.imag(h)], 1))


def integrated(cell, p, h, x):
    """A step of a continuous tanh cell, by Euler's method."""
    dt, step, tau = (float(cell[key].removesuffix(" ms")) for key in ("dt", "step", "tau"))
    for _ in range(round(step / dt)):
        h = h + dt / tau * (-h + anp.tanh(p["W"] @ h + p["U"] @ x + p["b"]))
    return h


def gated(name, p, h, x):
    """A step of a GRU (reset behind the product) or an LSTM, gate by gate."""
    n = p["W"].shape[1]
    W, U, b = (anp.split(p[kind], range(n, p["W"].shape[0], n)) for kind in ("W", "U", "b"))

    def sigmoid(v):
        return 1 / (1 + anp.exp(-v))

    if name == "gru":
        z, r = (sigmoid(W[k] @ h + U[k] @ x + b[k]) for k in (0, 1))
        c = anp.tanh(U[2] @ x + b[2] + r * (W[2] @ h))
        return (1 - z) * h + z * c
    h, c = h[:n], h[n:]
    i, f, o = (sigmoid(W[k] @ h + U[k] @ x + b[k]) for k in range(3))
    c = f * c + i * anp.tanh(W[3] @ h + U[3] @ x + b[3])
    return anp.concatenate([o * anp.tanh(c), c])


def coupled(p, h, x):
    """A step of a reversible GRU, half by half."""
    n = len(h) // 2
    halves = [h[:n], h[n:]]
    for this, other in (0, 1), (1, 0):
        W, U, b = (anp.split(p[f"{kind}{this + 1}"], 3) for kind in "WUb")
        z, r = (1 / (1 + anp.exp(-(W[k] @ halves[other] + U[k] @ x + b[k]))) for k in (0, 1))
        g = anp.tanh(U[2] @ x + b[2] + r * (W[2] @ halves[other]))
        halves[this] = z * halves[this] + (1 - z) * g
    return anp.concatenate(halves)


def readout(options, p, h):
    if options.get("project"):
        h = p["C"] @ h + p["C b"]
    if options.get("norm"):
        h = p["norm"] * (h - anp.mean(h)) / anp.sqrt(anp.var(h) + 1e-6) + p["norm b"]
    hidden = len(options.get("hidden", []))
    for number in range(1, hidden + 1):
        h = anp.maximum(p[f"V{number}"] @ h + p[f"V{number} b"], 0)
    return p[f"V{hidden + 1}"] @ h + p[f"V{hidden + 1} b"]


def step(cell, p, h, x):
    """One step of a cell with a real state."""
    if cell["name"] in ("gru", "lstm"):
        return gated(cell["name"], p, h, x)
    leak = cell.get("leak", 1.0)
    return (1 - leak) * h + leak * anp.tanh(p["W"] @ h + p["U"] @ x + p["b"])


class Path:
    """What a layer with a linear readout does to one sequence, for recursions that are written in NumPy.

    Attributes:
        p, inputs: parameters, and the input of each step.
        steps: J, F by parameter, ∂l/∂h, ∂l/∂y and h of each step; l is half the squared error.
    """

    def __init__(self, cell, p, inputs, targets):
        self.p, self.inputs = p, inputs
        names = [name for name in p if not name.startswith("V")]
        layer, visible = {name: p[name] for name in names}, p["V1"].shape[1]
        h, self.steps = np.zeros(visible * (2 if cell["name"] == "lstm" else 1)), []
        for x, target in zip(inputs, targets, strict=True):
            J = jacobian(lambda h, x=x: step(cell, layer, h, x))(h)
            F = {
                name: jacobian(lambda v, name=name, h=h, x=x: step(cell, {**layer, name: v}, h, x))(p[name])
                for name in names
            }
            h = step(cell, layer, h, x)
            error = p["V1"] @ h[:visible] + p["V1 b"] - target
            g = np.zeros_like(h)
            g[:visible] = p["V1"].T @ error
            self.steps.append((J, F, g, error, h))
