"""A name is found whatever it stands for."""

from __future__ import annotations

import pytest

from hwsim import cells, learning, tasks
from hwsim.columns import COLUMNS, CURVES
from hwsim.config import hardware
from hwsim.errors import ConfigError
from hwsim.guide import choices
from hwsim.guide.names import meanings


def test_everything_that_a_file_can_name_and_every_column_is_found() -> None:
    names = {
        *learning.RULES,
        *cells.CELLS,
        *tasks.TASKS,
        *hardware.names("configs/hardware"),
        *hardware.names("devices"),
    }
    assert names <= {choice.name for choice in choices.choices()}
    files = [
        hardware.names(folder) for folder in ("configs/hardware", "devices", "configs/neurons", "configs/experiments")
    ]
    for name in sorted(names)[::4]:
        count = sum(name in of for of in (learning.RULES, cells.CELLS, tasks.TASKS, *files))
        assert [choice.name for choice in meanings(name).choices] == [name] * count, name
    for name in [*COLUMNS, *CURVES]:
        assert {column.name for column in meanings(name).columns} == {name}


def test_a_name_may_stand_for_several_things() -> None:
    found = meanings("writes_per_device")
    assert [column.tables for column in found.columns] == [
        "table.csv of a study", "metrics.csv of a run, curves.csv of a study"
    ]  # fmt: skip
    found = meanings("loss")
    assert "network.loss" in {entry.place for entry in found.keys}
    assert len(found.columns) == 1


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("task.digits", "task: {name: NAME}"),
        ("network.layers.0.cell.alif", "cell: {name: NAME}"),
        ("neuron.alif", "neuron: NAME"),
        ("machine.pcm_crossbar", "machine: NAME"),
    ],
)
def test_a_name_may_stand_behind_the_key_that_names_it(name: str, where: str) -> None:
    assert [choice.where for choice in meanings(name).choices] == [where]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pcm_crosbar", "^unknown name 'pcm_crosbar'; did you mean 'pcm_crossbar'"),
        ("accurcy", "^unknown name 'accurcy'; did you mean 'accuracy'"),
        ("rangs", "^unknown name 'rangs'; did you mean 'ranges'"),
        ("ir_drop", "^unknown key 'ir_drop'; `parts.tiles.wires` is the resistance"),
        ("loihi", "^unknown name 'loihi'; did you mean 'loihi_like'"),
        ("quux", "^nothing is called 'quux'; .* `hwsim devices`"),
        ("task.alif", "^task.alif: unknown key 'alif'"),
        ("machine.parts.rangs", r"^machine\.parts\.rangs: unknown key 'rangs'"),
    ],
)
def test_what_has_no_name_is_likened_to_all_that_have_one(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        meanings(name)
