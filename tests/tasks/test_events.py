"""Events of a user's own: what a file says is what is shown, and what is wrong with it is said with its line."""

from __future__ import annotations

import csv
import sys
import tracemalloc
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
from hwsim.tasks import Dataset, averaged, event_files

OPTIONS = TypeAdapter(tasks.AnyOptions)
CSV = """sample,label,time_us,channel
a,2,0,3
a,2,999,0
a,2,1000,0
a,2,1500.5,0
a,2,2000000,1

b,0,,
c,1,2999,2
"""


def made(**options: Any) -> Any:
    """Options for files of 3 samples, 4 channels and 3 classes."""
    sizes = {"train": 3, "test": 3, "channels": 4, "classes": 3, "steps": 5, "dt": "1 ms"}
    return OPTIONS.validate_python(
        {"name": "events", "train_file": "train.csv", "test_file": "train.csv", **sizes, **options}
    )


def built(folder: Path, text: str | None = None, **options: Any) -> Dataset:
    if text is not None:
        (folder / "train.csv").write_text(text)
    return tasks.build(made(**options), 0, folder)


def refusal(folder: Path, text: str, **options: Any) -> str:
    """The message about a file, without its folder."""
    with pytest.raises(DataError) as error:
        built(folder, text, **options)
    return str(error.value).replace(f"{folder}/", "")


def test_events_are_counted_in_steps(tmp_path: Path) -> None:
    """An event at 1000 µs is of the second step of 1 ms; one behind the last step is left out."""
    spikes, counts = (built(tmp_path, CSV, value=value).train for value in ("spike", "count"))
    expected = np.zeros((3, 5, 4))
    expected[0, 0, 3] = expected[0, 0, 0] = expected[2, 2, 2] = 1
    expected[0, 1, 0] = 2
    np.testing.assert_array_equal(counts.inputs, expected)
    np.testing.assert_array_equal(spikes.inputs, np.minimum(expected, 1))
    assert spikes.labels is not None
    assert spikes.labels.tolist() == [2, 0, 1]
    assert (spikes.classes, spikes.target_per_step) == (3, False)


@pytest.mark.parametrize(("unit", "scale"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_the_first_line_says_the_unit_and_the_order_of_columns(tmp_path: Path, unit: str, scale: float) -> None:
    lines = [f"channel, time_{unit} ,note,label,sample"]
    lines += [f"{step % 4},{step * 1e-3 * scale:.9g},x,1,s" for step in range(5)]
    found = built(tmp_path, "\n".join(lines), train=1, test=1).train.inputs[0]
    np.testing.assert_array_equal(found, np.eye(4)[[0, 1, 2, 3, 0]])


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 7999), st.integers(0, 3)), max_size=20), min_size=1, max_size=5),
    st.sampled_from([1, 7, event_files.BLOCK]),
)
@settings(max_examples=40, deadline=None)
def test_a_file_written_from_events_gives_them_back(
    tmp_path_factory: pytest.TempPathFactory, samples: list[list[tuple[int, int]]], block: int
) -> None:
    """Whatever the size of blocks; nothing is lost, and nothing is in another sample, step or channel."""
    folder = tmp_path_factory.mktemp("events")
    expected = np.zeros((len(samples), 8, 4))
    with (folder / "train.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["sample", "label", "time_us", "channel"])
        for number, events in enumerate(samples):
            for time, channel in sorted(events):
                writer.writerow([f"n{number}", number % 3, time, channel])
                expected[number, time // 1000, channel] += 1
            if not events:
                writer.writerow([f"n{number}", number % 3, "", ""])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_files, "BLOCK", block)
        found = built(folder, value="count", steps=8, train=len(samples), test=1).train
    np.testing.assert_array_equal(found.inputs, expected)
    assert found.labels is not None
    assert found.labels.tolist() == [number % 3 for number in range(len(samples))]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            ("1500.5,0", "500,0"),
            "train.csv, line 5: time 500 is before 1000, the one above; sort the events of a sample",
        ),
        (("999,0", "999,4"), "train.csv, line 3: channel '4'; allowed are 0 to 3, see task.channels"),
        (("999,0", "999,-1"), "train.csv, line 3: channel '-1'; allowed are 0 to 3, see task.channels"),
        (("999,0", "999,1.0"), "train.csv, line 3: channel '1.0'; allowed are 0 to 3, see task.channels"),
        (("999,0", "999,"), "train.csv, line 3: channel ''; allowed are 0 to 3, see task.channels"),
        (("999,0", ",0"), "train.csv, line 3: time ''; a time since the start of the sample is a number from 0 on"),
        (("999,0", "-1,0"), "train.csv, line 3: time '-1'; a time since the start of the sample is a number from 0"),
        (("999,0", "nan,0"), "train.csv, line 3: time 'nan'; a time since the start of the sample is a number from 0"),
        (("999,0", "soon,0"), "train.csv, line 3: time 'soon'; a time since the start of the sample is a number"),
        (("999,0", "999"), "train.csv, line 3: channel ''; allowed are 0 to 3, see task.channels"),
        (("999,0", "999,0,1"), "train.csv:3:1: more values than line 1 names columns, which are 4"),
        (("c,1", "c,3"), "train.csv, line 9: label '3'; allowed are 0 to 2, see task.classes"),
        (("a,2,1000", "a,1,1000"), "train.csv, line 4: label 1 in sample 'a', whose label is 2"),
        (("c,1", "a,1"), "train.csv, line 9: sample 'a' goes on after another one; its lines stand together"),
        (("time_us", "time"), "train.csv, line 1: columns are named there, each once: sample, label, channel, and one"),
        (
            ("label", "time_ms"),
            "train.csv, line 1: columns are named there, each once: sample, label, channel, and one",
        ),
        (("b,0,,\n", ""), "train.csv has 2 samples, and task.train asks for 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(
    tmp_path: Path, changed: tuple[str, str], message: str
) -> None:
    assert changed[0] in CSV
    assert refusal(tmp_path, CSV.replace(*changed, 1)).startswith(message)


def test_a_file_that_is_no_table_or_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, "").endswith("the file is empty; its first line names the columns")
    (tmp_path / "train.csv").write_bytes(CSV.encode() + b"d,1,\xff\xfe,0\n")
    with pytest.raises(DataError, match=r"train\.csv:10:5: not UTF-8 \(byte 0xff\)"):
        built(tmp_path, train=4)
    assert refusal(tmp_path, CSV + '"' + "x" * 200_000).startswith("train.csv:10:1: a quotation mark that")
    with pytest.raises(
        DataError,
        match=r"no file '.*none\.csv'; the data folder is .* --data FOLDER or .*HWSIM_DATA",
    ):
        built(tmp_path, CSV, test_file="none.csv")
    with pytest.raises(DataError, match=r"no file '.*none\.csv'"):
        tasks.check(made(test_file="none.csv"), tmp_path)
    with pytest.raises(ValidationError, match=r"train_file: a\.txt is of no known kind; allowed are \.csv, \.h5 and"):
        made(train_file="a.txt")


def test_a_long_file_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """20 000 more events of one sample take 0.6 MB as Python's numbers alone; what is held is a block."""
    monkeypatch.setattr(event_files, "BLOCK", 2000)
    path, peaks = tmp_path / "train.csv", []
    for count in (25_000, 45_000):
        with path.open("w") as stream:
            stream.write("sample,label,time_us,channel\n")
            stream.writelines(f"a,0,{time},0\n" for time in range(count))
        tracemalloc.start()
        assert sum(len(block.times) for block in event_files.blocks(path, event_files.Range(4, 3))) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 3e5


def test_outlines_are_the_shapes_of_the_data(tmp_path: Path) -> None:
    for outline, episode in zip(tasks.outline(made(test=2)), built(tmp_path, CSV, test=2), strict=True):
        assert outline.inputs.shape == episode.inputs.shape
        assert (outline.classes, outline.target_per_step) == (episode.classes, episode.target_per_step)


# ---- HDF5 ----------------------------------------------------------------------------------------------------


def test_without_h5py_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DataError, match=r"to read HDF5, install hwsim with it: pip install 'hwsim\[events\]'"):
        tasks.check(made(train_file="shd_train.h5"), tmp_path)


def shd(path: Path, **replaced: Any) -> None:
    """A file in the layout of the Spiking Heidelberg Digits: ragged arrays, times of 16 bits."""
    h5py = pytest.importorskip("h5py")
    parts = {
        "times": [np.array([0.0005, 0.0015], np.float16), np.array([], np.float16), np.array([1.2], np.float16)],
        "units": [np.array([1, 2], np.uint16), np.array([], np.uint16), np.array([3], np.uint16)],
        "labels": np.array([2, 0, 1], np.uint16),
        **replaced,
    }
    with h5py.File(path, "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            values = file.create_dataset(f"spikes/{name}", (len(parts[name]),), h5py.vlen_dtype(np.dtype(kind)))
            for sample, each in enumerate(parts[name]):
                values[sample] = each
        file["labels"] = parts["labels"]


def test_the_layout_of_shd_is_read(tmp_path: Path) -> None:
    """1.2 s is 1.2002 s as 16 bits, and in microseconds it would be infinite in them."""
    shd(tmp_path / "a.h5")
    found = tasks.build(made(train_file="a.h5", test_file="a.h5", steps=1300), 0, tmp_path).train
    assert np.argwhere(found.inputs).tolist() == [[0, 0, 1], [0, 1, 2], [2, 1200, 3]]
    assert found.labels is not None
    assert found.labels.tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"labels": np.array([2, 0, 3])}, "a.h5, sample 2: label 3; allowed are 0 to 2, see task.classes"),
        ({"labels": np.array([2, 0])}, "a.h5: 3 arrays of times, 3 of units, and 2 labels"),
        ({"labels": np.array([2.0, 0, 1])}, "a.h5: labels are whole numbers; found float64"),
        ({"units": [[1, 4], [], [3]]}, "a.h5, sample 0: channel 4; allowed are 0 to 3, see task.channels"),
        ({"units": [[1], [], [3]]}, "a.h5, sample 0: 2 times and 1 units"),
        ({"times": [[-1.0, 0], [], [0]]}, "a.h5, sample 0: times are seconds since the start of the sample"),
        ({"times": [[0, np.nan], [], [0]]}, "a.h5, sample 0: times are seconds since the start of the sample"),
    ],
)
def test_what_is_wrong_with_an_hdf5_file_is_said(tmp_path: Path, replaced: dict[str, Any], message: str) -> None:
    shd(tmp_path / "a.h5", **replaced)
    with pytest.raises(DataError) as error:
        tasks.build(made(train_file="a.h5", test_file="a.h5"), 0, tmp_path)
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(message)


def test_another_file_than_hdf5_is_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "a.h5").write_bytes(b"nothing")
    with pytest.raises(DataError, match="cannot be read as HDF5"):
        tasks.check(made(train_file="a.h5"), tmp_path)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["spikes/times"] = np.zeros(3)
    with pytest.raises(DataError, match="spikes/times, spikes/units and labels are expected"):
        tasks.build(made(train_file="a.h5", test_file="a.h5"), 0, tmp_path)


def test_the_shipped_files_need_the_order_of_events(tmp_path: Path) -> None:
    """Numbers of events are drawn alike for all classes: a quarter of 80 is right by chance, σ 4.8 points."""
    data = tasks.build(config.load("configs/experiments/moving_edges.yaml").task, 0, tmp_path)
    assert (data.train.batch, data.test.batch, data.train.steps) == (160, 80, 36)
    for episode in data:
        assert episode.labels is not None
        assert len(set(np.bincount(episode.labels))) == 1
    assert averaged.linear(data) < 0.45
    assert nearest_order(data) > 0.9


def nearest_order(data: Dataset) -> float:
    """The accuracy of the class whose mean time of each pixel is nearest, in a sample's own mean and deviation."""

    def times(inputs: np.ndarray) -> np.ndarray:
        seen = inputs.sum(1)
        mean = (np.arange(inputs.shape[1])[:, None] * inputs).sum(1) / np.maximum(seen, 1)
        mean = np.where(seen > 0, mean, np.nan)
        return np.nan_to_num((mean - np.nanmean(mean, 1, keepdims=True)) / np.nanstd(mean, 1, keepdims=True))

    train, test = times(data.train.inputs), times(data.test.inputs)
    means = np.stack([train[data.train.labels == label].mean(0) for label in range(4)])
    nearest = np.argmin(((test[:, None] - means) ** 2).sum(-1), 1)
    return float((nearest == data.test.labels).mean())
