"""What circuits are expected to make of a readout's gradient: means and variances beside drawn noise, and beside the
gradients that a machine finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim.config import experiment as config
from hwsim.experiments.alignment import Sums
from hwsim.experiments.plan import Prospect
from hwsim.experiments.prospect import AUTO, Scales
from hwsim.experiments.readout_errors import Added, Along, Circuits
from hwsim.experiments.settling import network_on
from hwsim.networks.readout import Dense, Norm
from hwsim.operations import kernels

CIRCUITS = Circuits(
    product=Added(0.02),
    back=Added(0.01),
    compare=Added(0.005),
    summand=Added(0.03),
    error_summand=Added(0.002),
)
STATE_NOISE = 0.04


def along(
    readout: dict[str, Any], cell: dict[str, Any] | None = None, machine: Any = "ideal"
) -> tuple[Along, Prospect]:
    asked = {
        "name": "readouts",
        "seed": 3,
        "task": {"name": "random", "steps": 6, "width": 3, "outputs": 4, "train": 8, "test": 1},
        "network": {"layers": [{"cell": cell or {"name": "lru", "modes": 5, "r_min": 0.7}, "readout": readout}]},
        "learning": {"name": "one_step"},
        "machine": machine,
        "gradient_check": {"sequences": 8},
    }
    prospect = Prospect(config.load(asked), None)
    return prospect.sizes.signals["layer 1"].readout, prospect


@pytest.mark.parametrize(
    ("readout", "cell"),
    [
        ({}, None),
        ({"hidden": [7, 6]}, None),
        ({"project": 5, "norm": True, "hidden": [7]}, None),
        ({"hidden": [7]}, {"name": "lstm", "units": 5}),
    ],
    ids=["plain", "hidden", "norm", "visible"],
)
def test_without_noise_the_gradient_is_that_of_the_machine(readout: dict[str, Any], cell: dict[str, Any]) -> None:
    found, prospect = along(readout, cell)
    quiet = found.errors(0.0, Circuits(), hosted=False)
    power = prospect.sizes.gradient["layer 1", "readout"]
    assert quiet.sums == Sums(close(power), close(power), close(power))
    assert (quiet.shown, quiet.sent) == close((0.0, 0.0), abs=1e-12)


class Drawn:
    """A readout on circuits whose noise is drawn: means over draws.

    Attributes:
        gradient: of all parameters.
        square: of the gradient, in sum.
        output, output_square, sent, sent_square: signals, and their mean squares.
    """

    def __init__(self, found: Along, circuits: Circuits, state_noise: float, draws: int) -> None:
        self._rng, self._circuits = np.random.default_rng(1), circuits
        each = [self._once(found, state_noise) for _ in range(draws)]
        gradients, outputs, sent = (np.array(values) for values in zip(*each, strict=True))
        self.gradient, self.square = gradients.mean(0), float(np.square(gradients).sum(1).mean())
        self.output, self.output_square = outputs.mean(0), np.square(outputs).mean(0)
        self.sent, self.sent_square = sent.mean(0), np.square(sent).mean(0)

    def _noisy(self, x: np.ndarray, variance: float) -> np.ndarray:
        noisy: np.ndarray = x + np.sqrt(variance) * self._rng.normal(size=x.shape)
        return noisy

    def _once(self, found: Along, state_noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        noise, x, seen = self._circuits, self._noisy(found.state, state_noise), list[Any]()
        for block in found.readout.blocks:
            if isinstance(block, Dense):
                seen.append(x)
                W, b = (values(each) for each in block.trainables)
                x = self._noisy(x @ W.T + b, noise.product.fixed)
            elif isinstance(block, Norm):
                seen.append(kernels.standardise(x, block.epsilon))
                x = values(block.g.trainable) * seen[-1][0] + values(block.b.trainable)
            else:
                seen.append(self._noisy(x, noise.compare.fixed))
                x = np.maximum(seen[-1], 0)
        error, parts = found.error, list[np.ndarray]()
        for block, kept in reversed(list(zip(found.readout.blocks, seen, strict=True))):
            if isinstance(block, Dense):
                number, factor = (
                    self._noisy(each, added.fixed)
                    for each, added in ((error, noise.error_summand), (kept, noise.summand))
                )
                parts += [np.einsum("tbi,tbj->ij", number, factor).ravel(), number.sum((0, 1))]
                error = error @ values(block.W.trainable)
                continue
            error = self._noisy(error, noise.back.fixed)
            if isinstance(block, Norm):
                parts += [(error * kept[0]).sum((0, 1)), error.sum((0, 1))]
                error = kernels.standardise_error(values(block.g.trainable) * error, *kept)
            else:
                error = error * (kept > 0)
        return np.concatenate(parts), x, error


def values(trainable: Any) -> np.ndarray:
    held: np.ndarray = trainable.master.value[0].reshape(trainable.shape)
    return held


@pytest.mark.parametrize(
    ("readout", "share"),
    [
        ({}, 1),
        ({"hidden": [7]}, 1),
        ({"hidden": [7, 6]}, 1),
        ({"project": 5, "norm": {"epsilon": 1.0}, "hidden": [7]}, 0.1),
    ],
    ids=str,
)
def test_means_and_variances_are_those_of_drawn_noise(readout: dict[str, Any], share: float) -> None:
    """2000 draws tell them to 2 %. Wires count as independent, which they are not behind the first product; a norm is
    taken as linear, so it gets a tenth of the noise."""
    found, _ = along(readout)
    circuits = Circuits(*(Added(share * each.fixed) for each in CIRCUITS))
    expected = found.errors(share * STATE_NOISE, circuits, hosted=False)
    exact, noisy = Drawn(found, Circuits(), 0.0, 1), Drawn(found, circuits, share * STATE_NOISE, 2000)
    assert expected.sums.common == close(noisy.gradient @ exact.gradient, rel=0.05)
    assert expected.sums.mine == close(noisy.square, rel=0.08)
    assert expected.sums.exact == close(exact.square)
    off = noisy.output_square - 2 * noisy.output * exact.output + exact.output_square
    assert expected.shown == close(off.sum() / exact.output_square.sum(), rel=0.1)
    right = (noisy.sent * exact.sent).sum() ** 2 / exact.sent_square.sum()
    assert expected.sent == close(noisy.sent_square.sum() / right - 1, rel=0.15, abs=0.005)


def test_a_host_has_the_noise_of_the_state_alone() -> None:
    """Its outputs were shown by the chip, so that they have all noise."""
    found, _ = along({"hidden": [7]})
    on_chip, hosted = (found.errors(STATE_NOISE, CIRCUITS, hosted) for hosted in (False, True))
    silent = found.errors(STATE_NOISE, Circuits(), hosted=False)
    assert (hosted.sums, hosted.sent) == (silent.sums, silent.sent)
    assert hosted.shown == on_chip.shown > silent.shown
    assert silent.sums.cosine > on_chip.sums.cosine


@pytest.mark.parametrize("own", [False, True])
def test_circuits_have_the_noise_of_their_units_at_full_scale(own: bool) -> None:
    """Tiles have 0.2 % of it, adders and comparators 0.05 %, and converters 8 bits. It is 16 on the way forward and 4
    for errors, or what a chip chooses."""
    machine = {"like": "pcm_crossbar", "parts": {"ranges": "auto"}} if own else "pcm_crossbar"
    _, prospect = along({"hidden": [7]}, machine=machine)
    experiment, system = prospect.candidate({"name": "one_step"})
    network = network_on(experiment, system.machine, frozenset({"transposed"}), prospect.episode)
    found = Scales(prospect.machine).circuits(network.machine)
    forward, error = (AUTO, AUTO) if own else (16.0, 4.0)
    step = 2 / 254 / np.sqrt(12)
    variances = Circuits(
        *(
            Added(0.0, variance) if own else Added(variance)
            for variance in (
                forward**2 * (0.002**2 + 0.0005**2),
                (error * 0.002) ** 2,
                (forward * 0.0005) ** 2,
                (forward * step) ** 2,
                (error * step) ** 2,
            )
        )
    )
    assert np.array(found) == close(np.array(variances), abs=1e-12)
