"""Reads in parts, by converters that differ, and managed: the same captured, strict, and on each chip alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import built, random_episode, rule

from hwsim.machine.captured import Captured

CIRCUIT = {"circuit": {"kind": "sar", "mismatch": 0.05, "gain": 0.05, "offset": 0.01}}
SMALL = {"forward": 0.5, "error": 0.5}
READS: dict[str, dict[str, Any]] = {
    "bits": {"tiles": {"inputs": "bit_serial", "phases": 2}, "adc": CIRCUIT},
    "four phases": {"tiles": {"inputs": "pulse_width", "phases": 4, "management": {"noise": True}}, "adc": CIRCUIT},
    "repeats": {
        "tiles": {"phases": 1, "rows": 5, "columns": 5, "management": {"noise": True, "bound": 3}},
        "ranges": SMALL,
    },
    "own ranges": {"tiles": {"inputs": "bit_serial", "phases": 1, "management": {"noise": True}}, "ranges": "auto"},
    "signs": {
        "tiles": {"inputs": "parallel", "phases": 2},
        "adc": {"bits": 1, "energy": {"value": "1 pJ", "assumed": "x"}},
    },
}
NETWORK = {"layers": [{"cell": {"name": "leaky_tanh", "units": 8}}]}


def learned(parts: dict[str, Any], captured: bool = False, **more: Any) -> tuple[np.ndarray, dict[Any, bytes]]:
    """The gradient summed over three batches, `(chips, …)`, and what was measured."""
    on, found = {"like": "hermes_14nm", "name": "x", "parts": parts}, rule("one_step")
    episodes = [random_episode(seed, steps=9) for seed in range(3)]
    made = built(NETWORK, found, episodes[0], on=on, **more)
    for episode in episodes:
        with made.machine.showing(episode, found.routine if captured else None):
            found.gradients(made)
    sums = [each.gradient.value.reshape(made.machine.chips, -1) for each in made.trainables]
    totals = made.machine.journal.collect()
    return np.concatenate(sums, 1), {trace: values.tobytes() for trace, values in totals.activities.items()}


@pytest.mark.parametrize("reads", READS)
def test_it_makes_no_difference_how_steps_are_carried_out(reads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    indices, run = list[int](), Captured.run

    def noted(self: Captured, index: int) -> None:
        indices.append(index)
        run(self, index)

    monkeypatch.setattr(Captured, "run", noted)
    plain, measured = learned(READS[reads], chips=2)
    again, measured_again = learned(READS[reads], captured=True, chips=2)
    strict, _ = learned(READS[reads], chips=2, strict=True)
    assert np.isfinite(plain).all()
    assert plain.any()
    assert plain.tobytes() == again.tobytes() == strict.tobytes()
    assert measured == measured_again
    assert indices
    alone, _ = learned(READS[reads], chips=[1])
    assert alone[0].tobytes() == plain[1].tobytes()
    assert (plain[0] != plain[1]).any()
