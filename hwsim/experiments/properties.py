"""Properties of a device that a specification sets: what each is on the data sheet, and the machine with another value.

Values are those that a data book would state, so that they mean the same on every sheet: noise as a root mean square
over the range of conductance, in shares of its width; states and bits as their number. A law keeps its shape, and is
taken so many times as large; one that is nothing gets a flat one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from hwsim.imperfection import changed
from hwsim.physics import DataSheet
from hwsim.physics.charge_loss import ChargeLoss
from hwsim.physics.drift import ByConductance, ConstantExponent
from hwsim.physics.programming import Polynomial
from hwsim.physics.read_noise import Additive
from hwsim.physics.relaxation import Relaxation
from hwsim.physics.scatter import Scatter
from hwsim.results.specification import Sought
from hwsim.units.converter import FINEST

AGE = 86400.0
"""Age of drifted devices in seconds, unless another one is stated: a day."""


class Property(NamedTuple):
    """A property of the devices of a machine.

    Attributes:
        sought: what it is called, its value now, and the values to try.
        at: gives the machine's options with another value.
        after: seconds since devices were written at which it is asked about; None where they are fresh.
        compensated: whether outputs of each matrix are then corrected by one factor.
        trains: whether it shows only while the devices are pulsed, in a training.
        apart: whether machines that differ in it cannot be simulated side by side.
    """

    sought: Sought
    at: Callable[[float], Any]
    after: float | None = None
    compensated: bool = False
    trains: bool = False
    apart: bool = False


def geometric(best: float, worst: float, count: int) -> tuple[float, ...]:
    """Values from the best to the worst, evenly spaced on a logarithmic scale."""
    return tuple(float(each) for each in np.geomspace(best, worst, count))


_TRIED = "a value that is tried"
_SHARES = geometric(1e-4, 1.0, 511)
"""Shares of the range of conductance, 1.8 % apart: nine halvings find one."""
_STATES = tuple(sorted({round(each) for each in np.geomspace(2, 4096, 45)}, reverse=True))
_BITS = tuple(range(16, 1, -1))
_EXPONENTS = geometric(1e-3, 1.0, 255)


def properties(machine: Any, age: float = AGE) -> tuple[list[Property], list[tuple[str, str]]]:
    """The properties of a machine's devices, and those that it has not, each with the reason.

    Args:
        machine: the options of a machine with crossbars.
        age: at which drift is asked about, in seconds.
    """
    sheet = machine.device
    found = [
        _noise(machine, "read noise", "device.read_noise", _rms(sheet, sheet.read_error), _flat_noise(sheet)),
        _noise(
            machine,
            "programming error",
            "device.programming.error",
            _rms(sheet, sheet.programming_error),
            _flat_error(sheet),
        ),
        _states(machine),
        *_converters(machine),
    ]
    absent = []
    if sheet.drift is None:
        absent.append(("drift", "the data sheet has no law of drift"))
    else:
        found += _drift(machine, age)
    if sheet.update is None:
        absent.append(("response to pulses", "the data sheet has no law of pulses; weights are programmed"))
    else:
        found += pulses(machine)
    return found, absent


def _rms(sheet: DataSheet, error: Callable[[np.ndarray], np.ndarray]) -> float:
    """The root mean square of a standard deviation over the range of conductance, as a share of its width."""
    g = np.linspace(sheet.conductance.min.value, sheet.conductance.max.value, 257)
    return float(np.sqrt((error(g) ** 2).mean()) / sheet.window)


def _flat_noise(sheet: DataSheet) -> Callable[[float], Any]:
    share = sheet.window / sheet.conductance.max.value
    return lambda value: Additive(law="additive", deviation_of_g_max=value * share, assumed=_TRIED)


def _flat_error(sheet: DataSheet) -> Callable[[float], Any]:
    none = Polynomial.model_validate({"coefficients": ["0 uS"], "assumed": _TRIED})
    return lambda value: none.model_copy(update={"coefficients": [value * sheet.window]})


def _noise(machine: Any, name: str, key: str, now: float, flat: Callable[[float], Any]) -> Property:
    """A law that gives standard deviations."""
    place = tuple(key.split("."))
    law = machine
    for part in place:
        law = getattr(law, part)

    def at(value: float) -> Any:
        return changed(machine, place, law.times(value / now) if now > 0 else flat(value))

    means = "standard deviation, rms over the range of conductance, in per cent of its width"
    return Property(Sought(name, key, means, "%", now, 0.0, _SHARES), at)


def _states(machine: Any) -> Property:
    """How many conductances a device is programmed to."""
    sheet: DataSheet = machine.device
    step = sheet.programming.step

    def at(value: float) -> Any:
        width = step.model_copy(update={"value": sheet.window / (value - 1)})
        return changed(machine, ("device", "programming", "step"), width)

    now, most = round(sheet.window / step.value) + 1, 1 << 16
    sought = Sought(
        "programming states", "device.programming.step", "conductances that a device is programmed to, the fewest",
        "", now, most, tuple(map(float, _STATES)), whole=True,
    )  # fmt: skip
    return Property(sought, at, apart=True)


def _converters(machine: Any) -> Iterator[Property]:
    """Bits of the converters into and out of the tiles."""
    for part, name in (("adc", "bits of ADCs"), ("dac", "bits of DACs")):
        converter = getattr(machine.parts, part, None)
        if converter is None:
            continue

        def at(value: float, part: str = part) -> Any:
            return changed(machine, ("parts", part, "bits"), int(value))

        means = "bits of each conversion, the fewest; one of them is the sign"
        tried = tuple(map(float, _BITS))
        sought = Sought(
            name, f"parts.{part}.bits", means, "", converter.bits, FINEST, tried, whole=True, logarithmic=False
        )
        yield Property(sought, at)


def _drift(machine: Any, age: float) -> Iterator[Property]:
    """The exponent of drift with its spread, at an age, with and without one factor for each matrix."""
    sheet: DataSheet = machine.device
    r = np.linspace(sheet.conductance.min.value, sheet.conductance.max.value, 257) / sheet.conductance.max.value
    assert sheet.drift is not None
    law = sheet.drift
    if not isinstance(law, ByConductance | ConstantExponent):
        yield from _relaxation(machine, law, age)
        return
    now = float(law.moments(r)[0].mean())
    if not now > 0:
        return

    def at(value: float) -> Any:
        return changed(machine, ("device", "drift"), steeper(law, value / now))

    means = "exponent ν, mean over the range of conductance; its spread grows with it"
    for compensated in (False, True):
        name = "drift, compensated" if compensated else "drift"
        sought = Sought(name, "device.drift", means, "", now, 0.0, _EXPONENTS)
        yield Property(sought, at, age, compensated)


def _relaxation(machine: Any, law: Relaxation | Scatter | ChargeLoss, age: float) -> Iterator[Property]:
    """How far devices have scattered at an age, with and without one factor for each matrix."""
    sheet: DataSheet = machine.device
    now = _rms(sheet, lambda g: _scattered(law, g, age, sheet.conductance.max.value))
    if not now > 0:
        return

    def at(value: float) -> Any:
        return changed(machine, ("device", "drift"), law.times(value / now))

    means = (
        "standard deviation over devices at that age, in per cent of the range of conductance; the shift grows with it"
    )
    for compensated in (False, True):
        name = "relaxation, compensated" if compensated else "relaxation"
        yield Property(Sought(name, "device.drift", means, "%", now, 0.0, _SHARES), at, age, compensated)


def _scattered(law: Relaxation | Scatter | ChargeLoss, g: np.ndarray, age: float, high: float) -> np.ndarray:
    """σ of devices since programming, in siemens."""
    if isinstance(law, Scatter):
        return law.added(g, age, high)
    return law.moments(g, age)[1] if isinstance(law, ChargeLoss) else np.full_like(g, law.moments(age)[1])


def steeper(law: ByConductance | ConstantExponent, factor: float) -> Any:
    """A law of drift with all exponents, and their spread, so many times as large."""
    if isinstance(law, ConstantExponent):
        return law.model_copy(update={"mean": factor * law.mean, "deviation": factor * law.deviation})
    return law.model_copy(update={"mean": law.mean.times(factor), "deviation": law.deviation.times(factor)})


_ASYMMETRIES = geometric(1e-3, 0.999, 127)
_SPREADS = geometric(1e-2, 10.0, 127)
_NOISES = geometric(1e-2, 1e3, 127)


def pulses(machine: Any) -> list[Property]:
    """What devices answer to pulses: each number of their law that is an error."""
    law = machine.device.update

    def of(name: str, means: str, keys: tuple[str, ...], tried: tuple[float, ...], perfect: float = 0.0) -> Property:
        first = keys[0]
        now = abs(float(getattr(law, first)))

        def at(value: float) -> Any:
            numbers = {key: _scaled(getattr(law, key), value, now) for key in keys}
            return changed(machine, ("device", "update"), law.model_copy(update=numbers))

        return Property(Sought(name, f"device.update.{first}", means, "%", now, perfect, tried), at, trains=True)

    of_step = "in per cent of a step"
    found = [
        of("spread of steps", f"σ over devices, {of_step}", ("step_spread",), _SPREADS),
        of("spread of bounds", "σ over devices, in per cent of each bound", ("low_spread", "high_spread"), _SPREADS),
        of("noise of pulses", f"σ from one pulse to the next, {of_step}", ("noise",), _NOISES),
        of("noise of what is written", f"σ of each write, {of_step}", ("write_noise",), geometric(1e-2, 1e4, 127)),
    ]  # fmt: skip
    if not law.one_way:
        found.insert(0, of("spread of asymmetry", f"σ over devices, {of_step}", ("up_down_spread",), _SPREADS))
    if law.two_sided:
        found.insert(0, _asymmetry(machine))
    return [*found, _pulse_states(machine)]


def _asymmetry(machine: Any) -> Property:
    """By how much pulses up and down differ where weights are 0; the larger ones stay the larger ones."""
    law = machine.device.update
    now, sign = abs(law.asymmetry), -1.0 if law.asymmetry < 0 else 1.0

    def at(value: float) -> Any:
        return changed(machine, ("device", "update"), law.with_asymmetry(sign * value))

    means = "by so much pulses one way are smaller than the other way at x = 0, in per cent of the larger ones"
    sought = Sought("asymmetry of pulses", "device.update.up_down", means, "%", now, 0.0, _ASYMMETRIES)
    return Property(sought, at, trains=True)


def _scaled(number: float, value: float, now: float) -> float:
    """A number of a law where the first of those that belong together is to be `value`, and is `now`."""
    return value if not now else number * value / now


def _pulse_states(machine: Any) -> Property:
    """How many pulses of the size at x = 0 take a device through its range."""
    law = machine.device.update

    def at(value: float) -> Any:
        step = (law.high - law.low) / (value - 1)
        return changed(machine, ("device", "update"), law.model_copy(update={"step": step}))

    now = round((law.high - law.low) / law.step) + 1
    sought = Sought(
        "states by pulses", "device.update.step", "states that pulses of the size at x = 0 pass through, the fewest",
        "", now, max(1 << 14, now), tuple(map(float, _STATES)), whole=True,
    )  # fmt: skip
    return Property(sought, at, trains=True, apart=True)
