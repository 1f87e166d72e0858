"""Learning rules: one file each, found by its name."""

from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, implementation, members
from hwsim.learning.rule import Rule

RULES = members(__name__, __path__)
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(RULES)


def build(options: Any) -> Rule:
    """The rule that `options` describe."""
    rule: Rule = implementation(RULES[options.name], Rule)(options)
    return rule


__all__ = ["RULES", "AnyOptions", "Rule", "build"]
