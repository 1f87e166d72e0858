"""Spoken digits: the filter bank against closed forms, both layouts of the recordings, and the split."""

from __future__ import annotations

import io
import re
import tarfile
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import close
from pydantic import TypeAdapter, ValidationError

from hwsim import tasks
from hwsim.errors import DataError
from hwsim.tasks import Dataset, recordings
from hwsim.tasks.filter_bank import ROUNDING, FilterBank, hertz, mel
from hwsim.tasks.folder import data_folder
from hwsim.tasks.recordings import Utterance

OPTIONS = TypeAdapter(tasks.AnyOptions)
BANK = FilterBank(8000, 256, 128, 20, 100, 4000)


def made(**options: Any) -> Any:
    return OPTIONS.validate_python({"name": "spoken_digits", **options})


# ---- filter bank ---------------------------------------------------------------------------------------------


def test_the_mel_scale_is_that_of_htk() -> None:
    assert float(mel(1000)) == close(999.9855, abs=5e-5)
    frequencies = np.array([0.0, 100, 1000, 4000])
    np.testing.assert_allclose(hertz(mel(frequencies)), frequencies, atol=1e-9)


def test_white_noise_has_its_variance_in_every_band() -> None:
    """The power in a band has mean σ²; of 4000 frames that overlap by half, 5 standard errors are at most 12 %."""
    sound = np.random.default_rng(0).normal(0, 0.1, 128 * 4001)
    power = np.exp(BANK.levels(sound)).mean(0)
    assert power.shape == (20,)
    np.testing.assert_allclose(power, 0.01, rtol=0.12)


@pytest.mark.parametrize("band", [0, 5, 12, 19])
def test_a_tone_is_loudest_in_its_band_and_has_the_power_that_it_should(band: int) -> None:
    """A tone at the centre of a band, of amplitude A, has A² |Σ w|² / (4 Σ w²) at that frequency of a long frame."""
    bank = FilterBank(8000, 2048, 2048, 20, 100, 4000)
    centre = float(hertz(np.linspace(mel(100), mel(4000), 22))[band + 1])
    bin_ = round(centre * 2048 / 8000)
    sound = 0.5 * np.sin(2 * np.pi * bin_ / 2048 * np.arange(4096))
    levels = bank.levels(sound)
    assert levels.shape == (2, 20)
    assert levels.argmax(1).tolist() == [band, band]
    window = np.hanning(2050)[1:-1]
    # a Hann window has half of its amplitude in each neighbouring frequency
    peak = 0.25 * window.sum() ** 2 / (4 * (window**2).sum())
    weights = bank.weights()[band]
    expected = peak * (weights[bin_] + 0.25 * (weights[bin_ - 1] + weights[bin_ + 1]))
    np.testing.assert_allclose(np.exp(levels[:, band]), expected, rtol=1e-3)


def test_silence_has_the_level_of_the_rounding_of_its_samples() -> None:
    np.testing.assert_allclose(BANK.levels(np.zeros(300)), np.log(ROUNDING), rtol=1e-14)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 800_000) / 2**15
    np.testing.assert_allclose((np.exp(BANK.levels(noise)) - ROUNDING).mean(0), ROUNDING, rtol=0.12)


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (255, 1), (256, 1), (383, 1), (384, 2), (1000, 6)])
def test_frames_are_whole_ones(samples: int, frames: int) -> None:
    assert BANK.frames(samples) == frames
    assert BANK.levels(np.ones(samples)).shape == (frames, 20)


def test_a_frame_hears_nothing_of_what_follows_it() -> None:
    sound = np.random.default_rng(0).normal(size=1000)
    cut = BANK.levels(sound[: 256 + 2 * 128])
    # a product of another shape may add up in another order
    np.testing.assert_allclose(cut, BANK.levels(sound)[:3], rtol=0, atol=1e-13)


# ---- recordings ----------------------------------------------------------------------------------------------

SPEAKERS = ("ann", "ben")


def few() -> list[Utterance]:
    """Noise of different length and loudness, by two speakers, six of each digit."""
    draw, found = np.random.default_rng(1), []
    for digit in range(10):
        for speaker in SPEAKERS:
            for number in range(6):
                length = int(draw.integers(200, 2000))
                samples = draw.normal(0, 300 * (1 + digit + number), length).astype(np.int16)
                found.append(Utterance(digit, speaker, number, samples))
    return found


def written(place: Path, found: list[Utterance]) -> None:
    """The recordings as single files."""
    place.mkdir(parents=True)
    for digit, speaker, number, samples in found:
        with wave.open(str(place / f"{digit}_{speaker}_{number}.wav"), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(samples.astype("<i2").tobytes())


def archived(path: Path, found: list[Utterance]) -> None:
    """The recordings in one archive, in another order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turned = found[::-1]
    offset = np.cumsum([0, *(len(each.samples) for each in turned)])
    np.savez(
        path,
        audio=np.concatenate([each.samples for each in turned]),
        offset=offset,
        label=[each.digit for each in turned],
        speaker=[SPEAKERS.index(each.speaker) for each in turned],
        index=[each.number for each in turned],
        speakers=SPEAKERS,
    )


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a few recordings in single files, which are those that are expected."""
    written(tmp_path / "fsdd" / "recordings", few())
    monkeypatch.setattr(recordings, "UTTERANCES", len(few()))
    monkeypatch.setattr(recordings, "CONTENT", recordings.digest(few()))
    return tmp_path


def build(folder: Path, seed: int = 0, **options: Any) -> Dataset:
    return tasks.build(made(**options), seed, folder)


def test_both_layouts_are_the_same_recordings(small: Path, tmp_path: Path) -> None:
    archived(tmp_path / "other" / "fsdd" / "fsdd_8k_int16.npz", few())
    single, packed = recordings.read(small), recordings.read(tmp_path / "other")
    for one, other, expected in zip(single, packed, few(), strict=True):
        assert one[:3] == other[:3] == expected[:3]
        np.testing.assert_array_equal(one.samples, expected.samples)
        np.testing.assert_array_equal(other.samples, expected.samples)


def test_numbers_0_to_4_are_the_test_set(small: Path) -> None:
    data = build(small, steps=10)
    assert (data.train.batch, data.test.batch) == (20, 100)
    for episode, count in ((data.train, 2), (data.test, 10)):
        assert episode.labels is not None
        assert np.bincount(episode.labels).tolist() == [count] * 10


def test_levels_are_scaled_by_the_training_set_alone(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = build(small, steps=14)
    assert data.train.mask is not None
    shown = data.train.inputs[data.train.mask]
    np.testing.assert_allclose(shown.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(shown.std(0), 1, rtol=1e-12)
    assert not data.train.inputs[~data.train.mask].any()
    loud = [each._replace(samples=each.samples // 7) if each.tested else each for each in few()]
    monkeypatch.setattr(recordings, "read", lambda folder: loud)
    again = build(small, steps=14)
    np.testing.assert_array_equal(again.train.inputs, data.train.inputs)
    assert (again.test.inputs != data.test.inputs).any()


def test_a_sequence_is_its_recording_up_to_its_end(small: Path) -> None:
    """Undoing the scaling gives the levels that the filter bank finds; the mask has the frames of each recording."""
    options = made(steps=8, bands=12)
    data = tasks.build(options, 0, small)
    found = [each for each in recordings.read(small) if not each.tested]
    bank = FilterBank(8000, 256, 128, 12, 100, 4000)
    levels = [bank.levels(each.samples / 2**15)[:8] for each in found]
    every = np.concatenate(levels)
    expected = sorted((len(part), part.sum()) for part in ((each - every.mean(0)) / every.std(0) for each in levels))
    assert data.train.mask is not None
    shown = sorted(zip(data.train.mask.sum(1).tolist(), data.train.inputs.sum((1, 2)).tolist(), strict=True))
    np.testing.assert_allclose(shown, expected, rtol=1e-9)
    assert {length for length, _ in shown} >= {1, 8}


def test_spikes_stop_where_a_recording_does(small: Path) -> None:
    encoder = {"name": "rate", "repeats": 3}
    data = build(small, steps=8, encoder=encoder)
    plain = build(small, steps=8)
    assert data.test.mask is not None
    assert plain.test.mask is not None
    assert data.test.inputs.shape == (100, 24, 20)
    np.testing.assert_array_equal(data.test.mask, plain.test.mask.repeat(3, 1))
    assert not data.test.inputs[~data.test.mask].any()
    assert 0.2 < data.test.inputs[data.test.mask].mean() < 0.8
    for outline, episode in zip(tasks.outline(made(steps=8, encoder=encoder, train=20)), data, strict=True):
        assert outline.inputs.shape[1:] == episode.inputs.shape[1:]
        assert outline.masked


def test_fewer_recordings_are_a_choice_of_the_seed(small: Path) -> None:
    once, again, other = (build(small, seed, train=7, test=5) for seed in (1, 1, 2))
    assert (once.train.batch, once.test.batch) == (7, 5)
    np.testing.assert_array_equal(once.train.inputs, again.train.inputs)
    assert (once.train.inputs != other.train.inputs).any()


def test_missing_recordings_are_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        tasks.check(made(), tmp_path)
    assert str(error.value) == (
        f"the Free Spoken Digit Dataset is not in {tmp_path}/fsdd: neither recordings/ with files such as "
        "7_jackson_32.wav nor fsdd_8k_int16.npz is there. Run `hwsim data fetch spoken_digits`, or say where it is "
        "with --data FOLDER or the environment variable HWSIM_DATA (the folder that contains fsdd/)"
    )


def test_damaged_recordings_are_refused(small: Path) -> None:
    place = small / "fsdd" / "recordings"
    path = place / "3_ann_2.wav"
    content = path.read_bytes()
    for damaged, message in (
        (content[:20], "cannot be read as a recording"),
        (content[:-8], "does not hold the recordings that it should"),
        (content[:22] + b"\x02" + content[23:], "has 2 channels of 16 bits at 8000 Hz; recordings have 1 of 16 bits"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=message):
            build(small)
    path.rename(place / "three.wav")
    with pytest.raises(DataError, match=re.escape("three.wav: recordings are called digit_speaker_number.wav")):
        build(small)
    (place / "three.wav").unlink()
    with pytest.raises(DataError, match="has 119 recordings; the data set has 120"):
        build(small)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fsdd" / "fsdd_8k_int16.npz"
    path.parent.mkdir()
    path.write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(DataError, match="cannot be read as an archive of recordings"):
        build(tmp_path)
    np.savez(path, audio=np.zeros(3, np.int16))
    with pytest.raises(DataError, match="cannot be read as an archive of recordings"):
        build(tmp_path)


def test_recordings_are_fetched_and_nothing_else(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def retrieve(url: str, known: None, name: str, place: Path, progressbar: bool) -> str:
        assert url == recordings.SOURCE
        place.mkdir(parents=True)
        with tarfile.open(place / name, "w:gz") as archive:
            archive.add(small / "fsdd" / "recordings", "free-spoken-digit-dataset/recordings")
            for other in ("x/README.md", "x/recordings/../../escaped.wav", "x/other/1_ann_1.wav"):
                archive.addfile(tarfile.TarInfo(other), io.BytesIO())
        return str(place / name)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    new = tmp_path / "new"
    assert recordings.fetch(new) == new / "fsdd"
    assert sorted(path.name for path in new.rglob("*")) == sorted(
        ["fsdd", "recordings", *(path.name for path in (small / "fsdd" / "recordings").iterdir())]
    )
    monkeypatch.setattr(pooch, "retrieve", None)
    assert recordings.fetch(new) == new / "fsdd"  # it is there


def test_a_failed_download_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    def retrieve(*_: Any, **__: Any) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    with pytest.raises(DataError, match=r"could not be fetched: https://github\.com/.*: no route to host"):
        recordings.fetch(tmp_path)


def test_what_spoken_digits_refuse() -> None:
    with pytest.raises(ValidationError, match="lowest: 500 Hz is not below highest, 400 Hz"):
        made(lowest=500, highest=400)
    with pytest.raises(ValidationError, match="frame: 16000 samples at 8 kHz; from 8 to 8000 samples"):
        made(frame="2 s")
    message = "band 1 of 128, from 100 to 122 Hz, holds no frequency of a spectrum in steps of 31.25 Hz"
    with pytest.raises(ValidationError, match=message):
        made(bands=128)


@pytest.mark.data
def test_they_are_the_published_recordings() -> None:
    """Counts of the data set: 50 recordings of each digit by each of six speakers, of which five are tested."""
    if not (data_folder() / "fsdd").is_dir():
        pytest.skip("the Free Spoken Digit Dataset is not in the data folder")
    data = tasks.build(made(), 0)
    assert (data.train.batch, data.test.batch) == (2700, 300)
    assert data.test.labels is not None
    assert np.bincount(data.test.labels).tolist() == [30] * 10
