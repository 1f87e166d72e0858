"""Tasks: what the sequences hold, what is asked of them, and that a seed fixes them."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
import tracemalloc
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import close
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from hwsim import tasks
from hwsim.episode import Episode
from hwsim.errors import DataError
from hwsim.tasks import Dataset, mackey_glass, mnist
from hwsim.tasks.dataset import chunks
from hwsim.tasks.folder import data_folder

ONE_IN_A_MILLION = 1e-6
OPTIONS = TypeAdapter(tasks.AnyOptions)
GENERATED = ["adding", "copy", "mackey_glass", "random", "store_and_recall"]

SHORT = {"copy": {"length": 20}, "store_and_recall": {"duration": 20, "inputs": 20}}
"""Options with which sequences are short, and hardly ever alike."""

every_generated = pytest.mark.parametrize("name", GENERATED)


def build(name: str, seed: int = 0, folder: Path | None = None, **options: Any) -> Dataset:
    return tasks.build(OPTIONS.validate_python({"name": name, **options}), seed, folder)


def content(episode: Episode) -> bytes:
    """Everything that an episode holds."""
    parts = [part.tobytes() for part in (episode.inputs, episode.labels, episode.values) if part is not None]
    return b"|".join([*parts, repr((episode.classes, episode.loss_from, episode.inputs.shape)).encode()])


def rows(*episodes: Episode) -> list[bytes]:
    """Every sequence with its target, in order of their bytes."""
    found = []
    for episode in episodes:
        target = episode.labels if episode.values is None else episode.values
        assert target is not None
        found += [x.tobytes() + y.tobytes() for x, y in zip(episode.inputs, target, strict=True)]
    return sorted(found)


def test_these_are_the_tasks() -> None:
    names = ["adding", "characters", "copy", "csv", "digits", "events", "japanese_vowels", "mackey_glass", "mnist"]
    assert sorted(tasks.TASKS) == [*names, "pattern_generation", "random", "spoken_digits", "store_and_recall"]


@pytest.mark.parametrize("name", [*GENERATED, "digits"])
def test_a_seed_fixes_everything_and_another_one_changes_it(name: str) -> None:
    once, again, other = (build(name, seed, **SHORT.get(name, {})) for seed in (1, 1, 2))
    for kind in ("train", "test"):
        assert content(getattr(once, kind)) == content(getattr(again, kind))
        assert content(getattr(once, kind)) != content(getattr(other, kind))


@every_generated
def test_generated_sequences_are_as_many_as_asked_and_new_in_the_test(name: str) -> None:
    for train, test in ((300, 40), (300, 300)):
        found = build(name, train=train, test=test, **SHORT.get(name, {}))
        assert (found.train.batch, found.test.batch) == (train, test)
        assert not set(rows(found.train)) & set(rows(found.test))
        assert set(np.intersect1d(found.train.inputs, found.test.inputs)) <= {0, 1}


@every_generated
def test_more_training_data_leaves_the_test_as_it_was(name: str) -> None:
    few, many = (build(name, train=train, test=40, **SHORT.get(name, {})) for train in (10, 300))
    assert content(few.test) == content(many.test)


# ---- digits --------------------------------------------------------------------------------------------------


def archive() -> tuple[np.ndarray, np.ndarray]:
    with resources.files("hwsim.tasks").joinpath("data/digits.npz").open("rb") as file, np.load(file) as found:
        return found["x"], found["y"]


def test_the_digits_are_those_of_the_archive_at_uci() -> None:
    """Counts of the classes, and mean of all pixels, as scikit-learn documents them; the first image is a zero."""
    images, labels = archive()
    assert images.size == 1797 * 64
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert images.mean() == close(4.884164579855314, rel=1e-15)
    assert (images.min(), images.max()) == (0, 16)
    assert labels[0] == 0
    assert images.reshape(1797, 8, 8)[0, :2].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]


@pytest.mark.parametrize(("order", "steps", "width"), [("rows", 8, 8), ("pixels", 64, 1)])
def test_digits_are_shown_in_rows_or_in_pixels(order: str, steps: int, width: int) -> None:
    found = build("digits", order=order)
    for episode in found:
        assert (episode.steps, episode.width, episode.classes, episode.outputs) == (steps, width, 10, 10)
        assert (episode.inputs.min(), episode.inputs.max()) == (0, 1)
        assert not episode.target_per_step
        assert episode.loss_steps == steps
    assert found.train.batch + found.test.batch == 1797


def test_rows_and_pixels_are_the_same_images_in_the_same_order() -> None:
    by_rows, by_pixels = (build("digits", order=order) for order in ("rows", "pixels"))
    for left, right in zip(by_rows, by_pixels, strict=True):
        np.testing.assert_array_equal(left.inputs.reshape(left.batch, 64), right.inputs[:, :, 0])
        np.testing.assert_array_equal(left.labels, right.labels)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("share", "test"), [(0.2, 359), (0.5, 898), (0.0001, 1), (0.9999999, 1796)])
def test_every_digit_is_in_one_part_of_the_split(seed: int, share: float, test: int) -> None:
    found = build("digits", seed, test_share=share)
    assert (found.test.batch, found.train.batch) == (test, 1797 - test)
    images, labels = archive()
    whole = Episode((images / 16.0).reshape(-1, 8, 8), labels.astype(np.int64), classes=10)
    assert rows(*found) == rows(whole)


def test_the_split_has_a_fair_share_of_every_class() -> None:
    found = build("digits", test_share=0.5)
    assert found.test.labels is not None
    counts, all_ = np.bincount(found.test.labels), np.bincount(archive()[1])
    for count, of in zip(counts, all_, strict=True):
        assert stats.hypergeom(1797, of, 898).cdf(count) > ONE_IN_A_MILLION
        assert stats.hypergeom(1797, of, 898).sf(count - 1) > ONE_IN_A_MILLION


# ---- adding --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [2, 3, 7, 50])
def test_the_target_is_the_sum_of_the_two_marked_numbers(steps: int) -> None:
    for episode in build("adding", steps=steps, train=200, test=50):
        assert episode.values is not None
        assert (episode.steps, episode.width, episode.outputs) == (steps, 2, 1)
        numbers, marks = episode.inputs[..., 0], episode.inputs[..., 1]
        assert set(np.unique(marks)) <= {0, 1}
        np.testing.assert_array_equal(marks[:, : steps // 2].sum(1), 1)
        np.testing.assert_array_equal(marks[:, steps // 2 :].sum(1), 1)
        expected = [numbers[row, marks[row] == 1].sum() for row in range(episode.batch)]
        np.testing.assert_allclose(episode.values[:, 0], expected, rtol=1e-14)
        assert episode.loss_from == steps - 1
        assert (numbers >= 0).all()
        assert (numbers < 1).all()


def test_always_answering_one_has_the_error_that_it_should() -> None:
    """The sum of two uniform numbers has mean 1 and variance 1/6; the loss is half the square of the error."""
    episode = build("adding", steps=4, train=40_000).train
    assert episode.values is not None
    error = (episode.values[:, 0] - 1) ** 2
    # E(s - 1)⁴ = 1/15, so the squares have variance 1/15 - 1/36; 5 σ, once in two million
    assert abs(error.mean() - 1 / 6) < 5 * np.sqrt((1 / 15 - 1 / 36) / 40_000)
    assert abs(episode.values[:, 0].mean() - 1) < 5 * np.sqrt(1 / 6 / 40_000)


def test_numbers_and_marks_of_adding_are_uniform() -> None:
    episode = build("adding", steps=10, train=20_000).train
    assert stats.kstest(episode.inputs[..., 0].ravel(), "uniform").pvalue > ONE_IN_A_MILLION
    for half in (slice(0, 5), slice(5, 10)):
        counts = episode.inputs[:, half, 1].sum(0)
        assert stats.chisquare(counts).pvalue > ONE_IN_A_MILLION
    first, second = (episode.inputs[:, half, 1].argmax(1) for half in (slice(0, 5), slice(5, 10)))
    assert stats.chi2_contingency(np.histogram2d(first, second, 5)[0]).pvalue > ONE_IN_A_MILLION


# ---- copy ----------------------------------------------------------------------------------------------------


@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_what_was_said_is_to_be_said_again_after_the_delay(symbols: int, length: int, delay: int) -> None:
    for episode in build("copy", symbols=symbols, length=length, delay=delay, train=20, test=5):
        shown, answer = episode.inputs.argmax(2), episode.labels
        assert answer is not None
        assert (episode.steps, episode.width, episode.classes) == (2 * length + delay, symbols + 2, symbols)
        np.testing.assert_array_equal(episode.inputs.sum(2), 1)
        assert set(np.unique(episode.inputs)) == {0, 1}
        assert (shown[:, :length] < symbols).all()
        cue = length + delay
        np.testing.assert_array_equal(shown[:, cue], symbols + 1)
        rest = np.delete(shown[:, length:], delay, axis=1)
        np.testing.assert_array_equal(rest, symbols)  # blanks, but for the cue
        assert (episode.loss_from, episode.loss_steps) == (cue, length)
        np.testing.assert_array_equal(answer[:, cue:], shown[:, :length])


def test_symbols_to_copy_are_uniform_and_independent() -> None:
    shown = build("copy", symbols=4, length=2, delay=0, train=20_000).train.inputs.argmax(2)
    counts = np.histogram2d(shown[:, 0], shown[:, 1], 4)[0]
    assert stats.chisquare(counts.ravel()).pvalue > ONE_IN_A_MILLION


# ---- random --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["classes", "values"])
@pytest.mark.parametrize(("loss", "loss_steps"), [("each", 20), ("last", 1)])
def test_random_sequences_have_random_targets(target: str, loss: str, loss_steps: int) -> None:
    episode = build("random", width=3, outputs=4, target=target, loss=loss, train=2000).train
    assert episode.inputs.shape == (2000, 20, 3)
    assert (episode.outputs, episode.loss_steps, episode.target_per_step) == (4, loss_steps, True)
    assert stats.kstest(episode.inputs.ravel(), "norm").pvalue > ONE_IN_A_MILLION
    if target == "values":
        assert episode.values is not None
        assert episode.values.shape == (2000, 20, 4)
        assert stats.kstest(episode.values.ravel(), "norm").pvalue > ONE_IN_A_MILLION
        assert abs(np.corrcoef(episode.inputs[..., 0].ravel(), episode.values[..., 0].ravel())[0, 1]) < 5 / 200
    else:
        assert episode.labels is not None
        assert episode.labels.shape == (2000, 20)
        assert stats.chisquare(np.bincount(episode.labels.ravel())).pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("loss", ["each", "last"])
def test_random_sequences_may_differ_in_length(loss: str) -> None:
    plain, episode = (build("random", loss=loss, train=2000, **more).train for more in ({}, {"shortest": 5}))
    np.testing.assert_array_equal(episode.inputs, plain.inputs)
    lengths = episode.ends + 1
    assert stats.chisquare(np.bincount(lengths)[5:]).pvalue > ONE_IN_A_MILLION
    assert (lengths.min(), lengths.max()) == (5, 20)
    assert episode.losses == (lengths.sum() if loss == "each" else 2000)
    assert not plain.masked


def test_zeros_as_targets_leave_the_inputs_as_they_are() -> None:
    zeros, values = (build("random", outputs=4, target=target).train for target in ("zeros", "values"))
    assert zeros.values is not None
    assert values.values is not None
    assert zeros.values.shape == values.values.shape
    assert not zeros.values.any()
    np.testing.assert_array_equal(zeros.inputs, values.inputs)


# ---- mackey_glass --------------------------------------------------------------------------------------------


def test_a_series_follows_its_delay_equation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heun's method with a hundredth of a unit of time, for the first 60 units, before small errors have grown."""
    monkeypatch.setattr(mackey_glass, "WASHOUT", 0)
    fine, lag = 100, 100 * mackey_glass.TAU
    x = np.full(lag + 60 * fine, 0.9)
    for now in range(lag, len(x) - 1):
        late, behind = x[now - lag], x[now - lag + 1]
        slope = 0.2 * late / (1 + late**10) - 0.1 * x[now]
        guess = x[now] + slope / fine
        x[now + 1] = x[now] + 0.5 * (slope + 0.2 * behind / (1 + behind**10) - 0.1 * guess) / fine
    np.testing.assert_allclose(mackey_glass.series(np.array([[0.9]]), 60)[0], x[lag::fine], atol=0.02)
    assert x.std() > 0.1


def test_windows_of_series_are_the_series() -> None:
    whole, cut = (build("mackey_glass", steps=50, train=3, test=2, window=window) for window in (None, 20))
    assert (cut.train.lanes, cut.train.batch, cut.train.steps, cut.test.lanes) == (3, 6, 20, 0)
    assert whole.train.values is not None
    np.testing.assert_array_equal(whole.train.inputs[:, 1:], whole.train.values[:, :-1])
    for lane in range(3):
        joined = np.concatenate([cut.train.inputs[lane], cut.train.inputs[3 + lane]])
        np.testing.assert_array_equal(joined, whole.train.inputs[lane, :40])
    assert 0.15 < whole.train.inputs.std() < 0.35
    assert np.abs(whole.train.inputs[0] - whole.train.inputs[1]).max() > 0.1


# ---- mnist ---------------------------------------------------------------------------------------------------

TRAIN, TEST = 30, 12


def small_files() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    return {
        "train images": draw.integers(256, size=(TRAIN, 28, 28), dtype=np.uint8),
        "train labels": draw.integers(10, size=TRAIN, dtype=np.uint8),
        "test images": draw.integers(256, size=(TEST, 28, 28), dtype=np.uint8),
        "test labels": draw.integers(10, size=TEST, dtype=np.uint8),
    }


def idx(array: np.ndarray) -> bytes:
    """The array as a file of the data set: two zeros, type, dimensions, sizes, bytes."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a small data set of random images, whose checksums are expected."""
    (tmp_path / "mnist").mkdir()
    for what, array in small_files().items():
        name = mnist.FILES[what].name
        (tmp_path / "mnist" / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
        checksum = hashlib.sha256(idx(array)).hexdigest()
        monkeypatch.setitem(mnist.FILES, what, mnist.File(name, array.shape, checksum))
    return tmp_path


def small_mnist(folder: Path, seed: int = 0, **options: int) -> Dataset:
    return build("mnist", seed, folder, **{"train": TRAIN, "test": TEST, **options})


def test_mnist_reads_its_files(small: Path) -> None:
    found = small_mnist(small, steps=784)
    files = small_files()
    for episode, kind in zip(found, ("train", "test"), strict=True):
        np.testing.assert_array_equal(episode.inputs[..., 0] * 255, files[f"{kind} images"].reshape(-1, 784))
        np.testing.assert_array_equal(episode.labels, files[f"{kind} labels"])
        assert (episode.classes, episode.loss_from, episode.target_per_step) == (10, 0, False)
        assert (episode.inputs.min(), episode.inputs.max()) == (0, 1)


@pytest.mark.parametrize(("steps", "width", "pixels"), [(98, 1, 8), (784, 1, 1), (28, 28, 1), (14, 2, 28), (1, 1, 784)])
def test_a_step_shows_means_of_neighbouring_pixels(small: Path, steps: int, width: int, pixels: int) -> None:
    episode = small_mnist(small, steps=steps, width=width).train
    images = small_files()["train images"].reshape(TRAIN, 784) / 255
    assert episode.inputs.shape == (TRAIN, steps, width)
    for step in {0, steps // 2, steps - 1}:
        for wire in {0, width - 1}:
            first = (step * width + wire) * pixels
            expected = images[:, first : first + pixels].mean(1)
            np.testing.assert_allclose(episode.inputs[:, step, wire], expected, rtol=1e-12)


def test_pixels_have_the_permutation_that_published_programs_have(small: Path) -> None:
    """NumPy keeps what `RandomState` gives; the first numbers are as they were in its version 2.3."""
    plain, permuted = (small_mnist(small, steps=784, **more).train.inputs for more in ({}, {"permutation": 92916}))
    order = [np.flatnonzero((column == plain[:, :, 0].T).all(1)) for column in permuted[:, :, 0].T]
    assert sorted(int(each[0]) for each in order) == list(range(784))
    assert [int(each[0]) for each in order[:8]] == [319, 576, 323, 107, 355, 716, 197, 20]
    means = small_mnist(small, steps=98, permutation=92916).train.inputs
    np.testing.assert_allclose(means[..., 0], permuted.reshape(TRAIN, 98, 8).mean(2), rtol=1e-12)


def test_mnist_takes_the_first_images(small: Path) -> None:
    some, whole = small_mnist(small, train=7, test=2), small_mnist(small)
    assert (some.train.batch, some.test.batch) == (7, 2)
    assert rows(some.train) == rows(whole.train.select(slice(7)))
    assert rows(some.test) == rows(whole.test.select(slice(2)))


def test_mnist_is_split_as_published_whatever_the_seed(small: Path) -> None:
    for kind in ("train", "test"):
        first, second = (getattr(small_mnist(small, seed), kind) for seed in (1, 2))
        assert content(first) == content(second)


def test_mnist_may_lie_there_unpacked(small: Path) -> None:
    packed = small_mnist(small)
    for path in (small / "mnist").glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    unpacked = small_mnist(small)
    assert content(packed.train) == content(unpacked.train)
    assert content(packed.test) == content(unpacked.test)


@pytest.mark.parametrize("what", list(mnist.FILES))
def test_a_file_that_is_missing_is_named_with_what_to_do(small: Path, what: str) -> None:
    name = f"{mnist.FILES[what].name}.gz"
    (small / "mnist" / name).unlink()
    with pytest.raises(DataError, match=rf"{name} is missing.*hwsim data fetch mnist.*--data.*HWSIM_DATA"):
        small_mnist(small)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"MNIST is not in .*nowhere"):
        build("mnist", folder=tmp_path / "nowhere")


def shortened(content: bytes) -> bytes:
    return content[: len(content) // 2]


def corrupted(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes(byte ^ 0xFF for byte in content[middle : middle + 64]) + content[middle + 64 :]


def cut_inside(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content)[:-1])


def swapped(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content)[::-1])


SPOILT: list[Callable[[bytes], bytes]] = [
    shortened,
    corrupted,
    cut_inside,
    swapped,
    lambda _: b"",
    lambda _: b"<html>404</html>",
    lambda _: gzip.compress(b""),
]


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("what", list(mnist.FILES))
def test_a_spoilt_file_is_named_and_not_used(small: Path, what: str, spoil: Callable[[bytes], bytes]) -> None:
    path = small / "mnist" / f"{mnist.FILES[what].name}.gz"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=rf"{path.name}.*delete it and run `hwsim data fetch mnist`"):
        small_mnist(small)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("what", list(mnist.FILES))
def test_no_more_is_read_of_a_file_than_it_should_hold(small: Path, what: str, packed: bool) -> None:
    """A megabyte of gzip may fill a gigabyte."""
    path, much = small / "mnist" / f"{mnist.FILES[what].name}.gz", bytes(50 << 20)
    good = gzip.decompress(path.read_bytes())
    path.unlink()
    path = path if packed else path.with_suffix("")
    path.write_bytes(gzip.compress(good + much, 1) if packed else good + much)
    del much
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=rf"{path.name} is not the file it should be"):
            mnist.read(small / "mnist", mnist.FILES[what])
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "options", [{"steps": 97}, {"steps": 0}, {"steps": 98, "width": 16}, {"train": 60_001}, {"test": 0}, {"width": 785}]
)
def test_mnist_refuses_what_does_not_divide_its_images(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        build("mnist", **options)


def mirrored(monkeypatch: pytest.MonkeyPatch, content: Callable[[str, str], bytes]) -> list[str]:
    """Have downloads give `content(mirror, name)`; the list fills with what was asked for."""
    import pooch

    asked: list[str] = []

    def retrieve(url: str, _: None, name: str, place: Path, **__: Any) -> None:
        asked.append(url)
        mirror = url.removesuffix(name)
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content(mirror, name))

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    return asked


def test_fetching_takes_what_is_missing_from_the_first_mirror(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = {path.name: path.read_bytes() for path in (small / "mnist").iterdir()}
    gone = sorted(held)[:2]
    for name in gone:
        (small / "mnist" / name).unlink()
    asked = mirrored(monkeypatch, lambda _, name: held[name])
    assert mnist.fetch(small) == small / "mnist"
    assert sorted(asked) == [mnist.MIRRORS[0] + name for name in gone]
    assert {path.name: path.read_bytes() for path in (small / "mnist").iterdir()} == held


def test_fetching_goes_on_to_the_next_mirror(
    small: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {path.name: path.read_bytes() for path in (small / "mnist").iterdir()}
    empty = tmp_path_factory.mktemp("empty")
    mirrored(monkeypatch, lambda mirror, name: held[name] if mirror == mnist.MIRRORS[1] else b"<html>404</html>")
    mnist.fetch(empty)
    assert content(small_mnist(empty).train) == content(small_mnist(small).train)


def test_fetching_says_what_every_mirror_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(mirror: str, name: str) -> bytes:
        if mirror == mnist.MIRRORS[0]:
            raise ConnectionError("no route to host")
        return gzip.compress(b"something else")

    mirrored(monkeypatch, answer)
    with pytest.raises(DataError) as error:
        mnist.fetch(tmp_path)
    first, *rest = str(error.value).splitlines()
    assert first == "train-images-idx3-ubyte could not be fetched:"
    assert rest[0].split() == [f"{mnist.MIRRORS[0]}:", "no", "route", "to", "host"]
    assert mnist.MIRRORS[1] in rest[1]
    assert "is not the file it should be" in rest[1]
    assert not list((tmp_path / "mnist").iterdir())


@pytest.mark.data
def test_mnist_is_the_published_data_set() -> None:
    """Counts of the classes as published; mean and deviation of all pixels as everyone quotes them."""
    if not (data_folder() / "mnist").is_dir():
        pytest.skip("MNIST is not in the data folder")
    found = build("mnist", steps=784)
    assert found.train.inputs.shape == (60_000, 784, 1)
    assert found.test.inputs.shape == (10_000, 784, 1)
    assert found.train.labels is not None
    assert found.test.labels is not None
    assert found.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(found.train.labels).tolist() == counts
    assert np.bincount(found.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert found.train.inputs.mean() == close(0.1307, abs=5e-5)
    assert found.train.inputs.std() == close(0.3081, abs=5e-5)


# ---- data sets -----------------------------------------------------------------------------------------------


def counted(batch: int) -> Dataset:
    """Sequences whose only input is their number, which is their target too."""
    inputs = np.arange(batch, dtype=float).reshape(batch, 1, 1)
    episode = Episode(inputs, values=inputs)
    return Dataset(episode, episode)


@given(st.integers(1, 40), st.integers(1, 45), st.integers(0, 5))
def test_an_epoch_shows_full_batches_of_different_sequences(count: int, size: int, epoch: int) -> None:
    batches = list(counted(count).batches(size, 1, epoch))
    assert len(batches) == count // size
    shown = [number for batch in batches for number in batch.inputs.ravel()]
    assert len(shown) == len(set(shown)) == count // size * size
    assert all(batch.batch == size and np.array_equal(batch.inputs, batch.values) for batch in batches)  # type: ignore[arg-type]


def test_the_order_of_an_epoch_hangs_on_the_seed_and_the_epoch() -> None:
    def order(seed: int, epoch: int) -> tuple[float, ...]:
        return tuple(x for batch in counted(50).batches(5, seed, epoch) for x in batch.inputs.ravel())

    assert order(1, 0) == order(1, 0)
    assert len({order(1, 0), order(1, 1), order(2, 0), tuple(range(50))}) == 4
    assert set(order(1, 0)) == set(range(50))


def test_batches_of_another_size_cut_the_same_order_elsewhere() -> None:
    fives, tens = ([x for batch in counted(50).batches(size, 1, 0) for x in batch.inputs.ravel()] for size in (5, 10))
    assert fives == tens


@given(st.integers(1, 40), st.integers(1, 45))
def test_chunks_show_everything_in_order(count: int, size: int) -> None:
    parts = list(chunks(counted(count).test, size))
    assert [x for part in parts for x in part.inputs.ravel()] == list(range(count))
    assert all(part.batch == size for part in parts[:-1])
    assert 1 <= parts[-1].batch <= size


def test_the_data_folder_is_the_chosen_one_or_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path / "named"))
    assert data_folder(tmp_path / "chosen") == tmp_path / "chosen"
    assert data_folder() == tmp_path / "named"
    for unset in (lambda: monkeypatch.setenv("HWSIM_DATA", ""), lambda: monkeypatch.delenv("HWSIM_DATA")):
        unset()
        assert data_folder().name == "hwsim"
        assert str(data_folder()) != os.curdir
