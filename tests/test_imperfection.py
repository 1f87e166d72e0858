"""Imperfections are found where options declare them, and off and doubled mean what they say."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
from conftest import close, machine_options
from pydantic import BaseModel

from hwsim.imperfection import Found, Imperfection, Part, found
from hwsim.units.unit import Fraction


def of(machine: Any, key: str) -> Found:
    return next(each for each in found(machine) if each.key == key)


class Widget(BaseModel):
    """A unit that nobody knows of."""

    wobble: Fraction = 0.25
    hidden: float = 1.0


class Gadget(BaseModel):
    """A machine with one."""

    widget: Annotated[Widget, Part("widgets")] = Widget()
    more: Widget = Widget(wobble=0.0)
    steps: Annotated[int, Imperfection("steps", lambda _: 24, lambda bits: None, "")] = 8


def test_a_unit_that_is_new_has_its_imperfections_found() -> None:
    listed = list(found(Gadget()))
    assert [each.key for each in listed] == ["widget.wobble", "more.wobble", "steps"]
    wobble, absent, steps = listed
    assert wobble.name == "wobble of widgets"
    assert (wobble.off.widget.wobble, wobble.doubled.widget.wobble) == (0.0, 0.5)
    assert wobble.off.more.wobble == wobble.off.widget.hidden - 1 == 0.0
    assert (absent.present, absent.off, absent.doubled) == (False, None, None)
    assert (steps.off.steps, steps.doubled) == (24, None)


def test_every_standard_deviation_of_a_chip_is_an_imperfection() -> None:
    """All options of this kind: noise and mismatch of nine kinds of units, those of 0 among them."""
    keys = [each.key for each in found(machine_options("pcm_crossbar"))]
    units = [f"functions.{name}" for name in ("add", "multiply", "tanh", "compare")]
    units += [f"diagonals.{name}" for name in ("forward", "transposed", "inverse")]
    expected = {f"parts.{unit}.{kind}" for unit in units for kind in ("mismatch", "gain_noise", "noise")}
    assert expected | {"parts.tiles.output_noise", "parts.registers.noise"} <= set(keys)
    assert len(keys) == len(set(keys))


def test_imperfections_of_devices_vanish_and_double() -> None:
    machine = machine_options("pcm_crossbar")
    conductance = np.linspace(1e-6, 25e-6, 7)
    for key, law in (("device.programming.error", "programming_error"), ("device.read_noise", "read_error")):
        each = of(machine, key)
        stated = getattr(machine.device, law)(conductance)
        assert (stated > 0).all()
        assert not getattr(each.off.device, law)(conductance).any()
        assert getattr(each.doubled.device, law)(conductance) == close(2 * stated)
    rram = of(machine_options("rram_crossbar"), "device.read_noise")
    assert rram.doubled.device.read_error(conductance) == close(2 * rram.value.deviation_of_g_max * 40e-6, rel=0.5)


def test_steps_of_converters_and_of_words_double_with_one_bit_fewer() -> None:
    machine = machine_options("pcm_crossbar")
    bits, words = of(machine, "parts.adc.bits"), of(machine, "coefficients")
    assert (bits.off.parts.adc.bits, bits.doubled.parts.adc.bits) == (24, 7)
    assert bits.off.parts.dac.bits == 8
    assert (words.off.coefficients, words.doubled.coefficients) == ("float32", "fixed<15,11>")
    assert of(machine, "parts.registers.retention").doubled.parts.registers.retention.value == close(2.5e-3)


def test_digital_numbers_round_once_or_not_at_all() -> None:
    half = of(machine_options("digital_45nm_fp16"), "")
    assert (half.off.format, half.off.accumulator, half.doubled) == ("float64", "float64", None)
    fixed = of(machine_options({"like": "digital_45nm", "format": "fixed<16,8>"}), "")
    assert fixed.doubled is None  # since sums are in floating point
    assert not of(machine_options("pcm_crossbar"), "digital").present


@pytest.mark.parametrize("name", ["ideal"])
def test_an_exact_machine_has_none(name: str) -> None:
    assert not list(found(machine_options(name)))
