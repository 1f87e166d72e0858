"""The vocabulary of a study's figures and tables: names of columns, and values with units."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from hwsim.quantities import si

_PREFIXED = ("J", "B", "s", "S", "V", "A", "W")
_NAMES = {
    "accuracy_area": "accuracy, mean over all updates",
    "accuracy_early_area": "accuracy, mean over the first tenth of updates",
    "loss_area": "loss, mean over all updates",
    "loss_early_area": "loss, mean over the first tenth of updates",
    "cosine_all": "cosine with the exact gradient",
    "cosine_recurrent": "cosine with the exact gradient, recurrent weights",
    "cosine_input": "cosine with the exact gradient, input weights",
    "cosine_readout": "cosine with the exact gradient, readout weights",
    "energy_training_step_j": "energy per training step",
    "energy_inference_j": "energy per inference of a sequence",
    "energy_gradient_j": "energy per gradient of a sequence",
    "energy_run_j": "energy of everything",
    "peak_memory_bytes": "memory",
    "memory_to_learn_bytes": "memory for learning",
    "most_learning_state_bytes": "learning state",
    "operations_gradient": "operations for the gradient of a sequence",
    "accesses_gradient": "accesses to storages for the gradient of a sequence",
    "time_sequence_s": "time of a sequence",
    "time_training_step_s": "time of a training step",
    "energy_j": "energy spent since the start, with tests",
    "learning_energy_j": "energy spent since the start",
    "learning_time_s": "hardware time since the start",
}
_LONG = 1e12
"""Smallest whole number that is written with a power of ten."""
_SHARES = ("accuracy", "accuracy_area", "accuracy_early_area", "test_accuracy", "assumed_fraction", "saturation_rate")


class Vocabulary(NamedTuple):
    """Names and units of columns and values.

    Attributes:
        names: names of columns and of values that differ from those in the table.
        units: units by column: `%` is for shares, SI units get prefixes, other words follow the number.
    """

    names: Mapping[str, str] = {}
    units: Mapping[str, str] = {}

    def column(self, name: str) -> str:
        """The name of a column."""
        plain = name
        for ending in ("_bytes", "_j", "_s"):
            plain = plain.removesuffix(ending)
        words = name if "." in name else plain.replace("_", " ")  # a dotted key is to be copied
        return self.names.get(name) or _NAMES.get(name) or words

    def unit(self, column: str) -> str:
        """The unit of a column's values; empty if they are plain numbers."""
        if column in self.units:
            return self.units[column]
        endings = {"_j": "J", "_bytes": "B", "_s": "s"}
        known = (unit for ending, unit in endings.items() if column.endswith(ending))
        return next(known, "%" if column in _SHARES else "")

    def value(self, column: str, value: Any, *, bare: bool = False) -> str:
        """A value with its unit; `bare` leaves out a unit that is a word."""
        if value is None or pd.isna(value):
            return "-"
        if str(value) in self.names:
            return self.names[str(value)]
        if isinstance(value, str):
            return value
        if pd.api.types.is_bool(value):
            return str(value).lower()  # as in YAML
        unit = self.unit(column)
        if unit in _PREFIXED:
            return si(float(value), unit)
        if unit == "%":
            return f"{100 * value:.3g} %"
        whole = float(value).is_integer() and abs(value) < _LONG
        number = (f"{int(value)}" if whole else f"{value:.4g}").replace("-", "−")
        return number if bare or not unit else f"{number} {unit}"

    def level(self, column: str, value: Any) -> str:
        """A value, with the name of its column unless the value says what it is."""
        text = self.value(column, value)
        plain = _is_word(value) or str(value) in self.names
        unit = self.unit(column)
        if plain or (unit and unit != "%" and unit not in _PREFIXED):
            return text
        return f"{self.column(column)} {text}"


def _is_word(value: Any) -> bool:
    """Whether a value says by itself what it is, unlike a number, a list or null."""
    try:
        json.loads(value)
    except ValueError:
        return True
    except TypeError:
        return False
    return False
