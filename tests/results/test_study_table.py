"""The tables of a study, from trials that are made up here, against the values that these were made with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import run_folders
from conftest import close
from pandas.testing import assert_frame_equal
from scipy import stats

import hwsim
from hwsim import documents
from hwsim.columns import COLUMNS, CURVES, GROUPS, METRICS, NUMBERS, TAKEN
from hwsim.config import grid
from hwsim.config.grid import Grid
from hwsim.errors import MemoryEstimateError, OutputError, ResultsError
from hwsim.results import study_folder
from hwsim.results.study import table
from hwsim.results.study.pairs import COMPARED, EACH, pairs
from hwsim.results.study.store import FILE, KeptTrial, TrialResult, TrialStore
from hwsim.results.study_folder import STUDY, StudyFolder

CHIPS = {"substrate": 3, "BPTT": 1}


def asked(text: str = run_folders.STUDY) -> Grid:
    """A study of 2 × 2 points and three seeds."""
    return grid.compose(documents.parse(text, "study.yaml"))


# ---- trials that are made up -------------------------------------------------------------------------------------


def accuracy(number: int, system: str, chip: int) -> float:
    """A value of its own for each row."""
    return float(np.random.default_rng([number, len(system), chip]).uniform())


def spread(values: list[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    return {"median": float(np.median(known)) if known else None, "per_chip": values, "non_finite": values.count(None)}


def alignment(cosines: list[float | None], errors: list[float | None] | None = None) -> dict[str, Any]:
    errors = cosines if errors is None else errors
    return {
        "cosine": spread(cosines)["median"],
        "relative_error": spread(errors)["median"],
        "per_chip": cosines,
        "relative_error_per_chip": errors,
        "non_finite": 0,
    }


def checked(cosines: list[float | None], errors: list[float | None] | None = None) -> dict[str, Any]:
    """A gradient check in which all groups are alike."""
    against = dict.fromkeys(("target", "programmed", "recorded"), alignment(cosines, errors))
    return {**dict.fromkeys(GROUPS, against), "by_layer": {}}


def system(number: int, name: str, **more: Any) -> dict[str, Any]:
    chips = CHIPS[name]
    values = [accuracy(number, name, chip) for chip in range(chips)]
    return {
        "rule": "fpe",
        "machine": f"machine of {name}",
        "chips": chips,
        "accuracy": spread(values),  # type: ignore[arg-type]
        "energy": {
            "training_step_j": 1e-9 * (number + 1),
            "training_step_range_j": [5e-10 * (number + 1), 2e-9 * (number + 1)],
            "assumed_fraction": 0.25,
        },
        "memory": {
            "peak_bytes": 1000 + number,
            "peak_by_class": {"weights": 600, "learning state": 70, "tape": 5, "input replay": 3, "state": 11},
        },
        "time": {"sequence_s": 1e-6, "training_step_s": 2e-6, "passes": 2},
        **more,
    }


def summary(number: int, **more: Any) -> str:
    """What the summary of a trial says; `more` is of the substrate."""
    said = {"systems": {"substrate": system(number, "substrate", **more), "BPTT": system(number, "BPTT")}}
    return run_folders.summary(said).text()


def metrics(number: int, updates: tuple[int, ...] = (0, 5)) -> str:
    data = [
        [name, chip, update, 0, *[None] * 5, 0.5 + update, accuracy(number, name, chip), None, None]
        for name, chips in CHIPS.items()
        for update in updates
        for chip in range(chips)
    ]
    return json.dumps({"columns": list(METRICS), "data": data})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[TrialStore]:
    """All trials but number 4, which failed, and number 7, which is not over; kept in another order."""
    (tmp_path / "s").mkdir()
    with TrialStore(tmp_path / "s" / FILE) as made:
        for number in (9, 2, 0, 11, 1, 3, 5, 6, 8, 10):
            made.keep(
                [number], f"trial {number}", TrialResult("done", summary=summary(number), metrics=metrics(number))
            )
        made.keep([4], "trial 4", TrialResult("failed", "too few tiles", "Traceback"))
        yield made


OVER = [number for number in range(12) if number != 7]


def place(number: int) -> tuple[int, int, int]:
    """Bits, steps and seed of a trial: seeds vary fastest, then the last axis."""
    return (4, 8)[number // 6], (2, 4)[number // 3 % 2], number % 3


# ---- the table ---------------------------------------------------------------------------------------------------


def test_rows_are_trials_systems_and_chips_in_the_order_of_the_file(store: TrialStore) -> None:
    found, _ = table.frame(asked(), store)
    assert list(found.columns) == ["bits", "steps", *COLUMNS]
    wanted = [
        (*place(number), name, chip)
        for number in OVER
        for name, chip in (
            [(None, None)] if number == 4 else [(name, chip) for name, chips in CHIPS.items() for chip in range(chips)]
        )
    ]
    rows = found[["bits", "steps", "seed", "system", "chip"]].astype(object)
    assert list(rows.where(rows.notna(), None).itertuples(index=False, name=None)) == wanted


def test_each_row_says_what_was_found_of_its_chip(store: TrialStore) -> None:
    found, _ = table.frame(asked(), store)
    for row in found[found["status"] == "done"].to_dict("records"):
        number = int(row["config_sha256"].removeprefix("trial "))
        assert (row["bits"], row["steps"], row["seed"]) == place(number)
        assert row["accuracy"] == accuracy(number, row["system"], row["chip"])
        assert (row["energy_training_step_j"], row["energy_training_step_high_j"]) == (
            1e-9 * (number + 1),
            2e-9 * (number + 1),
        )
        assert (row["peak_memory_bytes"], row["memory_weights_bytes"]) == (1000 + number, 600)
        assert row["memory_to_learn_bytes"] == 70 + 5 + 3  # learning state, tape and kept inputs; no state
        assert (row["time_sequence_s"], row["passes"], row["rule"]) == (1e-6, 2, "fpe")
        assert row["machine"] == f"machine of {row['system']}"
        assert row["non_finite"] is False
    (failed,) = found[found["status"] == "failed"].to_dict("records")
    assert (failed["error"], failed["config_sha256"]) == ("too few tiles", "trial 4")
    assert found.loc[found["status"] == "failed", list(NUMBERS)].isna().all(axis=None)


def test_columns_have_the_type_of_what_stands_in_them(store: TrialStore) -> None:
    found, _ = table.frame(asked(), store)
    kinds = {
        "bits": "int64", "seed": "Int64", "chip": "Int64", "system": "string", "error": "string",
        "non_finite": "boolean", "accuracy": "float64", "passes": "float64", "peak_memory_bytes": "Int64",
    }  # fmt: skip
    assert {name: str(found[name].dtype) for name in kinds} == kinds


@pytest.mark.parametrize(
    ("values", "kind"),
    [("[4, 8]", "int64"), ("[4, 0.5]", "float64"), ("[true, false]", "bool"), ("[4, many]", "string")],
)
def test_an_axis_has_the_type_of_its_points(values: str, kind: str, tmp_path: Path) -> None:
    labels = f"values: [4, 8], labels: {values}" if "true" not in values else f"values: {values}"
    study = asked(run_folders.STUDY.replace("values: [4, 8]", labels).replace("machine.parts.adc.bits", "test"))
    with TrialStore(tmp_path / FILE) as made:
        for number in (0, 6):
            made.keep([number], f"trial {number}", TrialResult("done", summary=summary(number)))
        found, _ = table.frame(study, made)
    assert str(found["bits"].dtype) == kind


def test_a_chip_is_lost_where_something_that_was_asked_of_it_is_no_number() -> None:
    lost = {
        "accuracy": spread([0.5, None, 0.5]),
        "gradient": checked([0.9, 0.9, None], [0.2, 0.2, 1.0]),  # of the third it is all zero, which has no angle
    }
    kept = KeptTrial(0, "a", "done", None, summary(0, **lost))
    mine = [row for row in table.rows(kept, {"seed": 0}) if row["system"] == "substrate"]
    assert [row["non_finite"] for row in mine] == [False, True, False]
    assert [row["cosine_all"] for row in mine] == [0.9, 0.9, None]
    assert {row["relative_error_input"] for row in mine} == {0.2}
    gone = {"diverged": {"updates": 3, "chips": [0]}, "gradient": checked([0.9, None, 0.9], [0.2, None, 0.2])}
    kept = KeptTrial(0, "a", "done", None, summary(0, **gone))
    mine = [row for row in table.rows(kept, {"seed": 0}) if row["system"] == "substrate"]
    assert [row["non_finite"] for row in mine] == [True, True, False]


@pytest.mark.parametrize(
    ("residuals", "worst"),
    [({"layer 1": 0.5, "layer 2": 2.0}, 2.0), ({"layer 1": None, "layer 2": 2.0}, None), ({}, None)],
)
def test_the_worst_residual_is_the_one_beyond_all_numbers(residuals: dict[str, Any], worst: float | None) -> None:
    said = {"name": "end_residual", "value": residuals}
    kept = KeptTrial(0, "a", "done", None, summary(0, diagnostics=[said, {"name": "without a column", "value": 1.0}]))
    assert {row.get("end_residual") for row in table.rows(kept, {}) if row["system"] == "substrate"} == {worst}


# ---- the summary -------------------------------------------------------------------------------------------------


def test_a_line_of_the_summary_is_over_the_chips_and_seeds_of_its_point(store: TrialStore) -> None:
    study = asked()
    found, quantities = table.frame(study, store)
    lines = table.summary(study, found, quantities)
    for bits, steps in ((4, 2), (4, 4), (8, 2), (8, 4)):
        for name, chips in CHIPS.items():
            at = (lines["bits"] == bits) & (lines["steps"] == steps) & (lines["system"] == name)
            (line,) = lines[at & (lines["quantity"] == "accuracy")].to_dict("records")
            numbers = [number for number in OVER if place(number)[:2] == (bits, steps) and number != 4]
            values = np.array([accuracy(number, name, chip) for number in numbers for chip in range(chips)])
            assert (line["count"], line["non_finite"]) == (len(values), 0)
            assert line["median"] == close(np.median(values))
            assert (line["lower_quartile"], line["upper_quartile"]) == close(tuple(np.percentile(values, [25, 75])))
            assert (line["min"], line["max"]) == (values.min(), values.max())
            assert line["mean"] == close(values.mean())
            assert line["deviation"] == close(values.std(ddof=1), nan_ok=True)
    said = set(lines["quantity"])
    assert "loss" not in said  # it was asked of none
    assert not any(name.startswith("cosine") for name in said)
    assert {"accuracy", "energy_training_step_j", "peak_memory_bytes"} <= said


def test_chips_without_a_number_are_counted_and_left_out_of_statistics(tmp_path: Path) -> None:
    study = asked()
    with TrialStore(tmp_path / FILE) as made:
        made.keep([0], "a", TrialResult("done", summary=summary(0, accuracy=spread([0.5, None, 0.7]))))
        found, quantities = table.frame(study, made)
    lines = table.summary(study, found, quantities)
    (line,) = lines[(lines["quantity"] == "accuracy") & (lines["system"] == "substrate")].to_dict("records")
    assert (line["count"], line["non_finite"], line["mean"]) == (2, 1, close(0.6))


# ---- pairs of systems ----------------------------------------------------------------------------------------------


def test_pairs_are_students_t_within_seeds_at_each_point(store: TrialStore) -> None:
    study = asked()
    found = table.tables(study, store)[table.PAIRS]
    assert list(found.columns[:7]) == ["bits", "steps", "quantity", "first", "second", "axis", "against"]
    assert set(found["over"]) == {"seeds"}
    found = found[found["axis"].isna()]
    assert set(zip(found["quantity"], found["first"], found["second"], strict=True)) == {
        ("accuracy", "substrate", "BPTT")
    }
    for bits, steps in ((4, 2), (4, 4), (8, 2), (8, 4)):
        numbers = [number for number in OVER if place(number)[:2] == (bits, steps) and number != 4]
        one, other = (
            np.array([np.mean([accuracy(number, name, chip) for chip in range(chips)]) for number in numbers])
            for name, chips in CHIPS.items()
        )
        (line,) = found[(found["bits"] == bits) & (found["steps"] == steps)].to_dict("records")
        interval = stats.ttest_rel(one, other).confidence_interval(0.95)
        assert line["mean"] == close((one - other).mean())
        assert (line["low"], line["high"]) == close((interval.low, interval.high))
        assert (line["leads"], line["count"], line["non_finite"]) == ((one > other).sum(), len(numbers), 0)


def chips_of(values: dict[tuple[int, str], list[float | None]], gone: bool = True) -> pd.DataFrame:
    """The table of a study without axes: the accuracies of chips by seed and system."""
    rows = [
        {"seed": seed, "system": system, "chip": chip, "status": "done", "accuracy": value}
        for (seed, system), chips in values.items()
        for chip, value in enumerate(chips)
    ]
    found = pd.DataFrame(rows).reindex(columns=[*COLUMNS])
    return found.assign(non_finite=found["accuracy"].isna() & gone, accuracy=found["accuracy"].astype(float))


def without_axes() -> Grid:
    return asked(run_folders.STUDY.split("vary:")[0] + "seeds: 3\n")


def test_seeds_with_lost_chips_are_in_no_difference_but_counted() -> None:
    one = without_axes()
    both = {("A", "accuracy"), ("B", "accuracy")}
    values: dict[tuple[int, str], list[float | None]] = {
        (0, "A"): [0.5, 0.7], (0, "B"): [0.4, 0.4],
        (1, "A"): [0.9, 0.7], (1, "B"): [0.6, 0.6],
        (2, "A"): [1.0, None], (2, "B"): [0.1, 0.1],  # the chip that is left is no mean
    }  # fmt: skip
    (line,) = pairs(one, chips_of(values), both).to_dict("records")
    assert (line["mean"], line["leads"], line["count"], line["non_finite"]) == (close(0.2), 2, 2, 1)
    (line,) = pairs(one, chips_of(values, gone=False), both).to_dict("records")  # without a value, but not lost
    assert (line["mean"], line["leads"], line["count"], line["non_finite"]) == (close(1.3 / 3), 3, 3, 0)
    values[1, "B"] = [None, None]
    (line,) = pairs(one, chips_of(values), both).to_dict("records")
    assert (line["leads"], line["count"], line["non_finite"]) == (1, 1, 2)
    assert all(np.isnan(line[name]) for name in ("mean", "low", "high"))  # one seed says nothing
    assert pairs(one, chips_of(values), {("A", "accuracy")}).empty
    assert pairs(one, chips_of({(0, "A"): [None], (0, "B"): [0.5]}), both).empty  # nor would it if all were finite


def test_with_one_seed_chips_are_compared_and_a_digital_machine_stands_beside_each() -> None:
    both = {("A", "accuracy"), ("B", "accuracy")}
    values: dict[tuple[int, str], list[float | None]] = {(0, "A"): [0.5, 0.7, None, 0.6], (0, "B"): [0.4]}
    (line,) = pairs(without_axes(), chips_of(values), both).to_dict("records")
    assert (line["over"], line["mean"], line["leads"]) == ("chips", close(0.2), 3)
    assert (line["count"], line["non_finite"]) == (3, 1)
    assert line["high"] - line["mean"] == close(stats.t.isf(0.025, 2) * 0.1 / 3**0.5)


def test_points_of_an_axis_are_compared_within_seeds_all_else_alike(store: TrialStore) -> None:
    study = asked()
    found = table.tables(study, store)[table.PAIRS]
    found = found[found["axis"].notna() & (found["first"] == "substrate")]
    assert (found["first"] == found["second"]).all()
    asked_of = [tuple(row) for row in found[["axis", "bits", "steps", "against"]].to_numpy()]
    assert sorted(asked_of) == [
        ("bits", 8, 2, "4"), ("bits", 8, 4, "4"), ("steps", 4, 4, "2"), ("steps", 8, 4, "2")
    ]  # fmt: skip

    def means(bits: int, steps: int) -> dict[int, float]:
        numbers = [number for number in OVER if place(number)[:2] == (bits, steps) and number != 4]
        return {
            place(number)[2]: np.mean([accuracy(number, "substrate", chip) for chip in range(3)]) for number in numbers
        }

    for line in found.to_dict("records"):
        here = means(line["bits"], line["steps"])
        there = means(*(4, line["steps"]) if line["axis"] == "bits" else (line["bits"], 2))
        shared = sorted(here.keys() & there.keys())
        one, other = (np.array([each[seed] for seed in shared]) for each in (here, there))
        interval = stats.ttest_rel(one, other).confidence_interval(0.95)
        assert line["count"] == len(shared) > 1
        assert (line["mean"], line["low"], line["high"]) == close((np.mean(one - other), interval.low, interval.high))


def test_values_of_a_long_axis_are_compared_with_the_one_before() -> None:
    values = list(range(4, 4 + EACH + 1))
    study = asked(
        run_folders.STUDY.replace("values: [4, 8]", f"values: {values}").replace("values: [2, 4]", "values: [2]")
    )
    rows = [
        {
            "bits": bits,
            "steps": 2,
            "seed": seed,
            "system": "A",
            "chip": 0,
            "status": "done",
            "accuracy": bits / (9 + seed),
        }
        for bits in values
        for seed in range(2)
    ]
    made = pd.DataFrame(rows).reindex(columns=["bits", "steps", *COLUMNS]).assign(non_finite=False)
    found = pairs(study, made, {("A", "accuracy")})
    assert list(zip(found["bits"], found["against"], strict=True)) == [(each, str(each - 1)) for each in values[1:]]
    assert (found["leads"] == 2).all()


def test_each_two_systems_are_compared_once_and_in_their_order() -> None:
    draw = np.random.default_rng(3)
    values = {(seed, name): [float(draw.uniform())] for seed in range(3) for name in "CAB"}
    found = pairs(without_axes(), chips_of(values), {(name, "accuracy") for name in "ABC"})  # type: ignore[arg-type]
    assert list(zip(found["first"], found["second"], strict=True)) == [("C", "A"), ("C", "B"), ("A", "B")]
    mean = found.set_index(["first", "second"])["mean"]
    assert mean["C", "A"] + mean["A", "B"] == close(mean["C", "B"])
    assert set(COMPARED) <= set(COLUMNS)


def test_areas_under_learning_curves_are_columns_and_are_compared_like_the_last_test(tmp_path: Path) -> None:
    study, at = without_axes(), (0, 4, 8, 16, 40)
    with TrialStore(tmp_path / FILE) as made:
        for number in range(3):
            made.keep(
                [number], f"trial {number}", TrialResult("done", summary=summary(number), metrics=metrics(number, at))
            )
        found = table.tables(study, made)
    rows, of_pairs = found[table.TABLE], found[table.PAIRS].set_index("quantity")
    assert rows["loss_area"].tolist() == [close(0.5 + 20)] * len(rows)  # tests lose 0.5 + updates
    assert rows["loss_early_area"].tolist() == [close(0.5 + 2)] * len(rows)
    assert rows["accuracy_area"].tolist() == close(rows["accuracy"].tolist())  # it stays as it was
    assert not rows["non_finite"].any()
    for name in ("mean", "low", "high", "leads", "count"):
        assert of_pairs.loc["accuracy_area", name] == close(of_pairs.loc["accuracy", name])
    assert of_pairs.loc["loss_early_area", "mean"] == 0
    assert {"loss_area", "accuracy_early_area"} <= set(found[table.SUMMARY]["quantity"])


def test_a_chip_whose_curve_has_a_gap_is_lost(tmp_path: Path) -> None:
    curve = json.loads(metrics(0, (0, 4, 40)))
    curve["data"][1][curve["columns"].index("test_loss")] = None
    kept = KeptTrial(0, "a", "done", None, summary(0), json.dumps(curve))
    rows = list(table.rows(kept, {"seed": 0}))
    assert [row["non_finite"] for row in rows] == [row["loss_area"] is None for row in rows]
    assert sum(row["non_finite"] for row in rows) == 1


# ---- learning curves -----------------------------------------------------------------------------------------------


def test_curves_are_the_tests_of_trials_in_which_something_was_trained(tmp_path: Path) -> None:
    study = asked()
    with TrialStore(tmp_path / FILE) as made:
        made.keep([8], "b", TrialResult("done", summary=summary(8), metrics=metrics(8)))
        made.keep([0], "a", TrialResult("done", summary=summary(0), metrics=metrics(0)))
        made.keep(
            [1], "c", TrialResult("done", summary=summary(1), metrics=metrics(1, (0,)))
        )  # tested, but not trained
        made.keep([2], "d", TrialResult("failed", "no"))
        found = table.tables(study, made)[table.CURVES]
    assert list(found.columns) == ["bits", "steps", "seed", *METRICS]
    wanted = [
        (*place(number), name, chip, update, accuracy(number, name, chip))
        for number in (0, 8)
        for name, chips in CHIPS.items()
        for update in (0, 5)
        for chip in range(chips)
    ]
    names = ["bits", "steps", "seed", "system", "chip", "updates", "test_accuracy"]
    assert "test_accuracy" in CURVES
    assert list(found[names].itertuples(index=False, name=None)) == wanted


# ---- files ---------------------------------------------------------------------------------------------------------


def folder_of(store: TrialStore, study: Grid) -> Path:
    folder = store.path.parent
    (folder / STUDY).write_text(documents.dump(study.resolved()), encoding="utf-8")
    return folder


def test_what_is_written_is_read_as_the_same_tables(store: TrialStore) -> None:
    study = asked()
    folder, wanted = folder_of(store, study), table.tables(study, store)
    before = hwsim.read(folder)
    table.write(folder, study, store)
    study_folder.seal(folder)
    found = hwsim.read(folder)
    assert isinstance(before, StudyFolder)
    assert isinstance(found, StudyFolder)
    assert before.progress == (11, 1, 12)
    assert found.progress is None
    assert_frame_equal(found.table, wanted[table.TABLE], check_exact=True)
    for each in (before, found):  # what is known so far is what will be written
        assert_frame_equal(each.table, wanted[table.TABLE], check_exact=True)
        for name in ("summary", "pairs", "curves"):
            numbered = wanted[f"{name}.csv"].reset_index(drop=True)
            assert_frame_equal(getattr(each, name), numbered, check_dtype=False, check_exact=True)
    as_text = pd.read_csv(folder / table.TABLE, dtype=wanted[table.TABLE].dtypes.to_dict())
    assert_frame_equal(as_text, wanted[table.TABLE], check_exact=True)
    assert found.study == documents.read(folder / STUDY).data


@pytest.mark.parametrize("names", [["1", "2"], ["null", "NA", "None"]])
def test_systems_whose_names_look_like_numbers_or_nothing_keep_them(names: list[str], tmp_path: Path) -> None:
    study = asked()
    (tmp_path / "s").mkdir()
    with TrialStore(tmp_path / "s" / FILE) as made:
        for number in range(3):
            said = {name: {**system(number, "substrate"), "rule": "none"} for name in names}
            text = run_folders.summary({"systems": said}).text()
            data = [[name, 0, 5, 0, *[None] * (len(METRICS) - 4)] for name in names]
            curve = json.dumps({"columns": list(METRICS), "data": data})
            made.keep([number], f"{number}", TrialResult("done", summary=text, metrics=curve))
        folder = folder_of(made, study)
        for written in (False, True):
            if written:
                table.write(folder, study, made)
            found = hwsim.read(folder)
            assert isinstance(found, StudyFolder)
            assert list(found.table["system"].unique()) == names
            assert list(found.summary["system"].unique()) == names
            assert set(found.summary["rule"]) == {"none"}
            assert list(found.curves["system"].unique()) == names
            between = found.pairs[found.pairs["axis"].isna()]
            both = list(zip(between["first"], between["second"], strict=True))
            assert both == [(one, other) for at, one in enumerate(names) for other in names[at + 1 :]]


def test_no_axis_can_have_the_name_of_a_column_of_any_table(store: TrialStore) -> None:
    study = asked()
    found = {column for frame in table.tables(study, store).values() for column in frame.columns}
    assert found - set(study.columns) <= TAKEN


def test_tables_with_nothing_in_them_are_not_written_and_old_ones_go(store: TrialStore, tmp_path: Path) -> None:
    study = asked()
    table.write(tmp_path / "s", study, store)
    assert all((tmp_path / "s" / name).is_file() for name in table.FILES)
    with TrialStore(tmp_path / "other.sqlite") as one:
        said = summary(0, chips=1, accuracy=spread([0.5]))
        one.keep([0], "a", TrialResult("done", summary=said, metrics=metrics(0, (0,))))
        table.write(tmp_path / "s", study, one)
    there = {name for name in table.FILES if (tmp_path / "s" / name).is_file()}
    assert there == {
        table.TABLE,
        table.TYPED,
        table.SUMMARY,
    }  # one seed of one chip has no pairs, and nothing was trained
    table.remove(tmp_path / "s")
    assert not any((tmp_path / "s" / name).exists() for name in table.FILES)
    table.remove(tmp_path / "s")


def test_a_table_that_cannot_be_written_says_that_all_trials_are_kept(store: TrialStore, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="all trials are kept, and the same command writes them again"):
        table.write(tmp_path / "nowhere", asked(), store)


def retyped(folder: Path, change: Any) -> None:
    change(pd.read_parquet(folder / table.TYPED)).to_parquet(folder / table.TYPED)


def test_each_result_of_a_study_has_its_checksum(store: TrialStore) -> None:
    study = asked()
    folder = folder_of(store, study)
    table.write(folder, study, store)
    (folder / "figures").mkdir()
    (folder / "figures" / "mine.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    study_folder.seal(folder)
    names = [line.partition("  ")[2] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert names == [STUDY, *table.FILES, "figures/mine.svg"]
    for name in names:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b" ")
        with pytest.raises(ResultsError, match=rf"{name} is not as it was written"):
            hwsim.read(folder)
        (folder / name).write_bytes(content)
    (folder / "SHA256SUMS").write_text("")
    with pytest.raises(ResultsError, match=r"SHA256SUMS lacks the checksum of study\.yaml"):
        hwsim.read(folder)


def test_more_rows_than_this_computer_has_memory_for_are_not_read(
    store: TrialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table of one value takes next to no room in its file."""
    study = asked()
    folder = folder_of(store, study)
    table.write(folder, study, store)
    pq.write_table(pa.table({"loss": pa.array(np.zeros(30_000_000, np.int8))}), folder / table.TYPED)
    assert (folder / table.TYPED).stat().st_size < 200_000
    study_folder.seal(folder)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=100 << 20))
    with pytest.raises(MemoryEstimateError, match=r"table\.parquet: reading it"):
        hwsim.read(folder)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: (f / STUDY).unlink(), r"is not the folder of a run: it has no summary.json"),
        (lambda f: (f / STUDY).write_text("[1, 2]"), r"its study.yaml is no mapping"),
        (lambda f: (f / STUDY).write_text("a: ["), r"study.yaml:1:\d+: not YAML"),
        (
            lambda f: (f / table.TYPED).write_bytes((f / table.TYPED).read_bytes()[:-300]),
            "a table or figure is damaged",
        ),
        (lambda f: (f / table.TYPED).write_bytes(b""), "a table or figure is damaged"),
        (lambda f: retyped(f, lambda t: t.drop(columns="system")), r"its tables lack system"),
        (lambda f: retyped(f, lambda t: t.assign(loss="high")), r"such a table: loss is not all numbers"),
        (lambda f: (f / table.SUMMARY).write_text("a,b\n1,2\n"), "its tables lack median, quantity, system"),
        (lambda f: (f / table.SUMMARY).write_bytes(b"\xff\xfe"), "a table or figure is damaged"),
        (lambda f: [(f / n).unlink() for n in ("SHA256SUMS", FILE)], "is a study without results"),
    ],
)
@pytest.mark.parametrize("new_sums", [False, True])
def test_study_folders_that_are_damaged_are_refused(store: TrialStore, spoil: Any, said: str, new_sums: bool) -> None:
    study = asked()
    folder = folder_of(store, study)
    table.write(folder, study, store)
    study_folder.seal(folder)
    store.__exit__()
    spoil(folder)
    if (folder / "SHA256SUMS").exists() and new_sums:
        study_folder.seal(folder)
    elif not said.startswith(("is not the folder", "study.yaml", "is a study")):
        said = "is not as it was written .* copy the folder again, or go on with the study: hwsim study"
    with pytest.raises(ResultsError, match=said):
        hwsim.read(folder)
