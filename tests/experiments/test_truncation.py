"""Horizons and truncation: short forms of the shipped studies, on a text of their own."""

from __future__ import annotations

import random
import shlex
from functools import cache
from itertools import pairwise
from pathlib import Path

import pandas as pd

from hwsim.config import hardware, settings
from hwsim.experiments.run import Run, run

ROOT = Path(__file__).parents[2]
CHANCE = 1.386
"""The loss of a choice among four symbols, ln 4."""


def short_form(name: str) -> list[str]:
    """The settings of the command that the file of an experiment names."""
    lines = (hardware.shelf("configs/experiments") / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    (command,) = (line.removeprefix("#").strip() for line in lines if f"hwsim run {name}" in line)
    assert command in (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    words = shlex.split(command)
    return [value for option, value in pairwise(words) if option == "--set"]


def test_a_growing_horizon_is_one_step_until_it_grows_and_all_start_alike(tmp_path: Path) -> None:
    draw = random.Random(1)
    (tmp_path / "own.txt").write_text("".join(draw.choices("abcdefgh ", k=6000)), encoding="utf-8")
    own = ["text=own.txt", "characters=6000", "symbols=9", "test=4", "test_steps=40"]
    small = ["network.layers.0.cell.units=8", *(f"task.{each}" for each in own)]
    asked = settings.load_with_settings("growing_horizon", [*short_form("growing_horizon"), *small])
    found = run(asked, data=tmp_path).metrics.pivot(index="updates", columns="system", values="test_loss")
    assert found.index.tolist() == list(range(0, 201, 20))
    assert found.loc[0].nunique() == 1
    assert found.loc[20].nunique() == 3
    assert found.loc[20, "growing"] == found.loc[20, "one_step"]
    assert (found.loc[40:].nunique(axis=1) == 4).all()
    grown = next(each.learning.k for each in asked.references if each.name == "growing")
    assert grown.at(199) == asked.task.window


@cache
def remembered(gain: float, clip: str) -> Run:
    changed = [f"network.layers.0.cell.gain={gain}", f"training.clip={clip}", "training.test_every=50"]
    return run(settings.load_with_settings("truncation", changed))


def losses(gain: float, clip: str) -> pd.DataFrame:
    """Losses of the tests after half of the updates."""
    found = remembered(gain, clip).metrics.pivot(index="updates", columns="system", values="test_loss")
    return found.loc[100:]


def change_of_errors(gain: float) -> float:
    """‖δ_0‖ / ‖δ_T‖ at the initial weights."""
    (found,) = (
        each for each in remembered(gain, "1.0").summary.systems["bptt"].diagnostics if each.name == "error_change"
    )
    return found.at_start.value["layer 1"]  # type: ignore[union-attr,index,return-value]


def test_errors_that_vanish_teach_nothing_whether_they_are_truncated_or_not() -> None:
    assert change_of_errors(0.5) < 1e-6
    assert losses(0.5, "1.0").min(axis=None) > CHANCE - 0.02


def test_errors_that_arrive_teach_what_truncated_errors_do_not_reach() -> None:
    assert 1e-5 < change_of_errors(0.9) < 1
    found = losses(0.9, "1.0")
    assert found["bptt"].iloc[-1] < CHANCE - 0.3
    assert found["blocks"].min() > CHANCE - 0.02


def test_errors_that_explode_have_to_be_clipped() -> None:
    assert change_of_errors(3.0) > 100
    assert losses(3.0, "null")["bptt"].min() > CHANCE - 0.02
    assert losses(3.0, "1.0")["bptt"].iloc[-1] < CHANCE - 0.3
