"""Settings on the command line: `--set KEY=VALUE` and `--expect KEY=SHARE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwsim import documents
from hwsim.config import dotted, experiment, files
from hwsim.config.experiment import Experiment
from hwsim.documents import Document, Mark
from hwsim.errors import ConfigError
from hwsim.machine import Expectations


def load_with_settings(file: str | Path, settings: list[str]) -> Experiment:
    """The experiment of a file, with some of its keys set to other values.

    Args:
        settings: such as `task.steps=1e6`; the value is YAML.

    Raises:
        ConfigError: the file or a setting is invalid; the message lists all problems.
    """
    if not settings:
        return experiment.load(file)
    document = documents.read(files.path_of(file, "configs/experiments"))
    changes = []
    for setting in settings:
        key, value = _pair("--set", setting)
        mark = Mark(f"--set {setting}", 0, 0)
        changes.append(dotted.KeyChange(key, value, mark, mark))
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
