"""NeuroBench's metrics of a network, under their own names, with the counts of each layer that they are made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple


class Connections(NamedTuple):
    """A matrix, and the synaptic operations of its products with all test inputs.

    Attributes:
        name: such as `"layer 1 U"`.
        group: `"input"`, `"recurrent"` or `"readout"`.
        weights, zeros: its entries, and those that are zero.
        macs: products of a weight and a value that are both not zero, in calls whose values are not all -1, 0 or 1.
        acs: the same in all other calls.
        dense: all products, with those that are zero.
    """

    name: str
    group: str
    weights: int
    zeros: int
    macs: int
    acs: int
    dense: int


class Activations(NamedTuple):
    """The outputs of the neurons of a layer, over all test inputs and steps.

    Attributes:
        name: the layer, and what makes them, such as `"layer 1 fire"`.
        values, zeros: all of them, and those that are zero.
    """

    name: str
    values: int
    zeros: int


@dataclass(frozen=True)
class NeuroBench:
    """NeuroBench's metrics of a network at test inputs (Yik et al., Nature Communications 16:1545, 2025).

    The formulas are those of the package, version 2.3.0, for the network with a `torch.nn.Linear` for each matrix.

    Attributes:
        name: of the experiment.
        updates: of training, before the metrics were taken.
        samples, steps: test sequences, and steps of each.
        batch: sequences in one call. Whether a call makes MACs or ACs depends on all values in it.
        parameter_count: number of parameters.
        element_size: bytes of one parameter.
        connections, activations: counts of each matrix, and of the outputs of each layer.
        updated: membranes that a step changed, over all samples; the first step of a sequence counts all of them.
        accuracy, loss: of the same network on the same test; None where they are not known.
    """

    name: str
    updates: int
    samples: int
    steps: int
    batch: int
    parameter_count: int
    element_size: int
    connections: Sequence[Connections]
    activations: Sequence[Activations]
    updated: int
    accuracy: float | None = None
    loss: float | None = None

    @property
    def footprint(self) -> int:
        """Bytes of all parameters. Constants of neurons are no buffers here; see the documentation."""
        return self.parameter_count * self.element_size

    @property
    def connection_sparsity(self) -> float:
        """The share of weights that are zero, without biases, rounded to 4 decimals."""
        return round(sum(each.zeros for each in self.connections) / sum(each.weights for each in self.connections), 4)

    @property
    def activation_sparsity(self) -> float:
        """The share of outputs of neurons that are zero."""
        return sum(each.zeros for each in self.activations) / sum(each.values for each in self.activations)

    @property
    def synaptic_operations(self) -> dict[str, float]:
        """Effective multiply-accumulates, effective accumulates, and all products, per sample."""
        return {
            "Effective_MACs": sum(each.macs for each in self.connections) / self.samples,
            "Effective_ACs": sum(each.acs for each in self.connections) / self.samples,
            "Dense": sum(each.dense for each in self.connections) / self.samples,
        }

    @property
    def membrane_updates(self) -> float:
        """Membranes that a step changed, per sample; the first step changes all. 0 without spiking neurons."""
        return self.updated / self.samples

    @property
    def metrics(self) -> dict[str, Any]:
        """All metrics, by the names of NeuroBench's classes."""
        return {
            "ParameterCount": self.parameter_count,
            "Footprint": self.footprint,
            "ConnectionSparsity": self.connection_sparsity,
            "ActivationSparsity": self.activation_sparsity,
            "SynapticOperations": self.synaptic_operations,
            "MembraneUpdates": self.membrane_updates,
        }

    def text(self) -> str:
        """All metrics and counts as JSON."""
        counted = {
            "connections": [each._asdict() for each in self.connections],
            "activations": [each._asdict() for each in self.activations],
        }
        known = ("name", "updates", "samples", "steps", "batch", "element_size", "accuracy", "loss")
        heading = {key: getattr(self, key) for key in known}
        return json.dumps({**heading, "metrics": self.metrics, **counted}, indent=2, allow_nan=False) + "\n"
