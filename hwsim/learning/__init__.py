"""Learning rules: one file each, found by its name."""

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hwsim.catalogue import choice, implementation, members
from hwsim.errors import ConfigError
from hwsim.learning.rule import Rule

RULES = members(__name__, __path__)
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(RULES)


def options(learner: dict[str, Any]) -> Any:
    """The options of a rule, from the keys of `learning` in a file.

    Raises:
        ConfigError: there is something wrong with them.
    """
    try:
        return RULES[learner["name"]].Options.model_validate(learner)
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        lacking = [str(each["loc"][0]) for each in error.errors() if each["type"] == "missing"]
        raise ConfigError(
            f"learning: {learner['name']} needs {' and '.join(lacking)}; a file has to say them"
            if lacking
            else f"learning: {learner['name']}: {said}"
        ) from None


def implementation_of(name: str) -> type[Rule]:
    """The class of the rule with a name."""
    found: type[Rule] = implementation(RULES[name], Rule)
    return found


def build(options: Any) -> Rule:
    """The rule that `options` describe."""
    rule: Rule = implementation(RULES[options.name], Rule)(options)
    return rule


__all__ = ["RULES", "AnyOptions", "Rule", "build", "implementation_of", "options"]
