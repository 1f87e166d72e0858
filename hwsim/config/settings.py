"""Settings beside a file: `--set KEY=VALUE` and `--expect KEY=SHARE` on the command line, `set` in Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwsim import documents
from hwsim.config import dotted, experiment, files
from hwsim.config.experiment import Experiment
from hwsim.documents import Document, Mark
from hwsim.errors import ConfigError
from hwsim.machine import Expectations


def load(source: str | Path | Mapping[str, Any], *, set: Mapping[str, Any] | None = None) -> Experiment:  # noqa: A002
    """The experiment that a YAML file describes, a mapping with the same keys, or a shipped one by its name.

    Args:
        set: other values for some of its keys, by dotted key, as `--set` takes them: `{"machine.parts.adc.bits": 6}`.

    Raises:
        ConfigError: all problems of the file, of the machine and device files that it names, and of the settings, one
            per line.
    """
    if not set:
        return experiment.load(source)
    changes = []
    for key, value in documents.plain(dict(set)).items():
        mark = Mark(f"set {key}", 0, 0)
        changes.append(dotted.KeyChange(key, value, mark, mark))
    return _with(source, changes)


def load_with_settings(file: str | Path, settings: list[str]) -> Experiment:
    """The experiment of a file, with some of its keys set to other values.

    Args:
        settings: such as `task.steps=1e6`; the value is YAML.

    Raises:
        ConfigError: the file or a setting is invalid; the message lists all problems.
    """
    if not settings:
        return experiment.load(file)
    changes = []
    for setting in settings:
        key, value = _pair("--set", setting)
        mark = Mark(f"--set {setting}", 0, 0)
        changes.append(dotted.KeyChange(key, value, mark, mark))
    return _with(file, changes)


def _with(source: str | Path | Mapping[str, Any], changes: list[dotted.KeyChange]) -> Experiment:
    """The experiment of a file or a mapping, with these changes."""
    if isinstance(source, Mapping):
        document = Document("experiment", documents.plain(source))
    else:
        document = documents.read(files.path_of(source, "configs/experiments"))
    whole, wrong = dotted.changed(document, changes)
    documents.complain(wrong)
    return experiment.compose(whole)


def expectations(given: list[str]) -> Expectations:
    """The expected statistics of values, from settings such as `input=0.1`.

    Raises:
        ConfigError: there is no such key, or the value is not a share.
    """
    shares = dict(_pair("--expect", text) for text in given)
    typed = Document("--expect", shares, {(): Mark("--expect", 0, 0)})
    expected: Expectations = documents.check(Expectations, typed)
    return expected


def _pair(option: str, text: str) -> tuple[str, Any]:
    key, sign, written = text.partition("=")
    if not sign or not key:
        raise ConfigError(f"{option} {text}: must be KEY=VALUE")
    value = documents.parse(written, f"{option} {text}").data if written.strip() else None
    return key, int(value) if isinstance(value, float) and value.is_integer() else value  # 1e6 steps are a whole number
