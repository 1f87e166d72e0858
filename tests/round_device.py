"""A device with round numbers: 1 to 21 µS, and no errors but those that a test asks for."""

from __future__ import annotations

from typing import Any

from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.physics import DataSheet


def round_device(step: str, error: str = "0 uS", noise: float = 0.0) -> DataSheet:
    """The data sheet, of what `described` takes."""
    return hardware.device(Document("test", described(step, error, noise)))


def described(step: str, error: str = "0 uS", noise: float = 0.0) -> dict[str, Any]:
    """The keys of the data sheet.

    Args:
        step: of programming.
        error: σ of programming, the same for all targets.
        noise: of a read, as a share of the conductance.
    """
    return {
        "name": "round",
        "what": "a device for tests",
        "sources": {"here": "this test"},
        "conductance": {each: {"value": f"{g} uS", "source": "here"} for each, g in (("min", 1), ("max", 21))},
        "programming": {
            "error": {"coefficients": [error], "source": "here"},
            "step": {"value": step, "source": "here"},
        },
        "read_noise": {"law": "relative", "deviation_of_g": noise, "source": "here"},
        "write": {
            "law": "voltage",
            "voltage": {"value": "1 V", "source": "here"},
            "time": {"value": "1 ns", "source": "here"},
        },
    }
