"""NeuroBench's metrics of the network of an experiment, counted on the ideal machine while it goes through the test.

Yik et al., "The neurobench framework for benchmarking neuromorphic computing algorithms and systems", Nature
Communications 16:1545, 2025; the formulas are those of the package, version 2.3.0. An error is never a number here:
what cannot be counted is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from hwsim import machines, tasks
from hwsim.config import experiment as config
from hwsim.config.experiment import Experiment
from hwsim.episode import Episode
from hwsim.errors import CapabilityError, ConfigError
from hwsim.experiments.one_thread import one_thread
from hwsim.experiments.run import RunProgress
from hwsim.experiments.system import TEST_BATCH, System
from hwsim.machine import Machine, Matrix, Signal, SparseMatrix
from hwsim.machines.ideal import IdealMachine
from hwsim.networks import Network
from hwsim.operations import Held, Operation, fire, membrane, relu, tanh
from hwsim.results.neurobench import Activations, Connections, NeuroBench
from hwsim.tasks.dataset import chunks

COUNTED = ("alif", "leaky_tanh", "lif")
"""Cells whose products with matrices are all that NeuroBench would count of them."""

_ACTIVATIONS = tanh, relu, fire
"""What makes the outputs of neurons."""


@one_thread()
def neurobench(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    *,
    trained: bool = True,
    batch: int = TEST_BATCH,
    element_size: int = 4,
    data: str | Path | None = None,
    progress: RunProgress = lambda system, what, done, total: None,
) -> NeuroBench:
    """NeuroBench's metrics of the network of an experiment, at its test inputs, on the ideal machine.

    The network learns on the ideal machine first, by the rule and the training of the file.

    Args:
        experiment: a YAML file, a mapping with the same keys, or what was loaded from either.
        trained: whether it learns; otherwise weights keep their initial values.
        batch: test sequences in one call. A call with a value that is not -1, 0 or 1 makes MACs, any other ACs, so
            that counts of both may depend on it.
        element_size: bytes of one parameter, for the footprint: 4 for float32, as in PyTorch.
        data: the folder with the data sets that are not shipped.

    Raises:
        CapabilityError: the network has a cell that NeuroBench has no count for, or a value is not finite.
        HwsimError: the file is invalid, or the data is missing.
    """
    asked = experiment if isinstance(experiment, Experiment) else config.load(experiment)
    for key, value in (("batch", batch), ("element_size", element_size)):
        if value < 1:
            raise ConfigError(f"{key} ({value}): must be at least 1")
    _require_counted(asked)
    changes: dict[str, Any] = {"references": [], "gradient_check": None}
    asked = asked.model_copy(update=changes if trained else {**changes, "training": None})
    dataset = tasks.build(asked.task, asked.seed, None if data is None else Path(data))
    options = asked.systems()[asked.called].model_copy(update={"machine": _IDEAL, "chips": 1})
    system = Observed(asked, asked.called, options, dataset, {})
    system.run(lambda what, done, total: progress(asked.called, what, done, total))
    counts = system.observe(batch)
    score = system.outcome.score
    return NeuroBench(
        name=asked.name,
        updates=system.updates,
        samples=system.dataset.test.batch,
        steps=system.dataset.test.steps,
        batch=min(batch, system.dataset.test.batch),
        parameter_count=parameter_count(system.network),
        element_size=element_size,
        connections=counts.connections(),
        activations=counts.activations(),
        updated=counts.updated,
        accuracy=None if score is None or score.accuracy is None else float(score.accuracy[0]),
        loss=None if score is None else float(score.loss[0]),
    )


def _require_counted(experiment: Experiment) -> None:
    for number, layer in enumerate(experiment.network.layers):
        name = layer.cell.name
        if name not in COUNTED:
            raise CapabilityError(
                f"network.layers.{number}.cell: {name} does more than products with matrices, and NeuroBench has no "
                f"count for it; its metrics are found for {', '.join(COUNTED)}"
            )


def parameter_count(network: Network) -> int:
    """Number of parameters; a sparse matrix has those of the dense one that a `torch.nn.Linear` would hold."""
    total = 0
    for trainable in network.trainables:
        holder = trainable.holder
        shape = (holder.shape[0], holder.shape[-1]) if isinstance(holder, SparseMatrix) else trainable.shape
        total += prod(shape)
    return total


# ---- a system whose test is observed -------------------------------------------------------------------------------

_IDEAL = machines.MACHINES["ideal"].Options(kind="ideal", name="ideal")


class Observed(System):
    """A system on an ideal machine that shows its operations to what counts them."""

    def _stage(self, chips: int, strict: bool) -> Machine:
        return ObservedMachine(_IDEAL, chips=chips, seed=self.experiment.seed, strict=strict, numerics=self.numerics)

    def observe(self, batch: int) -> Counts:
        """Go through the test, `batch` sequences at a time, at the weights that the rule is tested at."""
        with self._at_test_weights(learned=self.updates > 0):
            return observed(self.network, self.dataset.test, batch)


def observed(network: Network, episode: Episode, batch: int) -> Counts:
    """What is counted while a network on an `ObservedMachine` goes through sequences, `batch` at a time.

    Raises:
        CapabilityError: a value is not finite.
    """
    counts, machine = Counts(network), network.machine
    assert isinstance(machine, ObservedMachine), "it shows what it does"
    machine.counts = counts
    try:
        for part in chunks(episode, batch):
            counts.begin()
            with machine.showing(part):  # without a routine: no step is carried out from the records of another
                network.infer()
    finally:
        machine.counts = None
    return counts


class ObservedMachine(IdealMachine):
    """An ideal machine that shows products, outputs of neurons and membranes to what counts them."""

    counts: Counts | None = None

    def apply(self, operation: Held, holder: Any, x: Signal) -> Signal:
        if self.counts is not None and isinstance(holder, Matrix):
            self.counts.product(holder, self.see(x))
        return super().apply(operation, holder, x)

    def one(self, operation: Operation, x: Signal, constant: float | None = None) -> Signal:
        result = super().one(operation, x, constant)
        self._show(operation, result)
        return result

    def carry_out(self, operation: Operation, *operands: Any) -> Any:
        result = super().carry_out(operation, *operands)
        self._show(operation, result, operands)
        return result

    def _show(self, operation: Operation, result: Any, operands: tuple[Any, ...] = ()) -> None:
        if self.counts is None:
            return
        if operation in _ACTIVATIONS:
            self.counts.activation(f"{self.layer} {operation.name}", self.see(result))
        elif operation is membrane:
            self.counts.membrane(self.layer, self.see(result)[..., : operands[1].width])

    def end_step(self, settled: list[Any]) -> None:
        super().end_step(settled)
        if self.counts is not None:
            self.counts.end_step()


class Counts:
    """Counts of one network, in whole numbers.

    Attributes:
        updated: membranes that a step changed; the first step of a sequence changes all.
    """

    def __init__(self, network: Network) -> None:
        self.updated = 0
        self._matrices = {unit.name: unit for unit in network.machine.units if isinstance(unit, Matrix)}
        self._weighty = {name: _nonzero(matrix) for name, matrix in self._matrices.items()}
        self._products = {name: [0, 0, 0] for name in self._matrices}  # MACs, ACs, all
        self._outputs: dict[str, list[int]] = {}
        self._spikes: dict[str, np.ndarray] = {}
        self._membranes: dict[str, np.ndarray] = {}

    def begin(self) -> None:
        """A batch of sequences begins, from rest."""
        self._membranes.clear()

    def product(self, matrix: Matrix, x: np.ndarray) -> None:
        """A call: the vectors `(1, batch, columns)` that a matrix is multiplied with."""
        _require_finite(matrix.name, "gets", x)
        weighty, counts = self._weighty[matrix.name], self._products[matrix.name]
        effective = int((x != 0).reshape(-1, x.shape[-1]).sum(0) @ weighty.sum(0))
        counts[1 if np.isin(x, (-1, 0, 1)).all() else 0] += effective
        counts[2] += weighty.size * (x.size // x.shape[-1])

    def activation(self, name: str, values: np.ndarray) -> None:
        """Outputs of neurons. A step finds the spikes of the step before once more; its own ones come last."""
        _require_finite(name, "makes", values)
        if name.endswith(fire.name):
            self._spikes[name] = values
        else:
            self._output(name, values)

    def membrane(self, layer: str, values: np.ndarray) -> None:
        """The membranes of a layer behind the step."""
        _require_finite(layer, "has membranes with", values)
        before = self._membranes.get(layer)
        self.updated += values.size if before is None else int((values != before).sum())
        self._membranes[layer] = values.copy()

    def end_step(self) -> None:
        """The step is over."""
        for name, values in self._spikes.items():
            self._output(name, values)
        self._spikes.clear()

    def _output(self, name: str, values: np.ndarray) -> None:
        counts = self._outputs.setdefault(name, [0, 0])
        counts[0] += values.size
        counts[1] += int((values == 0).sum())

    def connections(self) -> list[Connections]:
        """Of each matrix."""
        return [
            Connections(name, self._matrices[name].trainable.group, weighty.size, int((~weighty).sum()), *counts)
            for (name, weighty), counts in zip(self._weighty.items(), self._products.values(), strict=True)
        ]

    def activations(self) -> list[Activations]:
        """Of each layer."""
        return [Activations(name, *counts) for name, counts in self._outputs.items()]


def _nonzero(matrix: Matrix) -> np.ndarray:
    """Which entries of a matrix are not zero, `(rows, columns)`; a sparse one has none where it has no connection."""
    _require_finite(matrix.name, "holds", matrix.weights)
    weights = matrix.weights[0] != 0
    if not isinstance(matrix, SparseMatrix):
        return np.asarray(weights)
    found = np.zeros((len(weights), matrix.shape[-1]), bool)
    np.put_along_axis(found, np.array(matrix.connections), weights, 1)
    return found


def _require_finite(name: str, does: str, values: np.ndarray) -> None:
    """Refuse to count what is not a number.

    Raises:
        CapabilityError: a value is infinite or undefined.
    """
    if not np.isfinite(values).all():
        raise CapabilityError(f"{name} {does} values that are not finite, so there is nothing to count")
