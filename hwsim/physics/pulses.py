"""Pulses: how the state of one device answers to each of them, up and down.

A law acts on the state x of one device, a number without unit, as publications of trained devices have it: x is 0 where
a device starts, `low` at its least conductance and `high` at its largest. The window of a data sheet is as wide,

    g = g_min + (x - low) (g_max - g_min) / (high - low),

so x = 0 is a conductance inside the window. A weight is what one such device has beyond a reference beside it, which
pulses never reach; see `hwsim.units.mapping.Referenced`.

Each device has numbers of its own, drawn once. With ξ standard normal, a fresh one for each number of each device:

    high = high (1 + high_spread ξ), low = low (1 + low_spread ξ), never beyond zero
    gain = 1 + step_spread ξ, or exp(step_spread ξ) if `log_normal`;  r = up_down_spread ξ
    s⁺ = |gain + min(up_down, 0) + r| step,  s⁻ = |gain - max(up_down, 0) - r| step

A share `corrupt` of all devices answers to no pulse, and stays where it is: anywhere within `corrupt_range` of 0 and
the bounds of the device, each place as probable as the others.

A pulse moves x by f⁺(x) up or by f⁻(x) down, as the law says, plus a fresh normal error of `noise` times that change or
times s, and x stays within the device's own bounds. What conducts then differs from x by `write_noise` steps of a fresh
normal error, drawn whenever a device is pulsed; x itself does not.

(Gokmen and Vlasov, "Acceleration of deep neural network training with resistive cross-point devices", Front. Neurosci.
10:333, 2016, for constant steps; Gong et al., "Signal and noise extraction from analog memory elements for neuromorphic
computing", Nat. Commun. 9:2102, 2018, for exponential steps and write noise; Rasch, Gokmen and Haensch, "Training
large-scale ANNs on simulated resistive crossbar arrays", IEEE Design & Test, 2019, for the spread. The distributions
are those of IBM's aihwkit, Rasch et al., AICAS 2021.)
"""

from __future__ import annotations

from collections.abc import Callable
from math import exp
from statistics import NormalDist
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.imperfection import Imperfection, scaled
from hwsim.operations.kernels import compiled, inlined

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Normal = Callable[[str], np.ndarray]
"""Standard normal numbers for a purpose, one for each device of a chip; the same ones for the same purpose."""


class Responses(NamedTuple):
    """What each device of a chip answers to pulses, `(devices,)` each.

    Attributes:
        up, down: s⁺ and s⁻, of x.
        low, high: bounds of x.
        bend_up, bend_down: what else the law has of each device.
    """

    up: np.ndarray
    down: np.ndarray
    low: np.ndarray
    high: np.ndarray
    bend_up: np.ndarray
    bend_down: np.ndarray


_ASYMMETRY = Imperfection(
    "asymmetry of pulses",
    lambda law: law.with_asymmetry(0.0),
    lambda law: law.with_asymmetry(max(min(2 * law.asymmetry, MOST_ASYMMETRIC), -MOST_ASYMMETRIC)),
    "off: pulses up and down are as large as each other at x = 0; doubled: differ by twice as much",
    side_by_side=True,
    whole=True,
)
MOST_ASYMMETRIC = 0.99
"""Of which doubling an asymmetry stops short."""


class Law(BaseModel, extra="forbid"):
    """What all laws have."""

    imperfection: ClassVar[Imperfection] = Imperfection(
        "curvature of pulses",
        lambda law: law.bent(0.0),
        lambda law: law.bent(2.0),
        "off: pulses are everywhere as large as at x = 0; doubled: differ from that by twice as much",
        side_by_side=True,
    )

    step: Annotated[float, Field(gt=0, allow_inf_nan=False, description="change of x by one pulse at x = 0")]
    up_down: Annotated[
        Number,
        _ASYMMETRY,
        Field(gt=-1, lt=1, description="asymmetry: by so much, as a share of a step, down is smaller; negative: up is"),
    ] = 0.0
    low: Annotated[Number, Field(le=0, description="x at the least conductance")]
    high: Annotated[Number, Field(gt=0, description="x at the largest conductance")]
    step_spread: Annotated[Amount, Field(description="σ of the step over devices, as a share of it")] = 0.0
    log_normal: Annotated[bool, Field(description="whether steps spread log-normally; bounds never do")] = False
    up_down_spread: Annotated[Amount, Field(description="σ of `up_down` over devices")] = 0.0
    low_spread: Annotated[Amount, Field(description="σ of `low` over devices, as a share of it")] = 0.0
    high_spread: Annotated[Amount, Field(description="σ of `high` over devices, as a share of it")] = 0.0
    noise: Annotated[
        Amount,
        scaled("noise of pulses"),
        Field(description="σ of a pulse from one to the next, as a share of what `noise_of` names"),
    ] = 0.0
    noise_of: Annotated[
        Literal["change", "step"],
        Field(description="whether noise goes with the change that the law gives, or with the step of the device"),
    ] = "change"
    write_noise: Annotated[
        Amount,
        scaled("noise of what is written"),
        Field(description="σ of what conducts, around x, in steps; drawn with each train of pulses"),
    ] = 0.0
    corrupt: Annotated[Amount, Field(le=1, description="share of devices that answer to no pulse")] = 0.0
    corrupt_range: Annotated[Amount, Field(description="how far from x = 0 these are, at most")] = 0.1
    one_way: Annotated[
        bool, Field(description="whether pulses lead upward only, so that a weight is a pair of devices")
    ] = False
    reset: Annotated[Number, Field(ge=0, description="x after a reset, of devices that are `one_way`")] = 0.0
    reset_spread: Annotated[Amount, Field(description="σ of `reset` over devices, of x")] = 0.0
    reset_noise: Annotated[Amount, Field(description="σ of a reset from one to the next, of x")] = 0.0
    reference: Annotated[
        Literal["zero", "symmetry"],
        Field(
            description="x of the reference that a weight is counted from: 0, or for each device where pulses up and "
            "down cancel, which takes a search on each device"
        ),
    ] = "zero"
    reference_spread: Annotated[
        Amount,
        Field(description="σ of references over devices, of x: how far beside `reference` each of them is, for good"),
    ] = 0.0
    source: Annotated[str, Field(description="a key of `sources`, perhaps with a remark after a comma")]

    form: ClassVar[int]
    """Which expression the kernel computes."""

    @model_validator(mode="after")
    def _several_states(self) -> Self:
        if self.step > self.high - self.low:
            raise ValueError("step is larger than the range from low to high")
        if self.one_way and (self.low or self.reference == "symmetry"):
            raise ValueError("one_way: pulses lead upward only, so `low` is 0, and there is no symmetry point")
        if self.one_way and self.reference_spread:
            raise ValueError("reference_spread: devices that are `one_way` are in pairs, without a reference")
        return self

    @property
    def shape(self) -> np.ndarray:
        """What the law has beside the numbers of each device."""
        return np.zeros(0)

    def bends(self, drawn: Responses, normal: Normal) -> tuple[np.ndarray, np.ndarray]:
        """What else it has of each device, for up and for down."""
        return drawn.bend_up, drawn.bend_down

    def draw(self, devices: int, normal: Normal, reach: float = 1.0) -> Responses:
        """The numbers of so many devices, whose bounds are `reach` times as far."""

        def spread(of: float, purpose: str) -> np.ndarray:
            return of * normal(purpose) if of else np.zeros(devices)

        gain = spread(self.step_spread, "step")
        gain, turn = np.exp(gain) if self.log_normal else 1 + gain, spread(self.up_down_spread, "up_down")
        drawn = Responses(
            np.abs(gain + min(self.up_down, 0.0) + turn) * self.step,
            np.abs(gain - max(self.up_down, 0.0) - turn) * self.step,
            np.minimum(reach * self.low * (1 + spread(self.low_spread, "low")), 0.0),
            np.maximum(reach * self.high * (1 + spread(self.high_spread, "high")), 0.0),
            np.zeros(devices),
            np.zeros(devices),
        )
        if self.corrupt:
            drawn = self._corrupted(drawn, normal)
        up, down = self.bends(drawn, normal)
        return drawn._replace(bend_up=up, bend_down=down)

    def _corrupted(self, drawn: Responses, normal: Normal) -> Responses:
        """The same, with those devices that answer to no pulse."""
        stuck = normal("corrupt") < NormalDist().inv_cdf(self.corrupt) if self.corrupt < 1 else np.True_
        low, high = np.maximum(drawn.low, -self.corrupt_range), np.minimum(drawn.high, self.corrupt_range)
        share = np.exp(-(normal("corrupt place") ** 2 + normal("corrupt place too") ** 2) / 2)  # uniform
        place = low + (high - low) * share
        return drawn._replace(
            up=np.where(stuck, 0.0, drawn.up),
            down=np.where(stuck, 0.0, drawn.down),
            low=np.where(stuck, place, drawn.low),
            high=np.where(stuck, place, drawn.high),
        )

    def change(self, x: np.ndarray, upward: bool, drawn: Responses) -> np.ndarray:
        """f⁺(x) or f⁻(x), without noise; at least 0."""
        return np.asarray(changes(self.form, x, upward, *drawn, self.shape))

    @property
    def at_zero(self) -> tuple[float, float]:
        """f⁺(0) and f⁻(0) of a device without spread."""
        drawn, x = self.model_copy(update={"corrupt": 0.0}).draw(1, lambda _: np.zeros(1)), np.zeros(1)
        return float(self.change(x, True, drawn)[0]), float(self.change(x, False, drawn)[0])

    @property
    def two_sided(self) -> bool:
        """Whether pulses up and down may differ where weights are counted from: not at the symmetry point."""
        up, down = self.at_zero
        return self.reference == "zero" and not self.one_way and up * down > 0

    @property
    def asymmetry(self) -> float:
        """By what share pulses down are smaller than up at x = 0; below 0, up than down; 0 unless `two_sided`."""
        if not self.two_sided:
            return 0.0
        up, down = self.at_zero
        return 1 - down / up if up >= down else up / down - 1

    def with_asymmetry(self, asymmetry: float) -> Self:
        """The same law with another asymmetry, by `up_down`; itself unless `two_sided`."""
        if not self.two_sided or asymmetry == self.asymmetry:
            return self
        up, down = self.model_copy(update={"up_down": 0.0}).at_zero
        ratio = (1 - asymmetry if asymmetry >= 0 else 1 / (1 + asymmetry)) * up / down
        return self.model_copy(update={"up_down": 1 - ratio if ratio <= 1 else 1 / ratio - 1})

    def bent(self, factor: float) -> Law:
        """The law whose pulses differ by so many times as much from those at x = 0; itself if they do not.

        Where weights are counted from the symmetry point, it has none any more if `factor` is 0; so they are counted
        from x = 0, with pulses up and down as large as each other there. Pairs that pulses lead upward only stay.
        """
        return self

    def _straight(self, factor: float) -> dict[str, Any]:
        """What else is new without curvature."""
        return {} if factor or self.reference == "zero" else {"reference": "zero", "up_down": 0.0}

    def symmetry(self, drawn: Responses) -> np.ndarray:
        """Where f⁺(x) = f⁻(x), found by halving the range of x; at a bound where there is no such x within."""
        low, high = drawn.low.copy(), drawn.high.copy()
        for _ in range(60):
            middle = (low + high) / 2
            above = self.change(middle, True, drawn) > self.change(middle, False, drawn)
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return np.asarray((low + high) / 2)


class Constant(Law):
    """Each pulse is as large as the one before, up to the bounds: f⁺ = s⁺, f⁻ = s⁻."""

    law: Literal["constant"]
    form: ClassVar[int] = 0

    @model_validator(mode="after")
    def _without_symmetry(self) -> Self:
        if self.reference == "symmetry":
            raise ValueError("reference: constant pulses up and down cancel everywhere or nowhere; take `zero`")
        return self


class Linear(Law):
    """Pulses change linearly with x: f⁺ = s⁺ (1 - γ⁺ x / high), f⁻ = s⁻ (1 - γ⁻ x / low).

    Here high and low are those of the sheet. Each device has γ of its own, |γ + bend_spread ξ|.
    """

    law: Literal["linear"]
    bend_up: Annotated[Amount, Field(description="γ⁺: by this share pulses up are smaller at `high` than at 0")]
    bend_down: Annotated[Amount, Field(description="γ⁻: by this share pulses down are smaller at `low` than at 0")]
    bend_spread: Annotated[Amount, Field(description="σ of both over devices")] = 0.0
    form: ClassVar[int] = 0

    def bent(self, factor: float) -> Linear:
        if self.one_way:
            return self
        bends = {name: factor * getattr(self, name) for name in ("bend_up", "bend_down", "bend_spread")}
        return self.model_copy(update={**bends, **self._straight(factor)})

    def bends(self, drawn: Responses, normal: Normal) -> tuple[np.ndarray, np.ndarray]:
        spread = self.bend_spread
        up, down = (
            np.abs(bend + (spread * normal(purpose) if spread else 0.0))
            for bend, purpose in ((self.bend_up, "bend up"), (self.bend_down, "bend down"))
        )
        return -up * drawn.up / self.high, -down * drawn.down / min(self.low, -self.step)


class SoftBounds(Law):
    """Pulses become smaller towards the device's own bounds: f⁺ = s⁺ (1 - x / high), f⁻ = s⁻ (1 - x / low).

    After n pulses up from 0, x = high (1 - (1 - s⁺ / high)ⁿ).
    """

    law: Literal["soft_bounds"]
    form: ClassVar[int] = 0

    def bent(self, factor: float) -> Law:
        """Linear, so that pulses become smaller towards the bounds of the sheet, not towards those of each device."""
        if self.one_way:
            return self
        shared = {name: getattr(self, name) for name in Law.model_fields}
        linear = Linear(**{**shared, "law": "linear", "bend_up": 1.0, "bend_down": 1.0})
        return linear.bent(factor)

    def bends(self, drawn: Responses, normal: Normal) -> tuple[np.ndarray, np.ndarray]:
        least = self.step  # no bound is nearer to 0 than a step, as seen from the slope
        return -drawn.up / np.maximum(drawn.high, least), -drawn.down / np.minimum(drawn.low, -least)


class Exponential(Law):
    """f⁺ = s⁺ max(1 - A⁺ exp(γ⁺ z), 0), f⁻ = s⁻ max(1 - A⁻ exp(-γ⁻ z), 0), with z = 2 a x / (high - low) + b.

    (Gong et al., Nat. Commun. 9:2102, 2018.)
    """

    law: Literal["exponential"]
    amplitude_up: Annotated[Number, Field(description="A⁺")]
    amplitude_down: Annotated[Number, Field(description="A⁻")]
    rate_up: Annotated[Number, Field(description="γ⁺")]
    rate_down: Annotated[Number, Field(description="γ⁻")]
    slope: Annotated[Number, Field(description="a, of z over x")]
    offset: Annotated[Number, Field(description="b, z at x = 0")]
    noise_added: Annotated[Amount, Field(description="of x; `noise` is of what it names, and of this")] = 0.0
    noise_slope: Annotated[Amount, Field(description="`noise` is of so many times |x|, as well")] = 0.0
    form: ClassVar[int] = 1

    def bent(self, factor: float) -> Exponential:
        """1 - A exp(γ z) with γ so many times as large, and A such that pulses at x = 0 stay."""
        if self.one_way:
            return self
        more = 1 - factor
        numbers = {
            "amplitude_up": self.amplitude_up * exp(more * self.rate_up * self.offset),
            "amplitude_down": self.amplitude_down * exp(-more * self.rate_down * self.offset),
            "rate_up": factor * self.rate_up,
            "rate_down": factor * self.rate_down,
        }
        return self.model_copy(update={**numbers, **self._straight(factor)})

    @property
    def shape(self) -> np.ndarray:
        up, down = (self.amplitude_up, self.rate_up), (self.amplitude_down, self.rate_down)
        return np.array([*up, *down, self.slope, self.offset, self.noise_added, self.noise_slope])


class Power(Law):
    """f⁺ = s⁺ ((high - x) / (high - low))^γ⁺, f⁻ = s⁻ ((x - low) / (high - low))^γ⁻.

    Each device has γ of its own, |γ + exponent_spread ξ|. `step` is that of the whole range, not that at x = 0.
    """

    law: Literal["power"]
    exponent_up: Annotated[Amount, Field(description="γ⁺")]
    exponent_down: Annotated[Amount, Field(description="γ⁻")]
    exponent_spread: Annotated[Amount, Field(description="σ of both over devices")] = 0.0
    form: ClassVar[int] = 2

    def bent(self, factor: float) -> Law:
        """Piecewise, with `_NODES` nodes, whose γ have no spread."""
        if self.one_way or not (self.exponent_up or self.exponent_down):
            return self
        shared, share = {name: getattr(self, name) for name in Law.model_fields}, np.linspace(0, 1, _NODES)
        up, down = (1 - share) ** self.exponent_up, share**self.exponent_down
        return Piecewise(**{**shared, "law": "piecewise", "up": up.tolist(), "down": down.tolist()}).bent(factor)

    def bends(self, drawn: Responses, normal: Normal) -> tuple[np.ndarray, np.ndarray]:
        spread, devices = self.exponent_spread, drawn.up.size
        up, down = (
            np.abs(power + (spread * normal(purpose) if spread else np.zeros(devices)))
            for power, purpose in ((self.exponent_up, "exponent up"), (self.exponent_down, "exponent down"))
        )
        return up, down


_NODES = 129
Table = Annotated[list[Amount], Field(min_length=2)]


class Piecewise(Law):
    """f⁺ = s⁺ p⁺(x), f⁻ = s⁻ p⁻(x): p goes straight from node to node, and these divide the device's range evenly."""

    law: Literal["piecewise"]
    up: Annotated[Table, Field(description="p⁺ from `low` to `high`, at least 0")]
    down: Annotated[Table, Field(description="p⁻ from `low` to `high`, at least 0")]
    form: ClassVar[int] = 3

    def bent(self, factor: float) -> Piecewise:
        if self.one_way:
            return self
        centre, tables = -self.low / (self.high - self.low), {}
        for name in ("up", "down"):
            nodes = np.array(getattr(self, name))
            middle = np.interp(centre, np.linspace(0, 1, nodes.size), nodes)
            tables[name] = np.maximum(middle + factor * (nodes - middle), 0).tolist()
        return self.model_copy(update={**tables, **self._straight(factor)})

    @property
    def shape(self) -> np.ndarray:
        return np.array([len(self.up), *self.up, *self.down])


UpdateLaw = Annotated[
    Constant | Linear | SoftBounds | Exponential | Power | Piecewise,
    Field(discriminator="law"),
]
"""The laws that a data sheet may have."""


# ---- kernels -----------------------------------------------------------------------------------------------------


@inlined
def _change(form, x, upward, s, low, high, bend, shape):  # type: ignore[no-untyped-def]
    """What one pulse changes x by, without noise and without its sign; nothing where a device has no range."""
    if high <= low:
        return 0.0
    if form == 0:
        y = s + bend * x
    elif form == 1:
        z = 2 * shape[4] * x / (high - low) + shape[5]
        y = s * (1 - shape[0] * exp(shape[1] * z) if upward else 1 - shape[2] * exp(-shape[3] * z))
    elif form == 2:
        y = s * (max((high - x if upward else x - low) / (high - low), 0.0) ** bend)
    else:
        nodes = int(shape[0])
        first = 1 if upward else 1 + nodes
        place = min(max((x - low) / (high - low), 0.0), 1.0) * (nodes - 1 if upward else shape.size - nodes - 2)
        node = min(int(place), (nodes if upward else shape.size - 1 - nodes) - 2)
        share = place - node
        y = s * ((1 - share) * shape[first + node] + share * shape[first + node + 1])
    return max(y, 0.0)


@compiled
def changes(form, x, upward, up, down, low, high, bend_up, bend_down, shape):  # type: ignore[no-untyped-def]
    """What one pulse changes each x by, without noise and without its sign."""
    out = np.empty_like(x)
    for i in range(x.size):
        s, bend = (up[i], bend_up[i]) if upward else (down[i], bend_down[i])
        out[i] = _change(form, x[i], upward, s, low[i], high[i], bend, shape)
    return out


@compiled
def pulse(form, x, counts, up, down, low, high, bend_up, bend_down, shape, noise, of_step, normal):  # type: ignore[no-untyped-def]
    """Give each device its pulses, one after another, in place.

    Args:
        x: of each device, `(devices,)`.
        counts: pulses of each; down if negative.
        up, down, low, high, bend_up, bend_down: see `Responses`.
        noise: σ of a pulse.
        of_step: whether it is a share of s, not of the change.
        normal: as many fresh standard normal numbers as there are pulses; any array if `noise` is 0.
    """
    at = 0
    for i in range(x.size):
        n = counts[i]
        if n == 0:
            continue
        upward = n > 0
        s, bend = (up[i], bend_up[i]) if upward else (down[i], bend_down[i])
        v, lower, upper = x[i], low[i], high[i]
        for _ in range(abs(n)):
            y = _change(form, v, upward, s, lower, upper, bend, shape)
            if noise > 0:
                of = s if of_step else y
                if form == 1:
                    of += shape[6] + shape[7] * abs(v)
                y += noise * of * normal[at]
                at += 1
            v = min(max(v + y if upward else v - y, lower), upper)
        x[i] = v
