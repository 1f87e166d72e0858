"""What is expected of a rule's gradient on a machine: what it leaves out by itself, and what errors make of that."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwsim.experiments.alignment import Modes, Sums, Task, expected
from hwsim.experiments.left_out import Group
from hwsim.learning.keeps import Keeps

GROUPS = "recurrent", "input", "readout"
_DOUBLE = 2.0**-53

_EXACTLY = 0.999
"""The cosine that errors of double precision have to leave, for a rehearsal to tell what a rule leaves out."""


class Forms:
    """What closed forms expect of a rule's gradient: sums by layer and group.

    Args:
        names: of the layers.
        layers, kept, task: what closed forms take.
        powers: |G|² of the exact gradient, by layer and group.

    Attributes:
        on_machine: with all errors of the machine.
        standing: with these, if nothing grew: without the inverse.
        without: with none: what the rule leaves out by itself.
        in_double: if double precision made the only errors.
    """

    def __init__(
        self, names: list[str], layers: list[Modes], kept: list[Keeps], task: Task, powers: Mapping[Group, float]
    ) -> None:
        def sums(layers: list[Modes], kept: list[Keeps]) -> dict[Group, Sums]:
            return {
                (name, group): own.scaled(powers.get((name, group), 0.0))
                for name, layer in zip(names, expected(layers, kept, task), strict=True)
                for group, own in zip(GROUPS, layer, strict=True)
            }

        without = [_without_errors(each) for each in layers]
        self.kept, self.on_machine, self.without = kept, sums(layers, kept), sums(without, kept)
        self.standing = sums(layers, [each._replace(inverted=(0,)) for each in kept])
        self.in_double = sums([each._replace(relative=_DOUBLE) for each in without], kept)

    @property
    def exactly(self) -> bool:
        """Whether double precision is enough to tell what the rule leaves out."""
        return whole(self.in_double).cosine >= _EXACTLY * whole(self.without).cosine


def whole(sums: Mapping[Group, Sums]) -> Sums:
    """Of all groups together."""
    return sum(sums.values(), Sums())


class Prediction:
    """What is expected of a rule's gradient.

    Args:
        forms: what closed forms expect.
        left_out: what the rule's gradient is in exact arithmetic, by layer and group; None if that is left to closed
            forms.

    Attributes:
        cosines: of the gradient of each group of parameters, over all layers, and of `all`.
        exact: of all, on a machine without errors: what the rule leaves out by itself.
        standing: of all, if nothing grew: without the inverse.
    """

    def __init__(self, forms: Forms, left_out: Mapping[Group, Sums] | None = None) -> None:
        def seen(sums: Mapping[Group, Sums]) -> Mapping[Group, Sums]:
            found = dict(sums)
            for group, alone in (left_out or {}).items():
                found[group] = alone.with_errors(sums[group], forms.without[group])
            return found

        own = seen(forms.on_machine)
        by_group = {group: {place: each for place, each in own.items() if place[1] == group} for group in GROUPS}
        self.kept = forms.kept
        self.cosines = {group: whole(sums).cosine for group, sums in {**by_group, "all": own}.items()}
        self.exact, self.standing = whole(seen(forms.without)).cosine, whole(seen(forms.standing)).cosine

    def reason(self, good: float) -> str:
        """Why its cosine is not good enough; empty if it is."""
        found = self.cosines["all"]
        if found >= good:
            return ""
        said = f"expected cosine {found:.2f}"
        if not all(each.aligned for each in self.kept):
            return f"{said}: errors reach layers by random weights, which have to align first"
        if self.exact < good:
            what = "recurrent parameters do not learn, and " if not all(each.recurrent for each in self.kept) else ""
            return f"{said}: {what}errors of later losses are left out, which leaves {self.exact:.2f} without noise"
        if self.standing >= good:
            longest = max(max(each.inverted) for each in self.kept)
            return f"{said}: errors of the machine grow over {longest} steps of the inverse"
        return f"{said}: noise, mismatch and saturation of the machine"


def _without_errors(layer: Modes) -> Modes:
    nothing = np.zeros_like(layer.rates)
    return Modes(layer.rates, layer.drive, layer.loss, nothing, nothing, powers=layer.powers)
