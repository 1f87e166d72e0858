"""A break-even over what it has no axis for gives the lines of a study that does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim.config import experiment, grid
from hwsim.errors import ConfigError
from hwsim.experiments.breakeven import breakeven
from hwsim.experiments.study_instead import study_instead


@pytest.mark.parametrize(
    ("over", "axis"),
    [
        ("tile", "tiles: {keys: [machine.parts.tiles.rows, machine.parts.tiles.columns], values: [128, 256, 512]}"),
        ("parts.adc.bits", "bits: {key: machine.parts.adc.bits, values: [4, 8]}"),
        ("seed", "seed of a trial: {key: seed, values: [1, 2]}"),
        ("modes", "modes: {key: network.layers.0.cell.modes, values: [8, 16, 32]}"),
    ],
)
def test_the_lines_are_a_study_of_estimates_that_varies_the_key(over: str, axis: str, tmp_path: Path) -> None:
    lines = study_instead(experiment.load("quickstart"), over, "quickstart")
    assert lines is not None
    assert f"  {axis}\n" in lines
    (tmp_path / "study.yaml").write_text(lines, encoding="utf-8")
    plan = grid.load_study(tmp_path / "study.yaml")
    assert plan.study.estimate
    assert plan.trials == lines.partition("values: ")[2].partition("]")[0].count(",") + 1
    first, last = plan.experiment(0), plan.experiment(plan.trials - 1)
    assert first != last


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("tile", "allowed: batch, node, steps, width. A study of estimates varies any key. Save these lines"),
        ("widht", "unknown axis 'widht'; did you mean 'width'? allowed: batch, node, steps, width"),
        ("quux", "a study with `estimate: true` varies any key of the experiment, and `hwsim docs` lists them"),
    ],
)
def test_an_unknown_axis_is_a_slip_or_a_study(over: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        breakeven(experiment.load("quickstart"), over, file="mine.yaml")
    assert said in str(error.value)
    assert ("experiment: mine.yaml" in str(error.value)) == (over == "tile")
