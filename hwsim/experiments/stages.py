"""The stages of a training, for rules whose options change while it goes on."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.learning import Rule


class TrainingStage(NamedTuple):
    """A stage of training, in which the options of the rule do not change.

    Attributes:
        rule: the rule at this stage.
        batches: numbers of the batches of this stage, counted from 0.
    """

    rule: Rule
    batches: list[int]


def stages(rule: Rule, updates: int) -> list[TrainingStage]:
    """The stages of a training of `updates` batches, by their first batch; stages with equal options are one."""
    by_options: dict[tuple[type[Rule], str], TrainingStage] = {}
    for number in range(updates):
        now = rule.at(number, updates)
        by_options.setdefault((type(now), repr(now.options)), TrainingStage(now, [])).batches.append(number)
    return list(by_options.values())
