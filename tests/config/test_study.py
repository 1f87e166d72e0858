"""Studies: dotted keys reach every part of an experiment, and what is wrong is said where the study says it."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from hwsim import documents
from hwsim.columns import TAKEN
from hwsim.config import grid
from hwsim.config.dotted import VARIED
from hwsim.config.grid import Grid
from hwsim.errors import ConfigError
from hwsim.experiments.study.study import identity

EXPERIMENT = """\
name: tiny
seed: 7
task: {name: random, steps: 5, width: 2, train: 8, test: 4}
network:
  layers:
    - &layer {cell: {name: lru, modes: 4, r_min: 0.9}}
    - *layer
learning: {name: fpe}
machine: pcm_crossbar
references:
  - {name: digital BPTT, learning: {name: bptt}, machine: digital_45nm}
  - {name: v1.5, learning: {name: rtrl}, machine: pcm_crossbar}
"""


def study(tmp_path: Path, text: str, experiment: str = EXPERIMENT) -> Grid:
    (tmp_path / "tiny.yaml").write_text(experiment, encoding="utf-8")
    path = tmp_path / "study.yaml"
    path.write_text(f"name: s\nexperiment: tiny.yaml\n{text}", encoding="utf-8")
    return grid.load_study(path)


def refused(tmp_path: Path, text: str) -> list[str]:
    """What is said of a study, one problem a line, without the folder."""
    with pytest.raises(ConfigError) as error:
        study(tmp_path, text).check()
    return str(error.value).replace(f"{tmp_path}/", "").splitlines()


def test_a_grid_has_every_combination_and_the_last_axis_varies_fastest(tmp_path: Path) -> None:
    asked = study(
        tmp_path,
        "vary:\n  task.steps: [3, 4]\n  r: {key: network.layers.0.cell.r_min, values: [0.1, 0.2, 0.3]}\nseeds: 4",
    )
    assert (asked.points, asked.trials, list(asked.seeds)) == (6, 24, [0, 1, 2, 3])
    labels = [asked.labels(point) for point in range(6)]
    assert labels == [{"task.steps": steps, "r": r} for steps in (3, 4) for r in (0.1, 0.2, 0.3)]
    fourth = asked.experiment(4)
    assert (fourth.task.steps, fourth.network.layers[0].cell.r_min, fourth.network.layers[1].cell.r_min) == (
        4,
        0.2,
        0.9,
    )


def test_the_seed_of_the_experiment_is_used_when_none_is_given(tmp_path: Path) -> None:
    assert study(tmp_path, "vary: {task.steps: [3]}").seeds == [7]


def test_zipped_keys_change_together_and_labels_name_the_points(tmp_path: Path) -> None:
    text = """\
vary:
  device:
    labels: [PCM, RRAM]
    zip:
      machine: [pcm_crossbar, rram_crossbar]
      references.v1.5.machine: [pcm_crossbar, rram_crossbar]
"""
    asked = study(tmp_path, text)
    machines = [[system.machine.name for system in asked.experiment(point).systems().values()] for point in range(2)]
    assert machines == [
        ["pcm_crossbar", "digital_45nm", "pcm_crossbar"],
        ["rram_crossbar", "digital_45nm", "rram_crossbar"],
    ]
    assert [asked.labels(point)["device"] for point in range(2)] == ["PCM", "RRAM"]
    alone = study(tmp_path, "vary: {rule: {zip: {learning.name: [fpe, rtrl]}}}")
    assert [alone.labels(point)["rule"] for point in range(2)] == ["fpe", "rtrl"]


def test_keys_go_below_machines_and_devices_that_are_given_by_name(tmp_path: Path) -> None:
    text = """\
vary:
  bits: {keys: [machine.parts.adc.bits, references.1.machine.parts.adc.bits], values: [4]}
  noise: {key: machine.device.read_noise.factor, values: [0.5]}
  voltage: {key: machine.parts.tiles.voltage, values: [0.3 V]}
  all: {key: network.layers.*.cell.r_min, values: [0.25]}
"""
    found = study(tmp_path, text).experiment(0)
    substrate, other = found.machine, found.references[1].machine
    assert (substrate.parts.adc.bits, other.parts.adc.bits) == (4, 4)
    assert (substrate.device.read_noise.factor, other.device.read_noise.factor != 0.5) == (0.5, True)
    assert [layer.cell.r_min for layer in found.network.layers] == [0.25, 0.25]
    # what was measured is not any more, and says so
    assert substrate.device.read_noise.source.endswith(VARIED)
    voltage = substrate.parts.tiles.voltage
    assert (voltage.value, voltage.source, voltage.assumed is not None) == (0.3, None, True)


def test_a_machine_keeps_its_own_differences_when_it_is_like_another(tmp_path: Path) -> None:
    own = "parts: {adc: {bits: 5}}, name: mine"
    text = """\
vary:
  chip:
    zip:
      machine.device: [rram_hfox_130nm]
      machine.like: [pcm_crossbar_in_the_loop]
      machine.parts.dac.bits: [6]
"""

    def machine(chip: str, text: str) -> Any:
        asked = study(tmp_path, text, EXPERIMENT.replace("machine: pcm_crossbar\n", f"machine: {chip}\n"))
        return asked.experiment(0).resolved()["machine"]

    found = machine(f"{{like: pcm_crossbar, {own}}}", text)
    written = f"{{like: pcm_crossbar_in_the_loop, device: rram_hfox_130nm, {own}}}"
    assert found == machine(written, "vary: {machine.parts.dac.bits: [6]}")
    assert (found["parts"]["adc"]["bits"], found["attached"]) == (5, "host")
    (said,) = refused(tmp_path, "vary: {machine.like: [pcm_crossbar_in_the_loop]}")
    assert said.endswith("machine.like: machine is given by its name, 'pcm_crossbar'; set machine itself")


def test_a_constant_with_a_source_becomes_an_assumption(tmp_path: Path) -> None:
    for key in ("machine.parts.verify", "machine.parts.verify.value"):
        energy = study(tmp_path, f"vary: {{{key}: [5 pJ]}}").experiment(0).machine.parts.verify
        assert (energy.value, energy.source, energy.assumed) == (5e-12, None, VARIED)


def test_an_axis_may_have_several_columns_of_labels(tmp_path: Path) -> None:
    text = "vary:\n  size:\n    zip: {task.width: [3, 4, 3], task.steps: [2, 2, 5]}\n"
    text += "    labels: {d: [3, 4, 3], T: [2, 2, 5]}"
    asked = study(tmp_path, text)
    assert asked.columns == ["d", "T"]
    assert [asked.labels(point) for point in range(3)] == [{"d": 3, "T": 2}, {"d": 4, "T": 2}, {"d": 3, "T": 5}]
    assert "labels must differ" in refused(tmp_path, text.replace("T: [2, 2, 5]", "T: [2, 2, 2]"))[0]
    assert "2 labels for 3 points" in refused(tmp_path, text.replace("T: [2, 2, 5]", "T: [2, 2]"))[0]
    assert "'rule' is a column of the table already" in refused(tmp_path, text.replace("{d:", "{rule:"))[0]


def test_a_mapping_with_a_value_is_replaced_unless_it_is_a_constant(tmp_path: Path) -> None:
    training = "training: {optimizer: {name: sgd, rate: 0.1}, steps: 1, clip: {value: 0.5}}"
    asked = study(tmp_path, "vary: {training.clip: [0.25, {value: 0.125}]}", f"{EXPERIMENT}{training}")
    assert [asked.experiment(point).training.bounds.model_dump() for point in (0, 1)] == [
        {"norm": 0.25, "value": None},
        {"norm": None, "value": 0.125},
    ]


ALONE = """\
vary:
  task.steps: [5, 6]
  one_at_a_time:
    machine.parts.adc.bits: [4, 8]
    noise: {keys: [machine.parts.tiles.output_noise, references.v1.5.machine.parts.tiles.output_noise], values: [0.01]}
    device: {key: machine.device, values: [rram_hfox_130nm]}
    both: {zip: {machine.parts.dac.bits: [4, 5], machine.parts.registers.noise: [0.1, 0.2]}, labels: [low, high]}
"""


def test_axes_vary_one_at_a_time_from_the_base_point(tmp_path: Path) -> None:
    asked = study(tmp_path, ALONE)
    asked.check()
    names = ["varied", "machine.parts.adc.bits", "noise", "device", "both"]
    assert asked.columns == ["task.steps", *names]
    assert asked.points == 2 * (1 + 2 + 1 + 1 + 2)
    found = [tuple(asked.labels(point)[name] for name in names) for point in range(7)]
    assert found == [
        ("base", 8, 0.002, "pcm_gst_90nm", "base"),
        ("machine.parts.adc.bits", 4, 0.002, "pcm_gst_90nm", "base"),
        ("machine.parts.adc.bits", 8, 0.002, "pcm_gst_90nm", "base"),
        ("noise", 8, 0.01, "pcm_gst_90nm", "base"),
        ("device", 8, 0.002, "rram_hfox_130nm", "base"),
        ("both", 8, 0.002, "pcm_gst_90nm", "low"),
        ("both", 8, 0.002, "pcm_gst_90nm", "high"),
    ]

    def what(point: int) -> tuple[Any, ...]:
        made = asked.experiment(point)
        parts = made.machine.parts
        noises = parts.tiles.output_noise, made.references[1].machine.parts.tiles.output_noise
        return made.task.steps, parts.adc.bits, *noises, made.machine.device.name, parts.dac.bits, parts.registers.noise

    base = (5, 8, 0.002, 0.002, "pcm_gst_90nm", 8, 0.0005)
    changes = [{}, {1: 4}, {}, {2: 0.01, 3: 0.01}, {4: "rram_hfox_130nm"}, {5: 4, 6: 0.1}, {5: 5, 6: 0.2}]
    for point, changed in enumerate(changes):
        assert what(point) == tuple(changed.get(place, value) for place, value in enumerate(base))
    assert what(7) == (6, *base[1:])
    assert identity(asked, 2, 7) == identity(asked, 0, 7)  # the base point once more


def test_a_resolved_study_still_varies_one_at_a_time(tmp_path: Path) -> None:
    asked = study(tmp_path, ALONE)
    (tmp_path / "elsewhere.yaml").write_text(documents.dump(asked.resolved()), encoding="utf-8")
    again = grid.load_study(tmp_path / "elsewhere.yaml")
    assert [asked.labels(point) for point in range(14)] == [again.labels(point) for point in range(14)]
    assert [identity(asked, point, 7) for point in range(14)] == [identity(again, point, 7) for point in range(14)]


def test_what_is_wrong_in_axes_that_vary_one_at_a_time_is_said_at_its_place(tmp_path: Path) -> None:
    text = """\
vary:
  task.steps: [5, 6]
  one_at_a_time:
    steps: {key: task.steps, values: [7]}
    bits: {key: machine.parts.adc.bitz, values: [4]}
    r: {key: network.layers.0.cell.r_min, values: [0.5, 1.5]}
"""
    found = refused(tmp_path, text)
    for token, part in {
        "task.steps, values": "task.steps varies already along 'task.steps'",
        "machine.parts.adc.bitz": "unknown key 'bitz'; did you mean 'bits'?",
        "1.5": "network.layers.0.cell.r_min (1.5)",
    }.items():
        ((number, line),) = [(number, line) for number, line in enumerate(text.splitlines(), 3) if token in line]
        start = f"study.yaml:{number}:{line.index(token) + 1}: "
        assert [said for said in found if said.startswith(start) and part in said], (start, found)


def test_set_changes_all_points(tmp_path: Path) -> None:
    asked = study(tmp_path, "set: {test: false, learning: {name: rtrl}}\nvary: {task.steps: [3, 4]}")
    assert [(asked.experiment(p).test, asked.experiment(p).learning.name) for p in (0, 1)] == [(False, "rtrl")] * 2


def test_samples_are_drawn_from_their_seed_and_do_not_depend_on_their_number(tmp_path: Path) -> None:
    text = """\
sample:
  count: {}
  keys:
    rate: {{key: network.layers.0.cell.r_min, log_uniform: [0.01, 0.5]}}
    task.steps: {{integers: [2, 4]}}
    learning: {{choice: [{{name: fpe}}, {{name: rtrl}}]}}
"""
    few, many = study(tmp_path, text.format(3)), study(tmp_path, text.format(200))
    assert [few.labels(point) for point in range(3)] == [many.labels(point) for point in range(3)]
    points = [many.labels(point) for point in range(200)]
    assert {point["task.steps"] for point in points} == {2, 3, 4}
    assert {point["learning"] for point in points} == {"fpe", "rtrl"}
    rates = sorted(float(point["rate"]) for point in points)
    assert 0.01 <= rates[0] < 0.02 < 0.055 < rates[100] < 0.09 < 0.4 < rates[-1] <= 0.5  # the median is √(0.01 · 0.5)
    assert many.experiment(5).network.layers[0].cell.r_min == points[5]["rate"]
    assert many.experiment(5).learning.name == points[5]["learning"]


def test_every_wrong_key_and_value_is_found_at_its_place(tmp_path: Path) -> None:
    text = """\
set: {training.optimiser: {}}
vary:
  steps: {key: task.stepz, values: [1, 2]}
  d: {key: network.layers.*.cell.r_min, values: [0.1, 1.5]}
  dev: {key: machine, values: [pcm_crossbar, pcm_crosbar]}
  r: {key: references.digtal BPTT.chips, values: [2]}
  n: {key: network.layers.7.cell.r_min, values: [0.5]}
  z: {zip: {learning.warm_up: [direct, seeed]}}
figures: [{name: f, x: stepps, y: cosine_al, rows: [steps, devize], hollow: {cosine_inputt: below 1}}]
"""
    found = refused(tmp_path, text)
    for token, part in {
        "training.optimiser": "unknown key 'optimiser'; did you mean 'optimizer'?",
        "task.stepz": "unknown key 'stepz'; did you mean 'steps'?",
        "1.5": "network.layers.1.cell.r_min (1.5)",
        "pcm_crosbar": "did you mean 'pcm_crossbar'?",
        "references.digtal": "did you mean 'digital BPTT'?",
        "network.layers.7": "network.layers has 2 items",
        "seeed": "did you mean 'seed'?",
        "stepps": "did you mean 'steps'?",
        "cosine_al,": "did you mean 'cosine_all'?",
        "devize": "unknown column 'devize'",
        "cosine_inputt": "did you mean 'cosine_input'?",
    }.items():
        ((number, line),) = [(number, line) for number, line in enumerate(text.splitlines(), 3) if token in line]
        start = f"study.yaml:{number}:{line.index(token) + 1}: "
        assert [said for said in found if said.startswith(start) and part in said], (start, found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vary: {seed: [1, 2]}", "study.yaml:3:8: seeds are given by `seeds`"),
        ("vary: {machine: [ideal]}", "study.yaml:3:8: 'machine' is a column of the table already"),
        ("vary: {a: {key: task.steps, values: [3]}, b: {key: task.steps, values: [4]}}", "varies already along 'a'"),
        ("vary: {a: {values: [3], zip: {task.steps: [3]}}}", "give either values"),
        ("vary: {a: {zip: {task.steps: [3], task.width: [1, 2]}}}", "same length; task.steps: 1, task.width: 2"),
        ("vary: {a: {key: task.steps, values: [3, 4], labels: [x]}}", "1 labels for 2 points"),
        ("vary: {task.steps: []}", "needs 1 or more"),
        ("vary: {task.steps.x: [1]}", "task.steps is 5, which has no 'x' in it"),
        ("vary: {task..steps: [1]}", "study.yaml:3:8: "),
        ("seeds: 0", "study.yaml:3:8: seeds (0): must be at least 1"),
        ("seeds: [1, 1]", "must differ from each other"),
        ("seeds: 100000000000000000000", "must be at least 1 and at most 9007199254740992"),
        ("seeds: [9007199254740993]", "seeds.0 (9007199254740993): must be at most 9007199254740992"),
        ("sample: {count: 1e99, keys: {task.steps: {integers: [1, 2]}}}", "sample.count"),
        (
            "sample: {count: 9007199254740993, keys: {task.steps: {integers: [1, 2]}}}",
            "sample.count (9007199254740993): must be at most 9007199254740992",
        ),
        ("sample: {count: 3, keys: {task.steps: {uniform: [1, 2], choice: [1]}}}", "give one of uniform"),
        ("sample: {count: 3, keys: {task.steps: {log_uniform: [0, 2]}}}", "needs bounds above zero"),
        ("vary: {one_at_a_time: {seed: [1, 2]}}", "study.yaml:3:24: seeds are given by `seeds`"),
        (
            "vary: {one_at_a_time: {varied: {key: task.steps, values: [3]}}}",
            "'varied' is a column of the table already",
        ),
        ("vary: {one_at_a_time: {a: {valus: [3]}}}", "study.yaml:3:28: unknown key 'valus'; did you mean 'values'?"),
        ("vary: {a: {valus: [3]}}", "study.yaml:3:12: unknown key 'valus'; did you mean 'values'? allowed: key"),
        ("vary: {one_at_a_time: [3]}", "vary.one_at_a_time: must be a mapping"),
        (
            "vary: {a: {key: task.steps, values: [3]}, one_at_a_time: {a: {key: task.width, values: [4]}}}",
            "two axes are called 'a'",
        ),
        ("dask: {}", "dask.workers is missing"),
        ("dask: {scheduler: 'tcp://1.2.3.4:5'}", "study.yaml:3:19: dask.scheduler: a file cannot choose the scheduler"),
        ("dask: {scheduler: 'tcp://1.2.3.4:5', workers: 2}", "hwsim study FILE --scheduler ADDRESS"),
        *(
            (f"vary: {{{name}: {{key: task.steps, values: [3]}}}}", f"{name!r} is a column of the table")
            for name in sorted(TAKEN)
        ),
        ("vary: {'': {key: task.steps, values: [3]}}", "study.yaml:3:8: '' cannot name a column"),
        ("vary: {' a': {key: task.steps, values: [3]}}", "' a' cannot name a column"),
        ('vary: {"a\\nb": {key: task.steps, values: [3]}}', "'a\\nb' cannot name a column"),
        (f"vary: {{{'a' * 201}: {{key: task.steps, values: [3]}}}}", "cannot name a column"),
        (
            "vary: {a: {key: task.steps, values: [3], labels: {b: [1]}}, b: {key: task.width, values: [3]}}",
            "two axes are called 'b'",
        ),
        ("vary: {a: {key: task.steps, values: [3], labels: [9223372036854775808]}}", "whole numbers are at most"),
        ("vary: {task.steps: [9223372036854775808]}", "whole numbers are at most"),
        ('vary: {a: {key: task.steps, values: [3], labels: ["a\\x1b"]}}', "has a control character"),
        ('figures: [{name: f, x: seed, y: accuracy, title: "\\ud800"}]', "half of a surrogate pair"),
        (
            "figures: [{name: f, x: seed, y: accuracy, y_limits: [-1e308, 1e308]}]",
            "must be 0, or from 1e-100 to 1e+100",
        ),
        ("figures: [{name: f, x: seed, y: accuracy, lines: {a: 1e308}}]", "must be 0, or from 1e-100 to 1e+100"),
        ("varry: {}", "study.yaml:3:1: unknown key 'varry'; did you mean 'vary'?"),
    ],
)
def test_what_is_wrong_with_a_study_is_said(tmp_path: Path, text: str, said: str) -> None:
    found = refused(tmp_path, text)
    assert said in "\n".join(found), found


@pytest.mark.parametrize("name", ["quickstrat", "nothing.yaml"])
def test_an_experiment_that_is_not_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"name: s\nexperiment: {name}\n", encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"study.yaml:2:13: (no file|unknown experiment 'quickstrat'; did you mean 'quickstart')"
    ):
        grid.load_study(path)


def test_parts_that_do_not_fit_together_at_some_points_are_no_mistake(tmp_path: Path) -> None:
    asked = study(
        tmp_path, "vary: {rule: [1]}\n".replace("rule: [1]", "learner: {key: learning.name, values: [fpe, bptt]}")
    )
    asked.check()
    with pytest.raises(ConfigError, match="bptt needs a tape"):
        asked.experiment(1)


def test_ten_million_trials_are_not_written_out(tmp_path: Path) -> None:
    axes = "\n".join(
        f"  a{n}: {{key: task.{key}, values: {list(range(1, 51))}}}"
        for n, key in enumerate(("steps", "width", "outputs"))
    )
    tracemalloc.start()
    asked = study(tmp_path, f"vary:\n{axes}\nseeds: 80")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert asked.trials == 10_000_000
    assert peak < 20e6
    last: Any = asked.experiment(asked.points - 1).task
    assert (last.steps, last.width, last.outputs) == (50, 50, 50)


def test_seeds_are_counted_and_not_listed(tmp_path: Path) -> None:
    study(tmp_path, "seeds: 2")
    tracemalloc.start()
    asked = study(tmp_path, f"vary: {{task.steps: [3, 4]}}\nseeds: {2**53}")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6
    assert (asked.trials, len(asked.seeds), asked.seeds[2**52]) == (2**54, 2**53, 2**52)


def test_the_resolved_study_describes_the_same_trials_from_another_folder(tmp_path: Path) -> None:
    (tmp_path / "sheets").mkdir()
    sheet = Path(grid.hardware.shelf("devices") / "rram_hfox_130nm.yaml").read_text(encoding="utf-8")
    (tmp_path / "sheets" / "own.yaml").write_text(sheet, encoding="utf-8")
    (tmp_path / "sheets" / "chip.yaml").write_text(
        "like: pcm_crossbar\nname: chip\ndevice: own.yaml\n", encoding="utf-8"
    )
    text = """\
vary:
  chip: {key: machine, values: [pcm_crossbar, sheets/chip.yaml], labels: [theirs, own]}
  bits: {key: machine.parts.adc.bits, values: [4, 8]}
  noise:
    key: references.v1.5.machine.device.read_noise
    values: [{law: additive, deviation_of_g_max: 0.1, source: aihwkit}]
set: {references.v1.5.machine: sheets/chip.yaml, test: false}
sample: {count: 2, keys: {task.steps: {integers: [2, 9]}}}
seeds: [3, 9]
"""
    asked = study(tmp_path, text)
    elsewhere = tmp_path / "elsewhere" / "study.yaml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(documents.dump(asked.resolved()), encoding="utf-8")
    again = grid.load_study(elsewhere)
    assert asked.points == again.points == 8
    assert [asked.labels(point) for point in range(8)] == [again.labels(point) for point in range(8)]
    assert [identity(asked, point, 3) for point in range(8)] == [identity(again, point, 3) for point in range(8)]
    assert len({identity(asked, point, seed)[0] for point in range(8) for seed in (3, 9)}) == 16
    assert documents.dump(again.resolved()) == documents.dump(asked.resolved())


def test_keys_go_below_references_that_are_given_by_name(tmp_path: Path) -> None:
    experiment = EXPERIMENT[: EXPERIMENT.index("references:")] + "references: strong\n"
    plain = study(tmp_path, "seeds: 1", experiment).experiment(0).references
    changed = study(tmp_path, "vary: {references.*.chips: [3]}", experiment).experiment(0).references
    assert [reference.name for reference in changed] == [reference.name for reference in plain]
    assert {reference.chips for reference in changed} == {3} != {reference.chips for reference in plain}
