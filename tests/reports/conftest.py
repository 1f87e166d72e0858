"""Run folders of many kinds, each made once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from run_folders import FULL, KINDS, Folders

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.experiments.run import run
from hwsim.reports import html
from hwsim.results.run_folder import RunFolder, read


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A run folder of each kind."""
    known: dict[str, Path] = {}

    def of(kind: str) -> RunFolder:
        if kind not in known:
            data = {key: copy.deepcopy(value) for key, value in (FULL | KINDS[kind]).items() if value is not None}
            known[kind] = tmp_path_factory.mktemp("runs") / kind
            run(config.compose(Document("test", data)), out=known[kind])
        return read(known[kind])

    return of


@pytest.fixture(scope="session")
def page(folders: Folders) -> Callable[[str], str]:
    """The page of each kind of run."""
    return cache(lambda kind: html.of_run(folders(kind)))
