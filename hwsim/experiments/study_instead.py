"""The lines of a study of estimates, for a quantity that no other command varies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from hwsim.columns import TAKEN
from hwsim.config import settings
from hwsim.config.experiment import Experiment
from hwsim.documents import inline
from hwsim.errors import ConfigError
from hwsim.guide import entries


def study_instead(experiment: Experiment, name: str, file: str) -> str | None:
    """A study in YAML that varies the keys with a name, such as `tile`: halved, as they are, and doubled.

    Args:
        file: what the study has for `experiment`.

    Returns:
        The lines; None if no key with that name has a number in the experiment.
    """
    resolved = experiment.resolved()
    for place in _places(name):
        keys = list(_numbers(place, _at(resolved, place)))
        if keys:
            (first, value), *others = keys
            alike = [first, *(key for key, other in others if other == value)]
            near = sorted({max(1, value // 2), value, 2 * value}) if isinstance(value, int) else [value / 2, value]
            values = [each for each in near if each == value or _allowed(resolved, alike, each)]
            axis = {"keys": alike, "values": values} if len(alike) > 1 else {"key": first, "values": values}
            word = place.rpartition(".")[2]
            word = f"{word} of a trial" if word in TAKEN else word
            figure = {"name": f"energy over {word}", "x": word, "y": "energy_gradient_j", "hue": "system"}
            return "\n".join(
                [
                    f"name: {experiment.name} over {word}",
                    f"experiment: {inline(file)}",
                    "estimate: true",
                    "vary:",
                    f"  {word}: {inline(axis)}",
                    f"figures: [{inline(figure)}]",
                ]
            )
    return None


def _places(name: str) -> list[str]:
    """The dotted names of the keys with a name, or with its plural or singular; those of machines first."""
    found: list[str] = []
    for each in (name, *entries.numbers(name)):
        with suppress(ConfigError):
            found += [entry.place.replace("*", "0") for entry in entries.entries(each)]
    return sorted(found, key=lambda place: not place.startswith("machine."))


def _at(data: Any, place: str) -> Any:
    """What stands at a dotted name; None if nothing does."""
    for step in place.split("."):
        if isinstance(data, list):
            data = data[int(step)] if step.isdigit() and int(step) < len(data) else None
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data


def _allowed(resolved: dict[str, Any], keys: list[str], value: int | float) -> bool:
    """Whether an experiment may have a value at all of some keys; a converter may have no energy at so many bits."""
    try:
        settings.load(resolved, set=dict.fromkeys(keys, value))
    except ConfigError:
        return False
    return True


def _numbers(place: str, value: Any) -> Iterator[tuple[str, int | float]]:
    """The keys at a place, or directly below it, that have plain numbers above 0."""
    below = value.items() if isinstance(value, dict) else ()
    for key, each in ((place, value), *((f"{place}.{key}", each) for key, each in below)):
        if isinstance(each, (int, float)) and not isinstance(each, bool) and each > 0:
            yield key, each
