"""The stages of a training, for rules whose options change while it goes on."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.learning import Rule


class TrainingStage(NamedTuple):
    """A stage of training, in which the rule is always the same.

    Attributes:
        rule: as it is then.
        batches: the numbers of the batches that are learned from in it, from 0.
    """

    rule: Rule
    batches: list[int]


def stages(rule: Rule, updates: int) -> list[TrainingStage]:
    """The stages of a training of so many batches, those with equal options taken together, in order of their start."""
    by_options: dict[tuple[type[Rule], str], TrainingStage] = {}
    for number in range(updates):
        now = rule.at(number, updates)
        by_options.setdefault((type(now), repr(now.options)), TrainingStage(now, [])).batches.append(number)
    return list(by_options.values())
