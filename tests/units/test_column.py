"""What a column brings to its integrator: the closed form, and the warning where it is too much."""

from __future__ import annotations

from typing import Any

from conftest import close, machine_options

from hwsim.config.plausible import doubts
from hwsim.units.column import Integrator, Load


def integrator(capacitance: str, voltage: str) -> dict[str, Any]:
    return {
        "capacitance": {"value": capacitance, "assumed": "a test"},
        "voltage": {"value": voltage, "assumed": "a test"},
    }


def on(capacitance: str) -> Any:
    around = {"like": "pwm_cco_14nm", "name": "with integrators", "integrator": integrator(capacitance, "0.5 V")}
    return machine_options({"like": "hermes_14nm", "name": "x", "periphery": around})


def test_the_charge_of_a_line_is_current_times_time() -> None:
    """256 devices of 10 µS at 0.2 V pass 512 µA, which is 66.56 pC in 130 ns."""
    load = Load(256, 10e-6, 0.2, 130e-9)
    assert load.current == close(512e-6)
    assert load.charge == close(66.56e-12)
    exact = Integrator.model_validate(integrator("133.12 pF", "0.5 V"))
    assert exact.charge == close(load.charge)
    assert (
        load.beyond(exact.model_copy(update={"capacitance": exact.capacitance.model_copy(update={"value": 1e-9})}))
        is None
    )
    less = Integrator.model_validate(integrator("66.56 pF", "0.5 V"))
    said = load.beyond(less)
    assert said is not None
    for number in ("33.3 pC", "256 devices", "10 µS", "512 µA", "130 ns", "66.6 pC", "full at 0.5 of that"):
        assert number in said


def test_a_machine_says_what_its_lines_bring() -> None:
    options = machine_options("hermes_14nm")
    load = options.load
    assert load == (256, options.device.conductance.max.value, options.parts.tiles.voltage.value, 130e-9)


def test_an_integrator_that_is_too_small_is_warned_of() -> None:
    held = on("100 fF").load.charge / 0.5
    assert not any("integrator" in doubt.text for doubt in doubts(on(f"{held * 1.001:.6e} F")))
    (doubt,) = (each for each in doubts(on(f"{held / 1.001:.6e} F")) if "integrator" in each.text)
    assert doubt.text.startswith("x: the integrator of with integrators holds")
    assert "full at 0.999" in doubt.text


def test_a_periphery_without_one_is_described_as_before() -> None:
    assert "integrator" not in machine_options("hermes_14nm").periphery.model_dump(mode="json")
