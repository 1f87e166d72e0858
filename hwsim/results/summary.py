"""`summary.json`: what is known of each system of a run or an estimate.

The page on run folders is made from the descriptions.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SCHEMA_VERSION = 4
"""Of what stands in a run folder. Folders of version 1 do not say so."""


def plain(value: Any) -> Any:
    """The same with None for what is no number, which JSON does not have."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not isfinite(value):
        return None
    return value


Number = int | float
"""What JSON has of numbers; never infinite, or none."""
Known = Annotated[Number | None, BeforeValidator(plain)]
"""A number, or None where there is none, or where it is not finite."""
Range = tuple[Known, Known] | None


class Part(BaseModel):
    """A part of a summary: it does not change, has the keys that are described, and no other.

    Keys with a default may be lacking, and are not written then.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def plain(self) -> dict[str, Any]:
        """As JSON has it, with the keys that were given."""
        return self.model_dump(mode="json", exclude_unset=True)


class Spread(Part):
    """A quantity of the test set over the chips."""

    median: Known = Field(
        description="That of the chips that have a number; null if none has, so read it together with `non_finite`."
    )
    per_chip: list[Known] = Field(
        description="Of each chip. Null if an answer of the chip, or its loss, is not finite; an answer is an output "
        "at a step that carries a loss."
    )
    non_finite: int = Field(description="On how many chips it is null.")


class Alignment(Part):
    """How a gradient compares with an exact one."""

    cosine: Known = Field(
        description="Of the angle between them, median over the chips that have one. Null if none has: it is not "
        "finite, or one of the two is all zero."
    )
    relative_error: Known = Field(
        description="Of the gradient, median over the chips that have one; 1 for a gradient that is all zero."
    )
    per_chip: list[Known] = Field(description="The cosine of each chip.")
    relative_error_per_chip: list[Known] = Field(description="The relative error of each chip.")
    non_finite: int = Field(
        description="On how many chips the gradient is not finite; they have null in both, and are in no median."
    )


class Against(Part):
    """A gradient beside three exact ones; what lies between them is the error of programming, of the dynamics, and of
    the rule."""

    target: Alignment = Field(description="With exact BPTT at the target weights.")
    programmed: Alignment = Field(description="With exact BPTT at the weights that the devices were programmed to.")
    recorded: Alignment = Field(
        description="With exact BPTT at those, along the trajectory that the chip recorded. For rules of several "
        "passes that is the last one; the others differed by noise."
    )


class Groups(Part):
    """The gradient by groups of parameters."""

    recurrent: Against = Field(description="Recurrent parameters.")
    input: Against = Field(description="Input parameters.")
    readout: Against = Field(description="Readout parameters.")
    all: Against = Field(description="All of them together.")


class GradientCheck(Groups):
    """How the rule's gradient at the initial weights compares with exact BPTT."""

    by_layer: dict[str, Groups] = Field(description="The same for each layer.")


class InitialHorizon(Part):
    """How far errors can be carried forward, at the weights of the first chip whose weights are numbers.

    Null stands for infinity, and for nothing else.
    """

    steps: int = Field(description="Over which the rule carries errors: of a sequence, if it does not say otherwise.")
    rate: Known = Field(
        description="ln(1/|λ|) of the mode that forgets fastest, or the mean logarithmic shrinkage of a dense "
        "Jacobian; null where a mode is forgotten at once."
    )
    fresh: Known = Field(description="Relative error of one step, drawn at each use.")
    frozen: Known = Field(description="Relative error of one step, the same in all of them.")
    tolerance: Number = Field(description="The relative error at the end that is accepted.")
    fresh_error: Known = Field(description="What `fresh` makes of `steps` steps.")
    frozen_error: Known = Field(description="What `frozen` makes of `steps` steps.")
    fresh_steps: Known = Field(
        description="How many steps would stay within `tolerance` with fresh errors; null without limit."
    )
    frozen_steps: Known = Field(
        description="How many steps would stay within `tolerance` with frozen errors; null without limit."
    )
    fits: bool = Field(description="Whether that is enough.")


class Horizon(InitialHorizon):
    """The horizon at the last weights, what was measured there, and the one at the start."""

    end_residual: dict[str, Known] = Field(
        description="The relative error at the end of a sequence that was measured in the last training step, by "
        "layer; null where it is more than any number."
    )
    at_start: InitialHorizon | None = Field(
        description="The horizon at the initial weights; null if they, or the exact errors there, are not numbers."
    )


class EarlyDiagnostic(Part):
    """A quantity that the rule reported of itself."""

    name: str = Field(description="In tables.")
    unit: str = Field(description="Such as `steps`; empty for a share.")
    description: str = Field(description="What it is.")
    found: Known | dict[str, Known] = Field(
        description="A number, or one for each layer or chip by its name; null where it is more than any number."
    )
    words: str | None = Field(description="The number in words, where there is more to say of it.")
    verdict: str | None = Field(description="What it means.")
    good: bool | None = Field(description="Whether that is good; null if it is neither.")


class Diagnostic(EarlyDiagnostic):
    """A quantity that the rule reported of itself at the last test, and the same at the first one."""

    at_start: EarlyDiagnostic | None = Field(
        description="At the initial weights; null if the rule did not report it then."
    )


class Contribution(Part):
    """What one constant contributes to the energy of a training step."""

    energy_j: Known = Field(description="Joules; null if it is not finite.")
    low_j: Known = Field(description="With the constant at the lowest of its range.")
    high_j: Known = Field(description="With the constant at the highest of its range.")
    assumed: bool = Field(description="Whether the constant is assumed.")


class Energy(Part):
    """Energies, means over chips where they depend on values.

    They are null where a constant has no value, or where they are not finite.

    What is broken down is of one training step in the middle of training, for its whole batch.
    """

    inference_j_per_sequence: Known = Field(description="Of the last test.")
    gradient_j_per_sequence: Known = Field(description="Of finding the gradient.")
    training_step_j: Known = Field(description="Of one training step, for its whole batch.")
    run_j: Known = Field(description="Of everything, tests and the first programming included.")
    inference_range_j_per_sequence: Range = Field(description="The lowest and the highest.")
    gradient_range_j_per_sequence: Range = Field(description="The lowest and the highest.")
    training_step_range_j: Range = Field(description="The lowest and the highest.")
    run_range_j: Range = Field(description="The lowest and the highest.")
    by_purpose: dict[str, Known] = Field(description="The training step, by purpose.")
    by_unit: dict[str, Known] = Field(description="The training step, by what draws the energy.")
    by_constant: dict[str, Contribution] = Field(description="The training step, by constant; the largest first.")
    assumed_fraction: Known = Field(description="The share of the training step that rests on assumed constants.")
    operations: dict[str, Number] = Field(description="How many elementary ones there were in the training step.")
    why_null: str | None = Field(None, description="Why there is no energy; only there where a constant has no value.")
    expected_fraction: Known = Field(
        None,
        description="The share of the training step that depends on what was expected of values; only there in "
        "estimates.",
    )


class Memory(Part):
    """What was held for one sequence, when the most was held."""

    peak_bytes: int = Field(description="All of it.")
    peak_by_class: dict[str, int] = Field(description="Of it, in bytes, by class.")
    devices: int = Field(description="The number of memory devices.")


class Time(Part):
    """Hardware time of that training step; no key is there if no step was noted."""

    hardware_step_s: Known = Field(None, description="Seconds from step to step.")
    sequence_s: Known = Field(None, description="Seconds per sequence, all passes; shared by those worked on at once.")
    training_step_s: Known = Field(None, description="Seconds of the whole batch.")
    passes: Known = Field(None, description="How often each step of a sequence was worked on.")
    utilisation: dict[str, Number] | None = Field(
        None, description="The share of the time of a sequence that each unit and each memory is at work."
    )


class Efficiency(Part):
    """Of the products with matrices of a training step. [The model](model.md#area) says what is in an area."""

    energy_per_mac_j: Known = Field(
        description="All that reading the matrix draws, with the conversions of a chip, per multiply-accumulate "
        "that was asked for."
    )
    tops_per_w: Known = Field(description="Tera-operations per joule, two for each multiply-accumulate.")
    converter_share: Known = Field(description="The part of that energy that converters draw.")
    tile_fill: Known = Field(
        description="The share of the weights of all tiles in use that matrices take; null without tiles."
    )
    mean_power_w: Known = Field(description="Of the training step.")
    area_m2: Known = Field(description="Of the machine; null where a part has no source, which `area_why_null` names.")
    area_by_part_m2: dict[str, Known] = Field(description="Of each part that has a source.")
    area_why_null: str | None = Field(description="Why the area is not known as a whole.")


class Writes(Part):
    """Writes of devices on the median chip, the first programming included."""

    writes: Number = Field(description="All of them.")
    writes_per_device: Number = Field(description="Their mean over devices.")


class SignalHealth(Part):
    """How well analog signals fit their ranges."""

    dac_clip_rate: Number = Field(description="The share of values beyond full scale that converters clip going in.")
    adc_clip_rate: Number = Field(description="The share of values beyond full scale that converters clip coming out.")
    saturation_rate: Number = Field(description="The share of analog values that saturate.")
    effective_bits: dict[str, Known] = Field(description="What noise leaves of the bits of an analog value.")


class Diverged(Part):
    """Where learning first left the range of numbers."""

    updates: int = Field(description="After how many updates.")
    sweep: str | None = Field(None, description="In which pass or phase; the place is only there if it was noted.")
    step: int | None = Field(None, description="In which step of it.")
    storage: str | None = Field(None, description="What was not finite there.")
    wire: int | None = Field(None, description="On which wire.")
    chips: list[int] = Field(description="On which chips.")


class System(Part):
    """One rule on one machine."""

    rule: str = Field(description="The learning rule.")
    machine: str = Field(description="The name of the machine.")
    bound: str | None = Field(description="What the costs are only a bound of, or null.")
    chips: int = Field(description="How many there are.")
    loss: Spread | None = Field(description="On the test set; null without a test.")
    accuracy: Spread | None = Field(description="On the test set; null without a test, or without classes.")
    gradient: GradientCheck | None = Field(description="The gradient check; null if there was none.")
    horizon: Horizon | None = Field(
        description="See [the model](model.md#the-horizon). Null for rules that have no horizon, and where the last "
        "weights, or the exact errors at these weights, are not numbers; that of each test before is in `metrics.csv`."
    )
    energy: Energy = Field(description="Joules.")
    memory: Memory = Field(description="Of one sequence.")
    time: Time = Field(description="Of one sequence, but for the training step.")
    efficiency: Efficiency = Field(description="Of products with matrices, with power and area.")
    weights: Writes | None = Field(description="Writes of devices; null for machines that have none.")
    signal_health: SignalHealth | None = Field(
        description="Of analog signals; null for machines that have none, and in estimates."
    )
    diverged: Diverged | None = Field(description="Where learning diverged; null if it did not.")
    diagnostics: list[Diagnostic] = Field(description="What the rule reported of itself, in its order.")


class Summary(Part):
    """What is known of each system of a run or an estimate."""

    schema_version: int = Field(description="Of what stands in a run folder: 4.")
    name: str = Field(description="Of the experiment.")
    seed: int = Field(description="Of the experiment.")
    hwsim_version: str = Field(description="Of what wrote it.")
    config_sha256: str = Field(description="Of the resolved experiment.")
    estimated: dict[str, Number] | None = Field(
        None, description="What was expected of the values that energy depends on; only there in estimates."
    )
    systems: dict[str, System] = Field(
        description="By name; the first is the substrate (`substrate`, or what `called` says)."
    )

    def text(self) -> str:
        """As it stands in `summary.json`."""
        return json.dumps(self.plain(), indent=2, allow_nan=False) + "\n"
