"""Imperfections: what a unit's options say of its errors, and what they are without one, or with one twice as large.

An option declares its imperfection beside itself, and whoever asks what limits a machine finds it there:

    noise: Annotated[float, Imperfection("noise", off=lambda value: 0.0, doubled=lambda value: 2 * value)]

An option that is an imperfection as a whole, such as a law of noise, declares it in the same way. Options that are one
together declare it in a class variable `imperfection` of their model, whose values are models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel


class Part(NamedTuple):
    """What a part of a machine is called: annotates an option that is a model of its own."""

    name: str


class Imperfection(NamedTuple):
    """Annotates an option whose value is an imperfection.

    Attributes:
        name: what it is called, behind the name of its part.
        off: gives the value without it.
        doubled: gives the value at which it is twice as large; None where there is no such value.
        means: what both are, in words.
        side_by_side: whether the unit takes one number for each chip, so that chips which differ in it can be
            simulated together.
        whole: whether `off` and `doubled` take and give the model that the option is in, rather than its value.
    """

    name: str
    off: Callable[[Any], Any]
    doubled: Callable[[Any], Any]
    means: str
    side_by_side: bool = False
    whole: bool = False


class Found(NamedTuple):
    """An imperfection of a machine.

    Attributes:
        key: of the option, behind the machine, dotted.
        name: what it is called.
        means: what off and doubled are, in words.
        value: of the option.
        off, doubled: the options of the machine without it, and with twice as much of it; None where that cannot be.
        side_by_side: see `Imperfection`.
    """

    key: str
    name: str
    means: str
    value: Any
    off: Any
    doubled: Any
    side_by_side: bool

    @property
    def present(self) -> bool:
        """Whether the machine has it: if not, there is nothing to switch off, and nothing to double."""
        return self.off is not None


def scaled(name: str) -> Imperfection:
    """The imperfection of a number that is proportional to an error, such as a standard deviation."""
    return Imperfection(name, lambda value: 0.0, lambda value: 2 * value, "off: 0; doubled: times 2", True)


def scaled_law(name: str) -> Imperfection:
    """The imperfection of a law that gives standard deviations."""
    return Imperfection(
        name, lambda law: law.times(0.0), lambda law: law.times(2.0), "off: 0; doubled: times 2", side_by_side=True
    )


def found(machine: BaseModel) -> Iterator[Found]:
    """All imperfections that the options of a machine declare, in the order of the options.

    What such options name in `apart` does not stand side by side, and what they name in `idle` changes nothing.
    """
    apart, idle = (getattr(machine, name, frozenset[str]()) for name in ("apart", "idle"))
    for key, place, names, declared, value in _declared(machine, (), ()):
        if ".".join(key) in idle:
            continue
        off, doubled = declared.off(value), declared.doubled(value)
        absent = off == value
        name = " of ".join([declared.name, *names[-1:]])
        yield Found(
            ".".join(key),
            name,
            declared.means,
            value,
            None if absent else changed(machine, place, off),
            None if absent or doubled is None or doubled == value else changed(machine, place, doubled),
            declared.side_by_side and ".".join(key) not in apart,
        )


def _declared(
    model: BaseModel, place: tuple[str, ...], names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], Imperfection, Any]]:
    """The declarations in a model: their keys, what they change, the names of the parts around them, its values now."""
    whole = getattr(type(model), "imperfection", None)
    if whole is not None:
        yield place, place, names, whole, model
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if value is None:
            continue
        declared = next((each for each in field.metadata if isinstance(each, Imperfection)), None)
        if declared is not None:
            named = declared._replace(name=declared.name or name.replace("_", " "))
            if named.whole:
                yield (*place, name), place, names, named, model
            else:
                yield (*place, name), (*place, name), names, named, value
        elif isinstance(value, BaseModel):
            part = next((each.name for each in field.metadata if isinstance(each, Part)), None)
            yield from _declared(value, (*place, name), names if part is None else (*names, part))


def changed(model: Any, place: tuple[str, ...], value: Any) -> Any:
    """A model with another value at a place in it; not checked, since no file could describe some of these values."""
    if not place:
        return value
    name, *rest = place
    inner = changed(getattr(model, name), tuple(rest), value)
    return model.model_copy(update={name: inner})
