"""Options of crossbar tiles: where matrices are, how they are read, and what fits together."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hwsim.imperfection import Imperfection
from hwsim.quantities import Constant, Count, Time, Voltage
from hwsim.units import shared
from hwsim.units.converter import Bits
from hwsim.units.encoding import Coding, Encoding
from hwsim.units.management import Management
from hwsim.units.slices import STEPS_OF_WEIGHTS, Slices
from hwsim.units.unit import Fraction, Positive
from hwsim.units.wires import IR_DROP, Wires


class Scale(BaseModel, extra="forbid"):
    """From the node of a periphery to that of the chip."""

    power: Annotated[Constant[Count], Field(description="of what it draws")]
    area: Annotated[Constant[Count], Field(description="of what it takes")]


FAR = 4.0
"""So many times the range of weights is as good as no saturation."""
SATURATION = f"off: weights saturate at {FAR:g} times their range; doubled: at half of it; steps and noise stay"


class Tiles(BaseModel, extra="forbid"):
    """Crossbar tiles: where matrices are, and how they are read."""

    rows: Annotated[int, Field(ge=1, description="outputs of a tile, read forward")]
    columns: Annotated[int, Field(ge=1, description="inputs of a tile, read forward")]
    count: Annotated[int, Field(ge=1, description="tiles on the chip")]
    voltage: Annotated[Constant[Voltage], Field(description="of an input at full scale")]
    time: Annotated[
        Constant[Time] | None, Field(description="of one phase of a read; without it that of `time_per_bits`")
    ] = None
    time_per_bits: Annotated[
        dict[Bits, Constant[Time]], Field(description="of one phase of a read, by the bits of its inputs")
    ] = {}
    phases: Annotated[
        int,
        Field(
            ge=1,
            description="of a read, one after another: 4 where inputs and weights of either sign are read apart, and "
            "the results summed as numbers",
        ),
    ] = 1
    inputs: Annotated[
        Coding | None,
        Field(
            description="how inputs reach the lines, with noise and rounding of each bit and phase: `parallel` as "
            "amplitudes, `pulse_width`, or `bit_serial`; without this key as amplitudes, and `phases` change energy "
            "and time alone"
        ),
    ] = None
    scale: Annotated[Scale | None, Field(description="of the periphery, where its node is not that of the chip")] = None
    output_noise: Annotated[Fraction, Field(description="fresh, on each output of a tile, as a share of full scale")]
    interface: Annotated[
        Literal["analog", "digital"],
        Field(
            description="whether outputs stay analog until they are needed in digital form, or are converted at once"
        ),
    ] = "analog"
    weight_range: Annotated[
        Positive, Field(description="largest weight a tile can hold, in multiples of the largest initial one")
    ] = 2.0
    percentile: Annotated[
        float | None,
        Field(
            gt=0,
            le=100,
            description="the largest weight is in multiples of that which so many percent of the initial ones do not "
            "exceed, instead of the largest of all; what lies beyond is clipped",
        ),
    ] = None
    reach: Annotated[
        Positive,
        Imperfection("weight saturation", lambda _: FAR, lambda reach: reach / 2, SATURATION),
        Field(description="where weights saturate, in multiples of `weight_range`; steps and noise stay as they are"),
    ] = 1.0
    slices: Annotated[
        Slices | None,
        STEPS_OF_WEIGHTS,
        Field(
            description="cells of one weight that hold some of its bits each; without this key it has a pair of devices"
        ),
    ] = None
    management: Annotated[
        Management | None,
        Field(description="numbers scaled to the converters of tiles, and products scaled back; without this key none"),
    ] = None
    mapping: Annotated[
        shared.MappingName,
        Field(
            description="`pair`: a weight is the difference of two devices; `offset_column`: it is one device, whose "
            "offset an additional line of each tile holds, and which is subtracted"
        ),
    ] = "pair"
    parallel: Annotated[
        int, Field(ge=1, description="devices in parallel in place of each one of a weight; they share its value")
    ] = 1
    wires: Annotated[
        Wires | None,
        Imperfection("IR drop", Wires.without, Wires.doubled, IR_DROP),
        Field(description="resistance of the lines of a tile; without this key they have none"),
    ] = None

    def encoding(self, bits: int) -> Encoding | None:
        """How inputs of so many bits are coded, if that is told."""
        return None if self.inputs is None else Encoding(self.inputs, self.phases, bits)

    @property
    def columns_per_output(self) -> int:
        """Lines of a tile for each of its outputs: as many as a weight in slices has cells."""
        return 1 if self.slices is None else self.slices.cells

    @property
    def shares(self) -> bool:
        """Whether weights have other devices than a pair or slices."""
        return self.shifted or self.parallel > 1

    @property
    def shifted(self) -> bool:
        """Whether weights have a common offset, on one more line of each side of a tile."""
        return self.mapping == "offset_column"

    @property
    def lines(self) -> tuple[int, int]:
        """Of a tile: its outputs and inputs, those of references among them."""
        return self.rows * self.columns_per_output + self.shifted, self.columns + self.shifted

    @property
    def devices_per_weight(self) -> int:
        pair = (1 if self.shifted else 2) * self.parallel
        return pair if self.slices is None else self.slices.cells

    def phase(self, bits: int) -> Constant[Time]:
        """How long one phase of a read takes, with inputs of so many bits."""
        return self.time_per_bits[bits] if self.time is None else self.time

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Tiles without such keys, and with pairs, are what they were before there were any."""
        data: dict[str, Any] = written(self)
        if not self.shares:
            data.pop("mapping", None)
            data.pop("parallel", None)
        for key in ("wires", "slices", "inputs", "management", "percentile"):
            if getattr(self, key) is None:
                data.pop(key, None)
        return data

    @model_validator(mode="after")
    def _slices_are_read_as_numbers(self) -> Self:
        if self.slices is not None and self.interface != "digital":
            raise ValueError("slices are shifted and added as numbers, so they need `interface: digital`")
        if self.slices is not None and self.wires is not None:
            raise ValueError("wires are modelled for pairs of devices, not for slices; leave out one of the two keys")
        if self.slices is not None and self.shares:
            raise ValueError("slices have an offset of their own, and one cell a digit; leave out mapping and parallel")
        return self

    @model_validator(mode="after")
    def _coded_inputs_are_read_as_numbers(self) -> Self:
        if self.inputs is None:
            return self
        if self.shares:
            raise ValueError(
                "coded inputs are modelled for single pairs of devices; leave out `inputs`, or `mapping` and `parallel`"
            )
        if self.phases not in (1, 2, 4):
            raise ValueError(f"coded inputs have 1, 2 or 4 phases, not {self.phases}")
        if self.interface != "digital" and (self.phases > 1 or self.inputs == "bit_serial"):
            raise ValueError("bits and phases are summed as numbers, so coded inputs need `interface: digital`")
        return self

    @model_validator(mode="after")
    def _columns_of_slices_are_converted(self) -> Self:
        if self.slices is None:
            return self
        if self.inputs is None and self.slices.full_scale is not None:
            raise ValueError(
                "converters of slices have a full scale of their own where inputs are coded, and else resolve every "
                "sum; add `inputs`, or leave out `slices.full_scale`"
            )
        if self.inputs is not None and self.phases == 4:
            raise ValueError(
                "slices have no devices of negative weights that a phase could read apart; take `phases: 1` or 2"
            )
        if self.inputs is not None and self.management is not None and self.management.bound:
            raise ValueError(
                "repeats with halved inputs are not modelled where columns of slices are converted one by one; leave "
                "out `management.bound`, or one of the keys `slices` and `inputs`"
            )
        return self

    @model_validator(mode="after")
    def _managed_reads_are_numbers(self) -> Self:
        if self.management is not None and self.interface != "digital":
            raise ValueError("management scales products as numbers, so it needs `interface: digital`")
        if self.management is not None and self.management.bound and self.inputs == "bit_serial":
            raise ValueError(
                "bits have full amplitude whatever a number is, so halved inputs saturate as well; leave out "
                "`management.bound`, or take other `inputs`"
            )
        return self
