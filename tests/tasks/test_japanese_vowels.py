"""Japanese Vowels: both layouts of the utterances, the split, the scaling, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from hwsim import tasks
from hwsim.errors import DataError
from hwsim.tasks import Dataset, averaged, vowels
from hwsim.tasks.folder import data_folder
from hwsim.tasks.vowels import Utterance

OPTIONS = TypeAdapter(tasks.AnyOptions)


def made(**options: Any) -> Any:
    return OPTIONS.validate_python({"name": "japanese_vowels", **options})


def few() -> dict[str, list[Utterance]]:
    """Noise of different length, each speaker with a loudness of his own."""
    draw = np.random.default_rng(1)
    return {
        part: [
            Utterance(draw.normal(1, 1 + who, (int(draw.integers(7, 30)), 12)).astype(np.float32), who)
            for who in [*range(9)] * times
        ]
        for part, times in (("train", 3), ("test", 2))
    }


def text(found: list[Utterance]) -> str:
    """Utterances as aeon writes them: series of coefficients, which count from the first, and speakers from 1 on."""
    lines = [
        ":".join([*(",".join(map(str, series)) for series in each.frames.T), str(each.speaker + 1)]) for each in found
    ]
    return "\n".join(["# about it", "@problemName JapaneseVowels", "@data", *lines, ""])


def written(place: Path, found: dict[str, list[Utterance]]) -> None:
    """The utterances as files of aeon."""
    place.mkdir(parents=True)
    for part, utterances in found.items():
        (place / f"JapaneseVowels_{part.upper()}.ts").write_text(text(utterances))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a few utterances, which are those that are expected."""
    written(tmp_path / "japanese_vowels", few())
    monkeypatch.setattr(vowels, "CONTENT", vowels.digest(few()))
    return tmp_path


def build(folder: Path, seed: int = 0, **options: Any) -> Dataset:
    return tasks.build(made(**options), seed, folder)


def test_both_layouts_are_the_same_utterances(small: Path, tmp_path: Path) -> None:
    place = tmp_path / "other" / "japanese_vowels"
    place.mkdir(parents=True)
    for part, utterances in few().items():
        np.savez(
            place / f"jv_{part}.npz",
            x=np.concatenate([each.frames for each in utterances]),
            offset=np.cumsum([0, *(len(each.frames) for each in utterances)]),
            label=[each.speaker + 1 for each in utterances],
        )
    for folder in (small, tmp_path / "other"):
        for part, utterances in vowels.read(folder).items():
            for one, expected in zip(utterances, few()[part], strict=True):
                assert one.speaker == expected.speaker
                np.testing.assert_array_equal(one.frames, expected.frames)


def test_a_sequence_is_its_utterance_up_to_its_end(small: Path) -> None:
    """Undoing the scaling gives the frames; the mask has as many as there are."""
    data, found = build(small), few()
    every = np.concatenate([each.frames for each in found["train"]]).astype(float)
    for episode, utterances in zip(data, found.values(), strict=True):
        assert episode.mask is not None
        assert episode.labels is not None
        shown = sorted((int(n), int(who)) for n, who in zip(episode.mask.sum(1), episode.labels, strict=True))
        assert shown == sorted((len(each.frames), each.speaker) for each in utterances)
        plain = episode.inputs * every.std(0) + every.mean(0)
        held = sorted(plain[episode.mask].sum(1))
        np.testing.assert_allclose(held, sorted(np.concatenate([each.frames for each in utterances]).sum(1)), atol=1e-4)
        assert not episode.inputs[~episode.mask].any()
    shown = data.train.inputs[data.train.mask]
    np.testing.assert_allclose(shown.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(shown.std(0), 1, rtol=1e-12)


def test_the_test_set_has_no_part_in_the_scaling(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, found = build(small, steps=20), few()
    found["test"] = [each._replace(frames=3 * each.frames) for each in found["test"]]
    monkeypatch.setattr(vowels, "read", lambda folder: found)
    again = build(small, steps=20)
    np.testing.assert_array_equal(again.train.inputs, data.train.inputs)
    assert (again.test.inputs != data.test.inputs).any()


def test_fewer_utterances_are_a_choice_of_the_seed(small: Path) -> None:
    once, again, other = (build(small, seed, train=7, test=5) for seed in (1, 1, 2))
    assert (once.train.batch, once.test.batch) == (7, 5)
    np.testing.assert_array_equal(once.train.inputs, again.train.inputs)
    assert (once.train.inputs != other.train.inputs).any()


def test_spikes_stop_where_an_utterance_does(small: Path) -> None:
    options: dict[str, Any] = {"steps": 9, "encoder": {"name": "rate", "repeats": 3}, "train": 20, "test": 10}
    data = build(small, **options)
    assert data.test.mask is not None
    assert not data.test.inputs[~data.test.mask].any()
    assert set(np.unique(data.test.inputs)) == {0, 1}
    for outline, episode in zip(tasks.outline(made(**options)), data, strict=True):
        assert outline.inputs.shape == episode.inputs.shape
        assert outline.masked
        assert episode.masked


def test_missing_utterances_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        tasks.check(made(), tmp_path)
    assert str(error.value) == (
        f"the Japanese Vowels are not in {tmp_path}/japanese_vowels: neither JapaneseVowels_TRAIN.ts and "
        "JapaneseVowels_TEST.ts nor jv_train.npz and jv_test.npz are there. Run `hwsim data fetch japanese_vowels`, or "
        "say where they are with --data FOLDER or the environment variable HWSIM_DATA (the folder that contains "
        "japanese_vowels/)"
    )


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda line: line[:-1] + "8", "does not hold the utterances that it should"),
        (lambda line: line[:-1] + "10", "line 4: no utterance of 1 to 29 frames of 12 numbers by one of 9 men"),
        (lambda line: line.replace(",", ",x", 1), "line 4: 12 series of numbers of one length, and the speaker"),
        (lambda line: line.replace(",", ":", 1), "line 4: 12 series of numbers of one length, and the speaker"),
        (lambda line: "", "does not hold the utterances that it should"),
    ],
)
def test_damaged_utterances_are_refused(small: Path, spoil: Any, message: str) -> None:
    path = small / "japanese_vowels" / "JapaneseVowels_TRAIN.ts"
    lines = path.read_text().splitlines()
    lines[3] = spoil(lines[3])
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        build(small)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "japanese_vowels"
    place.mkdir()
    (place / "jv_test.npz").write_bytes(b"")
    for content in (b"PK\x03\x04nothing", b""):
        (place / "jv_train.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"jv_train\.npz cannot be read as an archive of utterances"):
            build(tmp_path)
    np.savez(place / "jv_train.npz", x=np.zeros((3, 12)), offset=[0, 3], label=[[1], [2]])
    with pytest.raises(DataError, match=r"jv_train\.npz cannot be read as an archive of utterances"):
        build(tmp_path)


def test_utterances_are_fetched_and_nothing_else(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def retrieve(url: str, known: str, name: str, place: Path, progressbar: bool) -> str:
        assert (url, known) == (vowels.SOURCE, f"sha256:{vowels.SHA256}")
        place.mkdir(parents=True)
        with zipfile.ZipFile(place / name, "w") as archive:
            for part, utterances in few().items():
                archive.writestr(
                    f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{part.upper()}.ts", text(utterances)
                )
            archive.writestr("../escaped.ts", "")
        return str(place / name)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    new = tmp_path / "new"
    assert vowels.fetch(new) == new / "japanese_vowels"
    names = sorted(path.name for path in new.rglob("*"))
    assert names == ["JapaneseVowels_TEST.ts", "JapaneseVowels_TRAIN.ts", "japanese_vowels"]
    monkeypatch.setattr(pooch, "retrieve", None)
    assert vowels.fetch(new) == new / "japanese_vowels"  # it is there


def test_a_failed_download_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def retrieve(*_: Any, **__: Any) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match=r"could not be fetched: https://files\.pythonhosted.*: no route to host"):
        vowels.fetch(tmp_path)


@pytest.mark.data
def test_they_are_the_published_utterances() -> None:
    """Counts of the data set: thirty utterances of each speaker to learn from; those to test on as UCI lists them."""
    if not (data_folder() / "japanese_vowels").is_dir():
        pytest.skip("the Japanese Vowels are not in the data folder")
    data = tasks.build(made(), 0)
    expected = ([30] * 9, (7, 26)), ([31, 35, 88, 44, 29, 24, 40, 50, 29], (7, 29))
    for episode, (counts, lengths) in zip(data, expected, strict=True):
        assert episode.labels is not None
        assert episode.mask is not None
        assert np.bincount(episode.labels).tolist() == counts
        assert (episode.mask.sum(1).min(), episode.mask.sum(1).max()) == lengths
    assert 0.86 < averaged.linear(data) < 0.88
