"""Does a study survive kill -9?

A study of 200 trials is carried out once without disturbance; then again with 1, 2 and 4 worker processes and on a Dask
cluster of two, killed with SIGKILL at 20 random moments and resumed each time. Its tables must be the same bytes, and
no trial that was kept may be lost. On the cluster a Dask worker is killed each time as well.

    python benchmarks/kill_study.py [--kills 20] [--seed 0] [--modes 1 2 4 dask]

`--small` kills a study of 8 trials once, as soon as it has kept some of them, with one worker process.
"""

from __future__ import annotations

import argparse
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

STUDY = """\
name: killed
experiment:
  name: small
  task: {name: random, steps: 4, width: 2, train: 8, test: 4}
  network: {layers: [{cell: {name: lru, modes: 3, r_min: 0.9}, readout: {hidden: [4]}}]}
  learning: {name: fpe}
  machine: pcm_crossbar
  chips: 2
  gradient_check: {sequences: 2}
  references:
    - {name: BPTT, learning: {name: bptt}, machine: digital_45nm}
vary:
  steps: {key: task.steps, values: [3, 4]}
  bits: {key: machine.parts.adc.bits, values: [4, 6, 8, 10]}
seeds: {seeds}
figures:
  - {name: cosine, x: bits, y: cosine_all, hue: steps, facet: system}
"""
TABLES = ("table.csv", "table.parquet", "summary.csv", "figures/cosine.svg", "study.yaml")


def command(study: Path, out: Path, mode: list[str]) -> list[str]:
    return [sys.executable, "-m", "hwsim", "study", str(study), "--out", str(out), "--quiet", *mode]


def kept(out: Path) -> int:
    """Trials that are over; asked only when nobody is at work."""
    path = out / "trials.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path)) as base:
        try:
            return int(base.execute("SELECT COUNT(*) FROM plan").fetchone()[0])
        except sqlite3.OperationalError:  # killed before there was a table
            return 0


def undisturbed(study: Path, out: Path, mode: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command(study, out, mode), check=True)
    return time.perf_counter() - begun


def wait_for_a_trial(process: subprocess.Popen[bytes], out: Path) -> None:
    """Until something is written, or it ends."""
    log, before = out / "trials.sqlite-wal", None
    while process.poll() is None:
        size = log.stat().st_size if log.exists() else 0
        if before is not None and size != before and size > 60_000:
            return
        before = size
        time.sleep(0.005)


def killed(study: Path, out: Path, mode: list[str], kills: int, lives: float, draw: random.Random, also: Any) -> str:
    """Kill a study so often, unless it ends before, let it end, and say how it went."""
    history = []
    for _ in range(kills):
        process = subprocess.Popen(command(study, out, mode), stderr=subprocess.PIPE)
        if draw.random() < 0.2:
            time.sleep(draw.uniform(0, 3))  # while it starts
        else:
            wait_for_a_trial(process, out)
            life = draw.uniform(0, lives)
            also(life, draw)
            time.sleep(life)
        process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        if process.returncode == 0 and history:
            break  # it was over before
        if process.returncode != -signal.SIGKILL:
            raise SystemExit(f"ended by itself: {said.decode()}; kept {history}")
        history.append(kept(out))
        if len(history) > 1 and history[-1] < history[-2]:
            raise SystemExit(f"trials were lost: {history}")
    subprocess.run(command(study, out, mode), check=True)
    return " ".join(map(str, history))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--modes", nargs="+", default=["1", "2", "4", "dask"])
    parser.add_argument("--small", action="store_true", help="few trials, killed once: to see that it works")
    asked = parser.parse_args()
    if asked.small:
        asked.kills, asked.modes = 1, ["1"]
    draw = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        study = root / "study.yaml"
        study.write_text(STUDY.replace("{seeds}", "1" if asked.small else "25"), encoding="utf-8")
        if not asked.small:
            undisturbed(study, root / "warm", ["--workers", "1"])  # compiles, if nobody has
        took = undisturbed(study, root / "whole", ["--workers", "1"])
        print(f"undisturbed: {took:.1f} s", flush=True)
        wanted = {table: (root / "whole" / table).read_bytes() for table in TABLES}
        for mode in asked.modes:
            begun = time.perf_counter()
            words, also, close = _mode(mode)
            lives = 0.0 if asked.small else took / (asked.kills + 1)
            history = killed(study, root / mode, words, asked.kills, lives, draw, also)
            close()
            differing = [table for table in TABLES if (root / mode / table).read_bytes() != wanted[table]]
            verdict = f"DIFFERENT: {differing}" if differing else "the same bytes"
            label = "dask" if mode == "dask" else f"{mode} workers"
            print(
                f"{label}: {verdict}, {time.perf_counter() - begun:.0f} s; kept after each kill: {history}", flush=True
            )


def _mode(mode: str) -> tuple[list[str], Any, Any]:
    """Words for the command line, what else is to be killed, and how to clear up."""
    if mode != "dask":
        return ["--workers", mode], lambda life, draw: None, lambda: None
    from distributed import LocalCluster

    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)

    def kill_worker(life: float, draw: random.Random) -> None:
        time.sleep(life / 2)
        nanny: Any = draw.choice(list(cluster.workers.values()))
        if nanny.process is not None and nanny.process.pid:
            subprocess.run(["kill", "-9", str(nanny.process.pid)], check=False)  # the nanny starts another one

    return ["--scheduler", cluster.scheduler_address], kill_worker, cluster.close


if __name__ == "__main__":
    main()
