"""A command that is asked to stop does so within seconds, whatever it is at, and leaves nothing half-written."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

COMMAND = """
import sys, time
from pathlib import Path
from hwsim import cli

@cli.app.command()
def work() -> None:
    {}

cli.main()
"""
SECONDS = 80
"""After which a command has not stopped: less than it would go on for, and far more than a stop takes, busy or not."""


def _heeding() -> None:
    """Tests may run where signals are ignored, as behind `nohup`; the process is not to inherit that."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def begun(code: str, folder: Path, before: str = "") -> subprocess.Popen[str]:
    """A process whose command `work` has said that it has begun."""
    text = before + COMMAND.format(code.replace("\n", "\n    "))
    words = [sys.executable, "-c", text, "work"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, cwd=folder, text=True, preexec_fn=_heeding, **pipes)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.5)  # until it is at what comes next
    return process


SWALLOWING = """\
print("begun", flush=True)
for _ in range(3):
    try:
        time.sleep(100)
    except BaseException as error:
        pass
time.sleep(100)"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_stops_though_what_is_raised_comes_to_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """As in callbacks of the compiler, or in a library that catches everything."""
    process = begun(SWALLOWING, tmp_path)
    process.send_signal(number)
    out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, out, err) == (128 + number, "", "interrupted; nothing was written\n")


CLEANING = """\
try:
    print("begun", flush=True)
    time.sleep(100)
finally:
    for _ in range(25):
        time.sleep(0.1)
    Path("cleaned").touch()"""


def test_what_cleans_up_is_not_interrupted(tmp_path: Path) -> None:
    """Neither by the insistence of the first signal, nor by another one."""
    process = begun(CLEANING, tmp_path)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "cleaned").exists()


IGNORING = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"


def test_signals_that_were_to_be_ignored_are(tmp_path: Path) -> None:
    process = begun('print("begun", flush=True)\ntime.sleep(1.5)', tmp_path, IGNORING)  # as `nohup` and `&` do
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=SECONDS)
    assert process.returncode == 0


def _short_of_memory() -> None:
    """What Dask logs in a worker, as it pauses, goes on and pauses again; and of what else goes wrong there."""
    logger = logging.getLogger("distributed.worker.memory")
    for memory in ("7.5 GiB", "9 GiB"):
        logger.warning("Worker is at %d%% memory usage. Pausing worker.  Process memory: %s", 81, memory)
    logging.getLogger("distributed.worker").error("Compute Failed")


def test_workers_on_dask_that_lack_memory_say_so_once_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("distributed")
    from hwsim.experiments.study.cluster import Cluster

    with Cluster(None, 1) as cluster:
        cluster._client.run(_short_of_memory)
        cluster._client.restart()  # a worker that is started again says so as well
        cluster._client.run(_short_of_memory)
        logging.getLogger("distributed.nanny.memory").warning("Worker tcp://x (pid=3) exceeded 95% memory budget.")
        logging.getLogger("distributed.nanny.memory").warning("Worker tcp://x (pid=3) is slow to %s", "terminate")
    said = "a Dask worker is short of memory: Worker "
    pausing = f"{said}is at 81% memory usage. Pausing worker. Process memory: 7.5 GiB"
    assert capfd.readouterr().err.splitlines() == [
        pausing,
        pausing,
        f"{said}tcp://x (pid=3) exceeded 95% memory budget.",
    ]


LONG = """\
name: long
task: {name: random, steps: 50, width: 8, train: 256, test: 64}
network: {layers: [{cell: {name: lru, modes: 64, r_min: 0.9}, readout: {hidden: [64]}}]}
learning: {name: fpe}
machine: pcm_crossbar
chips: 4
training: {optimizer: {name: sgd, rate: 0.01}, batch: 64, epochs: 100000}
"""
STUDY = f"name: many\nexperiment:\n  {LONG.strip().replace(chr(10), chr(10) + '  ')}\nseeds: 20\n"


@pytest.mark.parametrize("kind", ["run", "study", "study on Dask"])
def test_it_stops_at_any_moment_and_leaves_no_process_behind(tmp_path: Path, kind: str) -> None:
    if kind == "study on Dask":
        pytest.importorskip("distributed")
    text = {"run": LONG, "study": STUDY, "study on Dask": f"{STUDY}dask: {{workers: 2}}\n"}[kind]
    (tmp_path / "asked.yaml").write_text(text, encoding="utf-8")
    draw = random.Random(kind)
    words = [sys.executable, "-m", "hwsim", kind.split()[0], "asked.yaml", "--out", "out", "--quiet"]
    words += ["--workers", "2"] if kind == "study" else []
    for life in (draw.uniform(0.5, 3), draw.uniform(3, 6)):
        process = subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        time.sleep(life)
        assert process.poll() is None
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()  # this process alone: the others are its own to end
        _, said = process.communicate(timeout=SECONDS)
        assert process.returncode in (143, -signal.SIGTERM)  # the latter before it has begun at all
        assert said == "" or said.startswith(("interrupted; nothing", "stopped; 0 of 20 trials are kept"))
        _, alive = psutil.wait_procs(children, timeout=SECONDS)
        assert not alive
        assert not [name for name in os.listdir(tmp_path) if name not in ("asked.yaml", "out")]
        assert kind != "run" or not (tmp_path / "out").exists()
