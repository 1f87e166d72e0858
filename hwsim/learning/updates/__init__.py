"""Update schemes: how gradients become weights. One file each, found by its name; chosen apart from the rule."""

from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, implementation, members
from hwsim.learning.updates.scheme import Scheme, resting

UPDATES = members(__name__, __path__)
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(UPDATES)


def of(options: Any) -> type[Scheme]:
    """The kind of scheme that `options` describe."""
    kind: type[Scheme] = implementation(UPDATES[options.name], Scheme)
    return kind


def build(options: Any) -> Scheme:
    """The scheme that `options` describe."""
    return of(options)(options)


__all__ = ["UPDATES", "AnyOptions", "Scheme", "build", "of", "resting"]
