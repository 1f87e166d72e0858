"""A summary is typed: what is written is read back to the byte, and what is no summary is refused."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Callable
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from run_folders import FULL, KINDS

from hwsim.config import experiment as config
from hwsim.documents import Document
from hwsim.errors import ResultsError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.run import run
from hwsim.results import run_folder, summary
from hwsim.results.run_folder import CHECKSUMS
from hwsim.results.summary import Spread, Summary


@pytest.fixture(scope="module", params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of each kind."""
    path = tmp_path_factory.mktemp("runs") / "run"
    run(asked(request.param), out=path)
    return path


def asked(kind: str) -> Any:
    data = {key: copy.deepcopy(value) for key, value in (FULL | KINDS[kind]).items() if value is not None}
    return config.compose(Document("test", data))


def test_what_is_read_is_written_to_the_same_bytes(folder: Path) -> None:
    text = (folder / "summary.json").read_text(encoding="utf-8")
    found = run_folder.read(folder).summary
    assert found.text() == text
    assert found == Summary.model_validate_json(text)


def test_the_keys_stand_in_the_order_that_they_had(folder: Path) -> None:
    said = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    whole = ["schema_version", "name", "seed", "hwsim_version", "config_sha256", "target", "constant"]
    whole += ["differences", "systems"]
    assert list(said) == [key for key in whole if key not in ("target", "constant") or key in said]
    assert ("target" in said) == any("reached" in system for system in said["systems"].values())
    for system in said["systems"].values():
        assert ("spiking" in system) == (system["rule"] == "eprop")
        assert [key for key in system if key not in ("reached", "spiking")] == [
            "rule", "machine", "analog", "bound", "chips", "loss", "accuracy", "gradient", "trained",
            "horizon", "energy",
            "memory", "work", "time", "efficiency", "weights", "signal_health", "diverged", "diagnostics",
        ]  # fmt: skip
        assert "why_null" not in system["energy"] or system["energy"]["run_j"] is None
        assert "expected_fraction" not in system["energy"]
        assert set(system["time"]) in (set(), set(summary.Time.model_fields))


def test_a_machine_is_analog_whether_or_not_its_signals_were_computed(folder: Path) -> None:
    said = run_folder.read(folder)
    estimated = estimate(config.load(said.config)).summary
    for name, system in said.systems.items():
        assert (
            system.analog
            == (system.machine in ("pcm_crossbar", "spiking_crossbar"))
            == (system.signal_health is not None)
        )
        assert estimated.systems[name].analog == system.analog
        assert estimated.systems[name].signal_health is None


@pytest.mark.parametrize("kind", KINDS)
def test_estimates_say_that_they_are(kind: str) -> None:
    found = estimate(asked(kind)).summary
    said = json.loads(found.text())
    assert list(said)[-2:] == ["estimated", "systems"]
    assert Summary.model_validate(said).text() == found.text()
    assert all("expected_fraction" in system["energy"] for system in said["systems"].values())


def test_what_is_no_number_is_null() -> None:
    spread = Spread(median=nan, per_chip=[1.0, inf, -inf], non_finite=2)
    assert spread.plain() == {"median": None, "per_chip": [1.0, None, None], "non_finite": 2}


def test_whole_numbers_stay_whole_and_others_do_not_become_so() -> None:
    assert json.dumps(Spread(median=5.0, per_chip=[5, 5.0], non_finite=0).plain()) == (
        '{"median": 5.0, "per_chip": [5, 5.0], "non_finite": 0}'
    )


def test_a_summary_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Spread(median=1.0, per_chip=[1.0], non_finite=0).median = 2.0


def test_every_key_is_described() -> None:
    models = [each for each in vars(summary).values() if isinstance(each, type) and issubclass(each, BaseModel)]
    lacking = [
        (model.__name__, key)
        for model in models
        for key, field in model.model_fields.items()
        if model is not BaseModel and not field.description
    ]
    assert not lacking


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bare") / "run"
    run(asked("bare"), out=path)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.update(more=1), "summary.json: more: unknown key; run its config.yaml again"),
        (lambda s: s.pop("seed"), "summary.json: seed: is missing"),
        (lambda s: s["systems"]["substrate"].pop("energy"), "summary.json: systems.substrate.energy: is missing"),
        (
            lambda s: s["systems"]["substrate"]["memory"].update(peak_bytes="much", more=1),
            "systems.substrate.memory.peak_bytes: must be a whole number, and 1 more like this",
        ),
        (lambda s: s.update(schema_version=2), "was made by an older hwsim"),
        (lambda s: s.update(schema_version=summary.SCHEMA_VERSION + 1), "was made by a newer hwsim"),
    ],
)
def test_what_is_no_summary_is_refused(
    bare: Path, tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    """Though its checksum is right, as in a folder that another program wrote."""
    for file in bare.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    path, sums = tmp_path / "summary.json", tmp_path / CHECKSUMS
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    before = path.read_bytes()
    path.write_text(json.dumps(found), encoding="utf-8")
    old, new = (hashlib.sha256(content).hexdigest() for content in (before, path.read_bytes()))
    sums.write_text(sums.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(ResultsError, match=re.escape(said)):
        run_folder.read(tmp_path)
