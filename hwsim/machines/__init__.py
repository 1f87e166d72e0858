"""Kinds of machines: which units there are, and where an operation goes; one file each, found by its name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, implementation, members
from hwsim.machine import EXACT, Machine, Numerics

MACHINES = members(__name__, __path__, "kind")
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(MACHINES, "kind")


def kind_of(options: Any) -> type[Machine]:
    """The class of the machine that `options` describe; it states the capabilities that machines of its kind have."""
    module = MACHINES[options.kind]
    kind: type[Machine] = module.machine(options) if hasattr(module, "machine") else implementation(module, Machine)
    return kind


def build(
    options: Any,
    *,
    chips: int | Sequence[int] = 1,
    seed: int = 0,
    strict: bool = False,
    numerics: Numerics = EXACT,
    each: Sequence[Any] = (),
) -> Machine:
    """The machine that `options` describe.

    Args:
        chips: how many instances stand side by side, or their numbers; machines that are all alike are made once.
        strict: poison values when their step ends.
        numerics: what operations do to values.
        each: the options of each chip, where they differ in imperfections that chips side by side may differ in.
    """
    kind: Any = kind_of(options)
    more = {"each": each} if each else {}
    made: Machine = kind(options, chips=chips, seed=seed, strict=strict, numerics=numerics, **more)
    return made


__all__ = ["MACHINES", "AnyOptions", "build", "kind_of"]
