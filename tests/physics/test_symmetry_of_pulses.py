"""Asymmetry and curvature of pulses: what each is, and laws without it, or with twice as much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options
from pydantic import TypeAdapter

from hwsim.config import files, hardware
from hwsim.documents import Document
from hwsim.imperfection import found
from hwsim.physics.pulses import Law, UpdateLaw

COMMON = {"step": 0.01, "low": -0.8, "high": 1.2, "source": "made"}
LAWS: dict[str, dict[str, Any]] = {
    "linear": {"bend_up": 0.7, "bend_down": 0.3},
    "soft_bounds": {},
    "exponential": {
        "amplitude_up": -1.2, "amplitude_down": -0.08, "rate_up": 5.0, "rate_down": 5.0, "slope": -0.5, "offset": -0.5,
    },
    "power": {"exponent_up": 0.6, "exponent_down": 1.5},
    "piecewise": {"up": [1.0, 0.9, 0.6], "down": [0.5, 0.8, 1.1]},
}  # fmt: skip
NAMES = [*LAWS, "constant"]


def law(name: str, **more: Any) -> Law:
    adapter: TypeAdapter[Law] = TypeAdapter(UpdateLaw)
    return adapter.validate_python({**COMMON, "law": name, **LAWS.get(name, {}), **more})


def sizes(of: Law, x: np.ndarray, upward: bool) -> np.ndarray:
    """Of pulses of a device without spread."""
    drawn = of.draw(len(x), lambda _: np.zeros(len(x)))
    return of.change(x, upward, drawn)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("asymmetry", [-0.4, 0.0, 0.25, 0.9])
def test_an_asymmetry_is_by_how_much_pulses_differ_at_zero(name: str, asymmetry: float) -> None:
    """s⁻ f⁻(0) = (1 - a) s⁺ f⁺(0), or the other way round below 0; up_down itself is not that where the law is bent."""
    up, down = law(name, up_down=0.2).with_asymmetry(asymmetry).at_zero
    assert min(up, down) / max(up, down) == close(1 - abs(asymmetry))
    assert (asymmetry < 0) == (up < down - 1e-12)


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("upward", [True, False])
def test_a_law_without_curvature_has_the_pulses_at_zero_everywhere(name: str, upward: bool) -> None:
    x, bent = np.linspace(-0.8, 1.2, 41), law(name, up_down=0.2)
    assert np.ptp(sizes(bent, x, upward)) > 0.1 * sizes(bent, np.zeros(1), upward)[0]
    straight = sizes(bent.bent(0.0), x, upward)
    assert straight == close(np.full(41, bent.at_zero[0 if upward else 1]), rel=1e-4)


@pytest.mark.parametrize("name", ["linear", "soft_bounds", "power", "piecewise"])
@pytest.mark.parametrize("upward", [True, False])
def test_twice_the_curvature_is_twice_as_far_from_the_pulses_at_zero(name: str, upward: bool) -> None:
    """For the exponential law it is twice the rate."""
    x, once = np.linspace(-0.3, 0.4, 15), law(name)
    zero = once.at_zero[0 if upward else 1]
    wanted = np.maximum(2 * sizes(once, x, upward) - zero, 0)
    assert sizes(once.bent(2.0), x, upward) == close(wanted, rel=1e-3)


def test_the_exponential_law_keeps_its_pulses_at_zero() -> None:
    bent = law("exponential").bent(2.0)
    assert bent.at_zero == close(np.array(law("exponential").at_zero))
    assert bent.rate_up == 10.0  # type: ignore[attr-defined]


def test_where_pulses_cancel_there_is_no_asymmetry_and_pairs_have_neither() -> None:
    symmetric = law("soft_bounds", up_down=0.3, reference="symmetry")
    assert symmetric.asymmetry == 0
    assert symmetric.with_asymmetry(0.5) is symmetric
    assert symmetric.bent(0.0).reference == "zero"
    assert symmetric.bent(0.0).at_zero[0] == symmetric.bent(0.0).at_zero[1]
    upward = law("soft_bounds", low=0, one_way=True)
    assert upward.bent(0.0) is upward
    assert upward.with_asymmetry(0.5) is upward


def test_a_machine_with_pulses_has_both_as_imperfections() -> None:
    sheet = hardware.device(files.opened(Document("DEVICE", "reram_es"), "devices"))
    machine = machine_options("rram_crossbar").model_copy(update={"device": sheet})
    each = {one.key: one for one in found(machine) if one.key.startswith("device.update")}
    assert {"device.update", "device.update.up_down", "device.update.noise"} <= set(each)
    asymmetry, curvature = each["device.update.up_down"], each["device.update"]
    assert asymmetry.off.device.update.asymmetry == close(0.0, abs=1e-12)
    assert asymmetry.doubled.device.update.asymmetry == close(2 * sheet.update.asymmetry)
    assert curvature.off.device.update.at_zero == close(np.array(sheet.update.at_zero))
    assert curvature.side_by_side
    assert asymmetry.side_by_side
