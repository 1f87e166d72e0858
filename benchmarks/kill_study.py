"""Does a study survive kill -9?

A study of 200 trials is carried out once without disturbance. Then its command is killed with SIGKILL at random moments
and begun again, 50 times with 1, 2 and 4 worker processes and on a Dask cluster of two: 200 kills. After each kill, all
trials that were kept before have to be there, none carried out again, and no process may be left behind. In the end,
tables, figures and the resolved study have to be the same bytes. On the cluster a Dask worker is killed each time too.

    python benchmarks/kill_study.py [--kills 50] [--seed 0] [--modes 1 2 4 dask]

`--small` kills a study of 4 trials once, as soon as it has kept some of them, with one worker process.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil

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
WRITTEN = ("table.csv", "table.parquet", "summary.csv", "pairs.csv", "figures/cosine.svg", "study.yaml")
STARTING = 0.2
"""Share of kills while the command starts; all others come when it has written a trial."""


def command(study: Path, out: Path, mode: list[str]) -> list[str]:
    return [sys.executable, "-m", "hwsim", "study", str(study), "--out", str(out), "--quiet", *mode]


def kept(out: Path) -> dict[str, float]:
    """How long each trial took that is over, which would change if it were carried out again."""
    path = out / "trials.sqlite"
    if not path.exists():
        return {}
    with closing(sqlite3.connect(path)) as base:
        try:
            return dict(base.execute("SELECT id, wall_s FROM trials"))
        except sqlite3.OperationalError:  # killed before there was a table
            return {}


def written(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in WRITTEN if (out / name).exists()}


def wait_for_a_trial(process: subprocess.Popen[bytes], out: Path) -> None:
    """Until something is written, or it ends."""
    log, before = out / "trials.sqlite-wal", None
    while process.poll() is None:
        size = log.stat().st_size if log.exists() else 0
        if before is not None and size != before and size > 60_000:
            return
        before = size
        time.sleep(0.005)


def killed(words: list[str], out: Path, moment: Callable[[subprocess.Popen[bytes]], None]) -> bool:
    """Begin the command and kill it at a moment; False if it ended before."""
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    moment(process)
    children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.kill()
    _, said = process.communicate()
    if process.returncode == 0:
        return False
    if process.returncode > 0:
        raise SystemExit(f"ended by itself: {said.decode()}")
    _, alive = psutil.wait_procs(children, timeout=10)
    if alive:
        raise SystemExit(f"left behind: {alive}")
    return True


def tried(
    study: Path, root: Path, mode: list[str], kills: int, lives: float, draw: random.Random, also: Any, wanted: Any
) -> str:
    """Kill a study so often, and say how it went. One that is finished before all kills is begun anew elsewhere."""
    counts: list[int] = []
    rounds = 0
    while len(counts) < kills:
        rounds += 1
        out, before = root / str(rounds), dict[str, float]()

        def moment(process: subprocess.Popen[bytes], out: Path = out) -> None:
            if draw.random() < STARTING:
                time.sleep(draw.uniform(0, 3))
            else:
                wait_for_a_trial(process, out)
                life = draw.uniform(0, lives)
                also(life, draw)
                time.sleep(life)

        while len(counts) < kills and killed(command(study, out, mode), out, moment):
            now = kept(out)
            if not before.items() <= now.items():
                raise SystemExit(f"trials were lost or repeated: {len(before)} were kept, {len(now)} are")
            counts.append(len(now))
            before = now
            print(f"{len(counts)} of {kills} kills, {len(now)} trials kept", file=sys.stderr, flush=True)
        subprocess.run(command(study, out, mode), check=True)
        if not before.items() <= kept(out).items():
            raise SystemExit("trials were repeated in the end")
        differing = [name for name, content in written(out).items() if content != wanted[name]]
        if differing or written(out).keys() != wanted.keys():
            raise SystemExit(f"DIFFERENT: {differing}")
    total = len(kept(root / "1"))
    early, middle = sum(count < total for count in counts), statistics.median(counts)
    return (
        f"{len(counts)} kills, {early} before the last trial (median: {middle:.0f} of {total} kept), in {rounds} "
        f"{'study' if rounds == 1 else 'studies'}: nothing lost, nothing repeated, the same bytes"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50, help="for each mode")
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
        text = STUDY.replace("[4, 6, 8, 10]", "[4, 10]") if asked.small else STUDY
        study.write_text(text.replace("{seeds}", "1"), encoding="utf-8")
        if not asked.small:
            subprocess.run(command(study, root / "warm", ["--workers", "1"]), check=True)  # compiles, if nobody has
            study.write_text(STUDY.replace("{seeds}", "25"), encoding="utf-8")
        begun = time.perf_counter()
        subprocess.run(command(study, root / "whole", ["--workers", "1"]), check=True)
        took = time.perf_counter() - begun
        print(f"undisturbed: {took:.1f} s", flush=True)
        wanted = written(root / "whole")
        for mode in asked.modes:
            begun = time.perf_counter()
            words, also, close = _mode(mode)
            lives = 0.0 if asked.small else took / asked.kills
            found = tried(study, root / mode, words, asked.kills, lives, draw, also, wanted)
            close()
            label = "dask" if mode == "dask" else f"{mode} workers"
            print(f"{label}: {found}; {time.perf_counter() - begun:.0f} s", flush=True)


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
