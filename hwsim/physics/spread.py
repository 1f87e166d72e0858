"""Spread: how devices of one chip differ from each other in their range, and in how much their reads scatter."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from hwsim.imperfection import scaled
from hwsim.physics.law import Assumed, Source, Sourced

Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Spread(Sourced):
    """Each device has a range and a read noise of its own, drawn once, with ξ standard normal for each of them:

        g_min exp(min ξ),  g_max exp(max ξ) but no less than that,  σ of a read × exp(reads ξ).

    So the sheet's numbers are those of the median device. A target beyond what a device reaches is clipped to its own
    end before the error of programming is added. The three numbers of a device are independent of each other. Spread of
    drift is a key of `drift`; steps and bounds of devices that answer to pulses are keys of `update`.
    """

    min: Annotated[
        Amount,
        scaled("spread of the least conductance"),
        Field(description="σ of ln g_min over devices; not for devices with an `update`, which has `low_spread`"),
    ] = 0.0
    max: Annotated[
        Amount,
        scaled("spread of the largest conductance"),
        Field(description="σ of ln g_max over devices; not for devices with an `update`, which has `high_spread`"),
    ] = 0.0
    reads: Annotated[
        Amount, scaled("spread of read noise"), Field(description="over devices, σ of ln of the deviation of a read")
    ] = 0.0
    source: Source = None
    assumed: Assumed = None

    def range(self, least: float, most: float, normals: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """g_min and g_max of each device, in siemens.

        Args:
            least, most: those of the sheet.
            normals: standard normal numbers of each device, for either end.
        """
        low = least * np.exp(self.min * normals[0])
        return low, np.maximum(most * np.exp(self.max * normals[1]), low)

    def factor(self, normal: np.ndarray) -> np.ndarray:
        """How many times the sheet's read noise each device has."""
        return np.asarray(np.exp(self.reads * normal))
