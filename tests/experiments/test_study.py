"""Studies: whatever is killed, lost, full or locked, no trial is lost or repeated, and tables are the same bytes."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from conftest import close
from run_folders import STUDY
from scipy import stats

import hwsim
from hwsim import cli, documents
from hwsim.columns import COLUMNS, GROUPS, METRICS
from hwsim.config import grid
from hwsim.config.grid import Grid
from hwsim.errors import ConfigError, DataError, MemoryEstimateError, OutputError
from hwsim.experiments.run import simulate
from hwsim.experiments.study import study
from hwsim.experiments.study.processes import WorkerError
from hwsim.printing import Terminal
from hwsim.reports import html, trials
from hwsim.reports import study as report
from hwsim.results import study_folder
from hwsim.results.study import store as stores
from hwsim.results.study import table
from hwsim.results.study.pairs import pairs as pairs_of
from hwsim.results.study.store import FILE, LOCK, KeptTrial, StudyProgress, TrialStore

TRIALS = 12
TABLES = ("table.csv", "table.parquet", "summary.csv", "pairs.csv", "study.yaml", "figures/cosine.svg")


def asked(text: str = STUDY) -> Grid:
    return grid.compose(documents.parse(text, "study.yaml"))


def run(folder: Path, text: str = STUDY, **kinds: Any) -> StudyProgress:
    """Run a study, and draw its figures."""
    found = asked(text)
    ended = study.run(found, folder, **kinds)
    report.draw(found, folder)
    return ended


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in TABLES}


def kept(folder: Path) -> dict[str, float]:
    """How long each trial took that is over: other figures would tell that it was carried out again."""
    with closing(sqlite3.connect(folder / FILE)) as base:
        return dict(base.execute("SELECT id, wall_s FROM trials"))


def workers() -> list[psutil.Process]:
    """The worker processes of this one."""
    return [
        child
        for child in psutil.Process().children()
        if "hwsim.experiments.study.worker" in " ".join(child.cmdline() if child.is_running() else [])
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that nobody disturbed, with one worker."""
    folder = tmp_path_factory.mktemp("whole") / "study"
    assert run(folder, workers=1) == StudyProgress(TRIALS, 0, TRIALS)
    return folder


class Enough(BaseException):
    """Stops a study from its progress."""


def until(count: int, then: Callable[[], None] | None = None) -> Callable[[StudyProgress], None]:
    """A progress that stops a study, or does something else once, when so many trials are over."""
    left = [then]

    def progress(now: StudyProgress) -> None:
        if now.over >= count and left:
            what = left.pop()
            if what is None:
                raise Enough
            what()

    return progress


# ---- what is found -----------------------------------------------------------------------------------------------


def test_the_table_has_a_row_for_each_trial_system_and_chip(whole: Path) -> None:
    found = pd.read_parquet(whole / "table.parquet")
    assert list(found.columns) == ["bits", "steps", *COLUMNS]
    order = [
        (bits, steps, seed, system, chip)
        for bits in (4, 8)
        for steps in (2, 4)
        for seed in range(3)
        for system, chips in (("substrate", 2), ("BPTT", 1))
        for chip in range(chips)
    ]
    assert list(found[["bits", "steps", "seed", "system", "chip"]].itertuples(index=False, name=None)) == order
    assert pd.read_csv(whole / "table.csv").shape == found.shape
    assert (found["status"] == "done").all()
    assert found.groupby(["bits", "steps", "seed"])["config_sha256"].nunique().eq(1).all()
    assert found["config_sha256"].nunique() == TRIALS


def test_a_trial_says_what_a_run_of_its_experiment_says(whole: Path) -> None:
    import hwsim

    made = asked().experiment(3).model_copy(update={"seed": 2})  # 8 bits, 4 steps
    summary = hwsim.run(made).summary.plain()["systems"]["substrate"]
    rows = pd.read_parquet(whole / "table.parquet").query(
        "bits == 8 and steps == 4 and seed == 2 and system == 'substrate'"
    )
    assert list(rows["cosine_all"]) == summary["gradient"]["all"]["target"]["per_chip"]
    assert set(rows["energy_training_step_j"]) == {summary["energy"]["training_step_j"]}
    assert set(rows["peak_memory_bytes"]) == {summary["memory"]["peak_bytes"]}
    assert set(rows["memory_learning_state_bytes"]) == {summary["memory"]["peak_by_class"]["learning state"]}
    assert set(rows["time_sequence_s"]) == {summary["time"]["sequence_s"]}


def test_the_summary_is_taken_over_chips_and_seeds(whole: Path) -> None:
    found, summary = pd.read_csv(whole / "table.csv"), pd.read_csv(whole / "summary.csv")
    values = found.query("bits == 8 and steps == 4 and system == 'substrate'")["cosine_all"].to_numpy()
    where = "bits == 8 and steps == 4 and system == 'substrate' and quantity == 'cosine_all'"
    (line,) = summary.query(where).to_dict("records")
    assert line["count"] == len(values) == 6
    wanted = [np.median(values), *np.percentile(values, [25, 75]), values.min(), values.max(), values.mean()]
    names = ["median", "lower_quartile", "upper_quartile", "min", "max", "mean"]
    np.testing.assert_allclose([line[name] for name in names], wanted, rtol=1e-12)
    np.testing.assert_allclose(line["deviation"], values.std(ddof=1), rtol=1e-12)
    assert set(summary["system"]) == {"substrate", "BPTT"}


ALONE = """\
vary:
  steps: {key: task.steps, values: [2, 4]}
  one_at_a_time:
    bits: {key: machine.parts.adc.bits, values: [4, 8]}
    noise: {key: machine.parts.tiles.output_noise, values: [0.1]}
seeds: 3
"""


def test_axes_that_vary_one_at_a_time_are_compared_with_the_base_point(tmp_path: Path) -> None:
    """The difference of each point is that of its rows and those of the base point, by Student's t over seeds."""
    text = STUDY[: STUDY.index("vary:")] + ALONE
    ended = run(tmp_path / "s", text, workers=1)
    assert (ended.total, ended.failed) == (2 * 4 * 3, 0)
    found = hwsim.read(tmp_path / "s")
    assert isinstance(found, study_folder.StudyFolder)
    pairs = found.pairs[found.pairs["axis"] == grid.ALONE].query("quantity == 'cosine_all' and first == 'substrate'")
    assert set(pairs["against"]) == {grid.BASE}
    places = [*pairs[["steps", "varied", "bits", "noise"]].itertuples(index=False, name=None)]
    moved = [("bits", 4, 0.002), ("bits", 8, 0.002), ("noise", 8, 0.1)]
    assert places == [(steps, *each) for steps in (2, 4) for each in moved]
    table = found.table[found.table["system"] == "substrate"].set_index(["steps", "varied", "bits"]).sort_index()
    for pair in pairs.to_dict("records"):
        sides = (pair["varied"], pair["bits"]), (grid.BASE, 8)
        here, base = (table.loc[(pair["steps"], *side)].groupby("seed")["cosine_all"].mean() for side in sides)
        interval = stats.ttest_rel(here, base).confidence_interval(0.95)
        if sides[0] == ("bits", 8):  # the base point once more
            assert pair["mean"] == pair["low"] == pair["high"] == 0
        else:
            assert (pair["mean"], pair["low"], pair["high"]) == close(((here - base).mean(), *interval))
    (shown,) = [trials.from_base(found)]
    assert shown is not None
    assert [row.label for row in shown.rows if row.cells[1].text == "substrate"] == 2 * [
        "bits 4",
        "bits 8",
        "noise 0.1",
    ]
    assert shown.columns == ("steps", "system", "cosine all")
    assert [row.cells[2].text for row in shown.rows if row.label == "bits 8"] == ["0"] * 4
    console = Terminal(width=200, record=True)
    report.show(tmp_path / "s", ended, [], console)
    assert "Differences to the base point, with 95 % intervals over seeds" in console.export_text()
    assert "Differences to the base point" in html.of_study(found)


def test_nothing_is_compared_with_a_base_point_that_failed() -> None:
    text = STUDY[: STUDY.index("vary:")] + ALONE
    plan = asked(text)
    rows = [
        {**plan.labels(point), "seed": seed, "system": "A", "chip": 0, "status": "done", "accuracy": 0.1 * point}
        for point in range(1, plan.points)  # but not the base point of the first two steps
        for seed in range(2)
    ]
    made = pd.DataFrame(rows).reindex(columns=[*plan.columns, *COLUMNS]).assign(non_finite=False)
    found = pairs_of(plan, made, {("A", "accuracy")})
    alone = found[found["axis"] == grid.ALONE]
    assert list(alone["steps"]) == [4, 4, 4]
    assert list(alone["mean"]) == close([0.1, 0.2, 0.3])


def test_systems_are_compared_within_seeds(whole: Path) -> None:
    found, pairs = pd.read_csv(whole / "table.csv"), pd.read_csv(whole / "pairs.csv")
    assert set(zip(pairs["first"], pairs["second"], pairs["axis"].fillna(""), strict=True)) == {
        ("substrate", "BPTT", ""),
        *((system, system, axis) for system in ("substrate", "BPTT") for axis in ("bits", "steps")),
    }
    pairs = pairs[pairs["axis"].isna()].drop(columns=["axis", "against"])
    assert set(zip(pairs["first"], pairs["second"], strict=True)) == {("substrate", "BPTT")}
    assert set(pairs["quantity"]) == {f"cosine_{group}" for group in GROUPS}  # nothing is tested
    assert not pairs.isna().to_numpy().any()
    one, other = (
        found[(found["system"] == system) & (found["bits"] == 8) & (found["steps"] == 4)]
        .groupby("seed")["cosine_input"]
        .mean()
        for system in ("substrate", "BPTT")
    )
    expected = stats.ttest_rel(one, other).confidence_interval(0.95)
    (line,) = pairs.query("bits == 8 and steps == 4 and quantity == 'cosine_input'").to_dict("records")
    assert line["mean"] == close((one - other).mean(), rel=1e-12)
    assert (line["low"], line["high"]) == close(tuple(expected), rel=1e-9)
    assert (line["leads"], line["count"]) == ((one > other).sum(), 3)


TRAINED = """\
name: trained
experiment:
  name: tiny
  task: {name: random, steps: 3, width: 2, train: 8, test: 8}
  network: {layers: [{cell: {name: lru, modes: 3, r_min: 0.9}}]}
  learning: {name: fpe}
  machine: pcm_crossbar
  chips: 2
  training: {optimizer: {name: sgd, rate: 0.1}, batch: 4, steps: 4, test_every: 2}
  references:
    - {name: BPTT, learning: {name: bptt}, machine: ideal}
vary:
  rate: {key: training.optimizer.rate, values: [0.1, 1.0]}
seeds: 2
figures:
  - {name: over updates, x: updates, y: test_loss, hue: system, facet: rate, spread: range}
  - {name: over energy, x: energy_j, y: test_loss, hue: system, facet: rate}
"""


def test_learning_curves_are_those_of_the_runs(tmp_path: Path) -> None:
    import hwsim

    run(tmp_path / "s", TRAINED, workers=1)
    found = pd.read_csv(tmp_path / "s" / "curves.csv")
    assert list(found.columns) == ["rate", "seed", *METRICS]
    made = hwsim.run(asked(TRAINED).experiment(1).model_copy(update={"seed": 1}))
    mine = found.query("rate == 1.0 and seed == 1").drop(columns=["rate", "seed"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, made.metrics, check_dtype=False, check_exact=True)
    assert mine["energy_j"].dropna().max() == made.summary.plain()["systems"]["substrate"]["energy"]["run_j"]
    priced = (tmp_path / "s" / "figures" / "over_energy.svg").read_text(encoding="utf-8")
    assert "J" in priced
    assert "substrate" in priced
    assert "BPTT" not in priced  # an exact machine has no energy
    counted = (tmp_path / "s" / "figures" / "over_updates.svg").read_text(encoding="utf-8")
    assert "BPTT" in counted
    between, along, *areas = trials.differences(study_folder.read(tmp_path / "s"))
    assert [line.label for line in between.rows] == ["substrate − BPTT"] * 2
    assert len(along.rows) == 1
    (area,) = areas  # of all updates; the first tenth of four has no test
    assert area.title == "Loss, mean over all updates: differences within seeds"
    means = found.groupby(["rate", "seed", "chip", "system"], sort=False)["test_loss"].apply(
        lambda tests: (tests.iloc[0] / 2 + tests.iloc[1] + tests.iloc[2] / 2) / 2
    )
    of = means.groupby(["rate", "system"]).mean().unstack()
    shown = [line.cells[1].value for line in area.rows]
    assert shown == close((of["substrate"] - of["BPTT"]).tolist())


def test_columns_of_learning_curves_are_checked() -> None:
    wrong = TRAINED.replace("y: test_loss, hue: system, facet: rate}", "y: accuracy, hue: rule}")
    with pytest.raises(ConfigError) as error:
        asked(wrong).check()
    assert "unknown column 'accuracy'" in str(error.value)
    assert "test_accuracy" in str(error.value)
    assert "unknown column 'rule'" in str(error.value)


def test_a_failing_trial_is_recorded_and_does_not_stop_the_rest(tmp_path: Path) -> None:
    text = STUDY.replace("steps: {key: task.steps, values: [2, 4]}", "rule: {key: learning.name, values: [fpe, bptt]}")
    text = text.replace("  rule:", "  learner:").replace("x: steps", "x: learner").replace("seeds: 3", "seeds: 2")
    text = text.replace(
        "values: [4, 8]}", "values: [4, 8]}\n  tiles: {key: machine.parts.tiles.count, values: [64, 1]}"
    )
    ended = run(tmp_path / "s", text, workers=1)
    assert ended == StudyProgress(16, 12, 16)  # bptt has no tape here, and one tile is too few
    found = pd.read_csv(tmp_path / "s" / "table.csv")
    said = {key: set(rows["error"].dropna()) for key, rows in found.groupby(["learner", "tiles"])}
    assert said["fpe", 64] == set()
    assert all("needs a tape" in error for error in said["bptt", 64] | said["bptt", 1])
    assert len(said["fpe", 1]) == 1
    assert "tiles" in said["fpe", 1].pop()
    assert set(pd.read_csv(tmp_path / "s" / "summary.csv")["learner"]) == {"fpe"}
    # what failed stays so, unless it is asked to run again
    before = kept(tmp_path / "s")
    assert run(tmp_path / "s", text, workers=1) == ended
    assert kept(tmp_path / "s") == before
    assert run(tmp_path / "s", text, workers=1, retry=True) == ended
    assert sum(kept(tmp_path / "s")[key] == value for key, value in before.items()) >= 4


def test_a_study_all_of_whose_trials_fail_says_so_and_has_no_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(STUDY.replace("vary:", "set: {machine.parts.tiles.count: 1}\nvary:"), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["hwsim", "study", str(file), "--out", str(tmp_path / "s"), "--workers", "1"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "12 of 12 trials failed" in said
    assert "cosine is not drawn: no trial has cosine_all" in said
    assert not (tmp_path / "s" / "figures").exists()


def test_data_that_is_not_there_is_said_before_any_trial(tmp_path: Path) -> None:
    text = STUDY.replace("{name: random, steps: 3, width: 2, train: 4, test: 4}", "{name: mnist, train: 4, test: 4}")
    text = text.replace("task.steps, values: [2, 4]", "task.steps, values: [49, 98]")
    with pytest.raises(DataError, match="hwsim data fetch mnist"):
        run(tmp_path / "s", text, data=tmp_path)
    assert kept(tmp_path / "s") == {}


def test_points_that_are_alike_are_carried_out_once(tmp_path: Path) -> None:
    text = STUDY.replace("values: [2, 4]", "values: [2, 2], labels: [a, b]").replace("seeds: 3", "seeds: 2")
    assert run(tmp_path / "s", text, workers=2) == StudyProgress(8, 0, 8)
    assert len(kept(tmp_path / "s")) == 4
    found = pd.read_csv(tmp_path / "s" / "table.csv")
    same = [found[found["steps"] == label].drop(columns="steps").reset_index(drop=True) for label in ("a", "b")]
    pd.testing.assert_frame_equal(*same, check_exact=True)


# ---- stopped, killed, resumed ------------------------------------------------------------------------------------


def test_stopped_and_resumed_elsewhere_gives_the_same_bytes_and_repeats_nothing(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    before: dict[str, float] = {}
    for over, count in ((2, 2), (5, 1), (8, 2)):
        with pytest.raises(Enough):
            run(folder, workers=count, progress=until(over))
        assert before.items() <= kept(folder).items()
        assert len(kept(folder)) >= over
        before = kept(folder)
        assert workers() == []
    run(folder, workers=2)
    assert before.items() <= kept(folder).items()
    assert contents(folder) == contents(whole)


def test_killed_at_random_moments_and_resumed_gives_the_same_bytes(whole: Path, tmp_path: Path) -> None:
    """`benchmarks/kill_study.py` does this 20 times, for 200 trials, with 1, 2 and 4 workers and on a cluster."""
    file, folder, draw = tmp_path / "study.yaml", tmp_path / "s", random.Random(5)
    file.write_text(STUDY, encoding="utf-8")
    command = [sys.executable, "-m", "hwsim", "study", str(file), "--out", str(folder), "--workers", "2", "--quiet"]
    before: dict[str, float] = {}
    for _ in range(3):
        process = subprocess.Popen(command)
        log, seen = folder / f"{FILE}-wal", -1
        while process.poll() is None:  # until it has written a trial
            size = log.stat().st_size if log.exists() else 0
            if 0 <= seen < size and size > 50_000:
                break
            seen = size
            time.sleep(0.01)
        time.sleep(draw.uniform(0, 0.3))
        process.kill()
        process.wait()
        assert before.items() <= kept(folder).items()
        before = kept(folder)
    assert before
    subprocess.run(command, check=True)
    assert before.items() <= kept(folder).items()
    assert contents(folder) == contents(whole)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_can_be_stopped_by_a_signal(tmp_path: Path, number: int, code: int) -> None:
    file, folder = tmp_path / "study.yaml", tmp_path / "s"
    file.write_text(STUDY.replace("seeds: 3", "seeds: 4000"), encoding="utf-8")
    command = [sys.executable, "-m", "hwsim", "study", str(file), "--out", str(folder), "--workers", "2", "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    log = folder / f"{FILE}-wal"
    while not log.exists() or log.stat().st_size < 100_000:
        assert process.poll() is None
        time.sleep(0.01)
    children = psutil.Process(process.pid).children()
    os.killpg(process.pid, number)  # as a terminal does: the workers get it too
    _, said = process.communicate(timeout=20)
    assert process.returncode == code
    assert said == f"stopped; {len(kept(folder))} of 16000 trials are kept; run the same command again to go on\n"
    assert len(kept(folder)) > 0
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_a_signal_that_came_to_nothing_stops_a_study_at_its_next_trial(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Callbacks of the compiler do not pass on what a signal raises. What is kept counts, not what was told last."""
    monkeypatch.setattr(cli, "_signals", [signal.SIGTERM])
    monkeypatch.setattr(cli, "_when_stopped", [])
    with pytest.raises(cli.Stopped), cli._trials(True, whole) as progress:
        progress(StudyProgress(TRIALS - 1, 0, TRIALS))
    (said,) = cli._when_stopped
    assert said() == f"stopped; {TRIALS} of {TRIALS} trials are kept; run the same command again to go on"


def test_a_worker_that_dies_is_replaced_and_its_trial_carried_out_again(whole: Path, tmp_path: Path) -> None:
    def kill() -> None:
        workers()[0].kill()

    assert run(tmp_path / "s", workers=2, progress=until(4, kill)) == StudyProgress(TRIALS, 0, TRIALS)
    assert contents(tmp_path / "s") == contents(whole)


def test_a_trial_that_kills_its_workers_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        """\
import os, sys
if "hwsim.experiments.study.worker" in sys.orig_argv:
    from hwsim.experiments.study import trial
    plain = trial.carry_out
    trial.carry_out = lambda config, seed, *rest: os.kill(os.getpid(), 9) if seed == 1 else plain(config, seed, *rest)
""",
        encoding="utf-8",
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(study.__file__).parents[3])]))
    text = STUDY.replace("values: [2, 4]", "values: [2]").replace("seeds: 3", "seeds: 3").replace("[4, 8]", "[4]")
    assert run(tmp_path / "s", text, workers=2) == StudyProgress(3, 1, 3)
    found = pd.read_csv(tmp_path / "s" / "table.csv")
    assert set(found.loc[found["status"] == "failed", "seed"]) == {1}
    assert "SIGKILL; out of memory, perhaps" in found.loc[found["seed"] == 1, "error"].item()


def test_workers_that_cannot_start_are_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(WorkerError, match="a worker process cannot start: exit code 1"):
        run(tmp_path / "s", workers=2)


# ---- a Dask cluster ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
        yield made


def test_a_dask_cluster_gives_the_same_bytes_though_a_worker_dies(whole: Path, tmp_path: Path, cluster: Any) -> None:
    folder, address = tmp_path / "s", cluster.scheduler_address

    def kill() -> None:
        psutil.Process(next(iter(cluster.workers.values())).process.pid).kill()

    with pytest.raises(Enough):
        run(folder, scheduler=address, progress=until(3))
    before = kept(folder)
    assert run(folder, scheduler=address, progress=until(7, kill)) == StudyProgress(TRIALS, 0, TRIALS)
    assert before.items() <= kept(folder).items()
    assert contents(folder) == contents(whole)


def test_a_scheduler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hwsim.experiments.study import cluster as clusters

    monkeypatch.setattr(clusters, "_PATIENCE", 1)
    with pytest.raises(clusters.ClusterError, match="cannot reach the Dask scheduler at tcp"):
        run(tmp_path / "s", scheduler="tcp://127.0.0.1:9")


# ---- the folder --------------------------------------------------------------------------------------------------


def test_folders_that_are_no_study_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / FILE).write_text("no database at all, though it is long enough to look at" * 20)
    (tmp_path / "other").mkdir()
    with closing(sqlite3.connect(tmp_path / "other" / FILE)) as base:
        base.execute("CREATE TABLE trials (x)")
    for name, said in {
        "mine": "is not the folder of a study",
        "file": "is a file",
        "text": "is not a study, or is damaged",
        "other": "is not hwsim's",
    }.items():
        with pytest.raises(OutputError, match=said):
            run(tmp_path / name)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "x"
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_a_changed_study_is_explained_and_goes_on_only_if_told_to(whole: Path, tmp_path: Path) -> None:
    folder, fewer = tmp_path / "s", STUDY.replace("seeds: 3", "seeds: 2").replace("values: [2, 4]", "values: [2]")
    run(folder, fewer, workers=2)
    before = kept(folder)
    with pytest.raises(OutputError) as error:
        run(folder, workers=2)
    said = str(error.value)
    assert "holds 4 trials of a study that differs" in said
    assert "seeds: 2 there, 3 here" in said
    assert "vary.steps.values: [2] there, [2, 4] here" in said
    assert contents(folder)["study.yaml"] != contents(whole)["study.yaml"]
    assert run(folder, workers=2, yes=True) == StudyProgress(TRIALS, 0, TRIALS)
    assert before.items() <= kept(folder).items()
    assert contents(folder) == contents(whole)
    # what is drawn may change at any time
    run(folder, STUDY.replace("x: steps", "title: again, x: steps"), workers=2)
    assert b"again" in (folder / "figures" / "cosine.svg").read_bytes()


def test_a_full_disk_loses_nothing(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, opened = tmp_path / "s", stores.TrialStore.ask

    def small(self: TrialStore, what: dict[str, Any]) -> None:
        opened(self, what)
        self._base.execute("PRAGMA max_page_count = 25")

    monkeypatch.setattr(stores.TrialStore, "ask", small)
    with pytest.raises(OutputError, match=r"the disk is full; \d+ trials are kept"):
        run(folder, workers=2)
    before = kept(folder)
    assert 0 < len(before) < TRIALS
    monkeypatch.undo()
    run(folder, workers=2)
    assert before.items() <= kept(folder).items()
    assert contents(folder) == contents(whole)


def test_a_full_disk_at_the_end_leaves_no_half_written_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = STUDY.replace("seeds: 3", "seeds: 1")
    write = Path.write_bytes

    def full(self: Path, content: bytes) -> int:
        write(self, content[:10])
        raise OSError(28, "No space left on device")

    def late(found: Any) -> bytes:
        monkeypatch.setattr(Path, "write_bytes", full)
        return b"x"

    monkeypatch.setattr(table, "_csv", late)
    with pytest.raises(OutputError, match="No space left on device; all trials are kept"):
        run(tmp_path / "s", text, workers=1)
    monkeypatch.undo()
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == ["study.yaml", LOCK, FILE]
    assert run(tmp_path / "s", text, workers=1) == StudyProgress(4, 0, 4)


def free(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    """Have so many bytes of memory."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=int(size)))


def test_very_many_trials_need_to_be_confirmed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = STUDY.replace("seeds: 3", "seeds: 2500001")
    begun = time.perf_counter()
    with pytest.raises(ConfigError, match="small: 10,000,004 trials; if that is what you want, add --yes"):
        run(tmp_path / "s", text)
    assert time.perf_counter() - begun < 5
    assert not (tmp_path / "s").exists()
    free(monkeypatch, 1e12)
    with pytest.raises(Enough):
        run(tmp_path / "s", text, yes=True, workers=1, progress=until(2))
    assert len(kept(tmp_path / "s")) >= 2


@pytest.mark.parametrize("seeds", [10**7, 10**10, 2**53])
def test_a_study_whose_tables_would_not_fit_is_refused_before_its_first_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: int
) -> None:
    """Even if it is confirmed: three rows of 8 kB for each of its trials, on a computer with 32 GB."""
    free(monkeypatch, 32e9)
    with pytest.raises(
        MemoryEstimateError, match=r"small: the results of its .* trials would take about .* its tables"
    ):
        run(tmp_path / "s", STUDY.replace("seeds: 3", f"seeds: {seeds}"), yes=True)
    assert not (tmp_path / "s").exists()


def test_tests_of_a_training_are_rows_of_the_tables_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    training = "training: {optimizer: {name: sgd, rate: 0.1}, batch: 1, epochs: 1000, test_every: 1}\n  test: true"
    text = STUDY.replace("seeds: 3", "seeds: 1000")
    free(monkeypatch, 1e9)
    study.check_tables(asked(text))
    with pytest.raises(MemoryEstimateError, match="fewer points, seeds, chips or tests"):
        study.check_tables(asked(text.replace("test: false", training)))


def test_tables_take_what_they_are_taken_for(tmp_path: Path) -> None:
    """Rows of finished trials are read one by one, and written all at once."""
    few, many = (asked(STUDY.replace("seeds: 3", f"seeds: {seeds}")) for seeds in (20, 60))
    summary = json.dumps(simulate(many.experiment(0)).summary.plain())
    taken = []
    for found in (few, few, many):  # the first time, what writes them is imported
        found_all = SimpleNamespace(
            kept=lambda count=found.trials: (KeptTrial(at, "x" * 64, "done", None, summary) for at in range(count)),
            metrics=lambda: iter(()),
        )
        tracemalloc.start(1)
        table.write(tmp_path, found, found_all)  # type: ignore[arg-type]
        taken.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert 0.6 < (taken[2] - taken[1]) / ((many.trials - few.trials) * 3 * study._A_ROW) < 1


# ---- figures -----------------------------------------------------------------------------------------------------


def test_what_is_not_finite_is_counted_and_drawn_with_its_own_mark(tmp_path: Path) -> None:
    found = asked(STUDY.replace("seeds: 3", "seeds: 1"))
    folder = tmp_path / "s"
    study.run(found, folder, workers=1)
    with closing(sqlite3.connect(folder / FILE)) as base:  # as of a trial that diverged on one chip
        ((trial,),) = base.execute("SELECT id FROM plan WHERE number = 3")
        ((text,),) = base.execute("SELECT summary FROM trials WHERE id = ?", (trial,))
        summary = json.loads(text)
        summary["systems"]["substrate"]["diverged"] = {"updates": 0, "chips": [1]}
        summary["systems"]["substrate"]["gradient"]["all"]["target"]["per_chip"][1] = None
        base.execute("UPDATE trials SET summary = ? WHERE id = ?", (json.dumps(summary), trial))
        base.commit()
    study.run(found, folder)
    rows = pd.read_parquet(folder / "table.parquet")
    lost = rows[rows["non_finite"]]
    assert lost[["bits", "steps", "system", "chip"]].to_numpy().tolist() == [[8, 4, "substrate", 1]]
    summary = pd.read_csv(folder / "summary.csv").query("quantity == 'cosine_all' and system == 'substrate'")
    assert list(summary["non_finite"]) == [0, 0, 0, 1]
    assert list(summary["count"]) == [2, 2, 2, 1]
    (drawn,) = report.draw(found, folder)
    first = drawn.read_bytes()
    assert first.count(b'id="lost-') == 1
    assert b"not finite: 1 of 2 chips" in first
    assert report.draw(found, folder)[0].read_bytes() == first


LOST = (
    TRAINED.replace("values: [0.1, 1.0]", "values: [1.0e+30]")
    .replace("steps: 3, width: 2", "steps: 5, width: 3")
    .replace("modes: 3, r_min: 0.9}", "modes: 4, r_min: 0.9}, readout: {hidden: [6]}")
    .replace("name: sgd", "name: adamw")
)
"""A rate at which all weights are of the size of 1e30 after one update, and no chip answers with a number."""


def test_what_learning_lost_is_counted_in_every_table_and_drawn(tmp_path: Path) -> None:
    """At a rate of 1e30 no answer is a number, on the chip and in its reference: that is no accuracy of class 0."""
    text = LOST.replace("values: [1.0e+30]", "values: [0.1, 1.0e+30]").split("figures:")[0]
    figure = "{name: ends, x: rate, y: accuracy, hue: system, not_finite: 0.1}"
    found = asked(f"{text}figures: [{figure}]")
    folder = tmp_path / "s"
    study.run(found, folder, workers=2)
    rows = pd.read_parquet(folder / "table.parquet")
    lost = rows["rate"] > 1
    assert list(rows["non_finite"]) == list(lost)
    for quantity in ("accuracy", "loss"):
        assert list(rows[quantity].isna()) == list(lost)
    assert rows.loc[lost, ["horizon_fresh_steps", "horizon_frozen_steps"]].isna().all(axis=None)
    summary = pd.read_csv(folder / "summary.csv").query("rate > 1").set_index(["quantity", "system"])
    for quantity in ("accuracy", "loss"):
        for system, chips in (("substrate", 4), ("BPTT", 2)):
            line = summary.loc[(quantity, system)]
            assert (line["count"], line["non_finite"]) == (0, chips)
            assert np.isnan(line["median"])
    assert ("horizon_fresh_steps", "BPTT") not in summary.index  # it was not asked for
    pairs = pd.read_csv(folder / "pairs.csv").query("quantity == 'accuracy' and axis.isna()")
    assert pairs[["rate", "count", "non_finite"]].to_numpy().tolist() == [[0.1, 2, 0], [1e30, 0, 2]]
    curves = pd.read_csv(folder / "curves.csv")
    assert list(curves["test_accuracy"].isna()) == list((curves["rate"] > 1) & (curves["updates"] > 0))
    (ends,) = report.draw(found, folder)
    assert len(re.findall('id="lost-', ends.read_text(encoding="utf-8"))) == 2
    ended = " ".join(str(cell) for line in trials.pivots(study_folder.read(folder))[-1].rows for cell in line.cells)
    assert ended.count("not finite") == 2
    # and if nothing else is there, what was asked is still known
    study.run(asked(LOST), folder, yes=True)
    summary = pd.read_csv(folder / "summary.csv").set_index(["quantity", "system"])
    assert list(summary.loc["accuracy", "non_finite"]) == [4, 2]
    assert not any(quantity.startswith("cosine") for quantity, _ in summary.index)  # no gradient was checked
    said = trials.answers(study_folder.read(folder))
    assert said[0].text == "Substrate has at no point accuracy that is finite on all chips."
