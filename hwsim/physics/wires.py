"""Resistance of copper wires on chips, by their width.

Widths, aspects and resistivities are those of NeuroSim (P.-Y. Chen, X. Peng and S. Yu, IEEE TCAD 37(12), 2018), in the
table of wires of its release for inference, V1.5.
"""

from __future__ import annotations

from typing import NamedTuple

REFERENCE = 300.0
"""Kelvin, at which resistivities were taken."""
PER_KELVIN = 0.00451
"""By which share of itself resistivity grows with each kelvin above that."""


class Wire(NamedTuple):
    """A metal line.

    Attributes:
        aspect: height over width.
        resistivity: at `REFERENCE`, in ohm metres; thin lines have more than thick ones.
    """

    aspect: float
    resistivity: float


WIRES = {
    200: Wire(2.10, 2.42e-8),
    100: Wire(2.30, 2.73e-8),
    50: Wire(2.34, 3.91e-8),
    40: Wire(1.90, 4.03e-8),
    32: Wire(1.90, 4.51e-8),
    22: Wire(2.00, 5.41e-8),
    14: Wire(2.10, 7.43e-8),
}
"""By width in nanometres."""


def resistance(width_nm: int, length: float, kelvin: float = REFERENCE) -> float:
    """ρ (1 + 0.00451 (T - 300 K)) length / (aspect width²), in ohms.

    Args:
        width_nm: one of those in `WIRES`.
        length: in metres.
        kelvin: at least `REFERENCE`.
    """
    aspect, resistivity = WIRES[width_nm]
    warm = 1 + PER_KELVIN * (kelvin - REFERENCE)
    return resistivity * warm * length / (aspect * (width_nm * 1e-9) ** 2)
