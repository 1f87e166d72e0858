"""The command line: what is wrong is said in one message and leaves nothing behind, what is right can be had again."""

from __future__ import annotations

import csv
import errno
import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pandas as pd
import psutil
import pytest
from conftest import close
from typer.testing import CliRunner

import hwsim
from hwsim import cli, documents, tasks
from hwsim.config import hardware, measured
from hwsim.config.experiment import Experiment
from hwsim.errors import ConfigError
from hwsim.experiments import verdict
from hwsim.results import limits_folder, run_folder
from hwsim.tasks import adding, copy, random

TINY = """\
name: tiny
seed: 3
task: {name: random, steps: 5, width: 2, train: 8, test: 4}
network:
  layers:
    - cell: {name: lru, modes: 4, r_min: 0.9}
      readout: {hidden: [5]}
learning: {name: fpe}
machine: pcm_crossbar
chips: 2
gradient_check: {sequences: 2}
training: {optimizer: {name: sgd, rate: 0.01}, batch: 4, epochs: 1}
references:
  - {name: BPTT, learning: {name: bptt}, machine: digital_45nm}
"""
FILES = sorted([*run_folder.FILES, run_folder.KEPT, "SHA256SUMS"])


class Said(NamedTuple):
    """How the command line ended, and what it said."""

    code: Any
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command line in an empty folder, with no data sets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HWSIM_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["hwsim", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Said(ended.value.code, *capsys.readouterr())

    return run


def changed(*changes: tuple[str, str]) -> str:
    text = TINY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def standing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def refused(command: Command, text: str | bytes, *words: str) -> str:
    """The message for an experiment that cannot be run; nothing else is said, and nothing is left behind."""
    Path("e.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = standing(Path())
    said = command("run", "e.yaml", "--out", "new/out", "--quiet", *words)
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    assert standing(Path()) == before
    return said.err


# ---- what is wrong in the file -------------------------------------------------------------------------------


def part(key: str, value: str) -> tuple[str, str]:
    """A change to the converter of the substrate."""
    return "machine: pcm_crossbar", f"machine: {{like: pcm_crossbar, parts: {{dac: {{{key}: {value}}}}}}}"


def tiles(options: str) -> tuple[str, str]:
    return "machine: pcm_crossbar", f"machine: {{like: pcm_crossbar, parts: {{tiles: {options}}}}}"


def dac_energy(value: str) -> tuple[str, str]:
    return part("energy", f"{{value: {value}, source: brahms}}")


WRONG = {
    "misspelt key": (("chips:", "chps:"), r"10:1: unknown key 'chps'; did you mean 'chips'\? allowed: called, chips"),
    "misspelt key inside": (("epochs:", "epoch:"), r"12:58: unknown key 'epoch'; did you mean 'epochs'\? allowed: bat"),
    "wrong unit": (dac_energy("3 ns"), r'9:61: .*value \("3 ns"\): must be in units of joule, as in \'1.2 pJ\''),
    "missing unit": (dac_energy("3"), r"9:61: .*value \(3\): needs its unit, as in '1.2 pJ'"),
    "decimal comma": (dac_energy('"3,5 pJ"'), r'9:61: .*value \("3,5 pJ"\): must be in units of joule'),
    "negative energy": (dac_energy("-3 pJ"), r"9:61: .*value \(\"-3 pJ\"\): must be at least 0"),
    "negative time": (part("time", "{value: -3 ns, source: brahms}"), r"9:59: .*\(\"-3 ns\"\): must be greater than 0"),
    "energy of nan": (dac_energy("nan pJ"), r'9:61: .*\("nan pJ"\): must be finite, as in \'1.2 pJ\''),
    "energy of infinity": (dac_energy("inf pJ"), r'9:61: .*\("inf pJ"\): must be finite, as in \'1.2 pJ\''),
    "noise of nan": (tiles("{output_noise: .nan}"), r"9:61: parts.tiles.output_noise \(nan\): must be a finite n"),
    "rate of nan": (("rate: 0.01", "rate: .nan"), r"12:41: training.optimizer.rate \(nan\): must be a finite n"),
    "infinite bound": (("batch: 4", "clip: .inf"), r"12:54: training.clip \(inf\): must be a finite number"),
    "infinite tolerance": (("name: fpe", "name: fpe, tolerance: .inf"), r"8:34: learning.tolerance \(inf\): must be "),
    "unknown device": (
        ("machine: pcm_crossbar", "machine: {like: pcm_crossbar, device: pcm_gst}"),
        r"9:39: unknown device 'pcm_gst'; did you mean 'pcm_gst_90nm'\? allowed: capacitor, ecram_li",
    ),
    "unknown machine": (("pcm_crossbar", "pcm_crosbar"), r"9:10: unknown machine 'pcm_crosbar'; did you mean 'pcm_cro"),
    "unknown reference": (("digital_45nm", "digital_44nm"), r"14:51: unknown machine 'digital_44nm'; did you mean 'd"),
    "unknown rule": (("name: fpe", "name: fep"), r"8:18: unknown learning 'fep'; did you mean 'fpe'\? allowed: auto"),
    "unknown task": (("name: random", "name: randm"), r"3:14: unknown task 'randm'; did you mean 'random'\? allowed: "),
    "tag": (("pcm_crossbar", "!!python/object/apply:os.getcwd []"), r"9:10: the tag '.*os.getcwd' is not allowed; wri"),
    "no steps": (("steps: 5", "steps: 0"), r"3:29: task.steps \(0\): must be at least 1"),
    "no batch": (("batch: 4", "batch: 0"), r"12:55: training.batch \(0\): must be at least 1"),
    "no chips": (("chips: 2", "chips: 0"), r"10:8: chips \(0\): must be at least 1"),
    "no sequences": (("sequences: 2", "sequences: 0"), r"11:29: gradient_check.sequences \(0\): must be at least 1"),
    "half a batch": (("batch: 4", "batch: 2.5"), r"12:55: training.batch \(2.5\): must be a whole number$"),
    "truth for a number": (("batch: 4", "batch: true"), r"12:55: training.batch \(true\): must be a whole number"),
    "a key twice": (("chips: 2", "chips: 2\nchips: 3"), r"11:1: 'chips' stands twice; first in line 10"),
    "another version": (("seed: 3", "schema_version: 2"), r"2:17: unknown schema_version '2'; allowed: 1"),
    "a name that leaves": (("name: tiny", "name: ../tiny"), r'1:7: name \("../tiny"\): must match the pattern'),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_in_the_file_is_said_with_its_place(command: Command, what: str) -> None:
    change, said = WRONG[what]
    found = refused(command, changed(change))
    assert found.count("\n") == 1
    assert re.match(rf"e\.yaml:{said}", found), found


def test_all_that_is_wrong_is_said_at_once(command: Command) -> None:
    found = refused(command, changed(("steps: 5", "steps: 0"), ("chips: 2", "chips: 0"), ("name: fpe", "name: fep")))
    assert [line.split(": ")[0] for line in found.splitlines()] == ["e.yaml:3:29", "e.yaml:8:18", "e.yaml:10:8"]


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (BOMB, "e.yaml: more than 100000 values once its aliases are expanded"),
        ("", "e.yaml: empty; see `hwsim schema` for what an experiment says"),
        ("# nothing\n", "e.yaml: empty; see"),
        (b"\x89PNG\r\n\xff", "e.yaml: not a text file (byte 0 is not UTF-8)"),
        (b"name: \x00\x01", "e.yaml:1:7: not a text file (character #x00)"),
        ("[" * 9999, "e.yaml: nested too deeply"),
        ("- a\n- b\n", "e.yaml:1:1: an experiment is a mapping of keys: learning, machine, name, task, network, "),
        ("name: [", "e.yaml:1:8: not YAML: "),
    ],
)
def test_what_is_no_experiment_at_all_is_refused(command: Command, content: str | bytes, said: str) -> None:
    assert refused(command, content).startswith(said)


def test_a_file_that_is_not_there_is_refused(command: Command) -> None:
    said = command("run", "nothing.yaml")
    assert (said.code, said.err) == (2, "nothing.yaml: no such file\n")
    assert command("validate", ".") == Said(2, "", ".: is a folder, not a YAML file\n")


# ---- what does not fit ---------------------------------------------------------------------------------------

TANH = ("{name: lru, modes: 4, r_min: 0.9}", "{name: leaky_tanh, units: 4, gain: 0.01}")
COARSE = ("machine: pcm_crossbar", "machine: {like: digital_45nm, format: 'fixed<8,4>'}")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            [tiles("{count: 1}")],
            "substrate: the network needs 3 tiles of 256 by 256, and pcm_crossbar (changed) has 1; raise",
        ),
        (
            [("name: fpe", "name: bptt")],
            "e.yaml:1:1: bptt needs a tape, and pcm_crossbar, the machine of 'substrate', has none; ",
        ),
        (
            [("machine: digital_45nm", "machine: pcm_crossbar")],
            "e.yaml:1:1: bptt needs a tape, and pcm_crossbar, the machine of 'BPTT', has none; ",
        ),
        ([TANH, COARSE], "substrate: layer 1: the Jacobian of step 0 in 'pass 2' has no inverse"),
        ([("modes: 4", "modes: 100000000")], "substrate: simulating it would take about "),
        ([("chips: 2", "chips: 100000000000")], "substrate: simulating it would take about "),
        ([("steps: 5", "steps: 100000000000")], "task: the data of random would take about "),
        ([("train: 8", "train: 100000000000")], "task: the data of random would take about "),
    ],
)
def test_what_does_not_fit_together_is_said_before_anything_is_made(
    command: Command, changes: list[tuple[str, str]], said: str
) -> None:
    found = refused(command, changed(*changes))
    assert found.startswith(said)
    assert found.count("\n") == 1
    if "would take" in said:
        assert re.search(r"\d GB are free; use fewer .*(smaller network|shorter sequences)\n$", found)


def test_memory_is_estimated_before_the_data_is_made(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2000))
    monkeypatch.setattr(tasks, "build", lambda *_: pytest.fail("made all the same"))
    said = "task: the data of random would take about 3.48 kB of memory, and 2 kB are free; use fewer or shorter "
    assert refused(command, TINY) == f"{said}sequences\n"


@pytest.mark.parametrize(
    "options",
    [
        adding.Options(name="adding", steps=60, train=400, test=100),
        copy.Options(name="copy", delay=40, train=400, test=100),
        random.Options(name="random", steps=60, width=3, outputs=5, target="values", train=400),
        random.Options(name="random", steps=60, width=3, train=400),
    ],
)
def test_the_estimate_for_the_data_is_about_what_it_takes(options: Any) -> None:
    tracemalloc.start()
    tasks.build(options, 0)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 0.8 * taken < tasks.numbers(options) * 16 < 3 * taken


def test_memory_that_runs_out_all_the_same_is_no_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any) -> None:
        raise MemoryError("unable to allocate 3 TiB")

    monkeypatch.setattr(random, "build", exhausted)
    assert refused(command, TINY) == "this computer has too little memory: unable to allocate 3 TiB\n"


# ---- data ----------------------------------------------------------------------------------------------------

MNIST = changed(("{name: random, steps: 5, width: 2, train: 8, test: 4}", "{name: mnist}"))
IMAGES = "train-images-idx3-ubyte.gz"


def test_data_that_is_missing_is_said_with_how_to_get_it(command: Command, tmp_path: Path) -> None:
    advice = (
        "Run `hwsim data fetch mnist`, or say where it is with --data FOLDER or the environment variable HWSIM_DATA"
    )
    missing = f"{IMAGES} is missing. {advice}"
    assert refused(command, MNIST).startswith(f"MNIST is not in {tmp_path}/data/mnist: {missing}")
    assert refused(command, MNIST, "--data", "other").startswith(f"MNIST is not in other/mnist: {missing}")


WHOLE = gzip.compress(bytes(range(256)) * 40)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read"),
        (WHOLE[:-20], "cannot be read (Compressed file ended"),
        (b"no gzip", "cannot be read (Not a gzipped file"),
        (WHOLE[:12] + b"\xff" * 20 + WHOLE[32:], "cannot be read (Error -3 while decompressing"),
        (WHOLE, "is not the file it should be (truncated?)"),
    ],
)
def test_data_that_is_truncated_or_broken_is_refused(command: Command, content: bytes, said: str) -> None:
    Path("data/mnist").mkdir(parents=True)
    Path("data/mnist", IMAGES).write_bytes(content)
    found = refused(command, MNIST, "--data", "data")
    assert found.startswith(f"data/mnist/{IMAGES} ")
    if content:
        assert said in found
    assert found.endswith("delete it and run `hwsim data fetch mnist`\n")


def test_only_what_is_known_can_be_fetched(command: Command) -> None:
    said = command("data", "fetch", "mnits")
    assert (said.code, said.err) == (
        2,
        "unknown data set 'mnits'; did you mean 'mnist'? allowed: characters, japanese_vowels, mnist, spoken_digits\n",
    )


# ---- places to write -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("full", "full exists already, and nothing is overwritten; choose another folder with --out"),
        ("e.yaml", "e.yaml exists already, and nothing is overwritten"),
        ("e.yaml/out", "cannot write to e.yaml: Not a directory; choose a folder with --out"),
        ("n" * 300, f"cannot write {'n' * 300}: File name too long; choose another folder with --out"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused(command: Command, out: str, said: str) -> None:
    Path("full").mkdir()
    assert refused(command, TINY, "--out", out).startswith(said)


@pytest.mark.skipif(os.geteuid() == 0, reason="everything can be written by root")
def test_a_folder_that_may_not_be_written_is_refused(command: Command) -> None:
    Path("locked").mkdir(mode=0o500)
    assert refused(command, TINY, "--out", "locked/out").startswith("cannot write to locked: Permission denied")


def test_a_full_disk_leaves_nothing_half_written(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def table(path: Path, *_: Any) -> None:
        path.write_text("system,")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_folder.tables, "write", table)
    assert refused(command, TINY) == "cannot write new/out: No space left on device\n"


@pytest.mark.parametrize("wrong", [["--seed", "-1"], ["--sed", "1"], ["--seed", "one"], ["another.yaml"]])
def test_options_that_make_no_sense_are_refused(command: Command, wrong: list[str]) -> None:
    assert refused(command, TINY, *wrong).strip()


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (("limits", "--measure"), ["cosine", "change"]),
        (("verdict", "--size"), list(verdict.SIZES)),
        (("fit", "--kind"), list(measured.FITS)),
    ],
)
def test_options_of_few_words_show_them_and_refuse_all_others(
    command: Command, words: tuple[str, str], known: list[str]
) -> None:
    name, option = words
    assert re.search(rf"{option} +<{'[|]'.join(known)}>", command(name, "--help").out)
    said = command(name, "file", option, "another")
    assert (said.code, said.out) == (2, "")
    assert f"'another' is not one of {', '.join(map(repr, known))}" in said.err


def test_a_seed_from_python_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(TINY)
    with pytest.raises(ConfigError, match=r"^seed \(-1\): must be at least 0, and at most "):
        hwsim.run(tmp_path / "e.yaml", seed=-1, out=tmp_path / "out")
    assert standing(tmp_path) == ["e.yaml"]


# ---- Ctrl-C --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "words", "code", "said"),
    [
        (signal.SIGINT, [], 130, "interrupted; nothing was written\n"),
        (signal.SIGINT, ["--quiet"], 130, "interrupted; nothing was written\n"),
        (signal.SIGTERM, ["--quiet"], 143, "interrupted; nothing was written\n"),
    ],
)
def test_an_interrupted_run_leaves_nothing(
    tmp_path: Path, how: signal.Signals, words: list[str], code: int, said: str
) -> None:
    (tmp_path / "e.yaml").write_text(changed(("epochs: 1", "epochs: 1000000")))
    process = subprocess.Popen(
        [sys.executable, "-m", "hwsim", "run", "e.yaml", "--out", "new/out", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 60
        while not list(tmp_path.glob("new/.out.partial-*")):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.5)
        process.send_signal(how)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == code
    assert err.endswith(said)
    assert "Traceback" not in err
    assert out == ""
    assert standing(tmp_path) == ["e.yaml"]


# ---- what is right -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment that was run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "e.yaml").write_text(TINY)
    hwsim.run(folder / "e.yaml", out=folder / "out")
    return folder / "out"


COLUMNS = {
    "energy.csv": "system part epoch sweep step layer purpose unit operation component constant constant_si count "
    "energy_j low_j high_j assumed_j",
    "memory.csv": "system sweep step holder memory_class technology values bits_per_value change_bits live_bits",
    "metrics.csv": "system chip updates epoch energy_j learning_energy_j learning_time_s writes_per_device train_loss "
    "test_loss test_accuracy horizon_fresh_steps horizon_frozen_steps",
}


def test_a_run_folder_has_what_it_should(finished: Path) -> None:
    assert standing(finished) == FILES
    for name, header in COLUMNS.items():
        with (finished / name).open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == header.split()
        assert {row["system"] for row in rows} == {"substrate", "BPTT"}
        assert None not in rows[-1].values()
    trace = json.loads((finished / "timeline.json").read_text())
    assert {"M", "X"} <= {event["ph"] for event in trace["traceEvents"]}


def test_the_summary_says_what_was_run(finished: Path) -> None:
    summary = json.loads((finished / "summary.json").read_text())
    assert (summary["name"], summary["seed"], summary["hwsim_version"]) == ("tiny", 3, hwsim.__version__)
    resolved = documents.read(finished / "config.yaml").data
    assert summary["config_sha256"] == documents.fingerprint(resolved)
    systems = summary["systems"]
    assert [(one["rule"], one["machine"], one["chips"]) for one in systems.values()] == [
        ("fpe", "pcm_crossbar", 2),
        ("bptt", "digital_45nm", 1),
    ]
    metrics = pd.read_csv(finished / "metrics.csv")
    last = metrics[(metrics.system == "substrate") & (metrics.updates == 2)].sort_values("chip")
    assert list(last.test_loss) == systems["substrate"]["loss"]["per_chip"]
    assert systems["BPTT"]["gradient"]["recurrent"]["target"]["cosine"] == close(1, abs=1e-5)


def test_the_folders_own_config_gives_the_same_bytes_again(command: Command, finished: Path) -> None:
    assert command("run", str(finished / "config.yaml"), "--out", "again", "--quiet").code == 0
    for name in FILES:
        assert Path("again", name).read_bytes() == (finished / name).read_bytes(), name


def test_a_quiet_run_says_nothing(command: Command) -> None:
    Path("e.yaml").write_text(TINY)
    assert command("run", "e.yaml", "--out", "new/out", "--quiet") == Said(0, "", "")
    assert standing(Path("new/out")) == FILES
    assert standing(Path()) == ["e.yaml", "new", "new/out", *(f"new/out/{name}" for name in FILES)]


def test_a_run_shows_tables_and_says_where_its_results_are(command: Command) -> None:
    Path("e.yaml").write_text(TINY)
    said = command("run", "e.yaml")
    assert said.code == 0
    assert "tiny: the substrate beside its references" in said.out
    assert said.out.endswith("Results are in runs/tiny\n")
    assert "substrate" in said.err
    assert "BPTT" in said.err
    assert command("run", "e.yaml").out.endswith("Results are in runs/tiny-2\n")
    assert sorted(path.name for path in Path("runs").iterdir()) == ["tiny", "tiny-2"]


def test_a_run_takes_the_settings_of_the_command_line(command: Command) -> None:
    Path("e.yaml").write_text(TINY)
    said = command("run", "e.yaml", "--out", "a", "--quiet", "--set", "machine.parts.verify=3 pJ", "--set", "chips=1")
    assert said == Said(0, "", "")
    resolved = documents.read(Path("a/config.yaml")).data
    assert (resolved["machine"]["parts"]["verify"]["value"], resolved["chips"]) == ("3e-12 joule", 1)
    said = command("run", "e.yaml", "--out", "b", "--set", "machine.parts.verfy=3 pJ")
    assert said.code == 2
    assert said.err.startswith("--set machine.parts.verfy=3 pJ: ")
    assert not Path("b").exists()


def test_a_seed_on_the_command_line_stands_for_the_one_in_the_file(command: Command, finished: Path) -> None:
    Path("e.yaml").write_text(changed(("seed: 3", "seed: 99")))
    assert command("run", "e.yaml", "--out", "a", "--seed", "3", "--quiet").code == 0
    assert command("run", "e.yaml", "--out", "b", "--seed", "4", "--quiet").code == 0
    for name in FILES:
        assert Path("a", name).read_bytes() == (finished / name).read_bytes(), name
    assert json.loads(Path("b/summary.json").read_text())["seed"] == 4
    assert documents.read(Path("b/config.yaml")).data["seed"] == 4
    assert Path("b/metrics.csv").read_bytes() != (finished / "metrics.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TINY, "e.yaml: a valid experiment tiny\n"),
        ("like: pcm_crossbar\nname: mine", "e.yaml: a valid machine mine\n"),
        ("kind: ideal\nname: mine", "e.yaml: a valid machine mine\n"),
    ],
)
def test_validate_says_what_a_file_is(command: Command, text: str, said: str) -> None:
    Path("e.yaml").write_text(text)
    assert command("validate", "e.yaml") == Said(0, said, "")
    assert standing(Path()) == ["e.yaml"]


def test_validate_knows_data_sheets(command: Command) -> None:

    said = command("validate", str(hardware.shelf("devices") / "ideal.yaml"))
    assert (said.code, said.out.rpartition(": ")[2]) == (0, "a valid data sheet of ideal\n")


def test_validate_lists_what_is_wrong(command: Command) -> None:
    Path("e.yaml").write_text("like: ideal\nformat: float23\nnmae: x\n")
    said = command("validate", "e.yaml")
    assert said.code == 2
    assert said.err.splitlines() == [
        "e.yaml:2:9: unknown format 'float23'; did you mean 'float32'? allowed: float32, float64",
        "e.yaml:3:1: unknown key 'nmae'; did you mean 'name'? allowed: format, kind, name",
    ]


def test_validate_names_an_implausible_size_beside_another_error(command: Command) -> None:
    wide = TINY.replace("modes: 4", "modes: 1000000000")
    assert wide != TINY
    Path("e.yaml").write_text(wide)
    said = command("validate", "e.yaml")
    size = (
        "warning: network.layers.0.cell.modes is 1e+09, and a matrix of that many rows and columns would take 8e+06 TB"
    )
    valid, warned = said.out.splitlines()
    assert (said.code, valid) == (0, "e.yaml: a valid experiment tiny")
    assert size in warned
    Path("e.yaml").write_text(wide.replace("chips:", "chps:"))
    said = command("validate", "e.yaml")
    assert said.code == 2
    first, second = said.err.splitlines()
    assert "unknown key 'chps'" in first
    assert size in second


def test_a_size_that_no_memory_has_is_refused_in_one_line(command: Command) -> None:
    cell = "{name: leaky_tanh, units: 1000000000, leak: 1.0}"
    Path("e.yaml").write_text(re.sub(r"cell: \{[^}]*\}", f"cell: {cell}", TINY))
    for words, what in ((("estimate", "e.yaml"), "(1000000000 by 1000000000)"), (("run", "e.yaml"), " TB of memory ")):
        said = command(*words)
        assert said.code == 2
        assert what in said.err
        assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("fpee", "did you mean 'fpe'? allowed: fpe, and "),
        ("FPE", "did you mean 'fpe'? allowed: fpe, fpe_hybrid, fpe_lagged, fpe_anchored, fpe_slowfast, and "),
        ("PCM-crosbar", "did you mean 'pcm_crossbar'? allowed: pcm_crossbar, rram_crossbar, spiking_crossbar, and "),
        ("gst", "did you mean 'pcm_gst_90nm'? allowed: pcm_gst_90nm, and "),
        ("moose", "allowed: accumulate, adam, "),
    ],
)
def test_a_name_is_likened_to_near_names_only(command: Command, name: str, near: str) -> None:
    said = command("devices", name)
    assert said.code == 2
    assert said.err.startswith(f"unknown name {name!r}; {near}")


def test_limits_are_ranked_and_kept_in_a_folder(command: Command) -> None:
    Path("e.yaml").write_text(TINY)
    said = command("limits", "e.yaml", "--seeds", "2", "--chips", "1", "--updates", "1")
    assert said.code == 0
    assert "tiny: what limits pcm_crossbar under fpe" in said.out
    assert "By the cosine of the gradient" in said.out
    assert "Measured over 2 seeds of 1 chip" in said.out
    assert "Results are in runs/tiny_limits" in said.out
    assert sorted(path.name for path in Path("runs/tiny_limits").iterdir()) == sorted(
        [*limits_folder.FILES, "SHA256SUMS"]
    )


def test_limits_that_cannot_be_found_leave_nothing(command: Command) -> None:
    Path("e.yaml").write_text(changed(("pcm_crossbar", "ideal")))
    before = standing(Path())
    said = command("limits", "e.yaml", "--out", "new/out")
    assert (said.code, said.out, standing(Path())) == (2, "", before)
    assert "tiny: ideal has no imperfections" in said.err
    Path("taken").mkdir()
    assert "taken exists already" in command("limits", "e.yaml", "--out", "taken").err


def test_the_schema_is_printed_as_json(command: Command) -> None:
    said = command("schema")
    assert said.code == 0
    assert json.loads(said.out) == Experiment.model_json_schema()


def test_what_it_takes_to_reach_an_accuracy_is_asked_of_all_that_learns(command: Command, finished: Path) -> None:
    Path("e.yaml").write_text(TINY)
    run = hwsim.read(finished)
    joules = run.metrics[run.metrics.system == "BPTT"].learning_energy_j.max()
    asked = ("--to-accuracy", "25%", "--budget", f"{1e12 * joules:.4f} pJ")
    said = command("run", "e.yaml", "--out", "again", *asked)
    assert said.code == 0, said.err
    for text in ("To reach 25.0% on the test", "of learning reaches: the last test within it", "known at tests only"):
        assert text in " ".join(said.out.split())
    assert said.out.index("To reach 25.0% on") < said.out.index("beside its references")
    assert command("report", "again").code == 0
    plain = Path("again/report.html").read_bytes()
    answered = command("report", "again", *asked)
    assert answered.code == 0, answered.err
    assert "BPTT: 25.0% " in answered.out
    (own,) = Path("again").glob("report_to_25_percent_for_*J.html")
    assert answered.out.splitlines()[-1] == f"The report is {own}"
    once = own.read_bytes()
    assert command("report", "again", *asked).out == answered.out
    assert (own.read_bytes(), Path("again/report.html").read_bytes()) == (once, plain)
    page = command("report", "again", "--out", "page.html", *asked)
    assert page.code == 0, page.err
    assert "To reach 25.0% on the test" in Path("page.html").read_text()
    beside = command("compare", "again", str(finished), *asked)
    assert beside.code == 0, beside.err
    assert "To reach 25.0% on the test" in beside.out
    assert (Path("again") / "summary.json").read_bytes() == (
        finished / "summary.json"
    ).read_bytes()  # whatever is asked


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--to-accuracy", "much"), "'much' is no accuracy; such as 92% or 0.92"),
        (("--to-accuracy", "92"), "'92' is no accuracy"),
        (("--to-accuracy", "nan"), "'nan' is no accuracy"),
        (("--to-loss", "0"), "'0' is no loss to reach; such as 0.1"),
        (("--to-loss", "0.1", "--to-accuracy", "92%"), "one target at a time: --to-accuracy or --to-loss"),
        (("--budget", "1 ms"), "must be in units of joule, as in '1 mJ'"),
        (("--budget", "-1 J"), "-1 J is no energy to spend; such as 1 mJ"),
    ],
)
def test_what_is_no_accuracy_or_energy_is_refused_before_anything_runs(
    command: Command, asked: tuple[str, str], said: str
) -> None:
    refused = command("run", "e.yaml", "--out", "never", *asked)
    assert refused.code == 2
    assert said in " ".join(re.sub(r"[│╭╮╰╯─]", " ", refused.err).split())
    assert not Path("never").exists()


def test_every_command_explains_itself() -> None:
    runner = CliRunner()
    for words in ([], ["run"], ["validate"], ["schema"], ["data"], ["data", "fetch"]):
        said = runner.invoke(cli.app, [*words, "--help"])
        assert said.exit_code == 0
        assert "Usage:" in said.output


def test_it_says_its_version(command: Command) -> None:
    assert command("--version").out.split() == ["hwsim", hwsim.__version__]


# ---- from Python ---------------------------------------------------------------------------------------------


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = ["brian2", "matplotlib", "numba", "numpy", "scipy", "pandas", "pint", "pydantic", "typer"]
    said = python(f"import sys, hwsim; print([name for name in {heavy} if name in sys.modules])", tmp_path)
    assert (said.returncode, said.stdout) == (0, "[]\n")


def test_a_run_from_python_has_tables_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(TINY)
    code = (
        "import sys, hwsim, pandas\n"
        "run = hwsim.run('e.yaml')\n"
        "for table in (run.energy, run.memory, run.metrics):\n"
        "    assert isinstance(table, pandas.DataFrame) and len(table) > 5, table\n"
        "print(run.folder, run.experiment.name, [name for name in ('brian2', 'matplotlib') if name in sys.modules])"
    )
    said = python(code, tmp_path)
    assert (said.stderr, said.stdout) == ("", "None tiny []\n")
    assert standing(tmp_path) == ["e.yaml"]


def test_the_tables_are_what_is_written(finished: Path) -> None:
    run = hwsim.run(finished / "config.yaml")
    for name, table in (("energy", run.energy), ("memory", run.memory), ("metrics", run.metrics)):
        read = pd.read_csv(finished / f"{name}.csv")
        assert list(table.columns) == list(read.columns)
        numbers = read.select_dtypes("number").columns
        pd.testing.assert_frame_equal(table[numbers].astype(float), read[numbers].astype(float), check_exact=True)
    assert run.summary.plain() == json.loads((finished / "summary.json").read_text())


def test_the_module_is_the_command_line(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(changed(("chips:", "chps:")))
    said = subprocess.run(
        [sys.executable, "-m", "hwsim", "validate", "e.yaml"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr.startswith("e.yaml:10:1: unknown key 'chps'; did you mean 'chips'?")
    assert said.stderr.count("\n") == 1


def test_shipped_studies_are_had_by_name_and_listed(command: Command) -> None:
    said = command("devices")
    assert "hwsim study NAME" in said.out
    assert "references: NAME" in said.out
    for name in (*hardware.names("configs/studies"), *hardware.names("configs/references")):
        assert name in said.out
    planned = command("study", "converter_bits", "--dry-run")
    assert planned.code == 0
    assert planned.out.startswith("converter_bits: 4 of bits")
    shown = command("devices", "converter_bits")
    assert (hardware.shelf("configs/studies") / "converter_bits.yaml").read_text(encoding="utf-8") in shown.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("study", "convertr_bits"), "no file 'convertr_bits', and unknown study 'convertr_bits'; did you mean 'conv"),
        (
            ("study", "tiny.yaml"),
            "tiny.yaml:1:1: this is an experiment, not a study; run it with `hwsim run tiny",
        ),
        (("run", "tiny"), "no file 'tiny'; did you mean 'tiny.yaml'?"),
        (("estimate", "tiny.yaml", "--set", "learning.nam=fpe"), "--set learning.nam=fpe: unknown key 'nam'"),
        (("estimate", "tiny.yaml", "--expect", "input=2"), "--expect: input (2): must be at most 1"),
    ],
)
def test_what_was_typed_leads_on(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TINY, encoding="utf-8")
    found = command(*arguments)
    assert found.code == 2
    assert found.err.startswith(said), found.err


def test_an_unknown_set_of_references_hides_nothing(command: Command) -> None:
    text = TINY[: TINY.index("references")].replace("name: fpe", "name: fpf") + "references: strng\n"
    found = refused(command, text)
    assert "did you mean 'strong'" in found
    assert "did you mean 'fpe'" in found
