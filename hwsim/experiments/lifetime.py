"""Lifetime: how many devices are faulty or worn out, and how long the others last at the rate of updates in use."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.experiments.costs import Costs


def lifetime(costs: Costs) -> dict[str, Any]:
    """What is known of devices that do not work, and of those that wear out; empty where a data sheet says neither.

    Devices last as long as `cycles` of writes do: endurance / (writes per device and update × updates per second). The
    rate of updates is that of `training.update_rate`, or one update after another, as fast as the hardware makes them.
    """
    machine, training = costs.machine, costs.system.experiment.training
    if not machine.devices:
        return {}
    arrays, found = list(machine.devices.arrays.values()), dict[str, Any]()
    sheet = arrays[0].mapping.sheet
    stuck = [array.stuck for array in arrays if getattr(array, "stuck", None) is not None]
    if sheet.faults is not None and stuck:
        found["faulty"] = _median(sum(each.faulty for each in stuck))
    if sheet.endurance is None:
        return found
    if stuck:
        found["worn"] = _median(sum(each.worn for each in stuck))
    if training is None:
        return found
    rate, step = training.update_rate, costs.time().get("training_step_s")
    rate = rate or (1 / step if step else None)
    mean = costs.writes_per_update() / machine.devices.count
    lasts: dict[str, Any] = {"cycles": sheet.endurance.cycles.value, "updates_per_s": rate, "writes_per_update": mean}
    lasts["years"] = sheet.endurance.years(mean, rate) if mean and rate else None
    if machine.numerics.exact:
        worst = _most_written(machine) / costs.system.updates
        lasts["most_writes_per_update"] = worst
        lasts["least_years"] = sheet.endurance.years(worst, rate) if worst and rate else None
    return {**found, "endurance": lasts}


def _median(values: Any) -> float:
    return float(np.median(values))


def _most_written(machine: Any) -> float:
    """Writes of the device of any chip that was written most, but for its first programming."""
    return max(int(array.writes.max(initial=1)) for array in machine.devices.arrays.values()) - 1.0
