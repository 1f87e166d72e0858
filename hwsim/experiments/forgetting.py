"""Inputs of the horizon: how fast a network forgets, and how large its exact errors are."""

from __future__ import annotations

from math import nan

import numpy as np

from hwsim.episode import Episode
from hwsim.learning import RULES
from hwsim.learning.bptt import BPTT
from hwsim.machine import Register, Workspace
from hwsim.networks import Network


def size_of_errors(network: Network, episode: Episode) -> float:
    """Root mean square of the exact errors, in the layer where they are smallest; noise is compared with it.

    NaN if the errors of a layer are not finite.
    """
    machine = network.machine
    squares: dict[str, list[float]] = {layer.name: [] for layer in network.layers}

    def look() -> None:
        for layer in network.layers:
            error = machine.storages.get(f"{layer.name} carried error")
            if error is not None:
                squares[layer.name].append(float(np.square(error.value).mean()))

    with machine.sequencer.watching(look), machine.showing(episode):
        BPTT(RULES["bptt"].Options(name="bptt")).gradients(network)
    sizes = np.sqrt([np.mean(of_layer) for of_layer in squares.values()])
    return float(sizes.min()) if np.isfinite(sizes).all() else nan


def fastest(rates: dict[str, np.ndarray]) -> float:
    """The largest of all rates, or NaN if one is undefined."""
    return float(np.max([each.max() for each in rates.values()])) if rates else nan


def rates(network: Network, episode: Episode) -> dict[str, np.ndarray]:
    """The Lyapunov exponents of each layer's recurrence, times -1, per step: ln(1/|λ|) for a diagonal recurrence.

    The product of Jacobians along each sequence is kept orthogonal by QR decompositions, whose diagonals give the rates
    (Benettin et al., Meccanica 15, 1980). The result is the mean over sequences, by mode or direction. It is infinite
    if a direction is forgotten within one step, and NaN if a Jacobian is not finite.
    """
    machine = network.machine
    logs: dict[str, np.ndarray] = {}
    products: list[Register] = []

    def orthogonalise() -> None:
        for register in products:
            value = register.value[0]
            if value.ndim == 2:  # diagonal: complex modes on pairs of wires
                step = np.log(np.abs(value[:, ::2] + 1j * value[:, 1::2]))
                register.value = register.initial
            else:
                q, r = np.linalg.qr(value.swapaxes(1, 2))
                step = np.log(np.abs(np.diagonal(r, axis1=1, axis2=2)))
                register.value = np.ascontiguousarray(q.swapaxes(1, 2))[None]
            logs[register.name] = logs.get(register.name, 0) + step

    watching = machine.sequencer.watching(orthogonalise)
    with np.errstate(divide="ignore"), watching, machine.showing(episode), machine.workspace() as workspace:
        products = [layer.cell.product(workspace, f"{layer.name} product") for layer in network.layers]
        extend(network, workspace, products)
    return {name.removesuffix(" product"): -log_.mean(0) / episode.steps for name, log_ in logs.items()}


def extend(network: Network, workspace: Workspace, products: list[Register]) -> None:
    """One pass over the episode that is shown: multiplies the product of each layer by the Jacobian of each step."""
    states = network.states(workspace)
    for step in network.machine.forward_pass("Jacobians"):
        _, seen = network.step(states, step)
        for layer, each, product in zip(network.layers, seen, products, strict=True):
            product.store(layer.cell.extend(product.load(), each.at))
