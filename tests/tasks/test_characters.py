"""Characters: windows are the text, tests are its last tenth, and bits are those of independent counts."""

from __future__ import annotations

import hashlib
from math import log, log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import built, close, random_episode, rule
from pydantic import TypeAdapter, ValidationError

from hwsim import tasks
from hwsim.columns import MEASURES
from hwsim.config import experiment as config
from hwsim.errors import DataError
from hwsim.experiments.evaluation import evaluate
from hwsim.experiments.run import run
from hwsim.tasks import Dataset, characters, ngrams, texts
from hwsim.tasks.folder import data_folder
from hwsim.tasks.measure import BITS_PER_CHARACTER

OPTIONS = TypeAdapter(tasks.AnyOptions)
SMALL: dict[str, Any] = {
    "text": "own.txt",
    "characters": 300,
    "symbols": 7,
    "window": 8,
    "lanes": 3,
    "test": 2,
    "test_steps": 10,
    "settle": 4,
}


def made(**options: Any) -> Any:
    return OPTIONS.validate_python({"name": "characters", **options})


def text(characters: str = "abcdefé", count: int = 300) -> str:
    return "".join(np.random.default_rng(1).choice(list(characters), count))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A data folder with a text."""
    (tmp_path / "own.txt").write_text(text(), encoding="utf-8")
    return tmp_path


def build(folder: Path, **options: Any) -> Dataset:
    return tasks.build(made(**SMALL, **options), 0, folder)


def read_out(inputs: np.ndarray) -> str:
    """One-hot characters `(steps, symbols)` as text."""
    assert (inputs.sum(-1) == 1).all()
    return "".join("abcdefé"[code] for code in inputs.argmax(-1))


def test_windows_of_a_lane_are_the_text_and_each_target_is_the_next_character(small: Path) -> None:
    train, whole = build(small).train, text()
    assert (train.lanes, train.steps, train.width, train.classes) == (3, 8, 7, 7)
    assert train.labels is not None
    lane = 269 // 3  # nine tenths of 300, less the last, whose target is tested
    for number in range(3):
        shown = read_out(np.concatenate(train.inputs[number::3]))
        assert shown == whole[number * lane :][: len(shown)]
        assert len(shown) == lane // 8 * 8
        asked = "".join("abcdefé"[code] for code in np.concatenate(train.labels[number::3]))
        assert asked == whole[number * lane + 1 :][: len(shown)]


def test_pieces_of_the_last_tenth_are_tested(small: Path) -> None:
    test, whole = build(small).test, text()
    assert test.labels is not None
    assert (test.batch, test.steps, test.loss_from, test.lanes) == (2, 10, 4, 0)
    for number, start in enumerate((270, 270 + 29 // 2)):
        assert read_out(test.inputs[number]) == whole[start : start + 10]
        assert "".join("abcdefé"[code] for code in test.labels[number]) == whole[start + 1 : start + 11]


def test_the_outline_is_the_shape_of_the_data(small: Path) -> None:
    for outline, episode in zip(tasks.outline(made(**SMALL)), build(small), strict=True):
        assert outline.inputs.shape == episode.inputs.shape
        assert outline.targets.shape == episode.targets.shape
        assert (outline.lanes, outline.loss_from) == (episode.lanes, episode.loss_from)


def test_the_rarest_characters_share_the_last_wire(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("abcd" * 70 + "zyyx" + "abcd" * 10, encoding="utf-8")
    codes, _ = characters.parts(made(**{**SMALL, "symbols": 6}), tmp_path)
    assert codes[:4].tolist() == [0, 1, 2, 3]
    both = np.concatenate(characters.parts(made(**{**SMALL, "symbols": 6}), tmp_path))
    assert both[280:284].tolist() == [5, 4, 4, 5]  # y has a wire of its own


def test_what_does_not_fit_is_refused(small: Path) -> None:
    for wrong, message in (
        ({"characters": None}, "characters: required with `text`, so that costs are known without it"),
        ({"symbols": None}, "symbols: required with `text`"),
        ({"window": 90}, "window: 90 characters are more than each of 3 lanes has, 89"),
        ({"test_steps": 15}, "test_steps: 2 pieces of 15 characters are more than the tested part has, 30"),
        ({"settle": 10}, "settle: a piece has no character behind 10 others, but 10"),
        ({"text": None, "characters": 2_000_000}, "characters: the text has 1115394 characters, of which 65 differ"),
        ({"text": None, "characters": 300, "symbols": 66}, "symbols: the text has 1115394 characters"),
    ):
        with pytest.raises(ValidationError, match=message):
            made(**{**SMALL, **wrong})
    for wrong, message in (
        ({"characters": 301}, r"own\.txt has 300 characters, and task\.characters asks for 301"),
        ({"symbols": 8}, r"own\.txt has 7 characters that differ, and task\.symbols asks for 8"),
        ({"text": "own.text"}, r"no file '.*own\.text'.*or give an absolute path"),
    ):
        with pytest.raises(DataError, match=message):
            tasks.check(made(**{**SMALL, **wrong}), small)
    (small / "own.txt").write_bytes(b"abc\nab\xff")
    with pytest.raises(DataError, match=r"own\.txt, line 2: no text in UTF-8 \(byte 0xff\)"):
        tasks.check(made(**SMALL), small)


def test_the_tiny_shakespeare_text_is_fetched_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pooch

    with pytest.raises(DataError, match="Run `hwsim data fetch characters`, or say where it is with --data FOLDER"):
        tasks.check(made(), tmp_path)
    content = text().encode()
    monkeypatch.setattr(texts, "SHA256", hashlib.sha256(content).hexdigest())

    def retrieve(url: str, known: str, name: str, place: Path, progressbar: bool) -> None:
        assert (url, known) == (texts.SOURCE, f"sha256:{texts.SHA256}")
        place.mkdir(parents=True)
        (place / name).write_bytes(content)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    assert characters.fetch(tmp_path) == tmp_path / "tinyshakespeare"
    (tmp_path / "tinyshakespeare" / "input.txt").write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"input\.txt is not the text it should be; delete it and run"):
        characters.fetch(tmp_path)

    def fails(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(pooch, "retrieve", fails)
    with pytest.raises(DataError, match=r"could not be fetched: https://raw\.githubusercontent.*: no route to host"):
        characters.fetch(tmp_path / "new")


# ---- bits ----------------------------------------------------------------------------------------------------


def test_bits_are_the_loss_over_ln_2_and_left_out_without_probabilities() -> None:
    shown = random_episode(steps=6, classes=3, target="classes", loss_from=2)
    network = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4}}]}
    score = evaluate(built(network, rule("one_step"), shown), shown, 2, BITS_PER_CHARACTER)
    assert score.measured["bits_per_character"] == close(score.loss / log(2), rel=1e-13)
    other = built({**network, "loss": {"name": "half_square"}}, rule("one_step"), shown)
    assert evaluate(other, shown, 2, BITS_PER_CHARACTER).measured == {}


def test_weights_of_the_loss_are_no_part_of_bits() -> None:
    shown = random_episode(steps=6, classes=3, target="classes", loss_from=2)
    network: dict[str, Any] = {"layers": [{"cell": {"name": "leaky_tanh", "units": 4}}]}
    plain, weighted = (
        evaluate(built({**network, "loss": loss}, rule("one_step"), shown), shown, 2, BITS_PER_CHARACTER)
        for loss in ({}, {"weights": "rising"})
    )
    assert plain.measured == {"bits_per_character": close(weighted.measured["bits_per_character"])}
    assert plain.loss[0] > weighted.loss[0]


def test_a_run_tells_bits_per_character(small: Path) -> None:
    asked = {
        "name": "letters",
        "task": {"name": "characters", **SMALL},
        "network": {"layers": [{"cell": {"name": "leaky_tanh", "units": 5}}]},
        "learning": {"name": "one_step"},
        "machine": "ideal",
        "training": {"optimizer": {"name": "adam", "rate": 0.01}, "batch": 3, "steps": 2},
    }
    system = run(config.load(asked), data=small).summary.systems["substrate"]
    assert system.loss is not None
    assert set(system.measures) == {"bits_per_character"} <= set(MEASURES)
    assert system.measures["bits_per_character"].median == close(system.loss.median / log(2))


@pytest.mark.parametrize("back", [0, 1, 2])
def test_counts_give_the_bits_of_a_model_in_dictionaries(back: int) -> None:
    """Witten and Bell's interpolation, written again by recursion over strings."""
    learned, tested = text("aabbcd", 200), text("abcde", 60)[::-1]

    def chance(h: str, c: str) -> float:
        followers = [learned[at + len(h)] for at in range(len(learned) - len(h)) if learned.startswith(h, at)]
        lower = chance(h[1:], c) if h else 1 / 5
        if not followers:
            return lower
        kinds = len(set(followers))
        return (followers.count(c) + kinds * lower) / (len(followers) + kinds)

    for h in ("", "a", "ba", "ee"):
        assert sum(chance(h, c) for c in "abcde") == close(1.0)
    expected = [-log2(chance(tested[at - back : at], tested[at])) for at in range(back, len(tested))]
    codes = [np.array(["abcde".index(c) for c in part]) for part in (learned, tested)]
    assert ngrams.bits(codes[0], codes[1], 5, back) == close(sum(expected) / len(expected), rel=1e-12)


def test_nothing_is_to_be_learned_of_characters_by_chance() -> None:
    learned, tested = np.random.default_rng(0).integers(8, size=(2, 100_000))
    # -log₂ p is 3 but for what 8 × 8 counts are off, some 1/(2 ln 2) × 63/100000 of a bit
    assert ngrams.bits(learned, tested, 8, 1) == close(3.0, abs=0.003)


@pytest.mark.data
def test_it_is_the_published_text() -> None:
    if not (data_folder() / "tinyshakespeare").is_dir():
        pytest.skip("the tiny Shakespeare text is not in the data folder")
    learned, tested = characters.parts(made())
    assert (len(learned), len(tested)) == (1_003_854, 111_540)
    assert len(set(learned.tolist())) == 65
    assert 3.58 < ngrams.bits(learned, tested, 65, 1) < 3.59
