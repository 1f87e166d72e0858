"""The stages of a training, for rules whose options change while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hwsim.learning import Rule


class TrainingStage(NamedTuple):
    """A stage of training, in which the options of the rule do not change.

    Attributes:
        rule: the rule at this stage.
        batches: numbers of the batches of this stage, counted from 0.
    """

    rule: Rule
    batches: Sequence[int]

    def continuing(self, every: int, continues: bool) -> Sequence[int]:
        """The batches that begin a group of `every` batches, or those that continue one."""
        if isinstance(self.batches, range) and (every == 1 or not continues):  # from 0 on: too many to go through
            return self.batches[:0] if continues else self.batches[::every]
        return [number for number in self.batches if (number % every > 0) == continues]


def stages(rule: Rule, updates: int) -> list[TrainingStage]:
    """The stages of a training of `updates` batches, by their first batch; stages with equal options are one."""
    if type(rule).at is Rule.at:  # the same rule throughout
        return [TrainingStage(rule.at(0, updates), range(updates))] if updates else []
    by_options: dict[tuple[type[Rule], str], tuple[Rule, list[int]]] = {}
    for number in range(updates):
        now = rule.at(number, updates)
        by_options.setdefault((type(now), repr(now.options)), (now, []))[1].append(number)
    return [TrainingStage(now, batches) for now, batches in by_options.values()]
