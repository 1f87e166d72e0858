"""`summary.json`: the results of each system of a run or an estimate.

The documentation of run folders is made from the descriptions.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SCHEMA_VERSION = 6
"""Version of the format of run folders. Folders of version 1 do not state it."""


def plain(value: Any) -> Any:
    """The same data with None for numbers that are not finite, which JSON does not have."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


Number = int | float
"""A number of JSON, which is always finite."""
Known = Annotated[Number | None, BeforeValidator(plain)]
"""A number; None if it is unknown or not finite."""
Range = tuple[Known, Known] | None
EnergyRange = Annotated[Range, Field(description="Lowest and highest value, from the ranges of the constants.")]


class SummaryPart(BaseModel):
    """A part of a summary: immutable, with the described keys and no others.

    Keys with a default are optional; absent keys are not written.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """The part as JSON data, with the keys that were given."""
        return self.model_dump(mode="json", exclude_unset=True)


class Uncertainty(SummaryPart):
    """A mean and its 95 % interval, for this seed: what other test sequences and other chips would have given."""

    mean: Number = Field(description="The mean over chips.")
    low: Number = Field(description="Low end of the interval, by test sequences and chips together.")
    high: Number = Field(description="High end.")
    over_sequences: tuple[Number, Number] | None = Field(
        description="The interval by test sequences alone; null for losses."
    )
    over_chips: tuple[Number, Number] | None = Field(
        description="The interval by chips alone (Student's t); null for a single chip."
    )


class SystemDifference(Uncertainty):
    """The difference first − second of two systems, with the same test sequences and, if both are analog, chips."""

    quantity: str = Field(description="`accuracy`; `loss` where there are no classes.")
    first: str = Field(description="Name of a system.")
    second: str = Field(description="Name of the other system.")


class Spread(SummaryPart):
    """A quantity on the test set, over the chips."""

    median: Known = Field(
        description="Median over the chips that have a number; null if none has. Read it together with `non_finite`."
    )
    per_chip: list[Known] = Field(
        description="The value of each chip. Null if an answer of the chip, or its loss, is not finite; an answer is "
        "an output at a step that carries a loss."
    )
    non_finite: int = Field(description="Number of chips with null.")
    uncertainty: Uncertainty | None = Field(
        None, description="The mean of an accuracy and its interval; absent for losses, and if a chip is not finite."
    )


class ConstantAnswer(SummaryPart):
    """The best answer to the test that is always the same: what a network has that has learned nothing of its input.

    It knows the targets of the test, so that it is the highest bar of its kind.
    """

    accuracy: Number | None = Field(description="Share of the most frequent class; null where there are no classes.")
    loss: Number = Field(
        description="Least loss of any constant output: the entropy of the classes, or half the variance of the values."
    )


class AveragedAnswer(SummaryPart):
    """What classifiers without memory make of inputs averaged over time, fitted to the training set in closed form."""

    accuracy: Number = Field(description="Accuracy of a linear map of the averages.")
    features: int = Field(description="Number of random features tanh(A x + a) of the averages.")
    features_accuracy: Number = Field(description="Accuracy of a linear map of these, the median over `seeds`.")
    seeds: list[int] = Field(description="Seeds of the random features; that of the experiment has no part in it.")


class ReachedTarget(SummaryPart):
    """What it took to reach the target: the state at the first test in which the median over chips was as high."""

    updates: int = Field(description="Number of updates until then.")
    updates_before: int | None = Field(
        description="Number of updates at the test before, which was below the target; null if there is none."
    )
    energy_j: Known = Field(description="Energy of programming and training, without tests; null if it is unknown.")
    time_s: Known = Field(description="Hardware time of programming and training; null if it is unknown.")
    writes_per_device: Known = Field(
        description="Writes per device, with the first programming, median over chips; null without devices."
    )
    chips: int = Field(description="Number of chips that reached the target by themselves, then or at another test.")


class Alignment(SummaryPart):
    """A gradient compared with an exact one."""

    cosine: Known = Field(
        description="Cosine of the angle between the two gradients, median over the chips that have one. Null if "
        "none has: it is not finite, or a gradient is all zero."
    )
    relative_error: Known = Field(
        description="Relative error of the gradient, median over the chips that have one; 1 for an all-zero gradient."
    )
    per_chip: list[Known] = Field(description="The cosine of each chip.")
    relative_error_per_chip: list[Known] = Field(description="The relative error of each chip.")
    non_finite: int = Field(
        description="Number of chips whose gradient is not finite; they have null in both lists, and are in no median."
    )


class Against(SummaryPart):
    """A gradient compared with three exact ones; the differences show the errors of programming, of the dynamics and
    of the rule."""

    target: Alignment = Field(description="Compared with exact BPTT at the target weights.")
    programmed: Alignment = Field(description="Compared with exact BPTT at the programmed weights.")
    recorded: Alignment = Field(
        description="Compared with exact BPTT at the programmed weights, along the states that the chip recorded. "
        "A rule with several passes records the last one; noise makes them differ."
    )


class Groups(SummaryPart):
    """The gradient by group of parameters."""

    recurrent: Against = Field(description="Recurrent parameters.")
    input: Against = Field(description="Input parameters.")
    readout: Against = Field(description="Readout parameters.")
    all: Against = Field(description="All of them together.")


class GradientCheck(Groups):
    """How the rule's gradient at the initial weights compares with exact BPTT."""

    by_layer: dict[str, Groups] = Field(description="The groups of each layer.")


class TrainedCheck(GradientCheck):
    """How the rule's gradient compares with exact BPTT in training; targets are those of each chip."""

    updates: int = Field(description="Number of updates before it.")
    beyond_range: dict[str, Number] = Field(
        description="Share of each matrix's target weights beyond the largest that devices hold; empty without devices."
    )


class InitialHorizon(SummaryPart):
    """How many steps errors can be carried forward, at the weights of the first chip whose weights are finite.

    Null means infinite here.
    """

    steps: int = Field(
        description="Steps over which the rule carries errors: all of a sequence, or as many as it says."
    )
    rate: Known = Field(
        description="ln(1/|λ|) of the mode that forgets fastest, or the mean logarithmic shrinkage of a dense "
        "Jacobian; null if a mode is forgotten within one step."
    )
    fresh: Known = Field(description="Relative fresh error of one step: drawn at each use.")
    frozen: Known = Field(description="Relative frozen error of one step: the same in all steps.")
    tolerance: Number = Field(description="Accepted relative error at the end of a sequence.")
    drift: Known = Field(
        0.0,
        description="Relative frozen error of the rate, of cells in continuous time: mismatch of integrators, and the "
        "first order of Euler's method.",
    )
    fresh_error: Known = Field(description="Relative error from fresh errors after `steps` steps.")
    frozen_error: Known = Field(description="Relative error from frozen errors after `steps` steps.")
    fresh_steps: Known = Field(
        description="Largest number of steps within `tolerance` with fresh errors; null if there is no limit."
    )
    frozen_steps: Known = Field(
        description="Largest number of steps within `tolerance` with frozen errors; null if there is no limit."
    )
    fits: bool = Field(description="Whether `steps` is within both.")


class HorizonSummary(InitialHorizon):
    """The horizon at the last weights, the error measured there, and the horizon at the initial weights."""

    end_residual: dict[str, Known] = Field(
        description="Relative error of the errors at the end of a sequence, measured in the last training step, by "
        "layer; null if it is too large for a number."
    )
    at_start: InitialHorizon | None = Field(
        description="The horizon at the initial weights; null if they, or the exact errors there, are not finite."
    )


class InitialDiagnostic(SummaryPart):
    """A quantity that the rule reports of itself, or that is found of the network, at the initial weights."""

    name: str = Field(description="Name of the quantity in tables.")
    unit: str = Field(description="Unit, such as `steps`; empty for a share.")
    description: str = Field(description="What the quantity is.")
    value: Known | dict[str, Known] = Field(
        description="The value, or one value per layer or chip, by its name; null if it is too large for a number."
    )
    words: str | None = Field(description="The value in words, if there is more to say than the number; else null.")
    verdict: str | None = Field(
        description="What the value means, a sentence without its full stop; null if the rule does not say."
    )
    good: bool | None = Field(description="Whether the value is good; null if it is neither good nor bad.")


class DiagnosticSummary(InitialDiagnostic):
    """A quantity that the rule reports of itself, or that is found of the network, at the last test and the first."""

    at_start: InitialDiagnostic | None = Field(
        description="The quantity at the initial weights; null if the rule did not report it there."
    )


class Contribution(SummaryPart):
    """The contribution of one constant to the energy of a training step."""

    energy_j: Known = Field(description="Energy in joules; null if it is not finite.")
    low_j: Known = Field(description="Energy with the constant at the low end of its range.")
    high_j: Known = Field(description="Energy with the constant at the high end of its range.")
    assumed: bool = Field(description="Whether the constant is assumed.")


class ConstantOrigin(SummaryPart):
    """What the documents say of one constant, as far as they say it."""

    value: str = Field(description="Value with its unit, before the constant is scaled to another node.")
    low: str | None = Field(description="Lowest value in the sources; null without a range.")
    high: str | None = Field(description="Highest value in the sources; null without a range.")
    source: str | None = Field(
        description="Key of the source, perhaps with a remark after a comma; null for an assumed constant."
    )
    citation: str | None = Field(description="Text of the source; null for an assumed constant.")
    assumed: str | None = Field(description="Why the value was chosen without a source.")


class Energy(SummaryPart):
    """Energies in joules; means over chips where they depend on values.

    An energy is null if a constant has no value, or if the energy is not finite.

    The breakdowns are of one training step in the middle of training, for its whole batch.
    """

    inference_j_per_sequence: Known = Field(description="Inference, per sequence of the last test.")
    gradient_j_per_sequence: Known = Field(description="The gradient, per sequence.")
    training_step_j: Known = Field(description="One training step, for its whole batch.")
    sequences: int | None = Field(
        None,
        description="Sequences of that step; null if no step was recorded, absent from folders of earlier programs.",
    )
    run_j: Known = Field(description="The whole run, with tests and the first programming.")
    inference_range_j_per_sequence: EnergyRange
    gradient_range_j_per_sequence: EnergyRange
    training_step_range_j: EnergyRange
    run_range_j: EnergyRange
    by_purpose: dict[str, Known] = Field(description="The training step, by purpose.")
    by_unit: dict[str, Known] = Field(description="The training step, by unit.")
    by_constant: dict[str, Contribution] = Field(
        description="The training step, by constant or product of constants, `A × B²`; the largest first. Names are "
        "dotted keys of the experiment, which `--set` takes; static memories have a number of CACTI's table as well."
    )
    constants: dict[str, ConstantOrigin] = Field(
        {},
        description="The constants in these names and in those of `energy.csv`, by dotted key; absent from folders "
        "of earlier programs.",
    )
    assumed_fraction: Known = Field(description="Share of the training step that depends on assumed constants.")
    operations: dict[str, Number] = Field(description="Counts of elementary operations in the training step.")
    why_null: str | None = Field(None, description="Why there is no energy; present only if a constant has no value.")
    expected_fraction: Known = Field(
        None,
        description="Share of the training step that depends on expected statistics of values; present only in "
        "estimates.",
    )


class Memory(SummaryPart):
    """Memory at its peak, for one sequence."""

    peak_bytes: int = Field(description="Bytes in total.")
    peak_by_class: dict[str, int] = Field(description="Bytes by class.")
    most_by_class: dict[str, int] = Field({}, description="The most bytes of each class, each at its own peak.")
    devices: int = Field(description="Number of memory devices.")


class GradientWork(SummaryPart):
    """What the gradient of one sequence takes, in counts, whatever carries it out."""

    operations: Number = Field(description="Elementary operations, such as multiply-accumulates and additions.")
    accesses: Number = Field(
        description="Values read from registers, tapes, queues, delay lines, sums and kept inputs, and written to them."
    )


class Time(SummaryPart):
    """Hardware time of the training step; all keys are absent if no step was recorded."""

    hardware_step_s: Known = Field(None, description="Seconds from one step to the next.")
    sequence_s: Known = Field(
        None, description="Seconds per sequence, over all passes; sequences that run together share the time."
    )
    training_step_s: Known = Field(None, description="Seconds of the whole batch.")
    passes: Known = Field(None, description="Number of times that each step of a sequence was carried out.")
    utilisation: dict[str, Number] | None = Field(
        None, description="Share of a sequence's time in which each unit and each memory works."
    )


class Efficiency(SummaryPart):
    """Efficiency of the matrix products of a training step. [The model](model.md#area) says what an area includes."""

    energy_per_mac_j: Known = Field(
        description="Energy of matrix products, with the conversions of a chip, per multiply-accumulate of the "
        "matrices."
    )
    tops_per_w: Known = Field(description="Tera-operations per joule; a multiply-accumulate is two operations.")
    converter_share: Known = Field(description="Share of that energy that converters draw.")
    tile_fill: Known = Field(
        description="Share of all weights of the tiles in use that matrices fill; null without tiles."
    )
    mean_power_w: Known = Field(description="Mean power of the training step, in watts.")
    area_m2: Known = Field(
        description="Area of the machine; null if a part has no source, which `area_why_null` names."
    )
    area_by_part_m2: dict[str, Known] = Field(description="Area of each part that has a source.")
    area_why_null: str | None = Field(description="Why the whole area is unknown.")


class Lifetime(SummaryPart):
    """How long devices last: endurance / (writes per device and update × updates per second)."""

    cycles: Number = Field(description="Writes after which half of the devices are dead, by the data sheet.")
    updates_per_s: Known = Field(
        description="Updates per second: `training.update_rate`, or as fast as the hardware makes them."
    )
    writes_per_update: Number = Field(description="Writes per device in an update, the mean over devices and updates.")
    years: Known = Field(description="How long a device with that many writes lasts, in years of 365.25 days.")
    most_writes_per_update: Number = Field(
        0.0, description="The same of the device that was written most; absent from estimates."
    )
    least_years: Known = Field(None, description="How long that device lasts; absent from estimates.")


class Writes(SummaryPart):
    """Writes of devices on the median chip, with the first programming."""

    writes: Number = Field(description="Number of writes.")
    writes_per_device: Number = Field(description="Mean number of writes per device.")
    beyond_range: dict[str, Number] = Field(
        {},
        description="Share of each matrix's target weights beyond the largest that devices hold, at the end; absent "
        "from folders of earlier programs.",
    )
    faulty: Number = Field(
        0.0, description="Devices that do not work from the start; absent unless the data sheet has `faults`."
    )
    worn: Number = Field(0.0, description="Devices that died; absent unless the data sheet has `endurance`.")
    endurance: Lifetime | None = Field(
        None, description="How long devices last; absent unless the data sheet has `endurance`, and without training."
    )


class SaturationWindow(SummaryPart):
    """Clipping and saturation of analog signals in the updates from one test to the next, without tests."""

    updates: int = Field(description="Number of updates at its end.")
    dac_clip_rate: Number = Field(description="Share of values that digital-to-analog converters clip.")
    adc_clip_rate: Number = Field(description="Share of values that analog-to-digital converters clip.")
    saturation_rate: Number = Field(description="Share of analog values that saturate.")
    worst: dict[str, Number] = Field(description="The units with the largest share, and their shares.")


class SignalHealth(SummaryPart):
    """How well analog signals fit their ranges."""

    dac_clip_rate: Number = Field(description="Share of values that digital-to-analog converters clip at full scale.")
    adc_clip_rate: Number = Field(description="Share of values that analog-to-digital converters clip at full scale.")
    saturation_rate: Number = Field(description="Share of analog values that saturate.")
    late_rate: Number | None = Field(
        None,
        description="Share of solutions that were read before the inverse solver had settled; absent without one.",
    )
    effective_bits: dict[str, Known] = Field(description="Bits of an analog value that its noise leaves.")
    windows: list[SaturationWindow] = Field(
        [], description="The same in training, from test to test; absent from folders of earlier programs."
    )


class Diverged(SummaryPart):
    """Where learning first reached a value that is not finite."""

    updates: int = Field(description="Number of updates before it.")
    sweep: str | None = Field(None, description="The pass or phase; the place is present only if it was recorded.")
    step: int | None = Field(None, description="The step of the pass.")
    storage: str | None = Field(None, description="The storage that was not finite.")
    wire: int | None = Field(None, description="The wire of the storage.")
    chips: list[int] = Field(description="The chips on which learning diverged.")


class SpikingLayer(SummaryPart):
    """Spikes of one layer in an inference: means over test sequences and chips."""

    neurons: int = Field(description="Number of neurons.")
    spikes: Number = Field(description="Number of spikes.")
    rate: Number = Field(description="Spikes per neuron and step.")
    synaptic_operations: Number = Field(description="Synapses that these spikes meet.")
    membrane_updates: Number = Field(description="Neurons times steps.")


class OnEventCores(SummaryPart):
    """What an inference with the same spikes would take on an event-driven machine, the mean over the test.

    Each value of the input that is not zero is an event, and so is each output of a readout that goes on to a layer.
    """

    machine: str = Field(description="The name of the machine.")
    cores: int = Field(description="Number of cores that the network takes.")
    counts: dict[str, Number] = Field(description="Number of each event.")
    energy_j: Known = Field(description="Energy per inference; null if an event that occurs has none.")
    latency_s: Known = Field(description="Seconds per inference, the mean over the first sequences, of the first chip.")
    spikes_per_core: list[Number] = Field(
        description="Spikes of the neurons on each core, with outputs that go on to the next layer."
    )
    why_null: str | None = Field(None, description="Why there is no energy; present only then.")


class Spiking(SummaryPart):
    """Spikes in an inference, means over test sequences and chips, and what one takes on the machine itself.

    A synaptic operation is a spike that meets a synapse, of the recurrent weights or of the first map of the readout.
    Inputs and what readouts give to the next layer are no spikes of neurons, and are not among them.
    """

    spikes: Number = Field(description="Number of spikes.")
    synaptic_operations: Number = Field(description="Synapses that these spikes meet.")
    membrane_updates: Number = Field(description="Neurons times steps.")
    rate: Number = Field(description="Spikes per neuron and step.")
    input_values: Number = Field(description="Values of the input that are not zero.")
    input_operations: Number | None = Field(
        description="Synapses that these meet in the first layer; null if its units do not fire."
    )
    input_spikes: bool = Field(
        description="Whether inputs are spikes, whole numbers from 0 on; otherwise they are numbers, and their "
        "operations are multiply-accumulates."
    )
    energy_j: Known = Field(description="Energy per inference, that of `energy.inference_j_per_sequence`.")
    latency_s: Known = Field(description="Seconds from the first step of an inference to its last.")
    learning_step_j: Known = Field(description="Energy of one training step, for its whole batch; null without.")
    learning_step_s: Known = Field(description="Its seconds; null without training.")
    layers: dict[str, SpikingLayer] = Field(description="By layer.")
    on_event_cores: OnEventCores | None = Field(
        None, description="The same on the machine that `event_driven` names; absent without one."
    )


class AgedTest(SummaryPart):
    """A test of chips whose devices have drifted."""

    loss: Spread = Field(description="Loss on the test set.")
    accuracy: Spread | None = Field(description="Accuracy on the test set; null without classes.")
    energy_j: Known = Field(
        None,
        description="Energy of the test, with the two reads of all devices that its factors are made of, and with the "
        "multiplications by them; null if it is unknown. It is no part of `run_j`. Absent from folders of earlier "
        "programs.",
    )
    time_s: Known = Field(None, description="Hardware time of the same.")
    memory_bytes: Known = Field(
        None,
        description="Memory on each chip for its factors, and for the currents before the wait; absent unless "
        "compensated, and from folders of earlier programs.",
    )


class RepairedTest(AgedTest):
    """A test after learning has gone on, on devices that have drifted."""

    energy_j: Known = Field(description="Energy of its updates, without tests; null if it is unknown.")
    time_s: Known = Field(description="Hardware time of its updates.")


class Age(SummaryPart):
    """A system at one age of its devices."""

    after_s: Number = Field(description="Seconds since the devices were written.")
    conductance: Number = Field(
        description="What is left of the conductance of all devices together, as a share; the median over chips."
    )
    drifted: AgedTest = Field(description="With the devices as they are.")
    compensated: AgedTest | None = Field(
        None, description="With outputs multiplied by one factor for each matrix; absent unless `deploy` asks for it."
    )
    repaired: RepairedTest | None = Field(
        None, description="After some more updates, without these factors; absent unless `deploy` asks for it."
    )


class SystemSummary(SummaryPart):
    """One rule on one machine."""

    rule: str = Field(description="The learning rule.")
    machine: str = Field(description="The name of the machine.")
    analog: bool = Field(description="Whether the machine computes with analog units.")
    bound: str | None = Field(description="What the costs are a bound of; null if they are no bound.")
    chips: int = Field(description="Number of chips.")
    loss: Spread | None = Field(description="Loss on the test set; null without a test.")
    accuracy: Spread | None = Field(description="Accuracy on the test set; null without a test, or without classes.")
    measures: dict[str, Spread] = Field(
        {},
        description="What the literature of the task states of a test: `bits_per_character`, or `smape`; absent for "
        "other tasks.",
    )
    gradient: GradientCheck | None = Field(description="The gradient check; null if there was none.")
    trained: list[TrainedCheck] = Field(
        [], description="Gradient checks of the trained network; absent from folders of earlier programs."
    )
    horizon: HorizonSummary | None = Field(
        description="The [horizon](model.md#the-horizon). Null for rules without one, and if the last weights, or "
        "the exact errors at these weights, are not finite. The horizon at each test is in `metrics.csv`."
    )
    energy: Energy = Field(description="Energies.")
    memory: Memory = Field(description="Memory for one sequence.")
    work: GradientWork | None = Field(None, description="Counts of the gradient; null if no batch was recorded.")
    time: Time = Field(description="Time per sequence, and of the training step.")
    efficiency: Efficiency = Field(description="Efficiency of matrix products, power and area.")
    weights: Writes | None = Field(description="Writes of devices; null for machines that have none.")
    signal_health: SignalHealth | None = Field(
        description="Clipping and saturation of analog signals; null for machines without them, and in estimates."
    )
    spiking: Spiking | None = Field(
        None, description="Spikes in an inference; absent without a test, and if no unit fires."
    )
    reached: ReachedTarget | None = Field(
        None, description="What it took to reach the `target`; null if it was not reached, absent without one."
    )
    aged: list[Age] = Field(
        [], description="Tests after waits, in which devices drift; absent without `deploy`, and without devices."
    )
    diverged: Diverged | None = Field(description="Where learning diverged; null if it did not.")
    diagnostics: list[DiagnosticSummary] = Field(
        description="The quantities that the rule reports of itself, in its order, and the change of errors over time."
    )


class Summary(SummaryPart):
    """The results of a run or an estimate, by system."""

    schema_version: int = Field(description=f"Version of the format of run folders: {SCHEMA_VERSION}.")
    name: str = Field(description="Name of the experiment.")
    seed: int = Field(description="Seed of the experiment.")
    hwsim_version: str = Field(description="Version of hwsim that wrote the summary.")
    config_sha256: str = Field(description="Hash of the resolved experiment.")
    estimated: dict[str, Number] | None = Field(
        None, description="Expected statistics of the values that energy depends on; present only in estimates."
    )
    target: Number | None = Field(
        None,
        description="What systems are compared at: one point below the lowest of their best median accuracies; without "
        "classes, 1 % above the highest of their best median losses. Systems that are not finite are left out, and, "
        "unless all are such, those that are no better than the constant answer. Absent without training.",
    )
    constant: ConstantAnswer | None = Field(
        None, description="The best constant answer; absent without a test, and from folders of earlier programs."
    )
    averaged: AveragedAnswer | None = Field(
        None,
        description="What classifiers of inputs averaged over time give; present for tests of the tasks `csv`, "
        "`events`, `japanese_vowels` and `spoken_digits`.",
    )
    differences: list[SystemDifference] = Field(
        [],
        description="Each two systems compared in pairs; absent without a test. Systems with lost chips are left out.",
    )
    systems: dict[str, SystemSummary] = Field(
        description="The systems by name; the first is the substrate (`substrate`, or the value of `called`)."
    )

    def text(self) -> str:
        """The content of `summary.json`."""
        return json.dumps(self.plain(), indent=2, allow_nan=False) + "\n"
