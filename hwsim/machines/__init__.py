"""Kinds of machines: which units there are, and where an operation goes; one file each, found by its name."""

from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, implementation, members
from hwsim.machine import EXACT, Machine, Numerics

MACHINES = members(__name__, __path__, "kind")
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(MACHINES, "kind")


def build(options: Any, *, chips: int = 1, seed: int = 0, strict: bool = False, numerics: Numerics = EXACT) -> Machine:
    """The machine that `options` describe.

    Args:
        chips: instances side by side; machines that are all alike are made once.
        strict: poison values when their step ends.
        numerics: what operations do to values.
    """
    module = MACHINES[options.kind]
    kind = module.machine(options) if hasattr(module, "machine") else implementation(module, Machine)
    made: Machine = kind(options, chips=chips, seed=seed, strict=strict, numerics=numerics)
    return made


def vary(options: Any) -> bool:
    """Whether chips that `options` describe differ from each other, by their devices; others are made once."""
    return hasattr(options, "device")


__all__ = ["MACHINES", "AnyOptions", "build", "vary"]
