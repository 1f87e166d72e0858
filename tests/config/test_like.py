"""Files that are `like` a shipped one: what is wrong is told at the user's file and line, wherever it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwsim import documents
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.errors import ConfigError

LEAK = "it is x that leaks, which devices without an `update` do not have"


def refused(make: object, path: Path, **files: str) -> list[str]:
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text)
    with pytest.raises(ConfigError) as error:
        make(documents.read(path / "mine.yaml"))  # type: ignore[operator]
    return str(error.value).replace(f"{path}/", "").splitlines()


def test_what_stands_in_the_shipped_file_is_told_where_the_user_names_it(tmp_path: Path) -> None:
    (text,) = refused(hardware.device, tmp_path, mine="# mine\nlike: capacitor\nname: mine\nupdate: null\n")
    assert text.startswith(f"mine.yaml:2:1: leak: {LEAK} (line ")
    assert text.endswith(" of capacitor, which this is like)")
    chip = "like: pcm_crossbar\nname: mine\ndevice: {like: capacitor, update: null}\n"
    (text,) = refused(hardware.machine, tmp_path, mine=chip)
    assert text.startswith(f"mine.yaml:3:9: leak: {LEAK} (line ")


def test_a_file_of_the_user_in_between_is_told_at_its_own_line(tmp_path: Path) -> None:
    between = "like: capacitor\nname: between\nleak: {time_constant: {value: 1 s, assumed: a}}\n"
    (text,) = refused(hardware.device, tmp_path, between=between, mine="like: between.yaml\nname: mine\nupdate: null\n")
    assert text == f"between.yaml:3:7: leak: {LEAK}"


def test_what_comes_from_python_has_no_lines() -> None:
    with pytest.raises(ConfigError) as error:
        hardware.machine(Document("experiment", {"like": "pcm_crossbar", "parts": {"adc": {"bogus": 1}}}))
    assert str(error.value).startswith("experiment:1:1: unknown key 'bogus'; allowed: ")
    assert "which this is like" not in str(error.value)


@pytest.mark.parametrize(
    ("mine", "at"),
    [
        (
            "like: pcm_crossbar\nname: mine\nparts:\n  tiles:\n    rowz: 3\n",
            "5:5: unknown key 'rowz'; did you mean 'rows'",
        ),
        ("like: pcm_crossbar\nname: mine\n\nbogus: 3\n", "4:1: unknown key 'bogus'"),
        ("like: pcm_crossbar\nname: m\ndevice: {like: reram_sb, update: {stp: 1}}\n", "3:35: unknown key 'stp'"),
        (
            "like: pcm_crossbar\nname: m\nkind: digital\n",
            "3:7: kind ('digital'): pcm_crossbar is of the kind 'crossbar'",
        ),
    ],
)
def test_a_wrong_key_is_told_at_its_line(tmp_path: Path, mine: str, at: str) -> None:
    (text,) = refused(hardware.machine, tmp_path, mine=mine)
    assert text.startswith(f"mine.yaml:{at}")
