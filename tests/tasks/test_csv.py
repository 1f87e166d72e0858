"""Tables of sequences: what is read is what was written, in every form; and what is wrong is said with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hwsim import tasks
from hwsim.config import experiment as config
from hwsim.errors import DataError
from hwsim.tasks import Dataset, averaged, sequence_tables

OPTIONS = TypeAdapter(tasks.AnyOptions)
TABLE = """part,sequence,step,x,y,what,near
train,a,0,1,-1,left,0.5
train,a,1,2,-2,left,0.25
train,a,2,4,-4,left,0
train,b,5,3,0,right,1
test,c,0,5,1.5,right,2
test,c,1,6,2.5,right,3
"""
CLASSES: dict[str, Any] = {
    "train_file": "table.csv",
    "part": "part",
    "step": "step",
    "features": ["x", "y"],
    "label": "what",
    "classes": ["left", "right"],
    "steps": 4,
    "scale": "none",
    "train": 2,
    "test": 1,
}
VALUES: dict[str, Any] = {"label": None, "classes": None, "features": ["y"]}


def made(**options: Any) -> Any:
    return OPTIONS.validate_python({"name": "csv", **options})


def built(folder: Path, table: str = TABLE, **options: Any) -> Dataset:
    (folder / "table.csv").write_text(table, encoding="utf-8")
    return tasks.build(made(**{**CLASSES, **options}), 0, folder)


def test_lines_are_steps_and_shorter_sequences_are_masked(tmp_path: Path) -> None:
    train, test = built(tmp_path)
    np.testing.assert_array_equal(train.inputs[0], [[1, -1], [2, -2], [4, -4], [0, 0]])
    np.testing.assert_array_equal(train.inputs[1], [[3, 0], [0, 0], [0, 0], [0, 0]])
    np.testing.assert_array_equal(test.inputs[0], [[5, 1.5], [6, 2.5], [0, 0], [0, 0]])
    assert train.mask is not None
    assert train.mask.tolist() == [[True, True, True, False], [True, False, False, False]]
    assert train.labels is not None
    assert test.labels is not None
    assert (train.labels.tolist(), test.labels.tolist(), train.classes) == ([0, 1], [1], 2)


def test_labels_and_targets_are_of_sequences_or_of_steps(tmp_path: Path) -> None:
    train, _ = built(tmp_path, TABLE.replace("2,-2,left", "2,-2,right"), each="step")
    assert train.labels is not None
    assert train.labels[0, :3].tolist() == [0, 1, 0]
    train, test = built(tmp_path, **VALUES, target=["near", "x"], each="step")
    assert train.values is not None
    assert test.values is not None
    np.testing.assert_array_equal(train.values[0, :3], [[0.5, 1], [0.25, 2], [0, 4]])
    np.testing.assert_array_equal(test.values[0, :2], [[2, 5], [3, 6]])
    same = TABLE.replace("0.25", "0.5").replace("-4,left,0", "-4,left,0.5").replace("2.5,right,3", "2.5,right,2")
    train, test = built(tmp_path, same, **VALUES, target=["near"])
    assert train.values is not None
    assert train.values.tolist() == [[0.5], [1.0]]


def test_later_steps_and_more_sequences_are_left_out(tmp_path: Path) -> None:
    train, _ = built(tmp_path, TABLE + "test,d,0,1,1,nonsense,0\n", steps=2, train=1)
    assert train.inputs.tolist() == [[[1, -1], [2, -2]]]


def test_files_of_their_own_take_the_place_of_a_column(tmp_path: Path) -> None:
    head, *lines = TABLE.splitlines()
    for kind in ("train", "test"):
        (tmp_path / f"{kind}.csv").write_text("\n".join([head, *(line for line in lines if line.startswith(kind))]))
    options = {**CLASSES, "part": None, "train_file": "train.csv", "test_file": "test.csv"}
    for one, other in zip(tasks.build(made(**options), 0, tmp_path), built(tmp_path), strict=True):
        np.testing.assert_array_equal(one.inputs, other.inputs)
        np.testing.assert_array_equal(one.labels, other.labels)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_columns_have_any_names_and_order_and_numbers_decimal_commas(tmp_path: Path, separator: str) -> None:
    rows = [line.split(",")[::-1] for line in TABLE.replace("sequence", "trial").splitlines()]
    table = "\n".join(separator.join(row) for row in rows)
    if separator != ",":
        table = table.replace(".", ",")
    one, other = built(tmp_path, table, sequence="trial"), built(tmp_path)
    np.testing.assert_array_equal(one.test.inputs, other.test.inputs)
    np.testing.assert_array_equal(one.test.labels, other.test.labels)


@given(
    st.lists(st.lists(st.tuples(st.floats(-9, 9), st.integers(0, 2)), min_size=1, max_size=6), min_size=2, max_size=6),
    st.integers(1, 7),
)
@settings(max_examples=40, deadline=None)
def test_a_table_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, sequences: list[list[tuple[float, int]]], block: int
) -> None:
    """Whatever the number of lines that are read at once."""
    folder = tmp_path_factory.mktemp("tables")
    lines = [
        f"s{number};{x!r};{label};{'test' if number == 1 else 'train'}"
        for number, sequence in enumerate(sequences)
        for x, label in sequence
    ]
    (folder / "t.csv").write_text("\n".join(["sequence;x;label;part", *lines]))
    options = made(
        train_file="t.csv",
        part="part",
        features=["x"],
        label="label",
        classes=3,
        each="step",
        steps=6,
        scale="none",
        train=len(sequences) - 1,
        test=1,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sequence_tables, "BLOCK", block)
        train, test = tasks.build(options, 0, folder)
    order = [sequences[0], *sequences[2:], sequences[1]]
    shown = [(each, row) for each in (train, test) for row in range(each.batch)]
    for (episode, row), sequence in zip(shown, order, strict=True):
        assert episode.mask is not None
        assert episode.labels is not None
        assert episode.mask[row].sum() == len(sequence)
        assert episode.inputs[row, : len(sequence), 0].tolist() == [x for x, _ in sequence]
        assert episode.labels[row, : len(sequence)].tolist() == [label for _, label in sequence]


def test_features_are_scaled_by_the_training_sequences(tmp_path: Path) -> None:
    train, test = built(tmp_path, scale="standard")
    assert train.mask is not None
    shown = np.array([[1, -1], [2, -2], [4, -4], [3, 0]])
    np.testing.assert_allclose(train.inputs[train.mask], (shown - shown.mean(0)) / shown.std(0), rtol=1e-14)
    np.testing.assert_allclose(test.inputs[0, 0], ([5, 1.5] - shown.mean(0)) / shown.std(0), rtol=1e-14)
    assert not train.inputs[~train.mask].any()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"each": "step", "encoder": {"name": "rate", "repeats": 2}, "scale": "standard"},
        {**VALUES, "target": ["near"], "each": "step"},
        {"steps": 1, "lengths": "same"},
    ],
)
def test_outlines_are_the_shapes_of_the_data(tmp_path: Path, options: dict[str, Any]) -> None:
    data = built(tmp_path, **options)
    for outline, episode in zip(tasks.outline(made(**{**CLASSES, **options})), data, strict=True):
        assert outline.inputs.shape == episode.inputs.shape
        assert outline.targets.shape == episode.targets.shape
        assert outline.masked == episode.masked


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (("b,5", "b,5.5"), "table.csv:5:1: step '5.5': must be a whole number, 0 or more"),
        (("a,2,4", "a,3,4"), "table.csv, line 4: step 3 of 'a' follows 1; steps of a sequence rise by one from line"),
        (("a,1,2", "a,0,2"), "table.csv, line 3: step 0 of 'a' follows 0; steps of a sequence rise by one from line"),
        (("b,5", "a,3"), "table.csv, line 5: what right in 'a', whose what is left; all lines of a sequence have"),
        (("test,c,1", "test,a,1"), "table.csv, line 7: sequence 'a' goes on after another one; its lines stand"),
        (("test,c,1", "train,c,1"), "table.csv, line 7: part train in 'c', whose part is test; all lines of a"),
        (("test,c,0", "tests,c,0"), "table.csv, line 6: unknown part 'tests'; did you mean 'test'? allowed: test"),
        (("train,b,5", "train,,5"), "table.csv, line 5: sequence is empty; each line names the sequence that it is of"),
        (("3,0,right", "3,0,rigth"), "table.csv, line 5: unknown what 'rigth'; did you mean 'right'? allowed: left, "),
        (("2,-2,left", "2,x,left"), "table.csv:3:1: y 'x': must be a number"),
        (("x,y,", "x,z,"), "table.csv:1:1: the column 'y' is missing"),
        (("train,b,5,3,0,right,1\n", ""), "table.csv has 1 sequences with part 'train', and task.train asks for 2"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(
    tmp_path: Path, changed: tuple[str, str], message: str
) -> None:
    assert changed[0] in TABLE
    with pytest.raises(DataError) as error:
        built(tmp_path, TABLE.replace(*changed, 1))
    assert str(error.value).removeprefix(f"{tmp_path}/").startswith(message)


def test_more_that_is_wrong_with_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 2: what 'left'; allowed are 0 to 2, see task\.classes"):
        built(tmp_path, classes=3)
    with pytest.raises(DataError, match=r"line 2: sequence 'a' has 3 steps, and task\.steps is 4; give fewer, or"):
        built(tmp_path, lengths="same")
    with pytest.raises(DataError, match=r"line 5: sequence 'b' has 1 steps, and task\.steps is 3"):
        built(tmp_path, lengths="same", steps=3)
    with pytest.raises(DataError, match=r"no file '.*tabel\.csv'.*--data FOLDER or .*HWSIM_DATA"):
        tasks.check(made(**{**CLASSES, "train_file": "tabel.csv"}), tmp_path)
    (tmp_path / "table.csv").write_text("sequence,x\n")
    with pytest.raises(DataError, match=r"the column 'part' is missing"):
        tasks.check(made(**CLASSES), tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"part": None}, "test_file: give either a file of test sequences, or `part`"),
        ({"test_file": "t.csv"}, "test_file: give either a file of test sequences, or `part`"),
        ({"label": None}, "label: give either the column of the class, or `target`"),
        ({"target": ["near"]}, "label: give either the column of the class, or `target`"),
        ({"classes": None}, "classes: required with `label`: the names of classes, or how many"),
        ({"classes": ["left", "left"]}, "classes: 'left' stands there twice"),
        ({"features": ["x", "x"]}, "features and other columns: 'x' stands there twice"),
        ({"features": ["x", "what"]}, "features and other columns: 'what' stands there twice"),
        ({"label": None, "target": ["near"]}, "classes: values have none; give `label`, the column of the class"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        made(**{**CLASSES, **options})


def test_the_shipped_table_needs_memory(tmp_path: Path) -> None:
    """Waves of any phase have no average that tells them apart: a third is right by chance, of 60, σ 6 points."""
    data = tasks.build(config.load("configs/experiments/waves.yaml").task, 0, tmp_path)
    assert (data.train.batch, data.test.batch, data.train.steps) == (120, 60, 32)
    for episode in data:
        assert episode.labels is not None
        assert len(set(np.bincount(episode.labels))) == 1
    assert averaged.linear(data) < 0.5
