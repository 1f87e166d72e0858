"""What is expected of a rule's gradient on a machine: what it leaves out by itself, and what errors make of that."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwsim.experiments.alignment import Modes, Sums, Task, expected
from hwsim.experiments.left_out import Group
from hwsim.learning.keeps import Keeps

GROUPS = "recurrent", "input", "readout"
_DOUBLE = 2.0**-53


class Prediction:
    """What is expected of a rule's gradient.

    Args:
        names: of the layers.
        layers, kept, task: what closed forms take.
        powers: |G|² of the exact gradient, by layer and group.
        left_out: what the rule's gradient is in exact arithmetic, by layer and group; None if that is left to closed
            forms.

    Attributes:
        cosines: of the gradient of each group of parameters, over all layers, and of `all`.
        exact: of all, on a machine without errors: what the rule leaves out by itself.
        standing: of all, if nothing grew: without the inverse.
        in_double: of all, if double precision made the only errors.
    """

    def __init__(
        self,
        names: list[str],
        layers: list[Modes],
        kept: list[Keeps],
        task: Task,
        powers: Mapping[Group, float],
        left_out: Mapping[Group, Sums] | None = None,
    ) -> None:
        without = [_without_errors(each) for each in layers]
        ideal = expected(without, kept, task)

        def pooled(layers: list[Modes], kept: list[Keeps]) -> dict[str, float]:
            sums = dict.fromkeys(GROUPS, Sums())
            for name, layer, bare in zip(names, expected(layers, kept, task), ideal, strict=True):
                for group, own, alone in zip(GROUPS, layer, bare, strict=True):
                    heard = (left_out or {}).get((name, group))
                    scaled = own.scaled(powers.get((name, group), 0.0))
                    sums[group] = sums[group] + (scaled if heard is None else heard.with_errors(own, alone))
            whole = sum(sums.values(), Sums())
            return {**{group: each.cosine for group, each in sums.items()}, "all": whole.cosine}

        self.kept, self.cosines = kept, pooled(layers, kept)
        self.exact = pooled(without, kept)["all"]
        self.standing = pooled(layers, [each._replace(inverted=(0,)) for each in kept])["all"]
        self.in_double = pooled([each._replace(relative=_DOUBLE) for each in without], kept)["all"]

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
